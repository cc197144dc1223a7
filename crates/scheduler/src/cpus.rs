//! How many CPUs this process may use: those it may run on, and how much of them its control groups grant it. The only file
//! that asks the system about either.

/// How many CPUs this process may run on.
pub(crate) fn count() -> usize {
    #[cfg(target_os = "linux")]
    if let Some(count) = linux::affinity() {
        return count;
    }
    // On Linux this counts quotas too, but rounds them down.
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// How many workers make use of what this process is granted: a quota of two and a half CPUs keeps three busy.
pub(crate) fn useful_workers() -> usize {
    #[cfg(target_os = "linux")]
    if let Some(quota) = crate::cgroup::quota(std::path::Path::new("/")) {
        return count().min(quota);
    }
    count()
}

#[cfg(target_os = "linux")]
mod linux {
    /// A mask of more CPUs than this is a mistake of ours.
    const MAX_WORDS: usize = 1 << 14;

    /// Counts the CPUs in the thread's mask; a thread of the runtime inherits it.
    pub(super) fn affinity() -> Option<usize> {
        let mut mask: Vec<libc::c_ulong> = vec![0; 16];
        loop {
            let bytes = size_of_val(&*mask);
            // SAFETY: the kernel writes up to so many bytes to the mask, which has them; the calling thread is meant by 0.
            let result = unsafe { libc::sched_getaffinity(0, bytes, mask.as_mut_ptr().cast()) };
            if result == 0 {
                let count = mask.iter().map(|word| word.count_ones() as usize).sum::<usize>();
                return (count > 0).then_some(count);
            }
            // There are more CPUs than that.
            let too_small = std::io::Error::last_os_error().raw_os_error() == Some(libc::EINVAL);
            if !too_small || mask.len() >= MAX_WORDS {
                return None;
            }
            mask.resize(2 * mask.len(), 0);
        }
    }
}

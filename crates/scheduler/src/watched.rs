//! A worker's thread as the monitor sees it: whether it computes, is kept from computing, or blocks; and what it runs.
//! The only file that asks the system about another thread. What follows from the answers is in `monitor.rs`.

use gorust_primitives::{
    current,
    shim::{Ordering, fence},
};
use std::panic::Location;

/// A thread that was told to let itself be watched, and has not ended.
#[derive(Debug)]
pub(crate) struct Watched {
    current: current::Watched,
    #[cfg(target_os = "linux")]
    thread: linux::Thread,
}

impl Watched {
    /// Makes the calling thread visible.
    ///
    /// # Safety
    ///
    /// The thread does not end before the value is gone.
    pub(crate) unsafe fn this_thread() -> Self {
        Self {
            current: current::watched(),
            #[cfg(target_os = "linux")]
            thread: linux::Thread::current(),
        }
    }

    /// How long it has computed since it began, in nanoseconds. `None`: the system does not tell.
    pub(crate) fn cpu_ns(&self) -> Option<u64> {
        #[cfg(target_os = "linux")]
        return self.thread.cpu_ns();
        #[cfg(not(target_os = "linux"))]
        None
    }

    /// Whether it waits for something else than a CPU. `None`: the system does not tell.
    pub(crate) fn waits(&self) -> Option<bool> {
        #[cfg(target_os = "linux")]
        return self.thread.waits();
        #[cfg(not(target_os = "linux"))]
        None
    }

    /// Ends the time slice of the goroutine that runs there.
    pub(crate) fn end_slice(&self) {
        // SAFETY: the thread has not ended, by the contract of `this_thread`.
        unsafe { self.current.end_slice() };
    }

    /// The number and the spawn site of the goroutine that runs there, if `same_poll` still says after a look that it
    /// has run all the while. `None`: it has not, or the system does not let us look.
    pub(crate) fn running(
        &self,
        same_poll: impl FnOnce() -> bool,
    ) -> Option<(u64, &'static Location<'static>)> {
        // SAFETY: the thread has not ended, by the contract of `this_thread`.
        let record = unsafe { self.current.record() };
        #[cfg(target_os = "linux")]
        {
            let copy = linux::copy(record)?;
            // Ordering: Acquire, after the copy was read: what follows is looked at later than that.
            fence(Ordering::Acquire);
            // SAFETY: the thread has not ended, as above.
            let still_there = std::ptr::eq(unsafe { self.current.record() }, record);
            if !still_there || !same_poll() {
                return None;
            }
            // SAFETY: while a thread says that it runs a goroutine the record lives (`Runnable::run` takes it back
            // before it gives up its reference), and in one poll it is one goroutine's, since polling or cancelling
            // another in between counts as a poll: so it was copied alive. Its fields are plain data and a reference
            // to a static.
            let record = unsafe { copy.assume_init_ref() };
            Some((record.id(), record.spawned_at()))
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = (record, same_poll);
            None
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use gorust_primitives::current::Record;
    use std::{
        fs::File,
        io::Read,
        mem::{MaybeUninit, size_of},
        path::PathBuf,
    };

    #[derive(Debug)]
    pub(super) struct Thread {
        clock: Option<libc::clockid_t>,
        /// Where the kernel tells its state. Written down once, so that a look allocates nothing.
        stat: PathBuf,
    }

    impl Thread {
        pub(super) fn current() -> Self {
            let mut clock = 0;
            // SAFETY: it names the calling thread, and touches nothing.
            let this = unsafe { libc::pthread_self() };
            // SAFETY: the thread is this one, and the target is valid for a write.
            let found = unsafe { libc::pthread_getcpuclockid(this, &raw mut clock) } == 0;
            // SAFETY: it has no requirements.
            let id = unsafe { libc::gettid() };
            let stat = PathBuf::from(format!("/proc/self/task/{id}/stat"));
            Self { clock: found.then_some(clock), stat }
        }

        pub(super) fn cpu_ns(&self) -> Option<u64> {
            let mut time = MaybeUninit::<libc::timespec>::uninit();
            // SAFETY: the target is valid for a write; a clock that is none, or of a thread that has ended, is an error.
            if unsafe { libc::clock_gettime(self.clock?, time.as_mut_ptr()) } != 0 {
                return None;
            }
            // SAFETY: the call has succeeded, and so written it.
            let time = unsafe { time.assume_init() };
            Some(u64::try_from(time.tv_sec).ok()? * 1_000_000_000 + u64::try_from(time.tv_nsec).ok()?)
        }

        /// The state of a thread that runs, or would if it had a CPU, is `R`.
        ///
        /// Not the run-queue wait of `schedstat`: the kernel adds it up only when the wait is over, so that a thread
        /// that was preempted and still waits would look like one that blocks.
        pub(super) fn waits(&self) -> Option<bool> {
            let mut text = [0; 64];
            let length = File::open(&self.stat).ok()?.read(&mut text).ok()?;
            // "id (name) S ..": the name is 15 bytes at most, and may hold a parenthesis.
            let end = text[..length].iter().rposition(|&byte| byte == b')')?;
            Some(*text[..length].get(end + 2)? != b'R')
        }
    }

    /// Copies the record at that address, where there may be none any more: the kernel looks, and says so if there is
    /// not even memory.
    pub(super) fn copy(record: *const Record) -> Option<MaybeUninit<Record>> {
        if record.is_null() {
            return None;
        }
        let mut copy = MaybeUninit::<Record>::uninit();
        let length = size_of::<Record>();
        let target = libc::iovec { iov_base: copy.as_mut_ptr().cast(), iov_len: length };
        let source = libc::iovec { iov_base: record.cast_mut().cast(), iov_len: length };
        let process = std::process::id() as libc::pid_t;
        // SAFETY: the target is valid for a write of that length; the kernel checks the source.
        let copied =
            unsafe { libc::process_vm_readv(process, &raw const target, 1, &raw const source, 1, 0) };
        (usize::try_from(copied) == Ok(length)).then_some(copy)
    }

    #[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
    mod tests {
        use super::*;
        use gorust_primitives::current;
        use std::{hint::black_box, panic::Location, sync::mpsc::channel};

        #[test]
        fn one_who_computes_does_not_wait_and_one_who_waits_does_not_compute() {
            let (sender, receiver) = channel();
            let (end, ended) = channel::<()>();
            let thread = std::thread::spawn(move || {
                let this = Thread::current();
                let before = this.cpu_ns().unwrap();
                while this.cpu_ns().unwrap() < before + 1_000_000 {
                    black_box(());
                }
                assert_eq!(this.waits(), Some(false));
                sender.send(this).unwrap();
                let _ = ended.recv();
            });
            let other = receiver.recv().unwrap();
            while other.waits() == Some(false) {
                std::thread::yield_now();
            }
            let before = other.cpu_ns().unwrap();
            assert!(before >= 1_000_000);
            assert_eq!((other.waits(), other.cpu_ns()), (Some(true), Some(before)));
            drop(end);
            thread.join().unwrap();
        }

        #[test]
        fn a_record_is_copied_and_what_is_none_is_not() {
            let record = current::Record::new(7, 3, Location::caller(), [0; 3]);
            // SAFETY: it was copied from a live record.
            let copy = copy(&raw const record).map(|copy| unsafe { copy.assume_init_ref().id() });
            assert_eq!(copy, Some(7));
            assert!(super::copy(std::ptr::without_provenance(64)).is_none());
        }
    }
}

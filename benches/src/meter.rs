//! The meter around a timed section, and the report a load makes of it.

use std::time::{Duration, Instant};

/// Started where the timed section starts.
#[derive(Debug)]
pub struct Meter {
    started: Instant,
    usage: Usage,
}

/// CPU time and context switches of the whole process, since its start.
#[derive(Clone, Copy, Debug)]
struct Usage {
    cpu: Duration,
    voluntary: u64,
    involuntary: u64,
}

impl Usage {
    fn now() -> Self {
        // SAFETY: `rusage` is plain numbers; all zeroes is one of its values.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: `usage` is a writable rusage for the length of the call.
        let outcome = unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
        assert_eq!(outcome, 0, "getrusage of the own process cannot fail");
        Self {
            cpu: duration(usage.ru_utime) + duration(usage.ru_stime),
            voluntary: usage.ru_nvcsw as u64,
            involuntary: usage.ru_nivcsw as u64,
        }
    }
}

fn duration(time: libc::timeval) -> Duration {
    Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1_000)
}

impl Meter {
    /// Starts measuring.
    pub fn start() -> Self {
        let usage = Usage::now();
        Self { started: Instant::now(), usage }
    }

    /// Ends the timed section.
    pub fn stop(self) -> Span {
        let wall = self.started.elapsed();
        let after = Usage::now();
        Span {
            wall,
            cpu: after.cpu.saturating_sub(self.usage.cpu),
            voluntary: after.voluntary - self.usage.voluntary,
            involuntary: after.involuntary - self.usage.involuntary,
        }
    }
}

/// A timed section that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Time on the clock.
    pub wall: Duration,
    /// CPU time of all threads.
    pub cpu: Duration,
    /// Context switches by waiting.
    pub voluntary: u64,
    /// Context switches forced by the kernel.
    pub involuntary: u64,
}

impl Span {
    /// Reports nanoseconds for each of `count` operations.
    pub fn ns_each(self, count: usize) -> Report {
        self.report(self.wall.as_nanos() as f64 / count as f64)
    }

    /// Reports microseconds for each of `count` operations.
    pub fn us_each(self, count: usize) -> Report {
        self.report(self.wall.as_nanos() as f64 / 1e3 / count as f64)
    }

    /// Reports a figure the load took by itself, in the unit of its row.
    pub fn report(self, value: f64) -> Report {
        Report { value, span: self, extra: Vec::new() }
    }
}

/// What a load found out.
#[derive(Clone, Debug)]
pub struct Report {
    /// The row's figure, in the unit the catalogue gives the row.
    pub value: f64,
    /// The timed section.
    pub span: Span,
    /// Further figures: a name that ends in its unit, and the value.
    pub extra: Vec<(&'static str, f64)>,
}

impl Report {
    /// Adds a further figure; `name` ends in its unit.
    pub fn with(mut self, name: &'static str, value: f64) -> Self {
        self.extra.push((name, value));
        self
    }
}

/// Bytes of memory the process holds now.
pub fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("/proc is mounted");
    let pages: u64 = statm.split(' ').nth(1).and_then(|n| n.parse().ok()).expect("statm's second number");
    // SAFETY: sysconf takes any name and touches no memory of ours.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    pages * page as u64
}

/// The most memory this process ever held, in bytes.
///
/// Not `ru_maxrss`: that one survives `exec`, so a small process would report the size of the driver that started it.
pub fn peak_resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a VmHWM line");
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().expect("a number of kB");
    kib * 1024
}

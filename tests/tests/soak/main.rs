//! Soaks: random programs for a long time, with everything counted in the end. A short one runs with the other tests; how
//! long one takes is said by `GORUST_SOAK_SECONDS`.

mod scheduler;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// How long a soak takes.
fn length() -> Duration {
    let seconds = std::env::var("GORUST_SOAK_SECONDS").ok();
    let seconds = seconds.map_or(6, |text| text.parse().expect("GORUST_SOAK_SECONDS is a number of seconds"));
    Duration::from_secs(seconds)
}

/// Steps of the soak that runs, for the watchdog.
static STEPS: AtomicU64 = AtomicU64::new(0);

/// Says that something was done.
fn step() {
    STEPS.fetch_add(1, Ordering::Relaxed);
}

/// Ends the process when nothing is done for a minute: a hang.
fn watch() {
    std::thread::spawn(|| {
        let mut seen = u64::MAX;
        let mut since = now();
        loop {
            pause(Duration::from_millis(200));
            let steps = STEPS.load(Ordering::Relaxed);
            if steps != seen {
                (seen, since) = (steps, now());
            } else if now() - since > Duration::from_secs(60) {
                eprintln!("the soak hangs after {steps} steps");
                std::process::abort();
            }
        }
    });
}

#[expect(clippy::disallowed_methods, reason = "a soak lasts for so long in real time")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "it blocks a thread on purpose")]
fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// Resident memory of this process in bytes; `None` where the system does not tell.
fn resident_bytes() -> Option<u64> {
    let words = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = words.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

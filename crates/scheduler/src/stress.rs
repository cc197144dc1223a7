//! The way to sleep under fire: a foreign thread wakes a goroutine again and again, at moments that close in on the
//! one in which its worker goes to sleep. What is counted is how many wake-ups fell between the announcement and the
//! sleep; a lost one would hang the test.

#[cfg(not(any(gorust_loom, gorust_shuttle)))]
use gorust_primitives::shim::{AtomicU64, Ordering};

/// Wake-ups that arrived after a worker had announced that it sleeps, and before it did.
#[cfg(not(any(gorust_loom, gorust_shuttle)))]
static HITS: AtomicU64 = AtomicU64::new(0);

/// Times a worker went to sleep with nobody having woken it before.
#[cfg(not(any(gorust_loom, gorust_shuttle)))]
static SLEPT: AtomicU64 = AtomicU64::new(0);

/// Counts a wake-up in the parking window.
pub(crate) fn hit() {
    #[cfg(not(any(gorust_loom, gorust_shuttle)))]
    // Ordering: Relaxed, published by what the goroutine writes afterwards.
    HITS.fetch_add(1, Ordering::Relaxed);
}

/// Counts a sleep.
pub(crate) fn slept() {
    #[cfg(not(any(gorust_loom, gorust_shuttle)))]
    // Ordering: Relaxed, as in `hit`.
    SLEPT.fetch_add(1, Ordering::Relaxed);
}

/// Lets the thread that wakes run in the middle of the window, if it shares this one's CPU, as it does on a busy
/// machine: two CPUs of one's own need no help.
pub(crate) fn linger() {
    #[cfg(not(any(gorust_loom, gorust_shuttle)))]
    std::thread::yield_now();
}

#[cfg(not(any(gorust_loom, gorust_shuttle)))]
mod tests {
    use super::*;
    use crate::runtime::Builder;
    use gorust_primitives::rng::Rng;
    use std::{
        future::poll_fn,
        hint::black_box,
        sync::{Arc, Mutex},
        task::{Poll, Waker},
    };

    /// Wakes a goroutine `count` times from this thread. The delay after it was last polled grows while the wake-up
    /// comes before the worker's announcement and shrinks when it comes after its sleep, by random steps: so it
    /// sweeps to and fro over the window between the two, wherever that is on this machine.
    fn sweep(workers: usize, count: u64) {
        struct Shared {
            /// How many wake-ups were asked for, and how many the goroutine has seen.
            asked: AtomicU64,
            seen: AtomicU64,
            waker: Mutex<Option<Waker>>,
        }
        let shared =
            Arc::new(Shared { asked: AtomicU64::new(0), seen: AtomicU64::new(0), waker: Mutex::new(None) });
        let runtime = Builder::new().workers(workers).build().unwrap();
        let goroutine = Arc::clone(&shared);
        let handle = runtime.spawn(poll_fn(move |cx| {
            *goroutine.waker.lock().unwrap() = Some(cx.waker().clone());
            let asked = goroutine.asked.load(Ordering::SeqCst);
            goroutine.seen.store(asked, Ordering::SeqCst);
            if asked == count { Poll::Ready(()) } else { Poll::Pending }
        }));
        while shared.waker.lock().unwrap().is_none() {
            std::thread::yield_now();
        }
        let random = Rng::new(workers as u64);
        let counts = || (HITS.load(Ordering::Relaxed), SLEPT.load(Ordering::Relaxed));
        let (mut delay, mut before) = (0_i64, counts());
        for round in 1..=count {
            for spin in 0..delay {
                black_box(spin);
            }
            shared.asked.store(round, Ordering::SeqCst);
            let waker = shared.waker.lock().unwrap().clone().unwrap();
            waker.wake();
            let mut waited = 0_u32;
            while shared.seen.load(Ordering::SeqCst) < round {
                waited += 1;
                // On few cores the worker may need this one.
                if waited.is_multiple_of(64) { std::thread::yield_now() } else { std::hint::spin_loop() }
            }
            let after = counts();
            let step = i64::from(random.below(24)) + 1;
            let late = after.1 > before.1;
            let early = after == before;
            delay = (delay + i64::from(early) * step - i64::from(late) * step).clamp(0, 100_000);
            before = after;
        }
        runtime.block_on(handle).unwrap();
    }

    #[test]
    fn stress_no_foreign_wake_is_lost_while_parking() {
        let count = 1_000_000;
        sweep(1, count / 2);
        sweep(2, count / 2);
        let hits = HITS.load(Ordering::Relaxed);
        println!("{count} foreign wakes, {hits} of them between the announcement and the sleep");
        assert!(hits >= 10_000, "only {hits} wake-ups hit the parking window: the sweep misses it");
    }
}

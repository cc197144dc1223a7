//! Until when the poller sleeps, so that a timer with an earlier deadline knows whether to break its sleep. Which
//! deadlines there are is in the shards; the protocol is told in the README, "Timers and a sleeping poller".

use super::NEVER;
use gorust_primitives::shim::{AtomicU64, Ordering, fence, mutant};

/// Nobody sleeps: whoever does so next reads every deadline first.
const AWAKE: u64 = 0;

/// Written by the thread that holds the right to poll, read by whoever arms a timer.
#[derive(Debug)]
pub(crate) struct Horizon {
    /// [`AWAKE`], or the deadline the poller sleeps until, or [`NEVER`] while it has not yet read them all.
    sleeps_until: AtomicU64,
}

impl Horizon {
    pub(crate) fn new() -> Self {
        Self { sleeps_until: AtomicU64::new(AWAKE) }
    }

    /// The poller is going to sleep and now reads the deadlines: from here on every armer must notify it.
    pub(crate) fn announce(&self) {
        // Ordering: Relaxed, the fence orders it.
        self.sleeps_until.store(NEVER, Ordering::Relaxed);
        if !mutant("horizon.no_fence") {
            // Ordering: SeqCst, against the fence in `is_beyond`. Of the two one is first: either we read the
            // armer's deadline after ours, or it reads our announcement after its own.
            fence(Ordering::SeqCst);
        }
    }

    /// The poller has read the deadlines and sleeps until the earliest.
    pub(crate) fn sleep_until(&self, deadline: u64) {
        // Ordering: Relaxed. Whoever still reads NEVER notifies once too often, no more.
        self.sleeps_until.store(deadline, Ordering::Relaxed);
    }

    /// The poller is awake.
    pub(crate) fn awake(&self) {
        // Ordering: Relaxed. Whoever reads this instead of an earlier value does not notify, and need not: before
        // the next sleep comes an `announce`, and the deadline it has written is read after that.
        self.sleeps_until.store(AWAKE, Ordering::Relaxed);
    }

    /// Whether the poller sleeps, or is about to.
    pub(crate) fn is_asleep(&self) -> bool {
        // Ordering: Relaxed, a look that may be late.
        self.sleeps_until.load(Ordering::Relaxed) != AWAKE
    }

    /// Whether the poller seems to sleep beyond `deadline`: a load and no fence, for a thread that will look at its
    /// timers itself, unless what it runs goes on to block it. A poller that goes to sleep just now may be missed.
    #[inline]
    pub(crate) fn seems_beyond(&self, deadline: u64) -> bool {
        // Ordering: Relaxed, a look that may be late.
        deadline < self.sleeps_until.load(Ordering::Relaxed)
    }

    /// Whether the poller sleeps beyond `deadline`, which the caller has already written into its shard, and so
    /// has to be notified.
    #[inline]
    pub(crate) fn is_beyond(&self, deadline: u64) -> bool {
        // Ordering: SeqCst, against the fence in `announce`, as said there.
        fence(Ordering::SeqCst);
        // Ordering: Relaxed, the fence orders it.
        deadline < self.sleeps_until.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod model {
    use super::*;
    use gorust_primitives::shim::{Arc, AtomicBool, model, mutant_is_caught, thread};

    fn no_deadline_is_slept_over() {
        let horizon = Arc::new((Horizon::new(), AtomicU64::new(NEVER), AtomicBool::new(false)));
        let armer = Arc::clone(&horizon);
        let thread = thread::spawn(move || {
            // Ordering: Relaxed, as the shard's own: the fences alone carry the protocol.
            armer.1.store(7, Ordering::Relaxed);
            if armer.0.is_beyond(7) {
                armer.2.store(true, Ordering::Relaxed);
            }
        });
        let mut slept_until = NEVER;
        for last in [false, true] {
            horizon.0.announce();
            // Ordering: Relaxed, as above.
            slept_until = horizon.1.load(Ordering::Relaxed);
            horizon.0.sleep_until(slept_until);
            // The last sleep is the one that is not over when we look.
            if !last {
                horizon.0.awake();
            }
        }
        thread.join().unwrap();
        // Ordering: Relaxed, the join orders it.
        let notified = horizon.2.load(Ordering::Relaxed);
        assert!(slept_until == 7 || notified, "slept over a deadline");
    }

    #[test]
    fn horizon_is_never_slept_over() {
        let executions = model(no_deadline_is_slept_over);
        println!("horizon: {executions} executions");
        assert!(executions > 1);
    }

    #[test]
    fn horizon_mutant_without_the_fence_is_caught() {
        assert!(mutant_is_caught("horizon.no_fence", no_deadline_is_slept_over));
    }
}

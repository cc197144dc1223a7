//! Whether a notification is on its way to the poller, so that many callers write one. How it is written is the
//! back ends' business.
//!
//! The race to fear: a notification that is not written because another one is on its way, which the poller has
//! already seen. It clears the flag when it has seen one, and only then looks for what it was notified of.

use gorust_primitives::shim::{AtomicBool, Ordering, mutant};

/// A flag: written and not yet seen by a wait.
#[derive(Debug)]
pub(crate) struct Notification(AtomicBool);

impl Notification {
    pub(crate) fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Returns whether the caller has to write the notification.
    pub(crate) fn raise(&self) -> bool {
        // Ordering: Release, against the swap in `clear`: the poller that clears the flag we found set, or set
        // ourselves, sees what we did before. Acquire is not needed, and comes with the swap of others in between.
        !self.0.swap(true, Ordering::Release)
    }

    /// The poller has seen a notification; it looks for what it was notified of after this.
    pub(crate) fn clear(&self) {
        if mutant("notification.stores") {
            self.0.store(false, Ordering::Release);
            return;
        }
        // Ordering: Acquire, against the swap in `raise`. Subtle: a swap and not a store: it must read the flag to
        // know what was done before that was set. Release is not needed: a later `raise` learns nothing from it.
        self.0.swap(false, Ordering::Acquire);
    }

    /// Whether a notification may be on its way.
    #[inline]
    pub(crate) fn is_raised(&self) -> bool {
        // Ordering: Relaxed, a hint: one that is just being raised is seen by the next wait.
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod model {
    use super::*;
    use gorust_primitives::shim::{Arc, AtomicU64, model, mutant_is_caught, thread};

    /// Two threads put in work and notify; the poller sees one notification and looks. What it does not find must
    /// have been written again.
    fn no_notification_is_swallowed() {
        struct Shared {
            notification: Notification,
            work: [AtomicBool; 2],
            written: AtomicU64,
        }
        let shared = Arc::new(Shared {
            notification: Notification::new(),
            work: [AtomicBool::new(false), AtomicBool::new(false)],
            written: AtomicU64::new(0),
        });
        let threads: Vec<_> = (0..2)
            .map(|index| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    // Ordering: Relaxed, so that only the flag's own orderings carry the message.
                    shared.work[index].store(true, Ordering::Relaxed);
                    if shared.notification.raise() {
                        // Ordering: Relaxed, it stands for a descriptor.
                        shared.written.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        // Ordering: Relaxed, as above.
        let seen = shared.written.load(Ordering::Relaxed);
        let mut found = [false; 2];
        if seen > 0 {
            shared.notification.clear();
            // Ordering: Relaxed, as above.
            found = [0, 1].map(|index| shared.work[index].load(Ordering::Relaxed));
        }
        for thread in threads {
            thread.join().unwrap();
        }
        // Ordering: Relaxed, the joins order it.
        let written_since = shared.written.load(Ordering::Relaxed) > seen;
        assert!(found == [true; 2] || written_since, "found {found:?}, and sleeps again");
    }

    #[test]
    fn notification_is_never_swallowed() {
        let executions = model(no_notification_is_swallowed);
        println!("notification: {executions} executions");
        assert!(executions > 1);
    }

    #[test]
    fn notification_mutant_that_stores_is_caught() {
        assert!(mutant_is_caught("notification.stores", no_notification_is_swallowed));
    }
}

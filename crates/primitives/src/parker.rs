//! One thread sleeps until another wakes it. Not a queue and not a condition: a single token.
//!
//! States: `EMPTY` (no token), `PARKED` (the owner sleeps or is about to), `NOTIFIED` (a token lies ready). The
//! owner moves `EMPTY -> PARKED` and `NOTIFIED -> EMPTY`; anybody moves any state to `NOTIFIED`. The race to fear
//! is a token that arrives between the owner's test and its sleep: the owner goes to `PARKED` while it holds the
//! lock and gives the lock up only by sleeping, and whoever replaces `PARKED` takes the lock once before it
//! notifies, so the owner is asleep by then.

use crate::shim::{AtomicU32, Condvar, Lock, Ordering, mutant};
use std::time::Duration;

const EMPTY: u32 = 0;
const PARKED: u32 = 1;
const NOTIFIED: u32 = 2;

/// A place to sleep for one thread. It lives where both sides can see it: in a static, or in an `Arc`.
///
/// # Examples
///
/// ```
/// use gorust_primitives::parker::Parker;
/// use std::sync::Arc;
///
/// let parker = Arc::new(Parker::new());
/// let waker = Arc::clone(&parker);
/// let thread = std::thread::spawn(move || waker.unpark());
/// parker.park();
/// thread.join().unwrap();
/// ```
#[derive(Debug, Default)]
pub struct Parker {
    /// Invariant: `PARKED` only while the owner holds `lock` or sleeps in `wakeup`.
    state: AtomicU32,
    lock: Lock<()>,
    wakeup: Condvar,
}

impl Parker {
    crate::const_unless_modelled! {
        /// Creates a parker without a token.
        pub fn new() -> Self {
            Self { state: AtomicU32::new(EMPTY), lock: Lock::new(()), wakeup: Condvar::new() }
        }
    }

    /// Takes the token if there is one, without waiting.
    #[inline]
    pub fn try_park(&self) -> bool {
        // Ordering: Acquire, against the Release in `unpark`: what happened before the token was given is seen.
        self.state.compare_exchange(NOTIFIED, EMPTY, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Sleeps until there is a token, and takes it. Only one thread may park at a time.
    pub fn park(&self) {
        self.park_until(None);
    }

    /// Sleeps until there is a token or `timeout` has passed, and takes the token if there is one. Returns whether
    /// there was. It may also return early without a token.
    pub fn park_timeout(&self, timeout: Duration) -> bool {
        self.park_until(Some(timeout))
    }

    fn park_until(&self, timeout: Option<Duration>) -> bool {
        if self.try_park() {
            return true;
        }
        let mut guard = self.lock.lock();
        // Ordering: Acquire on failure, as in `try_park`; Relaxed on success, nothing is known yet.
        if self.state.compare_exchange(EMPTY, PARKED, Ordering::Relaxed, Ordering::Acquire).is_err() {
            // Ordering: Acquire, against the Release in `unpark`. A swap, since only this thread leaves NOTIFIED.
            self.state.swap(EMPTY, Ordering::Acquire);
            return true;
        }
        loop {
            guard = match timeout {
                None => self.wakeup.wait(guard),
                Some(timeout) => self.wakeup.wait_timeout(guard, timeout),
            };
            if self.try_park() {
                return true;
            }
            if timeout.is_some() {
                // Ordering: Acquire, against the Release in `unpark`: the token may arrive just now.
                return self.state.swap(EMPTY, Ordering::Acquire) == NOTIFIED;
            }
        }
    }

    /// Gives the token, and wakes the owner if it sleeps. Tokens do not add up.
    #[inline]
    pub fn unpark(&self) {
        // Ordering: Release, against the Acquire in `try_park` and `park_until`. A swap and not a store, so that
        // exactly one of several callers sees PARKED and owes the wake-up.
        if self.state.swap(NOTIFIED, Ordering::Release) == PARKED {
            if !mutant("parker.no_lock") {
                // The owner holds the lock from the moment it says PARKED until it sleeps.
                drop(self.lock.lock());
            }
            self.wakeup.notify_one();
        }
    }
}

#[cfg(test)]
mod model {
    use super::*;
    use crate::shim::{Arc, model, mutant_is_caught, thread};

    fn one_wakes_the_other() {
        let parker = Arc::new(Parker::new());
        let other = Arc::clone(&parker);
        let thread = thread::spawn(move || other.unpark());
        parker.park();
        thread.join().unwrap();
        assert!(!parker.try_park());
    }

    #[test]
    fn parker_never_sleeps_over_a_token() {
        let executions = model(one_wakes_the_other);
        println!("parker: {executions} executions");
        assert!(executions > 1);
    }

    #[test]
    fn parker_mutant_without_the_lock_is_caught() {
        assert!(mutant_is_caught("parker.no_lock", one_wakes_the_other));
    }
}

#[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn tokens_do_not_add_up() {
        let parker = Parker::new();
        parker.unpark();
        parker.unpark();
        assert!(parker.try_park());
        assert!(!parker.try_park());
    }

    #[test]
    fn a_timeout_ends_without_a_token() {
        let parker = Parker::new();
        assert!(!parker.park_timeout(Duration::from_millis(1)));
        parker.unpark();
        assert!(parker.park_timeout(Duration::from_secs(60)));
    }
}

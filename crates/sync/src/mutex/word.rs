//! The state of a mutex in one word, and the steps between its values. Who waits is in `queue.rs`.

use gorust_primitives::{
    const_unless_modelled,
    shim::{AtomicU32, Ordering, mutant},
};

/// Somebody has the mutex.
const LOCKED: u32 = 1;
/// The queue is not empty.
const WAITING: u32 = 2;
/// A waiter was woken and has not looked yet, so an unlock need not wake another.
const WOKEN: u32 = 4;
/// A waiter has waited too long: newcomers queue up and leave the mutex to those who wait.
const STARVING: u32 = 8;

/// The word. `LOCKED` changes at any time; all other bits change under the queue's lock only.
///
/// Ordering: taking the mutex is an Acquire, letting it go a Release, so that each holder sees what the one
/// before it did. The other bits need none: who acts upon them holds the queue's lock.
pub(super) struct Word(AtomicU32);

/// What a waiter that looked again found.
pub(super) enum Look {
    /// It has the mutex now.
    Locked,
    /// It sleeps on.
    Sleeps,
    /// It would have to sleep, and needs a waker for that. Nothing has changed.
    NeedsWaker,
}

/// How a waiter that is about to look stands in the queue.
#[derive(Clone, Copy)]
pub(super) struct Standing {
    /// It was woken, and has not looked since.
    pub(super) is_woken: bool,
    /// Nobody else is in the queue.
    pub(super) is_alone: bool,
}

impl Standing {
    /// The bits that go when the waiter does no longer stand so.
    fn cleared(self) -> u32 {
        match self {
            Self { is_alone: true, .. } => WAITING | WOKEN | STARVING,
            Self { is_woken: true, .. } => WOKEN,
            _ => 0,
        }
    }
}

impl Word {
    const_unless_modelled! {
        /// An unlocked mutex nobody waits for.
        pub(super) fn new() -> Self {
            Self(AtomicU32::new(0))
        }
    }

    /// Takes the mutex if it is free and not kept for one who starves.
    #[inline]
    pub(super) fn try_lock(&self) -> bool {
        self.0.compare_exchange(0, LOCKED, Ordering::Acquire, Ordering::Relaxed).is_ok() || self.try_barge()
    }

    /// As `try_lock`, past those who wait.
    fn try_barge(&self) -> bool {
        let mut state = self.0.load(Ordering::Relaxed);
        while state & (LOCKED | STARVING) == 0 {
            match self.0.compare_exchange_weak(state, state | LOCKED, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(found) => state = found,
            }
        }
        false
    }

    /// Lets the mutex go. Returns whether the caller owes somebody a wake.
    #[inline]
    #[must_use]
    pub(super) fn unlock(&self) -> bool {
        self.0.fetch_sub(LOCKED, Ordering::Release) & (WAITING | WOKEN) == WAITING
    }

    pub(super) fn is_locked(&self) -> bool {
        self.0.load(Ordering::Relaxed) & LOCKED != 0
    }

    /// Whether it is worth looking again in a moment.
    pub(super) fn is_starving(&self) -> bool {
        self.0.load(Ordering::Relaxed) & STARVING != 0
    }

    /// Under the queue's lock: nobody sleeps any more, so the mutex need not be kept for those who wait.
    pub(super) fn end_starvation(&self) {
        self.0.fetch_and(!STARVING, Ordering::Relaxed);
    }

    /// Under the queue's lock: takes the mutex, or says that the caller is about to wait. Returns whether it was
    /// taken.
    pub(super) fn lock_or_wait(&self) -> bool {
        if mutant("mutex.wait_without_a_look") {
            self.0.fetch_or(WAITING, Ordering::Relaxed);
            return false;
        }
        let mut state = self.0.load(Ordering::Relaxed);
        loop {
            let is_free = state & (LOCKED | STARVING) == 0;
            let next = if is_free { state | LOCKED } else { state | WAITING };
            match self.0.compare_exchange_weak(state, next, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return is_free,
                Err(found) => state = found,
            }
        }
    }

    /// Under the queue's lock: a waiter looks again. It takes the mutex if that is free, even one that is
    /// kept: it is one of those it is kept for. If not, it sleeps on, if it `has_waker` or was not woken.
    pub(super) fn look(&self, standing: Standing, has_waker: bool, is_late: impl Fn() -> bool) -> Look {
        let mut state = self.0.load(Ordering::Relaxed);
        loop {
            let (next, look) = if state & LOCKED == 0 {
                // One who waited shortly, or was the last, ends the starvation.
                let recovers = state & STARVING != 0 && !is_late();
                let cleared = standing.cleared() | if recovers { STARVING } else { 0 };
                ((state | LOCKED) & !cleared, Look::Locked)
            } else if !standing.is_woken {
                return Look::Sleeps;
            } else if !has_waker {
                return Look::NeedsWaker;
            } else {
                let starves = if is_late() { STARVING } else { 0 };
                (state & !WOKEN | starves, Look::Sleeps)
            };
            match self.0.compare_exchange_weak(state, next, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return look,
                Err(found) => state = found,
            }
        }
    }

    /// Under the queue's lock: a waiter has left without the mutex. Returns whether the caller owes the next
    /// one a wake.
    #[must_use]
    pub(super) fn leave(&self, standing: Standing) -> bool {
        let state = self.0.fetch_and(!standing.cleared(), Ordering::Relaxed) & !standing.cleared();
        state & (LOCKED | WAITING | WOKEN) == WAITING && !mutant("mutex.wake_dropped")
    }

    /// Under the queue's lock: the caller wants to wake a waiter. Returns `false` if that is not needed: the
    /// mutex is taken again, and whoever has it will wake; or another one was woken.
    pub(super) fn begin_wake(&self) -> bool {
        let mut state = self.0.load(Ordering::Relaxed);
        while state & (LOCKED | WAITING | WOKEN) == WAITING {
            match self.0.compare_exchange_weak(state, state | WOKEN, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(found) => state = found,
            }
        }
        false
    }
}

#[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
impl Word {
    /// The bits, for tests: locked, waiting, woken, starving.
    pub(super) fn bits(&self) -> [bool; 4] {
        let state = self.0.load(Ordering::Relaxed);
        [LOCKED, WAITING, WOKEN, STARVING].map(|bit| state & bit != 0)
    }
}

//! The state of a read-write lock in one word, and the steps between its values. Who waits is in `queue.rs`.

use gorust_primitives::{
    const_unless_modelled,
    shim::{AtomicUsize, Ordering, mutant},
};

/// A writer has the lock.
const WRITING: usize = 1;
/// Somebody sleeps, or was woken and is expected: a writer that comes queues up, and who lets go looks whom to
/// wake.
const WAITED: usize = 2;
/// One of those is a writer: a reader that comes queues up, too.
const CLAIMED: usize = 4;
/// One reader that has the lock.
const READER: usize = 8;

/// The word. `WRITING` and the readers change at any time; the two other bits change under the queue's lock only.
/// They may be set for longer than they need be, never shorter.
///
/// Ordering: taking the lock is an Acquire, letting it go a Release, so that each holder sees what the writers
/// before it did, and a writer, what the readers before it did. `WAITED` and `CLAIMED` need none: who acts upon
/// them takes the queue's lock.
pub(super) struct Word(AtomicUsize);

impl Word {
    const_unless_modelled! {
        /// A lock nobody has or waits for.
        pub(super) fn new() -> Self {
            Self(AtomicUsize::new(0))
        }
    }

    /// Steps from the state there is to the one `next` names, or leaves it if that is none.
    #[inline]
    fn step(&self, next: impl Fn(usize) -> Option<usize>) -> Result<usize, usize> {
        self.0.fetch_update(Ordering::Acquire, Ordering::Relaxed, next)
    }

    #[inline]
    pub(super) fn try_read(&self) -> bool {
        self.step(|state| (state & (WRITING | CLAIMED) == 0).then(|| state + READER)).is_ok()
    }

    #[inline]
    pub(super) fn try_write(&self) -> bool {
        self.0.compare_exchange(0, WRITING, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Returns whether the caller is to look whom to wake.
    #[inline]
    pub(super) fn end_read(&self) -> bool {
        self.0.fetch_sub(READER, Ordering::Release) & !CLAIMED == READER | WAITED
    }

    /// Returns whether the caller is to look whom to wake.
    #[inline]
    pub(super) fn end_write(&self) -> bool {
        self.0.fetch_sub(WRITING, Ordering::Release) & WAITED != 0
    }

    /// Makes the writer a reader. Returns whether the caller is to look whom to wake.
    pub(super) fn downgrade(&self) -> bool {
        self.0.fetch_add(READER - WRITING, Ordering::Release) & WAITED != 0
    }

    pub(super) fn is_writing(&self) -> bool {
        self.0.load(Ordering::Relaxed) & WRITING != 0
    }

    pub(super) fn is_free(&self) -> bool {
        self.0.load(Ordering::Relaxed) & !(WAITED | CLAIMED) == 0
    }

    /// Under the queue's lock: enters as a reader, even past a claim if `is_expected`; or says that the caller
    /// is about to wait. Returns whether it has entered.
    pub(super) fn read_or_wait(&self, is_expected: bool) -> bool {
        let bars = if is_expected { WRITING } else { WRITING | CLAIMED };
        self.enter_or_wait(|state| state & bars == 0, READER, WAITED)
    }

    /// Under the queue's lock: enters as a writer, if it `may` and the lock is free; or says that the caller is
    /// about to wait. Returns whether it has entered.
    pub(super) fn write_or_wait(&self, may: bool) -> bool {
        self.enter_or_wait(|state| may && state & !(WAITED | CLAIMED) == 0, WRITING, WAITED | CLAIMED)
    }

    fn enter_or_wait(&self, may_enter: impl Fn(usize) -> bool, entered: usize, waits: usize) -> bool {
        if mutant("rw_lock.wait_without_a_look") {
            self.0.fetch_or(waits, Ordering::Relaxed);
            return false;
        }
        // Subtle: to see that the lock is held and to say that one waits is one step; so whoever holds it finds
        // that out when it lets go.
        let step = |state| Some(if may_enter(state) { state + entered } else { state | waits });
        self.step(step).is_ok_and(may_enter)
    }

    /// Under the queue's lock: sets the bits that say who waits.
    pub(super) fn set_waited(&self, is_waited: bool, is_claimed: bool) {
        let bits = if is_waited { WAITED } else { 0 } | if is_claimed { CLAIMED } else { 0 };
        let set = |state: usize| {
            let next = state & !(WAITED | CLAIMED) | bits;
            (next != state).then_some(next)
        };
        // An error says that they were so already.
        let _ = self.step(set);
    }
}

#[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
impl Word {
    /// For tests: whether a writer has it, how many readers have it, waited, claimed.
    pub(super) fn parts(&self) -> (bool, usize, bool, bool) {
        let state = self.0.load(Ordering::Relaxed);
        (state & WRITING != 0, state / READER, state & WAITED != 0, state & CLAIMED != 0)
    }
}

//! What lets a waiter stand in several queues at once and be served by one of them: the claim word.
//!
//! A select puts one waiter in the queue of each of its cases. All of them point to the select's one
//! [`Claim`], and whoever wants to serve one of them must first win that word; so exactly one case commits. A
//! plain `recv` or `send` stands in one queue only and needs no word: its [`Case`] is [`Case::ALONE`], and is
//! won by asking.
//!
//! # Rules
//!
//! 1. *Who serves wins first.* A peer that has found a waiter under the lock of its queue calls [`Case::win`]
//!    before it touches the waiter's value. On [`Refused::Taken`] it takes the waiter out of the queue and
//!    looks at the next: the select is decided, this waiter is as good as gone. On [`Refused::Polling`] it
//!    leaves the waiter in the queue and looks at the next.
//! 2. *Who scans again wins first.* A select that is polled while it stands in the queues calls
//!    [`start_polling`](Claim::start_polling): peers pass it by from then on, so nothing is decided behind
//!    its back, and its own waiters in the same channel do not meet each other.
//! 3. *No waiting without a look.* It goes back to waiting by [`stop_polling`](Claim::stop_polling) only
//!    while it holds the locks of all its channels and has just seen, under them, that no case is ready: what
//!    peers did while they passed it by is then seen by it, and what they do later finds it open.
//! 4. *A word is used once.* A waiter leaves every queue before the word goes, or is opened again for another
//!    choice ([`renew`](Claim::renew)).
//!
//! What a select needs to know of a future to stand in a queue for it is the trait [`Leaf`]; how it uses them is in
//! `gorust_sync::select`.

use crate::shim::{AtomicU32, Ordering, mutant};
use std::{fmt, future::Future, ops::DerefMut, pin::Pin, ptr, task};

const OPEN: u32 = u32::MAX;
const POLLING: u32 = u32::MAX - 1;

/// The largest number of cases one claim can decide among.
pub const MAX_CASES: u32 = POLLING;

/// Decides which case of a select commits: open, being polled, or the index of the case that won.
///
/// # Examples
///
/// ```
/// use gorust_primitives::select_case::{Claim, Refused};
///
/// let claim = Claim::new();
/// assert_eq!(claim.win(3), Ok(()));
/// assert_eq!(claim.win(4), Err(Refused::Taken));
/// assert_eq!(claim.winner(), Some(3));
/// ```
pub struct Claim(AtomicU32);

/// Why a claim could not be won.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A case has won it: for good.
    Taken,
    /// Its owner is looking at its cases: for now.
    Polling,
}

impl Default for Claim {
    fn default() -> Self {
        Self::new()
    }
}

impl Claim {
    crate::const_unless_modelled! {
        /// Creates a claim that is open.
        pub fn new() -> Self {
            Self(AtomicU32::new(OPEN))
        }
    }

    /// Wins the claim for the case `index`, if it is open.
    ///
    /// # Errors
    ///
    /// [`Refused`] says whether the claim is lost for good.
    #[inline]
    pub fn win(&self, index: u32) -> Result<(), Refused> {
        debug_assert!(index < MAX_CASES);
        if mutant("claim.test_then_set") {
            let refused = self.refused(self.0.load(Ordering::Acquire));
            self.0.store(index, Ordering::Release);
            return refused;
        }
        // Ordering: AcqRel, against `winner` and the other `win`: who learns the index knows what its winner
        // knew, and the winner knows what the owner wrote before it opened the claim.
        match self.0.compare_exchange(OPEN, index, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(()),
            Err(found) => self.refused(found),
        }
    }

    fn refused(&self, found: u32) -> Result<(), Refused> {
        match found {
            OPEN => Ok(()),
            POLLING => Err(Refused::Polling),
            _ => Err(Refused::Taken),
        }
    }

    /// Returns which case has won.
    #[inline]
    pub fn winner(&self) -> Option<u32> {
        // Ordering: Acquire, against the Release in `win`.
        Some(self.0.load(Ordering::Acquire)).filter(|&index| index < MAX_CASES)
    }

    /// Makes peers pass the select by while its owner looks at the cases (rule 2).
    ///
    /// # Errors
    ///
    /// The index of the case that has won meanwhile.
    #[inline]
    pub fn start_polling(&self) -> Result<(), u32> {
        // Ordering: Acquire on failure, against the Release in `win`. Relaxed on success: nothing has
        // happened.
        self.0.compare_exchange(OPEN, POLLING, Ordering::Relaxed, Ordering::Acquire).map(drop)
    }

    /// Opens the claim again. Only its owner calls it, under all the locks, after a look at all the cases
    /// (rule 3).
    #[inline]
    pub fn stop_polling(&self) {
        debug_assert_eq!(self.0.load(Ordering::Relaxed), POLLING);
        // Ordering: Release, against the Acquire in `win`: the winner finds the waiters as the owner left
        // them.
        self.0.store(OPEN, Ordering::Release);
    }

    /// Opens the claim for another choice. Only its owner calls it, when no waiter of its stands in a queue
    /// (rule 4).
    #[inline]
    pub fn renew(&self) {
        // Ordering: Relaxed, nobody else knows the claim until a waiter is queued again, under a lock.
        self.0.store(OPEN, Ordering::Relaxed);
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Ordering: Relaxed, for a person to read.
        match self.0.load(Ordering::Relaxed) {
            OPEN => f.write_str("Claim(open)"),
            POLLING => f.write_str("Claim(polling)"),
            index => write!(f, "Claim({index})"),
        }
    }
}

/// Which case of which select a waiter stands for.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Null if the waiter stands for itself.
    claim: *const Claim,
    index: u32,
}

// SAFETY: a claim may be used from any thread, and whoever makes a `Case` keeps it alive (`Case::of`).
unsafe impl Send for Case {}

impl Case {
    /// The case of an operation that is no part of a select.
    pub const ALONE: Self = Self { claim: ptr::null(), index: 0 };

    /// The case `index` of the select that `claim` decides.
    ///
    /// # Safety
    ///
    /// `claim` outlives every call of [`win`](Self::win) on the case and its copies.
    pub unsafe fn of(claim: &Claim, index: u32) -> Self {
        Self { claim, index }
    }

    /// Wins the right to serve the waiter (rule 1).
    ///
    /// # Errors
    ///
    /// As [`Claim::win`]; never for [`Case::ALONE`].
    #[inline]
    pub fn win(&self) -> Result<(), Refused> {
        // SAFETY: the pointer is null or was given to `of`, whose caller keeps the claim alive.
        unsafe { self.claim.as_ref() }.map_or(Ok(()), |claim| claim.win(self.index))
    }

    /// Returns whether the waiter could be won at this moment.
    #[inline]
    pub fn is_open(&self) -> bool {
        // SAFETY: as in `win`.
        // Ordering: Relaxed, a look: who acts upon it wins first.
        unsafe { self.claim.as_ref() }.is_none_or(|claim| claim.0.load(Ordering::Relaxed) == OPEN)
    }
}

/// What can be said of a [`Leaf`] without its lock: whether it seems ready, and a number that is another one whenever
/// something has changed in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glance {
    /// `false` is certain, as of some moment during the look. `true` may be out of date.
    pub is_ready: bool,
    /// Two looks that find the same number and nothing ready mean that nothing was ready all the time in between.
    pub version: u64,
}

/// A future that can stand in a select's snapshot: what it waits for can be looked at, and taken, without running a
/// stranger's code.
///
/// There are two kinds. An *operation* on something shared, as a receive, has a lock: it becomes ready and not ready
/// again as others use the thing, and others may commit it. An *event*, as the end of a sleep, is ready for good
/// once it is, nobody takes it away, and nobody but its owner commits it; it has no lock, and leaves the methods about
/// locks and queues as they are.
///
/// # Safety
///
/// * [`lock_address`](Self::lock_address) is the same at all times, and the same for two leaves only if they have
///   the same lock. It is 0 for an event.
/// * No method calls a stranger's code (wakers included) while a lock is held.
/// * [`glance`](Self::glance) is true of the leaf.
pub unsafe trait Leaf {
    /// Looks without the lock.
    fn glance(&self) -> Glance;

    /// Commits if that can be done now, by itself and under its own lock; wakes whom that sets free. The output is then
    /// to be had from [`Native::output`].
    fn try_commit(self: Pin<&mut Self>) -> bool {
        self.glance().is_ready
    }

    /// Sees to it that the leaf wakes the task of `cx`: an event from now on, an operation once it is queued.
    fn arm(self: Pin<&mut Self>, cx: &mut task::Context<'_>);

    /// The address of the lock: a select takes the locks of its cases in this order, each one once.
    fn lock_address(&self) -> usize {
        0
    }

    /// Takes the lock, and leaves it taken.
    fn lock(&self) {}

    /// Lets the lock go.
    ///
    /// # Safety
    ///
    /// This thread has taken it, by [`lock`](Self::lock) of this leaf or of one with the same address.
    unsafe fn unlock(&self) {}

    /// Returns whether it is ready. For certain, if it has a lock.
    ///
    /// # Safety
    ///
    /// This thread holds the lock, as for [`unlock`](Self::unlock).
    unsafe fn is_ready(&self) -> bool {
        self.glance().is_ready
    }

    /// Joins the queue as `case`, unless it stands in it. Returns whether [`announce`](Self::announce) is to be called
    /// after the locks.
    ///
    /// # Safety
    ///
    /// * This thread holds the lock, as for [`unlock`](Self::unlock), and the leaf is armed.
    /// * The claim of `case` outlives the leaf's stay in the queue: [`dequeue`](Self::dequeue) is called before it
    ///   goes.
    unsafe fn enqueue(self: Pin<&mut Self>, case: Case) -> bool {
        let _ = case;
        false
    }

    /// Tells those who are only told, not served, that something waits here.
    fn announce(&self) {}

    /// Leaves the queue, if it stands in it.
    fn dequeue(self: Pin<&mut Self>) {}
}

/// A future that a select recognises as one of its own.
pub trait Native: Leaf + Future {
    /// Makes the future ready to be a case: one that has waited alone leaves its queue. Returns `false` if it will
    /// never be ready.
    ///
    /// # Panics
    ///
    /// If it has completed before.
    fn prepare(self: Pin<&mut Self>) -> bool;

    /// Takes the output, once the case has committed or was won. The future has then completed.
    fn output(self: Pin<&mut Self>) -> Self::Output;
}

/// All is said of the leaf behind a pointer.
macro_rules! forward {
    ($this:ident => $inner:expr) => {
        #[inline]
        fn glance(&self) -> Glance {
            (**self).glance()
        }
        #[inline]
        fn try_commit(self: Pin<&mut Self>) -> bool {
            let $this = self;
            $inner.try_commit()
        }
        #[inline]
        fn arm(self: Pin<&mut Self>, cx: &mut task::Context<'_>) {
            let $this = self;
            $inner.arm(cx);
        }
        #[inline]
        fn lock_address(&self) -> usize {
            (**self).lock_address()
        }
        #[inline]
        fn lock(&self) {
            (**self).lock();
        }
        #[inline]
        unsafe fn unlock(&self) {
            // SAFETY: our caller's promise.
            unsafe { (**self).unlock() };
        }
        #[inline]
        unsafe fn is_ready(&self) -> bool {
            // SAFETY: our caller's promise.
            unsafe { (**self).is_ready() }
        }
        #[inline]
        unsafe fn enqueue(self: Pin<&mut Self>, case: Case) -> bool {
            let $this = self;
            // SAFETY: our caller's promise.
            unsafe { $inner.enqueue(case) }
        }
        #[inline]
        fn announce(&self) {
            (**self).announce();
        }
        #[inline]
        fn dequeue(self: Pin<&mut Self>) {
            let $this = self;
            $inner.dequeue();
        }
    };
}

// SAFETY: all is said of the leaf behind the pointer.
unsafe impl<P: DerefMut<Target: Leaf>> Leaf for Pin<P> {
    forward!(this => this.as_deref_mut());
}

impl<P: DerefMut<Target: Native>> Native for Pin<P> {
    fn prepare(self: Pin<&mut Self>) -> bool {
        self.as_deref_mut().prepare()
    }

    fn output(self: Pin<&mut Self>) -> Self::Output {
        self.as_deref_mut().output()
    }
}

// SAFETY: all is said of the leaf behind the reference.
unsafe impl<L: Leaf + Unpin + ?Sized> Leaf for &mut L {
    forward!(this => Pin::new(&mut **this.get_mut()));
}

impl<L: Native + Unpin + ?Sized> Native for &mut L {
    fn prepare(self: Pin<&mut Self>) -> bool {
        Pin::new(&mut **self.get_mut()).prepare()
    }

    fn output(self: Pin<&mut Self>) -> Self::Output {
        Pin::new(&mut **self.get_mut()).output()
    }
}

#[cfg(test)]
mod model {
    use super::*;
    use crate::shim::{Arc, model, mutant_is_caught, thread};

    /// Two peers want the same select, while its owner scans once.
    fn one_case_commits() {
        let claim = Arc::new(Claim::new());
        let peers: Vec<_> = (0..2)
            .map(|index| {
                let claim = Arc::clone(&claim);
                thread::spawn(move || claim.win(index).is_ok())
            })
            .collect();
        if claim.start_polling().is_ok() {
            claim.stop_polling();
        }
        let won: Vec<_> = peers.into_iter().map(|peer| peer.join().unwrap()).collect();
        assert!(won.iter().filter(|&&won| won).count() <= 1, "two cases committed");
        assert_eq!(claim.winner(), won.iter().position(|&won| won).map(|index| index as u32));
    }

    #[test]
    fn a_claim_is_won_once() {
        let executions = model(one_case_commits);
        println!("select_case: {executions} executions");
        assert!(executions > 1);
    }

    #[test]
    fn a_claim_tested_and_then_set_is_caught() {
        assert!(mutant_is_caught("claim.test_then_set", one_case_commits));
    }
}

#[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_plain_operation_is_always_won() {
        assert_eq!((Case::ALONE.win(), Case::ALONE.win()), (Ok(()), Ok(())));
    }

    #[test]
    fn a_select_that_looks_is_passed_by() {
        let claim = Claim::new();
        // SAFETY: the claim outlives the case.
        let case = unsafe { Case::of(&claim, 1) };
        assert_eq!(claim.start_polling(), Ok(()));
        assert_eq!(case.win(), Err(Refused::Polling));
        claim.stop_polling();
        assert_eq!(case.win(), Ok(()));
        assert_eq!(claim.start_polling(), Err(1));
        assert_eq!(format!("{claim:?}"), "Claim(1)");
    }
}

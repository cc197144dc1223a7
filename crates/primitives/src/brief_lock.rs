//! A lock for critical sections of a few instructions: taking it is one read-modify-write, letting it go a
//! plain store.
//!
//! # Why not std's
//!
//! std's mutex pays a second read-modify-write to find out whether somebody sleeps, and looks after poison. A
//! channel does two critical sections of some twenty instructions a message, so the lock is most of what it
//! costs: with this one a message through a buffer takes a quarter less
//! (`docs/decisions/0003-brief-lock.md`).
//!
//! # How one waits
//!
//! The holder never sleeps and never calls a stranger's code, so it lets go within nanoseconds, unless the
//! kernel has taken its processor away. Who finds the lock held pauses, first for a microsecond or so and
//! then for longer, then yields the processor a few times, so that a holder on the same one can go on, and
//! then naps, longer each time up to a millisecond. Nobody is woken: the holder does not know who waits, and
//! that is the saving. There is no queue and no fairness; what needs those builds them on top, under the
//! lock.
//!
//! The first pause is many sections long on purpose. Two processors that use one lock all the time, a sender
//! and a receiver say, pay for a move of the cache line with every section if they take turns; if one pauses,
//! the other does twenty sections at the price of one move. (A message through a buffer, both ends busy on
//! two processors: 330 ns when the waiter looks all the time, 60 to 80 so.)
//!
//! Where a section may allocate much, touch a page for the first time or take another lock, use
//! [`Lock`](crate::shim::Lock): a nap is worse than a proper sleep there.

use crate::shim::{AtomicBool, MODELLED, Ordering, mutant, spin_loop};
use std::time::Duration;

/// Pauses before the first look; twice as many before each further one. One microsecond, give or take, by
/// processor.
const FIRST_PAUSES: u32 = if MODELLED { 1 } else { 32 };
/// Pauses before the look after which it yields.
const LAST_PAUSES: u32 = 8 * FIRST_PAUSES;
/// How often it yields.
const YIELDS: u32 = 8;
/// The first nap; each one is twice as long as the one before.
const NAP: Duration = Duration::from_micros(20);
/// No nap is longer.
const LONGEST_NAP: Duration = Duration::from_millis(1);

/// The lock without what it guards.
struct Word {
    is_held: AtomicBool,
}

#[cfg_attr(any(gorust_loom, gorust_shuttle), allow(dead_code, reason = "there only its own model uses it"))]
impl Word {
    crate::const_unless_modelled! {
        fn new() -> Self {
            Self { is_held: AtomicBool::new(false) }
        }
    }

    #[inline]
    fn try_acquire(&self) -> bool {
        // Ordering: Acquire, against the Release in `release`: what the last holder did is seen.
        self.is_held.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[inline]
    fn acquire(&self) {
        if !self.try_acquire() {
            self.wait();
        }
    }

    #[cold]
    fn wait(&self) {
        let (mut pauses, mut yields, mut nap) = (FIRST_PAUSES, 0, NAP);
        loop {
            if pauses <= LAST_PAUSES {
                (0..pauses).for_each(|_| spin_loop());
                pauses *= 2;
            } else if yields < YIELDS {
                std::thread::yield_now();
                yields += 1;
            } else {
                #[allow(
                    clippy::disallowed_methods,
                    reason = "the holder's processor was taken away; ours goes, too"
                )]
                std::thread::sleep(nap);
                nap = LONGEST_NAP.min(nap * 2);
            }
            // Looking before trying leaves the cache line with its holder.
            // Ordering: Relaxed, `try_acquire` decides.
            if !self.is_held.load(Ordering::Relaxed) && self.try_acquire() {
                return;
            }
        }
    }

    #[inline]
    fn release(&self) {
        let ordering = if mutant("brief_lock.relaxed") { Ordering::Relaxed } else { Ordering::Release };
        // Ordering: Release, against the Acquire in `try_acquire`.
        self.is_held.store(false, ordering);
    }
}

#[cfg(not(any(gorust_loom, gorust_shuttle)))]
mod imp {
    use super::Word;
    use std::{
        cell::UnsafeCell,
        fmt,
        marker::PhantomData,
        ops::{Deref, DerefMut},
    };

    /// A lock that is held for a few instructions and never across anything that waits. It knows no poison.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_primitives::brief_lock::BriefLock;
    ///
    /// let lock = BriefLock::new(1);
    /// *lock.lock() += 1;
    /// assert_eq!(*lock.lock(), 2);
    /// ```
    pub struct BriefLock<T> {
        word: Word,
        value: UnsafeCell<T>,
    }

    // SAFETY: the lock hands the value from thread to thread, one at a time.
    unsafe impl<T: Send> Sync for BriefLock<T> {}

    impl<T> BriefLock<T> {
        /// Creates a lock nobody holds.
        pub const fn new(value: T) -> Self {
            Self { word: Word::new(), value: UnsafeCell::new(value) }
        }

        /// Waits for the lock and takes it.
        #[inline]
        pub fn lock(&self) -> BriefGuard<'_, T> {
            self.word.acquire();
            BriefGuard { lock: self, value: PhantomData }
        }

        /// Puts the guard aside: the lock stays taken, until [`resume`](Self::resume) takes the guard up again. For
        /// who holds several locks, of values of different types.
        #[inline]
        pub fn leave(guard: BriefGuard<'_, T>) {
            std::mem::forget(guard);
        }

        /// Takes up the guard that was left.
        ///
        /// # Safety
        ///
        /// This thread has [left](Self::leave) a guard of this lock, and not resumed it since.
        #[inline]
        pub unsafe fn resume(&self) -> BriefGuard<'_, T> {
            BriefGuard { lock: self, value: PhantomData }
        }
    }

    impl<T: Default> Default for BriefLock<T> {
        fn default() -> Self {
            Self::new(T::default())
        }
    }

    impl<T> fmt::Debug for BriefLock<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("BriefLock")
        }
    }

    /// Holds a [`BriefLock`]; lets it go when dropped.
    pub struct BriefGuard<'a, T> {
        lock: &'a BriefLock<T>,
        /// The guard is as good as a `&mut T`, and stays on its thread: to hold it across an `.await` is to
        /// hold it long.
        value: PhantomData<*mut T>,
    }

    impl<T> Deref for BriefGuard<'_, T> {
        type Target = T;

        #[inline]
        fn deref(&self) -> &T {
            // SAFETY: the guard holds the lock.
            unsafe { &*self.lock.value.get() }
        }
    }

    impl<T> DerefMut for BriefGuard<'_, T> {
        #[inline]
        fn deref_mut(&mut self) -> &mut T {
            // SAFETY: the guard holds the lock and is borrowed mutably.
            unsafe { &mut *self.lock.value.get() }
        }
    }

    impl<T> Drop for BriefGuard<'_, T> {
        #[inline]
        fn drop(&mut self) {
            self.lock.word.release();
        }
    }

    impl<T> fmt::Debug for BriefGuard<'_, T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("BriefGuard")
        }
    }
}

/// Under a model checker it is an ordinary lock: what is built on it is modelled, and the lock has a model of
/// its own.
#[cfg(any(gorust_loom, gorust_shuttle))]
mod imp {
    use crate::shim::{Lock, LockGuard};
    use std::{
        cell::UnsafeCell,
        fmt,
        mem::ManuallyDrop,
        ops::{Deref, DerefMut},
        ptr,
    };

    #[allow(missing_docs, reason = "a stand-in for one kind of test run")]
    pub struct BriefLock<T> {
        lock: Lock<T>,
        /// The guard that was left: a box of a `LockGuard<T>`. Only who holds the lock touches it.
        left: UnsafeCell<*mut ()>,
    }

    // SAFETY: the lock hands the value from thread to thread, and `left` with it.
    unsafe impl<T: Send> Sync for BriefLock<T> {}
    // SAFETY: as above; a guard is left by a thread that resumes it.
    unsafe impl<T: Send> Send for BriefLock<T> {}

    #[allow(missing_docs, reason = "as above")]
    impl<T> BriefLock<T> {
        pub fn new(value: T) -> Self {
            Self { lock: Lock::new(value), left: UnsafeCell::new(ptr::null_mut()) }
        }

        pub fn lock(&self) -> BriefGuard<'_, T> {
            BriefGuard { guard: ManuallyDrop::new(self.lock.lock()), lock: self }
        }

        pub fn leave(guard: BriefGuard<'_, T>) {
            let mut guard = ManuallyDrop::new(guard);
            // SAFETY: the guard is not dropped, so it is taken out once.
            let inner = unsafe { ManuallyDrop::take(&mut guard.guard) };
            let left = Box::into_raw(Box::new(inner)).cast();
            // SAFETY: the lock is held.
            unsafe { *guard.lock.left.get() = left };
        }

        /// # Safety
        ///
        /// This thread has left a guard of this lock, and not resumed it since.
        pub unsafe fn resume(&self) -> BriefGuard<'_, T> {
            // SAFETY: this thread holds the lock.
            let left = unsafe { *self.left.get() }.cast::<LockGuard<'_, T>>();
            // SAFETY: the box was made in `leave`, and is taken up once.
            let guard = unsafe { Box::from_raw(left) };
            BriefGuard { guard: ManuallyDrop::new(*guard), lock: self }
        }
    }

    impl<T: Default> Default for BriefLock<T> {
        fn default() -> Self {
            Self::new(T::default())
        }
    }

    impl<T> fmt::Debug for BriefLock<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("BriefLock")
        }
    }

    #[allow(missing_docs, reason = "as above")]
    pub struct BriefGuard<'a, T> {
        guard: ManuallyDrop<LockGuard<'a, T>>,
        lock: &'a BriefLock<T>,
    }

    impl<T> Deref for BriefGuard<'_, T> {
        type Target = T;
        fn deref(&self) -> &T {
            &self.guard
        }
    }

    impl<T> DerefMut for BriefGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            &mut self.guard
        }
    }

    impl<T> Drop for BriefGuard<'_, T> {
        fn drop(&mut self) {
            // SAFETY: the guard is dropped once, here, unless it was left.
            unsafe { ManuallyDrop::drop(&mut self.guard) };
        }
    }

    impl<T> fmt::Debug for BriefGuard<'_, T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("BriefGuard")
        }
    }
}

pub use imp::{BriefGuard, BriefLock};

#[cfg(test)]
mod model {
    use super::*;
    use crate::shim::{Arc, UnsafeCell, model, mutant_is_caught, thread};

    struct Guarded {
        word: Word,
        count: UnsafeCell<u32>,
    }

    // SAFETY: `count` is touched while `word` is held: that is what the model is about.
    unsafe impl Sync for Guarded {}
    // SAFETY: as above.
    unsafe impl Send for Guarded {}

    impl Guarded {
        fn add(&self) {
            self.word.acquire();
            // SAFETY: the lock is held.
            self.count.with_mut(|count| unsafe { *count += 1 });
            self.word.release();
        }
    }

    fn two_add() {
        let guarded = Arc::new(Guarded { word: Word::new(), count: UnsafeCell::new(0) });
        let adder = {
            let guarded = Arc::clone(&guarded);
            thread::spawn(move || guarded.add())
        };
        guarded.add();
        adder.join().unwrap();
        // SAFETY: nobody else is left.
        assert_eq!(guarded.count.with(|count| unsafe { *count }), 2);
    }

    #[test]
    fn brief_lock_has_one_holder_who_sees_the_last() {
        let executions = model(two_add);
        println!("brief_lock: {executions} executions");
        assert!(executions > 1);
    }

    #[test]
    fn brief_lock_mutant_that_publishes_nothing_is_caught() {
        assert!(mutant_is_caught("brief_lock.relaxed", two_add));
    }
}

#[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
mod tests {
    use super::*;
    use std::{mem::size_of, sync::Arc, thread};

    #[test]
    fn the_lock_costs_a_byte() {
        assert_eq!((size_of::<BriefLock<u8>>(), size_of::<BriefLock<u64>>()), (2, 16));
    }

    #[test]
    fn many_add_and_nothing_is_lost() {
        let lock = Arc::new(BriefLock::new(0_u64));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let lock = Arc::clone(&lock);
                thread::spawn(move || (0..20_000).for_each(|_| *lock.lock() += 1))
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(*lock.lock(), 160_000);
    }

    #[test]
    fn one_who_waits_for_long_naps_until_it_is_let_go() {
        let lock = Arc::new(BriefLock::new(1));
        let guard = lock.lock();
        let (comes, came) = std::sync::mpsc::channel();
        let waiter = {
            let lock = Arc::clone(&lock);
            thread::spawn(move || {
                comes.send(()).unwrap();
                *lock.lock()
            })
        };
        came.recv().unwrap();
        // Long enough that the other one has stopped spinning, as it would behind a holder that was
        // preempted.
        (0..1_000).for_each(|_| thread::yield_now());
        drop(guard);
        assert_eq!(waiter.join().unwrap(), 1);
    }

    #[test]
    fn a_guard_that_was_left_holds() {
        let lock = Arc::new(BriefLock::new(1));
        BriefLock::leave(lock.lock());
        let other = {
            let lock = Arc::clone(&lock);
            thread::spawn(move || *lock.lock() += 1)
        };
        (0..100).for_each(|_| thread::yield_now());
        // SAFETY: the guard was left just now.
        let guard = unsafe { lock.resume() };
        assert_eq!(*guard, 1, "the other one waits");
        drop(guard);
        other.join().unwrap();
        assert_eq!(*lock.lock(), 2);
    }

    #[test]
    fn a_panic_lets_it_go() {
        let lock = BriefLock::new(1);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _guard = lock.lock();
            panic!("while it is held");
        }));
        assert!(caught.is_err());
        assert_eq!(*lock.lock(), 1);
    }
}

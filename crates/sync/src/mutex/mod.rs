//! Mutual exclusion that may be held across an `.await`. The state is one word (`word.rs`); who waits is in a
//! queue that exists once somebody has waited (`queue.rs`).

mod guard;
mod queue;
#[cfg(test)]
mod tests;
mod word;

pub use guard::{MutexGuard, OwnedMutexGuard};

use gorust_primitives::const_unless_modelled;
use gorust_scheduler::block_on;
use pin_project_lite::pin_project;
use queue::{Contest, RawMutex};
use std::{
    cell::UnsafeCell,
    fmt,
    future::Future,
    panic::Location,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// A value that one goroutine at a time has access to.
///
/// The guard may be held across an `.await`; for short sections without one, `std::sync::Mutex` does as well.
/// There is no poison: a panic while the mutex is held lets it go, and leaves the value as it was at that
/// moment.
///
/// # Fairness
///
/// As Go's: a goroutine that runs may overtake those who wait, which spares a switch each time; but once
/// somebody has waited for more than a millisecond and lost again, newcomers queue up until the queue has
/// caught up. One who was woken and is not polled (its future stands in a select whose body is running, say)
/// holds back the next for a millisecond, not for ever.
///
/// # Go
///
/// `sync.Mutex`, with the value inside and a guard instead of `Unlock`, so an unlock can be neither forgotten
/// nor misplaced. Like there, it is not reentrant.
///
/// # Examples
///
/// ```
/// use gorust_sync::{Mutex, WaitGroup};
/// use std::sync::Arc;
///
/// gorust_scheduler::block_on(async {
///     let (count, wg) = (Arc::new(Mutex::new(0)), WaitGroup::new());
///     for _ in 0..8 {
///         let count = Arc::clone(&count);
///         wg.go(async move { *count.lock().await += 1 });
///     }
///     wg.wait().await;
///     assert_eq!(*count.lock().await, 8);
/// });
/// ```
pub struct Mutex<T: ?Sized> {
    raw: RawMutex,
    value: UnsafeCell<T>,
}

// SAFETY: the mutex hands the value from thread to thread, one at a time; so `T: Send` is what it takes.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    const_unless_modelled! {
        /// Creates an unlocked mutex around `value`.
        ///
        /// # Examples
        ///
        /// ```
        /// static TOTAL: gorust_sync::Mutex<u64> = gorust_sync::Mutex::new(0);
        /// *TOTAL.lock_blocking() += 1;
        /// ```
        pub fn new(value: T) -> Self {
            Self { raw: RawMutex::new(), value: UnsafeCell::new(value) }
        }
    }

    /// Returns the value.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(gorust_sync::Mutex::new(1).into_inner(), 1);
    /// ```
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits for the mutex and locks it.
    ///
    /// # Cancel safety
    ///
    /// *Loses its place* in the queue. Dropped before the first poll: nothing has happened. A future that was
    /// woken to take the mutex and is dropped wakes the next.
    ///
    /// # Go
    ///
    /// `mu.Lock()`
    ///
    /// # Examples
    ///
    /// ```
    /// # gorust_scheduler::block_on(async {
    /// let mutex = gorust_sync::Mutex::new(1);
    /// *mutex.lock().await += 1;
    /// assert_eq!(*mutex.lock().await, 2);
    /// # });
    /// ```
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> Lock<'_, T> {
        Lock { mutex: self, is_done: false, contest: Contest::new(Location::caller()) }
    }

    /// Locks the mutex if it is free and not kept for one who has waited too long.
    ///
    /// # Go
    ///
    /// `mu.TryLock()`
    ///
    /// # Examples
    ///
    /// ```
    /// let mutex = gorust_sync::Mutex::new(1);
    /// let guard = mutex.try_lock().unwrap();
    /// assert!(mutex.try_lock().is_none());
    /// # drop(guard);
    /// ```
    #[inline]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.raw.try_lock().then(|| MutexGuard::new(self))
    }

    /// Locks the mutex, blocking the thread while it waits: for plain threads, and for code that is not
    /// async.
    ///
    /// # Examples
    ///
    /// ```
    /// let mutex = gorust_sync::Mutex::new(1);
    /// *mutex.lock_blocking() += 1;
    /// assert_eq!(mutex.into_inner(), 2);
    /// ```
    #[track_caller]
    pub fn lock_blocking(&self) -> MutexGuard<'_, T> {
        self.try_lock().unwrap_or_else(|| block_on(self.lock()))
    }

    /// Waits for a mutex in an [`Arc`] and locks it; the guard borrows nothing, so it can go into another
    /// goroutine.
    ///
    /// # Cancel safety
    ///
    /// As [`lock`](Self::lock).
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # gorust_scheduler::block_on(async {
    /// let mutex = Arc::new(gorust_sync::Mutex::new(1));
    /// let mut guard = Arc::clone(&mutex).lock_owned().await;
    /// gorust_scheduler::go(async move { *guard += 1 }).await.unwrap();
    /// assert_eq!(*mutex.lock().await, 2);
    /// # });
    /// ```
    #[track_caller]
    pub fn lock_owned(self: Arc<Self>) -> LockOwned<T> {
        LockOwned { mutex: Some(self), contest: Contest::new(Location::caller()) }
    }

    /// Borrows the value through the exclusive borrow of the mutex.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut mutex = gorust_sync::Mutex::new(1);
    /// *mutex.get_mut() = 2;
    /// assert_eq!(mutex.into_inner(), 2);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_lock() {
            Some(guard) => f.debug_struct("Mutex").field("value", &&*guard).finish(),
            None => f.debug_struct("Mutex").field("value", &format_args!("<locked>")).finish(),
        }
    }
}

pin_project! {
    /// The future of [`Mutex::lock`].
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct Lock<'a, T: ?Sized> {
        mutex: &'a Mutex<T>,
        is_done: bool,
        #[pin]
        contest: Contest,
    }

    impl<T: ?Sized> PinnedDrop for Lock<'_, T> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            this.contest.leave(&this.mutex.raw);
        }
    }
}

impl<'a, T: ?Sized> Future for Lock<'a, T> {
    type Output = MutexGuard<'a, T>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<MutexGuard<'a, T>> {
        let this = self.project();
        assert!(!*this.is_done, "a lock was polled after it had completed");
        ready!(this.contest.poll(&this.mutex.raw, cx));
        *this.is_done = true;
        Poll::Ready(MutexGuard::new(this.mutex))
    }
}

impl<T: ?Sized> fmt::Debug for Lock<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").field("is_waiting", &self.contest.is_waiting()).finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`Mutex::lock_owned`].
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct LockOwned<T: ?Sized> {
        // Goes into the guard.
        mutex: Option<Arc<Mutex<T>>>,
        #[pin]
        contest: Contest,
    }

    impl<T: ?Sized> PinnedDrop for LockOwned<T> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Some(mutex) = this.mutex {
                this.contest.leave(&mutex.raw);
            }
        }
    }
}

impl<T: ?Sized> Future for LockOwned<T> {
    type Output = OwnedMutexGuard<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<OwnedMutexGuard<T>> {
        let this = self.project();
        let mutex = this.mutex.as_ref().expect("a lock was polled after it had completed");
        ready!(this.contest.poll(&mutex.raw, cx));
        Poll::Ready(OwnedMutexGuard::new(this.mutex.take().expect("it was there a moment ago")))
    }
}

impl<T: ?Sized> fmt::Debug for LockOwned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockOwned").field("is_waiting", &self.contest.is_waiting()).finish_non_exhaustive()
    }
}

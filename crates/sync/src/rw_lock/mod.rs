//! Many readers or one writer, across an `.await`. The state is one word (`word.rs`); who waits is in queues that
//! exist once somebody has waited (`queue.rs`).

mod guard;
mod queue;
#[cfg(test)]
mod tests;
mod word;

pub use guard::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLockReadGuard, RwLockWriteGuard};

use gorust_primitives::const_unless_modelled;
use gorust_scheduler::block_on;
use pin_project_lite::pin_project;
use queue::{Contest, Kind, RawRwLock};
use std::{
    cell::UnsafeCell,
    fmt,
    future::Future,
    panic::Location,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// A value that many may read at a time, or one may change.
///
/// Worth its price where reading lasts long or waits; for short sections a [`Mutex`](crate::Mutex) is cheaper. There
/// is no poison: a panic while the lock is held lets it go.
///
/// # Fairness
///
/// By phases, as Go's: once a writer waits, readers that come queue up behind it; when it is done, all readers that
/// wait come in, before the next writer. So neither starves the other. One who was woken and is not polled (its future
/// stands in a select whose body is running, say) holds back the others for a millisecond, not for ever.
///
/// As in Go, a goroutine that has the lock for reading must not read-lock it again: a writer may wait in between.
///
/// # Go
///
/// `sync.RWMutex`, with the value inside and guards instead of `Unlock` and `RUnlock`.
///
/// # Examples
///
/// ```
/// use gorust_sync::RwLock;
///
/// gorust_scheduler::block_on(async {
///     let lock = RwLock::new(1);
///     {
///         let (one, other) = (lock.read().await, lock.read().await);
///         assert_eq!(*one + *other, 2);
///     }
///     *lock.write().await += 1;
///     assert_eq!(*lock.read().await, 2);
/// });
/// ```
pub struct RwLock<T: ?Sized> {
    raw: RawRwLock,
    value: UnsafeCell<T>,
}

// SAFETY: the lock hands the value from thread to thread (`T: Send`), and lets several look at once (`T: Sync`).
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

impl<T> RwLock<T> {
    const_unless_modelled! {
        /// Creates an unlocked lock around `value`.
        ///
        /// # Examples
        ///
        /// ```
        /// static LIMIT: gorust_sync::RwLock<u64> = gorust_sync::RwLock::new(10);
        /// assert_eq!(*LIMIT.read_blocking(), 10);
        /// ```
        pub fn new(value: T) -> Self {
            Self { raw: RawRwLock::new(), value: UnsafeCell::new(value) }
        }
    }

    /// Returns the value.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(gorust_sync::RwLock::new(1).into_inner(), 1);
    /// ```
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Waits until the value may be read.
    ///
    /// # Cancel safety
    ///
    /// *Loses its place* in the queue. Dropped before the first poll: nothing has happened. A future that was woken to
    /// take the lock and is dropped lets the next go ahead.
    ///
    /// # Go
    ///
    /// `mu.RLock()`
    ///
    /// # Examples
    ///
    /// ```
    /// # gorust_scheduler::block_on(async {
    /// let lock = gorust_sync::RwLock::new(1);
    /// assert_eq!(*lock.read().await, 1);
    /// # });
    /// ```
    #[track_caller]
    pub fn read(&self) -> Read<'_, T> {
        Read { lock: self, is_done: false, contest: Contest::new(Kind::Read, Location::caller()) }
    }

    /// Waits until the value may be changed.
    ///
    /// # Cancel safety
    ///
    /// As [`read`](Self::read). Readers that waited behind it come in.
    ///
    /// # Go
    ///
    /// `mu.Lock()`
    ///
    /// # Examples
    ///
    /// ```
    /// # gorust_scheduler::block_on(async {
    /// let lock = gorust_sync::RwLock::new(1);
    /// *lock.write().await += 1;
    /// assert_eq!(lock.into_inner(), 2);
    /// # });
    /// ```
    #[track_caller]
    pub fn write(&self) -> Write<'_, T> {
        Write { lock: self, is_done: false, contest: Contest::new(Kind::Write, Location::caller()) }
    }

    /// Takes the lock for reading, if no writer has it or waits for it.
    ///
    /// # Go
    ///
    /// `mu.TryRLock()`
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = gorust_sync::RwLock::new(1);
    /// let _reads = lock.try_read().unwrap();
    /// assert!(lock.try_read().is_some() && lock.try_write().is_none());
    /// ```
    #[inline]
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        self.raw.try_lock(Kind::Read).then(|| RwLockReadGuard::new(self))
    }

    /// Takes the lock for writing, if nobody has it or waits for it.
    ///
    /// # Go
    ///
    /// `mu.TryLock()`
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = gorust_sync::RwLock::new(1);
    /// let _writes = lock.try_write().unwrap();
    /// assert!(lock.try_read().is_none());
    /// ```
    #[inline]
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        self.raw.try_lock(Kind::Write).then(|| RwLockWriteGuard::new(self))
    }

    /// Takes the lock for reading, blocking the thread while it waits: for plain threads, and for code that is not
    /// async.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(*gorust_sync::RwLock::new(1).read_blocking(), 1);
    /// ```
    #[track_caller]
    pub fn read_blocking(&self) -> RwLockReadGuard<'_, T> {
        self.try_read().unwrap_or_else(|| block_on(self.read()))
    }

    /// Takes the lock for writing, blocking the thread while it waits.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = gorust_sync::RwLock::new(1);
    /// *lock.write_blocking() += 1;
    /// assert_eq!(lock.into_inner(), 2);
    /// ```
    #[track_caller]
    pub fn write_blocking(&self) -> RwLockWriteGuard<'_, T> {
        self.try_write().unwrap_or_else(|| block_on(self.write()))
    }

    /// Waits until the value of a lock in an [`Arc`] may be read; the guard borrows nothing, so it can go into another
    /// goroutine.
    ///
    /// # Cancel safety
    ///
    /// As [`read`](Self::read).
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # gorust_scheduler::block_on(async {
    /// let lock = Arc::new(gorust_sync::RwLock::new(1));
    /// let reads = Arc::clone(&lock).read_owned().await;
    /// gorust_scheduler::go(async move { assert_eq!(*reads, 1) }).await.unwrap();
    /// # });
    /// ```
    #[track_caller]
    pub fn read_owned(self: Arc<Self>) -> ReadOwned<T> {
        ReadOwned { lock: Some(self), contest: Contest::new(Kind::Read, Location::caller()) }
    }

    /// Waits until the value of a lock in an [`Arc`] may be changed; the guard borrows nothing.
    ///
    /// # Cancel safety
    ///
    /// As [`write`](Self::write).
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # gorust_scheduler::block_on(async {
    /// let lock = Arc::new(gorust_sync::RwLock::new(1));
    /// let mut writes = Arc::clone(&lock).write_owned().await;
    /// gorust_scheduler::go(async move { *writes += 1 }).await.unwrap();
    /// assert_eq!(*lock.read().await, 2);
    /// # });
    /// ```
    #[track_caller]
    pub fn write_owned(self: Arc<Self>) -> WriteOwned<T> {
        WriteOwned { lock: Some(self), contest: Contest::new(Kind::Write, Location::caller()) }
    }

    /// Borrows the value through the exclusive borrow of the lock.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut lock = gorust_sync::RwLock::new(1);
    /// *lock.get_mut() = 2;
    /// assert_eq!(lock.into_inner(), 2);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_read() {
            Some(guard) => f.debug_struct("RwLock").field("value", &&*guard).finish(),
            None => f.debug_struct("RwLock").field("value", &format_args!("<locked>")).finish(),
        }
    }
}

/// A future that borrows the lock.
macro_rules! contestant {
    ($(#[$doc:meta])* $Future:ident -> $Guard:ident) => {
        pin_project! {
            $(#[$doc])*
            #[must_use = "futures do nothing unless they are awaited"]
            pub struct $Future<'a, T: ?Sized> {
                lock: &'a RwLock<T>,
                is_done: bool,
                #[pin]
                contest: Contest,
            }

            impl<T: ?Sized> PinnedDrop for $Future<'_, T> {
                fn drop(this: Pin<&mut Self>) {
                    let this = this.project();
                    this.contest.leave(&this.lock.raw);
                }
            }
        }

        impl<'a, T: ?Sized> Future for $Future<'a, T> {
            type Output = $Guard<'a, T>;

            fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
                let this = self.project();
                assert!(!*this.is_done, "a lock was polled after it had completed");
                ready!(this.contest.poll(&this.lock.raw, cx));
                *this.is_done = true;
                Poll::Ready($Guard::new(this.lock))
            }
        }

        impl<T: ?Sized> fmt::Debug for $Future<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($Future))
                    .field("is_waiting", &self.contest.is_waiting())
                    .finish_non_exhaustive()
            }
        }
    };
}

/// A future that owns a handle to the lock, which goes into the guard.
macro_rules! owning_contestant {
    ($(#[$doc:meta])* $Future:ident -> $Guard:ident) => {
        pin_project! {
            $(#[$doc])*
            #[must_use = "futures do nothing unless they are awaited"]
            pub struct $Future<T: ?Sized> {
                lock: Option<Arc<RwLock<T>>>,
                #[pin]
                contest: Contest,
            }

            impl<T: ?Sized> PinnedDrop for $Future<T> {
                fn drop(this: Pin<&mut Self>) {
                    let this = this.project();
                    if let Some(lock) = this.lock {
                        this.contest.leave(&lock.raw);
                    }
                }
            }
        }

        impl<T: ?Sized> Future for $Future<T> {
            type Output = $Guard<T>;

            fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
                let this = self.project();
                let lock = this.lock.as_ref().expect("a lock was polled after it had completed");
                ready!(this.contest.poll(&lock.raw, cx));
                Poll::Ready($Guard::new(this.lock.take().expect("it was there a moment ago")))
            }
        }

        impl<T: ?Sized> fmt::Debug for $Future<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($Future))
                    .field("is_waiting", &self.contest.is_waiting())
                    .finish_non_exhaustive()
            }
        }
    };
}

contestant!(
    /// The future of [`RwLock::read`].
    Read -> RwLockReadGuard
);
contestant!(
    /// The future of [`RwLock::write`].
    Write -> RwLockWriteGuard
);
owning_contestant!(
    /// The future of [`RwLock::read_owned`].
    ReadOwned -> OwnedRwLockReadGuard
);
owning_contestant!(
    /// The future of [`RwLock::write_owned`].
    WriteOwned -> OwnedRwLockWriteGuard
);

//! What holds a read-write lock: dropping it lets it go.

use super::{RwLock, queue::Kind};
use std::{
    fmt,
    marker::PhantomData,
    mem::ManuallyDrop,
    ops::{Deref, DerefMut},
    ptr,
    sync::Arc,
};

/// Holds an [`RwLock`] for reading; dropping it lets the lock go.
///
/// # Examples
///
/// ```
/// let lock = gorust_sync::RwLock::new(1);
/// let (one, other) = (lock.read_blocking(), lock.read_blocking());
/// assert_eq!(*one + *other, 2);
/// ```
#[must_use = "dropped at once, the lock is let go at once"]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
}

/// Holds an [`RwLock`] for writing; dropping it lets the lock go.
///
/// # Examples
///
/// ```
/// let lock = gorust_sync::RwLock::new(vec![1]);
/// lock.write_blocking().push(2);
/// assert_eq!(*lock.read_blocking(), [1, 2]);
/// ```
#[must_use = "dropped at once, the lock is let go at once"]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    /// The guard is as good as a `&mut T`: it is `Sync` only if `T` is.
    value: PhantomData<&'a mut T>,
}

/// Holds an [`RwLock`] that lies in an [`Arc`] for reading, without borrowing it. From
/// [`RwLock::read_owned`].
#[must_use = "dropped at once, the lock is let go at once"]
pub struct OwnedRwLockReadGuard<T: ?Sized> {
    lock: Arc<RwLock<T>>,
}

/// Holds an [`RwLock`] that lies in an [`Arc`] for writing, without borrowing it. From
/// [`RwLock::write_owned`].
#[must_use = "dropped at once, the lock is let go at once"]
pub struct OwnedRwLockWriteGuard<T: ?Sized> {
    lock: Arc<RwLock<T>>,
    /// As in `RwLockWriteGuard`.
    value: PhantomData<T>,
}

impl<'a, T: ?Sized> RwLockReadGuard<'a, T> {
    /// The proof that `lock` was just taken for reading.
    #[inline]
    pub(super) fn new(lock: &'a RwLock<T>) -> Self {
        Self { lock }
    }
}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// The proof that `lock` was just taken for writing.
    #[inline]
    pub(super) fn new(lock: &'a RwLock<T>) -> Self {
        Self { lock, value: PhantomData }
    }

    /// Goes on reading what was just written: no writer comes in between, and those who wait to read come in.
    ///
    /// # Go
    ///
    /// Go has no such step.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_sync::rw_lock::{RwLock, RwLockWriteGuard};
    /// let lock = RwLock::new(1);
    /// let mut writes = lock.write_blocking();
    /// *writes = 2;
    /// let reads = RwLockWriteGuard::downgrade(writes);
    /// assert_eq!((*reads, lock.try_read().is_some()), (2, true));
    /// ```
    pub fn downgrade(guard: Self) -> RwLockReadGuard<'a, T> {
        let lock = ManuallyDrop::new(guard).lock;
        lock.raw.downgrade();
        RwLockReadGuard { lock }
    }
}

impl<T: ?Sized> OwnedRwLockReadGuard<T> {
    /// The proof that `lock` was just taken for reading.
    pub(super) fn new(lock: Arc<RwLock<T>>) -> Self {
        Self { lock }
    }
}

impl<T: ?Sized> OwnedRwLockWriteGuard<T> {
    /// The proof that `lock` was just taken for writing.
    pub(super) fn new(lock: Arc<RwLock<T>>) -> Self {
        Self { lock, value: PhantomData }
    }

    /// Goes on reading what was just written, as [`RwLockWriteGuard::downgrade`] does.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_sync::rw_lock::{OwnedRwLockWriteGuard, RwLock};
    /// # use std::sync::Arc;
    /// # gorust_scheduler::block_on(async {
    /// let lock = Arc::new(RwLock::new(1));
    /// let reads = OwnedRwLockWriteGuard::downgrade(Arc::clone(&lock).write_owned().await);
    /// assert_eq!((*reads, lock.try_read().is_some()), (1, true));
    /// # });
    /// ```
    pub fn downgrade(guard: Self) -> OwnedRwLockReadGuard<T> {
        let guard = ManuallyDrop::new(guard);
        // SAFETY: the guard is not dropped, so its handle is taken out once.
        let lock = unsafe { ptr::read(&raw const guard.lock) };
        lock.raw.downgrade();
        OwnedRwLockReadGuard { lock }
    }
}

/// What all guards do.
macro_rules! guard {
    ($Guard:ident<$($life:lifetime,)? T>, $kind:expr) => {
        impl<T: ?Sized> Deref for $Guard<$($life,)? T> {
            type Target = T;

            #[inline]
            fn deref(&self) -> &T {
                // SAFETY: the guard holds the lock, so whoever writes does it through this guard.
                unsafe { &*self.lock.value.get() }
            }
        }

        impl<T: ?Sized> Drop for $Guard<$($life,)? T> {
            #[inline]
            fn drop(&mut self) {
                self.lock.raw.unlock($kind);
            }
        }

        impl<T: ?Sized + fmt::Debug> fmt::Debug for $Guard<$($life,)? T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                (**self).fmt(f)
            }
        }

        impl<T: ?Sized + fmt::Display> fmt::Display for $Guard<$($life,)? T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                (**self).fmt(f)
            }
        }
    };
}

guard!(RwLockReadGuard<'_, T>, Kind::Read);
guard!(RwLockWriteGuard<'_, T>, Kind::Write);
guard!(OwnedRwLockReadGuard<T>, Kind::Read);
guard!(OwnedRwLockWriteGuard<T>, Kind::Write);

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the lock for writing and is borrowed mutably, so nobody else has access.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for OwnedRwLockWriteGuard<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the lock for writing and is borrowed mutably, so nobody else has access.
        unsafe { &mut *self.lock.value.get() }
    }
}

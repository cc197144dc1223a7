//! What holds a mutex: dropping it lets it go.

use super::Mutex;
use std::{
    fmt,
    marker::PhantomData,
    ops::{Deref, DerefMut},
    sync::Arc,
};

/// Holds a [`Mutex`], and gives access to its value; dropping it lets the mutex go.
///
/// It may be kept across an `.await` and go to another thread with its goroutine.
///
/// # Examples
///
/// ```
/// let mutex = gorust_sync::Mutex::new(vec![1]);
/// mutex.lock_blocking().push(2);
/// assert_eq!(*mutex.lock_blocking(), [1, 2]);
/// ```
#[must_use = "dropped at once, the mutex is let go at once"]
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    /// The guard is as good as a `&mut T`: it is `Sync` only if `T` is.
    value: PhantomData<&'a mut T>,
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// The proof that `mutex` was just locked.
    #[inline]
    pub(super) fn new(mutex: &'a Mutex<T>) -> Self {
        Self { mutex, value: PhantomData }
    }

    /// The mutex it holds.
    pub(crate) fn mutex(&self) -> &'a Mutex<T> {
        self.mutex
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard holds the mutex, so whoever else has access has it through this guard.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the mutex and is borrowed mutably, so nobody else has access.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.mutex.raw.unlock();
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Holds a [`Mutex`] that lies in an [`Arc`], as [`MutexGuard`] does, without borrowing it. From
/// [`Mutex::lock_owned`].
#[must_use = "dropped at once, the mutex is let go at once"]
pub struct OwnedMutexGuard<T: ?Sized> {
    mutex: Arc<Mutex<T>>,
    /// As in `MutexGuard`.
    value: PhantomData<T>,
}

impl<T: ?Sized> OwnedMutexGuard<T> {
    /// The proof that `mutex` was just locked.
    #[inline]
    pub(super) fn new(mutex: Arc<Mutex<T>>) -> Self {
        Self { mutex, value: PhantomData }
    }
}

impl<T: ?Sized> Deref for OwnedMutexGuard<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard holds the mutex, so whoever else has access has it through this guard.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for OwnedMutexGuard<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the mutex and is borrowed mutably, so nobody else has access.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T: ?Sized> Drop for OwnedMutexGuard<T> {
    #[inline]
    fn drop(&mut self) {
        self.mutex.raw.unlock();
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for OwnedMutexGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for OwnedMutexGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

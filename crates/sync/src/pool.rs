//! Things that are dear to make and may be used again.

use gorust_primitives::shim::Lock;
use std::{
    fmt,
    mem::ManuallyDrop,
    ops::{Deref, DerefMut},
    ptr,
};

/// Keeps things that are not in use, up to a number, and makes new ones when there is none.
///
/// Getting one never waits. To limit how many there are at a time, take a permit of a
/// [`Semaphore`](crate::Semaphore) first. Things come back as they were left: a buffer wants to be cleared.
///
/// # Go
///
/// `sync.Pool`. There the garbage collector empties the pool; here it keeps what it has, and no more than its number.
/// There is no `Put` to forget: the guard gives back.
///
/// # Examples
///
/// ```
/// use gorust_sync::Pool;
///
/// let buffers = Pool::new(16, || Vec::<u8>::with_capacity(4096));
/// let mut buffer = buffers.get();
/// buffer.clear();
/// buffer.extend_from_slice(b"hello");
/// drop(buffer);
/// assert_eq!(buffers.idle(), 1);
/// ```
pub struct Pool<T> {
    /// What was given back last is used first: it may still be in a cache.
    idle: Lock<Vec<T>>,
    max: usize,
    make: Box<dyn Fn() -> T + Send + Sync>,
}

impl<T> Pool<T> {
    /// Creates an empty pool that keeps at most `max` things. `make` makes them.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = gorust_sync::Pool::new(4, String::new);
    /// assert_eq!(pool.idle(), 0);
    /// ```
    pub fn new(max: usize, make: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self { idle: Lock::new(Vec::new()), max, make: Box::new(make) }
    }

    /// Takes one that is not in use, or makes one.
    ///
    /// # Go
    ///
    /// `pool.Get()`; dropping the guard is `pool.Put(x)`.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = gorust_sync::Pool::new(4, || 7);
    /// assert_eq!(*pool.get(), 7);
    /// ```
    pub fn get(&self) -> PoolGuard<'_, T> {
        let idle = self.idle.lock().pop();
        PoolGuard { pool: self, value: ManuallyDrop::new(idle.unwrap_or_else(|| (self.make)())) }
    }

    /// Returns how many are not in use.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = gorust_sync::Pool::new(4, || 7);
    /// drop((pool.get(), pool.get()));
    /// assert_eq!(pool.idle(), 2);
    /// ```
    pub fn idle(&self) -> usize {
        self.idle.lock().len()
    }

    /// Drops those that are not in use.
    ///
    /// # Examples
    ///
    /// ```
    /// let pool = gorust_sync::Pool::new(4, || 7);
    /// drop(pool.get());
    /// pool.clear();
    /// assert_eq!(pool.idle(), 0);
    /// ```
    pub fn clear(&self) {
        let idle = std::mem::take(&mut *self.idle.lock());
        drop(idle);
    }

    /// Keeps `value` if there is room, or gives it back.
    fn put(&self, value: T) -> Option<T> {
        let mut idle = self.idle.lock();
        if idle.len() < self.max {
            idle.push(value);
            return None;
        }
        Some(value)
    }
}

impl<T> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("idle", &self.idle()).field("max", &self.max).finish_non_exhaustive()
    }
}

/// Something from a [`Pool`], which goes back there when this is dropped. If it is dropped by a panic it does not, since it
/// may be half-changed.
///
/// # Examples
///
/// ```
/// use gorust_sync::{Pool, pool::PoolGuard};
///
/// let pool = Pool::new(4, || 7);
/// let mut guard = pool.get();
/// *guard += 1;
/// assert_eq!(PoolGuard::into_inner(guard), 8); // not given back
/// assert_eq!(pool.idle(), 0);
/// ```
#[must_use = "dropped at once, it goes back at once"]
pub struct PoolGuard<'a, T> {
    pool: &'a Pool<T>,
    /// There until the guard is dropped.
    value: ManuallyDrop<T>,
}

impl<T> PoolGuard<'_, T> {
    /// Keeps the thing out of the pool for good.
    ///
    /// # Examples
    ///
    /// See [`PoolGuard`].
    pub fn into_inner(guard: Self) -> T {
        let guard = ManuallyDrop::new(guard);
        // SAFETY: the guard is not dropped, so its value is taken out once.
        unsafe { ptr::read(&raw const *guard.value) }
    }
}

impl<T> Deref for PoolGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for PoolGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T> Drop for PoolGuard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: the value is taken out once, here, and not used after.
        let value = unsafe { ManuallyDrop::take(&mut self.value) };
        if !std::thread::panicking() {
            drop(self.pool.put(value));
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for PoolGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
mod tests {
    use super::*;
    use crate::{WaitGroup, testing::on_workers};
    use std::sync::{
        Arc,
        // Std's: plain counters.
        atomic::{AtomicUsize, Ordering::SeqCst},
    };

    #[test]
    fn what_was_given_back_last_is_used_first() {
        let made = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&made);
        let pool = Pool::new(2, move || counts.fetch_add(1, SeqCst));
        let (zero, one, two) = (pool.get(), pool.get(), pool.get());
        assert_eq!((*zero, *one, *two, made.load(SeqCst)), (0, 1, 2, 3));
        drop(one);
        drop(zero);
        drop(two);
        assert_eq!(format!("{pool:?}"), "Pool { idle: 2, max: 2, .. }");
        assert_eq!((*pool.get(), made.load(SeqCst)), (0, 3), "the third found no room");
        pool.clear();
        assert_eq!((*pool.get(), made.load(SeqCst)), (3, 4));
    }

    #[test]
    fn what_a_panic_left_behind_is_not_used_again() {
        let pool = Pool::new(2, || 7);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            *pool.get() = 8;
            let mut guard = pool.get();
            *guard = 9;
            panic!("halfway");
        }));
        assert!(caught.is_err());
        assert_eq!((pool.idle(), *pool.get()), (0, 7));
    }

    #[test]
    fn a_pool_may_hold_what_uses_the_pool_when_it_is_dropped() {
        struct Uses(std::sync::Weak<Pool<Uses>>);
        impl Drop for Uses {
            fn drop(&mut self) {
                if let Some(pool) = self.0.upgrade() {
                    let _ = pool.idle();
                }
            }
        }
        let pool = Arc::new_cyclic(|pool: &std::sync::Weak<Pool<Uses>>| {
            let pool = pool.clone();
            Pool::new(1, move || Uses(pool.clone()))
        });
        drop((pool.get(), pool.get()));
        pool.clear();
        assert_eq!(pool.idle(), 0);
    }

    #[test]
    fn nothing_is_used_by_two_at_a_time() {
        on_workers(|| async {
            let pool = Arc::new(Pool::new(4, || AtomicUsize::new(0)));
            let wg = WaitGroup::new();
            for _ in 0..16 {
                let pool = Arc::clone(&pool);
                wg.go(async move {
                    for _ in 0..200 {
                        let thing = pool.get();
                        assert_eq!(thing.fetch_add(1, SeqCst), 0);
                        gorust_scheduler::yield_now().await;
                        assert_eq!(thing.fetch_sub(1, SeqCst), 1);
                    }
                });
            }
            wg.wait().await;
            assert!(pool.idle() <= 4);
        });
    }
}

//! The one place where std, loom or shuttle is chosen. Atomics, locks and threads of every protocol that is
//! model-tested come from here; nothing else does.
//!
//! `--cfg gorust_loom` selects loom (exhaustive, two or three threads), `--cfg gorust_shuttle` selects shuttle
//! (random schedules, many threads). Neither is ever tied to `cfg(test)`: that switch does not reach other crates.
//!
//! A model is a closure given to [`model`]. In an ordinary build it runs a few hundred times on real threads, so
//! models compile and run everywhere and cannot rot. [`mutant`] lets a model ask for a deliberately broken copy
//! of the code under test; in an ordinary build it is the constant `false` and leaves no trace.

#[cfg(gorust_loom)]
pub use loom::{
    sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    },
    thread,
};

#[cfg(gorust_shuttle)]
pub use shuttle::{
    sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    },
    thread,
};

#[cfg(not(any(gorust_loom, gorust_shuttle)))]
pub use std::{
    sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    },
    thread,
};

/// Always std's: a model is about what is inside. (Loom's own takes part in the schedule even while a deadlock it
/// has found is unwound, and then aborts the process.)
pub use std::sync::Arc;

#[cfg(gorust_loom)]
use loom::sync as imp;
#[cfg(gorust_shuttle)]
use shuttle::sync as imp;
#[cfg(not(any(gorust_loom, gorust_shuttle, gorust_sanitize)))]
use std::sync as imp;
#[cfg(gorust_sanitize)]
use visible as imp;

/// Locks that ThreadSanitizer can see: std's own is compiled without instrumentation, so that everything it guards
/// would be reported. They spin; `--cfg gorust_sanitize` is for that one purpose.
#[cfg(gorust_sanitize)]
#[allow(
    missing_debug_implementations,
    unnameable_types,
    missing_docs,
    reason = "stand-ins for one kind of test run"
)]
mod visible {
    use std::{
        cell::UnsafeCell,
        convert::Infallible,
        ops::{Deref, DerefMut},
        sync::{
            PoisonError, TryLockError,
            atomic::{AtomicBool, Ordering},
        },
        time::Duration,
    };

    #[derive(Default)]
    pub(super) struct Mutex<T> {
        locked: AtomicBool,
        value: UnsafeCell<T>,
    }

    // SAFETY: the lock hands the value to one thread at a time.
    unsafe impl<T: Send> Sync for Mutex<T> {}

    pub struct MutexGuard<'a, T>(&'a Mutex<T>);

    impl<T> Mutex<T> {
        pub(super) const fn new(value: T) -> Self {
            Self { locked: AtomicBool::new(false), value: UnsafeCell::new(value) }
        }

        pub(super) fn lock(&self) -> Result<MutexGuard<'_, T>, PoisonError<MutexGuard<'_, T>>> {
            loop {
                if let Ok(guard) = self.try_lock() {
                    return Ok(guard);
                }
                std::thread::yield_now();
            }
        }

        pub(super) fn try_lock(&self) -> Result<MutexGuard<'_, T>, TryLockError<MutexGuard<'_, T>>> {
            if self.locked.swap(true, Ordering::Acquire) {
                Err(TryLockError::WouldBlock)
            } else {
                Ok(MutexGuard(self))
            }
        }

        pub(super) fn get_mut(&mut self) -> Result<&mut T, PoisonError<&mut T>> {
            Ok(self.value.get_mut())
        }
    }

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;
        fn deref(&self) -> &T {
            // SAFETY: the guard is the only one.
            unsafe { &*self.0.value.get() }
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            // SAFETY: the guard is the only one, and borrowed mutably.
            unsafe { &mut *self.0.value.get() }
        }
    }

    impl<T> Drop for MutexGuard<'_, T> {
        fn drop(&mut self) {
            self.0.locked.store(false, Ordering::Release);
        }
    }

    /// Every wait ends at once: spurious wake-ups are allowed.
    #[derive(Debug, Default)]
    pub(super) struct Condvar;

    impl Condvar {
        pub(super) const fn new() -> Self {
            Self
        }

        pub(super) fn wait<'a, T>(
            &self,
            guard: MutexGuard<'a, T>,
        ) -> Result<MutexGuard<'a, T>, PoisonError<MutexGuard<'a, T>>> {
            let lock = guard.0;
            drop(guard);
            std::thread::yield_now();
            lock.lock()
        }

        pub(super) fn wait_timeout<'a, T>(
            &self,
            guard: MutexGuard<'a, T>,
            _: Duration,
        ) -> Result<
            (MutexGuard<'a, T>, Option<Infallible>),
            PoisonError<(MutexGuard<'a, T>, Option<Infallible>)>,
        > {
            match self.wait(guard) {
                Ok(guard) => Ok((guard, None)),
                Err(error) => Err(PoisonError::new((error.into_inner(), None))),
            }
        }

        pub(super) fn notify_one(&self) {}

        pub(super) fn notify_all(&self) {}
    }
}

/// Declares constructors that are `const` wherever the atomics inside can be, which under a model checker they
/// cannot.
#[macro_export]
macro_rules! const_unless_modelled {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) -> $ret:ty $body:block) => {
        #[cfg(not(any(gorust_loom, gorust_shuttle)))]
        $(#[$meta])* $vis const fn $name($($arg: $ty),*) -> $ret $body
        #[cfg(any(gorust_loom, gorust_shuttle))]
        $(#[$meta])* $vis fn $name($($arg: $ty),*) -> $ret $body
    };
}

/// A mutual exclusion lock that knows no poison: a panic while it is held leaves the data as it is.
///
/// Every lock of gorust is held for a few instructions and never across user code, so a panic inside would be our
/// own broken invariant and is reported as that; refusing the lock ever after would only hide it.
#[derive(Default)]
pub struct Lock<T>(imp::Mutex<T>);

/// Holds a [`Lock`]; releases it when dropped.
pub type LockGuard<'a, T> = imp::MutexGuard<'a, T>;

impl<T> Lock<T> {
    const_unless_modelled! {
        /// Creates an unlocked lock around `value`.
        pub fn new(value: T) -> Self {
            Self(imp::Mutex::new(value))
        }
    }

    /// Waits for the lock, blocking the thread.
    #[inline]
    pub fn lock(&self) -> LockGuard<'_, T> {
        match self.0.lock() {
            Ok(guard) => guard,
            Err(poisoned) => poisoned.into_inner(),
        }
    }

    /// Takes the lock if nobody holds it at this moment.
    #[inline]
    pub fn try_lock(&self) -> Option<LockGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            #[cfg(not(gorust_loom))]
            Err(std::sync::TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(_) => None,
        }
    }

    /// Borrows the value through the exclusive borrow of the lock.
    pub fn get_mut(&mut self) -> &mut T {
        match self.0.get_mut() {
            Ok(value) => value,
            Err(poisoned) => poisoned.into_inner(),
        }
    }
}

impl<T> std::fmt::Debug for Lock<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lock")
    }
}

#[cfg(not(gorust_sanitize))]
use std::sync::Mutex as StaticMutex;
#[cfg(gorust_sanitize)]
use visible::Mutex as StaticMutex;

/// A [`Lock`] for a `static`: no model takes part in it, since a model checker's locks live for one execution.
#[derive(Default)]
pub struct StaticLock<T>(StaticMutex<T>);

impl<T> StaticLock<T> {
    /// Creates an unlocked lock around `value`.
    pub const fn new(value: T) -> Self {
        Self(StaticMutex::new(value))
    }

    /// Waits for the lock, blocking the thread.
    pub fn lock(&self) -> impl std::ops::DerefMut<Target = T> + '_ {
        match self.0.lock() {
            Ok(guard) => guard,
            Err(poisoned) => poisoned.into_inner(),
        }
    }
}

impl<T> std::fmt::Debug for StaticLock<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StaticLock")
    }
}

/// Lets a thread that holds a [`Lock`] give it up and sleep until another thread notifies it.
#[derive(Debug, Default)]
pub struct Condvar(imp::Condvar);

impl Condvar {
    const_unless_modelled! {
        /// Creates a condition variable nobody waits for.
        pub fn new() -> Self {
            Self(imp::Condvar::new())
        }
    }

    /// Releases the lock, sleeps, and takes the lock again. May return without having been notified.
    pub fn wait<'a, T>(&self, guard: LockGuard<'a, T>) -> LockGuard<'a, T> {
        match self.0.wait(guard) {
            Ok(guard) => guard,
            Err(poisoned) => poisoned.into_inner(),
        }
    }

    /// As [`wait`](Self::wait), for at most `timeout`.
    pub fn wait_timeout<'a, T>(
        &self,
        guard: LockGuard<'a, T>,
        timeout: std::time::Duration,
    ) -> LockGuard<'a, T> {
        match self.0.wait_timeout(guard, timeout) {
            Ok((guard, _)) => guard,
            Err(poisoned) => poisoned.into_inner().0,
        }
    }

    /// Wakes one thread that waits.
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Wakes every thread that waits.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// A cell whose accesses loom checks for data races: what an atomic or a lock is said to guard is kept in one.
#[cfg(gorust_loom)]
pub use loom::cell::UnsafeCell;

/// A cell whose accesses loom checks for data races: what an atomic or a lock is said to guard is kept in one.
#[cfg(not(gorust_loom))]
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(gorust_loom))]
impl<T> UnsafeCell<T> {
    /// Creates a cell that holds `value`.
    pub const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    /// Calls `f` with a pointer that may be read through until `f` returns.
    #[inline(always)]
    pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    /// Calls `f` with a pointer that may be read and written through until `f` returns.
    #[inline(always)]
    pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// Whether models are explored by a checker in this build, not merely run on real threads.
pub const MODELLED: bool = cfg!(any(gorust_loom, gorust_shuttle));

/// Runs `body` as a model and returns how many executions were explored.
///
/// Under loom: every interleaving within the preemption bound (`LOOM_MAX_PREEMPTIONS`, 2 unless set). Under
/// shuttle: 2,000 random schedules. In an ordinary build: 200 runs on real threads.
pub fn model(body: impl Fn() + Sync + Send + 'static) -> usize {
    use std::sync::atomic::{AtomicUsize as Count, Ordering::Relaxed};
    let count = std::sync::Arc::new(Count::new(0));
    let counted = {
        let count = std::sync::Arc::clone(&count);
        move || {
            // Ordering: Relaxed, a count that is read after every execution has ended.
            count.fetch_add(1, Relaxed);
            body();
        }
    };
    #[cfg(gorust_loom)]
    {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = builder.preemption_bound.or(Some(2));
        builder.check(counted);
    }
    #[cfg(gorust_shuttle)]
    shuttle::check_random(counted, 2_000);
    #[cfg(not(any(gorust_loom, gorust_shuttle)))]
    for _ in 0..200 {
        counted();
    }
    // Ordering: Relaxed, as above.
    count.load(Relaxed)
}

#[cfg(any(gorust_loom, gorust_shuttle))]
static MUTANT: std::sync::Mutex<Option<&'static str>> = std::sync::Mutex::new(None);

/// Whether the running model asked for the broken copy called `name`. Always `false` in an ordinary build.
#[inline(always)]
pub fn mutant(name: &'static str) -> bool {
    #[cfg(any(gorust_loom, gorust_shuttle))]
    return *MUTANT.lock().unwrap_or_else(std::sync::PoisonError::into_inner) == Some(name);
    #[cfg(not(any(gorust_loom, gorust_shuttle)))]
    {
        let _ = name;
        false
    }
}

/// Runs `body` as a model with the code under test broken as `name` says, and returns whether the model failed,
/// as it must. In an ordinary build nothing can be broken, nothing is run, and the answer is `true`.
///
/// A process holds one mutant at a time: model tests run with `--test-threads=1`.
pub fn mutant_is_caught(name: &'static str, body: impl Fn() + Sync + Send + 'static) -> bool {
    #[cfg(any(gorust_loom, gorust_shuttle))]
    {
        let set = |value| *MUTANT.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = value;
        set(Some(name));
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| model(body)));
        set(None);
        outcome.is_err()
    }
    #[cfg(not(any(gorust_loom, gorust_shuttle)))]
    {
        let _ = (name, body);
        true
    }
}

/// Says to the processor, or to the model checker, that this thread waits for another one.
#[inline]
pub fn spin_loop() {
    #[cfg(gorust_loom)]
    loom::thread::yield_now();
    #[cfg(gorust_shuttle)]
    shuttle::hint::spin_loop();
    #[cfg(not(any(gorust_loom, gorust_shuttle)))]
    std::hint::spin_loop();
}

//! Variables of a goroutine: [`task_local!`](crate::task_local) and what it declares, [`LocalKey`].

use std::{
    cell::RefCell,
    error::Error,
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll},
    thread,
};

/// Declares variables that have a value only inside [`LocalKey::scope`], each future its own.
///
/// A goroutine that is spawned inside a scope does not inherit the value: pass it in, or open a scope in its future.
///
/// # Go
///
/// Go has none, and passes values in a context; so can you, with less magic.
///
/// # Examples
///
/// ```
/// use gorust_scheduler::{block_on, go, task_local};
///
/// task_local! {
///     /// Whom we work for.
///     static USER: String;
/// }
///
/// block_on(USER.scope("ada".to_owned(), async {
///     USER.with(|user| assert_eq!(user, "ada"));
///     let spawned = go(async { USER.try_with(|_| ()).is_err() });
///     assert!(spawned.await.unwrap(), "not inherited");
/// }));
/// ```
#[macro_export]
macro_rules! task_local {
    () => {};
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty; $($rest:tt)*) => {
        $crate::task_local!($(#[$attribute])* $visibility static $name: $type);
        $crate::task_local!($($rest)*);
    };
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty) => {
        $(#[$attribute])*
        $visibility static $name: $crate::task::LocalKey<$type> = {
            ::std::thread_local! {
                static VALUE: ::std::cell::RefCell<::core::option::Option<$type>> =
                    const { ::std::cell::RefCell::new(::core::option::Option::None) };
            }
            $crate::task::LocalKey::new(&VALUE)
        };
    };
}

/// A variable declared by [`task_local!`](crate::task_local).
///
/// # Examples
///
/// ```
/// gorust_scheduler::task_local!(static DEPTH: u32);
///
/// assert!(DEPTH.try_with(|_| ()).is_err());
/// DEPTH.sync_scope(1, || assert_eq!(DEPTH.get(), 1));
/// ```
pub struct LocalKey<T: 'static> {
    /// The value of the innermost scope that is running on a thread.
    value: &'static thread::LocalKey<RefCell<Option<T>>>,
}

impl<T: 'static> LocalKey<T> {
    /// What [`task_local!`](crate::task_local) expands to.
    #[doc(hidden)]
    pub const fn new(value: &'static thread::LocalKey<RefCell<Option<T>>>) -> Self {
        Self { value }
    }

    /// Runs `future` with `value`: everything inside it sees this value, at every poll and when it is dropped, and
    /// nothing outside does. Scopes nest.
    ///
    /// # Cancel safety
    ///
    /// That of `future`.
    ///
    /// # Examples
    ///
    /// ```
    /// gorust_scheduler::task_local!(static DEPTH: u32);
    ///
    /// gorust_scheduler::block_on(DEPTH.scope(1, async {
    ///     DEPTH.scope(2, async { assert_eq!(DEPTH.get(), 2) }).await;
    ///     assert_eq!(DEPTH.get(), 1);
    /// }));
    /// ```
    pub fn scope<F: Future>(&'static self, value: T, future: F) -> TaskLocalFuture<T, F> {
        TaskLocalFuture { key: self, slot: Some(value), future: Some(future) }
    }

    /// Calls `f` with `value`.
    ///
    /// # Panics
    ///
    /// If it is called inside [`with`](Self::with) of the same variable.
    #[track_caller]
    pub fn sync_scope<R>(&'static self, value: T, f: impl FnOnce() -> R) -> R {
        let mut slot = Some(value);
        let _swapped = self.swap(&mut slot);
        f()
    }

    /// Calls `f` with the value of the innermost scope.
    ///
    /// # Panics
    ///
    /// Outside a scope.
    #[track_caller]
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        match self.try_with(f) {
            Ok(result) => result,
            Err(error) => panic!("{error}"),
        }
    }

    /// Calls `f` with the value of the innermost scope.
    ///
    /// # Errors
    ///
    /// [`AccessError`] outside a scope, and where the thread is about to end.
    ///
    /// # Examples
    ///
    /// ```
    /// gorust_scheduler::task_local!(static DEPTH: u32);
    ///
    /// let error = DEPTH.try_with(|depth| *depth).unwrap_err();
    /// assert_eq!(error.to_string(), "a task-local variable has no value outside its scope");
    /// ```
    pub fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        let result = self.value.try_with(|value| value.borrow().as_ref().map(f));
        result.ok().flatten().ok_or(AccessError(()))
    }

    /// Returns a copy of the value of the innermost scope.
    ///
    /// # Panics
    ///
    /// Outside a scope.
    #[track_caller]
    pub fn get(&'static self) -> T
    where
        T: Copy,
    {
        self.with(|value| *value)
    }

    /// Exchanges the thread's value with `slot`, and back when the guard is dropped.
    #[track_caller]
    fn swap<'a>(&'static self, slot: &'a mut Option<T>) -> Swapped<'a, T> {
        self.exchange(slot);
        Swapped { key: self, slot }
    }

    #[track_caller]
    fn exchange(&'static self, slot: &mut Option<T>) {
        self.value.with(|value| match value.try_borrow_mut() {
            Ok(mut value) => mem::swap(&mut *value, slot),
            Err(_) => panic!("a scope of a task-local variable begins or ends inside its `with`"),
        });
    }
}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalKey")
    }
}

struct Swapped<'a, T: 'static> {
    key: &'static LocalKey<T>,
    slot: &'a mut Option<T>,
}

impl<T: 'static> Drop for Swapped<'_, T> {
    fn drop(&mut self) {
        self.key.exchange(self.slot);
    }
}

/// There is no value: not in a scope of that variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessError(());

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a task-local variable has no value outside its scope")
    }
}

impl Error for AccessError {}

pin_project_lite::pin_project! {
    /// The future of [`LocalKey::scope`].
    #[must_use = "futures do nothing unless awaited"]
    pub struct TaskLocalFuture<T, F>
    where
        T: 'static,
    {
        key: &'static LocalKey<T>,
        // The value while the future does not run; what was there before while it does.
        slot: Option<T>,
        // `None` once it has ended: its destructor sees the value, too.
        #[pin]
        future: Option<F>,
    }

    impl<T, F> PinnedDrop for TaskLocalFuture<T, F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_some() && this.key.value.try_with(|_| ()).is_ok() {
                let _swapped = this.key.swap(this.slot);
                this.future.set(None);
            }
        }
    }
}

impl<T: 'static, F: Future> Future for TaskLocalFuture<T, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let _swapped = this.key.swap(this.slot);
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            panic!("a scope of a task-local variable polled after it was ready");
        };
        let polled = future.poll(cx);
        if polled.is_ready() {
            this.future.set(None);
        }
        polled
    }
}

impl<T: 'static + fmt::Debug, F> fmt::Debug for TaskLocalFuture<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskLocalFuture").field("value", &self.slot).finish_non_exhaustive()
    }
}

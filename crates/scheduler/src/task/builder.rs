//! [`Builder`]: a goroutine with a name, labels, or a panic policy of its own.

use super::{
    details::Details,
    error::PanicPolicy,
    join::JoinHandle,
    labels::{self, set},
};
use crate::{local, runtime::Handle, schedule};
use std::{future::Future, panic::Location};

/// Starts a goroutine that has a name, labels, or a panic policy of its own. [`go`](crate::go) starts one that has none,
/// and costs nothing for it.
///
/// The name stands wherever the goroutine is spoken of: when it panics, and when it still runs at the end. The labels
/// are those of the goroutine that spawns it, and what is said here.
///
/// # Go
///
/// Goroutines have no names. Labels are those of `runtime/pprof`; `go` hands them down there, and does not here.
///
/// # Examples
///
/// ```
/// use gorust_scheduler::{block_on, task};
///
/// let handle = task::Builder::new().name("crawler").label("host", "example.org").spawn(async {
///     (task::name().unwrap(), task::labels())
/// });
/// let (name, labels) = block_on(handle).unwrap();
/// assert_eq!(name, "crawler");
/// assert_eq!(labels, [("host".to_owned(), "example.org".to_owned())]);
/// ```
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until `spawn` is called"]
pub struct Builder(Details);

impl Builder {
    /// Starts with no name, the labels of the running goroutine, and its runtime's policy.
    pub fn new() -> Self {
        Self(Details { labels: labels::current(), ..Details::default() })
    }

    /// The name of the goroutine; names need not be unique.
    pub fn name(mut self, name: impl AsRef<str>) -> Self {
        self.0.name = Some(name.as_ref().into());
        self
    }

    /// Adds a label, or changes the one of that key.
    pub fn label(mut self, key: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        set(&mut self.0.labels, key.as_ref(), value.as_ref());
        self
    }

    /// What happens if the goroutine panics and nobody can see it. Default: what its runtime does.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_scheduler::{PanicPolicy, task};
    ///
    /// // One that may fail without taking the process along.
    /// drop(task::Builder::new().panic(PanicPolicy::Isolate).spawn(async { if true { panic!("only reported") } }));
    /// ```
    pub fn panic(mut self, policy: PanicPolicy) -> Self {
        self.0.panic = Some(policy);
        self
    }

    /// Starts the goroutine on the runtime this thread belongs to; see [`go`](crate::go).
    ///
    /// # Panics
    ///
    /// If the global runtime must be started and cannot be.
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        schedule::spawn_with(future, self.0, Location::caller())
    }

    /// Starts the goroutine on the runtime of `handle`.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_scheduler::{runtime::Runtime, task};
    ///
    /// let runtime = Runtime::new()?;
    /// let handle = task::Builder::new().name("there").spawn_on(&runtime.handle(), async { task::name() });
    /// assert_eq!(runtime.block_on(handle).unwrap().as_deref(), Some("there"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn spawn_on<F>(self, handle: &Handle, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        handle.spawn_with(future, self.0, Location::caller())
    }

    /// Starts a goroutine whose future stays on this thread and need not be `Send`; see
    /// [`local::spawn`](crate::local::spawn).
    ///
    /// # Panics
    ///
    /// Outside [`local::run_until`](crate::local::run_until) and `#[gorust::main(local)]`.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_scheduler::{block_on, local, task};
    ///
    /// block_on(local::run_until(async {
    ///     let handle = task::Builder::new().name("here").spawn_local(async { task::name() });
    ///     assert_eq!(handle.await.unwrap().as_deref(), Some("here"));
    /// }));
    /// ```
    #[track_caller]
    pub fn spawn_local<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        local::spawn_with(future, self.0, Location::caller())
    }
}

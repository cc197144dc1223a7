//! Contexts, as Go has them: a tree of deadlines and cancellations that is handed down from caller to callee.
//!
//! A context is derived from another, its parent, and ends with it: [`Context::with_cancel`] makes one that
//! can be ended by hand, [`Context::with_timeout`] and [`Context::with_deadline`] one that ends by itself,
//! [`Context::with_value`] one that carries something. At the top is [`Context::background`], which never ends,
//! or [`Context::root`], which ends with the program. Whoever gets a context waits for
//! [`done`](Context::done) beside what it is really waiting for, or runs it under [`run`](Context::run),
//! which drops it in time.

mod after;
mod error;
mod handle;
mod root;
#[cfg(test)]
mod tests;
mod tree;
mod value;
mod wait;

pub use after::Stop;
pub use error::{ContextError, HandleDropped};
pub use handle::CancelHandle;
pub use root::MainReturned;
pub use value::Key;
pub use wait::{Done, Run};

use after::After;
use gorust_reactor::clock::Instant;
use gorust_scheduler::JoinHandle;
use std::{error::Error, fmt, future::Future, panic::Location, sync::Arc, time::Duration};
use tree::{Cause, Node};
use value::Values;

/// Tells those who work on something that it is no longer wanted, or until when.
///
/// A clone is the same context. Cheap to clone, to derive from, and to drop: a context that is dropped leaves
/// its parent at once, and takes its timer with it.
///
/// # Go
///
/// `context.Context`. A handle that is dropped cancels, so nothing leaks; `err` and `done` are as there.
/// Dropping a future is a second way to end work here, so a context is for what must be told across
/// goroutines.
///
/// # Examples
///
/// ```
/// use gorust_sync::{Context, ContextError};
/// use std::time::Duration;
///
/// gorust_scheduler::block_on(async {
///     let ctx = Context::background().with_timeout(Duration::from_millis(5));
///     let outcome = ctx.run(std::future::pending::<()>()).await;
///     assert_eq!(outcome, Err(ContextError::DeadlineExceeded));
/// });
/// ```
#[derive(Clone)]
pub struct Context {
    /// None at the top.
    node: Option<Arc<Node>>,
}

impl Context {
    /// Returns the context at the top, which is never done: for `main`, for initialisation, for tests.
    ///
    /// # Go
    ///
    /// `context.Background()`
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(gorust_sync::Context::background().err(), None);
    /// ```
    pub const fn background() -> Self {
        Self { node: None }
    }

    /// Returns a context that is never done, for where it is not yet clear which one should stand.
    ///
    /// # Go
    ///
    /// `context.TODO()`
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(format!("{:?}", gorust_sync::Context::todo()), "Context(todo)");
    /// ```
    pub fn todo() -> Self {
        Self { node: Some(Node::todo()) }
    }

    /// Derives a context that ends when the handle says so, or with its parent.
    ///
    /// # Go
    ///
    /// `context.WithCancel(parent)`
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_sync::{Context, ContextError};
    ///
    /// gorust_scheduler::block_on(async {
    ///     let (ctx, handle) = Context::background().with_cancel();
    ///     gorust_scheduler::go(async move { handle.cancel() });
    ///     ctx.done().await;
    ///     assert_eq!(ctx.err(), Some(ContextError::Canceled));
    /// });
    /// ```
    #[track_caller]
    pub fn with_cancel(&self) -> (Self, CancelHandle) {
        let node = self.derive(Instant::FAR_FUTURE, Cause::Plain);
        (Self { node: Some(Arc::clone(&node)) }, CancelHandle::new(node, Location::caller()))
    }

    /// Derives a context that ends after `timeout`, or with its parent. One that is too long to come is none.
    ///
    /// # Go
    ///
    /// `context.WithTimeout(parent, timeout)`
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_sync::{Context, ContextError};
    /// # use std::time::Duration;
    /// let ctx = Context::background().with_timeout(Duration::ZERO);
    /// assert_eq!(ctx.err(), Some(ContextError::DeadlineExceeded));
    /// ```
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        self.with_deadline(Instant::now().saturating_add(timeout))
    }

    /// Derives a context that ends at `deadline`, or with its parent. If the deadline has passed, it is done
    /// already.
    ///
    /// # Go
    ///
    /// `context.WithDeadline(parent, deadline)`
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_sync::Context;
    /// # use gorust_reactor::clock::Instant;
    /// # use std::time::Duration;
    /// let deadline = Instant::now() + Duration::from_secs(60);
    /// let ctx = Context::background().with_deadline(deadline);
    /// assert_eq!(ctx.deadline(), Some(deadline));
    /// ```
    pub fn with_deadline(&self, deadline: Instant) -> Self {
        Self { node: Some(self.derive(deadline, Cause::Plain)) }
    }

    /// Derives a context as [`with_timeout`](Self::with_timeout) does, and says what [`cause`](Self::cause) is to tell
    /// if a deadline ends it.
    ///
    /// # Go
    ///
    /// `context.WithTimeoutCause(parent, timeout, cause)`. There the cause is lost if it is an earlier deadline of the
    /// parent that ends the context; here each context keeps its own.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_sync::{Context, ContextError};
    /// # use std::time::Duration;
    /// let ctx = Context::background().with_timeout_cause(Duration::ZERO, "the database is slow");
    /// assert_eq!(ctx.err(), Some(ContextError::DeadlineExceeded));
    /// assert_eq!(ctx.cause().unwrap().to_string(), "the database is slow");
    /// ```
    pub fn with_timeout_cause(
        &self,
        timeout: Duration,
        cause: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        self.with_deadline_cause(Instant::now().saturating_add(timeout), cause)
    }

    /// Derives a context as [`with_deadline`](Self::with_deadline) does, and says what [`cause`](Self::cause) is to
    /// tell if a deadline ends it.
    ///
    /// # Go
    ///
    /// `context.WithDeadlineCause(parent, deadline, cause)`; as for
    /// [`with_timeout_cause`](Self::with_timeout_cause).
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_sync::Context;
    /// # use gorust_reactor::clock::Instant;
    /// let ctx = Context::background().with_deadline_cause(Instant::now(), "closing time");
    /// assert_eq!(ctx.cause().unwrap().to_string(), "closing time");
    /// ```
    pub fn with_deadline_cause(
        &self,
        deadline: Instant,
        cause: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self { node: Some(self.derive(deadline, Cause::Error(Arc::from(cause.into())))) }
    }

    /// Derives a context that carries a value, for all that are derived from it. It ends with its parent.
    ///
    /// For what belongs to a request and crosses many functions: a user, a trace. What a function needs to do its work
    /// is an argument.
    ///
    /// # Go
    ///
    /// `context.WithValue(parent, key, value)`. A key is a type, and says of what type its value is.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_sync::{Context, context::Key};
    ///
    /// struct RequestId;
    ///
    /// impl Key for RequestId {
    ///     type Value = u64;
    /// }
    ///
    /// let outer = Context::background().with_value::<RequestId>(7);
    /// let inner = outer.with_value::<RequestId>(8);
    /// assert_eq!((outer.value::<RequestId>(), inner.value::<RequestId>()), (Some(&7), Some(&8)));
    /// ```
    pub fn with_value<K: Key>(&self, value: K::Value) -> Self {
        let values = Arc::new(Values::new::<K>(value, self.values().cloned()));
        Self { node: Some(Node::view(self.node(), Some(values))) }
    }

    /// Returns the value of this key that was set last, here or above.
    ///
    /// # Go
    ///
    /// `ctx.Value(key)`
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_sync::{Context, context::Key};
    /// struct User;
    ///
    /// impl Key for User {
    ///     type Value = &'static str;
    /// }
    ///
    /// assert_eq!(Context::background().value::<User>(), None);
    /// ```
    pub fn value<K: Key>(&self) -> Option<&K::Value> {
        self.values()?.find::<K>()
    }

    /// Derives a context that carries the same values and is never done: for what must be finished even if the
    /// request is over.
    ///
    /// # Go
    ///
    /// `context.WithoutCancel(parent)`
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_sync::Context;
    /// let (ctx, handle) = Context::background().with_cancel();
    /// let cleanup = ctx.without_cancel();
    /// handle.cancel();
    /// assert_eq!(cleanup.err(), None);
    /// ```
    pub fn without_cancel(&self) -> Self {
        Self { node: Some(Node::view(None, self.values().cloned())) }
    }

    /// Calls `function` in a goroutine of its own when the context is done; at once if it is. Until then, or until it
    /// is stopped, it keeps the context alive.
    ///
    /// # Panics
    ///
    /// If the context is done, the global runtime must be started, and cannot be.
    ///
    /// # Go
    ///
    /// `context.AfterFunc(ctx, f)`
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_sync::{Context, chan};
    /// # gorust_scheduler::block_on(async {
    /// let (ctx, handle) = Context::background().with_cancel();
    /// let (tx, rx) = chan(1);
    /// ctx.after_func(move || drop(tx.try_send("cleaned up")));
    /// handle.cancel();
    /// assert_eq!(rx.recv().await, Some("cleaned up"));
    /// # });
    /// ```
    #[track_caller]
    pub fn after_func<F: FnOnce() + Send + 'static>(&self, function: F) -> Stop {
        Stop::new(After::register(self.node(), Box::new(function), Location::caller()))
    }

    /// Waits until the context is done. [`err`](Self::err) then says why.
    ///
    /// # Cancel safety
    ///
    /// *Strict.*
    ///
    /// # Go
    ///
    /// `<-ctx.Done()`
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_sync::Context;
    /// # gorust_scheduler::block_on(async {
    /// let (ctx, handle) = Context::background().with_cancel();
    /// handle.cancel();
    /// ctx.done().await;
    /// # });
    /// ```
    #[track_caller]
    pub fn done(&self) -> Done<'_> {
        Done::new(self.node().map(|node| &**node), Location::caller())
    }

    /// Returns why the context is done; `None` while it is not. It does not change any more once it is there,
    /// and [`done`](Self::done) is ready then.
    ///
    /// # Go
    ///
    /// `ctx.Err()`
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_sync::{Context, ContextError};
    /// let (ctx, handle) = Context::background().with_cancel();
    /// assert_eq!(ctx.err(), None);
    /// drop(handle);
    /// assert_eq!(ctx.err(), Some(ContextError::Canceled));
    /// ```
    #[inline]
    pub fn err(&self) -> Option<ContextError> {
        self.node()?.error()
    }

    /// Returns why the context is done, in the words of who ended it or the one it was derived from:
    /// [`cancel_with`](CancelHandle::cancel_with)'s error, a [`HandleDropped`], or else the same as
    /// [`err`](Self::err).
    ///
    /// # Go
    ///
    /// `context.Cause(ctx)`
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_sync::Context;
    /// let (ctx, handle) = Context::background().with_cancel();
    /// let (child, _handle) = ctx.with_cancel();
    /// handle.cancel_with("disk full");
    /// assert_eq!(child.cause().unwrap().to_string(), "disk full");
    /// ```
    pub fn cause(&self) -> Option<Arc<dyn Error + Send + Sync>> {
        self.node()?.cause()
    }

    /// Returns when the context ends at the latest: its own deadline or an earlier one of those it was
    /// derived from.
    ///
    /// # Go
    ///
    /// `ctx.Deadline()`
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_sync::Context;
    /// # use std::time::Duration;
    /// let parent = Context::background().with_timeout(Duration::from_secs(1));
    /// let child = parent.with_timeout(Duration::from_secs(60));
    /// assert_eq!(child.deadline(), parent.deadline());
    /// ```
    pub fn deadline(&self) -> Option<Instant> {
        self.node()?.deadline()
    }

    /// Runs `future` until it completes or the context is done, whichever comes first; in the latter case the
    /// future is dropped where it stands.
    ///
    /// The context is looked at before each poll, so a context that is done starts nothing, and a future that
    /// is always ready does not hide it.
    ///
    /// # Errors
    ///
    /// [`ContextError`] if the context was done first.
    ///
    /// # Cancel safety
    ///
    /// That of `future`, which is dropped with it.
    ///
    /// # Go
    ///
    /// A function that takes a `ctx` and selects on `ctx.Done()`. Go has no way to end one that does not.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_sync::{Context, ContextError};
    /// # gorust_scheduler::block_on(async {
    /// let (ctx, handle) = Context::background().with_cancel();
    /// assert_eq!(ctx.run(async { 1 }).await, Ok(1));
    /// handle.cancel();
    /// assert_eq!(ctx.run(async { 1 }).await, Err(ContextError::Canceled));
    /// # });
    /// ```
    pub fn run<F: Future>(&self, future: F) -> Run<F> {
        Run::new(self.clone(), future)
    }

    /// Starts a goroutine that ends with the context: [`run`](Self::run) in a goroutine of its own.
    ///
    /// # Panics
    ///
    /// If the global runtime must be started and cannot be.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_sync::{Context, ContextError};
    /// # gorust_scheduler::block_on(async {
    /// let (ctx, handle) = Context::background().with_cancel();
    /// let worker = ctx.go(std::future::pending::<()>());
    /// handle.cancel();
    /// assert_eq!(worker.await.unwrap(), Err(ContextError::Canceled));
    /// # });
    /// ```
    #[track_caller]
    pub fn go<F>(&self, future: F) -> JoinHandle<Result<F::Output, ContextError>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        gorust_scheduler::go(self.run(future))
    }

    fn derive(&self, deadline: Instant, cause: Cause) -> Arc<Node> {
        Node::new(self.node(), self.values().cloned(), deadline, cause)
    }

    fn values(&self) -> Option<&Arc<Values>> {
        self.node.as_ref()?.values()
    }

    /// The node that ends it; none if it is never done.
    #[inline]
    fn node(&self) -> Option<&Arc<Node>> {
        self.node.as_ref()?.scope()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.node, self.node()) {
            (None, _) => f.write_str("Context(background)"),
            (Some(node), None) if node.is_todo() => f.write_str("Context(todo)"),
            (Some(_), None) => f.write_str("Context(never done)"),
            (Some(_), Some(scope)) => {
                let mut f = f.debug_struct("Context");
                f.field("err", &scope.error());
                scope.deadline().into_iter().for_each(|deadline| {
                    f.field("deadline", &deadline);
                });
                f.finish()
            }
        }
    }
}

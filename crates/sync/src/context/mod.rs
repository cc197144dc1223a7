//! Contexts, as Go has them: a tree of deadlines and cancellations that is handed down from caller to callee.
//!
//! A context is derived from another, its parent, and ends with it: [`Context::with_cancel`] makes one that
//! can be ended by hand, [`Context::with_timeout`] and [`Context::with_deadline`] one that ends by itself. At
//! the top is [`Context::background`], which never ends. Whoever gets a context waits for
//! [`done`](Context::done) beside what it is really waiting for, or runs it under [`run`](Context::run),
//! which drops it in time.

mod children;
mod error;
mod handle;
#[cfg(test)]
mod tests;
mod tree;
mod wait;

pub use error::{ContextError, HandleDropped};
pub use handle::CancelHandle;
pub use wait::{Done, Run};

use gorust_reactor::clock::Instant;
use gorust_scheduler::JoinHandle;
use std::{error::Error, fmt, future::Future, panic::Location, sync::Arc, time::Duration};
use tree::Node;

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
    scope: Scope,
}

/// What can end a context.
#[derive(Clone)]
enum Scope {
    /// Nothing, on purpose.
    Background,
    /// Nothing, for now.
    Todo,
    Node(Arc<Node>),
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
        Self { scope: Scope::Background }
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
    pub const fn todo() -> Self {
        Self { scope: Scope::Todo }
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
        let node = Node::new(self.node(), Instant::FAR_FUTURE);
        (Self { scope: Scope::Node(Arc::clone(&node)) }, CancelHandle::new(node, Location::caller()))
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
        Self { scope: Scope::Node(Node::new(self.node(), deadline)) }
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

    /// The node that ends it; none if it is never done.
    #[inline]
    fn node(&self) -> Option<&Arc<Node>> {
        match &self.scope {
            Scope::Node(node) => Some(node),
            Scope::Background | Scope::Todo => None,
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scope {
            Scope::Background => f.write_str("Context(background)"),
            Scope::Todo => f.write_str("Context(todo)"),
            Scope::Node(node) => {
                let mut f = f.debug_struct("Context");
                f.field("err", &node.error());
                node.deadline().into_iter().for_each(|deadline| {
                    f.field("deadline", &deadline);
                });
                f.finish()
            }
        }
    }
}

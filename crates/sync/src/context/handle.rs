//! The handle that cancels a context.

use super::{
    ContextError,
    tree::{Cause, Node},
};
use std::{error::Error, fmt, panic::Location, sync::Arc};

/// Cancels the context it came with, and all derived from that.
///
/// Dropping it cancels, too, so no context outlives the function that was to end it;
/// [`cause`](super::Context::cause) then says where the handle was made. To let the context live as long as
/// its parent, call [`keep`](Self::keep).
///
/// # Go
///
/// `context.CancelFunc`, without the forgotten `defer cancel()`.
///
/// # Examples
///
/// ```
/// use gorust_sync::{Context, ContextError};
///
/// let (ctx, handle) = Context::background().with_cancel();
/// assert_eq!(ctx.err(), None);
/// handle.cancel();
/// assert_eq!(ctx.err(), Some(ContextError::Canceled));
/// ```
#[must_use = "dropping the handle cancels the context"]
pub struct CancelHandle {
    /// None once it was told to keep the context.
    node: Option<Arc<Node>>,
    made_at: &'static Location<'static>,
}

impl CancelHandle {
    pub(super) fn new(node: Arc<Node>, made_at: &'static Location<'static>) -> Self {
        Self { node: Some(node), made_at }
    }

    /// Cancels the context and all derived from it. When it returns, all of them are done, and all who wait
    /// have been woken; what they do about it has yet to happen. A second call does nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_sync::Context;
    /// let (parent, handle) = Context::background().with_cancel();
    /// let (child, _keep) = parent.with_cancel();
    /// handle.cancel();
    /// assert!(child.err().is_some());
    /// ```
    pub fn cancel(&self) {
        self.end(&Cause::Plain);
    }

    /// Cancels as [`cancel`](Self::cancel), and says why: [`cause`](super::Context::cause) will tell.
    ///
    /// # Go
    ///
    /// `context.CancelCauseFunc`
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_sync::Context;
    /// let (ctx, handle) = Context::background().with_cancel();
    /// handle.cancel_with("the user went away");
    /// assert_eq!(ctx.cause().unwrap().to_string(), "the user went away");
    /// assert_eq!(ctx.err().unwrap().to_string(), "context canceled");
    /// ```
    pub fn cancel_with(&self, cause: impl Into<Box<dyn Error + Send + Sync>>) {
        self.end(&Cause::Error(Arc::from(cause.into())));
    }

    /// Gives the handle up without canceling: the context lives as long as its parent.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_sync::Context;
    /// let (ctx, handle) = Context::background().with_cancel();
    /// handle.keep();
    /// assert_eq!(ctx.err(), None);
    /// ```
    pub fn keep(mut self) {
        self.node = None;
    }

    fn end(&self, cause: &Cause) {
        if let Some(node) = &self.node {
            node.cancel(ContextError::Canceled, cause);
        }
    }
}

impl Drop for CancelHandle {
    fn drop(&mut self) {
        self.end(&Cause::Dropped(self.made_at));
    }
}

impl fmt::Debug for CancelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelHandle")
            .field("made_at", &format_args!("{}", self.made_at))
            .finish_non_exhaustive()
    }
}

//! Why a context is done.

use std::{error::Error, fmt, io, panic::Location};

/// Why a context is done.
///
/// # Go
///
/// `context.Canceled` and `context.DeadlineExceeded`, with their texts.
///
/// # Examples
///
/// ```
/// use gorust_sync::ContextError;
///
/// assert_eq!(ContextError::Canceled.to_string(), "context canceled");
/// assert_eq!(ContextError::DeadlineExceeded.to_string(), "context deadline exceeded");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContextError {
    /// It, or one it was derived from, was canceled.
    Canceled,
    /// Its deadline has passed.
    DeadlineExceeded,
}

impl ContextError {
    /// Returns whether it was a deadline.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(gorust_sync::ContextError::DeadlineExceeded.is_timeout());
    /// ```
    pub fn is_timeout(self) -> bool {
        self == Self::DeadlineExceeded
    }
}

impl fmt::Display for ContextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Canceled => "context canceled",
            Self::DeadlineExceeded => "context deadline exceeded",
        })
    }
}

impl Error for ContextError {}

impl From<ContextError> for io::Error {
    fn from(error: ContextError) -> Self {
        let kind = if error.is_timeout() { io::ErrorKind::TimedOut } else { io::ErrorKind::Other };
        Self::new(kind, error)
    }
}

/// The cause of a context whose cancel handle was dropped: nobody said why, but here is who did not say it.
///
/// # Examples
///
/// ```
/// use gorust_sync::{Context, context::HandleDropped};
///
/// let (ctx, handle) = Context::background().with_cancel();
/// drop(handle);
/// let cause = ctx.cause().unwrap();
/// let dropped = cause.downcast_ref::<HandleDropped>().unwrap();
/// assert_eq!(dropped.made_at().file(), file!());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandleDropped {
    pub(super) made_at: &'static Location<'static>,
}

impl HandleDropped {
    /// Returns where the handle was made.
    ///
    /// # Examples
    ///
    /// See [`HandleDropped`].
    pub fn made_at(&self) -> &'static Location<'static> {
        self.made_at
    }
}

impl fmt::Display for HandleDropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "context canceled: the cancel handle made at {} was dropped", self.made_at)
    }
}

impl Error for HandleDropped {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&ContextError::Canceled)
    }
}

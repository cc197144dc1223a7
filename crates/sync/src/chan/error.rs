//! What a channel operation says when it could not be done. A value that was not delivered comes back inside.

use std::{error::Error, fmt};

/// The channel is closed; the value was not delivered.
///
/// # Examples
///
/// ```
/// use gorust_sync::chan::{SendError, chan};
///
/// let (tx, rx) = chan(1);
/// drop(rx);
/// assert_eq!(tx.send_blocking("letter"), Err(SendError("letter")));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

impl<T> SendError<T> {
    /// Returns the value that was not delivered.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(gorust_sync::chan::SendError("letter").into_inner(), "letter");
    /// ```
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendError(..)")
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("send on closed channel")
    }
}

impl<T> Error for SendError<T> {}

/// Why a value could not be sent at this moment.
///
/// # Examples
///
/// ```
/// use gorust_sync::chan::{TrySendError, chan};
///
/// let (tx, rx) = chan(1);
/// assert_eq!(tx.try_send(1), Ok(()));
/// assert_eq!(tx.try_send(2), Err(TrySendError::Full(2)));
/// tx.close();
/// assert_eq!(tx.try_send(3), Err(TrySendError::Closed(3)));
/// # drop(rx);
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// Neither a receiver waited nor was there room.
    Full(T),
    /// The channel is closed, or nobody is left to receive.
    Closed(T),
}

impl<T> TrySendError<T> {
    /// Returns the value that was not sent.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(gorust_sync::chan::TrySendError::Full("letter").into_inner(), "letter");
    /// ```
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(value) | Self::Closed(value) => value,
        }
    }

    /// Returns whether the channel was full.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(gorust_sync::chan::TrySendError::Full(1).is_full());
    /// ```
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }

    /// Returns whether the channel was closed.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(gorust_sync::chan::TrySendError::Closed(1).is_closed());
    /// ```
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed(_))
    }
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_full() { "Full(..)" } else { "Closed(..)" })
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_full() { "send on full channel" } else { "send on closed channel" })
    }
}

impl<T> Error for TrySendError<T> {}

impl<T> From<SendError<T>> for TrySendError<T> {
    fn from(error: SendError<T>) -> Self {
        Self::Closed(error.0)
    }
}

/// Why a value could not be sent within a time.
///
/// # Examples
///
/// ```
/// use gorust_sync::chan::{SendTimeoutError, chan};
/// use std::time::Duration;
///
/// # gorust_scheduler::block_on(async {
/// let (tx, rx) = chan(0);
/// let late = tx.send_timeout("letter", Duration::from_millis(1)).await;
/// assert_eq!(late, Err(SendTimeoutError::Timeout("letter")));
/// drop(rx);
/// let closed = tx.send_timeout("letter", Duration::from_secs(60)).await;
/// assert_eq!(closed, Err(SendTimeoutError::Closed("letter")));
/// # });
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SendTimeoutError<T> {
    /// The time was up before a receiver came or there was room.
    Timeout(T),
    /// The channel is closed, or nobody is left to receive.
    Closed(T),
}

impl<T> SendTimeoutError<T> {
    /// Returns the value that was not sent.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(gorust_sync::chan::SendTimeoutError::Timeout("letter").into_inner(), "letter");
    /// ```
    pub fn into_inner(self) -> T {
        match self {
            Self::Timeout(value) | Self::Closed(value) => value,
        }
    }

    /// Returns whether the time was up.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(gorust_sync::chan::SendTimeoutError::Timeout(1).is_timeout());
    /// ```
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout(_))
    }
}

impl<T> fmt::Debug for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_timeout() { "Timeout(..)" } else { "Closed(..)" })
    }
}

impl<T> fmt::Display for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_timeout() { "send timed out" } else { "send on closed channel" })
    }
}

impl<T> Error for SendTimeoutError<T> {}

impl<T> From<SendError<T>> for SendTimeoutError<T> {
    fn from(error: SendError<T>) -> Self {
        Self::Closed(error.0)
    }
}

/// Why nothing could be received at this moment.
///
/// # Examples
///
/// ```
/// use gorust_sync::chan::{TryRecvError, chan};
///
/// let (tx, rx) = chan::<u32>(1);
/// assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
/// drop(tx);
/// assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// No value was there, but one may come.
    Empty,
    /// No value was there, and none will come.
    Closed,
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "receive on empty channel",
            Self::Closed => "receive on closed channel",
        })
    }
}

impl Error for TryRecvError {}

/// The channel is closed: nothing more comes, or what was to be sent is where it was.
///
/// # Examples
///
/// ```
/// use gorust_sync::chan::{Closed, chan};
/// # use std::{future::Future, pin::pin, task::{Context, Poll, Waker}};
///
/// let (tx, rx) = chan(1);
/// drop(rx);
/// let mut letter = Some("letter");
/// let sent = pin!(tx.send_from(&mut letter)).poll(&mut Context::from_waker(Waker::noop()));
/// assert_eq!((sent, letter), (Poll::Ready(Err(Closed)), Some("letter")));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("channel is closed")
    }
}

impl Error for Closed {}

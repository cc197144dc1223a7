//! A handle that may not be there, as Go's nil channel: what is to be sent or received never is.

use super::{Receiver, Recv, Send, SendFrom, Sender};
use futures_core::future::FusedFuture;
use gorust_primitives::current::{self, Reason};
use pin_project_lite::pin_project;
use std::{
    fmt,
    future::Future,
    panic::Location,
    pin::Pin,
    task::{Context, Poll},
};

/// `recv` on an `Option<&Receiver<T>>`: from `None` nothing ever comes.
///
/// In a select it takes a case out of the game by setting a variable to `None`.
///
/// # Go
///
/// A receive from a nil channel.
///
/// # Examples
///
/// ```
/// use gorust_sync::chan::{OptionReceiver, Receiver, chan};
/// # use std::time::Duration;
/// # use gorust_reactor::time::timeout;
///
/// # gorust_scheduler::block_on(async {
/// let (tx, rx) = chan(1);
/// tx.send(1).await.unwrap();
/// let mut wanted = Some(&rx);
/// assert_eq!(wanted.recv().await, Some(1));
/// wanted = None;
/// assert!(timeout(Duration::from_millis(1), wanted.recv()).await.is_err());
/// # });
/// ```
pub trait OptionReceiver<'a, T> {
    /// As [`Receiver::recv`]; never ready if there is no receiver.
    ///
    /// # Cancel safety
    ///
    /// As [`Receiver::recv`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_sync::chan::{OptionReceiver, chan};
    /// # gorust_scheduler::block_on(async {
    /// let (tx, rx) = chan(1);
    /// tx.send(1).await.unwrap();
    /// assert_eq!(Some(&rx).recv().await, Some(1));
    /// # });
    /// ```
    fn recv(self) -> OrNever<Recv<'a, T>>;
}

impl<'a, T> OptionReceiver<'a, T> for Option<&'a Receiver<T>> {
    #[track_caller]
    fn recv(self) -> OrNever<Recv<'a, T>> {
        let at = Location::caller();
        let future = self.map(|receiver| Recv::new(&receiver.chan, at));
        OrNever { future, reason: Reason::ChanReceiveNil, at }
    }
}

/// `send` on an `Option<&Sender<T>>`: to `None` nothing is ever sent.
///
/// # Go
///
/// A send to a nil channel.
///
/// # Examples
///
/// ```
/// use gorust_sync::chan::{OptionSender, Sender, chan};
/// # use std::time::Duration;
/// # use gorust_reactor::time::timeout;
///
/// # gorust_scheduler::block_on(async {
/// let (tx, rx) = chan(1);
/// Some(&tx).send("hello").await.unwrap();
/// let nobody: Option<&Sender<&str>> = None;
/// let mut letter = Some("letter");
/// assert!(timeout(Duration::from_millis(1), nobody.send_from(&mut letter)).await.is_err());
/// assert_eq!((rx.recv().await, letter), (Some("hello"), Some("letter")));
/// # });
/// ```
pub trait OptionSender<'a, T> {
    /// As [`Sender::send`]; never ready if there is no sender. The value is then dropped at once.
    ///
    /// # Cancel safety
    ///
    /// As [`Sender::send`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_sync::chan::{OptionSender, chan};
    /// # gorust_scheduler::block_on(async {
    /// let (tx, rx) = chan(1);
    /// assert_eq!(Some(&tx).send(1).await, Ok(()));
    /// # drop(rx);
    /// # });
    /// ```
    fn send(self, value: T) -> OrNever<Send<'a, T>>;

    /// As [`Sender::send_from`]; never ready, and the value stays in `slot`, if there is no sender.
    ///
    /// # Panics
    ///
    /// If there is a sender and `slot` is empty.
    ///
    /// # Cancel safety
    ///
    /// As [`Sender::send_from`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_sync::chan::{OptionSender, chan};
    /// # gorust_scheduler::block_on(async {
    /// let (tx, rx) = chan(1);
    /// let mut slot = Some(1);
    /// assert_eq!(Some(&tx).send_from(&mut slot).await, Ok(()));
    /// assert_eq!(slot, None);
    /// # drop(rx);
    /// # });
    /// ```
    fn send_from(self, slot: &'a mut Option<T>) -> OrNever<SendFrom<'a, T>>;
}

impl<'a, T> OptionSender<'a, T> for Option<&'a Sender<T>> {
    #[track_caller]
    fn send(self, value: T) -> OrNever<Send<'a, T>> {
        let at = Location::caller();
        let future = self.map(|sender| Send::new(&sender.chan, value, at));
        OrNever { future, reason: Reason::ChanSendNil, at }
    }

    #[track_caller]
    fn send_from(self, slot: &'a mut Option<T>) -> OrNever<SendFrom<'a, T>> {
        // Subtle: not `map`, whose closure would be the place that a panic names.
        let future = match self {
            Some(sender) => Some(sender.send_from(slot)),
            None => None,
        };
        OrNever { future, reason: Reason::ChanSendNil, at: Location::caller() }
    }
}

pin_project! {
    /// A channel operation, or none, which is never ready; made by [`OptionReceiver`] and [`OptionSender`].
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct OrNever<F> {
        #[pin]
        future: Option<F>,
        reason: Reason,
        at: &'static Location<'static>,
    }
}

impl<F> OrNever<F> {
    /// The operation, if it is one: what a select looks at.
    pub(super) fn as_pin_mut(self: Pin<&mut Self>) -> Option<Pin<&mut F>> {
        self.project().future.as_pin_mut()
    }

    pub(super) fn inner(&self) -> Option<&F> {
        self.future.as_ref()
    }
}

impl<F: Future> Future for OrNever<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        match this.future.as_pin_mut() {
            Some(future) => future.poll(cx),
            None => {
                current::waits(*this.reason, this.at);
                Poll::Pending
            }
        }
    }
}

/// What is never ready counts as terminated: `futures::select!` passes it by, and ends when all cases are.
impl<F: FusedFuture> FusedFuture for OrNever<F> {
    fn is_terminated(&self) -> bool {
        self.future.as_ref().is_none_or(FusedFuture::is_terminated)
    }
}

impl<F: fmt::Debug> fmt::Debug for OrNever<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OrNever").field(&self.future).finish()
    }
}

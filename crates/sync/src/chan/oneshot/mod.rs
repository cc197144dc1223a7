//! A channel for one value: one allocation, no lock. What the two ends share, and why nothing is lost, is in
//! `slot.rs`.

mod slot;

use self::slot::{End, Found, pair};
use super::error::{Closed, SendError, TryRecvError};
use futures_core::future::FusedFuture;
use gorust_primitives::{
    current::{self, Reason},
    select_case::{Glance, Leaf, Native},
    wait_list,
};
use gorust_scheduler::block_on;
use std::{
    fmt,
    future::Future,
    mem::ManuallyDrop,
    panic::Location,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

/// Makes a channel for one value: an answer, a result, a signal.
///
/// Sending does not wait. The receiver is itself the future.
///
/// # Go
///
/// `make(chan T, 1)` that is used once. Here the types know that, and a receiver learns that no answer will come.
///
/// # Examples
///
/// ```
/// use gorust_scheduler::{block_on, go};
/// use gorust_sync::chan::oneshot;
///
/// block_on(async {
///     let (tx, rx) = oneshot();
///     go(async move { tx.send(6 * 7) });
///     assert_eq!(rx.await, Ok(42));
/// });
/// ```
#[track_caller]
pub fn oneshot<T>() -> (OneSender<T>, OneReceiver<T>) {
    let (sender, receiver) = pair();
    (OneSender { end: sender }, OneReceiver { end: Some(receiver), at: Location::caller() })
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        wait_list::wake(waker);
    }
}

/// The side of a [`oneshot`] that sends. Dropped without sending, it tells the receiver so.
///
/// # Examples
///
/// ```
/// use gorust_sync::chan::{Closed, oneshot};
///
/// let (tx, rx) = oneshot::<u32>();
/// drop(tx);
/// assert_eq!(rx.recv_blocking(), Err(Closed));
/// ```
pub struct OneSender<T> {
    end: End<T>,
}

impl<T> OneSender<T> {
    /// Sends the value. It does not wait.
    ///
    /// # Errors
    ///
    /// [`SendError`] gives the value back if the receiver is gone. A receiver may also go after this and drop the
    /// value unseen.
    ///
    /// # Examples
    ///
    /// ```
    /// let (tx, rx) = gorust_sync::chan::oneshot();
    /// tx.send("answer").unwrap();
    /// assert_eq!(rx.recv_blocking(), Ok("answer"));
    ///
    /// let (tx, rx) = gorust_sync::chan::oneshot();
    /// drop(rx);
    /// assert_eq!(tx.send("answer").unwrap_err().into_inner(), "answer");
    /// ```
    #[inline]
    pub fn send(self, value: T) -> Result<(), SendError<T>> {
        let this = ManuallyDrop::new(self);
        // SAFETY: it is the sender's end, and `this` is not used after it was sent.
        match unsafe { this.end.send(value) } {
            Ok(waker) => {
                wake(waker);
                Ok(())
            }
            Err(value) => {
                drop(ManuallyDrop::into_inner(this));
                Err(SendError(value))
            }
        }
    }

    /// Returns whether the receiver is gone.
    ///
    /// # Examples
    ///
    /// ```
    /// let (tx, rx) = gorust_sync::chan::oneshot::<u32>();
    /// assert!(!tx.is_closed());
    /// drop(rx);
    /// assert!(tx.is_closed());
    /// ```
    pub fn is_closed(&self) -> bool {
        self.end.is_receiver_done()
    }

    /// Waits until the receiver is gone: nobody wants the answer any more.
    ///
    /// # Cancel safety
    ///
    /// *Strict.*
    ///
    /// # Examples
    ///
    /// ```
    /// # gorust_scheduler::block_on(async {
    /// let (mut tx, rx) = gorust_sync::chan::oneshot::<u32>();
    /// drop(rx);
    /// tx.closed().await;
    /// # });
    /// ```
    #[track_caller]
    pub fn closed(&mut self) -> OneClosed<'_, T> {
        OneClosed { sender: self, at: Location::caller() }
    }
}

impl<T> Drop for OneSender<T> {
    fn drop(&mut self) {
        // SAFETY: it is the sender's end, it is dropped once, and not if it has sent.
        wake(unsafe { self.end.release_sender() });
    }
}

impl<T> fmt::Debug for OneSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneSender").field("is_closed", &self.is_closed()).finish()
    }
}

/// The future of [`OneSender::closed`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct OneClosed<'a, T> {
    sender: &'a mut OneSender<T>,
    at: &'static Location<'static>,
}

impl<T> Future for OneClosed<'_, T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        ready!(current::poll_proceed(cx));
        let poll = self.sender.end.poll_receiver_done(cx.waker());
        if poll.is_pending() {
            current::waits(Reason::ChanSend, self.at);
        }
        poll
    }
}

impl<T> Drop for OneClosed<'_, T> {
    fn drop(&mut self) {
        drop(self.sender.end.stop_waiting());
    }
}

impl<T> fmt::Debug for OneClosed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneClosed").field("is_closed", &self.sender.is_closed()).finish()
    }
}

/// The side of a [`oneshot`] that receives: a future of the value, or of [`Closed`] if the sender was dropped without
/// sending. Dropping it tells the sender.
///
/// # Cancel safety
///
/// *Strict* if it is polled by reference: `(&mut rx).await` may be dropped and done again. Dropping the receiver
/// itself drops a value that was sent.
///
/// # Panics
///
/// If it is polled after it was ready.
///
/// # Examples
///
/// ```
/// # gorust_scheduler::block_on(async {
/// let (tx, mut rx) = gorust_sync::chan::oneshot();
/// assert!(rx.try_recv().is_err());
/// tx.send(1).unwrap();
/// assert_eq!(rx.await, Ok(1));
/// # });
/// ```
#[must_use = "futures do nothing unless they are awaited"]
pub struct OneReceiver<T> {
    /// None once the value was taken or the end seen.
    end: Option<End<T>>,
    /// Where the channel was made.
    at: &'static Location<'static>,
}

impl<T> OneReceiver<T> {
    /// Receives the value if it is there at this moment.
    ///
    /// # Errors
    ///
    /// [`Empty`](TryRecvError::Empty) if it may still come; [`Closed`](TryRecvError::Closed) if it will not, or was
    /// received before.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_sync::chan::{TryRecvError, oneshot};
    ///
    /// let (tx, mut rx) = oneshot();
    /// assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    /// tx.send(1).unwrap();
    /// assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(1), Err(TryRecvError::Closed)));
    /// ```
    #[inline]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let end = self.end.as_ref().ok_or(TryRecvError::Closed)?;
        let received = match end.look() {
            Found::Nothing => return Err(TryRecvError::Empty),
            // SAFETY: it is the receiver's end, and is let go below.
            Found::Value => Ok(unsafe { end.take() }),
            Found::End => Err(TryRecvError::Closed),
        };
        // SAFETY: it is the receiver's end, and is forgotten.
        let (_, waker) = unsafe { end.release_receiver(true) };
        self.end = None;
        wake(waker);
        received
    }

    /// Waits for the value, blocking the thread: for plain threads, and for code that is not async.
    ///
    /// # Errors
    ///
    /// [`Closed`] if the sender was dropped without sending, or the value was received before.
    ///
    /// # Examples
    ///
    /// ```
    /// let (tx, rx) = gorust_sync::chan::oneshot();
    /// let thread = std::thread::spawn(move || rx.recv_blocking());
    /// tx.send(7).unwrap();
    /// assert_eq!(thread.join().unwrap(), Ok(7));
    /// ```
    pub fn recv_blocking(mut self) -> Result<T, Closed> {
        match self.try_recv() {
            Ok(value) => Ok(value),
            Err(TryRecvError::Closed) => Err(Closed),
            Err(TryRecvError::Empty) => block_on(self),
        }
    }
}

impl<T> Future for OneReceiver<T> {
    type Output = Result<T, Closed>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, Closed>> {
        ready!(current::poll_proceed(cx));
        let end = self.end.as_ref().expect("a oneshot was polled after it had completed");
        if end.poll_sender_done(cx.waker()).is_pending() {
            current::waits(Reason::ChanReceive, self.at);
            return Poll::Pending;
        }
        Poll::Ready(self.try_recv().map_err(|_| Closed))
    }
}

// SAFETY: an event: what was sent, or will not be, stays so until this receiver takes it.
unsafe impl<T> Leaf for OneReceiver<T> {
    #[inline]
    fn glance(&self) -> Glance {
        let is_ready = self.end.as_ref().is_some_and(|end| !matches!(end.look(), Found::Nothing));
        Glance { is_ready, version: 0 }
    }

    fn arm(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        if let Some(end) = &self.end {
            // That it is there meanwhile is seen at the next glance.
            let _ = end.poll_sender_done(cx.waker());
        }
    }
}

impl<T> Native for OneReceiver<T> {
    fn prepare(self: Pin<&mut Self>) -> bool {
        assert!(self.end.is_some(), "a oneshot was polled after it had completed");
        true
    }

    fn output(mut self: Pin<&mut Self>) -> Result<T, Closed> {
        self.try_recv().map_err(|_| Closed)
    }
}

impl<T> FusedFuture for OneReceiver<T> {
    fn is_terminated(&self) -> bool {
        self.end.is_none()
    }
}

impl<T> Drop for OneReceiver<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            // SAFETY: it is the receiver's end, and is taken out of here.
            let (value, waker) = unsafe { end.release_receiver(false) };
            wake(waker);
            drop(value);
        }
    }
}

impl<T> fmt::Debug for OneReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneReceiver").field("is_done", &self.end.is_none()).finish()
    }
}

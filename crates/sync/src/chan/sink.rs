//! A sender as a sink: it takes a value when asked to and sends it when flushed.

use super::{
    Sender,
    core::{Chan, Parked, Sent, wake},
    error::SendError,
};
use futures_sink::Sink;
use gorust_primitives::{
    current::{self, Reason},
    wait_list::{State, Waiter, keep_waiting},
};
use std::{
    fmt,
    panic::Location,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// A [`Sink`] over a channel; made by [`Sender::into_sink`].
///
/// A value that can be sent at once is sent when it is taken. Its error gives back what was not sent. Closing the
/// sink flushes it and gives up its sender, so the channel closes if that was the last one.
///
/// # Examples
///
/// ```
/// # use std::{future::poll_fn, pin::Pin};
/// # use futures_sink::Sink;
/// # use gorust_sync::chan::{SendError, chan};
/// # gorust_scheduler::block_on(async {
/// let (tx, rx) = chan(1);
/// let mut sink = tx.into_sink();
/// drop(rx);
/// assert_eq!(Pin::new(&mut sink).start_send("letter"), Err(SendError("letter")));
/// # });
/// ```
#[must_use = "sinks do nothing unless they are polled"]
pub struct SendSink<T> {
    /// None once it is closed.
    sender: Option<Sender<T>>,
    at: &'static Location<'static>,
    /// The value that waits to be sent, in its place in the queue. On the heap, so that a sink may be moved while it
    /// waits; made when it first waits.
    parked: Option<Pin<Box<Waiter<Parked<T>>>>>,
}

impl<T> SendSink<T> {
    pub(super) fn new(sender: Sender<T>, at: &'static Location<'static>) -> Self {
        Self { sender: Some(sender), at, parked: None }
    }

    /// Returns the sender, unless the sink is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// let (tx, _rx) = gorust_sync::chan::<u32>(2);
    /// assert!(tx.into_sink().as_sender().is_some());
    /// ```
    pub fn as_sender(&self) -> Option<&Sender<T>> {
        self.sender.as_ref()
    }

    /// Sends what was taken.
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        let (Some(sender), Some(parked)) = (&self.sender, &self.parked) else { return Poll::Ready(Ok(())) };
        let parked = parked.as_ref();
        let sent = match parked.state() {
            State::Idle => {
                // SAFETY: the waiter is ours, and not queued, or `payload` would panic.
                if unsafe { parked.payload().with_value(|value| value.is_none()) } {
                    return Poll::Ready(Ok(()));
                }
                ready!(current::poll_proceed(cx));
                parked.set_waker(cx.waker());
                send_or_park(&sender.chan, parked)
            }
            State::Queued => {
                ready!(current::poll_proceed(cx));
                // SAFETY: the waiter is queued in this channel or not at all.
                let state = unsafe {
                    keep_waiting(|| sender.chan.raw_lock(), |core| &mut core.senders, parked, cx.waker())
                };
                if state == State::Queued { Poll::Pending } else { Poll::Ready(()) }
            }
            State::Granted | State::Closed => Poll::Ready(()),
        };
        if sent.is_pending() {
            current::waits(Reason::ChanSend, self.at);
            return Poll::Pending;
        }
        parked.reset();
        // A closed channel takes no value, an open one has.
        // SAFETY: as above.
        let left = unsafe { parked.payload().with_value(Option::take) };
        Poll::Ready(left.map_or(Ok(()), |value| Err(SendError(value))))
    }
}

/// Sends the value in `waiter`, or lets it wait. Ready if it need not wait; the value is then gone, unless the
/// channel is closed.
fn send_or_park<T>(chan: &Chan<T>, waiter: Pin<&Waiter<Parked<T>>>) -> Poll<()> {
    let mut locked = chan.lock();
    // SAFETY: the waiter is ours and not queued.
    let (outcome, waker) = match unsafe { waiter.payload().with_value(|value| locked.send(value)) } {
        Sent::Done(waker) => (Poll::Ready(()), waker),
        Sent::Closed => (Poll::Ready(()), None),
        Sent::Full => {
            // SAFETY: the waiter is pinned and not queued, no reference to its payload is left, and `SendSink::drop`
            // takes it out before it is dropped.
            (Poll::Pending, unsafe { locked.park_sender(waiter) })
        }
    };
    drop(locked);
    wake(waker);
    outcome
}

impl<T> Sink<T> for SendSink<T> {
    type Error = SendError<T>;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        self.poll_sent(cx)
    }

    /// # Panics
    ///
    /// If the sink was not ready: it holds a value that was not sent.
    fn start_send(mut self: Pin<&mut Self>, item: T) -> Result<(), SendError<T>> {
        let this = &mut *self;
        let Some(sender) = &this.sender else { return Err(SendError(item)) };
        let mut item = Some(item);
        if let Some(parked) = &this.parked {
            // SAFETY: the waiter is ours, and not queued, or `payload` would panic.
            let is_free = unsafe { parked.payload().with_value(|value| value.is_none()) };
            assert!(is_free, "start_send on a sink that was not ready");
        }
        let sent = sender.chan.lock().send(&mut item);
        match (sent, item) {
            (Sent::Done(waker), _) => wake(waker),
            (Sent::Closed, Some(item)) => return Err(SendError(item)),
            (Sent::Full, item @ Some(_)) => {
                let parked = this.parked.get_or_insert_with(|| Box::pin(Waiter::new(Parked::new(None))));
                // SAFETY: the waiter is ours and not queued.
                unsafe { parked.payload().with_value(|value| *value = item) };
            }
            (Sent::Full | Sent::Closed, None) => unreachable!("a value is taken only when it is sent"),
        }
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        self.poll_sent(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        let flushed = ready!(self.poll_sent(cx));
        self.sender = None;
        Poll::Ready(flushed)
    }
}

impl<T> Drop for SendSink<T> {
    fn drop(&mut self) {
        let (Some(sender), Some(parked)) = (&self.sender, &self.parked) else { return };
        if parked.state() == State::Queued {
            // SAFETY: the waiter is in this queue or in none.
            unsafe { sender.chan.lock().core().senders.remove(parked.as_ref()) };
        }
    }
}

impl<T> fmt::Debug for SendSink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendSink").field("sender", &self.sender).finish_non_exhaustive()
    }
}

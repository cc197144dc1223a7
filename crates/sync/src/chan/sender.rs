//! The sending handle.

use super::{
    Send, SendFrom, SendSink, SendTimeout, UntilClosed,
    core::{self, Chan, Sent, count_down, count_up},
    error::{SendError, TrySendError},
};
use gorust_scheduler::block_on;
use std::{fmt, panic::Location, sync::Arc, time::Duration};

/// The side of a channel that sends and closes.
///
/// A clone sends into the same channel. When the last sender goes, the channel closes by itself.
///
/// # Examples
///
/// ```
/// let (tx, rx) = gorust_sync::chan(1);
/// let other = tx.clone();
/// drop(tx);
/// other.send_blocking(1).unwrap();
/// drop(other);
/// assert_eq!((rx.recv_blocking(), rx.recv_blocking()), (Some(1), None));
/// ```
pub struct Sender<T> {
    pub(super) chan: Arc<Chan<T>>,
}

impl<T> Sender<T> {
    /// Sends a value: to the receiver that has waited longest, or into the buffer; waits while there is
    /// neither.
    ///
    /// In a channel of capacity 0 it completes when a receiver has the value.
    ///
    /// # Errors
    ///
    /// [`SendError`] gives the value back if the channel is closed, or closes while the sender waits, or if
    /// no receiver is left.
    ///
    /// # Cancel safety
    ///
    /// *Loses its place* in the queue, and the value goes with the future, sent or dropped;
    /// [`send_from`](Self::send_from) leaves it with the caller instead. Dropped before the first poll:
    /// nothing has happened. Dropped after a receiver took the value: it is sent.
    ///
    /// # Fairness
    ///
    /// Senders wait in the order they came, and nobody overtakes: a receiver takes the value of the first in
    /// line.
    ///
    /// # Go
    ///
    /// `ch <- v`. Go panics when the channel is closed, and waits for ever when nobody is left to receive.
    ///
    /// # Examples
    ///
    /// ```
    /// # gorust_scheduler::block_on(async {
    /// let (tx, rx) = gorust_sync::chan(1);
    /// tx.send(1).await.unwrap();
    /// assert_eq!(rx.recv().await, Some(1));
    /// drop(rx);
    /// assert_eq!(tx.send(2).await.unwrap_err().into_inner(), 2);
    /// # });
    /// ```
    #[inline]
    #[track_caller]
    pub fn send(&self, value: T) -> Send<'_, T> {
        Send::new(&self.chan, value, Location::caller())
    }

    /// Sends the value in `slot`, and takes it out of there only if it was sent.
    ///
    /// # Errors
    ///
    /// [`Closed`](super::Closed) if the channel is or becomes closed; the value is in `slot`.
    ///
    /// # Panics
    ///
    /// If `slot` is empty.
    ///
    /// # Cancel safety
    ///
    /// *Loses its place* in the queue. Dropped before the first poll or while it waits: the value is in
    /// `slot`. Dropped after a receiver took the value: `slot` is empty.
    ///
    /// # Examples
    ///
    /// A timeout wins, and the value is still there:
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use gorust_reactor::time::timeout;
    /// # gorust_scheduler::block_on(async {
    /// let (tx, _rx) = gorust_sync::chan(0);
    /// let mut letter = Some("letter");
    /// timeout(Duration::from_millis(1), tx.send_from(&mut letter)).await.unwrap_err();
    /// assert_eq!(letter, Some("letter"));
    /// # });
    /// ```
    #[track_caller]
    pub fn send_from<'a>(&'a self, slot: &'a mut Option<T>) -> SendFrom<'a, T> {
        assert!(slot.is_some(), "send_from: there is nothing to send");
        SendFrom::new(&self.chan, slot, Location::caller())
    }

    /// Sends a value, and gives up after `duration`, counted from this call.
    ///
    /// It sends first and looks at the time only if it has to wait.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError`](super::SendTimeoutError) gives the value back: the time was up, or the channel is or
    /// becomes closed.
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send): the value goes with the future.
    ///
    /// # Go
    ///
    /// `select { case ch <- v: case <-time.After(d): }`
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # gorust_scheduler::block_on(async {
    /// let (tx, _rx) = gorust_sync::chan(1);
    /// tx.send_timeout("first", Duration::from_millis(1)).await.unwrap();
    /// let late = tx.send_timeout("second", Duration::from_millis(1)).await.unwrap_err();
    /// assert!(late.is_timeout());
    /// assert_eq!(late.into_inner(), "second");
    /// # });
    /// ```
    #[track_caller]
    pub fn send_timeout(&self, value: T, duration: Duration) -> SendTimeout<'_, T> {
        SendTimeout::new(&self.chan, value, duration)
    }

    /// Sends a value if that can be done at this moment.
    ///
    /// # Errors
    ///
    /// [`TrySendError`] gives the value back and says what was in the way. In a channel of capacity 0 that is
    /// [`Full`](TrySendError::Full) unless a receiver waits in [`recv`](super::Receiver::recv); one that
    /// waits in a [`stream`](super::Receiver::stream) does not count, it only takes from senders that wait.
    ///
    /// # Go
    ///
    /// `select { case ch <- v: default: }`
    ///
    /// # Examples
    ///
    /// ```
    /// let (tx, _rx) = gorust_sync::chan(1);
    /// assert!(tx.try_send(1).is_ok());
    /// assert!(tx.try_send(2).unwrap_err().is_full());
    /// ```
    #[inline]
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        if !self.chan.outlook().is_sendable() {
            return Err(TrySendError::Full(value));
        }
        let mut slot = Some(value);
        let sent = self.chan.lock().send(&mut slot);
        match (sent, slot) {
            (Sent::Full, Some(value)) => Err(TrySendError::Full(value)),
            (Sent::Closed, Some(value)) => Err(TrySendError::Closed(value)),
            (Sent::Done(waker), _) => {
                core::wake(waker);
                Ok(())
            }
            (Sent::Full | Sent::Closed, None) => unreachable!("a value is taken only when it is sent"),
        }
    }

    /// Sends a value, blocking the thread while it waits: for plain threads, and for code that is not async.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// let (tx, rx) = gorust_sync::chan(0);
    /// let thread = std::thread::spawn(move || tx.send_blocking("from a thread"));
    /// assert_eq!(rx.recv_blocking(), Some("from a thread"));
    /// thread.join().unwrap().unwrap();
    /// ```
    #[track_caller]
    pub fn send_blocking(&self, value: T) -> Result<(), SendError<T>> {
        match self.try_send(value) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(value)) => block_on(self.send(value)),
            Err(TrySendError::Closed(value)) => Err(SendError(value)),
        }
    }

    /// Turns the sender into a [`Sink`](futures_sink::Sink), which takes one value at a time and waits when it is
    /// flushed. One allocation, if it ever waits.
    ///
    /// # Cancel safety
    ///
    /// *Strict*: what the sink has taken stays with it, and is sent when it is flushed again. Dropped, the sink
    /// drops a value it has not sent.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::{future::poll_fn, pin::Pin};
    /// # use futures_sink::Sink;
    /// # gorust_scheduler::block_on(async {
    /// let (tx, rx) = gorust_sync::chan(1);
    /// let mut sink = tx.into_sink();
    /// // `sink.send("a").await` with futures' `SinkExt`.
    /// Pin::new(&mut sink).start_send("a").unwrap();
    /// poll_fn(|cx| Pin::new(&mut sink).poll_close(cx)).await.unwrap();
    /// assert_eq!((rx.recv().await, rx.recv().await), (Some("a"), None));
    /// # });
    /// ```
    #[track_caller]
    pub fn into_sink(self) -> SendSink<T> {
        SendSink::new(self, Location::caller())
    }

    /// Closes the channel. Values in it can still be received; those who wait to send get theirs back.
    ///
    /// Returns `false` if it was closed already, by a call or because no receiver is left.
    ///
    /// # Go
    ///
    /// `close(ch)`. Go panics the second time.
    ///
    /// # Examples
    ///
    /// ```
    /// let (tx, rx) = gorust_sync::chan(1);
    /// tx.send_blocking(1).unwrap();
    /// assert!(tx.close() && !tx.close());
    /// assert_eq!((rx.recv_blocking(), rx.recv_blocking()), (Some(1), None));
    /// ```
    pub fn close(&self) -> bool {
        self.chan.close()
    }

    /// Returns whether sending fails for good: the channel is closed, or no receiver is left.
    ///
    /// # Examples
    ///
    /// ```
    /// let (tx, rx) = gorust_sync::chan::<u32>(1);
    /// assert!(!tx.is_closed());
    /// drop(rx);
    /// assert!(tx.is_closed());
    /// ```
    pub fn is_closed(&self) -> bool {
        self.chan.outlook().is_closed()
    }

    /// Waits until sending fails for good: the channel is closed, or no receiver is left.
    ///
    /// # Cancel safety
    ///
    /// *Strict.*
    ///
    /// # Examples
    ///
    /// ```
    /// # gorust_scheduler::block_on(async {
    /// let (tx, rx) = gorust_sync::chan::<u32>(1);
    /// drop(rx);
    /// tx.closed().await;
    /// # });
    /// ```
    #[track_caller]
    pub fn closed(&self) -> UntilClosed<'_, T> {
        UntilClosed::new(&self.chan, Location::caller())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        count_up(&self.chan.senders);
        Self { chan: Arc::clone(&self.chan) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if count_down(&self.chan.senders) {
            self.chan.close();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chan.describe(f.debug_struct("Sender"))
    }
}

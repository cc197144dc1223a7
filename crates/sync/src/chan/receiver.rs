//! The receiving handle.

use super::{
    IntoStream, Recv, RecvMany, RecvStream,
    core::{self, Chan, count_down, count_up},
    error::TryRecvError,
};
use gorust_scheduler::block_on;
use std::{fmt, panic::Location, sync::Arc};

/// The side of a channel that receives.
///
/// A clone receives from the same channel: each value goes to one of them. When the last receiver goes, the
/// channel closes, what is in it is dropped, and those who wait to send get their values back. There is no
/// method to close it from this side.
///
/// # Examples
///
/// ```
/// let (tx, rx) = gorust_sync::chan(2);
/// let other = rx.clone();
/// tx.send_blocking(1).unwrap();
/// tx.send_blocking(2).unwrap();
/// assert_eq!((rx.recv_blocking(), other.recv_blocking()), (Some(1), Some(2)));
/// ```
pub struct Receiver<T> {
    pub(super) chan: Arc<Chan<T>>,
}

impl<T> Receiver<T> {
    /// Receives the oldest value, and waits while there is none; `None` when the channel is closed and empty.
    ///
    /// # Cancel safety
    ///
    /// *Loses its place* in the queue, and no value: dropped before the first poll, nothing has happened;
    /// dropped after a value was granted to it, the value goes to the next receiver in line or, if there is
    /// none, waits ahead of all others for the next one who comes. With the last receiver it is dropped, as
    /// everything in the channel is, although its sender was told that it is sent.
    ///
    /// # Fairness
    ///
    /// Receivers are served in the order they came. A value is granted to the first in line at the moment it
    /// is sent; nobody can take it from there. Those who wait in a [`stream`](Self::stream) get what these
    /// leave.
    ///
    /// # Go
    ///
    /// `v, ok := <-ch`, and `while let Some(v) = rx.recv().await` is `for v := range ch`.
    ///
    /// # Examples
    ///
    /// ```
    /// # gorust_scheduler::block_on(async {
    /// let (tx, rx) = gorust_sync::chan(2);
    /// tx.send(1).await.unwrap();
    /// drop(tx);
    /// assert_eq!(rx.recv().await, Some(1));
    /// assert_eq!(rx.recv().await, None);
    /// # });
    /// ```
    #[inline]
    #[track_caller]
    pub fn recv(&self) -> Recv<'_, T> {
        Recv::new(&self.chan, Location::caller())
    }

    /// Receives up to `max` values at once onto the end of `values`: waits for the first, and takes with it
    /// what else is there. Returns how many; 0 when the channel is closed and empty, or `max` is 0.
    ///
    /// # Cancel safety
    ///
    /// As [`recv`](Self::recv): *loses its place*, and no value. Until it completes, `values` is as it was.
    ///
    /// # Examples
    ///
    /// ```
    /// # gorust_scheduler::block_on(async {
    /// let (tx, rx) = gorust_sync::chan(3);
    /// for n in 1..=3 {
    ///     tx.send(n).await.unwrap();
    /// }
    /// let mut values = Vec::new();
    /// assert_eq!(rx.recv_many(&mut values, 2).await, 2);
    /// assert_eq!(values, [1, 2]);
    /// # });
    /// ```
    #[track_caller]
    pub fn recv_many<'a>(&'a self, values: &'a mut Vec<T>, max: usize) -> RecvMany<'a, T> {
        RecvMany::new(self.recv(), values, max)
    }

    /// Receives the oldest value if there is one at this moment.
    ///
    /// # Errors
    ///
    /// [`Empty`](TryRecvError::Empty) if a value may still come; [`Closed`](TryRecvError::Closed) if the
    /// channel is closed and empty.
    ///
    /// # Go
    ///
    /// `select { case v, ok := <-ch: default: }`
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_sync::chan::TryRecvError;
    ///
    /// let (tx, rx) = gorust_sync::chan(1);
    /// assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    /// tx.try_send(1).unwrap();
    /// assert_eq!(rx.try_recv(), Ok(1));
    /// ```
    #[inline]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        if !self.chan.outlook().is_receivable() {
            return Err(TryRecvError::Empty);
        }
        let mut locked = self.chan.lock();
        let Some((value, waker)) = locked.recv() else {
            return Err(if locked.is_closed() { TryRecvError::Closed } else { TryRecvError::Empty });
        };
        drop(locked);
        core::wake(waker);
        Ok(value)
    }

    /// Receives the oldest value, blocking the thread while there is none: for plain threads, and for code
    /// that is not async. `None` when the channel is closed and empty.
    ///
    /// # Examples
    ///
    /// ```
    /// let (tx, rx) = gorust_sync::chan(1);
    /// let thread = std::thread::spawn(move || rx.recv_blocking());
    /// tx.send_blocking(7).unwrap();
    /// assert_eq!(thread.join().unwrap(), Some(7));
    /// ```
    #[track_caller]
    pub fn recv_blocking(&self) -> Option<T> {
        match self.try_recv() {
            Ok(value) => Some(value),
            Err(TryRecvError::Closed) => None,
            Err(TryRecvError::Empty) => block_on(self.recv()),
        }
    }

    /// Returns an iterator over the values that blocks the thread while there is none, and ends when the channel
    /// is closed and empty: for plain threads, and for code that is not async.
    ///
    /// # Go
    ///
    /// `for v := range ch`, outside a goroutine.
    ///
    /// # Examples
    ///
    /// ```
    /// let (tx, rx) = gorust_sync::chan(0);
    /// let thread = std::thread::spawn(move || (1..=3).for_each(|n| tx.send_blocking(n).unwrap()));
    /// assert_eq!(rx.iter_blocking().sum::<u32>(), 6);
    /// thread.join().unwrap();
    /// ```
    pub fn iter_blocking(&self) -> IterBlocking<'_, T> {
        IterBlocking { receiver: self }
    }

    /// Returns the values as a [`Stream`](futures_core::Stream) that borrows the receiver and ends when the
    /// channel is closed and empty.
    ///
    /// A stream pulls: it is woken when there is something to receive and takes it when it is polled. So
    /// nothing is kept in a stream that lost a race and is not polled again soon; but another receiver may be
    /// quicker. One allocation, if it ever waits.
    ///
    /// # Cancel safety
    ///
    /// *Strict.* A stream that was woken and is dropped wakes the next.
    ///
    /// # Fairness
    ///
    /// Receivers that wait in [`recv`](Self::recv) come first. Streams are woken one a value, in the order
    /// they began to wait.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::{future::poll_fn, pin::Pin};
    /// # use futures_core::Stream;
    /// # gorust_scheduler::block_on(async {
    /// let (tx, rx) = gorust_sync::chan(2);
    /// tx.send("a").await.unwrap();
    /// let mut stream = rx.stream();
    /// // `stream.next().await` with futures' `StreamExt`.
    /// assert_eq!(poll_fn(|cx| Pin::new(&mut stream).poll_next(cx)).await, Some("a"));
    /// # });
    /// ```
    #[track_caller]
    pub fn stream(&self) -> RecvStream<'_, T> {
        RecvStream::new(&self.chan, Location::caller())
    }

    /// Turns the receiver into a [`Stream`](futures_core::Stream), as [`stream`](Self::stream).
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::{future::poll_fn, pin::Pin};
    /// # use futures_core::Stream;
    /// # gorust_scheduler::block_on(async {
    /// let (tx, rx) = gorust_sync::chan::<u32>(2);
    /// drop(tx);
    /// let mut stream = rx.into_stream();
    /// assert_eq!(poll_fn(|cx| Pin::new(&mut stream).poll_next(cx)).await, None);
    /// # });
    /// ```
    #[track_caller]
    pub fn into_stream(self) -> IntoStream<T> {
        IntoStream::new(self, Location::caller())
    }

    /// Returns whether nothing will be sent any more. What is in the channel can still be received.
    ///
    /// # Examples
    ///
    /// ```
    /// let (tx, rx) = gorust_sync::chan::<u32>(1);
    /// assert!(!rx.is_closed());
    /// tx.close();
    /// assert!(rx.is_closed());
    /// ```
    pub fn is_closed(&self) -> bool {
        self.chan.outlook().is_closed()
    }
}

/// The values of a channel, received on a thread that blocks; made by [`Receiver::iter_blocking`].
#[must_use = "iterators do nothing unless they are used"]
pub struct IterBlocking<'a, T> {
    receiver: &'a Receiver<T>,
}

impl<T> Iterator for IterBlocking<'_, T> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<T> {
        self.receiver.recv_blocking()
    }
}

impl<T> fmt::Debug for IterBlocking<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IterBlocking").field("receiver", self.receiver).finish()
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        count_up(&self.chan.receivers);
        Self { chan: Arc::clone(&self.chan) }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if count_down(&self.chan.receivers) {
            self.chan.hang_up();
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chan.describe(f.debug_struct("Receiver"))
    }
}

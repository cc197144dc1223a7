//! Streams over a channel: pull mode. A stream is told that there is something to receive and then looks, so
//! a value never lies in a stream that nobody polls.

use super::{
    Receiver,
    core::{Chan, wake},
};
use futures_core::stream::{FusedStream, Stream};
use gorust_primitives::{
    current::{self, Reason},
    shim::mutant,
    wait_list::{State, Waiter, keep_waiting},
};
use std::{
    fmt,
    panic::Location,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// What a stream keeps between two polls.
pub(super) struct Pull {
    at: &'static Location<'static>,
    is_done: bool,
    /// On the heap, so that a stream may be moved while it waits. Made when it first waits.
    waiter: Option<Pin<Box<Waiter>>>,
}

impl Pull {
    pub(super) fn new(at: &'static Location<'static>) -> Self {
        Self { at, is_done: false, waiter: None }
    }

    fn poll_next<T>(&mut self, chan: &Chan<T>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if self.is_done {
            return Poll::Ready(None);
        }
        ready!(current::poll_proceed(cx));
        loop {
            if let Some(item) = self.look(chan) {
                self.is_done = item.is_none();
                return Poll::Ready(item);
            }
            if self.wait(chan, cx) {
                current::waits(Reason::ChanReceive, self.at);
                return Poll::Pending;
            }
        }
    }

    /// Receives if there is something: a value, or the end.
    fn look<T>(&self, chan: &Chan<T>) -> Option<Option<T>> {
        if !chan.outlook().is_receivable() {
            return None;
        }
        let mut locked = chan.lock();
        let received = locked.recv();
        if received.is_none() && !locked.is_closed() {
            return None;
        }
        if let Some(waiter) = &self.waiter {
            // SAFETY: the waiter is in this queue or in none.
            unsafe { locked.core().streams.remove(waiter.as_ref()) };
            // What it was told of has been seen: `leave` has nothing to pass on.
            waiter.reset();
        }
        drop(locked);
        let (value, waker) = received.unzip();
        wake(waker.flatten());
        Some(value)
    }

    /// Sees to it that the stream is in the queue. Returns `false` if there may be something to receive by
    /// now.
    fn wait<T>(&mut self, chan: &Chan<T>, cx: &mut Context<'_>) -> bool {
        let waiter = self.waiter.get_or_insert_with(|| Box::pin(Waiter::new(())));
        if waiter.state() == State::Queued {
            // SAFETY: the waiter is queued in this channel or not at all.
            let state = unsafe {
                keep_waiting(|| chan.raw_lock(), |core| &mut core.streams, waiter.as_ref(), cx.waker())
            };
            return state == State::Queued;
        }
        waiter.set_waker(cx.waker());
        let mut locked = chan.lock();
        // A sender whose select is just looking cannot be won. It tells a stream before it waits again.
        let waits = !locked.is_closed() && !locked.core().has_something();
        if waits {
            locked.core().pass_senders_by();
            // SAFETY: the waiter is pinned and not queued, and `leave` takes it out before it is dropped.
            unsafe { locked.core().streams.push_back(waiter.as_ref()) };
        }
        waits
    }

    /// Leaves the queue; if it was told of a value it will not look at, the next stream is told.
    fn leave<T>(&mut self, chan: &Chan<T>) {
        let Some(waiter) = self.waiter.take() else { return };
        let mut next = None;
        if waiter.state() == State::Queued {
            // SAFETY: the waiter is in this queue or in none.
            unsafe { chan.lock().core().streams.remove(waiter.as_ref()) };
        }
        if waiter.state() == State::Granted && !mutant("chan.stream_word_lost") {
            next = chan.lock().next_stream();
        }
        wake(next);
    }
}

/// The values of a channel as a [`Stream`]; made by [`Receiver::stream`](super::Receiver::stream).
#[must_use = "streams do nothing unless they are polled"]
pub struct RecvStream<'a, T> {
    chan: &'a Chan<T>,
    pull: Pull,
}

impl<'a, T> RecvStream<'a, T> {
    pub(super) fn new(chan: &'a Chan<T>, at: &'static Location<'static>) -> Self {
        Self { chan, pull: Pull::new(at) }
    }
}

impl<T> Stream for RecvStream<'_, T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let chan = self.chan;
        self.pull.poll_next(chan, cx)
    }
}

impl<T> FusedStream for RecvStream<'_, T> {
    fn is_terminated(&self) -> bool {
        self.pull.is_done
    }
}

impl<T> Drop for RecvStream<'_, T> {
    fn drop(&mut self) {
        self.pull.leave(self.chan);
    }
}

impl<T> fmt::Debug for RecvStream<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvStream").field("is_done", &self.pull.is_done).finish_non_exhaustive()
    }
}

/// The values of a channel as a [`Stream`] that owns its receiver; made by
/// [`Receiver::into_stream`](super::Receiver::into_stream).
#[must_use = "streams do nothing unless they are polled"]
pub struct IntoStream<T> {
    // Subtle: the waiter leaves the queue in `drop`, before the receiver goes with the fields.
    receiver: Receiver<T>,
    pull: Pull,
}

impl<T> IntoStream<T> {
    pub(super) fn new(receiver: Receiver<T>, at: &'static Location<'static>) -> Self {
        Self { receiver, pull: Pull::new(at) }
    }

    /// Returns the receiver.
    ///
    /// # Examples
    ///
    /// ```
    /// let (_tx, rx) = gorust_sync::chan::<u32>(2);
    /// assert_eq!(rx.into_stream().as_receiver().capacity(), Some(2));
    /// ```
    pub fn as_receiver(&self) -> &Receiver<T> {
        &self.receiver
    }
}

impl<T> Stream for IntoStream<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = self.get_mut();
        this.pull.poll_next(&this.receiver.chan, cx)
    }
}

impl<T> FusedStream for IntoStream<T> {
    fn is_terminated(&self) -> bool {
        self.pull.is_done
    }
}

impl<T> Drop for IntoStream<T> {
    fn drop(&mut self) {
        self.pull.leave(&self.receiver.chan);
    }
}

impl<T> fmt::Debug for IntoStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoStream").field("receiver", &self.receiver).finish_non_exhaustive()
    }
}

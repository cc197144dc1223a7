//! Receiving: the futures that `recv` and `recv_many` return.

use super::core::{Chan, Locked, Parked, VALUES_PER_LOCK, wake};
use futures_core::future::FusedFuture;
use gorust_primitives::{
    current::{self, Reason},
    shim::mutant,
    wait_list::{State, Waiter, Wakers, keep_waiting},
};
use pin_project_lite::pin_project;
use std::{
    fmt,
    future::Future,
    panic::Location,
    pin::Pin,
    task::{Context, Poll, ready},
};

pin_project! {
    /// The future of [`Receiver::recv`](super::Receiver::recv).
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct Recv<'a, T> {
        pub(super) chan: &'a Chan<T>,
        at: &'static Location<'static>,
        pub(super) is_done: bool,
        // A sender puts the value in here, and takes the waiter out of the queue.
        #[pin]
        pub(super) waiter: Waiter<Parked<T>>,
    }

    impl<T> PinnedDrop for Recv<'_, T> {
        fn drop(this: Pin<&mut Self>) {
            this.leave();
        }
    }
}

impl<'a, T> Recv<'a, T> {
    #[inline]
    pub(super) fn new(chan: &'a Chan<T>, at: &'static Location<'static>) -> Self {
        Self { chan, at, is_done: false, waiter: Waiter::new(Parked::new(None)) }
    }

    /// Receives if there is something; else does `otherwise` under the same lock.
    #[inline]
    fn recv_or(
        self: Pin<&mut Self>,
        otherwise: impl FnOnce(Locked<'_, T>, Pin<&Waiter<Parked<T>>>) -> Poll<Option<T>>,
    ) -> Poll<Option<T>> {
        let this = self.project();
        let (value, waker) = {
            // Subtle: it ends with its scope, not by `drop`, which would move it. What was written to it in pieces a
            // moment ago would be read as a whole, and the processor waits for that.
            let mut locked = this.chan.lock();
            match locked.recv() {
                Some(received) => received,
                None if locked.is_closed() => return Poll::Ready(None),
                None => return otherwise(locked, this.waiter.as_ref()),
            }
        };
        wake(waker);
        Poll::Ready(Some(value))
    }

    /// Waits, or goes on waiting, or takes what was granted.
    #[inline(never)]
    fn wait(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let outcome = match self.waiter.state() {
            State::Idle => {
                // A waker is cloned before the lock.
                self.waiter.set_waker(cx.waker());
                let park = |mut locked: Locked<'_, T>, waiter: Pin<&_>| {
                    // SAFETY: the waiter is pinned and not queued, no reference to its payload is left, and
                    // `leave` takes it out before it is dropped.
                    unsafe { locked.park_receiver(waiter) };
                    Poll::Pending
                };
                if mutant("chan.wait_without_a_look") {
                    let this = self.as_mut().project();
                    park(this.chan.lock(), this.waiter.as_ref())
                } else {
                    self.as_mut().recv_or(park)
                }
            }
            State::Queued => self.as_mut().wait_on(cx),
            State::Granted => Poll::Ready(take_granted(self.as_mut().project().waiter)),
            State::Closed => Poll::Ready(None),
        };
        if outcome.is_pending() {
            current::waits(Reason::ChanReceive, self.at);
        }
        outcome
    }

    /// A poll while the receiver waits: by another task, or for no reason.
    fn wait_on(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut this = self.project();
        // SAFETY: the waiter is queued in this channel or not at all.
        match unsafe {
            keep_waiting(
                || this.chan.raw_lock(),
                |core| &mut core.receivers,
                this.waiter.as_ref(),
                cx.waker(),
            )
        } {
            State::Granted => Poll::Ready(take_granted(this.waiter.as_mut())),
            State::Closed => Poll::Ready(None),
            State::Idle | State::Queued => Poll::Pending,
        }
    }

    /// Leaves the queue; a value that was granted and not looked at goes to the next receiver.
    #[inline]
    fn leave(self: Pin<&mut Self>) {
        if !self.is_done && self.waiter.state() != State::Idle {
            self.leave_queue();
        }
    }

    #[inline(never)]
    fn leave_queue(self: Pin<&mut Self>) {
        let mut this = self.project();
        if this.waiter.state() == State::Queued {
            // SAFETY: the waiter is in this queue or in none.
            unsafe { this.chan.lock().core().receivers.remove(this.waiter.as_ref()) };
        }
        if this.waiter.state() == State::Granted
            && let Some(value) = take_granted(this.waiter.as_mut())
            && !mutant("chan.grant_dropped")
        {
            this.chan.give_back(value, this.waiter.payload().order());
        }
    }
}

/// The value that was granted, unless it was taken before.
#[inline]
fn take_granted<T>(waiter: Pin<&mut Waiter<Parked<T>>>) -> Option<T> {
    // SAFETY: the waiter is ours, and not queued, or `payload` would panic.
    unsafe { waiter.as_ref().get_ref().payload().with_value(Option::take) }
}

impl<T> Future for Recv<'_, T> {
    type Output = Option<T>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        assert!(!self.is_done, "a receive was polled after it had completed");
        ready!(current::poll_proceed(cx));
        let mut outcome = Poll::Pending;
        if self.waiter.state() == State::Idle && self.chan.outlook().is_receivable() {
            // It looks as if it need not wait, and so without a waker.
            outcome = self.as_mut().recv_or(|_, _| Poll::Pending);
        }
        if outcome.is_pending() {
            outcome = self.as_mut().wait(cx);
        }
        *self.project().is_done = outcome.is_ready();
        outcome
    }
}

impl<T> FusedFuture for Recv<'_, T> {
    fn is_terminated(&self) -> bool {
        self.is_done
    }
}

impl<T> fmt::Debug for Recv<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recv").field("waiter", &self.waiter.state()).finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`Receiver::recv_many`](super::Receiver::recv_many).
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct RecvMany<'a, T> {
        values: &'a mut Vec<T>,
        max: usize,
        #[pin]
        first: Recv<'a, T>,
    }
}

impl<'a, T> RecvMany<'a, T> {
    pub(super) fn new(first: Recv<'a, T>, values: &'a mut Vec<T>, max: usize) -> Self {
        Self { values, max, first }
    }
}

impl<T> Future for RecvMany<'_, T> {
    type Output = usize;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        let this = self.project();
        if *this.max == 0 {
            return Poll::Ready(0);
        }
        let chan = this.first.chan;
        let Some(first) = ready!(this.first.poll(cx)) else { return Poll::Ready(0) };
        let before = this.values.len();
        this.values.push(first);
        chan.recv_into(this.values, *this.max - 1);
        Poll::Ready(this.values.len() - before)
    }
}

impl<T> Chan<T> {
    /// Receives what is there now, at most `max` values. A sender that keeps pace does not make it endless.
    fn recv_into(&self, values: &mut Vec<T>, max: usize) {
        let mut wakers = Wakers::new();
        // Room is made before the lock: for what is in the buffer, and a few senders that wait behind it.
        let max = max.min(self.len().saturating_add(Wakers::CAPACITY));
        values.reserve(max);
        let end = values.len() + max;
        loop {
            let mut left = VALUES_PER_LOCK;
            let mut is_last = false;
            {
                let mut locked = self.lock();
                while left > 0 && !wakers.is_full() && !locked.has_errand() {
                    let received = if values.len() < end { locked.recv() } else { None };
                    let Some((value, waker)) = received else {
                        is_last = true;
                        break;
                    };
                    left -= 1;
                    values.push(value);
                    waker.into_iter().for_each(|waker| wakers.push(waker));
                }
            }
            wakers.wake();
            if is_last {
                return;
            }
        }
    }
}

impl<T> FusedFuture for RecvMany<'_, T> {
    fn is_terminated(&self) -> bool {
        self.first.is_done
    }
}

impl<T> fmt::Debug for RecvMany<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvMany").field("max", &self.max).finish_non_exhaustive()
    }
}

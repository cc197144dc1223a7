//! Sending: the futures that `send` and `send_from` return.

use super::{
    core::{Chan, Locked, Parked, Sent, wake},
    error::{Closed, SendError},
};
use futures_core::future::FusedFuture;
use gorust_primitives::{
    current::{self, Reason},
    wait_list::{State, Waiter, keep_waiting},
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
    /// The steps that both kinds of sending share. The value lies in the waiter, where a receiver finds it.
    pub(super) struct Sending<'a, T> {
        pub(super) chan: &'a Chan<T>,
        at: &'static Location<'static>,
        pub(super) is_done: bool,
        #[pin]
        pub(super) waiter: Waiter<Parked<T>>,
    }

    impl<T> PinnedDrop for Sending<'_, T> {
        fn drop(this: Pin<&mut Self>) {
            this.leave();
        }
    }
}

impl<'a, T> Sending<'a, T> {
    pub(super) fn new(chan: &'a Chan<T>, value: Option<T>, at: &'static Location<'static>) -> Self {
        Self { chan, at, is_done: false, waiter: Waiter::new(Parked::new(value)) }
    }

    /// Calls `f` with the value, which is there until it is committed.
    ///
    /// # Panics
    ///
    /// If the sender waits: the value then lies under the lock.
    pub(super) fn with_value<R>(self: Pin<&mut Self>, f: impl FnOnce(&mut Option<T>) -> R) -> R {
        // SAFETY: the waiter is ours, and not queued, or `payload` would panic.
        unsafe { self.project().waiter.as_ref().get_ref().payload().with_value(f) }
    }

    #[inline]
    pub(super) fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        assert!(!self.is_done, "a send was polled after it had completed");
        ready!(current::poll_proceed(cx));
        let mut outcome = Poll::Pending;
        if self.waiter.state() == State::Idle && self.chan.outlook().is_sendable() {
            // It looks as if it need not wait, and so without a waker.
            outcome = self.as_mut().send_or(|_, _| Poll::Pending);
        }
        if outcome.is_pending() {
            outcome = self.as_mut().wait(cx);
        }
        *self.project().is_done = outcome.is_ready();
        outcome
    }

    /// Sends if that can be done now; else does `otherwise` under the same lock.
    #[inline]
    fn send_or(
        self: Pin<&mut Self>,
        otherwise: impl FnOnce(Locked<'_, T>, Pin<&Waiter<Parked<T>>>) -> Poll<Result<(), Closed>>,
    ) -> Poll<Result<(), Closed>> {
        let this = self.project();
        let waiter = this.waiter.as_ref();
        let waker = {
            // Subtle: as in `Recv::recv_or`, it ends with its scope.
            let mut locked = this.chan.lock();
            // SAFETY: the waiter is ours and not queued, and the reference is gone before `otherwise`.
            let parked = unsafe { waiter.get_ref().payload_unchecked() };
            // SAFETY: as above.
            match unsafe { parked.with_value(|value| locked.send(value)) } {
                Sent::Done(waker) => waker,
                Sent::Closed => return Poll::Ready(Err(Closed)),
                Sent::Full => return otherwise(locked, waiter),
            }
        };
        wake(waker);
        Poll::Ready(Ok(()))
    }

    /// Waits, or goes on waiting.
    #[inline(never)]
    fn wait(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        let outcome = match self.waiter.state() {
            State::Idle => {
                // A waker is cloned before the lock.
                self.waiter.set_waker(cx.waker());
                self.as_mut().send_or(|mut locked, waiter| {
                    // SAFETY: the waiter is pinned and not queued, no reference to its payload is left, and
                    // `leave` takes it out before it is dropped.
                    let stream = unsafe { locked.park_sender(waiter) };
                    drop(locked);
                    wake(stream);
                    Poll::Pending
                })
            }
            State::Queued => self.as_mut().wait_on(cx),
            State::Granted => Poll::Ready(Ok(())),
            State::Closed => Poll::Ready(Err(Closed)),
        };
        if outcome.is_pending() {
            current::waits(Reason::ChanSend, self.at);
        }
        outcome
    }

    /// A poll while the sender waits: by another task, or for no reason.
    fn wait_on(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        let this = self.project();
        // SAFETY: the waiter is queued in this channel or not at all.
        match unsafe {
            keep_waiting(|| this.chan.raw_lock(), |core| &mut core.senders, this.waiter.as_ref(), cx.waker())
        } {
            State::Granted => Poll::Ready(Ok(())),
            State::Closed => Poll::Ready(Err(Closed)),
            State::Idle | State::Queued => Poll::Pending,
        }
    }

    /// Leaves the queue. The value is the owner's again, unless it was taken.
    #[inline]
    fn leave(self: Pin<&mut Self>) {
        if self.waiter.state() == State::Queued {
            self.leave_queue();
        }
    }

    #[inline(never)]
    fn leave_queue(self: Pin<&mut Self>) {
        let this = self.project();
        // SAFETY: the waiter is in this queue or in none.
        unsafe { this.chan.lock().core().senders.remove(this.waiter.as_ref()) };
    }

    /// Leaves the queue for good. Returns the value, unless it was taken, and whether the channel was closed.
    pub(super) fn give_up(mut self: Pin<&mut Self>) -> Option<(T, bool)> {
        self.as_mut().leave();
        *self.as_mut().project().is_done = true;
        let was_closed = self.waiter.state() == State::Closed;
        self.with_value(Option::take).map(|value| (value, was_closed))
    }

    pub(super) fn is_terminated(&self) -> bool {
        self.is_done
    }
}

pin_project! {
    /// The future of [`Sender::send`](super::Sender::send).
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct Send<'a, T> {
        #[pin]
        pub(super) sending: Sending<'a, T>,
    }
}

impl<'a, T> Send<'a, T> {
    pub(super) fn new(chan: &'a Chan<T>, value: T, at: &'static Location<'static>) -> Self {
        Self { sending: Sending::new(chan, Some(value), at) }
    }
}

impl<T> Future for Send<'_, T> {
    type Output = Result<(), SendError<T>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut sending = self.project().sending;
        match ready!(sending.as_mut().poll(cx)) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(Closed) => {
                let value = sending.with_value(Option::take);
                Poll::Ready(Err(SendError(value.expect("a closed channel takes no value"))))
            }
        }
    }
}

impl<T> FusedFuture for Send<'_, T> {
    fn is_terminated(&self) -> bool {
        self.sending.is_terminated()
    }
}

impl<T> fmt::Debug for Send<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Send").field("waiter", &self.sending.waiter.state()).finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`Sender::send_from`](super::Sender::send_from).
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct SendFrom<'a, T> {
        // Subtle: while the sender waits, the value lies in the waiter and not here. A queue that led to the
        // caller's own variable would outlive it when this future is forgotten; the waiter's memory is then
        // kept, by its pin.
        pub(super) slot: &'a mut Option<T>,
        #[pin]
        pub(super) sending: Sending<'a, T>,
    }

    impl<T> PinnedDrop for SendFrom<'_, T> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            this.sending.as_mut().leave();
            if let Some(value) = this.sending.with_value(Option::take) {
                **this.slot = Some(value);
            }
        }
    }
}

impl<'a, T> SendFrom<'a, T> {
    pub(super) fn new(chan: &'a Chan<T>, slot: &'a mut Option<T>, at: &'static Location<'static>) -> Self {
        Self { slot, sending: Sending::new(chan, None, at) }
    }
}

impl<T> Future for SendFrom<'_, T> {
    type Output = Result<(), Closed>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(value) = this.slot.take() {
            this.sending.as_mut().with_value(|own| *own = Some(value));
        }
        let outcome = ready!(this.sending.as_mut().poll(cx));
        **this.slot = this.sending.with_value(Option::take);
        Poll::Ready(outcome)
    }
}

impl<T> FusedFuture for SendFrom<'_, T> {
    fn is_terminated(&self) -> bool {
        self.sending.is_terminated()
    }
}

impl<T> fmt::Debug for SendFrom<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendFrom").field("waiter", &self.sending.waiter.state()).finish_non_exhaustive()
    }
}

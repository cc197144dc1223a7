//! Waiting until a channel is closed: the future that `closed` returns.

use super::core::Chan;
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
    /// The future of [`Sender::closed`](super::Sender::closed).
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct UntilClosed<'a, T> {
        chan: &'a Chan<T>,
        at: &'static Location<'static>,
        #[pin]
        waiter: Waiter,
    }

    impl<T> PinnedDrop for UntilClosed<'_, T> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if this.waiter.state() == State::Queued {
                // SAFETY: the waiter is in this queue or in none.
                unsafe { this.chan.lock().core().watchers.remove(this.waiter.as_ref()) };
            }
        }
    }
}

impl<'a, T> UntilClosed<'a, T> {
    pub(super) fn new(chan: &'a Chan<T>, at: &'static Location<'static>) -> Self {
        Self { chan, at, waiter: Waiter::new(()) }
    }

    /// Sees to it that the waiter is in the queue. Returns `false` if the channel is closed.
    fn wait(self: Pin<&mut Self>, cx: &mut Context<'_>) -> bool {
        let this = self.project();
        let waiter = this.waiter.as_ref();
        if waiter.state() == State::Queued {
            // SAFETY: the waiter is queued in this channel or not at all.
            let state = unsafe {
                keep_waiting(|| this.chan.raw_lock(), |core| &mut core.watchers, waiter, cx.waker())
            };
            return state == State::Queued;
        }
        waiter.set_waker(cx.waker());
        let mut locked = this.chan.lock();
        let waits = !locked.is_closed();
        if waits {
            // SAFETY: the waiter is pinned and not queued, and it is taken out before it is dropped.
            unsafe { locked.core().watchers.push_back(waiter) };
        }
        waits
    }
}

impl<T> Future for UntilClosed<'_, T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        ready!(current::poll_proceed(cx));
        if !self.chan.outlook().is_closed() && self.as_mut().wait(cx) {
            current::waits(Reason::ChanSend, self.at);
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

impl<T> fmt::Debug for UntilClosed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UntilClosed").field("waiter", &self.waiter.state()).finish_non_exhaustive()
    }
}

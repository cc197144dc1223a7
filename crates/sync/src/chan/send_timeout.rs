//! Sending within a time: the future that `send_timeout` returns.

use super::{core::Chan, error::SendTimeoutError, send::Sending};
use futures_core::future::FusedFuture;
use gorust_primitives::current::{self, Reason};
use gorust_reactor::time::{Duration, Sleep, sleep};
use pin_project_lite::pin_project;
use std::{
    fmt,
    future::Future,
    panic::Location,
    pin::Pin,
    task::{Context, Poll},
};

pin_project! {
    /// The future of [`Sender::send_timeout`](super::Sender::send_timeout).
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct SendTimeout<'a, T> {
        at: &'static Location<'static>,
        sleep: Sleep,
        #[pin]
        sending: Sending<'a, T>,
    }
}

impl<'a, T> SendTimeout<'a, T> {
    #[track_caller]
    pub(super) fn new(chan: &'a Chan<T>, value: T, duration: Duration) -> Self {
        let at = Location::caller();
        Self { at, sleep: sleep(duration), sending: Sending::new(chan, Some(value), at) }
    }
}

impl<T> Future for SendTimeout<'_, T> {
    type Output = Result<(), SendTimeoutError<T>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Poll::Ready(sent) = this.sending.as_mut().poll(cx) {
            return Poll::Ready(sent.map_err(|_closed| {
                let value = this.sending.with_value(Option::take);
                SendTimeoutError::Closed(value.expect("a closed channel takes no value"))
            }));
        }
        if Pin::new(this.sleep).poll(cx).is_pending() {
            current::waits(Reason::ChanSend, this.at);
            return Poll::Pending;
        }
        // The time is up; but the value may have been taken, or the channel closed, at the last moment.
        Poll::Ready(match this.sending.give_up() {
            None => Ok(()),
            Some((value, true)) => Err(SendTimeoutError::Closed(value)),
            Some((value, false)) => Err(SendTimeoutError::Timeout(value)),
        })
    }
}

impl<T> FusedFuture for SendTimeout<'_, T> {
    fn is_terminated(&self) -> bool {
        self.sending.is_terminated()
    }
}

impl<T> fmt::Debug for SendTimeout<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendTimeout").field("deadline", &self.sleep.deadline()).finish_non_exhaustive()
    }
}

//! [`timeout`]: another future, and a [`Sleep`] that it races against.

use super::{Sleep, sleep, sleep_until};
use crate::clock::Instant;
use pin_project_lite::pin_project;
use std::{
    error::Error,
    fmt,
    future::{Future, IntoFuture},
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

/// Runs `future` for at most `duration`, counted from this call; then drops it with the result.
///
/// The future is polled first: what is ready wins, however late it is, and never touches a timer.
///
/// # Errors
///
/// [`Elapsed`] if the time came first.
///
/// # Cancel safety
///
/// That of `future`: running out of time drops it where it waits.
///
/// # Go
///
/// `context.WithTimeout` around one call. The future is dropped, where Go's goroutine runs on until it looks.
///
/// # Examples
///
/// ```
/// use gorust_reactor::time::{Duration, sleep, timeout};
///
/// futures::executor::block_on(async {
/// assert_eq!(timeout(Duration::from_secs(1), async { 5 }).await, Ok(5));
/// assert!(timeout(Duration::from_millis(1), std::future::pending::<()>()).await.is_err());
/// });
/// ```
#[track_caller]
pub fn timeout<F: IntoFuture>(duration: Duration, future: F) -> Timeout<F::IntoFuture> {
    Timeout { future: future.into_future(), sleep: sleep(duration) }
}

/// Runs `future` until `deadline` at most. As [`timeout`] otherwise.
///
/// # Errors
///
/// [`Elapsed`] if the time came first.
///
/// # Cancel safety
///
/// As [`timeout`].
///
/// # Go
///
/// `context.WithDeadline` around one call.
///
/// # Examples
///
/// ```
/// # use std::{pin::pin, task::{Context, Poll, Waker}};
/// use gorust_reactor::time::{Elapsed, Instant, timeout_at};
///
/// let late = pin!(timeout_at(Instant::now(), std::future::pending::<()>()));
/// assert_eq!(late.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Err(Elapsed)));
/// ```
#[track_caller]
pub fn timeout_at<F: IntoFuture>(deadline: Instant, future: F) -> Timeout<F::IntoFuture> {
    Timeout { future: future.into_future(), sleep: sleep_until(deadline) }
}

pin_project! {
    /// Another future with a deadline; made by [`timeout`] and [`timeout_at`].
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        sleep: Sleep,
    }
}

impl<F> Timeout<F> {
    /// Returns when the time is up.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::time::{Instant, timeout_at};
    ///
    /// let at = Instant::now();
    /// assert_eq!(timeout_at(at, std::future::pending::<()>()).deadline(), at);
    /// ```
    pub fn deadline(&self) -> Instant {
        self.sleep.deadline()
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        // What the goroutine waits for is what the future said. Nor is its budget asked: a future that is always
        // interrupted by it must still run out of time.
        this.sleep.poll_elapsed(cx).map(|()| Err(Elapsed))
    }
}

/// The time was up before the future was ready.
///
/// # Examples
///
/// ```
/// use gorust_reactor::time::Elapsed;
///
/// assert_eq!(std::io::Error::from(Elapsed).kind(), std::io::ErrorKind::TimedOut);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time was up")
    }
}

impl Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> Self {
        Self::new(io::ErrorKind::TimedOut, elapsed)
    }
}

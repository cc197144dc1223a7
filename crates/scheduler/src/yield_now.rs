//! `yield_now`: lets others run first.

use gorust_primitives::current::{self, Reason};
use std::{
    future::Future,
    panic::Location,
    pin::Pin,
    task::{Context, Poll},
};

/// Lets the other goroutines run first: this one goes to the back of its worker's queue.
///
/// # Cancel safety
///
/// *Strict*: there is nothing to lose.
///
/// # Fairness
///
/// Everything that was runnable on this worker runs before this goroutine does again.
///
/// # Go
///
/// `runtime.Gosched`, which sends the goroutine to the back of the global queue.
///
/// # Examples
///
/// ```
/// gorust_scheduler::block_on(async {
///     for part in 0..3 {
///         // compute a part, then
///         gorust_scheduler::yield_now().await;
///         # let _ = part;
///     }
/// });
/// ```
#[track_caller]
pub fn yield_now() -> YieldNow {
    YieldNow { at: Location::caller(), yielded: false }
}

/// The future of [`yield_now`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct YieldNow {
    at: &'static Location<'static>,
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        self.yielded = true;
        current::waits(Reason::Yield, self.at);
        // Woken during its own poll, a task goes to the back of the queue.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

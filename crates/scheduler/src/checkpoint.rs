//! `checkpoint`: lets others run, if it is their turn.

use gorust_primitives::current::{self, Reason};
use std::{
    future::Future,
    panic::Location,
    pin::Pin,
    task::{Context, Poll},
};

/// Lets the other goroutines run first if this one has used up its slice, and goes on at once if not. For loops that
/// compute for long and await nothing else.
///
/// A slice is 128 operations without a wait, this one among them, or what the scheduler finds too long. Outside a goroutine
/// it always goes on.
///
/// # Cancel safety
///
/// *Strict*: there is nothing to lose.
///
/// # Fairness
///
/// When it yields, everything that was runnable on this worker runs before this goroutine does again.
///
/// # Go
///
/// Go interrupts a goroutine after 10 ms wherever it is; a future can be interrupted only where it awaits.
///
/// # Examples
///
/// ```
/// # gorust_scheduler::block_on(gorust_scheduler::go(async {
/// let mut sum = 0_u64;
/// for block in 0..1_000_u64 {
///     sum += (block * 1_000..(block + 1) * 1_000).sum::<u64>();
///     gorust_scheduler::checkpoint().await;
/// }
/// assert_eq!(sum, 499_999_500_000);
/// # })).unwrap();
/// ```
#[track_caller]
pub fn checkpoint() -> Checkpoint {
    Checkpoint { at: Location::caller(), yielded: false }
}

/// The future of [`checkpoint`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Checkpoint {
    at: &'static Location<'static>,
    yielded: bool,
}

impl Future for Checkpoint {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.yielded && current::poll_proceed(cx).is_pending() {
            self.yielded = true;
            current::waits(Reason::Yield, self.at);
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

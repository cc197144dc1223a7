//! What a test in a bubble asks of it: [`wait`], [`advance`], [`seed`].

use super::engine;
use gorust_primitives::current::{self, Reason};
use gorust_reactor::time::{Sleep, sleep};
use std::{
    future::Future,
    panic::Location,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

#[track_caller]
fn outside(what: &str) -> ! {
    panic!("{what} was called outside a bubble: it is for code that `bubble` or `#[gorust::test]` runs")
}

/// Waits until every other goroutine of the bubble waits, before time moves: what they can do now they have done.
///
/// Timers that are due now have fired, and what they woke has run. So a test that has sent something and waits sees
/// what came of it, without a sleep and without a race.
///
/// # Panics
///
/// Outside a bubble; and when it is polled while another goroutine is in it: "wait already in progress".
///
/// # Cancel safety
///
/// *Strict*: there is nothing to lose.
///
/// # Go
///
/// `synctest.Wait`. Go does not count every wait (of a mutex, say); here each does.
///
/// # Examples
///
/// ```
/// use gorust_scheduler::{bubble::{bubble, wait}, go};
///
/// bubble(1, async {
///     let child = go(async { 1 });
///     assert!(!child.is_finished());
///     wait().await;
///     assert!(child.is_finished());
/// })
/// .unwrap();
/// ```
#[track_caller]
pub fn wait() -> Quiescence {
    if !super::in_bubble() {
        outside("test::wait");
    }
    Quiescence { at: Location::caller(), number: None }
}

/// The future of [`wait`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Quiescence {
    at: &'static Location<'static>,
    /// Which wait this is, once it has begun.
    number: Option<u64>,
}

impl Future for Quiescence {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        ready!(current::poll_proceed(cx));
        let waits = engine::with_current(|engine| {
            let Some(engine) = engine else { outside("test::wait") };
            match self.number {
                Some(number) => engine.still_waits(number, cx.waker()),
                None => {
                    self.number = engine.begin_wait(cx.waker().clone());
                    assert!(self.number.is_some(), "wait already in progress");
                    true
                }
            }
        });
        if waits {
            current::waits(Reason::Quiescence, self.at);
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

impl Drop for Quiescence {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            engine::with_current(|engine| {
                if let Some(engine) = engine {
                    engine.end_wait(number);
                }
            });
        }
    }
}

/// Lets so much virtual time pass, through every deadline on the way, and then waits until every other goroutine
/// waits.
///
/// Everything that was due by then has happened, also what was due at that very instant; a `sleep` of the same length
/// ends together with other timers of that instant, in any order.
///
/// # Panics
///
/// As [`wait`].
///
/// # Cancel safety
///
/// *Strict*: there is nothing to lose.
///
/// # Go
///
/// `synctest.Sleep`.
///
/// # Examples
///
/// ```
/// use gorust_reactor::time::{Duration, sleep};
/// use gorust_scheduler::{bubble::{advance, bubble}, go};
///
/// bubble(1, async {
///     let hour = go(sleep(Duration::from_secs(3600)));
///     advance(Duration::from_secs(3600)).await;
///     assert!(hour.is_finished());
/// })
/// .unwrap();
/// ```
#[track_caller]
pub fn advance(duration: Duration) -> Advance {
    if !super::in_bubble() {
        outside("test::advance");
    }
    Advance { sleep: sleep(duration), wait: Quiescence { at: Location::caller(), number: None } }
}

/// The future of [`advance`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Advance {
    sleep: Sleep,
    wait: Quiescence,
}

impl Future for Advance {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.wait.number.is_none() {
            ready!(Pin::new(&mut self.sleep).poll(cx));
        }
        Pin::new(&mut self.wait).poll(cx)
    }
}

/// Returns the seed of the bubble: for a test that makes choices of its own.
///
/// # Panics
///
/// Outside a bubble.
///
/// # Examples
///
/// ```
/// use gorust_scheduler::bubble::{bubble, seed};
///
/// assert_eq!(bubble(7, async { seed() }).unwrap(), 7);
/// ```
#[track_caller]
pub fn seed() -> u64 {
    engine::with_current(|engine| match engine {
        Some(engine) => engine.seed(),
        None => outside("test::seed"),
    })
}

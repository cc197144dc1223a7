//! [`sleep`] and [`sleep_until`]. The timer itself lies in a shard of `timer`; the future holds its number.

use crate::{
    clock::Instant,
    timer::{Armed, Look},
};
use gorust_primitives::{
    current::{Reason, poll_proceed, waits},
    select_case::{Glance, Leaf, Native},
};
use std::{
    future::Future,
    panic::Location,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

/// Waits until `duration` has passed, counted from this call.
///
/// It waits at least that long, and on a machine with nothing else to do some tens of microseconds longer. Zero is
/// ready at once; a duration too long for the clock never ends. Under any executor, on any thread.
///
/// # Cancel safety
///
/// Strict. Dropped before the first poll it has armed nothing; dropped while waiting it takes its timer along;
/// dropped after the time has come there is nothing to lose.
///
/// # Go
///
/// `time.Sleep`. Go's sleeps end up to a millisecond late on Linux.
///
/// # Examples
///
/// ```
/// use gorust_reactor::time::{Duration, Instant, sleep};
///
/// futures::executor::block_on(async {
/// let start = Instant::now();
/// sleep(Duration::from_millis(2)).await;
/// assert!(start.elapsed() >= Duration::from_millis(2));
/// });
/// ```
#[track_caller]
pub fn sleep(duration: Duration) -> Sleep {
    let at = Location::caller();
    if duration.is_zero() {
        return Sleep { deadline: Instant::now(), state: State::Done, at };
    }
    // The time is read once, here: that it has passed already at the first poll is for the timer to find out.
    Sleep { deadline: Instant::now().saturating_add(duration), state: State::New, at }
}

/// Waits until `deadline` has come. [`Instant::FAR_FUTURE`] never comes.
///
/// # Cancel safety
///
/// As [`sleep`].
///
/// # Go
///
/// `time.Sleep(time.Until(t))`, without the race between the two.
///
/// # Examples
///
/// ```
/// # use std::{pin::pin, task::{Context, Poll, Waker}};
/// use gorust_reactor::time::{Instant, sleep_until};
///
/// let past = pin!(sleep_until(Instant::now()));
/// assert!(past.poll(&mut Context::from_waker(Waker::noop())).is_ready());
/// ```
#[track_caller]
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep { deadline, state: State::Unchecked, at: Location::caller() }
}

/// Waits for a time; made by [`sleep`] and [`sleep_until`].
#[must_use = "futures do nothing unless polled"]
#[derive(Debug)]
pub struct Sleep {
    deadline: Instant,
    state: State,
    at: &'static Location<'static>,
}

#[derive(Debug)]
enum State {
    /// Not armed; the deadline may have passed long ago.
    Unchecked,
    /// Not armed; the deadline was in the future when the sleep was made.
    New,
    Armed(Armed),
    Done,
}

impl Sleep {
    /// Allows the sleep to end up to `slack` late, so that its end may coincide with that of others and one wake-up
    /// serves them all. The default is none.
    ///
    /// The deadline moves up to the next multiple of the largest power of two of nanoseconds that is not above
    /// `slack`. Has no effect once the sleep was polled.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::time::{Duration, Instant, sleep};
    ///
    /// let sleep = sleep(Duration::from_millis(100)).slack(Duration::from_millis(10));
    /// assert!(sleep.deadline() <= Instant::now() + Duration::from_millis(110));
    /// ```
    pub fn slack(mut self, slack: Duration) -> Self {
        if let (State::Unchecked | State::New, Ok(slack @ 1..)) =
            (&self.state, u64::try_from(slack.as_nanos()))
        {
            let grain = 1 << slack.ilog2();
            let deadline = self.deadline.as_ns();
            self.deadline = Instant::from_ns(deadline.checked_next_multiple_of(grain).unwrap_or(deadline));
        }
        self
    }

    /// Returns when the sleep ends, slack included.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::time::{Duration, Instant, sleep};
    ///
    /// let start = Instant::now();
    /// assert!(sleep(Duration::from_secs(1)).deadline() >= start + Duration::from_secs(1));
    /// ```
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether the time has come, polled or not.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::time::{Duration, sleep};
    ///
    /// assert!(sleep(Duration::ZERO).is_elapsed());
    /// assert!(!sleep(Duration::from_secs(60)).is_elapsed());
    /// ```
    pub fn is_elapsed(&self) -> bool {
        matches!(self.state, State::Done) || self.deadline <= Instant::now()
    }

    /// Polls without a word about what the goroutine waits for, and without taking from its budget.
    #[inline]
    pub(super) fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match &mut self.state {
                State::Done => return Poll::Ready(()),
                State::Armed(armed) => match armed.look(cx.waker()) {
                    Look::Waiting => return Poll::Pending,
                    Look::Fired => self.state = State::Done,
                    // Whoever drove the timer is gone; somebody else drives the next one.
                    Look::Closed => self.state = State::Unchecked,
                },
                State::Unchecked if self.deadline <= Instant::now() => self.state = State::Done,
                State::Unchecked | State::New => {
                    if self.deadline != Instant::FAR_FUTURE {
                        self.state = State::Armed(Armed::new(self.deadline.as_ns(), cx.waker().clone()));
                    }
                    return Poll::Pending;
                }
            }
        }
    }
}

impl Future for Sleep {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        ready!(poll_proceed(cx));
        let poll = self.poll_elapsed(cx);
        if poll.is_pending() {
            waits(Reason::Sleep, self.at);
        }
        poll
    }
}

// SAFETY: an event: the clock does not go back.
unsafe impl Leaf for Sleep {
    #[inline]
    fn glance(&self) -> Glance {
        Glance { is_ready: self.is_elapsed(), version: 0 }
    }

    fn arm(mut self: Pin<&mut Self>, cx: &mut Context<'_>) {
        // That it has elapsed meanwhile is seen at the next glance.
        let _ = self.poll_elapsed(cx);
    }
}

impl Native for Sleep {
    fn prepare(self: Pin<&mut Self>) -> bool {
        true
    }

    fn output(self: Pin<&mut Self>) {}
}

//! Bubbles: async code as a function of its seed. One thread, goroutines chosen by a seeded generator, and a clock that
//! moves only when every goroutine waits. Channels, locks, timers and contexts run in one unchanged.
//!
//! - [`bubble`] runs a future in one; [`Bubble`] says how; [`Explorer`] runs many seeds, and shrinks what fails.
//! - Inside: [`wait`] until the others have done what they can, [`advance`] the clock, [`seed`], [`announce`] a thread.
//! - [`BubbleError`] is the report, [`Trace`] what happened step by step, [`Schedule`] the choices to replay.
//!
//! What a bubble is, and why it costs the other runtimes nothing, is in the crate's README, "Bubbles".

mod announced;
mod engine;
mod explore;
mod local;
mod quiet;
mod report;
mod side;
mod strategy;
mod trace;
mod wait;

pub use announced::{Announced, announce};
pub use explore::{ExploreError, Explored, Explorer, Failure, NotDeterministic};
pub use report::{BubbleError, BubblePanic};
pub use strategy::{ParseScheduleError, Schedule, Strategy};
pub use trace::{Step, Then, Trace};
pub use wait::{Advance, Quiescence, advance, seed, wait};

pub(crate) use engine::{Over, block_on, with_current};
pub(crate) use quiet::last_location;
pub(crate) use side::{Happened, Lost, Side};

use engine::{Choices, Settings};
use std::{future::Future, panic::Location};

/// Whether the code that runs on this thread belongs to a bubble. What would leave the thread (a blocking call, say) then
/// stays, so that the seed goes on to say what happens.
pub(crate) fn in_bubble() -> bool {
    with_current(|engine| engine.is_some())
}

/// Runs `future` in a bubble: it and the goroutines it starts on this thread alone, in an order that `seed` decides, on
/// a virtual clock.
///
/// The clock begins at the same moment in every bubble and moves only when every goroutine waits, to the next deadline: an
/// hour's sleep takes no time. When `future` has returned, the goroutines that are left may run as far as they can
/// while time stands still; one that then still waits is a leak. The result is the future's, or what went wrong. At the
/// end, whatever it is, everything left has been dropped where it waited.
///
/// Sleeps, timeouts, channels, locks, wait groups, contexts and `block_on` work as they do elsewhere. A descriptor of the
/// system (a socket, an `Async`) does not: to open one fails, with a text that names `#[gorust::test(real)]`. What the
/// seed cannot know makes a run differ from the next: std's `HashMap` iterates in a random order, std's clock and
/// threads are real, addresses change. A thread may take part if it is [announced](announce). On a worker of a runtime,
/// inside one of its goroutines, a bubble runs, too, but the time slice of that goroutine ends when the clock says so.
///
/// An operation of gorust that could go on is sometimes put off until the goroutine's next poll, as every runtime does with
/// one that has done many. `await` does not notice; who polls a future by hand, or with `now_or_never`, sees it pending.
///
/// Any future is waited for as if it could wait for ever: one whose waker is called by a thread that is not announced
/// counts as waiting.
///
/// # Errors
///
/// [`BubbleError`]: every goroutine waits, goroutines were left behind, or a panic that nobody saw, `future`'s own
/// included. All of them are values, and nothing but std's own line about a panic is printed.
///
/// # Panics
///
/// Inside a bubble.
///
/// # Go
///
/// `testing/synctest.Test`, with a seed, and with every wait counted as one. Go's bubble waits for all its goroutines
/// with its clock standing still, and fails if they do not end; so does this one.
///
/// # Examples
///
/// ```
/// use gorust_reactor::time::{Duration, Instant, sleep};
/// use gorust_scheduler::{bubble::bubble, go};
///
/// let slept = bubble(1, async {
///     let start = Instant::now();
///     let day = go(async { sleep(Duration::from_secs(24 * 3600)).await });
///     day.await.unwrap();
///     start.elapsed()
/// });
/// assert_eq!(slept.unwrap(), Duration::from_secs(24 * 3600));
/// ```
#[track_caller]
pub fn bubble<F: Future>(seed: u64, future: F) -> Result<F::Output, BubbleError> {
    Bubble::new(seed).run_at(future, Location::caller())
}

/// How a bubble is run, for those to whom [`bubble`] is not enough.
///
/// # Examples
///
/// ```
/// use gorust_scheduler::{bubble::{Bubble, Strategy}, go};
///
/// let leaky = Bubble::new(1).strategy(Strategy::Priority { changes: 2 }).allow_leaks(true);
/// leaky.run(async { drop(go(std::future::pending::<()>())) }).unwrap();
/// ```
#[derive(Clone, Debug)]
#[must_use = "a bubble does nothing until it is run"]
pub struct Bubble(Settings);

impl Bubble {
    /// A bubble whose chance events all come from `seed`, with the defaults that are said at each method.
    pub fn new(seed: u64) -> Self {
        Self(Settings {
            seed,
            choices: Choices::By(Strategy::Mixed),
            allow_leaks: false,
            polls_limit: u64::MAX,
            trace: false,
            record: false,
        })
    }

    /// How it is chosen what happens next. Default: [`Strategy::Mixed`].
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.0.choices = Choices::By(strategy);
        self
    }

    /// Has the choices made by a list instead: to run a schedule again that an [`Explorer`] has found. The seed still
    /// decides what the program itself draws: which ready case a `select!` takes.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_scheduler::{bubble::Bubble, go, yield_now};
    /// use std::sync::{Arc, Mutex};
    ///
    /// let order = Arc::new(Mutex::new(Vec::new()));
    /// let seen = Arc::clone(&order);
    /// // Choice 0: nobody interrupts the future. Choice 1: of the two goroutines it has spawned, the later one runs.
    /// Bubble::new(1)
    ///     .schedule("1:1".parse().unwrap())
    ///     .run(async move {
    ///         for n in 1..=2 {
    ///             let seen = Arc::clone(&seen);
    ///             go(async move { seen.lock().unwrap().push(n) });
    ///         }
    ///     })
    ///     .unwrap();
    /// assert_eq!(*order.lock().unwrap(), [2, 1]);
    /// ```
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.0.choices = Choices::Replay(schedule);
        self
    }

    /// Whether goroutines may be left when the future has returned; they are dropped then. Default: no.
    pub fn allow_leaks(mut self, allow: bool) -> Self {
        self.0.allow_leaks = allow;
        self
    }

    /// After so many polls without a move of the clock the bubble fails, as a [`BubbleError::Livelock`]: goroutines
    /// that wait for something by looking again and again keep time from moving. Default: no limit.
    pub fn polls_limit(mut self, polls: u64) -> Self {
        self.0.polls_limit = polls;
        self
    }

    /// Runs `future` in this bubble; see [`bubble`].
    ///
    /// # Errors
    ///
    /// As [`bubble`].
    ///
    /// # Panics
    ///
    /// Inside a bubble.
    #[track_caller]
    pub fn run<F: Future>(self, future: F) -> Result<F::Output, BubbleError> {
        self.run_at(future, Location::caller())
    }

    /// As [`run`](Self::run), and tells what happened, step by step.
    ///
    /// # Panics
    ///
    /// Inside a bubble.
    #[track_caller]
    pub fn run_traced<F: Future>(self, future: F) -> (Result<F::Output, BubbleError>, Trace) {
        self.run_traced_at(future, Location::caller())
    }

    pub(crate) fn run_traced_at<F: Future>(
        mut self,
        future: F,
        site: &'static Location<'static>,
    ) -> (Result<F::Output, BubbleError>, Trace) {
        self.0.trace = true;
        let outcome = engine::run(self.0, future, site);
        (outcome.result, outcome.trace)
    }

    /// As [`run`](Self::run), for a future that comes from `site`.
    pub(crate) fn run_at<F: Future>(
        self,
        future: F,
        site: &'static Location<'static>,
    ) -> Result<F::Output, BubbleError> {
        engine::run(self.0, future, site).result
    }
}

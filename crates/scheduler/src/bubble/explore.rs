//! [`Explorer`]: many seeds, until one fails; then the failing schedule without the choices it does not need.

use super::{
    Bubble, BubbleError, Choices, Schedule, Strategy, Trace,
    engine::{self, Outcome, Settings},
    quiet::quiet,
};
use gorust_reactor::clock::Instant;
use std::{error::Error, fmt, future::Future, panic::Location, time::Duration};

/// The first so many seeds are run twice, to see whether they say what happens.
const CHECKED: u64 = 4;

/// A run that does not end by itself ends after so many polls without a move of the clock.
const POLLS_LIMIT: u64 = 1_000_000;

/// How many runs shrinking may take.
const SHRINK_RUNS: u32 = 2_000;

/// Runs a program under many seeds, stops at the first that fails, and shrinks its schedule: choices that were not
/// needed are made as they would have been made by themselves.
///
/// While it runs, panics on this thread are not printed; the failure tells of the one that counts.
///
/// # Examples
///
/// A counter that is read, and written later:
///
/// ```
/// use gorust_scheduler::{bubble::{ExploreError, Explorer}, go, yield_now};
/// use std::sync::{Arc, atomic::{AtomicU32, Ordering::Relaxed}};
///
/// let found = Explorer::new().seeds(0, 100).run(|| async {
///     let counter = Arc::new(AtomicU32::new(0));
///     let both = [(); 2].map(|()| {
///         let counter = Arc::clone(&counter);
///         go(async move {
///             let read = counter.load(Relaxed);
///             yield_now().await;
///             counter.store(read + 1, Relaxed);
///         })
///     });
///     for one in both {
///         one.await.unwrap();
///     }
///     assert_eq!(counter.load(Relaxed), 2, "an update was lost");
/// });
/// let Err(ExploreError::Failed(failure)) = found else { panic!("not found") };
/// assert!(failure.schedule().len() <= 1, "{failure}");
/// assert!(failure.to_string().contains("an update was lost"));
/// ```
#[derive(Clone, Debug)]
#[must_use = "an explorer does nothing until it is run"]
pub struct Explorer {
    first: u64,
    count: u64,
    strategy: Strategy,
    allow_leaks: bool,
    polls_limit: u64,
    shrink_limit: Duration,
}

impl Default for Explorer {
    fn default() -> Self {
        Self {
            first: 0,
            count: 1_000,
            strategy: Strategy::Mixed,
            allow_leaks: false,
            polls_limit: POLLS_LIMIT,
            shrink_limit: Duration::MAX,
        }
    }
}

impl Explorer {
    /// Starts with the defaults, which are said at each method.
    pub fn new() -> Self {
        Self::default()
    }

    /// Which seeds: `count` of them from `first` on. Default: 1,000 from 0 on.
    pub fn seeds(mut self, first: u64, count: u64) -> Self {
        (self.first, self.count) = (first, count);
        self
    }

    /// How it is chosen what happens next. Default: [`Strategy::Mixed`].
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Whether goroutines may be left at the end. Default: no.
    pub fn allow_leaks(mut self, allow: bool) -> Self {
        self.allow_leaks = allow;
        self
    }

    /// As [`Bubble::polls_limit`]. Default: a million.
    pub fn polls_limit(mut self, polls: u64) -> Self {
        self.polls_limit = polls;
        self
    }

    /// How long shrinking may take by the wall clock, for programs of which a single run takes long. Default: no limit
    /// but some thousand runs.
    pub fn shrink_for(mut self, limit: Duration) -> Self {
        self.shrink_limit = limit;
        self
    }

    /// Runs what `make` makes, once a seed, until one fails.
    ///
    /// # Errors
    ///
    /// [`ExploreError::Failed`] with the first failure, and [`ExploreError::NotDeterministic`] if a seed did not lead to
    /// the same run twice.
    ///
    /// # Panics
    ///
    /// Inside a bubble.
    #[track_caller]
    pub fn run<M, F>(&self, make: M) -> Result<Explored, ExploreError>
    where
        M: FnMut() -> F,
        F: Future,
    {
        self.run_at(make, Location::caller())
    }

    /// As [`run`](Self::run), for a program that comes from `site`.
    pub(crate) fn run_at<M, F>(
        &self,
        make: M,
        site: &'static Location<'static>,
    ) -> Result<Explored, ExploreError>
    where
        M: FnMut() -> F,
        F: Future,
    {
        Exploration { explorer: self, make, site }.run()
    }

    fn settings(&self, seed: u64) -> Settings {
        Settings {
            seed,
            choices: Choices::By(self.strategy),
            allow_leaks: self.allow_leaks,
            polls_limit: self.polls_limit,
            trace: false,
            record: false,
        }
    }
}

/// An exploration under way.
struct Exploration<'a, M> {
    explorer: &'a Explorer,
    make: M,
    site: &'static Location<'static>,
}

impl<M: FnMut() -> F, F: Future> Exploration<'_, M> {
    fn run(mut self) -> Result<Explored, ExploreError> {
        let _quiet = quiet();
        let Explorer { first, count, .. } = *self.explorer;
        for nth in 0..count {
            let seed = first.wrapping_add(nth);
            let settings = self.explorer.settings(seed);
            let failed = if nth < CHECKED {
                self.run_twice(&settings)?
            } else {
                self.once(settings.clone()).result.err()
            };
            if let Some(error) = failed {
                return Err(self.failed(seed, nth + 1, error));
            }
        }
        Ok(Explored { seeds: count })
    }

    fn once(&mut self, settings: Settings) -> Outcome<F::Output> {
        engine::run(settings, (self.make)(), self.site)
    }

    /// Runs a seed twice. `Ok`: the runs were the same, and this is how they failed, if they did.
    fn run_twice(&mut self, settings: &Settings) -> Result<Option<BubbleError>, ExploreError> {
        let traced = Settings { trace: true, ..settings.clone() };
        let (one, other) = (self.once(traced.clone()), self.once(traced));
        match one.trace.difference(&other.trace) {
            Some(step) => Err(NotDeterministic::found(settings.seed, step, &one.trace, &other.trace)),
            None => Ok(one.result.err()),
        }
    }

    fn failed(&mut self, seed: u64, tried: u64, error: BubbleError) -> ExploreError {
        let recorded = Settings { record: true, trace: true, ..self.explorer.settings(seed) };
        let again = self.once(recorded.clone());
        let Some(error) = again.result.err().filter(|again| again.is_like(&error)) else {
            let third = self.once(recorded);
            let step = again.trace.difference(&third.trace).unwrap_or(again.trace.steps().len());
            return NotDeterministic::found(seed, step, &again.trace, &third.trace);
        };
        let mut failure = Failure {
            seed,
            tried,
            strategy: self.explorer.strategy.resolve(seed),
            allow_leaks: self.explorer.allow_leaks,
            choices: again.schedule.len(),
            schedule: again.schedule,
            shrink_runs: 0,
            error,
            trace: again.trace,
        };
        self.shrink(&mut failure);
        ExploreError::Failed(Box::new(failure))
    }

    /// Drops choices, the more at a time the better, while the failure stays what it is: delta debugging (Zeller and
    /// Hildebrandt, *Simplifying and Isolating Failure-Inducing Input*, TSE 2002), without its complements.
    fn shrink(&mut self, failure: &mut Failure) {
        let (start, limit) = (Instant::now(), self.explorer.shrink_limit);
        let goes_on = |failure: &Failure| failure.shrink_runs < SHRINK_RUNS && start.elapsed() < limit;
        let mut size = failure.schedule.len();
        while size > 0 && goes_on(failure) {
            let (before, mut from) = (failure.schedule.len(), 0);
            while from < failure.schedule.len() && goes_on(failure) {
                if !self.still_fails(failure, from, size) {
                    from += size;
                }
            }
            // Single choices are gone through until none of them can go.
            if size > 1 || failure.schedule.len() == before {
                size = (size / 2).min(failure.schedule.len());
            }
        }
    }

    /// Runs the schedule without `count` choices from `from` on; keeps it if that fails like the whole.
    fn still_fails(&mut self, failure: &mut Failure, from: usize, count: usize) -> bool {
        failure.shrink_runs += 1;
        let schedule = failure.schedule.without(from, count);
        let settings = Settings {
            choices: Choices::Replay(schedule),
            record: true,
            trace: true,
            ..self.explorer.settings(failure.seed)
        };
        let run = self.once(settings);
        match run.result {
            // What was really chosen: choices that met nothing to choose from are gone.
            Err(error) if error.is_like(&failure.error) => {
                (failure.error, failure.schedule, failure.trace) = (error, run.schedule, run.trace);
                true
            }
            _ => false,
        }
    }
}

/// No seed failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explored {
    /// How many were run.
    pub seeds: u64,
}

/// Why an exploration ended early. `Display` and `Debug` are both the report to be read.
#[non_exhaustive]
pub enum ExploreError {
    /// A seed failed.
    Failed(Box<Failure>),
    /// The seed does not say what happens.
    NotDeterministic(Box<NotDeterministic>),
}

impl fmt::Display for ExploreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(failure) => failure.fmt(f),
            Self::NotDeterministic(found) => found.fmt(f),
        }
    }
}

impl fmt::Debug for ExploreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for ExploreError {}

/// The first failure an [`Explorer`] met, with a schedule that is as short as it could make it.
pub struct Failure {
    seed: u64,
    tried: u64,
    strategy: Strategy,
    allow_leaks: bool,
    choices: usize,
    schedule: Schedule,
    shrink_runs: u32,
    error: BubbleError,
    trace: Trace,
}

impl Failure {
    /// Returns the seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns how many seeds were tried, this one included.
    pub fn tried(&self) -> u64 {
        self.tried
    }

    /// Returns the strategy that found it.
    pub fn strategy(&self) -> Strategy {
        self.strategy
    }

    /// Returns how many choices the schedule had that would not have been made by themselves, before it was shrunk.
    pub fn choices(&self) -> usize {
        self.choices
    }

    /// Returns the schedule that is left, for [`Bubble::schedule`].
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Returns how many runs it took to shrink it.
    pub fn shrink_runs(&self) -> u32 {
        self.shrink_runs
    }

    /// Returns how the shrunk schedule fails.
    pub fn error(&self) -> &BubbleError {
        &self.error
    }

    /// Returns how the shrunk schedule fails, and lets go of the rest.
    pub fn into_error(self) -> BubbleError {
        self.error
    }

    /// Returns what happens under the shrunk schedule, step by step.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Returns a bubble that fails so.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_scheduler::bubble::{ExploreError, Explorer};
    ///
    /// let stuck = || std::future::pending::<()>();
    /// let Err(ExploreError::Failed(failure)) = Explorer::new().run(stuck) else { panic!("not found") };
    /// assert!(failure.replay().run(stuck()).is_err());
    /// ```
    pub fn replay(&self) -> Bubble {
        Bubble::new(self.seed).schedule(self.schedule.clone()).allow_leaks(self.allow_leaks)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {} fails (seeds tried: {}; by {})", self.seed, self.tried, self.strategy)?;
        writeln!(
            f,
            "choices that matter: {} of {}; schedule: {}",
            self.schedule.len(),
            self.choices,
            self.schedule
        )?;
        write!(f, "\n{}", self.error)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A seed led to two different runs, so that nothing it shows can be shown again.
///
/// # Examples
///
/// ```
/// use gorust_scheduler::{bubble::{ExploreError, Explorer}, yield_now};
///
/// let mut runs = 0;
/// let counts_runs = || {
///     runs += 1;
///     let count = runs;
///     async move {
///         for _ in 0..count {
///             yield_now().await;
///         }
///     }
/// };
/// let found = Explorer::new().run(counts_runs);
/// assert!(matches!(found, Err(ExploreError::NotDeterministic(_))));
/// ```
pub struct NotDeterministic {
    seed: u64,
    step: usize,
    one: String,
    other: String,
}

impl NotDeterministic {
    fn found(seed: u64, step: usize, one: &Trace, other: &Trace) -> ExploreError {
        let text = |trace: &Trace| {
            trace.steps().get(step).map_or_else(|| "it was over".to_owned(), ToString::to_string)
        };
        ExploreError::NotDeterministic(Box::new(Self { seed, step, one: text(one), other: text(other) }))
    }

    /// Returns the seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns the number of the first step that was not the same.
    pub fn step(&self) -> usize {
        self.step
    }
}

impl fmt::Display for NotDeterministic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "not deterministic: seed {} led to two different runs\n  step {}, one run:   {}\n  step {}, the other: \
             {}\nWhat the seed cannot know makes such a difference: std's HashMap and HashSet iterate in a random \
             order (use BTreeMap, or a hasher with fixed keys); a static keeps what an earlier run left; std's clock \
             and threads are real; addresses change from run to run",
            self.seed, self.step, self.one, self.step, self.other
        )
    }
}

impl fmt::Debug for NotDeterministic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

//! What `#[gorust::test]` expands to: runs the bubbles, or the runtime, sees to it that a run ends, and makes the
//! harness see a failed test. The report is both printed and what the test panics with.
//!
//! Nothing here is shared between tests, so that any number of them run at once, in one process or in many.

use crate::{
    PanicPolicy,
    bubble::{self, Bubble, BubbleError, ExploreError, Explorer, Schedule},
    builder::Builder,
    dump::Dump,
    runtime::Handle,
    task::{error::message, join::JoinHandle},
    test_report::{self as report, RETURNED, harness_name},
};
use gorust_reactor::clock::Instant;
use std::{
    env::{self, VarError},
    fmt::Debug,
    future::Future,
    panic::{Location, resume_unwind},
    pin::pin,
    process::{ExitCode, Termination},
    str::FromStr,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{RecvTimeoutError, channel},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

/// The environment variable with the one seed that every test runs with.
pub(crate) const SEED: &str = "GORUST_SEED";
/// The environment variable with the choices to make instead of those of the seed.
pub(crate) const SCHEDULE: &str = "GORUST_SCHEDULE";

/// How long one run may take if nobody says.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How many polls one run may take without a move of the clock. Some seconds; a test that means it is rare.
const POLLS: u64 = 10_000_000;
/// How long shrinking should take. Few tests need it all.
const SHRINK: Duration = Duration::from_secs(5);
/// How many workers a test with real threads has: enough to race.
const WORKERS: usize = 2;
/// How long goroutines on real threads may take to end when the test has.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// The arguments of `#[gorust::test]`.
#[derive(Clone, Debug)]
pub struct TestOptions {
    /// The path of the test, beginning with its crate.
    pub path: &'static str,
    /// `seeds = N`.
    pub seeds: Option<u64>,
    /// `seed = N`.
    pub seed: Option<u64>,
    /// `workers = N`.
    pub workers: Option<usize>,
    /// `leaks = "allow"`.
    pub leaks: bool,
    /// `timeout = "60s"`.
    pub timeout: Option<Duration>,
    /// Where the test stands.
    pub site: &'static Location<'static>,
}

/// What a test has returned.
#[derive(Debug)]
pub struct Returned<R>(pub R);

impl<T: Termination, E: Debug> Returned<Result<T, E>> {
    /// What is wrong with a `Result`, if something is. It comes before the method of [`Verdict`], which would print.
    ///
    /// # Errors
    ///
    /// The error, as a text.
    pub fn verdict(self) -> Result<(), String> {
        match self.0 {
            Ok(value) => Verdict::verdict(Returned(value)),
            Err(error) => Err(format!("{RETURNED}: {error:?}")),
        }
    }
}

/// Judges what a test has returned.
pub trait Verdict {
    /// What is wrong with it, if something is.
    ///
    /// # Errors
    ///
    /// The exit code a `main` would end with, as a text.
    fn verdict(self) -> Result<(), String>;
}

impl<R: Termination> Verdict for Returned<R> {
    fn verdict(self) -> Result<(), String> {
        let code = self.0.report();
        if code == ExitCode::SUCCESS { Ok(()) } else { Err(format!("{RETURNED}: {code:?}")) }
    }
}

/// Runs a test in bubbles, one after the other.
///
/// # Panics
///
/// If the test fails; and if the environment holds a seed or a schedule that is none.
pub fn run<F>(options: TestOptions, test: impl Fn() -> F + Send + 'static)
where
    F: Future<Output = Result<(), String>>,
{
    let (plan, path) = (Plan::new(&options), options.path);
    let limit = options.timeout.unwrap_or(TIMEOUT);
    let verdict = supervise(limit, path, move |watch| {
        let program = || {
            watch.run_begins();
            let (watch, future) = (watch.clone(), test());
            async move {
                watch.runs_in_bubble();
                if let Err(text) = future.await {
                    // Not a panic that anybody should print.
                    resume_unwind(Box::new(text));
                }
            }
        };
        plan.run(&options, program)
    });
    if let Err(text) = verdict {
        fail(path, &text);
    }
}

/// Runs a test as a goroutine on a runtime of its own, with real threads and real time.
///
/// # Panics
///
/// If the test fails; and if the runtime cannot be started.
pub fn run_real<F>(options: TestOptions, test: impl FnOnce() -> F)
where
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    let workers = options.workers.unwrap_or(WORKERS);
    // What panics after the verdict ends no process in which other tests run.
    let builder = Builder::new().workers(workers).panic_policy(PanicPolicy::Isolate);
    let runtime = match builder.thread_name(harness_name(options.path)).build() {
        Ok(runtime) => runtime,
        Err(error) => panic!("the runtime of this test cannot start: {error}"),
    };
    let handle = runtime.handle();
    let shared = handle.shared();
    shared.side.begin_telling();
    let limit = options.timeout.unwrap_or(TIMEOUT);
    let mut verdict = match wait_for(handle.spawn_at(test(), options.site), Instant::now() + limit) {
        Some(Ok(verdict)) => verdict,
        Some(Err(error)) if error.is_panic() => {
            Err(format!("panic: the test panicked: {}", message(&*error.into_panic())))
        }
        Some(Err(_)) => Err("the test was aborted".to_owned()),
        None => Err(report::too_late(limit, &Dump::of(shared))),
    };
    if verdict.is_ok() && !options.leaks {
        verdict = all_end(&handle);
    }
    let (happened, lost) = shared.side.end();
    if verdict.is_ok()
        && let Some(lost) = lost.first()
    {
        let panic = happened.iter().find(|panic| panic.goroutine == lost.goroutine);
        let spawned_at = panic.map_or(options.site, |panic| panic.spawned_at);
        verdict = Err(format!(
            "panic: goroutine {} panicked and nobody saw it: {}\n  created at {spawned_at}",
            lost.goroutine,
            message(&*lost.payload)
        ));
    }
    drop(runtime);
    if let Err(text) = verdict {
        fail(options.path, &text);
    }
}

/// Waits a moment for the goroutines of a runtime to end. `Err`: the report of those that have not.
fn all_end(handle: &Handle) -> Result<(), String> {
    let shared = handle.shared();
    let last_moment = Instant::now() + LAST_MOMENT;
    while shared.live() > 0 {
        if Instant::now() > last_moment {
            let dump = Dump::of(shared);
            // One that computes, and has never waited, is in no dump.
            let unseen = if dump.goroutines().is_empty() { "\n(it has never waited)" } else { "" };
            return Err(format!("{}{unseen}", BubbleError::Leak(dump)));
        }
        thread::park_timeout(Duration::from_millis(1));
    }
    Ok(())
}

/// Prints the report, and panics with it: `#[should_panic(expected = ..)]` sees it. The text of another panic would
/// follow the report if this one were printed, too.
fn fail(path: &str, text: &str) -> ! {
    let text = format!("gorust: test {} failed: {text}", harness_name(path));
    eprintln!("\n{text}\n");
    resume_unwind(Box::new(text));
}

/// Which bubbles a test runs in.
enum Plan {
    /// One, with one seed.
    One(u64),
    /// One for each of so many seeds from the first on.
    Many(u64, u64),
    /// One in which the choices of a schedule are made.
    Replay(u64, Schedule),
}

impl Plan {
    fn new(options: &TestOptions) -> Self {
        let seed = options.seed.unwrap_or_else(|| seed_of(options.path));
        match (variable::<u64>(SEED), variable::<Schedule>(SCHEDULE), options.seeds) {
            (given, Some(schedule), _) => Self::Replay(given.unwrap_or(seed), schedule),
            (Some(given), None, _) => Self::One(given),
            (None, None, None | Some(1)) => Self::One(seed),
            (None, None, Some(count)) => Self::Many(seed, count),
        }
    }

    /// Runs the program accordingly. `Err`: the report.
    fn run<F: Future<Output = ()>>(
        self,
        options: &TestOptions,
        program: impl Fn() -> F,
    ) -> Result<(), String> {
        let TestOptions { path, leaks, site, .. } = *options;
        let bubble = |seed| Bubble::new(seed).allow_leaks(leaks).polls_limit(POLLS);
        let explore = |first, count| {
            let explorer = Explorer::new().seeds(first, count).allow_leaks(leaks).polls_limit(POLLS);
            explorer.shrink_for(SHRINK).run_at(&program, site)
        };
        match self {
            Self::Replay(seed, schedule) => {
                let (result, trace) = bubble(seed).schedule(schedule).run_traced_at(program(), site);
                result.map_err(|error| report::replayed(seed, &error, &trace))
            }
            Self::One(seed) => {
                let Err(error) = bubble(seed).run_at(program(), site) else { return Ok(()) };
                // Again, for the schedule.
                match explore(seed, 1) {
                    Err(found @ ExploreError::Failed(_)) => Err(report::explored(path, &found)),
                    other => Err(report::once_only(seed, &error, other.err().as_ref())),
                }
            }
            Self::Many(first, count) => match explore(first, count) {
                Ok(_) => Ok(()),
                Err(found) => Err(report::explored(path, &found)),
            },
        }
    }
}

/// A number that depends on nothing but the test's path: FNV-1a, in 32 bits so that it can be typed.
fn seed_of(path: &str) -> u64 {
    let hash =
        path.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    u64::from(hash)
}

/// What a variable of the environment holds, if it is set.
fn variable<T: FromStr>(name: &str) -> Option<T> {
    let text = match env::var(name) {
        Ok(text) => text,
        Err(VarError::NotPresent) => return None,
        Err(VarError::NotUnicode(text)) => text.to_string_lossy().into_owned(),
    };
    match text.trim().parse() {
        Ok(value) => Some(value),
        Err(_) if name == SEED => panic!("{SEED} is {text:?}; it must be a whole number"),
        Err(_) => panic!("{name} is {text:?}; it must be what a report has printed, as `fifo` or `3:1 17:2`"),
    }
}

/// What the thread that runs a test in bubbles tells the one that waits for it.
#[derive(Clone, Debug)]
struct Watch(Arc<Mutex<Watched>>);

#[derive(Debug)]
struct Watched {
    /// When the present run began.
    began: Instant,
    /// Where to look for its goroutines, and its seed.
    bubble: Option<(Handle, u64)>,
}

impl Watch {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Watched { began: Instant::now(), bubble: None })))
    }

    fn with<R>(&self, f: impl FnOnce(&mut Watched) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Called outside bubbles, where the clock is the real one.
    fn run_begins(&self) {
        let began = Instant::now();
        self.with(|watched| *watched = Watched { began, bubble: None });
    }

    fn runs_in_bubble(&self) {
        let bubble = (Handle::current(), bubble::seed());
        self.with(|watched| watched.bubble = Some(bubble));
    }

    fn left_of(&self, limit: Duration) -> Duration {
        limit.saturating_sub(self.with(|watched| watched.began).elapsed())
    }
}

/// Runs `body` on a thread of its own and gives back what it returns, unless one of its runs takes longer than
/// `limit`. Then the thread is left behind: nobody can stop it.
fn supervise(
    limit: Duration,
    path: &str,
    body: impl FnOnce(&Watch) -> Result<(), String> + Send + 'static,
) -> Result<(), String> {
    let (watch, (alive, ended)) = (Watch::new(), channel::<()>());
    let watched = watch.clone();
    let started = thread::Builder::new().name(harness_name(path).to_owned()).spawn(move || {
        // Hung up when the thread ends, however it does.
        let _alive = alive;
        body(&watched)
    });
    let running = match started {
        Ok(running) => running,
        Err(error) => panic!("the thread of this test cannot start: {error}"),
    };
    loop {
        let left = watch.left_of(limit);
        if left.is_zero() {
            let bubble = watch.with(|watched| watched.bubble.clone()).filter(|(handle, _)| handle.is_open());
            let dump = bubble.as_ref().map_or_else(Dump::default, |(handle, _)| Dump::of(handle.shared()));
            let mut text = report::too_late(limit, &dump);
            if let Some((_, seed)) = bubble {
                text += &report::again(path, seed);
            }
            return Err(text);
        }
        if ended.recv_timeout(left) == Err(RecvTimeoutError::Disconnected) {
            return running.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
    }
}

/// Waits for a goroutine's result until `deadline`. Not by a timer: the runtime may be stuck.
fn wait_for<T>(handle: JoinHandle<T>, deadline: Instant) -> Option<<JoinHandle<T> as Future>::Output> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut handle = pin!(handle);
    loop {
        if let Poll::Ready(result) = handle.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(result);
        }
        match deadline.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => thread::park_timeout(left),
            _ => return None,
        }
    }
}

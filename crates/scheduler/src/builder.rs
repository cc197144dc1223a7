//! What a runtime is built from: [`Builder`], the environment, and the checks of both.

use crate::{
    PanicPolicy, cpus,
    idle::MAX_PLACES,
    monitor,
    place::SeatId,
    runtime::{Handle, Runtime},
    shutdown,
    spare::Call,
    table,
    task::error::{GoroutinePanic, OnPanic},
    worker::Worker,
};
use gorust_primitives::shim::Ordering;
use gorust_reactor::{Clock, Reactor};
use std::{fmt, io, panic::Location, sync::Arc, thread, time::Duration};

/// The environment variable that says how many workers the global runtime has.
const MAXPROCS: &str = "GORUST_MAXPROCS";

/// A thread that polls futures needs some room; less than this is a mistake, such as kilobytes for bytes.
const MIN_STACK: usize = 64 * 1024;
/// As is more than this.
const MAX_STACK: usize = 1 << 32;

/// What a runtime was built with.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    workers: Option<usize>,
    thread_name: String,
    stack_size: Option<usize>,
    pub(crate) keep_alive: Duration,
    pub(crate) max_blocking_threads: usize,
    pub(crate) on_long_poll: Option<OnLongPoll>,
    pub(crate) panic_policy: PanicPolicy,
    pub(crate) on_panic: Option<OnPanic>,
    pub(crate) seed: u64,
    pub(crate) timer_slack: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            workers: None,
            thread_name: "gorust".to_owned(),
            stack_size: None,
            keep_alive: Duration::from_secs(10),
            max_blocking_threads: 512,
            on_long_poll: None,
            panic_policy: PanicPolicy::Exit,
            on_panic: None,
            seed: 0,
            timer_slack: Duration::from_nanos(1),
        }
    }
}

/// Whom to tell of long polls.
#[derive(Clone)]
pub(crate) struct OnLongPoll {
    pub(crate) after: Duration,
    pub(crate) call: Arc<dyn Fn(LongPoll) + Send + Sync>,
    pub(crate) site: &'static Location<'static>,
}

impl fmt::Debug for OnLongPoll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnLongPoll").field("after", &self.after).field("site", &self.site).finish()
    }
}

/// A poll that lasts: a goroutine computes, or blocks its thread, without an `await`. What
/// [`Builder::on_long_poll`] is told.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LongPoll {
    /// The goroutine's number; 0 if the poll ended before it could be asked, or the system does not let us look (which
    /// Linux does).
    pub goroutine: u64,
    /// Where the goroutine was spawned; `None` where its number is 0.
    pub spawned_at: Option<&'static Location<'static>>,
    /// How long the poll has lasted so far, at least.
    pub duration: Duration,
}

impl fmt::Display for LongPoll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "goroutine {} has been in one poll for {:?}", self.goroutine, self.duration)?;
        match self.spawned_at {
            Some(site) => write!(f, ", spawned at {site}"),
            None => Ok(()),
        }
    }
}

impl Config {
    /// Describes the thread on the seat `seat`.
    pub(crate) fn thread(&self, seat: SeatId) -> thread::Builder {
        let builder = thread::Builder::new().name(format!("{}-{seat}", self.thread_name));
        match self.stack_size {
            Some(bytes) => builder.stack_size(bytes),
            None => builder,
        }
    }
}

/// Builds a [`Runtime`] of one's own. Most programs need none: `#[gorust::main]` and `go` use the global one.
///
/// # Examples
///
/// ```
/// use gorust_scheduler::runtime::Builder;
///
/// let runtime = Builder::new().workers(2).thread_name("crawler").build()?;
/// assert_eq!(runtime.block_on(async { 6 * 7 }), 42);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct Builder(Config);

impl Builder {
    /// Starts with the defaults, which are said at each method.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many goroutines run at the same moment: 1 to 256. Default: `GORUST_MAXPROCS`, else as many as there are
    /// CPUs for this process, or fewer if its control groups grant it less, rounded up.
    pub fn workers(mut self, count: usize) -> Self {
        self.0.workers = Some(count);
        self
    }

    /// The first part of the threads' names; a number follows. Default: `gorust`.
    pub fn thread_name(mut self, name: impl Into<String>) -> Self {
        self.0.thread_name = name.into();
        self
    }

    /// The size of the threads' stacks, in bytes: 64 KiB to 4 GiB. Default: std's, 2 MiB.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.0.stack_size = Some(bytes);
        self
    }

    /// How long a spare thread waits for work before it ends. Spares take over when a worker's thread blocks, and run
    /// what [`spawn_blocking`](crate::spawn_blocking) cannot run in place. Default: 10 s.
    pub fn keep_alive(mut self, duration: Duration) -> Self {
        self.0.keep_alive = duration;
        self
    }

    /// How many threads [`spawn_blocking`](crate::spawn_blocking) may occupy beside the workers; further jobs wait. At
    /// least 1. Threads that are replaced because theirs blocks do not count. Default: 512.
    pub fn max_blocking_threads(mut self, count: usize) -> Self {
        self.0.max_blocking_threads = count;
        self
    }

    /// Calls `f` when a goroutine has been in one poll for `after` or longer, once a poll, while it still is: it
    /// computes or blocks without an `await`, and everything it should do meanwhile waits. Default: nobody is told.
    ///
    /// `f` runs in a goroutine of its own. The monitor looks every 10 ms or more often, so that a poll is told of that
    /// much later than `after`, or not at all if it ends before that; what is shorter than 10 ms is not seen. A section
    /// inside [`blocking`](crate::blocking()) is part of its poll.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_scheduler::{go, runtime::Builder};
    /// use std::{sync::mpsc, time::Duration};
    ///
    /// let (sender, long_polls) = mpsc::channel();
    /// let runtime = Builder::new()
    ///     .on_long_poll(Duration::from_millis(20), move |poll| {
    ///         let _ = sender.send(poll);
    ///     })
    ///     .build()?;
    /// let hog = runtime.spawn(async { std::thread::sleep(Duration::from_millis(200)) });
    /// let id = hog.id();
    /// runtime.block_on(hog).unwrap();
    /// let poll = long_polls.recv().unwrap();
    /// assert!(poll.duration >= Duration::from_millis(20));
    /// # if cfg!(target_os = "linux") {
    /// assert_eq!(poll.goroutine, id);
    /// # }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn on_long_poll(mut self, after: Duration, f: impl Fn(LongPoll) + Send + Sync + 'static) -> Self {
        let site = Location::caller();
        self.0.on_long_poll = Some(OnLongPoll { after, call: Arc::new(f), site });
        self
    }

    /// What happens when a goroutine panics and nobody can see it. Default: [`PanicPolicy::Exit`].
    pub fn panic_policy(mut self, policy: PanicPolicy) -> Self {
        self.0.panic_policy = policy;
        self
    }

    /// Calls `f` at each panic of a goroutine, after it was printed: to count it, or to send it where the operator looks.
    /// Default: it is printed, and no more.
    ///
    /// `f` runs in the goroutine, on the thread that polled it, when the poll is unwound: before the goroutine's other
    /// destructors run, before its handle resolves, and before the process ends, if it does. It is called whatever
    /// the [`PanicPolicy`], also for a panic that somebody will see. A panic of `f` itself is printed, and changes nothing.
    /// Everybody waits for it, so it must not block for long.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_scheduler::runtime::Builder;
    /// use std::sync::mpsc;
    ///
    /// let (sender, panics) = mpsc::channel();
    /// let runtime = Builder::new()
    ///     .on_panic(move |panic| {
    ///         let _ = sender.send(panic.message().to_owned());
    ///     })
    ///     .build()?;
    /// let handle = runtime.spawn(async { if true { panic!("no luck") } });
    /// assert!(runtime.block_on(handle).unwrap_err().is_panic());
    /// assert_eq!(panics.recv().unwrap(), "no luck");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on_panic(mut self, f: impl Fn(&GoroutinePanic<'_>) + Send + Sync + 'static) -> Self {
        self.0.on_panic = Some(OnPanic(Arc::new(f)));
        self
    }

    /// Seeds the random choices of the workers: whom to steal from, which ready case a select takes. Threads still
    /// race, so this alone does not make a run repeatable. Default: drawn from the system.
    pub fn seed(mut self, seed: u64) -> Self {
        self.0.seed = seed;
        self
    }

    /// How much later than asked the kernel may end a worker's sleep, to save wake-ups. Default: 1 ns, where Linux's
    /// own default is 50 us. Elsewhere it has no effect.
    pub fn timer_slack(mut self, slack: Duration) -> Self {
        self.0.timer_slack = slack;
        self
    }

    /// Builds the runtime and starts its workers.
    ///
    /// # Errors
    ///
    /// `InvalidInput`, naming the value, if one is out of its range or `GORUST_MAXPROCS` is not a number in it; and
    /// whatever the system says when it has no more threads or file descriptors.
    pub fn build(self) -> io::Result<Runtime> {
        start(self.0).map(Runtime::new_from)
    }
}

impl Builder {
    pub(crate) fn into_config(self) -> Config {
        self.0
    }
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

fn worker_count(config: &Config) -> io::Result<usize> {
    let (count, source) = match config.workers {
        Some(count) => (count, "workers".to_owned()),
        None => match std::env::var_os(MAXPROCS) {
            None => (cpus::useful_workers().min(MAX_PLACES), "CPUs".to_owned()),
            Some(value) => {
                let number = value.to_str().and_then(|text| text.trim().parse().ok());
                let count = number.ok_or_else(|| {
                    invalid(format!("{MAXPROCS} is {value:?}; it must be a number from 1 to {MAX_PLACES}"))
                })?;
                (count, MAXPROCS.to_owned())
            }
        },
    };
    if (1..=MAX_PLACES).contains(&count) {
        Ok(count)
    } else {
        Err(invalid(format!("{source} is {count}; it must be from 1 to {MAX_PLACES}")))
    }
}

fn check_stack(config: &Config) -> io::Result<()> {
    match config.stack_size {
        Some(bytes) if !(MIN_STACK..=MAX_STACK).contains(&bytes) => Err(invalid(format!(
            "stack_size is {bytes} bytes; it must be from {MIN_STACK} (64 KiB) to {MAX_STACK} (4 GiB)"
        ))),
        _ => Ok(()),
    }
}

/// How many workers a runtime has if nothing is said.
pub(crate) fn default_workers() -> usize {
    worker_count(&Config::default()).unwrap_or_else(|_| cpus::useful_workers())
}

/// Starts a runtime: its reactor and its workers.
pub(crate) fn start(mut config: Config) -> io::Result<Handle> {
    crate::global::install_hooks();
    #[cfg(panic = "abort")]
    crate::task::error::tell_before_abort();
    let workers = worker_count(&config)?;
    check_stack(&config)?;
    if config.max_blocking_threads == 0 {
        return Err(invalid("max_blocking_threads is 0; it must be at least 1".to_owned()));
    }
    if config.thread_name.contains('\0') {
        return Err(invalid(format!(
            "thread_name is {:?}; it must not contain a zero byte",
            config.thread_name
        )));
    }
    if config.seed == 0 {
        config.seed = random_seed();
    }
    let reactor = Reactor::open(Clock::Real)?;
    let Some(shared) = table::claim() else {
        reactor.close();
        reactor.recycle();
        return Err(io::Error::other(format!("there are {} runtimes already", table::MAX_RUNTIMES)));
    };
    shared.open(config.clone(), workers, reactor);
    let handle = Handle::new(shared);
    // Every place has its holder before the first thread runs.
    let seats: Vec<SeatId> = (0..workers)
        .map(|place| {
            let Some(seat) = shared.claim_seat() else { unreachable!("a new runtime has free seats") };
            shared.place(place).fill(seat);
            seat
        })
        .collect();
    // The workers and the monitor.
    // Ordering: Relaxed, published to the threads by their start.
    shared.threads.store(workers + 1, Ordering::Relaxed);
    let fail = |place: usize, error| {
        for &seat in &seats[place..] {
            shared.free_seat(seat);
        }
        // Not the last to leave: `close` counts itself too.
        // Ordering: Relaxed, `close` follows on this thread.
        shared.threads.fetch_sub(workers - place, Ordering::Relaxed);
        shutdown::close(shared);
        error
    };
    let monitor = thread::Builder::new().name(format!("{}-monitor", config.thread_name));
    if let Err(error) = monitor.spawn(move || monitor::main(shared)) {
        // Ordering: Relaxed, as above.
        shared.threads.fetch_sub(1, Ordering::Relaxed);
        return Err(fail(0, error));
    }
    for (place, &seat) in seats.iter().enumerate() {
        let started = config.thread(seat).spawn(move || Worker::main(shared, seat, Call::Hold(place)));
        if let Err(error) = started {
            return Err(fail(place, error));
        }
    }
    Ok(handle)
}

/// A seed that differs from run to run: std draws its hash keys from the system.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0_u8) | 1
}

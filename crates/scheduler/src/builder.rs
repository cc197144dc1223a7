//! What a runtime is built from: [`Builder`], the environment, and the checks of both.

use crate::{
    PanicPolicy,
    idle::MAX_PLACES,
    place::SeatId,
    runtime::{Handle, Runtime},
    shutdown, table,
    worker::Worker,
};
use gorust_primitives::shim::Ordering;
use gorust_reactor::{Clock, Reactor};
use std::{io, thread, time::Duration};

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
    pub(crate) panic_policy: PanicPolicy,
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
            panic_policy: PanicPolicy::Exit,
            seed: 0,
            timer_slack: Duration::from_nanos(1),
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
    /// CPUs for this process.
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

    /// How long a spare thread waits for work before it ends. Default: 10 s.
    pub fn keep_alive(mut self, duration: Duration) -> Self {
        self.0.keep_alive = duration;
        self
    }

    /// What happens when a goroutine panics and nobody can see it. Default: [`PanicPolicy::Exit`].
    pub fn panic_policy(mut self, policy: PanicPolicy) -> Self {
        self.0.panic_policy = policy;
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
            None => (num_cpu().min(MAX_PLACES), "CPUs".to_owned()),
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

/// How many CPUs this process may use.
pub(crate) fn num_cpu() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Starts a runtime: its reactor and its workers.
pub(crate) fn start(mut config: Config) -> io::Result<Handle> {
    crate::global::install_hooks();
    let workers = worker_count(&config)?;
    check_stack(&config)?;
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
    // Ordering: Relaxed, published to the threads by their start.
    shared.threads.store(workers, Ordering::Relaxed);
    for (place, &seat) in seats.iter().enumerate() {
        let started = config.thread(seat).spawn(move || Worker::main(shared, seat, Some(place)));
        if let Err(error) = started {
            for &seat in &seats[place..] {
                shared.free_seat(seat);
            }
            // Not the last to leave: `close` counts itself too.
            // Ordering: Relaxed, `close` follows on this thread.
            shared.threads.fetch_sub(workers - place, Ordering::Relaxed);
            shutdown::close(shared);
            return Err(error);
        }
    }
    Ok(handle)
}

/// A seed that differs from run to run: std draws its hash keys from the system.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0_u8) | 1
}

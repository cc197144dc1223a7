//! [`Runtime`], [`Handle`] and what can be asked of the current one.

use crate::{
    block_on, builder, cpus, drain, global, resize,
    shared::Shared,
    shutdown,
    task::join::JoinHandle,
    worker::{self, Hidden},
};
use futures_task::{FutureObj, Spawn, SpawnError};
use gorust_primitives::shim::Ordering;
use gorust_reactor::Reactor;
use std::{fmt, future::Future, io, marker::PhantomData, panic::Location, time::Duration};

pub use crate::{
    builder::{Builder, LongPoll},
    drain::{RunningGoroutine, Shutdown, StillRunning},
};

/// A set of workers, a reactor and the goroutines on them. Most programs use the global one and never see this
/// type.
///
/// [`shutdown`](Self::shutdown) lets its goroutines finish. Dropping it ends it at once and without waiting: goroutines that wait are dropped at their await points,
/// one that is inside a poll is dropped when that poll returns, and blocking calls are left to end alone. Dropping
/// never panics and never hangs, also inside one of its own goroutines. A handle of a dropped goroutine resolves to
/// a canceled [`JoinError`](crate::JoinError).
///
/// # Examples
///
/// ```
/// use gorust_scheduler::runtime::Runtime;
///
/// let runtime = Runtime::new()?;
/// let handle = runtime.spawn(async { "hello" });
/// assert_eq!(runtime.block_on(handle).unwrap(), "hello");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Runtime {
    handle: Handle,
}

impl Runtime {
    /// Builds a runtime with the defaults of [`Builder`].
    ///
    /// # Errors
    ///
    /// As [`Builder::build`].
    pub fn new() -> io::Result<Self> {
        Builder::new().build()
    }

    pub(crate) fn new_from(handle: Handle) -> Self {
        Self { handle }
    }

    /// Runs a future to its end on this thread, with this runtime as the current one; see
    /// [`block_on`](crate::block_on()).
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.handle.block_on(future)
    }

    /// Starts a goroutine on this runtime; see [`go`](crate::go).
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.spawn(future)
    }

    /// Returns a handle to this runtime, which does not keep it alive.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Makes this runtime the current one of this thread until the guard is dropped.
    pub fn enter(&self) -> EnterGuard<'_> {
        self.handle.enter()
    }

    /// Lets the goroutines finish, for up to `patience`, and ends the runtime.
    ///
    /// New ones may be spawned until the last has ended or the time is up. Then those that wait are dropped where they
    /// wait, also when they hold each other; polls that are under way have another tenth of a second to return.
    ///
    /// Awaited inside one of its own goroutines it does not wait for that one, which ends at its next await.
    ///
    /// # Errors
    ///
    /// [`StillRunning`], which names them, if goroutines are still inside a poll: they compute or block their thread. They
    /// end at their next await, and are nobody's concern any more.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready it ends the runtime at once, as dropping the [`Runtime`] does.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_scheduler::{block_on, runtime::Runtime, yield_now};
    /// use std::{sync::mpsc, time::Duration};
    ///
    /// let (sender, done) = mpsc::channel();
    /// let runtime = Runtime::new()?;
    /// drop(runtime.spawn(async move {
    ///     yield_now().await;
    ///     sender.send("finished").unwrap();
    /// }));
    /// block_on(runtime.shutdown(Duration::from_secs(60))).unwrap();
    /// assert_eq!(done.recv().unwrap(), "finished");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn shutdown(self, patience: Duration) -> Shutdown {
        Shutdown::new(self, patience)
    }

    /// As [`shutdown`](Self::shutdown), for plain threads: blocks this one until then.
    ///
    /// # Errors
    ///
    /// As [`shutdown`](Self::shutdown).
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_scheduler::runtime::Runtime;
    /// use std::{sync::mpsc, time::Duration};
    ///
    /// let (release, held) = mpsc::channel::<()>();
    /// let (begins, begun) = mpsc::channel();
    /// let runtime = Runtime::new()?;
    /// let stuck = runtime.spawn(async move {
    ///     begins.send(()).unwrap();
    ///     drop(held.recv());
    /// });
    /// begun.recv().unwrap();
    /// let still = runtime.shutdown_blocking(Duration::from_millis(10)).unwrap_err();
    /// assert_eq!(still.count(), 1);
    /// # if cfg!(target_os = "linux") {
    /// assert_eq!(still.goroutines()[0].id, stuck.id());
    /// # }
    /// drop(release);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn shutdown_blocking(self, patience: Duration) -> Result<(), StillRunning> {
        drain::shutdown_blocking(self.handle(), patience)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // After a shutdown this memory may be another runtime's. Nobody else closes this one.
        if self.handle.is_open() {
            shutdown::close(self.handle.shared);
        }
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Runtime").field(&self.handle).finish()
    }
}

/// A handle to a runtime: spawns on it from anywhere. It does not keep the runtime alive; on one that has ended a
/// spawned goroutine is dropped at once, and its handle resolves to a canceled [`JoinError`](crate::JoinError).
///
/// # Examples
///
/// ```
/// use gorust_scheduler::runtime::{Handle, Runtime};
///
/// let runtime = Runtime::new()?;
/// let handle: Handle = runtime.handle();
/// let thread = std::thread::spawn(move || handle.block_on(async { 1 }));
/// assert_eq!(thread.join().unwrap(), 1);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Handle {
    shared: &'static Shared,
    generation: u32,
}

impl Handle {
    pub(crate) fn new(shared: &'static Shared) -> Self {
        Self { shared, generation: shared.generation() }
    }

    /// Returns the runtime this thread belongs to: of the running goroutine, entered, or the global one, which is
    /// started if it is not running.
    ///
    /// # Panics
    ///
    /// If the global runtime must be started and cannot be; the text says why.
    #[track_caller]
    pub fn current() -> Self {
        let site = Location::caller();
        Self::try_current().unwrap_or_else(|| global::start(site))
    }

    /// Returns the runtime this thread belongs to, or the global one if it is running.
    pub fn try_current() -> Option<Self> {
        worker::with_current(|worker| worker.map(|worker| Self::new(worker.shared())))
            .or_else(global::try_current)
    }

    /// Starts a goroutine on this runtime; see [`go`](crate::go).
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_at(future, Location::caller())
    }

    /// Runs a future to its end on this thread, with this runtime as the current one; see
    /// [`block_on`](crate::block_on()).
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        block_on::block_on_in(self, future)
    }

    /// Makes this runtime the current one of this thread until the guard is dropped: `go`, timers and sockets use
    /// it. Guards of one thread are dropped in the reverse order of their creation.
    pub fn enter(&self) -> EnterGuard<'_> {
        EnterGuard {
            // Of a runtime that has ended, this memory may be another's by now.
            reactor: self.is_open().then(|| gorust_reactor::enter(self.shared.reactor(), Reactor::FOREIGN)),
            previous: global::set_entered(Some(self.clone())),
            hidden: worker::hide(),
            lifetime: PhantomData,
        }
    }

    /// Returns how many of what the runtime has, and what it has done so far.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_scheduler::runtime::Builder;
    ///
    /// let runtime = Builder::new().workers(2).build()?;
    /// assert_eq!(runtime.handle().metrics().workers, 2);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn metrics(&self) -> Metrics {
        let shared = self.shared;
        let spares = shared.spares.counts();
        Metrics {
            workers: shared.workers(),
            goroutines: shared.live(),
            // Ordering: Relaxed, numbers by themselves.
            threads: shared.threads.load(Ordering::Relaxed),
            spare_threads: spares.idle,
            blocking_threads: spares.running,
            blocking_running: shared.jobs_running.load(Ordering::Relaxed),
            blocking_queued: spares.queued,
            hand_overs: shared.monitor.hand_overs(),
            long_polls: shared.monitor.long_polls(),
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.shared.is_open_as(self.generation)
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        std::ptr::eq(self.shared, other.shared) && self.generation == other.generation
    }

    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    pub(crate) fn shared(&self) -> &'static Shared {
        self.shared
    }
}

/// How many of what a runtime has, and what it has done so far; made by [`Handle::metrics`].
/// Each number is right by itself; together they are a snapshot only approximately.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Metrics {
    /// How many goroutines can run at the same moment.
    pub workers: usize,
    /// Goroutines that have not ended.
    pub goroutines: usize,
    /// Threads: workers, spares, and the monitor.
    pub threads: usize,
    /// Threads that wait to take over from one that blocks, or for a blocking job.
    pub spare_threads: usize,
    /// Threads that run blocking jobs beside the workers.
    pub blocking_threads: usize,
    /// Blocking jobs that run, wherever.
    pub blocking_running: usize,
    /// Blocking jobs that wait for a thread.
    pub blocking_queued: usize,
    /// Places that were taken from threads which blocked, or computed for too long.
    pub hand_overs: u64,
    /// Polls that took longer than a time slice, 10 ms.
    pub long_polls: u64,
}

impl Spawn for Handle {
    #[track_caller]
    fn spawn_obj(&self, future: FutureObj<'static, ()>) -> Result<(), SpawnError> {
        self.status()?;
        drop(self.spawn(future));
        Ok(())
    }

    fn status(&self) -> Result<(), SpawnError> {
        if self.is_open() { Ok(()) } else { Err(SpawnError::shutdown()) }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("workers", &self.shared.workers())
            .field("goroutines", &self.shared.live())
            .field("open", &self.is_open())
            .finish()
    }
}

/// Makes a runtime the current one of this thread; made by [`Runtime::enter`] and [`Handle::enter`].
#[must_use = "the runtime is the current one only while the guard lives"]
pub struct EnterGuard<'a> {
    /// Held for its drop.
    #[expect(dead_code, reason = "its drop restores this thread's reactor")]
    reactor: Option<gorust_reactor::Entered>,
    previous: Option<Handle>,
    /// Held for its drop.
    #[expect(dead_code, reason = "its drop makes this thread a worker again, if it was one")]
    hidden: Hidden,
    lifetime: PhantomData<(&'a Handle, *const ())>,
}

impl Drop for EnterGuard<'_> {
    fn drop(&mut self) {
        global::set_entered(self.previous.take());
    }
}

impl fmt::Debug for EnterGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnterGuard")
    }
}

/// Returns how many goroutines the current runtime has, running or waiting; 0 if no runtime is running.
///
/// # Go
///
/// `runtime.NumGoroutine`. Main counts, as there; threads inside `block_on` do not.
///
/// # Examples
///
/// ```
/// use gorust_scheduler::runtime;
///
/// let handle = gorust_scheduler::go(async { runtime::num_goroutines() });
/// assert!(gorust_scheduler::block_on(handle).unwrap() >= 1);
/// ```
pub fn num_goroutines() -> usize {
    Handle::try_current().map_or(0, |handle| handle.shared.live())
}

/// Returns how many goroutines of the current runtime can run at the same moment; what the global one would have,
/// if none is running.
///
/// # Go
///
/// `runtime.GOMAXPROCS(0)`.
///
/// # Examples
///
/// ```
/// assert!(gorust_scheduler::runtime::max_procs() >= 1);
/// ```
pub fn max_procs() -> usize {
    Handle::try_current().map_or_else(builder::default_workers, |handle| handle.shared.workers())
}

/// Has `count` goroutines of the current runtime run at the same moment from now on, and returns how many it were before.
///
/// The global runtime is started if none is running. Nothing stops: more workers are started at once, and those that are
/// too many go between two polls of goroutines. 0 changes nothing, and what is above 256 is 256. In a bubble, which has
/// one thread, it changes nothing either.
///
/// # Panics
///
/// If the global runtime must be started and cannot be.
///
/// # Go
///
/// `runtime.GOMAXPROCS(n)`, which stops all goroutines for the change.
///
/// # Examples
///
/// ```
/// use gorust_scheduler::{block_on, go, runtime};
///
/// let before = runtime::set_max_procs(3);
/// assert_eq!(block_on(go(async { runtime::max_procs() })).unwrap(), 3);
/// assert_eq!(runtime::set_max_procs(before), 3);
/// ```
#[track_caller]
pub fn set_max_procs(count: usize) -> usize {
    resize::resize(&Handle::current(), count)
}

/// Returns how many CPUs this process may run on. Its control groups may grant it less time than so many have;
/// [`max_procs`] heeds that.
///
/// # Go
///
/// `runtime.NumCPU`.
///
/// # Examples
///
/// ```
/// assert!(gorust_scheduler::runtime::num_cpu() >= 1);
/// ```
pub fn num_cpu() -> usize {
    cpus::count()
}

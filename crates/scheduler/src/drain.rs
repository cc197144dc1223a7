//! `Runtime::shutdown`: waits for the goroutines, then ends the runtime, and says what could not be ended. How a runtime
//! ends is in `shutdown.rs`.

use crate::{
    blocking,
    runtime::{Handle, Runtime},
    shared::Shared,
    shutdown,
    task::error::Title,
    worker,
};
use gorust_primitives::current;
use gorust_reactor::time::{Sleep, sleep};
use std::{
    error::Error,
    fmt,
    future::Future,
    panic::Location,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    thread,
    time::Duration,
};

/// How long polls that are under way at the end are waited for.
const LAST_POLLS: Duration = Duration::from_millis(100);

/// How often the goroutines are counted, at first and at last. Nobody tells when the last one ends: a word for that would
/// be written at every end of a goroutine.
const FIRST_PAUSE: Duration = Duration::from_micros(50);
const LAST_PAUSE: Duration = Duration::from_millis(5);

/// A goroutine that could not be ended, in [`StillRunning`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunningGoroutine {
    /// Its number.
    pub id: u64,
    /// Its name, if it has one.
    pub name: Option<Arc<str>>,
    /// Where it was spawned.
    pub spawned_at: &'static Location<'static>,
}

impl fmt::Display for RunningGoroutine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, spawned at {}", Title(self.id, self.name.as_deref()), self.spawned_at)
    }
}

/// A runtime was shut down, and some of its goroutines still run: they compute, or block their thread, and cannot be ended
/// before they await something.
///
/// `Display` names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StillRunning {
    count: usize,
    goroutines: Vec<RunningGoroutine>,
}

impl StillRunning {
    /// Returns how many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Returns who they are, in the order of their numbers. There may be fewer than [`count`](Self::count): one that has
    /// not waited yet and has no name is found only on Linux.
    pub fn goroutines(&self) -> &[RunningGoroutine] {
        &self.goroutines
    }
}

impl fmt::Display for StillRunning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            1 => f.write_str("1 goroutine still runs")?,
            count => write!(f, "{count} goroutines still run")?,
        }
        for (index, goroutine) in self.goroutines.iter().enumerate() {
            write!(f, "{} {goroutine}", if index == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}

impl Error for StillRunning {}

/// Keeps a runtime from ending altogether.
struct Stay(&'static Shared);

impl Drop for Stay {
    fn drop(&mut self) {
        shutdown::leave(self.0);
    }
}

/// A shutdown under way.
struct Drain {
    handle: Handle,
    stay: Option<Stay>,
    /// How long the goroutines may go on; then, until when.
    patience: Duration,
    until_ns: Option<u64>,
    closed: bool,
    pause: Duration,
}

impl Drain {
    fn new(handle: Handle, patience: Duration) -> Self {
        Self { handle, stay: None, patience, until_ns: None, closed: false, pause: FIRST_PAUSE }
    }

    /// Goes on. `Err`: to be called again after that time.
    fn step(&mut self) -> Result<Result<(), StillRunning>, Duration> {
        let shared = self.handle.shared();
        if self.stay.is_none() {
            if !shared.join(self.handle.generation()) {
                return Ok(Ok(()));
            }
            self.stay = Some(Stay(shared));
        }
        // The goroutine that waits for the end cannot be waited for.
        let own = worker::with_current(|worker| worker.is_some_and(|worker| worker.is_of(shared.index())));
        let own = if own { current::id() } else { 0 };
        let live = || shared.live().saturating_sub(usize::from(own != 0));
        let now_ns = shared.reactor().now_ns();
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let mut until_ns = *self.until_ns.get_or_insert(now_ns.saturating_add(nanos(self.patience)));
        if !self.closed && (live() == 0 || now_ns >= until_ns) {
            self.closed = true;
            self.pause = FIRST_PAUSE;
            shutdown::close(shared);
            // This one is dropped at its next await: it must not wait.
            until_ns = if own == 0 { now_ns.saturating_add(nanos(LAST_POLLS)) } else { 0 };
            self.until_ns = Some(until_ns);
        }
        if self.closed && live() == 0 {
            return Ok(Ok(()));
        }
        if self.closed && now_ns >= until_ns {
            let goroutines = running(shared, own);
            return match live().max(goroutines.len()) {
                0 => Ok(Ok(())),
                count => Ok(Err(StillRunning { count, goroutines })),
            };
        }
        let pause = self.pause.min(Duration::from_nanos(until_ns.saturating_sub(now_ns)));
        self.pause = LAST_PAUSE.min(2 * self.pause);
        Err(pause)
    }
}

/// The goroutines of a runtime that is closing: all that wait were dropped, so these are inside a poll.
fn running(shared: &'static Shared, except: u64) -> Vec<RunningGoroutine> {
    let mut found = Vec::new();
    for shard in shared.shards() {
        shard.walk(|task| {
            let record = &task.header().record;
            if !task.header().state.is_completed() && record.id() != except {
                let name = task.details().and_then(|details| details.name.clone());
                found.push(RunningGoroutine { id: record.id(), name, spawned_at: record.spawned_at() });
            }
        });
    }
    // Inside its first poll a goroutine is not in the registry.
    for seat in shared.seats() {
        let polls = seat.polls();
        if let Some((id, spawned_at)) = seat.with_thread(|thread| thread.running(|| seat.polls() == polls))
            && id != except
            && found.iter().all(|known| known.id != id)
        {
            found.push(RunningGoroutine { id, name: None, spawned_at });
        }
    }
    found.sort_unstable_by_key(|goroutine| goroutine.id);
    found
}

/// Waits for the goroutines of `handle`'s runtime, up to `patience`, and ends it. Blocks the thread.
pub(crate) fn shutdown_blocking(handle: Handle, patience: Duration) -> Result<(), StillRunning> {
    let mut drain = Drain::new(handle, patience);
    loop {
        match drain.step() {
            Ok(result) => return result,
            // A token of this thread's is no harm: it looks once more.
            Err(pause) => blocking(|| thread::park_timeout(pause)),
        }
    }
}

/// Waits for the end of a runtime; made by [`Runtime::shutdown`](crate::runtime::Runtime::shutdown).
///
/// Dropping it ends the runtime at once.
#[must_use = "futures do nothing unless awaited"]
pub struct Shutdown {
    drain: Drain,
    sleep: Option<Pin<Box<Sleep>>>,
    /// Held for its drop.
    #[expect(dead_code, reason = "its drop ends the runtime, if nothing else has")]
    runtime: Runtime,
}

impl Shutdown {
    pub(crate) fn new(runtime: Runtime, patience: Duration) -> Self {
        Self { drain: Drain::new(runtime.handle(), patience), sleep: None, runtime }
    }
}

impl Future for Shutdown {
    type Output = Result<(), StillRunning>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            if let Some(sleep) = &mut this.sleep {
                std::task::ready!(sleep.as_mut().poll(cx));
                this.sleep = None;
            }
            match this.drain.step() {
                Ok(result) => return Poll::Ready(result),
                Err(pause) => this.sleep = Some(Box::pin(sleep(pause))),
            }
        }
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown").field("runtime", &self.drain.handle).finish_non_exhaustive()
    }
}

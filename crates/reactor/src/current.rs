//! Which reactor a thread uses: the one it has entered, else the global runtime's, else one that a thread of its
//! own drives. What a reactor does is in `reactor`.

use crate::{
    clock::{self, Clock},
    poll,
    reactor::{Reactor, Wait},
    timer::shard::Shard,
};
use gorust_primitives::current as primitives;
use std::{
    cell::Cell,
    io,
    marker::PhantomData,
    sync::{Mutex, MutexGuard, PoisonError, RwLock},
};

/// Where the timers and sources of a thread go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Here {
    pub(crate) reactor: &'static Reactor,
    pub(crate) shard: &'static Shard,
    foreign: bool,
}

impl Here {
    /// Whether the thread may arm a timer without looking at the shard again before it sleeps.
    #[inline]
    pub(crate) fn is_foreign(&self) -> bool {
        self.foreign
    }
}

thread_local! {
    static HERE: Cell<Option<Here>> = const { Cell::new(None) };
}

/// A thread's stay in a reactor; the previous one comes back when it is dropped.
#[must_use = "the thread leaves the reactor when this is dropped"]
#[derive(Debug)]
pub struct Entered {
    reactor: &'static Reactor,
    previous: Option<Here>,
    /// It belongs to the thread's local state.
    not_send: PhantomData<*const ()>,
}

/// Makes this thread use `reactor` until the guard is dropped, with timers in `shard`.
///
/// With a shard of its own ([`Reactor::claim_shard`]) the thread promises to call [`Reactor::before_park`] or
/// [`Driver::turn`](crate::Driver::turn) before it sleeps: arming a timer then takes no fence. A thread that cannot
/// promise that uses [`Reactor::FOREIGN`].
///
/// # Panics
///
/// If `shard` was never claimed.
///
/// # Examples
///
/// ```
/// use gorust_reactor::{Clock, Reactor, enter};
///
/// let reactor = Reactor::open(Clock::Real)?;
/// let entered = enter(reactor, Reactor::FOREIGN);
/// assert!(std::ptr::eq(gorust_reactor::current()?, reactor));
/// drop(entered);
/// reactor.close();
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn enter(reactor: &'static Reactor, shard: usize) -> Entered {
    let here = Here { reactor, shard: reactor.shard(shard), foreign: shard == Reactor::FOREIGN };
    reactor.count_entered();
    Entered { reactor, previous: HERE.replace(Some(here)), not_send: PhantomData }
}

impl Drop for Entered {
    fn drop(&mut self) {
        HERE.set(self.previous);
        self.reactor.count_left();
    }
}

/// Where this thread's timers go, if it has entered a reactor.
#[inline]
pub(crate) fn here() -> Option<Here> {
    // A thread that is ending has left every reactor.
    HERE.try_with(Cell::get).unwrap_or(None)
}

/// What the clock of this thread says.
#[inline]
pub(crate) fn now_ns() -> u64 {
    match here() {
        Some(here) => here.reactor.now_ns(),
        None => clock::real_now_ns(),
    }
}

/// What the clock of this thread says, if it is a virtual one.
pub(crate) fn virtual_now_ns() -> Option<u64> {
    here().map(|here| here.reactor).filter(|reactor| reactor.is_virtual()).map(Reactor::now_ns)
}

static GLOBAL: RwLock<Option<&'static Reactor>> = RwLock::new(None);

/// Says which reactor the global runtime drives. Threads outside any runtime use it from now on.
pub fn set_global(reactor: &'static Reactor) {
    *GLOBAL.write().unwrap_or_else(PoisonError::into_inner) = Some(reactor);
}

fn global() -> Option<&'static Reactor> {
    let global = *GLOBAL.read().unwrap_or_else(PoisonError::into_inner);
    global.filter(|reactor| !reactor.is_closed())
}

/// Returns the reactor for this thread's sources and timers: the one it has entered, else the global runtime's
/// (which this starts), else, where no scheduler is in use, one that a thread of its own drives.
///
/// # Errors
///
/// If a poller would have to be opened and the system refuses: too many open files.
///
/// # Examples
///
/// ```
/// let reactor = gorust_reactor::current()?;
/// assert!(!reactor.is_closed());
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn current() -> io::Result<&'static Reactor> {
    if let Some(here) = here().filter(|here| !here.reactor.is_closed()) {
        return Ok(here.reactor);
    }
    if let Some(reactor) = global() {
        return Ok(reactor);
    }
    if primitives::start_global()
        && let Some(reactor) = global()
    {
        return Ok(reactor);
    }
    self_driven()
}

/// As [`current`], for those who cannot report an error.
pub(crate) fn reactor_for_timers() -> &'static Reactor {
    match current() {
        Ok(reactor) => reactor,
        Err(error) => panic!("no timer can be armed, since no poller can be opened: {error}"),
    }
}

/// The reactor that a thread of its own drives; started when it is first needed, and never closed.
fn self_driven() -> io::Result<&'static Reactor> {
    static SELF_DRIVEN: Mutex<Option<&'static Reactor>> = Mutex::new(None);
    let mut started: MutexGuard<'_, _> = SELF_DRIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(reactor) = *started {
        return Ok(reactor);
    }
    let reactor = Reactor::open(Clock::Real)?;
    std::thread::Builder::new().name("gorust-reactor".into()).spawn(|| drive(reactor))?;
    *started = Some(reactor);
    Ok(reactor)
}

/// Polls `reactor` for ever.
fn drive(reactor: &'static Reactor) {
    poll::be_punctual();
    let _entered = enter(reactor, reactor.claim_shard());
    let mut wakers = Vec::new();
    loop {
        if let Err(error) = reactor.lock().turn(Wait::Until(None), &mut wakers) {
            panic!("the poller of the gorust-reactor thread failed: {error}");
        }
        for waker in wakers.drain(..) {
            // What a waker does is its owner's business: a panic in it must not end everybody's reactor.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| waker.wake()));
        }
    }
}

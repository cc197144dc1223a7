//! The reactor: one poller, its sources, its timers, a clock, and the right to poll, which one thread holds at a
//! time. Which reactor a thread uses is decided in `current`; who polls, and when, is the scheduler's business.

use crate::{
    clock::{Clock, ClockCell},
    poll::{Backend, Events, Poll, Timeout, notification::Notification},
    source::Table,
    timer::{NEVER, horizon::Horizon, shard::Shard},
};
use gorust_primitives::shim::{AtomicBool, AtomicU64, AtomicUsize, Lock, LockGuard, Ordering, StaticLock};
use std::{
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::OnceLock,
    task::Waker,
};

/// How many timer shards a reactor has at most, that of foreign threads included.
pub const MAX_SHARDS: usize = 512;

/// Sources and timers, and the poller that wakes those who wait for them.
///
/// It lives for ever: closed, it waits in a pool until it is opened again, so that sources and timers may point to
/// it without counting. A scheduler drives it: whoever is idle takes the right to poll ([`try_lock`]) and turns.
///
/// [`try_lock`]: Self::try_lock
///
/// # Examples
///
/// ```
/// use gorust_reactor::{Clock, Reactor, Wait, clock::Instant, enter, timer::Alarm};
/// use std::{task::Waker, time::Duration};
///
/// let reactor = Reactor::open(Clock::Real)?;
/// let _entered = enter(reactor, reactor.claim_shard());
/// let _alarm = Alarm::at(Instant::now() + Duration::from_millis(1), Waker::noop().clone());
/// let mut wakers = Vec::new();
/// while wakers.is_empty() {
///     let mut driver = reactor.try_lock().expect("nobody else polls");
///     driver.turn(Wait::Until(None), &mut wakers)?;
/// }
/// wakers.into_iter().for_each(Waker::wake);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Reactor {
    backend: Backend,
    clock: ClockCell,
    poll: Poll,
    /// The right to poll.
    driver: Lock<Events>,
    horizon: Horizon,
    sources: Table,
    shards: [OnceLock<Box<Shard>>; MAX_SHARDS],
    /// Shards from here on have never been claimed.
    shard_count: AtomicUsize,
    claims: Lock<Claims>,
    notification: Notification,
    closed: AtomicBool,
    /// Threads whose current reactor this is, or will be again.
    entered: AtomicUsize,
    /// Turns begun. Written by whoever holds the right to poll.
    turns: AtomicU64,
    /// Written by whoever holds the right to poll.
    polls: AtomicU64,
    notifies: AtomicU64,
    registrations: AtomicU64,
}

/// Timer shards that were given back.
#[derive(Debug, Default)]
struct Claims {
    released: Vec<usize>,
}

/// What a reactor has done since it was opened. Exact, and cheap to keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// System calls that looked or waited for events.
    pub polls: u64,
    /// System calls that broke such a wait.
    pub notifies: u64,
    /// System calls that registered a descriptor or ended a registration.
    pub registrations: u64,
    /// Timers that have fired.
    pub timers_fired: u64,
    /// Timers that are armed, or have fired and not yet been looked at.
    pub timers: usize,
    /// Descriptors that are registered.
    pub sources: usize,
}

/// How long a turn may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Not at all: it takes what is there.
    Never,
    /// Until an event, a notification, the earliest timer, or this time on the reactor's clock, in nanoseconds;
    /// whichever is first.
    Until(Option<u64>),
}

/// Reactors that are closed.
static POOL: StaticLock<Vec<&'static Reactor>> = StaticLock::new(Vec::new());

impl Reactor {
    /// The timer shard of threads that do not drive the reactor.
    pub const FOREIGN: usize = 0;

    /// Opens a reactor: a closed one that nothing is left in, or a new one.
    ///
    /// # Errors
    ///
    /// If the system refuses another poller: too many open files.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::{Clock, Reactor};
    ///
    /// let reactor = Reactor::open(Clock::Real)?;
    /// assert!(!reactor.is_closed());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn open(clock: Clock) -> io::Result<&'static Self> {
        Self::open_with(clock, Backend::Native)
    }

    /// As [`open`](Self::open), on a way of waiting that is not the system's best.
    ///
    /// # Errors
    ///
    /// As `open`.
    #[doc(hidden)]
    pub fn open_with(clock: Clock, backend: Backend) -> io::Result<&'static Self> {
        let mut pool = POOL.lock();
        let reusable = pool.iter().position(|reactor| reactor.backend == backend && reactor.is_empty());
        if let Some(reactor) = reusable.map(|position| pool.swap_remove(position)) {
            reactor.reopen(clock)?;
            return Ok(reactor);
        }
        drop(pool);
        let (poll, events) = Poll::open(backend)?;
        let reactor = Self {
            backend,
            clock: ClockCell::new(clock),
            poll,
            driver: Lock::new(events),
            horizon: Horizon::new(),
            sources: Table::new(),
            shards: [const { OnceLock::new() }; MAX_SHARDS],
            shard_count: AtomicUsize::new(0),
            claims: Lock::new(Claims::default()),
            notification: Notification::new(),
            closed: AtomicBool::new(false),
            entered: AtomicUsize::new(0),
            turns: AtomicU64::new(0),
            polls: AtomicU64::new(0),
            notifies: AtomicU64::new(0),
            registrations: AtomicU64::new(0),
        };
        let reactor: &'static Self = Box::leak(Box::new(reactor));
        reactor.new_shard();
        Ok(reactor)
    }

    /// Closes the reactor and wakes everybody who waits for it: operations on its sources fail from now on, sleeps
    /// arm themselves again with the reactor that is current then. Threads may still turn it; when none will,
    /// [`recycle`](Self::recycle) it. Returns whether it was open.
    ///
    /// The wakers are woken on the calling thread; a panic of one goes no further.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::{Clock, Reactor};
    ///
    /// let reactor = Reactor::open(Clock::Real)?;
    /// assert!(reactor.close());
    /// assert!(!reactor.close());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn close(&'static self) -> bool {
        // Ordering: AcqRel, so that of several callers one closes; what it closes has locks of its own.
        if self.closed.swap(true, Ordering::AcqRel) {
            return false;
        }
        let mut wakers = Vec::new();
        self.sources.close(&mut wakers);
        self.open_shards().for_each(|shard| shard.close(&mut wakers));
        self.notify();
        for waker in wakers {
            // A panic of one must not take the others' wake-up; what it panicked with was printed.
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
                std::mem::forget(payload);
            }
        }
        true
    }

    /// Puts a closed reactor, which no thread turns any more, back in the pool, to be opened again.
    pub fn recycle(&'static self) {
        debug_assert!(self.is_closed());
        POOL.lock().push(self);
    }

    /// Whether it was closed.
    #[inline]
    pub fn is_closed(&self) -> bool {
        // Ordering: Acquire, against the swap in `close`. Nothing rests on it: sources and shards know it too.
        self.closed.load(Ordering::Acquire)
    }

    /// Whether no source and no timer is left.
    fn is_empty(&self) -> bool {
        // Ordering: Acquire, against the Release in `count_left`.
        self.entered.load(Ordering::Acquire) == 0
            && self.sources.alive() == 0
            && self.open_shards().all(Shard::is_empty)
    }

    /// A thread has entered: this reactor is not opened for others until it has left.
    pub(crate) fn count_entered(&self) {
        // Ordering: Relaxed, as for every reference count.
        self.entered.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_left(&self) {
        // Ordering: Release, against the Acquire in `is_empty`.
        self.entered.fetch_sub(1, Ordering::Release);
    }

    fn reopen(&self, clock: Clock) -> io::Result<()> {
        self.clock.reset(clock);
        // The notification of `close` may still be on its way.
        self.lock().poll(Timeout::Ns(0), &mut Vec::new())?;
        *self.claims.lock() = Claims { released: (1..self.shard_count()).collect() };
        for counter in [&self.polls, &self.notifies, &self.registrations] {
            // Ordering: Relaxed, nobody else has the reactor yet.
            counter.store(0, Ordering::Relaxed);
        }
        self.open_shards().for_each(Shard::reopen);
        self.sources.reopen();
        // Ordering: Release, against `is_closed`.
        self.closed.store(false, Ordering::Release);
        Ok(())
    }

    /// Returns what the reactor's clock says, in nanoseconds.
    #[inline]
    pub fn now_ns(&self) -> u64 {
        self.clock.now_ns()
    }

    /// Whether its time is virtual. No descriptor can be registered then.
    pub fn is_virtual(&self) -> bool {
        self.clock.is_virtual()
    }

    /// Moves virtual time ahead to `ns`, never back. Timers that become due fire in the next turn.
    ///
    /// # Panics
    ///
    /// If the clock is the real one.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::{Clock, Reactor, Wait, clock::Instant, enter, timer::Alarm};
    /// use std::{task::Waker, time::Duration};
    ///
    /// let reactor = Reactor::open(Clock::Virtual)?;
    /// let _entered = enter(reactor, Reactor::FOREIGN);
    /// let alarm = Alarm::at(Instant::now() + Duration::from_secs(3600), Waker::noop().clone());
    /// reactor.advance_to(reactor.earliest_deadline().unwrap());
    /// let mut wakers = Vec::new();
    /// reactor.try_lock().unwrap().turn(Wait::Never, &mut wakers)?;
    /// assert_eq!(wakers.len(), 1);
    /// # drop(alarm);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn advance_to(&self, ns: u64) {
        self.clock.advance_to(ns);
    }

    /// Takes the right to poll, if nobody has it: one compare-and-swap.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::{Clock, Reactor};
    ///
    /// let reactor = Reactor::open(Clock::Real)?;
    /// let driver = reactor.try_lock();
    /// assert!(driver.is_some() && reactor.try_lock().is_none());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[inline]
    pub fn try_lock(&self) -> Option<Driver<'_>> {
        self.driver.try_lock().map(|events| Driver { reactor: self, events })
    }

    /// Takes the right to poll, waiting for it if need be.
    pub(crate) fn lock(&self) -> Driver<'_> {
        Driver { reactor: self, events: self.driver.lock() }
    }

    /// Makes the turn that is waiting return, or the next one that would wait. Any thread may call it.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::{Clock, Reactor, Wait};
    ///
    /// let reactor = Reactor::open(Clock::Real)?;
    /// reactor.notify();
    /// let mut wakers = Vec::new();
    /// reactor.try_lock().unwrap().turn(Wait::Until(None), &mut wakers)?; // does not sleep
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn notify(&self) {
        if self.notification.raise() {
            // Ordering: Relaxed, a counter.
            self.notifies.fetch_add(1, Ordering::Relaxed);
            // It cannot fail: the descriptor is ours, and its counter does not overflow.
            let written = self.poll.notify();
            debug_assert!(written.is_ok(), "{written:?}");
        }
    }

    /// Gives a timer shard to a worker thread. When all are taken it is that of foreign threads, which is correct
    /// and slower.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::{Clock, Reactor};
    ///
    /// let reactor = Reactor::open(Clock::Real)?;
    /// let shard = reactor.claim_shard();
    /// assert_ne!(shard, Reactor::FOREIGN);
    /// reactor.release_shard(shard);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn claim_shard(&self) -> usize {
        let released = self.claims.lock().released.pop();
        released.unwrap_or_else(|| self.new_shard())
    }

    /// Gives a timer shard back. Timers in it stay armed and are fired by turns.
    pub fn release_shard(&self, shard: usize) {
        if shard != Self::FOREIGN {
            self.claims.lock().released.push(shard);
        }
    }

    fn new_shard(&self) -> usize {
        let _claims = self.claims.lock();
        let index = self.shard_count();
        let Some(shard) = self.shards.get(index) else { return Self::FOREIGN };
        shard.get_or_init(|| Box::new(Shard::new()));
        // Ordering: Release, against `shard_count`: who sees the count sees the shard.
        self.shard_count.store(index + 1, Ordering::Release);
        index
    }

    #[inline]
    fn shard_count(&self) -> usize {
        // Ordering: Acquire, against the store in `new_shard`.
        self.shard_count.load(Ordering::Acquire)
    }

    #[inline]
    fn open_shards(&self) -> impl Iterator<Item = &Shard> {
        self.shards[..self.shard_count()].iter().filter_map(OnceLock::get).map(Box::as_ref)
    }

    /// Returns the shard that was claimed under this number.
    pub(crate) fn shard(&self, shard: usize) -> &Shard {
        self.shards.get(shard).and_then(OnceLock::get).expect("this timer shard was never claimed")
    }

    pub(crate) fn foreign_shard(&self) -> &Shard {
        self.shard(Self::FOREIGN)
    }

    /// Returns the earliest deadline in `shard`, or one that has been cancelled since; `u64::MAX` if there is none.
    /// One load.
    ///
    /// # Panics
    ///
    /// If the shard was never claimed.
    #[inline]
    pub fn next_deadline(&self, shard: usize) -> u64 {
        self.shard(shard).next()
    }

    /// Returns the earliest deadline of all; `None` if no timer is armed.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::{Clock, Reactor, clock::Instant, enter, timer::Alarm};
    /// use std::{task::Waker, time::Duration};
    ///
    /// let reactor = Reactor::open(Clock::Real)?;
    /// let _entered = enter(reactor, Reactor::FOREIGN);
    /// assert_eq!(reactor.earliest_deadline(), None);
    /// let deadline = Instant::now() + Duration::from_secs(60);
    /// let alarm = Alarm::at(deadline, Waker::noop().clone());
    /// assert_eq!(reactor.earliest_deadline(), Some(deadline.as_ns()));
    /// # drop(alarm);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn earliest_deadline(&self) -> Option<u64> {
        self.settle_earliest();
        Some(self.earliest()).filter(|&deadline| deadline != NEVER)
    }

    /// Fires what is due in `shard` at `now_ns`, some hundred timers at most: their wakers go to `wakers`. If more
    /// are due, [`next_deadline`](Self::next_deadline) says so. With nothing due it costs a load.
    ///
    /// # Panics
    ///
    /// If the shard was never claimed.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::{Clock, Reactor};
    ///
    /// let reactor = Reactor::open(Clock::Real)?;
    /// let mut wakers = Vec::new();
    /// reactor.fire_due(Reactor::FOREIGN, reactor.now_ns(), &mut wakers);
    /// assert!(wakers.is_empty());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[inline]
    pub fn fire_due(&self, shard: usize, now_ns: u64, wakers: &mut Vec<Waker>) {
        self.shard(shard).fire(now_ns, wakers);
    }

    /// Says that the thread that uses `shard` is about to sleep somewhere else than in this reactor: whoever sleeps
    /// in it is notified if that would be for too long.
    ///
    /// # Panics
    ///
    /// If the shard was never claimed.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::{Clock, Reactor};
    ///
    /// let reactor = Reactor::open(Clock::Real)?;
    /// let shard = reactor.claim_shard();
    /// reactor.before_park(shard); // nobody sleeps in it: nobody is notified
    /// assert_eq!(reactor.counters().notifies, 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn before_park(&self, shard: usize) {
        let shard = self.shard(shard);
        if shard.next() != NEVER && self.horizon.is_beyond(shard.next()) {
            // Perhaps that timer was cancelled.
            shard.settle();
            if self.horizon.is_beyond(shard.next()) {
                self.notify();
            }
        }
    }

    /// A thread that will not look at its shard again has armed a timer.
    #[inline]
    pub(crate) fn deadline_from_outside(&self, deadline: u64) {
        if self.horizon.is_beyond(deadline) {
            self.notify();
        }
    }

    /// A thread that will look at its shard again, if what it runs lets it, has armed a timer.
    #[inline]
    pub(crate) fn deadline_from_inside(&self, deadline: u64) {
        if self.horizon.seems_beyond(deadline) {
            self.notify();
        }
    }

    /// The earliest deadline of all shards, or an earlier one.
    #[inline]
    fn earliest(&self) -> u64 {
        self.open_shards().map(Shard::next).min().unwrap_or(NEVER)
    }

    /// Makes the earliest deadline of all an exact one.
    fn settle_earliest(&self) {
        while let Some(shard) = self.open_shards().min_by_key(|shard| shard.next())
            && shard.next() != NEVER
            && shard.settle()
        {}
    }

    /// Returns what the reactor has done since it was opened.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::{Clock, Reactor, Wait};
    ///
    /// let reactor = Reactor::open(Clock::Real)?;
    /// assert_eq!(reactor.counters().notifies, 0);
    /// reactor.notify();
    /// reactor.notify();
    /// assert_eq!(reactor.counters().notifies, 1, "the second found the first still on its way");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn counters(&self) -> Counters {
        // Ordering: Relaxed, counters.
        Counters {
            polls: self.polls.load(Ordering::Relaxed),
            notifies: self.notifies.load(Ordering::Relaxed),
            registrations: self.registrations.load(Ordering::Relaxed),
            timers_fired: self.open_shards().map(Shard::fired).sum(),
            timers: self.open_shards().map(Shard::owned).sum(),
            sources: self.sources.alive(),
        }
    }

    /// Returns how many turns were begun: whoever finds the same number again, and [no thread asleep](Self::is_asleep),
    /// knows that nobody looks after the reactor. A load.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::{Clock, Reactor, Wait};
    ///
    /// let reactor = Reactor::open(Clock::Real)?;
    /// let before = reactor.turns();
    /// reactor.try_lock().unwrap().turn(Wait::Never, &mut Vec::new())?;
    /// assert_ne!(reactor.turns(), before);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn turns(&self) -> u64 {
        // Ordering: Relaxed, a number to compare.
        self.turns.load(Ordering::Relaxed)
    }

    /// Whether a thread sleeps in a turn, or is about to, and so will serve whatever happens. A load.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::{Clock, Reactor};
    ///
    /// assert!(!Reactor::open(Clock::Real)?.is_asleep());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn is_asleep(&self) -> bool {
        self.horizon.is_asleep()
    }

    /// Whether there is nothing to look after: no source is registered, and no timer armed.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::{Clock, Reactor};
    ///
    /// assert!(Reactor::open(Clock::Real)?.is_unused());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn is_unused(&self) -> bool {
        self.earliest() == NEVER && self.sources.alive() == 0
    }

    pub(crate) fn sources(&self) -> &Table {
        &self.sources
    }

    #[inline]
    pub(crate) fn poll(&self) -> &Poll {
        &self.poll
    }

    pub(crate) fn count_registration(&self) {
        // Ordering: Relaxed, a counter.
        self.registrations.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Reactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Reactor");
        debug
            .field("poll", &self.poll)
            .field("virtual", &self.is_virtual())
            .field("closed", &self.is_closed());
        debug.field("counters", &self.counters()).finish()
    }
}

/// The right to poll: exists once per reactor, on the thread that took it.
pub struct Driver<'a> {
    reactor: &'a Reactor,
    events: LockGuard<'a, Events>,
}

impl Driver<'_> {
    /// Waits once for the system, at most as long as `wait` and the earliest timer allow, then collects the wakers
    /// of everything that has become ready or due in `wakers`. The caller wakes them, best after it has let go of
    /// the right to poll.
    ///
    /// One system call; none if there is nothing that could be ready. Events and timers are bounded per turn; when
    /// some are left over, the next turn does not wait. With a virtual clock a turn waits for notifications only,
    /// unless a timer is due.
    ///
    /// # Errors
    ///
    /// What the system reports. Not an interruption by a signal, which ends the wait without an event.
    #[inline]
    pub fn turn(&mut self, wait: Wait, wakers: &mut Vec<Waker>) -> io::Result<()> {
        let reactor = self.reactor;
        // Ordering: Relaxed, only the thread with the right to poll writes it, and readers only compare.
        reactor.turns.store(reactor.turns.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        match wait {
            Wait::Never => {
                if reactor.sources.alive() > 0 || reactor.notification.is_raised() {
                    self.poll(Timeout::Ns(0), wakers)?;
                }
            }
            Wait::Until(limit) => self.sleep(limit.unwrap_or(NEVER), wakers)?,
        }
        if reactor.earliest() != NEVER {
            let now = reactor.now_ns();
            reactor.open_shards().for_each(|shard| shard.fire(now, wakers));
        }
        Ok(())
    }

    fn sleep(&mut self, limit: u64, wakers: &mut Vec<Waker>) -> io::Result<()> {
        let reactor = self.reactor;
        reactor.settle_earliest();
        reactor.horizon.announce();
        let deadline = reactor.earliest().min(limit);
        reactor.horizon.sleep_until(deadline);
        let timeout = match deadline {
            NEVER => Timeout::Never,
            _ => match deadline.saturating_sub(reactor.now_ns()) {
                // Nobody knows when virtual time will have come that far.
                1.. if reactor.is_virtual() => Timeout::Never,
                ns => Timeout::Ns(ns),
            },
        };
        let polled = self.poll(timeout, wakers);
        reactor.horizon.awake();
        polled
    }

    fn poll(&mut self, timeout: Timeout, wakers: &mut Vec<Waker>) -> io::Result<()> {
        let reactor = self.reactor;
        // Ordering: Relaxed, a counter that only the thread with the right to poll writes.
        reactor.polls.store(reactor.polls.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        let notified = reactor.poll.wait(&mut self.events, timeout, |key, bits| {
            reactor.sources.announce(&reactor.poll, key, bits, wakers);
        })?;
        if notified {
            reactor.notification.clear();
        }
        Ok(())
    }
}

impl fmt::Debug for Driver<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Driver")
    }
}

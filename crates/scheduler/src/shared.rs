//! What all threads of one runtime share. It is never freed, only used again for another runtime once no thread
//! and no task of this one is left, so that nobody who is late can touch freed memory.

use crate::{
    PanicPolicy,
    bubble::Side,
    builder::Config,
    idle::{Idle, MAX_PLACES},
    monitor::Monitor,
    place::{Place, SeatId},
    queue::{Found, Injector},
    registry::{Outside, Shard},
    seat::Seat,
    shutdown,
    spare::Spares,
    task::raw::{Home, Runnable},
};
use crossbeam_utils::CachePadded;
use gorust_primitives::shim::{
    AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Lock, Ordering, fence,
};
use gorust_reactor::Reactor;
use std::sync::OnceLock;

/// The most threads of one runtime: each has a registry shard, and so has the outside. Go's limit is 10,000; past it
/// the process ends, as Go's does.
pub(crate) const MAX_SEATS: usize = Home::NOWHERE as usize - 1;

/// Nobody uses this memory.
const ENDED: u8 = 0;
/// Goroutines run.
const OPEN: u8 = 1;
/// The runtime is shutting down: what is not inside a poll is dropped.
const CLOSING: u8 = 2;

/// See the module.
#[derive(Debug)]
pub(crate) struct Shared {
    index: u16,
    status: AtomicU8,
    /// Counts the runtimes that lived here: a handle of an earlier one finds that it is over.
    generation: AtomicU32,
    /// The runtime's reactor. Changes only while `ENDED`.
    reactor: AtomicPtr<Reactor>,
    /// How many goroutines are to run at the same moment: the places below are in use. See `resize.rs`.
    pub(crate) workers: AtomicUsize,
    /// How many places have ever been in use: of those past `workers` some may be held still.
    places_used: AtomicUsize,
    /// Held to change `workers`.
    pub(crate) resizing: Lock<()>,
    panic_policy: AtomicU8,
    config: Lock<Config>,
    pub(crate) injector: Injector<Runnable>,
    pub(crate) idle: Idle,
    places: Box<[Place]>,
    seats: Box<[OnceLock<Seat>]>,
    free_seats: Lock<FreeSeats>,
    pub(crate) spares: Spares,
    /// Blocking jobs whose closure runs, and does not sleep in a `block_on`.
    pub(crate) jobs_running: CachePadded<AtomicUsize>,
    max_blocking_threads: AtomicUsize,
    pub(crate) monitor: Monitor,
    /// What a thread that holds no place asks whether it does.
    pub(crate) nowhere: Place,
    /// Tasks that first waited on a thread that is not a worker.
    pub(crate) outside: Outside,
    /// Tasks spawned by such threads.
    spawned_outside: CachePadded<AtomicU64>,
    /// Tasks completed by such threads.
    left_outside: AtomicU64,
    /// Threads of this runtime, and threads that shut it down: who is last puts the lights out.
    pub(crate) threads: AtomicUsize,
    /// Held to end the runtime, once.
    ending: Lock<()>,
    /// If this is a bubble: what is not its own thread's alone.
    pub(crate) side: Side,
}

#[derive(Debug, Default)]
struct FreeSeats {
    free: Vec<SeatId>,
    made: usize,
}

impl Shared {
    pub(crate) fn new(index: u16) -> Self {
        Self {
            index,
            status: AtomicU8::new(ENDED),
            generation: AtomicU32::new(0),
            reactor: AtomicPtr::new(std::ptr::null_mut()),
            workers: AtomicUsize::new(0),
            places_used: AtomicUsize::new(0),
            resizing: Lock::new(()),
            panic_policy: AtomicU8::new(0),
            config: Lock::new(Config::default()),
            injector: Injector::new(),
            idle: Idle::new(),
            places: (0..MAX_PLACES).map(|_| Place::vacant()).collect(),
            seats: (0..MAX_SEATS).map(|_| OnceLock::new()).collect(),
            free_seats: Lock::new(FreeSeats::default()),
            spares: Spares::new(),
            jobs_running: CachePadded::new(AtomicUsize::new(0)),
            max_blocking_threads: AtomicUsize::new(0),
            monitor: Monitor::new(),
            nowhere: Place::vacant(),
            outside: Outside::new(),
            spawned_outside: CachePadded::new(AtomicU64::new(0)),
            left_outside: AtomicU64::new(0),
            threads: AtomicUsize::new(0),
            ending: Lock::new(()),
            side: Side::new(),
        }
    }

    /// Begins a runtime in this memory, which nobody else uses. Threads come later.
    pub(crate) fn open(&self, config: Config, workers: usize, reactor: &'static Reactor) {
        // Ordering: Relaxed throughout, published by the status below and by the threads' start.
        self.reactor.store(std::ptr::from_ref(reactor).cast_mut(), Ordering::Relaxed);
        self.workers.store(workers, Ordering::Relaxed);
        self.places_used.store(workers, Ordering::Relaxed);
        self.panic_policy.store(config.panic_policy as u8, Ordering::Relaxed);
        self.max_blocking_threads.store(config.max_blocking_threads, Ordering::Relaxed);
        *self.config.lock() = config;
        self.monitor.reset();
        // Ordering: SeqCst, as every change of the status; see `is_open`.
        self.status.store(OPEN, Ordering::SeqCst);
    }

    pub(crate) fn index(&self) -> u16 {
        self.index
    }

    pub(crate) fn generation(&self) -> u32 {
        // Ordering: Acquire, against the Release in `end`.
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn reactor(&self) -> &'static Reactor {
        // Ordering: Relaxed, it was stored before anybody got hold of this runtime.
        let reactor = self.reactor.load(Ordering::Relaxed);
        // SAFETY: stored by `open` from a `&'static`.
        unsafe { &*reactor }
    }

    pub(crate) fn workers(&self) -> usize {
        // Ordering: Relaxed, as in `reactor`; and whoever relies on a change looks again, see `resize.rs`.
        self.workers.load(Ordering::Relaxed)
    }

    /// Changes how many places are in use. For the holder of `resizing`.
    pub(crate) fn set_workers(&self, count: usize) {
        // Ordering: Relaxed, for both: a place that is not seen yet has nothing to steal yet.
        self.places_used.fetch_max(count, Ordering::Relaxed);
        self.workers.store(count, Ordering::Relaxed);
    }

    /// How many spares run blocking jobs at most.
    pub(crate) fn max_blocking_threads(&self) -> usize {
        // Ordering: Relaxed, as in `reactor`.
        self.max_blocking_threads.load(Ordering::Relaxed)
    }

    pub(crate) fn panic_policy(&self) -> PanicPolicy {
        // Ordering: Relaxed, as in `reactor`.
        if self.panic_policy.load(Ordering::Relaxed) == PanicPolicy::Isolate as u8 {
            PanicPolicy::Isolate
        } else {
            PanicPolicy::Exit
        }
    }

    pub(crate) fn config(&self) -> Config {
        self.config.lock().clone()
    }

    /// Whether goroutines may run.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        // Ordering: SeqCst, against the store in `begin_closing`, with the fences of those who ask after a push:
        // either the sweep sees what was pushed, or who pushed sees that the runtime is closing.
        self.status.load(Ordering::SeqCst) == OPEN
    }

    /// Whether this is still the runtime that a handle was made for, and open.
    pub(crate) fn is_open_as(&self, generation: u32) -> bool {
        self.is_open() && self.generation() == generation
    }

    /// Steps from open to closing. `false`: another did it before.
    pub(crate) fn begin_closing(&self) -> bool {
        // Ordering: SeqCst, see `is_open`.
        self.status.compare_exchange(OPEN, CLOSING, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    pub(crate) fn place(&self, index: usize) -> &Place {
        &self.places[index]
    }

    /// The places in use, and those that were.
    pub(crate) fn places(&self) -> &[Place] {
        // Ordering: Relaxed, as in `set_workers`.
        &self.places[..self.places_used.load(Ordering::Relaxed)]
    }

    pub(crate) fn seat(&self, id: SeatId) -> &Seat {
        self.seats[usize::from(id)].get_or_init(Seat::new)
    }

    /// Every seat anybody ever sat on.
    pub(crate) fn seats(&self) -> impl Iterator<Item = &Seat> {
        self.seats.iter().map_while(OnceLock::get)
    }

    /// Finds a seat nobody sits on. `None`: there are [`MAX_SEATS`] threads.
    pub(crate) fn claim_seat(&self) -> Option<SeatId> {
        let mut seats = self.free_seats.lock();
        if let Some(id) = seats.free.pop() {
            return Some(id);
        }
        if seats.made == MAX_SEATS {
            return None;
        }
        let id = seats.made as SeatId;
        seats.made += 1;
        // Seats are initialised in order, so that `seats` can stop at the first that is not.
        self.seat(id);
        Some(id)
    }

    pub(crate) fn free_seat(&self, id: SeatId) {
        self.free_seats.lock().free.push(id);
    }

    /// Whether anything lies where a searching worker would find it: the last look before a sleep. Next slots do
    /// not count: who filled one is awake, and runs it next.
    pub(crate) fn has_work(&self) -> bool {
        !self.injector.is_empty()
            || self
                .places()
                .iter()
                .filter_map(Place::holder)
                .any(|holder| !self.seat(holder).stealer.is_empty())
    }

    /// Wakes a worker for work that can be stolen, if one sleeps and none searches.
    #[inline]
    pub(crate) fn notify(&self) {
        if let Some(place) = self.idle.wake_one() {
            self.unpark(place);
        }
    }

    #[cold]
    fn unpark(&self, place: usize) {
        if let Some(holder) = self.place(place).holder() {
            let seat = self.seat(holder);
            if seat.sleeps_in_reactor() {
                self.reactor().notify();
            } else {
                seat.parker.unpark();
            }
        }
    }

    /// Wakes every thread of the runtime, wherever it sleeps.
    pub(crate) fn unpark_all(&self) {
        for seat in self.seats() {
            seat.parker.unpark();
        }
        self.monitor.unpark();
        self.reactor().notify();
    }

    /// Queues a task from a thread that is not a worker of this runtime, or whose queue is full.
    ///
    /// The caller is late, perhaps by years: everything touched here is static, and the task itself keeps this
    /// memory from being used for another runtime, since it is counted until it is completed.
    pub(crate) fn inject(&'static self, task: Runnable) {
        self.injector.push(task);
        self.notify();
        // `notify` has fenced: either the sweep of a shutdown saw the task, or we see the shutdown.
        if !self.is_open() {
            shutdown::sweep_late(self);
        }
    }

    /// Counts the caller as a thread of this runtime, which therefore does not end until the caller leaves, if it is
    /// closing and has not ended yet.
    pub(crate) fn join_closing(&self) -> bool {
        let _ending = self.ending.lock();
        // Ordering: SeqCst, as every look at the status.
        let closing = self.status.load(Ordering::SeqCst) == CLOSING;
        if closing {
            // Ordering: Relaxed, under the lock that `end_if_empty` holds when it looks.
            self.threads.fetch_add(1, Ordering::Relaxed);
        }
        closing
    }

    /// Counts the caller as a thread of the runtime of that generation, unless it has ended.
    pub(crate) fn join(&self, generation: u32) -> bool {
        let _ending = self.ending.lock();
        // Ordering: SeqCst, as every look at the status.
        let lives = self.status.load(Ordering::SeqCst) != ENDED && self.generation() == generation;
        if lives {
            // Ordering: Relaxed, under the lock that `end_if_empty` holds when it looks.
            self.threads.fetch_add(1, Ordering::Relaxed);
        }
        lives
    }

    /// Every shard of the registry.
    pub(crate) fn shards(&self) -> impl Iterator<Item = &Shard> {
        std::iter::once(&self.outside.shard).chain(self.seats().map(|seat| &seat.shard))
    }

    /// Takes everything out of the injector.
    pub(crate) fn drain_injector(&self) -> impl Iterator<Item = Runnable> {
        std::iter::from_fn(|| match self.injector.pop() {
            Found::One(task) => Some(task),
            Found::Nothing => None,
        })
    }

    pub(crate) fn count_spawned_outside(&self) {
        // Ordering: SeqCst, for the caller's sake; see there.
        self.spawned_outside.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn count_left_outside(&self) {
        // Ordering: Release, against the Acquire in `live`.
        self.left_outside.fetch_add(1, Ordering::Release);
    }

    /// How many tasks are live: exact when nothing happens, never below the truth by more than what ends meanwhile.
    pub(crate) fn live(&self) -> usize {
        // Ends before spawns, so that no task is counted out that was not counted in.
        // Ordering: Acquire, against the Release of those who count.
        let left = self.left_outside.load(Ordering::Acquire) + self.seats().map(Seat::left).sum::<u64>();
        // Ordering: SeqCst, against `spawn_from_outside`.
        let outside = self.spawned_outside.load(Ordering::SeqCst);
        let spawned = outside + self.seats().map(Seat::spawned).sum::<u64>();
        spawned.saturating_sub(left) as usize
    }

    /// Ends a closing runtime if no thread and no task of it is left: gives its memory and its reactor back. Called by
    /// everybody who may have been the last.
    pub(crate) fn end_if_empty(&'static self) {
        let ending = self.ending.lock();
        // Ordering: SeqCst, as every look at the status. The threads: Acquire, against their Release on exit.
        let closing = self.status.load(Ordering::SeqCst) == CLOSING;
        // Ordering: SeqCst, against the fence in `spawn_from_outside`.
        fence(Ordering::SeqCst);
        if !closing || self.threads.load(Ordering::Acquire) != 0 || self.live() != 0 {
            return;
        }
        // Ordering: Release, against the Acquire in `generation`.
        self.generation.fetch_add(1, Ordering::Release);
        // Ordering: SeqCst, as every change of the status.
        self.status.store(ENDED, Ordering::SeqCst);
        drop(ending);
        self.reactor().recycle();
        crate::table::give_back(self);
    }
}

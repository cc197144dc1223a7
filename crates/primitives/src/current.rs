//! The thread's running goroutine, as leaf futures see it: who it is, what it is about to wait for, whether it has
//! used up its slice. The scheduler fills it around every poll; nothing here knows a scheduler.
//!
//! Outside a goroutine everything here still works: reasons go nowhere, the budget has no end, and
//! [`start_global`] starts the global runtime if the scheduler has said how.

use crate::{
    rng::Rng,
    shim::{AtomicPtr, AtomicU8, AtomicU32, Ordering},
};
use std::{
    cell::Cell,
    fmt,
    panic::Location,
    ptr::NonNull,
    sync::OnceLock,
    task::{Context, Poll},
};

/// What a goroutine waits for. `Display` gives the words of Go's goroutine dumps where Go has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u8)]
pub enum Reason {
    /// It said nothing: it runs, is runnable, or waits in a future that is not gorust's.
    Unknown,
    /// In `recv` on a channel.
    ChanReceive,
    /// In `send` on a channel.
    ChanSend,
    /// In `recv` on no channel: for ever.
    ChanReceiveNil,
    /// In `send` on no channel: for ever.
    ChanSendNil,
    /// In a select with at least one case.
    Select,
    /// In a select without cases: for ever.
    SelectNoCases,
    /// In a sleep, a timer or a ticker.
    Sleep,
    /// For a socket or another file descriptor.
    IoWait,
    /// For a mutex.
    MutexLock,
    /// For the read side of a lock.
    RwLockRead,
    /// For the write side of a lock.
    RwLockWrite,
    /// For a wait group to reach zero.
    WaitGroupWait,
    /// For a condition variable.
    CondWait,
    /// For permits of a semaphore.
    SemaphoreAcquire,
    /// For a context to be done.
    ContextDone,
    /// For another goroutine's result.
    Join,
    /// For nothing: it let others run first.
    Yield,
    /// In a test, for every other goroutine to wait.
    Quiescence,
}

impl Reason {
    const ALL: [(Self, &'static str); 19] = [
        (Self::Unknown, "waiting"),
        (Self::ChanReceive, "chan receive"),
        (Self::ChanSend, "chan send"),
        (Self::ChanReceiveNil, "chan receive (nil chan)"),
        (Self::ChanSendNil, "chan send (nil chan)"),
        (Self::Select, "select"),
        (Self::SelectNoCases, "select (no cases)"),
        (Self::Sleep, "sleep"),
        (Self::IoWait, "IO wait"),
        (Self::MutexLock, "sync.Mutex.Lock"),
        (Self::RwLockRead, "sync.RWMutex.RLock"),
        (Self::RwLockWrite, "sync.RWMutex.Lock"),
        (Self::WaitGroupWait, "sync.WaitGroup.Wait"),
        (Self::CondWait, "sync.Cond.Wait"),
        (Self::SemaphoreAcquire, "semacquire"),
        (Self::ContextDone, "context done"),
        (Self::Join, "join"),
        (Self::Yield, "yield"),
        (Self::Quiescence, "test.wait"),
    ];

    fn from_u8(value: u8) -> Self {
        Self::ALL.get(usize::from(value)).map_or(Self::Unknown, |&(reason, _)| reason)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::ALL[*self as usize].1)
    }
}

/// What is known of a goroutine from outside: it lies in the task, next to the future. 40 bytes, a quarter of what
/// a waiting goroutine takes, so it is packed: numbers of goroutines have 48 bits, enough for a million a second
/// over nine years.
///
/// Rule *Settle*: `home` and `entry` are for the scheduler, which changes them at most once, while it polls the
/// goroutine, and reads them only where it alone has the right to poll or complete it. So they need no atomics, and
/// nothing that looks at a goroutine from outside may ask for them.
#[repr(C)]
pub struct Record {
    spawned_at: &'static Location<'static>,
    /// Where it waits. Written by the goroutine's own thread, read by whoever makes a dump.
    waits_at: AtomicPtr<Location<'static>>,
    /// Since when, in units of [`COARSE_NS`]; the same writer and readers.
    waits_since: AtomicU32,
    id_low: u32,
    parent_low: u32,
    /// Rule *Settle*.
    entry: Cell<u32>,
    id_high: u16,
    parent_high: u16,
    /// Rule *Settle*.
    home: Cell<[u8; 3]>,
    /// For what it waits; the same writer and readers. The three together are a snapshot only approximately.
    reason: AtomicU8,
}

/// The unit of [`Wait::since`]: 10 ms, so that 32 bits last for more than a year.
pub const COARSE_NS: u64 = 10_000_000;

/// What a goroutine said when it last began to wait.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    /// For what.
    pub reason: Reason,
    /// Where in the program, if the leaf future knew.
    pub at: Option<&'static Location<'static>>,
    /// Since when, on the runtime's clock, in units of [`COARSE_NS`].
    pub since: u32,
}

impl Record {
    /// Describes a goroutine that has not begun. `home` is for the scheduler, to find it again.
    #[inline]
    pub fn new(id: u64, parent: u64, spawned_at: &'static Location<'static>, home: [u8; 3]) -> Self {
        Self {
            spawned_at,
            waits_at: AtomicPtr::new(std::ptr::null_mut()),
            waits_since: AtomicU32::new(0),
            id_low: id as u32,
            parent_low: parent as u32,
            entry: Cell::new(Self::NO_ENTRY),
            id_high: (id >> 32) as u16,
            parent_high: (parent >> 32) as u16,
            home: Cell::new(home),
            reason: AtomicU8::new(Reason::Unknown as u8),
        }
    }

    /// Returns the goroutine's number: unique in the process, never used again, in no particular order.
    pub fn id(&self) -> u64 {
        u64::from(self.id_high) << 32 | u64::from(self.id_low)
    }

    /// Returns the number of the goroutine that spawned it; 0 if none did.
    pub fn parent(&self) -> u64 {
        u64::from(self.parent_high) << 32 | u64::from(self.parent_low)
    }

    /// Returns what `new` or [`settle`](Self::settle) was given for the scheduler.
    #[inline]
    pub fn home(&self) -> [u8; 3] {
        self.home.get()
    }

    /// What [`entry`](Self::entry) returns before [`settle`](Self::settle).
    pub const NO_ENTRY: u32 = u32::MAX;

    /// Returns the registry entry the scheduler has put the goroutine in.
    #[inline]
    pub fn entry(&self) -> u32 {
        self.entry.get()
    }

    /// Notes where the scheduler finds the goroutine from now on. Only while it is polled by the caller.
    #[inline]
    pub fn settle(&self, home: [u8; 3], entry: u32) {
        self.home.set(home);
        self.entry.set(entry);
    }

    /// Returns where it was spawned.
    pub fn spawned_at(&self) -> &'static Location<'static> {
        self.spawned_at
    }

    /// Returns what it said when it last began to wait.
    pub fn wait(&self) -> Wait {
        // Ordering: Relaxed, three independent facts for a person to read; a static needs no publishing.
        let at = self.waits_at.load(Ordering::Relaxed);
        Wait {
            reason: Reason::from_u8(self.reason.load(Ordering::Relaxed)),
            // SAFETY: the pointer is null or comes from a `&'static Location` in `waits`.
            at: unsafe { at.as_ref() },
            since: self.waits_since.load(Ordering::Relaxed),
        }
    }

    /// Forgets what it last waited for: it is about to run. A scheduler that reports to a person calls it before each
    /// poll, so that a wait in a future that says nothing is not taken for the one before.
    pub fn forget_wait(&self) {
        // Ordering: Relaxed, as in `wait`.
        self.waits_at.store(std::ptr::null_mut(), Ordering::Relaxed);
        self.reason.store(Reason::Unknown as u8, Ordering::Relaxed);
    }

    #[inline]
    fn waits(&self, reason: Reason, at: &'static Location<'static>, since: u32) {
        // Ordering: Relaxed, as in `wait`.
        self.waits_at.store(std::ptr::from_ref(at).cast_mut(), Ordering::Relaxed);
        self.waits_since.store(since, Ordering::Relaxed);
        self.reason.store(reason as u8, Ordering::Relaxed);
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wait = self.wait();
        write!(f, "goroutine {} [{}] spawned at {}", self.id(), wait.reason, self.spawned_at)
    }
}

/// How many leaf operations a goroutine may complete in one poll before it must let others run. A channel
/// operation costs some 30 ns, so this is a few microseconds of a flooded channel.
pub const BUDGET: u32 = 128;

/// No worker loop is running this code, or the forced yield of this poll has been spent.
const UNLIMITED: u32 = u32::MAX;

/// What one thread writes and another may look at.
mod watched {
    // Std's: a thread-local constant cannot be a model checker's, and is part of no protocol.
    pub(super) use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
}

struct Thread {
    /// The goroutine being polled here; null outside. Written by this thread, read by who watches it.
    record: watched::AtomicPtr<Record>,
    /// Leaf operations left in this poll. Written by this thread, and by who watches it, to end its slice.
    budget: watched::AtomicU32,
    /// Whether what runs here is nobody's business: see [`Apart`]. Written by this thread, read by who watches it.
    apart: watched::AtomicBool,
    /// The runtime's clock as last read on this thread, in units of [`COARSE_NS`].
    coarse_now: Cell<u32>,
    rng: Rng,
}

thread_local! {
    static THREAD: Thread = const {
        Thread {
            record: watched::AtomicPtr::new(std::ptr::null_mut()),
            budget: watched::AtomicU32::new(UNLIMITED),
            apart: watched::AtomicBool::new(false),
            coarse_now: Cell::new(0),
            rng: Rng::new(0),
        }
    };
}

impl Thread {
    #[inline]
    fn record(&self) -> *const Record {
        // Ordering: Relaxed, this thread's own store.
        self.record.load(watched::Ordering::Relaxed)
    }

    #[inline]
    fn replace_record(&self, record: *const Record) -> *const Record {
        let previous = self.record();
        // Ordering: Release, against `Watched::record`: who sees it sees the count of polls that came before.
        self.record.store(record.cast_mut(), watched::Ordering::Release);
        previous
    }

    #[inline]
    fn budget(&self) -> u32 {
        // Ordering: Relaxed, a number by itself.
        self.budget.load(watched::Ordering::Relaxed)
    }

    /// Subtle: a load and a store, not an exchange. What [`Watched::end_slice`] writes in between is lost, and
    /// written again at the next look.
    #[inline]
    fn replace_budget(&self, budget: u32) -> u32 {
        let previous = self.budget();
        // Ordering: Relaxed, a number by itself.
        self.budget.store(budget, watched::Ordering::Relaxed);
        previous
    }
}

/// A thread, as one that watches over it sees it from outside.
#[derive(Debug)]
pub struct Watched(NonNull<Thread>);

// SAFETY: of the thread's state only the two atomics are touched.
unsafe impl Send for Watched {}
// SAFETY: as above.
unsafe impl Sync for Watched {}

/// Makes this thread visible to one that watches over it.
///
/// # Examples
///
/// ```
/// let watched = gorust_primitives::current::watched();
/// // SAFETY: this thread has not ended.
/// assert!(unsafe { watched.record() }.is_null());
/// ```
pub fn watched() -> Watched {
    THREAD.with(|thread| Watched(NonNull::from(thread)))
}

impl Watched {
    /// Returns the record of the goroutine that runs there; null if none does, or the thread is [apart](Apart). It may be
    /// gone by now: the pointer is for comparing only.
    ///
    /// # Safety
    ///
    /// The thread has not ended.
    pub unsafe fn record(&self) -> *const Record {
        // SAFETY: the thread lives, as the caller promises, and its state has no destructor.
        let record = unsafe { &(*self.0.as_ptr()).record };
        // Ordering: Acquire, against `replace_record`: who sees a record of a thread apart sees that it is apart.
        let record = record.load(watched::Ordering::Acquire);
        // SAFETY: as the caller promises.
        if unsafe { self.is_apart() } { std::ptr::null() } else { record }
    }

    /// # Safety
    ///
    /// The thread has not ended.
    unsafe fn is_apart(&self) -> bool {
        // SAFETY: the thread lives, as the caller promises, and its state has no destructor.
        let apart = unsafe { &(*self.0.as_ptr()).apart };
        // Ordering: Relaxed, ordered by the record where it matters.
        apart.load(watched::Ordering::Relaxed)
    }

    /// Uses up the budget of the goroutine that runs there: its next leaf operation lets others run, as at the end
    /// of a time slice. It may be missed, if the thread just counts an operation; the caller asks again later.
    ///
    /// # Safety
    ///
    /// The thread has not ended.
    pub unsafe fn end_slice(&self) {
        // SAFETY: the thread lives, as the caller promises, and its state has no destructor.
        let budget = unsafe { &(*self.0.as_ptr()).budget };
        // Ordering: Relaxed, a number by itself. An exchange, so that UNLIMITED is never overwritten.
        let left = budget.load(watched::Ordering::Relaxed);
        // SAFETY: as the caller promises.
        if left != UNLIMITED && !unsafe { self.is_apart() } {
            // Ordering: Relaxed, as above.
            let _ = budget.compare_exchange(left, 0, watched::Ordering::Relaxed, watched::Ordering::Relaxed);
        }
    }
}

/// Marks the goroutine being polled on this thread; the previous one comes back when it is dropped.
#[derive(Debug)]
pub struct Entered {
    previous: *const Record,
    budget: u32,
}

/// Says that the goroutine `record` is polled on this thread from now until the guard is dropped, with a fresh
/// [`BUDGET`].
///
/// # Safety
///
/// * `record` outlives the guard.
/// * Guards of one thread are dropped in the reverse order of their creation.
#[inline]
pub unsafe fn enter(record: *const Record) -> Entered {
    // SAFETY: as the caller promises.
    unsafe { enter_for(record, BUDGET) }
}

/// As [`enter`], with a budget of `operations`: how many leaf operations succeed before one is put off. A seeded
/// scheduler chooses it, to have a goroutine interrupted before an operation of its choice.
///
/// # Safety
///
/// As [`enter`].
#[inline]
pub unsafe fn enter_for(record: *const Record, operations: u32) -> Entered {
    THREAD.with(|thread| Entered {
        previous: thread.replace_record(record),
        budget: thread.replace_budget(operations),
    })
}

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        THREAD.with(|thread| {
            thread.replace_record(self.previous);
            thread.replace_budget(self.budget);
        });
    }
}

/// Lifts the budget on this thread until the guard is dropped: for a loop that polls other futures and would spin
/// on a forced `Pending`, as a `block_on` does.
#[derive(Debug)]
pub struct Unlimited(u32);

/// Lifts the budget of this thread; see [`Unlimited`].
#[inline]
pub fn unlimited() -> Unlimited {
    THREAD.with(|thread| Unlimited(thread.replace_budget(UNLIMITED)))
}

impl Drop for Unlimited {
    #[inline]
    fn drop(&mut self) {
        THREAD.with(|thread| {
            thread.replace_budget(self.0);
        });
    }
}

/// Puts this thread outside every goroutine, with random numbers from a seed of their own, until the guard is dropped:
/// what runs meanwhile sees nothing of whoever called it, and is not [watched](Watched). For a scheduler that runs on
/// somebody else's thread.
#[derive(Debug)]
pub struct Apart {
    record: *const Record,
    budget: u32,
    coarse_now: u32,
    rng: u64,
    apart: bool,
}

/// Puts this thread outside every goroutine; see [`Apart`].
pub fn apart(seed: u64) -> Apart {
    THREAD.with(|thread| Apart {
        // Ordering: Relaxed, this thread's own store, published with the next record.
        apart: thread.apart.swap(true, watched::Ordering::Relaxed),
        record: thread.replace_record(std::ptr::null()),
        budget: thread.replace_budget(UNLIMITED),
        coarse_now: thread.coarse_now.replace(0),
        rng: thread.rng.replace(seed),
    })
}

impl Drop for Apart {
    fn drop(&mut self) {
        THREAD.with(|thread| {
            thread.replace_record(self.record);
            thread.replace_budget(self.budget);
            thread.coarse_now.set(self.coarse_now);
            thread.rng.reseed(self.rng);
            // Ordering: Relaxed, as in `apart`.
            thread.apart.store(self.apart, watched::Ordering::Relaxed);
        });
    }
}

/// Calls `f` with the record of the goroutine that runs on this thread, if one does.
#[inline]
pub fn with_record<R>(f: impl FnOnce(Option<&Record>) -> R) -> R {
    // SAFETY: the pointer is null or was given to `enter`, whose caller keeps the record alive.
    THREAD.with(|thread| f(unsafe { thread.record().as_ref() }))
}

/// Returns the running goroutine's number; 0 outside a goroutine.
#[inline]
pub fn id() -> u64 {
    with_record(|record| record.map_or(0, Record::id))
}

/// Notes what the running goroutine is about to wait for. A leaf future calls it just before it returns `Pending`.
#[inline]
pub fn waits(reason: Reason, at: &'static Location<'static>) {
    THREAD.with(|thread| {
        // SAFETY: as in `with_record`.
        if let Some(record) = unsafe { thread.record().as_ref() } {
            record.waits(reason, at, thread.coarse_now.get());
        }
    });
}

/// Tells this thread what the runtime's clock says, in nanoseconds. The worker calls it whenever it has read the
/// clock anyway.
#[inline]
pub fn set_coarse_now(now_ns: u64) {
    let coarse = u32::try_from(now_ns / COARSE_NS).unwrap_or(u32::MAX);
    THREAD.with(|thread| thread.coarse_now.set(coarse));
}

/// Takes one operation from the running goroutine's budget. `Pending` when it is used up: the goroutine has been
/// woken and comes back after the others. At most once a poll, and never outside a worker's loop.
///
/// A leaf future calls it first thing in `poll`; `try_` operations never do.
#[inline]
pub fn poll_proceed(cx: &mut Context<'_>) -> Poll<()> {
    THREAD.with(|thread| {
        let left = thread.budget();
        if left == UNLIMITED {
            return Poll::Ready(());
        }
        if left > 0 {
            thread.replace_budget(left - 1);
            return Poll::Ready(());
        }
        thread.replace_budget(UNLIMITED);
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}

/// Returns 64 random bits from this thread's generator. Workers and bubbles seed it; elsewhere it seeds itself.
#[inline]
pub fn random() -> u64 {
    THREAD.with(|thread| thread.rng.next_u64())
}

/// Returns a random number in `0..bound`; 0 when `bound` is 0.
#[inline]
pub fn random_below(bound: u32) -> u32 {
    THREAD.with(|thread| thread.rng.below(bound))
}

/// Seeds this thread's random numbers.
pub fn seed(seed: u64) {
    THREAD.with(|thread| thread.rng.reseed(seed));
}

static START_GLOBAL: OnceLock<fn()> = OnceLock::new();

/// Says how the global runtime is started. The scheduler calls it once, whenever it is first used.
pub fn set_start_global(start: fn()) {
    let _ = START_GLOBAL.set(start);
}

/// Starts the global runtime if it is not yet running. Returns `false` when no scheduler has been used in this
/// process, so that nobody knows how: a reactor then drives itself.
pub fn start_global() -> bool {
    match START_GLOBAL.get() {
        Some(start) => {
            start();
            true
        }
        None => false,
    }
}

#[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
mod tests {
    use super::*;
    use std::{
        pin::pin,
        task::{Wake, Waker},
    };

    struct Count(std::sync::Mutex<u32>);

    impl Wake for Count {
        fn wake(self: std::sync::Arc<Self>) {
            *self.0.lock().unwrap() += 1;
        }
    }

    #[test]
    fn budget_forces_one_pending_a_poll() {
        let wakes = std::sync::Arc::new(Count(std::sync::Mutex::new(0)));
        let waker = Waker::from(std::sync::Arc::clone(&wakes));
        let mut cx = Context::from_waker(&waker);
        let record = pin!(Record::new(1, 0, Location::caller(), [0; 3]));
        // SAFETY: the record outlives the guard, and it is the only guard.
        let entered = unsafe { enter(&raw const *record) };
        let pending = (0..1_000).filter(|_| poll_proceed(&mut cx).is_pending()).count();
        drop(entered);
        assert_eq!((pending, *wakes.0.lock().unwrap()), (1, 1));
        assert!((0..1_000).all(|_| poll_proceed(&mut cx).is_ready()), "no budget outside a goroutine");
    }

    #[test]
    fn a_slice_ended_from_outside_forces_one_pending() {
        let watched = watched();
        let mut cx = Context::from_waker(Waker::noop());
        let record = pin!(Record::new(1, 0, Location::caller(), [0; 3]));
        // SAFETY: the record outlives the guard, and it is the only guard.
        let entered = unsafe { enter(&raw const *record) };
        assert!(poll_proceed(&mut cx).is_ready());
        // SAFETY: this thread has not ended.
        assert!(std::ptr::eq(unsafe { watched.record() }, &raw const *record));
        // SAFETY: as above.
        unsafe { watched.end_slice() };
        assert!(poll_proceed(&mut cx).is_pending());
        // SAFETY: as above.
        unsafe { watched.end_slice() };
        assert!((0..1_000).all(|_| poll_proceed(&mut cx).is_ready()), "once a poll");
        drop(entered);
        // SAFETY: as above.
        unsafe { watched.end_slice() };
        assert!(poll_proceed(&mut cx).is_ready(), "never outside a goroutine");
    }

    #[test]
    fn numbers_of_48_bits_are_kept() {
        let (id, parent) = (0xfedc_ba98_7654, 0x1234_5678_9abc);
        let record = Record::new(id, parent, Location::caller(), [1, 2, 3]);
        assert_eq!((record.home(), record.entry()), ([1, 2, 3], Record::NO_ENTRY));
        record.settle([4, 5, 6], 7);
        assert_eq!((record.id(), record.parent()), (id, parent));
        assert_eq!((record.home(), record.entry()), ([4, 5, 6], 7));
        assert_eq!(size_of::<Record>(), 40);
    }

    #[test]
    fn apart_brings_everything_back() {
        seed(5);
        let first = random();
        seed(5);
        let record = Record::new(9, 0, Location::caller(), [0; 3]);
        // SAFETY: the record outlives the guard, which is dropped after those made later.
        let entered = unsafe { enter_for(&raw const record, 1) };
        let watched = watched();
        // SAFETY: this thread has not ended.
        assert!(std::ptr::eq(unsafe { watched.record() }, &raw const record));
        let apart = apart(7);
        // SAFETY: as above.
        assert!(unsafe { watched.record() }.is_null());
        assert_eq!(id(), 0);
        assert_ne!(random(), first);
        drop(apart);
        assert_eq!((id(), random()), (9, first));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(poll_proceed(&mut cx).is_ready() && poll_proceed(&mut cx).is_pending());
        drop(entered);
    }

    #[test]
    fn waits_is_written_in_the_record() {
        let record = Record::new(7, 3, Location::caller(), [0; 3]);
        waits(Reason::Sleep, Location::caller());
        // SAFETY: the record outlives the guard, and it is the only guard.
        let entered = unsafe { enter(&raw const record) };
        set_coarse_now(25 * COARSE_NS);
        waits(Reason::ChanReceive, Location::caller());
        assert_eq!(id(), 7);
        drop(entered);
        let wait = record.wait();
        assert_eq!((wait.reason, wait.since), (Reason::ChanReceive, 25));
        assert!(wait.at.is_some_and(|at| at.file().ends_with("current.rs")));
        record.forget_wait();
        assert!(record.wait().reason == Reason::Unknown && record.wait().at.is_none());
        assert_eq!(id(), 0);
    }
}

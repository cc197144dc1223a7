//! The allocation of a task, and the three kinds of pointer to it: [`TaskRef`] (a counted reference), [`Runnable`]
//! (the right to run it once now), and the waker. All unsafe code about tasks is here and in `join.rs`.
//!
//! Who may touch what:
//!
//! - *Live*: a holder of a reference may read the header. The registry, the `Runnable`, the `JoinHandle`, every
//!   waker and every `AbortHandle` hold one each.
//! - *Stage*: while the task is not completed, only the thread between `State::start` and `park` or `complete`
//!   touches the future; there is one, since there is one `Runnable`. After completion only the owner of the
//!   output does: the `JoinHandle` if it still exists, else the completing thread.
//! - *Joiner*: as said at `JOIN_WAKER` in `state.rs`.

use super::{
    details::{Beside, Details},
    error::{JoinError, panic_in_goroutine},
    join::{JoinHandle, Joiner},
    memory,
    state::{Parked, Start, State, Wake},
};
use crate::{schedule, worker};
use gorust_primitives::current::{self, Record};
use std::{
    alloc::Layout,
    cell::UnsafeCell,
    fmt,
    future::Future,
    mem::ManuallyDrop,
    panic::{AssertUnwindSafe, Location, catch_unwind},
    pin::Pin,
    ptr::NonNull,
    task::{Context, Poll, RawWaker, RawWakerVTable, Waker},
};

/// Where a task belongs: its runtime's place in the table of runtimes, and the registry shard that holds it once it
/// has waited. In a task both fit in three bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Home {
    pub(crate) runtime: u16,
    pub(crate) shard: u16,
}

impl Home {
    /// Both numbers are below this.
    pub(crate) const LIMIT: u16 = 1 << 12;
    /// In place of a runtime: the task stays on the thread it was spawned on, and its `Details` say where it is queued.
    /// Runtimes are below this.
    pub(crate) const LOCAL: u16 = Self::LIMIT - 1;
    /// In place of a shard: the task was born canceled, or stays on one thread, and is not counted. Shards are below this.
    pub(crate) const NOWHERE: u16 = Self::LIMIT - 1;
    /// In place of a shard, as long as the task has not waited.
    pub(crate) const NEW: u16 = 0;

    fn pack(self) -> [u8; 3] {
        debug_assert!(self.runtime < Self::LIMIT && self.shard < Self::LIMIT);
        let [low, middle, high, _] = (u32::from(self.runtime) << 12 | u32::from(self.shard)).to_le_bytes();
        [low, middle, high]
    }

    #[inline]
    fn unpack([low, middle, high]: [u8; 3]) -> Self {
        let both = u32::from_le_bytes([low, middle, high, 0]);
        Self { runtime: (both >> 12) as u16, shard: (both & 0xfff) as u16 }
    }
}

/// What every task starts with, whatever its future.
#[repr(C)]
pub(crate) struct Header {
    pub(crate) state: State,
    vtable: &'static Vtable,
    /// The waker of whoever awaits the `JoinHandle`. Rule *Joiner*.
    pub(super) joiner: UnsafeCell<Option<Joiner>>,
    pub(crate) record: Record,
}

impl Header {
    #[inline]
    pub(crate) fn home(&self) -> Home {
        Home::unpack(self.record.home())
    }

    /// Whether the task has not waited yet, and so is not in the registry. For the holder of the right to run it.
    #[inline]
    pub(crate) fn is_new(&self) -> bool {
        self.record.entry() == Record::NO_ENTRY
    }

    /// Writes down in which registry entry the task is from now on. The caller polls it, for the first time.
    pub(crate) fn settle(&self, shard: u16, entry: u32) {
        let home = self.home();
        debug_assert!(self.is_new());
        self.record.settle(Home { shard, ..home }.pack(), entry);
    }
}

/// What depends on the type of the future.
struct Vtable {
    /// Polls the future; when it is ready or has panicked, puts the output in its place.
    poll: unsafe fn(NonNull<Header>, &mut Context<'_>) -> Poll<()>,
    /// Drops the future and puts `Canceled` in its place.
    cancel: unsafe fn(NonNull<Header>),
    /// Moves the output to `*mut Result<T, JoinError>`.
    take_output: unsafe fn(NonNull<Header>, *mut ()),
    drop_output: unsafe fn(NonNull<Header>),
    /// What lies beside the future, if anything does.
    details: unsafe fn(NonNull<Header>) -> Option<NonNull<Details>>,
    free: unsafe fn(NonNull<Header>),
}

/// The future, then its output.
#[repr(C)]
union Stage<F: Future> {
    future: ManuallyDrop<F>,
    output: ManuallyDrop<Result<F::Output, JoinError>>,
}

#[repr(C)]
struct Cell<F: Future, B> {
    header: Header,
    stage: UnsafeCell<Stage<F>>,
    beside: B,
}

impl<F: Future, B: Beside> Cell<F, B> {
    const VTABLE: Vtable = Vtable {
        poll: Self::poll,
        cancel: Self::cancel,
        take_output: Self::take_output,
        drop_output: Self::drop_output,
        details: Self::details,
        free: Self::free,
    };

    /// # Safety
    ///
    /// `header` heads a live `Cell<F, B>`.
    unsafe fn beside<'a>(header: NonNull<Header>) -> &'a B {
        let cell = header.cast::<Self>().as_ptr();
        // SAFETY: the cell is live, as the caller promises, and what is beside the stage is never written.
        unsafe { &(*cell).beside }
    }

    /// # Safety
    ///
    /// As [`beside`](Self::beside).
    unsafe fn details(header: NonNull<Header>) -> Option<NonNull<Details>> {
        // SAFETY: as the caller promises.
        unsafe { Self::beside(header) }.details().map(NonNull::from)
    }

    /// Where the future is, and later the output: the fields of a union begin where it begins.
    ///
    /// # Safety
    ///
    /// `header` heads a live `Cell<F>`.
    unsafe fn stage<T>(header: NonNull<Header>) -> *mut T {
        let cell = header.cast::<Self>().as_ptr();
        // SAFETY: the cell is live, as the caller promises; no reference to the stage is made.
        let stage = unsafe { &raw const (*cell).stage };
        UnsafeCell::raw_get(stage).cast()
    }

    /// # Safety
    ///
    /// `header` heads a live `Cell<F>`; the caller owns the stage, and it holds the future.
    unsafe fn poll(header: NonNull<Header>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: the cell is live, as the caller promises.
        let future = unsafe { Self::stage::<F>(header) };
        // SAFETY: as above.
        let task = unsafe { header.as_ref() };
        // SAFETY: as above.
        let _shown = unsafe { Self::beside(header) }.show(&task.record);
        let mut polled = false;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: the caller owns the stage.
            let borrowed = unsafe { &mut *future };
            // SAFETY: the future lies in the allocation until it is dropped in place there: it never moves.
            let pinned = unsafe { Pin::new_unchecked(borrowed) };
            let Poll::Ready(output) = pinned.poll(cx) else { return None };
            polled = true;
            // SAFETY: initialised, owned by the caller, and not touched again: the output takes its place below.
            unsafe { future.drop_in_place() };
            Some(output)
        }));
        let result = match outcome {
            Ok(None) => return Poll::Pending,
            Ok(Some(output)) => Ok(output),
            Err(payload) => {
                // SAFETY: as above.
                let mut error = unsafe { panic_in_goroutine(header, payload) };
                if task.state.is_detached() {
                    // Nobody can see it. If that ends the process it does so here, before the destructors of what the
                    // goroutine holds tell others that it is done.
                    error = JoinError::canceled(task.record.id());
                }
                if !polled {
                    // SAFETY: initialised, owned, and not touched again; it panicked while it was polled.
                    let second = unsafe { Self::drop_future(header, future) };
                    // It was printed; the handle tells of the first.
                    second.into_iter().for_each(|mut second| second.seen());
                }
                Err(error)
            }
        };
        // SAFETY: the stage is owned, large enough for either, and the future in it is dropped.
        unsafe { future.cast::<Result<F::Output, JoinError>>().write(result) };
        Poll::Ready(())
    }

    /// Drops the future. A panic in its destructor is printed, and returned.
    ///
    /// # Safety
    ///
    /// `header` heads a live `Cell<F>`, `future` is its future, initialised, and is not touched again.
    unsafe fn drop_future(header: NonNull<Header>, future: *mut F) -> Option<JoinError> {
        // SAFETY: as the caller promises.
        let dropped = catch_unwind(AssertUnwindSafe(|| unsafe { future.drop_in_place() }));
        // SAFETY: the cell is live, as the caller promises.
        dropped.err().map(|payload| unsafe { panic_in_goroutine(header, payload) })
    }

    /// # Safety
    ///
    /// As [`poll`](Self::poll).
    unsafe fn cancel(header: NonNull<Header>) {
        // SAFETY: the cell is live, as the caller promises.
        let future = unsafe { Self::stage::<F>(header) };
        // SAFETY: as above.
        let task = unsafe { header.as_ref() };
        // SAFETY: as above.
        let _shown = unsafe { Self::beside(header) }.show(&task.record);
        // SAFETY: the caller owns the stage, which holds the future; the output takes its place below.
        let panicked = unsafe { Self::drop_future(header, future) };
        let result = Err(panicked.unwrap_or_else(|| JoinError::canceled(task.record.id())));
        // SAFETY: the stage is owned, large enough for either, and the future in it is dropped.
        unsafe { future.cast::<Result<F::Output, JoinError>>().write(result) };
    }

    /// # Safety
    ///
    /// `header` heads a live, completed `Cell<F>` whose output the caller owns and nobody took; `target` points to
    /// a `Result<F::Output, JoinError>` to be overwritten without a drop.
    unsafe fn take_output(header: NonNull<Header>, target: *mut ()) {
        // SAFETY: the cell is live, as the caller promises.
        let output = unsafe { Self::stage::<Result<F::Output, JoinError>>(header) };
        // SAFETY: the output is there and is the caller's, and not read again; the target is valid for a write of
        // this type, as the caller promises.
        unsafe { target.cast::<Result<F::Output, JoinError>>().copy_from_nonoverlapping(output, 1) };
    }

    /// # Safety
    ///
    /// As [`take_output`](Self::take_output), without the target.
    unsafe fn drop_output(header: NonNull<Header>) {
        // SAFETY: the cell is live, as the caller promises.
        let output = unsafe { Self::stage::<Result<F::Output, JoinError>>(header) };
        // SAFETY: the output is there and is the caller's; it is not read again.
        unsafe { output.drop_in_place() };
    }

    /// # Safety
    ///
    /// The caller has released the last reference to this `Cell<F>`, whose output is gone.
    unsafe fn free(header: NonNull<Header>) {
        // Nothing else in a cell needs a drop: the output is gone with its owner, and the joiner slot is emptied by whom
        // it belonged to last.
        // SAFETY: the cell is live up to here, and nobody else has a reference.
        let beside = unsafe { &raw mut (*header.cast::<Self>().as_ptr()).beside };
        // SAFETY: initialised, and not touched again.
        unsafe { beside.drop_in_place() };
        // SAFETY: from `allocate` with this layout, and not used again.
        unsafe { memory::free(header.cast(), Layout::new::<Self>()) };
    }
}

/// A goroutine without a name pays nothing for those that have one. (A model checker's atomics are larger.)
#[cfg(not(any(gorust_loom, gorust_shuttle)))]
const _: () =
    assert!(size_of::<Cell<std::future::Ready<()>, ()>>() == 64 + size_of::<Result<(), JoinError>>());

/// Allocates a task for `future`. Of the three references of [`State::new`] one is the returned `Runnable`'s; the
/// others are the registry's, see [`Header::settle`], and the `JoinHandle`'s, see [`Runnable::handle`].
#[inline]
pub(crate) fn allocate<F: Future, B: Beside>(
    future: F,
    beside: B,
    id: u64,
    spawned_at: &'static Location<'static>,
    home: Home,
) -> Runnable {
    let cell = memory::allocate(Layout::new::<Cell<F, B>>()).cast::<Cell<F, B>>();
    let value = Cell {
        header: Header {
            state: State::new(),
            vtable: &Cell::<F, B>::VTABLE,
            joiner: UnsafeCell::new(None),
            record: Record::new(id, current::id(), spawned_at, home.pack()),
        },
        stage: UnsafeCell::new(Stage { future: ManuallyDrop::new(future) }),
        beside,
    };
    // SAFETY: just allocated with the layout of a cell.
    unsafe { cell.write(value) };
    Runnable(cell.cast())
}

/// Moves the output out.
///
/// # Safety
///
/// The task was spawned with a future of output `T` and is completed; the caller is its `JoinHandle` and takes the
/// output once.
pub(super) unsafe fn take_output<T>(header: NonNull<Header>) -> Result<T, JoinError> {
    let mut output = std::mem::MaybeUninit::<Result<T, JoinError>>::uninit();
    // SAFETY: the caller's handle holds a reference.
    let take = unsafe { header.as_ref() }.vtable.take_output;
    // SAFETY: completed and owned, as the caller promises; the target is of the right type.
    unsafe { take(header, output.as_mut_ptr().cast()) };
    // SAFETY: just written.
    unsafe { output.assume_init() }
}

/// Drops the output where it is.
///
/// # Safety
///
/// The task is completed, the caller owns its output, and nobody took it.
pub(super) unsafe fn drop_output(header: NonNull<Header>) {
    // SAFETY: the caller holds a reference.
    let drop_output = unsafe { header.as_ref() }.vtable.drop_output;
    // SAFETY: as the caller promises.
    unsafe { drop_output(header) };
}

/// Gives `count` references back, and frees the task if they were the last.
///
/// # Safety
///
/// The caller holds that many references and does not use them again.
pub(super) unsafe fn release(header: NonNull<Header>, count: usize) {
    // SAFETY: the caller's references keep it live up to the release itself.
    let task = unsafe { header.as_ref() };
    let free = task.vtable.free;
    if task.state.release(count) {
        // SAFETY: that was the last reference; so the registry's is gone, so the task is completed, and its output
        // is gone with its owner.
        unsafe { free(header) };
    }
}

/// A counted reference to a task.
pub(crate) struct TaskRef(NonNull<Header>);

// SAFETY: through a reference only the header is reached, whose fields are atomics or constants, and the joiner
// slot and stage by the rules above. Futures and outputs are `Send` by the bounds of `spawn`, or stay on their
// thread by those of `local`.
unsafe impl Send for TaskRef {}
// SAFETY: as above; `&TaskRef` gives no more than `TaskRef` does.
unsafe impl Sync for TaskRef {}

/// What lies beside a task's future, if anything does.
///
/// # Safety
///
/// `header` heads a live task, which outlives `'a`.
pub(super) unsafe fn details<'a>(header: NonNull<Header>) -> Option<&'a Details> {
    // SAFETY: live, as the caller promises.
    let details = unsafe { header.as_ref() }.vtable.details;
    // SAFETY: as above, and the vtable is that of this task's cell.
    let details = unsafe { details(header) }?;
    // SAFETY: it lies in the task, and is never written.
    Some(unsafe { details.as_ref() })
}

impl TaskRef {
    /// # Safety
    ///
    /// The caller gives one reference it holds to the new value.
    pub(crate) unsafe fn from_raw(header: NonNull<Header>) -> Self {
        Self(header)
    }

    pub(crate) fn header(&self) -> &Header {
        // SAFETY: rule Live, this value holds a reference.
        unsafe { self.0.as_ref() }
    }

    pub(crate) fn details(&self) -> Option<&Details> {
        // SAFETY: rule Live, this value holds a reference.
        unsafe { details(self.0) }
    }

    /// Has the task's future dropped at its next await point: by a worker, soon, if it waits.
    pub(crate) fn abort(&self) {
        if let Wake::Schedule = self.header().state.abort() {
            // The transition has made a Runnable, with a reference of its own.
            schedule::schedule(Runnable(self.0));
        }
    }

    /// As [`abort`](Self::abort), but gives the caller the `Runnable` instead of scheduling it.
    pub(crate) fn abort_here(&self) -> Option<Runnable> {
        match self.header().state.abort() {
            Wake::Schedule => Some(Runnable(self.0)),
            _ => None,
        }
    }
}

impl fmt::Debug for TaskRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.header().record.fmt(f)
    }
}

impl Clone for TaskRef {
    fn clone(&self) -> Self {
        self.header().state.retain();
        Self(self.0)
    }
}

impl Drop for TaskRef {
    fn drop(&mut self) {
        // SAFETY: this value holds one reference.
        unsafe { release(self.0, 1) };
    }
}

/// The right to run a task once, now. There is at most one a task. Dropped unrun, it cancels the task: whatever
/// happens to a queue, no goroutine stays behind in the registry.
pub(crate) struct Runnable(NonNull<Header>);

// SAFETY: as for `TaskRef`; the right to run may move to any thread since the future is `Send`.
unsafe impl Send for Runnable {}

impl Runnable {
    pub(crate) fn header(&self) -> &Header {
        // SAFETY: rule Live, a Runnable holds a reference.
        unsafe { self.0.as_ref() }
    }

    pub(crate) fn details(&self) -> Option<&Details> {
        // SAFETY: rule Live, a Runnable holds a reference.
        unsafe { details(self.0) }
    }

    /// Enters a task just spawned in the registry, if it has a name or such: it is found there before it first waits.
    #[inline]
    pub(crate) fn announce<B: Beside>(&self) {
        if B::KNOWN_FROM_THE_START {
            schedule::enter_registry(self.0);
        }
    }

    /// The handle of a task just spawned.
    ///
    /// # Safety
    ///
    /// The future's output is `T`, and this is called once, before the task runs.
    pub(crate) unsafe fn handle<T>(&self) -> JoinHandle<T> {
        // SAFETY: as the caller promises; the third reference of `State::new` is the handle's.
        unsafe { JoinHandle::new(self.0) }
    }

    /// The pointer, for a slot that is one word wide.
    pub(crate) fn into_raw(self) -> *mut Header {
        ManuallyDrop::new(self).0.as_ptr()
    }

    /// # Safety
    ///
    /// `raw` comes from [`into_raw`](Self::into_raw), and no other `Runnable` was made of it since.
    pub(crate) unsafe fn from_raw(raw: NonNull<Header>) -> Self {
        Self(raw)
    }

    /// Says that the task is not to be entered in the registry. Before it first runs.
    pub(crate) fn stay_out_of_registry(&self) {
        let task = self.header();
        debug_assert_eq!(task.home().shard, Home::NOWHERE);
        task.settle(Home::NOWHERE, 0);
    }

    /// A counted reference to the task.
    pub(crate) fn task(&self) -> TaskRef {
        self.header().state.retain();
        // SAFETY: the reference just added is the new value's.
        unsafe { TaskRef::from_raw(self.0) }
    }

    /// Polls the task once. Returns it if it was woken meanwhile and must be scheduled again.
    #[inline]
    pub(crate) fn run(self) -> Option<Self> {
        self.run_for(current::BUDGET)
    }

    /// As [`run`](Self::run), with a budget of so many leaf operations.
    #[inline]
    pub(crate) fn run_for(self, operations: u32) -> Option<Self> {
        let header = ManuallyDrop::new(self).0;
        // SAFETY: the Runnable's reference is ours until `park` or `complete` below.
        let task = unsafe { header.as_ref() };
        // SAFETY: the record lies in the task, which outlives the poll; guards nest with the polls.
        let entered = unsafe { current::enter_for(&raw const task.record, operations) };
        match task.state.start() {
            Start::Poll => {
                // SAFETY: the vtable is that of this task's future. No reference is counted for this waker: it is
                // not dropped, and the Runnable's outlives it.
                let waker = ManuallyDrop::new(unsafe { Waker::from_raw(raw_waker(header)) });
                // SAFETY: between `start` and `park` or `complete` the stage is ours and holds the future.
                let polled = unsafe { (task.vtable.poll)(header, &mut Context::from_waker(&waker)) };
                if polled.is_pending() {
                    if task.is_new() {
                        schedule::enter_registry(header);
                    }
                    // Subtle: before the reference goes. The monitor takes what it finds there for alive.
                    drop(entered);
                    return match task.state.park() {
                        Parked::Waiting => None,
                        Parked::Woken => Some(Self(header)),
                    };
                }
            }
            // SAFETY: as above.
            Start::Cancel => unsafe { (task.vtable.cancel)(header) },
        }
        // SAFETY: the output has taken the place of the future; the Runnable's reference is still ours.
        unsafe { complete(header, entered) };
        None
    }

    /// Drops the future and completes as canceled, without a poll.
    pub(crate) fn cancel(self) {
        let header = ManuallyDrop::new(self).0;
        // Perhaps in the middle of another task's poll.
        worker::count_poll();
        // SAFETY: the Runnable's reference is ours until `complete` below.
        let task = unsafe { header.as_ref() };
        // SAFETY: as in `run`.
        let entered = unsafe { current::enter(&raw const task.record) };
        let _ = task.state.start();
        // SAFETY: between `start` and `complete` the stage is ours and holds the future.
        unsafe { (task.vtable.cancel)(header) };
        // SAFETY: as in `run`.
        unsafe { complete(header, entered) };
    }
}

impl fmt::Debug for Runnable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.header().record.fmt(f)
    }
}

impl Drop for Runnable {
    fn drop(&mut self) {
        Self(self.0).cancel();
    }
}

/// Ends a task whose output stands: leaves the registry, tells the joiner, drops what nobody will take. As long as
/// `entered` lives the thread says that it runs this task.
///
/// # Safety
///
/// The caller holds the `Runnable`'s reference, has run the task, and does not use it again.
unsafe fn complete(header: NonNull<Header>, entered: current::Entered) {
    // SAFETY: the caller's reference keeps it live.
    let task = unsafe { header.as_ref() };
    // First, so that whoever has joined it no longer counts it. From here on the registry's reference is ours.
    schedule::leave_registry(task);
    let completed = task.state.complete();
    if completed.wake_joiner {
        // SAFETY: rule Joiner: published, so it is ours from completion on.
        let joiner = unsafe { (*task.joiner.get()).take() };
        if let Some(joiner) = joiner {
            joiner.wake();
        }
    }
    if completed.drop_output {
        // SAFETY: completed, and no JoinHandle exists: the output is ours.
        let dropped = catch_unwind(AssertUnwindSafe(|| unsafe { drop_output(header) }));
        if let Err(payload) = dropped {
            // SAFETY: the caller's reference keeps it live.
            drop(unsafe { panic_in_goroutine(header, payload) });
        }
    }
    drop(entered);
    // SAFETY: the Runnable's reference, and the registry's; neither is used again.
    unsafe { release(header, 2) };
}

/// The task that `waker` wakes, if it is one of ours; the reference stays the waker's.
pub(super) fn task_of(waker: &Waker) -> Option<NonNull<Header>> {
    std::ptr::eq(waker.vtable(), &WAKER_VTABLE)
        .then(|| NonNull::new(waker.data().cast_mut().cast::<Header>()))
        .flatten()
}

fn raw_waker(header: NonNull<Header>) -> RawWaker {
    RawWaker::new(header.as_ptr().cast_const().cast(), &WAKER_VTABLE)
}

/// One for all tasks, so that `will_wake` never fails for the same task.
static WAKER_VTABLE: RawWakerVTable =
    RawWakerVTable::new(waker_clone, waker_wake, waker_wake_by_ref, waker_drop);

/// # Safety
///
/// For all four: `data` is the data of a [`raw_waker`] that holds a reference, or borrows the Runnable's.
unsafe fn waker_header(data: *const ()) -> NonNull<Header> {
    // SAFETY: it was made from a `NonNull` in `raw_waker`.
    unsafe { NonNull::new_unchecked(data.cast_mut().cast()) }
}

unsafe fn waker_clone(data: *const ()) -> RawWaker {
    // SAFETY: as the contract of the four says.
    let header = unsafe { waker_header(data) };
    // SAFETY: the waker's reference keeps it live.
    unsafe { header.as_ref() }.state.retain();
    raw_waker(header)
}

unsafe fn waker_wake(data: *const ()) {
    // SAFETY: as the contract of the four says.
    let header = unsafe { waker_header(data) };
    // SAFETY: the waker's reference is used up.
    unsafe { wake(header, schedule::schedule) };
}

/// Wakes a task, and has it queued by `schedule` if that is due.
///
/// # Safety
///
/// The caller gives one reference to the task away.
pub(super) unsafe fn wake(header: NonNull<Header>, schedule: impl FnOnce(Runnable)) {
    // SAFETY: the caller's reference keeps it live up to the transition, which may give it away.
    let task = unsafe { header.as_ref() };
    let free = task.vtable.free;
    match task.state.wake() {
        Wake::Schedule => schedule(Runnable(header)),
        Wake::Nothing => {}
        // SAFETY: the transition released the last reference, as in `release`.
        Wake::Free => unsafe { free(header) },
    }
}

unsafe fn waker_wake_by_ref(data: *const ()) {
    // SAFETY: as the contract of the four says.
    let header = unsafe { waker_header(data) };
    // SAFETY: the waker's reference keeps it live.
    if let Wake::Schedule = unsafe { header.as_ref() }.state.wake_by_ref() {
        schedule::schedule(Runnable(header));
    }
}

unsafe fn waker_drop(data: *const ()) {
    // SAFETY: as the contract of the four says.
    let header = unsafe { waker_header(data) };
    // SAFETY: the waker held one reference and is gone.
    unsafe { release(header, 1) };
}

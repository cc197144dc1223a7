//! The handles of a goroutine: [`JoinHandle`] to await it, [`AbortHandle`] and [`AbortOnDrop`] to end it.

use super::{
    error::JoinError,
    raw::{Header, TaskRef, drop_output, release, take_output, task_of, wake},
    state::Detach,
};
use crate::schedule;
use gorust_primitives::{
    current::{self, Reason},
    select_case::{Glance, Leaf, Native},
};
use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    mem::ManuallyDrop,
    panic::{RefUnwindSafe, UnwindSafe},
    pin::Pin,
    ptr::NonNull,
    task::{Context, Poll, Waker, ready},
};

/// The waker of whoever awaits a handle, in one word: nearly always that of a task, of which the address is enough.
pub(crate) struct Joiner(NonNull<()>);

/// Not a task's address but that of a box with a waker of somebody else's.
const FOREIGN: usize = 1;

impl Joiner {
    fn new(waker: &Waker) -> Self {
        match task_of(waker) {
            Some(task) => {
                // The clone's reference is the joiner's.
                std::mem::forget(waker.clone());
                Self(task.cast())
            }
            None => {
                let boxed = Box::into_raw(Box::new(waker.clone())).cast::<()>();
                // SAFETY: a box's address is not null, and has its lowest bit free.
                Self(unsafe { NonNull::new_unchecked(boxed.map_addr(|address| address | FOREIGN)) })
            }
        }
    }

    fn foreign(&self) -> Option<NonNull<Waker>> {
        let raw = self.0.as_ptr();
        (raw.addr() & FOREIGN != 0)
            .then(|| NonNull::new(raw.map_addr(|address| address & !FOREIGN).cast::<Waker>()))
            .flatten()
    }

    fn will_wake(&self, waker: &Waker) -> bool {
        match self.foreign() {
            // SAFETY: the box is this joiner's.
            Some(boxed) => unsafe { boxed.as_ref() }.will_wake(waker),
            None => task_of(waker).is_some_and(|task| task.cast() == self.0),
        }
    }

    /// Wakes the joiner: behind what is queued, not ahead of it. A goroutine that awaits a wave of others would else
    /// be woken by each of them, one at a time.
    pub(super) fn wake(self) {
        let joiner = ManuallyDrop::new(self);
        match joiner.foreign() {
            // SAFETY: the box came from `new` and is used once, since the joiner is not dropped.
            Some(boxed) => schedule::wake_caught(*unsafe { Box::from_raw(boxed.as_ptr()) }),
            // SAFETY: the joiner's reference is used up.
            None => unsafe { wake(joiner.0.cast(), schedule::schedule_behind) },
        }
    }
}

impl Drop for Joiner {
    fn drop(&mut self) {
        match self.foreign() {
            // SAFETY: the box came from `new` and is used once.
            Some(boxed) => drop(unsafe { Box::from_raw(boxed.as_ptr()) }),
            // SAFETY: the joiner's reference.
            None => unsafe { release(self.0.cast(), 1) },
        }
    }
}

/// The output was taken: only the reference is left. A bit of the pointer, so that a handle is one word.
const TAKEN: usize = 1;

/// A goroutine's result: awaiting it gives what the goroutine returned, or why it has nothing to return.
///
/// Dropping it detaches: the goroutine goes on, and nobody will see its result. A panic that only this handle
/// could have seen then falls under the [`PanicPolicy`](super::PanicPolicy). To end the goroutine with the handle,
/// use [`abort_on_drop`](Self::abort_on_drop).
///
/// # Errors
///
/// [`JoinError`] if the goroutine panicked, was aborted, or was dropped with its runtime.
///
/// # Panics
///
/// When polled again after it was ready.
///
/// # Cancel safety
///
/// *Strict*, awaited as `&mut handle`: the result stays in the goroutine until it is taken.
///
/// # Go
///
/// Go's `go` statement gives no handle; there the result goes through a channel, and nobody can end a goroutine
/// from outside.
///
/// # Examples
///
/// ```
/// use gorust_scheduler::{block_on, go};
///
/// let sum = go(async { 1 + 2 });
/// assert_eq!(block_on(sum).unwrap(), 3);
/// ```
pub struct JoinHandle<T> {
    tagged: NonNull<Header>,
    output: PhantomData<fn() -> T>,
}

// SAFETY: the handle moves an output of type `T` between threads, so `T: Send`; the rest is a counted reference.
unsafe impl<T: Send> Send for JoinHandle<T> {}
// SAFETY: `&JoinHandle` gives no access to the output.
unsafe impl<T: Send> Sync for JoinHandle<T> {}
impl<T> Unpin for JoinHandle<T> {}
// A panic of the goroutine is caught, and what it left behind is dropped: there is nothing half-done to see.
impl<T> UnwindSafe for JoinHandle<T> {}
impl<T> RefUnwindSafe for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    /// # Safety
    ///
    /// `header` is of a task just spawned whose output is `T`, and the caller gives it the handle's reference.
    pub(super) unsafe fn new(header: NonNull<Header>) -> Self {
        Self { tagged: header, output: PhantomData }
    }

    fn raw(&self) -> NonNull<Header> {
        let raw = self.tagged.as_ptr().map_addr(|address| address & !TAKEN);
        // SAFETY: a header is aligned to a word, so that its address without the lowest bit is not zero.
        unsafe { NonNull::new_unchecked(raw) }
    }

    fn header(&self) -> &Header {
        // SAFETY: the handle holds a reference.
        unsafe { self.raw().as_ref() }
    }

    fn is_taken(&self) -> bool {
        self.tagged.addr().get() & TAKEN != 0
    }

    /// Asks the goroutine to end: its future is dropped at its next await point, and the handle resolves to a
    /// canceled [`JoinError`], unless it completes first.
    ///
    /// Returns at once and does not wait for the end; await the handle for that. A goroutine that never awaits
    /// cannot be ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_scheduler::{block_on, go};
    ///
    /// let handle = go(std::future::pending::<()>());
    /// handle.abort();
    /// assert!(block_on(handle).unwrap_err().is_canceled());
    /// ```
    pub fn abort(&self) {
        self.task().abort();
    }

    fn task(&self) -> TaskRef {
        self.header().state.retain();
        // SAFETY: the reference just added is the new value's.
        unsafe { TaskRef::from_raw(self.raw()) }
    }

    /// Returns a handle that can abort the goroutine and does nothing else.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_scheduler::{block_on, go};
    ///
    /// let handle = go(std::future::pending::<()>());
    /// let abort = handle.abort_handle();
    /// go(async move { abort.abort() });
    /// assert!(block_on(handle).unwrap_err().is_canceled());
    /// ```
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle(self.task())
    }

    /// Turns the handle into one that aborts the goroutine when it is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// let handle = gorust_scheduler::go(std::future::pending::<()>()).abort_on_drop();
    /// drop(handle); // the goroutine ends
    /// ```
    pub fn abort_on_drop(self) -> AbortOnDrop<T> {
        AbortOnDrop(Some(self))
    }

    /// Whether the goroutine has ended, in whatever way.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut handle = gorust_scheduler::go(async {});
    /// gorust_scheduler::block_on(&mut handle).unwrap();
    /// assert!(handle.is_finished());
    /// ```
    pub fn is_finished(&self) -> bool {
        self.header().state.is_completed()
    }

    /// Returns the goroutine's number, as [`task::id`](super::id) gives it inside.
    pub fn id(&self) -> u64 {
        self.header().record.id()
    }
}

impl<T> JoinHandle<T> {
    /// Sees to it that the end of the goroutine wakes `waker`. Returns `false` if it has ended.
    fn register(&mut self, waker: &Waker) -> bool {
        let task = self.header();
        if !task.state.is_completed() {
            // SAFETY: rule Joiner: while the bit is set nobody writes the slot, and only this handle changes the
            // bit; the completing thread may take from the slot, but does so only after completion, which
            // `clear_join_waker` then reports.
            let registered = task.state.has_join_waker();
            if !registered || task.state.clear_join_waker() {
                // SAFETY: rule Joiner: the bit is 0, so the slot is this handle's.
                let slot = unsafe { &mut *task.joiner.get() };
                match slot {
                    Some(joiner) if joiner.will_wake(waker) => {}
                    _ => {
                        // Empty while user code runs, which may panic: an empty slot needs nobody to clean it up.
                        drop(slot.take());
                        *slot = Some(Joiner::new(waker));
                    }
                }
                if task.state.set_join_waker() {
                    return true;
                }
                // Completed meanwhile, with the bit 0: the slot is still this handle's, and must not outlive it.
                *slot = None;
            }
        }
        false
    }

    /// Takes the result of a goroutine that has ended.
    fn take(&mut self) -> Result<T, JoinError> {
        let header = self.raw();
        debug_assert!(self.is_finished() && !self.is_taken());
        // SAFETY: completed, and this handle exists and has not taken the output.
        let mut result = unsafe { take_output::<T>(header) };
        let tagged = header.as_ptr().map_addr(|address| address | TAKEN);
        // SAFETY: not null, it has a bit set.
        self.tagged = unsafe { NonNull::new_unchecked(tagged) };
        if let Err(error) = &mut result {
            error.seen();
        }
        result
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        assert!(!self.is_taken(), "JoinHandle polled after it was ready");
        ready!(current::poll_proceed(cx));
        if self.register(cx.waker()) {
            current::waits(Reason::Join, self.header().record.spawned_at());
            return Poll::Pending;
        }
        Poll::Ready(self.take())
    }
}

// SAFETY: an event: a goroutine that has ended stays so, and its result is this handle's to take.
unsafe impl<T> Leaf for JoinHandle<T> {
    #[inline]
    fn glance(&self) -> Glance {
        Glance { is_ready: self.is_finished(), version: 0 }
    }

    fn arm(mut self: Pin<&mut Self>, cx: &mut Context<'_>) {
        self.register(cx.waker());
    }
}

impl<T> Native for JoinHandle<T> {
    fn prepare(self: Pin<&mut Self>) -> bool {
        assert!(!self.is_taken(), "JoinHandle polled after it was ready");
        true
    }

    fn output(mut self: Pin<&mut Self>) -> Self::Output {
        assert!(self.is_finished(), "the goroutine has not ended");
        self.take()
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        let header = self.raw();
        if !self.is_taken() {
            match self.header().state.detach() {
                Detach::Done => return,
                Detach::DropWaker => {
                    // SAFETY: rule Joiner: the bit is 0 again, so the slot is this handle's.
                    let joiner = unsafe { (*self.header().joiner.get()).take() };
                    drop(joiner);
                }
                // SAFETY: completed, and this handle exists and has not taken the output.
                Detach::DropOutput => unsafe { drop_output(header) },
            }
        }
        // SAFETY: the handle's reference, not released by `detach` in these cases.
        unsafe { release(header, 1) };
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JoinHandle").field(&self.header().record).finish()
    }
}

/// Can end a goroutine, and does nothing else. Made by [`JoinHandle::abort_handle`].
///
/// It keeps the goroutine's memory, not the goroutine.
#[derive(Clone)]
pub struct AbortHandle(TaskRef);

impl AbortHandle {
    /// Asks the goroutine to end; see [`JoinHandle::abort`].
    pub fn abort(&self) {
        self.0.abort();
    }

    /// Whether the goroutine has ended, in whatever way.
    pub fn is_finished(&self) -> bool {
        self.0.header().state.is_completed()
    }

    /// Returns the goroutine's number.
    pub fn id(&self) -> u64 {
        self.0.header().record.id()
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AbortHandle").field(&self.0.header().record).finish()
    }
}

/// A [`JoinHandle`] that aborts its goroutine when it is dropped. Made by [`JoinHandle::abort_on_drop`].
///
/// The goroutine is dropped at its next await point, not necessarily before this is gone. A panic that happened before, or
/// in a destructor of the goroutine, is seen by nobody then, and falls under the [`PanicPolicy`](super::PanicPolicy).
///
/// # Cancel safety
///
/// *Loses value*: dropped while it waits it ends the goroutine, which is what it is for. Awaited as `&mut handle` it is
/// *Strict*.
///
/// # Examples
///
/// ```
/// use gorust_scheduler::{block_on, go};
///
/// let connection = go(async { "still here" }).abort_on_drop();
/// // It is needed for longer than this scope:
/// let handle = connection.detach();
/// assert_eq!(block_on(handle).unwrap(), "still here");
/// ```
#[must_use = "dropping it aborts the goroutine"]
pub struct AbortOnDrop<T>(
    /// `None` only while it is detached.
    Option<JoinHandle<T>>,
);

impl<T> AbortOnDrop<T> {
    fn handle(&self) -> &JoinHandle<T> {
        match &self.0 {
            Some(handle) => handle,
            None => unreachable!("detached by value"),
        }
    }

    fn handle_mut(&mut self) -> Pin<&mut JoinHandle<T>> {
        match &mut self.0 {
            Some(handle) => Pin::new(handle),
            None => unreachable!("detached by value"),
        }
    }

    /// Asks the goroutine to end; see [`JoinHandle::abort`].
    pub fn abort(&self) {
        self.handle().abort();
    }

    /// Returns a handle that can abort the goroutine and does nothing else.
    pub fn abort_handle(&self) -> AbortHandle {
        self.handle().abort_handle()
    }

    /// Gives the handle back: the goroutine does not end with it any more.
    pub fn detach(mut self) -> JoinHandle<T> {
        match self.0.take() {
            Some(handle) => handle,
            None => unreachable!("detached by value"),
        }
    }

    /// Whether the goroutine has ended, in whatever way.
    pub fn is_finished(&self) -> bool {
        self.handle().is_finished()
    }

    /// Returns the goroutine's number.
    pub fn id(&self) -> u64 {
        self.handle().id()
    }
}

impl<T> fmt::Debug for AbortOnDrop<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AbortOnDrop").field(&self.handle().header().record).finish()
    }
}

impl<T> Future for AbortOnDrop<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.handle_mut().poll(cx)
    }
}

// SAFETY: all is said of the handle inside.
unsafe impl<T> Leaf for AbortOnDrop<T> {
    fn glance(&self) -> Glance {
        self.handle().glance()
    }

    fn arm(mut self: Pin<&mut Self>, cx: &mut Context<'_>) {
        self.handle_mut().arm(cx);
    }
}

impl<T> Native for AbortOnDrop<T> {
    fn prepare(mut self: Pin<&mut Self>) -> bool {
        self.handle_mut().prepare()
    }

    fn output(mut self: Pin<&mut Self>) -> Self::Output {
        self.handle_mut().output()
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        if let Some(handle) = &self.0 {
            handle.abort();
        }
    }
}

//! Counted permits: so many at a time, first come first served.
//!
//! The permits are one atomic word; the lock beside it is taken only when somebody waits. The README has the
//! argument why nobody is overtaken and no permit is lost.

use gorust_primitives::{
    brief_lock::BriefLock,
    const_unless_modelled,
    current::{self, Reason},
    shim::{AtomicUsize, Ordering, mutant},
    wait_list::{State, WaitList, Waiter, Wakers, keep_waiting, wake_in_batches},
};
use gorust_scheduler::block_on;
use pin_project_lite::pin_project;
use std::{
    error::Error,
    fmt,
    future::Future,
    mem,
    panic::Location,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// Hands out permits, a limited number at a time.
///
/// An operation may weigh more than one: [`acquire(k)`](Self::acquire) waits for `k` permits. Dropping the
/// [`Permit`] gives them back.
///
/// # Fairness
///
/// First come, first served: who asks for many is not overtaken by those who ask for few, and nobody gets a
/// permit while somebody waits. A future that was granted its permits and is not polled (it stands in a select
/// whose body is running, say) keeps them until it is dropped.
///
/// # Go
///
/// `golang.org/x/sync/semaphore.Weighted`. There, asking for more than the semaphore has waits until the context
/// is done; here it is an error at once. Permits cannot be given back twice, nor forgotten.
///
/// # Examples
///
/// ```
/// use gorust_sync::{Semaphore, WaitGroup};
/// use std::sync::Arc;
///
/// gorust_scheduler::block_on(async {
///     let (three_at_a_time, wg) = (Arc::new(Semaphore::new(3)), WaitGroup::new());
///     for _ in 0..10 {
///         let semaphore = Arc::clone(&three_at_a_time);
///         wg.go(async move {
///             let _permit = semaphore.acquire(1).await.unwrap();
///             // .. what only three may do at a time
///         });
///     }
///     wg.wait().await;
///     assert_eq!(three_at_a_time.available(), 3);
/// });
/// ```
pub struct Semaphore {
    /// The free permits in units of [`ONE`], [`WAITED`] and [`CLOSED`]. The two bits change under the lock only;
    /// while `WAITED` is set, so do the permits.
    state: AtomicUsize,
    /// All permits, free or not. Who asks for more than these asks in vain.
    size: AtomicUsize,
    /// Those who wait, and for how many each.
    waiters: BriefLock<WaitList<usize>>,
}

/// Somebody waits.
const WAITED: usize = 1;
/// No more permits are handed out.
const CLOSED: usize = 2;
/// One permit.
const ONE: usize = 4;

impl Semaphore {
    /// The largest number of permits.
    pub const MAX_PERMITS: usize = usize::MAX / ONE;

    const_unless_modelled! {
        /// Creates a semaphore with `permits` permits.
        ///
        /// # Panics
        ///
        /// If that is more than [`MAX_PERMITS`](Self::MAX_PERMITS).
        ///
        /// # Examples
        ///
        /// ```
        /// static CONNECTIONS: gorust_sync::Semaphore = gorust_sync::Semaphore::new(100);
        /// assert_eq!(CONNECTIONS.available(), 100);
        /// ```
        pub fn new(permits: usize) -> Self {
            assert!(permits <= Self::MAX_PERMITS, "too many permits");
            Self {
                state: AtomicUsize::new(permits * ONE),
                size: AtomicUsize::new(permits),
                waiters: BriefLock::new(WaitList::new()),
            }
        }
    }

    /// Waits for `count` permits.
    ///
    /// # Errors
    ///
    /// [`AcquireError::TooMany`] if the semaphore has fewer, free or not; [`AcquireError::Closed`] once it is
    /// closed.
    ///
    /// # Cancel safety
    ///
    /// *Loses its place* in the queue. Dropped before the first poll: nothing has happened. Dropped after its
    /// permits were granted: they go to the next.
    ///
    /// # Fairness
    ///
    /// First come, first served.
    ///
    /// # Go
    ///
    /// `sem.Acquire(ctx, n)`; with a context, `ctx.run(semaphore.acquire(n))`.
    ///
    /// # Examples
    ///
    /// ```
    /// # gorust_scheduler::block_on(async {
    /// let semaphore = gorust_sync::Semaphore::new(3);
    /// let permit = semaphore.acquire(2).await.unwrap();
    /// assert_eq!(semaphore.available(), 1);
    /// drop(permit);
    /// assert!(semaphore.acquire(4).await.is_err());
    /// # });
    /// ```
    #[track_caller]
    pub fn acquire(&self, count: usize) -> Acquire<'_> {
        Acquire { semaphore: self, turn: Turn::new(count, Location::caller()) }
    }

    /// Waits for `count` permits of a semaphore in an [`Arc`]; the permit borrows nothing, so it can go into
    /// another goroutine.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # gorust_scheduler::block_on(async {
    /// let semaphore = Arc::new(gorust_sync::Semaphore::new(1));
    /// let permit = Arc::clone(&semaphore).acquire_owned(1).await.unwrap();
    /// gorust_scheduler::go(async move { drop(permit) });
    /// semaphore.acquire(1).await.unwrap();
    /// # });
    /// ```
    #[track_caller]
    pub fn acquire_owned(self: Arc<Self>, count: usize) -> AcquireOwned {
        AcquireOwned { semaphore: self, turn: Turn::new(count, Location::caller()) }
    }

    /// Takes `count` permits if they are free and nobody waits.
    ///
    /// # Errors
    ///
    /// [`TryAcquireError`]
    ///
    /// # Go
    ///
    /// `sem.TryAcquire(n)`
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_sync::semaphore::{Semaphore, TryAcquireError};
    ///
    /// let semaphore = Semaphore::new(1);
    /// let permit = semaphore.try_acquire(1).unwrap();
    /// assert_eq!(semaphore.try_acquire(1).unwrap_err(), TryAcquireError::NoPermits);
    /// # drop(permit);
    /// ```
    pub fn try_acquire(&self, count: usize) -> Result<Permit<'_>, TryAcquireError> {
        self.try_take(count)?;
        Ok(Permit { semaphore: self, count })
    }

    /// Takes permits as [`try_acquire`](Self::try_acquire) does; the permit borrows nothing.
    ///
    /// # Errors
    ///
    /// [`TryAcquireError`]
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::sync::Arc;
    /// let semaphore = Arc::new(gorust_sync::Semaphore::new(1));
    /// let permit = Arc::clone(&semaphore).try_acquire_owned(1).unwrap();
    /// std::thread::spawn(move || drop(permit)).join().unwrap();
    /// assert_eq!(semaphore.available(), 1);
    /// ```
    pub fn try_acquire_owned(self: Arc<Self>, count: usize) -> Result<OwnedPermit, TryAcquireError> {
        self.try_take(count)?;
        Ok(OwnedPermit { semaphore: self, count })
    }

    /// Waits for `count` permits, blocking the thread: for plain threads, and for code that is not async.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = gorust_sync::Semaphore::new(1);
    /// let _permit = semaphore.acquire_blocking(1).unwrap();
    /// ```
    #[track_caller]
    pub fn acquire_blocking(&self, count: usize) -> Result<Permit<'_>, AcquireError> {
        block_on(self.acquire(count))
    }

    /// Adds permits. Those who wait get them first.
    ///
    /// # Panics
    ///
    /// If there were more than [`MAX_PERMITS`](Self::MAX_PERMITS) then.
    ///
    /// # Go
    ///
    /// Go's cannot grow.
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = gorust_sync::Semaphore::new(0);
    /// semaphore.add_permits(2);
    /// assert!(semaphore.try_acquire(2).is_ok());
    /// ```
    #[track_caller]
    pub fn add_permits(&self, count: usize) {
        let grown = |size: usize| size.checked_add(count).filter(|&size| size <= Self::MAX_PERMITS);
        // Ordering: Relaxed, a limit that is looked at and guards nothing.
        let added = self.size.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown);
        assert!(added.is_ok(), "too many permits");
        self.release(count);
    }

    /// Closes the semaphore: nobody gets a permit any more, and all who wait are told. Permits that were
    /// handed out stay good.
    ///
    /// # Go
    ///
    /// Go's cannot be closed.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_sync::semaphore::{AcquireError, Semaphore};
    ///
    /// let semaphore = Semaphore::new(1);
    /// semaphore.close();
    /// assert_eq!(semaphore.acquire_blocking(1).unwrap_err(), AcquireError::Closed);
    /// ```
    pub fn close(&self) {
        // Ordering: AcqRel: Release against the Acquire of who finds it closed, who may act upon what the
        // closer did; Acquire for the next one who closes.
        let close = |waiters: &mut WaitList<usize>, wakers: &mut Wakers| {
            self.state.fetch_or(CLOSED, Ordering::AcqRel);
            while !wakers.is_full() {
                match waiters.pop_front(State::Closed) {
                    Some(waker) => wakers.push(waker),
                    None => break,
                }
            }
            self.note_empty(waiters);
        };
        wake_in_batches(|| self.waiters.lock(), close);
    }

    /// Returns whether the semaphore was closed.
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = gorust_sync::Semaphore::new(1);
    /// assert!(!semaphore.is_closed());
    /// semaphore.close();
    /// assert!(semaphore.is_closed());
    /// ```
    pub fn is_closed(&self) -> bool {
        // Ordering: Acquire, against the Release in `close`.
        self.state.load(Ordering::Acquire) & CLOSED != 0
    }

    /// Returns how many permits are free at this moment.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(gorust_sync::Semaphore::new(3).available(), 3);
    /// ```
    pub fn available(&self) -> usize {
        // Ordering: Relaxed, a number that may be old when it is read.
        self.state.load(Ordering::Relaxed) / ONE
    }

    /// Whether `count` permits could ever be there.
    fn is_too_many(&self, count: usize) -> bool {
        // Ordering: Relaxed, as in `add_permits`.
        count > self.size.load(Ordering::Relaxed)
    }

    /// Takes permits that are free, unless somebody waits.
    fn try_take(&self, count: usize) -> Result<(), TryAcquireError> {
        if self.is_too_many(count) {
            return Err(if self.is_closed() { TryAcquireError::Closed } else { TryAcquireError::TooMany });
        }
        // Ordering: Relaxed, the compare-exchange decides, and Acquire where it is found closed.
        let mut state = self.state.load(Ordering::Acquire);
        loop {
            if state & CLOSED != 0 {
                return Err(TryAcquireError::Closed);
            }
            if state & WAITED != 0 || state / ONE < count {
                return Err(TryAcquireError::NoPermits);
            }
            // Ordering: Acquire, against the Release in `release`: what was done under the permits is seen.
            let taken = state - count * ONE;
            match self.state.compare_exchange_weak(state, taken, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return Ok(()),
                Err(found) => state = found,
            }
        }
    }

    /// Gives permits back.
    fn release(&self, count: usize) {
        // Ordering: Relaxed, the compare-exchange decides.
        let mut state = self.state.load(Ordering::Relaxed);
        while state & WAITED == 0 {
            let freed = state + count * ONE;
            // Ordering: Release, against the Acquire in `try_take`, `park` and `serve`.
            match self.state.compare_exchange_weak(state, freed, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(found) => state = found,
            }
        }
        self.grant(count);
    }

    #[cold]
    fn grant(&self, mut count: usize) {
        wake_in_batches(
            || self.waiters.lock(),
            |waiters, wakers| self.serve(waiters, mem::take(&mut count), wakers),
        );
    }

    /// Under the lock: gives back `count` permits, and grants what is free to those who wait.
    fn serve(&self, waiters: &mut WaitList<usize>, count: usize, wakers: &mut Wakers) {
        // Ordering: AcqRel: Release as in `release`; Acquire, since who is granted permits is to see what was
        // done under them, also by those who gave them back without the lock.
        let mut state = self.state.fetch_add(count * ONE, Ordering::AcqRel) + count * ONE;
        while !wakers.is_full()
            && let Some(&wanted) = waiters.first()
            && state / ONE >= wanted
        {
            // Ordering: Relaxed, while somebody waits the permits change under this lock only.
            state = self.state.fetch_sub(wanted * ONE, Ordering::Relaxed) - wanted * ONE;
            waiters.pop_front(State::Granted).into_iter().for_each(|waker| wakers.push(waker));
        }
        self.note_empty(waiters);
    }

    /// Under the lock: when nobody waits any more, the permits may be had without it.
    fn note_empty(&self, waiters: &WaitList<usize>) {
        if waiters.is_empty() {
            // Ordering: Relaxed, who waits joins under this lock.
            self.state.fetch_and(!WAITED, Ordering::Relaxed);
        }
    }

    /// Takes `count` permits, or lets `waiter` wait for them.
    ///
    /// # Safety
    ///
    /// As for [`WaitList::push_back`].
    unsafe fn park(&self, count: usize, waiter: Pin<&Waiter<usize>>) -> Poll<Result<(), AcquireError>> {
        let mut waiters = self.waiters.lock();
        // Ordering: Acquire, where it is found closed.
        let mut state = self.state.load(Ordering::Acquire);
        loop {
            if state & CLOSED != 0 {
                return Poll::Ready(Err(AcquireError::Closed));
            }
            let is_free = state & WAITED == 0 && state / ONE >= count;
            let next = if is_free && !mutant("semaphore.wait_without_a_look") {
                state - count * ONE
            } else {
                state | WAITED
            };
            // Ordering: Acquire, against the Release in `release`.
            match self.state.compare_exchange_weak(state, next, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) if next & WAITED == 0 => return Poll::Ready(Ok(())),
                Ok(_) => {
                    // SAFETY: our caller's promise.
                    unsafe { waiters.push_back(waiter) };
                    return Poll::Pending;
                }
                Err(found) => state = found,
            }
        }
    }

    /// Takes `waiter` out, if it waits. Those behind it may want fewer permits, and have them at once.
    #[cold]
    fn leave(&self, waiter: Pin<&Waiter<usize>>) {
        let leave = |waiters: &mut WaitList<usize>, wakers: &mut Wakers| {
            // SAFETY: the waiter is in this list or in none.
            unsafe { waiters.remove(waiter) };
            if !mutant("semaphore.leave_quietly") {
                self.serve(waiters, 0, wakers);
            }
        };
        wake_in_batches(|| self.waiters.lock(), leave);
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("available", &self.available())
            // Ordering: Relaxed, as in `add_permits`.
            .field("size", &self.size.load(Ordering::Relaxed))
            .field("is_closed", &self.is_closed())
            .finish()
    }
}

pin_project! {
    /// One future's turn at a semaphore: what `Acquire` and `AcquireOwned` share.
    struct Turn {
        count: usize,
        is_done: bool,
        at: &'static Location<'static>,
        #[pin]
        waiter: Waiter<usize>,
    }
}

impl Turn {
    fn new(count: usize, at: &'static Location<'static>) -> Self {
        Self { count, is_done: false, at, waiter: Waiter::new(count) }
    }

    fn poll(
        self: Pin<&mut Self>,
        semaphore: &Semaphore,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), AcquireError>> {
        ready!(current::poll_proceed(cx));
        let this = self.project();
        assert!(!*this.is_done, "an acquire was polled after it had completed");
        let waiter = this.waiter.as_ref();
        let state = match waiter.state() {
            // SAFETY: the waiter is queued here or not at all.
            State::Queued => unsafe {
                keep_waiting(|| semaphore.waiters.lock(), |waiters| waiters, waiter, cx.waker())
            },
            state => state,
        };
        let polled = match state {
            State::Queued => Poll::Pending,
            State::Granted => Poll::Ready(Ok(())),
            State::Closed => Poll::Ready(Err(AcquireError::Closed)),
            State::Idle => match semaphore.try_take(*this.count) {
                Ok(()) => Poll::Ready(Ok(())),
                Err(TryAcquireError::Closed) => Poll::Ready(Err(AcquireError::Closed)),
                Err(TryAcquireError::TooMany) => Poll::Ready(Err(AcquireError::TooMany)),
                Err(TryAcquireError::NoPermits) => {
                    waiter.set_waker(cx.waker());
                    // SAFETY: the waiter is pinned and not queued, and `leave` takes it out before it is
                    // dropped.
                    unsafe { semaphore.park(*this.count, waiter) }
                }
            },
        };
        match polled {
            Poll::Ready(_) => *this.is_done = true,
            Poll::Pending => current::waits(Reason::SemaphoreAcquire, this.at),
        }
        polled
    }

    /// Leaves the queue, or gives back what it was granted; to be called before the future is dropped.
    fn leave(self: Pin<&mut Self>, semaphore: &Semaphore) {
        let this = self.project();
        let waiter = this.waiter.as_ref();
        if waiter.state() == State::Queued {
            semaphore.leave(waiter);
        }
        // Looked at again: it may have been granted in between.
        if waiter.state() == State::Granted && !*this.is_done && !mutant("semaphore.grant_dropped") {
            semaphore.release(*this.count);
        }
    }
}

pin_project! {
    /// The future of [`Semaphore::acquire`].
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct Acquire<'a> {
        semaphore: &'a Semaphore,
        #[pin]
        turn: Turn,
    }

    impl PinnedDrop for Acquire<'_> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            this.turn.leave(this.semaphore);
        }
    }
}

impl<'a> Future for Acquire<'a> {
    type Output = Result<Permit<'a>, AcquireError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let count = this.turn.count;
        let acquired = ready!(this.turn.poll(this.semaphore, cx));
        Poll::Ready(acquired.map(|()| Permit { semaphore: this.semaphore, count }))
    }
}

impl fmt::Debug for Acquire<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire")
            .field("count", &self.turn.count)
            .field("waiter", &self.turn.waiter.state())
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`Semaphore::acquire_owned`].
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct AcquireOwned {
        semaphore: Arc<Semaphore>,
        #[pin]
        turn: Turn,
    }

    impl PinnedDrop for AcquireOwned {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            this.turn.leave(this.semaphore);
        }
    }
}

impl Future for AcquireOwned {
    type Output = Result<OwnedPermit, AcquireError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let count = this.turn.count;
        let acquired = ready!(this.turn.poll(this.semaphore, cx));
        Poll::Ready(acquired.map(|()| OwnedPermit { semaphore: Arc::clone(this.semaphore), count }))
    }
}

impl fmt::Debug for AcquireOwned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcquireOwned")
            .field("count", &self.turn.count)
            .field("waiter", &self.turn.waiter.state())
            .finish_non_exhaustive()
    }
}

/// Permits of a [`Semaphore`]; dropping it gives them back.
///
/// # Examples
///
/// ```
/// let semaphore = gorust_sync::Semaphore::new(3);
/// let mut permit = semaphore.try_acquire(3).unwrap();
/// drop(permit.split(1).unwrap());
/// assert_eq!((permit.count(), semaphore.available()), (2, 1));
/// ```
#[must_use = "dropped at once, the permits are given back at once"]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    count: usize,
}

/// Permits of a [`Semaphore`] that lies in an [`Arc`]; otherwise as [`Permit`]. From
/// [`Semaphore::acquire_owned`].
#[must_use = "dropped at once, the permits are given back at once"]
pub struct OwnedPermit {
    semaphore: Arc<Semaphore>,
    count: usize,
}

/// What both kinds of permit do.
macro_rules! permit {
    ($Permit:ty) => {
        impl $Permit {
            /// Returns how many permits these are.
            ///
            /// # Examples
            ///
            /// ```
            /// let semaphore = gorust_sync::Semaphore::new(3);
            /// assert_eq!(semaphore.try_acquire(2).unwrap().count(), 2);
            /// ```
            pub fn count(&self) -> usize {
                self.count
            }

            /// Takes `count` of the permits out, to be given back on their own; `None` if these are fewer.
            ///
            /// # Examples
            ///
            /// ```
            /// let semaphore = gorust_sync::Semaphore::new(3);
            /// let mut permit = semaphore.try_acquire(3).unwrap();
            /// assert!(permit.split(4).is_none());
            /// assert_eq!(permit.split(1).unwrap().count(), 1);
            /// ```
            pub fn split(&mut self, count: usize) -> Option<Self> {
                self.count = self.count.checked_sub(count)?;
                Some(Self { semaphore: self.semaphore.clone(), count })
            }

            /// Takes the permits out of the semaphore for good: they are not given back, and the semaphore is
            /// smaller by them.
            ///
            /// # Examples
            ///
            /// ```
            /// let semaphore = gorust_sync::Semaphore::new(3);
            /// semaphore.try_acquire(1).unwrap().forget();
            /// assert!(semaphore.try_acquire(2).is_ok());
            /// assert!(semaphore.acquire_blocking(3).is_err());
            /// ```
            pub fn forget(mut self) {
                // Ordering: Relaxed, as in `add_permits`.
                self.semaphore.size.fetch_sub(mem::take(&mut self.count), Ordering::Relaxed);
            }
        }

        impl Drop for $Permit {
            fn drop(&mut self) {
                if self.count > 0 {
                    self.semaphore.release(self.count);
                }
            }
        }

        impl fmt::Debug for $Permit {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($Permit)).field("count", &self.count).finish_non_exhaustive()
            }
        }
    };
}

permit!(Permit<'_>);
permit!(OwnedPermit);

/// Why [`Semaphore::acquire`] has no permits to give.
///
/// # Examples
///
/// ```
/// use gorust_sync::semaphore::{AcquireError, Semaphore};
///
/// let error = Semaphore::new(1).acquire_blocking(2).unwrap_err();
/// assert_eq!(error, AcquireError::TooMany);
/// assert_eq!(error.to_string(), "more permits than the semaphore has");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AcquireError {
    /// The semaphore is closed.
    Closed,
    /// More permits were asked for than the semaphore has, free or not.
    TooMany,
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "semaphore closed",
            Self::TooMany => "more permits than the semaphore has",
        })
    }
}

impl Error for AcquireError {}

/// Why [`Semaphore::try_acquire`] has no permits to give.
///
/// # Examples
///
/// ```
/// use gorust_sync::semaphore::{Semaphore, TryAcquireError};
///
/// let semaphore = Semaphore::new(1);
/// let _permit = semaphore.try_acquire(1).unwrap();
/// assert_eq!(semaphore.try_acquire(1).unwrap_err().to_string(), "no permits free");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TryAcquireError {
    /// They were not free at that moment, or somebody waited for permits.
    NoPermits,
    /// The semaphore is closed.
    Closed,
    /// More permits were asked for than the semaphore has, free or not.
    TooMany,
}

impl fmt::Display for TryAcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPermits => f.write_str("no permits free"),
            Self::Closed => AcquireError::Closed.fmt(f),
            Self::TooMany => AcquireError::TooMany.fmt(f),
        }
    }
}

impl Error for TryAcquireError {}

#[cfg(test)]
mod model {
    use super::*;
    use crate::testing::{Fragile, block_on};
    use gorust_primitives::shim::{UnsafeCell, model, mutant_is_caught, thread};
    use std::task::Waker;

    struct Watched {
        semaphore: Fragile<Semaphore>,
        count: UnsafeCell<u32>,
    }

    // SAFETY: `count` is touched under a permit: that is what the model is about.
    unsafe impl Sync for Watched {}
    // SAFETY: as above.
    unsafe impl Send for Watched {}

    impl Watched {
        fn new(permits: usize) -> Arc<Self> {
            let semaphore = Fragile::new(Semaphore::new(permits));
            Arc::new(Self { semaphore, count: UnsafeCell::new(0) })
        }

        fn add(&self, permits: usize) {
            let permit = Fragile::new(block_on(self.semaphore.acquire(permits)).unwrap());
            // SAFETY: every permit is held.
            self.count.with_mut(|count| unsafe { *count += 1 });
            drop(permit);
        }
    }

    fn spawn_adder(watched: &Arc<Watched>, permits: usize) -> thread::JoinHandle<()> {
        let watched = Arc::clone(watched);
        thread::spawn(move || watched.add(permits))
    }

    /// Two acquire the only permit, add one, and give it back.
    fn two_add() {
        let watched = Watched::new(1);
        let adder = spawn_adder(&watched, 1);
        watched.add(1);
        adder.join().unwrap();
        assert_eq!(watched.semaphore.available(), 1);
        // SAFETY: nobody else is left.
        assert_eq!(watched.count.with(|count| unsafe { *count }), 2);
    }

    /// The permit is held; one waits and is dropped, granted or not; the next must get it.
    fn one_leaves() {
        let watched = Watched::new(1);
        let permit = Fragile::new(watched.semaphore.try_acquire(1).unwrap());
        let mut leaver = Fragile::new(Box::pin(watched.semaphore.acquire(1)));
        assert!(leaver.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let adder = spawn_adder(&watched, 1);
        drop(permit);
        drop(leaver);
        adder.join().unwrap();
        assert_eq!(watched.semaphore.available(), 1);
    }

    /// The first in line wants two and leaves; who wants one must have it, although nothing is given back.
    fn a_big_one_leaves() {
        let watched = Watched::new(2);
        let permit = Fragile::new(watched.semaphore.try_acquire(1).unwrap());
        let mut leaver = Fragile::new(Box::pin(watched.semaphore.acquire(2)));
        assert!(leaver.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let adder = spawn_adder(&watched, 1);
        drop(leaver);
        adder.join().unwrap();
        drop(permit);
        assert_eq!(watched.semaphore.available(), 2);
    }

    /// It is closed while one waits, or comes to wait.
    fn closed_while_one_waits() {
        let semaphore = Arc::new(Fragile::new(Semaphore::new(0)));
        semaphore.add_permits(1);
        let permit = Fragile::new(semaphore.try_acquire(1).unwrap());
        let closer = {
            let semaphore = Arc::clone(&semaphore);
            thread::spawn(move || semaphore.close())
        };
        assert_eq!(block_on(semaphore.acquire(1)).unwrap_err(), AcquireError::Closed);
        drop(permit);
        closer.join().unwrap();
    }

    fn explore(name: &str, body: impl Fn() + Sync + Send + 'static) {
        let executions = model(body);
        println!("semaphore, {name}: {executions} executions");
        assert!(executions > 1);
    }

    #[test]
    fn a_permit_has_one_holder() {
        explore("two add", two_add);
    }

    #[test]
    fn one_who_leaves_passes_the_permit_on() {
        explore("one leaves", one_leaves);
    }

    #[test]
    fn one_who_wants_many_and_leaves_lets_the_next_go_ahead() {
        explore("a big one leaves", a_big_one_leaves);
    }

    #[test]
    fn a_close_tells_who_waits() {
        explore("closed while one waits", closed_while_one_waits);
    }

    #[test]
    fn waiting_without_a_look_is_caught() {
        assert!(mutant_is_caught("semaphore.wait_without_a_look", two_add));
    }

    #[test]
    fn a_dropped_grant_is_caught() {
        assert!(mutant_is_caught("semaphore.grant_dropped", one_leaves));
    }

    #[test]
    fn leaving_quietly_is_caught() {
        assert!(mutant_is_caught("semaphore.leave_quietly", a_big_one_leaves));
    }
}

#[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
mod tests {
    use super::*;
    use crate::testing::{Task, on_workers, poll, ready, waiting};
    use std::mem::size_of;

    #[test]
    fn the_sizes_are_as_said() {
        assert!(size_of::<Semaphore>() <= 40, "{}", size_of::<Semaphore>());
        assert_eq!((size_of::<Permit<'_>>(), size_of::<Acquire<'_>>()), (16, 72));
    }

    #[test]
    fn permits_are_counted() {
        let semaphore = Semaphore::new(3);
        let two = ready(semaphore.acquire(2)).unwrap();
        assert_eq!((two.count(), semaphore.available()), (2, 1));
        assert_eq!(semaphore.try_acquire(2).unwrap_err(), TryAcquireError::NoPermits);
        assert_eq!(format!("{semaphore:?}"), "Semaphore { available: 1, size: 3, is_closed: false }");
        drop(two);
        assert_eq!(semaphore.try_acquire(3).unwrap().count(), 3);
        assert_eq!(semaphore.try_acquire(0).unwrap().count(), 0);
    }

    #[test]
    fn more_than_there_is_cannot_be_had() {
        let semaphore = Semaphore::new(1);
        assert_eq!(ready(semaphore.acquire(2)).unwrap_err(), AcquireError::TooMany);
        assert_eq!(semaphore.try_acquire(usize::MAX).unwrap_err(), TryAcquireError::TooMany);
        semaphore.add_permits(1);
        let permit = ready(semaphore.acquire(2)).unwrap();
        permit.forget();
        assert_eq!(ready(semaphore.acquire(1)).unwrap_err(), AcquireError::TooMany);
    }

    #[test]
    fn one_who_wants_many_is_not_overtaken() {
        let semaphore = Semaphore::new(2);
        let (big_task, small_task) = (Task::default(), Task::default());
        let one = semaphore.try_acquire(1).unwrap();
        let mut big = waiting(semaphore.acquire(2), &big_task);
        let mut small = waiting(semaphore.acquire(1), &small_task);
        assert_eq!(semaphore.try_acquire(1).unwrap_err(), TryAcquireError::NoPermits, "one is free");
        drop(one);
        assert_eq!((big_task.wakes(), small_task.wakes()), (1, 0));
        drop(ready(&mut big).unwrap());
        assert_eq!((big_task.wakes(), small_task.wakes()), (1, 1));
        drop(ready(&mut small).unwrap());
        assert_eq!(semaphore.available(), 2);
    }

    #[test]
    fn what_is_given_back_serves_as_many_as_it_can() {
        let semaphore = Semaphore::new(100);
        let task = Task::default();
        let all = semaphore.try_acquire(100).unwrap();
        let mut turns: Vec<_> = (0..100).map(|_| waiting(semaphore.acquire(1), &task)).collect();
        assert!(turns.iter_mut().all(|turn| task.poll(turn).is_pending()));
        drop(all);
        assert_eq!((task.wakes(), semaphore.available()), (100, 0));
        turns.iter_mut().for_each(|turn| drop(ready(turn).unwrap()));
        assert_eq!(semaphore.available(), 100);
        assert!(semaphore.try_acquire(100).is_ok(), "nobody is thought to wait");
    }

    #[test]
    fn acquire_dropped_before_the_first_poll_or_while_it_waits_changes_nothing() {
        let semaphore = Semaphore::new(1);
        let task = Task::default();
        drop(semaphore.acquire(1));
        let permit = semaphore.try_acquire(1).unwrap();
        drop(waiting(semaphore.acquire(1), &task));
        drop(permit);
        assert_eq!((task.wakes(), semaphore.available()), (0, 1));
        assert!(semaphore.try_acquire(1).is_ok());
    }

    #[test]
    fn acquire_dropped_after_the_grant_passes_the_permits_on() {
        let semaphore = Semaphore::new(1);
        let (first, second) = (Task::default(), Task::default());
        let permit = semaphore.try_acquire(1).unwrap();
        let one = waiting(semaphore.acquire(1), &first);
        let mut two = waiting(semaphore.acquire(1), &second);
        drop(permit);
        drop(one);
        assert_eq!((first.wakes(), second.wakes()), (1, 1));
        drop(ready(&mut two).unwrap());
        assert_eq!(semaphore.available(), 1);
    }

    #[test]
    fn a_close_tells_all_who_wait_and_leaves_permits_good() {
        let semaphore = Semaphore::new(1);
        let task = Task::default();
        let permit = semaphore.try_acquire(1).unwrap();
        let mut turns: Vec<_> = (0..40).map(|_| waiting(semaphore.acquire(1), &task)).collect();
        semaphore.close();
        semaphore.close();
        assert_eq!(task.wakes(), 40);
        turns.iter_mut().for_each(|turn| assert_eq!(ready(turn).unwrap_err(), AcquireError::Closed));
        drop(permit);
        assert_eq!((semaphore.available(), semaphore.is_closed()), (1, true));
        assert_eq!(semaphore.try_acquire(1).unwrap_err(), TryAcquireError::Closed);
        assert_eq!(ready(semaphore.acquire(9)).unwrap_err(), AcquireError::Closed);
    }

    #[test]
    fn another_waker_takes_over() {
        let semaphore = Semaphore::new(0);
        semaphore.add_permits(1);
        let permit = semaphore.try_acquire(1).unwrap();
        let (old, new) = (Task::default(), Task::default());
        let mut turn = waiting(semaphore.acquire(1), &old);
        assert!(new.poll(&mut turn).is_pending());
        drop(permit);
        assert_eq!((old.wakes(), new.wakes()), (0, 1));
    }

    #[test]
    fn added_permits_go_to_who_waits() {
        let semaphore = Semaphore::new(1);
        let task = Task::default();
        let permit = semaphore.try_acquire(1).unwrap();
        let mut turn = waiting(semaphore.acquire(1), &task);
        semaphore.add_permits(2);
        assert_eq!((task.wakes(), semaphore.available()), (1, 1));
        drop((ready(&mut turn).unwrap(), permit));
        assert_eq!(semaphore.available(), 3);
    }

    #[test]
    #[should_panic(expected = "too many permits")]
    fn too_many_permits_panic() {
        Semaphore::new(1).add_permits(Semaphore::MAX_PERMITS);
    }

    #[test]
    #[should_panic(expected = "an acquire was polled after it had completed")]
    fn an_acquire_is_polled_to_its_end_only() {
        let semaphore = Semaphore::new(1);
        let mut acquire = Box::pin(semaphore.acquire(1));
        drop(ready(&mut acquire));
        let _ = poll(&mut acquire);
    }

    #[test]
    fn permits_split_and_come_back_in_parts() {
        let semaphore = Arc::new(Semaphore::new(5));
        let mut permit = ready(Arc::clone(&semaphore).acquire_owned(5)).unwrap();
        let part = permit.split(2).unwrap();
        assert!(permit.split(4).is_none());
        assert_eq!((permit.count(), part.count()), (3, 2));
        std::thread::spawn(move || drop(part)).join().unwrap();
        assert_eq!(semaphore.available(), 2);
        drop(permit);
        let task = Task::default();
        let all = Arc::clone(&semaphore).try_acquire_owned(5).unwrap();
        drop(waiting(Arc::clone(&semaphore).acquire_owned(1), &task));
        drop(all);
        assert_eq!((task.wakes(), semaphore.available()), (0, 5));
    }

    #[test]
    fn what_crosses_threads_says_so() {
        fn is_send<T: Send>(_: &T) {}
        fn is_sync<T: Sync>(_: &T) {}
        let semaphore = Semaphore::new(1);
        is_sync(&semaphore);
        is_send(&semaphore.acquire(1));
        is_send(&semaphore.try_acquire(1));
    }

    /// Many weigh differently, some give up: never more than there are, and in the end all are back.
    #[test]
    fn never_more_than_there_are() {
        // Std's: a plain counter.
        use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
        on_workers(|| async {
            const PERMITS: usize = 4;
            let semaphore = Arc::new(Semaphore::new(PERMITS));
            let held = Arc::new(AtomicUsize::new(0));
            let wg = crate::WaitGroup::new();
            for id in 0..16_usize {
                let (semaphore, held) = (Arc::clone(&semaphore), Arc::clone(&held));
                wg.go(async move {
                    for round in 0..200 {
                        let count = 1 + (id + round) % PERMITS;
                        let mut gives_up = Box::pin(semaphore.acquire(count));
                        let _ = poll(&mut gives_up);
                        drop(gives_up);
                        let permit = semaphore.acquire(count).await.unwrap();
                        assert!(held.fetch_add(count, SeqCst) + count <= PERMITS);
                        gorust_scheduler::yield_now().await;
                        held.fetch_sub(count, SeqCst);
                        drop(permit);
                    }
                });
            }
            wg.wait().await;
            assert_eq!((semaphore.available(), held.load(SeqCst)), (PERMITS, 0));
        });
    }
}

//! First-in first-out lists of waiting futures. A waiter lives pinned inside its future, so waiting allocates
//! nothing, and leaves from anywhere in constant time, so a future may be dropped whenever it likes.
//!
//! What is waited for is not known here: a primitive keeps its [`WaitList`] under a lock of its own, and that
//! is what makes every operation of the list exclusive.
//!
//! # The states of a waiter
//!
//! ```text
//!  Idle ──push_back──► Queued ──pop_front, take_first──► Granted | Closed ──push_back──► Queued ..
//!   ▲                    │
//!   └──remove, Discard───┘
//! ```
//!
//! The state takes no word of its own: it is the link to the predecessor, which in a ring is never null while
//! the waiter is queued. It is an atomic, so that a woken future sees without the lock that it has left the
//! list, and is then alone with its waiter: writing it is the last thing the list does to a waiter (*Last
//! Touch*).
//!
//! # Rules the unsafe code refers to
//!
//! * *Under Lock*: a list, and every link and waker of a queued waiter, is touched only by who holds the lock
//!   the list lies in (for a list of one's own: by who borrows it mutably).
//! * *Link Valid*: the links of a queued waiter lead to waiters that are queued in the same list, itself
//!   included. A queued waiter is neither moved nor freed: that is what the callers of `push_back` promise.
//! * *Last Touch*: a waiter that is not queued is touched by its owner alone.

use crate::shim::{AtomicPtr, Ordering, UnsafeCell, mutant};
use std::{
    fmt,
    marker::PhantomPinned,
    ops::DerefMut,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    ptr,
    task::Waker,
};

/// Where a waiter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// In no list, and nothing has happened to it.
    Idle,
    /// In a list.
    Queued,
    /// Left the list with what it waited for.
    Granted,
    /// Left the list because what it waited for will not come.
    Closed,
}

/// What [`WaitList::take_first`] does with the waiter it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// It leaves the list as [`State::Granted`].
    Grant,
    /// It leaves the list as [`State::Closed`].
    Close,
    /// It leaves the list as [`State::Idle`] and is not woken; the search goes on.
    Discard,
    /// It stays where it is; the search goes on.
    Skip,
}

/// One future's place in a [`WaitList`]: 32 bytes and its payload.
///
/// The payload `P` belongs to the owner while the waiter is not queued, and to whoever holds the list's lock
/// while it is.
///
/// In this order, since `None` as a waker leaves its last word unwritten. A future is moved before it is pinned, and where that
/// word lies in the middle it is copied together with one that was written a moment ago, which stalls.
#[repr(C)]
pub struct Waiter<P = ()> {
    /// The state: a null pointer is `Idle`, [`granted`] and [`closed`] are themselves, and anything else is
    /// the predecessor of a queued waiter. Written under the lock; read by the owner at any time.
    place: AtomicPtr<Self>,
    /// The successor of a queued waiter. Under Lock.
    next: UnsafeCell<*const Self>,
    /// Whom to wake. Under Lock while queued, the owner's otherwise.
    waker: UnsafeCell<Option<Waker>>,
    payload: P,
    /// Links point here.
    _pinned: PhantomPinned,
}

// SAFETY: what lies behind the links is touched under the list's lock only, which any thread may hold (Under
// Lock); the payload goes with the waiter.
unsafe impl<P: Send> Send for Waiter<P> {}

const GRANTED: usize = 1;
const CLOSED: usize = 2;

/// The value of `place` that says [`State::Granted`]: no waiter has this address, they are aligned.
const fn granted<P>() -> *mut Waiter<P> {
    ptr::without_provenance_mut(GRANTED)
}

/// The value of `place` that says [`State::Closed`].
const fn closed<P>() -> *mut Waiter<P> {
    ptr::without_provenance_mut(CLOSED)
}

impl<P> Waiter<P> {
    /// Creates a waiter that is in no list.
    #[inline]
    pub fn new(payload: P) -> Self {
        Self {
            place: AtomicPtr::new(ptr::null_mut()),
            next: UnsafeCell::new(ptr::null()),
            waker: UnsafeCell::new(None),
            payload,
            _pinned: PhantomPinned,
        }
    }

    /// Returns where the waiter stands. What was done before it left its list is then seen, without the lock.
    #[inline]
    pub fn state(&self) -> State {
        // Ordering: Acquire, against the Release in `WaitList::unlink`: what the granter wrote is seen, and
        // it will not touch the waiter again (Last Touch).
        match self.place.load(Ordering::Acquire).addr() {
            0 => State::Idle,
            GRANTED => State::Granted,
            CLOSED => State::Closed,
            _ => State::Queued,
        }
    }

    /// Says whom to wake when the waiter leaves a list it has not joined yet. It may clone and drop a waker,
    /// which is a stranger's code: call it before the lock is taken.
    ///
    /// # Panics
    ///
    /// If the waiter is queued.
    #[inline]
    pub fn set_waker(&self, waker: &Waker) {
        assert!(self.state() != State::Queued, "a queued waiter's waker lies under the lock");
        // SAFETY: the waiter is not queued, so it is ours alone (Last Touch), and it is not `Sync`.
        self.waker.with_mut(|own| match unsafe { &mut *own } {
            Some(own) => own.clone_from(waker),
            none => *none = Some(waker.clone()),
        });
    }

    /// Returns the payload.
    ///
    /// # Panics
    ///
    /// If the waiter is queued.
    #[inline]
    pub fn payload(&self) -> &P {
        assert!(self.state() != State::Queued, "a queued waiter's payload lies under the lock");
        &self.payload
    }

    /// Returns the payload without looking whether it may.
    ///
    /// # Safety
    ///
    /// The waiter is not queued while the reference is used.
    #[inline]
    pub unsafe fn payload_unchecked(&self) -> &P {
        &self.payload
    }

    /// Goes back to [`State::Idle`], so that what the waiter left its list with is not seen again.
    ///
    /// # Panics
    ///
    /// If the waiter is queued.
    #[inline]
    pub fn reset(&self) {
        assert!(self.state() != State::Queued, "a queued waiter leaves by `WaitList::remove`");
        // Ordering: Relaxed, the owner alone reads it until it is queued again under the lock.
        self.place.store(ptr::null_mut(), Ordering::Relaxed);
    }
}

impl<P> Drop for Waiter<P> {
    #[inline]
    fn drop(&mut self) {
        debug_assert!(
            std::thread::panicking() || self.state() != State::Queued,
            "a waiter was dropped while links led to it"
        );
    }
}

impl<P> fmt::Debug for Waiter<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Waiter").field(&self.state()).finish()
    }
}

/// A first-in first-out list of [`Waiter`]s: one pointer.
///
/// # Examples
///
/// An event that happens once, and a future that waits for it:
///
/// ```
/// use gorust_primitives::{shim::Lock, wait_list::{State, WaitList, Waiter}};
/// use std::{pin::pin, task::Waker};
///
/// let event = Lock::new(WaitList::new());
/// let waiter = pin!(Waiter::new(()));
/// waiter.set_waker(Waker::noop());
/// // SAFETY: the waiter is pinned and idle, and it leaves the list before it is dropped.
/// unsafe { event.lock().push_back(waiter.as_ref()) };
/// assert_eq!(waiter.state(), State::Queued);
///
/// let waker = event.lock().pop_front(State::Granted).unwrap();
/// waker.wake();
/// assert_eq!(waiter.state(), State::Granted);
/// ```
pub struct WaitList<P = ()> {
    /// The first waiter; null in an empty list. The last one is its predecessor.
    head: *const Waiter<P>,
}

// SAFETY: the list leads to waiters of payload `P`, which who holds the list may touch (Under Lock).
unsafe impl<P: Send> Send for WaitList<P> {}

impl<P> Default for WaitList<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P> WaitList<P> {
    /// Creates an empty list.
    pub const fn new() -> Self {
        Self { head: ptr::null() }
    }

    /// Returns whether nobody waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.head.is_null()
    }

    /// Puts `waiter` at the end of the list. It wakes what [`Waiter::set_waker`] said.
    ///
    /// # Safety
    ///
    /// * `waiter` is not queued, and its owner uses no reference to its payload while it is.
    /// * Before it is dropped, its owner calls [`remove`](Self::remove) on the list, or has seen that it
    ///   left.
    /// * Until then, all lists it is in, one after the other, lie under the same lock.
    #[inline]
    pub unsafe fn push_back(&mut self, waiter: Pin<&Waiter<P>>) {
        let waiter = waiter.get_ref();
        debug_assert_ne!(waiter.state(), State::Queued);
        // SAFETY: the head is null or queued here (Link Valid).
        match unsafe { self.head.as_ref() } {
            None => {
                self.head = waiter;
                link(waiter, waiter);
            }
            Some(head) => {
                let tail = predecessor(head);
                link(tail, waiter);
                link(waiter, head);
            }
        }
    }

    /// Takes the first waiter out of the list, as `state`, and returns its waker, to be woken after the lock.
    ///
    /// # Panics
    ///
    /// If the waiter came in without a waker.
    #[inline]
    pub fn pop_front(&mut self, state: State) -> Option<Waker> {
        // SAFETY: the head is null or queued here (Link Valid).
        let head = unsafe { self.head.as_ref() }?;
        Some(self.grant(head, if state == State::Closed { closed() } else { granted() }))
    }

    /// Shows the waiters to `choose`, first one first, until it takes one out of the list; returns that one's
    /// waker. What `choose` writes to the payload is seen by the owner when it finds its waiter granted.
    ///
    /// # Panics
    ///
    /// If the waiter came in without a waker.
    #[inline]
    pub fn take_first(&mut self, mut choose: impl FnMut(&P) -> Choice) -> Option<Waker> {
        // SAFETY: the head is null or queued here (Link Valid).
        let mut waiter = unsafe { self.head.as_ref() }?;
        let tail = predecessor(waiter);
        loop {
            let (next, is_last) = (successor(waiter), ptr::eq(waiter, tail));
            match choose(&waiter.payload) {
                Choice::Grant => return Some(self.grant(waiter, granted())),
                Choice::Close => return Some(self.grant(waiter, closed())),
                // Subtle: its waker stays inside, for the owner to drop: dropping it here would run a
                // stranger's code.
                Choice::Discard => self.unlink(waiter, ptr::null_mut()),
                Choice::Skip => {}
            }
            if is_last {
                return None;
            }
            waiter = next;
        }
    }

    /// Takes the waker of the first waiter that still has one. The waiter stays where it is and counts as
    /// woken: see [`is_woken`](Self::is_woken). For locks, which wake but do not grant.
    #[inline]
    pub fn wake_first(&mut self) -> Option<Waker> {
        self.iter().find_map(|waiter| {
            // SAFETY: the waiter is queued here, and the list is ours (Under Lock).
            waiter.waker.with_mut(|waker| unsafe { (*waker).take() })
        })
    }

    /// Returns whether the queued `waiter` has been woken by [`wake_first`](Self::wake_first).
    ///
    /// # Safety
    ///
    /// `waiter` is queued in a list that lies under the same lock as this one.
    #[inline]
    pub unsafe fn is_woken(&self, waiter: Pin<&Waiter<P>>) -> bool {
        // SAFETY: the waiter is queued under the lock we hold (Under Lock).
        waiter.get_ref().waker.with(|waker| unsafe { (*waker).is_none() })
    }

    /// Takes `waiter` out of the list if it is still in it, as [`State::Idle`], and returns whether it was.
    /// Its waker stays inside.
    ///
    /// # Safety
    ///
    /// `waiter` is in this list, or in none.
    #[inline]
    pub unsafe fn remove(&mut self, waiter: Pin<&Waiter<P>>) -> bool {
        let waiter = waiter.get_ref();
        let queued = waiter.state() == State::Queued;
        if queued {
            self.unlink(waiter, ptr::null_mut());
        }
        queued
    }

    /// Returns the first waiter's payload.
    #[inline]
    pub fn first(&self) -> Option<&P> {
        // SAFETY: the head is null or queued here (Link Valid), and stays so while the list is borrowed
        // (Under Lock).
        unsafe { self.head.as_ref() }.map(|head| &head.payload)
    }

    /// Returns whether `is` says so of the payload of anybody who waits.
    #[inline]
    pub fn any(&self, mut is: impl FnMut(&P) -> bool) -> bool {
        self.iter().any(|waiter| is(&waiter.payload))
    }

    /// Returns whether `waiter` is the first of this list.
    #[inline]
    pub fn starts_with(&self, waiter: Pin<&Waiter<P>>) -> bool {
        ptr::eq(self.head, waiter.get_ref())
    }

    /// Whether the queued `waiter` would wake `waker`.
    ///
    /// # Safety
    ///
    /// `waiter` is queued in a list that lies under the same lock as this one.
    #[inline]
    unsafe fn will_wake(&self, waiter: Pin<&Waiter<P>>, waker: &Waker) -> bool {
        // SAFETY: the waiter is queued under the lock we hold (Under Lock).
        waiter.get_ref().waker.with(|own| unsafe { &*own }.as_ref().is_some_and(|own| own.will_wake(waker)))
    }

    /// Gives the queued `waiter` another waker and returns the old one, to be dropped after the lock.
    ///
    /// # Safety
    ///
    /// `waiter` is queued in a list that lies under the same lock as this one.
    #[inline]
    pub unsafe fn replace_waker(&mut self, waiter: Pin<&Waiter<P>>, waker: Waker) -> Option<Waker> {
        // SAFETY: the waiter is queued under the lock we hold (Under Lock).
        waiter.get_ref().waker.with_mut(|own| unsafe { (*own).replace(waker) })
    }

    /// Moves all waiters of `other` behind those of this list, in one step.
    ///
    /// A waiter moved is removed through the list it is in now; but any list under the lock may remove a
    /// waiter that is not the first of its own.
    pub fn append(&mut self, other: &mut Self) {
        // SAFETY: a head is null or queued in its list (Link Valid).
        let Some(second) = (unsafe { other.head.as_ref() }) else { return };
        // SAFETY: as above.
        if let Some(first) = unsafe { self.head.as_ref() } {
            let (middle, tail) = (predecessor(first), predecessor(second));
            link(middle, second);
            link(tail, first);
        } else {
            self.head = second;
        }
        other.head = ptr::null();
    }

    /// The queued waiters, first one first.
    fn iter(&self) -> impl Iterator<Item = &Waiter<P>> {
        // SAFETY: the head is null or queued here (Link Valid), and stays so while the list is borrowed
        // (Under Lock).
        let head = unsafe { self.head.as_ref() };
        std::iter::successors(head, move |&waiter| {
            Some(successor(waiter)).filter(|next| !ptr::eq(*next, self.head))
        })
    }

    /// Takes a queued waiter out, with its waker.
    #[inline]
    fn grant(&mut self, waiter: &Waiter<P>, state: *mut Waiter<P>) -> Waker {
        if mutant("wait_list.late_touch") {
            self.unlink(waiter, state);
        }
        // SAFETY: the waiter is queued here, and the list is ours (Under Lock).
        let waker = waiter.waker.with_mut(|waker| unsafe { (*waker).take() });
        if !mutant("wait_list.late_touch") {
            self.unlink(waiter, state);
        }
        waker.expect("a waiter is queued with a waker")
    }

    /// Takes a queued waiter out. Nobody but its owner touches it after this.
    #[inline]
    fn unlink(&mut self, waiter: &Waiter<P>, state: *mut Waiter<P>) {
        let (previous, next) = (predecessor(waiter), successor(waiter));
        if ptr::eq(waiter, next) {
            self.head = ptr::null();
        } else {
            link(previous, next);
            if ptr::eq(self.head, waiter) {
                self.head = next;
            }
        }
        let ordering = if mutant("wait_list.relaxed") { Ordering::Relaxed } else { Ordering::Release };
        // Ordering: Release, against the Acquire in `Waiter::state`: the payload, the links and the waker are
        // written before. It is the last access (Last Touch).
        waiter.place.store(state, ordering);
    }
}

/// Makes `next` the successor of `previous`. Both are queued or about to be.
#[inline]
fn link<P>(previous: &Waiter<P>, next: &Waiter<P>) {
    // SAFETY: we hold the lock of the list both are in (Under Lock); the reference gives the pointer its
    // target.
    previous.next.with_mut(|slot| unsafe { *slot = next });
    // Ordering: Relaxed, links are followed under the lock only; `Waiter::state` reads from it no more than
    // "queued".
    next.place.store(ptr::from_ref(previous).cast_mut(), Ordering::Relaxed);
}

/// The predecessor of a queued waiter.
#[inline]
fn predecessor<P>(waiter: &Waiter<P>) -> &Waiter<P> {
    // Ordering: Relaxed, the lock orders it against `link` (Under Lock).
    // SAFETY: the waiter is queued, so the pointer leads to a queued waiter (Link Valid).
    unsafe { &*waiter.place.load(Ordering::Relaxed) }
}

/// The successor of a queued waiter.
#[inline]
fn successor<P>(waiter: &Waiter<P>) -> &Waiter<P> {
    // SAFETY: we hold the lock of the list it is in (Under Lock).
    let next = waiter.next.with(|next| unsafe { *next });
    // SAFETY: the waiter is queued, so the pointer leads to a queued waiter (Link Valid).
    unsafe { &*next }
}

impl<P> fmt::Debug for WaitList<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitList").field("is_empty", &self.is_empty()).finish()
    }
}

/// Makes sure that `waiter`, if it is still queued, wakes `waker`, and returns its state: what a future does
/// that is polled again while it waits. `list` finds a list under the lock; any will do.
///
/// # Safety
///
/// If `waiter` is queued, it is in a list under the lock that `lock` takes.
pub unsafe fn keep_waiting<G: DerefMut, P>(
    lock: impl Fn() -> G,
    list: impl Fn(&mut G::Target) -> &mut WaitList<P>,
    waiter: Pin<&Waiter<P>>,
    waker: &Waker,
) -> State {
    let mut replacement = None;
    loop {
        let mut guard = lock();
        let list = list(&mut guard);
        let state = waiter.state();
        // SAFETY: when `will_wake` is asked, the waiter is queued, and under this lock, by our caller's
        // promise.
        if state != State::Queued || unsafe { list.will_wake(waiter, waker) } {
            drop(guard);
            return state;
        }
        if let Some(new) = replacement.take() {
            // SAFETY: as above.
            let old = unsafe { list.replace_waker(waiter, new) };
            drop(guard);
            drop(old);
            return state;
        }
        drop(guard);
        replacement = Some(waker.clone());
    }
}

/// Wakers gathered under a lock, to be woken after it.
#[derive(Debug)]
pub struct Wakers {
    wakers: [Option<Waker>; Self::CAPACITY],
    len: usize,
}

impl Default for Wakers {
    fn default() -> Self {
        Self::new()
    }
}

impl Wakers {
    /// How many fit: so many that the lock is taken rarely, so few that nobody waits long for it and the
    /// batch lies well on any stack.
    pub const CAPACITY: usize = 32;

    /// Creates an empty batch.
    pub const fn new() -> Self {
        Self { wakers: [const { None }; Self::CAPACITY], len: 0 }
    }

    /// Returns whether there is no room for another waker.
    pub fn is_full(&self) -> bool {
        self.len == Self::CAPACITY
    }

    /// Takes a waker in.
    ///
    /// # Panics
    ///
    /// If the batch [is full](Self::is_full).
    pub fn push(&mut self, waker: Waker) {
        self.wakers[self.len] = Some(waker);
        self.len += 1;
    }

    /// Wakes them all, in the order they came. Call it without a lock.
    pub fn wake(&mut self) {
        let len = std::mem::take(&mut self.len);
        self.wakers[..len].iter_mut().filter_map(Option::take).for_each(wake);
    }
}

/// Wakes. A panic of the waker, which a foreign executor's may, goes no further: it was printed, and must take
/// neither the others' wake-up along nor a value in the caller's hands.
#[inline]
pub fn wake(waker: Waker) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
        // Dropping it might panic again.
        std::mem::forget(payload);
    }
}

/// Calls `gather` under the lock and wakes what it gathered after it, until a batch is left unfilled.
///
/// Between two batches others come to the lock: whoever may be woken by this must be told apart from
/// newcomers by something `gather` can see.
pub fn wake_in_batches<G: DerefMut>(
    lock: impl Fn() -> G,
    mut gather: impl FnMut(&mut G::Target, &mut Wakers),
) {
    let mut wakers = Wakers::new();
    loop {
        gather(&mut lock(), &mut wakers);
        let is_last = !wakers.is_full();
        wakers.wake();
        if is_last {
            return;
        }
    }
}

/// A list whose waiters are released all together, while newcomers already wait for the next time.
#[derive(Debug)]
pub struct Broadcast {
    queued: WaitList,
    /// Those who are being released, batch by batch.
    releasing: WaitList,
}

impl Default for Broadcast {
    fn default() -> Self {
        Self::new()
    }
}

impl Broadcast {
    /// Creates a list nobody waits in.
    pub const fn new() -> Self {
        Self { queued: WaitList::new(), releasing: WaitList::new() }
    }

    /// Returns whether nobody waits for the next release.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.queued.is_empty()
    }

    /// Lets `waiter` wait for the next release.
    ///
    /// # Safety
    ///
    /// As for [`WaitList::push_back`].
    #[inline]
    pub unsafe fn push_back(&mut self, waiter: Pin<&Waiter>) {
        // SAFETY: our caller's promise.
        unsafe { self.queued.push_back(waiter) };
    }

    /// Takes `waiter` out if it still waits, as [`State::Idle`], and returns whether it did.
    ///
    /// # Safety
    ///
    /// `waiter` is in this list, or in none.
    #[inline]
    pub unsafe fn remove(&mut self, waiter: Pin<&Waiter>) -> bool {
        let list = if self.releasing.starts_with(waiter) { &mut self.releasing } else { &mut self.queued };
        // SAFETY: the waiter is in one of the two lists. If it is the first of one of them, that one is
        // asked; if it is not, taking it out touches its neighbours alone, and either list will do.
        unsafe { list.remove(waiter) }
    }

    /// Releases everybody who waits now. The caller then wakes them by
    /// [`take_released`](Self::take_released), also those of an earlier release that is not through yet.
    #[inline]
    pub fn release(&mut self) {
        self.releasing.append(&mut self.queued);
    }

    /// Takes out, as [`State::Granted`], the first of those who wait for the next release, and returns its waker.
    #[inline]
    pub fn pop_front(&mut self) -> Option<Waker> {
        self.queued.pop_front(State::Granted)
    }

    /// Gathers released waiters while there is room.
    pub fn take_released(&mut self, wakers: &mut Wakers) {
        self.take_released_as(State::Granted, wakers);
    }

    /// Gathers released waiters while there is room; they leave as `state`, so that they can be told from those
    /// who were taken out alone.
    pub fn take_released_as(&mut self, state: State, wakers: &mut Wakers) {
        while !wakers.is_full() {
            match self.releasing.pop_front(state) {
                Some(waker) => wakers.push(waker),
                None => return,
            }
        }
    }

    /// Any list under the same lock, as [`keep_waiting`] wants one.
    pub fn any(&mut self) -> &mut WaitList {
        &mut self.queued
    }
}

#[cfg(test)]
mod model {
    //! An event that happens once, and one future for it, built from nothing but the list.

    use super::*;
    use crate::shim::{Arc, Lock, model, mutant_is_caught, spin_loop, thread};
    use std::pin::pin;

    /// The payload is a cell loom watches: what the granter writes must be ordered before what the owner
    /// reads.
    type Slot = UnsafeCell<Option<u32>>;

    fn grant(list: &Lock<WaitList<Slot>>, value: u32) -> bool {
        let waker = list.lock().take_first(|slot| {
            // SAFETY: the payload of a queued waiter, under the lock.
            slot.with_mut(|slot| unsafe { *slot = Some(value) });
            Choice::Grant
        });
        waker.map(Waker::wake).is_some()
    }

    fn take(waiter: &Waiter<Slot>) -> Option<u32> {
        // SAFETY: the waiter is not queued, or `payload` would panic, and it is ours.
        waiter.payload().with_mut(|slot| unsafe { (*slot).take() })
    }

    /// One thread grants; the owner looks until it is granted, and then does with its waiter what it likes,
    /// without the lock. It does not park: that would order its looks behind the grant, and hide what this is
    /// about.
    fn granted_while_waiting() {
        let list = Arc::new(Lock::new(WaitList::new()));
        let granter = {
            let list = Arc::clone(&list);
            thread::spawn(move || {
                while !grant(&list, 7) {
                    spin_loop();
                }
            })
        };
        let waiter = pin!(Waiter::new(Slot::new(None)));
        waiter.set_waker(Waker::noop());
        // SAFETY: pinned and idle; it leaves before it is dropped, or the test never ends.
        unsafe { list.lock().push_back(waiter.as_ref()) };
        while waiter.state() == State::Queued {
            spin_loop();
        }
        assert_eq!((waiter.state(), take(&waiter)), (State::Granted, Some(7)));
        waiter.set_waker(Waker::noop());
        granter.join().unwrap();
        assert!(list.lock().is_empty());
    }

    /// One thread grants once; the first of two waiters is dropped meanwhile. The grant is taken by exactly
    /// one of them, or by nobody if it came too early.
    fn dropped_while_granted() {
        let list = Arc::new(Lock::new(WaitList::new()));
        let second = Box::pin(Waiter::new(Slot::new(None)));
        second.set_waker(Waker::noop());
        let granter = {
            let first = Box::pin(Waiter::new(Slot::new(None)));
            first.set_waker(Waker::noop());
            // SAFETY: pinned and idle; it leaves by `remove` below.
            unsafe { list.lock().push_back(first.as_ref()) };
            // SAFETY: pinned and idle; it leaves by `remove` at the end.
            unsafe { list.lock().push_back(second.as_ref()) };
            let granter = {
                let list = Arc::clone(&list);
                thread::spawn(move || assert!(grant(&list, 7)))
            };
            if first.state() == State::Queued {
                // SAFETY: it was put in this list.
                unsafe { list.lock().remove(first.as_ref()) };
            }
            // Given back: as a primitive would, to the next in line.
            if let Some(value) = take(&first) {
                assert!(grant(&list, value));
            }
            granter
        };
        granter.join().unwrap();
        // SAFETY: it was put in this list.
        let still_queued = unsafe { list.lock().remove(second.as_ref()) };
        assert_eq!((still_queued, take(&second)), (false, Some(7)));
    }

    /// A release lets go those who wait, however they leave meanwhile, and nobody who comes after.
    fn newcomers_are_not_released() {
        let list = Arc::new(Lock::new(Broadcast::new()));
        let old = [Box::pin(Waiter::new(())), Box::pin(Waiter::new(()))];
        for waiter in &old {
            waiter.set_waker(Waker::noop());
            // SAFETY: pinned and idle; each leaves by the release or by `remove`.
            unsafe { list.lock().push_back(waiter.as_ref()) };
        }
        let releaser = {
            let list = Arc::clone(&list);
            thread::spawn(move || {
                list.lock().release();
                wake_in_batches(|| list.lock(), |list, wakers| list.take_released(wakers));
            })
        };
        // SAFETY: it was put in this list.
        unsafe { list.lock().remove(old[0].as_ref()) };
        releaser.join().unwrap();
        let new = Box::pin(Waiter::new(()));
        new.set_waker(Waker::noop());
        // SAFETY: pinned and idle; it leaves by `remove`.
        unsafe { list.lock().push_back(new.as_ref()) };
        wake_in_batches(|| list.lock(), |list, wakers| list.take_released(wakers));
        assert_eq!((old[1].state(), new.state()), (State::Granted, State::Queued));
        // SAFETY: it was put in this list.
        assert!(unsafe { list.lock().remove(new.as_ref()) });
    }

    #[test]
    fn a_grant_is_seen_without_the_lock() {
        let executions = model(granted_while_waiting);
        println!("wait_list, granted while waiting: {executions} executions");
        assert!(executions > 1);
    }

    #[test]
    fn a_grant_is_passed_on_by_who_is_dropped() {
        let executions = model(dropped_while_granted);
        println!("wait_list, dropped while granted: {executions} executions");
        assert!(executions > 1);
    }

    #[test]
    fn a_release_is_for_those_who_wait() {
        let executions = model(newcomers_are_not_released);
        println!("wait_list, newcomers are not released: {executions} executions");
        assert!(executions > 1);
    }

    #[test]
    fn a_state_published_without_release_is_caught() {
        assert!(mutant_is_caught("wait_list.relaxed", granted_while_waiting));
    }

    #[test]
    fn a_touch_after_the_state_is_published_is_caught() {
        assert!(mutant_is_caught("wait_list.late_touch", granted_while_waiting));
    }
}

#[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use std::{collections::VecDeque, mem::size_of};

    fn waiter(payload: u32) -> Pin<Box<Waiter<u32>>> {
        let waiter = Box::pin(Waiter::new(payload));
        waiter.set_waker(Waker::noop());
        waiter
    }

    #[test]
    fn a_waiter_is_four_words_and_a_list_is_one() {
        assert_eq!((size_of::<Waiter>(), size_of::<WaitList>()), (32, 8));
    }

    #[test]
    fn take_first_discards_skips_and_grants_in_order() {
        let mut list = WaitList::new();
        let waiters: Vec<_> = (0..4).map(waiter).collect();
        for waiter in &waiters {
            // SAFETY: pinned and idle; all leave below.
            unsafe { list.push_back(waiter.as_ref()) };
        }
        let taken = list.take_first(|&payload| match payload {
            0 => Choice::Skip,
            1 => Choice::Discard,
            _ => Choice::Grant,
        });
        assert!(taken.is_some());
        let states: Vec<_> = waiters.iter().map(|waiter| waiter.state()).collect();
        assert_eq!(states, [State::Queued, State::Idle, State::Granted, State::Queued]);
        assert!(list.take_first(|_| Choice::Skip).is_none());
        assert!(list.take_first(|_| Choice::Discard).is_none());
        assert!(list.is_empty());
    }

    #[test]
    fn a_waiter_woken_but_not_granted_keeps_its_place() {
        let mut list = WaitList::new();
        let waiters: Vec<_> = (0..2).map(waiter).collect();
        for waiter in &waiters {
            // SAFETY: pinned and idle; all leave below.
            unsafe { list.push_back(waiter.as_ref()) };
        }
        assert!(list.wake_first().is_some());
        // SAFETY: both are queued in this list.
        let woken = [0, 1].map(|index| unsafe { list.is_woken(waiters[index].as_ref()) });
        assert_eq!(woken, [true, false]);
        assert!(list.wake_first().is_some());
        assert!(list.wake_first().is_none());
        for waiter in &waiters {
            // SAFETY: it was put in this list.
            assert!(unsafe { list.remove(waiter.as_ref()) });
        }
    }

    #[test]
    fn a_batch_wakes_in_order_and_is_empty_after() {
        let mut wakers = Wakers::new();
        while !wakers.is_full() {
            wakers.push(Waker::noop().clone());
        }
        wakers.wake();
        assert!(!wakers.is_full());
    }

    /// Against a `VecDeque`: random pushes, pops and departures from the middle.
    #[test]
    fn a_list_is_first_in_first_out_whoever_leaves() {
        let rng = Rng::new(11);
        for _ in 0..200 {
            let mut list = WaitList::new();
            let waiters: Vec<_> = (0..16).map(waiter).collect();
            let mut twin = VecDeque::new();
            for _ in 0..200 {
                let index = rng.below(16);
                let waiter = waiters[index as usize].as_ref();
                match rng.below(3) {
                    0 if !twin.contains(&index) => {
                        waiter.set_waker(Waker::noop());
                        // SAFETY: pinned and, as the twin says, idle; all leave below.
                        unsafe { list.push_back(waiter) };
                        twin.push_back(index);
                    }
                    1 => {
                        let expected = twin.pop_front();
                        let popped = list.pop_front(State::Granted).map(|_| expected.unwrap());
                        assert_eq!(popped, expected);
                    }
                    _ => {
                        let was = twin.iter().position(|&other| other == index);
                        was.map(|position| twin.remove(position));
                        // SAFETY: it is in this list or in none.
                        assert_eq!(unsafe { list.remove(waiter) }, was.is_some());
                    }
                }
                assert_eq!(list.iter().map(|waiter| waiter.payload).collect::<VecDeque<_>>(), twin);
            }
            while list.pop_front(State::Closed).is_some() {}
        }
    }
}

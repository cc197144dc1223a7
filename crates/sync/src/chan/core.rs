//! What lies under a channel's one lock, and every step that changes it. The futures that wait, and when they
//! lock, are in `send.rs`, `recv.rs` and `stream.rs`; the argument why nothing is lost is in the crate's
//! README.

use super::{
    buffer::{self, Buffer},
    returned::{Node, Returned},
    ring::Ring,
};
use gorust_primitives::{
    brief_lock::{BriefGuard, BriefLock},
    select_case::{Case, Refused},
    shim::{AtomicU8, AtomicU32, Ordering, UnsafeCell, mutant},
    wait_list::{self, Choice, State, WaitList, Waiter, Wakers, wake_in_batches},
};
use std::{cell::Cell, pin::Pin, task::Waker};

/// A channel: what both kinds of handles point to.
pub(super) struct Chan<T> {
    /// What an operation would find: [`Outlook`], written by whoever holds the lock, read by anybody.
    outlook: AtomicU8,
    /// What the outlook holds at any time: `Outlook::SENDABLE` in a channel without a bound.
    always: u8,
    /// Handles that send. The step to zero closes the channel.
    pub(super) senders: AtomicU32,
    /// Handles that receive. The step to zero closes the channel and drops what is in it.
    pub(super) receivers: AtomicU32,
    core: BriefLock<Core<T>>,
}

/// What lies under the lock.
///
/// Invariants between two holders of the lock, for waiters whose claim is open:
/// * a waiting receiver means there is nothing to receive: `values` and `returned` are empty, no sender
///   waits;
/// * a waiting sender means `values` is full;
/// * in a closed channel nobody waits for long: `Chan::close` is taking them all out.
pub(super) struct Core<T> {
    /// Values sent and not yet received, oldest first.
    values: Buffer<T>,
    /// Values that were granted to a receiver which was dropped before it looked. They are older than all of
    /// `values`, take no room there and are not counted.
    returned: Returned<T>,
    /// How many values have been granted to waiting receivers: the order of the next grant.
    grants: u64,
    pub(super) receivers: WaitList<Parked<T>>,
    pub(super) senders: WaitList<Parked<T>>,
    /// Streams: woken when there is something to receive, never granted.
    pub(super) streams: WaitList,
    /// Those who wait until the channel is closed.
    pub(super) watchers: WaitList,
}

/// What a waiting sender or receiver keeps in its place in the queue.
pub(super) struct Parked<T> {
    /// Which case of which select it stands for.
    case: Case,
    /// The value to be sent, or the one that was granted.
    value: UnsafeCell<Option<T>>,
    /// The order of the grant, once there is one. (Receivers.)
    order: Cell<u64>,
}

impl<T> Parked<T> {
    pub(super) fn new(value: Option<T>) -> Self {
        Self { case: Case::ALONE, value: UnsafeCell::new(value), order: Cell::new(0) }
    }

    /// Calls `f` with the value.
    ///
    /// # Safety
    ///
    /// The caller owns the waiter and it is not queued, or the caller holds the lock it is queued under.
    #[inline]
    pub(super) unsafe fn with_value<R>(&self, f: impl FnOnce(&mut Option<T>) -> R) -> R {
        // SAFETY: nobody else touches a waiter that is not queued, nor one that is without the lock; `f`
        // knows no way to reach the same waiter again.
        self.value.with_mut(|value| f(unsafe { &mut *value }))
    }

    pub(super) fn order(&self) -> u64 {
        self.order.get()
    }
}

/// What `Locked::send` did.
pub(super) enum Sent {
    /// The value is in the channel or granted. The waker is to be woken after the lock.
    Done(Option<Waker>),
    /// No receiver waits and there is no room.
    Full,
    /// The channel is closed.
    Closed,
}

/// Facts about a channel, as of the last time somebody let go of the lock.
///
/// Read without the lock they are only as good as that. But an operation that finds the channel in this state
/// may say it took place at that moment; so `try_recv` on an empty channel takes no lock.
#[derive(Clone, Copy)]
pub(super) struct Outlook(u8);

impl Outlook {
    const RECEIVABLE: u8 = 1;
    const SENDABLE: u8 = 2;
    const CLOSED: u8 = 4;
    /// In a closed channel nothing waits.
    const OF_CLOSED: u8 = Self::CLOSED | Self::RECEIVABLE | Self::SENDABLE;

    fn receivable(is_receivable: bool) -> u8 {
        if is_receivable { Self::RECEIVABLE } else { 0 }
    }

    fn sendable(is_sendable: bool) -> u8 {
        if is_sendable { Self::SENDABLE } else { 0 }
    }

    /// A receive need not wait: there is something to receive, or nothing will come.
    pub(super) fn is_receivable(self) -> bool {
        self.0 & Self::RECEIVABLE != 0
    }

    /// A send need not wait: somebody waits for it, there is room, or it will fail.
    pub(super) fn is_sendable(self) -> bool {
        self.0 & Self::SENDABLE != 0
    }

    pub(super) fn is_closed(self) -> bool {
        self.0 & Self::CLOSED != 0
    }
}

impl<T> Chan<T> {
    /// A channel with one sender and one receiver, and a buffer for `capacity` values.
    pub(super) fn new(capacity: usize) -> Self {
        Self::with(Buffer::new(capacity), 1, Outlook::sendable(capacity > 0), 0)
    }

    /// A channel with one sender, one receiver and no bound.
    pub(super) fn unbounded() -> Self {
        Self::with(Buffer::new(0), 1, Outlook::SENDABLE, Outlook::SENDABLE)
    }

    /// A channel with one receiver that nobody can send into and nobody closes.
    pub(super) fn never() -> Self {
        Self::with(Buffer::new(0), 0, 0, 0)
    }

    fn with(values: Buffer<T>, senders: u32, outlook: u8, always: u8) -> Self {
        Self {
            outlook: AtomicU8::new(outlook),
            always,
            senders: AtomicU32::new(senders),
            receivers: AtomicU32::new(1),
            core: BriefLock::new(Core {
                values,
                returned: Returned::new(),
                grants: 0,
                receivers: WaitList::new(),
                senders: WaitList::new(),
                streams: WaitList::new(),
                watchers: WaitList::new(),
            }),
        }
    }

    #[inline]
    pub(super) fn outlook(&self) -> Outlook {
        // Ordering: Acquire, against the Release in `Locked::drop`: who sees that the channel is closed sees
        // what was done before it was. The other facts are acted upon under the lock, or not at all.
        Outlook(self.outlook.load(Ordering::Acquire))
    }

    #[inline]
    pub(super) fn lock(&self) -> Locked<'_, T> {
        Locked {
            core: self.core.lock(),
            chan: self,
            outlook: None,
            after: After { chan: self, left: Left::Nothing },
        }
    }

    /// The lock for a step that changes nothing of what there is to find.
    pub(super) fn raw_lock(&self) -> BriefGuard<'_, Core<T>> {
        self.core.lock()
    }

    /// Closes the channel and lets go everybody who waits. Returns whether it was open.
    pub(super) fn close(&self) -> bool {
        {
            let mut locked = self.lock();
            if locked.is_closed() {
                return false;
            }
            locked.set_closed();
        }
        // Newcomers see that it is closed and do not wait, so this ends.
        wake_in_batches(|| self.raw_lock(), |core, wakers| core.release(wakers));
        true
    }

    /// Closes the channel because no receiver is left, and drops what is in it.
    pub(super) fn hang_up(&self) {
        if !mutant("chan.hang_up_before_the_close") {
            self.close();
        }
        let mut values = Vec::new();
        loop {
            // Nothing is sent any more, so there is room for what will be found.
            values.reserve_exact(self.len().min(VALUES_PER_LOCK));
            let returned = {
                let mut locked = self.lock();
                let returned = locked.core().returned.pop();
                while values.len() < values.capacity() && locked.is_light() {
                    let Some(value) = locked.pop_front() else { break };
                    values.push(value);
                }
                returned
            };
            if values.is_empty() && returned.is_none() {
                return;
            }
            drop(returned);
            values.clear();
        }
    }

    /// Takes back a value that was granted to a receiver which will not look.
    #[cold]
    pub(super) fn give_back(&self, value: T, order: u64) {
        let waker = self.lock().give_back(Node::new(value, order));
        wake(waker);
    }

    #[inline]
    pub(super) fn is_unbounded(&self) -> bool {
        self.always != 0
    }

    pub(super) fn capacity(&self) -> Option<usize> {
        if self.is_unbounded() { None } else { Some(self.core.lock().values.capacity()) }
    }

    pub(super) fn len(&self) -> usize {
        self.core.lock().values.len()
    }
}

/// A channel whose lock is held. Letting it go tells the others what there is to find.
pub(super) struct Locked<'a, T> {
    core: BriefGuard<'a, Core<T>>,
    chan: &'a Chan<T>,
    /// What there is to find, if a step has worked it out; else it is looked up in the end.
    outlook: Option<u8>,
    // Subtle: the last field, so it is dropped when the lock has been let go.
    after: After<'a, T>,
}

/// What a step leaves to be done after the lock: memory is neither allocated nor freed under it, but for a small
/// ring now and then.
struct After<'a, T> {
    chan: &'a Chan<T>,
    left: Left<T>,
}

enum Left<T> {
    Nothing,
    /// A ring to be freed, empty.
    Ring(#[allow(dead_code, reason = "it is there to be dropped")] Ring<T>),
    /// The place of a value that had been given back, to be freed.
    Node(#[allow(dead_code, reason = "it is there to be dropped")] Box<Node<T>>),
    /// An unbounded channel grows: a ring is to be allocated for the next time.
    Restock,
}

impl<T> Drop for After<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if matches!(self.left, Left::Restock) {
            self.restock();
        }
    }
}

impl<T> After<'_, T> {
    #[cold]
    fn restock(&self) {
        let ring = Ring::touched(buffer::full_len::<T>());
        let one_too_many = self.chan.core.lock().values.restock(ring);
        drop(one_too_many);
    }
}

/// How many values are taken out under the lock at a time: the first touch of fresh memory is a page fault, and
/// others wait for the lock meanwhile.
pub(super) const VALUES_PER_LOCK: usize = 256;

impl<T> Locked<'_, T> {
    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        // Ordering: Relaxed, it is written under the lock we hold.
        Outlook(self.chan.outlook.load(Ordering::Relaxed)).is_closed()
    }

    fn set_closed(&mut self) {
        // Ordering: Release, against the Acquire in `Chan::outlook`.
        self.chan.outlook.store(Outlook::OF_CLOSED, Ordering::Release);
    }

    /// Sends the value if that can be done now; only then it is taken.
    #[inline]
    pub(super) fn send(&mut self, value: &mut Option<T>) -> Sent {
        let core = &mut *self.core;
        let somebody_waits = !core.receivers.is_empty() || !core.streams.is_empty();
        if somebody_waits || core.values.is_full() || self.is_closed() {
            return self.send_otherwise(value);
        }
        let core = &mut *self.core;
        if let Some(value) = value.take() {
            core.values.push_back(value);
        }
        self.outlook =
            Some(Outlook::RECEIVABLE | self.chan.always | Outlook::sendable(!core.values.is_full()));
        Sent::Done(None)
    }

    /// As `send`, when it is more than a push into the buffer.
    #[inline(never)]
    fn send_otherwise(&mut self, value: &mut Option<T>) -> Sent {
        if self.is_closed() {
            return Sent::Closed;
        }
        let core = self.core();
        let order = core.grants;
        if let Some(waker) = core.grant(value, order) {
            core.grants += 1;
            return Sent::Done(Some(waker));
        }
        if core.values.is_full() && !self.chan.is_unbounded() {
            return Sent::Full;
        }
        if let Some(value) = value.take() {
            self.push_back(value);
        }
        Sent::Done(self.core().streams.pop_front(State::Granted))
    }

    /// Receives a value if there is one. The waker is that of a sender whose value took its place.
    #[inline]
    pub(super) fn recv(&mut self) -> Option<(T, Option<Waker>)> {
        let core = &mut *self.core;
        if !core.returned.is_empty() || !core.senders.is_empty() || self.is_closed() {
            return self.recv_otherwise();
        }
        let value = self.pop_front()?;
        self.outlook = Some(Outlook::SENDABLE | Outlook::receivable(!self.core.values.is_empty()));
        Some((value, None))
    }

    /// As `recv`, when it is more than a pop from the buffer.
    #[inline(never)]
    fn recv_otherwise(&mut self) -> Option<(T, Option<Waker>)> {
        let is_closed = self.is_closed();
        if let Some(mut node) = self.core().returned.pop() {
            let value = node.value.take();
            self.after.left = Left::Node(node);
            return value.map(|value| (value, None));
        }
        let head = self.pop_front();
        let core = self.core();
        // Those who wait to send into a closed channel get their values back.
        let next = if is_closed { None } else { core.take_from_sender() };
        match (head, next) {
            (Some(head), Some((value, waker))) => {
                core.values.push_back(value);
                Some((head, Some(waker)))
            }
            (None, Some((value, waker))) => Some((value, Some(waker))),
            (head, None) => head.map(|head| (head, None)),
        }
    }

    /// Takes a value back that was granted: for the next receiver, or else for who comes.
    fn give_back(&mut self, mut node: Box<Node<T>>) -> Option<Waker> {
        let core = self.core();
        let waker = core.grant(&mut node.value, node.order);
        if node.value.is_none() {
            self.after.left = Left::Node(node);
            return waker;
        }
        core.returned.push(node);
        core.streams.pop_front(State::Granted)
    }

    /// Puts a value into the buffer, in which there is room, or no bound.
    fn push_back(&mut self, value: T) {
        if self.core().values.push_back_unbounded(value) {
            self.after.left = Left::Restock;
        }
    }

    /// Takes the oldest value out of the buffer.
    #[inline]
    fn pop_front(&mut self) -> Option<T> {
        let (value, spent) = self.core.values.pop_front()?;
        if let Some(spent) = spent {
            self.after.left = Left::Ring(spent);
        }
        Some(value)
    }

    /// Whether nothing has been left to be done after the lock, as it should be before the next of several steps.
    pub(super) fn is_light(&self) -> bool {
        matches!(self.after.left, Left::Nothing)
    }

    /// Lets a receiver wait for a grant.
    ///
    /// # Safety
    ///
    /// As for [`WaitList::push_back`].
    #[inline]
    pub(super) unsafe fn park_receiver(&mut self, waiter: Pin<&Waiter<Parked<T>>>) {
        // SAFETY: our caller's promise.
        unsafe { self.core().receivers.push_back(waiter) };
    }

    /// Lets a sender wait until its value is taken. A stream is told of the value; the waker is to be woken
    /// after the lock.
    ///
    /// # Safety
    ///
    /// As for [`WaitList::push_back`].
    #[inline]
    pub(super) unsafe fn park_sender(&mut self, waiter: Pin<&Waiter<Parked<T>>>) -> Option<Waker> {
        // SAFETY: our caller's promise.
        unsafe { self.core().senders.push_back(waiter) };
        self.core().streams.pop_front(State::Granted)
    }

    /// The next stream, if there is something to receive: for one that was told of it and will not look.
    pub(super) fn next_stream(&mut self) -> Option<Waker> {
        if self.core().is_receivable() { self.core().streams.pop_front(State::Granted) } else { None }
    }

    /// What lies under the lock, for a step that may change what there is to find.
    #[inline]
    pub(super) fn core(&mut self) -> &mut Core<T> {
        self.outlook = None;
        &mut self.core
    }
}

impl<T> Drop for Locked<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let outlook = match self.outlook {
            Some(outlook) => outlook,
            None if self.is_closed() => Outlook::OF_CLOSED,
            None => {
                let core = &*self.core;
                let is_sendable = !core.values.is_full() || !core.receivers.is_empty();
                Outlook::receivable(core.is_receivable()) | self.chan.always | Outlook::sendable(is_sendable)
            }
        };
        // Ordering: Release, against the Acquire in `Chan::outlook`.
        self.chan.outlook.store(outlook, Ordering::Release);
    }
}

impl<T> Core<T> {
    #[inline]
    pub(super) fn is_receivable(&self) -> bool {
        !self.values.is_empty() || !self.senders.is_empty() || !self.returned.is_empty()
    }

    /// Grants `value` to the first waiting receiver that can still be won.
    #[inline]
    fn grant(&mut self, value: &mut Option<T>, order: u64) -> Option<Waker> {
        self.receivers.take_first(|receiver| match receiver.case.win() {
            Ok(()) => {
                receiver.order.set(order);
                // SAFETY: the receiver is queued, and under the lock we hold.
                unsafe { receiver.with_value(|slot| *slot = value.take()) };
                Choice::Grant
            }
            Err(Refused::Taken) => Choice::Discard,
            Err(Refused::Polling) => Choice::Skip,
        })
    }

    /// Takes the value of the first waiting sender that can still be won.
    #[inline]
    fn take_from_sender(&mut self) -> Option<(T, Waker)> {
        let mut taken = None;
        let waker = self.senders.take_first(|sender| match sender.case.win() {
            Ok(()) => {
                // SAFETY: the sender is queued, and under the lock we hold.
                taken = unsafe { sender.with_value(Option::take) };
                Choice::Grant
            }
            Err(Refused::Taken) => Choice::Discard,
            Err(Refused::Polling) => Choice::Skip,
        });
        taken.zip(waker)
    }

    /// Takes out of the queues of a closed channel as many as there is room for.
    fn release(&mut self, wakers: &mut Wakers) {
        let close = |waiter: &Parked<T>| match waiter.case.win() {
            Ok(()) => Choice::Close,
            Err(Refused::Taken) => Choice::Discard,
            Err(Refused::Polling) => Choice::Skip,
        };
        while !wakers.is_full() {
            let next = (self.receivers.take_first(close))
                .or_else(|| self.senders.take_first(close))
                .or_else(|| self.streams.pop_front(State::Granted))
                .or_else(|| self.watchers.pop_front(State::Granted));
            match next {
                Some(waker) => wakers.push(waker),
                None => return,
            }
        }
    }
}

/// Wakes who was taken out under the lock. Call it after the lock.
#[inline]
pub(super) fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        wait_list::wake(waker);
    }
}

/// Counts one more handle.
#[inline]
pub(super) fn count_up(handles: &AtomicU32) {
    // Ordering: Relaxed, a new handle is made from one that lives, so the count cannot be on its way to zero.
    let before = handles.fetch_add(1, Ordering::Relaxed);
    if before > u32::MAX / 2 {
        // The count would wrap and the channel would close under its users. As `Arc` does.
        std::process::abort();
    }
}

/// Counts one more handle, unless the last one has gone: then the channel is closed for good.
pub(super) fn count_up_unless_zero(handles: &AtomicU32) -> bool {
    // Ordering: Relaxed, as in `count_up`; what the channel holds is read under its lock.
    let mut before = handles.load(Ordering::Relaxed);
    while before != 0 {
        if mutant("chan.upgrade_in_two_steps") {
            handles.store(before + 1, Ordering::Relaxed);
            return true;
        }
        if before > u32::MAX / 2 {
            std::process::abort();
        }
        // Ordering: Relaxed, as above. It must be one step from a number that is not zero (`count_down`).
        match handles.compare_exchange_weak(before, before + 1, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return true,
            Err(now) => before = now,
        }
    }
    false
}

/// Counts one handle less. Returns whether it was the last.
#[inline]
pub(super) fn count_down(handles: &AtomicU32) -> bool {
    if mutant("chan.count_in_two_steps") {
        let before = handles.load(Ordering::Acquire);
        handles.store(before - 1, Ordering::Release);
        return before == 1;
    }
    // Ordering: AcqRel, against the other handles' `count_down`: who closes has seen what they did.
    handles.fetch_sub(1, Ordering::AcqRel) == 1
}

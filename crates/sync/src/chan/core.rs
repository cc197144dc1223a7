//! What lies under a channel's one lock, and every step that changes it. The futures that wait, and when they
//! lock, are in `send.rs`, `recv.rs` and `stream.rs`; the argument why nothing is lost is in the crate's
//! README.

use super::{
    chain::{Chain, run_errand},
    returned::{Node, Returned},
    ring::Ring,
};
use gorust_primitives::{
    brief_lock::{BriefGuard, BriefLock},
    select_case::{Case, Glance, Refused},
    shim::{AtomicU32, AtomicU64, Ordering, UnsafeCell, mutant},
    wait_list::{self, Choice, State, WaitList, Waiter, Wakers, wake_in_batches},
};
use std::{cell::Cell, mem::ManuallyDrop, pin::Pin, task::Waker};

/// A channel: what both kinds of handles point to.
pub(super) struct Chan<T> {
    /// What an operation would find: [`Outlook`], written by whoever holds the lock, read by anybody.
    outlook: AtomicU64,
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
    values: Ring<T>,
    /// In a channel without a bound all values are here, and `values` is a ring of capacity 0. It lies elsewhere, and
    /// is looked at only when `values` does not do: what is bounded does not pay for it.
    chain: Option<Box<Chain<T>>>,
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
    pub(super) case: Cell<Case>,
    /// The value to be sent, or the one that was granted.
    value: UnsafeCell<Option<T>>,
    /// Receivers: the order of the grant, once there is one. Senders: [`PASSED_BY`] if a stream has come while the
    /// select was looking, and waits.
    order: Cell<u64>,
}

impl<T> Parked<T> {
    pub(super) fn new(value: Option<T>) -> Self {
        Self { case: Cell::new(Case::ALONE), value: UnsafeCell::new(value), order: Cell::new(0) }
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

    /// Whether a stream has passed this sender by since it was asked.
    pub(super) fn was_passed_by(&self) -> bool {
        self.order.replace(0) == PASSED_BY
    }
}

/// See [`Parked::order`].
const PASSED_BY: u64 = 1;

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
///
/// Above the facts stands the number of times somebody let go of the lock: who reads the same word twice knows that
/// nothing has happened in between, which is how a select finds several channels not ready at one moment.
#[derive(Clone, Copy)]
pub(super) struct Outlook(u64);

impl Outlook {
    pub(super) const RECEIVABLE: u8 = 1;
    pub(super) const SENDABLE: u8 = 2;
    const CLOSED: u8 = 4;
    /// In a closed channel nothing waits.
    const OF_CLOSED: u8 = Self::CLOSED | Self::RECEIVABLE | Self::SENDABLE;

    /// The word after this one.
    #[inline]
    fn next(self, facts: u8) -> u64 {
        (self.0 | u64::from(Self::OF_CLOSED)).wrapping_add(1) | u64::from(facts)
    }

    #[inline]
    fn is_any(self, facts: u8) -> bool {
        self.0 & u64::from(facts) != 0
    }

    fn receivable(is_receivable: bool) -> u8 {
        if is_receivable { Self::RECEIVABLE } else { 0 }
    }

    fn sendable(is_sendable: bool) -> u8 {
        if is_sendable { Self::SENDABLE } else { 0 }
    }

    /// A receive need not wait: there is something to receive, or nothing will come.
    pub(super) fn is_receivable(self) -> bool {
        self.is_any(Self::RECEIVABLE)
    }

    /// A send need not wait: somebody waits for it, there is room, or it will fail.
    pub(super) fn is_sendable(self) -> bool {
        self.is_any(Self::SENDABLE)
    }

    pub(super) fn is_closed(self) -> bool {
        self.is_any(Self::CLOSED)
    }
}

impl<T> Chan<T> {
    /// A channel with one sender and one receiver, and a buffer for `capacity` values.
    pub(super) fn new(capacity: usize) -> Self {
        Self::with(capacity, None, 1, Outlook::sendable(capacity > 0))
    }

    /// A channel with one sender, one receiver and no bound.
    pub(super) fn unbounded() -> Self {
        Self::with(0, Some(Box::new(Chain::new())), 1, Outlook::SENDABLE)
    }

    /// A channel with one receiver that nobody can send into and nobody closes.
    pub(super) fn never() -> Self {
        Self::with(0, None, 0, 0)
    }

    fn with(capacity: usize, chain: Option<Box<Chain<T>>>, senders: u32, outlook: u8) -> Self {
        Self {
            outlook: AtomicU64::new(u64::from(outlook)),
            senders: AtomicU32::new(senders),
            receivers: AtomicU32::new(1),
            core: BriefLock::new(Core {
                values: Ring::new(capacity),
                chain,
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
        Locked { core: ManuallyDrop::new(self.core.lock()), chan: self, outlook: Locked::<T>::UNKNOWN }
    }

    /// Looks whether one of `facts` holds.
    #[inline]
    pub(super) fn glance(&self, facts: u8) -> Glance {
        let outlook = self.outlook();
        Glance { is_ready: outlook.is_any(facts), version: outlook.0 }
    }

    /// Takes the lock and leaves it taken, until [`let_go`](Self::let_go).
    pub(super) fn hold(&self) {
        BriefLock::leave(self.core.lock());
    }

    /// Does a step under the lock that was taken, and leaves it taken.
    ///
    /// # Safety
    ///
    /// This thread has taken it by [`hold`](Self::hold).
    pub(super) unsafe fn held<R>(&self, step: impl FnOnce(&mut Core<T>) -> R) -> R {
        // SAFETY: our caller's promise.
        let mut core = unsafe { self.core.resume() };
        let result = step(&mut core);
        BriefLock::leave(core);
        result
    }

    /// Lets go of the lock that was taken.
    ///
    /// # Safety
    ///
    /// As for [`held`](Self::held).
    pub(super) unsafe fn let_go(&self) {
        // SAFETY: our caller's promise.
        let core = ManuallyDrop::new(unsafe { self.core.resume() });
        drop(Locked { core, chan: self, outlook: Locked::<T>::UNKNOWN });
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
                while values.len() < values.capacity() && !locked.has_errand() {
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
        let mut node = Some(Node::new(value, order));
        let waker = self.lock().give_back(&mut node);
        wake(waker);
    }

    /// How many values the buffer has room for; `None` if there is no bound.
    pub(super) fn capacity(&self) -> Option<usize> {
        let core = self.core.lock();
        if core.chain.is_some() { None } else { Some(core.values.capacity()) }
    }

    pub(super) fn len(&self) -> usize {
        let core = self.core.lock();
        core.chain.as_ref().map_or(core.values.len(), |chain| chain.len())
    }
}

/// A channel whose lock is held. Letting it go tells the others what there is to find.
pub(super) struct Locked<'a, T> {
    core: ManuallyDrop<BriefGuard<'a, Core<T>>>,
    chan: &'a Chan<T>,
    /// What there is to find, if a step has worked it out, and the two bits below.
    outlook: u8,
}

/// How many values are taken out under the lock at a time: the first touch of fresh memory is a page fault, and
/// others wait for the lock meanwhile.
pub(super) const VALUES_PER_LOCK: usize = 256;

impl<T> Locked<'_, T> {
    /// In `outlook`: it is to be looked up when the lock is let go.
    const UNKNOWN: u8 = 8;
    /// In `outlook`: the chain of an unbounded channel has an errand to be run after the lock.
    const ERRAND: u8 = 16;

    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        // Ordering: Relaxed, it is written under the lock we hold.
        Outlook(self.chan.outlook.load(Ordering::Relaxed)).is_closed()
    }

    fn set_closed(&mut self) {
        // Ordering: Release, against the Acquire in `Chan::outlook`.
        let outlook = self.chan.outlook().next(Outlook::OF_CLOSED);
        self.chan.outlook.store(outlook, Ordering::Release);
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
        self.outlook = Outlook::RECEIVABLE | Outlook::sendable(!core.values.is_full());
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
        if core.chain.is_some() {
            let stream = core.streams.pop_front(State::Granted);
            self.push_into_chain(value);
            return Sent::Done(stream);
        }
        if core.values.is_full() {
            return Sent::Full;
        }
        if let Some(value) = value.take() {
            core.values.push_back(value);
        }
        Sent::Done(core.streams.pop_front(State::Granted))
    }

    /// Sends into a channel without a bound that is open and in which no receiver waits.
    fn push_into_chain(&mut self, value: &mut Option<T>) {
        if let (Some(chain), Some(value)) = (&mut self.core.chain, value.take()) {
            chain.push_back(value);
            let errand = if chain.has_errand() { Self::ERRAND } else { 0 };
            self.outlook = Outlook::RECEIVABLE | Outlook::SENDABLE | errand;
        }
    }

    /// Receives a value if there is one. The waker is that of a sender whose value took its place.
    #[inline]
    pub(super) fn recv(&mut self) -> Option<(T, Option<Waker>)> {
        let core = &mut *self.core;
        if !core.returned.is_empty() || !core.senders.is_empty() || self.is_closed() {
            return self.recv_otherwise();
        }
        let core = &mut *self.core;
        let Some(value) = core.values.pop_front() else {
            return if core.chain.is_some() { self.pop_from_chain() } else { None };
        };
        self.outlook = Outlook::SENDABLE | Outlook::receivable(!core.values.is_empty());
        Some((value, None))
    }

    /// Receives from a channel without a bound that is open and to which nothing was given back.
    #[inline(never)]
    fn pop_from_chain(&mut self) -> Option<(T, Option<Waker>)> {
        let chain = self.core.chain.as_mut()?;
        let value = chain.pop_front()?;
        let errand = if chain.has_errand() { Self::ERRAND } else { 0 };
        self.outlook = Outlook::SENDABLE | Outlook::receivable(!chain.is_empty()) | errand;
        Some((value, None))
    }

    /// As `recv`, when it is more than a pop from the buffer.
    #[inline(never)]
    fn recv_otherwise(&mut self) -> Option<(T, Option<Waker>)> {
        let is_closed = self.is_closed();
        if let Some(value) = self.core().returned.pop() {
            return Some((value, None));
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
    fn give_back(&mut self, place: &mut Option<Box<Node<T>>>) -> Option<Waker> {
        let core = self.core();
        let mut node = place.take()?;
        let waker = core.grant(&mut node.value, node.order);
        if node.value.is_none() {
            // To be freed by the caller.
            *place = Some(node);
            return waker;
        }
        core.returned.push(node);
        core.streams.pop_front(State::Granted)
    }

    /// Takes the oldest value out of the buffer.
    fn pop_front(&mut self) -> Option<T> {
        let core = self.core();
        match &mut core.chain {
            None => core.values.pop_front(),
            Some(chain) => {
                let value = chain.pop_front();
                let errand = if chain.has_errand() { Self::ERRAND } else { 0 };
                self.outlook |= errand;
                value
            }
        }
    }

    /// Whether an errand is to be run after the lock, before the next of several steps.
    pub(super) fn has_errand(&self) -> bool {
        self.outlook & Self::ERRAND != 0
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
        self.outlook |= Self::UNKNOWN;
        &mut self.core
    }
}

impl<T> Drop for Locked<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let outlook = match self.outlook {
            outlook @ ..Self::UNKNOWN => outlook,
            _ if self.core.chain.is_some() => return self.let_go_unbounded(),
            _ => self.look(),
        };
        // SAFETY: the lock is let go once, here, and not used after.
        unsafe { self.let_go(outlook) };
    }
}

impl<T> Locked<'_, T> {
    /// # Safety
    ///
    /// Nothing is done with the lock after.
    #[inline]
    unsafe fn let_go(&mut self, facts: u8) {
        // Ordering: Relaxed, it is written under the lock we hold.
        let outlook = Outlook(self.chan.outlook.load(Ordering::Relaxed)).next(facts);
        // Ordering: Release, against the Acquire in `Chan::outlook`.
        self.chan.outlook.store(outlook, Ordering::Release);
        // SAFETY: our caller's promise.
        unsafe { ManuallyDrop::drop(&mut self.core) };
    }

    /// Looks up what there is to find in a channel that has a bound.
    #[inline]
    fn look(&self) -> u8 {
        if self.is_closed() {
            return Outlook::OF_CLOSED;
        }
        let core = &*self.core;
        let is_receivable = !core.values.is_empty() || !core.senders.is_empty() || !core.returned.is_empty();
        let is_sendable = !core.values.is_full() || !core.receivers.is_empty();
        Outlook::receivable(is_receivable) | Outlook::sendable(is_sendable)
    }

    /// Lets go the lock of a channel that has no bound, and runs its errand. Called by `drop` alone.
    #[inline(never)]
    fn let_go_unbounded(&mut self) {
        let has_errand = self.has_errand();
        let outlook = if self.is_closed() {
            Outlook::OF_CLOSED
        } else {
            Outlook::SENDABLE | Outlook::receivable(self.core.is_receivable())
        };
        // SAFETY: `drop` does nothing after.
        unsafe { self.let_go(outlook) };
        if has_errand {
            let chan = self.chan;
            run_errand(|f| chan.core.lock().chain.as_deref_mut().into_iter().for_each(f));
        }
    }
}

impl<T> Core<T> {
    #[inline]
    pub(super) fn is_receivable(&self) -> bool {
        let is_chain_empty = self.chain.as_ref().is_none_or(|chain| chain.is_empty());
        !self.values.is_empty() || !self.senders.is_empty() || !self.returned.is_empty() || !is_chain_empty
    }

    /// Whether there is something to receive for certain: senders that cannot be won do not count.
    pub(super) fn has_something(&self) -> bool {
        let is_chain_empty = self.chain.as_ref().is_none_or(|chain| chain.is_empty());
        let is_open = |sender: &Parked<T>| sender.case.get().is_open();
        !self.values.is_empty() || !is_chain_empty || !self.returned.is_empty() || self.senders.any(is_open)
    }

    /// A stream is going to wait although there are senders, none of which can be won.
    pub(super) fn pass_senders_by(&self) {
        self.senders.any(|sender| {
            sender.order.set(PASSED_BY);
            false
        });
    }

    /// Whether there is room, or somebody to send to, for certain.
    pub(super) fn has_room(&self) -> bool {
        let is_open = |receiver: &Parked<T>| receiver.case.get().is_open();
        self.chain.is_some() || !self.values.is_full() || self.receivers.any(is_open)
    }

    /// Grants `value` to the first waiting receiver that can still be won.
    #[inline]
    fn grant(&mut self, value: &mut Option<T>, order: u64) -> Option<Waker> {
        self.receivers.take_first(|receiver| match receiver.case.get().win() {
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
        let waker = self.senders.take_first(|sender| match sender.case.get().win() {
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
        let close = |waiter: &Parked<T>| match waiter.case.get().win() {
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

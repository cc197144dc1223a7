//! How a select looks, chooses, waits and leaves: the steps of the crate's README, "Select". It knows its cases as
//! [`Slot`]s; what they are and what comes out of them is in `case.rs` and `dynamic.rs`.

use gorust_primitives::{
    current::{self, Reason},
    select_case::{Case, Claim, Leaf},
    shim::mutant,
};
use std::{
    marker::PhantomPinned,
    panic::Location,
    pin::Pin,
    task::{Context, Poll, Waker},
};

/// A future that is nothing but that.
pub trait Foreign {
    /// Polls it. Returns whether it is ready; its output has then been put aside.
    fn poll(&mut self, cx: &mut Context<'_>) -> bool;
}

/// One case, for one poll.
#[derive(Default)]
pub(super) enum Body<'s> {
    /// It has a false guard, or will never be ready.
    #[default]
    Off,
    Native(Pin<&'s mut (dyn Leaf + 's)>),
    Foreign(&'s mut (dyn Foreign + 's)),
}

/// A case, and what the machine has found out about it in this poll.
#[allow(missing_debug_implementations, reason = "it goes from one part of the crate to the other")]
pub struct Slot<'s> {
    body: Body<'s>,
    is_ready: bool,
    announces: bool,
    version: u64,
    address: usize,
}

impl<'s> Slot<'s> {
    pub(super) const OFF: Self = Self::new(Body::Off);

    #[inline]
    pub(super) const fn new(body: Body<'s>) -> Self {
        Self { body, is_ready: false, announces: false, version: 0, address: 0 }
    }

    fn class(&self) -> u8 {
        match self.body {
            Body::Native(_) => 0,
            Body::Foreign(_) => 1,
            Body::Off => 2,
        }
    }

    #[inline]
    fn leaf(&mut self) -> Option<Pin<&mut (dyn Leaf + 's)>> {
        match &mut self.body {
            Body::Native(leaf) => Some(leaf.as_mut()),
            Body::Foreign(_) | Body::Off => None,
        }
    }

    #[inline]
    fn poll_foreign(&mut self, cx: &mut Context<'_>) -> bool {
        match &mut self.body {
            Body::Foreign(future) => future.poll(cx),
            Body::Native(_) | Body::Off => false,
        }
    }
}

/// What a select keeps from poll to poll.
pub(super) struct Machine {
    claim: Claim,
    /// Its cases stand in their queues.
    is_queued: bool,
    is_sorted: bool,
    is_biased: bool,
    at: &'static Location<'static>,
    /// Queues lead to the claim.
    _pinned: PhantomPinned,
}

impl Machine {
    #[inline]
    pub(super) fn new(is_biased: bool, at: &'static Location<'static>) -> Self {
        Self {
            claim: Claim::new(),
            is_queued: false,
            is_sorted: false,
            is_biased,
            at,
            _pinned: PhantomPinned,
        }
    }

    /// Whether [`leave`](Self::leave) has something to do.
    #[inline]
    pub(super) fn is_queued(&self) -> bool {
        self.is_queued
    }

    #[inline]
    pub(super) fn is_biased(&self) -> bool {
        self.is_biased
    }

    /// Commits a case, or waits; after `poll_proceed`. The slots are the same at every poll; `order` has as many places, and belongs to the
    /// machine.
    ///
    /// # Safety
    ///
    /// Before the machine is dropped, or polled with other slots, it has returned `Ready` or was made to leave.
    #[inline]
    pub(super) unsafe fn poll(
        self: Pin<&mut Self>,
        slots: &mut [Slot<'_>],
        order: &mut [u32],
        cx: &mut Context<'_>,
    ) -> Poll<usize> {
        // SAFETY: nothing is moved out of it.
        let this = unsafe { self.get_unchecked_mut() };
        if this.is_queued
            && let Err(index) = this.look_alone()
        {
            this.leave(slots);
            return Poll::Ready(index);
        }
        // SAFETY: our caller's promise.
        let Some(index) = (unsafe { this.choose(slots, order, cx) }) else {
            let is_off = slots.iter().all(|slot| matches!(slot.body, Body::Off));
            current::waits(if is_off { Reason::SelectNoCases } else { Reason::Select }, this.at);
            return Poll::Pending;
        };
        this.leave(slots);
        Poll::Ready(index)
    }

    /// Makes peers pass its waiters by, unless one has won: then, which.
    fn look_alone(&self) -> Result<(), usize> {
        if mutant("select.open_while_looking") {
            return self.claim.winner().map_or(Ok(()), |index| Err(index as usize));
        }
        self.claim.start_polling().map_err(|index| index as usize)
    }

    /// # Safety
    ///
    /// As for [`poll`](Self::poll).
    #[inline]
    unsafe fn choose(
        &mut self,
        slots: &mut [Slot<'_>],
        order: &mut [u32],
        cx: &mut Context<'_>,
    ) -> Option<usize> {
        let chosen = if slots.iter().any(|slot| matches!(slot.body, Body::Foreign(_))) {
            choose_mixed(slots, self.is_biased, cx)
        } else {
            commit(slots, self.is_biased)
        };
        if chosen.is_some() {
            return chosen;
        }
        // SAFETY: our caller's promise.
        unsafe { self.wait(slots, order, cx) }
    }

    /// Joins the queues, or stays there; unless under all the locks a case is ready after all.
    ///
    /// # Safety
    ///
    /// As for [`poll`](Self::poll).
    #[inline(never)]
    unsafe fn wait(
        &mut self,
        slots: &mut [Slot<'_>],
        order: &mut [u32],
        cx: &mut Context<'_>,
    ) -> Option<usize> {
        // Wakers are cloned before the locks.
        slots.iter_mut().filter_map(Slot::leaf).for_each(|leaf| leaf.arm(cx));
        if !self.is_sorted {
            sort(slots, order);
            self.is_sorted = true;
        }
        loop {
            let mut locks = Locks::take(slots, order);
            if !locks.is_any_ready() || mutant("select.wait_without_a_look") {
                for (index, slot) in locks.slots.iter_mut().enumerate() {
                    // SAFETY: the claim stays where it is, and `leave` takes the waiter out before it goes.
                    let case = unsafe { Case::of(&self.claim, index as u32) };
                    // SAFETY: all locks are held.
                    slot.announces = slot.leaf().is_some_and(|leaf| unsafe { leaf.enqueue(case) });
                }
                if self.is_queued && !mutant("select.open_while_looking") {
                    self.claim.stop_polling();
                }
                self.is_queued = true;
                drop(locks);
                slots
                    .iter_mut()
                    .filter(|slot| slot.announces)
                    .filter_map(Slot::leaf)
                    .for_each(|leaf| leaf.announce());
                return None;
            }
            drop(locks);
            // Others may be quicker now: then look again.
            if let Some(index) = commit_one(slots, self.is_biased) {
                return Some(index);
            }
        }
    }

    /// Leaves all queues. What a peer has granted stays with its case.
    #[inline]
    pub(super) fn leave(&mut self, slots: &mut [Slot<'_>]) {
        if self.is_queued {
            slots.iter_mut().filter_map(Slot::leaf).for_each(|leaf| leaf.dequeue());
            self.is_queued = false;
            self.claim.renew();
        }
    }
}

/// Commits a case if one is ready at this moment; never waits.
#[inline]
pub(super) fn try_now(slots: &mut [Slot<'_>], order: &mut [u32], is_biased: bool) -> Option<usize> {
    let has_foreign = slots.iter().any(|slot| matches!(slot.body, Body::Foreign(_)));
    if !has_foreign {
        match glance(slots) {
            0 if is_unchanged(slots) => return None,
            0 => {}
            _ => {
                if let Some(index) = commit_one(slots, is_biased) {
                    return Some(index);
                }
            }
        }
    } else {
        // They are polled for what they are now, and nobody comes back to them.
        let _unlimited = current::unlimited();
        if let Some(index) = choose_mixed(slots, is_biased, &mut Context::from_waker(Waker::noop())) {
            return Some(index);
        }
    }
    try_locked(slots, order, is_biased)
}

/// As [`try_now`], once looking without the locks has not settled it.
#[cold]
fn try_locked(slots: &mut [Slot<'_>], order: &mut [u32], is_biased: bool) -> Option<usize> {
    sort(slots, order);
    loop {
        if !Locks::take(slots, order).is_any_ready() {
            return None;
        }
        if let Some(index) = commit_one(slots, is_biased) {
            return Some(index);
        }
    }
}

/// Commits a native case that seems ready.
#[inline]
fn commit(slots: &mut [Slot<'_>], is_biased: bool) -> Option<usize> {
    let count = glance(slots);
    if count == 0 {
        return None;
    }
    if is_biased {
        settle(slots);
    }
    commit_one(slots, is_biased)
}

/// Looks at all native cases without their locks, and marks those that seem ready. Returns how many.
#[inline]
fn glance(slots: &mut [Slot<'_>]) -> usize {
    let mut count = 0;
    for slot in slots {
        if let Some(leaf) = slot.leaf() {
            let glance = leaf.glance();
            (slot.is_ready, slot.version) = (glance.is_ready, glance.version);
            count += usize::from(glance.is_ready);
        }
    }
    count
}

/// Whether what [`glance`] found, nothing, was true of all cases at one moment: the moment it looked at the last of
/// them.
#[inline]
fn is_unchanged(slots: &mut [Slot<'_>]) -> bool {
    if mutant("select.look_once") {
        return true;
    }
    let Some((_last, others)) = slots.split_last_mut() else { return true };
    others.iter_mut().all(|slot| {
        let version = slot.version;
        slot.leaf().is_none_or(|leaf| {
            let glance = leaf.glance();
            !glance.is_ready && glance.version == version
        })
    })
}

/// Glances again until nothing has changed between two looks, or a few times: for who asks which is the first.
fn settle(slots: &mut [Slot<'_>]) {
    const LOOKS: usize = 8;
    for _ in 0..LOOKS {
        let mut is_same = true;
        for slot in &mut *slots {
            let (was_ready, version) = (slot.is_ready, slot.version);
            if let Some(leaf) = slot.leaf() {
                let glance = leaf.glance();
                is_same &= (was_ready, version) == (glance.is_ready, glance.version);
                (slot.is_ready, slot.version) = (glance.is_ready, glance.version);
            }
        }
        if is_same {
            return;
        }
    }
}

/// Commits one of the cases marked ready: each with the same probability, or the first. `None` if others were quicker
/// at all of them.
#[inline]
fn commit_one(slots: &mut [Slot<'_>], is_biased: bool) -> Option<usize> {
    let mut count = slots.iter().filter(|slot| slot.is_ready).count();
    while count > 0 {
        let nth = if is_biased || count == 1 { 0 } else { current::random_below(count as u32) as usize };
        let (index, slot) = slots.iter_mut().enumerate().filter(|(_, slot)| slot.is_ready).nth(nth)?;
        if slot.leaf().is_some_and(|leaf| leaf.try_commit()) {
            return Some(index);
        }
        slot.is_ready = false;
        count -= 1;
    }
    None
}

/// Commits a native case or finds a foreign one ready. Which group is asked first is drawn in proportion to its size;
/// biased, all are asked in their order.
fn choose_mixed(slots: &mut [Slot<'_>], is_biased: bool, cx: &mut Context<'_>) -> Option<usize> {
    if is_biased {
        let mut from = 0;
        for index in 0..slots.len() {
            if matches!(slots[index].body, Body::Foreign(_)) {
                if let Some(offset) = commit(&mut slots[from..index], true) {
                    return Some(from + offset);
                }
                from = index + 1;
                if slots[index].poll_foreign(cx) {
                    return Some(index);
                }
            }
        }
        return commit(&mut slots[from..], true).map(|offset| from + offset);
    }
    let count = |class| slots.iter().filter(|slot| slot.class() == class).count();
    let (natives, foreigns) = (count(0), count(1));
    let foreign_first = current::random_below((natives + foreigns) as u32) < foreigns as u32;
    if !foreign_first && let Some(index) = commit(slots, false) {
        return Some(index);
    }
    if let Some(index) = poll_foreigns(slots, foreigns, cx) {
        return Some(index);
    }
    if foreign_first { commit(slots, false) } else { None }
}

/// Polls all foreign cases, in a circle from a random one on.
fn poll_foreigns(slots: &mut [Slot<'_>], count: usize, cx: &mut Context<'_>) -> Option<usize> {
    let start = current::random_below(count as u32) as usize;
    let is_foreign = |slot: &Slot<'_>| matches!(slot.body, Body::Foreign(_));
    let start = slots.iter().enumerate().filter(|(_, slot)| is_foreign(slot)).nth(start)?.0;
    let len = slots.len();
    (0..len).map(|offset| (start + offset) % len).find(|&index| slots[index].poll_foreign(cx))
}

/// Sorts the native cases by the addresses of their locks to the front of `order`.
fn sort(slots: &mut [Slot<'_>], order: &mut [u32]) {
    for (index, slot) in slots.iter_mut().enumerate() {
        order[index] = index as u32;
        slot.address = slot.leaf().map_or(0, |leaf| leaf.lock_address());
    }
    order.sort_unstable_by_key(|&index| slots[index as usize].address);
}

/// The locks of all native cases, each one taken once.
struct Locks<'a, 's> {
    slots: &'a mut [Slot<'s>],
    order: &'a [u32],
}

impl<'a, 's> Locks<'a, 's> {
    #[inline]
    fn take(slots: &'a mut [Slot<'s>], order: &'a [u32]) -> Self {
        let mut locks = Self { slots, order };
        locks.each(|leaf| leaf.lock());
        locks
    }

    /// Calls `f` with one leaf of each lock, in the order of their addresses.
    #[inline]
    fn each(&mut self, f: impl Fn(Pin<&mut (dyn Leaf + 's)>)) {
        // An event has no lock.
        let mut last = 0;
        for &index in self.order {
            if let Some(leaf) = self.slots[index as usize].leaf() {
                let address = leaf.lock_address();
                if address != last {
                    f(leaf);
                    last = address;
                }
            }
        }
    }

    /// Marks the native cases that are ready. Returns whether one is.
    fn is_any_ready(&mut self) -> bool {
        let mut is_any = false;
        for slot in &mut *self.slots {
            // SAFETY: all locks are held.
            slot.is_ready = slot.leaf().is_some_and(|leaf| unsafe { leaf.is_ready() });
            is_any |= slot.is_ready;
        }
        is_any
    }
}

impl Drop for Locks<'_, '_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: they were taken in `take`.
        self.each(|leaf| unsafe { leaf.unlock() });
    }
}

//! Where timers lie while they are armed: one slot each, owned by one handle from arming to release. Not their
//! order: that is `order` and the pending buffer in `shard`.

use super::Entry;
use std::task::Waker;

/// Where a slot's deadline is: a position in the pending buffer, or one of the constants below.
type Place = u32;

/// In the order.
const IN_ORDER: Place = u32::MAX;
/// Nowhere any more: the timer has fired.
const FIRED: Place = u32::MAX - 1;
/// End of the list of free slots.
const NONE: u32 = u32::MAX;

/// 24 bytes. With its [`Entry`] in the order a waiting timer costs 40.
pub(super) struct Slot {
    waker: Option<Waker>,
    /// How often a timer of this slot was cancelled while it was in the order, where it left a dead entry behind:
    /// an entry is the present timer's only if the stamps are equal.
    /// Invariant: no entry lives to see its stamp again, since dead ones are purged long before they are 2^32.
    stamp: u32,
    /// While the slot is owned, where its deadline is; while it is free, the next free slot.
    place: Place,
}

/// What a handle finds when it looks at its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    Pending(usize),
    InOrder,
    Fired,
}

pub(super) struct Slab {
    slots: Vec<Slot>,
    free: u32,
    owned: usize,
}

impl Slab {
    pub(super) const fn new() -> Self {
        Self { slots: Vec::new(), free: NONE, owned: 0 }
    }

    /// How many slots have an owner.
    pub(super) fn owned(&self) -> usize {
        self.owned
    }

    /// Gives a slot to a new timer whose deadline lies at `position` in the pending buffer.
    ///
    /// # Panics
    ///
    /// With 2^32 timers in one shard.
    #[inline]
    pub(super) fn insert(&mut self, waker: Waker, position: usize) -> u32 {
        self.owned += 1;
        let place = position as Place;
        if self.free != NONE {
            let index = self.free;
            let slot = &mut self.slots[index as usize];
            self.free = slot.place;
            (slot.waker, slot.place) = (Some(waker), place);
            return index;
        }
        let index = u32::try_from(self.slots.len()).ok().filter(|&index| index < NONE);
        let index = index.expect("more than 2^32 timers in one shard");
        self.slots.push(Slot { waker: Some(waker), stamp: 0, place });
        index
    }

    /// Takes the slot back from its owner, and its waker out.
    #[inline]
    pub(super) fn remove(&mut self, index: u32) -> Option<Waker> {
        let slot = &mut self.slots[index as usize];
        // What is in the order is dead from now on.
        slot.stamp = slot.stamp.wrapping_add(u32::from(slot.place == IN_ORDER));
        slot.place = self.free;
        self.free = index;
        self.owned -= 1;
        slot.waker.take()
    }

    #[inline]
    pub(super) fn place(&self, index: u32) -> Where {
        match self.slots[index as usize].place {
            IN_ORDER => Where::InOrder,
            FIRED => Where::Fired,
            position => Where::Pending(position as usize),
        }
    }

    /// The deadline of `index` moved to `position` in the pending buffer.
    #[inline]
    pub(super) fn moved(&mut self, index: u32, position: usize) {
        self.slots[index as usize].place = position as Place;
    }

    /// Marks the slot as being in the order and returns the entry to put there.
    #[inline]
    pub(super) fn enters_order(&mut self, entry: Entry) -> Entry {
        let slot = &mut self.slots[entry.index as usize];
        slot.place = IN_ORDER;
        Entry { stamp: slot.stamp, ..entry }
    }

    /// Whether the timer that put `entry` into the order still waits.
    #[inline]
    pub(super) fn is_live(&self, entry: Entry) -> bool {
        let slot = &self.slots[entry.index as usize];
        slot.stamp == entry.stamp && slot.place == IN_ORDER
    }

    /// The timer fires, its entry having left the order: its waker goes to the caller, the slot stays with its owner.
    #[inline]
    pub(super) fn fire(&mut self, index: u32) -> Option<Waker> {
        let slot = &mut self.slots[index as usize];
        slot.place = FIRED;
        slot.waker.take()
    }

    /// Forgets every slot and gives the memory back. Nobody may own one, and no entry may be left in the order.
    pub(super) fn reset(&mut self) {
        debug_assert_eq!(self.owned, 0, "a timer lost its slot");
        *self = Self::new();
    }

    /// How many slots there are, owned and free.
    pub(super) fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// The waker in the slot; `None` once taken.
    #[inline]
    pub(super) fn waker(&mut self, index: u32) -> &mut Option<Waker> {
        &mut self.slots[index as usize].waker
    }
}

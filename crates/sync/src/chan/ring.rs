//! The buffer of a channel: values in the order they came, in one piece of memory that never grows.

use std::{hint::black_box, mem::MaybeUninit};

/// A first-in first-out buffer of fixed capacity.
///
/// Invariant: the `len` slots from `head` on, around the end, hold values; the others do not.
pub(super) struct Ring<T> {
    slots: Box<[MaybeUninit<T>]>,
    head: usize,
    len: usize,
}

impl<T> Ring<T> {
    /// # Panics
    ///
    /// If memory of that size cannot exist.
    pub(super) fn new(capacity: usize) -> Self {
        Self { slots: Box::new_uninit_slice(capacity), head: 0, len: 0 }
    }

    /// A ring whose memory has been touched, so that its users have no page faults: for those who make it outside
    /// the lock under which it will be used.
    pub(super) fn touched(capacity: usize) -> Self {
        // Subtle: the box is hidden, or the two are optimised into an allocation that is zero without a touch.
        let mut slots = black_box(Box::new_uninit_slice(capacity));
        if size_of::<T>() > 0 {
            slots.fill_with(MaybeUninit::zeroed);
        }
        Self { slots, head: 0, len: 0 }
    }

    #[inline]
    pub(super) fn capacity(&self) -> usize {
        self.slots.len()
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.len == self.slots.len()
    }

    /// # Panics
    ///
    /// If there is no room.
    // Subtle: always, or with so many places that use it the compiler leaves it out of the hot one.
    #[inline(always)]
    pub(super) fn push_back(&mut self, value: T) {
        assert!(!self.is_full(), "a full ring takes no value");
        let room = self.slots.len() - self.head;
        // Subtle: written so that a ring of units, which may have `usize::MAX` of them, does not overflow.
        let index = if self.len < room { self.head + self.len } else { self.len - room };
        self.slots[index].write(value);
        self.len += 1;
    }

    #[inline(always)]
    pub(super) fn pop_front(&mut self) -> Option<T> {
        if self.len == 0 {
            return None;
        }
        // SAFETY: the slot at the head of a ring that is not empty holds a value. It leaves the ring here, so
        // it is moved out once.
        let value = unsafe { self.slots[self.head].assume_init_read() };
        self.len -= 1;
        self.head = if self.head + 1 == self.slots.len() { 0 } else { self.head + 1 };
        Some(value)
    }

    /// Takes the values out, oldest first.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> {
        std::iter::from_fn(|| self.pop_front())
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        self.drain().for_each(drop);
    }
}

#[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
mod tests {
    use super::*;
    use gorust_primitives::rng::Rng;
    use std::{collections::VecDeque, rc::Rc};

    /// Against a `VecDeque`: random pushes and pops, around the end many times.
    #[test]
    fn values_come_out_in_the_order_they_went_in() {
        let rng = Rng::new(3);
        for capacity in 0..6 {
            let (mut ring, mut twin) = (Ring::new(capacity), VecDeque::new());
            for n in 0..1_000 {
                if rng.below(2) == 0 && !ring.is_full() {
                    ring.push_back(n);
                    twin.push_back(n);
                } else {
                    assert_eq!(ring.pop_front(), twin.pop_front());
                }
                let state = (ring.len(), ring.is_empty(), ring.is_full(), ring.capacity());
                assert_eq!(state, (twin.len(), twin.is_empty(), twin.len() == capacity, capacity));
            }
            assert!(ring.drain().eq(twin));
        }
    }

    #[test]
    fn a_ring_of_units_may_be_as_large_as_numbers_go() {
        let mut ring = Ring::new(usize::MAX);
        for _ in 0..3 {
            ring.push_back(());
            ring.push_back(());
            assert!(ring.pop_front().is_some());
        }
        assert_eq!(ring.len(), 3);
    }

    #[test]
    fn what_is_left_is_dropped_with_it() {
        let value = Rc::new(());
        let mut ring = Ring::new(3);
        for _ in 0..3 {
            ring.push_back(Rc::clone(&value));
        }
        drop(ring.pop_front());
        ring.push_back(Rc::clone(&value));
        drop(ring);
        assert_eq!(Rc::strong_count(&value), 1);
    }

    #[test]
    #[should_panic(expected = "a full ring takes no value")]
    fn a_full_ring_refuses() {
        Ring::new(0).push_back(1);
    }
}

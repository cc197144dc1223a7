//! What lies in a channel, bounded or not: one ring, and behind it, where there is no bound, more rings. Rings
//! are in `ring.rs`; when a value comes in and goes out, in `core.rs`.

use super::ring::Ring;
use gorust_primitives::shim::MODELLED;
use std::collections::VecDeque;

/// The first ring of an unbounded channel takes this many bytes, or one value; each further one twice as many
/// until they are full-sized.
const FIRST_BYTES: usize = if MODELLED { 1 } else { 128 };
/// What a full-sized ring takes: a page, or a few values if they are large. Less would allocate often, more would
/// keep memory that is not needed.
const FULL_BYTES: usize = if MODELLED { 1 } else { 4_096 };
const FULL_LEN_AT_LEAST: usize = if MODELLED { 2 } else { 8 };

/// The values in a channel, oldest first.
///
/// Invariant: if the front ring is empty, so is the backlog.
pub(super) struct Buffer<T> {
    front: Ring<T>,
    /// Only in an unbounded channel, and only once its front ring was too small. Most channels have none, so it
    /// lies elsewhere.
    backlog: Option<Box<Backlog<T>>>,
}

/// What an unbounded channel holds behind its front ring.
struct Backlog<T> {
    /// None of them is empty. The last one is being filled, the others are full.
    rings: VecDeque<Ring<T>>,
    /// How many values are in all of them.
    len: usize,
    /// An empty full-sized ring: a channel whose length goes up and down allocates nothing.
    spare: Option<Ring<T>>,
}

impl<T> Buffer<T> {
    /// # Panics
    ///
    /// If memory for that many values cannot exist.
    pub(super) fn new(capacity: usize) -> Self {
        Self { front: Ring::new(capacity), backlog: None }
    }

    /// How many values there is room for, if there is a bound.
    #[inline]
    pub(super) fn capacity(&self) -> usize {
        self.front.capacity()
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.front.len() + self.backlog.as_ref().map_or(0, |backlog| backlog.len)
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.front.is_empty()
    }

    /// Whether `push_back` would have to grow.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.front.is_full() || self.backlog.as_ref().is_some_and(|backlog| !backlog.rings.is_empty())
    }

    /// # Panics
    ///
    /// If it is full.
    #[inline]
    pub(super) fn push_back(&mut self, value: T) {
        debug_assert!(!self.is_full());
        self.front.push_back(value);
    }

    /// Pushes where there is no bound. Returns whether the spare ring was used up, and a new one is to be brought
    /// by [`restock`](Self::restock).
    pub(super) fn push_back_unbounded(&mut self, value: T) -> bool {
        if !self.is_full() {
            self.front.push_back(value);
            return false;
        }
        if self.front.is_empty() {
            self.front = Ring::new(first_len::<T>());
            self.front.push_back(value);
            return false;
        }
        let Self { front, backlog } = self;
        let backlog = backlog.get_or_insert_with(|| Box::new(Backlog::new()));
        backlog.len += 1;
        let last = backlog.rings.back_mut().unwrap_or(front);
        if !last.is_full() {
            last.push_back(value);
            return false;
        }
        let full_len = full_len::<T>();
        let len = last.capacity().saturating_mul(2).min(full_len);
        let is_full_sized = len == full_len;
        let spare = if is_full_sized { backlog.spare.take() } else { None };
        // A small ring is had in a few tens of nanoseconds; a large one was brought, unless the channel grows
        // faster than they come.
        let mut ring = spare.unwrap_or_else(|| Ring::new(len));
        ring.push_back(value);
        backlog.rings.push_back(ring);
        is_full_sized
    }

    /// Takes out the oldest value. The ring that becomes empty by it, if another one follows, is returned, to be
    /// freed after the lock.
    #[inline]
    pub(super) fn pop_front(&mut self) -> Option<(T, Option<Ring<T>>)> {
        let value = self.front.pop_front()?;
        let spent = if self.front.is_empty() && self.backlog.is_some() { self.advance() } else { None };
        Some((value, spent))
    }

    /// The front ring is empty; the next one takes its place.
    #[cold]
    fn advance(&mut self) -> Option<Ring<T>> {
        let backlog = self.backlog.as_mut()?;
        let next = backlog.rings.pop_front()?;
        backlog.len -= next.len();
        let spent = std::mem::replace(&mut self.front, next);
        if spent.capacity() == full_len::<T>() && backlog.spare.is_none() {
            backlog.spare = Some(spent);
            return None;
        }
        Some(spent)
    }

    /// Brings a ring made by [`Ring::touched`] for the time when the last one is full. One too many comes back.
    pub(super) fn restock(&mut self, ring: Ring<T>) -> Option<Ring<T>> {
        let Some(backlog) = &mut self.backlog else { return Some(ring) };
        if backlog.spare.is_some() {
            return Some(ring);
        }
        backlog.spare = Some(ring);
        None
    }
}

impl<T> Backlog<T> {
    fn new() -> Self {
        Self { rings: VecDeque::new(), len: 0, spare: None }
    }
}

/// How many values a full-sized ring has room for.
pub(super) const fn full_len<T>() -> usize {
    match FULL_BYTES.checked_div(size_of::<T>()) {
        None => usize::MAX,
        Some(len) if len < FULL_LEN_AT_LEAST => FULL_LEN_AT_LEAST,
        Some(len) => len,
    }
}

/// How many values the first ring has room for.
const fn first_len<T>() -> usize {
    match FIRST_BYTES.checked_div(size_of::<T>()) {
        None => usize::MAX,
        Some(0) => 1,
        Some(len) => len,
    }
}

#[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
mod tests {
    use super::*;
    use gorust_primitives::rng::Rng;

    fn grow<T>(buffer: &mut Buffer<T>, value: T) {
        if buffer.push_back_unbounded(value) {
            drop(buffer.restock(Ring::touched(full_len::<T>())));
        }
    }

    /// Against a `VecDeque`, in bursts and lulls of many rings.
    fn twin<T: Clone + PartialEq + std::fmt::Debug>(value: impl Fn(usize) -> T) {
        let rng = Rng::new(5);
        let (mut buffer, mut twin) = (Buffer::new(0), VecDeque::new());
        for burst in 0..60 {
            for n in 0..rng.below(1 + 50 * (burst % 8)) as usize {
                grow(&mut buffer, value(n));
                twin.push_back(value(n));
            }
            for _ in 0..rng.below(2 + 50 * (burst % 8)) {
                assert_eq!(buffer.pop_front().map(|(value, _)| value), twin.pop_front());
                assert_eq!((buffer.len(), buffer.is_empty()), (twin.len(), twin.is_empty()));
            }
        }
        while let Some((value, _)) = buffer.pop_front() {
            assert_eq!(Some(value), twin.pop_front());
        }
        assert!(twin.is_empty());
    }

    #[test]
    fn values_come_out_in_the_order_they_went_in() {
        twin(|n| n);
        twin(|n| [n; 100]);
        twin(|n| [n as u8; 5_000]);
        twin(|_| ());
    }

    #[test]
    fn a_burst_gives_its_memory_back() {
        let mut buffer = Buffer::new(0);
        (0..1_000_000_u64).for_each(|n| grow(&mut buffer, n));
        let freed = std::iter::from_fn(|| buffer.pop_front()).filter(|(_, spent)| spent.is_some()).count();
        assert!(freed > 1_900, "{freed} rings came out");
        assert_eq!(buffer.front.capacity(), full_len::<u64>());
        let backlog = buffer.backlog.as_ref().unwrap();
        assert!(backlog.rings.is_empty() && backlog.spare.is_some());
    }

    #[test]
    fn a_few_values_take_little_room() {
        let mut buffer = Buffer::new(0);
        assert_eq!(buffer.capacity(), 0);
        for n in 0..16_u64 {
            grow(&mut buffer, n);
        }
        assert_eq!(buffer.front.capacity(), 16);
        assert!(buffer.backlog.is_none());
    }
}

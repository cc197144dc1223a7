//! What lies in an unbounded channel: rings in a row. Rings are in `ring.rs`; when a value comes in and goes out, in
//! `core.rs`.

use super::ring::Ring;
use gorust_primitives::shim::MODELLED;
use std::{collections::VecDeque, mem};

/// The first ring takes this many bytes, or one value; each further one twice as many until they are full-sized.
const FIRST_BYTES: usize = if MODELLED { 1 } else { 128 };
/// What a full-sized ring takes: a page, or a few values if they are large. Less would allocate often, more would
/// keep memory that is not needed.
const FULL_BYTES: usize = if MODELLED { 1 } else { 4_096 };
const FULL_LEN_AT_LEAST: usize = if MODELLED { 2 } else { 8 };

/// A first-in first-out buffer that grows without moving a value, and gives back what it no longer needs.
///
/// Invariant: if the front ring is empty, there are no others.
pub(super) struct Chain<T> {
    /// Where values are taken out; the only ring of a channel whose length does not change much.
    front: Ring<T>,
    /// Behind it; none of them is empty. The last one is being filled, the others are full.
    rings: VecDeque<Ring<T>>,
    /// How many values are in `rings`.
    len_behind: usize,
    /// Empty full-sized rings. One is made when the last of them is used; a second one is kept when it is left over,
    /// so that a length that goes up and down over the end of a ring costs nothing.
    spares: [Option<Ring<T>>; 2],
    errand: Errand<T>,
}

/// What is to be done without the lock the chain lies under, since it allocates or frees much.
enum Errand<T> {
    Nothing,
    /// This ring is to be freed.
    Free(Ring<T>),
    /// A spare ring is to be made.
    Restock,
}

impl<T> Chain<T> {
    pub(super) fn new() -> Self {
        let (rings, errand) = (VecDeque::new(), Errand::Nothing);
        Self { front: Ring::new(0), rings, len_behind: 0, spares: [None, None], errand }
    }

    pub(super) fn len(&self) -> usize {
        self.front.len() + self.len_behind
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.front.is_empty()
    }

    #[inline]
    pub(super) fn push_back(&mut self, value: T) {
        if self.rings.is_empty() && !self.front.is_full() {
            self.front.push_back(value);
        } else {
            self.push_behind(value);
        }
    }

    fn push_behind(&mut self, value: T) {
        if self.front.is_empty() {
            self.front = Ring::new(first_len::<T>());
            self.front.push_back(value);
            return;
        }
        self.len_behind += 1;
        let last = self.rings.back_mut().unwrap_or(&mut self.front);
        if !last.is_full() {
            last.push_back(value);
            return;
        }
        let (full_len, double) = (full_len::<T>(), last.capacity().saturating_mul(2));
        let mut ring = if double < full_len {
            // A few tens of nanoseconds.
            Ring::new(double)
        } else {
            let spare = self.spares.iter_mut().find_map(Option::take);
            if self.spares.iter().all(Option::is_none) {
                self.errand = Errand::Restock;
            }
            // None was there if the channel grows faster than they are made.
            spare.unwrap_or_else(|| Ring::new(full_len))
        };
        ring.push_back(value);
        self.rings.push_back(ring);
    }

    #[inline]
    pub(super) fn pop_front(&mut self) -> Option<T> {
        let value = self.front.pop_front()?;
        if self.front.is_empty() && !self.rings.is_empty() {
            self.advance();
        }
        Some(value)
    }

    /// The front ring is empty, and the next one takes its place.
    #[cold]
    fn advance(&mut self) {
        let Some(next) = self.rings.pop_front() else { return };
        self.len_behind -= next.len();
        let spent = mem::replace(&mut self.front, next);
        let is_full_sized = spent.capacity() == full_len::<T>();
        if let Some(spent) = if is_full_sized { self.keep(spent) } else { Some(spent) } {
            self.errand = Errand::Free(spent);
        }
    }

    /// Keeps an empty full-sized ring, unless there are enough of them.
    fn keep(&mut self, ring: Ring<T>) -> Option<Ring<T>> {
        match self.spares.iter_mut().find(|spare| spare.is_none()) {
            Some(place) => {
                *place = Some(ring);
                None
            }
            None => Some(ring),
        }
    }

    /// Whether an errand is to be run before the next operation; it may be forgotten.
    #[inline]
    pub(super) fn has_errand(&self) -> bool {
        !matches!(self.errand, Errand::Nothing)
    }
}

/// Runs the errand of a chain that lies under a lock; `with_chain` takes the lock.
#[cold]
pub(super) fn run_errand<T>(with_chain: impl Fn(&mut dyn FnMut(&mut Chain<T>))) {
    let mut errand = Errand::Nothing;
    with_chain(&mut |chain| errand = mem::replace(&mut chain.errand, Errand::Nothing));
    match errand {
        Errand::Nothing => {}
        Errand::Free(ring) => drop(ring),
        Errand::Restock => {
            let mut ring = Some(Ring::touched(full_len::<T>()));
            with_chain(&mut |chain| ring = ring.take().and_then(|ring| chain.keep(ring)));
            // One too many, or none.
            drop(ring);
        }
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
    use std::{cell::RefCell, fmt::Debug};

    fn push<T>(chain: &RefCell<Chain<T>>, value: T) {
        chain.borrow_mut().push_back(value);
        run(chain);
    }

    fn pop<T>(chain: &RefCell<Chain<T>>) -> Option<T> {
        let value = chain.borrow_mut().pop_front();
        run(chain);
        value
    }

    fn run<T>(chain: &RefCell<Chain<T>>) {
        if chain.borrow().has_errand() {
            run_errand(|f| f(&mut chain.borrow_mut()));
        }
        assert!(!chain.borrow().has_errand());
    }

    /// Against a `VecDeque`, in bursts and lulls of many rings.
    fn twin<T: PartialEq + Debug>(value: impl Fn(usize) -> T) {
        let rng = Rng::new(5);
        let (chain, mut twin) = (RefCell::new(Chain::new()), VecDeque::new());
        for burst in 0..60 {
            for n in 0..rng.below(1 + 50 * (burst % 8)) as usize {
                push(&chain, value(n));
                twin.push_back(value(n));
            }
            for _ in 0..rng.below(2 + 50 * (burst % 8)) {
                assert_eq!(pop(&chain), twin.pop_front());
                let chain = chain.borrow();
                assert_eq!((chain.len(), chain.is_empty()), (twin.len(), twin.is_empty()));
            }
        }
        while let Some(value) = pop(&chain) {
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
        let chain = RefCell::new(Chain::new());
        (0..1_000_000_u64).for_each(|n| push(&chain, n));
        assert!(chain.borrow().rings.len() > 1_900);
        while pop(&chain).is_some() {}
        let chain = chain.borrow();
        assert_eq!((chain.front.capacity(), chain.rings.len()), (full_len::<u64>(), 0));
    }

    #[test]
    fn a_few_values_take_little_room() {
        let chain = RefCell::new(Chain::new());
        assert_eq!(chain.borrow().front.capacity(), 0);
        (0..16_u64).for_each(|n| push(&chain, n));
        let chain = chain.borrow();
        assert_eq!((chain.front.capacity(), chain.rings.capacity()), (16, 0));
        assert!(chain.spares.iter().all(Option::is_none));
    }

    #[test]
    fn an_errand_may_be_forgotten() {
        let mut chain = Chain::new();
        (0..10_000_u64).for_each(|n| chain.push_back(n));
        assert!((0..10_000).all(|n| chain.pop_front() == Some(n)));
    }
}

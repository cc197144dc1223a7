//! A worker's own queue: FIFO, pushed and popped by one thread, stolen from by all.

use super::{Found, until_settled};

/// Items a worker keeps for itself; what is more goes to the injector. The deque doubles its memory when it is full,
/// and copies what is in it: this bounds the copy to half a megabyte, some 50 us. Below that it is cheaper than the
/// injector, for the owner and for thieves.
pub(crate) const CAPACITY: usize = 65_536;

/// The most that a thief takes at a time; crossbeam's own limit.
const BATCH: usize = 32;

/// The owner's end.
#[derive(Debug)]
pub(crate) struct Local<T>(crossbeam_deque::Worker<T>);

/// The end for everybody else.
#[derive(Debug)]
pub(crate) struct Stealer<T>(crossbeam_deque::Stealer<T>);

impl<T> Local<T> {
    pub(crate) fn new() -> Self {
        Self(crossbeam_deque::Worker::new_fifo())
    }

    pub(crate) fn stealer(&self) -> Stealer<T> {
        Stealer(self.0.stealer())
    }

    /// Adds an item at the back and says how many were there before; a full queue gives it back.
    #[inline]
    pub(crate) fn push(&self, item: T) -> Result<usize, T> {
        let length = self.0.len();
        if length >= CAPACITY {
            return Err(item);
        }
        self.0.push(item);
        Ok(length)
    }

    /// Takes the item at the front.
    #[inline]
    pub(crate) fn pop(&self) -> Option<T> {
        self.0.pop()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[inline]
    pub(crate) fn length(&self) -> usize {
        self.0.len()
    }

    /// How many more it holds.
    pub(crate) fn room(&self) -> usize {
        CAPACITY - self.0.len().min(CAPACITY)
    }

    /// The deque itself, as the target of a batch from the injector.
    pub(super) fn deque(&self) -> &crossbeam_deque::Worker<T> {
        &self.0
    }
}

impl<T> Stealer<T> {
    /// Takes half of the items, at most a batch: one is returned, the others go into `into`.
    pub(crate) fn steal(&self, into: &Local<T>) -> Found<T> {
        until_settled(|| self.0.steal_batch_with_limit_and_pop(&into.0, BATCH.min(into.room().max(1))))
    }

    /// Takes one item.
    pub(crate) fn steal_one(&self) -> Found<T> {
        until_settled(|| self.0.steal())
    }

    /// Whether nothing was there at some moment during the call. A SeqCst fence, so it may be the last look before
    /// a sleep.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_gives_the_item_back() {
        let local = Local::new();
        for index in 0..CAPACITY {
            assert_eq!(local.push(index), Ok(index));
        }
        assert_eq!(local.push(7), Err(7));
        assert_eq!((local.pop(), local.room()), (Some(0), 1));
    }

    #[test]
    fn a_thief_takes_half() {
        let (mine, other) = (Local::new(), Local::new());
        for index in 0..10 {
            mine.push(index).unwrap();
        }
        let stealer = mine.stealer();
        assert!(matches!(stealer.steal(&other), Found::One(0)));
        assert_eq!(std::iter::from_fn(|| other.pop()).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert!(matches!(stealer.steal_one(), Found::One(5)));
        assert!(!stealer.is_empty());
    }
}

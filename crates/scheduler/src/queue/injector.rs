//! The queue for everything that does not come from one of the runtime's own workers, and for what a full local
//! queue does not hold. It stands behind this seam so that there can be one for each group of workers.

use super::{Found, Local, until_settled};

/// The most a worker takes at a time.
const BATCH: usize = 32;

/// A FIFO that anybody may push to and take from.
#[derive(Debug)]
pub(crate) struct Injector<T>(crossbeam_deque::Injector<T>);

impl<T> Injector<T> {
    pub(crate) fn new() -> Self {
        Self(crossbeam_deque::Injector::new())
    }

    pub(crate) fn push(&self, item: T) {
        self.0.push(item);
    }

    /// Takes one item.
    pub(crate) fn pop(&self) -> Found<T> {
        if self.0.is_empty() {
            return Found::Nothing;
        }
        until_settled(|| self.0.steal())
    }

    /// Takes a fair share for one of `workers`, at most a batch: one is returned, the others go into `into`.
    pub(crate) fn take(&self, into: &Local<T>, workers: usize) -> Found<T> {
        if self.0.is_empty() {
            return Found::Nothing;
        }
        let share = self.0.len() / workers + 1;
        let limit = share.min(BATCH).min(into.room().max(1));
        until_settled(|| self.0.steal_batch_with_limit_and_pop(into.deque(), limit))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_worker_takes_its_share_in_order() {
        let injector = Injector::new();
        let local = Local::new();
        for index in 0..20 {
            injector.push(index);
        }
        assert!(matches!(injector.take(&local, 2), Found::One(0)));
        let taken: Vec<_> = std::iter::from_fn(|| local.pop()).collect();
        assert_eq!(taken, (1..=taken.len()).collect::<Vec<_>>());
        assert!((1..=11).contains(&taken.len()), "{taken:?}");
        assert!(matches!(injector.pop(), Found::One(_)));
    }
}

//! The order of deadlines: a heap in which every node has four children, so that it is half as deep as a binary
//! one and four siblings share a cache line. Entries leave only at the top or in a purge; whether an entry's timer
//! still waits is the slab's to know.

use super::Entry;

/// A 4-ary min-heap by deadline. Equal deadlines come in an order that depends on nothing but the calls made.
pub(super) struct Order {
    entries: Vec<Entry>,
}

const CHILDREN: usize = 4;

impl Order {
    pub(super) const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The entry with the earliest deadline.
    #[inline]
    pub(super) fn first(&self) -> Option<Entry> {
        self.entries.first().copied()
    }

    pub(super) fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
        self.sift_up(self.entries.len() - 1, entry);
    }

    pub(super) fn pop(&mut self) -> Option<Entry> {
        let last = self.entries.pop()?;
        let Some(first) = self.first() else { return Some(last) };
        self.sift_down(0, last);
        Some(first)
    }

    /// Removes every entry that `keep` refuses; linear.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(Entry) -> bool) {
        self.entries.retain(|&entry| keep(entry));
        // Below this depth they could be twice too big for what is left.
        if self.entries.len() < self.entries.capacity() / 4 {
            self.entries.shrink_to(self.entries.len() * 2);
        }
        let Some(last_parent) = self.entries.len().checked_sub(2).map(|last| last / CHILDREN) else { return };
        for position in (0..=last_parent).rev() {
            self.sift_down(position, self.entries[position]);
        }
    }

    /// Puts `entry` at `position`, a hole, or above it.
    fn sift_up(&mut self, mut position: usize, entry: Entry) {
        while position > 0 {
            let parent = (position - 1) / CHILDREN;
            if self.entries[parent].deadline <= entry.deadline {
                break;
            }
            self.entries[position] = self.entries[parent];
            position = parent;
        }
        self.entries[position] = entry;
    }

    /// Puts `entry` at `position`, a hole, or below it.
    fn sift_down(&mut self, mut position: usize, entry: Entry) {
        loop {
            let first = position * CHILDREN + 1;
            let last = (first + CHILDREN).min(self.entries.len());
            let Some(children) = self.entries.get(first..last).filter(|children| !children.is_empty()) else {
                break;
            };
            let mut least = 0;
            for (offset, child) in children.iter().enumerate().skip(1) {
                if child.deadline < children[least].deadline {
                    least = offset;
                }
            }
            if entry.deadline <= children[least].deadline {
                break;
            }
            self.entries[position] = children[least];
            position = first + least;
        }
        self.entries[position] = entry;
    }
}

#[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
mod tests {
    use super::*;
    use gorust_primitives::rng::Rng;

    fn entry(deadline: u64) -> Entry {
        Entry { deadline, index: 0, stamp: 0 }
    }

    #[test]
    fn random_deadlines_come_out_sorted() {
        let rng = Rng::new(5);
        for count in [0, 1, 2, 3, 4, 5, 6, 17, 100, 1_000] {
            let (mut order, mut twin) = (Order::new(), Vec::new());
            for _ in 0..count {
                let deadline = u64::from(rng.below(500));
                order.push(entry(deadline));
                twin.push(deadline);
            }
            order.retain(|entry| entry.deadline % 3 != 0);
            twin.retain(|deadline| deadline % 3 != 0);
            twin.sort_unstable();
            let popped: Vec<u64> = std::iter::from_fn(|| order.pop()).map(|entry| entry.deadline).collect();
            assert_eq!(popped, twin);
        }
    }
}

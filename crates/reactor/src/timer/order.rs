//! The order of deadlines: a heap in which every node has four children, so that it is half as deep as a binary
//! one and four siblings share a cache line. Entries leave only at the top or in a purge; whether an entry's timer
//! still waits is the slab's to know.

use super::{Entry, NEVER};

/// A 4-ary min-heap by deadline. Equal deadlines come in an order that depends on nothing but the calls made.
///
/// Position 0 is the top, and the children of position `p` are `4p + 1` to `4p + 4`. Position `p` lies in the place
/// `p + 3`, so that the children of `p` fill the quad `p + 1` exactly: going down one level reads one cache line.
pub(super) struct Order {
    /// Invariant: the places of no position hold [`NOTHING`].
    quads: Vec<Quad>,
    len: usize,
}

/// Four siblings: one cache line.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Quad([Entry; 4]);

/// Later than every entry.
const NOTHING: Entry = Entry { deadline: NEVER, index: 0, stamp: 0 };

impl Order {
    pub(super) const fn new() -> Self {
        Self { quads: Vec::new(), len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The entry with the earliest deadline.
    #[inline]
    pub(super) fn first(&self) -> Option<Entry> {
        self.quads.first().map(|quad| quad.0[3]).filter(|_| self.len > 0)
    }

    #[inline]
    fn at(&mut self, position: usize) -> &mut Entry {
        let place = position + 3;
        &mut self.quads[place / 4].0[place % 4]
    }

    pub(super) fn push(&mut self, entry: Entry) {
        let position = self.len;
        self.len += 1;
        if position.div_ceil(4) == self.quads.len() {
            self.quads.push(Quad([NOTHING; 4]));
        }
        self.sift_up(position, entry);
    }

    pub(super) fn pop(&mut self) -> Option<Entry> {
        let first = self.first()?;
        self.len -= 1;
        let last = std::mem::replace(self.at(self.len), NOTHING);
        if self.len > 0 {
            self.sift_down(0, last);
        }
        self.quads.truncate((self.len + 6) / 4);
        Some(first)
    }

    /// Removes every entry, and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.quads.clear();
        self.len = 0;
    }

    /// Removes every entry that `keep` refuses; linear.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(Entry) -> bool) {
        let mut kept = 0;
        for position in 0..self.len {
            let entry = std::mem::replace(self.at(position), NOTHING);
            if keep(entry) {
                *self.at(kept) = entry;
                kept += 1;
            }
        }
        self.len = kept;
        self.quads.truncate((kept + 6) / 4);
        if self.quads.len() < self.quads.capacity() / 4 {
            self.quads.shrink_to(self.quads.len() * 2);
        }
        let parents = if kept < 2 { 0 } else { (kept - 2) / 4 + 1 };
        for position in (0..parents).rev() {
            let entry = *self.at(position);
            self.sift_down(position, entry);
        }
    }

    /// Puts `entry` at `position`, a hole, or above it.
    fn sift_up(&mut self, mut position: usize, entry: Entry) {
        while position > 0 {
            let parent = (position - 1) / 4;
            let above = *self.at(parent);
            if above.deadline <= entry.deadline {
                break;
            }
            *self.at(position) = above;
            position = parent;
        }
        *self.at(position) = entry;
    }

    /// Puts `entry` at `position`, a hole, or below it.
    fn sift_down(&mut self, mut position: usize, entry: Entry) {
        while let Some(Quad(children)) = self.quads.get(position + 1) {
            let least = least(children);
            let child = children[least];
            // Subtle: a place of no position is never less.
            if child.deadline >= entry.deadline {
                break;
            }
            *self.at(position) = child;
            position = position * 4 + 1 + least;
        }
        *self.at(position) = entry;
    }
}

/// The position of the earliest of four siblings; of equals the first.
#[inline]
fn least(children: &[Entry; 4]) -> usize {
    // Subtle: arithmetic where branches would be guessed wrong half of the time.
    let earlier = |one: usize, other: usize| {
        let wins = children[other].deadline < children[one].deadline;
        one + (other - one) * usize::from(wins)
    };
    earlier(earlier(0, 1), earlier(2, 3))
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

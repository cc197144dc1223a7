//! Values that were granted and came back: a heap by the order of their grants. Its nodes are allocated by those
//! who give back, before they take the channel's lock, so that nothing is allocated under it.

use std::mem;

/// The values that were given back, the one that was granted first on top: a leftist heap, in which every step
/// costs at most the logarithm of its size.
pub(super) struct Returned<T> {
    root: Option<Box<Node<T>>>,
}

/// A value that was given back, and its place in the heap.
pub(super) struct Node<T> {
    /// The order of the grant; no two values have the same.
    pub(super) order: u64,
    /// There while the node is in the heap.
    pub(super) value: Option<T>,
    /// How many steps to the right lead out of the heap. Invariant: the left side has at least as many as the
    /// right one, so there are few.
    rank: u32,
    left: Option<Box<Node<T>>>,
    right: Option<Box<Node<T>>>,
}

impl<T> Node<T> {
    pub(super) fn new(value: T, order: u64) -> Box<Self> {
        Box::new(Self { order, value: Some(value), rank: 1, left: None, right: None })
    }
}

impl<T> Returned<T> {
    pub(super) const fn new() -> Self {
        Self { root: None }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    pub(super) fn push(&mut self, node: Box<Node<T>>) {
        self.root = merge(self.root.take(), Some(node));
    }

    /// Takes out the value that was granted first.
    pub(super) fn pop(&mut self) -> Option<T> {
        let Node { value, left, right, .. } = *self.root.take()?;
        self.root = merge(left, right);
        value
    }
}

impl<T> Drop for Returned<T> {
    fn drop(&mut self) {
        // One by one: the left side may be as deep as the heap is large, too deep for a destructor in each node.
        while self.pop().is_some() {}
    }
}

fn rank<T>(node: &Option<Box<Node<T>>>) -> u32 {
    node.as_ref().map_or(0, |node| node.rank)
}

/// One heap of two. It walks down the right sides, which are short.
fn merge<T>(one: Option<Box<Node<T>>>, other: Option<Box<Node<T>>>) -> Option<Box<Node<T>>> {
    let (mut top, mut below) = match (one, other) {
        (Some(one), Some(other)) => (one, other),
        (one, other) => return one.or(other),
    };
    if below.order < top.order {
        mem::swap(&mut top, &mut below);
    }
    top.right = merge(top.right.take(), Some(below));
    if rank(&top.left) < rank(&top.right) {
        let Node { left, right, .. } = &mut *top;
        mem::swap(left, right);
    }
    top.rank = rank(&top.right) + 1;
    Some(top)
}

#[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
mod tests {
    use super::*;
    use gorust_primitives::rng::Rng;
    use std::collections::BTreeMap;

    /// Against a `BTreeMap`: random orders in, the lowest out.
    #[test]
    fn the_lowest_order_comes_out_first() {
        let rng = Rng::new(11);
        let (mut heap, mut twin) = (Returned::new(), BTreeMap::new());
        for _ in 0..20_000 {
            let order = rng.next_u64();
            if rng.below(5) < 3 {
                heap.push(Node::new(order ^ 1, order));
                twin.insert(order, order ^ 1);
            } else {
                let popped = heap.pop();
                assert_eq!(popped, twin.pop_first().map(|(_, value)| value));
            }
            assert_eq!(heap.is_empty(), twin.is_empty());
        }
    }

    /// In order, against it, and dropped while it is a list a million deep.
    #[test]
    fn no_shape_is_too_deep() {
        const LEN: u64 = 1_000_000;
        for descending in [false, true] {
            let mut heap = Returned::new();
            for n in 0..LEN {
                heap.push(Node::new((), if descending { LEN - n } else { n }));
            }
            assert!(heap.root.as_ref().is_some_and(|root| root.rank <= 20));
        }
    }
}

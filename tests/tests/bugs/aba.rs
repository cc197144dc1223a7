//! ABA on a slot: a free list of slots is popped by "if the head is still the one I read, its successor is the new
//! head". Between reading and comparing the head was taken and given back, and its successor is somebody else's.

use gorust::{chan::Sender, prelude::*};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering::Relaxed},
};

/// No slot.
const NONE: u32 = u32::MAX;

/// Slots 0, 1 and 2, all free, linked in this order.
struct Slots {
    /// The first free slot in the lower half; above it a count of changes, if it is looked at.
    head: Mutex<(u32, u32)>,
    next: [AtomicU32; 3],
    taken: [AtomicU32; 3],
    counts: bool,
    log: Sender<u32>,
}

impl Slots {
    async fn pop(&self) -> Option<u32> {
        loop {
            let seen = *self.head.lock().unwrap();
            if seen.0 == NONE {
                return None;
            }
            let next = self.next[seen.0 as usize].load(Relaxed);
            // Whatever takes a moment.
            self.log.send(seen.0).await.ok()?;
            let mut head = self.head.lock().unwrap();
            if head.0 == seen.0 && (!self.counts || head.1 == seen.1) {
                *head = (next, seen.1 + 1);
                let owners = self.taken[seen.0 as usize].fetch_add(1, Relaxed) + 1;
                assert_eq!(owners, 1, "slot {} has two owners", seen.0);
                return Some(seen.0);
            }
        }
    }

    fn push(&self, slot: u32) {
        self.taken[slot as usize].fetch_sub(1, Relaxed);
        let mut head = self.head.lock().unwrap();
        self.next[slot as usize].store(head.0, Relaxed);
        *head = (slot, head.1 + 1);
    }
}

async fn two_use(counts: bool) {
    let (log, _entries) = chan(64);
    let slots = Arc::new(Slots {
        head: Mutex::new((0, 0)),
        next: [AtomicU32::new(1), AtomicU32::new(2), AtomicU32::new(NONE)],
        taken: Default::default(),
        counts,
        log,
    });
    let wg = WaitGroup::new();
    for _ in 0..2 {
        let slots = Arc::clone(&slots);
        wg.go(async move {
            let one = slots.pop().await;
            let other = slots.pop().await;
            if let Some(slot) = one {
                slots.push(slot);
            }
            let third = slots.pop().await;
            for slot in [other, third].into_iter().flatten() {
                slots.push(slot);
            }
        });
    }
    wg.wait().await;
}

pub(crate) async fn buggy() {
    two_use(false).await;
}

pub(crate) async fn fixed() {
    two_use(true).await;
}

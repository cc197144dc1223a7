//! The loads, one file a table of the page; each is a function generic over the traits it needs.

pub mod blocking;
pub mod channels;
pub mod io;
pub mod memory;
pub mod scheduling;
pub mod time;

use crate::peer::Peer;
use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

/// Counts tasks down and fires a oneshot at zero. Lives as long as the process, so that a task carries one pointer.
struct Latch<P: Peer> {
    left: AtomicUsize,
    fuse: Mutex<Option<P::OneSender<()>>>,
}

impl<P: Peer> Latch<P> {
    fn new() -> &'static Self {
        Box::leak(Box::new(Self { left: AtomicUsize::new(0), fuse: Mutex::new(None) }))
    }

    /// Readies the latch for `count` tasks. Nobody may be counting.
    fn arm(&self, count: usize) -> P::OneReceiver<()> {
        let (sender, receiver) = P::oneshot();
        *self.fuse.lock().unwrap() = Some(sender);
        let left = self.left.swap(count, Ordering::SeqCst);
        assert_eq!(left, 0, "the round before ended with all its tasks");
        receiver
    }

    /// One task is done.
    fn done(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            let sender = self.fuse.lock().unwrap().take().expect("armed once, fired once");
            P::fire(sender, ());
        }
    }
}

/// A number a load cannot foresee, the same in every peer and every run.
struct Lcg(u64);

impl Lcg {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
}

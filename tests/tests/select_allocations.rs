//! A select allocates nothing, whether it waits or not; counted on the thread that does it.

use gorust::{
    chan::{Receiver, Sender},
    prelude::*,
    select,
};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    future::Future,
    pin::{Pin, pin},
    task::{Poll, Waker},
};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: our caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: our caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut std::task::Context::from_waker(Waker::noop()))
}

/// A select that need not wait, one that waits, one that sends, and one that looks and goes on.
fn four_selects(
    (tx, rx): &(Sender<u64>, Receiver<u64>),
    (other, rx_other): &(Sender<u64>, Receiver<u64>),
    ctx: &Context,
) {
    let receive = || async {
        select! {
            v = rx.recv() => v,
            v = rx_other.recv() => v,
            _ = ctx.done() => None,
        }
    };
    tx.try_send(1).unwrap();
    assert_eq!(poll(pin!(receive())), Poll::Ready(Some(1)));
    let mut waits = pin!(receive());
    assert!(poll(waits.as_mut()).is_pending());
    tx.try_send(2).unwrap();
    assert_eq!(poll(waits), Poll::Ready(Some(2)));
    let mut sends = pin!(async {
        select! {
            r = other.send(3) => r.is_ok(),
            _ = rx.recv() => false,
            () = std::future::pending() => false,
        }
    });
    assert!(poll(sends.as_mut()).is_pending());
    assert_eq!(rx_other.try_recv(), Ok(3));
    assert_eq!(poll(sends), Poll::Ready(true));
    let looked = select! { v = rx.recv() => v, v = rx_other.recv() => v, default => Some(4) };
    assert_eq!(looked, Some(4));
}

#[test]
fn a_select_allocates_nothing() {
    let (ctx, _cancel) = Context::background().with_cancel();
    let (one, other) = (chan(1), chan(0));
    four_selects(&one, &other, &ctx);
    let before = ALLOCATIONS.get();
    (0..25_000).for_each(|_| four_selects(&one, &other, &ctx));
    assert_eq!(ALLOCATIONS.get() - before, 0);
}

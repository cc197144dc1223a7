//! What arming, cancelling, firing and waiting allocate in the steady state: nothing. Counted on the test's own thread,
//! where all of it happens: the test harness has a thread too, and allocates when it likes.

mod common;

use common::{Count, Driven, tcp_pair};
use gorust_reactor::clock::Instant;
use gorust_reactor::{Async, Backend, Wait, time::sleep, timer::Alarm};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    io::{Read, Write},
    task::Context,
    time::Duration,
};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is the system allocator's, with the caller's own arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(mut work: impl FnMut()) -> usize {
    // The first rounds fill buffers that stay.
    (0..10).for_each(|_| work());
    let before = ALLOCATIONS.get();
    (0..1_000).for_each(|_| work());
    ALLOCATIONS.get() - before
}

#[test]
fn the_steady_state_allocates_nothing() {
    let mut driven = Driven::new(Backend::Native);
    let count = Count::new();
    let deadline = Instant::now() + Duration::from_secs(3600);
    let armed = allocations(|| drop(Alarm::at(deadline, count.waker())));
    assert_eq!(armed, 0, "arm and cancel");
    let fired = allocations(|| {
        let mut sleep = sleep(Duration::from_nanos(1));
        assert!(count.poll(&mut sleep).is_pending());
        driven.turn(Wait::Until(None));
        assert!(count.poll(&mut sleep).is_ready());
    });
    assert_eq!(fired, 0, "arm, turn and fire");
    let (ours, mut theirs) = tcp_pair().unwrap();
    let ours = Async::new(ours).unwrap();
    let waker = count.waker();
    let mut buffer = [0; 16];
    let read = allocations(|| {
        let mut cx = Context::from_waker(&waker);
        while ours.poll_read_stream(&mut cx, 16, |mut io| io.read(&mut buffer)).is_ready() {}
        theirs.write_all(b"x").unwrap();
        driven.turn(Wait::Until(None));
    });
    assert_eq!(read, 0, "wait for a socket and read");
}

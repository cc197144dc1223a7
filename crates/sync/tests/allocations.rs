//! How often each operation allocates, counted exactly, on the thread that does it.

use gorust_sync::{Context, Mutex, WaitGroup, chan};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    future::Future,
    pin::{Pin, pin},
    task::{Poll, Waker},
    time::Duration,
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

fn count<R>(f: impl FnOnce() -> R) -> (usize, R) {
    let before = ALLOCATIONS.get();
    let result = f();
    (ALLOCATIONS.get() - before, result)
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut std::task::Context::from_waker(Waker::noop()))
}

fn ready<F: Future>(future: F) -> F::Output {
    match poll(pin!(future)) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

/// One message through the buffer, one granted to a receiver that waits, one from a sender that waits.
fn three_messages(tx: &chan::Sender<u64>, rx: &chan::Receiver<u64>) {
    if tx.capacity() != Some(0) {
        ready(tx.send(1)).unwrap();
        assert_eq!(ready(rx.recv()), Some(1));
    }
    let mut recv = pin!(rx.recv());
    assert!(poll(recv.as_mut()).is_pending());
    ready(tx.send(2)).unwrap();
    assert_eq!(poll(recv.as_mut()), Poll::Ready(Some(2)));
    while tx.try_send(3).is_ok() {}
    let mut send = pin!(tx.send(4));
    assert!(poll(send.as_mut()).is_pending());
    while rx.try_recv().is_ok() {}
    assert_eq!(poll(send.as_mut()), Poll::Ready(Ok(())));
}

#[test]
fn each_operation_allocates_as_often_as_said() {
    let (rendezvous, (tx, rx)) = count(|| chan(0));
    let (buffered, (buffered_tx, buffered_rx)) = count(|| chan(4));
    assert_eq!((rendezvous, buffered), (1, 2), "a channel, and its buffer");
    let (messages, ()) = count(|| {
        for _ in 0..100 {
            three_messages(&tx, &rx);
            three_messages(&buffered_tx, &buffered_rx);
        }
    });
    assert_eq!(messages, 0, "per message");

    let (group, wg) = count(WaitGroup::new);
    let (rounds, ()) = count(|| {
        for _ in 0..100 {
            let token = wg.token();
            let mut wait = pin!(wg.wait());
            assert!(poll(wait.as_mut()).is_pending());
            drop(token);
            assert!(poll(wait.as_mut()).is_ready());
        }
    });
    assert_eq!((group, rounds), (1, 0), "a wait group, and its rounds");

    let mutex = Mutex::new(0);
    let (uncontended, ()) = count(|| drop(ready(mutex.lock())));
    let contended = || {
        let guard = ready(mutex.lock());
        let mut waits = pin!(mutex.lock());
        assert!(poll(waits.as_mut()).is_pending());
        drop(guard);
        drop(poll(waits.as_mut()));
    };
    let (first_contended, ()) = count(contended);
    let (contended, ()) = count(contended);
    assert_eq!(
        (uncontended, first_contended, contended),
        (0, 1, 0),
        "a mutex: its queue, when it first has one"
    );

    let (parent, (ctx, _handle)) = count(|| Context::background().with_cancel());
    let (first_child, child) = count(|| ctx.with_cancel());
    drop(child);
    let (next_child, child) = count(|| ctx.with_cancel());
    let (waits, ()) = count(|| assert!(poll(pin!(child.0.done())).is_pending()));
    assert_eq!(
        (parent, first_child, next_child, waits),
        (1, 2, 1, 0),
        "a context: itself; a parent: its list"
    );
    let warm_up = ctx.with_timeout(Duration::from_secs(3_600));
    let (deadline, _timed) = count(|| ctx.with_timeout(Duration::from_secs(3_600)));
    assert_eq!(deadline, 2, "a context with a deadline: itself, and the alarm's waker");
    drop(warm_up);
}

//! How often each operation allocates, counted exactly, on the thread that does it.

use gorust_sync::{Barrier, Cond, Context, Mutex, Notify, RwLock, Semaphore, WaitGroup, chan};
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

    let (oneshot, ()) = count(|| {
        let (tx, rx) = chan::oneshot();
        let mut rx = pin!(rx);
        assert!(poll(rx.as_mut()).is_pending());
        tx.send(1).unwrap();
        assert_eq!(poll(rx.as_mut()), Poll::Ready(Ok(1)));
    });
    assert_eq!(oneshot, 1, "a oneshot, with what it waits in");

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
    let (background, _top) = count(Context::background);
    assert_eq!(background, 0, "the context at the top");

    let (others, ()) = count(|| {
        let (semaphore, notify, cond) = (Semaphore::new(1), Notify::new(), Cond::new());
        let barrier = Barrier::new(2);
        for _ in 0..100 {
            let permit = ready(semaphore.acquire(1)).unwrap();
            let mut waits = pin!(semaphore.acquire(1));
            assert!(poll(waits.as_mut()).is_pending());
            drop(permit);
            assert!(poll(waits.as_mut()).is_ready());
            let mut waits = pin!(notify.notified());
            assert!(poll(waits.as_mut()).is_pending());
            notify.notify_one();
            assert!(poll(waits.as_mut()).is_ready());
            let mut waits = pin!(cond.wait(mutex.try_lock().unwrap()));
            assert!(poll(waits.as_mut()).is_pending());
            cond.notify_all();
            assert!(poll(waits.as_mut()).is_ready());
            let mut waits = pin!(barrier.wait());
            assert!(poll(waits.as_mut()).is_pending());
            assert!(ready(barrier.wait()).is_leader());
            assert!(poll(waits.as_mut()).is_ready());
        }
    });
    assert_eq!(others, 0, "a semaphore, a notify, a cond, a barrier, and waiting for them");

    let lock = RwLock::new(0);
    let (uncontended, ()) = count(|| drop((ready(lock.read()), lock.try_read())));
    let (first_contended, ()) = count(|| {
        let guard = ready(lock.read());
        let mut waits = pin!(lock.write());
        assert!(poll(waits.as_mut()).is_pending());
        drop(guard);
        assert!(poll(waits.as_mut()).is_ready());
    });
    assert_eq!((uncontended, first_contended), (0, 1), "a read-write lock: its queue, when it first has one");
}

/// Two goroutines, one message in flight after another, polled in turn by hand as a worker would.
fn pass(capacity: Option<usize>, messages: u64) {
    let (tx, rx) = capacity.map_or_else(chan::unbounded, chan);
    let mut sender = pin!(async {
        for n in 0..messages {
            tx.send(n).await.unwrap();
            if capacity.is_none() && n % 7 == 0 {
                // Nothing else would stop it.
                gorust_scheduler::yield_now().await;
            }
        }
    });
    let mut receiver = pin!(async {
        for n in 0..messages {
            assert_eq!(rx.recv().await, Some(n));
        }
    });
    let mut is_sent = false;
    while poll(receiver.as_mut()).is_pending() {
        is_sent = is_sent || poll(sender.as_mut()).is_ready();
    }
}

#[test]
fn a_hundred_thousand_messages_allocate_nothing() {
    const MESSAGES: u64 = 100_000;
    let made = |capacity| count(|| pass(capacity, 100)).0;
    for capacity in [Some(0), Some(1), Some(128)] {
        let (allocations, ()) = count(|| pass(capacity, MESSAGES));
        assert_eq!(allocations, made(capacity), "capacity {capacity:?}: more than the channel itself");
    }
    let (allocations, ()) = count(|| pass(None, MESSAGES));
    assert_eq!((allocations, made(None)), (3, 3), "unbounded: itself, its chain, its first ring");
}

#[test]
fn a_burst_allocates_once_a_page() {
    let (tx, rx) = chan::unbounded();
    let (allocations, ()) = count(|| (0..100_000_u64).for_each(|n| tx.try_send(n).unwrap()));
    // 512 numbers a page, and the row of pages.
    assert!((196..240).contains(&allocations), "{allocations}");
    let (allocations, ()) = count(|| assert!((0..100_000).all(|n| rx.try_recv() == Ok(n))));
    assert_eq!(allocations, 0);
    // Up and down over the edge of a page or two, there is nothing to allocate.
    let (allocations, ()) = count(|| {
        for _ in 0..100 {
            (0..700_u64).for_each(|n| tx.try_send(n).unwrap());
            assert!((0..700).all(|n| rx.try_recv() == Ok(n)));
        }
    });
    assert!(allocations <= 2, "{allocations}");
}

#[test]
fn a_value_given_back_allocates_once() {
    let (tx, rx) = chan(1);
    let (allocations, ()) = count(|| {
        let mut recv = Box::pin(rx.recv());
        assert!(poll(recv.as_mut()).is_pending());
        tx.try_send(1).unwrap();
        drop(recv);
        assert_eq!(rx.try_recv(), Ok(1));
    });
    assert_eq!(allocations, 2, "the box of this test, and a place for the value");
}

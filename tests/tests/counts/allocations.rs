//! Allocations of each operation, as a goroutine sees them: on a runtime with one worker, whose thread's are counted.

use crate::{alone, run, runtime};
use gorust_scheduler::{go, yield_now};
use gorust_sync::{Context, Mutex, WaitGroup, chan};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    future::{Future, poll_fn},
    hint::black_box,
    pin::pin,
    sync::Arc,
    task::Poll,
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

const TIMES: usize = 1_000;

/// How often `TIMES` operations allocate, after as many that fill what is kept. Counted by thread; the least of some runs,
/// since on a busy machine a slice may end in one of them, and the goroutine go on in another thread, or in a longer
/// queue.
fn allocations<W, F>(work: W) -> usize
where
    W: Fn() -> F + Send + 'static,
    F: Future<Output = ()> + Send,
{
    let _alone = alone();
    run(&runtime(1), async move {
        work().await;
        let mut least = usize::MAX;
        for _ in 0..5 {
            let (thread, before) = (std::thread::current().id(), ALLOCATIONS.get());
            work().await;
            if std::thread::current().id() == thread {
                least = least.min(ALLOCATIONS.get() - before);
            }
        }
        least
    })
}

#[test]
fn a_goroutine_takes_one_allocation() {
    /// As many as a queue holds that has not grown: its memory is not what is counted here.
    const ALIVE: usize = 48;
    /// So many goroutines at a time, each of `N` bytes and more.
    async fn wave<const N: usize>() {
        let handles: [_; ALIVE] = std::array::from_fn(|i| {
            let bytes = [i as u8; N];
            go(async move { black_box(&bytes)[N - 1] })
        });
        for (i, handle) in handles.into_iter().enumerate() {
            assert_eq!(handle.await.unwrap(), i as u8);
        }
    }
    let _alone = alone();
    let (first, again) = run(&runtime(1), async {
        // The queue and the registry get what they keep from goroutines of another size.
        wave::<100>().await;
        let before = ALLOCATIONS.get();
        wave::<400>().await;
        let first = ALLOCATIONS.get();
        wave::<400>().await;
        (first - before, ALLOCATIONS.get() - first)
    });
    assert_eq!(first, ALIVE, "one each");
    assert_eq!(again, 0, "the memory of those that ended is used again");
}

#[test]
fn a_goroutine_that_follows_another_takes_no_allocation() {
    let count = allocations(|| async {
        for i in 0..TIMES {
            assert_eq!(go(async move { i }).await.unwrap(), i);
        }
    });
    assert_eq!(count, 0);
}

#[test]
fn a_message_takes_no_allocation() {
    for capacity in [0, 1, 16] {
        let (there, arrived) = chan(capacity);
        let (back, returned) = chan(capacity);
        let count = allocations(move || {
            let (there, arrived, back, returned) =
                (there.clone(), arrived.clone(), back.clone(), returned.clone());
            async move {
                let other = go(async move {
                    for _ in 0..TIMES {
                        back.send(arrived.recv().await.unwrap()).await.unwrap();
                    }
                });
                for i in 0..TIMES {
                    there.send(i).await.unwrap();
                    assert_eq!(returned.recv().await, Some(i));
                }
                other.await.unwrap();
            }
        });
        assert_eq!(count, 0, "capacity {capacity}");
    }
}

#[test]
fn a_channel_takes_one_allocation_and_one_for_its_buffer() {
    for (capacity, each) in [(0, 1), (1, 2), (128, 2)] {
        let count = allocations(move || async move {
            for _ in 0..TIMES {
                drop(black_box(chan::<u64>(capacity)));
            }
        });
        assert_eq!(count, each * TIMES, "capacity {capacity}");
    }
}

#[test]
fn a_message_through_an_unbounded_channel_takes_no_allocation() {
    let (sender, receiver) = chan::unbounded();
    let count = allocations(move || {
        let (sender, receiver) = (sender.clone(), receiver.clone());
        async move {
            for i in 0..TIMES {
                sender.send(i).await.unwrap();
                sender.send(i).await.unwrap();
                assert_eq!(receiver.recv().await, Some(i));
                assert_eq!(receiver.recv().await, Some(i));
            }
        }
    });
    assert_eq!(count, 0);
}

#[test]
fn a_oneshot_takes_one_allocation() {
    let count = allocations(|| async {
        for i in 0..TIMES {
            let (sender, receiver) = chan::oneshot();
            let waits = go(async move { receiver.await.unwrap() });
            yield_now().await;
            sender.send(i).unwrap();
            assert_eq!(waits.await.unwrap(), i);
        }
    });
    assert_eq!(count, TIMES);
}

#[test]
fn a_yield_and_a_sleep_take_no_allocation() {
    let count = allocations(|| async {
        for _ in 0..TIMES {
            yield_now().await;
            // Armed, and dropped.
            let mut long = pin!(gorust_reactor::time::sleep(Duration::from_secs(3_600)));
            poll_fn(|cx| {
                assert!(long.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            // Slept.
            gorust_reactor::time::sleep(Duration::from_nanos(1)).await;
        }
    });
    assert_eq!(count, 0);
}

#[test]
fn a_lock_takes_no_allocation() {
    let mutex = Arc::new(Mutex::new(0));
    let count = allocations(move || {
        let (mutex, other) = (mutex.clone(), mutex.clone());
        async move {
            let increments = |mutex: Arc<Mutex<usize>>| async move {
                for _ in 0..TIMES {
                    let mut number = mutex.lock().await;
                    // The other one comes to wait.
                    yield_now().await;
                    *number += 1;
                }
            };
            let other = go(increments(other));
            increments(mutex).await;
            other.await.unwrap();
        }
    });
    assert_eq!(count, 0);
}

#[test]
fn a_wait_group_takes_one_allocation() {
    let count = allocations(|| async {
        for _ in 0..TIMES {
            let group = WaitGroup::new();
            group.go(async {});
            group.go(async {});
            group.wait().await;
        }
    });
    assert_eq!(count, TIMES);
}

#[test]
fn a_context_takes_one_allocation_and_one_to_wake_those_who_wait() {
    for waiting in [false, true] {
        let (parent, _cancel) = Context::background().with_cancel();
        let count = allocations(move || {
            let parent = parent.clone();
            async move {
                for _ in 0..TIMES {
                    let (child, cancel) = parent.with_cancel();
                    let waits = waiting.then(|| go(async move { child.done().await }));
                    // Twice, since who has run often in a row is put behind.
                    yield_now().await;
                    yield_now().await;
                    cancel.cancel();
                    if let Some(waits) = waits {
                        waits.await.unwrap();
                    }
                }
            }
        });
        assert_eq!(count, TIMES * (1 + usize::from(waiting)));
    }
}

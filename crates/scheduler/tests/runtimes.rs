//! Runtimes that begin and end: what is refused, what is dropped, and what late wakers find.

use gorust_scheduler::{
    block_on, go,
    runtime::{Builder, Runtime},
    yield_now,
};
use std::{
    future::{pending, poll_fn},
    io::ErrorKind,
    sync::{Arc, Mutex, Weak, mpsc::channel},
    task::{Poll, Waker},
    thread,
    time::Duration,
};

const LONG: Duration = Duration::from_secs(20);

#[test]
fn bad_values_are_named() {
    let text = |builder: Builder| {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        error.to_string()
    };
    assert_eq!(text(Builder::new().workers(0)), "workers is 0; it must be from 1 to 256");
    assert_eq!(text(Builder::new().workers(257)), "workers is 257; it must be from 1 to 256");
    assert_eq!(
        text(Builder::new().stack_size(12)),
        "stack_size is 12 bytes; it must be from 65536 (64 KiB) to 4294967296 (4 GiB)"
    );
    assert_eq!(
        text(Builder::new().thread_name("a\0b")),
        "thread_name is \"a\\0b\"; it must not contain a zero byte"
    );
    assert!(text(Builder::new().stack_size(usize::MAX)).starts_with("stack_size is 18446744073709551615"));
}

#[test]
fn drop_ends_goroutines_at_their_await_points() {
    for workers in [1, 2, 8] {
        let alive = Arc::new(());
        let runtime = Builder::new().workers(workers).build().unwrap();
        let handles: Vec<_> = (0..1_000)
            .map(|number| {
                let alive = Arc::clone(&alive);
                runtime.spawn(async move {
                    let _alive = alive;
                    if number % 3 == 0 {
                        loop {
                            yield_now().await;
                        }
                    }
                    pending::<()>().await;
                })
            })
            .collect();
        drop(runtime);
        for handle in handles {
            assert!(block_on(handle).unwrap_err().is_canceled());
        }
        // The canceled handle says that the future is gone, whoever dropped it.
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}

#[test]
fn drop_inside_one_of_its_goroutines_neither_panics_nor_hangs() {
    let runtime = Builder::new().workers(2).build().unwrap();
    let (send, receive) = channel::<Runtime>();
    let (done, wait) = channel();
    drop(runtime.spawn(async move {
        drop(receive.recv().unwrap());
        done.send("dropped").unwrap();
        yield_now().await;
        done.send("never").unwrap();
    }));
    send.send(runtime).unwrap();
    assert_eq!(wait.recv_timeout(LONG), Ok("dropped"));
    assert!(wait.recv_timeout(LONG).is_err(), "it ended at its next await, and dropped the sender");
}

#[test]
fn drop_does_not_wait_for_a_poll_that_lasts() {
    let runtime = Builder::new().workers(1).build().unwrap();
    let (started, wait) = channel();
    let (release, held) = channel::<()>();
    let (gone, end) = channel::<()>();
    drop(runtime.spawn(async move {
        let _gone = gone;
        started.send(()).unwrap();
        held.recv().unwrap();
        pending::<()>().await;
    }));
    wait.recv_timeout(LONG).unwrap();
    drop(runtime); // returns while the poll lasts
    release.send(()).unwrap();
    assert!(end.recv_timeout(LONG).is_err(), "dropped by its thread after the poll");
}

#[test]
fn goroutines_in_a_cycle_are_dropped() {
    struct Node(Mutex<Vec<Arc<Node>>>);
    let runtime = Builder::new().workers(2).build().unwrap();
    let (a, b) = (Arc::new(Node(Mutex::default())), Arc::new(Node(Mutex::default())));
    a.0.lock().unwrap().push(Arc::clone(&b));
    let weak: Weak<Node> = Arc::downgrade(&b);
    let handle_of_itself = Arc::new(Mutex::new(None));
    let handle = runtime.spawn({
        let (own, a) = (Arc::clone(&handle_of_itself), a);
        async move {
            let _keeps = (own, a);
            pending::<()>().await;
        }
    });
    *handle_of_itself.lock().unwrap() = Some(handle);
    drop((b, handle_of_itself));
    drop(runtime);
    // It may be in its first poll, and is then dropped by the thread that polls it.
    let mut looks = 0;
    while weak.upgrade().is_some() {
        looks += 1;
        assert!(looks < 10_000_000, "the cycle is still there");
        std::thread::yield_now();
    }
}

#[test]
fn go_while_closing_resolves_to_canceled() {
    struct SpawnsOnDrop(std::sync::mpsc::Sender<bool>);
    impl Drop for SpawnsOnDrop {
        fn drop(&mut self) {
            // On the runtime that is closing, if this thread belongs to it.
            let handle = gorust_scheduler::runtime::Handle::try_current();
            if let Some(handle) = handle {
                let spawned = handle.spawn(async { 1 });
                let _ = self.0.send(block_on(spawned).is_err_and(|error| error.is_canceled()));
            }
        }
    }
    let runtime = Builder::new().workers(1).build().unwrap();
    let (sender, canceled) = channel();
    let guard = SpawnsOnDrop(sender);
    drop(runtime.spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    }));
    let handle = runtime.handle();
    let _entered = handle.enter();
    drop(runtime);
    assert_eq!(canceled.recv_timeout(LONG), Ok(true));
}

/// A waker stolen from a goroutine of `runtime`, which keeps waiting.
fn steal_waker(runtime: &Runtime) -> Waker {
    let (sender, receiver) = channel();
    drop(runtime.spawn(poll_fn(move |cx| {
        let _ = sender.send(cx.waker().clone());
        Poll::<()>::Pending
    })));
    receiver.recv_timeout(LONG).unwrap()
}

#[test]
fn a_waker_outlives_its_runtime_and_the_next_ones() {
    let mut late = Vec::new();
    for _ in 0..50 {
        let runtime = Builder::new().workers(1).build().unwrap();
        late.push(steal_waker(&runtime));
        drop(runtime);
        // Wakes into memory that by now may be another runtime's.
        for waker in &late {
            waker.wake_by_ref();
            drop(waker.clone());
        }
    }
    let runtime = Builder::new().workers(1).build().unwrap();
    for waker in late {
        waker.wake();
    }
    assert_eq!(runtime.block_on(async { go(async { 1 }).await.unwrap() }), 1);
}

#[test]
fn wakers_race_the_end() {
    for round in 0..200 {
        let runtime = Builder::new().workers(1 + round % 3).build().unwrap();
        let wakers: Vec<_> = (0..8).map(|_| steal_waker(&runtime)).collect();
        let threads: Vec<_> = wakers
            .into_iter()
            .map(|waker| {
                thread::spawn(move || {
                    for _ in 0..100 {
                        waker.wake_by_ref();
                    }
                })
            })
            .collect();
        drop(runtime);
        for thread in threads {
            thread.join().unwrap();
        }
    }
}

#[test]
fn spawns_race_the_end() {
    for _ in 0..200 {
        let runtime = Builder::new().workers(2).build().unwrap();
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let handle = runtime.handle();
                thread::spawn(move || {
                    let handles: Vec<_> =
                        (0..50).map(|_| handle.spawn(async { yield_now().await })).collect();
                    for handle in handles {
                        // Done or canceled, but never left hanging.
                        let _ = block_on(handle);
                    }
                })
            })
            .collect();
        drop(runtime);
        for thread in threads {
            thread.join().unwrap();
        }
    }
}

#[test]
fn runtimes_that_come_and_go_leave_no_threads() {
    fn threads() -> usize {
        std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
    }
    let before = threads();
    for _ in 0..100 {
        let runtime = Builder::new().workers(4).build().unwrap();
        runtime.block_on(async { go(async {}).await.unwrap() });
    }
    // Threads end on their own time; other tests of this process have some too.
    for _ in 0..1_000 {
        if threads() <= before + 40 {
            return;
        }
        thread::yield_now();
        thread::park_timeout(Duration::from_millis(10));
    }
    panic!("{} threads, {before} before", threads());
}

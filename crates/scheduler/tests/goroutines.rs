//! What a goroutine promises: its result, its end by abort or panic, who runs when, from which thread.

use gorust_scheduler::{
    AbortOnDrop, block_on, go,
    runtime::{Builder, Handle, Runtime, num_goroutines},
    task, yield_now,
};
use std::{
    future::{pending, poll_fn},
    sync::{
        Arc, Barrier, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    task::{Poll, Waker},
    thread,
    time::Duration,
};

/// Says when it is dropped.
struct Drops(Sender<&'static str>, &'static str);

impl Drop for Drops {
    fn drop(&mut self) {
        let _ = self.0.send(self.1);
    }
}

fn drops() -> (impl Fn(&'static str) -> Drops, Receiver<&'static str>) {
    let (sender, receiver) = channel();
    (move |name| Drops(sender.clone(), name), receiver)
}

fn isolated(workers: usize) -> Runtime {
    Builder::new().workers(workers).panic_policy(gorust_scheduler::PanicPolicy::Isolate).build().unwrap()
}

#[test]
fn a_handle_gives_the_result_before_and_after_the_end() {
    block_on(async {
        assert_eq!(go(async { 1 }).await.unwrap(), 1);
        let mut late = go(async { 2 });
        while !late.is_finished() {
            yield_now().await;
        }
        assert_eq!((&mut late).await.unwrap(), 2);
    });
}

#[test]
fn goroutines_run_on_one_worker_and_on_many() {
    for workers in [1, 2, 8] {
        let runtime = Builder::new().workers(workers).build().unwrap();
        let sum = runtime.block_on(async {
            let handles: Vec<_> = (0..10_000_u64)
                .map(|number| {
                    go(async move {
                        for _ in 0..number % 4 {
                            yield_now().await;
                        }
                        number
                    })
                })
                .collect();
            let mut sum = 0;
            for handle in handles {
                sum += handle.await.unwrap();
            }
            sum
        });
        assert_eq!(sum, 49_995_000);
        assert_eq!(runtime.block_on(async { num_goroutines() }), 0);
    }
}

#[test]
fn go_works_on_a_plain_thread() {
    let handle = thread::spawn(|| go(async { task::id() })).join().unwrap();
    assert_ne!(block_on(handle).unwrap(), 0);
}

#[test]
fn spawn_of_a_spawn_knows_its_runtime() {
    let runtime = Builder::new().workers(1).thread_name("inner").build().unwrap();
    let name =
        runtime.spawn(async { go(async { thread::current().name().map(str::to_owned) }).await.unwrap() });
    assert!(block_on(name).unwrap().unwrap().starts_with("inner-"));
    let _entered = runtime.enter();
    let name = go(async { thread::current().name().map(str::to_owned) });
    assert!(block_on(name).unwrap().unwrap().starts_with("inner-"));
}

#[test]
fn another_runtime_entered_on_a_worker_is_the_current_one_there() {
    let outer = Builder::new().workers(1).thread_name("outer").build().unwrap();
    let inner = Builder::new().workers(1).thread_name("inner").build().unwrap();
    let handle = inner.handle();
    let names = outer.spawn(async move {
        let name = || async { thread::current().name().unwrap_or("").to_owned() };
        let there = handle.block_on(async { go(name()).await.unwrap() });
        (there, go(name()).await.unwrap())
    });
    let (there, here) = block_on(names).unwrap();
    assert!(there.starts_with("inner-") && here.starts_with("outer-"), "{there} {here}");
}

#[test]
fn abort_drops_a_goroutine_that_waits() {
    let (drops, dropped) = drops();
    let guard = drops("future");
    let handle = go(async move {
        let _guard = guard;
        pending::<()>().await;
    });
    // Give it the time to wait, or not: both must end it.
    for wait in [true, false] {
        let handle = go(pending::<()>());
        if wait {
            thread::yield_now();
        }
        handle.abort();
        assert!(block_on(handle).unwrap_err().is_canceled());
    }
    handle.abort();
    assert!(block_on(handle).unwrap_err().is_canceled());
    assert_eq!(dropped.recv_timeout(Duration::from_secs(10)), Ok("future"));
}

#[test]
fn abort_before_the_first_poll_never_polls() {
    let runtime = Builder::new().workers(1).build().unwrap();
    let polled = Arc::new(Mutex::new(false));
    let handle = runtime.spawn({
        let polled = Arc::clone(&polled);
        async move {
            // On the only worker: the child cannot run before it is aborted.
            let child = go(async move { *polled.lock().unwrap() = true });
            child.abort();
            child.await
        }
    });
    assert!(block_on(handle).unwrap().unwrap_err().is_canceled());
    assert!(!*polled.lock().unwrap());
}

#[test]
fn abort_of_itself_ends_at_the_next_await() {
    let (sender, receiver) = channel();
    let (abort, own) = channel::<gorust_scheduler::AbortHandle>();
    let handle = go(async move {
        let own = own.recv().unwrap();
        own.abort();
        sender.send("still running").unwrap();
        yield_now().await;
        sender.send("never").unwrap();
    });
    abort.send(handle.abort_handle()).unwrap();
    assert!(block_on(handle).unwrap_err().is_canceled());
    assert_eq!(receiver.iter().collect::<Vec<_>>(), ["still running"]);
}

#[test]
fn abort_after_the_end_changes_nothing() {
    let mut handle = go(async { 5 });
    let abort = handle.abort_handle();
    while !handle.is_finished() {
        thread::yield_now();
    }
    abort.abort();
    assert_eq!(block_on(&mut handle).unwrap(), 5);
    assert_eq!(abort.id(), handle.id());
}

#[test]
fn abort_on_drop_aborts() {
    let (drops, dropped) = drops();
    let guard = drops("gone");
    let handle: AbortOnDrop<()> = go(async move {
        let _guard = guard;
        pending().await
    })
    .abort_on_drop();
    drop(handle);
    assert_eq!(dropped.recv_timeout(Duration::from_secs(10)), Ok("gone"));
}

#[test]
fn a_detached_goroutine_goes_on_and_its_output_is_dropped() {
    let (drops, dropped) = drops();
    let output = drops("output");
    let (start, started) = channel::<()>();
    drop(go(async move {
        started.recv().unwrap();
        output
    }));
    start.send(()).unwrap();
    assert_eq!(dropped.recv_timeout(Duration::from_secs(10)), Ok("output"));
}

#[test]
fn an_unread_output_is_dropped_with_the_handle() {
    let (drops, dropped) = drops();
    let output = drops("output");
    let handle = go(async move { output });
    while !handle.is_finished() {
        thread::yield_now();
    }
    assert!(dropped.try_recv().is_err());
    drop(handle);
    assert_eq!(dropped.try_recv(), Ok("output"));
}

#[test]
fn a_handle_dropped_while_it_waits_drops_the_waker() {
    struct Noted(Sender<&'static str>);
    impl std::task::Wake for Noted {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for Noted {
        fn drop(&mut self) {
            let _ = self.0.send("waker");
        }
    }
    let (sender, dropped) = channel();
    let waker = Waker::from(Arc::new(Noted(sender)));
    let mut handle = go(pending::<()>());
    let abort = handle.abort_handle();
    let polled = std::pin::Pin::new(&mut handle).poll(&mut std::task::Context::from_waker(&waker));
    assert!(polled.is_pending());
    drop(waker);
    assert!(dropped.try_recv().is_err(), "the handle holds a clone");
    drop(handle);
    assert_eq!(dropped.try_recv(), Ok("waker"));
    abort.abort();
}

#[test]
fn a_panic_comes_out_of_the_handle() {
    let runtime = isolated(1);
    let error = block_on(runtime.spawn(async {
        if true {
            panic!("number {}", std::hint::black_box(7))
        }
    }))
    .unwrap_err();
    assert!(error.is_panic() && !error.is_canceled());
    assert!(error.to_string().ends_with("panicked: number 7"), "{error}");
    assert_eq!(*error.into_panic().downcast::<String>().unwrap(), "number 7");
    // The worker has survived.
    assert_eq!(block_on(runtime.spawn(async { 1 })).unwrap(), 1);
}

#[test]
fn a_panic_in_a_destructor_is_a_panic_of_the_goroutine() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("bomb");
        }
    }
    let runtime = isolated(1);
    // In the future, dropped after it was ready.
    let bomb = Bomb;
    let mut armed = Some(bomb);
    let handle = runtime.spawn(poll_fn(move |_| {
        let _ = &mut armed;
        Poll::Ready(3)
    }));
    assert!(block_on(handle).unwrap_err().is_panic());
    // In the future, dropped by an abort.
    let bomb = Bomb;
    let handle = runtime.spawn(async move {
        let _bomb = bomb;
        pending::<()>().await;
    });
    handle.abort();
    assert!(block_on(handle).unwrap_err().is_panic());
    // In an output that nobody reads.
    let (done, wait) = channel::<()>();
    drop(runtime.spawn(async move {
        wait.recv().unwrap();
        Bomb
    }));
    done.send(()).unwrap();
    assert_eq!(block_on(runtime.spawn(async { 1 })).unwrap(), 1);
}

#[test]
fn the_last_waker_of_a_waiting_goroutine_may_go_and_the_goroutine_stays() {
    let (drops, dropped) = drops();
    let guard = drops("guard");
    let runtime = Builder::new().workers(1).build().unwrap();
    drop(runtime.spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    }));
    for _ in 0..100 {
        runtime.block_on(async { go(async {}).await.unwrap() });
    }
    assert!(dropped.try_recv().is_err(), "nobody can wake it, and it waits for ever, as Go's would");
    assert_eq!(runtime.block_on(async { num_goroutines() }), 1);
    drop(runtime);
    assert_eq!(dropped.try_recv(), Ok("guard"));
}

#[test]
fn yield_now_lets_the_others_run_first() {
    let runtime = Builder::new().workers(1).build().unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let note = |name: &'static str| {
        let order = Arc::clone(&order);
        move || order.lock().unwrap().push(name)
    };
    let (first, second, third, end) = (note("yields"), note("a"), note("b"), note("after"));
    block_on(runtime.spawn(async move {
        let a = go(async move { second() });
        let b = go(async move { third() });
        first();
        yield_now().await;
        end();
        a.await.unwrap();
        b.await.unwrap();
    }))
    .unwrap();
    let order = order.lock().unwrap();
    assert_eq!((order[0], order[3]), ("yields", "after"), "{order:?}");
}

#[test]
fn a_pair_that_wakes_each_other_does_not_starve_a_third() {
    let runtime = Builder::new().workers(1).build().unwrap();
    let finished = runtime.spawn(async {
        let cells = Arc::new(Mutex::new([None::<Waker>, None]));
        let player = |me: usize| {
            let cells = Arc::clone(&cells);
            go(poll_fn(move |cx| {
                let other = {
                    let mut cells = cells.lock().unwrap();
                    cells[me] = Some(cx.waker().clone());
                    cells[1 - me].take()
                };
                if let Some(other) = other {
                    other.wake();
                }
                Poll::<()>::Pending
            }))
        };
        let (one, two) = (player(0), player(1));
        let third = go(async {
            for _ in 0..100 {
                yield_now().await;
            }
        });
        third.await.unwrap();
        one.abort();
        two.abort();
    });
    block_on(finished).unwrap();
}

#[test]
fn block_on_inside_a_goroutine_stalls_nobody() {
    for workers in [1, 2] {
        let runtime = Builder::new().workers(workers).build().unwrap();
        let nested = runtime.spawn(async {
            // Deeper than there are workers: each level waits for a goroutine that needs a worker.
            fn level(depth: u32) -> u32 {
                if depth == 0 { 0 } else { block_on(go(async move { level(depth - 1) })).unwrap() + 1 }
            }
            level(10)
        });
        assert_eq!(block_on(nested).unwrap(), 10);
        // And the places are all there again: as many goroutines run at once as there are workers.
        let barrier = Arc::new(Barrier::new(workers));
        let together: Vec<_> = (0..workers)
            .map(|_| {
                let barrier = Arc::clone(&barrier);
                runtime.spawn(async move {
                    barrier.wait();
                })
            })
            .collect();
        for handle in together {
            block_on(handle).unwrap();
        }
    }
}

#[test]
fn block_on_inside_block_on_keeps_their_wake_ups_apart() {
    let outcome = block_on(async {
        let handle = go(async { 1 });
        let inner = block_on(async { go(async { 2 }).await.unwrap() });
        inner + handle.await.unwrap()
    });
    assert_eq!(outcome, 3);
}

#[test]
fn foreign_executors_may_spawn_and_join() {
    let sum = futures::executor::block_on(async {
        let mut sum = 0;
        for number in 0..100 {
            sum += go(async move {
                yield_now().await;
                number
            })
            .await
            .unwrap();
        }
        sum
    });
    assert_eq!(sum, 4950);
}

#[test]
fn a_forced_yield_comes_back() {
    use gorust_primitives::current::{BUDGET, poll_proceed};
    let runtime = Builder::new().workers(1).build().unwrap();
    let polls = runtime.spawn(async {
        let (mut polls, mut operations) = (0_u32, 0_u32);
        poll_fn(|cx| {
            polls += 1;
            while operations < 3 * BUDGET {
                if poll_proceed(cx).is_pending() {
                    return Poll::Pending;
                }
                operations += 1;
            }
            Poll::Ready(polls)
        })
        .await
    });
    // One forced yield a poll, and after it no limit for the rest of that poll; so each poll adds one budget.
    assert_eq!(block_on(polls).unwrap(), 3);
}

#[test]
fn ids_and_parents_are_told_apart() {
    let ids = block_on(go(async {
        let here = task::id();
        let child = go(async { task::id() });
        let handle_id = child.id();
        (here, handle_id, child.await.unwrap())
    }))
    .unwrap();
    assert_ne!(ids.0, ids.1);
    assert_eq!(ids.1, ids.2);
}

#[test]
fn a_handle_spawns_futures_objects() {
    use futures::task::SpawnExt;
    let runtime = Builder::new().workers(1).build().unwrap();
    let handle: Handle = runtime.handle();
    let remote = handle.spawn_with_handle(async { 9 }).unwrap();
    assert_eq!(block_on(remote), 9);
    drop(runtime);
    assert!(handle.spawn(async {}).is_finished());
    assert!(SpawnExt::spawn(&handle, async {}).is_err());
}

#[test]
fn spawns_from_outside_run_beside_goroutines_that_are_always_ready() {
    let runtime = Builder::new().workers(1).build().unwrap();
    let spinner = runtime.spawn(async {
        loop {
            yield_now().await;
        }
    });
    // At one a look at the reactor, every 100 us, this would take ten seconds.
    let begin = std::time::SystemTime::now();
    let handles: Vec<_> = (0..100_000).map(|number| runtime.spawn(async move { number })).collect();
    let sum: u64 = handles.into_iter().map(|handle| block_on(handle).unwrap()).sum();
    assert_eq!(sum, 4_999_950_000);
    assert!(begin.elapsed().unwrap() < Duration::from_secs(9));
    spinner.abort();
}

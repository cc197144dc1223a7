//! What users can do to a runtime without meaning well: destructors that wake, block, spawn and panic, wakers that do
//! the same, guards that are kept too long.

use gorust_reactor::{clock::Instant, time::sleep};
use gorust_scheduler::{
    PanicPolicy, block_on, go,
    runtime::{Builder, EnterGuard, Handle},
    yield_now,
};
use std::{
    cell::RefCell,
    collections::HashSet,
    future::{Future, pending, poll_fn},
    sync::{
        Arc, Mutex,
        mpsc::{Sender, channel},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

const LONG: Duration = Duration::from_secs(20);
const FAR: Duration = Duration::from_secs(100_000);

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Polls a sleep once with `waker`, in the runtime of `handle`.
fn arm(handle: &Handle, duration: Duration, waker: &Waker) -> impl Future<Output = ()> + use<> {
    let _entered = handle.enter();
    let mut sleep = Box::pin(sleep(duration));
    assert!(sleep.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
    sleep
}

/// Go's daisy chain, dropped with its runtime: each goroutine wakes its neighbour as it goes.
#[test]
fn a_chain_of_destructors_that_wake_is_no_recursion() {
    const LINKS: usize = 100_000;
    type Wakers = Arc<Vec<Mutex<Option<Waker>>>>;
    struct WakesNext(Wakers, usize);
    impl Drop for WakesNext {
        fn drop(&mut self) {
            let next = self.0[self.1 + 1].lock().unwrap().take();
            next.into_iter().for_each(Waker::wake);
        }
    }
    let runtime = Builder::new().workers(2).build().unwrap();
    let wakers: Wakers = Arc::new((0..=LINKS).map(|_| Mutex::new(None)).collect());
    for link in 0..LINKS {
        let wakers = Arc::clone(&wakers);
        drop(runtime.spawn(async move {
            let _wakes = WakesNext(Arc::clone(&wakers), link);
            poll_fn(|cx| {
                *wakers[link].lock().unwrap() = Some(cx.waker().clone());
                Poll::<()>::Pending
            })
            .await;
        }));
    }
    while wakers[..LINKS].iter().any(|waker| waker.lock().unwrap().is_none()) {
        thread::yield_now();
    }
    drop(runtime);
}

#[test]
fn a_waker_that_panics_takes_no_other_wake_up_along() {
    struct Bomb;
    impl Wake for Bomb {
        fn wake(self: Arc<Self>) {
            panic!("a waker's bomb");
        }
    }
    struct Note(Sender<()>);
    impl Wake for Note {
        fn wake(self: Arc<Self>) {
            let _ = self.0.send(());
        }
    }
    let runtime = Builder::new().workers(1).build().unwrap();
    let (sender, woken) = channel();
    let _bomb = arm(&runtime.handle(), FAR, &Waker::from(Arc::new(Bomb)));
    let _note = arm(&runtime.handle(), FAR, &Waker::from(Arc::new(Note(sender))));
    drop(runtime);
    assert!(woken.recv_timeout(LONG).is_ok());
}

#[test]
fn a_payload_that_panics_when_it_is_dropped_ends_no_worker() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !thread::panicking() {
                panic!("a payload's bomb");
            }
        }
    }
    struct ThrowsIt;
    impl Drop for ThrowsIt {
        fn drop(&mut self) {
            std::panic::panic_any(Bomb);
        }
    }
    let runtime = Builder::new().workers(1).panic_policy(PanicPolicy::Isolate).build().unwrap();
    let handle = runtime.spawn(async {
        let _throws = ThrowsIt;
        pending::<()>().await;
    });
    handle.abort();
    drop(handle);
    assert_eq!(block_on(runtime.spawn(async { 1 })).unwrap(), 1);
}

#[test]
fn guards_dropped_out_of_order_leave_a_worker_a_worker() {
    let mine = Builder::new().workers(1).thread_name("mine").build().unwrap();
    let other = Builder::new().workers(1).thread_name("other").build().unwrap();
    let handle = other.handle();
    let name = block_on(mine.spawn(async move {
        let (first, second) = (handle.enter(), handle.enter());
        drop(first);
        drop(second);
    }));
    name.unwrap();
    let name =
        mine.spawn(async { go(async { thread::current().name().unwrap().to_owned() }).await.unwrap() });
    assert!(block_on(name).unwrap().starts_with("mine-"));
}

#[test]
fn a_guard_may_outlive_the_worker_it_was_made_on() {
    struct Late(Option<EnterGuard<'static>>, Sender<bool>);
    impl Drop for Late {
        fn drop(&mut self) {
            drop(self.0.take());
            let spawned = go(async { 1 });
            let _ = self.1.send(Handle::try_current().is_some() && block_on(spawned).is_ok());
        }
    }
    thread_local! {
        static LATE: RefCell<Option<Late>> = const { RefCell::new(None) };
    }
    let runtime = Builder::new().workers(1).build().unwrap();
    let handle: &'static Handle = Box::leak(Box::new(runtime.handle()));
    let (sender, late) = channel();
    block_on(runtime.spawn(async move {
        LATE.with(|slot| *slot.borrow_mut() = Some(Late(Some(handle.enter()), sender)));
    }))
    .unwrap();
    drop(runtime);
    // The destructor runs as the worker's thread ends; what it spawns goes to the global runtime.
    assert_eq!(late.recv_timeout(LONG), Ok(true));
}

#[test]
fn a_waker_that_blocks_does_not_stop_the_runtime() {
    struct Blocks;
    impl Wake for Blocks {
        fn wake(self: Arc<Self>) {
            // A goroutine that keeps the place's new holder busy for longer than this blocks.
            drop(go(async { thread::park_timeout(millis(300)) }));
            block_on(sleep(millis(100)));
        }
    }
    for workers in [1, 2] {
        let runtime = Builder::new().workers(workers).build().unwrap();
        let sleep = arm(&runtime.handle(), millis(20), &Waker::from(Arc::new(Blocks)));
        thread::park_timeout(millis(300));
        for _ in 0..3 {
            let (sender, ran) = channel();
            drop(runtime.spawn(async move { sender.send(()).unwrap() }));
            assert!(ran.recv_timeout(LONG).is_ok(), "{runtime:?}");
            thread::park_timeout(millis(100));
        }
        drop(sleep);
    }
}

#[test]
fn block_on_a_sleep_ends_though_its_runtime_has() {
    let runtime = Builder::new().workers(2).build().unwrap();
    let (sender, ended) = channel();
    let (started, start) = channel();
    drop(runtime.spawn(async move {
        started.send(()).unwrap();
        block_on(sleep(millis(200)));
        sender.send(()).unwrap();
    }));
    start.recv_timeout(LONG).unwrap();
    drop(runtime);
    assert!(ended.recv_timeout(LONG).is_ok());
}

#[test]
fn a_destructor_may_wait_for_a_sibling_that_sleeps() {
    struct Waits(Option<gorust_scheduler::JoinHandle<()>>);
    impl Drop for Waits {
        fn drop(&mut self) {
            if let Some(handle) = self.0.take() {
                let _ = block_on(handle);
            }
        }
    }
    let runtime = Builder::new().workers(1).build().unwrap();
    let (sender, receiver) = channel();
    drop(runtime.spawn(async move {
        let _waits = Waits(receiver.recv().ok());
        pending::<()>().await;
    }));
    sender.send(runtime.spawn(async { sleep(millis(300)).await })).unwrap();
    let (done, dropped) = channel();
    thread::spawn(move || {
        drop(runtime);
        done.send(()).unwrap();
    });
    assert!(dropped.recv_timeout(LONG).is_ok());
}

/// While one goroutine yields, its requeued self keeps the local queue from ever being empty; what a timer's goroutine
/// spawns meanwhile is surplus all the same, and the other worker gets some of it.
#[test]
fn work_queued_behind_one_that_yields_is_shared() {
    let runtime = Builder::new().workers(2).build().unwrap();
    let threads = runtime.spawn(async {
        let child = go(async {
            sleep(millis(20)).await;
            let spins: Vec<_> = (0..8)
                .map(|_| {
                    go(async {
                        let begin = Instant::now();
                        while begin.elapsed() < millis(60) {
                            std::hint::spin_loop();
                        }
                        thread::current().id()
                    })
                })
                .collect();
            let mut threads = HashSet::new();
            for spin in spins {
                threads.insert(spin.await.unwrap());
            }
            threads.len()
        });
        while !child.is_finished() {
            yield_now().await;
        }
        child.await.unwrap()
    });
    assert!(block_on(threads).unwrap() >= 2);
}

#[test]
fn a_busy_worker_fires_its_own_timers_while_another_sleeps_in_the_reactor() {
    let runtime = Builder::new().workers(2).build().unwrap();
    let took = runtime.spawn(async {
        let begin = Instant::now();
        let mut sleep = Box::pin(sleep(millis(5)));
        while poll_fn(|cx| Poll::Ready(sleep.as_mut().poll(cx).is_pending())).await {
            if begin.elapsed() > LONG {
                return false;
            }
            yield_now().await;
        }
        true
    });
    assert!(block_on(took).unwrap());
}

//! Goroutines that stay on one thread: who runs them, where they are dropped, and what other threads may do.

use gorust_scheduler::{block_on, go, local, runtime::Runtime, task, yield_now};
use std::{
    cell::{Cell, RefCell},
    future::{pending, poll_fn},
    rc::Rc,
    sync::{
        Arc, Mutex,
        mpsc::{Sender, channel},
    },
    task::{Context, Poll, Waker},
    thread::{self, ThreadId},
};

/// Tells on which thread it is dropped; not `Send`.
struct Stays(Sender<ThreadId>, #[expect(dead_code, reason = "it is not Send")] Rc<()>);

impl Drop for Stays {
    fn drop(&mut self) {
        self.0.send(thread::current().id()).unwrap();
    }
}

/// A future that keeps its waker in `slot` until there is something in `done`.
async fn woken_by(slot: Arc<Mutex<Option<Waker>>>, done: Arc<Mutex<bool>>) {
    poll_fn(|cx| {
        if *done.lock().unwrap() {
            return Poll::Ready(());
        }
        *slot.lock().unwrap() = Some(cx.waker().clone());
        Poll::Pending
    })
    .await;
}

#[test]
fn they_run_on_the_thread_that_awaits() {
    let here = thread::current().id();
    let order = Rc::new(RefCell::new(Vec::new()));
    block_on(local::run_until(async {
        let tasks: Vec<_> = (0..3)
            .map(|number| {
                let order = Rc::clone(&order);
                local::spawn(async move {
                    for round in 0..2 {
                        order.borrow_mut().push((round, number));
                        yield_now().await;
                    }
                    thread::current().id()
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), here);
        }
    }));
    assert_eq!(*order.borrow(), [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]);
}

#[test]
fn those_left_at_the_end_are_dropped_here() {
    let (sender, dropped) = channel();
    let alive = Rc::new(());
    let (handle,) = block_on(local::run_until(async {
        let waits = Stays(sender.clone(), Rc::clone(&alive));
        let handle = local::spawn(async move {
            let _waits = waits;
            pending::<()>().await;
        });
        let never_polled = Stays(sender.clone(), Rc::clone(&alive));
        yield_now().await;
        drop(local::spawn(async move { drop(never_polled) }));
        (handle,)
    }));
    let here = thread::current().id();
    assert_eq!([dropped.recv().unwrap(), dropped.recv().unwrap()], [here, here]);
    assert_eq!(Rc::strong_count(&alive), 1);
    assert!(block_on(handle).unwrap_err().is_canceled());
}

#[test]
fn wakes_and_aborts_come_from_other_threads() {
    for _ in 0..200 {
        let (slot, done) = (Arc::default(), Arc::new(Mutex::new(false)));
        let (sender, dropped) = channel();
        block_on(local::run_until(async {
            let stays = Stays(sender.clone(), Rc::new(()));
            let woken = local::spawn({
                let (slot, done) = (Arc::clone(&slot), Arc::clone(&done));
                async move {
                    let _stays = stays;
                    woken_by(slot, done).await;
                    thread::current().id()
                }
            });
            let stays = Stays(sender.clone(), Rc::new(()));
            let aborted = local::spawn(async move {
                let _stays = stays;
                pending::<()>().await;
            });
            let abort = aborted.abort_handle();
            let other = thread::spawn(move || {
                abort.abort();
                *done.lock().unwrap() = true;
                if let Some(waker) = slot.lock().unwrap().take() {
                    waker.wake();
                }
            });
            assert!(aborted.await.unwrap_err().is_canceled());
            assert_eq!(woken.await.unwrap(), thread::current().id());
            other.join().unwrap();
        }));
        let here = thread::current().id();
        assert_eq!([dropped.recv().unwrap(), dropped.recv().unwrap()], [here, here]);
    }
}

#[test]
fn a_wake_races_the_end() {
    let (sender, dropped) = channel();
    let here = thread::current().id();
    for _ in 0..300 {
        let wakers = Arc::new(Mutex::new(Vec::new()));
        let mut home = Box::pin(local::run_until({
            let (wakers, sender) = (Arc::clone(&wakers), sender.clone());
            async move {
                for _ in 0..8 {
                    let (wakers, stays) = (Arc::clone(&wakers), Stays(sender.clone(), Rc::new(())));
                    drop(local::spawn(async move {
                        let _stays = stays;
                        poll_fn::<(), _>(|cx| {
                            wakers.lock().unwrap().push(cx.waker().clone());
                            Poll::Pending
                        })
                        .await;
                    }));
                }
                pending::<()>().await;
            }
        }));
        assert!(home.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let wakers = std::mem::take(&mut *wakers.lock().unwrap());
        assert_eq!(wakers.len(), 8);
        let waker = thread::spawn(move || wakers.into_iter().for_each(Waker::wake));
        drop(home);
        for _ in 0..8 {
            assert_eq!(dropped.try_recv(), Ok(here), "dropped before the home is gone, and here");
        }
        waker.join().unwrap();
    }
}

#[test]
fn a_late_waker_finds_nothing() {
    let slot = Arc::new(Mutex::new(None));
    let (handle,) = block_on(local::run_until({
        let slot = Arc::clone(&slot);
        async move {
            let handle = local::spawn(woken_by(slot, Arc::default()));
            yield_now().await;
            (handle,)
        }
    }));
    slot.lock().unwrap().take().unwrap().wake();
    assert!(block_on(handle).unwrap_err().is_canceled());
}

#[test]
fn an_output_that_may_be_sent_is_awaited_elsewhere() {
    let (sender, handles) = channel();
    let elsewhere = thread::spawn(move || block_on(handles.recv().unwrap()));
    block_on(local::run_until(async move {
        let not_send = Rc::new(5);
        sender.send(local::spawn(async move { *not_send })).unwrap();
        // Gives it its turn.
        yield_now().await;
    }));
    let result: Result<i32, _> = elsewhere.join().unwrap();
    assert_eq!(result.unwrap(), 5);
}

#[test]
fn they_work_inside_a_goroutine_and_await_goroutines() {
    let runtime = Runtime::new().unwrap();
    let outer = runtime.spawn(async {
        block_on(local::run_until(async {
            let sum = Rc::new(Cell::new(0));
            let task = local::spawn({
                let sum = Rc::clone(&sum);
                async move {
                    for number in 0..10 {
                        sum.set(sum.get() + go(async move { number }).await.unwrap());
                    }
                }
            });
            task.await.unwrap();
            sum.get()
        }))
    });
    assert_eq!(runtime.block_on(outer).unwrap(), 45);
}

#[test]
fn foreign_executors_may_be_their_home() {
    let total = Rc::new(Cell::new(0));
    futures::executor::block_on(futures::future::join(
        local::run_until({
            let total = Rc::clone(&total);
            async move { local::spawn(async move { total.set(total.get() + 1) }).await.unwrap() }
        }),
        local::run_until({
            let total = Rc::clone(&total);
            async move {
                local::spawn(async move { total.set(total.get() + go(async { 2 }).await.unwrap()) })
                    .await
                    .unwrap()
            }
        }),
    ));
    assert_eq!(total.get(), 3);
}

#[test]
fn a_panic_comes_out_of_the_handle_and_the_others_go_on() {
    block_on(local::run_until(async {
        let panics = local::spawn(async { assert!(std::hint::black_box(false), "no luck") });
        let other = local::spawn(async { 1 });
        assert!(panics.await.unwrap_err().is_panic());
        assert_eq!(other.await.unwrap(), 1);
    }));
}

#[test]
#[should_panic = "needs a home"]
fn there_is_no_home_outside() {
    drop(local::spawn(async {}));
}

#[test]
fn homes_nest_and_keep_their_own() {
    block_on(local::run_until(async {
        let outer = local::spawn(async { task::id() });
        let inner = block_on(local::run_until(async { local::spawn(async { task::id() }).await.unwrap() }));
        assert_ne!(outer.await.unwrap(), inner);
        local::spawn(async {}).await.unwrap();
    }));
}

#[test]
fn one_that_is_always_ready_lets_the_executor_breathe() {
    let turns = block_on(local::run_until(async {
        drop(local::spawn(async {
            loop {
                yield_now().await;
            }
        }));
        let mut turns = 0;
        while turns < 1_000 {
            yield_now().await;
            turns += 1;
        }
        turns
    }));
    assert_eq!(turns, 1_000);
}

#[test]
fn completed_ones_are_forgotten() {
    block_on(local::run_until(async {
        for _ in 0..100_000 {
            local::spawn(async {}).await.unwrap();
        }
    }));
}

#[test]
fn a_destructor_may_spawn_at_the_end() {
    struct Spawns(Sender<bool>);
    impl Drop for Spawns {
        fn drop(&mut self) {
            let spawned = local::spawn(async {});
            self.0.send(block_on(spawned).unwrap_err().is_canceled()).unwrap();
        }
    }
    let (sender, canceled) = channel();
    block_on(local::run_until(async move {
        drop(local::spawn(async move {
            let _spawns = Spawns(sender);
            pending::<()>().await;
        }));
        yield_now().await;
    }));
    assert!(canceled.recv().unwrap());
}

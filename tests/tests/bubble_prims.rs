//! Locks, semaphores, groups and contexts in bubbles: where time matters it is virtual, and every program runs under many
//! schedules.

use gorust::{
    chan::chan,
    context::{Context, ContextError},
    go,
    sync::{
        Barrier, Cond, Flight, Group, Mutex, Notify, OnceCell, RwLock, RwLockWriteGuard, Semaphore, TaskSet,
        WaitGroup,
    },
    test::{Explorer, bubble},
    time::{Duration, Instant, sleep, timeout},
    yield_now,
};
use std::{
    cell::Cell,
    future::{Future, pending},
    pin::pin,
    sync::{
        Arc,
        // Std's: plain counters, on one thread.
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context as TaskContext, Waker},
};

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);

/// Runs a correct program under many seeds.
fn holds<F: Future>(make: impl FnMut() -> F) {
    if let Err(error) = Explorer::new().seeds(0, 200).run(make) {
        panic!("{error}");
    }
}

#[test]
fn permits_are_never_more_than_there_are_and_all_come_back() {
    holds(|| async {
        let (semaphore, held) = (Arc::new(Semaphore::new(3)), Arc::new(AtomicUsize::new(0)));
        let wg = WaitGroup::new();
        for id in 0..4 {
            let (semaphore, held) = (Arc::clone(&semaphore), Arc::clone(&held));
            wg.go(async move {
                for round in 0..3 {
                    let count = 1 + (id + round) % 3;
                    let Ok(permit) = timeout(2 * MILLI, semaphore.acquire(count)).await else { continue };
                    let _permit = permit.unwrap();
                    assert!(held.fetch_add(count, Relaxed) + count <= 3);
                    sleep(MILLI).await;
                    held.fetch_sub(count, Relaxed);
                }
            });
        }
        wg.wait().await;
        assert_eq!(semaphore.available(), 3);
        assert!(semaphore.try_acquire(3).is_ok());
    });
}

#[test]
fn readers_never_see_half_a_write_and_nobody_starves() {
    holds(|| async {
        let lock = Arc::new(RwLock::new((0, 0)));
        let wg = WaitGroup::new();
        let writes = Arc::new(AtomicUsize::new(0));
        for id in 0..5 {
            let (lock, writes) = (Arc::clone(&lock), Arc::clone(&writes));
            wg.go(async move {
                for round in 0..3 {
                    if (id + round) % 2 == 0 {
                        let Ok(mut pair) = timeout(3 * MILLI, lock.write()).await else { continue };
                        pair.0 += 1;
                        sleep(MILLI).await;
                        pair.1 += 1;
                        writes.fetch_add(1, Relaxed);
                        if round == 1 {
                            let pair = RwLockWriteGuard::downgrade(pair);
                            yield_now().await;
                            assert_eq!(pair.0, pair.1);
                        }
                    } else {
                        let Ok(pair) = timeout(3 * MILLI, lock.read()).await else { continue };
                        assert_eq!(pair.0, pair.1);
                        sleep(MILLI).await;
                    }
                }
            });
        }
        wg.wait().await;
        let pair = lock.try_write().expect("nobody has it or waits for it");
        assert_eq!((pair.0, pair.1), (writes.load(Relaxed), writes.load(Relaxed)));
    });
}

/// A reader waits, is set aside and is not polled again; the writer behind it waits a millisecond for it, no more.
#[test]
fn a_writer_waits_a_millisecond_for_a_reader_that_is_not_polled() {
    holds(|| async {
        let lock = RwLock::new(());
        let held = lock.write().await;
        let mut aside = Box::pin(lock.read());
        assert!(aside.as_mut().poll(&mut TaskContext::from_waker(Waker::noop())).is_pending());
        let writer = async {
            let start = Instant::now();
            drop(lock.write().await);
            start.elapsed()
        };
        let holder = async { drop(held) };
        let (waited, ()) = futures::join!(writer, holder);
        assert!(waited <= 2 * MILLI, "{waited:?}");
        drop(aside.await);
    });
}

#[test]
fn a_bounded_queue_of_mutex_and_cond_loses_nothing() {
    holds(|| async {
        let shared = Arc::new((Mutex::new(Vec::new()), Cond::new(), Cond::new()));
        let (wg, sum) = (WaitGroup::new(), Arc::new(AtomicUsize::new(0)));
        for _ in 0..2 {
            let put = Arc::clone(&shared);
            wg.go(async move {
                for item in 1..=3 {
                    let mut guard = put.1.wait_while(put.0.lock().await, |items| items.len() == 1).await;
                    guard.push(item);
                    drop(guard);
                    put.2.notify_one();
                }
            });
            let (take, sum) = (Arc::clone(&shared), Arc::clone(&sum));
            wg.go(async move {
                for _ in 0..3 {
                    // One that gives up while it may be notified must pass that on.
                    let gives_up = take.2.wait(take.0.lock().await);
                    let _ = timeout(Duration::from_nanos(1), gives_up).await;
                    let mut guard = take.2.wait_while(take.0.lock().await, |items| items.is_empty()).await;
                    sum.fetch_add(guard.pop().unwrap(), Relaxed);
                    drop(guard);
                    take.1.notify_one();
                }
            });
        }
        wg.wait().await;
        assert_eq!(sum.load(Relaxed), 12);
    });
}

#[test]
fn a_notification_is_not_lost_with_one_who_gives_up() {
    holds(|| async {
        let notify = Arc::new(Notify::new());
        let gives_up = {
            let notify = Arc::clone(&notify);
            go(async move { timeout(MILLI, notify.notified()).await.is_ok() })
        };
        let stays = {
            let notify = Arc::clone(&notify);
            go(async move { notify.notified().await })
        };
        sleep(MILLI).await;
        notify.notify_one();
        if gives_up.await.unwrap() {
            notify.notify_one();
        }
        stays.await.unwrap();
    });
}

#[test]
fn a_barrier_keeps_everybody_in_step() {
    holds(|| async {
        let (barrier, done) = (Arc::new(Barrier::new(3)), Arc::new(AtomicUsize::new(0)));
        let wg = WaitGroup::new();
        for id in 0..3_u32 {
            let (barrier, done) = (Arc::clone(&barrier), Arc::clone(&done));
            wg.go(async move {
                for round in 1..=3 {
                    sleep(id * MILLI).await;
                    done.fetch_add(1, Relaxed);
                    // One that goes has not come.
                    if timeout(MILLI / 2, barrier.wait()).await.is_err() {
                        barrier.wait().await;
                    }
                    assert!(done.load(Relaxed) >= 3 * round);
                }
            });
        }
        wg.wait().await;
    });
}

#[test]
fn the_next_one_makes_the_value_if_the_first_runs_out_of_time() {
    holds(|| async {
        let cell = Arc::new(OnceCell::new());
        let first = {
            let cell = Arc::clone(&cell);
            go(async move { timeout(SECOND, cell.get_or_init(pending())).await.is_ok() })
        };
        yield_now().await;
        let start = Instant::now();
        let value = *cell.get_or_init(async { 7 }).await;
        let first_saw_it = first.await.unwrap();
        assert_eq!((value, first_saw_it), (7, start.elapsed() < SECOND));
    });
}

#[test]
fn a_group_of_ten_with_a_limit_of_five_takes_twice_as_long_as_one() {
    holds(|| async {
        let start = Instant::now();
        let group = Group::<()>::new().limit(5);
        for _ in 0..10 {
            group.go(async {
                sleep(SECOND).await;
                Ok(())
            });
        }
        group.wait().await.unwrap();
        assert_eq!(start.elapsed(), 2 * SECOND);
    });
}

#[test]
fn the_first_error_ends_a_group_at_once() {
    holds(|| async {
        let start = Instant::now();
        let group = Group::new();
        for seconds in 1..=3 {
            group.go(async move {
                sleep(seconds * SECOND).await;
                Err(seconds)
            });
        }
        group.go(pending());
        assert_eq!((group.wait().await, start.elapsed()), (Err(1), SECOND));
    });
}

#[test]
fn a_group_that_times_out_leaves_nobody_behind() {
    holds(|| async {
        let running = Arc::new(());
        let work = async {
            let group = Group::<()>::new().limit(2);
            for _ in 0..5 {
                let running = Arc::clone(&running);
                group.go(async move {
                    sleep(60 * SECOND).await;
                    drop(running);
                    Ok(())
                });
            }
            group.wait().await
        };
        assert!(timeout(SECOND, work).await.is_err());
        // Aborted goroutines end when they are next polled.
        while Arc::strong_count(&running) > 1 {
            yield_now().await;
        }
    });
}

#[test]
fn results_come_in_the_order_of_time() {
    holds(|| async {
        let mut set = TaskSet::new();
        for seconds in [3, 1, 2] {
            set.go(async move {
                sleep(seconds * SECOND).await;
                seconds
            });
        }
        let order: Vec<_> = set.join_all().await.into_iter().map(Result::unwrap).collect();
        assert_eq!(order, [1, 2, 3]);
    });
}

#[test]
fn a_call_outlives_its_first_caller_and_ends_with_its_last() {
    holds(|| async {
        let flight = Flight::new();
        let slow = || async {
            sleep(2 * SECOND).await;
            7
        };
        let first = {
            let run = flight.run("key", slow());
            go(async move { timeout(SECOND, run).await.is_err() })
        };
        let second = go(flight.run("key", slow()));
        assert!(first.await.unwrap());
        assert_eq!(second.await.unwrap(), (7, true));
        assert!(timeout(SECOND, flight.run("key", slow())).await.is_err());
    });
}

#[test]
fn deadlines_causes_and_functions_are_on_time() {
    holds(|| async {
        let start = Instant::now();
        let hour = 3_600 * SECOND;
        let ctx = Context::background().with_timeout_cause(hour, "an hour is over");
        let (tx, rx) = chan(1);
        ctx.after_func(move || tx.try_send(Instant::now()).unwrap());
        let stopped = ctx.after_func(|| unreachable!());
        assert!(stopped.stop());
        let child = ctx.with_timeout(2 * hour);
        assert_eq!(child.run(pending::<()>()).await, Err(ContextError::DeadlineExceeded));
        assert_eq!((start.elapsed(), child.cause().unwrap().to_string()), (hour, "an hour is over".into()));
        assert!(rx.recv().await.unwrap() >= start + hour);
    });
}

/// Nothing moves by itself: a lock nobody has is taken without time passing.
#[test]
fn what_is_free_takes_no_time() {
    let took = bubble(1, async {
        let start = Instant::now();
        let (mutex, lock, semaphore) = (Mutex::new(()), RwLock::new(()), Semaphore::new(1));
        drop(mutex.lock().await);
        drop((lock.read().await, lock.read().await));
        drop(lock.write().await);
        drop(semaphore.acquire(1).await);
        let count = Cell::new(0);
        pin!(async { count.set(1) }).await;
        (start.elapsed(), count.get())
    });
    assert_eq!(took.unwrap(), (Duration::ZERO, 1));
}

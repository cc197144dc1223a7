//! Channels, wait groups, mutexes, contexts and timeouts in bubbles: unchanged, in virtual time, under many schedules.

use gorust::{
    chan::chan,
    context::{Context, ContextError},
    go,
    sync::{Mutex, WaitGroup},
    test::{BubbleError, ExploreError, Explorer, Strategy, advance, bubble, wait},
    time::{Duration, Instant, sleep, timeout},
};
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

const SECOND: Duration = Duration::from_secs(1);

/// Runs a correct program under many seeds.
fn holds<F: Future>(make: impl FnMut() -> F) {
    Explorer::new().seeds(0, 300).run(make).unwrap();
}

fn fails<F: Future>(strategy: Strategy, make: impl FnMut() -> F) -> Option<Box<gorust::test::Failure>> {
    match Explorer::new().seeds(0, 2_000).strategy(strategy).run(make) {
        Ok(_) => None,
        Err(ExploreError::Failed(failure)) => Some(failure),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn every_value_arrives_once_under_every_schedule() {
    for capacity in [0, 1, 3] {
        holds(|| async move {
            let (tx, rx) = chan(capacity);
            let wg = WaitGroup::new();
            for sender in 0..3 {
                let tx = tx.clone();
                wg.go(async move {
                    for n in 0..4 {
                        tx.send(sender * 4 + n).await.unwrap();
                    }
                });
            }
            drop(tx);
            let receivers: Vec<_> = (0..2)
                .map(|_| {
                    let rx = rx.clone();
                    go(async move {
                        let mut all = Vec::new();
                        while let Some(value) = rx.recv().await {
                            all.push(value);
                        }
                        all
                    })
                })
                .collect();
            wg.wait().await;
            let mut all = Vec::new();
            for receiver in receivers {
                all.extend(receiver.await.unwrap());
            }
            all.sort();
            assert_eq!(all, (0..12).collect::<Vec<_>>());
        });
    }
}

#[test]
fn a_mutex_excludes_under_every_schedule() {
    holds(|| async {
        let (wg, counter) = (WaitGroup::new(), Arc::new(Mutex::new(0)));
        for _ in 0..4 {
            let counter = Arc::clone(&counter);
            wg.go(async move {
                let mut counter = counter.lock().await;
                let read = *counter;
                sleep(SECOND).await;
                *counter = read + 1;
            });
        }
        let start = Instant::now();
        wg.wait().await;
        assert_eq!((*counter.lock().await, start.elapsed()), (4, 4 * SECOND));
    });
}

#[test]
fn a_mutex_gives_way_to_who_has_starved_in_virtual_time() {
    // A waiter that has waited a millisecond gets the lock from one who takes it again and again.
    bubble(3, async {
        let lock = Arc::new(Mutex::new(()));
        let greedy = Arc::clone(&lock);
        let taking = go(async move {
            for _ in 0..100 {
                let guard = greedy.lock().await;
                sleep(Duration::from_micros(500)).await;
                drop(guard);
            }
        });
        wait().await;
        let start = Instant::now();
        drop(lock.lock().await);
        assert!(start.elapsed() < Duration::from_millis(5), "{:?}", start.elapsed());
        taking.await.unwrap();
    })
    .unwrap();
}

#[test]
fn deadlines_of_contexts_come_in_virtual_time() {
    holds(|| async {
        let ctx = Context::background().with_timeout(3600 * SECOND);
        let (child, _handle) = ctx.with_cancel();
        let start = Instant::now();
        let worker = go(async move { child.run(std::future::pending::<()>()).await });
        advance(3599 * SECOND).await;
        assert!(ctx.err().is_none() && !worker.is_finished());
        advance(SECOND).await;
        assert_eq!(ctx.err(), Some(ContextError::DeadlineExceeded));
        assert_eq!(worker.await.unwrap(), Err(ContextError::DeadlineExceeded));
        assert_eq!(start.elapsed(), 3600 * SECOND);
    });
}

#[test]
fn a_value_in_time_and_a_value_too_late() {
    holds(|| async {
        let (tx, rx) = chan::<u32>(0);
        let receiver = go(async move {
            let in_time = timeout(5 * SECOND, rx.recv()).await;
            let late = timeout(5 * SECOND, rx.recv()).await;
            (in_time, late.is_err())
        });
        sleep(4 * SECOND).await;
        tx.send(1).await.unwrap();
        sleep(6 * SECOND).await;
        assert!(tx.send(2).await.is_err(), "nobody receives any more");
        assert_eq!(receiver.await.unwrap(), (Ok(Some(1)), true));
    });
}

#[test]
fn a_crossed_pair_of_locks_is_found_and_told() {
    let crossed = || async {
        let (a, b) = (Arc::new(Mutex::new(())), Arc::new(Mutex::new(())));
        let lock = |first: &Arc<Mutex<()>>, second: &Arc<Mutex<()>>| {
            let (first, second) = (Arc::clone(first), Arc::clone(second));
            async move {
                let _first = first.lock().await;
                let _second = second.lock().await;
            }
        };
        let (one, other) = (go(lock(&a, &b)), go(lock(&b, &a)));
        one.await.unwrap();
        other.await.unwrap();
    };
    assert!(fails(Strategy::Fifo, crossed).is_none(), "first come, first served never shows it");
    let found = fails(Strategy::Mixed, crossed).expect("an interruption shows it");
    println!("{found}\n{}", found.trace());
    let BubbleError::Deadlock(dump) = found.error() else { panic!("{found}") };
    let waiting: Vec<String> =
        dump.goroutines().iter().map(|goroutine| goroutine.reason.to_string()).collect();
    assert_eq!(waiting, ["join", "sync.Mutex.Lock", "sync.Mutex.Lock"]);
    assert!(found.schedule().len() <= 2, "{found}");
}

#[test]
fn a_missing_close_is_a_deadlock_that_names_the_receive() {
    let error = bubble(1, async {
        let (tx, rx) = chan::<u32>(1);
        let kept = tx.clone();
        go(async move {
            tx.send(1).await.unwrap();
        });
        let mut sum = 0;
        while let Some(value) = rx.recv().await {
            sum += value;
        }
        drop(kept);
        sum
    })
    .unwrap_err();
    let report = error.to_string();
    assert!(
        report.contains("goroutine 1 [chan receive]:\n  waiting at tests/tests/bubble_sync.rs:"),
        "{report}"
    );
}

#[test]
fn an_update_lost_across_a_lock_let_go_is_found_by_interruption_only() {
    let lost = || async {
        let (wg, account) = (WaitGroup::new(), Arc::new(Mutex::new(0)));
        for _ in 0..2 {
            let account = Arc::clone(&account);
            wg.go(async move {
                let balance = *account.lock().await;
                *account.lock().await = balance + 100; // what others did in between is lost
            });
        }
        wg.wait().await;
        assert_eq!(*account.lock().await, 200, "money is gone");
    };
    assert!(fails(Strategy::Fifo, lost).is_none());
    let found = fails(Strategy::Mixed, lost).expect("an interruption shows it");
    assert!(found.schedule().len() <= 2, "{found}");
    assert!(found.to_string().contains("money is gone"));
}

#[test]
fn waiting_before_adding_is_found() {
    let early = || async {
        let (wg, done) = (WaitGroup::new(), Arc::new(AtomicU32::new(0)));
        let (group, set) = (wg.clone(), Arc::clone(&done));
        let child = go(async move {
            group.add(1); // too late: it must be added before the goroutine starts
            set.store(1, Relaxed);
            group.done();
        });
        sleep(Duration::ZERO).await;
        wg.wait().await;
        assert_eq!(done.load(Relaxed), 1, "not waited for");
        child.await.unwrap();
    };
    assert!(fails(Strategy::Mixed, early).is_some());
}

#[test]
fn one_seed_one_trace_with_channels_and_locks() {
    let program = || async {
        let (tx, rx) = chan::<u32>(2);
        let (wg, total) = (WaitGroup::new(), Arc::new(Mutex::new(0)));
        for n in 0..5 {
            let (tx, total) = (tx.clone(), Arc::clone(&total));
            wg.go(async move {
                sleep(Duration::from_millis(10)).await;
                *total.lock().await += n;
                tx.send(n).await.unwrap();
            });
        }
        drop(tx);
        let mut order = Vec::new();
        while let Some(n) = rx.recv().await {
            order.push(n);
        }
        wg.wait().await;
        order
    };
    for seed in [6, 7] {
        let run = || {
            let (order, trace) = gorust::test::Bubble::new(seed).run_traced(program());
            (order.unwrap(), trace.to_string())
        };
        let first = run();
        for _ in 0..1_000 {
            assert_eq!(run(), first);
        }
    }
}

#[test]
fn a_small_channel_test_takes_little_time_a_seed() {
    let started = std::time::SystemTime::now();
    let seeds = if cfg!(debug_assertions) { 500 } else { 5_000 };
    Explorer::new()
        .seeds(0, seeds)
        .run(|| async {
            let (tx, rx) = chan(1);
            let sender = go(async move {
                for n in 0..10 {
                    tx.send(n).await.unwrap();
                }
            });
            let mut sum = 0;
            while let Some(n) = rx.recv().await {
                sum += n;
            }
            sender.await.unwrap();
            assert_eq!(sum, 45);
        })
        .unwrap();
    let took = started.elapsed().unwrap();
    println!("{seeds} seeds in {took:?}: {:.0} a second", seeds as f64 / took.as_secs_f64());
    // A release build makes tens of thousands a second; only a mistake makes it this slow.
    assert!(took < 60 * SECOND, "{took:?}");
}

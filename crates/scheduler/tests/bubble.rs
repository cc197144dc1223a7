//! Bubbles: who runs when, when time moves, how a bubble ends, and what is reported.

use gorust_primitives::current;
use gorust_reactor::time::{Duration, Instant, sleep, timeout};
use gorust_scheduler::{
    JoinHandle, block_on, blocking,
    bubble::{Bubble, BubbleError, Schedule, Step, Strategy, Then, advance, announce, bubble, seed, wait},
    go,
    runtime::{self, Handle},
    spawn_blocking, task, yield_now,
};
use std::{
    cell::Cell,
    future::{Future, pending, poll_fn},
    pin::pin,
    rc::Rc,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
        mpsc,
    },
    task::{Context, Poll, Waker},
    thread,
};

const SECOND: Duration = Duration::from_secs(1);

/// What several goroutines have done, in order.
#[derive(Clone, Default)]
struct Log<T>(Arc<Mutex<Vec<T>>>);

impl<T: Clone> Log<T> {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Vec::new())))
    }

    fn push(&self, item: T) {
        self.0.lock().unwrap().push(item);
    }

    fn all(&self) -> Vec<T> {
        self.0.lock().unwrap().clone()
    }
}

/// Sets its flag when it is dropped.
struct OnDrop(Arc<AtomicBool>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

// ---- What comes back, and how the thread is afterwards.

#[test]
fn the_result_is_the_futures() {
    assert_eq!(bubble(1, async { 6 * 7 }).unwrap(), 42);
}

#[test]
fn the_future_may_borrow_and_need_not_be_send() {
    let text = String::from("borrowed");
    let count = Rc::new(Cell::new(0));
    let length = bubble(1, async {
        for _ in 0..3 {
            yield_now().await;
            count.set(count.get() + 1);
        }
        text.len()
    });
    assert_eq!((length.unwrap(), count.get()), (8, 3));
}

#[test]
fn the_thread_is_as_before() {
    current::seed(11);
    let undisturbed = [current::random(), current::random()];
    current::seed(11);
    let first = current::random();
    for program in 0..4 {
        let ended = bubble(5, async move {
            let _ = current::random();
            match program {
                0 => {}
                1 => panic!("on purpose"),
                2 => pending().await,
                _ => drop(go(pending::<()>())),
            }
        });
        assert_eq!(ended.is_ok(), program == 0);
        assert_eq!((task::id(), current::id()), (0, 0));
    }
    assert_eq!([first, current::random()], undisturbed);
    let start = Instant::now();
    block_on(sleep(Duration::from_millis(2)));
    assert!(start.elapsed() >= Duration::from_millis(2), "time is real again");
}

#[test]
fn inside_a_goroutine_of_a_real_runtime_it_is_a_world_of_its_own() {
    let both = block_on(go(async {
        let outer = task::id();
        let inner = bubble(3, async { (task::id(), go(async { task::id() }).await.unwrap()) }).unwrap();
        (outer, inner, task::id())
    }))
    .unwrap();
    assert_eq!(both.1, (1, 2));
    assert!(both.0 > 0 && both.0 == both.2);
}

#[test]
fn a_bubble_in_a_bubble_says_so() {
    let error = bubble(1, async {
        let _ = bubble(2, async {});
    })
    .unwrap_err();
    let BubbleError::Panic(panic) = error else { panic!("{error}") };
    assert!(panic.message().starts_with("a bubble inside a bubble"), "{panic}");
}

#[test]
fn numbers_begin_with_one_in_every_bubble() {
    for _ in 0..3 {
        let numbers = bubble(4, async {
            let child = go(async { task::id() });
            (task::id(), child.id(), runtime::num_goroutines(), runtime::max_procs(), seed())
        });
        assert_eq!(numbers.unwrap(), (1, 2, 2, 1, 4));
    }
}

// ---- Choice.

/// In which order `count` goroutines run.
fn order(bubble: Bubble, count: usize) -> Vec<usize> {
    let log = Log::new();
    let seen = log.clone();
    bubble
        .run(async move {
            for number in 0..count {
                let seen = seen.clone();
                go(async move { seen.push(number) });
            }
        })
        .unwrap();
    log.all()
}

#[test]
fn the_seed_decides_who_runs() {
    let orders: Vec<_> = (0..50).map(|seed| order(Bubble::new(seed), 5)).collect();
    let again: Vec<_> = (0..50).map(|seed| order(Bubble::new(seed), 5)).collect();
    assert_eq!(orders, again);
    let mut different = orders.clone();
    different.sort();
    different.dedup();
    assert!(different.len() > 20, "{} of 120 orders", different.len());
    assert_eq!(order(Bubble::new(9).strategy(Strategy::Fifo), 5), [0, 1, 2, 3, 4]);
}

#[test]
fn every_order_of_three_is_found_by_each_strategy() {
    for strategy in [Strategy::Random, Strategy::Priority { changes: 0 }, Strategy::Priority { changes: 3 }] {
        let mut orders: Vec<_> =
            (0..200).map(|seed| order(Bubble::new(seed).strategy(strategy), 3)).collect();
        orders.sort();
        orders.dedup();
        assert_eq!(orders.len(), 6, "{strategy:?}: {orders:?}");
    }
}

#[test]
fn a_goroutine_is_interrupted_between_operations_that_would_not_wait() {
    // Two sleeps that have ended already: neither waits, and yet another goroutine comes in between.
    let interleaved = |strategy| {
        (0..100)
            .filter(|&seed| {
                let log = Log::new();
                let seen = log.clone();
                Bubble::new(seed)
                    .strategy(strategy)
                    .run(async move {
                        let other = seen.clone();
                        go(async move { other.push("other") });
                        seen.push("before");
                        sleep(Duration::ZERO).await;
                        seen.push("after");
                    })
                    .unwrap();
                log.all() == ["before", "other", "after"]
            })
            .count()
    };
    assert_eq!(interleaved(Strategy::Fifo), 0);
    assert!(interleaved(Strategy::Random) > 5);
    assert!(interleaved(Strategy::Priority { changes: 2 }) > 5);
}

#[test]
fn a_goroutine_that_yields_starves_nobody() {
    for seed in 0..100 {
        let done = Arc::new(AtomicBool::new(false));
        let set = Arc::clone(&done);
        Bubble::new(seed)
            .strategy(Strategy::Priority { changes: 0 })
            .polls_limit(1_000)
            .run(async move {
                go(async move { set.store(true, SeqCst) });
                while !done.load(SeqCst) {
                    yield_now().await;
                }
            })
            .unwrap();
    }
}

#[test]
fn random_numbers_come_from_the_seed() {
    let draw = |seed| bubble(seed, async { (current::random(), current::random()) }).unwrap();
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
}

// ---- One seed, one trace.

/// A program of many parts: goroutines that spawn, sleep, join, time out, abort and draw.
async fn busy() -> u64 {
    let mut waves: Vec<JoinHandle<u64>> = Vec::new();
    for wave in 0..4_u64 {
        waves.push(go(async move {
            let mut sum = 0;
            for step in 0..3 {
                sleep(Duration::from_millis(10 * (1 + current::random_below(3) as u64))).await;
                sum += go(async move {
                    yield_now().await;
                    wave * step
                })
                .await
                .unwrap();
            }
            let late = timeout(Duration::from_millis(5), sleep(SECOND)).await;
            assert!(late.is_err());
            sum
        }));
    }
    let stuck = go(pending::<()>());
    sleep(Duration::from_millis(10)).await;
    stuck.abort();
    assert!(stuck.await.unwrap_err().is_canceled());
    let mut sum = 0;
    for wave in waves {
        sum += wave.await.unwrap();
    }
    wait().await;
    sum
}

#[test]
fn one_seed_gives_one_trace_byte_for_byte_a_thousand_times() {
    for strategy in [Strategy::Random, Strategy::Priority { changes: 3 }] {
        let run = |seed| {
            let (result, trace) = Bubble::new(seed).strategy(strategy).run_traced(busy());
            assert_eq!(result.unwrap(), 18);
            trace.to_string()
        };
        let first = run(77);
        assert!(first.lines().count() > 50, "{first}");
        for repetition in 0..500 {
            // Something else in between, so that memory and pools are not as they were.
            bubble(repetition, busy()).unwrap();
            assert_eq!(run(77), first);
        }
        assert_ne!(run(78), first);
    }
}

#[test]
fn the_trace_tells_who_ran_and_what_for() {
    let (result, trace) = Bubble::new(1).strategy(Strategy::Fifo).run_traced(async {
        go(async { sleep(SECOND).await }).await.unwrap();
    });
    result.unwrap();
    let steps = trace.steps();
    let ran: Vec<u64> = steps
        .iter()
        .filter_map(|step| match step {
            Step::Ran { goroutine, .. } => Some(*goroutine),
            _ => None,
        })
        .collect();
    assert_eq!(ran, [1, 2, 2, 1]);
    assert!(steps.contains(&Step::Time(SECOND)), "{trace}");
    assert!(matches!(steps.last(), Some(Step::Ran { goroutine: 1, then: Then::Ended, .. })), "{trace}");
    assert!(trace.to_string().contains("[sleep] at crates/scheduler/tests/bubble.rs"), "{trace}");
}

// ---- Time.

#[test]
fn time_moves_only_when_everybody_waits() {
    let elapsed = bubble(2, async {
        let start = Instant::now();
        assert_eq!(start, Instant::START);
        let busy = go(async {
            for _ in 0..1_000 {
                yield_now().await;
            }
            Instant::now()
        });
        sleep(Duration::from_nanos(1)).await;
        assert!(busy.is_finished(), "a nanosecond passes after a thousand yields");
        assert_eq!(busy.await.unwrap(), start);
        sleep(100 * 24 * 3600 * SECOND).await;
        start.elapsed()
    });
    assert_eq!(elapsed.unwrap(), 100 * 24 * 3600 * SECOND + Duration::from_nanos(1));
}

#[test]
fn the_calendar_begins_with_the_millennium() {
    use gorust_reactor::clock::wall_now;
    let epoch = std::time::UNIX_EPOCH + Duration::from_secs(946_684_800);
    let days = bubble(1, async {
        let first = wall_now();
        sleep(24 * 3600 * SECOND).await;
        (first, wall_now())
    });
    assert_eq!(days.unwrap(), (epoch, epoch + 24 * 3600 * SECOND));
    assert!(wall_now() > epoch + 20 * 365 * 24 * 3600 * SECOND, "outside it is today");
}

#[test]
fn timers_of_one_instant_fire_in_an_order_of_the_seed() {
    let fired = |seed, strategy| {
        let log = Log::new();
        let seen = log.clone();
        Bubble::new(seed)
            .strategy(strategy)
            .run(async move {
                let sleepers: Vec<_> = (0..3)
                    .map(|number| {
                        let seen = seen.clone();
                        go(async move {
                            sleep(SECOND).await;
                            seen.push(number);
                        })
                    })
                    .collect();
                for sleeper in sleepers {
                    sleeper.await.unwrap();
                }
            })
            .unwrap();
        log.all()
    };
    let mut orders: Vec<_> = (0..200).map(|seed| fired(seed, Strategy::Mixed)).collect();
    assert_eq!(orders, (0..200).map(|seed| fired(seed, Strategy::Mixed)).collect::<Vec<_>>());
    orders.sort();
    orders.dedup();
    assert_eq!(orders.len(), 6, "{orders:?}");
}

#[test]
fn a_day_of_a_thousand_tickers() {
    let minutes = if cfg!(debug_assertions) { 60 } else { 24 * 60 };
    for strategy in [Strategy::Fifo, Strategy::Random, Strategy::Priority { changes: 2 }] {
        let started = std::time::SystemTime::now();
        let ticks = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&ticks);
        Bubble::new(1)
            .strategy(strategy)
            .run(async move {
                for _ in 0..1_000 {
                    let ticks = Arc::clone(&counted);
                    go(async move {
                        for _ in 0..minutes {
                            sleep(60 * SECOND).await;
                            ticks.fetch_add(1, SeqCst);
                        }
                    });
                }
                sleep(minutes * 60 * SECOND).await;
                wait().await;
            })
            .unwrap();
        assert_eq!(ticks.load(SeqCst), 1_000 * minutes);
        let took = started.elapsed().unwrap();
        println!("{strategy}: 1,000 tickers, {minutes} virtual minutes, in {took:?}");
    }
}

// ---- wait and advance.

#[test]
fn wait_lets_everybody_else_finish_what_they_can() {
    for seed in 0..100 {
        bubble(seed, async {
            let steps = Arc::new(AtomicU32::new(0));
            let count = Arc::clone(&steps);
            go(async move {
                for _ in 0..5 {
                    yield_now().await;
                    count.fetch_add(1, SeqCst);
                }
                sleep(SECOND).await;
                count.fetch_add(100, SeqCst);
            });
            let start = Instant::now();
            wait().await;
            assert_eq!((steps.load(SeqCst), Instant::now()), (5, start));
            sleep(SECOND).await;
            wait().await;
            assert_eq!(steps.load(SeqCst), 105);
        })
        .unwrap();
    }
}

#[test]
fn timers_due_now_fire_before_wait_returns() {
    for seed in 0..100 {
        bubble(seed, async {
            let sleeper = go(sleep(SECOND));
            sleep(SECOND).await;
            wait().await;
            assert!(sleeper.is_finished());
        })
        .unwrap();
    }
}

#[test]
fn two_waits_at_once_panic() {
    let error = bubble(1, async {
        let other = go(wait());
        wait().await;
        other.await.unwrap();
    })
    .unwrap_err();
    assert!(error.to_string().contains("wait already in progress"), "{error}");
}

#[test]
fn a_wait_that_is_given_up_makes_room_for_the_next() {
    bubble(1, async {
        {
            let mut given_up = pin!(wait());
            let waker = Waker::noop();
            // Once more, if the first poll was interrupted.
            for _ in 0..2 {
                assert!(given_up.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
            }
        }
        drop(wait());
        wait().await;
    })
    .unwrap();
}

#[test]
fn advance_goes_through_every_deadline() {
    for seed in 0..50 {
        bubble(seed, async {
            let log = Log::new();
            let seen = log.clone();
            let start = Instant::now();
            go(async move {
                for _ in 0..4 {
                    sleep(SECOND).await;
                    seen.push(start.elapsed().as_secs());
                }
            });
            advance(3 * SECOND).await;
            assert_eq!((log.all(), start.elapsed()), (vec![1, 2, 3], 3 * SECOND));
            advance(Duration::ZERO).await;
            assert_eq!(start.elapsed(), 3 * SECOND);
            advance(3 * SECOND).await;
            assert_eq!((log.all(), start.elapsed()), (vec![1, 2, 3, 4], 6 * SECOND));
        })
        .unwrap();
    }
}

#[test]
fn outside_a_bubble_they_say_so() {
    for call in [|| drop(wait()), || drop(advance(SECOND)), || _ = seed()] {
        let panic = std::panic::catch_unwind(call).unwrap_err();
        let text = panic.downcast_ref::<String>().unwrap();
        assert!(text.contains("was called outside a bubble"), "{text}");
    }
}

// ---- Ends.

#[test]
fn a_deadlock_says_who_waits_for_what_and_since_when() {
    let error = bubble(1, async {
        let (first, second) = (go(pending::<()>()), go(async { sleep(2 * SECOND).await }));
        second.await.unwrap();
        go(async { first.await.unwrap() }).await.unwrap();
    })
    .unwrap_err();
    let BubbleError::Deadlock(dump) = &error else { panic!("{error}") };
    let ids: Vec<_> = dump.goroutines().iter().map(|goroutine| goroutine.id).collect();
    assert_eq!(ids, [1, 2, 4]);
    let [root, stuck, joiner] = dump.goroutines() else { panic!("{error}") };
    assert_eq!((root.parent, stuck.parent, joiner.parent), (0, 1, 1));
    assert_eq!((root.waited, stuck.waited, joiner.waited), (Duration::ZERO, 2 * SECOND, Duration::ZERO));
    assert_eq!(root.reason, current::Reason::Join);
    assert_eq!(stuck.reason, current::Reason::Unknown);
    let report = error.to_string();
    let line = stuck.spawned_at.line();
    assert!(
        report.starts_with("deadlock: every goroutine waits, and no timer will wake one\n\n"),
        "{report}"
    );
    let expected = format!(
        "goroutine 2 [waiting, 2s]:\n  created by goroutine 1 at crates/scheduler/tests/bubble.rs:{line}:"
    );
    assert!(report.contains(&expected), "{report}\nwithout\n{expected}");
    assert_eq!(format!("{error:?}"), report);
}

#[test]
fn a_goroutine_left_behind_is_a_leak() {
    let dropped = Arc::new(AtomicBool::new(false));
    let guard = OnDrop(Arc::clone(&dropped));
    let program = async move {
        go(async move {
            let _guard = guard;
            sleep(SECOND).await;
        });
    };
    let error = bubble(1, program).unwrap_err();
    let BubbleError::Leak(dump) = &error else { panic!("{error}") };
    let [left] = dump.goroutines() else { panic!("{error}") };
    assert_eq!((left.id, left.reason), (2, current::Reason::Sleep));
    assert!(left.waits_at.is_some_and(|at| at.file().ends_with("bubble.rs")));
    assert!(
        error.to_string().starts_with("leak: 1 goroutine has outlived the test\n\ngoroutine 2 [sleep]:"),
        "{error}"
    );
    assert!(dropped.load(SeqCst), "dropped where it waited");
}

#[test]
fn what_can_still_run_runs_after_the_future_has_returned() {
    for seed in 0..50 {
        let count = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&count);
        bubble(seed, async move {
            go(async move {
                for _ in 0..10 {
                    yield_now().await;
                    counted.fetch_add(1, SeqCst);
                }
            });
        })
        .unwrap();
        assert_eq!(count.load(SeqCst), 10);
    }
}

#[test]
fn a_goroutine_that_never_stops_is_a_leak() {
    let error = bubble(1, async {
        go(async {
            loop {
                yield_now().await;
            }
        });
    })
    .unwrap_err();
    assert_eq!(error.kind(), "leak", "{error}");
}

#[test]
fn leaks_may_be_allowed() {
    let dropped = Arc::new(AtomicBool::new(false));
    let guard = OnDrop(Arc::clone(&dropped));
    let left = Bubble::new(1).allow_leaks(true).run(async move {
        go(async move {
            let _guard = guard;
            pending::<()>().await;
        });
        7
    });
    assert_eq!(left.unwrap(), 7);
    assert!(dropped.load(SeqCst));
}

#[test]
fn a_panic_of_the_future_is_a_value() {
    let error = bubble(1, async {
        go(pending::<()>());
        assert_eq!(1, 2, "sums");
    })
    .unwrap_err();
    let BubbleError::Panic(panic) = error else { panic!("{error}") };
    assert_eq!(panic.goroutine(), 1);
    assert!(panic.message().contains("sums"), "{panic}");
    assert!(panic.to_string().starts_with("panic: goroutine 1 panicked: "), "{panic}");
    assert!(panic.into_payload().downcast::<String>().unwrap().contains("sums"));
}

#[test]
fn a_panic_nobody_can_see_ends_the_bubble() {
    let error = bubble(1, async {
        go(async { panic!("unseen") });
        sleep(SECOND).await;
        unreachable!("the bubble is over");
    })
    .unwrap_err();
    let BubbleError::Panic(panic) = error else { panic!("{error}") };
    assert_eq!((panic.goroutine(), panic.message()), (2, "unseen"));
    assert!(panic.spawned_at().file().ends_with("bubble.rs"));
    assert!(
        panic.to_string().starts_with("panic: goroutine 2 panicked and nobody saw it: unseen"),
        "{panic}"
    );
}

#[test]
fn a_panic_that_is_held_and_never_looked_at_is_not_lost() {
    let held = bubble(1, async {
        let handle = go(async { panic!("held") });
        wait().await;
        handle.is_finished()
    });
    assert_eq!(held.unwrap_err().kind(), "panic");
    let in_a_deadlock = bubble(1, async {
        let _handle = go(async { panic!("held") });
        pending::<()>().await;
    });
    assert_eq!(in_a_deadlock.unwrap_err().kind(), "panic");
    let seen = bubble(1, async { go(async { panic!("seen") }).await.unwrap_err().is_panic() });
    assert!(seen.unwrap());
    let brought_out = bubble(1, async { go(async { panic!("seen outside") }).await }).unwrap();
    assert!(brought_out.unwrap_err().is_panic());
}

#[test]
fn a_panic_in_a_destructor_at_the_end_is_told() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    let error = Bubble::new(1).allow_leaks(true).run(async {
        go(async {
            let _bomb = Bomb;
            pending::<()>().await;
        });
    });
    assert!(error.unwrap_err().to_string().contains("goroutine 2 panicked and nobody saw it: dropped"));
    let error = bubble(1, async {
        let _bomb = Bomb;
        pending::<()>().await;
    });
    assert!(error.unwrap_err().to_string().contains("goroutine 1 panicked: dropped"));
}

#[test]
fn a_livelock_ends_where_polls_are_limited() {
    let program = || async {
        let flag = Arc::new(AtomicBool::new(false));
        let set = Arc::clone(&flag);
        go(async move {
            sleep(SECOND).await;
            set.store(true, SeqCst);
        });
        while !flag.load(SeqCst) {
            yield_now().await;
        }
    };
    let error = Bubble::new(1).polls_limit(10_000).run(program()).unwrap_err();
    assert_eq!(error.kind(), "livelock", "{error}");
    assert_eq!(error.dump().unwrap().goroutines().len(), 2);
}

#[test]
fn goroutines_that_have_never_run_are_listed_too() {
    let error = Bubble::new(1).strategy(Strategy::Fifo).polls_limit(3).run(async {
        for _ in 0..5 {
            go(yield_now());
        }
        pending::<()>().await;
    });
    let error = error.unwrap_err();
    let ids: Vec<u64> = error.dump().unwrap().goroutines().iter().map(|goroutine| goroutine.id).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5, 6], "{error}");
}

#[test]
fn destructors_at_the_end_are_in_the_bubble_and_in_order() {
    struct Says(u32, Log<(u32, bool)>);
    impl Drop for Says {
        fn drop(&mut self) {
            // It may even spawn: what it spawns is dropped, too.
            let (number, log) = (self.0, self.1.clone());
            if number < 10 {
                let guard = Says(number + 10, log.clone());
                go(async move {
                    let _guard = guard;
                    pending::<()>().await;
                });
            }
            log.push((number, Handle::try_current().is_some_and(|_| Instant::now() == Instant::START)));
        }
    }
    for seed in 0..20 {
        let log = Log::new();
        let seen = log.clone();
        Bubble::new(seed)
            .allow_leaks(true)
            .strategy(Strategy::Fifo)
            .run(async move {
                for number in 0..3 {
                    let guard = Says(number, seen.clone());
                    go(async move {
                        let _guard = guard;
                        pending::<()>().await;
                    });
                }
            })
            .unwrap();
        let expected: Vec<_> = [0, 1, 2, 10, 11, 12].map(|number| (number, true)).into();
        assert_eq!(log.all(), expected);
    }
}

// ---- block_on, threads, the world outside.

#[test]
fn block_on_inside_runs_the_others() {
    for seed in 0..50 {
        let sum = bubble(seed, async {
            let text = String::from("four");
            let child = go(async {
                sleep(SECOND).await;
                yield_now().await;
                38
            });
            // Neither Send nor 'static, and time moves meanwhile.
            let length = block_on(async {
                let text = Rc::new(&text);
                sleep(2 * SECOND).await;
                text.len()
            });
            assert!(child.is_finished());
            length + child.await.unwrap()
        });
        assert_eq!(sum.unwrap(), 42);
    }
}

#[test]
fn blocking_calls_run_in_place() {
    let program = || async {
        let here = thread::current().id();
        let jobs: Vec<_> = (0..20).map(|_| spawn_blocking(|| thread::current().id())).collect();
        for job in jobs {
            assert_eq!(job.await.unwrap(), here);
        }
        assert_eq!(blocking(|| thread::current().id()), here);
        task::id()
    };
    assert_eq!(bubble(1, program()).unwrap(), 1);
    // And on a worker, whose own blocking jobs may go elsewhere.
    let runtime = runtime::Builder::new().workers(1).build().unwrap();
    let inside = runtime.spawn(async move { bubble(1, program()).unwrap() });
    assert_eq!(runtime.block_on(inside).unwrap(), 1);
}

#[test]
fn a_deadlock_below_a_block_on_is_told_and_ends_it() {
    let dropped = Arc::new(AtomicBool::new(false));
    let guard = OnDrop(Arc::clone(&dropped));
    let error = bubble(1, async move {
        go(async move {
            let _guard = guard;
            block_on(pending::<()>());
        })
        .await
        .unwrap();
    })
    .unwrap_err();
    let BubbleError::Deadlock(dump) = &error else { panic!("{error}") };
    assert_eq!(dump.goroutines().len(), 3, "{error}");
    assert!(dropped.load(SeqCst));
}

#[test]
fn a_panic_below_a_block_on_goes_to_its_caller() {
    let caught = bubble(1, async {
        let caught = std::panic::catch_unwind(|| block_on(async { panic!("below") }));
        *caught.unwrap_err().downcast::<&str>().unwrap()
    });
    assert_eq!(caught.unwrap(), "below");
}

#[test]
fn an_announced_thread_is_waited_for() {
    let (go_on, blocked) = mpsc::channel::<()>();
    let answer = bubble(1, async move {
        let (announced, handle) = (announce(), Handle::current());
        let slot: Arc<Mutex<(Option<u32>, Option<Waker>)>> = Arc::default();
        let set = Arc::clone(&slot);
        thread::spawn(move || {
            blocked.recv().unwrap();
            handle.spawn(async {}); // a goroutine from outside
            let waker = {
                let mut slot = set.lock().unwrap();
                slot.0 = Some(42);
                slot.1.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
            drop(announced);
        });
        // An hour's sleep must not end before the thread does.
        let hour = go(sleep(3600 * SECOND));
        go_on.send(()).unwrap();
        let answer = poll_fn(|cx| {
            let mut slot = slot.lock().unwrap();
            slot.1 = Some(cx.waker().clone());
            slot.0.map_or(Poll::Pending, Poll::Ready)
        })
        .await;
        assert_eq!(Instant::now(), Instant::START);
        hour.abort();
        answer
    });
    assert_eq!(answer.unwrap(), 42);
}

#[test]
fn an_announced_thread_that_only_leaves_ends_the_wait() {
    for seed in 0..200 {
        let error = bubble(seed, async {
            let announced = announce();
            thread::spawn(move || drop(announced));
            pending::<()>().await;
        });
        assert_eq!(error.unwrap_err().kind(), "deadlock");
    }
    drop(announce()); // outside: nothing
}

#[test]
fn what_outlives_the_bubble_finds_it_closed() {
    let (handle, waker, sleeper) = bubble(1, async {
        let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
        (Handle::current(), waker, sleep(SECOND))
    })
    .unwrap();
    waker.wake();
    assert!(block_on(handle.spawn(async {})).unwrap_err().is_canceled());
    drop(sleeper);
}

#[test]
fn a_runtime_entered_inside_is_real() {
    bubble(1, async {
        let runtime = runtime::Builder::new().workers(1).build().unwrap();
        let start = Instant::now();
        let real = runtime.block_on(async {
            let start = Instant::now();
            sleep(Duration::from_millis(1)).await;
            start.elapsed()
        });
        assert!(real >= Duration::from_millis(1));
        assert_eq!(Instant::now(), start);
        wait().await;
    })
    .unwrap();
}

#[test]
fn a_descriptor_is_refused_and_told_how_to_be_used() {
    let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    let refused = bubble(1, async { gorust_reactor::Async::new(socket).map(drop) }).unwrap();
    assert!(refused.unwrap_err().to_string().contains("#[gorust::test(real)]"));
}

#[test]
fn bubbles_on_many_threads_do_not_meet() {
    let threads: Vec<_> = (0..4)
        .map(|_| {
            thread::spawn(|| {
                let (_, first) = Bubble::new(5).run_traced(busy());
                for _ in 0..50 {
                    assert_eq!(Bubble::new(5).run_traced(busy()).1, first);
                }
                first
            })
        })
        .collect();
    let traces: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(traces.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn an_empty_schedule_is_first_come_first_served() {
    assert_eq!(order(Bubble::new(1).schedule(Schedule::default()), 4), [0, 1, 2, 3]);
}

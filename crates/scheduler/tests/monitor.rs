//! What goes on while goroutines block their threads, or compute, without a word. Bounds are wide: a busy machine may
//! delay everything; without the monitor each of these takes as long as the long poll, or for ever.

use gorust_reactor::{Async, clock::Instant, time::sleep};
use gorust_scheduler::{
    block_on, blocking, go,
    runtime::{Builder, Handle, LongPoll, Runtime},
    yield_now,
};
use std::{
    future::poll_fn,
    hint::{black_box, spin_loop},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{self, channel},
    },
    task::Poll,
    thread,
    time::Duration,
};

const LONG: Duration = Duration::from_secs(20);

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn runtime(workers: usize) -> Runtime {
    Builder::new().workers(workers).build().unwrap()
}

/// Blocks the thread without telling anybody.
#[allow(clippy::disallowed_methods, reason = "this is what the monitor is for")]
fn block(duration: Duration) {
    thread::sleep(duration);
}

fn spin(duration: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < duration {
        spin_loop();
    }
}

/// Waits for `condition`, on a plain thread.
fn until(condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < LONG, "it does not come");
        block(millis(1));
    }
}

/// How many sleeps of 1 ms end while each of `workers` goroutines holds a thread for `stall`.
fn ticks_during(workers: usize, stall: Duration, hold: fn(Duration)) -> usize {
    let runtime = runtime(workers);
    let ended = runtime.spawn(async move {
        let holding = Arc::new(AtomicUsize::new(0));
        let done = Arc::new(AtomicUsize::new(0));
        for _ in 0..workers {
            let (holding, done) = (Arc::clone(&holding), Arc::clone(&done));
            go(async move {
                holding.fetch_add(1, Ordering::AcqRel);
                hold(stall);
                done.fetch_add(1, Ordering::AcqRel);
            });
        }
        let mut ticks = 0;
        while done.load(Ordering::Acquire) == 0 {
            sleep(millis(1)).await;
            if holding.load(Ordering::Acquire) == workers {
                ticks += 1;
            }
        }
        ticks
    });
    block_on(ended).unwrap()
}

#[test]
fn a_ticker_goes_on_while_every_worker_blocks() {
    for workers in [1, 2, 8] {
        let ticks = ticks_during(workers, millis(400), block);
        assert!(ticks >= 20, "{ticks} ticks in 400 ms on {workers} workers");
    }
}

#[test]
fn a_ticker_goes_on_while_every_worker_computes() {
    for workers in [1, 2] {
        let ticks = ticks_during(workers, millis(600), spin);
        assert!(ticks >= 10, "{ticks} ticks in 600 ms on {workers} workers");
    }
}

#[test]
fn a_goroutine_woken_by_one_that_computes_starts_on_another_worker() {
    let runtime = runtime(2);
    let late = runtime.spawn(async {
        let (sender, receiver) = channel();
        let parked = Arc::new(std::sync::Mutex::new(None));
        let woken = {
            let parked = Arc::clone(&parked);
            go(async move {
                let mut first = true;
                poll_fn(|cx| {
                    if std::mem::take(&mut first) {
                        *parked.lock().unwrap() = Some(cx.waker().clone());
                        return Poll::Pending;
                    }
                    Poll::Ready(())
                })
                .await;
                sender.send(Instant::now()).unwrap();
            })
        };
        while parked.lock().unwrap().is_none() {
            yield_now().await;
        }
        let begin = Instant::now();
        parked.lock().unwrap().take().unwrap().wake();
        // In the same poll, until it has run: elsewhere.
        let ran = receiver.recv_timeout(LONG).unwrap();
        woken.await.unwrap();
        ran - begin
    });
    let late = block_on(late).unwrap();
    assert!(late < millis(200), "{late:?}");
}

#[test]
fn what_is_forked_runs_beside_who_forked_it() {
    let runtime = runtime(2);
    block_on(runtime.spawn(async {
        let started = Arc::new(AtomicBool::new(false));
        let child = {
            let started = Arc::clone(&started);
            go(async move { started.store(true, Ordering::Release) })
        };
        let begin = Instant::now();
        while !started.load(Ordering::Acquire) {
            assert!(begin.elapsed() < LONG, "the child waits behind its parent's poll");
            black_box(());
        }
        child.await.unwrap();
    }))
    .unwrap();
}

#[test]
fn what_a_blocked_goroutine_had_queued_runs() {
    for workers in [1, 2] {
        let runtime = runtime(workers);
        block_on(runtime.spawn(async {
            let (sender, receiver) = channel();
            let children: Vec<_> = (0..100)
                .map(|number| {
                    let sender = sender.clone();
                    go(async move { sender.send(number).unwrap() })
                })
                .collect();
            let mut numbers: Vec<_> =
                (0..100).map(|_| receiver.recv_timeout(LONG).expect("they are stuck")).collect();
            numbers.sort_unstable();
            assert_eq!(numbers, (0..100).collect::<Vec<_>>());
            // Whoever blocked has lost its place, and goes on.
            for child in children {
                child.await.unwrap();
            }
        }))
        .unwrap();
    }
}

/// A goroutine that computes, wakes and computes again, each time in the same poll and without a place from some time on.
#[test]
fn what_a_thread_without_a_place_wakes_runs() {
    let runtime = runtime(1);
    block_on(runtime.spawn(async {
        for round in 0..20 {
            let (sender, receiver) = channel();
            go(async move { sender.send(round).unwrap() });
            assert_eq!(receiver.recv_timeout(LONG).expect("it is stuck"), round);
        }
    }))
    .unwrap();
    assert!(runtime.handle().metrics().hand_overs >= 1);
}

#[test]
fn many_goroutines_that_block_at_once_all_get_a_thread() {
    const COUNT: usize = 20;
    let runtime = runtime(2);
    let barrier = Arc::new(std::sync::Barrier::new(COUNT));
    let all: Vec<_> = (0..COUNT)
        .map(|_| {
            let barrier = Arc::clone(&barrier);
            runtime.spawn(async move { barrier.wait().is_leader() })
        })
        .collect();
    let leaders = block_on(async {
        let mut leaders = 0;
        for one in all {
            leaders += usize::from(one.await.unwrap());
        }
        leaders
    });
    assert_eq!(leaders, 1);
}

/// As many workers more as there are, and not one for each goroutine.
#[test]
fn goroutines_that_compute_get_no_more_than_twice_the_threads() {
    let runtime = runtime(2);
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let all: Vec<_> = (0..10)
        .map(|_| {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            runtime.spawn(async move {
                most.fetch_max(now.fetch_add(1, Ordering::AcqRel) + 1, Ordering::AcqRel);
                spin(millis(60));
                now.fetch_sub(1, Ordering::AcqRel);
            })
        })
        .collect();
    for one in all {
        block_on(one).unwrap();
    }
    // Two workers, two more; and of each of the four one may be between its last instruction and being seen.
    let most = most.load(Ordering::Acquire);
    assert!(most <= 6, "{most} at once");
}

#[test]
fn a_yield_loop_on_every_worker_does_not_starve_a_socket() {
    for workers in [1, 2] {
        let runtime = runtime(workers);
        let (here, there) = std::os::unix::net::UnixStream::pair().unwrap();
        let end = Arc::new(AtomicBool::new(false));
        let spinners: Vec<_> = (0..2 * workers)
            .map(|_| {
                let end = Arc::clone(&end);
                runtime.spawn(async move {
                    while !end.load(Ordering::Acquire) {
                        yield_now().await;
                    }
                })
            })
            .collect();
        let reader = runtime.spawn(async move {
            let there = Async::new(there).unwrap();
            let mut bytes = [0; 16];
            there.read_with(|mut there| std::io::Read::read(&mut there, &mut bytes)).await.unwrap()
        });
        block(millis(10));
        std::io::Write::write_all(&mut &here, b"x").unwrap();
        assert_eq!(block_on(reader).unwrap(), 1);
        end.store(true, Ordering::Release);
        for spinner in spinners {
            block_on(spinner).unwrap();
        }
    }
}

#[test]
fn who_waits_outside_is_served_while_every_worker_computes() {
    let runtime = runtime(1);
    let handle = runtime.handle();
    let stop = Arc::new(AtomicBool::new(false));
    // More than may get a thread.
    for _ in 0..4 {
        let stop = Arc::clone(&stop);
        drop(runtime.spawn(async move {
            while !stop.load(Ordering::Acquire) {
                spin_loop();
            }
        }));
    }
    let begin = Instant::now();
    handle.block_on(sleep(millis(20)));
    let took = begin.elapsed();
    stop.store(true, Ordering::Release);
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn threads_end_when_they_are_not_wanted_any_more() {
    let runtime = Builder::new().workers(2).keep_alive(millis(100)).build().unwrap();
    let handle = runtime.handle();
    let base = handle.metrics().threads;
    assert_eq!(base, 3, "two workers and the monitor");
    let all: Vec<_> = (0..6).map(|_| runtime.spawn(async { block(millis(100)) })).collect();
    until(|| handle.metrics().threads > base);
    for one in all {
        block_on(one).unwrap();
    }
    until(|| handle.metrics().threads == base);
    assert_eq!(block_on(runtime.spawn(async { 7 })).unwrap(), 7);
}

#[test]
fn long_polls_are_told_of_once_with_who_and_where() {
    let (sender, told) = channel::<LongPoll>();
    let runtime = Builder::new()
        .workers(2)
        .on_long_poll(millis(50), move |poll| {
            let _ = sender.send(poll);
        })
        .build()
        .unwrap();
    for hold in [block, spin] {
        let hog = runtime.spawn(async move {
            // Not in its first poll, in which it is in no registry.
            yield_now().await;
            hold(millis(300));
        });
        let (id, line) = (hog.id(), line!() - 5);
        block_on(hog).unwrap();
        let poll = told.recv_timeout(LONG).unwrap();
        assert!(poll.duration >= millis(50) && poll.duration <= LONG, "{poll}");
        if cfg!(target_os = "linux") {
            assert_eq!((poll.goroutine, poll.spawned_at.map(|site| site.line())), (id, Some(line)), "{poll}");
        }
    }
    assert!(told.try_recv().is_err(), "each is told of once");
    assert!(runtime.handle().metrics().long_polls >= 2);
}

/// The monitor's thread of a runtime whose threads are called `name`, and how often it has slept so far.
#[cfg(target_os = "linux")]
fn monitor_sleeps(name: &str) -> u64 {
    let wanted = format!("{name}-monitor\n");
    let begin = Instant::now();
    // A thread gives itself its name.
    while begin.elapsed() < LONG {
        for task in std::fs::read_dir("/proc/self/task").unwrap() {
            let path = task.unwrap().path();
            if std::fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm == wanted) {
                let status = std::fs::read_to_string(path.join("status")).unwrap();
                let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap();
                return line.split_whitespace().nth(1).unwrap().parse().unwrap();
            }
        }
    }
    panic!("there is no {wanted}");
}

#[cfg(target_os = "linux")]
#[test]
fn the_monitor_sleeps_while_nothing_happens_and_gets_up_again() {
    for blocked in [false, true] {
        let name = if blocked { "blocked" } else { "quiet" };
        let runtime = Builder::new().workers(2).thread_name(name).build().unwrap();
        let (release, released) = channel::<()>();
        if blocked {
            // For good: its place goes, and the process is at rest all the same.
            drop(runtime.spawn(async move {
                let _ = released.recv();
            }));
        }
        let begin = Instant::now();
        loop {
            let before = monitor_sleeps(name);
            block(millis(300));
            if monitor_sleeps(name) == before {
                break;
            }
            assert!(begin.elapsed() < LONG, "the monitor does not come to rest");
        }
        // And yet it sees what comes now.
        let ticks = runtime.spawn(async {
            go(async { block(millis(300)) });
            go(async { block(millis(300)) });
            for _ in 0..5 {
                sleep(millis(1)).await;
            }
        });
        block_on(ticks).unwrap();
        assert_ne!(monitor_sleeps(name), 0);
        drop(release);
    }
}

#[test]
fn a_runtime_ends_while_its_threads_are_blocked() {
    for announced in [false, true] {
        let (release, released) = channel::<()>();
        let (started, starts) = channel();
        let runtime = runtime(2);
        let released = Arc::new(std::sync::Mutex::new(released));
        let all: Vec<_> = (0..4)
            .map(|_| {
                let (started, released) = (started.clone(), Arc::clone(&released));
                runtime.spawn(async move {
                    let wait = || {
                        started.send(()).unwrap();
                        let _ = released.lock().unwrap().recv();
                    };
                    if announced {
                        blocking(wait);
                    } else {
                        wait();
                    }
                    go(async {}).await.unwrap_err().is_canceled()
                })
            })
            .collect();
        for _ in 0..4 {
            starts.recv_timeout(LONG).unwrap();
        }
        let ended = thread::spawn(move || drop(runtime));
        until(|| ended.is_finished());
        ended.join().unwrap();
        drop(release);
        for one in all {
            // Its poll ends, and it with it; or it got as far as its next await.
            assert!(block_on(one).unwrap_or_else(|error| error.is_canceled()));
        }
    }
}

/// Random goroutines that block, compute, wake and wait, on few workers, while runtimes come and go.
#[test]
fn everything_at_once() {
    for workers in [1, 2, 8] {
        let runtime = Builder::new().workers(workers).keep_alive(millis(20)).build().unwrap();
        let (sender, receiver) = mpsc::channel();
        for seed in 0..200_u64 {
            let sender = sender.clone();
            drop(runtime.spawn(async move {
                for step in 0..6 {
                    match (seed * 7 + step * 3) % 6 {
                        0 => block(millis(seed % 4)),
                        1 => spin(Duration::from_micros(500)),
                        2 => sleep(Duration::from_micros(200 * (seed % 5))).await,
                        3 => yield_now().await,
                        4 => Handle::current().block_on(sleep(millis(1))),
                        _ => blocking(|| block(millis(seed % 3))),
                    }
                }
                sender.send(seed).unwrap();
            }));
        }
        let mut seeds: Vec<_> =
            (0..200).map(|_| receiver.recv_timeout(LONG).expect("some are stuck")).collect();
        seeds.sort_unstable();
        assert_eq!(seeds, (0..200).collect::<Vec<_>>());
    }
}

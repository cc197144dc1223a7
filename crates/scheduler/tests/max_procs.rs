//! How many goroutines run at the same moment: chosen at the start, and changed while they do.

use gorust_reactor::time::sleep;
use gorust_scheduler::{
    block_on, go,
    runtime::{Builder, Runtime, max_procs, num_cpu, set_max_procs},
    yield_now,
};
use std::{thread, time::Duration};

const LONG: Duration = Duration::from_secs(20);

/// Waits until `runtime` has so many threads, or fails.
#[track_caller]
fn threads_become(runtime: &Runtime, count: usize) {
    for _ in 0..2_000 {
        if runtime.handle().metrics().threads == count {
            return;
        }
        thread::park_timeout(Duration::from_millis(10));
    }
    assert_eq!(runtime.handle().metrics().threads, count);
}

fn set(runtime: &Runtime, count: usize) -> usize {
    let _entered = runtime.enter();
    set_max_procs(count)
}

#[test]
fn threads_come_and_go() {
    let runtime = Builder::new().workers(2).keep_alive(Duration::from_millis(30)).build().unwrap();
    // Workers and the monitor.
    threads_become(&runtime, 3);
    for (count, before) in [(6, 2), (6, 6), (1, 6), (3, 1), (2, 3)] {
        assert_eq!(set(&runtime, count), before);
        assert_eq!(runtime.block_on(runtime.spawn(async { max_procs() })).unwrap(), count);
        threads_become(&runtime, count + 1);
        // Timers are served by whoever is left.
        let slept = runtime.spawn(sleep(Duration::from_millis(2)));
        runtime.block_on(slept).unwrap();
    }
    assert_eq!((set(&runtime, 0), set(&runtime, 100_000)), (2, 2));
    assert_eq!(set(&runtime, 2), 256);
    threads_become(&runtime, 3);
}

#[test]
fn timers_fire_after_each_change() {
    let runtime = Builder::new().workers(4).keep_alive(Duration::from_millis(1)).build().unwrap();
    for round in 0..100 {
        set(&runtime, 1 + round % 4);
        // Everybody is asleep, or about to be.
        let slept = runtime.spawn(sleep(Duration::from_millis(1)));
        runtime.block_on(slept).unwrap();
    }
}

#[test]
fn goroutines_go_on_while_it_changes() {
    let runtime = Builder::new().workers(2).keep_alive(Duration::from_millis(1)).build().unwrap();
    let handles: Vec<_> = (0..64_u64)
        .map(|number| {
            runtime.spawn(async move {
                let mut sum = 0;
                for round in 0..200 {
                    match (number + round) % 4 {
                        0 => yield_now().await,
                        1 => sum += go(async { 1 }).await.unwrap(),
                        2 => sleep(Duration::from_micros(50)).await,
                        _ => block_on(async { yield_now().await }),
                    }
                }
                sum
            })
        })
        .collect();
    let other = thread::spawn({
        let handle = runtime.handle();
        move || {
            let _entered = handle.enter();
            (0..200).for_each(|round| {
                set_max_procs(1 + round * 7 % 5);
                thread::yield_now();
            });
        }
    });
    for round in 0..200 {
        set(&runtime, 1 + round * 3 % 8);
        thread::yield_now();
    }
    other.join().unwrap();
    let sums: u64 = handles.into_iter().map(|handle| block_on(handle).unwrap()).sum();
    assert_eq!(sums, 64 * 50);
    set(&runtime, 2);
    threads_become(&runtime, 3);
    runtime.shutdown_blocking(LONG).unwrap();
}

#[test]
fn it_changes_from_inside_a_goroutine_and_during_the_end() {
    for round in 0..50 {
        let runtime = Builder::new().workers(1).build().unwrap();
        let handle = runtime.handle();
        let inside = runtime.spawn(async { (set_max_procs(3), max_procs()) });
        if round % 2 == 0 {
            assert_eq!(block_on(inside).unwrap(), (1, 3));
        }
        let other = thread::spawn(move || {
            let _entered = handle.enter();
            set_max_procs(5)
        });
        drop(runtime);
        // Of a runtime that has ended it is whatever it was, or another's.
        other.join().unwrap();
    }
}

#[test]
fn the_default_is_what_the_process_may_use() {
    assert!(num_cpu() >= 1);
    if std::env::var_os("GORUST_MAXPROCS").is_none() {
        assert!(max_procs() <= num_cpu());
    }
}

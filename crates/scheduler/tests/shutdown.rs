//! `Runtime::shutdown`: who is waited for, who is dropped, and who is named.

use gorust_reactor::time::sleep;
use gorust_scheduler::{
    block_on, go,
    runtime::{Builder, Runtime},
    spawn_blocking, task, yield_now,
};
use std::{
    future::pending,
    sync::{
        Arc, Mutex, Weak,
        mpsc::{Sender, channel},
    },
    thread,
    time::Duration,
};

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(20);

/// Sends when it is dropped.
struct Tells(Sender<()>);

impl Drop for Tells {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[test]
fn goroutines_finish_and_may_spawn_meanwhile() {
    for workers in [1, 2, 8] {
        let runtime = Builder::new().workers(workers).build().unwrap();
        let (sender, done) = channel();
        for number in 0..100 {
            let sender = sender.clone();
            drop(runtime.spawn(async move {
                sleep(Duration::from_millis(number % 7)).await;
                go(async move { sender.send(number).unwrap() }).await.unwrap();
            }));
        }
        drop(sender);
        runtime.shutdown_blocking(LONG).unwrap();
        assert_eq!(done.try_iter().sum::<u64>(), 4950, "{workers} workers");
    }
}

#[test]
fn what_still_waits_is_dropped_also_in_cycles() {
    let runtime = Runtime::new().unwrap();
    let (sender, dropped) = channel();
    // Two goroutines, each of which holds the handle of the other.
    let handles = Arc::new(Mutex::new(Vec::new()));
    for tells in [Tells(sender.clone()), Tells(sender)] {
        let own = Arc::clone(&handles);
        let handle = runtime.spawn(async move {
            let _keeps = (own, tells);
            pending::<()>().await;
        });
        handles.lock().unwrap().push(handle);
    }
    let weak: Weak<_> = Arc::downgrade(&handles);
    drop(handles);
    runtime.shutdown_blocking(SHORT).unwrap();
    assert_eq!(dropped.try_iter().count(), 2);
    assert!(weak.upgrade().is_none());
}

#[test]
fn who_cannot_be_ended_is_named() {
    let runtime = Builder::new().workers(3).build().unwrap();
    let (release, held) = channel::<()>();
    let held = Arc::new(Mutex::new(held));
    let (begins, begun) = channel();
    // One in its first poll, one in a later one, and one that has a name.
    let first = runtime.spawn({
        let (begins, held) = (begins.clone(), Arc::clone(&held));
        async move {
            begins.send(()).unwrap();
            let _ = held.lock().unwrap().recv();
        }
    });
    let later = runtime.spawn({
        let (begins, held) = (begins.clone(), Arc::clone(&held));
        async move {
            sleep(Duration::from_millis(1)).await;
            begins.send(()).unwrap();
            let _ = held.lock().unwrap().recv();
        }
    });
    let named = task::Builder::new().name("stuck").spawn_on(&runtime.handle(), {
        let (begins, held) = (begins.clone(), Arc::clone(&held));
        async move {
            begins.send(()).unwrap();
            let _ = held.lock().unwrap().recv();
        }
    });
    let waits = runtime.spawn(pending::<()>());
    for _ in 0..3 {
        begun.recv_timeout(LONG).unwrap();
    }
    let still = runtime.shutdown_blocking(SHORT).unwrap_err();
    assert_eq!(still.count(), 3);
    assert!(block_on(waits).unwrap_err().is_canceled());
    let mut ids = vec![later.id(), named.id()];
    if cfg!(target_os = "linux") {
        ids.push(first.id());
    }
    ids.sort_unstable();
    assert_eq!(still.goroutines().iter().map(|goroutine| goroutine.id).collect::<Vec<_>>(), ids);
    let text = still.to_string();
    assert!(text.starts_with("3 goroutines still run: goroutine "), "{text}");
    assert!(text.contains(&format!("goroutine {} \"stuck\", spawned at ", named.id())), "{text}");
    assert_eq!(text.matches("shutdown.rs").count(), ids.len(), "{text}");
    // They end when they can.
    drop(release);
    for handle in [first, later, named] {
        let _ = block_on(handle);
    }
}

#[test]
fn a_poll_that_returns_in_time_is_no_failure() {
    let runtime = Builder::new().workers(1).build().unwrap();
    drop(runtime.spawn(async {
        loop {
            yield_now().await;
        }
    }));
    runtime.shutdown_blocking(Duration::ZERO).unwrap();
}

#[test]
fn awaited_elsewhere() {
    let runtime = Runtime::new().unwrap();
    let (sender, dropped) = channel();
    let tells = Tells(sender);
    drop(runtime.spawn(async move {
        let _tells = tells;
        pending::<()>().await;
    }));
    // By a goroutine of another runtime, and by a foreign executor.
    let ended = block_on(go(runtime.shutdown(SHORT))).unwrap();
    assert_eq!(ended, Ok(()));
    assert_eq!(dropped.try_recv(), Ok(()));
    let runtime = Runtime::new().unwrap();
    let done = runtime.spawn(async { 1 });
    futures::executor::block_on(runtime.shutdown(LONG)).unwrap();
    assert_eq!(block_on(done).unwrap(), 1);
}

#[test]
fn awaited_inside_one_of_its_own_goroutines() {
    for blocking in [false, true] {
        let runtime = Builder::new().workers(2).build().unwrap();
        let (hand_in, get) = channel::<Runtime>();
        let (sender, ended) = channel();
        let other = runtime.spawn(async {
            sleep(Duration::from_millis(5)).await;
            7
        });
        let own = runtime.spawn(async move {
            let runtime = get.recv().unwrap();
            let result =
                if blocking { runtime.shutdown_blocking(LONG) } else { runtime.shutdown(LONG).await };
            sender.send(result).unwrap();
            pending::<()>().await;
        });
        hand_in.send(runtime).unwrap();
        assert_eq!(ended.recv_timeout(LONG).unwrap(), Ok(()));
        assert_eq!(block_on(other).unwrap(), 7);
        assert!(block_on(own).unwrap_err().is_canceled());
    }
}

#[test]
fn dropped_while_it_waits_it_ends_the_runtime() {
    use futures::FutureExt;
    let runtime = Runtime::new().unwrap();
    let waits = runtime.spawn(pending::<()>());
    let handle = runtime.handle();
    assert!(block_on(async { runtime.shutdown(LONG).now_or_never() }).is_none());
    assert!(block_on(waits).unwrap_err().is_canceled());
    assert!(block_on(handle.spawn(async {})).unwrap_err().is_canceled());
    // And before its first poll.
    let runtime = Runtime::new().unwrap();
    let waits = runtime.spawn(pending::<()>());
    drop(runtime.shutdown(LONG));
    assert!(block_on(waits).unwrap_err().is_canceled());
}

#[test]
fn blocking_jobs_are_waited_for_and_those_that_wait_are_not_begun() {
    let runtime = Builder::new().workers(1).max_blocking_threads(1).build().unwrap();
    let job = {
        let _entered = runtime.enter();
        spawn_blocking(|| thread::park_timeout(SHORT))
    };
    runtime.shutdown_blocking(LONG).unwrap();
    assert!(block_on(job).is_ok());
}

#[test]
fn shutdowns_race_spawns_and_one_another() {
    for round in 0..50 {
        let runtime = Builder::new().workers(2).build().unwrap();
        let handle = runtime.handle();
        let spawner = thread::spawn(move || {
            (0..200).map(|_| handle.spawn(async { yield_now().await })).collect::<Vec<_>>()
        });
        runtime.shutdown_blocking(Duration::from_micros(round * 20)).unwrap();
        // Whatever came of each, it has an end.
        for handle in spawner.join().unwrap() {
            let _ = block_on(handle);
        }
    }
}

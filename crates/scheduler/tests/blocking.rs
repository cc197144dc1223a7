//! `blocking`, `spawn_blocking` and `block_on`, wherever they are called. Bounds are wide; most tests would never end if
//! what they wait for were stuck.

use gorust_reactor::{clock::Instant, time::sleep};
use gorust_scheduler::{
    PanicPolicy, block_on, blocking, go,
    runtime::{Builder, Runtime},
    spawn_blocking, task, yield_now,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::channel,
    },
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

#[allow(clippy::disallowed_methods, reason = "this is what it is for")]
fn block(duration: Duration) {
    thread::sleep(duration);
}

/// Waits for `condition`, on a plain thread.
fn until(condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < LONG, "it does not come");
        block(millis(1));
    }
}

#[test]
fn blocking_borrows_and_needs_no_send() {
    let mut text = String::from("on a plain thread");
    assert_eq!(blocking(|| text.len()), 17);
    text.clear();
    let length = block_on(runtime(1).spawn(async {
        let mut list = vec![1];
        let not_send = Rc::new(2);
        blocking(|| list.push(*not_send));
        list.len()
    }));
    assert_eq!(length.unwrap(), 2);
}

#[test]
fn others_run_while_one_is_inside_blocking() {
    for workers in [1, 2, 8] {
        let runtime = runtime(workers);
        block_on(runtime.spawn(async move {
            let (sender, receiver) = channel();
            for number in 0..8 {
                let sender = sender.clone();
                go(async move {
                    sleep(millis(1)).await;
                    sender.send(number).unwrap();
                });
            }
            // Started before and inside, queued here and elsewhere.
            blocking(|| {
                go(async move { sender.send(8).unwrap() });
                let mut sum = 0;
                for _ in 0..9 {
                    sum += receiver.recv_timeout(LONG).expect("they are stuck");
                }
                assert_eq!(sum, 36);
            });
            yield_now().await;
        }))
        .unwrap();
    }
}

#[test]
fn a_panic_inside_blocking_leaves_the_worker_as_it_was() {
    let runtime = Builder::new().workers(1).panic_policy(PanicPolicy::Isolate).build().unwrap();
    block_on(runtime.spawn(async {
        for _ in 0..3 {
            let caught =
                catch_unwind(AssertUnwindSafe(|| blocking(|| std::panic::resume_unwind(Box::new(7)))));
            assert_eq!(caught.unwrap_err().downcast_ref::<i32>(), Some(&7));
            // The place is back: the child runs on this worker as soon as this one waits.
            let here = thread::current().id();
            assert_eq!(go(async { thread::current().id() }).await.unwrap(), here);
        }
    }))
    .unwrap();
    assert_eq!(runtime.handle().metrics().hand_overs, 0);
}

#[test]
fn blocking_nests_with_itself_and_with_block_on() {
    for workers in [1, 2] {
        let runtime = runtime(workers);
        let sum = block_on(runtime.spawn(async {
            let mut sum = 0;
            for round in 0..5 {
                sum += blocking(|| {
                    let inner = blocking(|| block_on(async { go(async { 1 }).await.unwrap() }));
                    block(millis(5 * (round % 2)));
                    inner + block_on(async { blocking(|| 1) })
                });
                sum += go(async { 1 }).await.unwrap();
            }
            sum
        }));
        assert_eq!(sum.unwrap(), 15);
    }
}

#[test]
fn block_on_works_inside_another_runtime_and_under_a_guard() {
    let (outer, inner) = (runtime(1), runtime(1));
    let handle = inner.handle();
    let sum = block_on(outer.spawn(async move {
        let one = handle.block_on(async { go(async { 1 }).await.unwrap() });
        let entered = handle.enter();
        // This thread is still the only worker of the outer runtime.
        let two = blocking(|| block_on(async { go(async { 2 }).await.unwrap() }));
        drop(entered);
        one + two + go(async { 4 }).await.unwrap()
    }));
    assert_eq!(sum.unwrap(), 7);
}

#[test]
fn a_blocking_job_is_a_goroutine() {
    let runtime = Builder::new().workers(2).panic_policy(PanicPolicy::Isolate).build().unwrap();
    let _entered = runtime.enter();
    let job = spawn_blocking(task::id);
    let id = job.id();
    assert_eq!(block_on(job).unwrap(), id);
    let panics = spawn_blocking(|| -> i32 { panic!("a job's own") });
    let payload = block_on(panics).unwrap_err().into_panic();
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"a job's own"));
    assert_eq!(runtime.handle().metrics().blocking_running, 0);
}

/// They all meet: none of them may wait for another to end.
#[test]
fn jobs_get_threads_up_to_the_limit() {
    const JOBS: usize = 40;
    let runtime = Builder::new().workers(2).max_blocking_threads(JOBS).build().unwrap();
    let _entered = runtime.enter();
    for _ in 0..2 {
        let barrier = Arc::new(Barrier::new(JOBS));
        let jobs: Vec<_> = (0..JOBS)
            .map(|_| {
                let barrier = Arc::clone(&barrier);
                spawn_blocking(move || usize::from(barrier.wait().is_leader()))
            })
            .collect();
        let leaders: usize = jobs.into_iter().map(|job| block_on(job).unwrap()).sum();
        assert_eq!(leaders, 1);
    }
}

#[test]
fn no_more_jobs_run_than_the_limit_and_the_workers_and_goroutines_go_on() {
    const JOBS: usize = 24;
    let runtime = Builder::new().workers(2).max_blocking_threads(3).build().unwrap();
    let _entered = runtime.enter();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let jobs: Vec<_> = (0..JOBS)
        .map(|_| {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            spawn_blocking(move || {
                most.fetch_max(now.fetch_add(1, Ordering::AcqRel) + 1, Ordering::AcqRel);
                block(millis(20));
                now.fetch_sub(1, Ordering::AcqRel);
            })
        })
        .collect();
    for _ in 0..10 {
        block_on(go(async { sleep(millis(1)).await })).unwrap();
    }
    for job in jobs {
        block_on(job).unwrap();
    }
    let most = most.load(Ordering::Acquire);
    // Two workers look at the count before they add to it, and so may both find room for one.
    assert!(most <= 3 + 2 + 1, "{most} at once");
    // The last job is joined before its thread looks for another.
    until(|| {
        let metrics = runtime.handle().metrics();
        metrics.blocking_queued + metrics.blocking_running + metrics.blocking_threads == 0
    });
}

#[test]
fn jobs_that_start_jobs_and_wait_for_them_do_not_block_each_other() {
    fn nested(depth: usize) -> usize {
        if depth == 0 {
            return 1;
        }
        block(millis(2));
        let children = [spawn_blocking(move || nested(depth - 1)), spawn_blocking(move || nested(depth - 1))];
        children.into_iter().map(|child| block_on(child).unwrap()).sum()
    }
    for workers in [1, 2] {
        let runtime = Builder::new().workers(workers).max_blocking_threads(1).build().unwrap();
        let _entered = runtime.enter();
        let leaves = thread::spawn({
            let handle = runtime.handle();
            move || handle.block_on(async { spawn_blocking(|| nested(6)).await.unwrap() })
        });
        assert_eq!(leaves.join().unwrap(), 64);
        drop(_entered);
        let metrics = runtime.handle().metrics();
        assert_eq!((metrics.blocking_queued, metrics.blocking_running), (0, 0));
    }
}

#[test]
fn jobs_that_wait_in_the_queue_are_dropped_with_the_runtime() {
    struct Tells(std::sync::mpsc::Sender<()>);
    impl Drop for Tells {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let runtime = Builder::new().workers(1).max_blocking_threads(1).build().unwrap();
    let (release, released) = channel::<()>();
    let released = Arc::new(Mutex::new(released));
    let (sender, dropped) = channel();
    let entered = runtime.enter();
    let jobs: Vec<_> = (0..10)
        .map(|_| {
            let (released, tells) = (Arc::clone(&released), Tells(sender.clone()));
            spawn_blocking(move || {
                let _tells = tells;
                let _ = released.lock().unwrap().recv();
            })
        })
        .collect();
    until(|| runtime.handle().metrics().blocking_queued >= 5);
    drop(entered);
    drop(runtime);
    // Those that run are left to end alone.
    for _ in 0..5 {
        dropped.recv_timeout(LONG).unwrap();
    }
    drop(release);
    let ended = jobs.into_iter().map(|job| block_on(job).is_ok()).filter(|&done| done).count();
    assert!(ended <= 3, "{ended} of ten jobs ran on one worker and one thread");
}

#[test]
fn an_aborted_job_does_not_begin() {
    let runtime = Builder::new().workers(1).max_blocking_threads(1).build().unwrap();
    let _entered = runtime.enter();
    let (release, released) = channel::<()>();
    let busy = runtime.spawn(async move {
        let _ = released.recv_timeout(LONG);
    });
    let job = spawn_blocking(|| unreachable!("it was aborted"));
    job.abort();
    drop(release);
    assert!(block_on(job).unwrap_err().is_canceled());
    block_on(busy).unwrap();
}

/// A million short calls: none of them costs a thread its place, and nothing is left behind.
#[test]
fn short_calls_keep_the_place() {
    let runtime = runtime(2);
    let sum = block_on(runtime.spawn(async {
        let mut sum = 0_u64;
        for number in 0..100_000 {
            sum += blocking(|| std::hint::black_box(number));
            if number % 1_000 == 0 {
                yield_now().await;
            }
        }
        sum
    }));
    assert_eq!(sum.unwrap(), 4_999_950_000);
}

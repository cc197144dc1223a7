//! Everything at once, for a while: goroutines that end in all ways, workers that come and go, runtimes that begin and end.
//!
//! Two seconds in a test run; `GORUST_SOAK_SECONDS=600` for longer.

use gorust_reactor::time::{Instant, sleep, timeout};
use gorust_scheduler::{
    PanicPolicy, block_on, blocking, checkpoint, go, local,
    runtime::{Builder, Runtime, set_max_procs},
    spawn_blocking, task, yield_now,
};
use std::{
    future::pending,
    hint::black_box,
    panic,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

const LONG: Duration = Duration::from_secs(60);

/// What the goroutines of one runtime hold: gone when they are.
type Alive = Arc<()>;

/// The next of a row of random numbers, below `bound`.
fn next(state: &mut u64, bound: u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state % bound
}

/// A goroutine that does what its numbers say.
async fn live(mut random: u64, depth: u32, alive: Alive) {
    for _ in 0..next(&mut random, 6) {
        let child = next(&mut random, u64::MAX) | 1;
        match next(&mut random, 13) {
            0 => yield_now().await,
            1 => sleep(Duration::from_micros(next(&mut random, 300))).await,
            2 if depth > 0 => drop(go(boxed(child, depth - 1, &alive))),
            3 if depth > 0 => {
                let _ = go(boxed(child, depth - 1, &alive)).await;
            }
            4 if depth > 0 => go(boxed(child, depth - 1, &alive)).abort(),
            5 if depth > 0 => {
                let guard = go(boxed(child, depth - 1, &alive)).abort_on_drop();
                let _ = timeout(Duration::from_micros(100), guard).await;
            }
            // Nothing in there waits for ever: a `block_on` cannot be aborted.
            6 => block_on(async {
                sleep(Duration::from_micros(next(&mut random, 100))).await;
                let _ = go(async { yield_now().await }).await;
            }),
            7 => blocking(|| thread::park_timeout(Duration::from_micros(next(&mut random, 200)))),
            8 => {
                let alive = Arc::clone(&alive);
                let _ = spawn_blocking(move || {
                    thread::park_timeout(Duration::from_micros(Arc::strong_count(&alive) as u64))
                })
                .await;
            }
            // Each prints a line, whatever the test harness keeps back.
            9 if next(&mut random, 200) == 0 => assert!(black_box(false), "on purpose"),
            10 => {
                let alive = Arc::clone(&alive);
                block_on(local::run_until(async move {
                    let held = Arc::clone(&alive);
                    drop(local::spawn(async move {
                        let _held = held;
                        pending::<()>().await;
                    }));
                    let _ = local::spawn(async move { checkpoint().await }).await;
                }));
            }
            11 if next(&mut random, 16) == 0 => {
                set_max_procs(1 + next(&mut random, 8) as usize);
            }
            12 if depth > 0 => {
                drop(task::Builder::new().name("named").spawn(boxed(child, depth - 1, &alive)));
            }
            _ => checkpoint().await,
        }
    }
    if next(&mut random, 10) == 0 {
        pending::<()>().await;
    }
}

fn boxed(random: u64, depth: u32, alive: &Alive) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(live(random, depth, Arc::clone(alive)))
}

/// One runtime from its beginning to its end. Tells when the last of what its goroutines held is gone.
fn round(mut random: u64, ended: &Sender<std::sync::Weak<()>>) {
    let alive = Alive::default();
    let workers = [1, 2, 8][next(&mut random, 3) as usize];
    let runtime: Runtime = Builder::new()
        .workers(workers)
        .panic_policy(PanicPolicy::Isolate)
        .keep_alive(Duration::from_millis(next(&mut random, 20)))
        .build()
        .unwrap();
    let count = next(&mut random, 60);
    let handles: Vec<_> =
        (0..count).map(|_| runtime.spawn(boxed(next(&mut random, u64::MAX) | 1, 4, &alive))).collect();
    for handle in handles.into_iter().step_by(3) {
        handle.abort();
        let _ = runtime.block_on(handle);
    }
    match next(&mut random, 3) {
        0 => drop(runtime),
        1 => {
            let _ = runtime.shutdown_blocking(Duration::from_millis(next(&mut random, 10)));
        }
        _ => {
            let _ = block_on(runtime.shutdown(Duration::from_millis(next(&mut random, 10))));
        }
    }
    ended.send(Arc::downgrade(&alive)).unwrap();
}

#[test]
fn everything_at_once() {
    let seconds = std::env::var("GORUST_SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    let end = Instant::now() + Duration::from_secs(seconds);
    // On purpose they are, and there are many: quiet.
    panic::set_hook(Box::new(|info| {
        if info.payload().downcast_ref::<&str>().is_none_or(|text| *text != "on purpose") {
            eprintln!("{info}");
        }
    }));
    let (sender, ended): (_, Receiver<std::sync::Weak<()>>) = channel();
    let threads: Vec<_> = (1..=2_u64)
        .map(|number| {
            let sender = sender.clone();
            thread::spawn(move || {
                let mut random = 0x9e37_79b9_7f4a_7c15 ^ (number << 32);
                let mut rounds = 0;
                while Instant::now() < end {
                    round(next(&mut random, u64::MAX) | 1, &sender);
                    rounds += 1;
                }
                rounds
            })
        })
        .collect();
    drop(sender);
    let rounds: u32 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    // What was inside a poll when its runtime ended is gone a little later.
    let deadline = Instant::now() + LONG;
    for alive in ended {
        while alive.strong_count() > 0 {
            assert!(Instant::now() < deadline, "a goroutine was left behind");
            thread::park_timeout(Duration::from_millis(1));
        }
    }
    println!("{rounds} runtimes");
    assert!(rounds > 0);
}

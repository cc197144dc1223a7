//! Runtimes that come and go while their goroutines spawn, join, abort, block, panic, sleep and talk: every future that
//! was made is dropped, every runtime ends, and memory does not grow.

use super::{length, now, pause, resident_bytes, step, watch};
use gorust::{
    PanicPolicy,
    chan::{Receiver, Sender},
    prelude::*,
    runtime::{Builder, Handle, Runtime},
};
use gorust_primitives::rng::Rng;
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

/// How deep goroutines spawn goroutines.
const DEPTH: u32 = 4;
/// How many goroutines a runtime has at its start.
const ROOTS: usize = 16;

/// Counts the futures that exist: one of these is in each.
struct Tally(Arc<AtomicUsize>);

impl Tally {
    fn new(live: &Arc<AtomicUsize>) -> Self {
        live.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(live))
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

/// What a goroutine of the soak knows.
#[derive(Clone)]
struct World {
    live: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    tx: Sender<u64>,
    rx: Receiver<u64>,
}

impl World {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// Does random things until the world is over.
fn wander(world: World, seed: u64, depth: u32) -> Pin<Box<dyn Future<Output = u64> + Send + 'static>> {
    let tally = Tally::new(&world.live);
    Box::pin(async move {
        let _tally = tally;
        let mut rng = Rng::new(seed);
        let mut sum = 0;
        let steps = if depth == 0 { u32::MAX } else { rng.below(20) };
        for _ in 0..steps {
            if world.is_over() {
                break;
            }
            step();
            sum += one_step(&world, &mut rng, depth).await;
            gorust::yield_now().await;
        }
        sum
    })
}

async fn one_step(world: &World, rng: &mut Rng, depth: u32) -> u64 {
    let child = wander(world.clone(), rng.next_u64(), depth + 1);
    match rng.below(15) {
        0 if depth < DEPTH => drop(go(child)),
        1 if depth < DEPTH => return go(child).await.unwrap_or(0),
        2 if depth < DEPTH => {
            let handle = go(child);
            for _ in 0..rng.below(4) {
                gorust::yield_now().await;
            }
            handle.abort();
            return handle.await.unwrap_or(0);
        }
        3 if depth < DEPTH => {
            let _ends = go(child).abort_on_drop();
            sleep(Duration::from_micros(rng.below(300).into())).await;
        }
        // Rarely, since each is reported.
        4 if rng.below(100) == 0 => drop(go(async { panic!("one of the soak's panics") })),
        5 if rng.below(100) == 0 => {
            let panicked = go(async { panic!("another of the soak's panics") }).await;
            assert!(panicked.is_err(), "a panic is seen, or the runtime is over");
        }
        6 => {
            let length = Duration::from_micros(rng.below(500).into());
            match rng.below(3) {
                // The monitor finds it out, or is told, or it has a thread of its own.
                0 => pause(length),
                1 => gorust::blocking(|| pause(length)),
                _ => drop(gorust::spawn_blocking(move || pause(length)).await),
            }
        }
        7 if rng.below(200) == 0 => pause(Duration::from_millis(u64::from(rng.below(30)))),
        8 => return gorust::block_on(async { go(async { 7 }).await.unwrap_or(0) }),
        9 => sleep(Duration::from_micros(rng.below(1_000).into())).await,
        10 => drop(timeout(Duration::from_micros(rng.below(200).into()), world.rx.recv()).await),
        11 => drop(timeout(Duration::from_micros(rng.below(200).into()), world.tx.send(1)).await),
        12 => {
            let handle = Handle::current();
            let live = Arc::clone(&world.live);
            let tally = Tally::new(&live);
            // A plain thread spawns, perhaps too late.
            std::thread::spawn(move || drop(handle.spawn(async move { drop(tally) })));
        }
        13 if depth == 0 && rng.below(50) == 0 => {
            // A runtime that ends inside a goroutine of another.
            let inner = Runtime::new().expect("a runtime");
            let tally = Tally::new(&world.live);
            drop(inner.spawn(async move {
                let _tally = tally;
                std::future::pending::<()>().await;
            }));
            gorust::yield_now().await;
            drop(inner);
        }
        _ => {}
    }
    0
}

/// One runtime's life.
fn life(workers: usize, rng: &Rng, live: &Arc<AtomicUsize>) {
    let runtime = Builder::new()
        .workers(workers)
        .panic_policy(PanicPolicy::Isolate)
        .seed(rng.next_u64())
        .build()
        .expect("a runtime");
    let (tx, rx) = chan(rng.below(3) as usize);
    let world = World { live: Arc::clone(live), over: Arc::default(), tx, rx };
    for _ in 0..ROOTS {
        drop(runtime.spawn(wander(world.clone(), rng.next_u64(), 0)));
    }
    pause(Duration::from_millis(u64::from(rng.below(60))));
    match rng.below(3) {
        0 => drop(runtime),
        1 => {
            // Inside one of its own goroutines.
            let handle = runtime.handle();
            drop(handle.spawn(async move { drop(runtime) }));
        }
        _ => {
            world.over.store(true, Ordering::Relaxed);
            pause(Duration::from_millis(u64::from(rng.below(5))));
            drop(runtime);
        }
    }
    // Those that are inside a poll are dropped when it is over.
    world.over.store(true, Ordering::Relaxed);
}

#[test]
fn runtimes_come_and_go() {
    watch();
    let default_hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let is_ours = info.payload_as_str().is_some_and(|text| text.contains("the soak's panics"));
        if !is_ours {
            default_hook(info);
        }
    }));
    let live = Arc::new(AtomicUsize::new(0));
    let rng = Rng::new(1);
    let (start, length) = (now(), length());
    // When each life ended, and what the process held then.
    let mut held = Vec::new();
    // In turn, so that every part of the soak has the same to hold.
    for workers in [1, 2, 8].into_iter().cycle() {
        life(workers, &rng, &live);
        step();
        let elapsed = now() - start;
        held.extend(resident_bytes().map(|bytes| (elapsed, bytes)));
        if elapsed >= length {
            break;
        }
    }
    // A minute, or the watchdog.
    while live.load(Ordering::Acquire) > 0 {
        pause(Duration::from_millis(1));
    }
    println!("{} runtimes, {} steps, no future left", held.len(), super::STEPS.load(Ordering::Relaxed));
    // The median of the lives that ended in the minute before `end`.
    let held_before = |end: Duration| {
        let since = end.saturating_sub(Duration::from_secs(60));
        let mut bytes: Vec<_> =
            held.iter().filter(|(at, _)| (since..end).contains(at)).map(|(_, bytes)| *bytes).collect();
        bytes.sort_unstable();
        bytes.get(bytes.len() / 2).copied()
    };
    for minute in 1..=length.as_secs() / 60 {
        let bytes = held_before(Duration::from_secs(60 * minute));
        println!("minute {minute}: {} bytes resident, the median", bytes.unwrap_or(0));
    }
    let after_two = Duration::from_secs(120);
    if length > after_two
        && let (Some(before), Some(last), Some(after)) =
            (held_before(after_two), held_before(length), resident_bytes())
    {
        println!("{after} bytes resident in the end");
        assert!(last.max(after) < before + before / 20, "memory has grown by more than 5 % since minute 2");
    }
}

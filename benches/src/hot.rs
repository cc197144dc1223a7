//! gorust's own hot paths, one function each: what `cargo bench` times and the binary `instructions` counts.
//!
//! Here gorust is compared with itself of before, never with others: that is [`loads`](crate::loads). A runtime with one
//! worker, so that what is counted does not depend on who was faster.

use gorust::{
    net::Async,
    prelude::*,
    runtime::{Builder, Runtime},
    sync::Mutex,
};
use std::{
    fs::File,
    future::poll_fn,
    hint::black_box,
    io::Read,
    os::fd::FromRawFd,
    pin::pin,
    sync::{Arc, OnceLock, mpsc},
    task::{Poll, Waker},
    time::Instant,
};

/// One operation, done many times.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// The name on the command line and in the file of figures.
    pub name: &'static str,
    /// What one operation is.
    pub what: &'static str,
    /// Whether an operation is mostly sleep: there are instructions to count, but no time worth knowing.
    pub sleeps: bool,
    /// Does so many operations; the time they took.
    pub run: fn(&Runtime, usize) -> Duration,
}

const fn path(name: &'static str, what: &'static str, run: fn(&Runtime, usize) -> Duration) -> Path {
    Path { name, what, sleeps: false, run }
}

/// All paths, in the order of the file of figures.
pub const PATHS: &[Path] = &[
    path("spawn_join", "go from a goroutine, and await the handle", |runtime, count| {
        on_worker(runtime, spawn_join(count))
    }),
    path(
        "spawn_detached",
        "go from a goroutine, the handle dropped, 64 at a time; run to its end",
        |runtime, count| on_worker(runtime, spawn_detached(count)),
    ),
    path(
        "spawn_outside",
        "spawn from a plain thread while the worker is busy, 512 at a time; run to its end",
        spawn_outside,
    ),
    path(
        "wake",
        "wake_by_ref of a parked goroutine, 64 at a time, and the poll that follows",
        |runtime, count| on_worker(runtime, wake(count)),
    ),
    path("yield", "a goroutine alone yields, and is polled again", |runtime, count| {
        on_worker(runtime, yields(count))
    }),
    path("blocking", "a section of blocking code that does nothing", |runtime, count| {
        on_worker(runtime, blocking(count))
    }),
    path("spawn_blocking", "an empty blocking job is started and awaited", |runtime, count| {
        on_worker(runtime, spawn_blocking(count))
    }),
    Path {
        sleeps: true,
        ..path(
            "park",
            "nothing to do: the worker decides to sleep, sleeps, and a descriptor wakes it",
            |runtime, count| on_worker(runtime, park(count)),
        )
    },
    path(
        "chan_buffered",
        "send and receive through a buffer of 64 that is neither full nor empty",
        |runtime, count| on_worker(runtime, chan_buffered(count)),
    ),
    path("chan_rendezvous", "a value from one goroutine to another without a buffer", |runtime, count| {
        on_worker(runtime, chan_rendezvous(count))
    }),
    path(
        "chan_unbounded",
        "send and receive through an unbounded channel, 64 at a time",
        |runtime, count| on_worker(runtime, chan_unbounded(count)),
    ),
    path("oneshot", "a oneshot is made, its value sent and received", |runtime, count| {
        on_worker(runtime, oneshot(count))
    }),
    path("timer", "a sleep of an hour is armed, and dropped", |runtime, count| {
        on_worker(runtime, timer(count))
    }),
    path("mutex", "lock and unlock, uncontended", |runtime, count| on_worker(runtime, mutex(count))),
    path("mutex_contended", "two goroutines lock in turn and yield under the lock", |runtime, count| {
        on_worker(runtime, mutex_contended(count))
    }),
    path("wait_group", "wg.go, 64 at a time, then wait", |runtime, count| {
        on_worker(runtime, wait_group(count))
    }),
    path("context", "a context with cancel below another: made, canceled, dropped", |runtime, count| {
        on_worker(runtime, context(count))
    }),
];

/// The runtime the paths run on.
pub fn runtime() -> Runtime {
    Builder::new().workers(1).seed(1).build().expect("a runtime starts")
}

/// Runs the body as a goroutine.
fn on_worker(runtime: &Runtime, body: impl Future<Output = Duration> + Send + 'static) -> Duration {
    runtime.block_on(runtime.spawn(body)).expect("no path panics")
}

/// So many goroutines are alive at a time where a path makes many: fewer than a worker's queue holds.
const WAVE: usize = 64;

/// `count` in waves of so many; the last one is what remains.
fn waves(count: usize, wave: usize) -> impl Iterator<Item = usize> {
    (0..count).step_by(wave).map(move |done| wave.min(count - done))
}

async fn spawn_join(count: usize) -> Duration {
    let start = Instant::now();
    for i in 0..count {
        assert_eq!(go(async move { i }).await.expect("it ends"), i);
    }
    start.elapsed()
}

async fn spawn_detached(count: usize) -> Duration {
    let start = Instant::now();
    for wave in waves(count, WAVE) {
        for _ in 0..wave {
            go(async {});
        }
        gorust::yield_now().await;
    }
    start.elapsed()
}

fn spawn_outside(runtime: &Runtime, count: usize) -> Duration {
    // Two threads meet at the ends of a wave, and who sleeps there is chance: long ones, so that it does not count.
    const WAVE: usize = 512;
    let start = Instant::now();
    for wave in waves(count, WAVE) {
        let (busy, is_busy) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        runtime.spawn(async move {
            busy.send(()).expect("the thread outside waits");
            // Blocks the worker, which computes nothing meanwhile: nobody else's instructions are counted.
            let _ = released.recv();
        });
        is_busy.recv().expect("the worker is there");
        for _ in 1..wave {
            runtime.spawn(async {});
        }
        let last = runtime.spawn(async {});
        drop(release);
        gorust::block_on(last).expect("it ends");
    }
    start.elapsed()
}

async fn wake(count: usize) -> Duration {
    let wakers: [Arc<OnceLock<Waker>>; WAVE] = std::array::from_fn(|_| Arc::default());
    for waker in &wakers {
        let waker = waker.clone();
        go(poll_fn(move |cx| {
            waker.get_or_init(|| cx.waker().clone());
            Poll::<()>::Pending
        }));
    }
    gorust::yield_now().await;
    let start = Instant::now();
    for wave in waves(count, WAVE) {
        for waker in &wakers[..wave] {
            waker.get().expect("all have been polled").wake_by_ref();
        }
        gorust::yield_now().await;
    }
    start.elapsed()
}

async fn yields(count: usize) -> Duration {
    let start = Instant::now();
    for _ in 0..count {
        gorust::yield_now().await;
    }
    start.elapsed()
}

async fn blocking(count: usize) -> Duration {
    let start = Instant::now();
    for i in 0..count {
        assert_eq!(gorust::blocking(|| black_box(i)), i);
    }
    start.elapsed()
}

async fn spawn_blocking(count: usize) -> Duration {
    let start = Instant::now();
    for i in 0..count {
        assert_eq!(gorust::spawn_blocking(move || i).await.expect("it ends"), i);
    }
    start.elapsed()
}

/// What wakes the worker is a `timerfd`: no thread of this process has a part in it, and no timer of ours.
async fn park(count: usize) -> Duration {
    const PERIOD: libc::timespec = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000 };
    let every_ms = libc::itimerspec { it_interval: PERIOD, it_value: PERIOD };
    let ticks = {
        // SAFETY: takes no pointer.
        let fd =
            unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC) };
        assert!(fd >= 0, "timerfd_create");
        // SAFETY: `every_ms` is valid for the length of the call, and the former value may be asked for or not.
        let outcome = unsafe { libc::timerfd_settime(fd, 0, &raw const every_ms, std::ptr::null_mut()) };
        assert_eq!(outcome, 0, "timerfd_settime");
        // SAFETY: it was just opened, and belongs to nobody else.
        unsafe { File::from_raw_fd(fd) }
    };
    let ticks = Async::new(ticks).expect("a descriptor epoll takes");
    let start = Instant::now();
    for _ in 0..count {
        let mut expirations = [0; 8];
        ticks.read_with(|mut ticks| ticks.read(&mut expirations)).await.expect("a count of 8 bytes");
    }
    start.elapsed()
}

async fn chan_buffered(count: usize) -> Duration {
    let (sender, receiver) = chan(WAVE);
    let start = Instant::now();
    for wave in waves(count, WAVE) {
        for i in 0..wave {
            sender.send(i).await.expect("it is open");
        }
        for i in 0..wave {
            assert_eq!(receiver.recv().await, Some(i));
        }
    }
    start.elapsed()
}

async fn chan_rendezvous(count: usize) -> Duration {
    let (sender, receiver) = chan(0);
    go(async move {
        for i in 0..count {
            sender.send(i).await.expect("it is open");
        }
    });
    let start = Instant::now();
    for i in 0..count {
        assert_eq!(receiver.recv().await, Some(i));
    }
    start.elapsed()
}

async fn chan_unbounded(count: usize) -> Duration {
    let (sender, receiver) = chan::unbounded();
    let start = Instant::now();
    for wave in waves(count, WAVE) {
        for i in 0..wave {
            sender.send(i).await.expect("it is open");
        }
        for i in 0..wave {
            assert_eq!(receiver.recv().await, Some(i));
        }
    }
    start.elapsed()
}

async fn oneshot(count: usize) -> Duration {
    let start = Instant::now();
    for i in 0..count {
        let (sender, receiver) = chan::oneshot();
        black_box(sender).send(i).expect("the receiver is there");
        assert_eq!(black_box(receiver).await, Ok(i));
    }
    start.elapsed()
}

async fn timer(count: usize) -> Duration {
    let start = Instant::now();
    for _ in 0..count {
        let mut sleep = pin!(sleep(Duration::from_secs(3600)));
        poll_fn(|cx| {
            assert!(sleep.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
    }
    start.elapsed()
}

async fn mutex(count: usize) -> Duration {
    let mutex = Mutex::new(0);
    let start = Instant::now();
    for _ in 0..count {
        *black_box(&mutex).lock().await += 1;
    }
    let elapsed = start.elapsed();
    assert_eq!(mutex.into_inner(), count);
    elapsed
}

async fn mutex_contended(count: usize) -> Duration {
    async fn increments(mutex: Arc<Mutex<usize>>, times: usize) {
        for _ in 0..times {
            let mut number = mutex.lock().await;
            gorust::yield_now().await;
            *number += 1;
        }
    }
    let mutex = Arc::new(Mutex::new(0));
    let start = Instant::now();
    let other = go(increments(mutex.clone(), count / 2));
    increments(mutex.clone(), count.div_ceil(2)).await;
    other.await.expect("it ends");
    let elapsed = start.elapsed();
    assert_eq!(*mutex.lock().await, count);
    elapsed
}

async fn wait_group(count: usize) -> Duration {
    let start = Instant::now();
    for wave in waves(count, WAVE) {
        let group = WaitGroup::new();
        for _ in 0..wave {
            group.go(async {});
        }
        group.wait().await;
    }
    start.elapsed()
}

async fn context(count: usize) -> Duration {
    let (parent, _cancel) = Context::background().with_cancel();
    let start = Instant::now();
    for _ in 0..count {
        let (child, cancel) = parent.with_cancel();
        cancel.cancel();
        assert!(child.err().is_some());
    }
    start.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_comes_to_its_end() {
        let runtime = runtime();
        for path in PATHS {
            for count in [1, 2, WAVE, 3 * WAVE + 1] {
                (path.run)(&runtime, count);
            }
        }
    }

    #[test]
    fn waves_add_up() {
        assert_eq!(waves(130, 64).collect::<Vec<_>>(), [64, 64, 2]);
        assert_eq!(waves(0, 64).count(), 0);
    }
}

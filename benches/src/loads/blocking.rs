//! What happens while a worker's thread is taken: by a task that blocks or computes, by jobs of a blocking pool, by one
//! half of a fork.

use super::time::{spin, ticks};
use crate::{
    meter::{Meter, Report},
    peer::{Clock, InPlace, Offload, Peer},
    process::{Config, Row},
    stats::percentile,
};
use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// The rows of a peer with a clock.
pub fn rows<P: Clock>() -> Vec<Row> {
    vec![
        ("ticker_blocked", |config| {
            ticker_stalled::<P>(config, 5, || thread::sleep(Duration::from_millis(200)))
        }),
        ("ticker_busy", |config| ticker_stalled::<P>(config, 10, || spin(Duration::from_millis(100)))),
        ("fork", fork::<P>),
    ]
}

/// A ticker while as many tasks as workers stall their thread `times` over, with a yield after each.
fn ticker_stalled<P: Clock>(config: Config, times: usize, stall: fn()) -> Report {
    let times = config.count(times);
    P::start(config.workers).run(async move {
        ticks::<P>(|done, _| done >= 20).await;
        let stalling = Arc::new(AtomicUsize::new(config.workers));
        let meter = Meter::start();
        for _ in 0..config.workers {
            let stalling = stalling.clone();
            P::detach(async move {
                for _ in 0..times {
                    stall();
                    P::yield_now().await;
                }
                stalling.fetch_sub(1, Ordering::AcqRel);
            });
        }
        let mut late =
            ticks::<P>(|_, next| stalling.load(Ordering::Acquire) == 0 && next > Instant::now()).await;
        let span = meter.stop();
        span.report(percentile(&mut late, 0.99) / 1e3)
            .with("p50_ms", percentile(&mut late, 0.5) / 1e3)
            .with("ticks", late.len() as f64)
    })
}

/// The row of a peer with a blocking pool.
pub fn blocking_job<P: Offload>(config: Config) -> Report {
    const WAVE: usize = 100;
    async fn waves<P: Offload>(count: usize) {
        let mut sum = 0;
        let mut jobs = Vec::with_capacity(WAVE);
        for _ in 0..count {
            jobs.extend((0..WAVE as u64).map(|i| P::offload(move || i)));
            for job in jobs.drain(..) {
                sum += job.await;
            }
        }
        assert_eq!(sum, (count * WAVE * (WAVE - 1) / 2) as u64);
    }
    let count = config.count(1_000);
    P::start(config.workers).run(async move {
        waves::<P>(count.div_ceil(10)).await;
        let meter = Meter::start();
        waves::<P>(count).await;
        meter.stop().ns_each(count * WAVE)
    })
}

/// The row of a peer whose tasks may block where they are, if they say so.
pub fn blocking_in_place<P: InPlace>(config: Config) -> Report {
    fn sections<P: InPlace>(count: u64) {
        let mut sum = 0;
        for i in 0..count {
            sum += P::in_place(|| black_box(i));
        }
        assert_eq!(sum, count * (count - 1) / 2);
    }
    let count = config.count(200_000);
    P::start(config.workers).run(async move {
        sections::<P>(count.div_ceil(10) as u64);
        let meter = Meter::start();
        sections::<P>(count as u64);
        meter.stop().ns_each(count)
    })
}

/// Computes `steps` steps, each of which needs the one before.
fn compute(steps: u64) -> u64 {
    let mut x = black_box(1u64);
    for _ in 0..steps {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    }
    x
}

/// How many steps this CPU computes in `duration`: the fastest of several tries, undisturbed by neighbours.
fn steps_in(duration: Duration) -> u64 {
    const STEPS: u64 = 1_000_000;
    let fastest = (0..20)
        .map(|_| {
            let start = Instant::now();
            black_box(compute(STEPS));
            start.elapsed()
        })
        .min()
        .expect("some tries");
    (STEPS as f64 * duration.as_secs_f64() / fastest.as_secs_f64()) as u64
}

fn fork<P: Peer>(config: Config) -> Report {
    async fn forked<P: Peer>(steps: u64) -> f64 {
        let start = Instant::now();
        let other = P::spawn(async move { compute(steps) });
        let own = compute(steps);
        assert_eq!(other.await, own);
        start.elapsed().as_nanos() as f64 / 1e6
    }
    let steps = steps_in(Duration::from_millis(5));
    let count = config.count(100);
    P::start(config.workers).run(async move {
        for _ in 0..count.div_ceil(10) {
            forked::<P>(steps).await;
        }
        let meter = Meter::start();
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            times.push(forked::<P>(steps).await);
        }
        let span = meter.stop();
        span.report(percentile(&mut times, 0.5)).with("p99_ms", percentile(&mut times, 0.99))
    })
}

//! Sleeps, timeouts, and a ticker beside other work.

use super::{Latch, Lcg};
use crate::{
    meter::{Meter, Report},
    peer::Clock,
    process::{Config, Row},
    stats::percentile,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

/// The rows of a peer with a clock.
pub fn rows<P: Clock>() -> Vec<Row> {
    vec![
        ("timeout", timeout::<P>),
        ("sleep_100us", |config| sleeps::<P>(config, Duration::from_micros(100))),
        ("sleep_1ms", |config| sleeps::<P>(config, Duration::from_millis(1))),
        ("sleeps_1m", sleeps_1m::<P>),
        ("ticker_loaded", ticker_loaded::<P>),
        ("asleep_bytes", super::memory::asleep_bytes::<P>),
    ]
}

fn micros(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e3
}

/// Computes until `duration` is over.
pub(super) fn spin(duration: Duration) {
    let start = Instant::now();
    while start.elapsed() < duration {
        std::hint::spin_loop();
    }
}

fn timeout<P: Clock>(config: Config) -> Report {
    async fn timeouts<P: Clock>(count: usize) {
        for _ in 0..count {
            assert!(P::timeout(Duration::from_secs(1), P::yield_now()).await);
        }
    }
    let count = config.count(1_000_000);
    P::start(config.workers).run(async move {
        timeouts::<P>(count.div_ceil(10)).await;
        let meter = Meter::start();
        timeouts::<P>(count).await;
        meter.stop().ns_each(count)
    })
}

fn sleeps<P: Clock>(config: Config, duration: Duration) -> Report {
    async fn lateness<P: Clock>(count: usize, duration: Duration) -> Vec<f64> {
        let mut late = Vec::with_capacity(count);
        for _ in 0..count {
            let start = Instant::now();
            P::sleep(duration).await;
            let slept = start.elapsed();
            assert!(slept >= duration, "a sleep of {duration:?} ended after {slept:?}");
            late.push(micros(slept - duration));
        }
        late
    }
    let count = config.count(1_000);
    P::start(config.workers).run(async move {
        lateness::<P>(count.div_ceil(10), duration).await;
        let meter = Meter::start();
        let mut late = lateness::<P>(count, duration).await;
        let span = meter.stop();
        span.report(percentile(&mut late, 0.5)).with("p99_us", percentile(&mut late, 0.99))
    })
}

fn sleeps_1m<P: Clock>(config: Config) -> Report {
    let count = config.count(1_000_000);
    P::start(config.workers).run(async move {
        let late_us: &'static [AtomicU32] = Vec::leak((0..count).map(|_| AtomicU32::new(u32::MAX)).collect());
        let latch = Latch::<P>::new();
        let all_done = latch.arm(count);
        let mut random = Lcg(1);
        let meter = Meter::start();
        for cell in late_us {
            let duration = Duration::from_micros(500_000 + random.next() % 1_000_000);
            let spawned = Instant::now();
            P::detach(async move {
                P::sleep(duration).await;
                let late = spawned.elapsed().checked_sub(duration).expect("no sleep ends early");
                cell.store(late.as_micros() as u32, Ordering::Relaxed);
                latch.done();
            });
        }
        P::caught(all_done).await;
        let span = meter.stop();
        let mut late_ms: Vec<f64> =
            late_us.iter().map(|late| f64::from(late.load(Ordering::Relaxed)) / 1e3).collect();
        assert!(late_ms.iter().all(|&late| late < f64::from(u32::MAX) / 1e3), "every task has slept");
        span.report(percentile(&mut late_ms, 0.99)).with("p50_ms", percentile(&mut late_ms, 0.5))
    })
}

/// Ticks of a fixed schedule, until `over` says so of the number done and the next one's time: how late each was, in
/// microseconds. A late tick also holds up those behind it, and each of them counts its own full lateness.
pub(super) async fn ticks<P: Clock>(mut over: impl FnMut(usize, Instant) -> bool) -> Vec<f64> {
    const PERIOD: Duration = Duration::from_millis(1);
    let mut late = Vec::new();
    let mut due = Instant::now() + PERIOD;
    while !over(late.len(), due) {
        P::sleep_until(due).await;
        late.push(micros(due.elapsed()));
        due += PERIOD;
    }
    late
}

fn ticker_loaded<P: Clock>(config: Config) -> Report {
    let count = config.count(2_000);
    P::start(config.workers).run(async move {
        let over = Arc::new(AtomicBool::new(false));
        for _ in 0..200 {
            let over = over.clone();
            P::detach(async move {
                while !over.load(Ordering::Relaxed) {
                    spin(Duration::from_micros(50));
                    P::yield_now().await;
                }
            });
        }
        ticks::<P>(|done, _| done >= count.div_ceil(10)).await;
        let meter = Meter::start();
        let mut late = ticks::<P>(|done, _| done >= count).await;
        let span = meter.stop();
        over.store(true, Ordering::Relaxed);
        span.report(percentile(&mut late, 0.99)).with("p50_us", percentile(&mut late, 0.5))
    })
}

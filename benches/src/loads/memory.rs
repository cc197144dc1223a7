//! What a task costs that does nothing: resident bytes after a million of them, minus before.

use super::Latch;
use crate::{
    meter::{Meter, Report, resident_bytes},
    peer::{Clock, Event},
    process::Config,
};
use std::{
    future::Future,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

static STARTED: AtomicUsize = AtomicUsize::new(0);

/// Spawns `count` of `task`, waits until all have come to their wait, and reports resident bytes for each.
///
/// Yields now and then, so that queues stay short and are not counted as the tasks' memory.
async fn bytes_each<P: Clock, F>(count: usize, task: impl Fn() -> F) -> Report
where
    F: Future<Output = ()> + Send + 'static,
{
    P::sleep(Duration::from_millis(10)).await;
    let before = resident_bytes();
    let meter = Meter::start();
    for i in 0..count {
        P::detach(task());
        if i % 1_000 == 0 {
            P::yield_now().await;
        }
    }
    while STARTED.load(Ordering::Acquire) < count {
        P::yield_now().await;
    }
    // The last ones have counted themselves and are on the way into their wait.
    P::sleep(Duration::from_millis(50)).await;
    let span = meter.stop();
    span.report((resident_bytes() - before) as f64 / count as f64)
}

/// The row of a peer with an event.
pub fn parked_bytes<P: Clock + Event>(config: Config) -> Report {
    let count = config.count(1_000_000);
    P::start(config.workers).run(async move {
        let event = P::event();
        let latch = Latch::<P>::new();
        let all_woken = latch.arm(count);
        let report = bytes_each::<P, _>(count, || {
            let event = event.clone();
            async move {
                STARTED.fetch_add(1, Ordering::Release);
                P::wait(&event).await;
                latch.done();
            }
        })
        .await;
        P::happen(&event);
        P::caught(all_woken).await;
        report
    })
}

/// The row of a peer with a clock.
pub fn asleep_bytes<P: Clock>(config: Config) -> Report {
    let count = config.count(1_000_000);
    P::start(config.workers).run(bytes_each::<P, _>(count, || async {
        STARTED.fetch_add(1, Ordering::Release);
        P::sleep(Duration::from_secs(3_600)).await;
        unreachable!("the run ends long before");
    }))
}

//! Whom a push wakes: nobody, where the one who pushes runs it next. The second worker's sleep is counted by the
//! notifications that break it, and by the kernel's context switches.

use crate::{alone, counters, run, runtime, usage};
use gorust_scheduler::{go, runtime::Runtime};
use gorust_sync::chan;

/// What a stretch of work took: notifications of the reactor, where the idle worker sleeps, and context switches.
#[derive(Debug)]
struct Taken {
    notifies: u64,
    switches: u64,
}

/// Runs `work` twice, and counts the second time.
fn taken<W, F>(runtime: &Runtime, work: W) -> Taken
where
    W: Fn() -> F + Send + 'static,
    F: Future<Output = ()> + Send,
{
    run(runtime, async move {
        work().await;
        let (notifies, switches) = (counters().notifies, usage().1);
        work().await;
        Taken { notifies: counters().notifies - notifies, switches: usage().1 - switches }
    })
}

const ROUND_TRIPS: u64 = 20_000;

/// A number goes there and back between two goroutines.
async fn ping_pong() {
    let (there, arrived) = chan(1);
    let (back, returned) = chan(1);
    go(async move {
        while let Some(n) = arrived.recv().await {
            back.send(n + 1).await.unwrap();
        }
    });
    for n in 0..ROUND_TRIPS {
        there.send(n).await.unwrap();
        assert_eq!(returned.recv().await, Some(n + 1));
    }
}

#[test]
fn a_ping_pong_leaves_the_second_worker_asleep() {
    let _alone = alone();
    let (one, two) = (taken(&runtime(1), ping_pong), taken(&runtime(2), ping_pong));
    println!("{ROUND_TRIPS} round trips: 1 worker {one:?}, 2 workers {two:?}");
    assert!(two.notifies <= ROUND_TRIPS / 1_000, "{two:?}");
    // A wake of the other worker is two switches at least. Those that remain are the kernel's, on a machine that others
    // use too: with the second worker woken at each step there are tens of thousands.
    assert!(two.switches <= one.switches + ROUND_TRIPS / 20, "1 worker {one:?}, 2 workers {two:?}");
}

#[test]
fn a_chain_of_spawns_leaves_the_second_worker_asleep() {
    let _alone = alone();
    const LENGTH: u64 = 100_000;
    fn link(left: u64, last: chan::Sender<()>) {
        go(async move {
            match left {
                0 => last.send(()).await.unwrap(),
                _ => link(left - 1, last),
            }
        });
    }
    let two = taken(&runtime(2), || async {
        let (last, at_the_end) = chan(1);
        link(LENGTH, last);
        assert_eq!(at_the_end.recv().await, Some(()));
    });
    println!("a chain of {LENGTH} spawns on 2 workers: {two:?}");
    assert!(two.notifies <= LENGTH / 5_000, "{two:?}");
    assert!(two.switches <= LENGTH / 100, "{two:?}");
}

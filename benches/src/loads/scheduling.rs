//! Spawn, join, yield, hand over: nothing here waits for the outside world.

use super::Latch;
use crate::{
    meter::{Meter, Report},
    peer::{Chan, Contexts, Group, Peer},
    process::{Config, Row},
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    mpsc,
};

/// The rows every peer has.
pub fn rows<P: Peer>() -> Vec<Row> {
    vec![
        ("spawn_join", spawn_join::<P>),
        ("spawn_detached", spawn_detached::<P>),
        ("spawn_outside_idle", spawn_outside_idle::<P>),
        ("spawn_outside_busy", spawn_outside_busy::<P>),
        ("yield_200", yield_200::<P>),
        ("yield_alone", yield_alone::<P>),
        ("ping_pong", ping_pong::<P>),
        ("chained_spawn", chained_spawn::<P>),
        ("skynet_handles", skynet_handles::<P>),
    ]
}

/// The rows that also need a channel.
pub fn rows_with_channels<P: Peer, C: Chan>() -> Vec<Row> {
    vec![
        ("skynet_channels", skynet_channels::<P, C>),
        ("main_round_trip", main_round_trip::<P, C>),
        ("task_round_trip", task_round_trip::<P, C>),
    ]
}

fn spawn_join<P: Peer>(config: Config) -> Report {
    const WAVE: usize = 1_000;
    async fn waves<P: Peer>(count: usize) {
        let mut handles = Vec::with_capacity(WAVE);
        let mut sum = 0;
        for wave in 0..count {
            handles.extend((0..WAVE).map(|i| P::spawn(async move { (wave + i) as u64 })));
            for handle in handles.drain(..) {
                sum += handle.await;
            }
        }
        let expected = (0..count).map(|wave| (WAVE * wave + WAVE * (WAVE - 1) / 2) as u64).sum::<u64>();
        assert_eq!(sum, expected);
    }
    let count = config.count(3_000);
    P::start(config.workers).run(async move {
        waves::<P>(count.div_ceil(10)).await;
        let meter = Meter::start();
        waves::<P>(count).await;
        meter.stop().ns_each(count * WAVE)
    })
}

const BURST: usize = 10_000;

fn spawn_detached<P: Peer>(config: Config) -> Report {
    async fn bursts<P: Peer>(latch: &'static Latch<P>, count: usize) {
        for _ in 0..count {
            let all_done = latch.arm(BURST);
            for _ in 0..BURST {
                P::detach(async move { latch.done() });
            }
            P::caught(all_done).await;
        }
    }
    let count = config.count(200);
    P::start(config.workers).run(async move {
        let latch = Latch::<P>::new();
        bursts(latch, count.div_ceil(10)).await;
        let meter = Meter::start();
        bursts(latch, count).await;
        meter.stop().ns_each(count * BURST)
    })
}

fn spawn_outside_idle<P: Peer>(config: Config) -> Report {
    let peer = P::start(config.workers);
    bursts_from_outside(peer, config)
}

fn spawn_outside_busy<P: Peer>(config: Config) -> Report {
    static OVER: AtomicBool = AtomicBool::new(false);
    let peer = P::start(config.workers);
    for _ in 0..config.workers {
        peer.detach_outside(async {
            while !OVER.load(Ordering::Relaxed) {
                P::yield_now().await;
            }
        });
    }
    let report = bursts_from_outside(peer, config);
    OVER.store(true, Ordering::Relaxed);
    report
}

/// Bursts of tasks from this thread, which is no worker and waits on a std channel.
fn bursts_from_outside<P: Peer>(peer: &'static P, config: Config) -> Report {
    let left: &'static AtomicUsize = Box::leak(Box::new(AtomicUsize::new(0)));
    let (sender, receiver) = mpsc::sync_channel(1);
    let sender: &'static mpsc::SyncSender<()> = Box::leak(Box::new(sender));
    let bursts = |count: usize| {
        for _ in 0..count {
            left.store(BURST, Ordering::SeqCst);
            for _ in 0..BURST {
                peer.detach_outside(async move {
                    if left.fetch_sub(1, Ordering::AcqRel) == 1 {
                        sender.send(()).unwrap();
                    }
                });
            }
            receiver.recv().unwrap();
            assert_eq!(left.load(Ordering::SeqCst), 0);
        }
    };
    let count = config.count(200);
    bursts(count.div_ceil(10));
    let meter = Meter::start();
    bursts(count);
    meter.stop().ns_each(count * BURST)
}

fn yield_200<P: Peer>(config: Config) -> Report {
    const TASKS: usize = 200;
    async fn all<P: Peer>(yields: usize) {
        let handles: Vec<_> = (0..TASKS)
            .map(|_| {
                P::spawn(async move {
                    let mut count = 0;
                    for _ in 0..yields {
                        P::yield_now().await;
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        let mut sum = 0;
        for handle in handles {
            sum += handle.await;
        }
        assert_eq!(sum, TASKS * yields);
    }
    let yields = config.count(30_000);
    P::start(config.workers).run(async move {
        all::<P>(yields.div_ceil(10)).await;
        let meter = Meter::start();
        all::<P>(yields).await;
        meter.stop().ns_each(TASKS * yields)
    })
}

fn yield_alone<P: Peer>(config: Config) -> Report {
    async fn alone<P: Peer>(yields: usize) {
        for _ in 0..yields {
            P::yield_now().await;
        }
    }
    let yields = config.count(2_000_000);
    P::start(config.workers).run(async move {
        alone::<P>(yields.div_ceil(10)).await;
        let meter = Meter::start();
        alone::<P>(yields).await;
        meter.stop().ns_each(yields)
    })
}

fn ping_pong<P: Peer>(config: Config) -> Report {
    const PAIRS: usize = 1_000;
    async fn rounds<P: Peer>(latch: &'static Latch<P>, count: usize) {
        for _ in 0..count {
            let all_done = latch.arm(PAIRS);
            for i in 0..PAIRS as u64 {
                P::detach(async move {
                    let (ping, pinged) = P::oneshot();
                    let (pong, ponged) = P::oneshot();
                    P::detach(async move { P::fire(pong, P::caught(pinged).await + 1) });
                    P::fire(ping, i);
                    assert_eq!(P::caught(ponged).await, i + 1);
                    latch.done();
                });
            }
            P::caught(all_done).await;
        }
    }
    let count = config.count(1_000);
    P::start(config.workers).run(async move {
        let latch = Latch::<P>::new();
        rounds(latch, count.div_ceil(10)).await;
        let meter = Meter::start();
        rounds(latch, count).await;
        meter.stop().ns_each(count * PAIRS)
    })
}

fn chained_spawn<P: Peer>(config: Config) -> Report {
    const DEPTH: usize = 1_000;
    fn link<P: Peer>(latch: &'static Latch<P>, depth: usize) {
        match depth {
            0 => latch.done(),
            _ => P::detach(async move { link(latch, depth - 1) }),
        }
    }
    async fn chains<P: Peer>(latch: &'static Latch<P>, count: usize) {
        for _ in 0..count {
            let at_the_end = latch.arm(1);
            link(latch, DEPTH);
            P::caught(at_the_end).await;
        }
    }
    let count = config.count(2_000);
    P::start(config.workers).run(async move {
        let latch = Latch::<P>::new();
        chains(latch, count.div_ceil(10)).await;
        let meter = Meter::start();
        chains(latch, count).await;
        meter.stop().ns_each(count * DEPTH)
    })
}

/// Leaves of the skynet tree; always a power of ten.
fn leaves(config: Config) -> u64 {
    10u64.pow((config.count(1_000_000) as f64).log10() as u32)
}

/// Tasks of a skynet tree, and the sum of its leaves.
fn expect_skynet(leaves: u64) -> (usize, u64) {
    (((leaves * 10 - 1) / 9) as usize, leaves * (leaves - 1) / 2)
}

fn skynet_handles<P: Peer>(config: Config) -> Report {
    fn node<P: Peer>(first: u64, size: u64) -> P::Handle<u64> {
        P::spawn(async move {
            if size == 1 {
                return first;
            }
            let part = size / 10;
            let children: [P::Handle<u64>; 10] =
                std::array::from_fn(|i| node::<P>(first + i as u64 * part, part));
            let mut sum = 0;
            for child in children {
                sum += child.await;
            }
            sum
        })
    }
    let leaves = leaves(config);
    P::start(config.workers).run(async move {
        let (tasks, sum) = expect_skynet(leaves);
        assert_eq!(node::<P>(0, leaves).await, sum);
        let meter = Meter::start();
        assert_eq!(node::<P>(0, leaves).await, sum);
        meter.stop().ns_each(tasks)
    })
}

fn skynet_channels<P: Peer, C: Chan>(config: Config) -> Report {
    fn node<P: Peer, C: Chan>(parent: C::Sender, first: u64, size: u64) {
        P::detach(async move {
            if size == 1 {
                return C::send(&parent, first).await;
            }
            let part = size / 10;
            let (sender, mut receiver) = C::bounded(10);
            (0..10).for_each(|i| node::<P, C>(sender.clone(), first + i * part, part));
            let mut sum = 0;
            for _ in 0..10 {
                sum += C::recv(&mut receiver).await.unwrap();
            }
            C::send(&parent, sum).await;
        });
    }
    async fn tree<P: Peer, C: Chan>(leaves: u64) -> u64 {
        let (sender, mut receiver) = C::bounded(10);
        node::<P, C>(sender, 0, leaves);
        C::recv(&mut receiver).await.unwrap()
    }
    let leaves = leaves(config);
    P::start(config.workers).run(async move {
        let (tasks, sum) = expect_skynet(leaves);
        assert_eq!(tree::<P, C>(leaves).await, sum);
        let meter = Meter::start();
        assert_eq!(tree::<P, C>(leaves).await, sum);
        meter.stop().ns_each(tasks)
    })
}

/// The caller and one task pass a number back and forth, counting it up.
async fn round_trips<P: Peer, C: Chan>(count: usize) -> Report {
    let (there, mut arrived) = C::bounded(1);
    let (back, mut returned) = C::bounded(1);
    P::detach(async move {
        while let Some(n) = C::recv(&mut arrived).await {
            C::send(&back, n + 1).await;
        }
    });
    let mut n = 0;
    for _ in 0..count.div_ceil(10) {
        C::send(&there, n).await;
        n = C::recv(&mut returned).await.unwrap();
    }
    let meter = Meter::start();
    for _ in 0..count {
        C::send(&there, n).await;
        n = C::recv(&mut returned).await.unwrap();
    }
    let span = meter.stop();
    assert_eq!(n as usize, count + count.div_ceil(10));
    span.ns_each(count)
}

fn main_round_trip<P: Peer, C: Chan>(config: Config) -> Report {
    P::start(config.workers).run_main(round_trips::<P, C>(config.count(30_000)))
}

fn task_round_trip<P: Peer, C: Chan>(config: Config) -> Report {
    P::start(config.workers).run(round_trips::<P, C>(config.count(2_000_000)))
}

/// The row of a peer with a wait group.
pub fn wait_group<P: Group>(config: Config) -> Report {
    const TASKS: usize = 100_000;
    static RAN: AtomicU64 = AtomicU64::new(0);
    async fn groups<P: Group>(count: usize) {
        for _ in 0..count {
            P::group(TASKS, || async {
                RAN.fetch_add(1, Ordering::Relaxed);
            })
            .await;
            assert_eq!(RAN.swap(0, Ordering::SeqCst), TASKS as u64);
        }
    }
    let count = config.count(20);
    P::start(config.workers).run(async move {
        groups::<P>(count.div_ceil(10)).await;
        let meter = Meter::start();
        groups::<P>(count).await;
        meter.stop().ns_each(count * TASKS)
    })
}

/// The row of a peer with contexts.
pub fn context_tree<P: Contexts>(config: Config) -> Report {
    const NODES: usize = 100;
    const LEAVES: usize = 1_000;
    async fn tree<P: Contexts>(latch: &'static Latch<P>, nodes: usize) {
        let all_woken = latch.arm(nodes * LEAVES);
        let parked = Arc::new(AtomicUsize::new(0));
        let (root, cancel) = P::root();
        let mut kept = Vec::with_capacity(nodes);
        for _ in 0..nodes {
            let (node, keep) = P::child(&root);
            for _ in 0..LEAVES {
                let (leaf, keep) = P::child(&node);
                let parked = parked.clone();
                P::detach(async move {
                    parked.fetch_add(1, Ordering::Relaxed);
                    P::done(&leaf).await;
                    drop(keep);
                    latch.done();
                });
            }
            kept.push((node, keep));
            P::yield_now().await;
        }
        while parked.load(Ordering::Relaxed) < nodes * LEAVES {
            P::yield_now().await;
        }
        P::cancel(cancel);
        P::caught(all_woken).await;
    }
    let nodes = config.count(NODES);
    let rounds = config.count(10);
    P::start(config.workers).run(async move {
        let latch = Latch::<P>::new();
        tree(latch, nodes).await;
        let meter = Meter::start();
        for _ in 0..rounds {
            tree(latch, nodes).await;
        }
        meter.stop().ns_each(rounds * nodes * LEAVES)
    })
}

//! Channels, select and locks. The channel is a type of its own beside the peer: some run on any runtime.

use super::{Latch, Lcg};
use crate::{
    meter::{Meter, Report},
    peer::{Chan, Lock, Mpmc, Peer, Rendezvous, Select, SelectDefault, Unbounded},
    process::{Config, Row},
};
use std::{future::Future, sync::Arc};

/// The rows of any bounded channel.
pub fn rows<P: Peer, C: Chan>() -> Vec<Row> {
    vec![
        ("chan_1", |config| pass::<P, C>(config, 1, 1, 2_000_000)),
        ("chan_128", |config| pass::<P, C>(config, 128, 1, 6_000_000)),
        ("chan_128_4to1", |config| pass::<P, C>(config, 128, 4, 6_000_000)),
        ("ring_1", |config| ring::<P, C>(config, 1)),
        ("pinball", pinball::<P, C>),
    ]
}

/// The rows of a channel whose capacity may be 0.
pub fn rendezvous_rows<P: Peer, C: Rendezvous>() -> Vec<Row> {
    vec![
        ("chan_0", |config| pass::<P, C>(config, 0, 1, 2_000_000)),
        ("ring_0", |config| ring::<P, C>(config, 0)),
    ]
}

/// The rows of a channel one can select over.
pub fn select_rows<P: Peer, C: Select>() -> Vec<Row> {
    vec![
        ("select_2_128", |config| select::<P, C, 2, _>(config, 128, 4_000_000, C::sum_of_2)),
        ("select_2_1", |config| select::<P, C, 2, _>(config, 1, 2_000_000, C::sum_of_2)),
        ("select_8", |config| select::<P, C, 8, _>(config, 128, 4_000_000, C::sum_of_8)),
    ]
}

/// The rows of a mutex.
pub fn lock_rows<P: Peer, L: Lock>() -> Vec<Row> {
    vec![
        ("mutex_alone", |config| mutex::<P, L>(config, 1, 20_000_000)),
        ("mutex_8", |config| mutex::<P, L>(config, 8, 600_000)),
    ]
}

/// Sends the numbers of one sender: `count` of them, starting at `first`.
async fn send_all<C: Chan>(sender: C::Sender, first: usize, count: usize) {
    for i in first..first + count {
        C::send(&sender, i as u64).await;
    }
}

/// Receives until all senders are gone.
async fn receive_all<C: Chan>(mut receiver: C::Receiver) -> u64 {
    let mut sum = 0;
    while let Some(value) = C::recv(&mut receiver).await {
        sum += value;
    }
    sum
}

/// The sum of the numbers below `count`.
fn sum_below(count: usize) -> u64 {
    count as u64 * (count as u64 - 1) / 2
}

fn pass<P: Peer, C: Chan>(config: Config, capacity: usize, senders: usize, messages: usize) -> Report {
    async fn once<P: Peer, C: Chan>(capacity: usize, senders: usize, each: usize) {
        let (sender, receiver) = C::bounded(capacity);
        let receiver = P::spawn(receive_all::<C>(receiver));
        (0..senders).for_each(|i| P::detach(send_all::<C>(sender.clone(), i * each, each)));
        drop(sender);
        assert_eq!(receiver.await, sum_below(senders * each));
    }
    let each = config.count(messages / senders);
    P::start(config.workers).run(async move {
        once::<P, C>(capacity, senders, each.div_ceil(10)).await;
        let meter = Meter::start();
        once::<P, C>(capacity, senders, each).await;
        meter.stop().ns_each(senders * each)
    })
}

/// The row of a channel with several receivers.
pub fn chan_128_4to4<P: Peer, C: Mpmc>(config: Config) -> Report {
    const ENDS: usize = 4;
    async fn once<P: Peer, C: Mpmc>(each: usize) {
        let (sender, receiver) = C::bounded(128);
        let receivers: [_; ENDS] = std::array::from_fn(|_| P::spawn(receive_all::<C>(C::share(&receiver))));
        (0..ENDS).for_each(|i| P::detach(send_all::<C>(sender.clone(), i * each, each)));
        drop((sender, receiver));
        let mut sum = 0;
        for receiver in receivers {
            sum += receiver.await;
        }
        assert_eq!(sum, sum_below(ENDS * each));
    }
    let each = config.count(6_000_000 / ENDS);
    P::start(config.workers).run(async move {
        once::<P, C>(each.div_ceil(10)).await;
        let meter = Meter::start();
        once::<P, C>(each).await;
        meter.stop().ns_each(ENDS * each)
    })
}

/// The row of a channel without a bound.
pub fn chan_unbounded_4to1<P: Peer, C: Unbounded>(config: Config) -> Report {
    const SENDERS: usize = 4;
    async fn once<P: Peer, C: Unbounded>(each: usize) {
        let (sender, mut receiver) = C::unbounded();
        let receiver = P::spawn(async move {
            let mut sum = 0;
            while let Some(value) = C::pull(&mut receiver).await {
                sum += value;
            }
            sum
        });
        for first in (0..SENDERS).map(|i| i * each) {
            let sender = sender.clone();
            P::detach(async move {
                for i in first..first + each {
                    C::push(&sender, i as u64).await;
                }
            });
        }
        drop(sender);
        assert_eq!(receiver.await, sum_below(SENDERS * each));
    }
    let each = config.count(6_000_000 / SENDERS);
    P::start(config.workers).run(async move {
        once::<P, C>(each.div_ceil(10)).await;
        let meter = Meter::start();
        once::<P, C>(each).await;
        meter.stop().ns_each(SENDERS * each)
    })
}

fn ring<P: Peer, C: Chan>(config: Config, capacity: usize) -> Report {
    const TASKS: usize = 503;
    let hops = config.count(2_000_000);
    P::start(config.workers).run(async move {
        let latch = Latch::<P>::new();
        let (first, mut receiver) = C::bounded(capacity);
        for i in 0..TASKS {
            let (next, next_receiver) = match i + 1 {
                TASKS => (first.clone(), None),
                _ => {
                    let (next, receiver) = C::bounded(capacity);
                    (next, Some(receiver))
                }
            };
            // The token counts its hops down; where it arrives at zero the round is over, and the ring stays.
            P::detach(async move {
                while let Some(left) = C::recv(&mut receiver).await {
                    match left {
                        0 => latch.done(),
                        _ => C::send(&next, left - 1).await,
                    }
                }
            });
            match next_receiver {
                Some(next) => receiver = next,
                None => break,
            }
        }
        let came_home = latch.arm(1);
        C::send(&first, hops.div_ceil(10) as u64).await;
        P::caught(came_home).await;
        let came_home = latch.arm(1);
        let meter = Meter::start();
        C::send(&first, hops as u64).await;
        P::caught(came_home).await;
        meter.stop().ns_each(hops)
    })
}

/// Tokens bounce in complete graphs: who has one sends it to any other node.
fn pinball<P: Peer, C: Chan>(config: Config) -> Report {
    const GRAPHS: usize = 8;
    const NODES: usize = 13;
    const TOKENS: usize = 4;
    /// Room for all tokens: no send waits.
    const CAPACITY: usize = 16;
    /// A graph, by the ways into its nodes.
    fn graph<P: Peer, C: Chan>(number: usize, latch: &'static Latch<P>) -> Vec<C::Sender> {
        let (nodes, receivers): (Vec<_>, Vec<_>) = (0..NODES).map(|_| C::bounded(CAPACITY)).unzip();
        for (i, mut receiver) in receivers.into_iter().enumerate() {
            let others: Vec<_> = [&nodes[..i], &nodes[i + 1..]].concat();
            let mut random = Lcg((number * NODES + i) as u64);
            // A token counts its hops down; where it arrives at zero it stays.
            P::detach(async move {
                while let Some(left) = C::recv(&mut receiver).await {
                    match left {
                        0 => latch.done(),
                        _ => C::send(&others[random.next() as usize % others.len()], left - 1).await,
                    }
                }
            });
        }
        nodes
    }
    async fn play<P: Peer, C: Chan>(graphs: &[Vec<C::Sender>], latch: &'static Latch<P>, hops: usize) {
        let all_at_rest = latch.arm(GRAPHS * TOKENS);
        for nodes in graphs {
            for node in &nodes[..TOKENS] {
                C::send(node, hops as u64).await;
            }
        }
        P::caught(all_at_rest).await;
    }
    let hops = config.count(2_000_000 / (GRAPHS * TOKENS));
    P::start(config.workers).run(async move {
        let latch = Latch::<P>::new();
        let graphs: Vec<_> = (0..GRAPHS).map(|number| graph::<P, C>(number, latch)).collect();
        play::<P, C>(&graphs, latch, hops.div_ceil(10)).await;
        let meter = Meter::start();
        play::<P, C>(&graphs, latch, hops).await;
        meter.stop().ns_each(GRAPHS * TOKENS * hops)
    })
}

/// `sum` receives a count of numbers from `N` channels, each with one sender.
fn select<P: Peer, C: Select, const N: usize, F>(
    config: Config,
    capacity: usize,
    messages: usize,
    sum: fn([C::Receiver; N], usize) -> F,
) -> Report
where
    F: Future<Output = u64> + Send + 'static,
{
    async fn once<P: Peer, C: Select, const N: usize, F>(
        capacity: usize,
        each: usize,
        sum: fn([C::Receiver; N], usize) -> F,
    ) where
        F: Future<Output = u64> + Send + 'static,
    {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..N).map(|_| C::bounded(capacity)).unzip();
        let Ok(receivers) = receivers.try_into() else { unreachable!("N of them") };
        let total = P::spawn(sum(receivers, N * each));
        for (i, sender) in senders.iter().enumerate() {
            P::detach(send_all::<C>(sender.clone(), i * each, each));
        }
        assert_eq!(total.await, sum_below(N * each));
        drop(senders);
    }
    let each = config.count(messages / N);
    P::start(config.workers).run(async move {
        once::<P, C, N, F>(capacity, each.div_ceil(10), sum).await;
        let meter = Meter::start();
        once::<P, C, N, F>(capacity, each, sum).await;
        meter.stop().ns_each(N * each)
    })
}

/// The row of a channel with a select that has a default.
pub fn select_default<P: Peer, C: SelectDefault>(config: Config) -> Report {
    async fn polls<C: SelectDefault>(count: usize) {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..2).map(|_| C::bounded(128)).unzip();
        let Ok(mut receivers) = <[C::Receiver; 2]>::try_from(receivers) else { unreachable!("two of them") };
        let (mut sent, mut sum) = (0, 0);
        for i in 0..count {
            if i % 8 == 0 {
                C::send(&senders[sent % 2], sent as u64).await;
                sent += 1;
            }
            sum += C::poll_2(&mut receivers).await.unwrap_or(0);
        }
        assert_eq!(sum, sum_below(sent));
    }
    let count = config.count(20_000_000);
    P::start(config.workers).run(async move {
        polls::<C>(count.div_ceil(10)).await;
        let meter = Meter::start();
        polls::<C>(count).await;
        meter.stop().ns_each(count)
    })
}

fn mutex<P: Peer, L: Lock>(config: Config, tasks: usize, each: usize) -> Report {
    async fn once<P: Peer, L: Lock>(tasks: usize, each: usize) {
        let mutex = Arc::new(L::mutex());
        let handles: Vec<_> = (0..tasks)
            .map(|_| {
                let mutex = mutex.clone();
                P::spawn(async move {
                    for _ in 0..each {
                        L::increment(&mutex).await;
                    }
                })
            })
            .collect();
        for handle in handles {
            handle.await;
        }
        assert_eq!(L::increment(&mutex).await, (tasks * each) as u64 + 1);
    }
    let each = config.count(each);
    P::start(config.workers).run(async move {
        once::<P, L>(tasks, each.div_ceil(10)).await;
        let meter = Meter::start();
        once::<P, L>(tasks, each).await;
        meter.stop().ns_each(tasks * each)
    })
}

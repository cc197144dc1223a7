//! What a select promises: one snapshot, one commit, nothing lost and nothing left behind.

use gorust::{chan::OptionReceiver, prelude::*, runtime::Builder, select};
use std::{
    cell::Cell,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context as Cx, Poll, Wake, Waker},
};

fn poll<F: Future>(future: &mut Pin<&mut F>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Cx::from_waker(Waker::noop()))
}

/// A waker that counts.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_select_does_not_meet_itself() {
    let (tx, rx) = chan(0);
    let select = || async {
        select! {
            r = tx.send(1) => { r.unwrap(); "sent" }
            v = rx.recv() => { assert_eq!(v, Some(1)); "received" }
        }
    };
    let (mut one, mut other) = (pin!(select()), pin!(select()));
    for _ in 0..3 {
        // Also when it is polled again while it waits.
        assert!(poll(&mut one).is_pending());
    }
    // Two of them meet.
    let Poll::Ready(second) = poll(&mut other) else { panic!("it waits") };
    let Poll::Ready(first) = poll(&mut one) else { panic!("it waits") };
    assert_ne!(first, second);
}

#[test]
fn a_channel_may_stand_in_several_cases() {
    let (tx, rx) = chan(0);
    for _ in 0..100 {
        let mut future = pin!(async {
            select! {
                v = rx.recv() => v,
                v = rx.recv() => v.map(|v| v + 1),
            }
        });
        assert!(poll(&mut future).is_pending());
        tx.try_send(1).unwrap();
        // Those that wait are served in the order they joined.
        assert_eq!(poll(&mut future), Poll::Ready(Some(1)));
        assert!(tx.try_send(1).is_err(), "nobody is left");
    }
    // Two sends of one select: one happens.
    let mut future = pin!(async {
        select! {
            r = tx.send(1) => r.map(|()| 1),
            r = tx.send(2) => r.map(|()| 2),
        }
    });
    assert!(poll(&mut future).is_pending());
    let sent = rx.try_recv().unwrap();
    assert!(rx.try_recv().is_err());
    assert_eq!(poll(&mut future), Poll::Ready(Ok(sent)));
}

#[test]
fn losers_leave_nothing_behind() {
    let (tx, rx) = chan(0);
    let (other, rx_other) = chan(0);
    for round in 0..100 {
        let mut future = pin!(async {
            select! {
                v = rx.recv() => v,
                r = other.send(7) => r.ok().map(|()| 7),
                v = rx_other.recv(), if false => v,
            }
        });
        assert!(poll(&mut future).is_pending());
        if round % 2 == 0 {
            tx.try_send(round).unwrap();
            assert_eq!(poll(&mut future), Poll::Ready(Some(round)));
        } else {
            assert_eq!(rx_other.try_recv(), Ok(7));
            assert_eq!(poll(&mut future), Poll::Ready(Some(7)));
        }
        assert!(tx.try_send(1).is_err() && rx_other.try_recv().is_err(), "somebody is left");
    }
}

#[test]
fn a_dropped_select_leaves_every_queue() {
    let (tx, rx) = chan(0);
    let (other, rx_other) = chan(0);
    {
        let mut future = pin!(async {
            select! { _ = rx.recv() => {}, _ = other.send(7) => {} }
        });
        assert!(poll(&mut future).is_pending());
    }
    assert!(tx.try_send(1).is_err() && rx_other.try_recv().is_err());
}

#[test]
fn a_select_dropped_after_it_was_granted_gives_back() {
    let (tx, rx) = chan(0);
    let (_other, rx_other) = chan::<u32>(0);
    {
        let mut future = pin!(async {
            select! { v = rx.recv() => v, v = rx_other.recv() => v }
        });
        assert!(poll(&mut future).is_pending());
        tx.try_send(1).unwrap();
    }
    assert_eq!(rx.try_recv(), Ok(1));
    // A send that was taken has happened.
    let mut slot = Some(2);
    {
        let mut future = pin!(async {
            select! { _ = tx.send_from(&mut slot) => {}, _ = rx_other.recv() => {} }
        });
        assert!(poll(&mut future).is_pending());
        assert_eq!(rx.try_recv(), Ok(2));
    }
    assert_eq!(slot, None);
}

#[test]
fn a_send_that_is_not_chosen_leaves_or_drops_its_value() {
    let (tx, _rx) = chan(0);
    let (ready, rx_ready) = chan(1);
    ready.try_send(()).unwrap();
    let value = Arc::new(());
    let mut slot = Some(Arc::clone(&value));
    gorust::block_on(async {
        select! { _ = tx.send_from(&mut slot) => unreachable!(), _ = rx_ready.recv() => {} }
    });
    assert!(slot.is_some());
    ready.try_send(()).unwrap();
    let other = slot.take().unwrap();
    gorust::block_on(async {
        select! { _ = tx.send(other) => unreachable!(), _ = rx_ready.recv() => {} }
    });
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn a_pending_operation_that_is_borrowed_goes_on_after_the_select() {
    let (tx, rx) = chan(0);
    let (ready, rx_ready) = chan(1);
    let mut recv = pin!(rx.recv());
    // It has waited alone, it waits in a select, and alone again.
    assert!(poll(&mut recv).is_pending());
    {
        let mut future = pin!(async {
            select! { v = recv.as_mut() => v, v = rx_ready.recv() => v }
        });
        assert!(poll(&mut future).is_pending());
        ready.try_send(5).unwrap();
        assert_eq!(poll(&mut future), Poll::Ready(Some(5)));
    }
    assert!(tx.try_send(1).is_err(), "a loser leaves its queue");
    assert!(poll(&mut recv).is_pending());
    tx.try_send(6).unwrap();
    // What was granted to it alone is found by the next select.
    let mut future = pin!(async {
        select! { v = recv.as_mut() => v, v = rx_ready.recv() => v }
    });
    assert_eq!(poll(&mut future), Poll::Ready(Some(6)));
}

#[test]
fn a_close_ends_a_select_that_waits() {
    let (tx, rx) = chan::<u32>(0);
    let (other, rx_other) = chan::<u32>(0);
    let wakes = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut future = pin!(async {
        select! { v = rx.recv() => v.map(|_| ()), r = other.send(1) => r.ok() }
    });
    assert!(future.as_mut().poll(&mut Cx::from_waker(&waker)).is_pending());
    tx.close();
    assert_eq!(wakes.0.load(SeqCst), 1);
    assert_eq!(poll(&mut future), Poll::Ready(None));
    let mut future = pin!(async {
        select! { r = other.send(1) => r.unwrap_err().into_inner() }
    });
    assert!(poll(&mut future).is_pending());
    drop(rx_other);
    assert_eq!(poll(&mut future), Poll::Ready(1));
}

#[test]
fn a_foreign_future_that_uses_the_same_channel_takes_part() {
    // While it is polled the select's own waiters are passed by, and they are looked after again.
    let (tx, rx) = chan(0);
    let turn = Cell::new(0);
    let mut future = pin!(async {
        select! {
            v = rx.recv() => v,
            () = poll_fn(|_| {
                turn.set(turn.get() + 1);
                if turn.get() == 2 {
                    assert!(tx.try_send(1).is_err(), "the select looks, nobody waits");
                }
                Poll::Pending
            }) => None,
        }
    });
    assert!(poll(&mut future).is_pending());
    assert!(poll(&mut future).is_pending());
    tx.try_send(2).unwrap();
    assert_eq!(poll(&mut future), Poll::Ready(Some(2)));
    assert_eq!(turn.get(), 2);
}

#[test]
fn a_sender_that_comes_while_the_select_looks_is_found() {
    let (tx, rx) = chan(0);
    let mut send = Box::pin(tx.send(1));
    let turn = Cell::new(0);
    let mut future = pin!(async {
        select! {
            biased;
            () = poll_fn(|_| {
                turn.set(turn.get() + 1);
                if turn.get() == 2 {
                    assert!(poll(&mut send.as_mut()).is_pending());
                }
                Poll::Pending
            }) => None,
            v = rx.recv() => v,
        }
    });
    assert!(poll(&mut future).is_pending());
    assert_eq!(poll(&mut future), Poll::Ready(Some(1)));
}

#[test]
fn a_stream_is_told_of_a_select_that_sends() {
    use futures::Stream;
    let (tx, rx) = chan(0);
    let (_other, rx_other) = chan::<u32>(0);
    let wakes = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut stream = pin!(rx.stream());
    assert!(stream.as_mut().poll_next(&mut Cx::from_waker(&waker)).is_pending());
    let mut future = pin!(async {
        select! { r = tx.send(1) => r.is_ok(), _ = rx_other.recv() => false }
    });
    assert!(poll(&mut future).is_pending());
    assert_eq!(wakes.0.load(SeqCst), 1);
    assert_eq!(stream.as_mut().poll_next(&mut Cx::from_waker(&waker)), Poll::Ready(Some(1)));
    assert_eq!(poll(&mut future), Poll::Ready(true));
}

#[test]
fn a_stream_that_comes_while_a_select_looks_is_told_when_it_waits_again() {
    use futures::Stream;
    let (tx, rx) = chan(0);
    let wakes = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut stream = Box::pin(rx.stream());
    let turn = Cell::new(0);
    {
        let mut future = pin!(async {
            select! {
                r = tx.send(1) => r.is_ok(),
                () = poll_fn(|_| {
                    turn.set(turn.get() + 1);
                    if turn.get() == 2 {
                        // The sender is passed by: there is nothing, and the stream waits.
                        assert!(stream.as_mut().poll_next(&mut Cx::from_waker(&waker)).is_pending());
                    }
                    Poll::Pending
                }) => false,
            }
        });
        assert!(poll(&mut future).is_pending());
        assert_eq!(wakes.0.load(SeqCst), 0);
        assert!(poll(&mut future).is_pending());
        assert_eq!(wakes.0.load(SeqCst), 1, "the sender waits again");
        assert_eq!(rx.try_recv(), Ok(1));
        assert_eq!(poll(&mut future), Poll::Ready(true));
    }
}

#[test]
fn a_select_follows_its_future_to_another_task() {
    let (tx, rx) = chan(0);
    let (_other, rx_other) = chan::<u32>(0);
    let [first, second] = [(); 2].map(|()| Arc::new(Count::default()));
    let mut future = pin!(async {
        select! { v = rx.recv() => v, v = rx_other.recv() => v }
    });
    for count in [&first, &second] {
        let waker = Waker::from(Arc::clone(count));
        assert!(future.as_mut().poll(&mut Cx::from_waker(&waker)).is_pending());
    }
    tx.try_send(1).unwrap();
    assert_eq!((first.0.load(SeqCst), second.0.load(SeqCst)), (0, 1));
    assert_eq!(poll(&mut future), Poll::Ready(Some(1)));
}

#[test]
fn nil_channels_take_cases_out_of_the_game() {
    let (tx, rx) = chan(10);
    let (tx2, rx2) = chan(10);
    for i in 0..10 {
        tx.try_send(i).unwrap();
        tx2.try_send(i).unwrap();
    }
    drop((tx, tx2));
    // Each one until it is closed.
    let (mut a, mut b) = (Some(&rx), Some(&rx2));
    let mut sum = 0;
    gorust::block_on(async {
        while a.is_some() || b.is_some() {
            select! {
                v = a.recv() => match v { Some(v) => sum += v, None => a = None },
                v = b.recv() => match v { Some(v) => sum += v, None => b = None },
            }
        }
    });
    assert_eq!(sum, 90);
}

/// The chance to see `chi` or more by luck, for up to seven degrees of freedom, is above 1 in 1,000 below these.
const CRITICAL: [f64; 8] = [0.0, 10.828, 13.816, 16.266, 18.467, 20.515, 22.458, 24.322];

fn assert_uniform(picks: &[u32]) {
    let expected = f64::from(picks.iter().sum::<u32>()) / picks.len() as f64;
    let chi: f64 = picks.iter().map(|&n| (f64::from(n) - expected).powi(2) / expected).sum();
    assert!(chi < CRITICAL[picks.len() - 1], "{picks:?}: chi-square {chi}");
}

#[test]
fn each_ready_case_has_the_same_chance() {
    const PICKS: u32 = 100_000;
    gorust_primitives::current::seed(0x5eed);
    let channels: Vec<_> = (0..8).map(|i| (i, chan(0))).collect();
    // Always ready: closed.
    let rx: Vec<_> = channels
        .into_iter()
        .map(|(_, (tx, rx)): (usize, (gorust::chan::Sender<()>, _))| {
            tx.close();
            rx
        })
        .collect();
    let mut two = [0; 2];
    let mut three = [0; 3];
    let mut eight = [0; 8];
    let mut mixed = [0; 3];
    let mut now = [0; 2];
    gorust::block_on(async {
        gorust_primitives::current::seed(0x5eed);
        for _ in 0..PICKS {
            two[select! { _ = rx[0].recv() => 0, _ = rx[1].recv() => 1 }] += 1;
            three[select! { _ = rx[0].recv() => 0, _ = rx[1].recv() => 1, _ = rx[2].recv() => 2 }] += 1;
            eight[select! {
                _ = rx[0].recv() => 0,
                _ = rx[1].recv() => 1,
                _ = rx[2].recv() => 2,
                _ = rx[3].recv() => 3,
                _ = rx[4].recv() => 4,
                _ = rx[5].recv() => 5,
                _ = rx[6].recv() => 6,
                _ = rx[7].recv() => 7,
            }] += 1;
            // Futures of other kinds count as much as channels.
            mixed[select! {
                _ = rx[0].recv() => 0,
                _ = rx[1].recv() => 1,
                () = std::future::ready(()) => 2,
            }] += 1;
            now[select! { _ = rx[0].recv() => 0, _ = rx[1].recv() => 1, default => 2 }] += 1;
        }
    });
    for picks in [&two[..], &three, &eight, &mixed, &now] {
        assert_eq!(picks.iter().sum::<u32>(), PICKS);
        assert_uniform(picks);
    }
}

/// A value is moved between two channels, which both have it for a moment: one is ready at every instant.
#[test]
fn a_default_is_never_taken_while_something_is_ready() {
    const ROUNDS: u32 = 1_000_000;
    let ((tx_a, rx_a), (tx_b, rx_b)) = (chan(2), chan(2));
    tx_a.try_send(()).unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let mover = {
        let (is_over, rx_a, rx_b, tx_a, tx_b) =
            (Arc::clone(&is_over), rx_a.clone(), rx_b.clone(), tx_a.clone(), tx_b.clone());
        std::thread::spawn(move || {
            let mut moves = 0_u64;
            while !is_over.load(SeqCst) {
                // The selects below put back what they take, so there may be one more for a moment.
                if tx_b.try_send(()).is_ok() {
                    let _ = rx_a.try_recv();
                }
                if tx_a.try_send(()).is_ok() {
                    let _ = rx_b.try_recv();
                }
                moves += 1;
            }
            moves
        })
    };
    let mut defaults = 0;
    for _ in 0..ROUNDS {
        // Nothing is taken out: sends cannot go on, so that what is there stays.
        select! {
            Some(()) = rx_a.recv() => while tx_a.try_send(()).is_err() && rx_a.try_recv().is_ok() {},
            Some(()) = rx_b.recv() => while tx_b.try_send(()).is_err() && rx_b.try_recv().is_ok() {},
            default => defaults += 1,
        }
    }
    is_over.store(true, SeqCst);
    assert!(mover.join().unwrap() > 0);
    assert_eq!(defaults, 0);
}

/// A channel that is always full, and a cancel: the select sees it soon. The receiver cancels itself, since a schedule
/// need not be fair to a third goroutine.
async fn flood(max_after: usize) {
    let (tx, rx) = chan(16);
    let (ctx, cancel) = Context::background().with_cancel();
    let sender = go(async move {
        let mut n = 0_u64;
        while tx.send(n).await.is_ok() {
            n += 1;
        }
    });
    let receiver = go(async move {
        let (mut cancel, mut received) = (Some(cancel), 0);
        loop {
            select! {
                v = rx.recv() => {
                    assert!(v.is_some());
                    received += 1;
                }
                _ = ctx.done() => break received - 500,
            }
            if received == 500 {
                cancel.take().unwrap().cancel();
            }
        }
    });
    let after = receiver.await.unwrap();
    assert!(after <= max_after, "{after} receives after the cancel");
    sender.await.unwrap();
}

#[test]
fn a_flood_does_not_hide_a_cancel() {
    for workers in [1, 2, 8] {
        let runtime = Builder::new().workers(workers).build().unwrap();
        for _ in 0..20 {
            runtime.block_on(flood(1_000));
        }
    }
}

#[test]
fn a_flood_does_not_hide_a_cancel_in_any_schedule() {
    for seed in 0..1_000 {
        gorust::test::bubble(seed, flood(1_000)).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

#[test]
fn a_flood_does_not_hide_a_sleep() {
    gorust::block_on(async {
        let (tx, rx) = chan(1);
        let mut sleep = sleep(Duration::from_millis(5));
        let mut received = 0_u64;
        loop {
            // What is received is there again at once.
            let _ = tx.try_send(());
            select! {
                _ = rx.recv() => received += 1,
                _ = &mut sleep => break,
            }
        }
        assert!(received > 0);
    });
}

#[test]
fn two_selects_exchange_through_two_channels() {
    // Each sends into one channel or receives from the other, again and again: each send is one receive.
    const ROUNDS: usize = 20_000;
    for workers in [1, 2, 8] {
        let runtime = Builder::new().workers(workers).build().unwrap();
        runtime.block_on(async {
            let ((tx_a, rx_a), (tx_b, rx_b)) = (chan(0), chan(0));
            let exchange = |tx: gorust::chan::Sender<usize>, rx: gorust::chan::Receiver<usize>| async move {
                let (mut sent, mut received) = (0, 0);
                for _ in 0..ROUNDS {
                    select! {
                        r = tx.send(1) => { r.unwrap(); sent += 1 }
                        v = rx.recv() => received += v.unwrap(),
                    }
                }
                // The channels stay open until both are through.
                (sent, received, tx, rx)
            };
            let one = go(exchange(tx_a, rx_b));
            let two = go(exchange(tx_b, rx_a));
            let (one, two) = (one.await.unwrap(), two.await.unwrap());
            assert_eq!((one.0, one.1), (two.1, two.0));
            assert_eq!(one.0 + one.1, ROUNDS);
        });
    }
}

#[test]
fn values_are_neither_lost_nor_doubled_when_selects_are_dropped() {
    const VALUES: usize = 3_000;
    for workers in [1, 2, 8] {
        let runtime = Builder::new().workers(workers).build().unwrap();
        runtime.block_on(async {
            let ((tx_a, rx_a), (tx_b, rx_b)) = (chan(0), chan(1));
            let seen: Arc<Vec<AtomicUsize>> = Arc::new((0..VALUES).map(|_| AtomicUsize::new(0)).collect());
            let group = WaitGroup::new();
            for first in 0..2 {
                let (tx_a, tx_b) = (tx_a.clone(), tx_b.clone());
                group.go(async move {
                    for n in (first..VALUES).step_by(2) {
                        let mut slot = Some(n);
                        while slot.is_some() {
                            let mut other = None;
                            // A select that is given up at once, and now and then one that waits.
                            let mut future = pin!(async {
                                select! {
                                    r = tx_a.send_from(&mut slot) => r.unwrap(),
                                    r = tx_b.send_from(&mut other), if other.is_some() => r.unwrap(),
                                }
                            });
                            if n % 3 == 0 {
                                let _ = futures::poll!(future.as_mut());
                                gorust::yield_now().await;
                            } else {
                                future.await;
                            }
                        }
                        if n % 7 == 0 {
                            select! { r = tx_b.send(usize::MAX) => r.unwrap(), _ = gorust::yield_now() => {} }
                        }
                    }
                });
            }
            drop((tx_a, tx_b));
            for _ in 0..2 {
                let (rx_a, rx_b, seen) = (rx_a.clone(), rx_b.clone(), Arc::clone(&seen));
                group.go(async move {
                    loop {
                        let n = {
                            let mut future = pin!(async {
                                select! {
                                    Some(v) = rx_a.recv() => Some(v),
                                    Some(v) = rx_b.recv() => Some(v),
                                    else => None,
                                }
                            });
                            // Given up once in between, granted or not.
                            match futures::poll!(future.as_mut()) {
                                Poll::Ready(n) => n,
                                Poll::Pending if fastrand(3) == 0 => continue,
                                Poll::Pending => future.await,
                            }
                        };
                        match n {
                            None => break,
                            Some(usize::MAX) => {}
                            Some(n) => {
                                seen[n].fetch_add(1, SeqCst);
                            }
                        }
                    }
                });
            }
            drop((rx_a, rx_b));
            group.wait().await;
            assert!(seen.iter().all(|seen| seen.load(SeqCst) == 1));
        });
    }
}

fn fastrand(bound: u32) -> u32 {
    gorust_primitives::current::random_below(bound)
}

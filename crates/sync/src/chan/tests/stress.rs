//! Many threads and many drops: every value that was sent is received exactly once.

use crate::{chan::chan, testing::block_on};
use gorust_primitives::rng::Rng;
use std::{
    future::Future,
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    thread,
};

const SENDERS: u64 = 3;
const RECEIVERS: u64 = 3;
const EACH: u64 = 4_000;

/// Polls a few times and gives up: the future is dropped wherever it stands.
fn try_for_a_while<F: Future>(future: F, polls: u32) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..polls {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Some(output);
        }
        thread::yield_now();
    }
    None
}

fn conserve(capacity: usize) {
    let (tx, rx) = chan::<Box<u64>>(capacity);
    let received = Arc::new(Mutex::new(Vec::new()));
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let tx = tx.clone();
            thread::spawn(move || {
                let rng = Rng::new(sender);
                for n in 0..EACH {
                    let mut slot = Some(Box::new(sender * EACH + n));
                    while slot.is_some() {
                        // Given up after a receiver took it, it is sent all the same, and the slot says so.
                        if rng.below(4) == 0 {
                            assert_eq!(block_on(tx.send_from(&mut slot)), Ok(()));
                        } else {
                            let _ = try_for_a_while(tx.send_from(&mut slot), rng.below(3));
                        }
                    }
                }
            })
        })
        .collect();
    drop(tx);
    let receivers: Vec<_> = (0..RECEIVERS)
        .map(|receiver| {
            let (rx, received) = (rx.clone(), Arc::clone(&received));
            thread::spawn(move || {
                let rng = Rng::new(!receiver);
                let mut mine = Vec::new();
                loop {
                    match try_for_a_while(rx.recv(), rng.below(3)) {
                        Some(Some(value)) => mine.push(*value),
                        Some(None) => break,
                        None if rng.below(4) == 0 => match block_on(rx.recv()) {
                            Some(value) => mine.push(*value),
                            None => break,
                        },
                        None => {}
                    }
                }
                received.lock().unwrap().extend(mine);
            })
        })
        .collect();
    senders.into_iter().chain(receivers).for_each(|thread| thread.join().unwrap());
    // A grant given back after a receiver saw the end waits for one who looks again.
    let mut received = received.lock().unwrap();
    while let Ok(value) = rx.try_recv() {
        received.push(*value);
    }
    received.sort_unstable();
    assert_eq!(*received, (0..SENDERS * EACH).collect::<Vec<_>>());
}

#[test]
fn every_value_is_received_once_through_a_rendezvous() {
    conserve(0);
}

#[test]
fn every_value_is_received_once_through_a_buffer() {
    conserve(1);
    conserve(7);
}

#[test]
fn one_receiver_sees_each_senders_order() {
    for capacity in [0, 1, 5] {
        let (tx, rx) = chan::<(u64, u64)>(capacity);
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let tx = tx.clone();
                thread::spawn(move || (0..EACH).for_each(|n| tx.send_blocking((sender, n)).unwrap()))
            })
            .collect();
        drop(tx);
        let mut next = [0; SENDERS as usize];
        while let Some((sender, n)) = rx.recv_blocking() {
            assert_eq!(n, next[sender as usize]);
            next[sender as usize] += 1;
        }
        assert_eq!(next, [EACH; SENDERS as usize]);
        senders.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

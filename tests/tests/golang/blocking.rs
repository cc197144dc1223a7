//! `TestChan` of `runtime/chan_test.go`: who waits, who does not, and what the lengths are meanwhile.

use crate::{everywhere, settle};
use gorust::prelude::*;
use std::sync::Arc;

const CAPACITIES: [usize; 5] = [0, 1, 2, 10, 100];

#[test]
fn receivers_wait_for_a_value_and_senders_for_room() {
    everywhere(|| async {
        for capacity in CAPACITIES {
            let (tx, rx) = chan(capacity);
            let receiver = {
                let rx = rx.clone();
                go(async move { rx.recv().await })
            };
            settle().await;
            assert!(!receiver.is_finished());
            tx.send(0).await.unwrap();
            assert_eq!(receiver.await.unwrap(), Some(0));
            for n in 0..capacity {
                tx.try_send(n).unwrap();
            }
            assert_eq!((tx.len(), tx.capacity()), (capacity, Some(capacity)));
            let sender = go(async move { tx.send(capacity).await });
            settle().await;
            assert!(!sender.is_finished());
            for n in 0..=capacity {
                assert_eq!(rx.recv().await, Some(n));
            }
            sender.await.unwrap().unwrap();
            assert!(rx.is_empty());
        }
    });
}

#[test]
fn four_send_and_four_receive_and_nothing_is_lost_or_doubled() {
    const ENDS: usize = 4;
    const EACH: usize = 1_000;
    everywhere(|| async {
        for capacity in CAPACITIES {
            let (tx, rx) = chan(capacity);
            for _ in 0..ENDS {
                let tx = tx.clone();
                go(async move {
                    for n in 0..EACH {
                        tx.send(n).await.unwrap();
                    }
                });
            }
            drop(tx);
            let receivers: Vec<_> = (0..ENDS)
                .map(|_| {
                    let rx = rx.clone();
                    go(async move {
                        let mut mine = Vec::new();
                        while let Some(n) = rx.recv().await {
                            mine.push(n);
                        }
                        mine
                    })
                })
                .collect();
            let mut counts = vec![0; EACH];
            for receiver in receivers {
                receiver.await.unwrap().into_iter().for_each(|n| counts[n] += 1);
            }
            assert!(counts.into_iter().all(|count| count == ENDS));
        }
    });
}

/// Go's memory model: a send comes before its receive, and the k-th receive before the end of the (k+C)-th send.
#[test]
fn what_was_done_before_a_send_is_seen_after_the_receive() {
    everywhere(|| async {
        for capacity in [0, 1] {
            let ((tx, rx), (back, done)) = (chan(capacity), chan::<()>(0));
            let letter = Arc::new(std::sync::Mutex::new(0));
            let reader = Arc::clone(&letter);
            go(async move {
                while let Some(n) = rx.recv().await {
                    assert_eq!(*reader.try_lock().unwrap(), n);
                    back.send(()).await.unwrap();
                }
            });
            for n in 0..1_000 {
                *letter.try_lock().unwrap() = n;
                tx.send(n).await.unwrap();
                done.recv().await.unwrap();
            }
        }
    });
}

#[test]
fn values_without_a_size_are_counted() {
    everywhere(|| async {
        let (tx, rx) = chan(3);
        go(async move {
            for _ in 0..10 {
                tx.send(()).await.unwrap();
            }
        });
        let mut count = 0;
        while rx.recv().await.is_some() {
            count += 1;
        }
        assert_eq!(count, 10);
    });
}

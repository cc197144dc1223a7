//! `test/closedchan.go` and `test/chan/...`: what a closed channel says, to whom and how often; ranging over one.

use crate::everywhere;
use futures::StreamExt;
use gorust::{
    chan::{SendError, TryRecvError, TrySendError, oneshot},
    prelude::*,
};

#[test]
fn what_was_sent_comes_out_and_then_the_end_again_and_again() {
    everywhere(|| async {
        for (capacity, count) in [(0, 0), (1, 0), (1, 1), (2, 1), (8, 8)] {
            let (tx, rx) = chan(capacity);
            for n in 0..count {
                tx.send(n).await.unwrap();
            }
            assert!(tx.close());
            assert_eq!((tx.len(), rx.is_closed()), (count, true));
            for n in 0..count {
                assert_eq!(if n % 2 == 0 { rx.recv().await } else { rx.try_recv().ok() }, Some(n));
            }
            for _ in 0..3 {
                assert_eq!((rx.recv().await, rx.try_recv()), (None, Err(TryRecvError::Closed)));
            }
            assert!(!tx.close(), "only the first one closes");
            assert_eq!(tx.send(1).await, Err(SendError(1)));
            assert_eq!(tx.try_send(2), Err(TrySendError::Closed(2)));
        }
    });
}

#[test]
fn everybody_who_waits_is_told() {
    everywhere(|| async {
        let (tx, rx) = chan::<u32>(0);
        let receivers: Vec<_> = (0..50)
            .map(|_| {
                let rx = rx.clone();
                go(async move { rx.recv().await })
            })
            .collect();
        tx.close();
        for receiver in receivers {
            assert_eq!(receiver.await.unwrap(), None);
        }
        let (tx, rx) = chan(0);
        let senders: Vec<_> = (0..50)
            .map(|n| {
                let tx = tx.clone();
                go(async move { tx.send(n).await })
            })
            .collect();
        gorust::yield_now().await;
        drop(rx);
        for (n, sender) in senders.into_iter().enumerate() {
            assert_eq!(sender.await.unwrap(), Err(SendError(n)), "each gets its own back");
        }
    });
}

#[test]
fn one_of_many_closers_closes() {
    everywhere(|| async {
        for _ in 0..100 {
            let (tx, _rx) = chan::<u32>(1);
            let closers: Vec<_> = (0..8)
                .map(|_| {
                    let tx = tx.clone();
                    go(async move { tx.close() })
                })
                .collect();
            let mut closed = 0;
            for closer in closers {
                closed += u32::from(closer.await.unwrap());
            }
            assert_eq!(closed, 1);
        }
    });
}

/// `for v := range ch`, in three ways.
#[test]
fn ranging_ends_with_the_channel() {
    crate::on_workers(|| async {
        for capacity in [0, 1, 7] {
            let (tx, rx) = chan(capacity);
            let sender = tx.clone();
            go(async move {
                for n in 0..60 {
                    sender.send(n).await.unwrap();
                }
            });
            drop(tx);
            let mut next = 0;
            while let Some(n) = rx.recv().await {
                assert_eq!(n, next);
                next += 1;
                if next == 20 {
                    break;
                }
            }
            assert_eq!(rx.stream().take(20).collect::<Vec<_>>().await, (20..40).collect::<Vec<_>>());
            let (done, rest) = oneshot();
            std::thread::spawn(move || done.send(rx.iter_blocking().collect::<Vec<_>>()));
            assert_eq!(rest.await.unwrap(), (40..60).collect::<Vec<_>>());
        }
    });
}

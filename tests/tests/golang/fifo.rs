//! `test/chan/fifo.go` and `test/chan/goroutines.go`: values in the order they were sent, waiters in the order they
//! came.

use crate::everywhere;
use gorust::{
    chan::{Receiver, Sender},
    prelude::*,
};

const COUNT: usize = 100;

#[test]
fn a_buffer_keeps_the_order() {
    everywhere(|| async {
        let (tx, rx) = chan(COUNT);
        for n in 0..COUNT {
            tx.send(n).await.unwrap();
        }
        for n in 0..COUNT {
            assert_eq!(rx.recv().await, Some(n));
        }
    });
}

#[test]
fn waiting_receivers_are_served_in_the_order_they_came() {
    everywhere(|| async {
        let (tx, rx) = chan(0);
        let (mut turn, mut handles) = (None, Vec::new());
        for n in 0..COUNT {
            let (rx, (ready, is_ready)) = (rx.clone(), chan::<()>(0));
            let previous: Option<Receiver<()>> = turn.replace(is_ready);
            handles.push(go(async move {
                if let Some(previous) = previous {
                    previous.recv().await;
                }
                let mut recv = Box::pin(rx.recv());
                // It waits from here on, before the next one may.
                assert!(futures::poll!(recv.as_mut()).is_pending());
                drop(ready);
                assert_eq!(recv.await, Some(n));
            }));
        }
        turn.unwrap().recv().await;
        for n in 0..COUNT {
            tx.send(n).await.unwrap();
        }
        for handle in handles {
            handle.await.unwrap();
        }
    });
}

/// A row of ten thousand goroutines, each of which passes on what its neighbour says.
#[test]
fn a_row_of_goroutines_passes_a_value_on() {
    async fn pass(left: Sender<u32>, right: Receiver<u32>) {
        left.send(right.recv().await.unwrap() + 1).await.unwrap();
    }
    everywhere(|| async {
        let (leftmost, end) = chan(0);
        let mut left = leftmost;
        for _ in 0..10_000 {
            let (next, right) = chan(0);
            go(pass(left, right));
            left = next;
        }
        left.send(0).await.unwrap();
        assert_eq!(end.recv().await, Some(10_000));
    });
}

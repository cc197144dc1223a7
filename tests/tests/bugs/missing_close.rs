//! Missing close: the source of a stream gives up early when it is told to stop, and that way out forgets to close.
//! The channel's sender is shared, so nobody closes by dropping it.

use gorust::{chan::Sender, prelude::*};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

async fn sum_until_stopped<F: Future<Output = ()> + Send + 'static>(
    source: impl FnOnce(Arc<Sender<u32>>, Arc<AtomicBool>) -> F,
) {
    let (tx, rx) = chan(8);
    let (tx, stop) = (Arc::new(tx), Arc::new(AtomicBool::new(false)));
    let source = go(source(Arc::clone(&tx), Arc::clone(&stop)));
    let stopper = go(async move { stop.store(true, Relaxed) });
    let mut sum = 0;
    while let Some(value) = rx.recv().await {
        sum += value;
    }
    assert!(sum <= 3);
    source.await.unwrap();
    stopper.await.unwrap();
}

pub(crate) async fn buggy() {
    sum_until_stopped(|tx, stop| async move {
        for value in 0..3 {
            if stop.load(Relaxed) {
                return;
            }
            tx.send(value).await.unwrap();
        }
        tx.close();
    })
    .await;
}

pub(crate) async fn fixed() {
    sum_until_stopped(|tx, stop| async move {
        for value in 0..3 {
            if stop.load(Relaxed) {
                break;
            }
            tx.send(value).await.unwrap();
        }
        tx.close();
    })
    .await;
}

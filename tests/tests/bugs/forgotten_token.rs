//! Forgotten token: a producer counts itself in a wait group and leaves early when the queue is full, without counting
//! itself out.

use gorust::{chan::Sender, prelude::*};

async fn two_produce<F: Future<Output = ()> + Send + 'static>(produce: impl Fn(WaitGroup, Sender<u32>) -> F) {
    let (tx, rx) = chan(1);
    let wg = WaitGroup::new();
    go(produce(wg.clone(), tx.clone()));
    let consumer = go(async move { while rx.recv().await.is_some() {} });
    go(produce(wg.clone(), tx.clone()));
    drop(tx);
    // Both have begun.
    gorust::test::wait().await;
    wg.wait().await;
    consumer.await.unwrap();
}

pub(crate) async fn buggy() {
    two_produce(|wg, tx| async move {
        wg.add(1);
        if tx.try_send(1).is_err() {
            return;
        }
        wg.done();
    })
    .await;
}

pub(crate) async fn fixed() {
    two_produce(|wg, tx| async move {
        // Dropping it counts out, on every way.
        let _token = wg.token();
        tx.try_send(1).ok();
    })
    .await;
}

//! Leaked sender: the goroutine that collects what the workers send holds a sender itself, so the channel never closes
//! and it waits for ever.

use gorust::prelude::*;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

pub(crate) async fn buggy() {
    let (tx, rx) = chan(2);
    let (wg, total) = (WaitGroup::new(), Arc::new(AtomicU32::new(0)));
    for n in 1..=2 {
        let tx = tx.clone();
        wg.go(async move { tx.send(n).await.unwrap() });
    }
    let sum = Arc::clone(&total);
    go(async move {
        // To know when the workers are done.
        let _tx = tx;
        while let Some(n) = rx.recv().await {
            sum.fetch_add(n, Relaxed);
        }
    });
    wg.wait().await;
}

pub(crate) async fn fixed() {
    let (tx, rx) = chan(2);
    let (wg, total) = (WaitGroup::new(), Arc::new(AtomicU32::new(0)));
    for n in 1..=2 {
        let tx = tx.clone();
        wg.go(async move { tx.send(n).await.unwrap() });
    }
    drop(tx);
    let sum = Arc::clone(&total);
    let collector = go(async move {
        while let Some(n) = rx.recv().await {
            sum.fetch_add(n, Relaxed);
        }
    });
    wg.wait().await;
    collector.await.unwrap();
    assert_eq!(total.load(Relaxed), 3);
}

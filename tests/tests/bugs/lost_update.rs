//! Lost update: two deposits read the balance, write to the log, and store what they computed. The `await` between is
//! where the other one gets in.

use gorust::{prelude::*, sync::Mutex};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

pub(crate) async fn buggy() {
    let (balance, wg) = (Arc::new(AtomicU32::new(0)), WaitGroup::new());
    let (log, _entries) = chan(2);
    for amount in [10, 20] {
        let (balance, log) = (Arc::clone(&balance), log.clone());
        wg.go(async move {
            let new = balance.load(Relaxed) + amount;
            log.send(amount).await.unwrap();
            balance.store(new, Relaxed);
        });
    }
    wg.wait().await;
    assert_eq!(balance.load(Relaxed), 30, "a deposit was lost");
}

pub(crate) async fn fixed() {
    let (balance, wg) = (Arc::new(Mutex::new(0)), WaitGroup::new());
    let (log, _entries) = chan(2);
    for amount in [10, 20] {
        let (balance, log) = (Arc::clone(&balance), log.clone());
        wg.go(async move {
            let mut balance = balance.lock().await;
            log.send(amount).await.unwrap();
            *balance += amount;
        });
    }
    wg.wait().await;
    assert_eq!(*balance.lock().await, 30, "a deposit was lost");
}

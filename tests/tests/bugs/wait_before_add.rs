//! Wait before add: goroutines count themselves in, so whoever waits for the group may find it empty and not wait.

use gorust::prelude::*;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

pub(crate) async fn buggy() {
    let (wg, done) = (WaitGroup::new(), Arc::new(AtomicU32::new(0)));
    for _ in 0..2 {
        let (wg, done) = (wg.clone(), Arc::clone(&done));
        go(async move {
            wg.add(1);
            done.fetch_add(1, Relaxed);
            wg.done();
        });
    }
    wg.wait().await;
    assert_eq!(done.load(Relaxed), 2, "it did not wait for all");
}

pub(crate) async fn fixed() {
    let (wg, done) = (WaitGroup::new(), Arc::new(AtomicU32::new(0)));
    for _ in 0..2 {
        let done = Arc::clone(&done);
        // Counts before the goroutine begins.
        wg.go(async move {
            done.fetch_add(1, Relaxed);
        });
    }
    wg.wait().await;
    assert_eq!(done.load(Relaxed), 2, "it did not wait for all");
}

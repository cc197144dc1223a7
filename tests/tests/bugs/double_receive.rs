//! Double receive: a worker that sees something in the queue receives it; with two workers the second receives
//! nothing, for ever.

use gorust::prelude::*;

pub(crate) async fn buggy() {
    let (jobs, queue) = chan(1);
    jobs.send("the only job").await.unwrap();
    let wg = WaitGroup::new();
    for _ in 0..2 {
        let queue = queue.clone();
        wg.go(async move {
            if !queue.is_empty() {
                queue.recv().await.unwrap();
            }
        });
    }
    wg.wait().await;
    jobs.close();
}

pub(crate) async fn fixed() {
    let (jobs, queue) = chan(1);
    jobs.send("the only job").await.unwrap();
    let wg = WaitGroup::new();
    for _ in 0..2 {
        let queue = queue.clone();
        wg.go(async move {
            // Nothing comes between looking and taking.
            queue.try_recv().ok();
        });
    }
    wg.wait().await;
    jobs.close();
}

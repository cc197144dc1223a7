//! Shutdown race: a request sees that the service is open and hands its job in; between the two the service closes.

use gorust::{chan::Sender, prelude::*};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

/// Requests come in while the service shuts down. Every accepted job must be done.
async fn serve<F: Future<Output = bool> + Send + 'static>(
    request: impl Fn(Arc<AtomicBool>, Sender<()>, Sender<u32>) -> F,
) {
    let (jobs, queue) = chan(4);
    let (access_log, _lines) = chan(4);
    let open = Arc::new(AtomicBool::new(true));
    let worker = go(async move {
        let mut done = 0;
        while queue.recv().await.is_some() {
            done += 1;
        }
        done
    });
    let requests: Vec<_> =
        (0..2).map(|_| go(request(Arc::clone(&open), access_log.clone(), jobs.clone()))).collect();
    let shutdown = go(async move {
        open.store(false, Relaxed);
        jobs.close();
    });
    let mut accepted = 0;
    for request in requests {
        accepted += u32::from(request.await.unwrap());
    }
    shutdown.await.unwrap();
    assert_eq!(worker.await.unwrap(), accepted);
}

pub(crate) async fn buggy() {
    serve(|open, access_log, jobs| async move {
        if !open.load(Relaxed) {
            return false;
        }
        access_log.send(()).await.unwrap();
        jobs.send(1).await.expect("the service is open");
        true
    })
    .await;
}

pub(crate) async fn fixed() {
    serve(|_, access_log, jobs| async move {
        access_log.send(()).await.unwrap();
        // Only the queue knows.
        jobs.send(1).await.is_ok()
    })
    .await;
}

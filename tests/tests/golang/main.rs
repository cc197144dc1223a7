//! What Go's own tests of channels check (`test/chan`, `test/closedchan.go` and `runtime/chan_test.go` of Go 1.27),
//! rewritten: behaviour by behaviour, one file a program of theirs. Each runs on 1, 2 and 8 workers.

mod blocking;
mod closed;
mod consumers;
mod fifo;
mod nonblock;
mod powser;
mod sieve;

use gorust::runtime::Builder;
use std::future::Future;

/// Runs the body as a goroutine of runtimes of several sizes.
fn everywhere<F: Future<Output = ()> + Send + 'static>(body: impl Fn() -> F) {
    for workers in [1, 2, 8] {
        let runtime = Builder::new().workers(workers).build().unwrap();
        runtime.block_on(runtime.spawn(body())).unwrap();
    }
}

/// Lets the others run, so long that one who can go on has.
async fn settle() {
    for _ in 0..100 {
        gorust::yield_now().await;
    }
}

//! What Go's own tests of channels check (`test/chan`, `test/closedchan.go` and `runtime/chan_test.go` of Go 1.27),
//! rewritten: behaviour by behaviour, one file a program of theirs. Each runs on 1, 2 and 8 workers, and in bubbles
//! with a schedule a seed.

mod blocking;
mod closed;
mod consumers;
mod fifo;
mod nonblock;
mod powser;
mod sieve;

use gorust::runtime::Builder;
use std::future::Future;

const SEEDS: u64 = 25;

/// Runs the body as a goroutine of runtimes of several sizes, and in bubbles.
fn everywhere<F: Future<Output = ()> + Send + 'static>(body: impl Fn() -> F) {
    on_workers(&body);
    for seed in 0..SEEDS {
        if let Err(error) = gorust::test::bubble(seed, body()) {
            panic!("seed {seed}: {error}");
        }
    }
}

/// As `everywhere`, for what has no place in a bubble: threads of its own, or goroutines that have work for ever.
fn on_workers<F: Future<Output = ()> + Send + 'static>(body: impl Fn() -> F) {
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

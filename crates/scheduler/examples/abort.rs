//! A program built with `panic = "abort"`: the first panic ends it by `SIGABRT`, and it says in which goroutine.
//!
//! ```sh
//! cargo run --profile abort -p gorust-scheduler --example abort
//! ```

use gorust_scheduler::{block_on, go, local, task};

fn main() {
    // Everything that does not panic is as ever.
    let sum = block_on(local::run_until(async {
        let one = go(async { 1 }).await.unwrap();
        local::spawn(async move { one + 1 }).await.unwrap()
    }));
    assert_eq!(sum, 2);
    if !cfg!(panic = "abort") {
        println!("to be run with --profile abort");
        return;
    }
    let handle = task::Builder::new().name("last words").spawn(async { panic!("no luck") });
    let _ = block_on::<task::JoinHandle<()>>(handle);
    unreachable!("it has ended");
}

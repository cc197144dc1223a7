//! What is said of a `select!` whose parts are of the wrong types.

use gorust::{chan::Receiver, select};

async fn not_a_future(rx: Receiver<u32>) {
    select! {
        _ = rx.recv() => {}
        _ = 1 + 1 => {}
    }
}

async fn inner_pattern_may_fail(rx: Receiver<u32>) {
    select! {
        Some(1) = rx.recv() => {}
        _ = rx.recv() => {}
    }
}

async fn pattern_of_another_type(rx: Receiver<u32>) {
    select! {
        Ok(_) = rx.recv() => {}
    }
}

fn waits_outside_async(rx: Receiver<u32>) {
    select! {
        _ = rx.recv() => {}
    }
}

fn main() {}

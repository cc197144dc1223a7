//! What is said of a `select!` that is written wrongly.

use gorust::{chan::Receiver, prelude::*, select};

async fn missing_arrow(rx: Receiver<u32>) {
    select! {
        v = rx.recv(),
        _ = rx.recv() => {}
    }
}

async fn missing_body(rx: Receiver<u32>) {
    select! {
        v = rx.recv()
    }
}

async fn missing_pattern(rx: Receiver<u32>) {
    select! {
        rx.recv() => {}
    }
}

fn default_not_last(rx: Receiver<u32>) {
    select! {
        default => {}
        _ = rx.recv() => {}
    }
}

fn two_defaults(rx: Receiver<u32>) {
    select! {
        _ = rx.recv() => {}
        default => {}
        default => {}
    }
}

async fn two_elses(rx: Receiver<u32>) {
    select! {
        Some(_) = rx.recv() => {}
        else => {}
        else => {}
    }
}

async fn case_after_else(rx: Receiver<u32>) {
    select! {
        else => {}
        Some(_) = rx.recv() => {}
    }
}

async fn missing_comma(rx: Receiver<u32>) -> u32 {
    select! {
        _ = rx.recv() => 1
        _ = rx.recv() => 2
    }
}

async fn unknown_word(rx: Receiver<u32>) {
    select! {
        fair;
        _ = rx.recv() => {}
    }
}

fn main() {
    let _ = chan::<u32>(0);
}

//! The ends of a channel have types of their own: what Go's checks of direction forbid does not compile.

use gorust::{chan::{Receiver, Sender}, select};

async fn receives_from_a_sender(tx: Sender<u32>) {
    select! {
        _ = tx.recv() => {}
    }
}

async fn sends_to_a_receiver(rx: Receiver<u32>) {
    select! {
        _ = rx.send(1) => {}
    }
}

async fn closes_a_receiver(rx: Receiver<u32>) {
    rx.close();
}

async fn sends_another_type(tx: Sender<u32>) {
    select! {
        _ = tx.send("one") => {}
    }
}

fn main() {}

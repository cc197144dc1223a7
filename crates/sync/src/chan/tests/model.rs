//! Two or three threads, one property each: every value is received once, or given back, or dropped with the
//! channel, and nobody sleeps over what would wake it.

use crate::{
    chan::{Receiver, Sender, chan as make},
    testing::{Fragile, block_on},
};
use gorust_primitives::shim::{model, mutant_is_caught, thread};
use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::{Context, Poll, Waker},
};

fn chan(capacity: usize) -> (Sender<Box<u32>>, Fragile<Receiver<Box<u32>>>) {
    let (tx, rx) = make(capacity);
    (tx, Fragile::new(rx))
}

fn explore(name: &str, body: impl Fn() + Sync + Send + 'static) {
    let executions = model(body);
    println!("chan, {name}: {executions} executions");
    assert!(executions > 1);
}

/// A sender and a receiver meet, whoever comes first.
fn meet(capacity: usize) {
    let (tx, rx) = chan(capacity);
    let sender = thread::spawn(move || block_on(tx.send(Box::new(1))).is_ok());
    assert_eq!(block_on(rx.recv()), Some(Box::new(1)));
    assert!(sender.join().unwrap());
    assert_eq!(block_on(rx.recv()), None);
}

/// A receiver is dropped after its first poll, while a value is sent; the other one must get it.
fn receiver_dropped() {
    let (tx, rx) = chan(1);
    let sender = thread::spawn(move || block_on(tx.send(Box::new(1))).is_ok());
    {
        let mut recv = pin!(rx.recv());
        if let Poll::Ready(value) = recv.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            assert_eq!(value, Some(Box::new(1)));
            assert!(sender.join().unwrap());
            return;
        }
    }
    assert_eq!(block_on(rx.recv()), Some(Box::new(1)));
    assert!(sender.join().unwrap());
}

/// A sender is dropped after its first poll, while its value is received: either it is sent, or it never was.
fn sender_dropped() {
    let (tx, rx) = chan(0);
    let receiver = thread::spawn(move || block_on(rx.recv()));
    let was_sent = {
        let mut send = pin!(tx.send(Box::new(1)));
        let mut cx = Context::from_waker(Waker::noop());
        // The second poll takes the place of a drop: it tells what became of the value.
        send.as_mut().poll(&mut cx).is_ready() || send.as_mut().poll(&mut cx).is_ready()
    };
    drop(tx);
    let received = receiver.join().unwrap();
    assert!(!was_sent || received == Some(Box::new(1)), "sent, but not received");
}

/// The channel is closed while one waits to receive and one sends: a value is received or given back.
fn closed_while_sending() {
    let (tx, rx) = chan(0);
    let closer = tx.clone();
    let closer = thread::spawn(move || closer.close());
    let sender = thread::spawn(move || block_on(tx.send(Box::new(1))).is_err());
    let received = block_on(rx.recv());
    let given_back = sender.join().unwrap();
    assert!(closer.join().unwrap());
    assert_eq!(received.is_none(), given_back);
}

/// The last of two senders closes, and exactly it.
fn last_sender() {
    let (tx, rx) = chan(1);
    let other = tx.clone();
    let sender = thread::spawn(move || drop(other));
    drop(tx);
    assert_eq!(block_on(rx.recv()), None);
    sender.join().unwrap();
}

/// The last receiver goes while one waits to send: its value comes back.
fn last_receiver() {
    let (tx, rx) = chan(0);
    let receiver = thread::spawn(move || drop(rx));
    assert_eq!(block_on(tx.send(Box::new(1))).map_err(|error| error.0), Err(Box::new(1)));
    receiver.join().unwrap();
}

/// Two streams wait; one is dropped once it was woken, or before. The other one gets the value.
fn stream_dropped() {
    use futures_core::Stream;
    use std::pin::Pin;
    let (tx, rx) = chan(1);
    // A close would wake everybody.
    let _open = Fragile::new(tx.clone());
    let sender = thread::spawn(move || block_on(tx.send(Box::new(1))).is_ok());
    let mut first = rx.stream();
    let mut second = Fragile::new(rx.stream());
    if Pin::new(&mut first).poll_next(&mut Context::from_waker(Waker::noop())).is_ready() {
        assert!(sender.join().unwrap());
        return;
    }
    let mut first = Some(first);
    let received = block_on(poll_fn(|cx| {
        let polled = Pin::new(&mut *second).poll_next(cx);
        first.take();
        polled
    }));
    assert_eq!(received, Some(Box::new(1)));
    assert!(sender.join().unwrap());
}

#[test]
fn sender_and_receiver_meet() {
    explore("rendezvous", || meet(0));
    explore("capacity 1", || meet(1));
}

#[test]
fn a_dropped_receiver_passes_its_grant_on() {
    explore("receiver dropped", receiver_dropped);
}

#[test]
fn a_dropped_sender_has_sent_or_has_not() {
    explore("sender dropped", sender_dropped);
}

#[test]
fn a_close_meets_every_send() {
    explore("closed while sending", closed_while_sending);
}

#[test]
fn the_last_handle_closes() {
    explore("last sender", last_sender);
    explore("last receiver", last_receiver);
}

#[test]
fn a_dropped_stream_passes_the_word_on() {
    explore("stream dropped", stream_dropped);
}

#[test]
fn waiting_without_a_look_is_caught() {
    assert!(mutant_is_caught("chan.wait_without_a_look", || meet(1)));
    assert!(mutant_is_caught("chan.wait_without_a_look", last_sender));
}

#[test]
fn dropping_a_grant_is_caught() {
    assert!(mutant_is_caught("chan.grant_dropped", receiver_dropped));
}

#[test]
fn counting_handles_in_two_steps_is_caught() {
    assert!(mutant_is_caught("chan.count_in_two_steps", last_sender));
}

#[test]
fn keeping_a_word_to_oneself_is_caught() {
    assert!(mutant_is_caught("chan.stream_word_lost", stream_dropped));
}

//! Two or three threads, one property each: every value is received once, or given back, or dropped with the
//! channel, and nobody sleeps over what would wake it.

use crate::{
    chan::{Closed, OneSender, Receiver, Sender, chan as make, oneshot, unbounded},
    testing::{Fragile, block_on},
};
use gorust_primitives::shim::{Arc, model, mutant_is_caught, thread};
use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
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

/// Two receivers are dropped after their first poll, while two values are sent: both are received, and in order if
/// they came back.
fn two_grants_come_back() {
    let (tx, rx) = chan(2);
    let sender = thread::spawn(move || {
        assert!(tx.try_send(Box::new(1)).is_ok());
        assert!(tx.try_send(Box::new(2)).is_ok());
    });
    let mut first = Box::pin(rx.recv());
    let mut second = Box::pin(rx.recv());
    let mut cx = Context::from_waker(Waker::noop());
    let polls = [first.as_mut().poll(&mut cx), second.as_mut().poll(&mut cx)];
    drop(first);
    drop(second);
    // The second one may have looked when the first value was already granted to the first.
    let overtaken = matches!(polls, [Poll::Pending, Poll::Ready(_)]);
    let mut received: Vec<_> = polls.into_iter().filter_map(ready).flatten().collect();
    sender.join().unwrap();
    received.extend(std::iter::from_fn(|| block_on(rx.recv())));
    if overtaken {
        received.reverse();
    }
    assert_eq!(received, [Box::new(1), Box::new(2)]);
}

fn ready<T>(poll: Poll<T>) -> Option<T> {
    match poll {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// The channel is closed, and a receiver dropped, while one sends: the value is received or given back.
fn closed_and_dropped() {
    let (tx, rx) = chan(1);
    let closer = tx.clone();
    let sender = thread::spawn(move || block_on(tx.send(Box::new(1))).is_ok());
    let closer = thread::spawn(move || closer.close());
    let polled = pin!(rx.recv()).poll(&mut Context::from_waker(Waker::noop()));
    assert!(closer.join().unwrap());
    let was_sent = sender.join().unwrap();
    let received = ready(polled).flatten().or_else(|| block_on(rx.recv()));
    assert_eq!(received.is_some(), was_sent);
}

/// The last receiver goes while one sends into the buffer: the value is given back or dropped, not kept.
fn hung_up() {
    let value = Arc::new(());
    let (tx, rx) = make(1);
    let (tx, sent) = (Fragile::new(tx), Arc::clone(&value));
    let receiver = thread::spawn(move || drop(rx));
    drop(tx.try_send(sent));
    receiver.join().unwrap();
    assert_eq!(Arc::strong_count(&value), 1, "the value is kept");
}

/// A weak handle is upgraded while the last sender goes: the channel closes once nobody can send, and not before.
fn upgraded() {
    let (tx, rx) = chan(1);
    let weak = tx.downgrade();
    let sender = thread::spawn(move || drop(tx));
    let sent = weak.upgrade().is_some_and(|tx| block_on(tx.send(Box::new(1))).is_ok());
    assert_eq!(block_on(rx.recv()).is_some(), sent);
    assert_eq!(block_on(rx.recv()), None);
    sender.join().unwrap();
    assert_eq!(rx.sender_count(), 0);
}

/// An unbounded channel grows, and is drained meanwhile.
fn grows() {
    let (tx, rx) = unbounded();
    let rx = Fragile::new(rx);
    let sender = thread::spawn(move || (0..5).for_each(|n| assert!(tx.try_send(Box::new(n)).is_ok())));
    for n in 0..5 {
        assert_eq!(block_on(rx.recv()), Some(Box::new(n)));
    }
    sender.join().unwrap();
}

/// A oneshot's ends meet, whoever comes first.
fn one_meets() {
    let (tx, rx) = oneshot();
    let sender = thread::spawn(move || tx.send(Box::new(1)).is_ok());
    assert_eq!(block_on(rx), Ok(Box::new(1)));
    assert!(sender.join().unwrap());
}

/// The receiver is polled by two tasks in turn while the sender sends: the second one is woken.
fn one_moves() {
    let (tx, mut rx) = oneshot();
    let sender = thread::spawn(move || tx.send(Box::new(1)).is_ok());
    let first = Pin::new(&mut rx).poll(&mut Context::from_waker(Waker::noop()));
    let received = ready(first).unwrap_or_else(|| block_on(rx));
    assert_eq!(received, Ok(Box::new(1)));
    assert!(sender.join().unwrap());
}

/// The sender goes without a word while one waits.
fn one_ends() {
    let (tx, rx) = oneshot::<Box<u32>>();
    let sender = thread::spawn(move || drop(tx));
    assert_eq!(block_on(rx), Err(Closed));
    sender.join().unwrap();
}

/// The receiver goes, having waited or not, while one sends: the value comes back or is dropped, once.
fn one_gives_up(waits: bool) {
    let value = Arc::new(());
    let (tx, mut rx) = oneshot();
    let sent = Arc::clone(&value);
    let sender = thread::spawn(move || tx.send(sent).is_ok());
    if waits {
        drop(Pin::new(&mut rx).poll(&mut Context::from_waker(Waker::noop())));
    }
    drop(rx);
    sender.join().unwrap();
    assert_eq!(Arc::strong_count(&value), 1, "the value is kept");
}

/// The sender waits until the receiver is gone.
fn one_is_closed() {
    let (tx, rx) = oneshot::<Box<u32>>();
    let mut tx = Fragile::new(tx);
    let receiver = thread::spawn(move || drop(rx));
    block_on(tx.closed());
    assert!(tx.is_closed());
    receiver.join().unwrap();
}

/// The sender no longer waits for the receiver's end when that comes, and sends.
fn one_stops_waiting() {
    let (mut tx, rx) = oneshot::<Box<u32>>();
    let receiver = thread::spawn(move || drop(rx));
    let poll = |tx: &mut OneSender<_>| pin!(tx.closed()).poll(&mut Context::from_waker(Waker::noop()));
    let was_closed = poll(&mut tx).is_ready();
    assert!(tx.send(Box::new(1)).is_err() || !was_closed);
    receiver.join().unwrap();
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

#[test]
fn grants_that_come_back_keep_their_order() {
    explore("two grants come back", two_grants_come_back);
    explore("closed and dropped", closed_and_dropped);
}

#[test]
fn nothing_is_kept_in_a_channel_that_is_hung_up() {
    explore("hung up", hung_up);
}

#[test]
fn a_weak_handle_comes_back_or_does_not() {
    explore("upgraded", upgraded);
}

#[test]
fn an_unbounded_channel_grows() {
    explore("unbounded", grows);
}

#[test]
fn a_oneshot_meets_ends_and_is_given_up() {
    explore("oneshot, meets", one_meets);
    explore("oneshot, moves", one_moves);
    explore("oneshot, ends", one_ends);
    explore("oneshot, gives up", || one_gives_up(false));
    explore("oneshot, gives up waiting", || one_gives_up(true));
    explore("oneshot, is closed", one_is_closed);
    explore("oneshot, stops waiting", one_stops_waiting);
}

#[test]
fn a_oneshot_that_waits_without_a_look_is_caught() {
    assert!(mutant_is_caught("oneshot.wait_without_a_look", one_meets));
    assert!(mutant_is_caught("oneshot.wait_without_a_look", one_is_closed));
}

#[test]
fn a_oneshot_without_order_is_caught() {
    assert!(mutant_is_caught("oneshot.relaxed", one_meets));
    assert!(mutant_is_caught("oneshot.relaxed", one_moves));
}

#[test]
fn coming_back_to_a_closed_channel_is_caught() {
    assert!(mutant_is_caught("chan.upgrade_in_two_steps", upgraded));
}

#[test]
fn leaving_values_behind_is_caught() {
    assert!(mutant_is_caught("chan.hang_up_before_the_close", hung_up));
}

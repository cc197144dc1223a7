//! Channels without a bound, and memory: one thread, polls by hand.

use crate::{
    chan::{TryRecvError, TrySendError, chan, never, unbounded},
    testing::{Task, poll},
};
use std::{cell::Cell, rc::Rc, task::Poll};

#[test]
fn senders_never_wait_and_values_keep_their_order() {
    let (tx, rx) = unbounded();
    for n in 0..10_000 {
        if n % 2 == 0 {
            assert_eq!(tx.try_send(n), Ok(()));
        } else {
            assert_eq!(poll(&mut Box::pin(tx.send(n))), Poll::Ready(Ok(())));
        }
    }
    assert_eq!((tx.len(), tx.capacity(), tx.is_full()), (10_000, None, false));
    for n in 0..10_000 {
        assert_eq!(rx.try_recv(), Ok(n));
    }
    assert_eq!((rx.try_recv(), rx.is_empty()), (Err(TryRecvError::Empty), true));
}

#[test]
fn a_waiting_receiver_is_granted_the_value() {
    let (tx, rx) = unbounded();
    let task = Task::default();
    let mut recv = Box::pin(rx.recv());
    assert!(task.poll(&mut recv).is_pending());
    tx.try_send(1).unwrap();
    tx.try_send(2).unwrap();
    assert_eq!((task.wakes(), rx.len(), task.poll(&mut recv)), (1, 1, Poll::Ready(Some(1))));
    drop(recv);
    let mut many = Vec::new();
    (3..2_000).for_each(|n| tx.try_send(n).unwrap());
    while many.len() < 1_998 {
        assert!(matches!(poll(&mut Box::pin(rx.recv_many(&mut many, 700))), Poll::Ready(1..)));
    }
    assert!(many.iter().copied().eq(2..2_000));
}

#[test]
fn what_is_given_back_goes_ahead_of_all_rings() {
    let (tx, rx) = unbounded();
    let mut recv = Box::pin(rx.recv());
    assert!(poll(&mut recv).is_pending());
    (0..3_000).for_each(|n| tx.try_send(n).unwrap());
    drop(recv);
    drop(tx);
    assert!(rx.iter_blocking().eq(0..3_000));
}

/// Counts its drops, and uses the channel meanwhile.
struct Counted(Rc<Cell<usize>>, crate::chan::WeakSender<Counted>);

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(tx) = self.1.upgrade() {
            let _ = (tx.len(), tx.is_closed());
        }
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn what_is_in_it_is_dropped_with_the_last_receiver_and_outside_the_lock() {
    for count in [0, 1, 255, 256, 257, 5_000] {
        let drops = Rc::new(Cell::new(0));
        let (tx, rx) = unbounded();
        let mut recv = Box::pin(rx.recv());
        assert!(poll(&mut recv).is_pending());
        for _ in 0..count {
            assert!(tx.try_send(Counted(Rc::clone(&drops), tx.downgrade())).is_ok());
        }
        drop(recv);
        drop(rx);
        assert_eq!(drops.get(), count);
        assert!(
            tx.try_send(Counted(Rc::clone(&drops), tx.downgrade())).is_err_and(|error| error.is_closed())
        );
    }
}

#[test]
fn it_closes_as_any_channel() {
    let (tx, rx) = unbounded();
    tx.try_send(1).unwrap();
    assert!(tx.close() && !tx.close());
    assert_eq!(tx.try_send(2), Err(TrySendError::Closed(2)));
    assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(1), Err(TryRecvError::Closed)));
}

#[test]
fn never_is_neither_ready_nor_closed() {
    let rx = never::<u32>();
    let other = rx.clone();
    let task = Task::default();
    let mut recv = Box::pin(rx.recv());
    assert!(task.poll(&mut recv).is_pending());
    assert_eq!((other.try_recv(), other.is_closed()), (Err(TryRecvError::Empty), false));
    drop(other);
    assert!(task.poll(&mut recv).is_pending());
    assert_eq!(task.wakes(), 0);
}

#[test]
fn many_values_given_back_in_any_order_keep_theirs() {
    let (tx, rx) = chan(0);
    let mut recvs: Vec<_> = (0..500).map(|_| Box::pin(rx.recv())).collect();
    recvs.iter_mut().for_each(|recv| assert!(poll(recv).is_pending()));
    (0..500).for_each(|n| tx.try_send(n).unwrap());
    while !recvs.is_empty() {
        drop(recvs.swap_remove(recvs.len() * 7 / 13));
    }
    drop(recvs);
    drop(tx);
    assert!(rx.iter_blocking().eq(0..500));
}

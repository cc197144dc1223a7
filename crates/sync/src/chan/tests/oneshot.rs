//! A channel for one value: one thread, polls by hand.

use crate::{
    chan::{Closed, OneClosed, OneReceiver, OneSender, SendError, TryRecvError, oneshot},
    testing::Task,
};
use futures_core::FusedFuture;
use std::{
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
};

fn poll_on<F: Future>(task: &Task, future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&task.waker()))
}

#[test]
fn a_value_sent_first_is_there_at_once() {
    let (tx, mut rx) = oneshot();
    assert_eq!(tx.send(1), Ok(()));
    let task = Task::default();
    assert!(!rx.is_terminated());
    assert_eq!(poll_on(&task, Pin::new(&mut rx)), Poll::Ready(Ok(1)));
    assert!(rx.is_terminated());
    assert_eq!((rx.try_recv(), task.wakes()), (Err(TryRecvError::Closed), 0));
}

#[test]
fn one_who_waits_is_woken_once_and_by_its_last_waker() {
    let (tx, mut rx) = oneshot();
    let (old, new) = (Task::default(), Task::default());
    assert!(poll_on(&old, Pin::new(&mut rx)).is_pending());
    assert!(poll_on(&old, Pin::new(&mut rx)).is_pending());
    assert!(poll_on(&new, Pin::new(&mut rx)).is_pending());
    tx.send(1).unwrap();
    assert_eq!((old.wakes(), new.wakes()), (0, 1));
    assert_eq!(poll_on(&new, Pin::new(&mut rx)), Poll::Ready(Ok(1)));
}

#[test]
fn a_sender_dropped_closes() {
    let task = Task::default();
    let (tx, mut rx) = oneshot::<u32>();
    assert!(poll_on(&task, Pin::new(&mut rx)).is_pending());
    drop(tx);
    assert_eq!((task.wakes(), poll_on(&task, Pin::new(&mut rx))), (1, Poll::Ready(Err(Closed))));
    let (tx, mut rx) = oneshot::<u32>();
    drop(tx);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
    assert!(rx.is_terminated());
}

#[test]
fn a_receiver_dropped_gives_the_value_back() {
    let value = Arc::new(());
    let (tx, mut rx) = oneshot();
    assert!(pin!(&mut rx).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(rx);
    assert!(tx.is_closed());
    let Err(SendError(back)) = tx.send(Arc::clone(&value)) else { panic!("sent to nobody") };
    assert!(Arc::ptr_eq(&back, &value));
}

#[test]
fn a_value_nobody_looks_at_is_dropped_with_the_receiver() {
    let value = Arc::new(());
    let (tx, rx) = oneshot();
    tx.send(Arc::clone(&value)).unwrap();
    assert_eq!(Arc::strong_count(&value), 2);
    drop(rx);
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn closed_is_told_of_the_receivers_drop() {
    let task = Task::default();
    let (mut tx, rx) = oneshot::<u32>();
    {
        let mut closed = pin!(tx.closed());
        assert!(poll_on(&task, closed.as_mut()).is_pending());
        assert!(poll_on(&task, closed.as_mut()).is_pending());
        drop(rx);
        assert_eq!((task.wakes(), poll_on(&task, closed.as_mut())), (1, Poll::Ready(())));
    }
    assert_eq!(tx.send(1), Err(SendError(1)));
}

#[test]
fn closed_given_up_wakes_nobody_and_the_sender_still_sends() {
    let task = Task::default();
    let (mut tx, mut rx) = oneshot();
    {
        let mut closed = pin!(tx.closed());
        assert!(poll_on(&task, closed.as_mut()).is_pending());
    }
    assert_eq!(task.references(), 0, "no waker is left behind");
    assert!(poll_on(&task, Pin::new(&mut rx)).is_pending());
    tx.send(1).unwrap();
    assert_eq!((task.wakes(), poll_on(&task, Pin::new(&mut rx))), (1, Poll::Ready(Ok(1))));
}

#[test]
fn no_waker_outlives_the_channel() {
    let task = Task::default();
    for sends in [false, true] {
        let (tx, mut rx) = oneshot();
        assert!(poll_on(&task, Pin::new(&mut rx)).is_pending());
        assert_eq!(task.references(), 1);
        drop(rx);
        if sends {
            assert!(tx.send(1).is_err())
        } else {
            drop(tx)
        }
        assert_eq!(task.references(), 0);
    }
}

#[test]
#[should_panic(expected = "polled after it had completed")]
fn it_is_polled_to_its_end_only() {
    let (tx, mut rx) = oneshot();
    tx.send(1).unwrap();
    let task = Task::default();
    assert_eq!(poll_on(&task, Pin::new(&mut rx)), Poll::Ready(Ok(1)));
    let _ = poll_on(&task, Pin::new(&mut rx));
}

#[test]
fn what_crosses_threads_says_so() {
    fn is_send_and_sync<T: Send + Sync>() {}
    fn is_send<T: Send>() {}
    is_send_and_sync::<OneSender<u32>>();
    is_send_and_sync::<OneReceiver<u32>>();
    is_send::<OneSender<std::cell::Cell<u32>>>();
    is_send::<OneClosed<'_, u32>>();
    let (tx, rx) = oneshot::<u32>();
    assert_eq!(format!("{tx:?} {rx:?}"), "OneSender { is_closed: false } OneReceiver { is_done: false }");
}

//! Handles of other kinds: weak ones, those that may not be there, sinks, sending with a limit. One thread, polls by
//! hand.

use crate::{
    chan::{
        OptionReceiver, OptionSender, OrNever, Receiver, Recv, SendError, SendSink, SendTimeoutError, Sender,
        TryRecvError, chan,
    },
    testing::{Task, poll},
};
use futures_core::FusedFuture;
use futures_sink::Sink;
use gorust_reactor::{clock::Instant, time::Duration};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

// Weak handles.

#[test]
fn a_weak_handle_keeps_nothing_open() {
    let (tx, rx) = chan::<u32>(1);
    let (weak_tx, weak_rx) = (tx.downgrade(), rx.downgrade());
    let again = weak_tx.upgrade().unwrap();
    assert!(again.same_channel(&tx));
    assert_eq!((tx.sender_count(), rx.receiver_count()), (2, 1));
    drop((tx, again));
    assert_eq!((rx.try_recv(), weak_tx.upgrade().is_none()), (Err(TryRecvError::Closed), true));
    assert!(weak_rx.clone().upgrade().is_some(), "the other side lives");
    drop(rx);
    assert!(weak_rx.upgrade().is_none());
}

#[test]
fn a_weak_receiver_does_not_come_back_to_a_channel_that_is_hung_up() {
    let (tx, rx) = chan(1);
    let weak = rx.downgrade();
    tx.try_send(1).unwrap();
    drop(rx);
    assert!(weak.upgrade().is_none() && tx.is_closed() && tx.is_empty());
}

#[test]
fn a_weak_handle_keeps_no_value() {
    let value = Arc::new(());
    let (tx, rx) = chan(1);
    let weak = tx.downgrade();
    tx.try_send(Arc::clone(&value)).unwrap();
    drop((tx, rx));
    assert_eq!((Arc::strong_count(&value), weak.upgrade().is_none()), (1, true));
}

// Nil channels.

#[test]
fn none_is_never_ready_and_some_is_as_the_handle() {
    let (tx, rx) = chan(1);
    let task = Task::default();
    let (no_tx, no_rx): (Option<&Sender<u32>>, Option<&Receiver<u32>>) = (None, None);
    let mut nothing: Pin<Box<OrNever<Recv<'_, u32>>>> = Box::pin(no_rx.recv());
    assert!(task.poll(&mut nothing).is_pending() && nothing.is_terminated());
    assert!(task.poll(&mut Box::pin(no_tx.send(1))).is_pending());
    let mut slot = Some(1);
    assert!(task.poll(&mut Box::pin(no_tx.send_from(&mut slot))).is_pending());
    assert_eq!(slot, Some(1));
    assert_eq!(poll(&mut Box::pin(Some(&tx).send_from(&mut slot))), Poll::Ready(Ok(())));
    let mut send = Box::pin(Some(&tx).send(2));
    assert!(task.poll(&mut send).is_pending() && !send.is_terminated());
    assert_eq!(poll(&mut Box::pin(Some(&rx).recv())), Poll::Ready(Some(1)));
    assert_eq!((task.wakes(), task.poll(&mut send)), (1, Poll::Ready(Ok(()))));
}

// Sinks.

fn sink_of<T>(capacity: usize) -> (SendSink<T>, Receiver<T>) {
    let (tx, rx) = chan(capacity);
    (tx.into_sink(), rx)
}

fn flush<T>(task: &Task, sink: &mut SendSink<T>) -> Poll<Result<(), SendError<T>>> {
    Pin::new(sink).poll_flush(&mut Context::from_waker(&task.waker()))
}

fn start<T>(sink: &mut SendSink<T>, value: T) -> Result<(), SendError<T>> {
    Pin::new(sink).start_send(value)
}

#[test]
fn a_sink_sends_what_it_can_and_waits_with_the_rest() {
    let (mut sink, rx) = sink_of(1);
    let task = Task::default();
    let mut cx = Context::from_waker(std::task::Waker::noop());
    assert_eq!(start(&mut sink, 1), Ok(()));
    assert_eq!((rx.len(), flush(&task, &mut sink)), (1, Poll::Ready(Ok(()))));
    assert_eq!(start(&mut sink, 2), Ok(()));
    assert!(Pin::new(&mut sink).poll_ready(&mut cx).is_pending(), "it holds a value");
    assert!(flush(&task, &mut sink).is_pending());
    // It may be moved while it waits.
    let mut sink = Box::new(sink);
    assert_eq!((rx.try_recv(), task.wakes(), rx.len()), (Ok(1), 1, 1));
    assert_eq!(flush(&task, &mut sink), Poll::Ready(Ok(())));
    assert_eq!(start(&mut sink, 3), Ok(()));
    assert!(Pin::new(&mut *sink).poll_close(&mut cx).is_pending());
    assert_eq!((rx.try_recv(), rx.is_closed()), (Ok(2), false));
    assert_eq!(Pin::new(&mut *sink).poll_close(&mut cx), Poll::Ready(Ok(())));
    assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(3), Err(TryRecvError::Closed)));
    assert_eq!(start(&mut sink, 4), Err(SendError(4)));
}

#[test]
fn a_sink_gives_back_what_a_closed_channel_did_not_take() {
    let (mut sink, rx) = sink_of(0);
    let task = Task::default();
    assert_eq!(start(&mut sink, 1), Ok(()));
    assert!(flush(&task, &mut sink).is_pending());
    drop(rx);
    assert_eq!((task.wakes(), flush(&task, &mut sink)), (1, Poll::Ready(Err(SendError(1)))));
    assert_eq!(flush(&task, &mut sink), Poll::Ready(Ok(())), "once");
    assert_eq!(start(&mut sink, 2), Err(SendError(2)));
}

#[test]
fn a_sink_dropped_while_it_waits_leaves_the_queue_and_drops_its_value() {
    let value = Arc::new(());
    let (mut sink, rx) = sink_of(0);
    start(&mut sink, Arc::clone(&value)).unwrap();
    assert!(flush(&Task::default(), &mut sink).is_pending());
    drop(sink);
    assert_eq!((Arc::strong_count(&value), rx.try_recv()), (1, Err(TryRecvError::Closed)));
}

#[test]
#[should_panic(expected = "was not ready")]
fn a_sink_holds_one_value() {
    let (mut sink, _rx) = sink_of(0);
    start(&mut sink, 1).unwrap();
    let _ = start(&mut sink, 2);
}

// Sending with a limit.

#[test]
fn a_send_with_a_limit_gives_the_value_back() {
    let (tx, rx) = chan(1);
    let long = Duration::from_secs(3_600);
    assert_eq!(poll(&mut Box::pin(tx.send_timeout(1, Duration::ZERO))), Poll::Ready(Ok(())));
    let mut late = Box::pin(tx.send_timeout(2, Duration::ZERO));
    assert_eq!(poll(&mut late), Poll::Ready(Err(SendTimeoutError::Timeout(2))));
    assert!(late.is_terminated());
    let mut send = Box::pin(tx.send_timeout(3, long));
    assert!(poll(&mut send).is_pending());
    assert_eq!((rx.try_recv(), poll(&mut send)), (Ok(1), Poll::Ready(Ok(()))));
    let mut send = Box::pin(tx.send_timeout(4, long));
    assert!(poll(&mut send).is_pending());
    drop(rx);
    assert_eq!(poll(&mut send), Poll::Ready(Err(SendTimeoutError::Closed(4))));
}

#[test]
fn a_send_that_runs_out_of_time_leaves_the_queue() {
    let run = gorust_scheduler::bubble::bubble(1, async {
        let (tx, rx) = chan(0);
        let (start, limit) = (Instant::now(), Duration::from_secs(3_600));
        assert_eq!(tx.send_timeout(1, limit).await, Err(SendTimeoutError::Timeout(1)));
        assert_eq!((rx.try_recv(), start.elapsed()), (Err(TryRecvError::Empty), limit));
    });
    run.unwrap();
}

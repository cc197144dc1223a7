//! One thread, polls by hand.

use crate::{
    chan::{
        self, Closed, Receiver, RecvStream, SendError, Sender, TryRecvError, TrySendError, chan, core::Chan,
    },
    testing::{Task, poll},
};
use futures_core::{FusedFuture, Stream};
use std::{
    cell::RefCell,
    mem::size_of,
    pin::Pin,
    rc::Rc,
    sync::{Arc, Mutex},
    task::{Context, Poll, Wake, Waker},
};

const READY: Poll<Result<(), SendError<u32>>> = Poll::Ready(Ok(()));

fn poll_next<T>(task: &Task, stream: &mut RecvStream<'_, T>) -> Poll<Option<T>> {
    Pin::new(stream).poll_next(&mut Context::from_waker(&task.waker()))
}

// Buffered, nobody waits.

#[test]
fn values_arrive_in_order() {
    let (tx, rx) = chan(3);
    for n in 0..3 {
        assert_eq!(tx.try_send(n), Ok(()));
    }
    assert_eq!(tx.try_send(3), Err(TrySendError::Full(3)));
    assert_eq!((tx.len(), rx.len(), tx.is_full(), rx.is_empty()), (3, 3, true, false));
    assert_eq!([rx.try_recv(), rx.try_recv(), rx.try_recv()], [Ok(0), Ok(1), Ok(2)]);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    assert_eq!((tx.capacity(), rx.is_full()), (Some(3), false));
}

#[test]
fn a_future_completes_at_once_when_it_need_not_wait() {
    let (tx, rx) = chan(1);
    let mut send = Box::pin(tx.send(1));
    assert!(!send.is_terminated());
    assert_eq!(poll(&mut send), READY);
    assert!(send.is_terminated());
    let mut recv = Box::pin(rx.recv());
    assert_eq!(poll(&mut recv), Poll::Ready(Some(1)));
    assert!(recv.is_terminated());
}

#[test]
#[should_panic(expected = "a receive was polled after it had completed")]
fn a_receive_is_polled_to_its_end_only() {
    let (tx, rx) = chan(1);
    tx.try_send(1).unwrap();
    let mut recv = Box::pin(rx.recv());
    assert_eq!(poll(&mut recv), Poll::Ready(Some(1)));
    let _ = poll(&mut recv);
}

#[test]
fn a_buffer_of_nothing_costs_nothing() {
    let (tx, rx) = chan::<()>(usize::MAX);
    tx.try_send(()).unwrap();
    assert_eq!((rx.capacity(), rx.len(), rx.try_recv()), (Some(usize::MAX), 1, Ok(())));
}

#[test]
fn the_sizes_are_as_said() {
    let counts_of_the_arc = 16;
    assert!(size_of::<Chan<u64>>() + counts_of_the_arc <= 128, "{}", size_of::<Chan<u64>>());
    assert_eq!((size_of::<Sender<u64>>(), size_of::<Receiver<u64>>()), (8, 8));
    assert!(size_of::<chan::Recv<'_, u64>>() <= 96, "{}", size_of::<chan::Recv<'_, u64>>());
    assert!(size_of::<chan::Send<'_, u64>>() <= 96);
    assert_eq!(size_of::<chan::UntilClosed<'_, u64>>(), 48);
    assert_eq!((size_of::<chan::OneSender<u64>>(), size_of::<chan::OneReceiver<u64>>()), (8, 16));
}

// Hand-off.

#[test]
fn a_waiting_receiver_is_granted_the_value_and_woken_once() {
    let (tx, rx) = chan(1);
    let task = Task::default();
    let mut recv = Box::pin(rx.recv());
    assert_eq!(task.poll(&mut recv), Poll::Pending);
    tx.try_send(7).unwrap();
    assert_eq!((task.wakes(), tx.len()), (1, 0), "granted, not buffered");
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty), "nobody takes it from there");
    tx.try_send(8).unwrap();
    assert_eq!(task.poll(&mut recv), Poll::Ready(Some(7)));
    assert_eq!((task.wakes(), rx.try_recv()), (1, Ok(8)));
}

#[test]
fn receivers_are_served_in_the_order_they_came() {
    let (tx, rx) = chan(1);
    let mut recvs: Vec<_> = (0..3).map(|_| Box::pin(rx.recv())).collect();
    for recv in &mut recvs {
        assert_eq!(poll(recv), Poll::Pending);
    }
    // Polled again, the first one keeps its place.
    assert_eq!(poll(&mut recvs[0]), Poll::Pending);
    for n in 0..3 {
        tx.try_send(n).unwrap();
    }
    for (n, recv) in recvs.iter_mut().enumerate() {
        assert_eq!(poll(recv), Poll::Ready(Some(n)));
    }
}

#[test]
fn a_waiting_sender_moves_up_when_a_value_is_taken() {
    let (tx, rx) = chan(1);
    let (first, second) = (Task::default(), Task::default());
    tx.try_send(0).unwrap();
    let (mut one, mut two) = (Box::pin(tx.send(1)), Box::pin(tx.send(2)));
    assert!(first.poll(&mut one).is_pending() && second.poll(&mut two).is_pending());
    assert_eq!((tx.len(), tx.try_send(9)), (1, Err(TrySendError::Full(9))));
    assert_eq!((rx.try_recv(), rx.len()), (Ok(0), 1), "the first in line took the place");
    assert_eq!((first.wakes(), second.wakes()), (1, 0));
    assert_eq!(tx.try_send(9), Err(TrySendError::Full(9)), "a newcomer does not overtake");
    assert_eq!((first.poll(&mut one), second.poll(&mut two)), (READY, Poll::Pending));
    assert_eq!((rx.try_recv(), second.poll(&mut two)), (Ok(1), READY));
    assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(2), Err(TryRecvError::Empty)));
}

#[test]
fn a_rendezvous_needs_both() {
    let (tx, rx) = chan(0);
    assert_eq!((tx.try_send(1), rx.try_recv()), (Err(TrySendError::Full(1)), Err(TryRecvError::Empty)));
    let task = Task::default();
    let mut send = Box::pin(tx.send(1));
    assert_eq!((task.poll(&mut send), tx.len(), tx.capacity()), (Poll::Pending, 0, Some(0)));
    assert_eq!((rx.try_recv(), task.wakes(), task.poll(&mut send)), (Ok(1), 1, READY));
    let mut recv = Box::pin(rx.recv());
    assert_eq!(task.poll(&mut recv), Poll::Pending);
    assert_eq!((tx.try_send(2), task.wakes()), (Ok(()), 2));
    assert_eq!(task.poll(&mut recv), Poll::Ready(Some(2)));
}

#[test]
fn the_last_waker_given_is_the_one_woken() {
    let (tx, rx) = chan(1);
    let (old, new) = (Task::default(), Task::default());
    let mut recv = Box::pin(rx.recv());
    assert!(old.poll(&mut recv).is_pending() && new.poll(&mut recv).is_pending());
    tx.try_send(1).unwrap();
    assert_eq!((old.wakes(), new.wakes()), (0, 1));
    tx.try_send(2).unwrap();
    let mut send = Box::pin(tx.send(3));
    assert!(old.poll(&mut send).is_pending() && new.poll(&mut send).is_pending());
    assert_eq!((poll(&mut recv), rx.try_recv()), (Poll::Ready(Some(1)), Ok(2)));
    assert_eq!((old.wakes(), new.wakes()), (0, 2));
}

// Futures that are dropped.

#[test]
fn recv_dropped_before_the_first_poll_changes_nothing() {
    let (tx, rx) = chan(1);
    tx.try_send(1).unwrap();
    drop(rx.recv());
    assert_eq!(rx.try_recv(), Ok(1));
}

#[test]
fn recv_dropped_while_it_waits_leaves_the_queue() {
    let (tx, rx) = chan(1);
    let (first, second) = (Task::default(), Task::default());
    let (mut one, mut two) = (Box::pin(rx.recv()), Box::pin(rx.recv()));
    assert!(first.poll(&mut one).is_pending() && second.poll(&mut two).is_pending());
    drop(one);
    tx.try_send(1).unwrap();
    assert_eq!((first.wakes(), second.wakes(), second.poll(&mut two)), (0, 1, Poll::Ready(Some(1))));
    let mut three = Box::pin(rx.recv());
    assert!(poll(&mut three).is_pending());
    drop(three);
    assert_eq!((tx.try_send(2), tx.len()), (Ok(()), 1), "nobody waits, so it is buffered");
}

#[test]
fn recv_dropped_after_the_grant_passes_the_value_on() {
    let (tx, rx) = chan(1);
    let (first, second) = (Task::default(), Task::default());
    let (mut one, mut two) = (Box::pin(rx.recv()), Box::pin(rx.recv()));
    assert!(first.poll(&mut one).is_pending() && second.poll(&mut two).is_pending());
    tx.try_send(1).unwrap();
    drop(one);
    assert_eq!((first.wakes(), second.wakes(), second.poll(&mut two)), (1, 1, Poll::Ready(Some(1))));
}

#[test]
fn recv_dropped_after_it_completed_gives_nothing_back() {
    let (tx, rx) = chan(1);
    let mut recv = Box::pin(rx.recv());
    assert!(poll(&mut recv).is_pending());
    tx.try_send(1).unwrap();
    assert_eq!(poll(&mut recv), Poll::Ready(Some(1)));
    drop(recv);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn values_given_back_keep_the_order_of_their_grants_and_take_no_room() {
    for first_dropped in 0..3 {
        let (tx, rx) = chan(1);
        let mut recvs: Vec<_> = (0..3).map(|_| Box::pin(rx.recv())).collect();
        recvs.iter_mut().for_each(|recv| assert!(poll(recv).is_pending()));
        for n in 0..3 {
            tx.try_send(n).unwrap();
        }
        tx.try_send(3).unwrap();
        drop(recvs.remove(first_dropped));
        drop(recvs.pop());
        drop(recvs);
        assert_eq!((rx.len(), rx.is_full()), (1, true), "what was given back is not counted");
        assert_eq!(tx.try_send(9), Err(TrySendError::Full(9)));
        assert_eq!(std::array::from_fn(|_| rx.try_recv().unwrap()), [0, 1, 2, 3]);
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    }
}

#[test]
fn a_value_given_back_twice_keeps_its_place() {
    let (tx, rx) = chan(0);
    let mut recvs: Vec<_> = (0..2).map(|_| Box::pin(rx.recv())).collect();
    recvs.iter_mut().for_each(|recv| assert!(poll(recv).is_pending()));
    tx.try_send(0).unwrap();
    tx.try_send(1).unwrap();
    let mut third = Box::pin(rx.recv());
    assert!(poll(&mut third).is_pending());
    // Value 0 goes from the first to the third, and from there back in front of value 1.
    recvs.drain(..).for_each(drop);
    drop(third);
    assert_eq!([rx.try_recv(), rx.try_recv()], [Ok(0), Ok(1)]);
}

#[test]
fn a_value_given_back_in_a_rendezvous_goes_ahead_of_new_sends() {
    let (tx, rx) = chan(0);
    let mut recv = Box::pin(rx.recv());
    assert!(poll(&mut recv).is_pending());
    tx.try_send(1).unwrap();
    drop(recv);
    let mut send = Box::pin(tx.send(2));
    assert!(poll(&mut send).is_pending());
    assert_eq!((tx.len(), rx.try_recv(), rx.try_recv()), (0, Ok(1), Ok(2)));
    assert_eq!(poll(&mut send), READY);
}

#[test]
fn send_dropped_before_and_while_it_waits_takes_its_value_along() {
    let value = Arc::new(());
    let (tx, rx) = chan(0);
    drop(tx.send(Arc::clone(&value)));
    let mut send = Box::pin(tx.send(Arc::clone(&value)));
    assert!(poll(&mut send).is_pending());
    assert_eq!(Arc::strong_count(&value), 2);
    drop(send);
    assert_eq!((Arc::strong_count(&value), rx.try_recv()), (1, Err(TryRecvError::Empty)));
}

#[test]
fn send_dropped_after_it_was_taken_is_sent() {
    let (tx, rx) = chan(0);
    let mut send = Box::pin(tx.send(1));
    assert!(poll(&mut send).is_pending());
    let mut recv = Box::pin(rx.recv());
    assert_eq!(poll(&mut recv), Poll::Ready(Some(1)));
    drop(send);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn send_from_takes_the_value_only_when_it_is_sent() {
    let (tx, rx) = chan(0);
    let mut slot = Some(1);
    drop(tx.send_from(&mut slot));
    assert_eq!(slot, Some(1), "before the first poll");
    let mut send = Box::pin(tx.send_from(&mut slot));
    assert!(poll(&mut send).is_pending());
    assert_eq!(poll(&mut send), Poll::Pending);
    drop(send);
    assert_eq!(slot, Some(1), "while it waits");
    let mut send = Box::pin(tx.send_from(&mut slot));
    assert!(poll(&mut send).is_pending());
    assert_eq!(rx.try_recv(), Ok(1));
    drop(send);
    assert_eq!(slot, None, "after it was taken");
    slot = Some(2);
    let mut send = Box::pin(tx.send_from(&mut slot));
    assert!(poll(&mut send).is_pending());
    tx.close();
    assert_eq!(poll(&mut send), Poll::Ready(Err(Closed)));
    assert!(send.is_terminated());
    drop(send);
    assert_eq!(slot, Some(2), "after the channel was closed");
}

#[test]
#[should_panic(expected = "there is nothing to send")]
fn send_from_an_empty_slot_is_misuse() {
    let (tx, _rx) = chan::<u32>(0);
    drop(tx.send_from(&mut None));
}

// Closing.

#[test]
fn close_lets_go_everybody_and_keeps_what_is_buffered() {
    let (tx, rx) = chan(1);
    let task = Task::default();
    tx.try_send(0).unwrap();
    let mut sends: Vec<_> = (1..100).map(|n| Box::pin(tx.send(n))).collect();
    sends.iter_mut().for_each(|send| assert!(task.poll(send).is_pending()));
    assert!(tx.close() && !tx.close());
    assert_eq!((task.wakes(), tx.is_closed(), rx.is_closed()), (99, true, true));
    for (n, send) in (1..).zip(&mut sends) {
        assert_eq!(poll(send), Poll::Ready(Err(SendError(n))));
    }
    assert_eq!(tx.try_send(1), Err(TrySendError::Closed(1)));
    assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(0), Err(TryRecvError::Closed)));
}

#[test]
fn close_ends_those_who_wait_to_receive() {
    let (tx, rx) = chan::<u32>(1);
    let task = Task::default();
    let mut recvs: Vec<_> = (0..100).map(|_| Box::pin(rx.recv())).collect();
    recvs.iter_mut().for_each(|recv| assert!(task.poll(recv).is_pending()));
    drop(tx);
    assert_eq!(task.wakes(), 100);
    recvs.iter_mut().for_each(|recv| assert_eq!(poll(recv), Poll::Ready(None)));
    assert_eq!(poll(&mut Box::pin(rx.recv())), Poll::Ready(None));
}

#[test]
fn the_last_sender_closes() {
    let (tx, rx) = chan::<u32>(1);
    let other = tx.clone();
    assert_eq!((rx.sender_count(), rx.receiver_count()), (2, 1));
    drop(tx);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    drop(other);
    assert_eq!((rx.try_recv(), rx.sender_count()), (Err(TryRecvError::Closed), 0));
}

#[test]
fn the_last_receiver_gives_senders_their_values_back_and_drops_the_rest() {
    let value = Arc::new(());
    let (tx, rx) = chan(1);
    let task = Task::default();
    tx.try_send(Arc::clone(&value)).unwrap();
    let mut send = Box::pin(tx.send(Arc::clone(&value)));
    assert!(task.poll(&mut send).is_pending());
    let other = rx.clone();
    drop(rx);
    assert_eq!((task.wakes(), Arc::strong_count(&value)), (0, 3));
    drop(other);
    assert_eq!((task.wakes(), Arc::strong_count(&value)), (1, 2), "what was buffered is dropped");
    let Poll::Ready(Err(SendError(back))) = poll(&mut send) else { panic!("not given back") };
    assert!(Arc::ptr_eq(&back, &value));
    assert!(tx.is_closed() && tx.try_send(back).unwrap_err().is_closed());
}

#[test]
fn a_value_given_back_is_dropped_with_the_last_receiver() {
    let value = Arc::new(());
    let (tx, rx) = chan(0);
    let mut recv = Box::pin(rx.recv());
    assert!(poll(&mut recv).is_pending());
    tx.try_send(Arc::clone(&value)).unwrap();
    drop(recv);
    assert_eq!(Arc::strong_count(&value), 2);
    drop(rx);
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn a_grant_survives_the_close_and_so_does_what_is_given_back() {
    let (tx, rx) = chan(1);
    let (mut one, mut two) = (Box::pin(rx.recv()), Box::pin(rx.recv()));
    assert!(poll(&mut one).is_pending() && poll(&mut two).is_pending());
    tx.try_send(1).unwrap();
    tx.try_send(2).unwrap();
    tx.close();
    drop(one);
    assert_eq!(poll(&mut two), Poll::Ready(Some(2)));
    assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(1), Err(TryRecvError::Closed)));
}

#[test]
fn closed_is_told_of_a_close_and_of_the_last_receiver() {
    let (tx, rx) = chan::<u32>(1);
    let task = Task::default();
    drop(Box::pin(tx.closed()));
    let (mut first, mut second) = (Box::pin(tx.closed()), Box::pin(tx.closed()));
    assert!(task.poll(&mut first).is_pending() && task.poll(&mut second).is_pending());
    assert!(task.poll(&mut first).is_pending());
    drop(second);
    drop(rx);
    assert_eq!((task.wakes(), task.poll(&mut first)), (1, Poll::Ready(())));
    let (tx, _rx) = chan::<u32>(1);
    tx.close();
    assert_eq!(poll(&mut Box::pin(tx.closed())), Poll::Ready(()));
}

// Batches.

#[test]
fn recv_many_takes_what_is_there() {
    let (tx, rx) = chan(2);
    let task = Task::default();
    let mut values = Vec::new();
    assert_eq!(poll(&mut Box::pin(rx.recv_many(&mut values, 0))), Poll::Ready(0));
    let mut sends: Vec<_> = (0..100).map(|n| Box::pin(tx.send(n))).collect();
    let waiting = sends.iter_mut().filter_map(|send| task.poll(send).is_pending().then_some(())).count();
    assert_eq!(waiting, 98);
    assert_eq!((tx.len(), poll(&mut Box::pin(rx.recv_many(&mut values, 10)))), (2, Poll::Ready(10)));
    assert_eq!((tx.len(), task.wakes()), (2, 10), "those who waited moved up");
    while values.len() < 100 {
        assert!(poll(&mut Box::pin(rx.recv_many(&mut values, usize::MAX))).is_ready());
    }
    assert_eq!(values, (0..100).collect::<Vec<_>>());
    tx.close();
    assert_eq!(poll(&mut Box::pin(rx.recv_many(&mut values, 1))), Poll::Ready(0));
}

#[test]
fn recv_many_dropped_after_the_grant_leaves_the_value_to_the_next() {
    let (tx, rx) = chan(1);
    let mut values = Vec::new();
    let mut many = Box::pin(rx.recv_many(&mut values, 3));
    assert!(poll(&mut many).is_pending());
    tx.try_send(1).unwrap();
    drop(many);
    assert_eq!((values, rx.try_recv()), (vec![], Ok(1)));
}

// Streams.

#[test]
fn a_stream_is_woken_and_pulls() {
    let (tx, rx) = chan(2);
    let task = Task::default();
    let mut stream = rx.stream();
    assert_eq!(poll_next(&task, &mut stream), Poll::Pending);
    assert_eq!(poll_next(&task, &mut stream), Poll::Pending);
    tx.try_send(1).unwrap();
    assert_eq!((task.wakes(), rx.len()), (1, 1), "woken, not granted");
    assert_eq!(poll_next(&task, &mut stream), Poll::Ready(Some(1)));
    assert_eq!(poll_next(&task, &mut stream), Poll::Pending);
    drop(tx);
    assert_eq!(task.wakes(), 2);
    assert_eq!(poll_next(&task, &mut stream), Poll::Ready(None));
    assert_eq!(poll_next(&task, &mut stream), Poll::Ready(None));
}

#[test]
fn a_stream_that_is_not_polled_holds_back_nobody() {
    let (tx, rx) = chan(1);
    let task = Task::default();
    let mut stream = rx.stream();
    let mut recv = Box::pin(rx.recv());
    assert_eq!(poll_next(&task, &mut stream), Poll::Pending);
    assert!(poll(&mut recv).is_pending());
    tx.try_send(1).unwrap();
    assert_eq!((task.wakes(), poll(&mut recv)), (0, Poll::Ready(Some(1))), "who waits in recv is granted it");
    tx.try_send(2).unwrap();
    assert_eq!((task.wakes(), rx.try_recv()), (1, Ok(2)), "and a newcomer finds it");
    assert_eq!(poll_next(&task, &mut stream), Poll::Pending);
}

#[test]
fn a_stream_dropped_after_it_was_woken_wakes_the_next() {
    let (tx, rx) = chan(1);
    let (first, second) = (Task::default(), Task::default());
    let (mut one, mut two) = (rx.stream(), rx.stream());
    assert!(poll_next(&first, &mut one).is_pending() && poll_next(&second, &mut two).is_pending());
    tx.try_send(1).unwrap();
    assert_eq!((first.wakes(), second.wakes()), (1, 0));
    drop(one);
    assert_eq!((second.wakes(), poll_next(&second, &mut two)), (1, Poll::Ready(Some(1))));
    // One that has looked since has nothing to pass on.
    assert!(poll_next(&second, &mut two).is_pending());
    drop(two);
    assert_eq!((first.wakes(), second.wakes()), (1, 1));
}

#[test]
fn a_stream_takes_from_a_sender_that_waits_in_a_rendezvous() {
    let (tx, rx) = chan(0);
    let task = Task::default();
    let mut stream = rx.into_stream();
    let mut next = || Pin::new(&mut stream).poll_next(&mut Context::from_waker(&task.waker()));
    assert!(next().is_pending());
    assert_eq!(tx.try_send(1), Err(TrySendError::Full(1)));
    let mut send = Box::pin(tx.send(1));
    assert!(poll(&mut send).is_pending());
    assert_eq!((task.wakes(), next()), (1, Poll::Ready(Some(1))));
    assert_eq!(poll(&mut send), READY);
}

#[test]
fn a_value_given_back_is_told_to_a_stream() {
    let (tx, rx) = chan(0);
    let task = Task::default();
    let mut stream = rx.stream();
    let mut recv = Box::pin(rx.recv());
    assert!(poll(&mut recv).is_pending() && poll_next(&task, &mut stream).is_pending());
    tx.try_send(1).unwrap();
    drop(recv);
    assert_eq!((task.wakes(), poll_next(&task, &mut stream)), (1, Poll::Ready(Some(1))));
}

// Strangers' code runs outside the lock.

/// A waker that uses the channel.
struct Nosy(Mutex<Option<Receiver<Tell>>>);

impl Wake for Nosy {
    fn wake(self: Arc<Self>) {
        if let Some(rx) = &*self.0.lock().unwrap() {
            drop(rx.try_recv());
        }
    }
}

impl Drop for Nosy {
    fn drop(&mut self) {
        self.wake_now();
    }
}

impl Nosy {
    fn wake_now(&self) {
        if let Some(rx) = &*self.0.lock().unwrap() {
            assert!(rx.len() <= rx.capacity().unwrap());
        }
    }
}

/// A value that uses the channel when it is dropped.
struct Tell(Sender<Tell>);

impl Drop for Tell {
    fn drop(&mut self) {
        assert!(self.0.len() <= self.0.capacity().unwrap());
    }
}

#[test]
fn wakers_and_values_may_use_the_channel_themselves() {
    let (tx, rx) = chan(1);
    let nosy = Arc::new(Nosy(Mutex::new(Some(rx.clone()))));
    let waker = Waker::from(Arc::clone(&nosy));
    let mut cx = Context::from_waker(&waker);
    let mut recv = Box::pin(rx.recv());
    assert!(recv.as_mut().poll(&mut cx).is_pending());
    assert!(tx.try_send(Tell(tx.clone())).is_ok());
    assert!(tx.try_send(Tell(tx.clone())).is_ok());
    let mut send = Box::pin(tx.send(Tell(tx.clone())));
    assert!(send.as_mut().poll(&mut cx).is_pending());
    drop(recv);
    tx.close();
    drop((send, waker));
    nosy.0.lock().unwrap().take();
    drop(nosy);
    drop(rx);
}

#[test]
fn values_need_be_neither_send_nor_static() {
    let log = RefCell::new(Vec::new());
    let (tx, rx) = chan::<Rc<&RefCell<Vec<u32>>>>(1);
    tx.try_send(Rc::new(&log)).unwrap();
    rx.try_recv().unwrap().borrow_mut().push(1);
    assert_eq!(*log.borrow(), [1]);
}

#[test]
fn what_crosses_threads_says_so() {
    fn is_send<T: Send>(_: &T) {}
    fn is_sync<T: Sync>(_: &T) {}
    let (tx, rx) = chan::<u32>(1);
    is_sync(&tx);
    is_sync(&rx);
    is_send(&tx.send(1));
    is_send(&tx.send_from(&mut Some(1)));
    is_send(&tx.closed());
    is_send(&rx.recv());
    is_send(&rx.recv_many(&mut Vec::new(), 1));
    is_send(&rx.stream());
    is_send(&rx.clone().into_stream());
}

#[test]
fn handles_tell_their_state() {
    let (tx, rx) = chan::<u32>(1);
    assert_eq!(format!("{tx:?}"), "Sender { len: 0, capacity: 1, is_closed: false }");
    assert_eq!(
        format!("{:?}", chan::unbounded::<u32>().1),
        "Receiver { len: 0, capacity: unbounded, is_closed: false }"
    );
    assert_eq!(format!("{:?}", rx.recv()), "Recv { waiter: Idle, .. }");
    let other = chan::<u32>(1);
    assert!(tx.same_channel(&tx.clone()) && !tx.same_channel(&other.0) && !rx.same_channel(&other.1));
}

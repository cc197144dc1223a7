//! A real channel and its model side by side: every step is done to both, and everything that can be seen of them is
//! compared after it.

use super::model::{Id, Kind, Model, Outcome};
use futures::{FutureExt, Stream};
use gorust::chan::{
    self, IntoStream, Receiver, Sender, TryRecvError, TrySendError, WeakReceiver, WeakSender,
};
use gorust_primitives::select_case::Native;
use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    future::Future,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

/// How many operations may be under way.
pub(crate) const SLOTS: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    TrySend,
    TryRecv,
    /// Makes an operation in a slot that is free, with a handle of its own.
    Start(usize, Kind),
    /// Polls the operation in a slot, as the task that polled it before.
    Poll(usize),
    /// Polls it as another task.
    PollElsewhere(usize),
    Drop(usize),
    Close,
    CloneTx,
    CloneRx,
    DropTx,
    DropRx,
    UpgradeTx,
    UpgradeRx,
}

/// A value that counts its drops.
struct Value {
    id: Id,
    drops: Rc<RefCell<Vec<usize>>>,
}

impl Drop for Value {
    fn drop(&mut self) {
        self.drops.borrow_mut()[self.id] += 1;
    }
}

/// Where a `send_from` has its value; says what was left there when it goes.
struct Place {
    value: Option<Value>,
    left: Rc<Cell<Option<Id>>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.left.set(self.value.as_ref().map(|value| value.id));
    }
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        // Relaxed: one thread.
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

enum Real {
    Future(Pin<Box<dyn Future<Output = Outcome>>>),
    Stream(IntoStream<Value>),
}

struct Op {
    real: Real,
    /// The tasks that may poll it; the first is the one that did.
    tasks: [Arc<Count>; 2],
    left: Rc<Cell<Option<Id>>>,
}

/// How sends and receives are done. It makes no difference.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    Alone,
    /// As a case of a select, beside one that is never ready.
    Case,
    /// As a case of a select, beside a future of another kind that is never ready.
    CaseBesideFuture,
}

pub(crate) const FORMS: [Form; 3] = [Form::Alone, Form::Case, Form::CaseBesideFuture];

impl Form {
    async fn wait<F: Native>(self, operation: F) -> F::Output {
        let never = chan::never::<Infallible>();
        match self {
            Self::Alone => operation.await,
            Self::Case => gorust::select! {
                biased;
                Some(never) = never.recv() => match never {},
                output = operation => output,
            },
            Self::CaseBesideFuture => gorust::select! {
                output = operation => output,
                never = std::future::pending::<Infallible>() => match never {},
            },
        }
    }
}

pub(crate) struct World {
    form: Form,
    txs: Vec<Sender<Value>>,
    rxs: Vec<Receiver<Value>>,
    weak_tx: WeakSender<Value>,
    weak_rx: WeakReceiver<Value>,
    ops: [Option<Op>; SLOTS],
    drops: Rc<RefCell<Vec<usize>>>,
    model: Model,
}

impl World {
    pub(crate) fn new(capacity: Option<usize>, form: Form) -> Self {
        let (tx, rx) = match capacity {
            Some(capacity) => chan::chan(capacity),
            None => chan::unbounded(),
        };
        Self {
            form,
            weak_tx: tx.downgrade(),
            weak_rx: rx.downgrade(),
            txs: vec![tx],
            rxs: vec![rx],
            ops: [const { None }; SLOTS],
            drops: Rc::default(),
            model: Model::new(capacity),
        }
    }

    /// Does the step to both, unless it makes no sense at this point. They agree, or this panics.
    pub(crate) fn step(&mut self, step: Step) {
        match step {
            Step::TrySend => {
                if let Some(tx) = self.txs.last().cloned() {
                    let value = self.make();
                    let expected = self.model.try_send(value.id);
                    assert_eq!(try_send(&tx, value), expected);
                }
            }
            Step::TryRecv => {
                if let Some(rx) = self.rxs.last() {
                    let received = match rx.try_recv() {
                        Ok(value) => Outcome::Received(vec![value.id]),
                        Err(TryRecvError::Empty) => Outcome::Empty,
                        Err(TryRecvError::Closed) => Outcome::End,
                    };
                    assert_eq!(received, self.model.try_recv());
                }
            }
            Step::Start(slot, kind) => self.start(slot, kind),
            Step::Poll(slot) => self.poll(slot, false),
            Step::PollElsewhere(slot) => self.poll(slot, true),
            Step::Drop(slot) => self.drop_op(slot),
            Step::Close => {
                if let Some(tx) = self.txs.last() {
                    assert_eq!(tx.close(), self.model.close());
                }
            }
            Step::CloneTx => {
                if let Some(tx) = self.txs.last().cloned() {
                    self.txs.push(tx);
                    self.model.txs += 1;
                }
            }
            Step::CloneRx => {
                if let Some(rx) = self.rxs.last().cloned() {
                    self.rxs.push(rx);
                    self.model.rxs += 1;
                }
            }
            Step::DropTx => {
                if self.txs.pop().is_some() {
                    self.model.drop_tx();
                }
            }
            Step::DropRx => {
                if self.rxs.pop().is_some() {
                    self.model.drop_rx();
                }
            }
            Step::UpgradeTx => {
                let upgraded = self.weak_tx.upgrade();
                assert_eq!(upgraded.is_some(), self.model.txs > 0);
                self.model.txs += usize::from(upgraded.is_some());
                self.txs.extend(upgraded);
            }
            Step::UpgradeRx => {
                let upgraded = self.weak_rx.upgrade();
                assert_eq!(upgraded.is_some(), self.model.rxs > 0);
                self.model.rxs += usize::from(upgraded.is_some());
                self.rxs.extend(upgraded);
            }
        }
        self.compare();
    }

    fn make(&mut self) -> Value {
        let id = self.model.make();
        self.drops.borrow_mut().push(0);
        Value { id, drops: Rc::clone(&self.drops) }
    }

    fn start(&mut self, slot: usize, kind: Kind) {
        let has_handle = if kind.is_senders() { !self.txs.is_empty() } else { !self.rxs.is_empty() };
        if self.model.is_busy(slot) || !has_handle {
            return;
        }
        let left = Rc::default();
        let value = matches!(kind, Kind::Send | Kind::SendFrom).then(|| self.make());
        self.model.start(slot, kind, value.as_ref().map(|value| value.id));
        let real = self.make_real(kind, value, Rc::clone(&left));
        self.ops[slot] = Some(Op { real, tasks: Default::default(), left });
    }

    fn make_real(&self, kind: Kind, value: Option<Value>, left: Rc<Cell<Option<Id>>>) -> Real {
        let tx = || self.txs[0].clone();
        let rx = || self.rxs[0].clone();
        let form = self.form;
        let future = match kind {
            Kind::Send => {
                let (tx, value) = (tx(), value.unwrap());
                async move {
                    match form.wait(tx.send(value)).await {
                        Ok(()) => Outcome::Sent,
                        Err(error) => Outcome::NotSent(error.into_inner().id),
                    }
                }
                .boxed_local()
            }
            Kind::SendFrom => {
                let tx = tx();
                let mut place = Place { value, left };
                async move { Outcome::SentFrom(form.wait(tx.send_from(&mut place.value)).await.is_ok(), None) }
                    .boxed_local()
            }
            Kind::Recv => {
                let rx = rx();
                async move { received(form.wait(rx.recv()).await) }.boxed_local()
            }
            Kind::RecvMany(max) => {
                let rx = rx();
                async move {
                    let mut values = Vec::new();
                    let count = rx.recv_many(&mut values, max).await;
                    assert_eq!(count, values.len());
                    received(values)
                }
                .boxed_local()
            }
            Kind::Stream => return Real::Stream(rx().into_stream()),
            Kind::Closed => {
                let tx = tx();
                async move {
                    tx.closed().await;
                    Outcome::Closed
                }
                .boxed_local()
            }
        };
        Real::Future(future)
    }

    fn poll(&mut self, slot: usize, elsewhere: bool) {
        let Some(op) = &mut self.ops[slot] else { return };
        if elsewhere {
            op.tasks.swap(0, 1);
        }
        op.tasks.iter().for_each(|task| task.0.store(0, Ordering::Relaxed));
        let waker = Waker::from(Arc::clone(&op.tasks[0]));
        let mut cx = Context::from_waker(&waker);
        let (polled, is_over) = match &mut op.real {
            Real::Future(future) => {
                let polled = future.as_mut().poll(&mut cx);
                let is_over = polled.is_ready();
                (polled, is_over)
            }
            Real::Stream(stream) => (Pin::new(stream).poll_next(&mut cx).map(received), false),
        };
        let mut outcome = match polled {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => Outcome::Pending,
        };
        if is_over {
            let op = self.ops[slot].take().unwrap();
            drop(op.real);
            if let Outcome::SentFrom(_, left) = &mut outcome {
                *left = op.left.get();
            }
        }
        assert_eq!(outcome, self.model.poll(slot), "slot {slot}");
    }

    fn drop_op(&mut self, slot: usize) {
        let Some(op) = self.ops[slot].take() else { return };
        drop(op.real);
        assert_eq!(op.left.get(), self.model.drop_op(slot), "left in the slot of a send");
    }

    fn compare(&self) {
        self.model.check();
        assert_eq!(*self.drops.borrow(), self.model.drops, "what was dropped");
        for slot in self.model.slots() {
            let op = self.ops[slot].as_ref().unwrap();
            let [wakes, stale] = [&op.tasks[0], &op.tasks[1]].map(|task| task.0.load(Ordering::Relaxed));
            assert_eq!(wakes, usize::from(self.model.is_woken(slot)), "slot {slot} woken");
            assert_eq!(stale, 0, "slot {slot} woken as a task that no longer polls it");
        }
        let seen = match (self.txs.last(), self.rxs.last()) {
            (Some(tx), _) => (tx.len(), tx.is_closed(), tx.sender_count(), tx.receiver_count()),
            (_, Some(rx)) => (rx.len(), rx.is_closed(), rx.sender_count(), rx.receiver_count()),
            _ => return,
        };
        assert_eq!(seen, (self.model.len(), self.model.is_closed, self.model.txs, self.model.rxs));
    }

    /// Drops everything: then every value has been dropped, once.
    pub(crate) fn end(mut self) {
        (0..SLOTS).for_each(|slot| self.step(Step::Drop(slot)));
        while !self.txs.is_empty() {
            self.step(Step::DropTx);
        }
        while !self.rxs.is_empty() {
            self.step(Step::DropRx);
        }
        assert!(self.drops.borrow().iter().all(|&count| count == 1), "a value is kept");
    }
}

fn received(values: impl IntoIterator<Item = Value>) -> Outcome {
    let ids: Vec<_> = values.into_iter().map(|value| value.id).collect();
    if ids.is_empty() { Outcome::End } else { Outcome::Received(ids) }
}

fn try_send(tx: &Sender<Value>, value: Value) -> Outcome {
    match tx.try_send(value) {
        Ok(()) => Outcome::Sent,
        Err(TrySendError::Full(value)) => Outcome::Full(value.id),
        Err(TrySendError::Closed(value)) => Outcome::NotSent(value.id),
    }
}

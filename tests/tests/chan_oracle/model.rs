//! What a channel should do, as plainly as it can be said: deques, a map, and one list for each kind of waiter.

use std::collections::{BTreeMap, VecDeque};

/// A value, by its number.
pub(crate) type Id = usize;

/// The operations that wait. A further kind (a case of a select, say) needs an arm in [`Model::poll`] and
/// [`Model::drop_op`] here, and one in `World::start` that makes the real future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Send,
    SendFrom,
    Recv,
    RecvMany(usize),
    Stream,
    Closed,
}

impl Kind {
    /// Whether it holds a sender, and not a receiver.
    pub(crate) fn is_senders(self) -> bool {
        matches!(self, Self::Send | Self::SendFrom | Self::Closed)
    }
}

/// What a poll, or a `try_` operation, comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Pending,
    Sent,
    Full(Id),
    NotSent(Id),
    /// Of `send_from`: whether it was sent, and what is left in the slot.
    SentFrom(bool, Option<Id>),
    Received(Vec<Id>),
    Empty,
    End,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Idle,
    Queued,
    Granted,
    Closed,
}

#[derive(Debug)]
struct Op {
    kind: Kind,
    stage: Stage,
    value: Option<Id>,
    order: u64,
    has_ended: bool,
    is_woken: bool,
}

enum Sent {
    Done,
    Full,
    Closed,
}

#[derive(Debug)]
pub(crate) struct Model {
    capacity: Option<usize>,
    buffer: VecDeque<Id>,
    /// By the order of the grants.
    returned: BTreeMap<u64, Id>,
    grants: u64,
    receivers: VecDeque<usize>,
    senders: VecDeque<usize>,
    streams: VecDeque<usize>,
    watchers: VecDeque<usize>,
    pub(crate) is_closed: bool,
    pub(crate) txs: usize,
    pub(crate) rxs: usize,
    ops: BTreeMap<usize, Op>,
    /// How often each value was dropped.
    pub(crate) drops: Vec<usize>,
}

impl Model {
    pub(crate) fn new(capacity: Option<usize>) -> Self {
        Self {
            capacity,
            buffer: VecDeque::new(),
            returned: BTreeMap::new(),
            grants: 0,
            receivers: VecDeque::new(),
            senders: VecDeque::new(),
            streams: VecDeque::new(),
            watchers: VecDeque::new(),
            is_closed: false,
            txs: 1,
            rxs: 1,
            ops: BTreeMap::new(),
            drops: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// A new value.
    pub(crate) fn make(&mut self) -> Id {
        self.drops.push(0);
        self.drops.len() - 1
    }

    fn drop_value(&mut self, value: Option<Id>) {
        value.into_iter().for_each(|id| self.drops[id] += 1);
    }

    pub(crate) fn is_busy(&self, slot: usize) -> bool {
        self.ops.contains_key(&slot)
    }

    pub(crate) fn is_woken(&self, slot: usize) -> bool {
        self.ops[&slot].is_woken
    }

    pub(crate) fn slots(&self) -> Vec<usize> {
        self.ops.keys().copied().collect()
    }

    fn is_full(&self) -> bool {
        self.capacity.is_some_and(|capacity| self.buffer.len() >= capacity)
    }

    fn is_receivable(&self) -> bool {
        !self.buffer.is_empty() || !self.returned.is_empty() || !self.senders.is_empty()
    }

    fn leave(&mut self, slot: usize, stage: Stage) {
        let op = self.ops.get_mut(&slot).unwrap();
        (op.stage, op.is_woken) = (stage, true);
    }

    fn grant(&mut self, value: Id, order: u64) -> bool {
        let Some(slot) = self.receivers.pop_front() else { return false };
        self.leave(slot, Stage::Granted);
        let op = self.ops.get_mut(&slot).unwrap();
        (op.value, op.order) = (Some(value), order);
        true
    }

    fn tell_stream(&mut self) {
        if let Some(slot) = self.streams.pop_front() {
            self.leave(slot, Stage::Granted);
        }
    }

    fn send(&mut self, value: Id) -> Sent {
        if self.is_closed {
            return Sent::Closed;
        }
        if self.grant(value, self.grants) {
            self.grants += 1;
            return Sent::Done;
        }
        if self.is_full() {
            return Sent::Full;
        }
        self.buffer.push_back(value);
        self.tell_stream();
        Sent::Done
    }

    fn recv(&mut self) -> Option<Id> {
        if let Some((_, value)) = self.returned.pop_first() {
            return Some(value);
        }
        let head = self.buffer.pop_front();
        if self.is_closed {
            return head;
        }
        let Some(slot) = self.senders.pop_front() else { return head };
        self.leave(slot, Stage::Granted);
        let value = self.ops.get_mut(&slot).unwrap().value.take();
        if head.is_some() {
            self.buffer.extend(value);
            return head;
        }
        value
    }

    pub(crate) fn close(&mut self) -> bool {
        if std::mem::replace(&mut self.is_closed, true) {
            return false;
        }
        for slot in self.receivers.drain(..).chain(self.senders.drain(..)).collect::<Vec<_>>() {
            self.leave(slot, Stage::Closed);
        }
        for slot in self.streams.drain(..).chain(self.watchers.drain(..)).collect::<Vec<_>>() {
            self.leave(slot, Stage::Granted);
        }
        true
    }

    pub(crate) fn drop_tx(&mut self) {
        self.txs -= 1;
        if self.txs == 0 {
            self.close();
        }
    }

    pub(crate) fn drop_rx(&mut self) {
        self.rxs -= 1;
        if self.rxs == 0 {
            self.close();
            for value in
                std::mem::take(&mut self.returned).into_values().chain(std::mem::take(&mut self.buffer))
            {
                self.drop_value(Some(value));
            }
        }
    }

    fn drop_handle_of(&mut self, kind: Kind) {
        if kind.is_senders() { self.drop_tx() } else { self.drop_rx() }
    }

    pub(crate) fn try_send(&mut self, value: Id) -> Outcome {
        match self.send(value) {
            Sent::Done => Outcome::Sent,
            Sent::Full => {
                self.drop_value(Some(value));
                Outcome::Full(value)
            }
            Sent::Closed => {
                self.drop_value(Some(value));
                Outcome::NotSent(value)
            }
        }
    }

    pub(crate) fn try_recv(&mut self) -> Outcome {
        match self.recv() {
            Some(value) => {
                self.drop_value(Some(value));
                Outcome::Received(vec![value])
            }
            None if self.is_closed => Outcome::End,
            None => Outcome::Empty,
        }
    }

    pub(crate) fn start(&mut self, slot: usize, kind: Kind, value: Option<Id>) {
        *(if kind.is_senders() { &mut self.txs } else { &mut self.rxs }) += 1;
        let stage = Stage::Idle;
        self.ops.insert(slot, Op { kind, stage, value, order: 0, has_ended: false, is_woken: false });
    }

    fn queue(&mut self, slot: usize) {
        let op = self.ops.get_mut(&slot).unwrap();
        op.stage = Stage::Queued;
        let queue = match op.kind {
            Kind::Send | Kind::SendFrom => &mut self.senders,
            Kind::Recv | Kind::RecvMany(_) => &mut self.receivers,
            Kind::Stream => &mut self.streams,
            Kind::Closed => &mut self.watchers,
        };
        queue.push_back(slot);
    }

    pub(crate) fn poll(&mut self, slot: usize) -> Outcome {
        let op = self.ops.get_mut(&slot).unwrap();
        op.is_woken = false;
        let (kind, stage, value) = (op.kind, op.stage, op.value);
        let outcome = match kind {
            Kind::Send | Kind::SendFrom => self.poll_send(slot, kind, stage, value),
            Kind::Recv => self.poll_recv(slot, stage, 1),
            Kind::RecvMany(max) => self.poll_recv(slot, stage, max),
            Kind::Stream => return self.poll_stream(slot, stage),
            Kind::Closed if self.is_closed => Outcome::Closed,
            Kind::Closed => {
                if stage == Stage::Idle {
                    self.queue(slot);
                }
                Outcome::Pending
            }
        };
        if outcome != Outcome::Pending {
            self.ops.remove(&slot);
            self.drop_handle_of(kind);
        }
        outcome
    }

    fn poll_send(&mut self, slot: usize, kind: Kind, stage: Stage, value: Option<Id>) -> Outcome {
        let sent = match (stage, value) {
            (Stage::Idle, Some(value)) => self.send(value),
            (Stage::Granted, None) => Sent::Done,
            (Stage::Closed, Some(_)) => Sent::Closed,
            (Stage::Queued, Some(_)) => return Outcome::Pending,
            state => unreachable!("{state:?}"),
        };
        match sent {
            Sent::Full => {
                self.queue(slot);
                self.tell_stream();
                return Outcome::Pending;
            }
            Sent::Done if kind == Kind::Send => return Outcome::Sent,
            Sent::Done => return Outcome::SentFrom(true, None),
            Sent::Closed => self.drop_value(value),
        }
        match value {
            Some(value) if kind == Kind::Send => Outcome::NotSent(value),
            left => Outcome::SentFrom(false, left),
        }
    }

    fn poll_recv(&mut self, slot: usize, stage: Stage, max: usize) -> Outcome {
        let first = match stage {
            Stage::Idle => self.recv(),
            Stage::Granted => self.ops.get_mut(&slot).unwrap().value.take(),
            Stage::Closed => None,
            Stage::Queued => return Outcome::Pending,
        };
        if first.is_none() && stage == Stage::Idle && !self.is_closed {
            self.queue(slot);
            return Outcome::Pending;
        }
        let mut values = Vec::from_iter(first);
        while !values.is_empty() && values.len() < max {
            let Some(value) = self.recv() else { break };
            values.push(value);
        }
        values.iter().for_each(|&value| self.drop_value(Some(value)));
        if values.is_empty() { Outcome::End } else { Outcome::Received(values) }
    }

    fn poll_stream(&mut self, slot: usize, stage: Stage) -> Outcome {
        if self.ops[&slot].has_ended {
            return Outcome::End;
        }
        let received = self.recv();
        if received.is_none() && !self.is_closed {
            if stage != Stage::Queued {
                self.queue(slot);
            }
            return Outcome::Pending;
        }
        self.streams.retain(|&other| other != slot);
        let op = self.ops.get_mut(&slot).unwrap();
        (op.stage, op.has_ended) = (Stage::Idle, received.is_none());
        self.drop_value(received);
        received.map_or(Outcome::End, |value| Outcome::Received(vec![value]))
    }

    /// Drops an operation where it stands. Returns what is then left in the slot of a `send_from`.
    pub(crate) fn drop_op(&mut self, slot: usize) -> Option<Id> {
        for queue in [&mut self.receivers, &mut self.senders, &mut self.streams, &mut self.watchers] {
            queue.retain(|&other| other != slot);
        }
        let op = self.ops.remove(&slot).unwrap();
        let mut left = None;
        match op.kind {
            Kind::Send => self.drop_value(op.value),
            Kind::SendFrom => {
                left = op.value;
                self.drop_value(left);
            }
            Kind::Recv | Kind::RecvMany(_) => {
                if let Some(value) = op.value
                    && !self.grant(value, op.order)
                {
                    self.returned.insert(op.order, value);
                    self.tell_stream();
                }
            }
            Kind::Stream if op.stage == Stage::Granted && self.is_receivable() => self.tell_stream(),
            Kind::Stream | Kind::Closed => {}
        }
        self.drop_handle_of(op.kind);
        left
    }

    /// What holds between two steps: nobody waits for what is there.
    pub(crate) fn check(&self) {
        assert!(self.receivers.is_empty() || !self.is_receivable(), "a receiver waits for what is there");
        assert!(self.senders.is_empty() || self.is_full(), "a sender waits although there is room");
        assert!(self.capacity.is_some() || self.senders.is_empty());
        let is_told = |op: &Op| op.kind == Kind::Stream && op.stage == Stage::Granted;
        assert!(
            self.streams.is_empty() || !self.is_receivable() || self.ops.values().any(is_told),
            "no stream was told of what is there"
        );
        if self.is_closed {
            let queued = [&self.receivers, &self.senders, &self.streams, &self.watchers];
            assert!(queued.into_iter().all(VecDeque::is_empty), "one waits in a closed channel");
        }
        assert!(self.drops.iter().all(|&count| count <= 1));
    }
}

//! One shard of timers: a lock, and beside it the earliest deadline for those who need no more. Each worker thread
//! has a shard of its own, foreign threads share one; any thread may cancel in it or fire it.
//!
//! A new deadline goes into a small buffer first and into the order only when somebody needs the order: when the
//! earliest deadline is due, or its thread is about to sleep. A timer that was cancelled by then (most timeouts
//! are) has cost two short visits under the lock.

use super::{
    Entry, NEVER,
    order::Order,
    slab::{Slab, Where},
};
use gorust_primitives::shim::{AtomicU64, Lock, Ordering};
use std::task::Waker;

/// How many timers one call of [`Shard::fire`] fires at most, so that a burst does not hold back everything else.
pub(crate) const FIRE_BATCH: usize = 256;

/// How many deadlines wait outside the order: 16 KiB.
const PENDING: usize = 1024;

/// So many dead entries are not worth a purge.
const DEAD_MIN: usize = 64;

/// An empty slab of more slots than this gives its memory back.
const KEPT_SLOTS: usize = 4096;

/// Aligned so that no two workers write to one pair of cache lines.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Shard {
    /// The earliest deadline, or earlier (its timer may have been cancelled); [`NEVER`] if there is none.
    /// Invariant: written under the lock only, and never later than the deadline of a timer that waits.
    next: AtomicU64,
    timers: Lock<Timers>,
}

struct Timers {
    slab: Slab,
    /// Deadlines not yet in the order; all of them live.
    pending: Vec<Entry>,
    order: Order,
    /// Entries of `order` whose timers were cancelled.
    dead: usize,
    fired: u64,
    closed: bool,
}

/// What became of a timer when it was released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Released {
    /// It had fired.
    Fired,
    /// It was still waiting.
    Waiting,
}

/// What a handle finds when it looks after its timer. Unless it waits, its slot is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Fired,
    Waiting,
    /// It will not fire: its reactor was closed.
    Closed,
}

impl Shard {
    pub(crate) fn new() -> Self {
        let timers = Timers {
            slab: Slab::new(),
            pending: Vec::new(),
            order: Order::new(),
            dead: 0,
            fired: 0,
            closed: false,
        };
        Self { next: AtomicU64::new(NEVER), timers: Lock::new(timers) }
    }

    /// The earliest deadline, or an earlier one; [`NEVER`] if there is none.
    #[inline]
    pub(crate) fn next(&self) -> u64 {
        // Ordering: Relaxed. A thread that must not miss another's deadline goes through `Horizon`, whose fences
        // order this; the others look again soon.
        self.next.load(Ordering::Relaxed)
    }

    /// Arms a timer and returns its slot, which the caller releases some day. Gives the waker back if the shard is
    /// closed.
    #[inline]
    pub(crate) fn arm(&self, deadline: u64, waker: Waker) -> Result<u32, Waker> {
        let mut timers = self.timers.lock();
        if timers.closed {
            return Err(waker);
        }
        if timers.pending.len() == PENDING {
            timers.flush();
        }
        let position = timers.pending.len();
        let index = timers.slab.insert(waker, position);
        timers.pending.push(Entry { deadline, index, stamp: 0 });
        if deadline < self.next() {
            // Ordering: Relaxed, as in `next`.
            self.next.store(deadline, Ordering::Relaxed);
        }
        Ok(index)
    }

    /// Gives a slot back, and cancels its timer if that still waits.
    #[inline]
    pub(crate) fn release(&self, index: u32) -> Released {
        let (released, _waker_dropped_after_the_lock) = self.timers.lock().release(index);
        released
    }

    /// Looks after a timer, and makes sure that `waker` is the one it will wake.
    pub(crate) fn look(&self, index: u32, waker: &Waker) -> Look {
        let mut clone = None;
        loop {
            let mut timers = self.timers.lock();
            let fired = timers.slab.place(index) == Where::Fired;
            if fired || timers.closed {
                // The waker is gone: it was taken when the timer fired, or when the shard was closed.
                timers.release(index);
                return if fired { Look::Fired } else { Look::Closed };
            }
            let held = timers.slab.waker(index);
            if held.as_ref().is_some_and(|held| held.will_wake(waker)) {
                return Look::Waiting;
            }
            match clone.take() {
                Some(clone) => {
                    let previous = held.replace(clone);
                    drop(timers);
                    drop(previous);
                    return Look::Waiting;
                }
                // A waker's clone is its owner's code: not under the lock.
                None => {
                    drop(timers);
                    clone = Some(waker.clone());
                }
            }
        }
    }

    /// Fires what is due at `now`, at most [`FIRE_BATCH`] timers: their wakers go to `wakers`. If more are due,
    /// [`next`](Self::next) says so.
    #[inline]
    pub(crate) fn fire(&self, now: u64, wakers: &mut Vec<Waker>) {
        if self.next() <= now {
            self.fire_due(now, wakers);
        }
    }

    #[cold]
    fn fire_due(&self, now: u64, wakers: &mut Vec<Waker>) {
        let mut timers = self.timers.lock();
        let timers = &mut *timers;
        if timers.closed {
            return;
        }
        timers.flush();
        for _ in 0..FIRE_BATCH {
            timers.drop_dead();
            let Some(first) = timers.order.first().filter(|first| first.deadline <= now) else { break };
            timers.order.pop();
            wakers.extend(timers.slab.fire(first.index));
            timers.fired += 1;
        }
        self.publish(timers);
    }

    /// Makes [`next`](Self::next) exact. Returns whether it was too early.
    pub(crate) fn settle(&self) -> bool {
        let mut timers = self.timers.lock();
        timers.flush();
        let before = self.next();
        self.publish(&mut timers);
        self.next() != before
    }

    fn publish(&self, timers: &mut Timers) {
        timers.drop_dead();
        let first = timers.order.first().map_or(NEVER, |first| first.deadline);
        // Ordering: Relaxed, as in `next`.
        self.next.store(first, Ordering::Relaxed);
    }

    /// Fires nothing any more and lets nobody arm: every waker goes to `wakers`, every slot stays with its owner.
    pub(crate) fn close(&self, wakers: &mut Vec<Waker>) {
        let mut timers = self.timers.lock();
        let timers = &mut *timers;
        timers.closed = true;
        timers.flush();
        // Their entries stay in the order, so that the owners find their slots as they left them.
        let (slab, order) = (&mut timers.slab, &mut timers.order);
        order.retain(|entry| {
            let live = slab.is_live(entry);
            if live {
                wakers.extend(slab.waker(entry.index).take());
            }
            live
        });
        timers.dead = 0;
        // Ordering: Relaxed, as in `next`.
        self.next.store(NEVER, Ordering::Relaxed);
    }

    /// Whether nobody owns a timer here.
    pub(crate) fn is_empty(&self) -> bool {
        self.owned() == 0
    }

    /// How many timers have an owner, fired or not.
    pub(crate) fn owned(&self) -> usize {
        self.timers.lock().slab.owned()
    }

    /// How many timers have fired here.
    pub(crate) fn fired(&self) -> u64 {
        self.timers.lock().fired
    }

    /// Opens a closed, empty shard again.
    pub(crate) fn reopen(&self) {
        let mut timers = self.timers.lock();
        debug_assert_eq!(timers.slab.owned(), 0, "only an empty shard is opened again");
        // Nothing of the past: in which order equal deadlines fire depends on the calls of this life alone.
        timers.order.clear();
        timers.dead = 0;
        timers.fired = 0;
        timers.closed = false;
    }
}

impl Timers {
    /// Moves the pending deadlines into the order.
    #[inline]
    fn flush(&mut self) {
        for entry in self.pending.drain(..) {
            self.order.push(self.slab.enters_order(entry));
        }
    }

    /// Removes dead entries from the top of the order.
    #[inline]
    fn drop_dead(&mut self) {
        // Subtle: with no dead entries in it, the order is not even looked at.
        while self.dead > 0
            && let Some(first) = self.order.first()
            && !self.slab.is_live(first)
        {
            self.order.pop();
            self.dead -= 1;
        }
    }

    #[inline]
    fn release(&mut self, index: u32) -> (Released, Option<Waker>) {
        let place = self.slab.place(index);
        let waker = self.slab.remove(index);
        let released = match place {
            Where::Fired => Released::Fired,
            Where::Pending(position) => {
                self.pending.swap_remove(position);
                if let Some(moved) = self.pending.get(position) {
                    self.slab.moved(moved.index, position);
                }
                Released::Waiting
            }
            Where::InOrder => {
                self.dead += 1;
                if self.dead > DEAD_MIN && self.dead > self.order.len() / 4 {
                    self.purge();
                }
                Released::Waiting
            }
        };
        if self.slab.owned() == 0 && self.slab.capacity() > KEPT_SLOTS {
            self.order = Order::new();
            self.dead = 0;
            self.slab.reset();
        }
        (released, waker)
    }

    #[cold]
    fn purge(&mut self) {
        let slab = &self.slab;
        self.order.retain(|entry| slab.is_live(entry));
        self.dead = 0;
    }
}

impl std::fmt::Debug for Timers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Timers")
    }
}

#[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
mod tests {
    use super::*;
    use gorust_primitives::rng::Rng;
    use std::{
        collections::BTreeMap,
        sync::{
            Arc,
            mpsc::{Receiver, Sender, channel},
        },
        task::Wake,
    };

    /// Says its number when it is woken.
    struct Tell(u64, Sender<u64>);

    impl Wake for Tell {
        fn wake(self: Arc<Self>) {
            self.1.send(self.0).unwrap();
        }
    }

    fn noop() -> Waker {
        Waker::noop().clone()
    }

    #[test]
    fn a_timer_that_is_cancelled_before_anybody_needs_the_order_never_enters_it() {
        let shard = Shard::new();
        for round in 0..100_000 {
            let index = shard.arm(round + 5, noop()).unwrap();
            assert_eq!(index, 0, "one slot serves them all");
            assert_eq!(shard.release(index), Released::Waiting);
        }
        let timers = shard.timers.lock();
        assert_eq!((timers.order.len(), timers.pending.len(), timers.slab.capacity()), (0, 0, 1));
    }

    #[test]
    fn dead_entries_are_purged_when_they_are_many() {
        let shard = Shard::new();
        let indices: Vec<u32> = (0..10_000).map(|at| shard.arm(1_000 + at, noop()).unwrap()).collect();
        assert!(!shard.settle());
        for &index in &indices[1..] {
            shard.release(index);
            let timers = shard.timers.lock();
            assert!(timers.dead <= DEAD_MIN || timers.dead <= timers.order.len() / 4);
        }
        assert!(shard.timers.lock().order.len() <= DEAD_MIN * 2);
        shard.release(indices[0]);
        assert!(shard.settle());
        assert_eq!(shard.next(), NEVER);
        assert_eq!(shard.timers.lock().slab.capacity(), 0, "an empty slab keeps no memory");
    }

    #[test]
    fn a_cancelled_timer_does_not_fire_for_the_next_owner_of_its_slot() {
        let shard = Shard::new();
        let first = shard.arm(10, noop()).unwrap();
        shard.settle();
        shard.release(first);
        let second = shard.arm(20, noop()).unwrap();
        assert_eq!(second, first);
        let mut wakers = Vec::new();
        shard.fire(15, &mut wakers);
        assert!(wakers.is_empty());
        assert_eq!(shard.look(second, Waker::noop()), Look::Waiting);
        assert_eq!(shard.next(), 20);
        shard.fire(20, &mut wakers);
        assert_eq!((wakers.len(), shard.look(second, Waker::noop())), (1, Look::Fired));
        assert!(shard.is_empty(), "who finds it fired has released it");
    }

    #[test]
    fn a_shard_opened_again_fires_equal_deadlines_in_the_order_of_a_new_one() {
        let order = |shard: &Shard| {
            let (sender, receiver) = channel();
            let armed = [5, 5, 3, 5, 5, 4, 5, 5, 5].into_iter().enumerate();
            let slots: Vec<u32> = armed
                .map(|(number, deadline)| {
                    let waker = Waker::from(Arc::new(Tell(number as u64, sender.clone())));
                    shard.settle();
                    shard.arm(deadline, waker).unwrap()
                })
                .collect();
            shard.release(slots[3]);
            let mut wakers = Vec::new();
            shard.fire(5, &mut wakers);
            wakers.into_iter().for_each(Waker::wake);
            for (number, slot) in slots.into_iter().enumerate() {
                if number != 3 {
                    shard.release(slot);
                }
            }
            receiver.try_iter().collect::<Vec<_>>()
        };
        let fresh = order(&Shard::new());
        assert_eq!(fresh.len(), 8);
        let used = Shard::new();
        for length in 1..40 {
            let slots: Vec<u32> = (0..length).map(|at| used.arm(at % 7, noop()).unwrap()).collect();
            used.settle();
            used.close(&mut Vec::new());
            // Given back this late, they leave dead entries in the order.
            slots.into_iter().for_each(|slot| {
                used.release(slot);
            });
            used.reopen();
            assert_eq!(order(&used), fresh, "after {length} timers");
        }
    }

    #[test]
    fn one_call_fires_a_bounded_number_and_says_that_more_are_due() {
        let shard = Shard::new();
        for _ in 0..FIRE_BATCH + 1 {
            shard.arm(7, noop()).unwrap();
        }
        let mut wakers = Vec::new();
        shard.fire(6, &mut wakers);
        assert_eq!(wakers.len(), 0);
        shard.fire(7, &mut wakers);
        assert_eq!((wakers.len(), shard.next()), (FIRE_BATCH, 7));
        shard.fire(7, &mut wakers);
        assert_eq!((wakers.len(), shard.next()), (FIRE_BATCH + 1, NEVER));
    }

    /// The shard against a map, under random operations: what fires, when, and what each call says.
    #[test]
    fn random_operations_do_what_a_map_does() {
        for seed in 0..200 {
            let rng = Rng::new(seed);
            let shard = Shard::new();
            let (sender, receiver): (Sender<u64>, Receiver<u64>) = channel();
            // By number: slot and deadline of those that wait; slot of those that have fired.
            let (mut waiting, mut fired) = (BTreeMap::<u64, (u32, u64)>::new(), BTreeMap::<u64, u32>::new());
            let (mut now, mut number) = (1_000, 0);
            let spread = [3, 100, 10_000][rng.below(3) as usize];
            for _ in 0..2_000 {
                match rng.below(10) {
                    0..5 => {
                        let deadline = now + u64::from(rng.below(spread));
                        let waker = Waker::from(Arc::new(Tell(number, sender.clone())));
                        waiting.insert(number, (shard.arm(deadline, waker).unwrap(), deadline));
                        number += 1;
                    }
                    5..8 => {
                        let pick = |count: usize| rng.below(count as u32) as usize;
                        if let Some(key) = waiting.keys().nth(pick(waiting.len())).copied() {
                            let (index, _) = waiting.remove(&key).unwrap();
                            assert_eq!(shard.release(index), Released::Waiting);
                        }
                        if let Some(key) = fired.keys().nth(pick(fired.len())).copied() {
                            let index = fired.remove(&key).unwrap();
                            if rng.below(2) == 0 {
                                assert_eq!(shard.look(index, Waker::noop()), Look::Fired);
                            } else {
                                assert_eq!(shard.release(index), Released::Fired);
                            }
                        }
                    }
                    8 => {
                        shard.settle();
                        let first = waiting.values().map(|&(_, deadline)| deadline).min();
                        assert_eq!(shard.next(), first.unwrap_or(NEVER));
                    }
                    _ => {
                        now += u64::from(rng.below(spread));
                        let mut wakers = Vec::new();
                        while shard.next() <= now {
                            shard.fire(now, &mut wakers);
                        }
                        wakers.into_iter().for_each(Waker::wake);
                        let mut last = 0;
                        for number in receiver.try_iter() {
                            let (index, deadline) = waiting.remove(&number).expect("it was cancelled");
                            assert!(last <= deadline && deadline <= now, "early, or out of order");
                            last = deadline;
                            fired.insert(number, index);
                        }
                        assert!(waiting.values().all(|&(_, deadline)| deadline > now), "one is late");
                    }
                }
                assert_eq!(shard.owned(), waiting.len() + fired.len());
            }
        }
    }

    #[test]
    fn a_waiting_timer_costs_forty_bytes() {
        assert_eq!(size_of::<Entry>(), 16);
        assert_eq!(size_of::<super::super::slab::Slot>(), 24);
        assert_eq!(size_of::<crate::time::Sleep>(), 32);
    }
}

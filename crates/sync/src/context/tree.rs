//! The tree of contexts: how a cancel reaches everybody below, and how a node leaves.
//!
//! A child keeps its parent alive; a parent knows its children weakly, each by a place in a list, so that one
//! who goes is taken out at once. Each node has a lock of its own, and nobody ever holds two. The README has
//! the argument why a cancel is complete when it returns.

use super::{
    error::{ContextError, HandleDropped},
    value::Values,
};
use crate::children::{Children, NOWHERE};
use gorust_primitives::{
    shim::{AtomicU8, AtomicU32, Lock, Ordering, mutant},
    wait_list::{self, State, WaitList, Waiter, Wakers, wake_in_batches},
};
use gorust_reactor::{clock::Instant, timer::Alarm};
use std::{
    error::Error,
    mem,
    panic::Location,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Wake, Waker},
};

/// A context that can be done, or a view of one that carries other values.
pub(super) struct Node {
    kind: Kind,
    /// The nearest node above that can be done.
    parent: Option<Arc<Node>>,
    /// What it carries, and what those above do.
    values: Option<Arc<Values>>,
    /// This node's place among its parent's children; [`NOWHERE`] once it has left, or if it never was there.
    /// Written under the parent's lock.
    place: AtomicU32,
    /// Whether it is done, and why: [`LIVE`], or a reason and perhaps [`SETTLED`]. Written under the lock.
    state: AtomicU8,
    /// The earliest deadline of this node and all above; [`Instant::FAR_FUTURE`] if there is none.
    deadline: Instant,
    inner: Lock<Inner>,
}

/// What lies under a node's lock. Once the node is done, nothing is added any more.
struct Inner {
    children: Children<Weak<Node>>,
    pub(super) waiters: WaitList,
    /// Why it is done; until then, what to say if a deadline is the reason.
    cause: Cause,
    alarm: Option<Alarm>,
}

/// What a node is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It can be done.
    Scope,
    /// It is done when its parent is, without knowing it: it carries values, and is not in its parent's list.
    View,
    /// As a view without a parent, under its own name.
    Todo,
}

/// Not done.
const LIVE: u8 = 0;
const CANCELED: u8 = 1;
const DEADLINE_EXCEEDED: u8 = 2;
/// All below are done, too.
const SETTLED: u8 = 4;

/// How many children are looked at before their parent's lock is let go.
const BATCH: usize = 256;

/// Why a context is done, in the words of who ended it.
#[derive(Clone)]
pub(super) enum Cause {
    /// Nothing more than its error says.
    Plain,
    /// The cancel handle made there was dropped.
    Dropped(&'static Location<'static>),
    Error(Arc<dyn Error + Send + Sync>),
}

/// What a node that was just looked at still needs.
struct Needs {
    /// Its children are to be done, too.
    a_visit: bool,
    /// More wait than were gathered.
    more_wakes: bool,
}

impl Node {
    fn make(
        kind: Kind,
        parent: Option<&Arc<Self>>,
        values: Option<Arc<Values>>,
        deadline: Instant,
        cause: Cause,
    ) -> Arc<Self> {
        Arc::new(Self {
            kind,
            parent: parent.cloned(),
            values,
            place: AtomicU32::new(NOWHERE),
            state: AtomicU8::new(LIVE),
            deadline,
            inner: Lock::new(Inner {
                children: Children::new(),
                waiters: WaitList::new(),
                cause,
                alarm: None,
            }),
        })
    }

    /// Makes a node that carries other values than `parent`.
    pub(super) fn view(parent: Option<&Arc<Self>>, values: Option<Arc<Values>>) -> Arc<Self> {
        Self::make(Kind::View, parent, values, Instant::FAR_FUTURE, Cause::Plain)
    }

    /// Makes a node that is never done.
    pub(super) fn todo() -> Arc<Self> {
        Self::make(Kind::Todo, None, None, Instant::FAR_FUTURE, Cause::Plain)
    }

    pub(super) fn is_todo(&self) -> bool {
        self.kind == Kind::Todo
    }

    /// The node that decides whether this one is done.
    #[inline]
    pub(super) fn scope(self: &Arc<Self>) -> Option<&Arc<Self>> {
        if self.kind == Kind::Scope { Some(self) } else { self.parent.as_ref() }
    }

    pub(super) fn values(&self) -> Option<&Arc<Values>> {
        self.values.as_ref()
    }

    /// Makes a node below `parent`, done if that is done, that ends at `deadline`, or when its parent does. If it is a
    /// deadline that ends it, `cause` says why.
    pub(super) fn new(
        parent: Option<&Arc<Self>>,
        values: Option<Arc<Values>>,
        deadline: Instant,
        cause: Cause,
    ) -> Arc<Self> {
        let inherited = parent.map_or(Instant::FAR_FUTURE, |parent| parent.deadline);
        let node = Self::make(Kind::Scope, parent, values, deadline.min(inherited), cause);
        if let Some(parent) = parent {
            parent.adopt(&node);
        }
        // A parent that ends strictly earlier will end this node, too.
        if deadline <= inherited && deadline != Instant::FAR_FUTURE {
            node.set_alarm(deadline);
        }
        node
    }

    /// Links a new child, or ends it if this node is done.
    fn adopt(&self, child: &Arc<Self>) {
        if self.error().is_none() || mutant("context.link_without_a_look") {
            let mut inner = self.inner.lock();
            // Ordering: Relaxed, it is written under the lock we hold.
            if self.state.load(Ordering::Relaxed) == LIVE || mutant("context.link_without_a_look") {
                let place = inner.children.insert(Arc::downgrade(child));
                // Ordering: Relaxed, nobody else knows the child but through the list under this lock.
                child.place.store(place, Ordering::Relaxed);
                return;
            }
        }
        if let Some((error, cause)) = self.end() {
            child.set_done(error, &cause, &mut Vec::new());
        }
    }

    /// Ends the node when the deadline comes.
    fn set_alarm(self: &Arc<Self>, deadline: Instant) {
        if deadline <= Instant::now() {
            self.cancel(ContextError::DeadlineExceeded, &Cause::Plain);
            return;
        }
        if self.error().is_some() {
            return;
        }
        let waker = Waker::from(Arc::new(OnDeadline { node: Arc::downgrade(self), deadline }));
        let replaced = {
            let mut inner = self.inner.lock();
            // Ordering: Relaxed, it is written under the lock we hold.
            if self.state.load(Ordering::Relaxed) != LIVE {
                return;
            }
            // Subtle: armed under the lock. One that rings at once, because its reactor closes, arms another, and that
            // one must come after.
            inner.alarm.replace(Alarm::at(deadline, waker))
        };
        drop(replaced);
    }

    #[inline]
    pub(super) fn error(&self) -> Option<ContextError> {
        // Ordering: Acquire, against the Release in `set_done`: who sees that it is done sees what was done
        // before it was canceled, and the cause.
        match self.state.load(Ordering::Acquire) & !SETTLED {
            LIVE => None,
            CANCELED => Some(ContextError::Canceled),
            _ => Some(ContextError::DeadlineExceeded),
        }
    }

    fn is_settled(&self) -> bool {
        // Ordering: Acquire, against the Release in `cancel` and `set_done`: all below are done, and seen to
        // be.
        self.state.load(Ordering::Acquire) & SETTLED != 0
    }

    /// The error and the cause, once it is done.
    fn end(&self) -> Option<(ContextError, Cause)> {
        let error = self.error()?;
        Some((error, self.inner.lock().cause.clone()))
    }

    pub(super) fn cause(&self) -> Option<Arc<dyn Error + Send + Sync>> {
        let (error, cause) = self.end()?;
        Some(match cause {
            Cause::Plain => Arc::new(error),
            Cause::Dropped(made_at) => Arc::new(HandleDropped { made_at }),
            Cause::Error(error) => error,
        })
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        Some(self.deadline).filter(|&deadline| deadline != Instant::FAR_FUTURE)
    }

    /// Ends this node and all below, unless they have ended before. When it returns all of them are done,
    /// also those that another thread has begun to end.
    pub(super) fn cancel(self: &Arc<Self>, error: ContextError, cause: &Cause) {
        if self.is_settled() || (self.error().is_some() && mutant("context.trust_the_other")) {
            return;
        }
        let mut wakers = Vec::new();
        let mut crowded = Vec::new();
        let needs = self.set_done(error, cause, &mut wakers);
        if needs.more_wakes {
            crowded.push(Arc::clone(self));
        }
        if needs.a_visit {
            // Parents come before their children here, so a node is done before those below it.
            let mut visits = vec![Arc::clone(self)];
            let mut next = 0;
            while next < visits.len() {
                let node = Arc::clone(&visits[next]);
                node.end_children(&mut visits, &mut crowded, &mut wakers);
                next += 1;
            }
            for node in &visits {
                // Ordering: Release, against the Acquire in `is_settled`: all below were seen done by this
                // thread. A bit set by whoever comes first; the reason does not change any more.
                node.state.fetch_or(SETTLED, Ordering::Release);
            }
        }
        self.leave();
        // Strangers' code, now that everybody is done.
        wakers.into_iter().for_each(wait_list::wake);
        for node in crowded {
            wake_in_batches(
                || node.inner.lock(),
                |inner, wakers| {
                    while !wakers.is_full() {
                        match inner.waiters.pop_front(State::Granted) {
                            Some(waker) => wakers.push(waker),
                            None => return,
                        }
                    }
                },
            );
        }
    }

    /// Ends the children of a node that is done, for its reason. Those that have children themselves go to
    /// `visits`; the others need not be found again, and are taken out here, so that they need not come back one by
    /// one and meet at this node's lock.
    fn end_children(
        &self,
        visits: &mut Vec<Arc<Self>>,
        crowded: &mut Vec<Arc<Self>>,
        wakers: &mut Vec<Waker>,
    ) {
        let Some((error, cause)) = self.end() else { unreachable!("a node is done before it is visited") };
        let (mut batch, mut ended, mut links) = (Vec::new(), Vec::<Arc<Self>>::new(), Vec::new());
        let mut from = 0;
        loop {
            let is_last;
            {
                let siblings = &mut self.inner.lock().children;
                links.extend(ended.iter().filter_map(|child| child.unlink(siblings)));
                is_last = from >= siblings.end();
                if !is_last {
                    // One whose last handle is gone is as good as done.
                    batch.extend(siblings.range(from, from + BATCH).filter_map(Weak::upgrade));
                }
            }
            links.clear();
            ended.clear();
            if is_last {
                return;
            }
            from += BATCH;
            for child in batch.drain(..) {
                let needs = child.set_done(error, &cause, wakers);
                if needs.more_wakes {
                    crowded.push(Arc::clone(&child));
                }
                if needs.a_visit {
                    visits.push(child);
                } else {
                    ended.push(child);
                }
            }
        }
    }

    /// Ends this node alone, unless it has ended before. Gathers who waits, as many as may be under one lock.
    fn set_done(&self, error: ContextError, cause: &Cause, wakers: &mut Vec<Waker>) -> Needs {
        let cause = cause.clone();
        let (alarm, needs, unused);
        {
            let mut inner = self.inner.lock();
            // Ordering: Acquire, against the Release of `SETTLED` in `cancel`, which is set without the lock.
            let state = self.state.load(Ordering::Acquire);
            if state != LIVE {
                return Needs { a_visit: state & SETTLED == 0, more_wakes: false };
            }
            // A cause that was named for a deadline stays, also if it is an earlier one that ends the node.
            let is_named = error.is_timeout() && !matches!(inner.cause, Cause::Plain);
            unused = if is_named { cause } else { mem::replace(&mut inner.cause, cause) };
            let has_children = !inner.children.is_empty();
            let reason = if error.is_timeout() { DEADLINE_EXCEEDED } else { CANCELED };
            // Ordering: Release, against the Acquire in `error`.
            self.state.store(if has_children { reason } else { reason | SETTLED }, Ordering::Release);
            wakers.extend(
                std::iter::from_fn(|| inner.waiters.pop_front(State::Granted)).take(Wakers::CAPACITY),
            );
            needs = Needs { a_visit: has_children, more_wakes: !inner.waiters.is_empty() };
            alarm = inner.alarm.take();
        }
        drop((alarm, unused));
        needs
    }

    /// Leaves the parent's list, so that a parent that lives on does not remember its dead children.
    fn leave(&self) {
        let Some(parent) = &self.parent else { return };
        // Ordering: Relaxed, a look: nobody puts it back, and who takes it out looks again under the lock.
        if self.place.load(Ordering::Relaxed) != NOWHERE {
            let link = self.unlink(&mut parent.inner.lock().children);
            drop(link);
        }
    }

    /// Takes this node out of the list of its parent, whose lock is held, if nobody else has.
    fn unlink(&self, siblings: &mut Children<Weak<Self>>) -> Option<Weak<Self>> {
        // Ordering: Relaxed, it is written under the lock that is held.
        let place = self.place.load(Ordering::Relaxed);
        if place == NOWHERE {
            return None;
        }
        self.place.store(NOWHERE, Ordering::Relaxed);
        Some(siblings.remove(place))
    }

    /// Lets `waiter` wait until the node is done. Returns `false` if it is done.
    ///
    /// # Safety
    ///
    /// As for [`WaitList::push_back`].
    pub(super) unsafe fn park(&self, waiter: Pin<&Waiter>) -> bool {
        let mut inner = self.inner.lock();
        // Ordering: Acquire, against the Release in `set_done`: if it is done, the caller acts upon it.
        let is_live = self.state.load(Ordering::Acquire) == LIVE || mutant("context.wait_without_a_look");
        if is_live {
            // SAFETY: our caller's promise.
            unsafe { inner.waiters.push_back(waiter) };
        }
        is_live
    }

    /// Makes sure that `waiter` wakes `waker`. Returns `false` if the node is done.
    ///
    /// # Safety
    ///
    /// If `waiter` is queued, it waits for this node.
    pub(super) unsafe fn keep_waiting(&self, waiter: Pin<&Waiter>, waker: &Waker) -> bool {
        // SAFETY: our caller's promise.
        let state = unsafe {
            gorust_primitives::wait_list::keep_waiting(
                || self.inner.lock(),
                |inner| &mut inner.waiters,
                waiter,
                waker,
            )
        };
        state == State::Queued
    }

    /// Takes `waiter` out, if it waits.
    ///
    /// # Safety
    ///
    /// If `waiter` is queued, it waits for this node.
    pub(super) unsafe fn forget(&self, waiter: Pin<&Waiter>) {
        // SAFETY: our caller's promise.
        unsafe { self.inner.lock().waiters.remove(waiter) };
    }

    /// How many children it remembers, for tests.
    #[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
    pub(super) fn child_count(&self) -> usize {
        self.inner.lock().children.range(0, usize::MAX).count()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // One after the other and not one inside the other: a chain may be a million long.
        self.leave();
        let mut above = self.parent.take();
        while let Some(mut node) = above.and_then(Arc::into_inner) {
            node.leave();
            above = node.parent.take();
        }
    }
}

/// Wakes a node when its deadline has come. It does not keep the node alive.
struct OnDeadline {
    node: Weak<Node>,
    deadline: Instant,
}

impl Wake for OnDeadline {
    fn wake(self: Arc<Self>) {
        // An alarm may ring early, when the runtime that kept it is gone: `set_alarm` looks at the clock.
        if let Some(node) = self.node.upgrade() {
            node.set_alarm(self.deadline);
        }
    }
}

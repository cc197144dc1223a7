//! Who waits for a read-write lock, and whose turn it is. Those who wait are woken, never granted: a future that
//! has the lock without knowing it would stop everybody.

use super::word::Word;
use gorust_primitives::{
    const_unless_modelled,
    current::{self, Reason},
    shim::{self, Lock, mutant},
    wait_list::{self, State, WaitList, Waiter},
};
use gorust_reactor::{clock::Instant, timer::Alarm};
use pin_project_lite::pin_project;
use std::{
    panic::Location,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, Wake, Waker, ready},
    time::Duration,
};

/// How long one who was woken is expected: then the lock goes to others.
const PATIENCE: Duration = Duration::from_millis(1);

/// What somebody wants the lock for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Write,
}

/// A read-write lock without its value.
pub(super) struct RawRwLock {
    word: Word,
    /// Made when somebody waits for the first time. On the heap, since an alarm may outlive the lock.
    queue: OnceLock<Arc<Queue>>,
}

struct Queue {
    line: Lock<Line>,
}

/// What lies under the queue's lock.
///
/// Invariants: while somebody sleeps and the lock is free, somebody is expected, or has let the lock go and is on the
/// way here. While somebody is expected, an alarm is set.
struct Line {
    /// Readers that sleep. One that is woken leaves the list, as granted, since all are woken together.
    readers: WaitList,
    sleeping_readers: usize,
    /// Readers that were woken, have not looked since, and whose time is not up: no writer goes before them.
    expected_readers: usize,
    /// Writers, also those that were woken: they keep their places until they have the lock.
    writers: WaitList,
    sleeping_writers: usize,
    /// As for readers: nobody who comes goes before them.
    expected_writers: usize,
    /// Whose turn it is if both sleep.
    favours: Kind,
    alarm: Option<Alarm>,
}

impl RawRwLock {
    const_unless_modelled! {
        pub(super) fn new() -> Self {
            Self { word: Word::new(), queue: OnceLock::new() }
        }
    }

    #[inline]
    pub(super) fn try_lock(&self, kind: Kind) -> bool {
        self.try_fast(kind) || self.try_slow(kind)
    }

    #[inline]
    fn try_fast(&self, kind: Kind) -> bool {
        match kind {
            Kind::Read => self.word.try_read(),
            Kind::Write => self.word.try_write(),
        }
    }

    /// The word may say that somebody is expected whose time is up.
    #[cold]
    fn try_slow(&self, kind: Kind) -> bool {
        let may = match kind {
            Kind::Read => !self.word.is_writing(),
            Kind::Write => self.word.is_free(),
        };
        match self.queue.get() {
            Some(queue) if may => {
                let line = queue.line.lock();
                line.publish(&self.word);
                self.try_fast(kind)
            }
            _ => false,
        }
    }

    /// Lets the lock go that was held for this.
    #[inline]
    pub(super) fn unlock(&self, kind: Kind) {
        let (is_waited, favours) = match kind {
            Kind::Read => (self.word.end_read(), Kind::Write),
            Kind::Write => (self.word.end_write(), Kind::Read),
        };
        if is_waited {
            self.wake_next(Some(favours));
        }
    }

    /// A writer becomes a reader, and lets those in who wait to read.
    pub(super) fn downgrade(&self) {
        if self.word.downgrade() {
            self.wake_next(Some(Kind::Read));
        }
    }

    #[cold]
    fn wake_next(&self, favours: Option<Kind>) {
        let queue = self.queue();
        let mut line = queue.line.lock();
        line.favours = favours.unwrap_or(line.favours);
        let woken = line.next(&self.word, queue);
        drop(line);
        woken.wake();
    }

    fn queue(&self) -> &Arc<Queue> {
        self.queue.get_or_init(|| Arc::new(Queue { line: Lock::new(Line::new()) }))
    }

    /// One who comes, or a reader that was woken, enters, or puts `waiter` at the end of its queue. Returns
    /// whether it has entered.
    ///
    /// # Safety
    ///
    /// As for [`WaitList::push_back`].
    unsafe fn enter_or_wait(&self, kind: Kind, waiter: Pin<&Waiter>) -> bool {
        let is_expected = waiter.state() == State::Granted;
        let mut line = self.queue().line.lock();
        if is_expected {
            line.expected_readers = line.expected_readers.saturating_sub(1);
        }
        line.publish(&self.word);
        let has_entered = match kind {
            Kind::Read => self.word.read_or_wait(is_expected),
            Kind::Write => self.word.write_or_wait(line.expected() == 0 && line.sleeping() == 0),
        };
        if has_entered {
            return true;
        }
        let (list, sleeping) = line.part(kind);
        *sleeping += 1;
        // SAFETY: our caller's promise.
        unsafe { list.push_back(waiter) };
        false
    }

    /// One who is in its queue looks again. Returns whether it has entered, and has left the queue.
    ///
    /// # Safety
    ///
    /// `waiter` is or was in this queue.
    unsafe fn look(&self, kind: Kind, waiter: Pin<&Waiter>, waker: &Waker) -> bool {
        // A waker is cloned before the lock, and the old one dropped after it.
        let waker = waker.clone();
        let mut line = self.queue().line.lock();
        if waiter.state() != State::Queued {
            drop(line);
            return false;
        }
        let (list, _) = line.part(kind);
        // SAFETY: the waiter is queued under the lock we hold.
        let is_woken = unsafe { list.is_woken(waiter) };
        line.publish(&self.word);
        let has_entered = match kind {
            Kind::Read => self.word.read_or_wait(false),
            Kind::Write => {
                let may = line.expected_readers == 0 && (is_woken || line.expected_writers == 0);
                self.word.write_or_wait(may)
            }
        };
        let (list, sleeping) = line.part(kind);
        if has_entered {
            // SAFETY: our caller's promise.
            unsafe { list.remove(waiter) };
            *sleeping -= usize::from(!is_woken);
        } else {
            // SAFETY: the waiter is queued under the lock we hold.
            let old = unsafe { list.replace_waker(waiter, waker) };
            *sleeping += usize::from(is_woken);
            line.forget_expected(kind, is_woken);
            line.publish(&self.word);
            drop(line);
            drop(old);
            return false;
        }
        line.forget_expected(kind, is_woken);
        line.publish(&self.word);
        true
    }

    /// One who waits goes without the lock. If it was expected, others need not wait for it.
    ///
    /// # Safety
    ///
    /// `waiter` is or was in this queue.
    #[cold]
    unsafe fn leave(&self, kind: Kind, waiter: Pin<&Waiter>) {
        let queue = self.queue();
        let mut line = queue.line.lock();
        let (list, sleeping) = line.part(kind);
        let is_queued = waiter.state() == State::Queued;
        // SAFETY: the waiter is queued under the lock we hold.
        let is_woken = !is_queued || unsafe { list.is_woken(waiter) };
        *sleeping -= usize::from(!is_woken);
        // SAFETY: our caller's promise.
        unsafe { list.remove(waiter) };
        line.forget_expected(kind, is_woken);
        let is_mute = mutant("rw_lock.wake_dropped");
        let woken = if is_mute { Woken::default() } else { line.next(&self.word, queue) };
        drop(line);
        woken.wake();
    }

    #[cfg(test)]
    pub(super) fn expire_patience(&self) {
        Arc::clone(self.queue()).wake();
    }

    #[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
    pub(super) fn parts(&self) -> (bool, usize, bool, bool) {
        self.word.parts()
    }
}

impl Line {
    fn new() -> Self {
        Self {
            readers: WaitList::new(),
            sleeping_readers: 0,
            expected_readers: 0,
            writers: WaitList::new(),
            sleeping_writers: 0,
            expected_writers: 0,
            favours: Kind::Write,
            alarm: None,
        }
    }

    fn part(&mut self, kind: Kind) -> (&mut WaitList, &mut usize) {
        match kind {
            Kind::Read => (&mut self.readers, &mut self.sleeping_readers),
            Kind::Write => (&mut self.writers, &mut self.sleeping_writers),
        }
    }

    fn sleeping(&self) -> usize {
        self.sleeping_readers + self.sleeping_writers
    }

    fn expected(&self) -> usize {
        self.expected_readers + self.expected_writers
    }

    /// One who was woken has looked, or has gone. It may be one whose time was up, and take another's place in the
    /// count: then that one's time is up a little early.
    fn forget_expected(&mut self, kind: Kind, is_woken: bool) {
        let expected = match kind {
            Kind::Read => &mut self.expected_readers,
            Kind::Write => &mut self.expected_writers,
        };
        *expected = expected.saturating_sub(usize::from(is_woken));
    }

    /// Says in the word who waits.
    fn publish(&self, word: &Word) {
        let is_claimed = self.sleeping_writers + self.expected_writers > 0;
        word.set_waited(self.sleeping() + self.expected() > 0, is_claimed);
    }

    /// Finds out whose turn it is.
    fn next(&mut self, word: &Word, queue: &Arc<Queue>) -> Woken {
        let woken = if word.is_writing() { Woken::default() } else { self.wake_next(word.is_free(), queue) };
        self.publish(word);
        woken
    }

    /// Wakes all readers that sleep, or else the first writer if the lock `is_free`. No writer has the lock.
    fn wake_next(&mut self, is_free: bool, queue: &Arc<Queue>) -> Woken {
        let mut woken = Woken::default();
        if self.expected_writers > 0 {
            // It will look, or its time will be up.
        } else if self.sleeping_readers > 0 && (self.favours == Kind::Read || self.sleeping_writers == 0) {
            let mut readers = std::iter::from_fn(|| self.readers.pop_front(State::Granted));
            woken = Woken { first: readers.next(), others: readers.collect() };
            self.expected_readers += self.sleeping_readers;
            self.sleeping_readers = 0;
            // Who comes to read from now on waits until a writer has had its turn.
            self.favours = Kind::Write;
        } else if is_free && self.expected_readers == 0 {
            woken.first = self.writers.wake_first();
            self.expected_writers = usize::from(woken.first.is_some());
            self.sleeping_writers -= self.expected_writers;
        }
        self.set_alarm(queue);
        woken
    }

    /// Sets an alarm if somebody is expected, unless one is set: one may ring early for those it finds, but never
    /// late. It is not stopped when all goes well, so a busy lock sets a thousand a second at most.
    fn set_alarm(&mut self, queue: &Arc<Queue>) {
        if self.expected() > 0 && self.alarm.is_none() && !shim::MODELLED {
            let rings = Instant::now().saturating_add(PATIENCE);
            self.alarm = Some(Alarm::at(rings, Waker::from(Arc::clone(queue))));
        }
    }
}

/// Wakers to be woken after the lock. Only where several readers come in at once does it allocate.
#[derive(Default)]
struct Woken {
    first: Option<Waker>,
    others: Vec<Waker>,
}

impl Woken {
    fn wake(self) {
        self.first.into_iter().chain(self.others).for_each(wait_list::wake);
    }
}

/// The alarm rings: those who were woken and have not looked are not expected any more, and the next are woken. They
/// find out themselves whether the lock is held: the word is not at hand here.
impl Wake for Queue {
    fn wake(self: Arc<Self>) {
        let mut line = self.line.lock();
        let alarm = line.alarm.take();
        let is_overdue = line.expected() > 0;
        (line.expected_readers, line.expected_writers) = (0, 0);
        let woken = if is_overdue { line.wake_next(true, &self) } else { Woken::default() };
        drop(line);
        drop(alarm);
        woken.wake();
    }
}

impl Drop for RawRwLock {
    fn drop(&mut self) {
        // The alarm holds the queue, and the queue the alarm.
        if let Some(queue) = self.queue.get() {
            let alarm = queue.line.lock().alarm.take();
            drop(alarm);
        }
    }
}

pin_project! {
    /// One future's way into a read-write lock: what all four futures share.
    pub(super) struct Contest {
        kind: Kind,
        at: &'static Location<'static>,
        #[pin]
        waiter: Waiter,
    }
}

impl Contest {
    pub(super) fn new(kind: Kind, at: &'static Location<'static>) -> Self {
        Self { kind, at, waiter: Waiter::new(()) }
    }

    pub(super) fn poll(self: Pin<&mut Self>, lock: &RawRwLock, cx: &mut Context<'_>) -> Poll<()> {
        ready!(current::poll_proceed(cx));
        let this = self.project();
        let (waiter, kind) = (this.waiter.as_ref(), *this.kind);
        let has_entered = match waiter.state() {
            State::Idle if lock.try_fast(kind) => true,
            // SAFETY: it was put in this lock's queue.
            State::Queued if unsafe { lock.look(kind, waiter, cx.waker()) } => true,
            State::Queued if waiter.state() == State::Queued => false,
            _ => {
                waiter.set_waker(cx.waker());
                // SAFETY: the waiter is pinned and not queued, and `leave` takes it out before it is dropped.
                unsafe { lock.enter_or_wait(kind, waiter) }
            }
        };
        if has_entered {
            waiter.reset();
            return Poll::Ready(());
        }
        let reason = if kind == Kind::Read { Reason::RwLockRead } else { Reason::RwLockWrite };
        current::waits(reason, this.at);
        Poll::Pending
    }

    /// Leaves the queue; to be called before the future is dropped.
    pub(super) fn leave(self: Pin<&mut Self>, lock: &RawRwLock) {
        let this = self.project();
        if this.waiter.state() != State::Idle {
            // SAFETY: it was put in this lock's queue.
            unsafe { lock.leave(*this.kind, this.waiter.as_ref()) };
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.waiter.state() != State::Idle
    }
}

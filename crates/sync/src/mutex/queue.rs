//! Who waits for a mutex, and whose turn it is to look. A waiter is woken, never granted: it stays in the
//! queue until it has taken the mutex or is dropped.

use super::word::{Look, Standing, Word};
use gorust_primitives::{
    const_unless_modelled,
    current::{self, Reason},
    shim::{self, Lock},
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

/// How long a waiter waits before newcomers must queue up behind it (as in Go), and how long one who was
/// woken may take to look before the next is woken, too.
const PATIENCE: Duration = Duration::from_millis(1);

/// How often a newcomer looks again before it queues up, and how long it pauses before each look: as in Go. A
/// pause is many short critical sections long, so that a holder who comes back at once finds the word still
/// in its cache.
const LOOKS: u32 = if shim::MODELLED { 0 } else { 4 };
const PAUSES: u32 = 30;

/// A mutex without its value.
pub(super) struct RawMutex {
    word: Word,
    /// Made when somebody waits for the first time. On the heap, since an alarm may outlive the mutex.
    queue: OnceLock<Arc<Queue>>,
}

struct Queue {
    line: Lock<Line>,
}

/// What lies under the queue's lock.
///
/// Invariant: while one who was woken has yet to look, and somebody sleeps, an alarm is set, or somebody holds
/// the mutex who will wake. So nobody sleeps for long behind one who is not polled.
struct Line {
    waiters: WaitList,
    /// Waiters that have a waker.
    sleeping: usize,
    /// Waiters that were woken and have not looked since.
    woken: usize,
    alarm: Option<Alarm>,
}

impl RawMutex {
    const_unless_modelled! {
        pub(super) fn new() -> Self {
            Self { word: Word::new(), queue: OnceLock::new() }
        }
    }

    #[inline]
    pub(super) fn try_lock(&self) -> bool {
        self.word.try_lock()
    }

    /// Lets the mutex go.
    #[inline]
    pub(super) fn unlock(&self) {
        if self.word.unlock() {
            self.wake_next();
        }
    }

    #[cold]
    fn wake_next(&self) {
        let queue = self.queue();
        let mut line = queue.line.lock();
        let waker = if line.sleeping > 0 && self.word.begin_wake() { line.wake_next(queue) } else { None };
        if line.sleeping == 0 && waker.is_none() {
            self.word.end_starvation();
        }
        drop(line);
        waker.into_iter().for_each(wait_list::wake);
    }

    fn queue(&self) -> &Arc<Queue> {
        self.queue.get_or_init(|| Arc::new(Queue { line: Lock::new(Line::new()) }))
    }

    /// Looks a few more times before it is worth to queue up.
    fn spin(&self) -> bool {
        for _ in 0..LOOKS {
            if self.word.is_starving() {
                return false;
            }
            (0..PAUSES).for_each(|_| shim::spin_loop());
            if !self.word.is_locked() && self.word.try_lock() {
                return true;
            }
        }
        false
    }

    /// Takes the mutex, or puts `waiter` at the end of the queue. Returns whether it was taken.
    ///
    /// # Safety
    ///
    /// As for [`WaitList::push_back`].
    unsafe fn lock_or_wait(&self, waiter: Pin<&Waiter>) -> bool {
        let queue = self.queue();
        let mut line = queue.line.lock();
        if self.word.lock_or_wait() {
            return true;
        }
        // SAFETY: our caller's promise.
        unsafe { line.waiters.push_back(waiter) };
        line.sleeping += 1;
        // Subtle: not the word's bit, which one who looked has cleared, though another has yet to look.
        if line.woken > 0 {
            line.set_alarm(queue);
        }
        false
    }

    /// One who waits looks again. Returns whether it has taken the mutex, and has left the queue.
    ///
    /// # Safety
    ///
    /// `waiter` is in this queue.
    unsafe fn look(&self, waiter: Pin<&Waiter>, since: Instant, waker: &Waker) -> bool {
        let is_late = || !shim::MODELLED && since.elapsed() >= PATIENCE;
        // A waker is cloned before the lock, so if it looks as if one were needed, now; and one that was not
        // needed is dropped after it: `line` goes first.
        let mut spare = self.word.is_locked().then(|| waker.clone());
        loop {
            let mut line = self.queue().line.lock();
            // SAFETY: our caller's promise.
            let standing = unsafe { line.standing(waiter) };
            let look = self.word.look(standing, spare.is_some(), is_late);
            if let Look::Locked = look {
                // SAFETY: our caller's promise.
                unsafe { line.remove(waiter, standing) };
                return true;
            }
            if let (Look::Sleeps, Some(waker)) = (look, spare.take()) {
                // SAFETY: our caller's promise.
                let old = unsafe { line.sleep(waiter, standing, waker) };
                drop(line);
                drop(old);
                return false;
            }
            drop(line);
            spare = Some(waker.clone());
        }
    }

    /// One who waits goes without the mutex. If it was woken, the next one is woken in its place.
    ///
    /// # Safety
    ///
    /// `waiter` is in this queue.
    #[cold]
    unsafe fn leave(&self, waiter: Pin<&Waiter>) {
        let queue = self.queue();
        let mut line = queue.line.lock();
        // SAFETY: our caller's promise.
        let standing = unsafe { line.standing(waiter) };
        // SAFETY: our caller's promise.
        unsafe { line.remove(waiter, standing) };
        let owes_a_wake = self.word.leave(standing) && line.sleeping > 0 && self.word.begin_wake();
        let waker = if owes_a_wake { line.wake_next(queue) } else { None };
        drop(line);
        waker.into_iter().for_each(wait_list::wake);
    }

    #[cfg(test)]
    pub(super) fn expire_patience(&self) {
        Arc::clone(self.queue()).wake();
    }

    #[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
    pub(super) fn bits(&self) -> [bool; 4] {
        self.word.bits()
    }
}

impl Line {
    fn new() -> Self {
        Self { waiters: WaitList::new(), sleeping: 0, woken: 0, alarm: None }
    }

    /// # Safety
    ///
    /// `waiter` is in this line.
    unsafe fn standing(&self, waiter: Pin<&Waiter>) -> Standing {
        // SAFETY: our caller's promise.
        let is_woken = unsafe { self.waiters.is_woken(waiter) };
        Standing { is_woken, is_alone: self.sleeping + self.woken == 1 }
    }

    /// # Safety
    ///
    /// `waiter` is in this line, and stands so.
    unsafe fn remove(&mut self, waiter: Pin<&Waiter>, standing: Standing) {
        // SAFETY: our caller's promise.
        unsafe { self.waiters.remove(waiter) };
        *(if standing.is_woken { &mut self.woken } else { &mut self.sleeping }) -= 1;
    }

    /// Sleeps, or sleeps on, with this waker. Returns the old one, to be dropped after the lock.
    ///
    /// # Safety
    ///
    /// `waiter` is in this line, and stands so.
    unsafe fn sleep(&mut self, waiter: Pin<&Waiter>, standing: Standing, waker: Waker) -> Option<Waker> {
        if standing.is_woken {
            self.woken -= 1;
            self.sleeping += 1;
        }
        // SAFETY: our caller's promise.
        unsafe { self.waiters.replace_waker(waiter, waker) }
    }

    /// Wakes the first that sleeps; its waker is to be woken after the lock.
    fn wake_next(&mut self, queue: &Arc<Queue>) -> Option<Waker> {
        let waker = self.waiters.wake_first()?;
        self.sleeping -= 1;
        self.woken += 1;
        if self.sleeping > 0 {
            self.set_alarm(queue);
        }
        Some(waker)
    }

    /// Sets an alarm, unless one is set: one may ring early for the one it finds, but never late. It is not
    /// stopped when all goes well, so a busy mutex sets a thousand a second at most.
    fn set_alarm(&mut self, queue: &Arc<Queue>) {
        if self.alarm.is_none() && !shim::MODELLED {
            let rings = Instant::now().saturating_add(PATIENCE);
            self.alarm = Some(Alarm::at(rings, Waker::from(Arc::clone(queue))));
        }
    }
}

/// The alarm rings: if one who was woken has still not looked, the next one is woken. It will take the mutex
/// if that is free; if not, it sleeps on, and the next unlock wakes it again.
impl Wake for Queue {
    fn wake(self: Arc<Self>) {
        let mut line = self.line.lock();
        let alarm = line.alarm.take();
        let waker = if line.woken > 0 { line.wake_next(&self) } else { None };
        drop(line);
        drop(alarm);
        waker.into_iter().for_each(wait_list::wake);
    }
}

impl Drop for RawMutex {
    fn drop(&mut self) {
        // The alarm holds the queue, and the queue the alarm.
        if let Some(queue) = self.queue.get() {
            let alarm = queue.line.lock().alarm.take();
            drop(alarm);
        }
    }
}

pin_project! {
    /// One future's part in the contest for a mutex: what `Lock` and `LockOwned` share.
    pub(super) struct Contest {
        at: &'static Location<'static>,
        // When it began to wait.
        pub(super) since: Instant,
        #[pin]
        waiter: Waiter,
    }
}

impl Contest {
    #[inline]
    pub(super) fn new(at: &'static Location<'static>) -> Self {
        Self { at, since: Instant::START, waiter: Waiter::new(()) }
    }

    #[inline]
    pub(super) fn poll(self: Pin<&mut Self>, mutex: &RawMutex, cx: &mut Context<'_>) -> Poll<()> {
        ready!(current::poll_proceed(cx));
        if self.waiter.state() == State::Idle && mutex.try_lock() {
            return Poll::Ready(());
        }
        self.wait(mutex, cx)
    }

    #[cold]
    fn wait(self: Pin<&mut Self>, mutex: &RawMutex, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let waiter = this.waiter.as_ref();
        let is_locked = if waiter.state() == State::Queued {
            // SAFETY: the waiter is queued, and it was put in this mutex's queue.
            unsafe { mutex.look(waiter, *this.since, cx.waker()) }
        } else if mutex.spin() {
            true
        } else {
            if !shim::MODELLED {
                *this.since = Instant::now();
            }
            waiter.set_waker(cx.waker());
            // SAFETY: the waiter is pinned and not queued, and `leave` takes it out before it is dropped.
            unsafe { mutex.lock_or_wait(waiter) }
        };
        if is_locked {
            return Poll::Ready(());
        }
        current::waits(Reason::MutexLock, this.at);
        Poll::Pending
    }

    /// Leaves the queue; to be called before the future is dropped.
    #[inline]
    pub(super) fn leave(self: Pin<&mut Self>, mutex: &RawMutex) {
        let this = self.project();
        if this.waiter.state() == State::Queued {
            // SAFETY: the waiter is queued, and it was put in this mutex's queue.
            unsafe { mutex.leave(this.waiter.as_ref()) };
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.waiter.state() == State::Queued
    }
}

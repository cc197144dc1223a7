//! Telling one who waits, or all, that something has happened.
//!
//! The state is one word; the lock beside it is taken only when somebody waits or all are told. The README has the
//! argument why no notification is lost or seen twice.

use gorust_primitives::{
    brief_lock::BriefLock,
    const_unless_modelled,
    current::{self, Reason},
    shim::{AtomicUsize, Ordering, mutant},
    wait_list::{self, Broadcast, State, Waiter, keep_waiting, wake_in_batches},
};
use pin_project_lite::pin_project;
use std::{
    fmt,
    future::Future,
    panic::Location,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// Tells those who wait that something has happened. What has happened, it does not know: look again.
///
/// [`notify_one`](Self::notify_one) wakes the first who waits; if nobody does, the next one who comes does not wait.
/// One such notification is kept, not several. [`notify_all`](Self::notify_all) wakes everybody who has called
/// [`notified`](Self::notified), and nobody who comes later.
///
/// To hand over a value, a [channel](crate::chan()) is meant; to wait under a mutex, a [`Cond`](crate::Cond).
///
/// # Go
///
/// What a `chan struct{}` of capacity 1 is often used for.
///
/// # Examples
///
/// ```
/// use gorust_sync::Notify;
/// use std::sync::Arc;
///
/// gorust_scheduler::block_on(async {
///     let notify = Arc::new(Notify::new());
///     let other = Arc::clone(&notify);
///     gorust_scheduler::go(async move { other.notify_one() });
///     notify.notified().await;
/// });
/// ```
///
/// # Example: a condition is looked at after `notified` was called, so no change is missed
///
/// ```
/// use gorust_sync::Notify;
/// # use std::cell::Cell;
/// # gorust_scheduler::block_on(async {
/// # let (notify, is_ready) = (Notify::new(), Cell::new(true));
/// loop {
///     let notified = notify.notified();
///     if is_ready.get() {
///         break;
///     }
///     notified.await;
/// }
/// # });
/// ```
pub struct Notify {
    /// [`KEPT`], [`WAITED`], and how often all were told, in units of [`ROUND`]. `WAITED` changes under the lock
    /// only, and `KEPT` is never set beside it.
    state: AtomicUsize,
    waiters: BriefLock<Broadcast>,
}

/// A notification is kept for who comes next.
const KEPT: usize = 1;
/// Somebody waits.
const WAITED: usize = 2;
/// All were told once more.
const ROUND: usize = 4;

impl Default for Notify {
    fn default() -> Self {
        Self::new()
    }
}

impl Notify {
    const_unless_modelled! {
        /// Creates one that nobody waits for and that keeps no notification.
        ///
        /// # Examples
        ///
        /// ```
        /// static RELOAD: gorust_sync::Notify = gorust_sync::Notify::new();
        /// RELOAD.notify_one();
        /// ```
        pub fn new() -> Self {
            Self { state: AtomicUsize::new(0), waiters: BriefLock::new(Broadcast::new()) }
        }
    }

    /// Waits for a notification.
    ///
    /// A [`notify_all`](Self::notify_all) counts from this call on, also before the future is first polled.
    ///
    /// # Cancel safety
    ///
    /// *Loses its place* in the queue. Dropped before the first poll: nothing has happened. Dropped after
    /// [`notify_one`](Self::notify_one) chose it: the next one is notified.
    ///
    /// # Examples
    ///
    /// ```
    /// # gorust_scheduler::block_on(async {
    /// let notify = gorust_sync::Notify::new();
    /// let notified = notify.notified();
    /// notify.notify_all();
    /// notified.await;
    /// # });
    /// ```
    #[track_caller]
    pub fn notified(&self) -> Notified<'_> {
        // Ordering: Relaxed, a number to compare with later.
        let round = self.state.load(Ordering::Relaxed) / ROUND;
        Notified { notify: self, round, is_done: false, at: Location::caller(), waiter: Waiter::new(()) }
    }

    /// Wakes the first who waits, or else keeps the notification for who comes next. One that is kept already
    /// stands for this one, too.
    ///
    /// What was done before it is seen by the one who is woken.
    ///
    /// # Examples
    ///
    /// ```
    /// # gorust_scheduler::block_on(async {
    /// let notify = gorust_sync::Notify::new();
    /// notify.notify_one();
    /// notify.notified().await; // does not wait
    /// # });
    /// ```
    pub fn notify_one(&self) {
        // Ordering: Relaxed, the compare-exchange decides, or the lock.
        let mut state = self.state.load(Ordering::Relaxed);
        while state & WAITED == 0 {
            // Ordering: Release, against the Acquire in `take`. A step even if one is kept already: who takes that
            // is to see what was done before this.
            let kept = state | KEPT;
            match self.state.compare_exchange_weak(state, kept, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(found) => state = found,
            }
        }
        self.wake_one();
    }

    #[cold]
    fn wake_one(&self) {
        let mut waiters = self.waiters.lock();
        let waker = waiters.pop_front();
        self.note_empty(&waiters);
        drop(waiters);
        match waker {
            Some(waker) => wait_list::wake(waker),
            // The last one left before we had the lock.
            None => self.notify_one(),
        }
    }

    /// Wakes everybody who has called [`notified`](Self::notified) and has not been notified yet. Nothing is kept for
    /// those who come.
    ///
    /// # Examples
    ///
    /// ```
    /// # gorust_scheduler::block_on(async {
    /// let notify = gorust_sync::Notify::new();
    /// let (one, other) = (notify.notified(), notify.notified());
    /// notify.notify_all();
    /// one.await;
    /// other.await;
    /// # });
    /// ```
    pub fn notify_all(&self) {
        let mut waiters = self.waiters.lock();
        // Ordering: Release, against the Acquire in `take`.
        self.state.fetch_add(ROUND, Ordering::Release);
        waiters.release();
        self.note_empty(&waiters);
        drop(waiters);
        // Closed, not granted: one who is dropped then need not pass it on.
        wake_in_batches(
            || self.waiters.lock(),
            |waiters, wakers| waiters.take_released_as(State::Closed, wakers),
        );
    }

    /// Under the lock: when nobody waits any more, `notify_one` does without it.
    fn note_empty(&self, waiters: &Broadcast) {
        if waiters.is_empty() {
            // Ordering: Relaxed, who waits joins under this lock.
            self.state.fetch_and(!WAITED, Ordering::Relaxed);
        }
    }

    /// Takes what is kept, or finds that all were told since `round`. If neither, writes `state | or`. Returns whether
    /// the caller was notified.
    fn take(&self, round: usize, or: usize) -> bool {
        // Ordering: Acquire, against the Release in `notify_one` and `notify_all`.
        let mut state = self.state.load(Ordering::Acquire);
        loop {
            if state / ROUND != round {
                return true;
            }
            let next = if state & KEPT != 0 { state & !KEPT } else { state | or };
            if next == state {
                return false;
            }
            // Ordering: as above.
            match self.state.compare_exchange_weak(state, next, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return state & KEPT != 0,
                Err(found) => state = found,
            }
        }
    }

    /// Lets `waiter` wait, unless it is notified. Returns whether it waits.
    ///
    /// # Safety
    ///
    /// As for `WaitList::push_back`.
    unsafe fn park(&self, round: usize, waiter: Pin<&Waiter>) -> bool {
        let mut waiters = self.waiters.lock();
        if mutant("notify.wait_without_a_look") {
            // Ordering: Relaxed, a broken copy.
            self.state.fetch_or(WAITED, Ordering::Relaxed);
        } else if self.take(round, WAITED) {
            return false;
        }
        // SAFETY: our caller's promise.
        unsafe { waiters.push_back(waiter) };
        true
    }

    fn leave(&self, waiter: Pin<&Waiter>) {
        let mut waiters = self.waiters.lock();
        // SAFETY: the waiter is in this list or in none.
        unsafe { waiters.remove(waiter) };
        self.note_empty(&waiters);
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Ordering: Relaxed, for a person to read.
        let state = self.state.load(Ordering::Relaxed);
        f.debug_struct("Notify")
            .field("is_kept", &(state & KEPT != 0))
            .field("is_waited", &(state & WAITED != 0))
            .finish()
    }
}

pin_project! {
    /// The future of [`Notify::notified`].
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct Notified<'a> {
        notify: &'a Notify,
        // The round it was made in: it is notified by the end of that.
        round: usize,
        is_done: bool,
        at: &'static Location<'static>,
        #[pin]
        waiter: Waiter,
    }

    impl PinnedDrop for Notified<'_> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            let waiter = this.waiter.as_ref();
            if waiter.state() == State::Queued {
                this.notify.leave(waiter);
            }
            // Looked at again: it may have been chosen in between.
            if waiter.state() == State::Granted && !*this.is_done && !mutant("notify.grant_dropped") {
                this.notify.notify_one();
            }
        }
    }
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        ready!(current::poll_proceed(cx));
        let this = self.project();
        assert!(!*this.is_done, "a `Notified` was polled after it had completed");
        let (waiter, notify) = (this.waiter.as_ref(), *this.notify);
        let waits = match waiter.state() {
            State::Queued => {
                // SAFETY: the waiter is queued here or not at all.
                let state =
                    unsafe { keep_waiting(|| notify.waiters.lock(), Broadcast::any, waiter, cx.waker()) };
                state == State::Queued
            }
            State::Idle if !notify.take(*this.round, 0) => {
                waiter.set_waker(cx.waker());
                // SAFETY: the waiter is pinned and not queued, and it leaves the list before it is dropped.
                unsafe { notify.park(*this.round, waiter) }
            }
            State::Idle | State::Granted | State::Closed => false,
        };
        if waits {
            current::waits(Reason::CondWait, this.at);
            return Poll::Pending;
        }
        *this.is_done = true;
        Poll::Ready(())
    }
}

impl fmt::Debug for Notified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notified").field("waiter", &self.waiter.state()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod model {
    use super::*;
    use crate::testing::{Fragile, block_on};
    use gorust_primitives::shim::{UnsafeCell, model, mutant_is_caught, thread};
    use std::{sync::Arc, task::Waker};

    struct Watched {
        notify: Fragile<Notify>,
        news: UnsafeCell<u32>,
    }

    // SAFETY: `news` is written before a notification and read after it: that is what the models are about.
    unsafe impl Sync for Watched {}
    // SAFETY: as above.
    unsafe impl Send for Watched {}

    fn spawn_teller(tell: fn(&Notify)) -> (Arc<Watched>, impl FnOnce() -> thread::JoinHandle<()>) {
        let watched = Arc::new(Watched { notify: Fragile::new(Notify::new()), news: UnsafeCell::new(0) });
        let teller = Arc::clone(&watched);
        let spawn = move || {
            thread::spawn(move || {
                // SAFETY: nobody reads it before it is notified.
                teller.news.with_mut(|news| unsafe { *news = 7 });
                tell(&teller.notify);
            })
        };
        (watched, spawn)
    }

    fn read(watched: &Watched) {
        // SAFETY: it was written before the notification.
        assert_eq!(watched.news.with(|news| unsafe { *news }), 7);
    }

    /// One is notified while it comes to wait.
    fn one_is_told() {
        let (watched, spawn) = spawn_teller(Notify::notify_one);
        let teller = spawn();
        block_on(watched.notify.notified());
        read(&watched);
        teller.join().unwrap();
    }

    /// All are told after the future was made, before, while or after it comes to wait.
    fn all_are_told() {
        let (watched, spawn) = spawn_teller(Notify::notify_all);
        let notified = Fragile::new(Box::pin(watched.notify.notified()));
        let teller = spawn();
        let mut notified = notified;
        block_on(async { notified.as_mut().await });
        read(&watched);
        teller.join().unwrap();
    }

    /// The first of two who wait is dropped while one is notified; the other must be told.
    fn one_leaves() {
        let (watched, spawn) = spawn_teller(Notify::notify_one);
        let mut leaver = Fragile::new(Box::pin(watched.notify.notified()));
        assert!(leaver.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let teller = spawn();
        drop(leaver);
        block_on(watched.notify.notified());
        read(&watched);
        teller.join().unwrap();
    }

    fn explore(name: &str, body: impl Fn() + Sync + Send + 'static) {
        let executions = model(body);
        println!("notify, {name}: {executions} executions");
        assert!(executions > 1);
    }

    #[test]
    fn a_notification_is_not_missed() {
        explore("one is told", one_is_told);
    }

    #[test]
    fn who_asked_before_all_were_told_is_told() {
        explore("all are told", all_are_told);
    }

    #[test]
    fn one_who_leaves_passes_it_on() {
        explore("one leaves", one_leaves);
    }

    #[test]
    fn waiting_without_a_look_is_caught() {
        assert!(mutant_is_caught("notify.wait_without_a_look", one_is_told));
    }

    #[test]
    fn waiting_without_a_look_at_the_round_is_caught() {
        assert!(mutant_is_caught("notify.wait_without_a_look", all_are_told));
    }

    #[test]
    fn a_dropped_grant_is_caught() {
        assert!(mutant_is_caught("notify.grant_dropped", one_leaves));
    }
}

#[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
mod tests {
    use super::*;
    use crate::testing::{Task, on_workers, poll, ready, waiting};
    use std::{mem::size_of, sync::Arc};

    #[test]
    fn the_sizes_are_as_said() {
        assert_eq!((size_of::<Notify>(), size_of::<Notified<'_>>()), (32, 64));
    }

    #[test]
    fn one_notification_is_kept_not_several() {
        let notify = Notify::new();
        notify.notify_one();
        notify.notify_one();
        assert_eq!(format!("{notify:?}"), "Notify { is_kept: true, is_waited: false }");
        ready(notify.notified());
        assert!(poll(&mut Box::pin(notify.notified())).is_pending());
    }

    #[test]
    fn the_first_who_waits_is_notified() {
        let notify = Notify::new();
        let (first, second) = (Task::default(), Task::default());
        let (mut one, mut two) = (waiting(notify.notified(), &first), waiting(notify.notified(), &second));
        notify.notify_one();
        assert_eq!((first.wakes(), second.wakes()), (1, 0));
        ready(&mut one);
        assert!(second.poll(&mut two).is_pending());
        notify.notify_one();
        ready(&mut two);
        assert_eq!(format!("{notify:?}"), "Notify { is_kept: false, is_waited: false }");
    }

    #[test]
    fn all_who_asked_are_told_and_nobody_who_comes_later() {
        let notify = Notify::new();
        let task = Task::default();
        let mut waits: Vec<_> = (0..100).map(|_| waiting(notify.notified(), &task)).collect();
        let mut not_polled = Box::pin(notify.notified());
        notify.notify_all();
        assert_eq!(task.wakes(), 100);
        waits.iter_mut().for_each(ready);
        ready(&mut not_polled);
        assert!(poll(&mut Box::pin(notify.notified())).is_pending());
    }

    #[test]
    fn a_kept_notification_outlives_a_round() {
        let notify = Notify::new();
        notify.notify_one();
        notify.notify_all();
        ready(notify.notified());
        assert!(poll(&mut Box::pin(notify.notified())).is_pending());
    }

    #[test]
    fn notified_dropped_before_the_first_poll_or_while_it_waits_changes_nothing() {
        let notify = Notify::new();
        let task = Task::default();
        drop(notify.notified());
        drop(waiting(notify.notified(), &task));
        assert_eq!(format!("{notify:?}"), "Notify { is_kept: false, is_waited: false }");
        notify.notify_one();
        assert_eq!(task.wakes(), 0);
        ready(notify.notified());
    }

    #[test]
    fn notified_dropped_after_it_was_chosen_passes_it_on() {
        let notify = Notify::new();
        let (first, second) = (Task::default(), Task::default());
        let one = waiting(notify.notified(), &first);
        let mut two = waiting(notify.notified(), &second);
        notify.notify_one();
        drop(one);
        assert_eq!((first.wakes(), second.wakes()), (1, 1));
        ready(&mut two);
        let only = waiting(notify.notified(), &first);
        notify.notify_one();
        drop(only);
        ready(notify.notified());
    }

    #[test]
    fn notified_dropped_after_all_were_told_passes_nothing_on() {
        let notify = Notify::new();
        let one = waiting(notify.notified(), &Task::default());
        notify.notify_all();
        drop(one);
        assert!(poll(&mut Box::pin(notify.notified())).is_pending());
    }

    #[test]
    fn another_waker_takes_over() {
        let notify = Notify::new();
        let (old, new) = (Task::default(), Task::default());
        let mut notified = waiting(notify.notified(), &old);
        assert!(new.poll(&mut notified).is_pending());
        notify.notify_one();
        assert_eq!((old.wakes(), new.wakes()), (0, 1));
    }

    #[test]
    #[should_panic(expected = "polled after it had completed")]
    fn a_notified_is_polled_to_its_end_only() {
        let notify = Notify::new();
        notify.notify_one();
        let mut notified = Box::pin(notify.notified());
        ready(&mut notified);
        ready(&mut notified);
    }

    /// Tokens come and go; each notification lets one look, and none is lost although many give up.
    #[test]
    fn no_notification_is_lost() {
        // Std's: a plain counter.
        use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
        const EACH: usize = 500;
        on_workers(|| async {
            let notify = Arc::new(Notify::new());
            let tokens = Arc::new(AtomicUsize::new(0));
            let wg = crate::WaitGroup::new();
            for _ in 0..4 {
                let (makers_notify, makers_tokens) = (Arc::clone(&notify), Arc::clone(&tokens));
                wg.go(async move {
                    for _ in 0..EACH {
                        makers_tokens.fetch_add(1, SeqCst);
                        makers_notify.notify_one();
                        gorust_scheduler::yield_now().await;
                    }
                });
                let (notify, tokens) = (Arc::clone(&notify), Arc::clone(&tokens));
                wg.go(async move {
                    let take = |count: usize| count.checked_sub(1);
                    for _ in 0..EACH {
                        while tokens.fetch_update(SeqCst, SeqCst, take).is_err() {
                            let mut gives_up = Box::pin(notify.notified());
                            if poll(&mut gives_up).is_ready() {
                                continue;
                            }
                            drop(gives_up);
                            notify.notified().await;
                        }
                        // One notification may have stood for several tokens.
                        if tokens.load(SeqCst) > 0 {
                            notify.notify_one();
                        }
                    }
                });
            }
            wg.wait().await;
            assert_eq!(tokens.load(SeqCst), 0);
        });
    }
}

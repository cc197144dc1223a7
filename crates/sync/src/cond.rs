//! Waiting, under a mutex, until a condition holds.

use crate::mutex::{Lock, Mutex, MutexGuard};
use gorust_primitives::{
    brief_lock::BriefLock,
    const_unless_modelled,
    current::{self, Reason},
    shim::mutant,
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

/// Lets a goroutine that holds a mutex give it up and wait until another one has changed something.
///
/// A channel, a [`Notify`](crate::Notify) or a [`WaitGroup`](crate::WaitGroup) is often simpler.
///
/// # Fairness
///
/// Who waited first is notified first. There are no spurious wake-ups; but another goroutine may have the mutex
/// first and change what was waited for, so wait in a loop, or by [`wait_while`](Self::wait_while).
///
/// # Go
///
/// `sync.Cond`. The mutex is named by the guard and not by the `Cond`. As there, who notifies need not hold it.
///
/// # Examples
///
/// ```
/// use gorust_sync::{Cond, Mutex};
/// use std::sync::Arc;
///
/// gorust_scheduler::block_on(async {
///     let pair = Arc::new((Mutex::new(false), Cond::new()));
///     let other = Arc::clone(&pair);
///     gorust_scheduler::go(async move {
///         *other.0.lock().await = true;
///         other.1.notify_one();
///     });
///     let (is_ready, cond) = &*pair;
///     let guard = cond.wait_while(is_ready.lock().await, |is_ready| !*is_ready).await;
///     assert!(*guard);
/// });
/// ```
pub struct Cond {
    waiters: BriefLock<Broadcast>,
}

impl Default for Cond {
    fn default() -> Self {
        Self::new()
    }
}

impl Cond {
    const_unless_modelled! {
        /// Creates one that nobody waits for.
        ///
        /// # Examples
        ///
        /// ```
        /// static CHANGED: gorust_sync::Cond = gorust_sync::Cond::new();
        /// CHANGED.notify_all();
        /// ```
        pub fn new() -> Self {
            Self { waiters: BriefLock::new(Broadcast::new()) }
        }
    }

    /// Gives the mutex up, waits to be notified, and locks the mutex again.
    ///
    /// It joins the queue before it lets the mutex go, so no notification by one who then has it is missed.
    ///
    /// # Cancel safety
    ///
    /// *Loses its place* in the queue, and the guard: dropped at any time, the mutex is not held any more. Dropped before
    /// the first poll: that is all. Dropped after it was notified and before it had the mutex again: the next one
    /// is notified.
    ///
    /// # Go
    ///
    /// `cond.Wait()`
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_sync::{Cond, Mutex};
    /// # use std::sync::Arc;
    /// # gorust_scheduler::block_on(async {
    /// let (queue, cond) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Cond::new()));
    /// let (others_queue, others_cond) = (Arc::clone(&queue), Arc::clone(&cond));
    /// gorust_scheduler::go(async move {
    ///     others_queue.lock().await.push(1);
    ///     others_cond.notify_one();
    /// });
    /// let mut guard = queue.lock().await;
    /// while guard.is_empty() {
    ///     guard = cond.wait(guard).await;
    /// }
    /// # });
    /// ```
    #[track_caller]
    pub fn wait<'a, T: ?Sized>(&'a self, guard: MutexGuard<'a, T>) -> CondWait<'a, T> {
        CondWait {
            cond: self,
            mutex: guard.mutex(),
            at: Location::caller(),
            guard: Some(guard),
            lock: None,
            waiter: Waiter::new(()),
        }
    }

    /// Waits while `condition` is true of the value, looking before and after each wait.
    ///
    /// # Cancel safety
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Go
    ///
    /// `for condition() { cond.Wait() }`
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_sync::{Cond, Mutex};
    /// # gorust_scheduler::block_on(async {
    /// let (count, cond) = (Mutex::new(0), Cond::new());
    /// let guard = cond.wait_while(count.lock().await, |count| *count > 0).await;
    /// assert_eq!(*guard, 0);
    /// # });
    /// ```
    #[track_caller]
    pub fn wait_while<'a, T: ?Sized, F: FnMut(&mut T) -> bool>(
        &'a self,
        guard: MutexGuard<'a, T>,
        condition: F,
    ) -> CondWaitWhile<'a, T, F> {
        CondWaitWhile { wait: self.wait(guard), condition }
    }

    /// Notifies the first who waits, if anybody does.
    ///
    /// # Go
    ///
    /// `cond.Signal()`
    ///
    /// # Examples
    ///
    /// See [`Cond`].
    pub fn notify_one(&self) {
        let waker = self.waiters.lock().pop_front();
        waker.into_iter().for_each(wait_list::wake);
    }

    /// Notifies all who wait.
    ///
    /// # Go
    ///
    /// `cond.Broadcast()`
    ///
    /// # Examples
    ///
    /// See [`Cond`].
    pub fn notify_all(&self) {
        self.waiters.lock().release();
        // Closed, not granted: one who is dropped then need not pass it on.
        wake_in_batches(
            || self.waiters.lock(),
            |waiters, wakers| waiters.take_released_as(State::Closed, wakers),
        );
    }
}

impl fmt::Debug for Cond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cond").finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`Cond::wait`].
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct CondWait<'a, T: ?Sized> {
        cond: &'a Cond,
        mutex: &'a Mutex<T>,
        at: &'static Location<'static>,
        // Until it waits.
        guard: Option<MutexGuard<'a, T>>,
        // Once it was notified.
        #[pin]
        lock: Option<Lock<'a, T>>,
        // Idle when it has completed.
        #[pin]
        waiter: Waiter,
    }

    impl<T: ?Sized> PinnedDrop for CondWait<'_, T> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            let waiter = this.waiter.as_ref();
            if waiter.state() == State::Queued {
                // SAFETY: the waiter is in this list or in none.
                unsafe { this.cond.waiters.lock().remove(waiter) };
            }
            // Looked at again: it may have been chosen in between.
            if waiter.state() == State::Granted && !mutant("cond.grant_dropped") {
                this.cond.notify_one();
            }
        }
    }
}

impl<'a, T: ?Sized> Future for CondWait<'a, T> {
    type Output = MutexGuard<'a, T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        ready!(current::poll_proceed(cx));
        let mut this = self.project();
        let (waiter, waiters) = (this.waiter.as_ref(), &this.cond.waiters);
        let waits = if let Some(guard) = this.guard.take() {
            waiter.set_waker(cx.waker());
            // Before the mutex is let go: whoever changes the condition finds this one in the queue.
            let guard = Some(guard).filter(|_| !mutant("cond.unlock_first"));
            // SAFETY: the waiter is pinned and not queued, and it leaves the list before it is dropped.
            unsafe { waiters.lock().push_back(waiter) };
            drop(guard);
            true
        } else if waiter.state() == State::Queued {
            // SAFETY: the waiter is queued here or not at all.
            let state = unsafe { keep_waiting(|| waiters.lock(), Broadcast::any, waiter, cx.waker()) };
            state == State::Queued
        } else {
            assert!(waiter.state() != State::Idle, "a wait was polled after it had completed");
            false
        };
        if waits {
            current::waits(Reason::CondWait, this.at);
            return Poll::Pending;
        }
        if this.lock.is_none() {
            this.lock.set(Some(this.mutex.lock()));
        }
        let lock = this.lock.as_mut().as_pin_mut().expect("it was put there just now");
        let guard = ready!(lock.poll(cx));
        this.lock.set(None);
        waiter.reset();
        Poll::Ready(guard)
    }
}

impl<T: ?Sized> fmt::Debug for CondWait<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CondWait").field("waiter", &self.waiter.state()).finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`Cond::wait_while`].
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct CondWaitWhile<'a, T: ?Sized, F> {
        #[pin]
        wait: CondWait<'a, T>,
        condition: F,
    }
}

impl<'a, T: ?Sized, F: FnMut(&mut T) -> bool> Future for CondWaitWhile<'a, T, F> {
    type Output = MutexGuard<'a, T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let guard = this.wait.as_mut().project().guard;
            if let Some(mut held) = guard.take() {
                if !(this.condition)(&mut held) {
                    return Poll::Ready(held);
                }
                *guard = Some(held);
            }
            let held = ready!(this.wait.as_mut().poll(cx));
            *this.wait.as_mut().project().guard = Some(held);
        }
    }
}

impl<T: ?Sized, F> fmt::Debug for CondWaitWhile<'_, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CondWaitWhile").field("wait", &self.wait).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod model {
    use super::*;
    use crate::testing::{Fragile, block_on};
    use gorust_primitives::shim::{model, mutant_is_caught, thread};
    use std::{sync::Arc, task::Waker};

    type Shared = Arc<(Fragile<Mutex<bool>>, Fragile<Cond>)>;

    fn shared() -> Shared {
        Arc::new((Fragile::new(Mutex::new(false)), Fragile::new(Cond::new())))
    }

    fn spawn_changer(shared: &Shared) -> thread::JoinHandle<()> {
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            *block_on(shared.0.lock()) = true;
            shared.1.notify_one();
        })
    }

    /// One waits for the change another one makes.
    fn one_waits() {
        let shared = shared();
        let changer = spawn_changer(&shared);
        block_on(async {
            let mut guard = Fragile::new(shared.0.lock().await);
            while !**guard {
                guard = Fragile::new(shared.1.wait(guard.into_inner()).await);
            }
        });
        changer.join().unwrap();
    }

    /// Two wait; one is notified, and the first goes, notified or not: the other one must wake up.
    fn one_leaves() {
        let shared = shared();
        let mut cx = Context::from_waker(Waker::noop());
        let mut leaver = Fragile::new(Box::pin(shared.1.wait(shared.0.try_lock().unwrap())));
        assert!(leaver.as_mut().poll(&mut cx).is_pending());
        let mut stays = Fragile::new(Box::pin(shared.1.wait(shared.0.try_lock().unwrap())));
        assert!(stays.as_mut().poll(&mut cx).is_pending());
        let changer = spawn_changer(&shared);
        drop(leaver);
        assert!(*Fragile::new(block_on(async { stays.as_mut().await })).into_inner());
        changer.join().unwrap();
    }

    fn explore(name: &str, body: impl Fn() + Sync + Send + 'static) {
        let executions = model(body);
        println!("cond, {name}: {executions} executions");
        assert!(executions > 1);
    }

    #[test]
    fn a_change_is_not_missed() {
        explore("one waits", one_waits);
    }

    #[test]
    fn one_who_leaves_passes_it_on() {
        explore("one leaves", one_leaves);
    }

    #[test]
    fn unlocking_before_joining_is_caught() {
        assert!(mutant_is_caught("cond.unlock_first", one_waits));
    }

    #[test]
    fn a_dropped_grant_is_caught() {
        assert!(mutant_is_caught("cond.grant_dropped", one_leaves));
    }
}

#[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
mod tests {
    use super::*;
    use crate::testing::{Task, on_workers, ready, waiting};
    use std::sync::Arc;

    #[test]
    fn the_first_who_waits_is_notified_and_has_the_mutex() {
        let (mutex, cond) = (Mutex::new(0), Cond::new());
        let (first, second) = (Task::default(), Task::default());
        let mut one = waiting(cond.wait(mutex.try_lock().unwrap()), &first);
        let mut two = waiting(cond.wait(mutex.try_lock().unwrap()), &second);
        *mutex.try_lock().expect("who waits does not hold it") = 7;
        cond.notify_one();
        assert_eq!((first.wakes(), second.wakes()), (1, 0));
        assert_eq!(*ready(&mut one), 7);
        assert!(second.poll(&mut two).is_pending());
        cond.notify_one();
        drop(ready(&mut two));
        cond.notify_one();
        assert_eq!((first.wakes(), second.wakes()), (1, 1), "nobody waits, nothing is kept");
    }

    #[test]
    fn one_who_was_notified_waits_for_the_mutex() {
        let (mutex, cond) = (Mutex::new(0), Cond::new());
        let task = Task::default();
        let mut wait = waiting(cond.wait(mutex.try_lock().unwrap()), &task);
        let guard = mutex.try_lock().unwrap();
        cond.notify_one();
        assert!(task.poll(&mut wait).is_pending());
        drop(guard);
        assert_eq!(task.wakes(), 2);
        drop(ready(&mut wait));
    }

    #[test]
    fn all_who_wait_are_notified() {
        let (mutex, cond) = (Mutex::new(()), Cond::new());
        let task = Task::default();
        let mut waits: Vec<_> =
            (0..40).map(|_| waiting(cond.wait(mutex.try_lock().unwrap()), &task)).collect();
        cond.notify_all();
        assert_eq!(task.wakes(), 40);
        let _later = waiting(cond.wait(mutex.try_lock().unwrap()), &task);
        waits.iter_mut().for_each(|wait| drop(ready(wait)));
    }

    #[test]
    fn wait_dropped_before_the_first_poll_or_while_it_waits_lets_the_mutex_go() {
        let (mutex, cond) = (Mutex::new(()), Cond::new());
        let task = Task::default();
        drop(cond.wait(mutex.try_lock().unwrap()));
        drop(waiting(cond.wait(mutex.try_lock().unwrap()), &task));
        assert!(mutex.try_lock().is_some());
        cond.notify_one();
        assert_eq!(task.wakes(), 0);
    }

    #[test]
    fn wait_dropped_after_it_was_notified_passes_it_on() {
        let (mutex, cond) = (Mutex::new(()), Cond::new());
        let (first, second, third) = (Task::default(), Task::default(), Task::default());
        let one = waiting(cond.wait(mutex.try_lock().unwrap()), &first);
        let mut two = waiting(cond.wait(mutex.try_lock().unwrap()), &second);
        let mut three = waiting(cond.wait(mutex.try_lock().unwrap()), &third);
        cond.notify_one();
        drop(one);
        assert_eq!((first.wakes(), second.wakes(), third.wakes()), (1, 1, 0));
        // Also one that already waits for the mutex.
        let guard = mutex.try_lock().unwrap();
        assert!(second.poll(&mut two).is_pending());
        drop((two, guard));
        assert_eq!(third.wakes(), 1);
        drop(ready(&mut three));
    }

    #[test]
    fn wait_while_looks_before_and_after() {
        let (mutex, cond) = (Mutex::new(2), Cond::new());
        let task = Task::default();
        drop(ready(cond.wait_while(mutex.try_lock().unwrap(), |count| *count > 2)));
        let mut wait = waiting(cond.wait_while(mutex.try_lock().unwrap(), |count| *count > 0), &task);
        for left in [1, 0] {
            assert!(task.poll(&mut wait).is_pending());
            *mutex.try_lock().unwrap() = left;
            cond.notify_all();
        }
        assert_eq!((*ready(&mut wait), task.wakes()), (0, 1 + 1));
    }

    #[test]
    #[should_panic(expected = "a wait was polled after it had completed")]
    fn a_wait_is_polled_to_its_end_only() {
        let (mutex, cond) = (Mutex::new(()), Cond::new());
        let mut wait = waiting(cond.wait(mutex.try_lock().unwrap()), &Task::default());
        cond.notify_one();
        drop(ready(&mut wait));
        drop(ready(&mut wait));
    }

    /// A queue of two places between many that put in and many that take out.
    #[test]
    fn a_bounded_queue_loses_nothing() {
        const EACH: usize = 300;
        on_workers(|| async {
            let shared = Arc::new((Mutex::new(Vec::new()), Cond::new(), Cond::new()));
            let wg = crate::WaitGroup::new();
            let sum = Arc::new(Mutex::new(0));
            for _ in 0..4 {
                let put = Arc::clone(&shared);
                wg.go(async move {
                    let (queue, has_room, has_items) = &*put;
                    for item in 0..EACH {
                        let mut guard =
                            has_room.wait_while(queue.lock().await, |queue| queue.len() == 2).await;
                        guard.push(item);
                        has_items.notify_one();
                    }
                });
                let (take, sum) = (Arc::clone(&shared), Arc::clone(&sum));
                wg.go(async move {
                    let (queue, has_room, has_items) = &*take;
                    for _ in 0..EACH {
                        let mut gives_up = Box::pin(has_items.wait(queue.lock().await));
                        let _ = crate::testing::poll(&mut gives_up).map(drop);
                        drop(gives_up);
                        let mut guard =
                            has_items.wait_while(queue.lock().await, |queue| queue.is_empty()).await;
                        *sum.lock().await += guard.pop().unwrap();
                        has_room.notify_one();
                    }
                });
            }
            wg.wait().await;
            assert_eq!(*sum.lock().await, 4 * EACH * (EACH - 1) / 2);
        });
    }
}

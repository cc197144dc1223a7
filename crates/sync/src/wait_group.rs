//! Waiting until a number of things are done.
//!
//! The counter is one atomic word; the lock beside it is taken only when somebody waits. The README has the
//! argument why a waiter of one round is never released by another.

use gorust_primitives::{
    brief_lock::{BriefGuard, BriefLock},
    current::{self, Reason},
    shim::{AtomicUsize, Ordering, mutant},
    wait_list::{Broadcast, State, Waiter, keep_waiting, wake_in_batches},
};
use gorust_scheduler::JoinHandle;
use pin_project_lite::pin_project;
use std::{
    fmt,
    future::Future,
    panic::Location,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// Counts what is to be done, and lets any number of goroutines wait until it is.
///
/// A clone counts on the same counter. When the counter comes to zero, all who wait are released, and the
/// group may be used again at once: whoever waits in the next round is not touched by the end of this one.
///
/// # Go
///
/// `sync.WaitGroup`. There, adding to a group while others are still returning from `Wait` is a race that
/// panics; here it is not a race. Prefer [`go`](Self::go) and [`token`](Self::token) to `add` and `done`:
/// they cannot be forgotten.
///
/// # Examples
///
/// ```
/// use gorust_sync::WaitGroup;
///
/// gorust_scheduler::block_on(async {
///     let wg = WaitGroup::new();
///     for id in 1..=3 {
///         wg.go(async move { println!("worker {id} is done") });
///     }
///     wg.wait().await;
/// });
/// ```
#[derive(Clone, Default)]
pub struct WaitGroup {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// The count in units of [`ONE`], and [`WAITED`]. `WAITED` changes under the lock only, and is set only
    /// while the count is above zero; the step from one to zero while it is set is made under the lock, too.
    state: AtomicUsize,
    waiters: BriefLock<Broadcast>,
}

/// Somebody waits.
const WAITED: usize = 1;
/// One thing to be done.
const ONE: usize = 2;
/// The largest count.
const MAX: usize = usize::MAX / 4;

impl WaitGroup {
    /// Creates a group with nothing to be done.
    ///
    /// # Examples
    ///
    /// ```
    /// # gorust_scheduler::block_on(async {
    /// gorust_sync::WaitGroup::new().wait().await; // Ready at once.
    /// # });
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `n` things to be done.
    ///
    /// # Panics
    ///
    /// If the counter would overflow.
    ///
    /// # Go
    ///
    /// `wg.Add(n)`. A negative `n` is [`done`](Self::done) here.
    ///
    /// # Examples
    ///
    /// ```
    /// # gorust_scheduler::block_on(async {
    /// let wg = gorust_sync::WaitGroup::new();
    /// wg.add(2);
    /// wg.done();
    /// wg.done();
    /// wg.wait().await;
    /// # });
    /// ```
    #[track_caller]
    pub fn add(&self, n: usize) {
        assert!(n <= MAX, "WaitGroup counter overflow");
        // Ordering: Relaxed, nothing is handed over by adding; `done` and `wait` order what was done.
        let before = self.shared.state.fetch_add(n * ONE, Ordering::Relaxed);
        if before / ONE > MAX {
            // Ordering: as above.
            self.shared.state.fetch_sub(n * ONE, Ordering::Relaxed);
            panic!("WaitGroup counter overflow");
        }
    }

    /// Says that one thing is done. With the last one, all who wait are released.
    ///
    /// # Panics
    ///
    /// If nothing was to be done: "negative WaitGroup counter". The counter stays at zero.
    ///
    /// # Go
    ///
    /// `wg.Done()`
    ///
    /// # Examples
    ///
    /// ```should_panic
    /// gorust_sync::WaitGroup::new().done();
    /// ```
    #[track_caller]
    pub fn done(&self) {
        assert!(self.shared.done(), "negative WaitGroup counter");
    }

    /// Waits until the counter is zero.
    ///
    /// What was done before the last [`done`](Self::done) is seen after it.
    ///
    /// # Cancel safety
    ///
    /// *Strict.* Dropped before the first poll, while it waits, or after it was released: nothing is lost,
    /// since all who wait are released together.
    ///
    /// # Go
    ///
    /// `wg.Wait()`
    ///
    /// # Examples
    ///
    /// ```
    /// # gorust_scheduler::block_on(async {
    /// let wg = gorust_sync::WaitGroup::new();
    /// let token = wg.token();
    /// gorust_scheduler::go(async move { drop(token) });
    /// wg.wait().await;
    /// # });
    /// ```
    #[track_caller]
    pub fn wait(&self) -> Wait<'_> {
        Wait { shared: &self.shared, at: Location::caller(), waiter: Waiter::new(()) }
    }

    /// Starts a goroutine that counts as one thing to be done until it ends, however it ends: by returning,
    /// by a panic, aborted, or dropped with its runtime.
    ///
    /// # Panics
    ///
    /// If the global runtime must be started and cannot be.
    ///
    /// # Go
    ///
    /// `wg.Go(f)`. Go does not count a goroutine that panicked as done, since the process ends; here a panic
    /// that nobody can see ends it as well.
    ///
    /// # Examples
    ///
    /// ```
    /// # gorust_scheduler::block_on(async {
    /// let wg = gorust_sync::WaitGroup::new();
    /// let answer = wg.go(async { 42 });
    /// wg.wait().await;
    /// assert_eq!(answer.await.unwrap(), 42);
    /// # });
    /// ```
    #[track_caller]
    pub fn go<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        gorust_scheduler::go(Counted { future: Some(future), token: Some(self.token()) })
    }

    /// Adds one thing to be done, which is done when the token is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # gorust_scheduler::block_on(async {
    /// let wg = gorust_sync::WaitGroup::new();
    /// let token = wg.token();
    /// std::thread::spawn(move || drop(token));
    /// wg.wait().await;
    /// # });
    /// ```
    #[track_caller]
    pub fn token(&self) -> Token {
        self.add(1);
        Token { shared: Arc::clone(&self.shared) }
    }
}

impl Shared {
    fn count(&self) -> usize {
        // Ordering: Acquire, against the Release of every `done` before: who finds zero sees what was done.
        // The decrements are read-modify-writes, so the last one stands for all.
        self.state.load(Ordering::Acquire) / ONE
    }

    /// Counts one down. Returns `false` if there was none.
    fn done(&self) -> bool {
        // Ordering: Relaxed, the compare-exchange decides.
        let mut state = self.state.load(Ordering::Relaxed);
        let mut waiters: Option<BriefGuard<'_, Broadcast>> = None;
        loop {
            let is_release = state == ONE | WAITED;
            if is_release && waiters.is_none() && !mutant("wait_group.zero_before_the_lock") {
                // Subtle: waiters join under the lock. So those in the list when the count comes to zero are
                // exactly those who waited for this zero, even if the next round begins at once.
                waiters = Some(self.waiters.lock());
                // Ordering: as above.
                state = self.state.load(Ordering::Relaxed);
                continue;
            }
            if state < ONE {
                return false;
            }
            let next = if is_release { 0 } else { state - ONE };
            // Ordering: AcqRel: Release against `count` and the other `done`; Acquire so that those released
            // here see what every earlier `done` published.
            match self.state.compare_exchange_weak(state, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) if is_release => {
                    waiters.get_or_insert_with(|| self.waiters.lock()).release();
                    drop(waiters);
                    wake_in_batches(|| self.waiters.lock(), |waiters, wakers| waiters.take_released(wakers));
                    return true;
                }
                Ok(_) => return true,
                Err(found) => state = found,
            }
        }
    }

    /// Lets `waiter` wait for the count to come to zero. Returns `false` if it is zero.
    ///
    /// # Safety
    ///
    /// As for `WaitList::push_back`.
    unsafe fn park(&self, waiter: Pin<&Waiter>) -> bool {
        let mut waiters = self.waiters.lock();
        // Ordering: Acquire, against the Release in `done`: zero may be found.
        let mut state = self.state.load(Ordering::Acquire);
        while state >= ONE {
            // Ordering: Relaxed on success, `done` finds the waiter under the lock. Acquire on failure, as
            // above.
            match self.state.compare_exchange_weak(
                state,
                state | WAITED,
                Ordering::Relaxed,
                Ordering::Acquire,
            ) {
                Ok(_) => {
                    // SAFETY: our caller's promise.
                    unsafe { waiters.push_back(waiter) };
                    return true;
                }
                Err(found) => state = found,
            }
        }
        false
    }

    fn leave(&self, waiter: Pin<&Waiter>) {
        let mut waiters = self.waiters.lock();
        // SAFETY: the waiter is in this list or in none.
        if unsafe { waiters.remove(waiter) } && waiters.is_empty() {
            // Ordering: Relaxed, the bit changes under the lock; it only spares `done` the lock.
            self.state.fetch_and(!WAITED, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitGroup").field("count", &self.shared.count()).finish()
    }
}

pin_project! {
    /// The future of [`WaitGroup::wait`].
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct Wait<'a> {
        shared: &'a Shared,
        at: &'static Location<'static>,
        #[pin]
        waiter: Waiter,
    }

    impl PinnedDrop for Wait<'_> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if this.waiter.state() == State::Queued {
                this.shared.leave(this.waiter.as_ref());
            }
        }
    }
}

impl Future for Wait<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        ready!(current::poll_proceed(cx));
        let this = self.project();
        let waiter = this.waiter.as_ref();
        let waits = match waiter.state() {
            State::Queued => {
                // SAFETY: the waiter is queued here or not at all.
                let state = unsafe {
                    keep_waiting(|| this.shared.waiters.lock(), Broadcast::any, waiter, cx.waker())
                };
                state == State::Queued
            }
            State::Idle if this.shared.count() > 0 => {
                waiter.set_waker(cx.waker());
                // SAFETY: the waiter is pinned and not queued, and it leaves the list before it is dropped.
                unsafe { this.shared.park(waiter) }
            }
            State::Idle | State::Granted | State::Closed => false,
        };
        if waits {
            current::waits(Reason::WaitGroupWait, this.at);
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

impl fmt::Debug for Wait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait").field("waiter", &self.waiter.state()).finish_non_exhaustive()
    }
}

/// One thing to be done, from [`WaitGroup::token`]: dropping it says that it is done.
///
/// # Examples
///
/// ```
/// let wg = gorust_sync::WaitGroup::new();
/// let token = wg.token();
/// assert_eq!(format!("{wg:?}"), "WaitGroup { count: 1 }");
/// drop(token);
/// assert_eq!(format!("{wg:?}"), "WaitGroup { count: 0 }");
/// ```
#[must_use = "dropping a token says that its work is done"]
pub struct Token {
    shared: Arc<Shared>,
}

impl Drop for Token {
    fn drop(&mut self) {
        let was_counted = self.shared.done();
        debug_assert!(was_counted, "more calls of `done` than of `add`");
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("count", &self.shared.count()).finish()
    }
}

pin_project! {
    /// A future and the token it holds until it ends.
    struct Counted<F> {
        // Subtle: dropped before the token, also when it has completed: what it holds is gone when it is said to
        // be done.
        #[pin]
        future: Option<F>,
        token: Option<Token>,
    }
}

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else { panic!("polled after it was ready") };
        let output = ready!(future.poll(cx));
        this.future.set(None);
        *this.token = None;
        Poll::Ready(output)
    }
}

#[cfg(test)]
mod model {
    use super::*;
    use crate::testing::{Fragile, block_on};
    use gorust_primitives::shim::{model, mutant_is_caught, spin_loop, thread};
    use std::task::Waker;

    /// Two finish; whoever waits is released after both, and sees what they did.
    fn two_finish() {
        use gorust_primitives::shim::{Arc, UnsafeCell};
        struct Work(UnsafeCell<u32>);
        // SAFETY: written before `done`, read after `wait`: that is what the model is about.
        unsafe impl Sync for Work {}
        let wg = WaitGroup::new();
        let work = Arc::new([Work(UnsafeCell::new(0)), Work(UnsafeCell::new(0))]);
        let workers: Vec<_> = (0..2)
            .map(|index| {
                let (token, work) = (Fragile::new(wg.token()), Arc::clone(&work));
                thread::spawn(move || {
                    // SAFETY: this thread's own cell.
                    work[index].0.with_mut(|cell| unsafe { *cell = 1 });
                    drop(token);
                })
            })
            .collect();
        block_on(wg.wait());
        for cell in &*work {
            // SAFETY: the worker is done with it.
            assert_eq!(cell.0.with(|cell| unsafe { *cell }), 1);
        }
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    }

    /// The counter comes to zero and the next round begins at once. Who waited for the first is released, who
    /// waits for the second is not.
    fn two_rounds() {
        let wg = WaitGroup::new();
        wg.add(1);
        let mut cx = Context::from_waker(Waker::noop());
        let mut first = Fragile::new(Box::pin(wg.wait()));
        assert!(first.as_mut().poll(&mut cx).is_pending());
        let last = {
            let wg = wg.clone();
            thread::spawn(move || wg.done())
        };
        while wg.shared.count() > 0 {
            spin_loop();
        }
        wg.add(1);
        let mut second = Fragile::new(Box::pin(wg.wait()));
        assert!(second.as_mut().poll(&mut cx).is_pending());
        last.join().unwrap();
        assert!(first.as_mut().poll(&mut cx).is_ready());
        assert!(second.as_mut().poll(&mut cx).is_pending(), "released by the round before");
    }

    /// One who waits is dropped while the last is done; the other one is released all the same.
    fn one_leaves() {
        let wg = WaitGroup::new();
        wg.add(1);
        let mut leaver = Box::pin(wg.wait());
        assert!(leaver.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let last = {
            let wg = wg.clone();
            thread::spawn(move || wg.done())
        };
        drop(leaver);
        block_on(wg.wait());
        last.join().unwrap();
    }

    fn explore(name: &str, body: impl Fn() + Sync + Send + 'static) {
        let executions = model(body);
        println!("wait_group, {name}: {executions} executions");
        assert!(executions > 1);
    }

    #[test]
    fn wait_is_released_by_the_last() {
        explore("two finish", two_finish);
    }

    #[test]
    fn a_round_releases_its_own() {
        explore("two rounds", two_rounds);
    }

    #[test]
    fn one_who_leaves_holds_back_nobody() {
        explore("one leaves", one_leaves);
    }

    #[test]
    fn a_zero_outside_the_lock_is_caught() {
        assert!(mutant_is_caught("wait_group.zero_before_the_lock", two_rounds));
    }
}

#[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
mod tests {
    use super::*;
    use crate::testing::{Task, on_workers, poll};
    use std::mem::size_of;

    #[test]
    fn the_sizes_are_as_said() {
        assert_eq!((size_of::<WaitGroup>(), size_of::<Wait<'_>>(), size_of::<Token>()), (8, 48, 8));
    }

    #[test]
    fn wait_is_ready_at_zero() {
        let wg = WaitGroup::new();
        assert_eq!(poll(&mut Box::pin(wg.wait())), Poll::Ready(()));
        wg.add(2);
        wg.done();
        wg.done();
        assert_eq!(poll(&mut Box::pin(wg.wait())), Poll::Ready(()));
        assert_eq!(format!("{wg:?}"), "WaitGroup { count: 0 }");
    }

    #[test]
    fn the_last_done_releases_all_and_wakes_each_once() {
        let wg = WaitGroup::new();
        let task = Task::default();
        wg.add(2);
        let mut waits: Vec<_> = (0..100).map(|_| Box::pin(wg.wait())).collect();
        waits.iter_mut().for_each(|wait| assert!(task.poll(wait).is_pending()));
        waits.iter_mut().for_each(|wait| assert!(task.poll(wait).is_pending()));
        wg.done();
        assert_eq!(task.wakes(), 0);
        wg.done();
        assert_eq!(task.wakes(), 100);
        // The next round has begun before anybody looked.
        wg.add(1);
        waits.iter_mut().for_each(|wait| assert!(poll(wait).is_ready()));
        waits.iter_mut().for_each(|wait| assert!(poll(wait).is_ready()));
    }

    #[test]
    fn wait_dropped_at_any_time_holds_back_nobody() {
        let wg = WaitGroup::new();
        let task = Task::default();
        wg.add(1);
        drop(Box::pin(wg.wait()));
        let (mut leaves, mut stays) = (Box::pin(wg.wait()), Box::pin(wg.wait()));
        assert!(task.poll(&mut leaves).is_pending() && task.poll(&mut stays).is_pending());
        drop(leaves);
        wg.done();
        assert_eq!(task.wakes(), 1);
        drop(stays);
        wg.add(1);
        let mut only = Box::pin(wg.wait());
        assert!(task.poll(&mut only).is_pending());
        drop(only);
        // Ordering: Relaxed, one thread.
        assert_eq!(wg.shared.state.load(Ordering::Relaxed), ONE, "nobody waits any more");
        wg.done();
        assert_eq!(task.wakes(), 1);
    }

    #[test]
    fn another_waker_takes_over() {
        let wg = WaitGroup::new();
        let (old, new) = (Task::default(), Task::default());
        wg.add(1);
        let mut wait = Box::pin(wg.wait());
        assert!(old.poll(&mut wait).is_pending() && new.poll(&mut wait).is_pending());
        wg.done();
        assert_eq!((old.wakes(), new.wakes()), (0, 1));
    }

    #[test]
    fn a_group_may_be_used_by_those_it_wakes() {
        struct Adds(WaitGroup);
        impl std::task::Wake for Adds {
            fn wake(self: Arc<Self>) {
                self.0.add(1);
                self.0.done();
            }
        }
        let wg = WaitGroup::new();
        wg.add(1);
        let waker = std::task::Waker::from(Arc::new(Adds(wg.clone())));
        let mut wait = Box::pin(wg.wait());
        assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        wg.done();
        assert!(poll(&mut wait).is_ready());
    }

    #[test]
    #[should_panic(expected = "negative WaitGroup counter")]
    fn done_without_add_panics() {
        let wg = WaitGroup::new();
        wg.add(1);
        wg.done();
        wg.done();
    }

    #[test]
    #[should_panic(expected = "WaitGroup counter overflow")]
    fn too_much_panics() {
        let wg = WaitGroup::new();
        for _ in 0..4 {
            wg.add(MAX);
        }
    }

    #[test]
    fn a_misuse_leaves_the_group_usable() {
        let wg = WaitGroup::new();
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| wg.done()));
        assert!(caught.is_err());
        let token = wg.token();
        let mut wait = Box::pin(wg.wait());
        assert!(poll(&mut wait).is_pending());
        drop(token);
        assert!(poll(&mut wait).is_ready());
    }

    #[test]
    fn go_counts_until_the_goroutine_has_ended_however_it_ends() {
        let wg = WaitGroup::new();
        let returned = wg.go(async { 1 });
        let aborted = wg.go(std::future::pending::<()>());
        let panicked = wg.go(async { panic!("seen by its handle") });
        aborted.abort();
        gorust_scheduler::block_on(async {
            wg.wait().await;
            assert_eq!(returned.await.unwrap(), 1);
            assert!(aborted.await.unwrap_err().is_canceled());
            assert!(panicked.await.unwrap_err().is_panic());
        });
    }

    #[test]
    fn what_a_goroutine_holds_is_dropped_before_it_counts_as_done() {
        struct Held(WaitGroup);
        impl Drop for Held {
            fn drop(&mut self) {
                assert_eq!(self.0.shared.count(), 1);
            }
        }
        let wg = WaitGroup::new();
        let held = Held(wg.clone());
        let aborted = wg.go(async move {
            std::future::pending::<()>().await;
            drop(held);
        });
        aborted.abort();
        gorust_scheduler::block_on(wg.wait());
    }

    /// Rounds that begin while those of the round before are still waking up.
    #[test]
    fn rounds_follow_each_other_however_many_workers_there_are() {
        on_workers(|| async {
            let (wg, all) = (WaitGroup::new(), WaitGroup::new());
            for _ in 0..100 {
                for _ in 0..8 {
                    wg.go(gorust_scheduler::yield_now());
                    let wg = wg.clone();
                    all.go(async move {
                        let mut gives_up = Box::pin(wg.wait());
                        let _ = poll(&mut gives_up);
                        drop(gives_up);
                        wg.wait().await;
                    });
                }
                wg.wait().await;
            }
            all.wait().await;
            assert_eq!((wg.shared.count(), all.shared.count()), (0, 0));
        });
    }

    /// Rounds without a pause: many finish, many wait, and nobody is left behind.
    #[test]
    fn rounds_follow_each_other() {
        let wg = WaitGroup::new();
        for _ in 0..200 {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    let token = wg.token();
                    let wg = wg.clone();
                    std::thread::spawn(move || {
                        drop(token);
                        gorust_scheduler::block_on(wg.wait());
                    })
                })
                .collect();
            gorust_scheduler::block_on(wg.wait());
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        }
    }
}

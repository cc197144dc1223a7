//! Doing the same thing once for all who want it at the same time.

use gorust_primitives::{
    current::{self, Reason},
    shim::{Lock, mutant},
    wait_list::{Broadcast, State, Waiter, keep_waiting, wake_in_batches},
};
use gorust_scheduler::AbortHandle;
use pin_project_lite::pin_project;
use std::{
    any::Any,
    collections::HashMap,
    fmt,
    future::Future,
    hash::Hash,
    panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind},
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};

/// Makes calls of the same key that come at the same time into one: the first one's future runs, in a goroutine of its
/// own, and all who wait get a clone of what it returns.
///
/// Nobody who waits matters to the others: the first may be dropped, too. When the last one is, the call is dropped.
/// Nothing is kept once a call is over: this is no cache.
///
/// A clone is the same flight. Keys are hashed and compared under a lock, so that should be quick.
///
/// # Go
///
/// `golang.org/x/sync/singleflight.Group`. There the call runs in the first caller's goroutine, and goes on when nobody
/// waits any more.
///
/// # Examples
///
/// ```
/// use gorust_sync::Flight;
///
/// gorust_scheduler::block_on(async {
///     let flight = Flight::new();
///     let fetch = |n: u32| flight.run("key", async move { gorust_scheduler::yield_now().await; n });
///     let (one, other) = (gorust_scheduler::go(fetch(1)), gorust_scheduler::go(fetch(2)));
///     let ((one, _shared), (other, _)) = (one.await.unwrap(), other.await.unwrap());
///     println!("{one} and {other}: the same, if they came at the same time");
/// });
/// ```
pub struct Flight<K, V> {
    calls: Arc<Calls<K, V>>,
}

type Calls<K, V> = Lock<HashMap<K, Arc<Call<V>>>>;

/// A call in flight, or one that is over and has yet to be taken note of.
struct Call<V> {
    /// Set once, when it is over.
    outcome: OnceLock<Result<V, Failure>>,
    state: Lock<CallState>,
}

#[derive(Default)]
struct CallState {
    /// Those who have joined and have neither left nor seen the outcome.
    joined: usize,
    /// More than one ever joined.
    is_shared: bool,
    /// The last one left before it was over. Nobody joins any more.
    is_abandoned: bool,
    abort: Option<AbortHandle>,
    waiters: Broadcast,
}

/// Why a call has no value, in words for all who wait.
#[derive(Clone)]
enum Failure {
    Panicked(String),
    Dropped,
}

impl<K, V> Flight<K, V> {
    /// Creates one with no calls in flight.
    ///
    /// # Examples
    ///
    /// ```
    /// let flight = gorust_sync::Flight::<String, u32>::new();
    /// assert_eq!(format!("{flight:?}"), "Flight { calls: 0 }");
    /// ```
    pub fn new() -> Self {
        Self { calls: Arc::new(Lock::new(HashMap::new())) }
    }
}

impl<K: Hash + Eq + Clone + Send + 'static, V: Clone + Send + Sync + 'static> Flight<K, V> {
    /// Waits for the call of this key that is in flight, or starts one with `future`. Returns what it returned, and
    /// whether others wanted it as well. `future` is dropped unpolled if there is a call.
    ///
    /// It begins when it is first polled.
    ///
    /// # Panics
    ///
    /// If the call panicked, with its words; everybody who waits for it does. (It was printed when it happened. If nobody
    /// waits, the runtime's [`PanicPolicy`](gorust_scheduler::PanicPolicy) applies.) If the call was dropped with its
    /// runtime. If the global runtime must be started and cannot be.
    ///
    /// # Cancel safety
    ///
    /// Dropped before the first poll: nothing has happened. Dropped while it waits or when the call is over: the others are
    /// not touched; the last one takes the call along.
    ///
    /// # Go
    ///
    /// `g.Do(key, f)`
    ///
    /// # Examples
    ///
    /// ```
    /// # gorust_scheduler::block_on(async {
    /// let flight = gorust_sync::Flight::new();
    /// assert_eq!(flight.run("key", async { 7 }).await, (7, false));
    /// # });
    /// ```
    #[track_caller]
    pub fn run<F>(&self, key: K, future: F) -> FlightRun<K, V, F>
    where
        F: Future<Output = V> + Send + 'static,
    {
        FlightRun {
            calls: Arc::clone(&self.calls),
            start: Some((key, future)),
            call: None,
            at: Location::caller(),
            waiter: Waiter::new(()),
        }
    }

    /// Lets the next call of this key start anew, even while one is in flight. Those who wait for that go on waiting.
    ///
    /// # Go
    ///
    /// `g.Forget(key)`
    ///
    /// # Examples
    ///
    /// ```
    /// gorust_sync::Flight::<_, u32>::new().forget(&"key");
    /// ```
    pub fn forget(&self, key: &K) {
        let forgotten = self.calls.lock().remove_entry(key);
        drop(forgotten);
    }
}

impl<K, V> Clone for Flight<K, V> {
    fn clone(&self) -> Self {
        Self { calls: Arc::clone(&self.calls) }
    }
}

impl<K, V> Default for Flight<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> fmt::Debug for Flight<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls = self.calls.lock().len();
        f.debug_struct("Flight").field("calls", &calls).finish()
    }
}

impl<V> Call<V> {
    /// A call that one has joined.
    fn new() -> Self {
        let state = CallState { joined: 1, ..CallState::default() };
        Self { outcome: OnceLock::new(), state: Lock::new(state) }
    }

    /// Joins, unless the call was abandoned.
    fn join(&self) -> bool {
        let mut state = self.state.lock();
        if state.is_abandoned && !mutant("flight.join_the_abandoned") {
            return false;
        }
        state.joined += 1;
        state.is_shared = true;
        true
    }

    /// One has gone without the outcome. The last one abandons the call, if it is not over.
    fn leave(&self) {
        let mut state = self.state.lock();
        state.joined -= 1;
        let is_last = state.joined == 0 && self.outcome.get().is_none();
        state.is_abandoned |= is_last;
        let abort = state.abort.take_if(|_| is_last);
        drop(state);
        abort.iter().for_each(AbortHandle::abort);
    }

    /// The call is over: all who wait are released.
    fn finish(&self) {
        self.state.lock().waiters.release();
        wake_in_batches(|| self.state.lock(), |state, wakers| state.waiters.take_released(wakers));
    }

    /// Lets `waiter` wait, unless the call is over. Returns whether it waits.
    ///
    /// # Safety
    ///
    /// As for `WaitList::push_back`.
    unsafe fn park(&self, waiter: Pin<&Waiter>) -> bool {
        let mut state = self.state.lock();
        // The outcome is set before `finish` takes this lock.
        let waits = self.outcome.get().is_none();
        if waits {
            // SAFETY: our caller's promise.
            unsafe { state.waiters.push_back(waiter) };
        }
        waits
    }
}

pin_project! {
    /// The future of [`Flight::run`].
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct FlightRun<K, V, F> {
        calls: Arc<Calls<K, V>>,
        // None once it has joined a call.
        start: Option<(K, F)>,
        // None before, and once it has the outcome.
        call: Option<Arc<Call<V>>>,
        at: &'static Location<'static>,
        #[pin]
        waiter: Waiter,
    }

    impl<K, V, F> PinnedDrop for FlightRun<K, V, F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Some(call) = this.call.take() {
                if this.waiter.state() == State::Queued {
                    // SAFETY: the waiter is in this list or in none.
                    unsafe { call.state.lock().waiters.remove(this.waiter.as_ref()) };
                }
                call.leave();
            }
        }
    }
}

impl<K, V, F> FlightRun<K, V, F>
where
    K: Hash + Eq + Clone + Send + 'static,
    V: Clone + Send + Sync + 'static,
    F: Future<Output = V> + Send + 'static,
{
    /// Joins the call in flight, or starts one.
    fn join(calls: &Arc<Calls<K, V>>, key: K, future: F, at: &'static Location<'static>) -> Arc<Call<V>> {
        let own_key = key.clone();
        let mut map = calls.lock();
        if let Some(call) = map.get(&key)
            && call.join()
        {
            let call = Arc::clone(call);
            drop(map);
            return call;
        }
        let abandoned = map.remove_entry(&key);
        let call = Arc::new(Call::new());
        map.insert(own_key, Arc::clone(&call));
        drop(map);
        drop(abandoned);
        let exit = Exit { calls: Arc::clone(calls), key: Some(key), call: Arc::clone(&call) };
        let handle = gorust_scheduler::go_at(Leader { future: Some(future), exit }, at);
        call.state.lock().abort = Some(handle.abort_handle());
        call
    }
}

impl<K, V, F> Future for FlightRun<K, V, F>
where
    K: Hash + Eq + Clone + Send + 'static,
    V: Clone + Send + Sync + 'static,
    F: Future<Output = V> + Send + 'static,
{
    type Output = (V, bool);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<(V, bool)> {
        ready!(current::poll_proceed(cx));
        let this = self.project();
        if let Some((key, future)) = this.start.take() {
            *this.call = Some(Self::join(this.calls, key, future, this.at));
        }
        let call = this.call.as_ref().expect("a run was polled after it had completed");
        let waiter = this.waiter.as_ref();
        let waits = match waiter.state() {
            State::Queued => {
                // SAFETY: the waiter is queued here or not at all.
                let state = unsafe {
                    keep_waiting(|| call.state.lock(), |state| state.waiters.any(), waiter, cx.waker())
                };
                state == State::Queued
            }
            State::Idle if call.outcome.get().is_none() => {
                waiter.set_waker(cx.waker());
                // SAFETY: the waiter is pinned and not queued, and it leaves the list before it is dropped.
                unsafe { call.park(waiter) }
            }
            State::Idle | State::Granted | State::Closed => false,
        };
        if waits {
            current::waits(Reason::Join, this.at);
            return Poll::Pending;
        }
        let call = this.call.take().expect("it was there a moment ago");
        let is_shared = call.state.lock().is_shared;
        match call.outcome.get().expect("who is released finds the outcome") {
            Ok(value) => Poll::Ready((value.clone(), is_shared)),
            // Not printed again.
            Err(Failure::Panicked(words)) => resume_unwind(Box::new(words.clone())),
            Err(Failure::Dropped) => panic!("a call was dropped with its runtime"),
        }
    }
}

impl<K, V, F> fmt::Debug for FlightRun<K, V, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlightRun").field("waiter", &self.waiter.state()).finish_non_exhaustive()
    }
}

/// Ends a call when it is dropped, however that comes about.
struct Exit<K: Hash + Eq, V> {
    calls: Arc<Calls<K, V>>,
    key: Option<K>,
    call: Arc<Call<V>>,
}

impl<K: Hash + Eq, V> Drop for Exit<K, V> {
    fn drop(&mut self) {
        let key = self.key.take().expect("it is dropped once");
        let mut calls = self.calls.lock();
        // It may have been forgotten or abandoned, and another be in its place.
        let is_own = calls.get(&key).is_some_and(|call| Arc::ptr_eq(call, &self.call));
        let entry = if is_own { calls.remove_entry(&key) } else { None };
        drop(calls);
        drop((entry, key));
        // An error says that it has one.
        let _ = self.call.outcome.set(Err(Failure::Dropped));
        self.call.finish();
    }
}

pin_project! {
    /// The goroutine that makes the call.
    struct Leader<K, V, F>
    where
        K: Hash,
        K: Eq,
    {
        // Dropped before the exit: what it holds is gone when the call is over.
        #[pin]
        future: Option<F>,
        exit: Exit<K, V>,
    }
}

impl<K: Hash + Eq, V, F: Future<Output = V>> Future for Leader<K, V, F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else { panic!("polled after it was ready") };
        let outcome = match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(polled) => Ok(ready!(polled)),
            // Nobody would see it: it is the runtime's then.
            Err(payload) if this.exit.call.state.lock().joined == 0 => resume_unwind(payload),
            Err(payload) => Err(Failure::Panicked(words(&*payload))),
        };
        this.future.set(None);
        // It is set once: by this, or by the exit that comes after it.
        let _ = this.exit.call.outcome.set(outcome);
        Poll::Ready(())
    }
}

/// What a panic says, if it is a text.
fn words(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("the call panicked").to_owned()
}

#[cfg(test)]
mod model {
    use super::*;
    use crate::testing::Fragile;
    use gorust_primitives::shim::{model, mutant_is_caught, thread};

    /// The last one leaves while another joins: it joins a call that goes on, or none.
    fn leave_meets_join() {
        let call = Arc::new(Fragile::new(Call::<u32>::new()));
        let leaver = {
            let call = Arc::clone(&call);
            thread::spawn(move || call.leave())
        };
        let has_joined = call.join();
        leaver.join().unwrap();
        assert_ne!(has_joined, call.state.lock().is_abandoned, "joined what was abandoned");
    }

    #[test]
    fn nobody_joins_what_was_abandoned() {
        let executions = model(leave_meets_join);
        println!("flight: {executions} executions");
        assert!(executions > 1);
    }

    #[test]
    fn joining_the_abandoned_is_caught() {
        assert!(mutant_is_caught("flight.join_the_abandoned", leave_meets_join));
    }
}

#[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
mod tests {
    use super::*;
    use crate::{
        WaitGroup,
        chan::chan,
        testing::{Task, on_workers, waiting},
    };
    use gorust_scheduler::{block_on, go, yield_now};
    use std::{
        future::pending,
        // Std's: plain counters.
        sync::atomic::{AtomicUsize, Ordering::SeqCst},
    };

    #[test]
    fn one_who_comes_alone_shares_with_nobody() {
        block_on(async {
            let flight = Flight::default();
            for n in 0..3 {
                assert_eq!(flight.run("key", async move { n }).await, (n, false));
            }
            assert_eq!(format!("{flight:?}"), "Flight { calls: 0 }");
        });
    }

    #[test]
    fn those_who_come_meanwhile_share_one_call() {
        let flight = Flight::new();
        let task = Task::default();
        let (tx, rx) = chan(0);
        let mut runs = vec![waiting(flight.run(1, async move { rx.recv().await.unwrap() }), &task)];
        let mut others: Vec<_> = (0..40)
            .map(|_| waiting(flight.run(1, async { unreachable!("there is a call") }), &task))
            .collect();
        assert_eq!(block_on(flight.run(2, async { 5 })), (5, false), "another key");
        block_on(tx.send(7)).unwrap();
        runs.drain(..).for_each(|run| assert_eq!(block_on(run), (7, true)));
        others.drain(..).for_each(|run| assert_eq!(block_on(run), (7, true)));
    }

    #[test]
    fn the_first_may_be_dropped() {
        let flight = Flight::new();
        let task = Task::default();
        let (tx, rx) = chan(0);
        drop(flight.run((), async { unreachable!("it was not polled") }));
        let first = waiting(flight.run((), async move { rx.recv().await.unwrap() }), &task);
        let second = waiting(flight.run((), pending()), &task);
        drop(first);
        block_on(tx.send(7)).unwrap();
        assert_eq!(block_on(second), (7, true));
    }

    #[test]
    fn the_last_one_takes_the_call_along() {
        let flight = Flight::new();
        let task = Task::default();
        let held = Arc::new(());
        let holds = Arc::clone(&held);
        let call = async move {
            pending::<()>().await;
            drop(holds);
        };
        let first = waiting(flight.run((), call), &task);
        let second = waiting(flight.run((), pending()), &task);
        drop(first);
        assert_eq!(Arc::strong_count(&held), 2);
        drop(second);
        // The next one does not join what was abandoned.
        assert_eq!(block_on(flight.run((), async {})), ((), false));
        while Arc::strong_count(&held) > 1 {
            std::thread::yield_now();
        }
    }

    #[test]
    fn dropped_when_the_call_is_over_touches_nobody() {
        let flight = Flight::new();
        let task = Task::default();
        let (tx, rx) = chan::<()>(0);
        let call = async move {
            rx.recv().await;
            7
        };
        let released = waiting(flight.run((), call), &task);
        drop(tx);
        while task.wakes() == 0 {
            std::thread::yield_now();
        }
        drop(released);
        assert_eq!(block_on(flight.run((), async { 8 })), (8, false));
    }

    #[test]
    fn what_is_forgotten_goes_on_beside_the_next() {
        let flight = Flight::new();
        let task = Task::default();
        let (tx, rx) = chan(0);
        let first = waiting(flight.run("key", async move { rx.recv().await.unwrap() }), &task);
        flight.forget(&"key");
        let (next_tx, next_rx) = chan(0);
        let second = waiting(flight.clone().run("key", async move { next_rx.recv().await.unwrap() }), &task);
        block_on(tx.send(1)).unwrap();
        assert_eq!(block_on(first), (1, false));
        // The end of the first did not take the second out.
        let third = waiting(flight.run("key", pending()), &task);
        block_on(next_tx.send(2)).unwrap();
        assert_eq!((block_on(second), block_on(third)), ((2, true), (2, true)));
    }

    #[test]
    fn a_panic_is_seen_by_everybody() {
        let flight = Flight::<_, u32>::new();
        let task = Task::default();
        let (tx, rx) = chan::<()>(0);
        let call = async move {
            rx.recv().await;
            panic!("on purpose")
        };
        let run = waiting(flight.run((), call), &task);
        let other = waiting(flight.run((), pending()), &task);
        drop(tx);
        fn words(run: Pin<Box<impl Future<Output = (u32, bool)>>>) -> String {
            let raised = catch_unwind(AssertUnwindSafe(|| block_on(run))).unwrap_err();
            *raised.downcast().unwrap()
        }
        assert_eq!((words(run), words(other)), ("on purpose".into(), "on purpose".into()));
        assert_eq!(block_on(flight.run((), async { 1 })), (1, false));
    }

    #[test]
    fn many_share_and_many_give_up() {
        on_workers(|| async {
            let flight = Flight::new();
            let calls = Arc::new(AtomicUsize::new(0));
            let wg = WaitGroup::new();
            for id in 0..32_usize {
                let (flight, calls) = (flight.clone(), Arc::clone(&calls));
                wg.go(async move {
                    for round in 0..50 {
                        let key = (id + round) % 3;
                        let calls = Arc::clone(&calls);
                        let make = move || {
                            let calls = Arc::clone(&calls);
                            async move {
                                calls.fetch_add(1, SeqCst);
                                yield_now().await;
                                key
                            }
                        };
                        if (id + round) % 4 == 0 {
                            let mut gives_up = Box::pin(flight.run(key, make()));
                            let _ = crate::testing::poll(&mut gives_up);
                        } else {
                            assert_eq!(flight.run(key, make()).await.0, key);
                        }
                    }
                });
            }
            wg.wait().await;
            assert!(calls.load(SeqCst) > 0);
            // Those that were abandoned end by themselves.
            go(yield_now()).await.unwrap();
        });
    }
}

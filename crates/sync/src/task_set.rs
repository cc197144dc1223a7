//! Goroutines whose results are taken as they finish, and that end with their set.

use crate::children::Children;
use gorust_primitives::{
    current::{self, Reason},
    shim::{Lock, mutant},
    wait_list,
};
use gorust_scheduler::{AbortHandle, JoinError, JoinHandle};
use pin_project_lite::pin_project;
use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    mem,
    panic::Location,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

/// Starts goroutines and hands out their results in the order they finish. Dropping it aborts those that run.
///
/// For goroutines that may fail and are to fail together, there is [`Group`](crate::Group); to wait for them without
/// results, [`WaitGroup`](crate::WaitGroup).
///
/// # Go
///
/// Goroutines that send their results to one channel. Go has no way to end them from outside.
///
/// # Examples
///
/// ```
/// use gorust_sync::TaskSet;
///
/// gorust_scheduler::block_on(async {
///     let mut set = TaskSet::new();
///     for n in 1..=3 {
///         set.go(async move { n * n });
///     }
///     let mut sum = 0;
///     while let Some(square) = set.join_next().await {
///         sum += square.unwrap();
///     }
///     assert_eq!(sum, 14);
/// });
/// ```
pub struct TaskSet<T> {
    /// None while the goroutine is being started.
    handles: Lock<Children<Option<JoinHandle<T>>>>,
    finished: Arc<Finished>,
    /// One that has finished and is about to have its result.
    joining: Option<JoinHandle<T>>,
}

/// The places of those that have finished, in that order.
#[derive(Default)]
struct Finished {
    line: Lock<Line>,
}

#[derive(Default)]
struct Line {
    places: VecDeque<u32>,
    waker: Option<Waker>,
}

impl Finished {
    fn push(&self, place: u32) {
        let mut line = self.line.lock();
        line.places.push_back(place);
        let waker = line.waker.take();
        drop(line);
        waker.into_iter().for_each(wait_list::wake);
    }

    /// Takes the first place, or makes sure that `waker` is woken when there is one.
    fn poll_pop(&self, waker: &Waker) -> Poll<u32> {
        let look = |waker: Option<Waker>| {
            let mut line = self.line.lock();
            let place = if mutant("task_set.wait_without_a_look") && waker.is_some() {
                None
            } else {
                line.places.pop_front()
            };
            let old = match (place, waker) {
                (None, Some(waker)) => line.waker.replace(waker),
                _ => None,
            };
            drop(line);
            drop(old);
            place
        };
        // A waker is cloned before the lock, so only if it looks as if one were needed.
        match look(None).or_else(|| look(Some(waker.clone()))) {
            Some(place) => Poll::Ready(place),
            None => Poll::Pending,
        }
    }
}

impl<T> TaskSet<T> {
    /// Creates an empty set.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(gorust_sync::TaskSet::<()>::new().is_empty());
    /// ```
    pub fn new() -> Self {
        Self { handles: Lock::new(Children::new()), finished: Arc::default(), joining: None }
    }

    /// Starts a goroutine in the set.
    ///
    /// # Panics
    ///
    /// If the global runtime must be started and cannot be.
    ///
    /// # Examples
    ///
    /// ```
    /// # gorust_scheduler::block_on(async {
    /// let mut set = gorust_sync::TaskSet::new();
    /// set.go(async { 1 }).abort();
    /// assert!(set.join_next().await.is_some());
    /// # });
    /// ```
    #[track_caller]
    pub fn go<F>(&self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let place = self.handles.lock().insert(None);
        let exit = Exit { place, finished: Arc::clone(&self.finished) };
        let handle = gorust_scheduler::go(Member { future: Some(future), exit: Some(exit) });
        let abort = handle.abort_handle();
        *self.handles.lock().get_mut(place) = Some(handle);
        abort
    }

    /// Returns the result of the next goroutine that finishes; `None` if there is none in the set.
    ///
    /// # Cancel safety
    ///
    /// *Strict.* Dropped before the first poll, while it waits, or when a result is near: the result stays in the set.
    ///
    /// # Examples
    ///
    /// ```
    /// # gorust_scheduler::block_on(async {
    /// let mut set = gorust_sync::TaskSet::new();
    /// set.go(async { 1 });
    /// assert_eq!(set.join_next().await.unwrap().unwrap(), 1);
    /// assert!(set.join_next().await.is_none());
    /// # });
    /// ```
    #[track_caller]
    pub fn join_next(&mut self) -> JoinNext<'_, T> {
        JoinNext { set: self, at: Location::caller() }
    }

    /// Waits for all goroutines in the set, and returns their results in the order they finished.
    ///
    /// # Cancel safety
    ///
    /// *Loses value*: dropped while it waits, the results it has gathered go with it; the others stay in the set. Dropped
    /// before the first poll: nothing has happened.
    ///
    /// # Examples
    ///
    /// ```
    /// # gorust_scheduler::block_on(async {
    /// let mut set = gorust_sync::TaskSet::new();
    /// (1..=3).for_each(|n| drop(set.go(async move { n })));
    /// let sum: i32 = set.join_all().await.into_iter().map(Result::unwrap).sum();
    /// assert_eq!(sum, 6);
    /// # });
    /// ```
    #[track_caller]
    pub fn join_all(&mut self) -> JoinAll<'_, T> {
        JoinAll { next: self.join_next(), results: Vec::new() }
    }

    /// Asks all goroutines in the set to end. Their results, most of them canceled, stay to be taken.
    ///
    /// # Examples
    ///
    /// ```
    /// # gorust_scheduler::block_on(async {
    /// let mut set = gorust_sync::TaskSet::new();
    /// set.go(std::future::pending::<()>());
    /// set.abort_all();
    /// assert!(set.join_next().await.unwrap().unwrap_err().is_canceled());
    /// # });
    /// ```
    pub fn abort_all(&self) {
        let aborts: Vec<_> = {
            let handles = self.handles.lock();
            let handles = handles.range(0, usize::MAX).filter_map(Option::as_ref);
            handles.map(JoinHandle::abort_handle).collect()
        };
        aborts.iter().for_each(AbortHandle::abort);
    }

    /// Returns how many goroutines are in the set: those that run, and those whose results were not taken yet.
    ///
    /// # Examples
    ///
    /// ```
    /// let set = gorust_sync::TaskSet::new();
    /// set.go(async {});
    /// assert_eq!(set.len(), 1);
    /// ```
    pub fn len(&self) -> usize {
        self.handles.lock().len() + usize::from(self.joining.is_some())
    }

    /// Returns whether the set is empty.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(gorust_sync::TaskSet::<()>::new().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        at: &'static Location<'static>,
    ) -> Poll<Option<Result<T, JoinError>>> {
        ready!(current::poll_proceed(cx));
        if self.joining.is_none() {
            if self.handles.lock().is_empty() {
                return Poll::Ready(None);
            }
            let Poll::Ready(place) = self.finished.poll_pop(cx.waker()) else {
                current::waits(Reason::Join, at);
                return Poll::Pending;
            };
            self.joining = self.handles.lock().remove(place);
        }
        // It is about to have its result, if it has not.
        let handle = self.joining.as_mut().expect("what has finished was started");
        let result = ready!(Pin::new(handle).poll(cx));
        self.joining = None;
        Poll::Ready(Some(result))
    }
}

impl<T> Default for TaskSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for TaskSet<T> {
    fn drop(&mut self) {
        self.abort_all();
    }
}

impl<T> fmt::Debug for TaskSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskSet").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// The future of [`TaskSet::join_next`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct JoinNext<'a, T> {
    set: &'a mut TaskSet<T>,
    at: &'static Location<'static>,
}

impl<T> Future for JoinNext<'_, T> {
    type Output = Option<Result<T, JoinError>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let at = self.at;
        self.set.poll_next(cx, at)
    }
}

impl<T> fmt::Debug for JoinNext<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinNext").field("set", &self.set).finish_non_exhaustive()
    }
}

/// The future of [`TaskSet::join_all`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct JoinAll<'a, T> {
    next: JoinNext<'a, T>,
    results: Vec<Result<T, JoinError>>,
}

impl<T> Unpin for JoinAll<'_, T> {}

impl<T> Future for JoinAll<'_, T> {
    type Output = Vec<Result<T, JoinError>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        while let Some(result) = ready!(Pin::new(&mut this.next).poll(cx)) {
            this.results.push(result);
        }
        Poll::Ready(mem::take(&mut this.results))
    }
}

impl<T> fmt::Debug for JoinAll<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinAll").field("gathered", &self.results.len()).finish_non_exhaustive()
    }
}

/// Says that its goroutine has finished when it is dropped, however that comes about.
struct Exit {
    place: u32,
    finished: Arc<Finished>,
}

impl Drop for Exit {
    fn drop(&mut self) {
        self.finished.push(self.place);
    }
}

pin_project! {
    struct Member<F> {
        // Dropped before the exit: what it holds is gone when it has finished.
        #[pin]
        future: Option<F>,
        exit: Option<Exit>,
    }
}

impl<F: Future> Future for Member<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else { panic!("polled after it was ready") };
        let output = ready!(future.poll(cx));
        this.future.set(None);
        *this.exit = None;
        Poll::Ready(output)
    }
}

#[cfg(test)]
mod model {
    use super::*;
    use crate::testing::{Fragile, block_on};
    use gorust_primitives::shim::{model, mutant_is_caught, thread};

    /// One finishes while another waits for it.
    fn finish_meets_wait() {
        let finished = Arc::new(Fragile::new(Finished::default()));
        let finisher = {
            let finished = Arc::clone(&finished);
            thread::spawn(move || finished.push(7))
        };
        let place = block_on(std::future::poll_fn(|cx| finished.poll_pop(cx.waker())));
        assert_eq!(place, 7);
        finisher.join().unwrap();
    }

    #[test]
    fn one_that_finishes_is_seen() {
        let executions = model(finish_meets_wait);
        println!("task_set: {executions} executions");
        assert!(executions > 1);
    }

    #[test]
    fn waiting_without_a_look_is_caught() {
        assert!(mutant_is_caught("task_set.wait_without_a_look", finish_meets_wait));
    }
}

#[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
mod tests {
    use super::*;
    use crate::testing::{Task, on_workers};
    use gorust_scheduler::{block_on, go};
    use std::future::pending;

    #[test]
    fn results_come_in_the_order_they_are_ready() {
        block_on(async {
            let mut set = TaskSet::new();
            let (tx, rx) = crate::chan(0);
            set.go(async move { rx.recv().await.unwrap() });
            set.go(async { 1 });
            assert_eq!((set.len(), set.join_next().await.unwrap().unwrap()), (2, 1));
            tx.send(2).await.unwrap();
            assert_eq!(set.join_next().await.unwrap().unwrap(), 2);
            assert!(set.join_next().await.is_none() && set.is_empty());
        });
    }

    #[test]
    fn how_a_goroutine_ends_does_not_matter() {
        block_on(async {
            let mut set = TaskSet::new();
            set.go(async { 1 });
            set.go(async { panic!("seen by its set") });
            set.go(pending()).abort();
            let mut ends: Vec<_> = set
                .join_all()
                .await
                .into_iter()
                .map(|result| result.unwrap_or_else(|error| i32::from(error.is_panic()) * 2))
                .collect();
            ends.sort_unstable();
            assert_eq!(ends, [0, 1, 2]);
        });
    }

    #[test]
    fn dropping_the_set_ends_its_goroutines() {
        block_on(async {
            let held = Arc::new(());
            let set = TaskSet::new();
            let wg = crate::WaitGroup::new();
            for _ in 0..10 {
                let (held, token) = (Arc::clone(&held), wg.token());
                set.go(async move {
                    pending::<()>().await;
                    drop((held, token));
                });
            }
            drop(set);
            wg.wait().await;
            // The token goes after what is declared before it.
            while Arc::strong_count(&held) > 1 {
                gorust_scheduler::yield_now().await;
            }
        });
    }

    #[test]
    fn join_next_dropped_at_any_time_loses_no_result() {
        let mut set = TaskSet::new();
        let task = Task::default();
        let (tx, rx) = crate::chan(1);
        set.go(async move { rx.recv().await.unwrap() });
        drop(set.join_next());
        let mut waits = Box::pin(set.join_next());
        assert!(task.poll(&mut waits).is_pending());
        drop(waits);
        tx.try_send(7).unwrap();
        while task.wakes() == 0 {
            std::thread::yield_now();
        }
        // It is told that one has finished, and is dropped with that.
        let mut granted = Box::pin(set.join_next());
        let result = match task.poll(&mut granted) {
            Poll::Ready(result) => result,
            Poll::Pending => {
                drop(granted);
                block_on(set.join_next())
            }
        };
        assert_eq!(result.unwrap().unwrap(), 7);
    }

    #[test]
    fn a_set_may_be_filled_while_it_is_emptied() {
        on_workers(|| async {
            let mut set = TaskSet::new();
            (0..100_u64).for_each(|n| drop(set.go(async move { n })));
            let mut sum = 0;
            let mut more = 400;
            while let Some(result) = set.join_next().await {
                sum += result.unwrap();
                if more > 0 {
                    more -= 1;
                    set.go(async {
                        go(async {}).await.unwrap();
                        1
                    });
                }
            }
            assert_eq!(sum, 99 * 100 / 2 + 400);
        });
    }
}

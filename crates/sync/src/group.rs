//! Goroutines that belong together: the first error cancels the rest, and one waits for all.

use crate::{
    WaitGroup,
    chan::{OneReceiver, OneSender, oneshot},
    children::Children,
    context::{CancelHandle, Context, Run},
    wait_group::{Token, Wait},
};
use gorust_primitives::shim::Lock;
use gorust_scheduler::{AbortHandle, JoinError, JoinHandle};
use pin_project_lite::pin_project;
use std::{
    collections::VecDeque,
    error::Error,
    fmt,
    future::Future,
    mem,
    panic::Location,
    pin::Pin,
    sync::Arc,
    task::{self, Poll, ready},
};

/// Runs goroutines that may fail, and waits for all of them. The first that fails cancels the rest; so does dropping the
/// group.
///
/// How the rest is canceled depends on how the group was made:
///
/// * of [`new`](Self::new): their futures are dropped, at the `await` they wait in;
/// * of [`with_context`](Self::with_context): the context is done, as in Go, and they end when they like. Only dropping the
///   group drops them.
///
/// A goroutine that panics cancels the rest as well; the panic is printed at once, and raised again by
/// [`wait`](Self::wait).
///
/// # Go
///
/// `golang.org/x/sync/errgroup.Group`. There a group without a context cancels nothing, `Go` blocks at the limit, and a
/// panic ends the process.
///
/// # Examples
///
/// ```
/// use gorust_sync::Group;
///
/// gorust_scheduler::block_on(async {
///     let group = Group::new();
///     group.go(async { Ok(()) });
///     group.go(async { Err("no luck") });
///     group.go(std::future::pending()); // dropped when the other has failed
///     assert_eq!(group.wait().await, Err("no luck"));
/// });
/// ```
///
/// # Example: a context, and a limit
///
/// ```
/// use gorust_sync::{Context, Group};
///
/// # gorust_scheduler::block_on(async {
/// let (group, ctx) = Group::<std::io::Error>::with_context(&Context::background());
/// let group = group.limit(8);
/// for url in ["a", "b", "c"] {
///     let ctx = ctx.clone();
///     // Awaiting what `go` returns waits for a place below the limit.
///     group.go(async move {
///         let _ = ctx.run(async { println!("fetching {url}") }).await;
///         Ok(())
///     })
///     .await;
/// }
/// group.wait().await.unwrap();
/// # });
/// ```
pub struct Group<E: Send + 'static> {
    shared: Arc<Shared<E>>,
}

struct Shared<E> {
    /// Counts the goroutines, also those that wait for a place.
    running: WaitGroup,
    /// Done when the first has failed.
    context: Context,
    handle: CancelHandle,
    /// Whether its goroutines are dropped then.
    drops: bool,
    /// What the context's cause says of an error.
    describe: fn(&E) -> Box<dyn Error + Send + Sync>,
    /// The state, under a lock that is never held while anything of a stranger's is called or dropped.
    state: Lock<State<E>>,
}

struct State<E> {
    limit: usize,
    /// Goroutines that have a place below the limit.
    placed: usize,
    queue: VecDeque<Queued<E>>,
    /// Somebody starts those that wait; one who ends meanwhile leaves it to them.
    is_starting: bool,
    /// The group is gone.
    is_dropped: bool,
    handles: Children<Member>,
    /// How many were ever given to the group, which is the number of the next.
    count: usize,
    /// The errors, in the order they came, with the numbers of who failed.
    errors: Vec<(usize, E)>,
    /// Those that ended without a result.
    dropped: Vec<usize>,
    /// Those that ended without saying how: they panicked, or were aborted from outside.
    lost: VecDeque<(usize, JoinHandle<()>)>,
    /// The first panic among those.
    panic: Option<JoinError>,
}

/// A goroutine of the group that has not ended.
enum Member {
    /// Its handle is on the way here.
    Starting,
    Running(JoinHandle<()>),
    /// It ended before its handle came; whether it said how.
    Ended {
        is_lost: bool,
    },
}

/// One that waits for a place.
struct Queued<E> {
    number: usize,
    future: Pin<Box<dyn Future<Output = Result<(), E>> + Send>>,
    token: Token,
    started: OneSender<()>,
    /// Where it was given to the group.
    at: &'static Location<'static>,
}

impl<E: Send + 'static> Group<E> {
    /// Creates a group whose goroutines are dropped when one of them fails.
    ///
    /// # Examples
    ///
    /// ```
    /// # gorust_scheduler::block_on(async {
    /// let group = gorust_sync::Group::<String>::new();
    /// assert_eq!(group.wait().await, Ok(()));
    /// # });
    /// ```
    pub fn new() -> Self {
        Self::make(&Context::background(), true, |_| Box::from("a goroutine of the group failed")).0
    }

    /// Creates a group and a context that is done when one of its goroutines fails, when all have ended and were waited
    /// for, or when the group is dropped. Its cause tells the error.
    ///
    /// # Go
    ///
    /// `errgroup.WithContext(ctx)`. The context's cause has the error's text, since the error itself goes to who waits.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_sync::{Context, Group};
    /// # gorust_scheduler::block_on(async {
    /// let (group, ctx) = Group::with_context(&Context::background());
    /// group.go(async { Err("disk full") });
    /// ctx.done().await;
    /// assert_eq!(ctx.cause().unwrap().to_string(), "disk full");
    /// assert_eq!(group.wait().await, Err("disk full"));
    /// # });
    /// ```
    #[track_caller]
    pub fn with_context(parent: &Context) -> (Self, Context)
    where
        E: fmt::Display,
    {
        Self::make(parent, false, |error| Box::from(error.to_string()))
    }

    #[track_caller]
    fn make(
        parent: &Context,
        drops: bool,
        describe: fn(&E) -> Box<dyn Error + Send + Sync>,
    ) -> (Self, Context) {
        let (context, handle) = parent.with_cancel();
        let shared = Shared {
            running: WaitGroup::new(),
            context: context.clone(),
            handle,
            drops,
            describe,
            state: Lock::new(State {
                limit: usize::MAX,
                placed: 0,
                queue: VecDeque::new(),
                is_starting: false,
                is_dropped: false,
                handles: Children::new(),
                count: 0,
                errors: Vec::new(),
                dropped: Vec::new(),
                lost: VecDeque::new(),
                panic: None,
            }),
        };
        (Self { shared: Arc::new(shared) }, context)
    }

    /// Lets at most `limit` goroutines run at a time; the others wait in the group for a place.
    ///
    /// # Panics
    ///
    /// If the limit is 0: nothing could ever run.
    ///
    /// # Go
    ///
    /// `g.SetLimit(n)`, which may be 0 or negative there, and panics while goroutines run. Here it can come only before
    /// them.
    ///
    /// # Examples
    ///
    /// ```
    /// # gorust_scheduler::block_on(async {
    /// let group = gorust_sync::Group::<()>::new().limit(2);
    /// for _ in 0..10 {
    ///     group.go(async { Ok(()) });
    /// }
    /// group.wait().await.unwrap();
    /// # });
    /// ```
    #[must_use = "the group comes back"]
    #[track_caller]
    pub fn limit(self, limit: usize) -> Self {
        assert!(limit > 0, "a group with a limit of 0 would run nothing");
        self.shared.state.lock().limit = limit;
        self
    }

    /// Starts a goroutine in the group; at the limit, as soon as another one ends. Awaiting what it returns waits for
    /// that: back-pressure, for a loop that would otherwise fill memory with goroutines that wait.
    ///
    /// # Panics
    ///
    /// If the global runtime must be started and cannot be.
    ///
    /// # Go
    ///
    /// `g.Go(f)`, which blocks at the limit.
    ///
    /// # Examples
    ///
    /// ```
    /// # gorust_scheduler::block_on(async {
    /// let group = gorust_sync::Group::<()>::new().limit(1);
    /// for _ in 0..10 {
    ///     group.go(async { Ok(()) }).await; // never more than one runs and one waits
    /// }
    /// group.wait().await.unwrap();
    /// # });
    /// ```
    #[track_caller]
    pub fn go<F>(&self, future: F) -> Slot
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        match self.shared.enter() {
            Some((number, place)) => {
                let token = self.shared.running.token();
                let handle = gorust_scheduler::go(self.shared.member(number, place, token, future));
                self.shared.settle(number, place, handle);
                Slot { started: None }
            }
            None => Slot { started: Some(self.shared.enqueue(Box::pin(future))) },
        }
    }

    /// Starts a goroutine in the group if that is below its limit; returns whether it is. If not, the future is dropped.
    ///
    /// # Panics
    ///
    /// If the global runtime must be started and cannot be.
    ///
    /// # Go
    ///
    /// `g.TryGo(f)`
    ///
    /// # Examples
    ///
    /// ```
    /// # gorust_scheduler::block_on(async {
    /// let group = gorust_sync::Group::<()>::new().limit(1);
    /// assert!(group.try_go(std::future::pending()));
    /// assert!(!group.try_go(std::future::pending()));
    /// # });
    /// ```
    #[track_caller]
    pub fn try_go<F>(&self, future: F) -> bool
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        let Some((number, place)) = self.shared.enter() else { return false };
        let token = self.shared.running.token();
        let handle = gorust_scheduler::go(self.shared.member(number, place, token, future));
        self.shared.settle(number, place, handle);
        true
    }

    /// Waits until all goroutines of the group have ended, and returns the first error, in the order of time. A group of
    /// [`with_context`](Self::with_context) is over then; one of [`new`](Self::new) may be used again, unless it has failed.
    ///
    /// # Errors
    ///
    /// What the first that failed returned.
    ///
    /// # Panics
    ///
    /// If one of them panicked: with its payload, once all have ended.
    ///
    /// # Cancel safety
    ///
    /// *Strict.* Dropped before the first poll, while it waits, or when all have ended: the group goes on, and its errors
    /// stay in it.
    ///
    /// # Go
    ///
    /// `g.Wait()`. There it returns the same error each time; here who waits first has it.
    ///
    /// # Examples
    ///
    /// ```
    /// # gorust_scheduler::block_on(async {
    /// let group = gorust_sync::Group::new();
    /// group.go(async { Err(1) });
    /// assert_eq!(group.wait().await, Err(1));
    /// # });
    /// ```
    #[track_caller]
    pub fn wait(&self) -> GroupWait<'_, E> {
        GroupWait { end: self.end() }
    }

    /// Waits until all goroutines of the group have ended, and returns what each of them did, in the order they were
    /// given to the group. Those that were dropped because another one failed are left out.
    ///
    /// # Panics
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Cancel safety
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Go
    ///
    /// Go has none.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_sync::{Context, Group};
    /// # gorust_scheduler::block_on(async {
    /// let (group, _ctx) = Group::with_context(&Context::background());
    /// group.go(async { Ok(()) });
    /// group.go(async { Err("no luck") });
    /// assert_eq!(group.wait_all().await, [Ok(()), Err("no luck")]);
    /// # });
    /// ```
    #[track_caller]
    pub fn wait_all(&self) -> GroupWaitAll<'_, E> {
        GroupWaitAll { end: self.end() }
    }

    #[track_caller]
    fn end(&self) -> End<'_, E> {
        End { shared: &self.shared, idle: self.shared.running.wait(), lost: VecDeque::new() }
    }
}

impl<E: Send + 'static> Shared<E> {
    /// Gives out a number and a place below the limit, if there is one and nobody waits for it.
    fn enter(&self) -> Option<(usize, u32)> {
        let mut state = self.state.lock();
        if state.placed >= state.limit || !state.queue.is_empty() {
            return None;
        }
        let number = state.count;
        state.count += 1;
        Some((number, state.place()))
    }

    /// Lets a goroutine wait for a place.
    #[track_caller]
    fn enqueue(
        self: &Arc<Self>,
        future: Pin<Box<dyn Future<Output = Result<(), E>> + Send>>,
    ) -> OneReceiver<()> {
        let at = Location::caller();
        let (started, is_started) = oneshot();
        let token = self.running.token();
        let mut state = self.state.lock();
        let number = state.count;
        state.count += 1;
        state.queue.push_back(Queued { number, future, token, started, at });
        drop(state);
        // A place may have become free since.
        self.start_queued();
        is_started
    }

    fn member<F>(self: &Arc<Self>, number: usize, place: u32, token: Token, future: F) -> Tracked<E, F>
    where
        F: Future<Output = Result<(), E>>,
    {
        let scope = if self.drops { self.context.clone() } else { Context::background() };
        let exit = Exit { shared: Arc::clone(self), number, place, is_lost: true, token: Some(token) };
        Tracked { future: Some(scope.run(future)), exit: Some(exit) }
    }

    /// Keeps the handle of one that was started, unless it has ended already.
    fn settle(&self, number: usize, place: u32, handle: JoinHandle<()>) {
        let abort = handle.abort_handle();
        let mut handle = Some(handle);
        let mut state = self.state.lock();
        let is_dropped = state.is_dropped;
        let member = state.handles.get_mut(place);
        if let Member::Ended { is_lost } = *member {
            state.handles.remove(place);
            if is_lost {
                state.lost.extend(handle.take().map(|handle| (number, handle)));
            }
        } else {
            *member = Member::Running(handle.take().expect("it is taken once"));
        }
        drop(state);
        if is_dropped {
            abort.abort();
        }
    }

    /// Starts those that wait, as many as have a place. One at a time does it, in a loop: on a runtime that shuts down a
    /// goroutine ends while it is started, and there may be many.
    fn start_queued(self: &Arc<Self>) {
        let mut is_mine = false;
        loop {
            let mut state = self.state.lock();
            if state.is_starting && !is_mine {
                return;
            }
            let next = if state.placed < state.limit { state.queue.pop_front() } else { None };
            is_mine = next.is_some();
            state.is_starting = is_mine;
            let Some(queued) = next else { return };
            let place = state.place();
            drop(state);
            let _ = queued.started.send(());
            let member = self.member(queued.number, place, queued.token, queued.future);
            self.settle(queued.number, place, gorust_scheduler::go_at(member, queued.at));
        }
    }

    /// One has said how it ended.
    fn report(&self, number: usize, result: Option<Result<(), E>>) {
        match result {
            Some(Ok(())) => {}
            None => self.state.lock().dropped.push(number),
            Some(Err(error)) => {
                let cause = (self.describe)(&error);
                let mut state = self.state.lock();
                let is_first = state.errors.is_empty();
                state.errors.push((number, error));
                drop(state);
                if is_first {
                    self.handle.cancel_with(cause);
                }
            }
        }
    }

    /// One has ended, and its future is gone.
    fn leave(self: &Arc<Self>, number: usize, place: u32, is_lost: bool) {
        let mut state = self.state.lock();
        state.placed -= 1;
        let mut unused = None;
        match mem::replace(state.handles.get_mut(place), Member::Ended { is_lost }) {
            Member::Running(handle) => {
                state.handles.remove(place);
                if is_lost {
                    state.lost.push_back((number, handle));
                } else {
                    unused = Some(handle);
                }
            }
            // Who starts it finds out.
            Member::Starting | Member::Ended { .. } => {}
        }
        drop(state);
        drop(unused);
        if is_lost {
            self.handle.cancel_with("a goroutine of the group panicked or was aborted");
        }
        self.start_queued();
    }
}

impl<E> State<E> {
    fn place(&mut self) -> u32 {
        self.placed += 1;
        self.handles.insert(Member::Starting)
    }
}

impl<E: Send + 'static> Default for Group<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Send + 'static> Drop for Group<E> {
    fn drop(&mut self) {
        self.shared.handle.cancel_with("the group was dropped");
        let mut state = self.shared.state.lock();
        state.is_dropped = true;
        let queue = mem::take(&mut state.queue);
        let lost = mem::take(&mut state.lost);
        let aborts: Vec<_> = state
            .handles
            .range(0, usize::MAX)
            .filter_map(|member| match member {
                Member::Running(handle) => Some(handle.abort_handle()),
                Member::Starting | Member::Ended { .. } => None,
            })
            .collect();
        drop(state);
        aborts.iter().for_each(AbortHandle::abort);
        drop((queue, lost));
    }
}

impl<E: Send + 'static> fmt::Debug for Group<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state.lock();
        f.debug_struct("Group")
            .field("running", &state.placed)
            .field("queued", &state.queue.len())
            .field("errors", &state.errors.len())
            .finish_non_exhaustive()
    }
}

/// What a goroutine of the group leaves with. If it ends without saying how, that is found out later from its handle.
struct Exit<E: Send + 'static> {
    shared: Arc<Shared<E>>,
    number: usize,
    place: u32,
    is_lost: bool,
    /// Goes last: who waits then finds everything in its place.
    token: Option<Token>,
}

impl<E: Send + 'static> Drop for Exit<E> {
    fn drop(&mut self) {
        self.shared.leave(self.number, self.place, self.is_lost);
        self.token = None;
    }
}

pin_project! {
    struct Tracked<E, F>
    where
        E: Send,
        E: 'static,
    {
        // Dropped before the exit: what it holds is gone when it has ended.
        #[pin]
        future: Option<Run<F>>,
        exit: Option<Exit<E>>,
    }
}

impl<E: Send + 'static, F: Future<Output = Result<(), E>>> Future for Tracked<E, F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else { panic!("polled after it was ready") };
        let output = ready!(future.poll(cx));
        this.future.set(None);
        if let Some(mut exit) = this.exit.take() {
            exit.is_lost = false;
            exit.shared.report(exit.number, output.ok());
        }
        Poll::Ready(())
    }
}

/// What [`Group::go`] returns: awaiting it waits until the goroutine has started, so that a loop goes no faster than the
/// group. Dropping it changes nothing.
///
/// # Cancel safety
///
/// *Strict.*
///
/// # Examples
///
/// ```
/// # gorust_scheduler::block_on(async {
/// let group = gorust_sync::Group::<()>::new();
/// group.go(async { Ok(()) }).await; // at once: there is no limit
/// # });
/// ```
#[derive(Debug)]
pub struct Slot {
    /// None if it has started.
    started: Option<OneReceiver<()>>,
}

impl Future for Slot {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<()> {
        if let Some(started) = &mut self.started {
            // An error says that the group is gone, and the goroutine will not start.
            let _ = ready!(Pin::new(started).poll(cx));
            self.started = None;
        }
        Poll::Ready(())
    }
}

pin_project! {
    /// Waits until all have ended, and finds out about those that did not say how.
    struct End<'a, E>
    where
        E: Send,
        E: 'static,
    {
        shared: &'a Shared<E>,
        #[pin]
        idle: Wait<'a>,
        lost: VecDeque<(usize, JoinHandle<()>)>,
    }

    impl<E> PinnedDrop for End<'_, E>
    where
        E: Send,
        E: 'static,
    {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            this.shared.state.lock().lost.append(this.lost);
        }
    }
}

/// How it all went: the errors by time, the numbers of those without a result, and how many there were.
type Outcome<E> = (Vec<(usize, E)>, Vec<usize>, usize);

impl<E: Send + 'static> End<'_, E> {
    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Outcome<E>> {
        let this = self.project();
        ready!(this.idle.poll(cx));
        this.lost.append(&mut this.shared.state.lock().lost);
        while let Some((number, handle)) = this.lost.front_mut() {
            let number = *number;
            let result = ready!(Pin::new(handle).poll(cx));
            this.lost.pop_front();
            let mut state = this.shared.state.lock();
            state.dropped.push(number);
            let later = match result {
                Err(error) if error.is_panic() && state.panic.is_none() => state.panic.replace(error),
                Err(error) => Some(error),
                Ok(()) => None,
            };
            drop(state);
            // It was seen, as those before it: one can be raised again.
            drop(later);
        }
        if !this.shared.drops {
            this.shared.handle.cancel();
        }
        let mut state = this.shared.state.lock();
        let panic = state.panic.take();
        let outcome =
            (mem::take(&mut state.errors), mem::take(&mut state.dropped), mem::take(&mut state.count));
        drop(state);
        match panic {
            Some(panic) => panic.resume_unwind(),
            None => Poll::Ready(outcome),
        }
    }
}

pin_project! {
    /// The future of [`Group::wait`].
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct GroupWait<'a, E>
    where
        E: Send,
        E: 'static,
    {
        #[pin]
        end: End<'a, E>,
    }
}

impl<E: Send + 'static> Future for GroupWait<'_, E> {
    type Output = Result<(), E>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let (errors, ..) = ready!(self.project().end.poll(cx));
        Poll::Ready(errors.into_iter().next().map_or(Ok(()), |(_, error)| Err(error)))
    }
}

impl<E: Send + 'static> fmt::Debug for GroupWait<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupWait").field("idle", &self.end.idle).finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`Group::wait_all`].
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct GroupWaitAll<'a, E>
    where
        E: Send,
        E: 'static,
    {
        #[pin]
        end: End<'a, E>,
    }
}

impl<E: Send + 'static> Future for GroupWaitAll<'_, E> {
    type Output = Vec<Result<(), E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let (errors, dropped, count) = ready!(self.project().end.poll(cx));
        let mut results: Vec<_> = (0..count).map(|_| Some(Ok(()))).collect();
        errors.into_iter().for_each(|(number, error)| results[number] = Some(Err(error)));
        dropped.into_iter().for_each(|number| results[number] = None);
        Poll::Ready(results.into_iter().flatten().collect())
    }
}

impl<E: Send + 'static> fmt::Debug for GroupWaitAll<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupWaitAll").field("idle", &self.end.idle).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
mod tests {
    use super::*;
    use crate::{
        ContextError,
        testing::{Task, on_workers, poll, waiting},
    };
    use gorust_scheduler::{block_on, runtime, yield_now};
    use std::{
        future::pending,
        panic::{AssertUnwindSafe, catch_unwind},
        sync::{
            // Std's: plain counters.
            atomic::{AtomicUsize, Ordering::SeqCst},
        },
    };

    #[test]
    fn an_empty_group_has_nothing_to_wait_for() {
        block_on(async {
            let group = Group::<()>::default();
            assert_eq!((group.wait().await, group.wait_all().await), (Ok(()), vec![]));
            assert!(format!("{group:?}").starts_with("Group { running: 0, queued: 0, errors: 0"));
        });
    }

    #[test]
    fn the_first_error_drops_the_rest() {
        block_on(async {
            let group = Group::new();
            let held = Arc::new(());
            for _ in 0..10 {
                let held = Arc::clone(&held);
                group.go(async move {
                    pending::<()>().await;
                    drop(held);
                    Ok(())
                });
            }
            group.go(async { Err("first") });
            assert_eq!(group.wait().await, Err("first"));
            assert_eq!(Arc::strong_count(&held), 1, "what they held is gone");
            assert_eq!(group.wait().await, Ok(()), "the error was handed out");
        });
    }

    #[test]
    fn a_group_may_be_used_again() {
        block_on(async {
            let group = Group::<&str>::new();
            for _ in 0..3 {
                group.go(async { Ok(()) });
                assert_eq!(group.wait().await, Ok(()));
            }
        });
    }

    #[test]
    fn with_a_context_the_rest_is_told_and_ends_when_it_likes() {
        block_on(async {
            let (group, ctx) = Group::with_context(&Context::background());
            for _ in 0..3 {
                let ctx = ctx.clone();
                group.go(async move {
                    ctx.done().await;
                    yield_now().await;
                    Err("told")
                });
            }
            group.go(async { Ok(()) });
            group.go(async { Err("first") });
            let results = group.wait_all().await;
            assert_eq!(results, [Err("told"), Err("told"), Err("told"), Ok(()), Err("first")]);
            assert_eq!(ctx.cause().unwrap().to_string(), "first");
        });
    }

    #[test]
    fn the_context_is_done_when_all_were_waited_for() {
        block_on(async {
            let (parent, handle) = Context::background().with_cancel();
            let (group, ctx) = Group::<String>::with_context(&parent);
            group.go(async { Ok(()) });
            assert_eq!((ctx.err(), group.wait().await), (None, Ok(())));
            assert_eq!(ctx.cause().unwrap().downcast_ref(), Some(&ContextError::Canceled));
            let (_group, ctx) = Group::<String>::with_context(&parent);
            handle.cancel();
            assert_eq!(ctx.err(), Some(ContextError::Canceled));
        });
    }

    #[test]
    fn a_limit_is_kept_and_those_who_wait_start_in_order() {
        on_workers(|| async {
            let group = Group::<()>::new().limit(3);
            let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            for _ in 0..100 {
                let (running, most) = (Arc::clone(&running), Arc::clone(&most));
                group.go(async move {
                    most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                    yield_now().await;
                    running.fetch_sub(1, SeqCst);
                    Ok(())
                });
            }
            group.wait().await.unwrap();
            let most = most.load(SeqCst);
            assert!((1..=3).contains(&most), "{most} at a time");
        });
    }

    #[test]
    fn awaiting_a_slot_is_back_pressure() {
        block_on(async {
            let group = Group::<()>::new().limit(1);
            let (tx, rx) = crate::chan::<()>(0);
            let task = Task::default();
            let mut first = Box::pin(group.go(async move {
                rx.recv().await;
                Ok(())
            }));
            assert!(poll(&mut first).is_ready());
            let mut second = waiting(group.go(async { Ok(()) }), &task);
            assert!(!group.try_go(async { Ok(()) }));
            drop(waiting(group.go(async { Ok(()) }), &task));
            drop(tx);
            second.as_mut().await;
            assert_eq!((group.wait().await, group.try_go(async { Ok(()) })), (Ok(()), true));
            group.wait().await.unwrap();
        });
    }

    #[test]
    fn a_queue_of_one_that_failed_is_dropped_and_not_run() {
        block_on(async {
            let group = Group::new().limit(1);
            let ran = Arc::new(AtomicUsize::new(0));
            group.go(async { Err(()) });
            for _ in 0..1_000 {
                let ran = Arc::clone(&ran);
                group.go(async move {
                    ran.fetch_add(1, SeqCst);
                    pending().await
                });
            }
            assert_eq!(group.wait().await, Err(()));
            assert!(ran.load(SeqCst) <= 1, "those that had not started are not run");
        });
    }

    #[test]
    #[should_panic(expected = "limit of 0")]
    fn a_limit_of_nothing_panics() {
        let _ = Group::<()>::new().limit(0);
    }

    #[test]
    fn a_panic_cancels_the_rest_and_is_raised_again_by_wait() {
        let group = Group::<()>::new();
        group.go(pending());
        group.go(async { panic!("on purpose") });
        group.go(pending());
        let raised = catch_unwind(AssertUnwindSafe(|| block_on(group.wait())));
        assert_eq!(*raised.unwrap_err().downcast::<&str>().unwrap(), "on purpose");
        assert_eq!(block_on(group.wait()), Ok(()), "once");
    }

    #[test]
    fn of_several_panics_one_is_raised_and_none_is_lost() {
        let (group, ctx) = Group::<String>::with_context(&Context::background());
        for _ in 0..5 {
            group.go(async { panic!("on purpose") });
        }
        let raised = catch_unwind(AssertUnwindSafe(|| block_on(group.wait_all())));
        assert!(raised.is_err());
        assert!(ctx.cause().unwrap().to_string().contains("panicked"));
    }

    #[test]
    fn dropping_the_group_ends_its_goroutines() {
        block_on(async {
            for limit in [2, usize::MAX] {
                let held = Arc::new(());
                let (group, ctx) = Group::<String>::with_context(&Context::background());
                let group = group.limit(limit);
                let mut slots = Vec::new();
                for _ in 0..10 {
                    let held = Arc::clone(&held);
                    slots.push(group.go(async move {
                        pending::<()>().await;
                        drop(held);
                        Ok(())
                    }));
                }
                drop(group);
                assert_eq!(ctx.cause().unwrap().to_string(), "the group was dropped");
                for slot in slots {
                    slot.await;
                }
                while Arc::strong_count(&held) > 1 {
                    yield_now().await;
                }
            }
        });
    }

    #[test]
    fn wait_dropped_at_any_time_loses_no_error() {
        let group = Group::new();
        let task = Task::default();
        let (tx, rx) = crate::chan::<()>(0);
        group.go(async move {
            rx.recv().await;
            Err("kept")
        });
        drop(group.wait());
        drop(waiting(group.wait(), &task));
        let granted = waiting(group.wait(), &task);
        drop(tx);
        while task.wakes() == 0 {
            std::thread::yield_now();
        }
        drop(granted);
        assert_eq!(block_on(group.wait()), Err("kept"));
    }

    #[test]
    fn a_runtime_that_ends_takes_the_queue_along() {
        let runtime = runtime::Builder::new().workers(1).build().unwrap();
        let group = Arc::new(Group::<()>::new().limit(1));
        let shared = Arc::clone(&group);
        let (tx, rx) = std::sync::mpsc::channel();
        runtime.spawn(async move {
            (0..20_000).for_each(|_| drop(shared.go(pending())));
            tx.send(()).unwrap();
        });
        rx.recv().unwrap();
        drop(runtime);
        assert_eq!(block_on(group.wait()), Ok(()), "they were dropped with it");
    }

    #[test]
    fn goroutines_may_fill_the_group() {
        on_workers(|| async {
            let group = Arc::new(Group::<()>::new().limit(4));
            let count = Arc::new(AtomicUsize::new(0));
            for _ in 0..20 {
                let (inner, count) = (Arc::clone(&group), Arc::clone(&count));
                group.go(async move {
                    for _ in 0..5 {
                        let count = Arc::clone(&count);
                        inner.go(async move {
                            count.fetch_add(1, SeqCst);
                            Ok(())
                        });
                    }
                    Ok(())
                });
            }
            group.wait().await.unwrap();
            assert_eq!(count.load(SeqCst), 100);
        });
    }
}

//! Goroutines whose futures stay on one thread, because they are not `Send`.
//!
//! [`run_until`] gives them a home: a future that runs them whenever it is polled, wherever that is: in
//! [`block_on`](crate::block_on()) on a plain thread or inside a goroutine, in `#[gorust::main(local)]`, or under another
//! executor. [`spawn`] starts one inside. Everything that may be shared (sockets, channels, timers, goroutines of the
//! runtime) can be used and awaited from there.
//!
//! # Examples
//!
//! ```
//! use gorust_scheduler::{block_on, go, local};
//! use std::rc::Rc;
//!
//! block_on(local::run_until(async {
//!     let shared = Rc::new(20);
//!     let task = local::spawn({
//!         let shared = Rc::clone(&shared);
//!         async move { *shared + go(async { 1 }).await.unwrap() }
//!     });
//!     assert_eq!(task.await.unwrap() + *shared, 41);
//! }));
//! ```
//
// How it is sound that a task of `task/raw.rs`, whose `Runnable` may be sent anywhere, has a future that may not: such a
// task says `Home::LOCAL`, so that every `Runnable` made of it, by whatever thread wakes it, goes to its inbox
// (`schedule`), and nowhere else; it is in no registry and in no queue of a runtime. Only the home takes from the inbox, on
// its thread, which it cannot leave. A home does not end before each of its tasks is completed, which is to say that its
// future is gone: a waker that is just under way with a `Runnable` is waited for. The output stays with the completing
// thread, which is the home's, or with the `JoinHandle`, which can be sent only if the output can.

use crate::{
    runtime::Handle,
    schedule,
    task::{
        JoinHandle,
        details::Details,
        raw::{Home as TaskHome, Runnable, TaskRef, allocate},
    },
    worker,
};
use gorust_primitives::shim::Lock;
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    fmt,
    future::Future,
    marker::PhantomData,
    mem,
    panic::Location,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    thread,
};

/// How many goroutines a home polls before it lets its own executor do something else.
const TURNS: usize = 64;

/// How many goroutines a home remembers before it first looks which of them are still there.
const REMEMBERED: usize = 64;

/// Where the tasks of a home that can run are queued, by any thread.
#[derive(Default)]
pub(crate) struct Inbox(Lock<Queued>);

#[derive(Default)]
struct Queued {
    tasks: VecDeque<Runnable>,
    /// Whom to wake at the next task. `None` while the home is polled, or has been woken and will be.
    waker: Option<Waker>,
}

impl Inbox {
    fn push(&self, task: Runnable) {
        let waker = {
            let mut queued = self.0.lock();
            queued.tasks.push_back(task);
            queued.waker.take()
        };
        if let Some(waker) = waker {
            schedule::wake_caught(waker);
        }
    }

    fn pop(&self) -> Option<Runnable> {
        self.0.lock().tasks.pop_front()
    }

    /// The home is polled, and looks into the queue before it sleeps.
    fn rise(&self) {
        let waker = self.0.lock().waker.take();
        drop(waker);
    }

    /// The home sleeps until `waker` is woken. `Err`: there is something to do.
    fn sleep(&self, waker: Waker) -> Result<(), Waker> {
        let mut queued = self.0.lock();
        if !queued.tasks.is_empty() {
            return Err(waker);
        }
        debug_assert!(queued.waker.is_none());
        queued.waker = Some(waker);
        Ok(())
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Inbox").field(&self.0.lock().tasks.len()).finish()
    }
}

/// Queues a task of a home, from any thread.
pub(crate) fn schedule(task: Runnable) {
    let inbox = task.details().and_then(|details| details.inbox.clone());
    match inbox {
        Some(inbox) => inbox.push(task),
        None => unreachable!("a local task without an inbox"),
    }
}

/// The tasks of one `run_until`. Never leaves its thread.
struct Home {
    inbox: Arc<Inbox>,
    /// Every task that is not completed, and some that are.
    tasks: RefCell<Vec<TaskRef>>,
    /// How many tasks to remember before the completed ones are forgotten.
    limit: Cell<usize>,
    closed: Cell<bool>,
}

thread_local! {
    /// The home that is being polled on this thread.
    static HOME: RefCell<Option<Rc<Home>>> = const { RefCell::new(None) };
}

/// Brings back the home that was polled here before.
struct Inside(Option<Rc<Home>>);

impl Drop for Inside {
    fn drop(&mut self) {
        // Not at the end of the thread, where there is nothing to bring back.
        let own = HOME.try_with(|home| home.replace(self.0.take()));
        drop(own);
    }
}

impl Home {
    fn new() -> Rc<Self> {
        Rc::new(Self {
            inbox: Arc::default(),
            tasks: RefCell::default(),
            limit: Cell::new(REMEMBERED),
            closed: Cell::new(false),
        })
    }

    fn enter(self: &Rc<Self>) -> Inside {
        Inside(HOME.try_with(|home| home.replace(Some(Rc::clone(self)))).ok().flatten())
    }

    fn remember(&self, task: TaskRef) {
        let forgotten = {
            let mut tasks = self.tasks.borrow_mut();
            tasks.push(task);
            if tasks.len() >= self.limit.get() {
                let (live, completed) =
                    mem::take(&mut *tasks).into_iter().partition(|task| !task.header().state.is_completed());
                *tasks = live;
                self.limit.set(REMEMBERED.max(2 * tasks.len()));
                completed
            } else {
                Vec::new()
            }
        };
        drop(forgotten);
    }

    /// Drops every task where it waits, on this thread. Afterwards nothing is left to be queued.
    fn close(&self) {
        self.closed.set(true);
        let mut tasks = self.tasks.take();
        loop {
            for task in &tasks {
                if let Some(runnable) = task.abort_here() {
                    runnable.cancel();
                }
            }
            while let Some(runnable) = self.inbox.pop() {
                runnable.cancel();
            }
            tasks.retain(|task| !task.header().state.is_completed());
            if tasks.is_empty() {
                break;
            }
            // Some thread has made a `Runnable` and is about to push it: a few instructions, unless it is preempted.
            thread::yield_now();
        }
        self.inbox.rise();
    }
}

/// Runs `future` as the home of goroutines that stay on this thread: those that [`spawn`] starts inside it run whenever
/// this is polled. When `future` ends, or this is dropped, those that are left are dropped where they wait; await their
/// handles to have them finish.
///
/// Not a goroutine by itself: it runs where it is awaited, and the result cannot be sent to another thread. A home inside
/// another has goroutines of its own.
///
/// # Panics
///
/// When polled again after it was ready.
///
/// # Cancel safety
///
/// That of `future`. The goroutines are dropped with it, their handles resolve to a canceled
/// [`JoinError`](crate::JoinError).
///
/// # Fairness
///
/// Goroutines run first come, first served; `future` and whatever else runs on this thread have their turn after 64 of
/// them.
///
/// # Go
///
/// `runtime.LockOSThread` keeps a goroutine on its thread; here the compiler knows which ones must stay.
///
/// # Examples
///
/// ```
/// use gorust_scheduler::{block_on, local, yield_now};
/// use std::{cell::Cell, rc::Rc};
///
/// let count = Rc::new(Cell::new(0));
/// block_on(local::run_until({
///     let count = Rc::clone(&count);
///     async move {
///         let tasks: Vec<_> = (0..3)
///             .map(|_| {
///                 let count = Rc::clone(&count);
///                 local::spawn(async move {
///                     yield_now().await;
///                     count.set(count.get() + 1);
///                 })
///             })
///             .collect();
///         for task in tasks {
///             task.await.unwrap();
///         }
///     }
/// }));
/// assert_eq!(count.get(), 3);
/// ```
///
/// A home stays where it is:
///
/// ```compile_fail,E0277
/// std::thread::spawn({
///     let home = gorust_scheduler::local::run_until(async {});
///     move || gorust_scheduler::block_on(home)
/// });
/// ```
pub fn run_until<F: Future>(future: F) -> RunUntil<F> {
    RunUntil { future: Some(future), home: Home::new(), stays: PhantomData }
}

/// Starts a goroutine that stays on this thread, so that its future need not be `Send`.
///
/// The handle is that of any goroutine; it can be sent elsewhere if the output can. The goroutine is not counted by
/// [`num_goroutines`](crate::runtime::num_goroutines), since it belongs to no runtime. If it panics and nobody can see it,
/// the policy of the runtime counts that is the current one here.
///
/// # Panics
///
/// Outside [`run_until`] and `#[gorust::main(local)]`.
///
/// # Examples
///
/// ```
/// use gorust_scheduler::{block_on, local};
///
/// let answer = block_on(local::run_until(async {
///     let not_send = std::rc::Rc::new(42);
///     local::spawn(async move { *not_send }).await.unwrap()
/// }));
/// assert_eq!(answer, 42);
/// ```
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    spawn_with(future, Details::default(), Location::caller())
}

/// As [`spawn`], with a name and whatever else `details` say.
#[track_caller]
pub(crate) fn spawn_with<F>(
    future: F,
    mut details: Details,
    spawned_at: &'static Location<'static>,
) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let home = HOME.try_with(|home| home.borrow().clone()).ok().flatten();
    let Some(home) = home else {
        panic!("local::spawn outside local::run_until: a future that stays on one thread needs a home there");
    };
    details.inbox = Some(Arc::clone(&home.inbox));
    let place = TaskHome { runtime: TaskHome::LOCAL, shard: TaskHome::NOWHERE };
    // A bubble numbers its goroutines itself.
    let bubbles = Handle::try_current().and_then(|handle| handle.shared().side.next_id());
    let id = bubbles.unwrap_or_else(|| schedule::take_ids(1));
    let task = allocate(future, details, id, spawned_at, place);
    task.stay_out_of_registry();
    // SAFETY: the future's output is this, and the task has not run.
    let handle = unsafe { task.handle() };
    if home.closed.get() {
        task.cancel();
    } else {
        home.remember(task.task());
        home.inbox.push(task);
    }
    handle
}

pin_project_lite::pin_project! {
    /// The future of [`run_until`].
    #[must_use = "futures do nothing unless awaited"]
    pub struct RunUntil<F> {
        // `None` once it has ended.
        #[pin]
        future: Option<F>,
        home: Rc<Home>,
        stays: PhantomData<*const ()>,
    }

    impl<F> PinnedDrop for RunUntil<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _inside = this.home.enter();
            let _close = Close(this.home);
            this.future.set(None);
        }
    }
}

/// Closes a home, also when its future's destructor panics.
struct Close<'a>(&'a Home);

impl Drop for Close<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<F: Future> Future for RunUntil<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let home = &**this.home;
        let _inside = this.home.enter();
        home.inbox.rise();
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            panic!("local::run_until polled after it was ready");
        };
        if let Poll::Ready(output) = future.poll(cx) {
            let _close = Close(home);
            this.future.set(None);
            return Poll::Ready(output);
        }
        for _ in 0..TURNS {
            match home.inbox.pop() {
                Some(task) => {
                    // Perhaps inside a goroutine's poll, by way of a `block_on`: the monitor takes it for no other.
                    worker::count_poll();
                    if let Some(again) = task.run() {
                        home.inbox.push(again);
                    }
                }
                None => match home.inbox.sleep(cx.waker().clone()) {
                    Ok(()) => return Poll::Pending,
                    Err(waker) => drop(waker),
                },
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<F> fmt::Debug for RunUntil<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunUntil").field("queued", &self.home.inbox).finish_non_exhaustive()
    }
}

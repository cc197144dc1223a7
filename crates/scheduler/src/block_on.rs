//! `block_on`: from a thread into async code, on any thread.

use crate::{
    bubble, global,
    runtime::Handle,
    worker::{self, Worker},
};
use gorust_primitives::{current, parker::Parker};
use std::{
    cell::{Cell, RefCell},
    future::Future,
    panic::Location,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

/// Runs a future to its end on this thread, which sleeps while the future waits. The future need be neither `Send`
/// nor `'static`.
///
/// On a plain thread it polls there and sleeps there; `go`, timers and sockets inside use the global runtime, which
/// is started if need be. Inside a goroutine it offers the worker's place to another thread before it sleeps, so that no
/// other goroutine waits for it; it never panics. Inside a foreign executor it blocks that executor's thread.
///
/// In async code `.await` is nearly always what is meant: a thread costs a thousand times as much as a goroutine.
///
/// # Panics
///
/// If the future does; and in a bubble that fails meanwhile, with a payload that is not printed and ends the goroutine.
///
/// # Go
///
/// Go has no such border to cross: every function may block.
///
/// # Examples
///
/// ```
/// let text = String::from("borrowed");
/// let length = gorust_scheduler::block_on(async { text.len() });
/// assert_eq!(length, 8);
/// ```
#[track_caller]
pub fn block_on<F: Future>(future: F) -> F::Output {
    let site = Location::caller();
    global::install_hooks();
    run_here(future, site)
}

/// In a bubble its loop goes on, elsewhere the thread sleeps.
fn run_here<F: Future>(future: F, site: &'static Location<'static>) -> F::Output {
    bubble::with_current(|engine| match engine {
        Some(engine) => bubble::block_on(engine, future, site),
        None => worker::with_this_thread(|worker| match worker {
            Some(worker) => run_on_worker(future, worker),
            None => run(future, || {}),
        }),
    })
}

/// The place goes only when there is something to wait for, and comes back at the end.
fn run_on_worker<F: Future>(future: F, worker: &Worker) -> F::Output {
    let handed_over = RefCell::new(None);
    run(future, || {
        handed_over.borrow_mut().get_or_insert_with(|| worker.hand_over());
        // A timer that only this thread has armed must not be overslept by the one that sleeps in the reactor.
        worker.before_block();
    })
}

/// `block_on` with the runtime of `handle` as the current one.
#[track_caller]
pub(crate) fn block_on_in<F: Future>(handle: &Handle, future: F) -> F::Output {
    let site = Location::caller();
    let _entered = handle.enter();
    run_here(future, site)
}

struct Thread(Parker);

impl Wake for Thread {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

thread_local! {
    /// This thread's parker, while no `block_on` uses it. One inside another has a parker of its own, since a token
    /// taken by the inner one would be missed by the outer.
    static PARKER: Cell<Option<Arc<Thread>>> = const { Cell::new(None) };
}

fn run<F: Future>(future: F, before_sleep: impl Fn()) -> F::Output {
    let thread = PARKER.take().unwrap_or_else(|| Arc::new(Thread(Parker::new())));
    let waker = Waker::from(Arc::clone(&thread));
    let mut cx = Context::from_waker(&waker);
    // This loop polls again at once: a forced `Pending` would only cost it a turn.
    let _unlimited = current::unlimited();
    let mut future = pin!(future);
    let output = loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            break output;
        }
        if !thread.0.try_park() {
            before_sleep();
            thread.0.park();
        }
    };
    PARKER.set(Some(thread));
    output
}

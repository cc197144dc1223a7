//! What the unit tests share: a task that counts its wakes, and a `block_on` that model checkers understand.

use gorust_primitives::parker::Parker;
#[cfg(not(any(gorust_loom, gorust_shuttle)))]
use gorust_primitives::shim::Lock;
#[cfg(not(any(gorust_loom, gorust_shuttle)))]
use std::pin::Pin;
use std::{
    future::Future,
    mem::ManuallyDrop,
    ops::{Deref, DerefMut},
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

/// Polls by hand, and counts how often it was woken.
#[cfg(not(any(gorust_loom, gorust_shuttle)))]
#[derive(Default)]
pub(crate) struct Task(Arc<Lock<usize>>);

#[cfg(not(any(gorust_loom, gorust_shuttle)))]
struct Count(Arc<Lock<usize>>);

#[cfg(not(any(gorust_loom, gorust_shuttle)))]
impl Wake for Count {
    fn wake(self: Arc<Self>) {
        *self.0.lock() += 1;
    }
}

#[cfg(not(any(gorust_loom, gorust_shuttle)))]
impl Task {
    pub(crate) fn waker(&self) -> Waker {
        Waker::from(Arc::new(Count(Arc::clone(&self.0))))
    }

    pub(crate) fn poll<F: Future + ?Sized>(&self, future: &mut Pin<Box<F>>) -> Poll<F::Output> {
        future.as_mut().poll(&mut Context::from_waker(&self.waker()))
    }

    pub(crate) fn wakes(&self) -> usize {
        *self.0.lock()
    }

    /// How many of its wakers are somewhere.
    pub(crate) fn references(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }
}

/// Polls once with a waker that does nothing.
#[cfg(not(any(gorust_loom, gorust_shuttle)))]
pub(crate) fn poll<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls once a future that must be ready.
#[cfg(not(any(gorust_loom, gorust_shuttle)))]
pub(crate) fn ready<F: Future>(future: F) -> F::Output {
    match poll(&mut Box::pin(future)) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

/// Polls once a future that must wait.
#[cfg(not(any(gorust_loom, gorust_shuttle)))]
pub(crate) fn waiting<F: Future>(future: F, task: &Task) -> Pin<Box<F>> {
    let mut future = Box::pin(future);
    assert!(task.poll(&mut future).is_pending(), "it does not wait");
    future
}

/// Runs the same goroutine on runtimes of one, two and eight workers.
#[cfg(not(any(gorust_loom, gorust_shuttle)))]
pub(crate) fn on_workers<F>(body: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    for workers in [1, 2, 8] {
        let runtime = gorust_scheduler::runtime::Builder::new().workers(workers).build().unwrap();
        let goroutine = runtime.spawn(body());
        runtime.block_on(goroutine).unwrap();
    }
}

/// Forgets what it holds when the thread unwinds. A model that has come to a deadlock, as a mutant's should,
/// can run no destructor that takes a lock.
pub(crate) struct Fragile<T>(ManuallyDrop<T>);

impl<T> Fragile<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(ManuallyDrop::new(value))
    }

    pub(crate) fn into_inner(self) -> T {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: the value is taken once, since what held it is not dropped.
        unsafe { ManuallyDrop::take(&mut this.0) }
    }
}

impl<T> Deref for Fragile<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Fragile<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T> Drop for Fragile<T> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: it is dropped once, here, and not used after.
            unsafe { ManuallyDrop::drop(&mut self.0) };
        }
    }
}

struct Unpark(Parker);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls to the end, sleeping in between on a parker the model checkers see.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let unpark = Arc::new(Unpark(Parker::new()));
    let waker = Waker::from(Arc::clone(&unpark));
    let mut future = Fragile::new(Box::pin(future));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        unpark.0.park();
    }
}

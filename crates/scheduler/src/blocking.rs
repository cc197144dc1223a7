//! Code that blocks its thread: `blocking`, which runs it in place, and `spawn_blocking`, which makes a goroutine of it.
//! Whose place goes where, and when, is in `worker.rs` and `monitor.rs`; which threads run what cannot run in place, in
//! `spare.rs`.

use crate::{
    bubble, schedule,
    task::join::JoinHandle,
    worker::{self, JobGuard},
};
use std::{
    future::Future,
    panic::Location,
    pin::Pin,
    task::{Context, Poll},
};

/// Runs code that blocks its thread, here and now, without keeping other goroutines waiting.
///
/// The closure is called in place, so it may borrow, and need be neither `Send` nor `'static`. Inside a goroutine the
/// worker's thread says that it may block: if it does so for a millisecond or longer and something waits, another thread
/// takes over the worker's place. A short call costs some ten nanoseconds and no system call. Goroutines started inside
/// begin on other workers. On any other thread the closure just runs.
///
/// Without it a goroutine that blocks is found out all the same, but later: the monitor must first see that the thread
/// does not compute.
///
/// # Panics
///
/// Only if the closure does.
///
/// # Go
///
/// What the runtime does around every system call.
///
/// # Examples
///
/// ```
/// use gorust_scheduler::{block_on, blocking, go};
///
/// let path = std::env::temp_dir();
/// let exists = go(async move { blocking(|| path.exists()) });
/// assert!(block_on(exists).unwrap());
/// ```
#[inline]
pub fn blocking<T>(f: impl FnOnce() -> T) -> T {
    worker::with_this_thread(|worker| {
        let _section = worker.map(worker::Worker::enter_blocking);
        f()
    })
}

/// Starts a goroutine that runs a closure which may block its thread, and returns a handle to its result.
///
/// It runs in place, as [`blocking`], as long as no more of them are in progress than there are workers; what is more
/// gets threads of its own, as many as [`max_blocking_threads`] allows, and waits in a queue when these are busy. A job
/// that waits for another in [`block_on`] does not count meanwhile, so jobs may start jobs and wait for them, however few
/// threads there are.
///
/// Dropping the handle lets the job go on; [`abort`](JoinHandle::abort) has an effect only before it begins.
///
/// [`max_blocking_threads`]: crate::runtime::Builder::max_blocking_threads
/// [`block_on`]: crate::block_on()
///
/// # Panics
///
/// As [`go`](crate::go). A panic of the closure is the goroutine's.
///
/// # Go
///
/// Go needs no such thing: `go f()` may block.
///
/// # Examples
///
/// ```
/// use gorust_scheduler::{block_on, spawn_blocking};
///
/// let sum = spawn_blocking(|| (1..=10).sum::<u32>());
/// assert_eq!(block_on(sum).unwrap(), 55);
/// ```
#[track_caller]
pub fn spawn_blocking<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    schedule::spawn(Job(Some(f)), Location::caller())
}

/// A closure as a future that is ready when it has run.
struct Job<F>(Option<F>);

impl<F> Unpin for Job<F> {}

impl<F: FnOnce() -> T, T> Future for Job<F> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        worker::with_this_thread(|worker| {
            // In a bubble it runs in place: other threads have no part in it.
            if !bubble::in_bubble() && worker.is_some_and(worker::Worker::send_job_to_spares) {
                // Woken in its own poll, it goes where the worker has just been told to send it.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let Some(f) = self.0.take() else { unreachable!("a job polled after it was ready") };
            let _job = worker.map(JobGuard::new);
            let _section = worker.map(worker::Worker::enter_blocking);
            Poll::Ready(f())
        })
    }
}

//! Goroutines: tasks, the workers that run them, and the global runtime.
//!
//! The essay, with the states, the protocols and why no wake-up is lost, is this crate's `README.md`. The circle of
//! a goroutine's life, each arrow a function:
//!
//! ```text
//! go(f)                    schedule.rs   future -> one allocation
//!   -> Worker::push_next   worker.rs     next slot, then queue/local.rs; from outside: queue/injector.rs
//!   -> Idle::wake_one      idle.rs       only on surplus work, only if nobody searches and somebody sleeps
//!   -> Worker::next_task   worker.rs     next slot -> queue -> injector -> steal -> sleep in the reactor
//!   -> Runnable::run       task/raw.rs   polls once; Ready ends in the JoinHandle, Pending the first time in the registry
//!   -> a waker             anywhere      -> schedule(runnable), and the circle closes
//! ```

mod block_on;
mod blocking;
pub mod bubble;
mod builder;
#[cfg(target_os = "linux")]
mod cgroup;
mod checkpoint;
mod cpus;
mod drain;
pub mod dump;
mod global;
mod idle;
pub mod local;
mod main_entry;
mod monitor;
mod place;
mod queue;
mod registry;
mod resize;
pub mod runtime;
mod schedule;
mod seat;
mod shared;
mod shutdown;
mod spare;
#[cfg(test)]
mod stress;
mod table;
pub mod task;
mod test_entry;
mod test_report;
mod watched;
mod worker;
mod yield_now;

use std::{future::Future, panic::Location};

pub use block_on::block_on;
pub use blocking::{blocking, spawn_blocking};
pub use checkpoint::{Checkpoint, checkpoint};
pub use task::{AbortHandle, AbortOnDrop, JoinError, JoinHandle, PanicPolicy};
pub use yield_now::{YieldNow, yield_now};

/// What `#[gorust::main]` expands to.
pub mod main {
    pub use crate::main_entry::{MainOptions, at_end, run, run_local};
}

/// What `#[gorust::test]` expands to.
pub mod test {
    pub use crate::test_entry::{Returned, TestOptions, Verdict, run, run_real};
}

/// Starts a goroutine: runs `future` concurrently with the caller, and returns a handle to its result.
///
/// Works on any thread: inside a goroutine or a runtime that was entered it uses that runtime, anywhere else the
/// global one, which starts by itself. Dropping the handle lets the goroutine go on alone. A goroutine costs one
/// allocation of 64 bytes and the size of its future; a future of many kilobytes costs that much for as long as it
/// lives, so box what is large and rare.
///
/// # Panics
///
/// If the global runtime must be started and cannot be: no threads, no file descriptors, a bad `GORUST_MAXPROCS`.
///
/// # Go
///
/// The `go` statement. Its arguments are evaluated by the caller, at once; here that is what is computed before the
/// `async` block, while the block itself runs in the goroutine. Go gives no handle.
///
/// # Examples
///
/// ```
/// use gorust_scheduler::{block_on, go};
///
/// let name = String::from("gopher");
/// let greeting = go(async move { format!("hello, {name}") });
/// assert_eq!(block_on(greeting).unwrap(), "hello, gopher");
/// ```
#[track_caller]
pub fn go<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    schedule::spawn(future, Location::caller())
}

/// [`go`] on behalf of code elsewhere: `spawned_at` is what a dump names. For what starts goroutines later than it is
/// asked to.
#[doc(hidden)]
pub fn go_at<F>(future: F, spawned_at: &'static Location<'static>) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    schedule::spawn(future, spawned_at)
}

/// [`go`] under the name Rust programmers look for.
///
/// # Examples
///
/// ```
/// let handle = gorust_scheduler::spawn(async { 1 });
/// assert_eq!(gorust_scheduler::block_on(handle).unwrap(), 1);
/// ```
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    schedule::spawn(future, Location::caller())
}

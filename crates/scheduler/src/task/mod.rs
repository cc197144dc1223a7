//! Tasks: one allocation that holds the state word, the goroutine's record, the future and then its output.
//!
//! - `state`: the word and its transitions.
//! - `raw`: the allocation, the waker, the `Runnable`, one run.
//! - `memory`: where the allocation comes from.
//! - `join`: [`JoinHandle`], [`AbortHandle`], [`AbortOnDrop`].
//! - `error`: [`JoinError`] and the panic that must not get lost.
//! - `details`, `builder`, `labels`: names, labels and whatever else only some goroutines have, and [`Builder`] that
//!   gives it to them.
//! - `locals`: the variables of [`task_local!`](crate::task_local).
//!
//! Why not async-task: `docs/decisions/0001-task-cell.md`.

mod builder;
pub(crate) mod details;
pub(crate) mod error;
pub(crate) mod join;
mod labels;
mod locals;
pub(crate) mod memory;
pub(crate) mod raw;
pub(crate) mod state;

pub use builder::Builder;
pub use error::{GoroutinePanic, JoinError, PanicPolicy};
pub use join::{AbortHandle, AbortOnDrop, JoinHandle};
pub use labels::{WithLabels, labels, name, with_labels};
pub use locals::{AccessError, LocalKey, TaskLocalFuture};

/// Returns the running goroutine's number, or 0 outside a goroutine.
///
/// Numbers are unique in the process and never used again; they say nothing about order.
///
/// # Go
///
/// Go hides its goroutine numbers; they are useful in logs, and that is what this one is for.
///
/// # Examples
///
/// ```
/// let inside = gorust_scheduler::block_on(gorust_scheduler::go(async { gorust_scheduler::task::id() }));
/// assert_ne!(inside.unwrap(), 0);
/// assert_eq!(gorust_scheduler::task::id(), 0);
/// ```
pub fn id() -> u64 {
    gorust_primitives::current::id()
}

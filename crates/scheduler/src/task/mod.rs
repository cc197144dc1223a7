//! Tasks: one allocation that holds the state word, the goroutine's record, the future and then its output.
//!
//! - `state`: the word and its transitions.
//! - `raw`: the allocation, the waker, the `Runnable`, one run.
//! - `memory`: where the allocation comes from.
//! - `join`: [`JoinHandle`], [`AbortHandle`], [`AbortOnDrop`].
//! - `error`: [`JoinError`] and the panic that must not get lost.
//!
//! Why not async-task: `docs/decisions/0001-task-cell.md`.

pub(crate) mod error;
pub(crate) mod join;
pub(crate) mod memory;
pub(crate) mod raw;
pub(crate) mod state;

pub use error::{JoinError, PanicPolicy};
pub use join::{AbortHandle, AbortOnDrop, JoinHandle};

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

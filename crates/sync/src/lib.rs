//! What goroutines share and wait for: channels, locks, semaphores, groups, contexts.
//!
//! Which one for which need:
//!
//! | you want | use |
//! |---|---|
//! | to hand values from goroutine to goroutine | [`chan(n)`](chan()): a buffer for `n` of them |
//! | a sender that knows its value was taken | [`chan(0)`](chan()): a rendezvous |
//! | work for a pool of goroutines | one [`chan()`], a [`Receiver`](chan::Receiver) clone for each |
//! | whatever comes first of several things | `gorust::select!`; made while the program runs: [`Select`](select::Select) |
//! | to say that no more will come | [`close`](chan::Sender::close), or drop the last sender |
//! | to wait until many goroutines are done | [`WaitGroup`], with [`go`](WaitGroup::go) or [`token`](WaitGroup::token) |
//! | several goroutines' results, as they finish | [`TaskSet`] |
//! | goroutines that fail and end together, perhaps so many at a time | [`Group`] |
//! | one goroutine's result | the [`JoinHandle`](gorust_scheduler::JoinHandle) that `go` returns |
//! | a value that several change, across an `.await` | [`Mutex`] |
//! | the same, never held across an `.await` | `std::sync::Mutex` does as well |
//! | the same, mostly read | [`RwLock`] |
//! | to wait until such a value has changed | [`Cond`] |
//! | to be told that something has happened | [`Notify`] |
//! | a value that is made once, by whoever needs it first | [`OnceCell`], or [`Once`] without a value |
//! | several goroutines to go in step | [`Barrier`] |
//! | at most so many at a time | [`Semaphore`] |
//! | one call for all who want the same at the same time | [`Flight`] |
//! | things that are dear to make, used again | [`Pool`] |
//! | to call off work, by hand or after a time | [`Context`], and [`Context::run`] |
//! | to limit one operation's time | [`timeout`](gorust_reactor::time::timeout) |
//!
//! What holds for all of them:
//!
//! * Every future may be dropped at any moment. The heading *Cancel safety* says what that means for it; no
//!   value, lock or wake-up is ever lost with one.
//! * Waiting allocates nothing: who waits is linked into a list through its own future. (A stream allocates
//!   once.)
//! * Whoever waits is served in the order it came. A waker is never called, and a value never dropped or
//!   cloned, while an internal lock is held.
//! * They work on any executor and on plain threads; `*_blocking` methods are for code that is not async.
//!
//! How, and why it is right, is told in the crate's `README.md`.

pub mod barrier;
pub mod chan;
mod children;
pub mod cond;
pub mod context;
pub mod group;
pub mod mutex;
pub mod notify;
pub mod once;
pub mod pool;
pub mod rw_lock;
pub mod select;
pub mod semaphore;
pub mod singleflight;
pub mod task_set;
#[cfg(test)]
mod testing;
pub mod wait_group;

#[doc(inline)]
pub use barrier::Barrier;
#[doc(inline)]
pub use chan::chan;
#[doc(inline)]
pub use cond::Cond;
#[doc(inline)]
pub use context::{CancelHandle, Context, ContextError};
#[doc(inline)]
pub use group::{Group, Slot};
#[doc(inline)]
pub use mutex::{Mutex, MutexGuard, OwnedMutexGuard};
#[doc(inline)]
pub use notify::Notify;
#[doc(inline)]
pub use once::{Once, OnceCell};
#[doc(inline)]
pub use pool::{Pool, PoolGuard};
#[doc(inline)]
pub use rw_lock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
#[doc(inline)]
pub use semaphore::{OwnedPermit, Permit, Semaphore};
#[doc(inline)]
pub use singleflight::Flight;
#[doc(inline)]
pub use task_set::TaskSet;
#[doc(inline)]
pub use wait_group::WaitGroup;

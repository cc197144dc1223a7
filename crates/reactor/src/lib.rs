//! The reactor of gorust: readiness of file descriptors, timers, and the clock.
//!
//! Use [`time::sleep`] and [`time::timeout`] to wait for a time, [`Async`] to wait for a descriptor,
//! [`timer::Alarm`] to be woken at a deadline without being a future. All of them work on any thread and under any
//! executor: a thread that has entered no [`Reactor`] uses that of the global runtime, and in a program without
//! one, a reactor that a thread of its own drives.
//!
//! [`Reactor`] itself is for schedulers. The README of this crate tells its protocols.

mod async_fd;
pub mod clock;
mod current;
mod poll;
pub mod reactor;
mod source;
pub mod time;
pub mod timer;

pub use async_fd::{Async, ReadWith, Readable, Writable, WriteWith};
pub use clock::Clock;
pub use current::{Entered, current, enter, set_global};
#[doc(hidden)]
pub use poll::Backend;
pub use reactor::{Counters, Driver, Reactor, Wait};

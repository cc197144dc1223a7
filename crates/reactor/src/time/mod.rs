//! Futures that wait for a time: [`sleep`] and its like, and [`timeout`], which gives another future only so long.
//! What time it is is in [`clock`](crate::clock); the timers behind the futures are in `timer`.

mod sleep;
mod timeout;

pub use crate::clock::Instant;
pub use sleep::{Sleep, sleep, sleep_until};
pub use std::time::Duration;
pub use timeout::{Elapsed, Timeout, timeout, timeout_at};

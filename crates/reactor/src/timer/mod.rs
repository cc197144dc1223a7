//! Timers: deadlines with a waker each, in shards. `shard` is one shard and its lock, `slab` the entries, `order`
//! the heap of deadlines, `horizon` until when the poller sleeps, `alarm` what the rest of the program holds.
//! Futures that wait live in `time`; who fires timers, and when, in `reactor`.

mod alarm;
pub(crate) mod horizon;
mod order;
pub(crate) mod shard;
mod slab;

pub use alarm::Alarm;
pub(crate) use alarm::Armed;
pub(crate) use shard::Look;

/// No deadline: later than every other.
pub(crate) const NEVER: u64 = u64::MAX;

/// A deadline and the slot it belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    deadline: u64,
    index: u32,
    /// The slot's stamp when this entry came into the order; unused before.
    stamp: u32,
}

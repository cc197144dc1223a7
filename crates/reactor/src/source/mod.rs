//! Registered descriptors: `readiness` is what is known of one and who waits for it, `table` where they lie. The
//! type that owns a descriptor is [`Async`](crate::Async); what the system reports comes through `poll`.

mod readiness;
mod table;
mod waiters;

use readiness::Readiness;
pub(crate) use readiness::{Bits, Direction, Ready};
pub(crate) use table::{Source, Table, shut_down};
pub(crate) use waiters::WaiterKey;

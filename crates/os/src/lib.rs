//! What gorust offers of the operating system: for now, TCP.
//!
//! The types have the names and methods of std's and wait without blocking a thread. They work on any thread and
//! under any executor; what drives them is the reactor of `gorust-reactor`.

#![forbid(unsafe_code)]

pub mod net;

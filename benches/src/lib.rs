//! The loads, and what every peer's process shares: the catalogue of rows, the meter, the traits a peer fills in.
//!
//! A peer (`peers/*.rs`) implements the traits of [`peer`] with its own idiomatic calls; the loads of [`loads`] are
//! written once over those traits, so that every Rust peer does the same work. Each process runs one load and prints
//! one line of JSON ([`sample::Sample`]). What drives the processes and compares them is the binary `compare`.

#![allow(
    clippy::disallowed_methods,
    reason = "the meter must not stand on what it measures: plain std atomics, clocks and thread sleeps"
)]
#![allow(
    clippy::missing_panics_doc,
    reason = "every load asserts its sums, and a process that panics has failed its run"
)]

pub mod catalog;
pub mod hot;
pub mod loads;
pub mod meter;
pub mod peer;
pub mod process;
pub mod sample;
pub mod stats;

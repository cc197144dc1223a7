//! What a channel promises, one scenario a test, with exact counts of wakes and drops; and its models.

#[cfg(not(any(gorust_loom, gorust_shuttle)))]
mod handles;
mod model;
#[cfg(not(any(gorust_loom, gorust_shuttle)))]
mod oneshot;
#[cfg(not(any(gorust_loom, gorust_shuttle)))]
mod scenarios;
#[cfg(not(any(gorust_loom, gorust_shuttle)))]
mod stress;
#[cfg(not(any(gorust_loom, gorust_shuttle)))]
mod unbounded;

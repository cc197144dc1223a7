//! Waiting for several things and taking one: what `gorust::select!` is made of. The macro itself is in the facade,
//! and what it writes in `gorust_macros`; the protocol is told in the crate's README, "Select".

mod case;
mod dynamic;
mod machine;
#[cfg(test)]
mod model;

pub use dynamic::{Select, Selected, Wait};

/// What the code that `select!` writes calls. No part of the contract.
#[doc(hidden)]
pub mod parts {
    pub use super::{
        case::{
            Cases, Choose, ForeignCase, ForeignKind, IsForeign, IsNative, NativeCase, NativeKind, Operand,
            Probe, SelectCase, choose, choose_now, operand,
        },
        machine::{Foreign, Slot},
    };
}

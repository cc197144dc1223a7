//! What every gorust crate stands on: the switch between std and the model checkers, the thread's running
//! goroutine, parkers, waker cells and wait lists.
//!
//! Nothing here knows of a scheduler or a reactor. What must reach upwards (a leaf future that wants to say what
//! it waits for, a timer that needs somebody to drive it) goes through [`current`], which the scheduler fills.

pub mod brief_lock;
pub mod current;
pub mod parker;
pub mod rng;
pub mod select_case;
pub mod shim;
pub mod wait_list;
pub mod waker_cell;

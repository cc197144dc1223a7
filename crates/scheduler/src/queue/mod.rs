//! Where runnables wait, from near to far: the worker's next slot, its local queue, the injector.
//!
//! All three are generic over the item, so that the protocols around them can be modelled without tasks.

mod injector;
mod local;
mod next_slot;

pub(crate) use injector::Injector;
pub(crate) use local::{Local, Stealer};
pub(crate) use next_slot::{NextSlot, Word};

/// What a look at somebody else's queue gave.
#[derive(Debug)]
pub(crate) enum Found<T> {
    /// An item; more may have come with it into the local queue.
    One(T),
    /// Nothing was there at some moment during the look.
    Nothing,
}

/// Tries `steal` until it does not ask to be tried again: crossbeam answers `Retry` when it lost a race, and a
/// caller that took it for `Empty` would go to sleep over work.
fn until_settled<T>(mut steal: impl FnMut() -> crossbeam_deque::Steal<T>) -> Found<T> {
    loop {
        match steal() {
            crossbeam_deque::Steal::Success(item) => return Found::One(item),
            crossbeam_deque::Steal::Empty => return Found::Nothing,
            crossbeam_deque::Steal::Retry => std::hint::spin_loop(),
        }
    }
}

//! The table of runtimes: from the number in a task's header to the memory of its runtime, which is never freed.
//! A waker may come years later; what it touches on the way to a queue is here, and static.

use crate::{shared::Shared, task::raw::Home};
use gorust_primitives::shim::StaticLock;
use std::sync::OnceLock;

/// The most runtimes alive at once, in one process.
pub(crate) const MAX_RUNTIMES: usize = Home::LOCAL as usize;

static TABLE: [OnceLock<&'static Shared>; MAX_RUNTIMES] = [const { OnceLock::new() }; MAX_RUNTIMES];

/// Runtimes that have ended, in every respect, and may begin anew; and how many were ever made.
static POOL: StaticLock<Pool> = StaticLock::new(Pool { ended: Vec::new(), made: 0 });

struct Pool {
    ended: Vec<&'static Shared>,
    made: usize,
}

/// Returns the runtime of that number. The number comes from a task or a handle.
#[inline]
pub(crate) fn get(index: u16) -> &'static Shared {
    match TABLE[usize::from(index)].get() {
        Some(shared) => shared,
        None => unreachable!("no runtime has the number {index}"),
    }
}

/// Finds memory for a new runtime: of one that has ended, or fresh. `None`: there are [`MAX_RUNTIMES`].
pub(crate) fn claim() -> Option<&'static Shared> {
    let mut pool = POOL.lock();
    if let Some(shared) = pool.ended.pop() {
        return Some(shared);
    }
    let index = pool.made;
    let slot = TABLE.get(index)?;
    pool.made += 1;
    Some(slot.get_or_init(|| Box::leak(Box::new(Shared::new(index as u16)))))
}

/// Gives the memory of a runtime that has ended back.
pub(crate) fn give_back(shared: &'static Shared) {
    POOL.lock().ended.push(shared);
}

/// Returns the runtime of that number, if there ever was one.
pub(crate) fn find(index: u16) -> Option<&'static Shared> {
    TABLE.get(usize::from(index)).and_then(OnceLock::get).copied()
}

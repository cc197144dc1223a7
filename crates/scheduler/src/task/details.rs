//! What a goroutine may have beside its future: a name, labels, a panic policy of its own, a home on one thread. A
//! goroutine that has none of them pays nothing for those that do.

use super::error::PanicPolicy;
use crate::local::Inbox;
use gorust_primitives::current::{self, Record};
use std::{cell::Cell, sync::Arc};

/// A label: what it is called, and what it says.
pub(crate) type Label = (Arc<str>, Arc<str>);

/// Written down before the goroutine runs, and not changed after.
#[derive(Debug, Default)]
pub(crate) struct Details {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) labels: Vec<Label>,
    pub(crate) panic: Option<PanicPolicy>,
    /// Where its `Runnable` is queued, if its future must stay on one thread.
    pub(crate) inbox: Option<Arc<Inbox>>,
}

/// What lies in a task beside its future: [`Details`], or nothing, which takes no room and no instruction.
pub(crate) trait Beside: Send + Sync + 'static {
    /// Whether the task is entered in the registry when it is spawned, and not when it first waits.
    const KNOWN_FROM_THE_START: bool;

    /// While it exists the running goroutine finds its details.
    type Shown;

    fn details(&self) -> Option<&Details>;

    fn show(&self, record: &Record) -> Self::Shown;
}

impl Beside for () {
    const KNOWN_FROM_THE_START: bool = false;

    type Shown = ();

    fn details(&self) -> Option<&Details> {
        None
    }

    #[inline]
    fn show(&self, _: &Record) {}
}

impl Beside for Details {
    const KNOWN_FROM_THE_START: bool = true;

    type Shown = Shown;

    fn details(&self) -> Option<&Details> {
        Some(self)
    }

    fn show(&self, record: &Record) -> Shown {
        Shown(SHOWN.replace((std::ptr::from_ref(record), std::ptr::from_ref(self))))
    }
}

thread_local! {
    /// The innermost goroutine with details that is polled on this thread, and the details.
    static SHOWN: Cell<(*const Record, *const Details)> =
        const { Cell::new((std::ptr::null(), std::ptr::null())) };
}

/// Brings back what was shown before.
pub(crate) struct Shown((*const Record, *const Details));

impl Drop for Shown {
    fn drop(&mut self) {
        SHOWN.set(self.0);
    }
}

/// Calls `f` with the details of the running goroutine, if it has any.
pub(crate) fn with<R>(f: impl FnOnce(Option<&Details>) -> R) -> R {
    let (record, details) = SHOWN.get();
    // One without details may run inside one that has some: in a `local::run_until`, or in a destructor.
    let own = current::with_record(|running| running.is_some_and(|running| std::ptr::eq(running, record)));
    // SAFETY: null, or set by `show`, whose guard takes it back before the poll ends, and the task outlives the poll.
    f(if own { unsafe { details.as_ref() } } else { None })
}

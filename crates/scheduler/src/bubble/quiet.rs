//! Panics while schedules are explored: thousands of runs may fail, and only the last one is told of. So a thread that
//! explores prints no panics, and notes where they happened.

use std::{
    cell::{Cell, RefCell},
    panic::{self, PanicHookInfo},
    sync::Once,
};

thread_local! {
    /// Whether this thread prints no panics.
    static QUIET: Cell<bool> = const { Cell::new(false) };
    /// Where the last one happened, while it is quiet.
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// While it exists this thread prints no panics.
pub(super) struct Quiet {
    previous: bool,
}

/// Makes this thread quiet.
pub(super) fn quiet() -> Quiet {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let next = panic::take_hook();
        panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
            if is_quiet() {
                let at = info.location().map(ToString::to_string);
                let _ = LAST.try_with(|last| last.replace(at));
            } else {
                next(info);
            }
        }));
    });
    Quiet { previous: QUIET.replace(true) }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        QUIET.set(self.previous);
    }
}

/// Whether this thread prints no panics.
fn is_quiet() -> bool {
    QUIET.try_with(Cell::get).unwrap_or(false)
}

/// Where the last panic happened, if this thread is quiet.
pub(crate) fn last_location() -> Option<String> {
    LAST.try_with(RefCell::take).ok().flatten()
}

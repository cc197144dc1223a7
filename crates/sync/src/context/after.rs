//! Functions that are called, each in a goroutine of its own, when a context is done.

use super::tree::Node;
use gorust_primitives::{
    shim::{Lock, mutant},
    wait_list::Waiter,
};
use std::{
    fmt,
    panic::Location,
    pin::Pin,
    sync::Arc,
    task::{Wake, Waker},
};

type Function = Box<dyn FnOnce() + Send>;

/// A function that waits for a context. While it does, it keeps the context alive: the waiter's waker is this.
pub(super) struct After {
    /// None for a context that is never done.
    node: Option<Arc<Node>>,
    /// Taken by who calls it, or by who stops it.
    function: Lock<Option<Function>>,
    /// Where it was registered.
    at: &'static Location<'static>,
    waiter: Waiter,
}

// SAFETY: all but the waiter is `Sync`. The waiter is touched under the node's lock; its waker is set before the node
// knows of it, and after that, while it is not queued, by the one who took the function out to stop it.
unsafe impl Sync for After {}

impl After {
    /// Lets `function` wait until `node` is done, or calls it at once.
    pub(super) fn register(
        node: Option<&Arc<Node>>,
        function: Function,
        at: &'static Location<'static>,
    ) -> Arc<Self> {
        let after = Arc::new(Self {
            node: node.cloned(),
            function: Lock::new(Some(function)),
            at,
            waiter: Waiter::new(()),
        });
        if let Some(node) = node {
            after.waiter.set_waker(&Waker::from(Arc::clone(&after)));
            // SAFETY: the waiter is pinned and not queued. Its waker keeps it alive while it is queued, so it leaves
            // the list before it is dropped.
            if !unsafe { node.park(after.waiter()) } {
                after.waiter.set_waker(Waker::noop());
                after.call();
            }
        }
        after
    }

    fn waiter(&self) -> Pin<&Waiter> {
        // SAFETY: it lies in an `Arc`, of which nobody takes it out.
        unsafe { Pin::new_unchecked(&self.waiter) }
    }

    fn take(&self) -> Option<Function> {
        self.function.lock().take()
    }

    fn call(&self) {
        if let Some(function) = self.take() {
            gorust_scheduler::go_at(async move { function() }, self.at);
        }
    }

    /// Returns whether the function will not be called because of this.
    pub(super) fn stop(&self) -> bool {
        let function = self.take();
        if let (Some(_), Some(node)) = (&function, &self.node)
            && !mutant("context.stop_and_stay")
        {
            // SAFETY: the waiter waits for this node or not at all.
            unsafe { node.forget(self.waiter()) };
            // What it would have woken keeps this alive.
            self.waiter.set_waker(Waker::noop());
        }
        function.is_some()
    }
}

/// The context is done.
impl Wake for After {
    fn wake(self: Arc<Self>) {
        self.call();
    }
}

/// Stops a function from being called: what [`Context::after_func`](super::Context::after_func) returns. Dropping it
/// changes nothing.
///
/// # Examples
///
/// ```
/// use gorust_sync::Context;
///
/// let (ctx, _handle) = Context::background().with_cancel();
/// let stop = ctx.after_func(|| unreachable!());
/// assert!(stop.stop());
/// assert!(!stop.stop());
/// ```
pub struct Stop {
    after: Arc<After>,
}

impl Stop {
    pub(super) fn new(after: Arc<After>) -> Self {
        Self { after }
    }

    /// Stops the function from being called. Returns `false` if that was too late: it has been called, or was stopped
    /// before. Does not wait for one that is running.
    ///
    /// # Examples
    ///
    /// See [`Stop`].
    pub fn stop(&self) -> bool {
        self.after.stop()
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waits = self.after.function.lock().is_some();
        f.debug_struct("Stop").field("waits", &waits).finish()
    }
}

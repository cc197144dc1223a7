//! The futures that end when a context is done: waiting for it, and doing something until then.

use super::{Context, ContextError, tree::Node};
use gorust_primitives::{
    current::{self, Reason},
    select_case::{Glance, Leaf, Native},
    wait_list::{State, Waiter},
};
use pin_project_lite::pin_project;
use std::{
    fmt,
    future::Future,
    panic::Location,
    pin::Pin,
    task::{self, Poll, ready},
};

/// Sees to it that `waiter` waits for the node. Returns `false` if it is done.
///
/// # Safety
///
/// * `waiter` waits for no other node, ever.
/// * Before it is dropped, its owner calls `leave`.
unsafe fn wait(node: &Node, waiter: Pin<&Waiter>, cx: &mut task::Context<'_>) -> bool {
    if waiter.state() == State::Queued {
        // SAFETY: our caller's promise.
        return unsafe { node.keep_waiting(waiter, cx.waker()) };
    }
    waiter.set_waker(cx.waker());
    // SAFETY: the waiter is pinned and not queued; the rest is our caller's promise.
    unsafe { node.park(waiter) }
}

/// Takes `waiter` out, if it waits.
///
/// # Safety
///
/// If `waiter` is queued, it waits for `node`.
#[inline]
unsafe fn leave(node: Option<&Node>, waiter: Pin<&Waiter>) {
    if waiter.state() == State::Queued
        && let Some(node) = node
    {
        // SAFETY: our caller's promise.
        unsafe { node.forget(waiter) };
    }
}

pin_project! {
    /// The future of [`Context::done`].
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct Done<'a> {
        // None for a context that is never done.
        node: Option<&'a Node>,
        at: &'static Location<'static>,
        #[pin]
        waiter: Waiter,
    }

    impl PinnedDrop for Done<'_> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            // SAFETY: the waiter waits for this node or not at all.
            unsafe { leave(*this.node, this.waiter.as_ref()) };
        }
    }
}

impl<'a> Done<'a> {
    pub(super) fn new(node: Option<&'a Node>, at: &'static Location<'static>) -> Self {
        Self { node, at, waiter: Waiter::new(()) }
    }
}

impl Future for Done<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<()> {
        ready!(current::poll_proceed(cx));
        let this = self.project();
        let waits = match this.node {
            // Nobody will ever wake it, so it need not be known to anybody.
            None => true,
            // SAFETY: the waiter waits for this node alone, and leaves it before it is dropped.
            Some(node) => node.error().is_none() && unsafe { wait(node, this.waiter.as_ref(), cx) },
        };
        if waits {
            current::waits(Reason::ContextDone, this.at);
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

// SAFETY: an event: a context that is done stays so.
unsafe impl Leaf for Done<'_> {
    #[inline]
    fn glance(&self) -> Glance {
        Glance { is_ready: self.node.is_some_and(|node| node.error().is_some()), version: 0 }
    }

    fn arm(self: Pin<&mut Self>, cx: &mut task::Context<'_>) {
        let this = self.project();
        if let Some(node) = this.node {
            // SAFETY: the waiter waits for this node alone, and leaves it before it is dropped.
            unsafe { wait(node, this.waiter.as_ref(), cx) };
        }
    }
}

impl Native for Done<'_> {
    fn prepare(self: Pin<&mut Self>) -> bool {
        true
    }

    fn output(self: Pin<&mut Self>) {}
}

impl fmt::Debug for Done<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Done").field("waiter", &self.waiter.state()).finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`Context::run`].
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct Run<F> {
        // None once one of the two has ended.
        #[pin]
        future: Option<F>,
        context: Context,
        #[pin]
        waiter: Waiter,
    }

    impl<F> PinnedDrop for Run<F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            // SAFETY: the waiter waits for this node or not at all.
            unsafe { leave(this.context.node().map(|node| &**node), this.waiter.as_ref()) };
        }
    }
}

impl<F> Run<F> {
    pub(super) fn new(context: Context, future: F) -> Self {
        Self { future: Some(future), context, waiter: Waiter::new(()) }
    }
}

impl<F: Future> Future for Run<F> {
    type Output = Result<F::Output, ContextError>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let node = this.context.node();
        let mut error = node.and_then(|node| node.error());
        if error.is_none() {
            let future = this.future.as_mut().as_pin_mut();
            if let Poll::Ready(output) = future.expect("a run was polled after it had completed").poll(cx) {
                this.future.set(None);
                return Poll::Ready(Ok(output));
            }
            // It waits, for whatever it said; now for the context, too.
            let Some(node) = node else { return Poll::Pending };
            // SAFETY: the waiter waits for this node alone, and leaves it before it is dropped.
            if unsafe { wait(node, this.waiter.as_ref(), cx) } {
                return Poll::Pending;
            }
            error = node.error();
        }
        // What the future holds is let go before its error is seen.
        this.future.set(None);
        Poll::Ready(Err(error.expect("a node that lets nobody wait is done")))
    }
}

impl<F> fmt::Debug for Run<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("context", &self.context).finish_non_exhaustive()
    }
}

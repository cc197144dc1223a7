//! A goroutine whose future stays in the frame of whoever waits for it: so that the future of a bubble, or of a
//! `block_on` inside one, need be neither `Send` nor `'static`. The only unsafe code of the bubble.

use crate::{JoinHandle, runtime::Handle};
use std::{
    cell::UnsafeCell,
    future::Future,
    panic::{AssertUnwindSafe, Location, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
    thread,
};

/// A future, and what came of it.
pub(super) struct Local<F: Future> {
    /// Pinned in place. `None` once it was dropped.
    future: Option<F>,
    outcome: Option<thread::Result<F::Output>>,
}

impl<F: Future> Local<F> {
    pub(super) fn new(future: F) -> UnsafeCell<Self> {
        UnsafeCell::new(Self { future: Some(future), outcome: None })
    }

    /// Polls the future; when it is ready or has panicked, drops it and keeps the outcome.
    ///
    /// # Safety
    ///
    /// `local` points to a `Local<F>` that is not moved any more, and nobody else refers to it meanwhile.
    unsafe fn poll(local: *mut (), cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: as the caller promises.
        let local = unsafe { &mut *local.cast::<Self>() };
        let Some(future) = &mut local.future else { return Poll::Ready(()) };
        // SAFETY: it is not moved any more, and is dropped in place.
        let future = unsafe { Pin::new_unchecked(future) };
        let outcome = match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(panic) => Err(panic),
        };
        local.outcome = Some(outcome);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| local.future = None)) {
            // The first panic is the one to tell of.
            if let Some(Ok(_)) = &local.outcome {
                local.outcome = Some(Err(panic));
            } else {
                std::mem::forget(panic);
            }
        }
        Poll::Ready(())
    }
}

/// What the goroutine has for a future: the way to the real one.
struct Proxy {
    local: *mut (),
    poll: unsafe fn(*mut (), &mut Context<'_>) -> Poll<()>,
}

// SAFETY: a proxy does something only when it is polled, which happens on the bubble's thread alone, as `Hosted` says.
unsafe impl Send for Proxy {}

impl Future for Proxy {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: `Hosted` keeps the local where it is while its goroutine can be polled. A goroutine is not polled
        // inside its own poll, so nobody else refers to the local.
        unsafe { (self.poll)(self.local, cx) }
    }
}

/// A goroutine that polls a [`Local`] in the caller's frame. When it is dropped the goroutine has ended, or ends at
/// its next run without a poll.
pub(super) struct Hosted<'a, F: Future> {
    handle: JoinHandle<()>,
    local: &'a UnsafeCell<Local<F>>,
}

impl<'a, F: Future> Hosted<'a, F> {
    /// Spawns it.
    ///
    /// # Safety
    ///
    /// * `handle` is of a bubble, whose goroutines are polled only by the loops of this thread.
    /// * The local was pinned: it is not moved any more. It is dropped after the returned value, which is itself not
    ///   forgotten.
    pub(super) unsafe fn spawn(
        handle: &Handle,
        local: &'a UnsafeCell<Local<F>>,
        spawned_at: &'static Location<'static>,
    ) -> Self {
        let proxy = Proxy { local: local.get().cast(), poll: Local::<F>::poll };
        Self { handle: handle.spawn_at(proxy, spawned_at), local }
    }

    pub(super) fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// Drops the future where it is, if it has not ended; its goroutine is not polled any more. For the loop that runs
    /// the bubble, outside every poll of that goroutine.
    pub(super) fn drop_future(&mut self) -> thread::Result<()> {
        self.handle.abort();
        let local = self.local.get();
        // SAFETY: the goroutine is not polled now, nor ever again: it was told to abort. So this is the only reference.
        let local = unsafe { &mut *local };
        catch_unwind(AssertUnwindSafe(|| local.future = None))
    }

    /// Whether it has ended in a panic; outside every poll of its goroutine.
    pub(super) fn has_panicked(&self) -> bool {
        let local = self.local.get();
        // SAFETY: the goroutine is not polled now, and this reference ends here.
        matches!(unsafe { &*local }.outcome, Some(Err(_)))
    }

    /// Takes the outcome, if the future has ended; outside every poll of its goroutine.
    pub(super) fn take(&mut self) -> Option<thread::Result<F::Output>> {
        let local = self.local.get();
        // SAFETY: the goroutine is not polled now, so this is the only reference.
        unsafe { &mut *local }.outcome.take()
    }
}

impl<F: Future> Drop for Hosted<'_, F> {
    fn drop(&mut self) {
        // An aborted task is dropped when it is next run, not polled.
        self.handle.abort();
    }
}

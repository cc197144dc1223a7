//! Sends and receives as cases of a select: how each is looked at, committed, queued and taken out. When that is
//! done is for `select` to say.

use super::{
    core::{Chan, Core, Outlook, Parked, Sent, wake},
    error::{Closed, SendError},
    nil::OrNever,
    recv::Recv,
    send::{Send, SendFrom, Sending},
};
use gorust_primitives::{
    select_case::{Case, Glance, Leaf, Native},
    wait_list::{State, Waiter, keep_waiting},
};
use std::{pin::Pin, ptr, task};

/// Whether a peer has served the waiter: nobody takes that away any more.
fn is_served<T>(waiter: &Waiter<Parked<T>>) -> bool {
    matches!(waiter.state(), State::Granted | State::Closed)
}

/// What a leaf that a peer has served says of itself.
const SERVED: Glance = Glance { is_ready: true, version: 0 };

/// What is the same in both kinds of operations.
macro_rules! operation {
    ($queue:ident) => {
        fn lock_address(&self) -> usize {
            ptr::from_ref(self.chan).addr()
        }

        fn lock(&self) {
            self.chan.hold();
        }

        unsafe fn unlock(&self) {
            // SAFETY: our caller's promise.
            unsafe { self.chan.let_go() };
        }

        fn arm(self: Pin<&mut Self>, cx: &mut task::Context<'_>) {
            let this = self.project();
            if this.waiter.state() != State::Queued {
                this.waiter.set_waker(cx.waker());
                return;
            }
            // SAFETY: the waiter is queued in this channel.
            unsafe {
                keep_waiting(
                    || this.chan.raw_lock(),
                    |core| &mut core.$queue,
                    this.waiter.as_ref(),
                    cx.waker(),
                )
            };
        }

        #[inline]
        fn dequeue(self: Pin<&mut Self>) {
            let this = self.project();
            if this.waiter.state() == State::Queued {
                // SAFETY: the waiter is in this queue or in none.
                unsafe { this.chan.lock().core().$queue.remove(this.waiter.as_ref()) };
            }
            // SAFETY: the waiter is not queued, and ours.
            unsafe { this.waiter.payload_unchecked() }.case.set(Case::ALONE);
        }
    };
}

// SAFETY: the lock is the channel's, which is where the address is; under it nothing is woken or dropped; the outlook
// is written by whoever lets go of the lock.
unsafe impl<T> Leaf for Recv<'_, T> {
    operation!(receivers);

    #[inline]
    fn glance(&self) -> Glance {
        if is_served(&self.waiter) { SERVED } else { self.chan.glance(Outlook::RECEIVABLE) }
    }

    #[inline]
    fn try_commit(self: Pin<&mut Self>) -> bool {
        if is_served(&self.waiter) {
            return true;
        }
        let this = self.project();
        let waiter = this.waiter.as_ref();
        let mut locked = this.chan.lock();
        let (value, waker) = match locked.recv() {
            Some((value, waker)) => (Some(value), waker),
            None if locked.is_closed() => (None, None),
            None => return false,
        };
        if waiter.state() == State::Queued {
            // SAFETY: the waiter is in this queue.
            unsafe { locked.core().receivers.remove(waiter) };
        }
        drop(locked);
        // SAFETY: the waiter is ours, and not queued.
        let parked = unsafe { waiter.get_ref().payload_unchecked() };
        // SAFETY: as above. There was no value: nobody has served it.
        unsafe { parked.with_value(|slot| *slot = value) };
        wake(waker);
        true
    }

    unsafe fn is_ready(&self) -> bool {
        // SAFETY: our caller's promise.
        is_served(&self.waiter)
            || self.chan.outlook().is_closed()
            || unsafe { self.chan.held(|core| core.has_something()) }
    }

    unsafe fn enqueue(self: Pin<&mut Self>, case: Case) -> bool {
        let this = self.project();
        let waiter = this.waiter.as_ref();
        if waiter.state() != State::Queued {
            waiter.payload().case.set(case);
            let join = |core: &mut Core<T>| {
                // SAFETY: the waiter is pinned and not queued, and `dequeue` or `Recv::leave` takes it out.
                unsafe { core.receivers.push_back(waiter) };
            };
            // SAFETY: our caller's promise.
            unsafe { this.chan.held(join) };
        }
        false
    }
}

impl<T> Native for Recv<'_, T> {
    #[inline]
    fn prepare(self: Pin<&mut Self>) -> bool {
        assert!(!self.is_done, "a receive was polled after it had completed");
        self.dequeue();
        true
    }

    #[inline]
    fn output(self: Pin<&mut Self>) -> Option<T> {
        let this = self.project();
        *this.is_done = true;
        // SAFETY: the waiter is ours, and not queued, or `payload` would panic.
        unsafe { this.waiter.as_ref().get_ref().payload().with_value(Option::take) }
    }
}

// SAFETY: as for `Recv`.
unsafe impl<T> Leaf for Sending<'_, T> {
    operation!(senders);

    #[inline]
    fn glance(&self) -> Glance {
        if is_served(&self.waiter) { SERVED } else { self.chan.glance(Outlook::SENDABLE) }
    }

    #[inline]
    fn try_commit(self: Pin<&mut Self>) -> bool {
        if is_served(&self.waiter) {
            return true;
        }
        let this = self.project();
        let waiter = this.waiter.as_ref();
        let mut locked = this.chan.lock();
        // SAFETY: the waiter is ours, and not queued, or queued under the lock we hold.
        let parked = unsafe { waiter.get_ref().payload_unchecked() };
        // SAFETY: as above. Our own claim is not open, so no step of `send` finds this waiter.
        let waker = match unsafe { parked.with_value(|value| locked.send(value)) } {
            Sent::Done(waker) => waker,
            Sent::Closed => None,
            Sent::Full => return false,
        };
        if waiter.state() == State::Queued {
            // SAFETY: the waiter is in this queue.
            unsafe { locked.core().senders.remove(waiter) };
        }
        drop(locked);
        wake(waker);
        true
    }

    unsafe fn is_ready(&self) -> bool {
        // SAFETY: our caller's promise.
        is_served(&self.waiter)
            || self.chan.outlook().is_closed()
            || unsafe { self.chan.held(|core| core.has_room()) }
    }

    unsafe fn enqueue(self: Pin<&mut Self>, case: Case) -> bool {
        let this = self.project();
        let waiter = this.waiter.as_ref();
        let is_new = waiter.state() != State::Queued;
        if is_new {
            waiter.payload().case.set(case);
        }
        let join = |core: &mut Core<T>| {
            // SAFETY: the waiter is ours, and not queued, or queued under the lock we hold.
            let was_passed_by = unsafe { waiter.get_ref().payload_unchecked() }.was_passed_by();
            if is_new {
                // SAFETY: the waiter is pinned and not queued, and `dequeue` or `Sending::leave` takes it out.
                unsafe { core.senders.push_back(waiter) };
            }
            // One stream is told of a value, unless one came meanwhile in vain.
            (is_new || was_passed_by) && !core.streams.is_empty()
        };
        // SAFETY: our caller's promise.
        unsafe { this.chan.held(join) }
    }

    fn announce(&self) {
        self.chan.announce();
    }
}

impl<T> Chan<T> {
    /// Tells a stream of a sender that waits.
    fn announce(&self) {
        let stream = self.lock().next_stream();
        wake(stream);
    }
}

impl<T> Sending<'_, T> {
    fn prepare(self: Pin<&mut Self>) {
        assert!(!self.is_done, "a send was polled after it had completed");
        self.dequeue();
    }

    /// The value, if it was not sent: the channel is closed.
    #[inline]
    fn unsent(mut self: Pin<&mut Self>) -> Option<T> {
        *self.as_mut().project().is_done = true;
        self.with_value(Option::take)
    }
}

/// A leaf that is another one with something beside it.
macro_rules! forward {
    ($future:ident) => {
        // SAFETY: all is said of the operation inside.
        unsafe impl<T> Leaf for $future<'_, T> {
            #[inline]
            fn glance(&self) -> Glance {
                self.sending.glance()
            }
            #[inline]
            fn try_commit(self: Pin<&mut Self>) -> bool {
                self.project().sending.try_commit()
            }
            fn arm(self: Pin<&mut Self>, cx: &mut task::Context<'_>) {
                self.project().sending.arm(cx);
            }
            fn lock_address(&self) -> usize {
                self.sending.lock_address()
            }
            fn lock(&self) {
                self.sending.lock();
            }
            unsafe fn unlock(&self) {
                // SAFETY: our caller's promise.
                unsafe { self.sending.unlock() };
            }
            unsafe fn is_ready(&self) -> bool {
                // SAFETY: our caller's promise.
                unsafe { self.sending.is_ready() }
            }
            unsafe fn enqueue(self: Pin<&mut Self>, case: Case) -> bool {
                // SAFETY: our caller's promise.
                unsafe { self.project().sending.enqueue(case) }
            }
            fn announce(&self) {
                self.sending.announce();
            }
            fn dequeue(self: Pin<&mut Self>) {
                self.project().sending.dequeue();
            }
        }
    };
}

forward!(Send);
forward!(SendFrom);

impl<T> Native for Send<'_, T> {
    #[inline]
    fn prepare(self: Pin<&mut Self>) -> bool {
        self.project().sending.prepare();
        true
    }

    #[inline]
    fn output(self: Pin<&mut Self>) -> Result<(), SendError<T>> {
        self.project().sending.unsent().map_or(Ok(()), |value| Err(SendError(value)))
    }
}

impl<T> Native for SendFrom<'_, T> {
    #[inline]
    fn prepare(self: Pin<&mut Self>) -> bool {
        let mut this = self.project();
        this.sending.as_mut().prepare();
        if let Some(value) = this.slot.take() {
            this.sending.with_value(|own| *own = Some(value));
        }
        true
    }

    #[inline]
    fn output(self: Pin<&mut Self>) -> Result<(), Closed> {
        let this = self.project();
        **this.slot = this.sending.unsent();
        if this.slot.is_some() { Err(Closed) } else { Ok(()) }
    }
}

// SAFETY: all is said of the operation inside, and one that is not there is never ready and has no lock. Which of the
// two it is does not change.
unsafe impl<F: Leaf> Leaf for OrNever<F> {
    #[inline]
    fn glance(&self) -> Glance {
        self.inner().map_or(Glance { is_ready: false, version: 0 }, F::glance)
    }

    #[inline]
    fn try_commit(self: Pin<&mut Self>) -> bool {
        self.as_pin_mut().is_some_and(F::try_commit)
    }

    fn arm(self: Pin<&mut Self>, cx: &mut task::Context<'_>) {
        if let Some(inner) = self.as_pin_mut() {
            inner.arm(cx);
        }
    }

    fn lock_address(&self) -> usize {
        self.inner().map_or(0, F::lock_address)
    }

    fn lock(&self) {
        if let Some(inner) = self.inner() {
            inner.lock();
        }
    }

    unsafe fn unlock(&self) {
        if let Some(inner) = self.inner() {
            // SAFETY: our caller's promise.
            unsafe { inner.unlock() };
        }
    }

    unsafe fn is_ready(&self) -> bool {
        // SAFETY: our caller's promise.
        self.inner().is_some_and(|inner| unsafe { inner.is_ready() })
    }

    unsafe fn enqueue(self: Pin<&mut Self>, case: Case) -> bool {
        // SAFETY: our caller's promise.
        self.as_pin_mut().is_some_and(|inner| unsafe { inner.enqueue(case) })
    }

    fn announce(&self) {
        if let Some(inner) = self.inner() {
            inner.announce();
        }
    }

    fn dequeue(self: Pin<&mut Self>) {
        if let Some(inner) = self.as_pin_mut() {
            inner.dequeue();
        }
    }
}

impl<F: Native> Native for OrNever<F> {
    fn prepare(self: Pin<&mut Self>) -> bool {
        self.as_pin_mut().is_some_and(F::prepare)
    }

    fn output(self: Pin<&mut Self>) -> F::Output {
        self.as_pin_mut().expect("what is never ready was not chosen").output()
    }
}

//! What the two ends of a oneshot share: room for the value and for two wakers, and one word that says who may
//! touch what. The handles are in `mod.rs`.
//!
//! # Who may touch what
//!
//! Each side has two bits. *Done*: it has done what it will do, and the other side learns of it. *Gone*: it will not
//! touch the slot again. Who finds the other one gone frees the memory.
//!
//! * The value is the sender's until `SENT`, the receiver's then.
//! * A waker is its owner's while its bit (`RX_WAITS`, `TX_WAITS`) is clear. Who becomes done while the other's bit
//!   is set owns the other's waker from that step on, and is gone only when it has taken it.
//!
//! So a send that nobody waits for yet is one compare-exchange: sent, done and gone in one step. One that has to wake
//! makes two steps, *done* and, with the waker in its hand, *gone*.
//!
//! The race to fear: the receiver looks, sees nothing, and sets its bit, while the sender sends and sees no bit. It
//! cannot happen that both miss each other, since both bits are set by read-modify-writes of one word: of the two
//! the second sees the first. (Mutant `oneshot.wait_without_a_look`.)

use gorust_primitives::shim::{AtomicU8, Ordering, UnsafeCell, mutant};
use std::{
    mem::MaybeUninit,
    ptr::NonNull,
    task::{Poll, Waker},
};

/// The receiver's waker lies in its slot.
const RX_WAITS: u8 = 1;
/// The sender's waker lies in its slot.
const TX_WAITS: u8 = 2;
/// The value lies in its slot.
const SENT: u8 = 4;
/// The sender has sent, or will not.
const TX_DONE: u8 = 8;
/// The sender does not touch the slot any more.
const TX_GONE: u8 = 16;
/// The receiver is dropped, or has what it came for.
const RX_DONE: u8 = 32;
/// The receiver does not touch the slot any more.
const RX_GONE: u8 = 64;

pub(super) struct Slot<T> {
    state: AtomicU8,
    value: UnsafeCell<MaybeUninit<T>>,
    rx_waker: UnsafeCell<Option<Waker>>,
    tx_waker: UnsafeCell<Option<Waker>>,
}

/// One end's hold of the slot. It is let go by `release`, once.
pub(super) struct End<T>(NonNull<Slot<T>>);

// SAFETY: the value and the wakers go from thread to thread with the bits of the state; each is touched by one side
// at a time (see above).
unsafe impl<T: Send> Send for End<T> {}
// SAFETY: a shared end can only be asked for the state, an atomic.
unsafe impl<T: Send> Sync for End<T> {}

/// A slot, and its two ends: the sender's and the receiver's.
pub(super) fn pair<T>() -> (End<T>, End<T>) {
    let slot = NonNull::from(Box::leak(Box::new(Slot {
        state: AtomicU8::new(0),
        value: UnsafeCell::new(MaybeUninit::uninit()),
        rx_waker: UnsafeCell::new(None),
        tx_waker: UnsafeCell::new(None),
    })));
    (End(slot), End(slot))
}

impl<T> End<T> {
    fn slot(&self) -> &Slot<T> {
        // SAFETY: the slot is freed by `free` only, when both sides are gone, and this one is not.
        unsafe { self.0.as_ref() }
    }

    fn state(&self) -> u8 {
        // Ordering: Acquire, against the Release of whatever set the bits we see: the value, and the last touch of
        // who is gone.
        self.slot().state.load(Ordering::Acquire)
    }

    /// Frees the slot.
    ///
    /// # Safety
    ///
    /// The other side is seen to be gone, and this one does not touch the slot after.
    unsafe fn free(self) {
        // SAFETY: it comes from `Box::leak`, and the last of the two sides is here once.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }

    /// Is done, with the further bits `done`, unless the state has one of `unless`. Takes the other side's waker if
    /// that one waits, as its bit `waits` says; then goes with the bit `gone`. Returns whether it was done, and whom
    /// to wake.
    ///
    /// # Safety
    ///
    /// The side does not touch the slot after, if it was done.
    #[inline]
    unsafe fn finish(&self, end: Bits, done: u8, unless: u8) -> Result<Option<Waker>, u8> {
        let slot = self.slot();
        // Ordering: Acquire, as in `state`.
        let mut state = slot.state.load(Ordering::Acquire);
        loop {
            if state & unless != 0 {
                return Err(state);
            }
            if state & end.other_gone != 0 {
                // Nobody else is here.
                // SAFETY: the other side is gone, and our caller's promise.
                unsafe { Self(self.0).free() };
                return Ok(None);
            }
            // The other side's waker is there to be taken, unless that side is through and will not need it.
            let wakes = state & end.other_waits != 0 && state & end.other_done == 0;
            let gone = if wakes { 0 } else { end.gone };
            let ordering = if mutant("oneshot.relaxed") { Ordering::Relaxed } else { Ordering::AcqRel };
            // Ordering: AcqRel, against the same on the other side, `Side::wait` and `state`: who sees that we are
            // done sees the value, who sees that we are gone sees that we have let go of everything, and we see the
            // waker whose bit is set.
            match slot.state.compare_exchange_weak(state, state | done | gone, ordering, Ordering::Acquire) {
                Err(now) => state = now,
                Ok(_) if !wakes => return Ok(None),
                Ok(_) => break,
            }
        }
        // SAFETY: the other side's bit was set when we became done, so its waker is ours.
        let waker = end.other_waker(slot).with_mut(|waker| unsafe { (*waker).take() });
        // Ordering: AcqRel, as above: the other side's last touch is seen if it is gone, and ours by it if not.
        if slot.state.fetch_or(end.gone, Ordering::AcqRel) & end.other_gone != 0 {
            // SAFETY: the other side is gone, and our caller's promise.
            unsafe { Self(self.0).free() };
        }
        Ok(waker)
    }

    /// Waits for the other side to be done: puts `waker` in our slot. Ready if it is done.
    #[inline]
    fn wait(&self, end: Bits, waker: &Waker) -> Poll<()> {
        let slot = self.slot();
        let mut state = self.state();
        if state & end.other_done == 0 && state & end.waits != 0 {
            // Ordering: AcqRel, against `finish`: of the two one is first. If the other side is not done yet it
            // will see no bit, and the waker is ours again.
            state = slot.state.fetch_and(!end.waits, Ordering::AcqRel);
        }
        if state & end.other_done != 0 {
            return Poll::Ready(());
        }
        // SAFETY: our bit is clear and the other side is not done, so the waker is ours.
        end.waker(slot).with_mut(|own| match unsafe { &mut *own } {
            Some(own) => own.clone_from(waker),
            none => *none = Some(waker.clone()),
        });
        // Ordering: AcqRel, against `finish`: it takes the waker, or we see that it is done.
        let state = slot.state.fetch_or(end.waits, Ordering::AcqRel);
        let is_done = state & end.other_done != 0 && !mutant("oneshot.wait_without_a_look");
        if is_done { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// One side's bits, and the other's.
#[derive(Clone, Copy)]
struct Bits {
    waits: u8,
    gone: u8,
    other_waits: u8,
    other_done: u8,
    other_gone: u8,
    is_sender: bool,
}

const TX: Bits = Bits {
    waits: TX_WAITS,
    gone: TX_GONE,
    other_waits: RX_WAITS,
    other_done: RX_DONE,
    other_gone: RX_GONE,
    is_sender: true,
};

const RX: Bits = Bits {
    waits: RX_WAITS,
    gone: RX_GONE,
    other_waits: TX_WAITS,
    other_done: TX_DONE,
    other_gone: TX_GONE,
    is_sender: false,
};

impl Bits {
    fn waker<T>(self, slot: &Slot<T>) -> &UnsafeCell<Option<Waker>> {
        if self.is_sender { &slot.tx_waker } else { &slot.rx_waker }
    }

    fn other_waker<T>(self, slot: &Slot<T>) -> &UnsafeCell<Option<Waker>> {
        if self.is_sender { &slot.rx_waker } else { &slot.tx_waker }
    }
}

/// The sender's side.
impl<T> End<T> {
    /// Sends and lets go; gives the value back, and holds on, if the receiver is gone.
    ///
    /// # Safety
    ///
    /// This is the sender's end. After `Ok` it is not used again.
    #[inline]
    pub(super) unsafe fn send(&self, value: T) -> Result<Option<Waker>, T> {
        let slot = self.slot();
        // SAFETY: nothing is sent yet, so the value's place is the sender's.
        slot.value.with_mut(|place| unsafe { (*place).write(value) });
        // SAFETY: our caller's promise.
        unsafe { self.finish(TX, SENT | TX_DONE, RX_DONE) }.map_err(|_state| {
            // SAFETY: it was not sent, so it is still the sender's, and was written above.
            slot.value.with(|place| unsafe { place.cast::<T>().read() })
        })
    }

    /// Lets go without sending. Returns whom to wake.
    ///
    /// # Safety
    ///
    /// This is the sender's end, it has not sent, and it is not used again.
    pub(super) unsafe fn release_sender(&self) -> Option<Waker> {
        // SAFETY: our caller's promise.
        unsafe { self.finish(TX, TX_DONE, 0) }.unwrap_or(None)
    }

    /// Ready when the receiver is gone. For the sender.
    pub(super) fn poll_receiver_done(&self, waker: &Waker) -> Poll<()> {
        self.wait(TX, waker)
    }

    pub(super) fn is_receiver_done(&self) -> bool {
        self.state() & RX_DONE != 0
    }

    /// Takes the sender's waker back; it is dropped by the caller.
    pub(super) fn stop_waiting(&self) -> Option<Waker> {
        if self.state() & TX_WAITS == 0 {
            return None;
        }
        // Ordering: AcqRel, as in `wait`.
        let state = self.slot().state.fetch_and(!TX_WAITS, Ordering::AcqRel);
        if state & RX_DONE != 0 {
            return None;
        }
        // SAFETY: our bit is clear and the receiver was not done when it was set, so the waker is ours.
        self.slot().tx_waker.with_mut(|waker| unsafe { (*waker).take() })
    }
}

/// What a receiver finds.
pub(super) enum Found {
    Nothing,
    Value,
    /// The sender went without a word.
    End,
}

/// The receiver's side.
impl<T> End<T> {
    #[inline]
    pub(super) fn look(&self) -> Found {
        let state = self.state();
        match (state & TX_DONE != 0, state & SENT != 0) {
            (false, _) => Found::Nothing,
            (true, true) => Found::Value,
            (true, false) => Found::End,
        }
    }

    /// Ready when the sender has sent or is gone. For the receiver.
    #[inline]
    pub(super) fn poll_sender_done(&self, waker: &Waker) -> Poll<()> {
        self.wait(RX, waker)
    }

    /// Takes the value out.
    ///
    /// # Safety
    ///
    /// This is the receiver's end, `look` has found a value, and it is taken once.
    #[inline]
    pub(super) unsafe fn take(&self) -> T {
        // SAFETY: it was sent, so it is the receiver's.
        self.slot().value.with(|place| unsafe { place.cast::<T>().read() })
    }

    /// Lets go. Returns the value, if one is sent before that takes effect and `is_taken` does not say that it has
    /// been taken, and whom to wake.
    ///
    /// # Safety
    ///
    /// This is the receiver's end, and it is not used again.
    #[inline]
    pub(super) unsafe fn release_receiver(&self, is_taken: bool) -> (Option<T>, Option<Waker>) {
        let unless = if is_taken { 0 } else { SENT };
        // SAFETY: our caller's promise; if it was not done, we go on.
        match unsafe { self.finish(RX, RX_DONE, unless) } {
            Ok(waker) => (None, waker),
            Err(_sent) => {
                // SAFETY: it is sent, and not taken.
                let value = unsafe { self.take() };
                // SAFETY: our caller's promise.
                let waker = unsafe { self.finish(RX, RX_DONE, 0) }.unwrap_or(None);
                (Some(value), waker)
            }
        }
    }
}

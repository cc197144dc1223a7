//! The cases of one `select!`, each of its own type: told apart, lent to the machine for each poll, and asked for
//! their output at the end.

use super::machine::{Body, Foreign, Machine, Slot, try_now};
use gorust_primitives::{
    current,
    select_case::{Glance, Native},
    shim::mutant,
};
use std::{
    future::{Future, IntoFuture},
    marker::PhantomData,
    panic::Location,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// What may stand behind the `=` of a case.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a future, and so no case of a `select!`",
    label = "this is to be a future, as `rx.recv()` or `ctx.done()` are"
)]
pub trait Operand: Sized {
    /// The future it becomes.
    type Future: Future;

    /// Becomes that future.
    fn operand(self) -> Self::Future;
}

#[diagnostic::do_not_recommend]
impl<F: IntoFuture> Operand for F {
    type Future = F::IntoFuture;

    #[inline]
    fn operand(self) -> F::IntoFuture {
        self.into_future()
    }
}

/// Makes a future of the operand of a case.
#[inline]
pub fn operand<F: Operand>(operand: F) -> F::Future {
    operand.operand()
}

/// Tells a future that select knows from any other by its type: `(&Probe::of(&future)).kind()` finds [`NativeKind`]
/// if that holds, and one step of referencing later [`ForeignKind`], which always does.
#[derive(Debug)]
pub struct Probe<F>(PhantomData<fn() -> F>);

impl<F> Probe<F> {
    /// A probe of the future's type.
    #[inline]
    pub fn of(_: &Pin<&mut F>) -> Self {
        Self(PhantomData)
    }

    /// A probe of the type of a future that may not be there.
    #[inline]
    pub fn of_option(_: &Pin<&mut Option<F>>) -> Self {
        Self(PhantomData)
    }
}

/// A future that select knows.
#[derive(Debug)]
pub struct IsNative;

/// Any other.
#[derive(Debug)]
pub struct IsForeign;

/// See [`Probe`].
pub trait NativeKind {
    /// Tells.
    #[inline]
    fn kind(&self) -> IsNative {
        IsNative
    }
}

/// See [`Probe`].
pub trait ForeignKind {
    /// Tells.
    #[inline]
    fn kind(&self) -> IsForeign {
        IsForeign
    }
}

impl<F: Native> NativeKind for Probe<F> {}
impl<F> ForeignKind for &Probe<F> {}

impl IsNative {
    /// Makes a case of the future; without one, a case that is off.
    #[inline]
    pub fn case<F: Native>(self, future: Option<Pin<&mut F>>) -> NativeCase<'_, F> {
        match future {
            Some(mut future) => {
                let is_on = future.as_mut().prepare();
                NativeCase { future: Some(future), is_on }
            }
            None => NativeCase { future: None, is_on: false },
        }
    }
}

impl IsForeign {
    /// Makes a case of the future; without one, a case that is off.
    #[inline]
    pub fn case<F: Future>(self, future: Option<Pin<&mut F>>) -> ForeignCase<'_, F> {
        ForeignCase { is_on: future.is_some(), future, output: None }
    }
}

/// A case whose future takes part in the snapshot.
#[allow(missing_debug_implementations, reason = "it is seen by what `select!` writes alone")]
pub struct NativeCase<'c, F> {
    future: Option<Pin<&'c mut F>>,
    is_on: bool,
}

/// A case whose future is polled beside the snapshot.
#[allow(missing_debug_implementations, reason = "as above")]
pub struct ForeignCase<'c, F: Future> {
    future: Option<Pin<&'c mut F>>,
    output: Option<F::Output>,
    is_on: bool,
}

/// What is said of a case that cannot be looked at.
const NOT_READY: Glance = Glance { is_ready: false, version: 0 };

/// One case.
///
/// # Safety
///
/// `slot` lends the same future every time, or none once the case is off; and it is not turned off while a machine
/// has it.
pub unsafe trait SelectCase {
    /// What its future gives.
    type Output;

    /// Whether it can be looked at and committed without the machine.
    const IS_NATIVE: bool;

    /// Looks without a lock; a case that is off is not ready.
    fn glance(&self) -> Glance;

    /// Commits if that can be done now.
    fn try_commit(&mut self) -> bool;

    /// Lends it to the machine.
    fn slot(&mut self) -> Slot<'_>;

    /// Whether it may be chosen at all.
    fn is_on(&self) -> bool;

    /// Takes it out of the game.
    fn turn_off(&mut self);

    /// The output of the case that was chosen.
    fn output(&mut self) -> Self::Output;
}

// SAFETY: the future is the one the case was made of.
unsafe impl<F: Native> SelectCase for NativeCase<'_, F> {
    type Output = F::Output;
    const IS_NATIVE: bool = true;

    #[inline]
    fn glance(&self) -> Glance {
        match &self.future {
            Some(future) if self.is_on => future.as_ref().get_ref().glance(),
            _ => NOT_READY,
        }
    }

    #[inline]
    fn try_commit(&mut self) -> bool {
        self.future.as_mut().is_some_and(|future| future.as_mut().try_commit())
    }

    #[inline]
    fn slot(&mut self) -> Slot<'_> {
        match &mut self.future {
            Some(future) if self.is_on => Slot::new(Body::Native(future.as_mut())),
            _ => Slot::OFF,
        }
    }

    #[inline]
    fn is_on(&self) -> bool {
        self.is_on
    }

    #[inline]
    fn turn_off(&mut self) {
        self.is_on = false;
    }

    #[inline]
    fn output(&mut self) -> F::Output {
        self.future.as_mut().expect("a case without a future was not chosen").as_mut().output()
    }
}

impl<F: Future> Foreign for ForeignCase<'_, F> {
    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(future) = &mut self.future
            && let Poll::Ready(output) = future.as_mut().poll(cx)
        {
            self.output = Some(output);
        }
        self.output.is_some()
    }
}

// SAFETY: as above.
unsafe impl<F: Future> SelectCase for ForeignCase<'_, F> {
    type Output = F::Output;
    const IS_NATIVE: bool = false;

    fn glance(&self) -> Glance {
        NOT_READY
    }

    fn try_commit(&mut self) -> bool {
        false
    }

    fn slot(&mut self) -> Slot<'_> {
        if self.is_on { Slot::new(Body::Foreign(self)) } else { Slot::OFF }
    }

    fn is_on(&self) -> bool {
        self.is_on
    }

    fn turn_off(&mut self) {
        self.is_on = false;
    }

    fn output(&mut self) -> F::Output {
        self.output.take().expect("a case that was not ready was not chosen")
    }
}

/// The cases of a select, as a list of pairs: `(first, (second, ()))`.
///
/// # Safety
///
/// `slots` lends the same cases every time, each in the same place.
pub unsafe trait Cases {
    /// Whether all of them can be looked at and committed without the machine.
    const ARE_NATIVE: bool;

    /// Looks at all of them without their locks: which seem ready, a bit each, and the versions.
    fn glance(&self, versions: &mut [u64]) -> u64;

    /// Looks at the case `index` without its lock.
    fn is_ready(&self, index: u32) -> bool;

    /// Commits the case `index` if that can be done now.
    fn try_commit(&mut self, index: u32) -> bool;

    /// Lends them to the machine, each in its place.
    fn slots<'s>(&'s mut self, slots: &mut [Slot<'s>]);

    /// Whether one of them may be chosen.
    fn is_any_on(&self) -> bool;
}

// SAFETY: there are none.
unsafe impl Cases for () {
    const ARE_NATIVE: bool = true;

    #[inline]
    fn glance(&self, _: &mut [u64]) -> u64 {
        0
    }

    #[inline]
    fn is_ready(&self, _: u32) -> bool {
        false
    }

    #[inline]
    fn try_commit(&mut self, _: u32) -> bool {
        false
    }

    #[inline]
    fn slots<'s>(&'s mut self, _: &mut [Slot<'s>]) {}

    #[inline]
    fn is_any_on(&self) -> bool {
        false
    }
}

// SAFETY: what is said of each case holds for the list.
unsafe impl<C: SelectCase, R: Cases> Cases for (C, R) {
    const ARE_NATIVE: bool = C::IS_NATIVE && R::ARE_NATIVE;

    #[inline]
    fn glance(&self, versions: &mut [u64]) -> u64 {
        let Some((first, others)) = versions.split_first_mut() else { return 0 };
        let glance = self.0.glance();
        *first = glance.version;
        u64::from(glance.is_ready) | self.1.glance(others) << 1
    }

    #[inline]
    fn is_ready(&self, index: u32) -> bool {
        match index.checked_sub(1) {
            None => self.0.glance().is_ready,
            Some(index) => self.1.is_ready(index),
        }
    }

    #[inline]
    fn try_commit(&mut self, index: u32) -> bool {
        match index.checked_sub(1) {
            None => self.0.try_commit(),
            Some(index) => self.1.try_commit(index),
        }
    }

    #[inline]
    fn slots<'s>(&'s mut self, slots: &mut [Slot<'s>]) {
        if let Some((first, others)) = slots.split_first_mut() {
            *first = self.0.slot();
            self.1.slots(others);
        }
    }

    #[inline]
    fn is_any_on(&self) -> bool {
        self.0.is_on() || self.1.is_any_on()
    }
}

/// Waits until one of the `N` cases is chosen and gives its number; made by [`choose`].
#[allow(missing_debug_implementations, reason = "as above")]
#[must_use = "futures do nothing unless they are awaited"]
pub struct Choose<'c, C: Cases, const N: usize> {
    cases: &'c mut C,
    order: [u32; N],
    machine: Machine,
}

/// Chooses among the cases of a `select!`, waiting if it must.
#[inline]
#[track_caller]
pub fn choose<C: Cases, const N: usize>(cases: &mut C, is_biased: bool) -> Choose<'_, C, N> {
    Choose { cases, order: [0; N], machine: Machine::new(is_biased, Location::caller()) }
}

/// Whether step 1 can be taken by the cases themselves, each of its own type: nothing is lent to the machine, which
/// calls what it does not know.
const fn is_simple<C: Cases, const N: usize>() -> bool {
    C::ARE_NATIVE && N > 0 && N <= u64::BITS as usize
}

/// Commits one of the cases that are ready, each with the same probability: they are looked at in an order that is drawn on
/// the way, and the first that is ready is taken. The others are not looked at: their words may be on their way to another core.
#[inline]
fn commit_any<C: Cases, const N: usize>(cases: &mut C) -> Option<usize> {
    let mut left = u64::MAX >> (u64::BITS as usize - N);
    while left != 0 {
        let index = nth_of(left, current::random_below(left.count_ones()));
        if cases.is_ready(index) && cases.try_commit(index) {
            return Some(index as usize);
        }
        left &= !(1 << index);
    }
    None
}

/// The number of the bit of `bits` that has `nth` set ones below it.
#[inline]
fn nth_of(mut bits: u64, nth: u32) -> u32 {
    for _ in 0..nth {
        bits &= bits - 1;
    }
    bits.trailing_zeros()
}

/// Commits one of the cases whose bit is set, each with the same probability, or the first that is ready. `None` if
/// others were quicker at all of them.
#[inline]
fn commit_one<C: Cases, const N: usize>(
    cases: &mut C,
    mut ready: u64,
    versions: [u64; N],
    is_biased: bool,
) -> Option<usize> {
    if is_biased && ready != 0 {
        ready = settle(cases, ready, versions);
    }
    while ready != 0 {
        let count = ready.count_ones();
        let index = nth_of(ready, if is_biased || count == 1 { 0 } else { current::random_below(count) });
        if cases.try_commit(index) {
            return Some(index as usize);
        }
        ready &= !(1 << index);
    }
    None
}

/// Glances again until nothing has changed between two looks, or a few times: for who asks which is the first.
fn settle<C: Cases, const N: usize>(cases: &C, mut ready: u64, mut versions: [u64; N]) -> u64 {
    const LOOKS: usize = 8;
    for _ in 0..LOOKS {
        let mut again = [0; N];
        let ready_again = cases.glance(&mut again);
        if (ready, versions) == (ready_again, again) {
            break;
        }
        (ready, versions) = (ready_again, again);
    }
    ready
}

/// Chooses among the cases of a `select!` with a default, which is `None`.
#[inline]
pub fn choose_now<C: Cases, const N: usize>(cases: &mut C, is_biased: bool) -> Option<usize> {
    if is_simple::<C, N>() {
        let mut versions = [0; N];
        let ready = cases.glance(&mut versions);
        if ready == 0 {
            // Step 2: nothing has changed while the others were looked at, so the last one settles it.
            let mut again = [0; N];
            let last = N.saturating_sub(1);
            let is_unchanged = cases.glance(&mut again) == 0 && versions[..last] == again[..last];
            if is_unchanged || mutant("select.look_once") {
                return None;
            }
        } else if let Some(index) = commit_one(cases, ready, versions, is_biased) {
            return Some(index);
        }
    }
    let mut slots = [Slot::OFF; N];
    cases.slots(&mut slots);
    try_now(&mut slots, &mut [0; N], is_biased)
}

impl<C: Cases, const N: usize> Future for Choose<'_, C, N> {
    type Output = usize;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        // SAFETY: the machine is pinned with it; the rest is not.
        let this = unsafe { self.get_unchecked_mut() };
        ready!(current::poll_proceed(cx));
        if is_simple::<C, N>() && !this.machine.is_queued() {
            let committed = if this.machine.is_biased() {
                let mut versions = [0; N];
                let ready = this.cases.glance(&mut versions);
                commit_one(this.cases, ready, versions, true)
            } else {
                commit_any::<C, N>(this.cases)
            };
            if let Some(index) = committed {
                return Poll::Ready(index);
            }
        }
        let mut slots = [Slot::OFF; N];
        this.cases.slots(&mut slots);
        // SAFETY: the machine does not move, it is a part of what is pinned.
        let machine = unsafe { Pin::new_unchecked(&mut this.machine) };
        // SAFETY: `drop` makes it leave, and the cases are the same until then.
        unsafe { machine.poll(&mut slots, &mut this.order, cx) }
    }
}

impl<C: Cases, const N: usize> Drop for Choose<'_, C, N> {
    #[inline]
    fn drop(&mut self) {
        if self.machine.is_queued() {
            let mut slots = [Slot::OFF; N];
            self.cases.slots(&mut slots);
            self.machine.leave(&mut slots);
        }
    }
}

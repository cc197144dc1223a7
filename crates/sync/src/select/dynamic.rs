//! [`Select`]: a select whose cases are not known before it runs.

use super::machine::{Body, Foreign, Machine, Slot, try_now};
use crate::chan::{Receiver, SendError, Sender};
use gorust_primitives::{current, select_case::Native};
use pin_project_lite::pin_project;
use std::{
    borrow::BorrowMut,
    fmt,
    future::{Future, IntoFuture},
    marker::PhantomData,
    panic::Location,
    pin::Pin,
    ptr,
    task::{Context, Poll, ready},
};

/// A list of cases made while the program runs, of which one is taken: the same snapshot as `select!`, for as many
/// channels as there are.
///
/// Cases have the numbers 0, 1, 2, .. in the order they were added. Awaiting the select, or a `&mut` of it, gives
/// [`Selected`]: the number, and what came of it.
///
/// Awaited by `&mut`, it can be used again: receives stay, a send or a future that was chosen is over, and
/// [`disable`](Self::disable) takes a case out. Adding a case allocates; choosing does not, up to 32 cases.
///
/// # Cancel safety
///
/// As for each case alone: a value that was granted goes back, a send happened or did not. A select awaited by `&mut`
/// and given up can be awaited again, and has lost its places in the queues.
///
/// # Fairness
///
/// Each of the cases that are ready is chosen with the same probability, unless the select is
/// [biased](Self::biased).
///
/// # Go
///
/// `reflect.Select`.
///
/// # Examples
///
/// ```
/// use gorust_sync::{chan, select::Select};
///
/// # gorust_scheduler::block_on(async {
/// let (channels, receivers): (Vec<_>, Vec<_>) = (0..5).map(|_| chan::<u32>(1)).unzip();
/// channels[3].send(7).await.unwrap();
///
/// let mut select = Select::new();
/// for receiver in &receivers {
///     select = select.recv(receiver);
/// }
/// let selected = (&mut select).await;
/// assert_eq!(selected.index, 3);
/// assert_eq!(selected.recv(&receivers[3]), Some(7));
/// assert!(select.try_now().is_none());
/// # });
/// ```
#[must_use = "a select does nothing unless it is awaited"]
#[derive(Default)]
pub struct Select<'a> {
    cases: Vec<Pin<Box<dyn AnyCase + Send + 'a>>>,
    /// Room for the machine.
    order: Vec<u32>,
    is_biased: bool,
}

impl<'a> Select<'a> {
    /// Creates a select without cases. Awaited so, it waits for ever.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(gorust_sync::select::Select::new().try_now().is_none());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a receive from `receiver`. Its outcome is had from [`Selected::recv`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_sync::{chan, select::Select};
    /// let (tx, rx) = chan(1);
    /// tx.try_send(1).unwrap();
    /// let mut select = Select::new().recv(&rx);
    /// assert_eq!(select.try_now().unwrap().recv(&rx), Some(1));
    /// ```
    #[track_caller]
    pub fn recv<T: Send>(self, receiver: &'a Receiver<T>) -> Self {
        self.with(Operation::new(receiver.recv(), What::Receive(receiver.address()), || {
            Some(receiver.recv())
        }))
    }

    /// Adds a send of `value`. Its outcome is had from [`Selected::send`]; if it is not chosen, the value goes with the
    /// select.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_sync::{chan, select::Select};
    /// let (tx, rx) = chan(1);
    /// let mut select = Select::new().send(&tx, 1);
    /// assert_eq!(select.try_now().unwrap().send(&tx), Ok(()));
    /// assert_eq!(rx.try_recv(), Ok(1));
    /// // It is sent once.
    /// assert!(select.try_now().is_none());
    /// ```
    #[track_caller]
    pub fn send<T: Send>(self, sender: &'a Sender<T>, value: T) -> Self {
        self.with(Operation::new(sender.send(value), What::Send(sender.address()), || None))
    }

    /// Adds an event that takes part in the snapshot: a sleep, the end of a context.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_sync::{Context, chan, select::Select};
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// let (_tx, rx) = chan::<u32>(0);
    /// let mut select = Select::new().recv(&rx).event(ctx.done());
    /// assert!(select.try_now().is_none());
    /// cancel.cancel();
    /// assert_eq!(select.try_now().unwrap().index, 1);
    /// ```
    pub fn event<F: Native<Output = ()> + Send + 'a>(self, event: F) -> Self {
        self.with(Operation::new(event, What::Other, || None))
    }

    /// Adds any other future: it is polled beside the snapshot.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_sync::{chan, select::Select};
    /// # gorust_scheduler::block_on(async {
    /// let (_tx, rx) = chan::<u32>(0);
    /// let mut sum = 0;
    /// let selected = Select::new().recv(&rx).ready(async { sum = 1 + 2 }).await;
    /// assert_eq!(selected.index, 1);
    /// drop(selected);
    /// assert_eq!(sum, 3);
    /// # });
    /// ```
    pub fn ready<F: Future<Output = ()> + Send + 'a>(self, future: F) -> Self {
        self.with(Box::pin(Ready { future: Some(future), is_done: false }))
    }

    /// Makes it prefer the first of several cases that are ready.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_sync::{chan, select::Select};
    /// let ((a, rx_a), (b, rx_b)) = (chan(1), chan(1));
    /// a.try_send(1).unwrap();
    /// b.try_send(2).unwrap();
    /// let mut select = Select::new().recv(&rx_a).recv(&rx_b).biased();
    /// assert_eq!(select.try_now().unwrap().index, 0);
    /// ```
    pub fn biased(mut self) -> Self {
        self.is_biased = true;
        self
    }

    fn with<C: AnyCase + Send + 'a>(mut self, case: C) -> Self {
        self.cases.push(Box::pin(case));
        self.order.push(0);
        self
    }

    /// Takes the case `index` out of the game; the others keep their numbers.
    ///
    /// # Panics
    ///
    /// If there is no such case.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_sync::{chan, select::Select};
    /// # gorust_scheduler::block_on(async {
    /// let ((a, rx_a), (b, rx_b)) = (chan::<u32>(1), chan::<u32>(1));
    /// drop(a);
    /// let mut select = Select::new().recv(&rx_a).recv(&rx_b);
    /// let selected = (&mut select).await;
    /// let (index, received) = (selected.index, selected.recv(&rx_a));
    /// assert_eq!(received, None, "closed");
    /// select.disable(index);
    /// assert!(select.try_now().is_none());
    /// # drop(b);
    /// # });
    /// ```
    pub fn disable(&mut self, index: usize) {
        self.cases[index].as_mut().disable();
    }

    /// Chooses a case if one is ready at this moment; `None` only if none is.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_sync::{chan, select::Select};
    /// let (tx, rx) = chan(1);
    /// let mut select = Select::new().recv(&rx);
    /// assert!(select.try_now().is_none());
    /// tx.try_send(5).unwrap();
    /// assert_eq!(select.try_now().unwrap().recv(&rx), Some(5));
    /// ```
    pub fn try_now(&mut self) -> Option<Selected<'_>> {
        self.renew();
        let is_biased = self.is_biased;
        let index = self.with_slots(|slots, order| try_now(slots, order, is_biased))?;
        Some(self.selected(index))
    }

    /// Makes what was chosen before ready to be chosen again.
    fn renew(&mut self) {
        self.cases.iter_mut().for_each(|case| case.as_mut().renew());
    }

    fn selected(&mut self, index: usize) -> Selected<'_> {
        let mut case = self.cases[index].as_mut();
        case.as_mut().settle();
        Selected { index, case: Chosen::Borrowed(case) }
    }

    /// Lends the cases to the machine.
    fn with_slots<R>(&mut self, f: impl FnOnce(&mut [Slot<'_>], &mut [u32]) -> R) -> R {
        fn fill<'s>(cases: &'s mut [Pin<Box<dyn AnyCase + Send + '_>>], slots: &mut [Slot<'s>]) {
            for (case, slot) in cases.iter_mut().zip(slots) {
                *slot = case.as_mut().slot();
            }
        }
        let count = self.cases.len();
        if count <= FEW {
            let mut slots = [Slot::OFF; FEW];
            fill(&mut self.cases, &mut slots);
            f(&mut slots[..count], &mut self.order)
        } else if count <= SOME {
            let mut slots = [Slot::OFF; SOME];
            fill(&mut self.cases, &mut slots);
            f(&mut slots[..count], &mut self.order)
        } else {
            let mut slots: Vec<_> = (0..count).map(|_| Slot::OFF).collect();
            fill(&mut self.cases, &mut slots);
            f(&mut slots, &mut self.order)
        }
    }
}

/// Up to so many slots lie on the stack: a few, or some.
const FEW: usize = 4;
/// See [`FEW`].
const SOME: usize = 32;

impl fmt::Debug for Select<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select")
            .field("cases", &self.cases.len())
            .field("is_biased", &self.is_biased)
            .finish()
    }
}

impl<'a> IntoFuture for Select<'a> {
    type Output = Selected<'a>;
    type IntoFuture = Wait<'a, Self>;

    #[track_caller]
    fn into_future(self) -> Wait<'a, Self> {
        Wait::new(self)
    }
}

impl<'s, 'a> IntoFuture for &'s mut Select<'a> {
    type Output = Selected<'s>;
    type IntoFuture = Wait<'a, Self>;

    #[track_caller]
    fn into_future(self) -> Wait<'a, Self> {
        Wait::new(self)
    }
}

/// Waits for a case to be chosen: what a [`Select`], or a `&mut` of it, becomes when it is awaited.
#[must_use = "futures do nothing unless they are awaited"]
pub struct Wait<'a, S: BorrowMut<Select<'a>>> {
    /// None once it was chosen.
    select: Option<S>,
    machine: Machine,
    cases: PhantomData<&'a ()>,
}

impl<'a, S: BorrowMut<Select<'a>>> Wait<'a, S> {
    #[track_caller]
    fn new(mut select: S) -> Self {
        let at = Location::caller();
        select.borrow_mut().renew();
        let is_biased = select.borrow_mut().is_biased;
        Self { select: Some(select), machine: Machine::new(is_biased, at), cases: PhantomData }
    }

    /// The select and the number of its case, once one was chosen.
    fn poll_chosen(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<(S, usize)> {
        ready!(current::poll_proceed(cx));
        // SAFETY: the machine is pinned with it; the select is not, only what its cases' boxes hold.
        let this = unsafe { self.get_unchecked_mut() };
        let mut select = this.select.take().expect("a select was polled after it had completed");
        // SAFETY: the machine does not move, it is a part of what is pinned.
        let machine = unsafe { Pin::new_unchecked(&mut this.machine) };
        let polled = select.borrow_mut().with_slots(|slots, order| {
            // SAFETY: `drop` makes it leave, and the cases are the same until then: nobody else has the select.
            unsafe { machine.poll(slots, order, cx) }
        });
        match polled {
            Poll::Ready(index) => Poll::Ready((select, index)),
            Poll::Pending => {
                this.select = Some(select);
                Poll::Pending
            }
        }
    }
}

impl<'a> Future for Wait<'a, Select<'a>> {
    type Output = Selected<'a>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Selected<'a>> {
        self.poll_chosen(cx).map(|(mut select, index)| {
            let mut case = select.cases.swap_remove(index);
            case.as_mut().settle();
            Selected { index, case: Chosen::Owned(case) }
        })
    }
}

impl<'s, 'a> Future for Wait<'a, &'s mut Select<'a>> {
    type Output = Selected<'s>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Selected<'s>> {
        self.poll_chosen(cx).map(|(select, index)| select.selected(index))
    }
}

impl<'a, S: BorrowMut<Select<'a>>> Drop for Wait<'a, S> {
    fn drop(&mut self) {
        if self.machine.is_queued()
            && let Some(select) = &mut self.select
        {
            let machine = &mut self.machine;
            select.borrow_mut().with_slots(|slots, _| machine.leave(slots));
        }
    }
}

impl<'a, S: BorrowMut<Select<'a>>> fmt::Debug for Wait<'a, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait").field("is_queued", &self.machine.is_queued()).finish_non_exhaustive()
    }
}

/// The case of a [`Select`] that was chosen.
///
/// What was received, or not sent, belongs to it: take it out, or it is dropped.
#[must_use = "a value that was received goes with it"]
pub struct Selected<'s> {
    /// The number of the case.
    pub index: usize,
    case: Chosen<'s>,
}

enum Chosen<'s> {
    Borrowed(Pin<&'s mut (dyn AnyCase + Send + 's)>),
    Owned(Pin<Box<dyn AnyCase + Send + 's>>),
}

impl<'s> Selected<'s> {
    /// What a receive from `receiver` gave: a value, or `None` if the channel is closed.
    ///
    /// # Panics
    ///
    /// If the case that was chosen is no receive from this channel.
    ///
    /// # Examples
    ///
    /// See [`Select`].
    #[track_caller]
    pub fn recv<T>(self, receiver: &Receiver<T>) -> Option<T> {
        let output = self.output(What::Receive(receiver.address()));
        output.expect("the case that was chosen is no receive from this channel")
    }

    /// What became of a send to `sender`.
    ///
    /// # Errors
    ///
    /// [`SendError`] gives the value back: the channel is closed.
    ///
    /// # Panics
    ///
    /// If the case that was chosen is no send to this channel.
    ///
    /// # Examples
    ///
    /// See [`Select::send`].
    #[track_caller]
    pub fn send<T>(self, sender: &Sender<T>) -> Result<(), SendError<T>> {
        let output = self.output(What::Send(sender.address()));
        output.expect("the case that was chosen is no send to this channel")
    }

    /// The output, if the case is `what`; of which it is known what type that has.
    fn output<O>(mut self, what: What) -> Option<O> {
        let mut case = match &mut self.case {
            Chosen::Borrowed(case) => case.as_mut(),
            Chosen::Owned(case) => case.as_mut(),
        };
        if case.what() != what {
            return None;
        }
        let mut output: Option<O> = None;
        // SAFETY: two channels that live have the same address only if they are one, and no handle of a channel turns
        // into one of another type, lifetimes included; so what they send and receive is of one type, and the case's
        // output is an `O`.
        unsafe { case.as_mut().take(ptr::from_mut(&mut output).cast()) };
        output
    }
}

impl fmt::Debug for Selected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selected").field("index", &self.index).finish_non_exhaustive()
    }
}

/// What a case does, and on which channel.
#[derive(Clone, Copy, PartialEq)]
enum What {
    Receive(usize),
    Send(usize),
    Other,
}

/// A case whose type is forgotten.
trait AnyCase {
    /// Lends it to the machine.
    fn slot(self: Pin<&mut Self>) -> Slot<'_>;
    /// Makes it ready to be chosen, or chosen again, if it can be.
    fn renew(self: Pin<&mut Self>);
    /// Puts the output aside: it was chosen.
    fn settle(self: Pin<&mut Self>);
    fn disable(self: Pin<&mut Self>);
    fn what(&self) -> What {
        What::Other
    }
    /// Moves the output there.
    ///
    /// # Safety
    ///
    /// `into` may be written to as an `Option` of the case's output.
    unsafe fn take(self: Pin<&mut Self>, into: *mut ()) {
        let _ = into;
    }
}

pin_project! {
    /// An operation or an event, and how it is begun again once it was chosen.
    struct Operation<F: Native, A> {
        #[pin]
        future: F,
        again: A,
        what: What,
        output: Option<F::Output>,
        stage: Stage,
    }
}

/// Where a case stands.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    /// In the game.
    On,
    /// It was chosen.
    Chosen,
    /// Out of the game.
    Off,
}

impl<F: Native, A: FnMut() -> Option<F>> Operation<F, A> {
    fn new(future: F, what: What, again: A) -> Self {
        Self { future, again, what, output: None, stage: Stage::On }
    }
}

impl<F: Native, A: FnMut() -> Option<F>> AnyCase for Operation<F, A> {
    fn slot(self: Pin<&mut Self>) -> Slot<'_> {
        let this = self.project();
        if *this.stage == Stage::On { Slot::new(Body::Native(this.future)) } else { Slot::OFF }
    }

    fn renew(self: Pin<&mut Self>) {
        let mut this = self.project();
        if *this.stage == Stage::Chosen {
            *this.output = None;
            *this.stage = Stage::Off;
            if let Some(future) = (this.again)() {
                this.future.set(future);
                *this.stage = Stage::On;
            }
        }
        if *this.stage == Stage::On && !this.future.prepare() {
            *this.stage = Stage::Off;
        }
    }

    fn settle(self: Pin<&mut Self>) {
        let this = self.project();
        *this.output = Some(this.future.output());
        *this.stage = Stage::Chosen;
    }

    fn disable(self: Pin<&mut Self>) {
        let this = self.project();
        *this.output = None;
        *this.stage = Stage::Off;
    }

    fn what(&self) -> What {
        self.what
    }

    unsafe fn take(self: Pin<&mut Self>, into: *mut ()) {
        // SAFETY: our caller's promise.
        unsafe { *into.cast::<Option<F::Output>>() = self.project().output.take() };
    }
}

pin_project! {
    /// A future that is polled beside the snapshot. It is dropped as soon as it is over.
    struct Ready<F> {
        #[pin]
        future: Option<F>,
        is_done: bool,
    }
}

impl<F: Future<Output = ()>> AnyCase for Pin<Box<Ready<F>>> {
    fn slot(self: Pin<&mut Self>) -> Slot<'_> {
        let this = self.get_mut();
        if this.future.is_some() { Slot::new(Body::Foreign(this)) } else { Slot::OFF }
    }

    fn renew(self: Pin<&mut Self>) {}

    fn settle(self: Pin<&mut Self>) {
        self.disable();
    }

    fn disable(self: Pin<&mut Self>) {
        self.get_mut().as_mut().project().future.set(None);
    }
}

impl<F: Future<Output = ()>> Foreign for Pin<Box<Ready<F>>> {
    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let mut this = self.as_mut().project();
        if let Some(future) = this.future.as_mut().as_pin_mut() {
            *this.is_done = future.poll(cx).is_ready();
        }
        *this.is_done
    }
}

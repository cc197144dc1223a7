//! Doing something once, however many ask: [`Once`] for an action, [`OnceCell`] for a value. Whose turn it is to try
//! is a [`Semaphore`] of one permit, closed when the value is there.

use crate::semaphore::{Acquire, Permit, Semaphore};
use gorust_primitives::{const_unless_modelled, current, shim::MODELLED};
use pin_project_lite::pin_project;
use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    sync::OnceLock,
    task::{Context, Poll, ready},
};

/// A value that is made once, by the first who asks for it; the others wait for it.
///
/// If the one who makes it gives up, by an error, a panic, or because its future is dropped, the next one who waits
/// makes it in its place.
///
/// # Go
///
/// `sync.OnceValue`. There a panic counts as done and is raised again by every call; here the next caller tries
/// again. Asking for the value while making it waits for ever, as there.
///
/// # Examples
///
/// ```
/// use gorust_sync::OnceCell;
///
/// static CONFIG: OnceCell<String> = OnceCell::new();
///
/// gorust_scheduler::block_on(async {
///     let config = CONFIG.get_or_init(async { String::from("read from afar") }).await;
///     assert_eq!(config, "read from afar");
///     assert_eq!(CONFIG.get_or_init(async { unreachable!() }).await, config);
/// });
/// ```
pub struct OnceCell<T> {
    /// Written by who holds the permit, once.
    value: OnceLock<T>,
    /// Whoever holds the only permit makes the value. Closed when it is there.
    turn: Semaphore,
}

impl<T> OnceCell<T> {
    const_unless_modelled! {
        /// Creates a cell without a value.
        ///
        /// # Examples
        ///
        /// ```
        /// assert_eq!(gorust_sync::OnceCell::<u32>::new().get(), None);
        /// ```
        pub fn new() -> Self {
            Self { value: OnceLock::new(), turn: Semaphore::new(1) }
        }
    }

    /// Returns the value if it is there.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(gorust_sync::OnceCell::from(1).get(), Some(&1));
    /// ```
    #[inline]
    pub fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// Puts a value in, unless there is one or somebody is making one.
    ///
    /// # Errors
    ///
    /// The value comes back.
    ///
    /// # Examples
    ///
    /// ```
    /// let cell = gorust_sync::OnceCell::new();
    /// assert_eq!((cell.set(1), cell.set(2)), (Ok(()), Err(2)));
    /// ```
    pub fn set(&self, value: T) -> Result<(), T> {
        match self.turn.try_acquire(1) {
            Ok(_permit) => {
                self.fill(value);
                Ok(())
            }
            Err(_) => Err(value),
        }
    }

    /// Returns the value, which `future` makes if it is not there. If somebody else is making one, waits for that;
    /// `future` is then dropped without having been polled, unless the other one gives up.
    ///
    /// # Cancel safety
    ///
    /// That of `future`. If it is dropped while it makes the value, the next one who waits makes it.
    ///
    /// # Go
    ///
    /// `sync.OnceValue`
    ///
    /// # Examples
    ///
    /// ```
    /// # gorust_scheduler::block_on(async {
    /// let cell = gorust_sync::OnceCell::new();
    /// assert_eq!(cell.get_or_init(async { 1 }).await, &1);
    /// assert_eq!(cell.get_or_init(async { 2 }).await, &1);
    /// # });
    /// ```
    #[track_caller]
    pub fn get_or_init<F: Future<Output = T>>(&self, future: F) -> GetOrInit<'_, T, F> {
        GetOrInit { attempt: self.attempt(future) }
    }

    /// Returns the value, which `future` makes if it is not there and can be made.
    ///
    /// # Errors
    ///
    /// What `future` failed with; the cell is empty then, and the next one who waits tries.
    ///
    /// # Cancel safety
    ///
    /// As [`get_or_init`](Self::get_or_init).
    ///
    /// # Examples
    ///
    /// ```
    /// # gorust_scheduler::block_on(async {
    /// let cell = gorust_sync::OnceCell::new();
    /// assert_eq!(cell.get_or_try_init(async { Err("not now") }).await, Err("not now"));
    /// assert_eq!(cell.get_or_try_init(async { Ok::<_, &str>(1) }).await, Ok(&1));
    /// # });
    /// ```
    #[track_caller]
    pub fn get_or_try_init<E, F: Future<Output = Result<T, E>>>(&self, future: F) -> GetOrTryInit<'_, T, F> {
        GetOrTryInit { attempt: self.attempt(future) }
    }

    /// Borrows the value through the exclusive borrow of the cell.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut cell = gorust_sync::OnceCell::from(1);
    /// *cell.get_mut().unwrap() = 2;
    /// assert_eq!(cell.into_inner(), Some(2));
    /// ```
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut()
    }

    /// Returns the value if it is there.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(gorust_sync::OnceCell::<u32>::new().into_inner(), None);
    /// ```
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    #[track_caller]
    fn attempt<F>(&self, future: F) -> Attempt<'_, T, F> {
        Attempt { cell: self, turn: self.turn.acquire(1), future: Some(future), permit: None }
    }

    /// Puts the value in; the caller holds the permit. All who wait see it.
    fn fill(&self, value: T) {
        assert!(self.value.set(value).is_ok(), "a value was made twice");
        self.turn.close();
    }
}

impl<T> Default for OnceCell<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> From<T> for OnceCell<T> {
    fn from(value: T) -> Self {
        let cell = Self::new();
        cell.fill(value);
        cell
    }
}

impl<T: fmt::Debug> fmt::Debug for OnceCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            Some(value) => f.debug_tuple("OnceCell").field(value).finish(),
            None => f.write_str("OnceCell(<empty>)"),
        }
    }
}

pin_project! {
    /// What both futures do: wait for a value or for the turn to make it.
    struct Attempt<'a, T, F> {
        cell: &'a OnceCell<T>,
        #[pin]
        turn: Acquire<'a>,
        // Dropped before the permit: what it holds is gone when the next one tries.
        #[pin]
        future: Option<F>,
        permit: Option<Permit<'a>>,
    }
}

impl<'a, T, F: Future> Attempt<'a, T, F> {
    /// `check` says whether what the future made is a value.
    fn poll<E>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        check: impl FnOnce(F::Output) -> Result<T, E>,
    ) -> Poll<Result<&'a T, E>> {
        ready!(current::poll_proceed(cx));
        let mut this = self.project();
        let cell = *this.cell;
        if this.permit.is_none() {
            // In a model the semaphore decides: a checker does not see into std's cell.
            if let Some(value) = cell.get()
                && !MODELLED
            {
                return Poll::Ready(Ok(value));
            }
            match ready!(this.turn.poll(cx)) {
                Ok(permit) => *this.permit = Some(permit),
                Err(_) => return Poll::Ready(Ok(cell.get().expect("a cell is closed with its value"))),
            }
        }
        let future = this.future.as_mut().as_pin_mut();
        let output = ready!(future.expect("a cell's future was polled after it had completed").poll(cx));
        this.future.set(None);
        let made = check(output).map(|value| cell.fill(value));
        *this.permit = None;
        Poll::Ready(made.map(|()| cell.get().expect("it was put in just now")))
    }
}

pin_project! {
    /// The future of [`OnceCell::get_or_init`].
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct GetOrInit<'a, T, F> {
        #[pin]
        attempt: Attempt<'a, T, F>,
    }
}

impl<'a, T, F: Future<Output = T>> Future for GetOrInit<'a, T, F> {
    type Output = &'a T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<&'a T> {
        let Ok(value) = ready!(self.project().attempt.poll(cx, Ok::<T, Infallible>));
        Poll::Ready(value)
    }
}

impl<T, F> fmt::Debug for GetOrInit<'_, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetOrInit").field("turn", &self.attempt.turn).finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`OnceCell::get_or_try_init`].
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct GetOrTryInit<'a, T, F> {
        #[pin]
        attempt: Attempt<'a, T, F>,
    }
}

impl<'a, T, E, F: Future<Output = Result<T, E>>> Future for GetOrTryInit<'a, T, F> {
    type Output = Result<&'a T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().attempt.poll(cx, |made| made)
    }
}

impl<T, F> fmt::Debug for GetOrTryInit<'_, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetOrTryInit").field("turn", &self.attempt.turn).finish_non_exhaustive()
    }
}

/// Something that is done once, by the first who comes; the others wait until it is done.
///
/// # Go
///
/// `sync.Once`. There a panic counts as done; here the next one who comes does it again.
///
/// # Examples
///
/// ```
/// use gorust_sync::Once;
///
/// gorust_scheduler::block_on(async {
///     static SET_UP: Once = Once::new();
///     SET_UP.call_once(async { println!("set up") }).await;
///     SET_UP.call_once(async { unreachable!("it is done") }).await;
/// });
/// ```
#[derive(Default)]
pub struct Once(OnceCell<()>);

impl Once {
    const_unless_modelled! {
        /// Creates one for something that has not been done.
        ///
        /// # Examples
        ///
        /// ```
        /// assert!(!gorust_sync::Once::new().is_completed());
        /// ```
        pub fn new() -> Self {
            Self(OnceCell::new())
        }
    }

    /// Awaits `future` if nobody has done so before, or waits until somebody has.
    ///
    /// # Cancel safety
    ///
    /// That of `future`. If it is dropped halfway, the next one who waits begins anew.
    ///
    /// # Go
    ///
    /// `once.Do(f)`
    ///
    /// # Examples
    ///
    /// ```
    /// # gorust_scheduler::block_on(async {
    /// let once = gorust_sync::Once::new();
    /// once.call_once(async {}).await;
    /// assert!(once.is_completed());
    /// # });
    /// ```
    #[track_caller]
    pub fn call_once<F: Future<Output = ()>>(&self, future: F) -> CallOnce<'_, F> {
        CallOnce { attempt: self.0.attempt(future) }
    }

    /// Returns whether it has been done.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(!gorust_sync::Once::new().is_completed());
    /// ```
    pub fn is_completed(&self) -> bool {
        self.0.get().is_some()
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").field("is_completed", &self.is_completed()).finish()
    }
}

pin_project! {
    /// The future of [`Once::call_once`].
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct CallOnce<'a, F> {
        #[pin]
        attempt: Attempt<'a, (), F>,
    }
}

impl<F: Future<Output = ()>> Future for CallOnce<'_, F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().attempt.poll(cx, Ok::<(), Infallible>).map(|_| ())
    }
}

impl<F> fmt::Debug for CallOnce<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallOnce").field("turn", &self.attempt.turn).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod model {
    use super::*;
    use crate::testing::{Fragile, block_on};
    use gorust_primitives::shim::{model, mutant_is_caught, thread};
    use std::{sync::Arc, task::Waker};

    /// Two ask; one value is made, and both see it.
    fn two_ask() {
        let cell = Arc::new(Fragile::new(OnceCell::new()));
        let other = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || *block_on(cell.get_or_init(async { 1 })))
        };
        let mine = *block_on(cell.get_or_init(async { 2 }));
        assert_eq!(other.join().unwrap(), mine);
    }

    /// The one who makes the value gives up while another waits or comes: that one makes it.
    fn one_gives_up() {
        let cell = Arc::new(Fragile::new(OnceCell::new()));
        let mut maker = Fragile::new(Box::pin(cell.get_or_init(std::future::pending())));
        assert!(maker.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let other = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || *block_on(cell.get_or_init(async { 1 })))
        };
        drop(maker);
        assert_eq!(other.join().unwrap(), 1);
    }

    fn explore(name: &str, body: impl Fn() + Sync + Send + 'static) {
        let executions = model(body);
        println!("once, {name}: {executions} executions");
        assert!(executions > 1);
    }

    #[test]
    fn one_value_is_made() {
        explore("two ask", two_ask);
    }

    #[test]
    fn one_who_gives_up_is_replaced() {
        explore("one gives up", one_gives_up);
    }

    #[test]
    fn waiting_without_a_look_is_caught() {
        assert!(mutant_is_caught("semaphore.wait_without_a_look", one_gives_up));
    }
}

#[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
mod tests {
    use super::*;
    use crate::testing::{Task, on_workers, poll, ready, waiting};
    use std::{
        future::pending,
        sync::{
            Arc,
            // Std's: a plain counter.
            atomic::{AtomicUsize, Ordering::SeqCst},
        },
    };

    #[test]
    fn a_value_is_made_once() {
        let cell = OnceCell::new();
        assert_eq!(format!("{cell:?} {:?}", cell.get()), "OnceCell(<empty>) None");
        assert_eq!(ready(cell.get_or_init(async { 1 })), &1);
        assert_eq!(ready(cell.get_or_init(async { unreachable!() })), &1);
        assert_eq!((cell.set(2), format!("{cell:?}")), (Err(2), "OnceCell(1)".into()));
        assert_eq!(cell.into_inner(), Some(1));
    }

    #[test]
    fn all_who_wait_see_the_value() {
        let cell = OnceCell::new();
        let task = Task::default();
        let (tx, rx) = crate::chan(1);
        let mut makes = waiting(cell.get_or_init(async { rx.recv().await.unwrap() }), &task);
        let mut waits: Vec<_> = (0..40).map(|_| waiting(cell.get_or_init(pending()), &task)).collect();
        assert_eq!(cell.set(9), Err(9), "one is being made");
        ready(tx.send(7)).unwrap();
        assert_eq!((task.wakes(), ready(&mut makes)), (1, &7));
        assert_eq!(task.wakes(), 41);
        waits.iter_mut().for_each(|wait| assert_eq!(ready(wait), &7));
    }

    #[test]
    fn dropped_before_the_first_poll_while_it_waits_or_after_its_turn_came_the_next_one_goes_on() {
        let cell = OnceCell::new();
        let (first, second, third) = (Task::default(), Task::default(), Task::default());
        drop(cell.get_or_init(pending::<u32>()));
        let makes = waiting(cell.get_or_init(pending()), &Task::default());
        let leaves = waiting(cell.get_or_init(pending()), &first);
        let granted = waiting(cell.get_or_init(pending()), &second);
        let mut last = waiting(cell.get_or_init(async { 3 }), &third);
        drop(leaves);
        drop(makes);
        assert_eq!((first.wakes(), second.wakes(), third.wakes()), (0, 1, 0));
        drop(granted);
        assert_eq!((third.wakes(), ready(&mut last)), (1, &3));
    }

    #[test]
    fn an_error_leaves_it_empty_and_the_next_one_tries() {
        let cell = OnceCell::<u32>::new();
        assert_eq!(ready(cell.get_or_try_init(async { Err("no") })), Err("no"));
        assert_eq!(ready(cell.get_or_try_init(async { Ok::<_, &str>(1) })), Ok(&1));
        assert_eq!(ready(cell.get_or_try_init(async { Err("late") })), Ok(&1));
    }

    #[test]
    fn a_panic_leaves_it_empty_and_the_next_one_tries() {
        let cell = OnceCell::<u32>::new();
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            ready(cell.get_or_init(async { panic!("on purpose") }));
        }));
        assert!(caught.is_err());
        assert_eq!(ready(cell.get_or_init(async { 1 })), &1);
    }

    #[test]
    fn once_is_done_once() {
        let once = Once::new();
        let count = AtomicUsize::new(0);
        let add = || async {
            count.fetch_add(1, SeqCst);
        };
        assert!(!once.is_completed());
        ready(once.call_once(add()));
        ready(once.call_once(add()));
        assert_eq!((count.load(SeqCst), format!("{once:?}")), (1, "Once { is_completed: true }".into()));
    }

    #[test]
    #[should_panic(expected = "polled after it had completed")]
    fn a_call_is_polled_to_its_end_only() {
        let cell = OnceCell::<u32>::new();
        let mut call = Box::pin(cell.get_or_try_init(async { Err("no") }));
        let _ = poll(&mut call);
        let _ = poll(&mut call);
    }

    /// Many ask, many give up halfway: one value is made, and all who stay see it.
    #[test]
    fn one_value_is_made_however_many_ask() {
        on_workers(|| async {
            for _ in 0..50 {
                let (cell, made) = (Arc::new(OnceCell::new()), Arc::new(AtomicUsize::new(0)));
                let wg = crate::WaitGroup::new();
                for id in 0..16 {
                    let (cell, made) = (Arc::clone(&cell), Arc::clone(&made));
                    wg.go(async move {
                        let mut gives_up = Box::pin(cell.get_or_init(pending()));
                        let _ = poll(&mut gives_up);
                        gorust_scheduler::yield_now().await;
                        drop(gives_up);
                        let make = async {
                            gorust_scheduler::yield_now().await;
                            made.fetch_add(1, SeqCst);
                            id
                        };
                        cell.get_or_init(make).await;
                    });
                }
                wg.wait().await;
                assert_eq!(made.load(SeqCst), 1);
            }
        });
    }
}

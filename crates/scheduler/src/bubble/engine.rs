//! The loop of a bubble: which goroutine runs next, when time moves, when it is all over. A bubble is a runtime like
//! any other, with one place and no worker: what is woken or spawned goes to its injector, as it does from every thread
//! that is no worker, and the bubble's own thread takes it from there. So nothing on the way of a real runtime knows
//! that there are bubbles.

use super::{
    announced::{self, Count},
    local::{Hosted, Local},
    quiet,
    report::{BubbleError, BubblePanic},
    side::{Happened, Lost},
    strategy::{Chooser, Lives, Ready, Schedule},
    trace::{Step, Then, Trace},
};
use crate::{
    builder::Config,
    dump::{Dump, Goroutine},
    global,
    place::SeatId,
    queue::Found,
    runtime::{EnterGuard, Handle},
    schedule::wake_caught,
    shared::Shared,
    shutdown, table,
    task::{
        error::drop_payload,
        raw::{Runnable, TaskRef},
    },
};
use gorust_primitives::{
    current::{self, Apart, BUDGET},
    shim::Arc,
};
use gorust_reactor::{Clock, Reactor};
use std::{
    any::Any,
    cell::{Cell, RefCell},
    future::Future,
    panic::{Location, resume_unwind},
    task::Waker,
    time::Duration,
};

/// How many polls goroutines get after the bubble's own future has returned. One that is done with less ends; one that
/// would run for ever is a leak.
const LAST_POLLS: u64 = 10_000;

/// How many times the goroutines that destructors spawn are dropped in their turn.
const ROUNDS_OF_DROPS: u32 = 100;

/// What a `block_on` in a bubble panics with when the bubble is over: it has nothing to return. Nobody prints it.
pub(crate) struct Over;

/// How a bubble is run.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) seed: u64,
    pub(super) choices: Choices,
    pub(super) allow_leaks: bool,
    pub(super) polls_limit: u64,
    pub(super) trace: bool,
    pub(super) record: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Choices {
    By(super::Strategy),
    Replay(Schedule),
}

/// What came of a bubble.
pub(super) struct Outcome<T> {
    pub(super) result: Result<T, BubbleError>,
    pub(super) trace: Trace,
    /// The choices made, if they were recorded.
    pub(super) schedule: Schedule,
}

thread_local! {
    /// The bubble that runs on this thread; null if none does.
    static ENGINE: Cell<*const Engine> = const { Cell::new(std::ptr::null()) };
}

/// Calls `f` with the bubble that runs on this thread, unless another runtime was entered inside it.
#[inline]
pub(crate) fn with_current<R>(f: impl FnOnce(Option<&Engine>) -> R) -> R {
    // SAFETY: null, or set by `Inside::new`, whose borrow keeps the engine alive until it is reset.
    let engine = unsafe { ENGINE.get().as_ref() };
    f(engine.filter(|engine| global::has_entered(&engine.handle)))
}

/// A bubble at work. What it waits for and what it does is decided here; choices come from the `Chooser`.
pub(crate) struct Engine {
    handle: Handle,
    shared: &'static Shared,
    seat: SeatId,
    seed: u64,
    allow_leaks: bool,
    polls_limit: u64,
    announced: Arc<Count>,
    /// Invariant: not borrowed while anybody else's code runs.
    state: RefCell<State>,
    /// Set once, when there is nothing left to do but to drop everything.
    over: Cell<bool>,
    /// Why it is over, unless a panic is the reason.
    failure: RefCell<Option<BubbleError>>,
    /// The bubble's own future has returned: time stands still.
    returned: Cell<bool>,
}

struct State {
    ready: Ready,
    /// The one being polled, above those inside a `block_on`.
    running: Vec<TaskRef>,
    lives: Lives,
    chooser: Chooser,
    trace: Option<Trace>,
    /// Polls since time last moved.
    polls: u64,
    /// Who waits for all others to wait, and the number of that wait.
    waiter: Option<(u64, Waker)>,
    waits: u64,
    /// Where the reactor puts wakers; kept for its memory.
    wakers: Vec<Waker>,
}

/// While it exists the bubble runs on this thread.
struct Inside<'a> {
    /// Held for its drop.
    #[expect(dead_code, reason = "its drop brings back the runtime this thread belonged to")]
    entered: EnterGuard<'a>,
    /// Held for its drop.
    #[expect(dead_code, reason = "its drop brings back the goroutine this thread was running")]
    apart: Apart,
}

impl<'a> Inside<'a> {
    fn new(engine: &'a Engine) -> Self {
        let apart = current::apart(engine.seed);
        let entered = engine.handle.enter();
        ENGINE.set(&raw const *engine);
        engine.clock_moved(engine.shared.reactor().now_ns());
        Self { entered, apart }
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        ENGINE.set(std::ptr::null());
    }
}

/// Runs `future` in a bubble.
///
/// # Panics
///
/// Inside a bubble; and if there is no room for another runtime.
pub(super) fn run<F: Future>(
    settings: Settings,
    future: F,
    site: &'static Location<'static>,
) -> Outcome<F::Output> {
    assert!(
        ENGINE.get().is_null(),
        "a bubble inside a bubble: await what is to be tested, or use another thread"
    );
    let engine = Engine::open(settings);
    let local = Local::new(future);
    let outcome = {
        let inside = Inside::new(&engine);
        // SAFETY: the engine's handle is of this bubble, which has no worker; its loops run on this thread. The local is
        // not moved, and is declared before what borrows it.
        let mut root = unsafe { Hosted::spawn(&engine.handle, &local, site) };
        engine.run_root(&root);
        let output = match root.take() {
            Some(Err(panic)) => {
                engine.own_panic(panic, site);
                None
            }
            Some(Ok(output)) => Some(output),
            None => None,
        };
        if let Err(panic) = root.drop_future() {
            engine.own_panic(panic, site);
        }
        engine.drop_everything();
        engine.close(inside, output, site)
    };
    drop(local);
    outcome
}

/// Runs `future` as a goroutine of the bubble until it has ended; meanwhile the others run, on this stack.
pub(crate) fn block_on<F: Future>(engine: &Engine, future: F, site: &'static Location<'static>) -> F::Output {
    let local = Local::new(future);
    // SAFETY: as in `run`.
    let mut hosted = unsafe { Hosted::spawn(&engine.handle, &local, site) };
    engine.run_until(&|| hosted.is_finished());
    match hosted.take() {
        Some(Ok(output)) => output,
        Some(Err(panic)) => resume_unwind(panic),
        // The bubble is over, and whoever has called this is dropped.
        None => resume_unwind(Box::new(Over)),
    }
}

impl Engine {
    /// Opens a runtime for the bubble.
    fn open(settings: Settings) -> Self {
        crate::global::install_hooks();
        let reactor = match Reactor::open(Clock::Virtual) {
            Ok(reactor) => reactor,
            Err(error) => panic!("a bubble cannot be opened: {error}"),
        };
        let Some(shared) = table::claim() else {
            reactor.close();
            reactor.recycle();
            panic!("a bubble cannot be opened: there are {} runtimes already", table::MAX_RUNTIMES)
        };
        shared.side.begin();
        shared.open(Config::default(), 1, reactor);
        let Some(seat) = shared.claim_seat() else { unreachable!("a new runtime has free seats") };
        shared.seat(seat).will_sleep_in_reactor(false);
        shared.place(0).fill(seat);
        let mut chooser = match settings.choices {
            Choices::By(strategy) => Chooser::new(strategy, settings.seed),
            Choices::Replay(schedule) => Chooser::replay(schedule),
        };
        if settings.record {
            chooser.record();
        }
        Self {
            handle: Handle::new(shared),
            shared,
            seat,
            seed: settings.seed,
            allow_leaks: settings.allow_leaks,
            polls_limit: settings.polls_limit,
            announced: Count::new(),
            state: RefCell::new(State {
                ready: Ready::default(),
                running: Vec::new(),
                lives: Lives::default(),
                chooser,
                trace: settings.trace.then(Trace::default),
                polls: 0,
                waiter: None,
                waits: 0,
                wakers: Vec::new(),
            }),
            over: Cell::new(false),
            failure: RefCell::new(None),
            returned: Cell::new(false),
        }
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(super) fn announced(&self) -> &Arc<Count> {
        &self.announced
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// Runs the bubble's own goroutine to its end, then what can still run.
    fn run_root<F: Future>(&self, root: &Hosted<'_, F>) {
        self.run_until(&|| root.is_finished());
        if self.over.get() || root.has_panicked() {
            return;
        }
        self.returned.set(true);
        self.state.borrow_mut().polls = 0;
        self.run_until(&|| false);
    }

    /// Runs goroutines until `done`, or until the bubble is over. Time moves when all of them wait, until the bubble's
    /// own future has returned.
    fn run_until(&self, done: &dyn Fn() -> bool) {
        while !self.over.get() && !done() {
            if self.shared.side.has_lost() {
                self.over.set(true);
            } else if self.run_one() || self.fire_due() || self.sleep_for_announced() || self.wake_waiter() {
                // Something has happened.
            } else if self.returned.get() {
                self.left_behind();
            } else if !self.move_time() {
                self.fails(BubbleError::Deadlock(self.dump()));
            }
        }
    }

    fn fails(&self, failure: BubbleError) {
        *self.failure.borrow_mut() = Some(failure);
        self.over.set(true);
    }

    /// The bubble's own future has returned, and nobody runs any more.
    fn left_behind(&self) {
        let dump = self.dump();
        if dump.goroutines().is_empty() || self.allow_leaks {
            self.over.set(true);
        } else {
            self.fails(BubbleError::Leak(dump));
        }
    }

    /// Polls one goroutine, if one is runnable.
    fn run_one(&self) -> bool {
        let Some((task, interrupt, step)) = self.choose() else { return false };
        self.state.borrow_mut().running.push(task.task());
        let again = task.run_for(interrupt.checked_sub(1).unwrap_or(BUDGET));
        if self.note(again, step) {
            self.runs_for_ever();
        }
        true
    }

    /// What came of a poll. Returns whether there were too many of them.
    fn note(&self, again: Option<Runnable>, mut step: Option<Step>) -> bool {
        let mut state = self.state.borrow_mut();
        let Some(seen) = state.running.pop() else { unreachable!("pushed by `run_one`") };
        let state = &mut *state;
        // What it has woken or spawned became runnable before it did so itself.
        self.collect(state);
        let requeued = again.is_some();
        if let Some(task) = again {
            state.chooser.goes_last(&task, &mut state.lives);
            state.ready.push(task, &mut state.chooser, &mut state.lives);
        }
        let task = seen.header();
        let ended = !requeued && task.state.is_completed();
        if ended {
            state.lives.ended(&task.record);
        }
        if let Some(Step::Ran { then, .. }) = &mut step {
            let wait = task.record.wait();
            *then = match () {
                () if requeued => Then::Runnable,
                () if ended => Then::Ended,
                () => Then::Waits(wait.reason, wait.at),
            };
        }
        if let (Some(trace), Some(step)) = (&mut state.trace, step) {
            trace.push(step);
        }
        state.polls += 1;
        state.polls >= self.polls_limit || (self.returned.get() && state.polls >= LAST_POLLS)
    }

    /// The next goroutine, and before which operation it is interrupted.
    fn choose(&self) -> Option<(Runnable, u32, Option<Step>)> {
        let mut state = self.state.borrow_mut();
        self.collect(&mut state);
        let State { ready, lives, chooser, trace, .. } = &mut *state;
        let of = ready.len();
        let (choice, task) = ready.pick(chooser)?;
        let interrupt = chooser.interrupt(&task, lives);
        let record = &task.header().record;
        record.forget_wait();
        lives.of(record).polled_ns = self.shared.reactor().now_ns();
        let goroutine = record.id();
        let step =
            trace.as_ref().map(|_| Step::Ran { goroutine, choice, of, interrupt, then: Then::Runnable });
        Some((task, interrupt, step))
    }

    /// Takes over what was woken or spawned.
    fn collect(&self, state: &mut State) {
        while let Found::One(task) = self.shared.injector.pop() {
            state.ready.push(task, &mut state.chooser, &mut state.lives);
        }
    }

    #[cold]
    fn runs_for_ever(&self) {
        self.over.set(true);
        let dump = self.dump();
        *self.failure.borrow_mut() = match (self.returned.get(), self.allow_leaks) {
            (false, _) => Some(BubbleError::Livelock(dump)),
            (true, false) => Some(BubbleError::Leak(dump)),
            (true, true) => None,
        };
    }

    /// Fires the timers that are due, if any are.
    fn fire_due(&self) -> bool {
        let reactor = self.shared.reactor();
        let now_ns = reactor.now_ns();
        if reactor.earliest_deadline().is_none_or(|deadline| deadline > now_ns) {
            return false;
        }
        let mut wakers = std::mem::take(&mut self.state.borrow_mut().wakers);
        while reactor.earliest_deadline().is_some_and(|deadline| deadline <= now_ns) {
            // There are no workers here, so that all timers are in the shard of other threads.
            reactor.fire_due(Reactor::FOREIGN, now_ns, &mut wakers);
        }
        self.shuffle(&mut wakers);
        wakers.drain(..).for_each(wake_caught);
        self.state.borrow_mut().wakers = wakers;
        true
    }

    /// Orders what is due at the same instant.
    fn shuffle(&self, wakers: &mut [Waker]) {
        let mut state = self.state.borrow_mut();
        let State { chooser, trace, .. } = &mut *state;
        for next in 0..wakers.len().saturating_sub(1) {
            let of = wakers.len() - next;
            let choice = chooser.due(of);
            wakers.swap(next, next + choice);
            if let Some(trace) = trace {
                trace.push(Step::Fired { choice, of });
            }
        }
    }

    /// Sleeps if a thread outside is announced: it may wake somebody. `false`: there is none.
    fn sleep_for_announced(&self) -> bool {
        if self.announced.is_zero() {
            // Subtle: what the last one of them has injected before it left is seen only now.
            return !self.shared.injector.is_empty();
        }
        if announced::may_sleep(&self.shared.idle, &self.announced, || !self.shared.injector.is_empty()) {
            self.shared.seat(self.seat).parker.park();
            announced::stay_awake(&self.shared.idle);
        }
        true
    }

    /// Wakes who waits for all others to wait, if somebody does.
    fn wake_waiter(&self) -> bool {
        let waiter = self.state.borrow_mut().waiter.take();
        waiter.map(|(_, waker)| wake_caught(waker)).is_some()
    }

    /// Moves time to the next deadline, if there is one.
    fn move_time(&self) -> bool {
        let reactor = self.shared.reactor();
        let Some(deadline) = reactor.earliest_deadline() else { return false };
        reactor.advance_to(deadline);
        let now_ns = reactor.now_ns();
        self.clock_moved(now_ns);
        let mut state = self.state.borrow_mut();
        state.polls = 0;
        if let Some(trace) = &mut state.trace {
            trace.time(now_ns);
        }
        // The end of time is no deadline that can be reached.
        now_ns >= deadline
    }

    fn clock_moved(&self, now_ns: u64) {
        current::set_coarse_now(now_ns);
    }

    /// The goroutines that there are.
    fn dump(&self) -> Dump {
        let now_ns = self.shared.reactor().now_ns();
        let tasks = self.live();
        let lives = &mut self.state.borrow_mut().lives;
        let goroutine = |task: &TaskRef| {
            let since = lives.of(&task.header().record).polled_ns;
            Goroutine::of(task, Duration::from_nanos(now_ns.saturating_sub(since)))
        };
        Dump::new(tasks.iter().map(goroutine).collect())
    }

    /// Every goroutine, by its number: those of the registry, and those that run or could, which may have never waited.
    fn live(&self) -> Vec<TaskRef> {
        let mut tasks = Vec::new();
        self.shared.outside.shard.walk(|task| tasks.push(task));
        let mut state = self.state.borrow_mut();
        self.collect(&mut state);
        tasks.extend(state.ready.iter().map(Runnable::task));
        tasks.extend(state.running.iter().cloned());
        tasks.sort_unstable_by_key(|task| task.header().record.id());
        tasks.dedup_by_key(|task| task.header().record.id());
        tasks
    }

    /// A panic of the bubble's own future: it has no task to tell of.
    fn own_panic(&self, payload: Box<dyn Any + Send>, site: &'static Location<'static>) {
        if payload.is::<Over>() {
            return;
        }
        self.shared.side.panic_happened(Happened {
            goroutine: 1,
            spawned_at: site,
            at: quiet::last_location(),
        });
        self.shared.side.panic_lost(Lost { goroutine: 1, payload });
    }

    /// Drops every goroutine where it waits, in the order of their numbers: destructors see the bubble, too.
    fn drop_everything(&self) {
        self.over.set(true);
        for _ in 0..ROUNDS_OF_DROPS {
            let tasks = self.live();
            if tasks.is_empty() {
                break;
            }
            for task in tasks {
                if let Some(runnable) = task.abort_here() {
                    runnable.cancel();
                }
            }
            // Those that were runnable are marked by now: they are not polled.
            let mut ready = {
                let mut state = self.state.borrow_mut();
                self.collect(&mut state);
                state.ready.take_all()
            };
            ready.sort_unstable_by_key(|task| task.header().record.id());
            ready.into_iter().for_each(Runnable::cancel);
        }
        let waiter = self.state.borrow_mut().waiter.take();
        drop(waiter);
    }

    /// Gives the runtime back, and says what came of it all.
    fn close<T>(
        &self,
        inside: Inside<'_>,
        output: Option<T>,
        site: &'static Location<'static>,
    ) -> Outcome<T> {
        let (happened, lost) = self.shared.side.end();
        self.shared.place(0).vacate(self.seat);
        self.shared.free_seat(self.seat);
        shutdown::close(self.shared);
        drop(inside);
        let mut lost = lost.into_iter();
        let panic = lost.next().map(|Lost { goroutine, payload }| {
            let happened = happened.iter().rev().find(|happened| happened.goroutine == goroutine);
            BubblePanic {
                goroutine,
                spawned_at: happened.map_or(site, |happened| happened.spawned_at),
                at: happened.and_then(|happened| happened.at.clone()),
                payload,
            }
        });
        lost.for_each(|lost| drop_payload(lost.payload));
        let failure = panic.map(BubbleError::Panic).or_else(|| self.failure.take());
        let result = match (failure, output) {
            (Some(failure), _) => Err(failure),
            (None, Some(output)) => Ok(output),
            (None, None) => unreachable!("a bubble that is over without a result has failed"),
        };
        let mut state = self.state.borrow_mut();
        let schedule = state.chooser.taken();
        Outcome { result, trace: state.trace.take().unwrap_or_default(), schedule }
    }

    /// Begins to wait for all others to wait: the number of the wait, or `None` if somebody does already.
    pub(super) fn begin_wait(&self, waker: Waker) -> Option<u64> {
        let mut state = self.state.borrow_mut();
        if state.waiter.is_some() {
            return None;
        }
        state.waits += 1;
        state.waiter = Some((state.waits, waker));
        Some(state.waits)
    }

    /// Whether the wait of that number goes on; if so, `waker` is who will be woken.
    pub(super) fn still_waits(&self, number: u64, waker: &Waker) -> bool {
        let clone = waker.clone();
        let mut state = self.state.borrow_mut();
        match &mut state.waiter {
            Some((waiting, held)) if *waiting == number => {
                let previous = std::mem::replace(held, clone);
                drop(state);
                drop(previous);
                true
            }
            _ => false,
        }
    }

    /// Gives the wait of that number up.
    pub(super) fn end_wait(&self, number: u64) {
        let mut state = self.state.borrow_mut();
        let waiter = state.waiter.take_if(|(waiting, _)| *waiting == number);
        drop(state);
        drop(waiter);
    }
}

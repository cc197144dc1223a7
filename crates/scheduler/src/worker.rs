//! The loop of a worker thread: find work, run it, sleep when there is none. Policy is here; the mechanisms are in
//! `queue/`, `idle.rs`, `place.rs` and the reactor. What a thread does with its place before it blocks is in
//! `hand_over`.

mod hand_over;

use crate::{
    place::{Place, SeatId},
    queue::Found,
    resize, schedule,
    seat::{Belongings, Seat},
    shared::Shared,
    shutdown,
    spare::{self, Call},
    task::{
        error::report,
        raw::{Header, Runnable},
    },
};
use gorust_primitives::{current, shim::spin_loop};
use gorust_reactor::Wait;
use std::{
    cell::{Cell, RefCell},
    ptr::NonNull,
    task::Waker,
};

pub(crate) use hand_over::JobGuard;
use hand_over::JobKind;

/// How many times in a row the next slot goes before the queue: a pair that wakes each other shares a slice, and
/// then the others have their turn.
const NEXT_STREAK: u32 = 16;

/// How often a busy worker looks at the clock and the reactor. By time, since a hundred polls may be
/// 2 us or 5 ms; measured by counting polls, since a clock read costs as much as a poll.
const LOOK_AROUND_NS: u64 = 100_000;

/// A busy worker takes its share of the injector every so many polls, so that what comes from outside does not wait
/// for its queue to run dry.
const POLLS_PER_SHARE: u32 = 32;

/// The most polls between two looks at the clock, whatever the last ones cost: so many slow polls after a fast
/// stretch delay a timer. A clock read is 25 ns, less than one for each of so many polls.
const MAX_POLLS_PER_LOOK: u32 = 32;

/// How long a thief waits before it takes a task that was in its victim's next slot already at its first look.
/// Go waits 3 us here, for the same reason: the victim most likely runs it at once.
const NEXT_SLOT_GRACE_SPINS: u32 = 100;

/// Ids a worker takes at a time from the process's counter.
const ID_BLOCK: u64 = 256;

/// A worker thread. Every method is for the thread itself; what others may touch is in its [`Seat`].
pub(crate) struct Worker {
    shared: &'static Shared,
    seat: &'static Seat,
    seat_id: SeatId,
    belongings: Belongings,
    /// The place this thread holds, as far as it knows. `None` while it has put it aside or on offer, and when it knows
    /// that it was lost.
    place: Cell<Option<usize>>,
    /// The same place, to be asked whether it is still this thread's; else `Shared::nowhere`.
    permit: Cell<&'static Place>,
    /// The place this thread has put aside while it is inside a section of blocking code.
    aside: Cell<Option<usize>>,
    /// What blocking job this thread runs.
    job: Cell<JobKind>,
    /// The blocking job that is polled here is to be queued for the spares; the place is aside until then.
    sends_job: Cell<bool>,
    /// Goroutine ids that are this worker's to give: next, and end.
    ids: Cell<(u64, u64)>,
    /// Polls until the next look around.
    polls_left: Cell<u32>,
    /// What `polls_left` began with, and when.
    polls_per_look: Cell<u32>,
    last_look_ns: Cell<u64>,
    /// When this worker last took a turn at the reactor, or slept there.
    last_turn_ns: Cell<u64>,
    /// How many times in a row the next slot went first.
    streak: Cell<u32>,
    /// Where the reactor puts wakers; kept for its memory.
    wakers: RefCell<Vec<Waker>>,
}

thread_local! {
    /// The worker this thread is; null if it is none, or hides it.
    static WORKER: Cell<*const Worker> = const { Cell::new(std::ptr::null()) };
    /// The worker this thread hides, and how many times.
    static HIDDEN: Cell<(*const Worker, usize)> = const { Cell::new((std::ptr::null(), 0)) };
}

/// While it exists this thread is no worker: what it spawns and wakes goes the way of any other thread.
///
/// Subtle: it holds no pointer. A guard may be kept longer than the worker lives, and dropped in any order.
pub(crate) struct Hidden(());

/// Hides that this thread is a worker, because it enters another runtime.
pub(crate) fn hide() -> Hidden {
    let (hidden, depth) = HIDDEN.get();
    let worker = if depth == 0 { WORKER.replace(std::ptr::null()) } else { hidden };
    HIDDEN.set((worker, depth + 1));
    Hidden(())
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let (worker, depth) = HIDDEN.get();
        if depth == 1 {
            WORKER.set(worker);
            HIDDEN.set((std::ptr::null(), 0));
        } else {
            HIDDEN.set((worker, depth - 1));
        }
    }
}

/// Ends the process if a panic gets as far as a worker's loop, or the monitor's: the place would never be free again, and
/// everybody would wait for ever. Everything of the user's is run under a catch, so this is our own broken invariant.
pub(crate) struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        if std::thread::panicking() {
            report("gorust: a panic has reached the loop of one of its threads; this is a bug of gorust\n");
            std::process::abort();
        }
    }
}

/// Counts a poll that is not one of the worker's loop, so that the monitor takes it for no other.
pub(crate) fn count_poll() {
    with_this_thread(|worker| {
        if let Some(worker) = worker {
            worker.seat.count_poll();
        }
    });
}

/// Calls `f` with the worker that this thread is, also if it hides that.
#[inline]
pub(crate) fn with_this_thread<R>(f: impl FnOnce(Option<&Worker>) -> R) -> R {
    let worker = WORKER.get();
    let worker = if worker.is_null() { HIDDEN.get().0 } else { worker };
    // SAFETY: as in `with_current`.
    f(unsafe { worker.as_ref() })
}

/// Calls `f` with the worker that this thread is, if it is one.
#[inline]
pub(crate) fn with_current<R>(f: impl FnOnce(Option<&Worker>) -> R) -> R {
    // SAFETY: null, or set by `Worker::main`, which keeps the worker alive and resets both it and what is hidden
    // before it goes.
    WORKER.with(|worker| f(unsafe { worker.get().as_ref() }))
}

impl Worker {
    /// The life of a worker thread on the seat `seat_id`, which begins with a call.
    pub(crate) fn main(shared: &'static Shared, seat_id: SeatId, call: Call) {
        let bomb = AbortOnUnwind;
        let seat = shared.seat(seat_id);
        let reactor = shared.reactor();
        let shard = reactor.claim_shard();
        let Some(belongings) = seat.sit_down(shard) else { unreachable!("seat {seat_id} is taken") };
        let config = shared.config();
        set_timer_slack(config.timer_slack);
        let entered = gorust_reactor::enter(reactor, shard);
        current::seed(config.seed ^ u64::from(seat_id).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let worker = Self {
            shared,
            seat,
            seat_id,
            belongings,
            place: Cell::new(None),
            permit: Cell::new(&shared.nowhere),
            aside: Cell::new(None),
            job: Cell::new(JobKind::None),
            sends_job: Cell::new(false),
            ids: Cell::new((0, 0)),
            polls_left: Cell::new(0),
            polls_per_look: Cell::new(1),
            last_look_ns: Cell::new(reactor.now_ns()),
            last_turn_ns: Cell::new(0),
            streak: Cell::new(0),
            wakers: RefCell::new(Vec::new()),
        };
        WORKER.set(&raw const worker);
        worker.answer(call);
        worker.run();
        worker.flush();
        WORKER.set(std::ptr::null());
        // A guard that a goroutine has left behind in a thread-local finds nothing to bring back.
        HIDDEN.set((std::ptr::null(), HIDDEN.get().1));
        drop(entered);
        reactor.release_shard(shard);
        seat.stand_up(worker.belongings);
        drop(bomb);
        shared.free_seat(seat_id);
        shutdown::leave(shared);
    }

    /// Runs goroutines while this thread holds a place, and waits for one while it does not.
    fn run(&self) {
        while self.shared.is_open() {
            match self.place.get() {
                Some(place) => {
                    self.work(place);
                }
                None => {
                    // Timers that were armed here before the place was lost.
                    self.before_block();
                    match spare::wait_for_call(self.shared, self.seat_id) {
                        Some(call) => self.answer(call),
                        None => return,
                    }
                }
            }
        }
        if let Some(place) = self.place.get() {
            self.set_place(None);
            self.shared.place(place).vacate(self.seat_id);
        }
        shutdown::cancel_waiting(&self.seat.shard);
        shutdown::sweep_injector(self.shared);
    }

    /// Does what this thread was called for, as far as it is still to be done.
    fn answer(&self, call: Call) {
        match call {
            Call::Hold(place) => self.set_place(Some(place)),
            Call::Place(place, from) => {
                if self.shared.place(place).take(from, self.seat_id) {
                    self.set_place(Some(place));
                    self.rested();
                }
            }
            Call::Jobs => {
                self.job.set(JobKind::OnSpare);
                while let Some(job) = spare::next_job(self.shared) {
                    self.poll(job);
                }
                self.job.set(JobKind::None);
            }
        }
    }

    /// Notes what place this thread holds.
    fn set_place(&self, place: Option<usize>) {
        self.place.set(place);
        self.permit.set(place.map_or(&self.shared.nowhere, |place| self.shared.place(place)));
    }

    /// Whether this thread may queue locally: it holds its place. It may lose it just now; what it then queues all the
    /// same is found by the monitor, or flushed by itself after the poll.
    #[inline]
    fn queues_here(&self) -> bool {
        self.permit.get().is_held_by(self.seat_id)
    }

    /// Whether this thread still holds `place`, after the poll it was in.
    #[inline]
    fn keeps(&self, place: usize) -> bool {
        self.queues_here() || self.regains(place)
    }

    /// The place was put on offer by the monitor, or is gone.
    #[cold]
    fn regains(&self, place: usize) -> bool {
        // A mark for the monitor: whatever it saw is over.
        self.seat.count_poll();
        let mine = self.place.get() == Some(place) && self.shared.place(place).reclaim(self.seat_id);
        if !mine {
            self.set_place(None);
        }
        mine
    }

    /// Runs goroutines until the place is lost or the runtime closes.
    fn work(&self, place: usize) {
        while self.keeps(place) && self.shared.is_open() {
            match self.next_task() {
                Some(task) => self.poll(task),
                // A waker woken on the way has blocked, and lost the place.
                None if self.place.get() != Some(place) => {}
                None => {
                    if let Some(task) = self.find_or_sleep(place) {
                        self.poll(task);
                    }
                }
            }
        }
        if self.place.get().is_none() {
            self.flush();
        }
    }

    #[inline]
    fn poll(&self, task: Runnable) {
        self.seat.count_poll();
        if let Some(again) = task.run() {
            self.requeue(again);
        }
    }

    /// A task that was woken while it ran, or yielded: to the back, behind everything that waits.
    #[inline(always)]
    pub(crate) fn requeue(&self, task: Runnable) {
        // Subtle: not whether the place is still ours. The poll is over, or nearly: if it was lost, this is flushed.
        if self.place.get().is_none() {
            return self.requeue_elsewhere(task);
        }
        match self.belongings.local.push(task) {
            // Whatever else is here runs before it, on this thread, unless something waits in the next slot too.
            Ok(0) if !self.seat.next.glance().is_null() => self.shared.notify(),
            Ok(_) => {}
            Err(task) => self.shared.inject(task),
        }
    }

    #[cold]
    fn requeue_elsewhere(&self, task: Runnable) {
        if !self.sends_job.take() {
            return self.shared.inject(task);
        }
        self.set_place(self.aside.take());
        if let Err(task) = spare::queue_job(self.shared, task) {
            self.job.set(JobKind::Forced);
            self.poll(task);
            self.job.set(JobKind::None);
        }
    }

    /// Queues a task that the running one has woken or spawned: it runs next, and what it displaces can be stolen.
    // Always: it is most of what a wake costs, and whether the compiler finds it small enough depends on what else is there.
    #[inline(always)]
    pub(crate) fn push_next(&self, task: Runnable) {
        if !self.queues_here() {
            return self.shared.inject(task);
        }
        let Some(displaced) = self.seat.next.replace(task) else { return };
        match self.belongings.local.push(displaced) {
            // The step from nothing to steal to something to steal: the only one that may wake a worker.
            Ok(0) => self.shared.notify(),
            Ok(_) => {}
            Err(displaced) => self.shared.inject(displaced),
        }
    }

    /// The next task from this worker's own queues, or its share of the injector.
    #[inline(always)]
    fn next_task(&self) -> Option<Runnable> {
        let left = self.polls_left.get();
        if left == 0 {
            self.look_around();
            // A waker may have blocked, and lost the place.
            self.place.get()?;
        } else {
            self.polls_left.set(left - 1);
        }
        if self.seat.polls().is_multiple_of(POLLS_PER_SHARE)
            && let Some(task) = self.take_injected()
        {
            self.announce_surplus();
            return Some(task);
        }
        let streak = self.streak.get();
        if streak < NEXT_STREAK
            && let Some(task) = self.seat.next.take()
        {
            self.streak.set(streak + 1);
            return Some(task);
        }
        self.streak.set(0);
        if let Some(task) = self.belongings.local.pop().or_else(|| self.seat.next.take()) {
            return Some(task);
        }
        let task = self.take_injected();
        if task.is_some() {
            self.announce_surplus();
        }
        task
    }

    /// Takes this worker's share of the injector: one is returned, the others are queued. A caller that is not
    /// counted as searching makes surplus of them.
    fn take_injected(&self) -> Option<Runnable> {
        match self.shared.injector.take(&self.belongings.local, self.shared.workers()) {
            Found::One(task) => Some(task),
            Found::Nothing => None,
        }
    }

    /// Says that there is something to steal, if there is. After tasks were queued for other reasons than that the
    /// running one woke or spawned them, and something else runs first.
    fn announce_surplus(&self) {
        if !self.belongings.local.is_empty() {
            self.shared.notify();
        }
    }

    /// Looks at the clock, and every so often at the timers and the sockets. What they make runnable runs next.
    #[cold]
    fn look_around(&self) {
        self.retire_if_surplus();
        let reactor = self.shared.reactor();
        let now_ns = reactor.now_ns();
        current::set_coarse_now(now_ns);
        let polls = self.polls_per_look.get();
        let took_ns = now_ns.saturating_sub(self.last_look_ns.get()).max(1);
        self.last_look_ns.set(now_ns);
        // At most twice as many as the last time, so that one fast stretch does not blind us; fewer at once.
        let fitting = (u64::from(polls) * LOOK_AROUND_NS / took_ns).min(u64::from(MAX_POLLS_PER_LOOK)) as u32;
        let next = fitting.clamp(1, polls.saturating_mul(2));
        self.polls_per_look.set(next);
        self.polls_left.set(next);
        if now_ns.saturating_sub(self.last_turn_ns.get()) < LOOK_AROUND_NS {
            return;
        }
        self.last_turn_ns.set(now_ns);
        // Taken out, since a waker may bring us here again.
        let mut wakers = self.wakers.take();
        match reactor.try_lock() {
            Some(mut driver) => {
                let turned = driver.turn(Wait::Never, &mut wakers);
                drop(driver);
                if let Err(error) = turned {
                    report_reactor_error(&error);
                }
            }
            // Somebody sleeps there, and knows nothing of the timers armed here since.
            None => reactor.fire_due(self.seat.timer_shard(), now_ns, &mut wakers),
        }
        self.wake_all(wakers);
        // What was requeued without a word was to run next; now something may run before it.
        if !self.seat.next.glance().is_null() {
            self.announce_surplus();
        } else if self.belongings.local.length() <= 1
            && let Some(task) = self.steal_queued()
        {
            // A worker that does little but yield is as good as idle, and takes work as an idle one does.
            self.requeue(task);
            self.announce_surplus();
        }
    }

    fn wake_all(&self, mut wakers: Vec<Waker>) {
        for waker in wakers.drain(..) {
            schedule::wake_caught(waker);
        }
        self.wakers.replace(wakers);
    }

    /// Gives the place up if there are to be fewer. What is queued here is given to the others at once.
    fn retire_if_surplus(&self) {
        let Some(index) = self.place.get() else { return };
        let shared = self.shared;
        if resize::retire(&shared.workers, shared.place(index), index, self.seat_id) {
            self.set_place(None);
            // Whoever slept in the reactor may have been this one, and the others sleep: one looks, and takes its turn there.
            shared.notify();
        }
    }

    /// Nothing is left here: searches elsewhere, and sleeps when there is nothing either. `None`: look again.
    #[cold]
    fn find_or_sleep(&self, place: usize) -> Option<Runnable> {
        let mut searching = self.shared.idle.try_search(self.shared.workers());
        if searching && let Some(task) = self.steal() {
            self.stop_searching();
            return Some(task);
        }
        loop {
            searching = self.sleep(place, searching);
            self.retire_if_surplus();
            // A waker woken there may have blocked, and lost the place.
            if !self.shared.is_open() || self.place.get() != Some(place) {
                if searching {
                    self.stop_searching();
                }
                return None;
            }
            let task = self.next_task().or_else(|| if searching { self.steal() } else { None });
            if task.is_some() {
                if searching {
                    self.stop_searching();
                }
                return task;
            }
        }
    }

    /// Leaves the searchers after something was found, and wakes the next if there is more (step 5).
    fn stop_searching(&self) {
        if self.shared.idle.stop_searching() && self.shared.has_work() {
            self.shared.notify();
        }
    }

    /// Takes work from the injector or another worker.
    fn steal(&self) -> Option<Runnable> {
        if let Some(task) = self.take_injected() {
            return Some(task);
        }
        if let Some(task) = self.steal_queued() {
            return Some(task);
        }
        // The last pass: next slots, if the same task is still there in the same poll after a while.
        self.victims().find_map(|victim| {
            let (seen, polls) = (victim.next.glance(), victim.polls());
            if seen.is_null() {
                return None;
            }
            for _ in 0..NEXT_SLOT_GRACE_SPINS {
                spin_loop();
            }
            if victim.polls() == polls { victim.next.steal(seen) } else { None }
        })
    }

    /// Takes up to half of what another worker has queued: one is returned, the others are queued here.
    fn steal_queued(&self) -> Option<Runnable> {
        self.victims().find_map(|victim| match victim.stealer.steal(&self.belongings.local) {
            Found::One(task) => Some(task),
            Found::Nothing => None,
        })
    }

    /// The seats of the other workers, from a random one on.
    fn victims(&self) -> impl Iterator<Item = &'static Seat> {
        let count = self.shared.places().len();
        let start = current::random_below(count as u32) as usize;
        (0..count).map(move |offset| (start + offset) % count).filter_map(|place| self.victim(place))
    }

    fn victim(&self, place: usize) -> Option<&'static Seat> {
        let holder = self.shared.place(place).holder()?;
        (holder != self.seat_id).then(|| self.shared.seat(holder))
    }

    /// Sleeps until there is something to do (the steps of the README's "No lost wake-up"). Returns whether this
    /// worker is counted as searching now.
    fn sleep(&self, place: usize, searching: bool) -> bool {
        let reactor = self.shared.reactor();
        let idle = &self.shared.idle;
        // Nobody else may sleep in this place.
        let held = self.shared.place(place);
        if !held.pin(self.seat_id) {
            self.set_place(None);
            return searching;
        }
        // Step 1: where it will sleep. One worker sleeps in the reactor, and so serves sockets and timers.
        let driver = reactor.try_lock();
        self.seat.will_sleep_in_reactor(driver.is_some());
        // Step 2: say so, and search no more.
        idle.announce(place, driver.is_some());
        if searching {
            // The look below is at every queue, whether or not this was the last searcher.
            let _ = idle.stop_searching();
        }
        #[cfg(test)]
        crate::stress::linger();
        // Step 3: one more look.
        if self.shared.has_work() || !self.shared.is_open() {
            #[cfg(test)]
            crate::stress::hit();
            idle.withdraw_to_search(place);
            self.rise(held);
            return true;
        }
        #[cfg(test)]
        if idle.is_announced(place) {
            crate::stress::slept()
        } else {
            crate::stress::hit()
        }
        match driver {
            Some(mut driver) => {
                let mut wakers = self.wakers.take();
                let turned = driver.turn(Wait::Until(None), &mut wakers);
                drop(driver);
                // Before anything is woken: what that makes runnable is ours, and must not wake us.
                let woken = !idle.withdraw(place);
                self.rise(held);
                self.wake_all(wakers);
                if let Err(error) = turned {
                    report_reactor_error(&error);
                }
                self.rested();
                woken
            }
            None => {
                // Whoever sleeps in the reactor sleeps no longer than our timers allow.
                reactor.before_park(self.seat.timer_shard());
                self.seat.parker.park();
                let woken = !idle.withdraw(place);
                self.rise(held);
                self.rested();
                woken
            }
        }
    }

    /// This worker sleeps no more, and has said so among the sleepers.
    fn rise(&self, held: &Place) {
        held.unpin(self.seat_id);
        self.shared.monitor.rouse();
    }

    /// After a sleep the clock is read anew, and so it is after the first poll: whether polls are fast is another
    /// question now.
    fn rested(&self) {
        let now_ns = self.shared.reactor().now_ns();
        current::set_coarse_now(now_ns);
        self.last_look_ns.set(now_ns);
        self.last_turn_ns.set(now_ns);
        self.polls_per_look.set(1);
        self.polls_left.set(1);
    }

    /// Gives everything queued here to the others.
    fn flush(&self) {
        let local = std::iter::from_fn(|| self.belongings.local.pop());
        for task in self.seat.next.take().into_iter().chain(local) {
            self.shared.inject(task);
        }
    }

    /// This thread is about to sleep outside the loop: whoever sleeps in the reactor sleeps no longer than this
    /// thread's timers allow.
    pub(crate) fn before_block(&self) {
        self.shared.reactor().before_park(self.seat.timer_shard());
    }

    pub(crate) fn shared(&self) -> &'static Shared {
        self.shared
    }

    /// Whether this thread may queue locally and enter tasks in its own shard.
    pub(crate) fn is_of(&self, runtime: u16) -> bool {
        self.shared.index() == runtime
    }

    /// The number of the next goroutine.
    #[inline]
    pub(crate) fn next_id(&self) -> u64 {
        let (next, end) = self.ids.get();
        if next < end {
            self.ids.set((next + 1, end));
            return next;
        }
        let block = schedule::take_ids(ID_BLOCK);
        self.ids.set((block + 1, block + ID_BLOCK));
        block
    }

    /// Enters the task that this thread polls, and that is about to wait for the first time.
    #[inline]
    pub(crate) fn enter_registry(&self, task: &Header, header: NonNull<Header>) {
        let entry = self.seat.shard.reserve(&self.belongings.registry);
        task.settle(self.seat_id + 1, entry);
        self.seat.shard.enter(entry, header);
    }

    /// Takes a completed task out of the registry, this worker's shard or another's.
    #[inline]
    pub(crate) fn leave_registry(&self, shard: u16, entry: u32) {
        if shard == self.seat_id + 1 {
            self.seat.shard.leave(entry, Some(&self.belongings.registry));
        } else {
            schedule::shard(self.shared, shard).leave(entry, None);
        }
    }

    /// Counts a task spawned here.
    #[inline]
    pub(crate) fn count_spawned(&self) {
        self.seat.count_spawned();
    }

    /// Counts a task completed here.
    #[inline]
    pub(crate) fn count_left(&self) {
        self.seat.count_left();
    }
}

/// The kernel lets a sleep run 50 us over unless told otherwise.
pub(crate) fn set_timer_slack(slack: std::time::Duration) {
    #[cfg(target_os = "linux")]
    {
        let ns = libc::c_ulong::try_from(slack.as_nanos()).unwrap_or(libc::c_ulong::MAX).max(1);
        // SAFETY: this option takes a number and touches nothing but the calling thread's timer slack.
        unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, ns) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = slack;
}

/// The poller itself failed: not one socket, but the call that waits for all. There is nobody to return it to.
#[cold]
fn report_reactor_error(error: &std::io::Error) {
    report(&format!("gorust: the reactor failed to wait for events: {error}\n"));
}

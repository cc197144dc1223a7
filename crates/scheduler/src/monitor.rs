//! The monitor: one thread a runtime that looks at the workers from outside, and helps where a long poll holds things
//! up. What it knows of another thread is in `watched.rs`; what it moves, in `place.rs` and `spare.rs`; the argument, in
//! the README, "The monitor".
//!
//! It runs no goroutine, and nothing of the user's but wakers that are not ours, when all else has failed, and what is
//! to be dropped at the runtime's end if it happens to be the last to leave.

use crate::{
    builder::{LongPoll, OnLongPoll},
    idle::Idle,
    place::{Look, SeatId},
    queue::Found,
    runtime::Handle,
    schedule,
    seat::Seat,
    shared::Shared,
    shutdown, spare,
    worker::{AbortOnUnwind, set_timer_slack},
};
use gorust_primitives::{
    parker::Parker,
    shim::{AtomicBool, AtomicU64, Ordering, fence, mutant},
};
use gorust_reactor::Wait;
use std::{sync::Arc, task::Waker, time::Duration};

const MS: u64 = 1_000_000;

/// The pause between two looks when all is well.
const CALM_NS: u64 = 10 * MS;
/// The pause after a look that found a worker busy and nobody else to help: is it still the same poll then?
const DOUBT_NS: u64 = MS;
/// The same where all that may have to be done is to move one task.
const DOUBT_NEXT_NS: u64 = 100_000;
/// The longest pause while some poll is known to be long and a worker sleeps: what it wakes waits that long.
const LONG_POLL_NS: u64 = 2 * MS;
/// The pause after a look that helped; then it doubles every [`LOOKS_PER_PAUSE`] looks, up to [`CALM_NS`].
const HELPED_NS: u64 = MS;
/// The same after a task was moved: who forks once forks again, and each waits for a look.
const MOVED_NS: u64 = 250_000;
const LOOKS_PER_PAUSE: u32 = 32;

/// The time slice of a goroutine. One that computes for longer loses its place, if something waits for one.
const SLICE_NS: u64 = 10 * MS;
/// After so long one that blocks loses its place even if nothing waits, so that the process comes to rest.
const BLOCKED_NS: u64 = 100 * MS;
/// Shorter samples of a thread's CPU clock say little.
const SAMPLE_MIN_NS: u64 = MS / 2;
/// A look that comes later than it was to come by so much says nothing of others: the whole machine stood still.
const LATE_NS: u64 = MS;
/// So long nothing may happen before the monitor sleeps too.
const REST_NS: u64 = 30 * MS;
/// Nobody has taken the place for so long: whoever was called may never come.
const CALL_AGAIN_NS: u64 = 1_000 * MS;

/// The monitor as the workers see it.
#[derive(Debug)]
pub(crate) struct Monitor {
    /// The monitor sleeps, or is about to, and must be roused by the worker that gets up next.
    asleep: AtomicBool,
    parker: Parker,
    /// Places it has offered; long polls it has seen. Written by the monitor.
    hand_overs: AtomicU64,
    long_polls: AtomicU64,
}

impl Monitor {
    pub(crate) fn new() -> Self {
        Self {
            asleep: AtomicBool::new(false),
            parker: Parker::new(),
            hand_overs: AtomicU64::new(0),
            long_polls: AtomicU64::new(0),
        }
    }

    /// Begins anew, for another runtime.
    pub(crate) fn reset(&self) {
        for counter in [&self.hand_overs, &self.long_polls] {
            // Ordering: Relaxed, nobody else is there.
            counter.store(0, Ordering::Relaxed);
        }
    }

    /// A worker is up again, after it has taken its bit from among the sleepers. A load, nearly always.
    #[inline]
    pub(crate) fn rouse(&self) {
        // Ordering: SeqCst, against the fence in `sleep`. Of the two fences one is first: either the monitor sees that the
        // bit is gone, or we see that it sleeps.
        fence(Ordering::SeqCst);
        // Ordering: Relaxed, the fence has ordered it.
        if self.asleep.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        // Ordering: Relaxed, the token carries the rest. An exchange, so that one of several wakes it.
        if self.asleep.swap(false, Ordering::Relaxed) {
            self.parker.unpark();
        }
    }

    /// Makes it look at the runtime's status.
    pub(crate) fn unpark(&self) {
        self.parker.unpark();
    }

    /// Sleeps until a worker gets up, unless one is up.
    fn sleep(&self, idle: &Idle, workers: usize) {
        // Ordering: Relaxed, the fence orders it.
        self.asleep.store(true, Ordering::Relaxed);
        if !mutant("monitor.sleep_without_a_fence") {
            // Ordering: SeqCst, against the fence in `rouse`, as said there.
            fence(Ordering::SeqCst);
        }
        if idle.all_asleep(workers) {
            self.parker.park();
        }
        // Ordering: Relaxed, it only spares somebody a wake-up.
        self.asleep.store(false, Ordering::Relaxed);
    }

    pub(crate) fn hand_overs(&self) -> u64 {
        // Ordering: Relaxed, a counter.
        self.hand_overs.load(Ordering::Relaxed)
    }

    pub(crate) fn long_polls(&self) -> u64 {
        // Ordering: Relaxed, a counter.
        self.long_polls.load(Ordering::Relaxed)
    }
}

/// The life of the monitor's thread.
pub(crate) fn main(shared: &'static Shared) {
    let bomb = AbortOnUnwind;
    set_timer_slack(Duration::from_nanos(1));
    let mut watch = Watch::new(shared);
    while shared.is_open() {
        match watch.look() {
            Some(pause_ns) => {
                watch.due_ns = shared.reactor().now_ns() + pause_ns;
                shared.monitor.parker.park_timeout(Duration::from_nanos(pause_ns));
            }
            None => {
                shared.monitor.sleep(&shared.idle, shared.workers());
                watch.rested();
            }
        }
    }
    drop(bomb);
    shutdown::leave(shared);
}

/// What the monitor remembers of a seat.
#[derive(Debug, Default)]
struct View {
    /// Which poll it was, and which section of blocking code.
    polls: u32,
    sections: u32,
    /// When a look first found this poll. It is older than that by one pause at most.
    since_ns: u64,
    /// When it was looked at last.
    looked_ns: u64,
    /// The thread's CPU clock, and when it was read, in this poll.
    sample: Option<(u64, u64)>,
    /// The address of what was in the next slot.
    next: usize,
    /// Whether this poll was counted as a long one, and told of.
    counted: bool,
    told: bool,
    /// Whether the thread has lost its place in this poll, and why.
    lost: Option<Verdict>,
    /// When its place was first seen on offer.
    offered_ns: Option<u64>,
}

/// What a thread does that is in the same poll for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It waits for something else than a CPU.
    Blocks,
    /// It computes, or would if it had a CPU.
    Computes,
}

/// What the monitor remembers from one look to the next.
struct Watch {
    shared: &'static Shared,
    on_long_poll: Option<OnLongPoll>,
    /// By seat.
    views: Vec<View>,
    /// Seats whose threads have lost their place and are still in that poll.
    strays: Vec<SeatId>,
    /// For the duration of a look: who holds a place and is up; and those who are in the same poll as at the last one.
    busy: Vec<SeatId>,
    stuck: Vec<(usize, SeatId)>,
    /// When this look was to happen.
    due_ns: u64,
    /// The pause when there is no doubt, and how many more looks it stays as it is.
    pause_ns: u64,
    looks_left: u32,
    /// Whether the last look left a doubt, so that this one comes early: one early look a pause, unless it helps.
    doubted: bool,
    /// Turns of the reactor so far, and since when there was none.
    turns: u64,
    turned_ns: u64,
    /// Polls of all seats so far, and when a look last found a worker awake or the sum changed.
    polls: u64,
    stirred_ns: u64,
    wakers: Vec<Waker>,
}

impl Watch {
    fn new(shared: &'static Shared) -> Self {
        let (now_ns, workers) = (shared.reactor().now_ns(), shared.workers());
        Self {
            shared,
            on_long_poll: shared.config().on_long_poll,
            views: Vec::with_capacity(2 * workers),
            strays: Vec::with_capacity(workers),
            busy: Vec::with_capacity(workers),
            stuck: Vec::with_capacity(workers),
            due_ns: now_ns,
            pause_ns: CALM_NS,
            looks_left: 0,
            doubted: false,
            turns: 0,
            turned_ns: now_ns,
            polls: 0,
            stirred_ns: now_ns,
            wakers: Vec::new(),
        }
    }

    /// After a sleep everything is new.
    fn rested(&mut self) {
        let now_ns = self.shared.reactor().now_ns();
        self.due_ns = now_ns;
        self.turned_ns = now_ns;
        self.stirred_ns = now_ns;
    }

    /// Looks at everything, helps where help is needed, and returns the pause until the next look. `None`: everybody
    /// sleeps.
    fn look(&mut self) -> Option<u64> {
        let shared = self.shared;
        let reactor = shared.reactor();
        let now_ns = reactor.now_ns();
        let late = now_ns.saturating_sub(self.due_ns) > LATE_NS;

        let turns = reactor.turns();
        if turns != self.turns || reactor.is_asleep() || reactor.is_unused() {
            self.turns = turns;
            self.turned_ns = now_ns;
        }
        let neglected = now_ns.saturating_sub(self.turned_ns) >= DOUBT_NS;

        self.look_at_places(now_ns);
        self.look_at_strays();
        let sleeper = shared.idle.is_any_asleep();

        let mut helped = None;
        for index in 0..self.stuck.len() {
            if self.move_on(self.stuck[index].1, now_ns) {
                helped = Some(MOVED_NS);
            }
        }
        for index in 0..self.strays.len() {
            self.tell(self.strays[index], now_ns);
        }

        // Nobody is free, and something waits: the next place is offered, one a look.
        let wanted = !sleeper && (neglected || shared.has_work());
        let unsolved = if neglected && sleeper {
            // Whoever wakes finds nothing to run, and goes to sleep again: in the reactor.
            shared.notify();
            true
        } else if let Some((place, seat, verdict)) = self.choose(wanted, late, now_ns) {
            if self.hand_over(place, seat, verdict) {
                helped = helped.or(Some(HELPED_NS));
            }
            wanted
        } else {
            if wanted && now_ns.saturating_sub(self.turned_ns) >= SLICE_NS {
                self.turn_reactor();
            }
            wanted && !self.stuck.is_empty()
        };

        if self.is_at_rest(now_ns) {
            return None;
        }
        // Nothing has happened since the last look: no haste.
        let quiet = self.stirred_ns != now_ns;
        Some(if quiet { CALM_NS } else { self.pause(helped, unsolved, sleeper) })
    }

    /// Finds out who is busy, and which polls are the same as at the last look.
    fn look_at_places(&mut self, now_ns: u64) {
        self.busy.clear();
        self.stuck.clear();
        let shared = self.shared;
        for (index, place) in shared.places().iter().enumerate() {
            match place.look() {
                Look::Vacant | Look::Pinned(_) => {}
                Look::Held(id) => {
                    self.busy.push(id);
                    if self.view(id).sees(shared.seat(id), now_ns) {
                        self.stuck.push((index, id));
                    }
                }
                Look::Offered(id) => {
                    let view = self.view(id);
                    let since_ns = *view.offered_ns.get_or_insert(now_ns);
                    if now_ns.saturating_sub(since_ns) >= CALL_AGAIN_NS {
                        view.offered_ns = None;
                        spare::offer(shared, id, index);
                    }
                }
            }
        }
    }

    /// What a thread that has lost its place has queued all the same, since it was just about to, is everybody's.
    fn look_at_strays(&mut self) {
        let (shared, views) = (self.shared, &mut self.views);
        self.strays.retain(|&id| {
            let (seat, view) = (shared.seat(id), &mut views[usize::from(id)]);
            // The second is new if the thread has its place again, and is in another poll.
            let still = view.polls == seat.polls() && view.lost.is_some();
            if still {
                shared.reactor().before_park(seat.timer_shard());
                give_away(shared, seat);
            } else {
                view.lost = None;
            }
            still
        });
    }

    fn view(&mut self, seat: SeatId) -> &mut View {
        let index = usize::from(seat);
        if self.views.len() <= index {
            self.views.resize_with(index + 1, View::default);
        }
        &mut self.views[index]
    }

    /// Does for a long poll what needs no other thread. Returns whether that made something runnable elsewhere.
    fn move_on(&mut self, id: SeatId, now_ns: u64) -> bool {
        let (shared, seat) = (self.shared, self.shared.seat(id));
        // If the thread blocks it does not look after its timers.
        shared.reactor().before_park(seat.timer_shard());
        let view = self.view(id);
        let age_ns = now_ns.saturating_sub(view.since_ns);
        let next = seat.next.glance();
        // There twice, or put there in a poll that has been long for a while.
        let moved = !next.is_null()
            && (next.addr() == view.next || age_ns >= LONG_POLL_NS)
            && !view.was_preempted(seat, now_ns)
            && seat.next.steal(next).map(|task| shared.inject(task)).is_some();
        view.next = if moved { 0 } else { next.addr() };
        if age_ns >= SLICE_NS {
            give_away(shared, seat);
            self.tell(id, now_ns);
        }
        moved
    }

    /// Counts a poll that has used up its slice, ends the slice, and tells who wants to know.
    fn tell(&mut self, id: SeatId, now_ns: u64) {
        let (shared, seat) = (self.shared, self.shared.seat(id));
        let view = self.view(id);
        let age_ns = now_ns.saturating_sub(view.since_ns);
        if age_ns < SLICE_NS {
            return;
        }
        if !view.counted {
            view.counted = true;
            // Ordering: Relaxed, a counter.
            shared.monitor.long_polls.fetch_add(1, Ordering::Relaxed);
        }
        seat.with_thread(|thread| {
            thread.end_slice();
            Some(())
        });
        let (polls, told) = (view.polls, view.told);
        if told {
            return;
        }
        let Some(hook) = self.on_long_poll.as_ref().filter(|hook| hook.after.as_nanos() <= age_ns.into())
        else {
            return;
        };
        let running = seat.with_thread(|thread| thread.running(|| seat.polls() == polls));
        let poll = LongPoll {
            goroutine: running.map_or(0, |(goroutine, _)| goroutine),
            spawned_at: running.map(|(_, site)| site),
            duration: Duration::from_nanos(age_ns),
        };
        // A goroutine of its own: no user code on this thread.
        let (call, site) = (Arc::clone(&hook.call), hook.site);
        drop(Handle::new(shared).spawn_at(async move { call(poll) }, site));
        self.view(id).told = true;
    }

    /// Chooses a place to be offered: of a thread that says that it blocks, of one that is found to, of one that has
    /// computed for longer than a slice.
    fn choose(&mut self, wanted: bool, late: bool, now_ns: u64) -> Option<(usize, SeatId, Verdict)> {
        let computing = self
            .strays
            .iter()
            .filter(|&&id| self.views[usize::from(id)].lost == Some(Verdict::Computes))
            .count();
        let may_add = computing < self.shared.workers();
        let mut chosen = None;
        for index in 0..self.stuck.len() {
            let (place, id) = self.stuck[index];
            let seat = self.shared.seat(id);
            let view = &mut self.views[usize::from(id)];
            let age_ns = now_ns.saturating_sub(view.since_ns);
            if !wanted && age_ns < BLOCKED_NS {
                continue;
            }
            if view.sections % 2 == 1 {
                return Some((place, id, Verdict::Blocks));
            }
            match view.judge(seat, late, now_ns) {
                Some(Verdict::Blocks) => return Some((place, id, Verdict::Blocks)),
                Some(Verdict::Computes) if wanted && may_add && age_ns >= SLICE_NS => {
                    chosen = chosen.or(Some((place, id, Verdict::Computes)));
                }
                _ => {}
            }
        }
        chosen
    }

    /// Offers the place of a thread that is in a long poll, and calls a spare for it.
    fn hand_over(&mut self, place: usize, id: SeatId, verdict: Verdict) -> bool {
        let shared = self.shared;
        // The poll may be over by now, and the thread in its next one: then it runs that without a place, or takes
        // the offer back. Never is it asleep: a pinned place is not offered.
        if !shared.place(place).offer(id) {
            return false;
        }
        // Ordering: Relaxed, a counter.
        shared.monitor.hand_overs.fetch_add(1, Ordering::Relaxed);
        self.view(id).lost = Some(verdict);
        if !self.strays.contains(&id) {
            self.strays.push(id);
        }
        // From now on the thread queues nothing here, but for what it is just about to: see `look_at_strays`.
        give_away(shared, shared.seat(id));
        spare::offer(shared, id, place);
        true
    }

    /// All workers are in polls that last, and no more may be added: those who wait outside, in a `block_on` on a thread
    /// of their own, are served all the same.
    #[cold]
    fn turn_reactor(&mut self) {
        if let Some(mut driver) = self.shared.reactor().try_lock() {
            // What fails here fails for the workers too, who report it.
            let _ = driver.turn(Wait::Never, &mut self.wakers);
        }
        for waker in self.wakers.drain(..) {
            schedule::wake_caught(waker);
        }
    }

    /// Whether all workers sleep, nothing has happened for a while, and nobody who computes without a place is still to
    /// be told of.
    fn is_at_rest(&mut self, now_ns: u64) -> bool {
        let shared = self.shared;
        let polls = shared.seats().map(|seat| u64::from(seat.polls())).sum::<u64>();
        if polls != self.polls || !shared.idle.all_asleep(shared.workers()) {
            self.polls = polls;
            self.stirred_ns = now_ns;
        }
        now_ns.saturating_sub(self.stirred_ns) >= REST_NS
            && (self.on_long_poll.is_none() || self.strays.iter().all(|&id| self.views[usize::from(id)].told))
    }

    /// How long to wait for the next look.
    fn pause(&mut self, helped: Option<u64>, unsolved: bool, sleeper: bool) -> u64 {
        if let Some(pause_ns) = helped {
            self.pause_ns = self.pause_ns.min(pause_ns);
            self.looks_left = LOOKS_PER_PAUSE;
        } else if self.looks_left > 0 {
            self.looks_left -= 1;
        } else if self.pause_ns < CALM_NS {
            self.pause_ns = (2 * self.pause_ns).min(CALM_NS);
            self.looks_left = LOOKS_PER_PAUSE;
        }
        let doubted = std::mem::take(&mut self.doubted);
        if unsolved {
            return self.pause_ns.min(DOUBT_NS);
        }
        match self.doubt(sleeper) {
            Some(doubt_ns) if !doubted => {
                self.doubted = true;
                self.pause_ns.min(doubt_ns)
            }
            _ if !self.stuck.is_empty() => self.pause_ns.min(LONG_POLL_NS),
            _ => self.pause_ns,
        }
    }

    /// How soon to look again, if this would be the beginning of a long poll in which somebody has to help.
    fn doubt(&mut self, sleeper: bool) -> Option<u64> {
        if self.busy.is_empty() {
            return None;
        }
        if !sleeper || !self.shared.reactor().is_asleep() {
            return Some(DOUBT_NS);
        }
        let mut doubt_ns = None;
        for &id in &self.busy {
            let view = &mut self.views[usize::from(id)];
            if view.next != 0 {
                view.sample(self.shared.seat(id));
                doubt_ns = Some(DOUBT_NEXT_NS);
            }
        }
        doubt_ns
    }
}

impl View {
    /// Looks at a seat: whether it is in the same poll, and the same section of blocking code, as at the last look.
    fn sees(&mut self, seat: &Seat, now_ns: u64) -> bool {
        let (polls, sections) = (seat.polls(), seat.sections());
        if polls != self.polls || self.since_ns == 0 {
            let next = seat.next.glance().addr();
            *self = Self { polls, sections, since_ns: now_ns, looked_ns: now_ns, next, ..Self::default() };
            return false;
        }
        self.looked_ns = now_ns;
        self.offered_ns = None;
        if sections != self.sections {
            self.sections = sections;
            self.sample = None;
            // Of a section that has just begun nothing is known yet.
            return sections % 2 == 0;
        }
        true
    }

    /// Reads the thread's CPU clock, if that was not done in this poll.
    fn sample(&mut self, seat: &Seat) {
        if self.sample.is_none() {
            self.sample = seat.with_thread(|thread| thread.cpu_ns()).map(|cpu_ns| (cpu_ns, self.looked_ns));
        }
    }

    /// Whether the thread has neither blocked nor computed since the sample: nothing is wrong with its poll, and on so
    /// busy a machine nobody else gets a CPU sooner.
    fn was_preempted(&self, seat: &Seat, now_ns: u64) -> bool {
        let Some((before_ns, since_ns)) = self.sample else { return false };
        seat.with_thread(|thread| {
            let ran_ns = thread.cpu_ns()?.saturating_sub(before_ns);
            Some(ran_ns <= now_ns.saturating_sub(since_ns) / 4 && thread.waits() == Some(false))
        })
        .unwrap_or(false)
    }

    /// Whether the thread has blocked or computed since an earlier look. `None`: not known yet.
    fn judge(&mut self, seat: &Seat, late: bool, now_ns: u64) -> Option<Verdict> {
        // Without a thread there is nothing to judge: it is about to sit down.
        let Some(cpu_ns) = seat.with_thread(|thread| Some(thread.cpu_ns()))? else {
            // The system does not tell: by time alone.
            return (now_ns.saturating_sub(self.since_ns) >= SLICE_NS).then_some(Verdict::Blocks);
        };
        let (before_ns, since_ns) = *self.sample.get_or_insert((cpu_ns, now_ns));
        let span_ns = now_ns.saturating_sub(since_ns);
        if span_ns < SAMPLE_MIN_NS {
            return None;
        }
        self.sample = Some((cpu_ns, now_ns));
        if cpu_ns.saturating_sub(before_ns) > span_ns / 4 {
            return Some(Verdict::Computes);
        }
        match seat.with_thread(|thread| thread.waits()) {
            Some(true) => Some(Verdict::Blocks),
            Some(false) => Some(Verdict::Computes),
            // While this thread was kept from a CPU that one may have been, too: the next sample tells.
            None => (!late).then_some(Verdict::Blocks),
        }
    }
}

/// Gives everything queued at a seat to whoever is free.
fn give_away(shared: &'static Shared, seat: &Seat) {
    let next = seat.next.steal(seat.next.glance());
    let queued = std::iter::from_fn(|| match seat.stealer.steal_one() {
        Found::One(task) => Some(task),
        Found::Nothing => None,
    });
    for task in next.into_iter().chain(queued) {
        shared.inject(task);
    }
}

#[cfg(test)]
mod model {
    use super::*;
    use gorust_primitives::shim::{Arc, model, mutant_is_caught, thread};

    /// A worker gets up while the monitor goes to sleep: the monitor stays up, or is roused.
    fn rest_against_rise() {
        let shared = Arc::new((Monitor::new(), Idle::new()));
        shared.1.announce(0, false);
        let worker = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                assert!(shared.1.withdraw(0));
                shared.0.rouse();
            })
        };
        shared.0.sleep(&shared.1, 1);
        worker.join().unwrap();
        assert!(!shared.1.all_asleep(1));
    }

    #[test]
    fn monitor_does_not_sleep_while_a_worker_is_up() {
        let executions = model(rest_against_rise);
        println!("monitor: {executions} executions");
        assert!(executions > 1);
    }

    #[test]
    fn monitor_mutant_that_sleeps_without_a_fence_is_caught() {
        assert!(mutant_is_caught("monitor.sleep_without_a_fence", rest_against_rise));
    }
}

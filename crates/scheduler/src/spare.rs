//! Spare threads: they hold no place and wait to be called, to take one that is on offer or to run blocking jobs. A
//! thread becomes a spare when it has lost its place, or is started when one is called and none is there; it ends after
//! it has waited for `keep_alive`.

use crate::{
    place::SeatId,
    shared::Shared,
    task::{
        error::{exit_now, report},
        raw::Runnable,
    },
    worker::Worker,
};
use gorust_primitives::shim::{Lock, Ordering};
use std::collections::VecDeque;

/// The spares of a runtime, and the blocking jobs that wait for one.
#[derive(Debug)]
pub(crate) struct Spares(Lock<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    /// Seats of spares that wait, the one that waited shortest last.
    idle: Vec<SeatId>,
    /// What which spare was called for, until it looks.
    called: Vec<(SeatId, Call)>,
    /// Jobs that wait.
    /// Invariant: none waits while fewer threads than are allowed run jobs or are called to, unless none can be started.
    jobs: VecDeque<Runnable>,
    /// Threads that run jobs, or are called to. One that sleeps in a `block_on` inside a job does not count.
    running: usize,
}

/// What a spare is wanted for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call {
    /// To run goroutines from that place, which is its own already: the runtime begins.
    Hold(usize),
    /// To take the place, if the thread of that seat still offers it.
    Place(usize, SeatId),
    /// To run jobs.
    Jobs,
}

/// How many of what there are, at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    pub(crate) idle: usize,
    pub(crate) queued: usize,
    pub(crate) running: usize,
}

impl Spares {
    pub(crate) fn new() -> Self {
        Self(Lock::new(Waiting::default()))
    }

    pub(crate) fn counts(&self) -> Counts {
        let waiting = self.0.lock();
        Counts { idle: waiting.idle.len(), queued: waiting.jobs.len(), running: waiting.running }
    }

    /// Takes a job that nobody has begun, at the runtime's end.
    pub(crate) fn take_job(&self) -> Option<Runnable> {
        self.0.lock().jobs.pop_front()
    }
}

impl Waiting {
    /// Chooses an idle spare, which the caller unparks.
    fn call(&mut self, call: Call) -> Option<SeatId> {
        let spare = self.idle.pop()?;
        self.called.push((spare, call));
        Some(spare)
    }

    /// Whether one more thread is to run jobs; it is counted then.
    fn wants_thread(&mut self, limit: usize) -> bool {
        let wanted = !self.jobs.is_empty() && self.running < limit;
        self.running += usize::from(wanted);
        wanted
    }
}

/// Offers a place to a spare, or starts a thread for it. It is on offer already.
pub(crate) fn offer(shared: &'static Shared, from: SeatId, place: usize) {
    let call = Call::Place(place, from);
    let spare = shared.spares.0.lock().call(call);
    if let Err(error) = wake_or_start(shared, spare, call) {
        // The place stays on offer: it comes back when its thread does, or the monitor calls again.
        report(&format!("gorust: a worker blocks and no thread can be started in its place: {error}\n"));
    }
}

/// Queues a blocking job for the spares. Gives it back when no thread can be started and none is there.
pub(crate) fn queue_job(shared: &'static Shared, job: Runnable) -> Result<(), Runnable> {
    let limit = shared.max_blocking_threads();
    let spare = {
        let mut waiting = shared.spares.0.lock();
        waiting.jobs.push_back(job);
        if !waiting.wants_thread(limit) {
            return Ok(());
        }
        waiting.call(Call::Jobs)
    };
    let Err(error) = wake_or_start(shared, spare, Call::Jobs) else { return Ok(()) };
    let mut waiting = shared.spares.0.lock();
    waiting.running -= 1;
    if waiting.running > 0 {
        // They are there to run it in time.
        return Ok(());
    }
    let job = waiting.jobs.pop_back();
    drop(waiting);
    report(&format!("gorust: no thread can be started for a blocking job, so a worker runs it: {error}\n"));
    job.map_or(Ok(()), Err)
}

fn wake_or_start(shared: &'static Shared, spare: Option<SeatId>, call: Call) -> std::io::Result<()> {
    match spare {
        Some(spare) => {
            shared.seat(spare).parker.unpark();
            Ok(())
        }
        None => start(shared, call),
    }
}

/// Starts a thread that answers the call, and is a spare afterwards.
fn start(shared: &'static Shared, call: Call) -> std::io::Result<()> {
    let Some(seat) = shared.claim_seat() else {
        exit_now(&format!(
            "gorust: {} threads are blocked, the limit of one runtime\nexit status 2\n",
            crate::shared::MAX_SEATS
        ));
    };
    // Ordering: Relaxed, it only must not be seen as zero while we, a thread of the runtime, are in it.
    shared.threads.fetch_add(1, Ordering::Relaxed);
    let started = shared.config().thread(seat).spawn(move || Worker::main(shared, seat, call));
    if started.is_err() {
        shared.free_seat(seat);
        shared.threads.fetch_sub(1, Ordering::Relaxed);
    }
    started.map(drop)
}

/// Waits until this thread, on the seat `me`, is called. `None`: it waited long enough, or the runtime closes.
pub(crate) fn wait_for_call(shared: &Shared, me: SeatId) -> Option<Call> {
    let keep_alive = shared.config().keep_alive;
    loop {
        shared.spares.0.lock().idle.push(me);
        if !shared.is_open() {
            return withdraw(shared, me);
        }
        let notified = shared.seat(me).parker.park_timeout(keep_alive);
        match withdraw(shared, me) {
            Some(call) => return Some(call),
            None if !notified => return None,
            None => {} // a token of earlier times
        }
    }
}

/// Stops waiting, and returns what this spare was called for meanwhile.
fn withdraw(shared: &Shared, me: SeatId) -> Option<Call> {
    let mut waiting = shared.spares.0.lock();
    if let Some(position) = waiting.idle.iter().position(|&seat| seat == me) {
        waiting.idle.remove(position);
        return None;
    }
    let position = waiting.called.iter().position(|&(seat, _)| seat == me)?;
    Some(waiting.called.swap_remove(position).1)
}

/// The next job for a thread that runs jobs. `None`: it is not wanted any more, and not counted.
pub(crate) fn next_job(shared: &Shared) -> Option<Runnable> {
    let limit = shared.max_blocking_threads();
    let mut waiting = shared.spares.0.lock();
    // More than the limit: some of them slept in a `block_on`, and others took their turn.
    let job = if waiting.running <= limit { waiting.jobs.pop_front() } else { None };
    if job.is_none() {
        waiting.running -= 1;
    }
    job
}

/// The thread of a job sleeps in a `block_on`, perhaps until another job is done: that one may have its turn.
pub(crate) fn pause_job(shared: &'static Shared) {
    let limit = shared.max_blocking_threads();
    let spare = {
        let mut waiting = shared.spares.0.lock();
        waiting.running -= 1;
        if !waiting.wants_thread(limit) {
            return;
        }
        waiting.call(Call::Jobs)
    };
    if let Err(error) = wake_or_start(shared, spare, Call::Jobs) {
        shared.spares.0.lock().running -= 1;
        report(&format!("gorust: blocking jobs wait, and no thread can be started for them: {error}\n"));
    }
}

/// The thread of a job is awake again. More may run now than the limit says; who is done first ends.
pub(crate) fn resume_job(shared: &Shared) {
    shared.spares.0.lock().running += 1;
}

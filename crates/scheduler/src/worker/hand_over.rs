//! What a worker's thread does with its place when it is about to block: puts it aside, where the monitor may offer it,
//! or offers it itself; and how it gets it back. The states are in `place.rs`.

use super::Worker;
use crate::{shared::Shared, spare};
use gorust_primitives::shim::Ordering;

impl Worker {
    /// Says that this thread may block: its place is the monitor's to offer at the next look, and what it queues goes
    /// to the injector.
    #[inline]
    pub(crate) fn enter_blocking(&self) -> Section<'_> {
        let place = self.place.get();
        if place.is_some() {
            self.aside.set(place);
            self.set_place(None);
            self.seat.count_section();
        }
        Section { worker: self, entered: place.is_some() }
    }

    /// Whether a blocking job that is polled here must leave, because as many run as there are workers. If so it has to
    /// wake itself and be pending.
    pub(crate) fn send_job_to_spares(&self) -> bool {
        // Ordering: Relaxed, a bound that need not be exact.
        let crowded = self.shared.jobs_running.load(Ordering::Relaxed) >= self.shared.workers();
        let sends = crowded && self.job.get() == JobKind::None;
        if sends {
            self.sends_job.set(true);
            self.aside.set(self.place.get());
            self.set_place(None);
        }
        sends
    }

    /// Offers this thread's place, because it is about to sleep: a spare thread runs what waits here. If it runs a
    /// blocking job, another may have its turn.
    pub(crate) fn hand_over(&self) -> HandedOver<'_> {
        let aside = self.aside.take();
        let place = self.place.get().or(aside);
        if let Some(index) = place {
            self.set_place(None);
            self.flush();
            // If the monitor was faster it has called a spare.
            if self.shared.place(index).offer(self.seat_id) {
                spare::offer(self.shared, self.seat_id, index);
            }
        }
        let job = self.job.replace(JobKind::None);
        job.pause(self.shared);
        HandedOver { worker: self, place, aside: aside.is_some(), job }
    }
}

/// The place of a thread that blocks is on offer; dropped when it blocks no longer.
pub(crate) struct HandedOver<'a> {
    worker: &'a Worker,
    place: Option<usize>,
    /// The place had been put aside.
    aside: bool,
    job: JobKind,
}

impl Drop for HandedOver<'_> {
    fn drop(&mut self) {
        let worker = self.worker;
        self.job.resume(worker.shared);
        worker.job.set(self.job);
        // If somebody took it, this thread goes on without: it finishes its poll, and becomes a spare.
        let place = self.place.filter(|&place| worker.shared.place(place).reclaim(worker.seat_id));
        if self.aside {
            worker.aside.set(place);
        } else if place.is_some() {
            worker.set_place(place);
        }
    }
}

/// A section of blocking code; dropped when it is left.
#[must_use]
pub(crate) struct Section<'a> {
    worker: &'a Worker,
    entered: bool,
}

impl Drop for Section<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.entered {
            let worker = self.worker;
            worker.seat.count_section();
            if let Some(place) = worker.aside.take() {
                let held = worker.shared.place(place);
                if held.is_held_by(worker.seat_id) || held.reclaim(worker.seat_id) {
                    worker.set_place(Some(place));
                }
            }
        }
    }
}

/// What blocking job a thread runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobKind {
    None,
    /// On a worker, which may lose its place meanwhile.
    InPlace,
    /// On a spare that was called for jobs.
    OnSpare,
    /// On a worker, since no thread can be started.
    Forced,
}

impl JobKind {
    /// Its thread sleeps in a `block_on`.
    fn pause(self, shared: &'static Shared) {
        if self != Self::None {
            // Ordering: Relaxed, a bound that need not be exact.
            shared.jobs_running.fetch_sub(1, Ordering::Relaxed);
        }
        if self == Self::OnSpare {
            spare::pause_job(shared);
        }
    }

    /// Its thread is awake again.
    fn resume(self, shared: &Shared) {
        if self != Self::None {
            // Ordering: Relaxed, as in `pause`.
            shared.jobs_running.fetch_add(1, Ordering::Relaxed);
        }
        if self == Self::OnSpare {
            spare::resume_job(shared);
        }
    }
}

/// A blocking job runs on this thread; dropped when it is done.
pub(crate) struct JobGuard<'a> {
    worker: &'a Worker,
    /// What ran here before: nothing, or spares are at their jobs.
    before: JobKind,
}

impl<'a> JobGuard<'a> {
    pub(crate) fn new(worker: &'a Worker) -> Self {
        // Ordering: Relaxed, a bound that need not be exact.
        worker.shared.jobs_running.fetch_add(1, Ordering::Relaxed);
        let before = worker.job.get();
        if before == JobKind::None {
            worker.job.set(JobKind::InPlace);
        }
        Self { worker, before }
    }
}

impl Drop for JobGuard<'_> {
    fn drop(&mut self) {
        // Ordering: Relaxed, as in `new`.
        self.worker.shared.jobs_running.fetch_sub(1, Ordering::Relaxed);
        self.worker.job.set(self.before);
    }
}

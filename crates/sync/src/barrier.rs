//! A meeting point: everybody waits until all have come.

use gorust_primitives::{
    brief_lock::BriefLock,
    current::{self, Reason},
    shim::mutant,
    wait_list::{Broadcast, State, Waiter, keep_waiting, wake_in_batches},
};
use pin_project_lite::pin_project;
use std::{
    fmt,
    future::Future,
    panic::Location,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// Lets goroutines wait for each other: when the last one of `n` has come, all go on, and the next `n` may meet.
///
/// # Go
///
/// Go has none; there one builds it of a `sync.WaitGroup` for each meeting.
///
/// # Examples
///
/// ```
/// use gorust_sync::{Barrier, WaitGroup};
/// use std::sync::Arc;
///
/// gorust_scheduler::block_on(async {
///     let (barrier, wg) = (Arc::new(Barrier::new(3)), WaitGroup::new());
///     for _ in 0..3 {
///         let barrier = Arc::clone(&barrier);
///         wg.go(async move {
///             // .. the first half of the work
///             if barrier.wait().await.is_leader() {
///                 println!("all have done the first half");
///             }
///             // .. the second half
///         });
///     }
///     wg.wait().await;
/// });
/// ```
pub struct Barrier {
    count: usize,
    meeting: BriefLock<Meeting>,
}

struct Meeting {
    /// Which one this is: who has come counts for this one only.
    number: u64,
    arrived: usize,
    waiters: Broadcast,
}

impl Barrier {
    /// Creates a meeting point for `count` goroutines. At one for none or one, nobody waits.
    ///
    /// # Examples
    ///
    /// ```
    /// # gorust_scheduler::block_on(async {
    /// assert!(gorust_sync::Barrier::new(1).wait().await.is_leader());
    /// # });
    /// ```
    pub fn new(count: usize) -> Self {
        Self { count, meeting: BriefLock::new(Meeting { number: 0, arrived: 0, waiters: Broadcast::new() }) }
    }

    /// Waits until all have come. One of them, the last, is told that it is the leader.
    ///
    /// # Cancel safety
    ///
    /// *Strict* as to the count: who has come and is dropped while it waits has not come. Dropped before the first
    /// poll: nothing has happened. Dropped after all had come: they go on without it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_sync::Barrier;
    /// # use std::sync::Arc;
    /// # gorust_scheduler::block_on(async {
    /// let barrier = Arc::new(Barrier::new(2));
    /// let other = Arc::clone(&barrier);
    /// let handle = gorust_scheduler::go(async move { other.wait().await.is_leader() });
    /// let is_leader = barrier.wait().await.is_leader();
    /// assert_ne!(is_leader, handle.await.unwrap());
    /// # });
    /// ```
    #[track_caller]
    pub fn wait(&self) -> BarrierWait<'_> {
        BarrierWait { barrier: self, number: 0, at: Location::caller(), waiter: Waiter::new(()) }
    }

    /// Says that one has come. If it is the last, the meeting is over and all go on; if not, `waiter` waits. Returns the
    /// number of the meeting if it does.
    ///
    /// # Safety
    ///
    /// As for `WaitList::push_back`.
    unsafe fn arrive(&self, waiter: Pin<&Waiter>) -> Option<u64> {
        let mut meeting = self.meeting.lock();
        if meeting.arrived + 1 < self.count {
            meeting.arrived += 1;
            // SAFETY: our caller's promise.
            unsafe { meeting.waiters.push_back(waiter) };
            return Some(meeting.number);
        }
        meeting.arrived = 0;
        meeting.number += 1;
        meeting.waiters.release();
        drop(meeting);
        wake_in_batches(|| self.meeting.lock(), |meeting, wakers| meeting.waiters.take_released(wakers));
        None
    }

    /// One who waits goes. If its meeting is not over, it has not come.
    fn leave(&self, waiter: Pin<&Waiter>, number: u64) {
        let mut meeting = self.meeting.lock();
        // SAFETY: the waiter is in this list or in none.
        let has_waited = unsafe { meeting.waiters.remove(waiter) };
        let is_counted = meeting.number == number || mutant("barrier.leave_a_meeting_that_is_over");
        if has_waited && is_counted && !mutant("barrier.leave_uncounted") {
            meeting.arrived -= 1;
        }
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrived = self.meeting.lock().arrived;
        f.debug_struct("Barrier").field("count", &self.count).field("arrived", &arrived).finish()
    }
}

/// What [`Barrier::wait`] tells.
///
/// # Examples
///
/// ```
/// # gorust_scheduler::block_on(async {
/// assert!(gorust_sync::Barrier::new(1).wait().await.is_leader());
/// # });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarrierWaitResult(bool);

impl BarrierWaitResult {
    /// Returns whether this is the one that came last.
    ///
    /// # Examples
    ///
    /// See [`BarrierWaitResult`].
    pub fn is_leader(self) -> bool {
        self.0
    }
}

pin_project! {
    /// The future of [`Barrier::wait`].
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct BarrierWait<'a> {
        barrier: &'a Barrier,
        // The meeting it has come to, once it waits.
        number: u64,
        at: &'static Location<'static>,
        #[pin]
        waiter: Waiter,
    }

    impl PinnedDrop for BarrierWait<'_> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if this.waiter.state() == State::Queued {
                this.barrier.leave(this.waiter.as_ref(), *this.number);
            }
        }
    }
}

impl Future for BarrierWait<'_> {
    type Output = BarrierWaitResult;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<BarrierWaitResult> {
        ready!(current::poll_proceed(cx));
        let this = self.project();
        let waiter = this.waiter.as_ref();
        let meeting = &this.barrier.meeting;
        let waits = match waiter.state() {
            State::Idle => {
                waiter.set_waker(cx.waker());
                // SAFETY: the waiter is pinned and not queued, and it leaves the list before it is dropped.
                match unsafe { this.barrier.arrive(waiter) } {
                    Some(number) => *this.number = number,
                    None => return Poll::Ready(BarrierWaitResult(true)),
                }
                true
            }
            State::Queued => {
                // SAFETY: the waiter is queued here or not at all.
                let state = unsafe {
                    keep_waiting(|| meeting.lock(), |meeting| meeting.waiters.any(), waiter, cx.waker())
                };
                state == State::Queued
            }
            State::Granted | State::Closed => false,
        };
        if waits {
            current::waits(Reason::WaitGroupWait, this.at);
            return Poll::Pending;
        }
        Poll::Ready(BarrierWaitResult(false))
    }
}

impl fmt::Debug for BarrierWait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BarrierWait").field("waiter", &self.waiter.state()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod model {
    use super::*;
    use crate::testing::{Fragile, block_on};
    use gorust_primitives::shim::{model, mutant_is_caught, thread};
    use std::{sync::Arc, task::Waker};

    fn spawn_waiter(barrier: &Arc<Fragile<Barrier>>) -> thread::JoinHandle<bool> {
        let barrier = Arc::clone(barrier);
        thread::spawn(move || block_on(barrier.wait()).is_leader())
    }

    /// Two meet, twice.
    fn two_meet() {
        let barrier = Arc::new(Fragile::new(Barrier::new(2)));
        for _ in 0..2 {
            let other = spawn_waiter(&barrier);
            let is_leader = block_on(barrier.wait()).is_leader();
            assert_ne!(other.join().unwrap(), is_leader);
        }
    }

    /// One comes and goes while another comes; then a third: either way two have met, or one waits.
    fn one_leaves() {
        let barrier = Arc::new(Fragile::new(Barrier::new(2)));
        let mut leaver = Fragile::new(Box::pin(barrier.wait()));
        assert!(leaver.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let other = spawn_waiter(&barrier);
        drop(leaver);
        let mut next = Fragile::new(Box::pin(barrier.wait()));
        let mut met = next.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        if met {
            assert!(!other.join().unwrap());
        } else {
            // The other one met the leaver, or comes and meets this one.
            other.join().unwrap();
            met = next.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
            assert_eq!(barrier.meeting.lock().arrived, usize::from(!met));
        }
    }

    fn explore(name: &str, body: impl Fn() + Sync + Send + 'static) {
        let executions = model(body);
        println!("barrier, {name}: {executions} executions");
        assert!(executions > 1);
    }

    #[test]
    fn all_go_on_when_all_have_come() {
        explore("two meet", two_meet);
    }

    #[test]
    fn one_who_leaves_has_not_come() {
        explore("one leaves", one_leaves);
    }

    #[test]
    fn leaving_uncounted_is_caught() {
        assert!(mutant_is_caught("barrier.leave_uncounted", one_leaves));
    }

    #[test]
    fn leaving_a_meeting_that_is_over_is_caught() {
        assert!(mutant_is_caught("barrier.leave_a_meeting_that_is_over", one_leaves));
    }
}

#[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
mod tests {
    use super::*;
    use crate::testing::{Task, on_workers, poll, ready, waiting};
    use std::sync::{
        Arc,
        // Std's: a plain counter.
        atomic::{AtomicUsize, Ordering::SeqCst},
    };

    #[test]
    fn the_last_one_leads_and_all_go_on() {
        let barrier = Barrier::new(41);
        let task = Task::default();
        let mut waits: Vec<_> = (0..40).map(|_| waiting(barrier.wait(), &task)).collect();
        assert_eq!(format!("{barrier:?}"), "Barrier { count: 41, arrived: 40 }");
        assert!(ready(barrier.wait()).is_leader());
        assert_eq!(task.wakes(), 40);
        // The next meeting has begun before they look.
        let mut next = waiting(barrier.wait(), &task);
        assert!(waits.iter_mut().all(|wait| !ready(wait).is_leader()));
        assert!(poll(&mut next).is_pending());
    }

    #[test]
    fn nobody_waits_at_a_barrier_for_one() {
        assert!(ready(Barrier::new(0).wait()).is_leader() && ready(Barrier::new(1).wait()).is_leader());
    }

    #[test]
    fn wait_dropped_before_the_first_poll_or_while_it_waits_has_not_come() {
        let barrier = Barrier::new(2);
        let task = Task::default();
        drop(barrier.wait());
        drop(waiting(barrier.wait(), &task));
        let mut stays = waiting(barrier.wait(), &task);
        assert!(ready(barrier.wait()).is_leader());
        assert_eq!((task.wakes(), ready(&mut stays).is_leader()), (1, false));
    }

    #[test]
    fn wait_dropped_after_all_had_come_holds_back_nobody() {
        let barrier = Barrier::new(2);
        let task = Task::default();
        let leaves = waiting(barrier.wait(), &task);
        assert!(ready(barrier.wait()).is_leader());
        drop(leaves);
        assert_eq!(format!("{barrier:?}"), "Barrier { count: 2, arrived: 0 }");
    }

    #[test]
    fn another_waker_takes_over() {
        let barrier = Barrier::new(2);
        let (old, new) = (Task::default(), Task::default());
        let mut wait = waiting(barrier.wait(), &old);
        assert!(new.poll(&mut wait).is_pending());
        ready(barrier.wait());
        assert_eq!((old.wakes(), new.wakes()), (0, 1));
    }

    /// Rounds of work in step: nobody is ahead of anybody by more than the barrier allows.
    #[test]
    fn rounds_stay_in_step() {
        const ROUNDS: usize = 100;
        on_workers(|| async {
            let (barrier, done) = (Arc::new(Barrier::new(8)), Arc::new(AtomicUsize::new(0)));
            let leaders = Arc::new(AtomicUsize::new(0));
            let wg = crate::WaitGroup::new();
            for _ in 0..8 {
                let (barrier, done, leaders) =
                    (Arc::clone(&barrier), Arc::clone(&done), Arc::clone(&leaders));
                wg.go(async move {
                    for round in 0..ROUNDS {
                        done.fetch_add(1, SeqCst);
                        leaders.fetch_add(usize::from(barrier.wait().await.is_leader()), SeqCst);
                        assert!(done.load(SeqCst) >= 8 * (round + 1));
                        barrier.wait().await;
                    }
                });
            }
            wg.wait().await;
            assert_eq!((done.load(SeqCst), leaders.load(SeqCst)), (8 * ROUNDS, ROUNDS));
        });
    }
}

//! The state word of a task: five flags and a reference count. Every change is a method whose return value says
//! what the caller now owes. Nothing here touches anything but the word, so all of it is model-tested.
//!
//! The story of the word is told in the crate's README, "The life of a task".

use crate::dump::Status;
use gorust_primitives::shim::{AtomicUsize, Ordering, mutant};

/// Somebody holds a `Runnable`: it is in a queue, or about to be put there, or (with `RUNNING`) it must be put
/// there when the poll ends.
const SCHEDULED: usize = 1;
/// A thread polls the future, or drops it.
const RUNNING: usize = 1 << 1;
/// The future is gone; the output is in its place until it is taken or dropped. Final.
const COMPLETED: usize = 1 << 2;
/// Abort was asked for: the next run drops the future instead of polling it. Final.
const CANCEL: usize = 1 << 3;
/// The `JoinHandle` exists: the output is its own to take or to drop.
const JOIN: usize = 1 << 4;
/// The joiner slot holds a waker. While this is 0 the slot belongs to the `JoinHandle`; while it is 1 nobody
/// writes the slot, and at completion it belongs to whoever completes.
const JOIN_WAKER: usize = 1 << 5;
/// One reference. Held by: the task itself (its registry entry) until completion, the `Runnable`, the `JoinHandle`, each waker and each
/// `AbortHandle`.
const REF: usize = 1 << 6;

/// The state word.
#[derive(Debug)]
pub(crate) struct State(AtomicUsize);

/// What a wake-up owes.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// The caller holds a `Runnable` now and must schedule it.
    Schedule,
    /// Nothing: it is scheduled already, or completed.
    Nothing,
    /// The last reference is gone: free the task.
    Free,
}

/// How a run begins.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Poll the future.
    Poll,
    /// Drop the future and complete as canceled.
    Cancel,
}

/// How a poll that was not ready ends.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parked {
    /// The task waits for a waker; the `Runnable` is gone.
    Waiting,
    /// It was woken during the poll: the caller still holds the `Runnable` and must schedule it.
    Woken,
}

/// What the completing thread owes.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Completed {
    /// Take the waker out of the joiner slot and wake it.
    pub(crate) wake_joiner: bool,
    /// No `JoinHandle` will: drop the output.
    pub(crate) drop_output: bool,
}

/// What a `JoinHandle` owes when it is dropped.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Detach {
    /// Nothing; its reference is released.
    Done,
    /// The slot is its own again: drop the waker in it, then release the reference.
    DropWaker,
    /// The output is its own: drop it, then release the reference.
    DropOutput,
}

impl State {
    /// A task just spawned: scheduled, with a `JoinHandle`; the handle and the `Runnable` hold a reference each, and
    /// the third is the task's own, which the registry stands for once it has waited.
    pub(crate) fn new() -> Self {
        Self(AtomicUsize::new(SCHEDULED | JOIN | (3 * REF)))
    }

    /// Applies `change` until it takes effect; `None` leaves the word alone. Returns the word it was applied to.
    #[inline]
    fn update(&self, mut change: impl FnMut(usize) -> Option<usize>) -> usize {
        // Ordering: AcqRel for the exchange: each transition is a read-modify-write of the one word, so each sees all
        // that came before it. Acquire for the load, since a `change` that finds the task completed leaves the word
        // alone, and its caller goes on to the output.
        let look = if mutant("task.relaxed_look") { Ordering::Relaxed } else { Ordering::Acquire };
        let mut word = self.0.load(look);
        while let Some(next) = change(word) {
            match self.0.compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => break,
                Err(actual) => word = actual,
            }
        }
        word
    }

    /// A waker is used up.
    #[inline]
    pub(crate) fn wake(&self) -> Wake {
        let word = self.update(|word| {
            Some(if word & COMPLETED != 0 {
                word - REF
            } else if word & (SCHEDULED | RUNNING) != 0 {
                // Subtle: also when SCHEDULED is set the word is written: the run that follows must see what
                // happened before this wake.
                (word | SCHEDULED) - REF
            } else {
                // The waker's reference becomes the Runnable's.
                word | SCHEDULED
            })
        });
        match word {
            _ if word & COMPLETED != 0 && word / REF == 1 => Wake::Free,
            _ if word & (COMPLETED | SCHEDULED | RUNNING) == 0 => Wake::Schedule,
            _ => Wake::Nothing,
        }
    }

    /// A waker is used and kept.
    #[inline]
    pub(crate) fn wake_by_ref(&self) -> Wake {
        let word = self.update(|word| {
            if word & COMPLETED != 0 {
                None
            } else if word & (SCHEDULED | RUNNING) != 0 {
                Some(word | SCHEDULED)
            } else {
                Some((word | SCHEDULED) + REF)
            }
        });
        if word & (COMPLETED | SCHEDULED | RUNNING) == 0 { Wake::Schedule } else { Wake::Nothing }
    }

    /// Asks for the task to be dropped at its next await point.
    pub(crate) fn abort(&self) -> Wake {
        let word = self.update(|word| {
            if word & (COMPLETED | CANCEL) != 0 {
                None
            } else if word & (SCHEDULED | RUNNING) != 0 {
                Some(word | CANCEL | SCHEDULED)
            } else {
                Some((word | CANCEL | SCHEDULED) + REF)
            }
        });
        if word & (COMPLETED | CANCEL | SCHEDULED | RUNNING) == 0 { Wake::Schedule } else { Wake::Nothing }
    }

    /// The holder of the `Runnable` begins.
    #[inline]
    pub(crate) fn start(&self) -> Start {
        // Ordering: AcqRel, as every transition: what happened before each wake is seen by the poll. An addition,
        // since the holder of the Runnable knows that SCHEDULED is set and RUNNING is not.
        let word = self.0.fetch_add(RUNNING - SCHEDULED, Ordering::AcqRel);
        debug_assert!(word & SCHEDULED != 0 && word & (RUNNING | COMPLETED) == 0, "state {word:#b}");
        if word & CANCEL != 0 { Start::Cancel } else { Start::Poll }
    }

    /// The poll was not ready. The `Runnable`'s reference goes with `Waiting`; the registry still holds one, so it
    /// is not the last.
    #[inline]
    pub(crate) fn park(&self) -> Parked {
        let word = self.update(|word| {
            if word & SCHEDULED != 0 && !mutant("task.lost_wake") {
                Some(word - RUNNING)
            } else {
                Some((word & !SCHEDULED) - RUNNING - REF)
            }
        });
        if word & SCHEDULED != 0 && !mutant("task.lost_wake") { Parked::Woken } else { Parked::Waiting }
    }

    /// The output stands in the place of the future.
    #[inline]
    pub(crate) fn complete(&self) -> Completed {
        // Ordering: AcqRel: Release publishes the output to `is_completed` of the joiner; Acquire sees the waker
        // that `set_join_waker` published. One exchange of two bits, both known.
        let word = self.0.fetch_xor(RUNNING | COMPLETED, Ordering::AcqRel);
        debug_assert!(word & RUNNING != 0 && word & COMPLETED == 0, "state {word:#b}");
        Completed { wake_joiner: word & JOIN_WAKER != 0, drop_output: word & JOIN == 0 }
    }

    /// Whether the output is there (or was taken). True is final and lets the joiner read it.
    #[inline]
    pub(crate) fn is_completed(&self) -> bool {
        // Ordering: Acquire, against `complete`.
        self.0.load(Ordering::Acquire) & COMPLETED != 0
    }

    /// What the goroutine is doing, to tell a person.
    pub(crate) fn status(&self) -> Status {
        // Ordering: Relaxed, it may be another a moment later.
        match self.0.load(Ordering::Relaxed) {
            word if word & RUNNING != 0 => Status::Running,
            word if word & SCHEDULED != 0 => Status::Runnable,
            _ => Status::Waiting,
        }
    }

    /// Whether there is no `JoinHandle` any more. True is final.
    pub(crate) fn is_detached(&self) -> bool {
        // Ordering: Relaxed, nothing is done with the output on its account.
        self.0.load(Ordering::Relaxed) & JOIN == 0
    }

    /// Publishes the waker that the `JoinHandle` has put in its slot. `false`: completed meanwhile, and the slot
    /// is still the handle's.
    pub(crate) fn set_join_waker(&self) -> bool {
        let word = self.update(|word| {
            debug_assert!(word & JOIN_WAKER == 0);
            (word & COMPLETED == 0).then_some(word | JOIN_WAKER)
        });
        word & COMPLETED == 0
    }

    /// Takes the slot back from a task that runs. `false`: completed meanwhile, and the slot is not the handle's.
    pub(crate) fn clear_join_waker(&self) -> bool {
        let word = self.update(|word| (word & COMPLETED == 0).then_some(word & !JOIN_WAKER));
        word & COMPLETED == 0
    }

    /// Whether the joiner slot is published. Only the `JoinHandle` sets and clears it, so the answer holds for it
    /// until the task completes.
    #[inline]
    pub(crate) fn has_join_waker(&self) -> bool {
        // Ordering: Relaxed, the handle reads its own write.
        self.0.load(Ordering::Relaxed) & JOIN_WAKER != 0
    }

    /// The `JoinHandle` goes without having taken the output.
    pub(crate) fn detach(&self) -> Detach {
        let word = self.update(|word| {
            if word & COMPLETED != 0 {
                None
            } else if word & JOIN_WAKER != 0 {
                Some(word & !(JOIN | JOIN_WAKER))
            } else {
                // The registry still holds a reference, so this is not the last.
                Some((word & !JOIN) - REF)
            }
        });
        match word {
            _ if word & COMPLETED != 0 => Detach::DropOutput,
            _ if word & JOIN_WAKER != 0 => Detach::DropWaker,
            _ => Detach::Done,
        }
    }

    /// Adds a reference; the caller holds one.
    #[inline]
    pub(crate) fn retain(&self) {
        // Ordering: Relaxed, as for every reference count: the caller's own reference keeps the task alive, and
        // whoever is given the new one is given it by other means.
        let word = self.0.fetch_add(REF, Ordering::Relaxed);
        if word > isize::MAX as usize {
            // Two to the 57 forgotten wakers: nothing else to do, as in `Arc`.
            std::process::abort();
        }
    }

    /// Gives `count` references back. Whether they were the last, so that the task must be freed.
    #[inline]
    pub(crate) fn release(&self, count: usize) -> bool {
        // Ordering: AcqRel: Release hands what this holder did to the one who frees, Acquire takes it from all.
        let word = self.0.fetch_sub(count * REF, Ordering::AcqRel);
        debug_assert!(word / REF >= count, "state {word:#b}");
        word / REF == count
    }
}

#[cfg(test)]
mod model {
    use super::*;
    use gorust_primitives::shim::{Arc, AtomicUsize as Count, model, mutant_is_caught, thread};

    /// The word, a stand-in for the future (`ready`), and how often a `Runnable` was made.
    struct Task {
        state: State,
        ready: Count,
        runnables: Count,
    }

    /// Runs the task if `wake` says so, and again as long as it was woken while it ran. `true`: completed.
    fn run(task: &Task) -> bool {
        loop {
            let _ = task.state.start();
            if task.ready.load(Ordering::Relaxed) == 1 {
                let _ = task.state.complete();
                return true;
            }
            if task.state.park() == Parked::Waiting {
                return false;
            }
        }
    }

    /// One thread polls while another makes the future ready and wakes it: whoever gets the Runnable, the task
    /// completes, and exactly once.
    fn wake_against_poll() {
        let task = Arc::new(Task { state: State::new(), ready: Count::new(0), runnables: Count::new(0) });
        task.state.retain(); // the waker
        let waker = Arc::clone(&task);
        let thread = thread::spawn(move || {
            // Relaxed on purpose: only the state word may carry it over.
            waker.ready.store(1, Ordering::Relaxed);
            match waker.state.wake() {
                Wake::Schedule => {
                    waker.runnables.fetch_add(1, Ordering::Relaxed);
                    usize::from(run(&waker))
                }
                Wake::Nothing => 0,
                Wake::Free => panic!("freed while the registry holds it"),
            }
        });
        let here = usize::from(run(&task));
        let there = thread.join().unwrap();
        assert_eq!(here + there, 1, "completed {here} here, {there} there");
    }

    #[test]
    fn task_wake_is_never_lost_to_a_poll() {
        let executions = model(wake_against_poll);
        println!("task state, wake against poll: {executions} executions");
        assert!(executions > 1);
    }

    #[test]
    fn task_mutant_that_forgets_a_wake_is_caught() {
        assert!(mutant_is_caught("task.lost_wake", wake_against_poll));
    }

    /// A stand-in for the output, written and read Relaxed: only the state word may carry it over.
    struct Output {
        state: State,
        value: Count,
    }

    impl Output {
        fn new() -> Arc<Self> {
            Arc::new(Self { state: State::new(), value: Count::new(0) })
        }

        fn complete(&self) -> Completed {
            let _ = self.state.start();
            self.value.store(7, Ordering::Relaxed);
            self.state.complete()
        }

        fn read(&self) {
            assert_eq!(self.value.load(Ordering::Relaxed), 7, "completed, and the output is not to be seen");
        }
    }

    /// Completion, abort and the JoinHandle's drop in any order: the output is dropped by exactly one side, and
    /// the references come out even.
    fn one_owner() {
        let task = Output::new();
        let handle = Arc::clone(&task);
        let joiner = thread::spawn(move || {
            let _ = handle.state.abort();
            match handle.state.detach() {
                Detach::Done => (false, false),
                Detach::DropOutput => {
                    handle.read();
                    (true, handle.state.release(1))
                }
                Detach::DropWaker => panic!("no waker was set"),
            }
        });
        let completed = task.complete();
        let freed_here = task.state.release(2);
        let (dropped_there, freed_there) = joiner.join().unwrap();
        assert!(completed.drop_output != dropped_there);
        assert!(freed_here != freed_there);
    }

    #[test]
    fn task_output_has_one_owner() {
        let executions = model(one_owner);
        println!("task state, one owner of the output: {executions} executions");
        assert!(executions > 1);
    }

    /// The joiner publishes its waker while the task completes: it is woken, or it sees the output itself.
    fn joiner_against_completion() {
        let task = Output::new();
        let handle = Arc::clone(&task);
        let joiner = thread::spawn(move || {
            let waits = handle.state.set_join_waker();
            if !waits {
                handle.read();
            }
            waits
        });
        let completed = task.complete();
        assert_eq!(joiner.join().unwrap(), completed.wake_joiner);
    }

    #[test]
    fn task_joiner_is_woken_or_sees_the_output() {
        let executions = model(joiner_against_completion);
        println!("task state, joiner against completion: {executions} executions");
        assert!(executions > 1);
    }

    #[test]
    fn task_mutant_that_looks_relaxed_is_caught() {
        assert!(mutant_is_caught("task.relaxed_look", joiner_against_completion));
    }
}

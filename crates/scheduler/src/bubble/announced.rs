//! Threads of the world outside that a bubble waits for: each holds an [`Announced`].

use super::engine;
use crate::{idle::Idle, runtime::Handle};
use gorust_primitives::shim::{Arc, AtomicUsize, Ordering, mutant};
use std::fmt;

/// How many announced threads there are.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicUsize);

impl Count {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicUsize::new(0)))
    }

    /// Whether there is none. Then what they have woken before lies in the injector.
    pub(super) fn is_zero(&self) -> bool {
        // Ordering: Acquire, against the Release in `leave`.
        self.0.load(Ordering::Acquire) == 0
    }

    fn enter(&self) {
        // Ordering: Relaxed, on the bubble's thread or on one that is announced already.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Leaves; the caller then wakes the bubble's thread as one does who has pushed something.
    fn leave(&self) {
        // Ordering: Release, against `is_zero`. The fence of the wake-up orders it against the announcement of the
        // bubble's thread that it sleeps.
        self.0.fetch_sub(1, Ordering::Release);
    }
}

/// Whether the bubble's thread may sleep: announces that it does, as a worker would, and looks again. `false`: the
/// announcement is taken back.
pub(super) fn may_sleep(idle: &Idle, count: &Count, has_work: impl Fn() -> bool) -> bool {
    if mutant("bubble.look_before") && (count.is_zero() || has_work()) {
        return false;
    }
    idle.announce(0, false);
    if !mutant("bubble.look_before") && (count.is_zero() || has_work()) {
        stay_awake(idle);
        return false;
    }
    true
}

/// Takes the announcement back, whoever else has done so already.
pub(super) fn stay_awake(idle: &Idle) {
    if !idle.withdraw(0) {
        // Who woke this thread has counted it as searching.
        let _last = idle.stop_searching();
    }
}

/// Says that a thread outside the bubble is at work for it: while one exists the bubble does not take itself to be
/// quiet, time does not move, and its thread sleeps if it has nothing to run. Made by [`announce`].
#[must_use = "the thread is announced only while this exists"]
pub struct Announced(Option<(Handle, Arc<Count>)>);

/// Announces a thread of the world outside: call it in the bubble and move what it returns into the thread, which drops
/// it when it is done. Outside a bubble it does nothing.
///
/// A thread that is not announced may wake goroutines of a bubble, too; but if every goroutine waits for it, the bubble
/// takes that for a deadlock, or moves time ahead.
///
/// # Examples
///
/// ```
/// use gorust_scheduler::{bubble::{announce, bubble}, go, runtime::Handle};
///
/// let answer = bubble(1, async {
///     let (announced, handle) = (announce(), Handle::current());
///     let thread = std::thread::spawn(move || {
///         let answer = handle.spawn(async { 42 });
///         drop(announced);
///         answer
///     });
///     thread.join().unwrap().await.unwrap()
/// });
/// assert_eq!(answer.unwrap(), 42);
/// ```
pub fn announce() -> Announced {
    Announced(engine::with_current(|engine| {
        engine.map(|engine| {
            let count = engine.announced();
            count.enter();
            (engine.handle().clone(), Arc::clone(count))
        })
    }))
}

impl Drop for Announced {
    fn drop(&mut self) {
        if let Some((handle, count)) = self.0.take() {
            count.leave();
            // If the bubble has ended, this wakes a worker of another runtime for nothing, at worst.
            handle.shared().notify();
        }
    }
}

impl fmt::Debug for Announced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Announced").field(&self.0.is_some()).finish()
    }
}

#[cfg(test)]
mod model {
    use super::*;
    use gorust_primitives::{
        parker::Parker,
        shim::{model, mutant_is_caught, thread},
    };

    /// The bubble's thread has nothing to run while another is announced; that one leaves.
    fn the_last_to_leave_wakes() {
        let shared = Arc::new((Idle::new(), Count::default(), Parker::new()));
        shared.1.enter();
        let other = Arc::clone(&shared);
        let leaver = thread::spawn(move || {
            other.1.leave();
            if other.0.wake_one().is_some() {
                other.2.unpark();
            }
        });
        while !shared.1.is_zero() {
            if may_sleep(&shared.0, &shared.1, || false) {
                // Loom reports a park that nobody ends.
                shared.2.park();
                stay_awake(&shared.0);
            }
        }
        leaver.join().unwrap();
    }

    #[test]
    fn announced_last_to_leave_wakes_the_bubble() {
        let executions = model(the_last_to_leave_wakes);
        println!("announced: {executions} executions");
        assert!(executions > 1);
    }

    #[test]
    fn announced_mutant_that_looks_before_it_announces_is_caught() {
        assert!(mutant_is_caught("bubble.look_before", the_last_to_leave_wakes));
    }
}

//! How a runtime ends. The steps:
//!
//! 1. *Close*: the status goes from open to closing. From now on `go` gives a handle that resolves to canceled, and
//!    workers stop after the poll they are in.
//! 2. *Wake*: the reactor is closed, so that whoever waits for it outside a goroutine is told, and arms elsewhere; every
//!    thread of the runtime is woken, so that it sees 1.
//! 3. *Cancel*: every task that waits is dropped at its await point, here, by whoever closes; every task that lies
//!    in a queue is taken out and dropped. A task inside a poll is marked, and dropped by its thread afterwards.
//! 4. *Leave*: each worker drops the tasks whose first poll it has just ended, gives what it still holds to the
//!    injector, which is swept again, and goes.
//! 5. *End*: the last thread cancels what step 3 may have missed (a task that was spawned by a poll which was
//!    under way, and stolen by a worker that had not seen 1), and when no task is left gives the memory and the
//!    reactor back. A task that never leaves its poll keeps the memory, and nothing else.
//!
//! No step waits for another thread, so dropping a runtime never hangs, wherever it is done, unless a destructor of
//! the user's does.
//!
//! `Runtime::shutdown` lets the goroutines finish before step 1, and waits a little after step 3; that is in `drain.rs`.
//!
//! Whoever comes late, with a task it has pushed and a status that is no longer open, first counts itself as a thread of
//! the runtime (`Shared::join_closing`): else the runtime could end, and this memory be another's, in the middle of
//! its sweep.

use crate::{queue::Found, registry::Shard, shared::Shared};
use gorust_primitives::shim::Ordering;
use std::cell::Cell;

/// Steps 1 to 3, and 5 if no thread is left. Does nothing if another did it.
pub(crate) fn close(shared: &'static Shared) {
    // Ordering: Relaxed, it only must not be seen as zero while we are at it.
    shared.threads.fetch_add(1, Ordering::Relaxed);
    if shared.begin_closing() {
        shared.reactor().close();
        shared.unpark_all();
        cancel_all(shared);
    }
    leave(shared);
}

/// A thread leaves the runtime: step 5 if it is the last.
pub(crate) fn leave(shared: &'static Shared) {
    // Ordering: AcqRel: Release, so that the last one sees what we did; Acquire, if that is us.
    if shared.threads.fetch_sub(1, Ordering::AcqRel) == 1 && shared.join_closing() {
        cancel_all(shared);
        // Ordering: AcqRel, as above.
        shared.threads.fetch_sub(1, Ordering::AcqRel);
    }
    shared.end_if_empty();
}

/// Drops every task that is not inside a poll.
fn cancel_all(shared: &'static Shared) {
    shared.shards().for_each(cancel_waiting);
    for seat in shared.seats() {
        while let Found::One(task) = seat.stealer.steal_one() {
            task.cancel();
        }
        if let Some(task) = seat.next.steal(seat.next.glance()) {
            task.cancel();
        }
    }
    sweep_injector(shared);
}

/// Drops every task of a shard that waits, and marks those inside a poll.
pub(crate) fn cancel_waiting(shard: &Shard) {
    shard.walk(|task| {
        if let Some(runnable) = task.abort_here() {
            runnable.cancel();
        }
    });
}

thread_local! {
    /// The number of the runtime whose injector this thread sweeps.
    static SWEEPS: Cell<Option<u16>> = const { Cell::new(None) };
}

/// Drops every task in the injector, and every blocking job that waits for a thread. A sweep inside a sweep, by a
/// destructor that has woken another task, leaves that task to the outer one: a chain of a hundred thousand must not be as
/// many frames.
pub(crate) fn sweep_injector(shared: &'static Shared) {
    let index = Some(shared.index());
    if SWEEPS.get() == index {
        return;
    }
    let outer = SWEEPS.replace(index);
    let jobs = std::iter::from_fn(|| shared.spares.take_job());
    for task in shared.drain_injector().chain(jobs) {
        task.cancel();
    }
    SWEEPS.set(outer);
}

/// For who has pushed a task and then saw that the runtime is not open. If it has ended, somebody else has swept the
/// task, and the injector may be another runtime's.
pub(crate) fn sweep_late(shared: &'static Shared) {
    if SWEEPS.get() != Some(shared.index()) && shared.join_closing() {
        sweep_injector(shared);
        leave(shared);
    }
}

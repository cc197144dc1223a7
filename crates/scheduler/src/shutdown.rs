//! How a runtime ends. The steps:
//!
//! 1. *Close*: the status goes from open to closing. From now on `go` gives a handle that resolves to canceled, and
//!    workers stop after the poll they are in.
//! 2. *Wake*: every thread of the runtime is woken, so that it sees 1.
//! 3. *Cancel*: every task that waits is dropped at its await point, here, by whoever closes; every task that lies
//!    in a queue is taken out and dropped. A task inside a poll is marked, and dropped by its thread afterwards.
//! 4. *Leave*: each worker gives what it still holds to the injector, which is swept again, and goes.
//! 5. *End*: the last thread cancels what step 3 may have missed (a task that was spawned by a poll which was
//!    under way, and stolen by a worker that had not seen 1), and when no task is left closes the reactor and gives
//!    the memory back. A task that never leaves its poll keeps the memory, and nothing else.
//!
//! No step waits for another thread, so dropping a runtime never hangs, wherever it is done.

use crate::{queue::Found, shared::Shared};
use gorust_primitives::shim::Ordering;

/// Steps 1 to 3, and 5 if no thread is left. Does nothing if another did it.
pub(crate) fn close(shared: &'static Shared) {
    // Ordering: Relaxed, it only must not be seen as zero while we are at it.
    shared.threads.fetch_add(1, Ordering::Relaxed);
    if shared.begin_closing() {
        shared.unpark_all();
        cancel_all(shared);
    }
    leave(shared);
}

/// A thread leaves the runtime: step 5 if it is the last.
pub(crate) fn leave(shared: &'static Shared) {
    // Ordering: AcqRel: Release, so that the last one sees what we did; Acquire, if that is us.
    if shared.threads.fetch_sub(1, Ordering::AcqRel) == 1 && !shared.is_open() {
        cancel_all(shared);
    }
    shared.end_if_empty();
}

/// Drops every task that is not inside a poll.
fn cancel_all(shared: &'static Shared) {
    let shards = std::iter::once(&shared.outside.shard).chain(shared.seats().map(|seat| &seat.shard));
    for shard in shards {
        shard.walk(|task| {
            if let Some(runnable) = task.abort_here() {
                runnable.cancel();
            }
        });
    }
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

/// Drops every task in the injector.
pub(crate) fn sweep_injector(shared: &'static Shared) {
    for task in shared.drain_injector() {
        task.cancel();
    }
}

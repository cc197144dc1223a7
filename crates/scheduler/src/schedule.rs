//! The arrows between tasks and queues: how a runnable finds its queue, how a future becomes a task, how a task
//! leaves. Each is one function.

use crate::{
    global, local,
    registry::Shard,
    runtime::Handle,
    shared::Shared,
    table,
    task::{
        details::Beside,
        error::drop_payload,
        join::JoinHandle,
        raw::{Header, Home, Runnable, allocate},
    },
    worker,
};
use std::{
    future::Future,
    panic::{AssertUnwindSafe, Location, catch_unwind},
    ptr::NonNull,
    task::Waker,
};

/// The registry shard of threads that are not workers.
const OUTSIDE: u16 = 0;

/// Queues a runnable: on a worker of its runtime ahead of that worker's queue, else in the injector.
#[inline]
pub(crate) fn schedule(task: Runnable) {
    let runtime = task.header().home().runtime;
    worker::with_current(|worker| match worker {
        Some(worker) if worker.is_of(runtime) => worker.push_next(task),
        _ => elsewhere(runtime, task),
    });
}

/// Queues a runnable where its runtime looks, or its thread, if it has to stay on one.
fn elsewhere(runtime: u16, task: Runnable) {
    if runtime == Home::LOCAL {
        local::schedule(task);
    } else {
        table::get(runtime).inject(task);
    }
}

/// Queues a runnable behind everything its worker has queued, or in the injector.
pub(crate) fn schedule_behind(task: Runnable) {
    let runtime = task.header().home().runtime;
    worker::with_current(|worker| match worker {
        Some(worker) if worker.is_of(runtime) => worker.requeue(task),
        _ => elsewhere(runtime, task),
    });
}

/// Wakes, and keeps a panic of the waker away from the caller, who has others to wake.
pub(crate) fn wake_caught(waker: Waker) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
        drop_payload(payload);
    }
}

/// Spawns on the runtime this thread belongs to: a worker's own, the one entered, or the global one.
#[inline]
pub(crate) fn spawn<F>(future: F, spawned_at: &'static Location<'static>) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    spawn_with(future, (), spawned_at)
}

/// As [`spawn`], with what lies beside the future.
#[inline]
pub(crate) fn spawn_with<F, B>(
    future: F,
    beside: B,
    spawned_at: &'static Location<'static>,
) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    B: Beside,
{
    worker::with_current(|worker| match worker {
        Some(worker) => spawn_on_worker(worker, future, beside, spawned_at),
        None => global::current(spawned_at).spawn_with(future, beside, spawned_at),
    })
}

fn spawn_on_worker<F, B>(
    worker: &worker::Worker,
    future: F,
    beside: B,
    spawned_at: &'static Location<'static>,
) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    B: Beside,
{
    let home = Home { runtime: worker.shared().index(), shard: Home::NEW };
    let task = allocate(future, beside, worker.next_id(), spawned_at, home);
    worker.count_spawned();
    // SAFETY: the future's output is this, and the task has not run.
    let handle = unsafe { task.handle() };
    task.announce::<B>();
    worker.push_next(task);
    handle
}

impl Handle {
    /// Spawns on this runtime, from any thread.
    pub(crate) fn spawn_at<F>(
        &self,
        future: F,
        spawned_at: &'static Location<'static>,
    ) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_with(future, (), spawned_at)
    }

    /// As [`spawn_at`](Self::spawn_at), with what lies beside the future.
    pub(crate) fn spawn_with<F, B>(
        &self,
        future: F,
        beside: B,
        spawned_at: &'static Location<'static>,
    ) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
        B: Beside,
    {
        let shared = self.shared();
        worker::with_current(|worker| match worker {
            Some(worker) if worker.is_of(shared.index()) && self.is_open() => {
                spawn_on_worker(worker, future, beside, spawned_at)
            }
            _ => self.spawn_from_outside(future, beside, spawned_at),
        })
    }

    fn spawn_from_outside<F, B>(
        &self,
        future: F,
        beside: B,
        spawned_at: &'static Location<'static>,
    ) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
        B: Beside,
    {
        let shared = self.shared();
        let open = self.is_open();
        let home = Home { runtime: shared.index(), shard: if open { Home::NEW } else { Home::NOWHERE } };
        let bubbles = if open { shared.side.next_id() } else { None };
        let id = bubbles.unwrap_or_else(|| take_ids(1));
        let task = allocate(future, beside, id, spawned_at, home);
        // SAFETY: the future's output is this, and the task has not run.
        let handle = unsafe { task.handle() };
        if open {
            // SeqCst, against the fence in `end_if_empty`: either that counts the task, so that this memory is not
            // used for another runtime, or we see that this one has ended.
            shared.count_spawned_outside();
            task.announce::<B>();
        }
        if open && self.is_open() {
            // If the runtime closes meanwhile, `inject` sees it and sweeps the task up.
            shared.inject(task);
        } else {
            task.cancel();
        }
        handle
    }
}

/// A shard of a runtime's registry, by its number.
pub(crate) fn shard(shared: &'static Shared, number: u16) -> &'static Shard {
    match number {
        OUTSIDE => &shared.outside.shard,
        seat => &shared.seat(seat - 1).shard,
    }
}

/// Enters a task that is about to wait for the first time: most never do, and are spared it. The caller holds the right to
/// run it.
pub(crate) fn enter_registry(header: NonNull<Header>) {
    // SAFETY: the caller holds the right to run the task, and so a reference.
    let task = unsafe { header.as_ref() };
    let runtime = task.home().runtime;
    worker::with_current(|worker| match worker {
        Some(worker) if worker.is_of(runtime) => worker.enter_registry(task, header),
        _ => table::get(runtime).outside.enter(|entry| {
            task.settle(OUTSIDE, entry);
            header
        }),
    });
}

/// Takes a completed task out of the registry; the registry's reference is the caller's now.
#[inline]
pub(crate) fn leave_registry(task: &Header) {
    let home = task.home();
    if home.shard == Home::NOWHERE {
        return;
    }
    worker::with_current(|worker| match worker {
        Some(worker) if worker.is_of(home.runtime) => {
            if !task.is_new() {
                worker.leave_registry(home.shard, task.record.entry());
            }
            worker.count_left();
        }
        _ => {
            let shared = table::get(home.runtime);
            if !task.is_new() {
                shard(shared, home.shard).leave(task.record.entry(), None);
            }
            shared.count_left_outside();
            // A task that ends on a foreign thread may be the last of a runtime that is shutting down.
            if !shared.is_open() {
                shared.end_if_empty();
            }
        }
    });
}

/// Takes `count` goroutine numbers from the process's counter, and returns the first.
pub(crate) fn take_ids(count: u64) -> u64 {
    // Std's: a counter is part of no protocol that is modelled, and a static cannot be a model checker's.
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // Ordering: Relaxed, only that no number is given twice.
    NEXT.fetch_add(count, Ordering::Relaxed)
}

/// What a goroutine costs beside its future. (A model checker's atomics are larger.)
#[cfg(not(any(gorust_loom, gorust_shuttle)))]
const _: () = assert!(size_of::<Header>() == 64);

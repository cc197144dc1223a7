//! What can be counted exactly, and so does not depend on how busy the machine is: allocations, sizes, system calls, and
//! whom a push wakes.
//!
//! One process, one test at a time: the kernel counts for the whole process.

mod allocations;
mod sizes;
mod syscalls;
mod wakes;

use gorust_reactor::Counters;
use gorust_scheduler::runtime::{Builder, Handle, Runtime};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn runtime(workers: usize) -> Runtime {
    Builder::new().workers(workers).build().unwrap()
}

/// Runs the body as a goroutine of `runtime`, as main does.
fn run<T: Send + 'static>(runtime: &Runtime, body: impl Future<Output = T> + Send + 'static) -> T {
    let handle: Handle = runtime.handle();
    runtime.block_on(async move { handle.spawn(body).await.unwrap() })
}

fn counters() -> Counters {
    gorust_reactor::current().unwrap().counters()
}

/// CPU time in microseconds, and context switches of both kinds.
fn usage() -> (u64, u64) {
    // SAFETY: an all-zero rusage is a valid one.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: a valid constant and a valid pointer for the result.
    let result = unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    assert_eq!(result, 0);
    let micros = |time: libc::timeval| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64;
    (micros(usage.ru_utime) + micros(usage.ru_stime), (usage.ru_nvcsw + usage.ru_nivcsw) as u64)
}

//! A monotonic clock that moves by being read.
//!
//! A worker looks around every so many microseconds, and under valgrind, which is slower by far and not equally slow
//! everywhere, that is another number of polls in each run. With this clock it is the same number, about as many as
//! without valgrind.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What one reading adds: the time between two looks of a worker that does little but polls.
const STEP_NS: u64 = 3_000;

/// How far the simulated clock is ahead of the real one: a thread that sleeps until a time of this clock sleeps through
/// the whole run, and does not spin.
const AHEAD_NS: u64 = 3_600 * SECOND_NS;

const SECOND_NS: u64 = 1_000_000_000;

static SIMULATED: AtomicBool = AtomicBool::new(false);
static NOW_NS: AtomicU64 = AtomicU64::new(0);

/// From now on this process has the simulated clock. Called before there is a second thread.
pub(crate) fn simulate() {
    let mut real = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `real` is writable for the length of the call.
    let outcome = unsafe { clock_gettime(libc::CLOCK_MONOTONIC, &raw mut real) };
    assert_eq!(outcome, 0, "every kernel has a monotonic clock");
    let real_ns = real.tv_sec as u64 * SECOND_NS + real.tv_nsec as u64;
    // Ordering: Relaxed, here and below: there is one thread now, and later only a number that grows.
    NOW_NS.store(real_ns + AHEAD_NS, Ordering::Relaxed);
    SIMULATED.store(true, Ordering::Relaxed);
}

/// Stands in the place of the C library's function, in this program only: the linker finds this one first.
///
/// # Safety
///
/// - `time` is valid for a write.
// SAFETY: the name is the C library's, and so are the signature and, for other clocks than this one, what it does.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> libc::c_int {
    if clock != libc::CLOCK_MONOTONIC || !SIMULATED.load(Ordering::Relaxed) {
        // SAFETY: the system call behind the function, with its arguments; `time` is valid by our own contract.
        return unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) } as libc::c_int;
    }
    let now_ns = NOW_NS.fetch_add(STEP_NS, Ordering::Relaxed);
    let now = libc::timespec { tv_sec: (now_ns / SECOND_NS) as _, tv_nsec: (now_ns % SECOND_NS) as _ };
    // SAFETY: valid for a write by our own contract.
    unsafe { time.write(now) };
    0
}

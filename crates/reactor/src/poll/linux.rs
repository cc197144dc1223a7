//! Epoll, used directly: one system call a wait, edges that tell of the peer's close, timeouts in nanoseconds.
//! The epoll instance is the `polling` crate's; what it would do around each wait (five calls) is left out.

use super::{EVENT_BATCH, Timeout};
use crate::source::Bits;
use gorust_primitives::shim::{AtomicBool, Ordering};
use rustix::event::{
    EventfdFlags,
    epoll::{self, EventData, EventFlags},
    eventfd,
};
use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

pub(crate) struct Epoll {
    poller: polling::Poller,
    /// Written to break a wait. It is edge-triggered and never read: every write is an edge, and 2^64 of them do
    /// not happen.
    wakeup: OwnedFd,
    /// Whether the kernel waits in nanoseconds; found out at the first wait.
    nanoseconds: AtomicBool,
}

pub(crate) struct Events(Box<[libc::epoll_event]>);

/// The key of `wakeup`.
const WAKEUP: u64 = u64::MAX;

/// What every source is registered for, once.
const INTEREST: EventFlags =
    EventFlags::IN.union(EventFlags::OUT).union(EventFlags::RDHUP).union(EventFlags::ET);

/// Kernel time, in 64 bits on every architecture, as `epoll_pwait2` takes it.
#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

impl Events {
    pub(super) fn new() -> Self {
        Self(vec![libc::epoll_event { events: 0, u64: 0 }; EVENT_BATCH].into_boxed_slice())
    }
}

impl Epoll {
    pub(super) fn open(nanoseconds: bool) -> io::Result<Self> {
        let poller = polling::Poller::new()?;
        let wakeup = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let edge = EventFlags::IN | EventFlags::ET;
        epoll::add(poller.as_fd(), &wakeup, EventData::new_u64(WAKEUP), edge)?;
        Ok(Self { poller, wakeup, nanoseconds: AtomicBool::new(nanoseconds) })
    }

    pub(super) fn add(&self, fd: BorrowedFd<'_>, key: u64) -> io::Result<()> {
        Ok(epoll::add(self.poller.as_fd(), fd, EventData::new_u64(key), INTEREST)?)
    }

    pub(super) fn delete(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(epoll::delete(self.poller.as_fd(), fd)?)
    }

    pub(super) fn notify(&self) -> io::Result<()> {
        rustix::io::write(&self.wakeup, &1_u64.to_ne_bytes())?;
        Ok(())
    }

    pub(super) fn wait(
        &self,
        events: &mut Events,
        timeout: Timeout,
        mut deliver: impl FnMut(u64, Bits),
    ) -> io::Result<bool> {
        let count = self.epoll_wait(&mut events.0, timeout)?;
        let mut notified = false;
        for event in &events.0[..count] {
            match event.u64 {
                WAKEUP => notified = true,
                key => deliver(key, bits(event.events)),
            }
        }
        Ok(notified)
    }

    #[inline]
    fn epoll_wait(&self, events: &mut [libc::epoll_event], timeout: Timeout) -> io::Result<usize> {
        let epoll = self.poller.as_fd().as_raw_fd();
        // Ordering: Relaxed, a fact about the kernel that is the same for every thread.
        if self.nanoseconds.load(Ordering::Relaxed) {
            let timespec;
            let timeout: *const Timespec = match timeout {
                Timeout::Never => std::ptr::null(),
                Timeout::Ns(ns) => {
                    timespec = Timespec {
                        seconds: (ns / 1_000_000_000) as i64,
                        nanoseconds: (ns % 1_000_000_000) as i64,
                    };
                    &raw const timespec
                }
            };
            // SAFETY: the arguments are those of epoll_pwait2(2): `events` is writable for the length given,
            // `timeout` is null or points to a live `__kernel_timespec`, no signal mask is given.
            let count = unsafe {
                libc::syscall(
                    libc::SYS_epoll_pwait2,
                    epoll,
                    events.as_mut_ptr(),
                    events.len() as libc::c_int,
                    timeout,
                    std::ptr::null::<libc::sigset_t>(),
                    0_usize,
                )
            };
            match result(count) {
                // An old kernel, or a sandbox that does not know the call.
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
                    // Ordering: Relaxed, as above.
                    self.nanoseconds.store(false, Ordering::Relaxed);
                }
                result => return result,
            }
        }
        let timeout = match timeout {
            Timeout::Never => -1,
            // Rounded up: a wait that ends before the deadline would be a busy loop.
            Timeout::Ns(ns) => libc::c_int::try_from(ns.div_ceil(1_000_000)).unwrap_or(libc::c_int::MAX),
        };
        // SAFETY: the arguments are those of epoll_wait(2): `events` is writable for the length given.
        let count =
            unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), events.len() as libc::c_int, timeout) };
        result(libc::c_long::from(count))
    }
}

pub(super) fn be_punctual() {
    const SLACK_NS: libc::c_ulong = 1;
    // SAFETY: PR_SET_TIMERSLACK takes one number and changes nothing but this thread's timers.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, SLACK_NS) };
}

/// The result of a wait; a signal ends it without events.
fn result(count: libc::c_long) -> io::Result<usize> {
    usize::try_from(count).or_else(|_| match io::Error::last_os_error() {
        error if error.kind() == io::ErrorKind::Interrupted => Ok(0),
        error => Err(error),
    })
}

/// What epoll's flags mean for a source.
fn bits(flags: u32) -> Bits {
    let flags = EventFlags::from_bits_retain(flags);
    let mut bits = Bits::NONE;
    if flags.contains(EventFlags::IN) {
        bits |= Bits::READABLE;
    }
    if flags.contains(EventFlags::OUT) {
        bits |= Bits::WRITABLE;
    }
    if flags.contains(EventFlags::RDHUP) {
        bits |= Bits::READ_CLOSED;
    }
    if flags.contains(EventFlags::HUP) {
        bits |= Bits::READ_CLOSED | Bits::WRITE_CLOSED;
    }
    if flags.contains(EventFlags::ERR) {
        // The next call in either direction reports it.
        bits |= Bits::READABLE | Bits::WRITABLE;
    }
    bits
}

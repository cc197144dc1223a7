//! How the reactor waits for the operating system: `linux` on epoll itself, `portable` on whatever the `polling`
//! crate finds. Both register a descriptor once, for both directions. What an event means is in `source`.

#[cfg(target_os = "linux")]
mod linux;
pub(crate) mod notification;
mod portable;

use crate::source::Bits;
use std::{io, os::fd::BorrowedFd};

/// How many events one wait takes at most, so that a flood of them does not hold back timers and tasks.
pub(crate) const EVENT_BATCH: usize = 256;

/// Which way of waiting to use.
///
/// Only tests choose: [`Native`](Self::Native) is what a program wants.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Epoll on Linux, `Portable` elsewhere.
    Native,
    /// Epoll as on a kernel before 5.11, whose timeouts are whole milliseconds. As `Native` elsewhere.
    Millis,
    /// The `polling` crate, edge-triggered where the system can.
    Portable,
    /// The `polling` crate, re-armed after each event, as on systems without edges.
    Oneshot,
}

/// Asks the kernel to wake this thread on time. Left to itself it may take 50 us more, to save power.
pub(crate) fn be_punctual() {
    #[cfg(target_os = "linux")]
    linux::be_punctual();
}

/// How long a wait may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timeout {
    Never,
    Ns(u64),
}

pub(crate) enum Poll {
    #[cfg(target_os = "linux")]
    Linux(linux::Epoll),
    Portable(portable::Portable),
}

/// Where a wait puts events; belongs to the thread that holds the right to poll.
pub(crate) enum Events {
    #[cfg(target_os = "linux")]
    Linux(linux::Events),
    Portable(polling::Events),
}

impl Poll {
    pub(crate) fn open(backend: Backend) -> io::Result<(Self, Events)> {
        match backend {
            #[cfg(target_os = "linux")]
            Backend::Native | Backend::Millis => {
                let epoll = linux::Epoll::open(backend == Backend::Native)?;
                Ok((Self::Linux(epoll), Events::Linux(linux::Events::new())))
            }
            _ => {
                let portable = portable::Portable::open(backend != Backend::Oneshot)?;
                Ok((Self::Portable(portable), Events::Portable(portable::Portable::events())))
            }
        }
    }

    /// Registers `fd` under `key`. Where events disarm it, it is not yet armed.
    pub(crate) fn add(&self, fd: BorrowedFd<'_>, key: u64) -> io::Result<()> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Linux(epoll) => epoll.add(fd, key),
            Self::Portable(portable) => portable.add(fd, key),
        }
    }

    pub(crate) fn delete(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Linux(epoll) => epoll.delete(fd),
            Self::Portable(portable) => portable.delete(fd),
        }
    }

    /// Whether an event disarms its descriptor, so that [`rearm`](Self::rearm) must follow.
    #[inline]
    pub(crate) fn disarms(&self) -> bool {
        match self {
            #[cfg(target_os = "linux")]
            Self::Linux(_) => false,
            Self::Portable(portable) => portable.disarms(),
        }
    }

    /// Arms `fd` again, for the directions in `unready`.
    pub(crate) fn rearm(&self, fd: BorrowedFd<'_>, key: u64, unready: Bits) -> io::Result<()> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Linux(_) => Ok(()),
            Self::Portable(portable) => portable.rearm(fd, key, unready),
        }
    }

    /// Whether events tell that the peer has sent its last byte. Only then may a short read count as "nothing
    /// more is there": otherwise the end of the stream could hide behind it.
    #[inline]
    pub(crate) fn tells_read_closed(&self) -> bool {
        match self {
            #[cfg(target_os = "linux")]
            Self::Linux(_) => true,
            Self::Portable(_) => false,
        }
    }

    /// Waits for events and hands each one's key and bits to `deliver`. Returns whether it was notified.
    pub(crate) fn wait(
        &self,
        events: &mut Events,
        timeout: Timeout,
        deliver: impl FnMut(u64, Bits),
    ) -> io::Result<bool> {
        match (self, events) {
            #[cfg(target_os = "linux")]
            (Self::Linux(epoll), Events::Linux(events)) => epoll.wait(events, timeout, deliver),
            (Self::Portable(portable), Events::Portable(events)) => portable.wait(events, timeout, deliver),
            #[cfg(target_os = "linux")]
            _ => unreachable!("a poll is opened together with its events"),
        }
    }

    /// Makes the wait that is in progress return, or the next one.
    pub(crate) fn notify(&self) -> io::Result<()> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Linux(epoll) => epoll.notify(),
            Self::Portable(portable) => portable.notify(),
        }
    }
}

impl std::fmt::Debug for Poll {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            #[cfg(target_os = "linux")]
            Self::Linux(_) => "Poll::Linux",
            Self::Portable(_) => "Poll::Portable",
        })
    }
}

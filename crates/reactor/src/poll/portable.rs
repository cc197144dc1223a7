//! The `polling` crate: kqueue, event ports, poll, and epoll where a test asks for it. Edge-triggered where the
//! system can, else armed again whenever a direction is found not ready.

use super::{EVENT_BATCH, Timeout};
use crate::source::Bits;
use polling::{Event, PollMode, Poller};
use std::{
    io,
    num::NonZeroUsize,
    os::fd::{AsRawFd, BorrowedFd},
    time::Duration,
};

pub(crate) struct Portable {
    poller: Poller,
    mode: PollMode,
}

impl Portable {
    pub(super) fn open(edge: bool) -> io::Result<Self> {
        let poller = Poller::new()?;
        let mode = if edge && poller.supports_edge() { PollMode::Edge } else { PollMode::Oneshot };
        Ok(Self { poller, mode })
    }

    pub(super) fn events() -> polling::Events {
        polling::Events::with_capacity(const { NonZeroUsize::new(EVENT_BATCH).unwrap() })
    }

    pub(super) fn disarms(&self) -> bool {
        self.mode == PollMode::Oneshot
    }

    pub(super) fn add(&self, fd: BorrowedFd<'_>, key: u64) -> io::Result<()> {
        let key = key as usize;
        let interest = if self.disarms() { Event::none(key) } else { Event::all(key) };
        // SAFETY: the callee wants the descriptor deleted before it is closed: `Source` is deregistered by
        // `Async`, which owns the descriptor, before it lets go of it.
        unsafe { self.poller.add_with_mode(fd.as_raw_fd(), interest, self.mode) }
    }

    pub(super) fn delete(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.poller.delete(fd)
    }

    pub(super) fn rearm(&self, fd: BorrowedFd<'_>, key: u64, unready: Bits) -> io::Result<()> {
        self.poller.modify_with_mode(fd, interest(key, unready), self.mode)
    }

    pub(super) fn wait(
        &self,
        events: &mut polling::Events,
        timeout: Timeout,
        mut deliver: impl FnMut(u64, Bits),
    ) -> io::Result<bool> {
        events.clear();
        let timeout = match timeout {
            Timeout::Never => None,
            Timeout::Ns(ns) => Some(Duration::from_nanos(ns)),
        };
        self.poller.wait(events, timeout)?;
        for event in events.iter() {
            let mut bits = Bits::NONE;
            if event.readable {
                bits |= Bits::READABLE;
            }
            if event.writable {
                bits |= Bits::WRITABLE;
            }
            // An error or a hang-up alone: the next call in either direction reports it.
            if bits == Bits::NONE {
                bits = Bits::READABLE | Bits::WRITABLE;
            }
            deliver(event.key as u64, bits);
        }
        // `polling` keeps its notifications to itself. Any wait may have consumed one.
        Ok(true)
    }

    pub(super) fn notify(&self) -> io::Result<()> {
        self.poller.notify()
    }
}

/// The wish for an event in the directions of `unready`. Where pointers are 32 bits wide the key loses its
/// generation, and a stale event may find the source that came after: a spurious wake-up, no more.
fn interest(key: u64, unready: Bits) -> Event {
    Event::new(key as usize, unready.contains(Bits::READABLE), unready.contains(Bits::WRITABLE))
}

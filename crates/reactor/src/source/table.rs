//! Where sources lie: a table that grows by segments and never moves, so that an event finds its source by index
//! without a lock. Slots are used again; the generation in the readiness word tells old events from new.

use super::{Bits, Readiness, Ready, WaiterKey, readiness::Direction};
use crate::{poll::Poll, reactor::Reactor};
use gorust_primitives::shim::{AtomicUsize, Lock, Ordering};
use std::{
    fmt, io,
    os::fd::{AsRawFd, BorrowedFd, RawFd},
    sync::OnceLock,
    task::Waker,
};

/// Slots in the first segment; each further one is twice as big.
const FIRST_SEGMENT: usize = 64;
const SEGMENTS: usize = 25;

/// One source. A cache line pair of its own, since two tasks on two cores use neighbours.
#[repr(align(128))]
#[derive(Debug)]
pub(crate) struct Slot {
    readiness: Readiness,
    /// The descriptor, where events disarm it; held across arming, so that it is not closed meanwhile.
    armed: Lock<Option<RawFd>>,
}

#[derive(Debug)]
pub(crate) struct Table {
    segments: [OnceLock<Box<[Slot]>>; SEGMENTS],
    /// Sources that are registered: written under the lock, read by whoever polls.
    alive: AtomicUsize,
    free: Lock<Free>,
}

#[derive(Debug)]
struct Free {
    indices: Vec<u32>,
    /// Slots from here on have never been used.
    unused: u32,
    closed: bool,
}

/// The segment of `index` and its position there.
#[inline]
fn locate(index: u32) -> (usize, usize) {
    let from_first = index as usize / FIRST_SEGMENT + 1;
    let segment = from_first.ilog2() as usize;
    (segment, index as usize - FIRST_SEGMENT * ((1 << segment) - 1))
}

fn key(index: u32, generation: u32) -> u64 {
    u64::from(generation) << 32 | u64::from(index)
}

impl Table {
    pub(crate) fn new() -> Self {
        Self {
            segments: [const { OnceLock::new() }; SEGMENTS],
            alive: AtomicUsize::new(0),
            free: Lock::new(Free { indices: Vec::new(), unused: 0, closed: false }),
        }
    }

    /// How many sources there are.
    #[inline]
    pub(crate) fn alive(&self) -> usize {
        // Ordering: Relaxed, a hint: a source that is just being added has missed nothing yet.
        self.alive.load(Ordering::Relaxed)
    }

    #[inline]
    fn slot(&self, index: u32) -> Option<&Slot> {
        let (segment, position) = locate(index);
        self.segments.get(segment)?.get()?.get(position)
    }

    /// Gives out a slot; `None` if the table is closed.
    fn insert(&self) -> Option<(&Slot, u32, u32)> {
        let mut free = self.free.lock();
        if free.closed {
            return None;
        }
        let index = free.indices.pop().unwrap_or_else(|| {
            free.unused += 1;
            free.unused - 1
        });
        let (segment, position) = locate(index);
        let segment = self.segments[segment].get_or_init(|| {
            let slot = || Slot { readiness: Readiness::new(), armed: Lock::new(None) };
            std::iter::repeat_with(slot).take(FIRST_SEGMENT << segment).collect()
        });
        let slot = &segment[position];
        let generation = slot.readiness.occupy();
        // Ordering: Relaxed, as in `alive`.
        self.alive.fetch_add(1, Ordering::Relaxed);
        Some((slot, index, generation))
    }

    fn remove(&self, slot: &Slot, index: u32) {
        let left = slot.readiness.vacate();
        let mut free = self.free.lock();
        free.indices.push(index);
        // Ordering: Relaxed, as in `alive`.
        self.alive.fetch_sub(1, Ordering::Relaxed);
        drop(free);
        drop(left);
    }

    /// An event for `key` says that `bits` hold.
    #[inline]
    pub(crate) fn announce(&self, poll: &Poll, key: u64, bits: Bits, wakers: &mut Vec<Waker>) {
        let Some(slot) = self.slot(key as u32) else { return };
        slot.readiness.announce((key >> 32) as u32, bits, wakers);
        if poll.disarms() {
            // Somebody may wait in the direction this event did not tell of. An error here will be found by the
            // next call.
            let _ = slot.rearm(poll, key);
        }
    }

    /// Tells every source that its reactor is closed, and takes in no other.
    pub(crate) fn close(&self, wakers: &mut Vec<Waker>) {
        let unused = {
            let mut free = self.free.lock();
            free.closed = true;
            free.unused
        };
        for slot in (0..unused).filter_map(|index| self.slot(index)) {
            slot.readiness.shut_down(wakers);
        }
    }

    /// Opens a closed, empty table again.
    pub(crate) fn reopen(&self) {
        self.free.lock().closed = false;
    }
}

impl Slot {
    fn rearm(&self, poll: &Poll, key: u64) -> io::Result<()> {
        let armed = self.armed.lock();
        let unready = self.readiness.unready();
        match *armed {
            Some(fd) if unready != Bits::NONE => {
                // SAFETY: the descriptor is open: it is taken out of `armed` before its owner closes it, and that
                // waits for the lock.
                let fd = unsafe { BorrowedFd::borrow_raw(fd) };
                poll.rearm(fd, key, unready)
            }
            _ => Ok(()),
        }
    }
}

/// A registered descriptor. Whoever owns the descriptor calls [`deregister`](Self::deregister) before it closes it.
pub(crate) struct Source {
    reactor: &'static Reactor,
    slot: &'static Slot,
    index: u32,
    generation: u32,
}

impl Source {
    /// Registers `fd` with `reactor`, in both directions.
    pub(crate) fn register(reactor: &'static Reactor, fd: BorrowedFd<'_>) -> io::Result<Self> {
        let Some((slot, index, generation)) = reactor.sources().insert() else { return Err(shut_down()) };
        let source = Self { reactor, slot, index, generation };
        let poll = reactor.poll();
        if poll.disarms() {
            *slot.armed.lock() = Some(fd.as_raw_fd());
        }
        match poll.add(fd, source.key()) {
            Ok(()) => {
                reactor.count_registration();
                Ok(source)
            }
            Err(error) => {
                source.give_back();
                Err(error)
            }
        }
    }

    /// Ends the registration of `fd`.
    pub(crate) fn deregister(&self, fd: BorrowedFd<'_>) {
        let poll = self.reactor.poll();
        if poll.disarms() {
            *self.slot.armed.lock() = None;
        }
        // It cannot fail while the descriptor is the registered one; if a type lends out another one, the kernel
        // forgets the first when that is closed, and its events are ignored by their generation.
        let _ = poll.delete(fd);
        self.reactor.count_registration();
        self.give_back();
    }

    fn give_back(&self) {
        *self.slot.armed.lock() = None;
        self.reactor.sources().remove(self.slot, self.index);
    }

    fn key(&self) -> u64 {
        key(self.index, self.generation)
    }

    /// Whether a short read or write means that the next one would have to wait.
    #[inline]
    pub(crate) fn trusts_short_calls(&self) -> bool {
        self.reactor.poll().tells_read_closed()
    }

    /// Whether `direction` is worth a try.
    #[inline]
    pub(crate) fn ready(&self, direction: Direction) -> Option<Ready> {
        self.slot.readiness.ready(direction)
    }

    /// Waits for `direction` without leaving a name; `Some` if it is ready after all.
    #[inline]
    pub(crate) fn wait(&self, direction: Direction, waker: &Waker) -> io::Result<Option<Ready>> {
        let ready = self.slot.readiness.wait(direction, waker);
        self.arm_unless(ready)
    }

    /// Waits for `direction` under a key, with which the caller leaves; `Some` if it is ready after all.
    #[inline]
    pub(crate) fn wait_in_list(
        &self,
        direction: Direction,
        waker: &Waker,
        key: &mut Option<WaiterKey>,
    ) -> io::Result<Option<Ready>> {
        let ready = self.slot.readiness.wait_in_list(direction, waker, key);
        self.arm_unless(ready)
    }

    #[inline]
    fn arm_unless(&self, ready: Option<Ready>) -> io::Result<Option<Ready>> {
        if ready.is_none() && self.reactor.poll().disarms() {
            self.slot.rearm(self.reactor.poll(), self.key())?;
        }
        Ok(ready)
    }

    pub(crate) fn leave_list(&self, key: WaiterKey) {
        self.slot.readiness.leave_list(key);
    }

    /// A call would have had to wait.
    #[inline]
    pub(crate) fn would_block(&self, direction: Direction, ready: Ready) {
        self.slot.readiness.would_block(direction, ready);
    }

    /// A call moved fewer bytes than it was asked to.
    #[inline]
    pub(crate) fn exhausted(&self, direction: Direction, ready: Ready) {
        self.slot.readiness.exhausted(direction, ready);
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({}, {:?})", self.index, self.slot.readiness)
    }
}

/// What an operation on a source of a closed reactor fails with.
pub(crate) fn shut_down() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the runtime that drives this descriptor was shut down")
}

//! What is known of one descriptor, in one atomic word, and the wakers of those who wait for more. Lock-free for
//! the one task that usually waits in a direction; `waiters` is the list for the others.
//!
//! The word: eight flags, a tick that counts events, the generation of the registration. Readiness is a hint that
//! is only ever too hopeful: a bit is set by an event and cleared by whoever found that the descriptor was not
//! ready, and only if no event came since (the tick). The README tells the protocol, "Readiness".

use super::waiters::{WaiterKey, Waiters};
use gorust_primitives::{
    shim::{AtomicU64, Lock, Ordering, mutant},
    waker_cell::WakerCell,
};
use std::{
    ops::{BitOr, BitOrAssign},
    task::Waker,
};

/// One way bytes can go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

impl Direction {
    pub(crate) const BOTH: [Self; 2] = [Self::Read, Self::Write];

    /// Any of these bits means that a call in this direction is worth trying.
    const fn ready(self) -> Bits {
        match self {
            Self::Read => Bits(Bits::READABLE.0 | Bits::READ_CLOSED.0 | Bits::SHUT_DOWN.0),
            Self::Write => Bits(Bits::WRITABLE.0 | Bits::WRITE_CLOSED.0 | Bits::SHUT_DOWN.0),
        }
    }

    const fn open(self) -> Bits {
        match self {
            Self::Read => Bits::READABLE,
            Self::Write => Bits::WRITABLE,
        }
    }

    const fn closed(self) -> Bits {
        match self {
            Self::Read => Bits::READ_CLOSED,
            Self::Write => Bits::WRITE_CLOSED,
        }
    }

    /// Somebody waits in the list for this direction.
    const fn listed(self) -> Bits {
        match self {
            Self::Read => Bits::READ_LISTED,
            Self::Write => Bits::WRITE_LISTED,
        }
    }
}

/// The flags of the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bits(u8);

impl Bits {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const READABLE: Self = Self(1);
    pub(crate) const WRITABLE: Self = Self(2);
    /// The peer has sent its last byte: reading never waits again.
    pub(crate) const READ_CLOSED: Self = Self(4);
    /// Nobody takes bytes any more: writing never waits again.
    pub(crate) const WRITE_CLOSED: Self = Self(8);
    const READ_LISTED: Self = Self(16);
    const WRITE_LISTED: Self = Self(32);
    /// The reactor was closed.
    const SHUT_DOWN: Self = Self(64);
    /// The slot belongs to a source.
    const ALIVE: Self = Self(128);

    const READY: Self = Self(Self::READABLE.0 | Self::WRITABLE.0);

    #[inline]
    pub(crate) const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    #[inline]
    const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Bits {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Bits {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// Flags in bits 0 to 7, the tick in bits 8 to 31, the generation in bits 32 to 63.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Word(u64);

const TICK_ONE: u64 = 1 << 8;
const TICK_MASK: u64 = 0xff_ffff << 8;

impl Word {
    #[inline]
    const fn bits(self) -> Bits {
        Bits(self.0 as u8)
    }

    #[inline]
    const fn tick(self) -> u64 {
        self.0 & TICK_MASK
    }

    #[inline]
    const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[inline]
    const fn with(self, bits: Bits) -> Self {
        Self(self.0 | bits.0 as u64)
    }

    #[inline]
    const fn without(self, bits: Bits) -> Self {
        Self(self.0 & !(bits.0 as u64))
    }

    /// One event later.
    #[inline]
    const fn next_tick(self) -> Self {
        Self((self.0 & !TICK_MASK) | (self.0.wrapping_add(TICK_ONE) & TICK_MASK))
    }
}

/// Stands for every generation, in an event whose key has no room for one.
const ANY_GENERATION: u32 = 0;

/// A direction was ready; says as of which event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    tick: u64,
    /// The reactor was closed, and no call should be tried.
    pub(crate) shut_down: bool,
}

/// What is known of one descriptor, and who waits for more.
pub(crate) struct Readiness {
    /// Events set bits (`announce`), failed calls clear them (`clear`), waiters set `*_LISTED` (`wait_in_list`).
    word: AtomicU64,
    /// The first to wait in each direction.
    cells: [WakerCell; 2],
    /// The others. Invariant: whoever waits in the list has set `*_LISTED` after it came in.
    waiters: Lock<Waiters>,
}

impl Readiness {
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicU64::new(1 << 32),
            cells: [WakerCell::new(), WakerCell::new()],
            waiters: Lock::new(Waiters::new()),
        }
    }

    #[inline]
    fn load(&self) -> Word {
        // Ordering: Acquire, against the CAS in `announce`; what is behind the descriptor is the kernel's to order.
        Word(self.word.load(Ordering::Acquire))
    }

    /// Changes the word by `change`, unless that gives `None`, and returns what it was.
    #[inline]
    fn update(&self, change: impl Fn(Word) -> Option<Word>) -> Result<Word, Word> {
        let mut word = self.load();
        loop {
            let Some(new) = change(word) else { return Err(word) };
            // Ordering: Release, so that who acquires the word (`load`) or empties a cell after us knows of the
            // event. Acquire, against the CAS of others here: a waiter that set `*_LISTED` is in the list.
            match self.word.compare_exchange_weak(word.0, new.0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(word),
                Err(now) => word = Word(now),
            }
        }
    }

    /// Begins a registration, and returns its generation.
    ///
    /// The descriptor is taken for ready: if it is not, the first call finds out, and if it is, that call needs no
    /// event.
    pub(crate) fn occupy(&self) -> u32 {
        let word = self.update(|word| Some(Word((word.0 >> 32) << 32).with(Bits::READY | Bits::ALIVE)));
        let (Ok(word) | Err(word)) = word;
        word.generation()
    }

    /// Ends a registration: events of its generation are ignored from now on. Returns the wakers left behind, for
    /// the caller to drop.
    pub(crate) fn vacate(&self) -> Vec<Waker> {
        let _ = self.update(|word| {
            let generation = match word.generation().wrapping_add(1) {
                ANY_GENERATION => ANY_GENERATION + 1,
                generation => generation,
            };
            Some(Word(u64::from(generation) << 32))
        });
        let mut left = std::mem::replace(&mut *self.waiters.lock(), Waiters::new()).into_wakers();
        left.extend(self.cells.iter().filter_map(WakerCell::take));
        left
    }

    /// An event of `generation` says that `bits` hold. Those who waited for it go to `wakers`.
    pub(crate) fn announce(&self, generation: u32, bits: Bits, wakers: &mut Vec<Waker>) {
        let before = self.update(|word| {
            let alive = word.bits().contains(Bits::ALIVE);
            let ours = generation == word.generation() || generation == ANY_GENERATION;
            (alive && ours).then(|| word.with(bits).next_tick())
        });
        let Ok(before) = before else { return };
        for direction in Direction::BOTH {
            // Who waits has found the direction not ready after it came into the cell or the list: if it was
            // ready before this event, nobody waits.
            if bits.intersects(direction.ready()) && !before.bits().intersects(direction.ready()) {
                wakers.extend(self.cells[direction as usize].take());
                if before.bits().contains(direction.listed()) {
                    self.empty_list(direction, wakers);
                }
            }
        }
    }

    #[cold]
    fn empty_list(&self, direction: Direction, wakers: &mut Vec<Waker>) {
        let mut waiters = self.waiters.lock();
        waiters.take(direction, wakers);
        let _ = self.update(|word| Some(word.without(direction.listed())));
    }

    /// The reactor is closed: everybody is told, now and for ever.
    pub(crate) fn shut_down(&self, wakers: &mut Vec<Waker>) {
        self.announce(ANY_GENERATION, Bits::SHUT_DOWN, wakers);
    }

    /// Whether `direction` is worth a try.
    #[inline]
    pub(crate) fn ready(&self, direction: Direction) -> Option<Ready> {
        let word = self.load();
        word.bits()
            .intersects(direction.ready())
            .then(|| Ready { tick: word.tick(), shut_down: word.bits().contains(Bits::SHUT_DOWN) })
    }

    /// Which directions are not ready.
    pub(crate) fn unready(&self) -> Bits {
        let bits = self.load().bits();
        let missing = Direction::BOTH.into_iter().filter(|direction| !bits.intersects(direction.ready()));
        missing.fold(Bits::NONE, |unready, direction| unready | direction.open())
    }

    /// A call took or gave less than it could have: the next one would have to wait. What tells of the peer's
    /// close stays.
    #[inline]
    pub(crate) fn exhausted(&self, direction: Direction, ready: Ready) {
        self.clear(direction.open(), ready);
    }

    /// A call found that it would have to wait. That also proves wrong a close that was reported before the
    /// descriptor was connected; kept, it would make its readers spin.
    #[inline]
    pub(crate) fn would_block(&self, direction: Direction, ready: Ready) {
        self.clear(direction.open() | direction.closed(), ready);
    }

    #[inline]
    fn clear(&self, bits: Bits, ready: Ready) {
        let ignores_tick = mutant("readiness.ignores_tick");
        // Subtle: an event that came after `ready` was read may be newer than the call, and its bits stay.
        let _ = self.update(|word| (word.tick() == ready.tick || ignores_tick).then(|| word.without(bits)));
    }

    /// Waits for `direction` on behalf of a task that keeps nothing here: its waker stays until the next event.
    /// `Some` if the direction is ready after all.
    #[inline]
    pub(crate) fn wait(&self, direction: Direction, waker: &Waker) -> Option<Ready> {
        if self.cells[direction as usize].register(waker).is_err() {
            return self.wait_with_others(direction, waker);
        }
        // Of this look and the event's `take` one comes second, and sees the other (see `WakerCell`).
        self.ready(direction)
    }

    #[cold]
    fn wait_with_others(&self, direction: Direction, waker: &Waker) -> Option<Ready> {
        let clone = waker.clone();
        let mut too_many = Vec::new();
        let unused = {
            let mut waiters = self.waiters.lock();
            let unused = waiters.add_nameless(direction, clone, &mut too_many);
            self.list(direction);
            unused
        };
        drop(unused);
        // They may belong to tasks that no longer wait; those that do come back.
        too_many.into_iter().for_each(Waker::wake);
        self.ready(direction)
    }

    /// Waits for `direction` on behalf of a future that leaves again by its key. `Some` if it is ready after all.
    pub(crate) fn wait_in_list(
        &self,
        direction: Direction,
        waker: &Waker,
        key: &mut Option<WaiterKey>,
    ) -> Option<Ready> {
        let clone = waker.clone();
        let unused = {
            let mut waiters = self.waiters.lock();
            let unused = waiters.add(direction, clone, key);
            self.list(direction);
            unused
        };
        drop(unused);
        self.ready(direction)
    }

    /// Says that somebody is in the list. The caller holds its lock and looks at the word afterwards.
    fn list(&self, direction: Direction) {
        // Subtle: never skipped, even if the flag is set: of this write and the event's one is second, and either
        // the event finds the flag, or we find the event.
        let _ = self.update(|word| Some(word.with(direction.listed())));
    }

    /// A future that waited in the list leaves it.
    pub(crate) fn leave_list(&self, key: WaiterKey) {
        let waker = self.waiters.lock().remove(key);
        drop(waker);
    }
}

impl std::fmt::Debug for Readiness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = self.load();
        write!(f, "{:?}, tick {}, generation {}", word.bits(), word.tick() >> 8, word.generation())
    }
}

#[cfg(test)]
mod model {
    use super::*;
    use gorust_primitives::shim::{Arc, model, mutant_is_caught, thread};
    use std::{sync::Mutex, task::Wake};

    #[derive(Default)]
    struct Woken(Mutex<u32>);

    impl Wake for Woken {
        fn wake(self: std::sync::Arc<Self>) {
            *self.0.lock().unwrap() += 1;
        }
    }

    /// A reader finds nothing, gives up its readiness and waits, while an event comes in. `bytes` stands for what
    /// is in the kernel.
    fn a_reader_and_an_event(wait: fn(&Readiness, &Waker) -> Option<Ready>) {
        let shared = Arc::new((Readiness::new(), AtomicU64::new(0)));
        shared.0.occupy();
        let kernel = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            // Ordering: Relaxed here and below; the readiness word alone carries the message.
            kernel.1.store(1, Ordering::Relaxed);
            let mut wakers = Vec::new();
            kernel.0.announce(1, Bits::READABLE, &mut wakers);
            wakers.into_iter().for_each(Waker::wake);
        });
        let woken = std::sync::Arc::new(Woken::default());
        let waker = Waker::from(std::sync::Arc::clone(&woken));
        let mut read = false;
        let mut ready = shared.0.ready(Direction::Read);
        while let Some(seen) = ready {
            read = shared.1.load(Ordering::Relaxed) == 1;
            if read {
                break;
            }
            shared.0.would_block(Direction::Read, seen);
            ready = shared.0.ready(Direction::Read).or_else(|| wait(&shared.0, &waker));
        }
        thread.join().unwrap();
        assert!(read || *woken.0.lock().unwrap() == 1, "the reader waits and nobody wakes it");
    }

    fn in_the_cell() {
        a_reader_and_an_event(|readiness, waker| readiness.wait(Direction::Read, waker));
    }

    fn in_the_list() {
        a_reader_and_an_event(|readiness, waker| readiness.wait_in_list(Direction::Read, waker, &mut None));
    }

    /// Two tasks wait for one direction, one in the cell and one in the list, while an event comes in.
    fn two_readers_and_an_event() {
        let shared = Arc::new(Readiness::new());
        shared.occupy();
        let ready = shared.ready(Direction::Read).unwrap();
        shared.would_block(Direction::Read, ready);
        let kernel = Arc::clone(&shared);
        let event = thread::spawn(move || {
            let mut wakers = Vec::new();
            kernel.announce(1, Bits::READABLE, &mut wakers);
            wakers.into_iter().for_each(Waker::wake);
        });
        fn reader(readiness: &Readiness) -> (bool, std::sync::Arc<Woken>) {
            let woken = std::sync::Arc::new(Woken::default());
            let ready = readiness.wait(Direction::Read, &Waker::from(std::sync::Arc::clone(&woken)));
            (ready.is_some(), woken)
        }
        let other = Arc::clone(&shared);
        let second = thread::spawn(move || reader(&other));
        let first = reader(&shared);
        event.join().unwrap();
        for (ready, woken) in [first, second.join().unwrap()] {
            assert!(ready || *woken.0.lock().unwrap() == 1, "a reader waits and nobody wakes it");
        }
    }

    /// A reader uses an event up before the event has emptied the cell, and registers meanwhile for the next one, which
    /// must find it there.
    fn an_event_used_up_and_the_next() {
        let shared = Arc::new(Readiness::new());
        shared.occupy();
        shared.would_block(Direction::Read, shared.ready(Direction::Read).unwrap());
        let woken = std::sync::Arc::new(Woken::default());
        let (reader, waker) = (Arc::clone(&shared), Waker::from(std::sync::Arc::clone(&woken)));
        let reader = thread::spawn(move || {
            let Some(ready) = reader.ready(Direction::Read) else { return false };
            reader.would_block(Direction::Read, ready);
            reader.wait(Direction::Read, &waker).is_none()
        });
        let mut wakers = Vec::new();
        shared.announce(1, Bits::READABLE, &mut wakers);
        let waits = reader.join().unwrap();
        shared.announce(1, Bits::READABLE, &mut wakers);
        wakers.into_iter().for_each(Waker::wake);
        assert!(!waits || *woken.0.lock().unwrap() > 0, "the reader waits and nobody wakes it");
    }

    #[test]
    fn readiness_a_used_up_event_hides_no_other() {
        let executions = model(an_event_used_up_and_the_next);
        println!("readiness, used up: {executions} executions");
        assert!(executions > 1);
    }

    #[test]
    fn readiness_mutant_whose_registrar_drops_its_own_waker_is_caught() {
        assert!(mutant_is_caught("waker_cell.drops_its_own", an_event_used_up_and_the_next));
    }

    #[test]
    fn readiness_loses_no_event() {
        for (name, body) in
            [("cell", in_the_cell as fn()), ("list", in_the_list), ("both", two_readers_and_an_event)]
        {
            let executions = model(body);
            println!("readiness, {name}: {executions} executions");
            assert!(executions > 1);
        }
    }

    #[test]
    fn readiness_mutant_that_ignores_the_tick_is_caught() {
        assert!(mutant_is_caught("readiness.ignores_tick", in_the_cell));
    }
}

#[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_an_earlier_registration_changes_nothing() {
        let readiness = Readiness::new();
        let mut wakers = Vec::new();
        let first = readiness.occupy();
        readiness.vacate();
        readiness.announce(first, Bits::READABLE, &mut wakers);
        assert!(readiness.ready(Direction::Read).is_none(), "nobody is registered");
        let second = readiness.occupy();
        assert_ne!(first, second);
        let ready = readiness.ready(Direction::Read).unwrap();
        readiness.would_block(Direction::Read, ready);
        assert!(readiness.wait(Direction::Read, Waker::noop()).is_none());
        readiness.announce(first, Bits::READABLE | Bits::READ_CLOSED, &mut wakers);
        assert!(readiness.ready(Direction::Read).is_none() && wakers.is_empty());
        readiness.announce(second, Bits::READABLE, &mut wakers);
        assert!(readiness.ready(Direction::Read).is_some() && wakers.len() == 1);
    }

    #[test]
    fn a_close_outlives_a_short_call_and_not_one_that_would_block() {
        let readiness = Readiness::new();
        let generation = readiness.occupy();
        readiness.announce(generation, Bits::READABLE | Bits::READ_CLOSED, &mut Vec::new());
        let ready = readiness.ready(Direction::Read).unwrap();
        readiness.exhausted(Direction::Read, ready);
        assert!(readiness.ready(Direction::Read).is_some());
        readiness.would_block(Direction::Read, ready);
        assert!(readiness.ready(Direction::Read).is_none());
        assert!(readiness.ready(Direction::Write).is_some());
    }
}

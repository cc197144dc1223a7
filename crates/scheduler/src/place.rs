//! A *place* is the right to run goroutines: there are as many as workers were asked for. The place of a thread that
//! blocks is offered, by the thread itself or by the monitor; a spare thread takes it and runs what waits; whoever comes
//! first has it.
//!
//! One word a place: the seat of the thread that holds it, and whether it is on offer or *pinned*, which is to say that
//! its holder goes to sleep, or sleeps, and nobody may offer it. Nothing else changes hands: the deque, the next slot
//! and the counters belong to the thread's *seat* (`seat.rs`). See the README, "Places".

use gorust_primitives::shim::{AtomicU32, Ordering, mutant};

const OFFERED: u32 = 1 << 31;
const PINNED: u32 = 1 << 30;
/// No seat: the runtime is being built, or the place is not in use.
const VACANT: u32 = PINNED - 1;

/// The number of a seat.
pub(crate) type SeatId = u16;

/// What a place looks like from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Nobody's.
    Vacant,
    /// Its holder runs goroutines, or looks for some.
    Held(SeatId),
    /// Its holder sleeps, or is about to.
    Pinned(SeatId),
    /// Who takes it has it.
    Offered(SeatId),
}

/// Who holds a place. Alone on its cache lines, since its holder looks at it at every poll and every push.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Place(AtomicU32);

impl Place {
    pub(crate) fn vacant() -> Self {
        Self(AtomicU32::new(VACANT))
    }

    /// Gives a vacant place to its first holder, before any thread runs.
    pub(crate) fn fill(&self, seat: SeatId) {
        // Ordering: Release, against the Acquire in `look`.
        self.0.store(u32::from(seat), Ordering::Release);
    }

    /// Gives a vacant place to a holder. `false`: somebody holds it.
    #[must_use]
    pub(crate) fn fill_vacant(&self, seat: SeatId) -> bool {
        self.step(VACANT, u32::from(seat)).is_ok()
    }

    pub(crate) fn look(&self) -> Look {
        // Ordering: Acquire, against `fill` and `take`: what the holder did before is seen.
        let word = self.0.load(Ordering::Acquire);
        let seat = (word & !(OFFERED | PINNED)) as SeatId;
        match word {
            VACANT => Look::Vacant,
            _ if word & OFFERED != 0 => Look::Offered(seat),
            _ if word & PINNED != 0 => Look::Pinned(seat),
            _ => Look::Held(seat),
        }
    }

    /// Whose it is at this moment, on offer or not.
    #[inline]
    pub(crate) fn holder(&self) -> Option<SeatId> {
        match self.look() {
            Look::Vacant => None,
            Look::Held(seat) | Look::Pinned(seat) | Look::Offered(seat) => Some(seat),
        }
    }

    /// Whether it is held by `me` and not on offer: one load. For that thread, who may lose it at any moment, and
    /// then runs without it for a while, which does no harm.
    #[inline]
    pub(crate) fn is_held_by(&self, me: SeatId) -> bool {
        // Ordering: Relaxed, of one word; nothing that another thread did is relied on.
        self.0.load(Ordering::Relaxed) == u32::from(me)
    }

    /// Steps from the state `from` to `to`.
    fn step(&self, from: u32, to: u32) -> Result<u32, u32> {
        // Ordering: AcqRel: Release, so that who takes the place sees what its holder left behind; Acquire, for who
        // takes it. Relaxed on failure, nothing is done.
        self.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed)
    }

    /// Says that its holder goes to sleep, so that nobody offers it. `false`: it is not `me` who holds it any more.
    #[must_use]
    pub(crate) fn pin(&self, me: SeatId) -> bool {
        let me = u32::from(me);
        if mutant("place.pin_by_store") {
            self.0.store(me | PINNED, Ordering::Release);
            return true;
        }
        self.step(me, me | PINNED).or_else(|_| self.step(me | OFFERED, me | PINNED)).is_ok()
    }

    /// Says that its holder is up again. For the holder, who has pinned it.
    pub(crate) fn unpin(&self, me: SeatId) {
        // Ordering: Release, against `look`. A store, since nobody else changes a pinned place.
        self.0.store(u32::from(me), Ordering::Release);
    }

    /// Puts the place on offer, if `holder` holds it and it is not pinned. For the holder and the monitor.
    #[must_use]
    pub(crate) fn offer(&self, holder: SeatId) -> bool {
        let holder = u32::from(holder);
        if mutant("place.offer_by_store") {
            let held = self.0.load(Ordering::Acquire) == holder;
            self.0.store(holder | OFFERED, Ordering::Release);
            return held;
        }
        self.step(holder, holder | OFFERED).is_ok()
    }

    /// Takes the place if that of `from` is still on offer.
    #[must_use]
    pub(crate) fn take(&self, from: SeatId, me: SeatId) -> bool {
        self.step(u32::from(from) | OFFERED, u32::from(me)).is_ok()
    }

    /// Whether `me` holds the place, after it took an offer back if there was one. `false`: it is somebody else's.
    #[must_use]
    pub(crate) fn reclaim(&self, me: SeatId) -> bool {
        let me = u32::from(me);
        if mutant("place.reclaim_by_store") {
            let offered = self.0.load(Ordering::Acquire) == me | OFFERED;
            self.0.store(me, Ordering::Release);
            return offered;
        }
        match self.step(me | OFFERED, me) {
            Ok(_) => true,
            Err(actual) => actual == me,
        }
    }

    /// Gives the place up, if it is `me` who holds it: at the runtime's end, and when there are to be fewer.
    pub(crate) fn vacate(&self, me: SeatId) {
        let me = u32::from(me);
        let _ = self.step(me, VACANT).or_else(|_| self.step(me | OFFERED, VACANT));
    }
}

#[cfg(test)]
mod model {
    use super::*;
    use gorust_primitives::shim::{Arc, model, mutant_is_caught, thread};

    /// The holder (seat 1) offers, blocks, and wants its place back, while two spares (2 and 3) want it. Whoever
    /// holds it owns what stands for the run queue: two owners at once are caught.
    fn one_holder() {
        struct Shared {
            place: Place,
            running: AtomicU32,
        }
        let shared = Arc::new(Shared { place: Place::vacant(), running: AtomicU32::new(0) });
        shared.place.fill(1);
        let hold = |shared: &Shared| {
            assert_eq!(shared.running.fetch_add(1, Ordering::Relaxed), 0, "two threads hold one place");
        };
        assert!(shared.place.offer(1));
        let spares = [2, 3].map(|me| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let taken = shared.place.take(1, me);
                if taken {
                    hold(&shared);
                }
                u32::from(taken)
            })
        });
        let mut holders = 0;
        if shared.place.reclaim(1) {
            hold(&shared);
            holders += 1;
        }
        for spare in spares {
            holders += spare.join().unwrap();
        }
        assert_eq!(holders, 1);
    }

    /// Seat 1 holds the place and goes through the loop of a worker, with a poll and a sleep; the monitor offers its
    /// place in the middle of anything, and a spare (2) takes what is offered. Whoever goes to sleep does so alone:
    /// the announcement, and where its wake-up goes, are the place's. What seat 1 queues is run by whoever has the
    /// place, or is in the injector.
    fn monitor_against_holder() {
        struct Shared {
            place: Place,
            asleep: AtomicU32,
            /// Stand-ins for seat 1's queue and for the injector: how many items.
            queue: AtomicU32,
            injector: AtomicU32,
        }
        impl Shared {
            /// Relaxed throughout: the place's word alone orders it.
            fn drain(&self) {
                let queued = self.queue.swap(0, Ordering::Relaxed);
                self.injector.fetch_add(queued, Ordering::Relaxed);
            }
            fn sleep(&self) {
                assert_eq!(self.asleep.fetch_add(1, Ordering::Relaxed), 0, "two threads sleep in one place");
                self.asleep.fetch_sub(1, Ordering::Relaxed);
            }
        }
        let shared = Arc::new(Shared {
            place: Place::vacant(),
            asleep: AtomicU32::new(0),
            queue: AtomicU32::new(0),
            injector: AtomicU32::new(0),
        });
        shared.place.fill(1);
        let monitor = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                // The poll it saw is over, perhaps: that is the race.
                if shared.place.offer(1) {
                    shared.drain();
                    if shared.place.take(1, 2) {
                        assert!(shared.place.pin(2), "only its holder sleeps in it");
                        shared.sleep();
                        shared.place.unpin(2);
                        return true;
                    }
                }
                false
            })
        };
        // The poll pushes.
        if shared.place.is_held_by(1) {
            shared.queue.fetch_add(1, Ordering::Relaxed);
        } else {
            shared.injector.fetch_add(1, Ordering::Relaxed);
        }
        // The poll is over.
        let mine = shared.place.reclaim(1) && shared.place.pin(1);
        if mine {
            shared.sleep();
            shared.place.unpin(1);
        } else if !mutant("place.lose_without_flush") {
            shared.drain();
        }
        let taken = monitor.join().unwrap();
        // Offered again after the sleep, and nobody there to take it: the holder finds out at its next look.
        let mine = mine && shared.place.reclaim(1);
        assert_eq!(u32::from(mine) + u32::from(taken), 1, "the place has one holder");
        let stranded = if mine { 0 } else { shared.queue.load(Ordering::Relaxed) };
        assert_eq!(stranded, 0, "work lies in the queue of a thread without a place");
        let reachable = shared.queue.load(Ordering::Relaxed) + shared.injector.load(Ordering::Relaxed);
        assert_eq!(reachable, 1);
    }

    #[test]
    fn place_is_lost_to_the_monitor_once() {
        let executions = model(monitor_against_holder);
        println!("place, holder against monitor: {executions} executions");
        assert!(executions > 1);
    }

    #[test]
    fn place_mutant_that_pins_by_a_store_is_caught() {
        assert!(mutant_is_caught("place.pin_by_store", monitor_against_holder));
    }

    #[test]
    fn place_mutant_that_offers_by_a_store_is_caught() {
        assert!(mutant_is_caught("place.offer_by_store", monitor_against_holder));
    }

    #[test]
    fn place_mutant_that_loses_without_a_flush_is_caught() {
        assert!(mutant_is_caught("place.lose_without_flush", monitor_against_holder));
    }

    #[test]
    fn place_has_one_holder() {
        let executions = model(one_holder);
        println!("place: {executions} executions");
        assert!(executions > 1);
    }

    #[test]
    fn place_mutant_that_reclaims_by_a_store_is_caught() {
        assert!(mutant_is_caught("place.reclaim_by_store", one_holder));
    }
}

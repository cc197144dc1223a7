//! A *place* is the right to run goroutines: there are as many as workers were asked for. A thread that is about to
//! block offers its place; a spare thread takes it and runs what waits; whoever comes first has it.
//!
//! One word a place: the seat of the thread that holds it, and whether it is on offer. Nothing else changes hands:
//! the deque, the next slot and the counters belong to the thread's *seat* (`seat.rs`). See the README, "Places".

use gorust_primitives::shim::{AtomicU32, Ordering, mutant};

const OFFERED: u32 = 1 << 31;
/// No seat: the runtime is being built, or the place is not in use.
const VACANT: u32 = OFFERED - 1;

/// The number of a seat.
pub(crate) type SeatId = u16;

/// Who holds a place.
#[derive(Debug)]
pub(crate) struct Place(AtomicU32);

impl Place {
    pub(crate) fn vacant() -> Self {
        Self(AtomicU32::new(VACANT))
    }

    /// Gives a vacant place to its first holder, before any thread runs.
    pub(crate) fn fill(&self, seat: SeatId) {
        // Ordering: Release, against the Acquire in `holder`.
        self.0.store(u32::from(seat), Ordering::Release);
    }

    /// Says that nobody holds it any more. For the holder, at the runtime's end.
    pub(crate) fn vacate(&self) {
        // Ordering: Release, against the Acquire in `holder`.
        self.0.store(VACANT, Ordering::Release);
    }

    /// Whose it is at this moment, on offer or not.
    #[inline]
    pub(crate) fn holder(&self) -> Option<SeatId> {
        // Ordering: Acquire, against `fill` and `take`: what the holder did before is seen.
        let word = self.0.load(Ordering::Acquire) & !OFFERED;
        (word != VACANT).then_some(word as SeatId)
    }

    /// Puts the place on offer. For the holder, who must not queue anything locally until `reclaim` said yes.
    pub(crate) fn offer(&self, me: SeatId) {
        debug_assert_eq!(self.holder(), Some(me));
        // Ordering: Release, against the Acquire in `take`: what the holder left behind is seen. A store, since
        // nobody else changes a place that is not on offer.
        self.0.store(u32::from(me) | OFFERED, Ordering::Release);
    }

    /// Takes the place if the thread of `from` still offers it.
    pub(crate) fn take(&self, from: SeatId, me: SeatId) -> bool {
        // Ordering: AcqRel: Acquire against `offer`, Release against `holder`.
        self.0
            .compare_exchange(u32::from(from) | OFFERED, u32::from(me), Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// Takes an offer back. `false`: somebody took it, and it is theirs now.
    pub(crate) fn reclaim(&self, me: SeatId) -> bool {
        if mutant("place.reclaim_by_store") {
            let offered = self.0.load(Ordering::Acquire) == u32::from(me) | OFFERED;
            self.0.store(u32::from(me), Ordering::Release);
            return offered;
        }
        // Ordering: AcqRel, as in `take`: exactly one of the two changes the word.
        self.0
            .compare_exchange(u32::from(me) | OFFERED, u32::from(me), Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
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
        shared.place.offer(1);
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

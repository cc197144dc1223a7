//! The list of those who wait for one descriptor beside the waker cells: futures that leave by a key, and
//! nameless wakers of further tasks. It lives under a lock in `readiness`.

use super::Direction;
use std::task::Waker;

/// Where a future stands in the list; the place is its own until it leaves.
#[derive(Debug)]
pub(crate) struct WaiterKey(u32);

enum Place {
    Free,
    Waiting(Direction, Waker),
    /// The event came; the future has not yet looked.
    Woken,
}

pub(super) struct Waiters {
    places: Vec<Place>,
    free: Vec<u32>,
    /// Wakers of tasks that wait by a `poll_` method and may have stopped waiting without a word.
    nameless: Vec<(Direction, Waker)>,
    /// So many of them are woken to see who still waits; twice those who came back.
    nameless_limit: usize,
}

/// The least of `nameless_limit`.
const NAMELESS_MIN: usize = 16;

impl Waiters {
    pub(super) const fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new(), nameless: Vec::new(), nameless_limit: NAMELESS_MIN }
    }

    /// Puts a future's waker in, in the place of its key or in a new one. Returns a waker to drop.
    pub(super) fn add(
        &mut self,
        direction: Direction,
        waker: Waker,
        key: &mut Option<WaiterKey>,
    ) -> Option<Waker> {
        let waiting = Place::Waiting(direction, waker);
        if let Some(WaiterKey(place)) = key {
            return match std::mem::replace(&mut self.places[*place as usize], waiting) {
                Place::Waiting(_, previous) => Some(previous),
                Place::Free | Place::Woken => None,
            };
        }
        let place = match self.free.pop() {
            Some(place) => {
                self.places[place as usize] = waiting;
                place
            }
            None => {
                self.places.push(waiting);
                (self.places.len() - 1) as u32
            }
        };
        *key = Some(WaiterKey(place));
        None
    }

    /// Puts a nameless waker in, once. If there are too many they go to `too_many`, to be woken.
    pub(super) fn add_nameless(
        &mut self,
        direction: Direction,
        waker: Waker,
        too_many: &mut Vec<Waker>,
    ) -> Option<Waker> {
        if self.nameless.iter().any(|(of, held)| *of == direction && held.will_wake(&waker)) {
            return Some(waker);
        }
        if self.nameless.len() >= self.nameless_limit {
            // If all of them come back, the next round is twice as far away: waking stays cheap per waiter.
            self.nameless_limit *= 2;
            too_many.extend(self.nameless.drain(..).map(|(_, waker)| waker));
        }
        self.nameless.push((direction, waker));
        None
    }

    /// Takes out everybody who waits for `direction`.
    pub(super) fn take(&mut self, direction: Direction, wakers: &mut Vec<Waker>) {
        for place in &mut self.places {
            if matches!(place, Place::Waiting(of, _) if *of == direction)
                && let Place::Waiting(_, waker) = std::mem::replace(place, Place::Woken)
            {
                wakers.push(waker);
            }
        }
        wakers.extend(self.nameless.extract_if(.., |(of, _)| *of == direction).map(|(_, waker)| waker));
        self.nameless_limit = NAMELESS_MIN.max(self.nameless.len() * 2);
    }

    /// Takes a future's place back. Returns its waker if it still waited.
    pub(super) fn remove(&mut self, WaiterKey(place): WaiterKey) -> Option<Waker> {
        self.free.push(place);
        match std::mem::replace(&mut self.places[place as usize], Place::Free) {
            Place::Waiting(_, waker) => Some(waker),
            Place::Free | Place::Woken => None,
        }
    }

    /// Takes out every waker there is.
    pub(super) fn into_wakers(self) -> Vec<Waker> {
        let named = self.places.into_iter().filter_map(|place| match place {
            Place::Waiting(_, waker) => Some(waker),
            Place::Free | Place::Woken => None,
        });
        named.chain(self.nameless.into_iter().map(|(_, waker)| waker)).collect()
    }
}

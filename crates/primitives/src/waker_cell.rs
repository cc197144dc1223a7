//! A slot for one [`Waker`] that needs no lock: for the task that usually is the only one to wait for a thing.
//! Who does not get in waits elsewhere (the reactor keeps a list for that).
//!
//! States: `EMPTY`, `FULL` (a waker lies in the slot), `LOCKED` (a registrar has its hand in the slot, for a few
//! instructions and never across a waker's own code), `TAKEN` (the event was announced: whoever has its hand in
//! the slot empties it). A registrar moves `EMPTY -> LOCKED -> FULL` to put a waker in, `FULL -> LOCKED -> FULL` to
//! look whether its own is there already. Whoever announces an event moves any state to `TAKEN`, and from `EMPTY`
//! or `FULL` on to `EMPTY`.
//!
//! The race to fear: the event is announced while a registrar has its hand in the slot. The announcer leaves
//! empty-handed, so the registrar must do its work: it finds `TAKEN` where it left `LOCKED`, empties the slot, and
//! wakes what was in it, be it its own. To look again is not enough: an event is made true before it is announced, so
//! the registrar may have used it up in between, and waits for the next one, which must find somebody in the cell.

use crate::shim::{AtomicU32, Ordering, UnsafeCell, mutant};
use std::{fmt, task::Waker};

const EMPTY: u32 = 0;
const FULL: u32 = 1;
const LOCKED: u32 = 2;
const TAKEN: u32 = 3;

/// A slot for one waker, filled by whoever waits and emptied by whoever announces what it waits for.
///
/// The waiting side calls [`register`](Self::register) and then tests its condition *again*; the announcing side
/// makes the condition true and then calls [`take`](Self::take). At least one of the two sees the other.
///
/// # Examples
///
/// ```
/// use gorust_primitives::waker_cell::WakerCell;
/// use std::task::Waker;
///
/// let cell = WakerCell::new();
/// assert!(cell.take().is_none());
/// cell.register(Waker::noop()).unwrap();
/// assert!(cell.take().unwrap().will_wake(Waker::noop()));
/// assert!(cell.take().is_none());
/// ```
pub struct WakerCell {
    /// Invariant: the thread that moved it from `EMPTY` or `FULL` to `LOCKED` or `TAKEN` is alone with `slot` until
    /// it moves it to `EMPTY` or `FULL` again; nobody else does.
    state: AtomicU32,
    /// Holds a waker when the state is `FULL`.
    slot: UnsafeCell<Option<Waker>>,
}

// SAFETY: `slot` is touched only by the thread that is alone with it (see `state`), and the Acquire and Release of
// the moves order one such thread after the other; a `Waker` may be used and dropped on any thread.
unsafe impl Sync for WakerCell {}

/// The cell holds the waker of somebody else, or somebody is at it this very moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occupied;

impl fmt::Display for Occupied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("another waker is in the cell")
    }
}

impl std::error::Error for Occupied {}

impl WakerCell {
    crate::const_unless_modelled! {
        /// Creates an empty cell.
        pub fn new() -> Self {
            Self { state: AtomicU32::new(EMPTY), slot: UnsafeCell::new(None) }
        }
    }

    /// Makes sure that `waker` is in the cell, cloning it only if the cell was empty.
    ///
    /// # Errors
    ///
    /// [`Occupied`] if another waker is there, or if another thread has its hand in the cell. Nothing was changed,
    /// and the caller has to wait in another way.
    #[inline]
    pub fn register(&self, waker: &Waker) -> Result<(), Occupied> {
        // Ordering: Relaxed, only a hint: both branches verify it.
        if self.state.load(Ordering::Relaxed) == FULL {
            // Ordering: Acquire, against the Release in `unlock`: the waker in the slot is seen.
            if self.state.compare_exchange(FULL, LOCKED, Ordering::Acquire, Ordering::Relaxed).is_err() {
                return Err(Occupied);
            }
            let same = self.slot.with(|slot| {
                // SAFETY: we moved FULL to LOCKED, so the slot is ours.
                unsafe { &*slot }.as_ref().is_some_and(|held| held.will_wake(waker))
            });
            if let Some(announced) = self.unlock() {
                // Subtle: even if it is the same waker. Another future of the same task may have put it in.
                announced.wake();
            }
            return if same { Ok(()) } else { Err(Occupied) };
        }
        // Cloned before the cell is locked: a waker's clone is its owner's code.
        let clone = waker.clone();
        // Ordering: Acquire, against the Release store in `empty`: its reading of the slot is over.
        if self.state.compare_exchange(EMPTY, LOCKED, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return Err(Occupied);
        }
        // SAFETY: we moved EMPTY to LOCKED, so the slot is ours. It is `None`, so nothing is dropped here.
        self.slot.with_mut(|slot| unsafe { *slot = Some(clone) });
        if let Some(announced) = self.unlock() {
            // Subtle: even our own. The event was made true before it was announced here, and may be used up since, by
            // this very task: then it finds nothing when it looks again, and the cell is empty.
            if !mutant("waker_cell.drops_its_own") {
                announced.wake();
            }
        }
        Ok(())
    }

    /// The registrar takes its hand out of the slot. If the event was announced meanwhile, what is in the slot
    /// comes out.
    #[inline]
    fn unlock(&self) -> Option<Waker> {
        if mutant("waker_cell.ignores_taken") {
            self.state.swap(FULL, Ordering::AcqRel);
            return None;
        }
        // Ordering: Release, against the swap in `take` and the CAS in `register`: they see the waker. Acquire on
        // failure, against the swap in `take`: our caller, who tests its condition next, sees the event.
        match self.state.compare_exchange(LOCKED, FULL, Ordering::Release, Ordering::Acquire) {
            Ok(_) => None,
            Err(_) => self.empty(),
        }
    }

    /// Takes the waker out. The caller has made true what the waker waits for, and wakes it.
    #[inline]
    pub fn take(&self) -> Option<Waker> {
        // Ordering: Acquire, against the Release in `unlock`: we see the waker. Release, against the CAS that fails
        // in `unlock` of a registrar that we find at work: it sees what we announce.
        match self.state.swap(TAKEN, Ordering::AcqRel) {
            LOCKED | TAKEN => None,
            _ => self.empty(),
        }
    }

    /// Takes the waker out of the slot, which the caller is alone with.
    #[inline]
    fn empty(&self) -> Option<Waker> {
        // SAFETY: the state is TAKEN, and it was the caller who moved it from EMPTY or FULL.
        let waker = self.slot.with_mut(|slot| unsafe { &mut *slot }.take());
        // Ordering: Release, against the CAS in `register`: its writing of the slot comes after our reading, and a
        // registrar that acquires this store sees what was announced.
        self.state.store(EMPTY, Ordering::Release);
        waker
    }
}

impl Default for WakerCell {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for WakerCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WakerCell")
    }
}

#[cfg(test)]
mod model {
    use super::*;
    use crate::shim::{Arc, AtomicBool, model, mutant_is_caught, thread};
    use std::{sync::Mutex, task::Wake};

    #[derive(Default)]
    struct Woken(Mutex<u32>);

    impl Wake for Woken {
        fn wake(self: std::sync::Arc<Self>) {
            *self.0.lock().unwrap() += 1;
        }
    }

    fn no_event_is_missed() {
        let woken = std::sync::Arc::new(Woken::default());
        let shared = Arc::new((AtomicBool::new(false), WakerCell::new()));
        let announcer = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            // Ordering: Relaxed, so that only the cell's own orderings carry the event across.
            announcer.0.store(true, Ordering::Relaxed);
            if let Some(waker) = announcer.1.take() {
                waker.wake();
            }
        });
        let waker = Waker::from(std::sync::Arc::clone(&woken));
        // A cell that is locked by the announcer sends us elsewhere; here, to a second try.
        while shared.1.register(&waker).is_err() {
            crate::shim::spin_loop();
        }
        // Ordering: Relaxed, as above.
        let seen = shared.0.load(Ordering::Relaxed);
        thread.join().unwrap();
        assert!(seen || *woken.0.lock().unwrap() == 1, "neither saw the other");
    }

    fn with_two_registrars() {
        let woken = std::sync::Arc::new(Woken::default());
        let shared = Arc::new((AtomicBool::new(false), WakerCell::new()));
        let (announcer, registrar) = (Arc::clone(&shared), Arc::clone(&shared));
        let announces = thread::spawn(move || {
            // Ordering: Relaxed, as above.
            announcer.0.store(true, Ordering::Relaxed);
            if let Some(waker) = announcer.1.take() {
                waker.wake();
            }
        });
        let other = Waker::from(std::sync::Arc::new(Woken::default()));
        let registers = thread::spawn(move || {
            let _ = registrar.1.register(&other);
        });
        let waker = Waker::from(std::sync::Arc::clone(&woken));
        let registered = shared.1.register(&waker).is_ok();
        // Ordering: Relaxed, as above.
        let seen = shared.0.load(Ordering::Relaxed);
        announces.join().unwrap();
        registers.join().unwrap();
        assert!(!registered || seen || *woken.0.lock().unwrap() == 1, "neither saw the other");
    }

    #[test]
    fn waker_cell_misses_no_event() {
        let executions = model(no_event_is_missed);
        println!("waker_cell: {executions} executions");
        assert!(executions > 1);
    }

    #[test]
    fn waker_cell_misses_no_event_with_two_registrars() {
        let executions = model(with_two_registrars);
        println!("waker_cell, two registrars: {executions} executions");
        assert!(executions > 1);
    }

    #[test]
    fn waker_cell_mutant_that_ignores_the_announcement_is_caught() {
        assert!(mutant_is_caught("waker_cell.ignores_taken", with_two_registrars));
    }
}

#[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
mod tests {
    use super::*;
    use std::{
        sync::{Arc, Mutex},
        task::Wake,
    };

    struct Nothing(#[allow(dead_code, reason = "gives each waker an address of its own")] Mutex<u8>);

    impl Wake for Nothing {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn the_same_waker_gets_in_twice_another_does_not() {
        let cell = WakerCell::new();
        let one = Arc::new(Nothing(Mutex::new(1)));
        let first = Waker::from(Arc::clone(&one));
        let second = Waker::from(Arc::new(Nothing(Mutex::new(2))));
        cell.register(&first).unwrap();
        assert_eq!(Arc::strong_count(&one), 3);
        cell.register(&first).unwrap();
        assert_eq!(Arc::strong_count(&one), 3, "not cloned again");
        assert_eq!(cell.register(&second), Err(Occupied));
        assert!(cell.take().unwrap().will_wake(&first));
        cell.register(&second).unwrap();
        drop(first);
        assert_eq!(Arc::strong_count(&one), 1);
    }
}

//! How many goroutines run at the same moment, changed while they do: `set_max_procs`.
//!
//! Growing gives the new places to new threads. Shrinking takes nothing away: whoever holds a place past the end gives it up
//! between two polls, and becomes a spare. The race to fear is the two at once: a holder that is about to give up its
//! place, because it was past the end, and who grows, and finds it held still. So each writes, and then looks: the holder,
//! after it gave the place up, whether it is past the end still, and takes it back if not; who grows, after it moved the
//! end, whether the place is held. Whoever of both comes last finds it.

use crate::{
    idle::MAX_PLACES,
    place::{Place, SeatId},
    runtime::Handle,
    shared::Shared,
    shutdown,
    spare::Call,
    task::error::report,
    worker::Worker,
};
use gorust_primitives::shim::{AtomicUsize, Ordering, fence, mutant};

/// Gives up the place with the number `index` if it is past the end. `false`: it is not, and `me` holds it as before.
pub(crate) fn retire(workers: &AtomicUsize, place: &Place, index: usize, me: SeatId) -> bool {
    // Ordering: Relaxed, for both: a hint, and the fence has ordered the second.
    if index < workers.load(Ordering::Relaxed) {
        return false;
    }
    place.vacate(me);
    // Ordering: SeqCst, against the fence in `settle`: either we see the new end, or who grows sees the place vacant.
    fence(Ordering::SeqCst);
    let wanted = index < workers.load(Ordering::Relaxed) && !mutant("resize.retire_for_good");
    !(wanted && place.fill_vacant(me))
}

/// Gives the place to `seat`, after the end was moved behind it. `false`: it is held still, or again.
fn settle(place: &Place, seat: SeatId) -> bool {
    // Ordering: SeqCst, against the fence in `retire`.
    fence(Ordering::SeqCst);
    place.fill_vacant(seat)
}

/// Has `count` goroutines of `handle`'s runtime run at the same moment from now on, and returns how many it were.
pub(crate) fn resize(handle: &Handle, count: usize) -> usize {
    let shared = handle.shared();
    if count == 0 || shared.side.is_bubble() || !shared.join(handle.generation()) {
        return shared.workers();
    }
    let before = {
        let _resizing = shared.resizing.lock();
        let before = shared.workers();
        // Closing, it needs no more threads.
        if shared.is_open() {
            change(shared, before, count.min(MAX_PLACES));
        }
        before
    };
    shutdown::leave(shared);
    before
}

fn change(shared: &'static Shared, before: usize, count: usize) {
    shared.set_workers(count);
    for index in before..count {
        if let Err(error) = start(shared, index) {
            report(&format!(
                "gorust: set_max_procs({count}): only {index}, since no thread can be started: {error}\n"
            ));
            shared.set_workers(index);
            break;
        }
    }
    if count < before {
        // Those past the end are to see it.
        shared.unpark_all();
    }
}

/// Starts a worker for a place, unless somebody holds it still.
fn start(shared: &'static Shared, index: usize) -> std::io::Result<()> {
    let place = shared.place(index);
    let Some(seat) = shared.claim_seat() else {
        return Err(std::io::Error::other("there are too many already"));
    };
    if !settle(place, seat) {
        shared.free_seat(seat);
        return Ok(());
    }
    // Ordering: Relaxed, it only must not be seen as zero while we, who are counted, are in it.
    shared.threads.fetch_add(1, Ordering::Relaxed);
    let started = shared.config().thread(seat).spawn(move || Worker::main(shared, seat, Call::Hold(index)));
    started.map(drop).inspect_err(|_| {
        place.vacate(seat);
        shared.free_seat(seat);
        // Ordering: Relaxed, we are counted still.
        shared.threads.fetch_sub(1, Ordering::Relaxed);
    })
}

#[cfg(test)]
mod model {
    use super::*;
    use gorust_primitives::shim::{Arc, model, mutant_is_caught, thread};

    /// The holder of place 1 (seat 1) gives it up, since there is to be one worker, while there are to be two again: the
    /// place is not lost.
    fn grow_against_retire() {
        struct Both {
            workers: AtomicUsize,
            place: Place,
        }
        let both = Arc::new(Both { workers: AtomicUsize::new(1), place: Place::vacant() });
        both.place.fill(1);
        let holder = {
            let both = Arc::clone(&both);
            thread::spawn(move || !retire(&both.workers, &both.place, 1, 1))
        };
        both.workers.store(2, Ordering::Relaxed);
        let settled = settle(&both.place, 2);
        let keeps = holder.join().unwrap();
        assert_eq!(usize::from(settled) + usize::from(keeps), 1, "settled: {settled}, kept: {keeps}");
        assert_eq!(both.place.holder(), Some(if settled { 2 } else { 1 }));
    }

    #[test]
    fn resize_loses_no_place() {
        let executions = model(grow_against_retire);
        println!("resize, grow against retire: {executions} executions");
        assert!(executions > 1);
    }

    #[test]
    fn resize_mutant_that_retires_for_good_is_caught() {
        assert!(mutant_is_caught("resize.retire_for_good", grow_against_retire));
    }
}

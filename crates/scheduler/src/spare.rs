//! Spare threads: they hold no place and wait to be offered one. A thread becomes a spare when it has lost its
//! place, or is started when a place is offered and no spare is there; it ends after it has waited for
//! `keep_alive`.

use crate::{
    place::SeatId,
    shared::Shared,
    task::error::{exit_now, report},
    worker::Worker,
};
use gorust_primitives::shim::{Lock, Ordering};

/// The spares of a runtime.
#[derive(Debug)]
pub(crate) struct Spares(Lock<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    /// Seats of spares that wait, the one that waited shortest last.
    idle: Vec<SeatId>,
    /// What was offered to which spare, until it looks.
    offered: Vec<(SeatId, Offer)>,
}

/// A place, and the seat that offers it.
#[derive(Clone, Copy, Debug)]
struct Offer {
    place: usize,
    from: SeatId,
}

impl Spares {
    pub(crate) fn new() -> Self {
        Self(Lock::new(Waiting::default()))
    }
}

/// Offers a place to a spare, or starts a thread for it.
pub(crate) fn offer(shared: &'static Shared, from: SeatId, place: usize) {
    let offer = Offer { place, from };
    let spare = {
        let mut waiting = shared.spares.0.lock();
        let spare = waiting.idle.pop();
        if let Some(spare) = spare {
            waiting.offered.push((spare, offer));
        }
        spare
    };
    match spare {
        Some(spare) => shared.seat(spare).parker.unpark(),
        None => start(shared, offer),
    }
}

/// Starts a thread that takes the place if it is still on offer then, and is a spare if not.
fn start(shared: &'static Shared, offer: Offer) {
    let Some(seat) = shared.claim_seat() else {
        exit_now(&format!(
            "gorust: {} threads are blocked in block_on, the limit of one runtime\nexit status 2\n",
            crate::shared::MAX_SEATS
        ));
    };
    // Ordering: Relaxed, it only must not be seen as zero while we, a thread of the runtime, are in it.
    shared.threads.fetch_add(1, Ordering::Relaxed);
    let started = shared.config().thread(seat).spawn(move || {
        let place = shared.place(offer.place).take(offer.from, seat).then_some(offer.place);
        Worker::main(shared, seat, place);
    });
    if let Err(error) = started {
        // The place stays on offer, and comes back when its thread does; what waits, waits.
        report(&format!("gorust: a worker blocks and no thread can be started in its place: {error}\n"));
        shared.free_seat(seat);
        shared.threads.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Waits until this thread, on the seat `me`, has a place. `None`: it waited long enough, or the runtime closes.
pub(crate) fn wait_for_place(shared: &Shared, me: SeatId) -> Option<usize> {
    let keep_alive = shared.config().keep_alive;
    loop {
        shared.spares.0.lock().idle.push(me);
        if !shared.is_open() {
            withdraw(shared, me);
            return None;
        }
        let notified = shared.seat(me).parker.park_timeout(keep_alive);
        match withdraw(shared, me) {
            Some(offer) if shared.place(offer.place).take(offer.from, me) => return Some(offer.place),
            Some(_) => {} // its thread was back sooner
            None if !notified => return None,
            None => {} // a token of earlier times
        }
    }
}

/// Stops waiting, and returns what was offered meanwhile.
fn withdraw(shared: &Shared, me: SeatId) -> Option<Offer> {
    let mut waiting = shared.spares.0.lock();
    if let Some(position) = waiting.idle.iter().position(|&seat| seat == me) {
        waiting.idle.remove(position);
        return None;
    }
    let position = waiting.offered.iter().position(|&(seat, _)| seat == me)?;
    Some(waiting.offered.swap_remove(position).1)
}

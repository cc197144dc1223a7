//! Check, then act: two guests look whether the last seat is free, and then take it. Each step holds the lock, and
//! nothing holds it over both.

use gorust::{prelude::*, sync::Mutex};
use std::sync::Arc;

/// How many of two guests were given the one seat.
async fn guests_seated<F: Future<Output = bool> + Send + 'static>(
    take: impl Fn(Arc<Mutex<Option<u32>>>, u32) -> F,
) -> usize {
    let seat = Arc::new(Mutex::new(None));
    let guests: Vec<_> = (1..=2).map(|guest| go(take(Arc::clone(&seat), guest))).collect();
    let mut seated = 0;
    for guest in guests {
        seated += usize::from(guest.await.unwrap());
    }
    seated
}

pub(crate) async fn buggy() {
    let seated = guests_seated(|seat, guest| async move {
        if seat.lock().await.is_some() {
            return false;
        }
        *seat.lock().await = Some(guest);
        true
    });
    assert_eq!(seated.await, 1, "the seat was given twice");
}

pub(crate) async fn fixed() {
    let seated = guests_seated(|seat, guest| async move {
        let mut seat = seat.lock().await;
        let free = seat.is_none();
        seat.get_or_insert(guest);
        free
    });
    assert_eq!(seated.await, 1, "the seat was given twice");
}

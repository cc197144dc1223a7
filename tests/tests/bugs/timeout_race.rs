//! Timeout race: a client that waited in vain takes the order to be canceled, while the shop ships it at the very same
//! moment.

use gorust::{prelude::*, time};
use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering::Relaxed},
};

const LIMIT: Duration = Duration::from_millis(10);
const SHIPPED: u8 = 1;
const CANCELED: u8 = 2;

pub(crate) async fn buggy() {
    let order = Arc::new(AtomicU8::new(0));
    let (answer, answered) = chan(1);
    let shop = Arc::clone(&order);
    let shop = go(async move {
        time::sleep(LIMIT).await;
        shop.fetch_or(SHIPPED, Relaxed);
        answer.send(()).await
    });
    if timeout(LIMIT, answered.recv()).await.is_err() {
        order.fetch_or(CANCELED, Relaxed);
    }
    shop.await.unwrap().ok();
    assert_ne!(order.load(Relaxed), SHIPPED | CANCELED, "shipped, and canceled");
}

pub(crate) async fn fixed() {
    let order = Arc::new(AtomicU8::new(0));
    // Whoever comes first decides.
    let decide = |order: &AtomicU8, how| order.compare_exchange(0, how, Relaxed, Relaxed).is_ok();
    let (answer, answered) = chan(1);
    let shop = Arc::clone(&order);
    let shop = go(async move {
        time::sleep(LIMIT).await;
        if decide(&shop, SHIPPED) { answer.send(()).await } else { Ok(()) }
    });
    if timeout(LIMIT, answered.recv()).await.is_err() {
        decide(&order, CANCELED);
    }
    shop.await.unwrap().ok();
    assert_ne!(order.load(Relaxed), SHIPPED | CANCELED, "shipped, and canceled");
}

//! AB-BA: two transfers in opposite directions lock both accounts, each its own side first.

use gorust::{prelude::*, sync::Mutex};
use std::sync::Arc;

type Account = Arc<Mutex<i64>>;

pub(crate) async fn buggy() {
    async fn transfer(from: Account, to: Account, amount: i64) {
        let mut from = from.lock().await;
        let mut to = to.lock().await;
        *from -= amount;
        *to += amount;
    }
    let (a, b) = (Account::default(), Account::default());
    let there = go(transfer(Arc::clone(&a), Arc::clone(&b), 10));
    let back = go(transfer(b, a, 5));
    there.await.unwrap();
    back.await.unwrap();
}

pub(crate) async fn fixed() {
    /// The accounts have an order of their own, and are locked in it.
    async fn transfer(low: Account, high: Account, upwards: i64) {
        let mut low = low.lock().await;
        let mut high = high.lock().await;
        *low -= upwards;
        *high += upwards;
    }
    let (a, b) = (Account::default(), Account::default());
    let there = go(transfer(Arc::clone(&a), Arc::clone(&b), 10));
    let back = go(transfer(a, b, -5));
    there.await.unwrap();
    back.await.unwrap();
}

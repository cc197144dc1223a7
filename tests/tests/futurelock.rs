//! "Futurelock" (Oxide, RFD 609): a future waits for a lock, is set aside by a select whose body wants the same lock, and is
//! not polled any more. A lock that is granted to who waits is then granted to a future that does not know it, and the
//! body waits for ever. gorust's locks wake and never grant: the body gets the lock a millisecond later.

use gorust::sync::{Mutex, RwLock};
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

/// So long that only a hang takes longer, on any machine.
const LONG: Duration = Duration::from_secs(60);

/// Polls once, as a select does with an arm that loses.
fn set_aside<F: Future>(future: Pin<&mut F>) {
    let polled = future.poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Pending), "it does not wait");
}

/// One waits for the lock and is set aside; then the body waits for it, too, and the holder lets go.
macro_rules! futurelock {
    ($holds:expr, $set_aside:expr, $body:expr) => {{
        let held = $holds;
        let mut first = Box::pin($set_aside);
        set_aside(first.as_mut());
        let mut body = Box::pin($body);
        set_aside(body.as_mut());
        drop(held);
        // The first is still there, and nobody polls it.
        (first, body)
    }};
}

#[test]
fn a_mutex_does_not_wait_for_one_who_is_not_polled() {
    gorust::block_on(async {
        let mutex = Mutex::new(0);
        let (_first, body) = futurelock!(mutex.lock().await, mutex.lock(), mutex.lock());
        let guard = gorust::time::timeout(LONG, body).await;
        assert!(guard.is_ok(), "futurelock");
    });
}

#[test]
fn a_read_write_lock_does_not_wait_for_one_who_is_not_polled() {
    gorust::block_on(async {
        let lock = RwLock::new(0);
        let (_first, body) = futurelock!(lock.write().await, lock.write(), lock.write());
        assert!(gorust::time::timeout(LONG, body).await.is_ok(), "a writer behind a writer");
        let (_first, body) = futurelock!(lock.write().await, lock.read(), lock.write());
        assert!(gorust::time::timeout(LONG, body).await.is_ok(), "a writer behind a reader");
        let (_first, body) = futurelock!(lock.read().await, lock.write(), lock.read());
        assert!(gorust::time::timeout(LONG, body).await.is_ok(), "a reader behind a writer");
    });
}

/// The same program with a lock that grants. It would wait for ever; the limit shows that nothing happens.
#[test]
fn tokios_mutex_does() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let mutex = tokio::sync::Mutex::new(0);
        let (_first, body) = futurelock!(mutex.lock().await, mutex.lock(), mutex.lock());
        let guard = tokio::time::timeout(Duration::from_millis(300), body).await;
        assert!(guard.is_err(), "tokio's mutex has learned it: tell docs/guide/sync.md");
    });
}

//! What futures that are not polled and wakers that panic can do to others: nothing.

use gorust_sync::{Barrier, Cond, Context, Mutex, Notify, RwLock, Semaphore, WaitGroup, chan};
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        mpsc::{self, Sender},
    },
    task::{self, Poll, Wake, Waker},
    thread,
    time::Duration,
};

const LONG: Duration = Duration::from_secs(20);

fn poll<F: Future>(future: &mut Pin<Box<F>>, waker: &Waker) -> Poll<F::Output> {
    future.as_mut().poll(&mut task::Context::from_waker(waker))
}

/// The first in line starves, is woken, and is never polled again. Nobody holds the mutex: newcomers get it.
#[test]
fn newcomers_pass_one_who_starves_and_is_not_polled() {
    let mutex = Arc::new(Mutex::new(()));
    let held = mutex.try_lock().unwrap();
    let mut first = Box::pin(mutex.lock());
    assert!(poll(&mut first, Waker::noop()).is_pending());
    thread::park_timeout(Duration::from_millis(5));
    drop(held); // wakes it
    let barger = mutex.try_lock().unwrap();
    assert!(poll(&mut first, Waker::noop()).is_pending()); // too late: it starves from now on
    drop(barger); // wakes it again
    for number in 1..=5 {
        let (sender, locked) = mpsc::channel();
        let mutex = Arc::clone(&mutex);
        thread::spawn(move || {
            drop(mutex.lock_blocking());
            let _ = sender.send(());
        });
        assert!(locked.recv_timeout(LONG).is_ok(), "lock {number} of a free mutex hangs");
    }
}

struct Bomb;

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {
        panic!("a waker's bomb");
    }
}

struct Note(Sender<()>);

impl Wake for Note {
    fn wake(self: Arc<Self>) {
        let _ = self.0.send(());
    }
}

/// Forty futures wait, the first with a waker that panics; `wake` wakes them all.
fn all_but_the_bomb_are_woken<F: Future>(make: impl Fn() -> F, wake: impl FnOnce()) {
    let (sender, woken) = mpsc::channel();
    let bomb = Waker::from(Arc::new(Bomb));
    let note = Waker::from(Arc::new(Note(sender)));
    let mut waiting: Vec<_> = (0..40).map(|_| Box::pin(make())).collect();
    for (index, future) in waiting.iter_mut().enumerate() {
        assert!(poll(future, if index == 0 { &bomb } else { &note }).is_pending());
    }
    wake();
    assert_eq!(woken.try_iter().count(), 39);
    assert!(waiting.iter_mut().all(|future| poll(future, Waker::noop()).is_ready()));
}

#[test]
fn a_waker_that_panics_takes_no_other_wake_up_along() {
    let (tx, rx) = chan::<u32>(0);
    all_but_the_bomb_are_woken(|| rx.recv(), || assert!(tx.close()));
    let group = WaitGroup::new();
    group.add(1);
    all_but_the_bomb_are_woken(|| group.wait(), || group.done());
    let (context, handle) = Context::background().with_cancel();
    all_but_the_bomb_are_woken(|| context.done(), || handle.cancel());
    let notify = Notify::new();
    all_but_the_bomb_are_woken(|| notify.notified(), || notify.notify_all());
    let (mutex, cond) = (Mutex::new(()), Cond::new());
    // Who waits has let the mutex go, so that the next one has it.
    all_but_the_bomb_are_woken(|| async { drop(cond.wait(mutex.lock().await).await) }, || cond.notify_all());
    let barrier = Barrier::new(41);
    all_but_the_bomb_are_woken(
        || barrier.wait(),
        || assert!(poll(&mut Box::pin(barrier.wait()), Waker::noop()).is_ready()),
    );
    let semaphore = Semaphore::new(40);
    let permits = semaphore.try_acquire(40).unwrap();
    all_but_the_bomb_are_woken(|| semaphore.acquire(1), || drop(permits));
    let lock = RwLock::new(());
    let guard = lock.try_write().unwrap();
    all_but_the_bomb_are_woken(|| lock.read(), || drop(guard));
}

#[test]
fn a_value_survives_the_waker_of_its_sender() {
    let (tx, rx) = chan::<u32>(0);
    let mut sending = Box::pin(tx.send(7));
    assert!(poll(&mut sending, &Waker::from(Arc::new(Bomb))).is_pending());
    assert_eq!(rx.try_recv(), Ok(7));
    assert!(poll(&mut sending, Waker::noop()).is_ready());
}

#[test]
fn wait_returns_when_what_the_goroutines_held_is_gone() {
    struct Slow(#[expect(dead_code, reason = "counted")] Arc<()>);
    impl Drop for Slow {
        fn drop(&mut self) {
            thread::park_timeout(Duration::from_millis(50));
        }
    }
    struct Holds(#[expect(dead_code, reason = "held for its drop")] Slow);
    impl Future for Holds {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }
    gorust_scheduler::block_on(async {
        let held = Arc::new(());
        let group = WaitGroup::new();
        group.go(Holds(Slow(Arc::clone(&held))));
        group.wait().await;
        assert_eq!(Arc::strong_count(&held), 1);
    });
}

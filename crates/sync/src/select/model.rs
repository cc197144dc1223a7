//! Two or three threads, one property each: one case commits, nobody sleeps over what would wake it, and a default is
//! taken only if nothing was ready at one moment.

use super::parts::{Cases, IsNative, SelectCase, choose, choose_now};
use crate::{
    chan::{Receiver, Sender, chan as make},
    testing::{Fragile, block_on},
};
use gorust_primitives::{
    brief_lock::BriefLock,
    select_case::{Glance, Leaf, Native},
    shim::{Arc, AtomicU64, Ordering, model, mutant_is_caught, thread},
};
use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

#[derive(Debug, PartialEq)]
enum Chosen<A, B> {
    First(A),
    Second(B),
}

/// `select!` over two operations, polled `polls` times at each turn.
async fn select<A: Native, B: Native>(first: A, second: B, polls: usize) -> Chosen<A::Output, B::Output> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let mut cases = (IsNative.case(Some(first.as_mut())), (IsNative.case(Some(second.as_mut())), ()));
    let index = {
        let mut choice = pin!(choose::<_, 2>(&mut cases, true));
        poll_fn(|cx| {
            (0..polls).map(|_| choice.as_mut().poll(cx)).find(Poll::is_ready).unwrap_or(Poll::Pending)
        })
        .await
    };
    match index {
        0 => Chosen::First(cases.0.output()),
        _ => Chosen::Second(cases.1.0.output()),
    }
}

type Handles = (Fragile<Sender<Box<u32>>>, Fragile<Receiver<Box<u32>>>);

/// Two channels, the one with the lower address first: locks are taken in that order, and a model takes the same steps
/// every time.
fn pair(capacity: usize) -> (Handles, Handles) {
    let [a, b] = [0, 1].map(|_| make(capacity));
    let (a, b) = if a.0.address() < b.0.address() { (a, b) } else { (b, a) };
    let fragile = |(tx, rx)| (Fragile::new(tx), Fragile::new(rx));
    (fragile(a), fragile(b))
}

fn explore(name: &str, body: impl Fn() + Sync + Send + 'static) {
    let executions = model(body);
    println!("select, {name}: {executions} executions");
    assert!(executions > 1);
}

/// Each of two selects would send into one channel or receive from the other: they meet in one of the two.
fn two_meet() {
    let ((tx_a, rx_a), (tx_b, rx_b)) = pair(0);
    let other = thread::spawn(move || {
        let select = select(rx_a.recv(), tx_b.send(Box::new(2)), 1);
        let chosen = block_on(select);
        // Its handles live until both have met: no close ends the other one's wait.
        (matches!(chosen, Chosen::First(Some(_))), rx_a, tx_b)
    });
    let chosen = block_on(select(rx_b.recv(), tx_a.send(Box::new(1)), 1));
    let (other_received, _rx, _tx) = other.join().unwrap();
    match chosen {
        Chosen::First(value) => assert_eq!((value, other_received), (Some(Box::new(2)), false)),
        Chosen::Second(sent) => assert!(sent.is_ok() && other_received),
    }
}

/// A select that would send into one of two channels, and is polled when nobody has woken it; a receiver at each.
/// Exactly one gets a value.
fn one_is_sent() {
    let ((tx_a, rx_a), (tx_b, rx_b)) = pair(0);
    let first = thread::spawn(move || block_on(rx_a.recv()).is_some());
    let second = thread::spawn(move || block_on(rx_b.recv()).is_some());
    match block_on(select(tx_a.send(Box::new(1)), tx_b.send(Box::new(2)), 2)) {
        Chosen::First(sent) => assert!(sent.is_ok()),
        Chosen::Second(sent) => assert!(sent.is_ok()),
    }
    drop((tx_a, tx_b));
    let received = [first.join().unwrap(), second.join().unwrap()];
    assert_eq!(received.iter().filter(|&&received| received).count(), 1, "one select, one send");
}

/// A select over two channels, of which one gets a value: it ends, whenever the value comes.
fn one_is_received() {
    let ((tx_a, rx_a), (_tx_b, rx_b)) = pair(1);
    let sender = thread::spawn(move || {
        let sent = block_on(tx_a.send(Box::new(1))).is_ok();
        (sent, tx_a)
    });
    assert_eq!(block_on(select(rx_b.recv(), rx_a.recv(), 2)), Chosen::Second(Some(Box::new(1))));
    assert!(sender.join().unwrap().0);
}

/// A select is dropped after its first poll, while a value is sent: the next receiver gets it.
fn dropped() {
    let ((tx_a, rx_a), (_tx_b, rx_b)) = pair(1);
    let sender = thread::spawn(move || {
        let sent = block_on(tx_a.send(Box::new(1))).is_ok();
        (sent, tx_a)
    });
    {
        let mut select = pin!(select(rx_a.recv(), rx_b.recv(), 1));
        if let Poll::Ready(chosen) = select.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            assert_eq!(chosen, Chosen::First(Some(Box::new(1))));
            assert!(sender.join().unwrap().0);
            return;
        }
    }
    assert_eq!(block_on(rx_a.recv()), Some(Box::new(1)));
    assert!(sender.join().unwrap().0);
}

/// A channel is closed while a select waits for it, or before, or while it looks.
fn closed() {
    let ((tx_a, rx_a), (_tx_b, rx_b)) = pair(0);
    let closer = thread::spawn(move || tx_a.close());
    assert_eq!(block_on(select(rx_b.recv(), rx_a.recv(), 2)), Chosen::Second(None));
    assert!(closer.join().unwrap());
}

/// A value is moved from one channel to another, which has it before the first one loses it: at every moment one of
/// them is ready, so a select with a default finds a value.
fn moved() {
    let ((tx_a, rx_a), (tx_b, rx_b)) = pair(1);
    assert!(tx_a.try_send(Box::new(1)).is_ok());
    let mover = {
        let rx_a = Receiver::clone(&rx_a);
        let rx_a = Fragile::new(rx_a);
        thread::spawn(move || {
            assert!(tx_b.try_send(Box::new(1)).is_ok());
            let _ = rx_a.try_recv();
            tx_b
        })
    };
    let (mut first, mut second) = (pin!(rx_a.recv()), pin!(rx_b.recv()));
    // The one that is emptied is looked at last.
    let mut cases = (IsNative.case(Some(second.as_mut())), (IsNative.case(Some(first.as_mut())), ()));
    assert!(cases.is_any_on());
    assert!(choose_now::<_, 2>(&mut cases, true).is_some(), "one of them was ready at every moment");
    mover.join().unwrap();
}

/// A place that has a thing or has not, and shows it: what a channel is to a select that only looks. (The checker
/// remembers one access to an atomic, and a channel reads its word before it writes it: with channels it misses
/// the schedule this is about.)
#[derive(Default)]
struct Place {
    lock: BriefLock<()>,
    /// 1 if the thing is here; the rest counts the changes.
    shown: AtomicU64,
}

struct Look<'a>(&'a Place);

// SAFETY: the lock is the place's, nothing is woken, and what is shown is written under the lock.
unsafe impl Leaf for Look<'_> {
    fn glance(&self) -> Glance {
        let version = self.0.shown.load(Ordering::Acquire);
        Glance { is_ready: version & 1 == 1, version }
    }

    fn try_commit(self: Pin<&mut Self>) -> bool {
        let _guard = self.0.lock.lock();
        self.glance().is_ready
    }

    fn arm(self: Pin<&mut Self>, _: &mut Context<'_>) {}

    fn lock_address(&self) -> usize {
        std::ptr::from_ref(self.0).addr()
    }

    fn lock(&self) {
        BriefLock::leave(self.0.lock.lock());
    }

    unsafe fn unlock(&self) {
        // SAFETY: our caller's promise.
        drop(unsafe { self.0.lock.resume() });
    }
}

impl Future for Look<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl Native for Look<'_> {
    fn prepare(self: Pin<&mut Self>) -> bool {
        true
    }

    fn output(self: Pin<&mut Self>) {}
}

/// As `moved`, with nothing but what is shown.
fn moved_in_sight() {
    let places: Arc<[Place; 2]> = Arc::default();
    places[0].shown.store(1, Ordering::Relaxed);
    let mover = {
        let places = Arc::clone(&places);
        thread::spawn(move || {
            for (place, shown) in [(1, 3), (0, 2)] {
                let _guard = places[place].lock.lock();
                places[place].shown.store(shown, Ordering::Release);
            }
        })
    };
    let (mut first, mut second) = (pin!(Look(&places[1])), pin!(Look(&places[0])));
    let mut cases = (IsNative.case(Some(first.as_mut())), (IsNative.case(Some(second.as_mut())), ()));
    assert!(choose_now::<_, 2>(&mut cases, true).is_some(), "it was in one of them at every moment");
    mover.join().unwrap();
}

#[test]
fn two_selects_in_opposite_order_meet() {
    explore("two meet", two_meet);
}

#[test]
fn a_select_polled_for_no_reason_sends_one_value() {
    explore("one is sent", one_is_sent);
}

#[test]
fn a_select_receives_what_comes() {
    explore("one is received", one_is_received);
}

#[test]
fn a_dropped_select_passes_its_grant_on() {
    explore("dropped", dropped);
}

#[test]
fn a_close_ends_a_select() {
    explore("closed", closed);
}

#[test]
fn a_default_is_not_taken_while_a_value_moves() {
    explore("moved", moved);
    explore("moved in sight", moved_in_sight);
}

#[test]
fn a_select_that_waits_without_a_look_is_caught() {
    assert!(mutant_is_caught("select.wait_without_a_look", two_meet));
    assert!(mutant_is_caught("select.wait_without_a_look", closed));
}

#[test]
fn a_select_that_is_open_while_it_looks_is_caught() {
    assert!(mutant_is_caught("select.open_while_looking", one_is_sent));
}

#[test]
fn a_select_that_drops_its_grant_is_caught() {
    assert!(mutant_is_caught("chan.grant_dropped", dropped));
}

#[test]
fn a_claim_that_is_tested_and_then_set_is_caught() {
    assert!(mutant_is_caught("claim.test_then_set", one_is_sent));
}

#[test]
fn a_default_that_looks_once_is_caught() {
    assert!(mutant_is_caught("select.look_once", moved_in_sight));
}

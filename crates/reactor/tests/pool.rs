//! Closed reactors are opened again once nothing is left in them. One test, since the pool is the process's.

mod common;

use common::{Count, tcp_pair};
use gorust_reactor::{Async, Clock, Reactor, clock::Instant, enter, timer::Alarm};
use std::task::Waker;

#[test]
fn a_closed_reactor_is_used_again_when_nothing_is_left_in_it() {
    let first = Reactor::open(Clock::Real).unwrap();
    let (source, alarm) = {
        let _entered = enter(first, first.claim_shard());
        let source = Async::new(tcp_pair().unwrap().0).unwrap();
        (source, Alarm::at(Instant::from_ns(u64::MAX - 1), Waker::noop().clone()))
    };
    first.close();
    first.recycle();

    let second = Reactor::open(Clock::Real).unwrap();
    assert!(!std::ptr::eq(first, second), "a source and a timer are left in the first");
    drop(source);
    let third = Reactor::open(Clock::Real).unwrap();
    assert!(!std::ptr::eq(first, third), "a timer is left in the first");
    drop(alarm);

    let again = Reactor::open(Clock::Virtual).unwrap();
    assert!(std::ptr::eq(first, again));
    assert!(again.is_virtual() && !again.is_closed());
    assert_eq!(again.counters(), gorust_reactor::Counters::default());
    let shard = again.claim_shard();
    assert_eq!(shard, 1, "shards are given out anew");

    // Its virtual time begins at the beginning, and it takes timers again.
    let _entered = enter(again, shard);
    assert_eq!(Instant::now(), Instant::START);
    let count = Count::new();
    let alarm = Alarm::at(Instant::START + std::time::Duration::from_secs(1), count.waker());
    again.advance_to(again.earliest_deadline().unwrap());
    let mut wakers = Vec::new();
    again.try_lock().unwrap().turn(gorust_reactor::Wait::Never, &mut wakers).unwrap();
    wakers.into_iter().for_each(Waker::wake);
    assert_eq!(count.woken(), 1);
    drop(alarm);
}

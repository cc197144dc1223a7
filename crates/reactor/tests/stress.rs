//! Threads that get in each other's way: a wake-up that is lost here is a test that never ends.

mod common;

use common::{BACKENDS, Driven, block_on, tcp_pair};
use gorust_primitives::{
    rng::Rng,
    shim::{AtomicBool, AtomicUsize, Ordering},
};
use gorust_reactor::{
    Async, Backend, Reactor, Wait,
    clock::Instant,
    enter,
    time::{sleep, timeout},
    timer::Alarm,
};
use std::{
    future::poll_fn,
    io::{Read, Write},
    sync::Arc,
    task::{Wake, Waker},
    thread,
    time::Duration,
};

/// Runs `work` on threads of their own while this one drives a reactor of each kind.
fn while_driven(threads: usize, work: impl Fn(usize) + Sync) {
    for backend in BACKENDS {
        let mut driven = Driven::new(backend);
        let reactor = driven.reactor;
        let running = AtomicUsize::new(threads);
        thread::scope(|scope| {
            for number in 0..threads {
                let (work, running) = (&work, &running);
                scope.spawn(move || {
                    let entered = enter(reactor, Reactor::FOREIGN);
                    work(number);
                    drop(entered);
                    running.fetch_sub(1, Ordering::SeqCst);
                    reactor.notify();
                });
            }
            while running.load(Ordering::SeqCst) > 0 {
                driven.turn(Wait::Until(None));
            }
        });
    }
}

#[test]
fn readers_of_one_socket_share_its_bytes() {
    const READERS: usize = 6;
    const BYTES: usize = 6_000;
    for backend in BACKENDS {
        let mut driven = Driven::new(backend);
        let reactor = driven.reactor;
        let (ours, mut theirs) = tcp_pair().unwrap();
        let ours = Async::new(ours).unwrap();
        let (left, running) = (AtomicUsize::new(BYTES), AtomicUsize::new(READERS));
        thread::scope(|scope| {
            for number in 0..READERS {
                let (ours, left, running) = (&ours, &left, &running);
                scope.spawn(move || {
                    let entered = enter(reactor, Reactor::FOREIGN);
                    let rng = Rng::new(number as u64);
                    let mut byte = [0];
                    loop {
                        // By name, without one, and giving up now and then.
                        let read = match rng.below(4) {
                            0 => {
                                let read = ours.read_with(|mut io| io.read(&mut byte));
                                match block_on(timeout(Duration::from_micros(rng.below(50).into()), read)) {
                                    Ok(read) => read,
                                    Err(_) => continue,
                                }
                            }
                            1 => block_on(ours.read_with(|mut io| io.read(&mut byte))),
                            2 => block_on(poll_fn(|cx| {
                                ours.poll_read_stream(cx, 1, |mut io| io.read(&mut byte))
                            })),
                            _ => {
                                block_on(ours.readable()).unwrap();
                                match ours.try_read_with(|mut io| io.read(&mut byte)) {
                                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
                                    read => read,
                                }
                            }
                        };
                        match read.unwrap() {
                            0 => break,
                            count => left.fetch_sub(count, Ordering::SeqCst),
                        };
                    }
                    drop(entered);
                    running.fetch_sub(1, Ordering::SeqCst);
                    reactor.notify();
                });
            }
            scope.spawn(move || {
                let rng = Rng::new(99);
                let mut sent = 0;
                while sent < BYTES {
                    let count = (1 + rng.below(20) as usize).min(BYTES - sent);
                    theirs.write_all(&vec![7; count]).unwrap();
                    sent += count;
                    if rng.below(3) == 0 {
                        thread::yield_now();
                    }
                }
            });
            while running.load(Ordering::SeqCst) > 0 {
                driven.turn(Wait::Until(None));
            }
        });
        assert_eq!(left.load(Ordering::SeqCst), 0, "{backend:?}");
    }
}

#[test]
fn sleepers_on_many_threads_all_wake() {
    while_driven(4, |number| {
        let rng = Rng::new(number as u64);
        for _ in 0..300 {
            let duration = Duration::from_micros(rng.below(300).into());
            let start = Instant::now();
            if rng.below(2) == 0 {
                block_on(sleep(duration));
                assert!(start.elapsed() >= duration);
            } else {
                // One of the two wins; the other is cancelled at the moment it fires, or about then.
                let _ = block_on(timeout(duration, sleep(duration)));
            }
        }
    });
}

#[test]
fn sockets_come_and_go_while_events_arrive() {
    while_driven(3, |number| {
        for round in 0..100 {
            let (ours, mut theirs) = tcp_pair().unwrap();
            let ours = Async::new(ours).unwrap();
            let message = [number as u8; 3];
            theirs.write_all(&message).unwrap();
            if round % 3 == 0 {
                // Closed with its event on the way.
                continue;
            }
            let mut buffer = [0; 8];
            let read = poll_fn(|cx| ours.poll_read_stream(cx, 8, |mut io| io.read(&mut buffer)));
            assert_eq!(block_on(read).unwrap(), 3);
            assert_eq!(buffer[..3], message, "bytes of another connection");
            drop(theirs);
            let read = poll_fn(|cx| ours.poll_read_stream(cx, 8, |mut io| io.read(&mut buffer)));
            assert_eq!(block_on(read).unwrap(), 0);
        }
    });
}

/// A thread that sleeps, and whether it was woken.
struct Parked(thread::Thread, AtomicBool);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.1.store(true, Ordering::SeqCst);
        self.0.unpark();
    }
}

#[test]
fn workers_arm_cancel_and_park_while_one_of_them_polls() {
    let mut driven = Driven::new(Backend::Native);
    let reactor = driven.reactor;
    let running = AtomicUsize::new(3);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for number in 0..3_u64 {
            let (running, over) = (&running, &over);
            scope.spawn(move || {
                let shard = reactor.claim_shard();
                let entered = enter(reactor, shard);
                let rng = Rng::new(number);
                for _ in 0..300 {
                    // As a worker does: it arms for its tasks, says so, and sleeps on its own parker.
                    let cancelled =
                        Alarm::at(Instant::now() + Duration::from_millis(1), Waker::noop().clone());
                    let deadline = Instant::now() + Duration::from_micros(rng.below(200).into());
                    let parked = Arc::new(Parked(thread::current(), AtomicBool::new(false)));
                    let alarm = Alarm::at(deadline, Waker::from(Arc::clone(&parked)));
                    assert!(cancelled.cancel());
                    reactor.before_park(shard);
                    while !parked.1.load(Ordering::SeqCst) {
                        thread::park();
                    }
                    assert!(!alarm.cancel() && Instant::now() >= deadline);
                }
                drop(entered);
                reactor.release_shard(shard);
                if running.fetch_sub(1, Ordering::SeqCst) == 1 {
                    over.store(true, Ordering::SeqCst);
                    reactor.notify();
                }
            });
        }
        while !over.load(Ordering::SeqCst) {
            driven.turn(Wait::Until(None));
        }
    });
}

//! System calls, counted by the reactor's own counters. `docs/hacking.md` says how to see the same numbers under strace.

use crate::{alone, counters, run, runtime, usage};
use gorust_os::net::{TcpListener, TcpStream};
use gorust_reactor::{Async, time::sleep};
use gorust_scheduler::{go, runtime::num_goroutines};
use std::{
    future::poll_fn,
    io::{Read, Write},
    time::Duration,
};

/// A socket on the path that `TcpStream` takes, which counts its system calls.
struct Counted {
    socket: Async<std::net::TcpStream>,
    calls: u64,
}

impl Counted {
    /// Takes a connected stream over. What it was registered as ends here.
    fn new(stream: TcpStream) -> Self {
        Self { socket: Async::new(stream.into_std()).unwrap(), calls: 0 }
    }

    async fn read(&mut self, buffer: &mut [u8]) -> usize {
        let (socket, calls) = (&self.socket, &mut self.calls);
        let wanted = buffer.len();
        poll_fn(|cx| {
            socket.poll_read_stream(cx, wanted, |mut io| {
                *calls += 1;
                io.read(buffer)
            })
        })
        .await
        .unwrap()
    }

    async fn write(&mut self, bytes: &[u8]) {
        let (socket, calls) = (&self.socket, &mut self.calls);
        let written = poll_fn(|cx| {
            socket.poll_write_stream(cx, bytes.len(), |mut io| {
                *calls += 1;
                io.write(bytes)
            })
        })
        .await
        .unwrap();
        assert_eq!(written, bytes.len());
    }

    async fn round_trips(&mut self, count: u64) {
        let mut buffer = [0; 1024];
        for _ in 0..count {
            self.write(&[7; 64]).await;
            assert_eq!(self.read(&mut buffer).await, 64);
        }
    }
}

#[test]
fn an_echo_round_trip_takes_six_system_calls() {
    let _alone = alone();
    const WARM_UP: u64 = 1_000;
    const ROUND_TRIPS: u64 = 10_000;
    for workers in [1, 2] {
        let runtime = runtime(workers);
        let (before, after, calls) = run(&runtime, async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let server = go(async move {
                let mut stream = Counted::new(listener.accept().await.unwrap().0);
                let mut buffer = [0; 1024];
                loop {
                    match stream.read(&mut buffer).await {
                        0 => return stream.calls,
                        length => stream.write(&buffer[..length]).await,
                    }
                }
            });
            let mut client = Counted::new(TcpStream::connect(address).await.unwrap());
            client.round_trips(WARM_UP).await;
            let before = counters();
            client.round_trips(ROUND_TRIPS).await;
            let after = counters();
            let calls = client.calls;
            drop(client);
            (before, after, calls + server.await.unwrap())
        });
        assert_eq!(after.registrations, before.registrations, "no epoll_ctl per operation");
        // Of all round trips; the last read is the end of the stream.
        let attempts = (calls - 1) * ROUND_TRIPS / (WARM_UP + ROUND_TRIPS);
        let waits = after.polls - before.polls;
        let notifies = after.notifies - before.notifies;
        let each = (attempts + waits + notifies) as f64 / ROUND_TRIPS as f64;
        println!(
            "{workers} workers: {each:.4} system calls a round trip ({attempts} reads and writes, {waits} waits, \
             {notifies} notifications)"
        );
        assert!(each <= 6.1, "{each}");
    }
}

#[test]
fn a_connection_is_registered_once_and_waited_for_seldom() {
    let _alone = alone();
    const CONNECTIONS: u64 = 500;
    let runtime = runtime(1);
    let (before, after) = run(&runtime, async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let before = counters();
        for _ in 0..CONNECTIONS {
            let client = TcpStream::connect(address).await.unwrap();
            drop((listener.accept().await.unwrap(), client));
        }
        (before, counters())
    });
    let (registrations, waits) = (after.registrations - before.registrations, after.polls - before.polls);
    println!("{registrations} registrations and {waits} waits for {CONNECTIONS} connections");
    // One to begin and one to end, at each end.
    assert_eq!(registrations, 4 * CONNECTIONS);
    // On loopback both ends are ready when they are asked for.
    assert!(waits <= CONNECTIONS / 10, "{waits}");
}

#[test]
fn a_lone_sleep_takes_one_system_call() {
    let _alone = alone();
    const SLEEPS: u64 = 2_000;
    for workers in [1, 2] {
        let runtime = runtime(workers);
        let (before, after) = run(&runtime, async {
            for _ in 0..100 {
                sleep(Duration::from_micros(50)).await;
            }
            let before = counters();
            for _ in 0..SLEEPS {
                sleep(Duration::from_micros(50)).await;
            }
            (before, counters())
        });
        let (waits, notifies) = (after.polls - before.polls, after.notifies - before.notifies);
        println!("{workers} workers: {waits} waits and {notifies} notifications for {SLEEPS} sleeps");
        assert_eq!(notifies, 0, "nobody is told what this thread computes itself");
        assert!(waits as f64 <= SLEEPS as f64 * 1.05);
    }
}

#[test]
fn a_runtime_at_rest_rests() {
    let _alone = alone();
    let runtime = runtime(2);
    run(&runtime, async {
        for _ in 0..1_000 {
            drop(go(std::future::pending::<()>()));
        }
        // Let them all be polled.
        while num_goroutines() < 1_001 {
            gorust_scheduler::yield_now().await;
        }
        sleep(Duration::from_millis(50)).await;
    });
    // The monitor looks on for a while, and then goes to sleep itself.
    std::thread::park_timeout(Duration::from_secs(1));
    let before = usage();
    std::thread::park_timeout(Duration::from_secs(5));
    let after = usage();
    let (cpu_us, switches) = (after.0 - before.0, after.1 - before.1);
    println!("5 s with 1,000 parked goroutines: {cpu_us} us of CPU, {switches} context switches");
    assert!(cpu_us < 1_000, "{cpu_us} us");
    assert!(switches < 20, "{switches}");
}

//! TCP over loopback with both ends in one runtime.

use crate::{
    meter::{Meter, Report},
    peer::{Clock, Net},
    process::{Config, Row},
};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// The rows of a peer with sockets and a clock.
pub fn rows<P: Net + Clock>() -> Vec<Row> {
    vec![
        ("echo_1", |config| echo::<P>(config, 1, 30_000)),
        ("echo_100", |config| echo::<P>(config, 100, 1_000)),
        ("writes_64k", writes_64k::<P>),
        ("connect", connect::<P>),
        ("low_load", low_load::<P>),
    ]
}

const MESSAGE: usize = 64;

/// Accepts connections for ever, a task each, and sends back what comes.
async fn echo_server<P: Net>(listener: P::Listener) {
    loop {
        let mut stream = P::accept(&listener).await;
        P::detach(async move {
            let mut buffer = [0; MESSAGE];
            loop {
                match P::read(&mut stream, &mut buffer).await {
                    0 => break,
                    count => P::write_all(&mut stream, &buffer[..count]).await,
                }
            }
        });
    }
}

/// Starts an echo server and connects to it.
async fn echoed<P: Net>(connections: usize) -> Vec<P::Stream> {
    let listener = P::listen().await;
    let address = P::address(&listener);
    P::detach(echo_server::<P>(listener));
    let mut streams = Vec::with_capacity(connections);
    for _ in 0..connections {
        streams.push(P::connect(address).await);
    }
    streams
}

async fn round_trips<P: Net>(stream: &mut P::Stream, count: usize) {
    let mut buffer = [0; MESSAGE];
    for i in 0..count {
        let message = [i as u8; MESSAGE];
        P::write_all(stream, &message).await;
        P::read_exact(stream, &mut buffer).await;
        assert_eq!(buffer, message);
    }
}

fn echo<P: Net>(config: Config, connections: usize, trips: usize) -> Report {
    async fn clients<P: Net>(streams: Vec<P::Stream>, trips: usize) -> Vec<P::Stream> {
        let handles: Vec<_> = streams
            .into_iter()
            .map(|mut stream| {
                P::spawn(async move {
                    round_trips::<P>(&mut stream, trips).await;
                    stream
                })
            })
            .collect();
        let mut streams = Vec::with_capacity(handles.len());
        for handle in handles {
            streams.push(handle.await);
        }
        streams
    }
    let trips = config.count(trips);
    P::start(config.workers).run(async move {
        let streams = echoed::<P>(connections).await;
        let streams = clients::<P>(streams, trips.div_ceil(10)).await;
        let meter = Meter::start();
        let streams = clients::<P>(streams, trips).await;
        let span = meter.stop();
        assert_eq!(streams.len(), connections);
        span.us_each(connections * trips)
    })
}

fn writes_64k<P: Net>(config: Config) -> Report {
    const CHUNK: usize = 64 * 1024;
    async fn transfer<P: Net>(listener: &P::Listener, chunks: usize) {
        let address = P::address(listener);
        let writer = P::spawn(async move {
            let chunk = vec![7u8; CHUNK];
            let mut stream = P::connect(address).await;
            for _ in 0..chunks {
                P::write_all(&mut stream, &chunk).await;
            }
        });
        let mut stream = P::accept(listener).await;
        let mut buffer = vec![0; CHUNK];
        let mut total = 0;
        loop {
            match P::read(&mut stream, &mut buffer).await {
                0 => break,
                count => total += count,
            }
        }
        writer.await;
        assert_eq!(total, chunks * CHUNK);
        assert_eq!(buffer[0], 7);
    }
    let chunks = config.count(3_000_000_000 / CHUNK);
    P::start(config.workers).run(async move {
        let listener = P::listen().await;
        transfer::<P>(&listener, chunks.div_ceil(20)).await;
        let meter = Meter::start();
        transfer::<P>(&listener, chunks).await;
        let span = meter.stop();
        span.report((chunks * CHUNK) as f64 / span.wall.as_nanos() as f64)
    })
}

fn connect<P: Net>(config: Config) -> Report {
    const CLIENTS: usize = 4;
    async fn server<P: Net>(listener: P::Listener) {
        loop {
            let mut stream = P::accept(&listener).await;
            P::detach(async move {
                let mut byte = [0];
                P::read_exact(&mut stream, &mut byte).await;
                assert_eq!(byte, [42]);
            });
        }
    }
    async fn clients<P: Net>(address: SocketAddr, each: usize) {
        let handles: [_; CLIENTS] = std::array::from_fn(|_| {
            P::spawn(async move {
                for _ in 0..each {
                    let mut stream = P::connect(address).await;
                    P::write_all(&mut stream, &[42]).await;
                    assert_eq!(P::read(&mut stream, &mut [0]).await, 0, "the server closes");
                }
            })
        });
        for handle in handles {
            handle.await;
        }
    }
    let each = config.count(4_000 / CLIENTS);
    P::start(config.workers).run(async move {
        let listener = P::listen().await;
        let address = P::address(&listener);
        P::detach(server::<P>(listener));
        clients::<P>(address, each.div_ceil(10)).await;
        let meter = Meter::start();
        clients::<P>(address, each).await;
        meter.stop().us_each(CLIENTS * each)
    })
}

fn low_load<P: Net + Clock>(config: Config) -> Report {
    const PERIOD: Duration = Duration::from_millis(10);
    const SLEEPERS: u32 = 10;
    const CONNECTIONS: u32 = 5;
    /// Waits for this task's turn to begin; then when its next `count` periods end.
    async fn beats<P: Clock>(
        start: Instant,
        index: u32,
        of: u32,
        count: usize,
    ) -> impl Iterator<Item = Instant> {
        let first = start + PERIOD * index / of;
        P::sleep_until(first).await;
        (1..=count as u32).map(move |beat| first + PERIOD * beat)
    }
    async fn periods<P: Net + Clock>(streams: Vec<P::Stream>, count: usize) -> Vec<P::Stream> {
        let start = Instant::now();
        let sleepers: Vec<_> = (0..SLEEPERS)
            .map(|index| {
                P::spawn(async move {
                    for beat in beats::<P>(start, index, SLEEPERS, count).await {
                        P::sleep_until(beat).await;
                    }
                })
            })
            .collect();
        let clients: Vec<_> = (0..)
            .zip(streams)
            .map(|(index, mut stream)| {
                P::spawn(async move {
                    for beat in beats::<P>(start, index, CONNECTIONS, count).await {
                        P::sleep_until(beat).await;
                        round_trips::<P>(&mut stream, 1).await;
                    }
                    stream
                })
            })
            .collect();
        for sleeper in sleepers {
            sleeper.await;
        }
        let mut streams = Vec::new();
        for client in clients {
            streams.push(client.await);
        }
        streams
    }
    let count = config.count(1_000);
    P::start(config.workers).run(async move {
        let streams = echoed::<P>(CONNECTIONS as usize).await;
        let streams = periods::<P>(streams, count.div_ceil(10)).await;
        let meter = Meter::start();
        let streams = periods::<P>(streams, count).await;
        let span = meter.stop();
        assert_eq!(streams.len(), CONNECTIONS as usize);
        span.report(span.cpu.as_secs_f64() * 1e3 / span.wall.as_secs_f64())
    })
}

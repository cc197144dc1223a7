//! TCP as a user meets it, with both ends in this process.

use futures_util::{
    FutureExt, StreamExt,
    future::{join, join_all},
    io::{AsyncReadExt, AsyncWriteExt, copy},
};
use gorust_os::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use gorust_reactor::time::{Duration, timeout};
use gorust_scheduler::{block_on, go};
use std::{
    io::{self, ErrorKind, IoSlice, IoSliceMut},
    task::{Context, Waker},
};

async fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (client, server) = join(TcpStream::connect(listener.local_addr()?), listener.accept()).await;
    Ok((client?, server?.0))
}

#[test]
fn many_clients_are_echoed_by_a_goroutine_each() {
    const CLIENTS: usize = 50;
    const BYTES: usize = 100_000;
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = go(async move {
            let mut incoming = listener.incoming().take(CLIENTS);
            let mut echoed = Vec::new();
            while let Some(stream) = incoming.next().await {
                let stream = stream.unwrap();
                echoed.push(go(async move { copy(&stream, &mut &stream).await.unwrap() }));
            }
            let mut total = 0;
            for echo in echoed {
                total += echo.await.unwrap();
            }
            total
        });
        let clients = (0..CLIENTS).map(|number| {
            go(async move {
                let stream = TcpStream::connect(address).await.unwrap();
                let sent: Vec<u8> = (0..BYTES).map(|at| (at * 7 + number) as u8).collect();
                let mut received = Vec::new();
                let writes = async {
                    (&stream).write_all(&sent).await.unwrap();
                    (&stream).close().await.unwrap();
                };
                join(writes, (&stream).read_to_end(&mut received)).await.1.unwrap();
                assert!(received == sent, "client {number}");
            })
        });
        for client in join_all(clients).await {
            client.unwrap();
        }
        assert_eq!(server.await.unwrap(), (CLIENTS * BYTES) as u64);
    });
}

#[test]
fn both_ends_send_small_writes_at_once() {
    block_on(async {
        let (client, server) = pair().await.unwrap();
        assert!(client.nodelay().unwrap() && server.nodelay().unwrap());
        server.set_nodelay(false).unwrap();
        assert!(!server.nodelay().unwrap());
        let std = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listener = TcpListener::try_from(std).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        assert!(listener.accept().await.unwrap().0.nodelay().unwrap());
    });
}

#[test]
fn an_accepted_connection_costs_one_registration() {
    // A reactor of its own, so that the counters are ours.
    let reactor = gorust_reactor::Reactor::open(gorust_reactor::Clock::Real).unwrap();
    let _entered = gorust_reactor::enter(reactor, gorust_reactor::Reactor::FOREIGN);
    let listener = TcpListener::bind("127.0.0.1:0").now_or_never().expect("nothing to wait for").unwrap();
    let clients: Vec<_> =
        (0..10).map(|_| std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap()).collect();
    assert_eq!(reactor.counters().registrations, 1);
    let accepted: Vec<_> =
        clients.iter().map(|_| listener.accept().now_or_never().expect("one is there").unwrap()).collect();
    let counters = reactor.counters();
    assert_eq!((counters.registrations, counters.polls), (1 + 10, 0), "{counters:?}");
    drop((accepted, listener));
    assert_eq!(reactor.counters().sources, 0);
    reactor.close();
}

#[test]
fn what_was_sent_before_the_end_is_read_before_the_end() {
    block_on(async {
        for _ in 0..100 {
            let (mut client, mut server) = pair().await.unwrap();
            go(async move {
                client.write_all(b"last words").await.unwrap();
            });
            let mut buffer = [0; 64];
            let mut seen = Vec::new();
            loop {
                match server.read(&mut buffer).await.unwrap() {
                    0 => break,
                    count => seen.extend_from_slice(&buffer[..count]),
                }
            }
            assert_eq!(seen, b"last words");
        }
    });
}

#[test]
fn nothing_to_read_into_is_read_at_once() {
    block_on(async {
        let (mut client, _server) = pair().await.unwrap();
        assert_eq!(client.read(&mut []).await.unwrap(), 0);
        assert_eq!(client.read_vectored(&mut []).await.unwrap(), 0);
    });
}

#[test]
fn slices_arrive_in_order() {
    block_on(async {
        let (mut client, mut server) = pair().await.unwrap();
        let sent = client.write_vectored(&[IoSlice::new(b"one"), IoSlice::new(b"two")]).await.unwrap();
        assert_eq!(sent, 6);
        let (mut first, mut second) = ([0; 2], [0; 10]);
        let read = server
            .read_vectored(&mut [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)])
            .await
            .unwrap();
        assert_eq!((read, &first, &second[..4]), (6, b"on", &b"etwo"[..]));
    });
}

#[test]
fn peeking_and_trying_take_what_they_say() {
    block_on(async {
        let (mut client, mut server) = pair().await.unwrap();
        let mut buffer = [0; 8];
        assert_eq!(server.try_read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        // What waits and is dropped takes nothing.
        let short = Duration::from_millis(1);
        assert!(timeout(short, server.peek(&mut buffer)).await.is_err());
        assert!(timeout(short, server.read(&mut buffer)).await.is_err());
        assert!(timeout(short, server.readable()).await.is_err());
        client.write_all(b"abc").await.unwrap();
        server.readable().await.unwrap();
        assert_eq!(server.peek(&mut buffer).await.unwrap(), 3);
        assert_eq!(server.try_read(&mut buffer).unwrap(), 3);
        assert_eq!(&buffer[..3], b"abc");
        assert_eq!(server.try_read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        client.writable().await.unwrap();
        assert_eq!(client.try_write(b"d").unwrap(), 1);
        assert_eq!(server.read(&mut buffer).await.unwrap(), 1);
    });
}

#[test]
fn a_refused_connection_says_so() {
    block_on(async {
        let address = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap()
        };
        let error = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let error = TcpStream::connect("no port here").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let error = TcpStream::connect(&[] as &[SocketAddr]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn the_next_address_is_tried_when_one_refuses() {
    block_on(async {
        let refuses = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listens = listener.local_addr().unwrap();
        let stream = TcpStream::connect(&[refuses, listens][..]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), listens);
        // The name may stand for ::1 too, where nobody listens.
        TcpStream::connect(("localhost", listens.port())).await.unwrap();
    });
}

#[test]
fn a_dropped_accept_takes_no_connection_along() {
    block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener.accept());
        assert!(timeout(Duration::from_millis(1), listener.accept()).await.is_err());
        let mut waiting = Box::pin(listener.accept());
        assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let client = TcpStream::connect(address).await.unwrap();
        drop(waiting);
        assert_eq!(listener.accept().await.unwrap().1, client.local_addr().unwrap());
    });
}

#[test]
fn several_goroutines_accept_from_one_listener() {
    block_on(async {
        let listener = std::sync::Arc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
        let address = listener.local_addr().unwrap();
        let acceptors: Vec<_> = (0..8)
            .map(|_| {
                let listener = std::sync::Arc::clone(&listener);
                go(async move { listener.accept().await.unwrap().1 })
            })
            .collect();
        let mut clients = Vec::new();
        for _ in 0..8 {
            clients.push(TcpStream::connect(address).await.unwrap());
        }
        let mut accepted = Vec::new();
        for acceptor in acceptors {
            accepted.push(acceptor.await.unwrap());
        }
        let mut expected: Vec<_> = clients.iter().map(|client| client.local_addr().unwrap()).collect();
        accepted.sort_unstable();
        expected.sort_unstable();
        assert_eq!(accepted, expected);
    });
}

#[test]
fn dropping_the_write_half_ends_the_stream_and_reading_goes_on() {
    block_on(async {
        let (client, mut server) = pair().await.unwrap();
        let (mut reader, mut writer) = client.into_split();
        writer.write_all(b"question").await.unwrap();
        drop(writer);
        let mut text = String::new();
        server.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "question");
        server.write_all(b"answer").await.unwrap();
        server.shutdown(Shutdown::Write).unwrap();
        text.clear();
        reader.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "answer");
    });
}

#[test]
fn halves_of_different_streams_do_not_unite() {
    block_on(async {
        let (client, server) = pair().await.unwrap();
        let address = client.local_addr().unwrap();
        let ((client_reads, client_writes), (server_reads, server_writes)) =
            (client.into_split(), server.into_split());
        let mixed = client_reads.reunite(server_writes).unwrap_err();
        assert_eq!(mixed.to_string(), "halves of two different streams");
        let mut client = mixed.0.reunite(client_writes).unwrap();
        let server = server_reads.reunite(mixed.1).unwrap();
        assert_eq!(client.local_addr().unwrap(), address);
        // Neither end was shut down on the way.
        client.write_all(b"x").await.unwrap();
        assert_eq!((&server).read(&mut [0; 4]).await.unwrap(), 1);
    });
}

#[test]
fn a_peer_that_is_gone_fails_the_writes() {
    block_on(async {
        let (mut client, server) = pair().await.unwrap();
        server.set_linger(Some(Duration::ZERO)).unwrap();
        assert_eq!(server.linger().unwrap(), Some(Duration::ZERO));
        drop(server);
        let error = loop {
            if let Err(error) = client.write_all(&[0; 1024]).await {
                break error;
            }
        };
        assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
    });
}

#[test]
fn sockets_serve_a_thread_that_knows_no_runtime() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let server = std::thread::spawn(move || {
        block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            copy(&stream, &mut &stream).await.unwrap()
        })
    });
    let address = receiver.recv().unwrap();
    block_on(async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"over").await.unwrap();
        stream.close().await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "over");
    });
    assert_eq!(server.join().unwrap(), 4);
}

/// One system call takes 1,024 slices at most; more of them must not look like a call that came up short.
#[test]
fn more_slices_than_one_call_takes_are_all_carried() {
    const SLICES: usize = 3_000;
    const ROUNDS: usize = 20;
    let runtime = gorust_scheduler::runtime::Builder::new().workers(1).build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let writer = gorust_scheduler::go(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let chunk = [7_u8; 16];
            let mut written = 0;
            while written < SLICES * chunk.len() * ROUNDS {
                written += stream.write_vectored(&vec![IoSlice::new(&chunk); SLICES]).await.unwrap();
            }
            stream.close().await.unwrap();
            written
        });
        let mut stream = TcpStream::connect(address).await.unwrap();
        let (mut memory, mut read) = (vec![[0_u8; 16]; SLICES], 0);
        loop {
            let mut slices: Vec<_> = memory.iter_mut().map(|chunk| IoSliceMut::new(chunk)).collect();
            match stream.read_vectored(&mut slices).await.unwrap() {
                0 => break,
                length => read += length,
            }
        }
        assert_eq!(read, writer.await.unwrap());
    });
}

//! Descriptors and their readiness, on every way of waiting this system has.

mod common;

use common::{BACKENDS, Count, Driven, block_on, tcp_pair};
use gorust_reactor::{Async, Backend, Clock, Wait};
use std::{
    future::poll_fn,
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    sync::Arc,
    task::{Context, Poll},
};

/// Runs `test` with a reactor of each kind.
fn everywhere(test: impl Fn(&mut Driven)) {
    for backend in BACKENDS {
        println!("{backend:?}");
        test(&mut Driven::new(backend));
    }
}

fn pair() -> (Async<TcpStream>, TcpStream) {
    let (ours, theirs) = tcp_pair().unwrap();
    (Async::new(ours).unwrap(), theirs)
}

/// Reads as a stream does, by the method that trusts short reads.
async fn read(io: &Async<TcpStream>, buffer: &mut [u8]) -> io::Result<usize> {
    poll_fn(|cx| io.poll_read_stream(cx, buffer.len(), |mut io| io.read(buffer))).await
}

async fn write(io: &Async<TcpStream>, bytes: &[u8]) -> io::Result<usize> {
    poll_fn(|cx| io.poll_write_stream(cx, bytes.len(), |mut io| io.write(bytes))).await
}

#[test]
fn data_and_fin_before_the_first_wait_are_both_seen() {
    everywhere(|driven| {
        let (ours, mut theirs) = pair();
        theirs.write_all(b"abc").unwrap();
        drop(theirs);
        driven.run(async {
            let mut buffer = [0; 16];
            assert_eq!(read(&ours, &mut buffer).await.unwrap(), 3);
            assert_eq!(read(&ours, &mut buffer).await.unwrap(), 0, "the end hides behind the short read");
            assert_eq!(read(&ours, &mut buffer).await.unwrap(), 0, "the end does not go away");
        });
    });
}

#[test]
fn data_and_fin_in_one_event_are_both_seen() {
    everywhere(|driven| {
        let (ours, mut theirs) = pair();
        let mut buffer = [0; 16];
        let waiting = Count::new();
        let mut first = ours.read_with(|mut io| io.read(&mut buffer));
        assert!(waiting.poll(&mut first).is_pending());
        theirs.write_all(b"abc").unwrap();
        theirs.shutdown(Shutdown::Write).unwrap();
        driven.settle();
        assert_eq!(waiting.woken(), 1);
        assert!(matches!(waiting.poll(&mut first), Poll::Ready(Ok(3))));
        drop(first);
        driven.run(async {
            assert_eq!(read(&ours, &mut buffer).await.unwrap(), 0);
        });
    });
}

#[test]
fn an_echo_round_trip_makes_six_calls() {
    let mut driven = Driven::new(Backend::Native);
    let (client, server) = tcp_pair().unwrap();
    let (client, server) = (Async::new(client).unwrap(), Async::new(server).unwrap());
    const ROUNDS: u64 = 100;
    let calls = std::cell::Cell::new(0_u64);
    // One end: reads and writes 64 bytes in turn.
    let end = async |io: &Async<TcpStream>, mut writes: bool| {
        let mut buffer = [0; 256];
        for _ in 0..ROUNDS * 2 {
            let moved = if writes {
                poll_fn(|cx| {
                    io.poll_write_stream(cx, 64, |mut io| {
                        calls.set(calls.get() + 1);
                        io.write(&[7; 64])
                    })
                })
                .await
            } else {
                poll_fn(|cx| {
                    io.poll_read_stream(cx, 256, |mut io| {
                        calls.set(calls.get() + 1);
                        io.read(&mut buffer)
                    })
                })
                .await
            };
            assert_eq!(moved.unwrap(), 64);
            writes = !writes;
        }
    };
    driven.run(join(end(&client, true), end(&server, false)));
    let counters = driven.reactor.counters();
    println!("{} calls and {counters:?}", calls.get());
    // The first read of each end finds nothing: it did not know yet.
    assert!(calls.get() <= ROUNDS * 4 + 2, "{} calls", calls.get());
    assert!(counters.polls <= ROUNDS * 2, "{counters:?}");
    assert_eq!((counters.registrations, counters.notifies), (2, 0));
}

#[test]
fn bytes_keep_their_order_through_a_small_buffer() {
    everywhere(|driven| {
        let (client, server) = tcp_pair().unwrap();
        let (client, server) = (Async::new(client).unwrap(), Async::new(server).unwrap());
        const TOTAL: usize = 3 << 20;
        let writer = async {
            let chunk: Vec<u8> = (0..=250).cycle().take(251 * 1000).collect();
            let mut sent = 0;
            while sent < TOTAL {
                let from = sent % 251;
                let rest = chunk.len().min(TOTAL - sent + from);
                sent += write(&client, &chunk[from..rest]).await.unwrap();
            }
            client.get_ref().shutdown(Shutdown::Write).unwrap();
        };
        let reader = async {
            let (mut buffer, mut seen) = (vec![0; 60_000], 0_usize);
            loop {
                let count = read(&server, &mut buffer).await.unwrap();
                if count == 0 {
                    return seen;
                }
                for &byte in &buffer[..count] {
                    assert_eq!(usize::from(byte), seen % 251);
                    seen += 1;
                }
            }
        };
        assert_eq!(driven.run(join(writer, reader)).1, TOTAL);
    });
}

/// Both, in one task.
async fn join<A, B>(first: impl Future<Output = A>, second: impl Future<Output = B>) -> (A, B) {
    let (mut first, mut second) = (Box::pin(first), Box::pin(second));
    let (mut a, mut b) = (None, None);
    poll_fn(move |cx| {
        if a.is_none()
            && let Poll::Ready(output) = first.as_mut().poll(cx)
        {
            a = Some(output);
        }
        if b.is_none()
            && let Poll::Ready(output) = second.as_mut().poll(cx)
        {
            b = Some(output);
        }
        match (a.take(), b.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (left, right) => {
                (a, b) = (left, right);
                Poll::Pending
            }
        }
    })
    .await
}

#[test]
fn every_task_that_waits_for_a_direction_is_woken() {
    everywhere(|driven| {
        let (ours, mut theirs) = pair();
        let named: Vec<_> = (0..5).map(|_| Count::new()).collect();
        let mut futures: Vec<_> = named.iter().map(|_| ours.readable()).collect();
        let nameless: Vec<_> = (0..5).map(|_| Count::new()).collect();
        for (count, future) in named.iter().zip(&mut futures) {
            assert!(count.poll(future).is_pending());
        }
        for count in &nameless {
            assert!(ours.poll_readable(&mut Context::from_waker(&count.waker())).is_pending());
        }
        let writer = Count::new();
        driven.settle();
        assert!(named.iter().chain(&nameless).all(|count| count.woken() == 0));
        theirs.write_all(b"x").unwrap();
        driven.settle();
        for count in named.iter().chain(&nameless) {
            assert_eq!(count.woken(), 1);
        }
        for (count, future) in named.iter().zip(&mut futures) {
            assert!(count.poll(future).is_ready());
        }
        assert!(ours.poll_writable(&mut Context::from_waker(&writer.waker())).is_ready());
    });
}

#[test]
fn a_waiting_future_that_is_dropped_leaves_nothing_behind() {
    everywhere(|driven| {
        let (ours, mut theirs) = pair();
        let (stays, goes, never_polled) = (Count::new(), Count::new(), Count::new());
        let mut staying = ours.readable();
        let mut going = ours.read_with(|mut io| io.read(&mut [0; 8]));
        drop(ours.readable());
        assert!(goes.poll(&mut going).is_pending());
        assert!(stays.poll(&mut staying).is_pending());
        assert_eq!(Arc::strong_count(&goes), 2);
        drop(going);
        assert_eq!(Arc::strong_count(&goes), 1, "its waker is still in the list");
        theirs.write_all(b"x").unwrap();
        driven.settle();
        assert_eq!((stays.woken(), goes.woken(), never_polled.woken()), (1, 0, 0));
        // Dropped after it was woken: the byte is still there for the next.
        drop(staying);
        assert_eq!(driven.run(ours.read_with(|mut io| io.read(&mut [0; 8]))).unwrap(), 1);
    });
}

#[test]
fn a_task_that_polls_again_is_woken_once() {
    everywhere(|driven| {
        let (ours, mut theirs) = pair();
        let (first, second) = (Count::new(), Count::new());
        let mut future = ours.readable();
        assert!(first.poll(&mut future).is_pending());
        assert!(first.poll(&mut future).is_pending());
        // It moved to another task.
        assert!(second.poll(&mut future).is_pending());
        theirs.write_all(b"x").unwrap();
        driven.settle();
        assert_eq!((first.woken(), second.woken()), (0, 1));
    });
}

#[test]
fn many_nameless_wakers_are_asked_whether_they_still_wait() {
    everywhere(|driven| {
        let (ours, mut theirs) = pair();
        let gone: Vec<_> = (0..200).map(|_| Count::new()).collect();
        for count in &gone {
            assert!(ours.poll_readable(&mut Context::from_waker(&count.waker())).is_pending());
        }
        let kept = gone.iter().filter(|count| Arc::strong_count(count) > 1).count();
        assert!(kept <= 150, "{kept} wakers of tasks that never come back");
        theirs.write_all(b"x").unwrap();
        driven.settle();
        assert!(gone.iter().all(|count| count.woken() == 1), "each was woken, early or by the event");
        assert!(gone.iter().all(|count| Arc::strong_count(count) == 1));
    });
}

#[test]
fn a_full_socket_waits_until_it_is_drained() {
    everywhere(|driven| {
        let (ours, mut theirs) = pair();
        let waiting = Count::new();
        let chunk = vec![1; 1 << 16];
        let mut sent = 0;
        let waker = waiting.waker();
        let mut cx = Context::from_waker(&waker);
        while let Poll::Ready(result) =
            ours.poll_write_stream(&mut cx, chunk.len(), |mut io| io.write(&chunk))
        {
            sent += result.unwrap();
        }
        driven.settle();
        assert_eq!(waiting.woken(), 0);
        let mut drained = 0;
        let mut buffer = vec![0; 1 << 20];
        theirs.set_nonblocking(true).unwrap();
        while drained < sent {
            match theirs.read(&mut buffer) {
                Ok(count) => drained += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
        }
        driven.turn(Wait::Until(None));
        driven.settle();
        assert_eq!(waiting.woken(), 1);
        assert!(ours.poll_writable(&mut cx).is_ready());
    });
}

#[test]
fn an_event_of_a_closed_source_does_not_reach_the_next_in_its_slot() {
    everywhere(|driven| {
        let (ours, mut theirs) = pair();
        let waiting = Count::new();
        assert!(ours.poll_readable(&mut Context::from_waker(&waiting.waker())).is_pending());
        // It lives on in a second descriptor, so that only the end of the registration can silence it.
        let alive = ours.get_ref().try_clone().unwrap();
        theirs.write_all(b"x").unwrap();
        drop(ours);
        assert_eq!(Arc::strong_count(&waiting), 1, "the waker of the closed source is gone");
        let (next, _peer) = pair();
        let next_waiting = Count::new();
        assert!(next.poll_readable(&mut Context::from_waker(&next_waiting.waker())).is_pending());
        driven.settle();
        assert_eq!((waiting.woken(), next_waiting.woken()), (0, 0));
        assert_eq!(driven.reactor.counters().sources, 1);
        drop(alive);
    });
}

#[test]
fn closing_the_reactor_wakes_who_waits_and_fails_what_follows() {
    everywhere(|driven| {
        let (ours, _theirs) = pair();
        let (named, nameless) = (Count::new(), Count::new());
        let mut future = ours.readable();
        assert!(named.poll(&mut future).is_pending());
        assert!(ours.poll_readable(&mut Context::from_waker(&nameless.waker())).is_pending());
        driven.reactor.close();
        assert_eq!((named.woken(), nameless.woken()), (1, 1));
        let Poll::Ready(Err(error)) = named.poll(&mut future) else { panic!("it did not fail") };
        assert_eq!(error.kind(), ErrorKind::NotConnected);
        assert!(error.to_string().contains("shut down"), "{error}");
        let mut late = ours.writable();
        assert!(matches!(named.poll(&mut late), Poll::Ready(Err(_))));
    });
}

#[test]
fn a_connection_is_writable_when_it_stands_and_when_it_fails() {
    everywhere(|driven| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        for (open, refused) in [(Some(listener), false), (None, true)] {
            let socket = rustix::net::socket_with(
                rustix::net::AddressFamily::INET,
                rustix::net::SocketType::STREAM,
                rustix::net::SocketFlags::NONBLOCK | rustix::net::SocketFlags::CLOEXEC,
                None,
            )
            .unwrap();
            let begun = rustix::net::connect(&socket, &address);
            assert!(matches!(begun, Ok(()) | Err(rustix::io::Errno::INPROGRESS)), "{begun:?}");
            let stream = Async::from_nonblocking(TcpStream::from(socket)).unwrap();
            driven.run(stream.writable()).unwrap();
            assert_eq!(stream.get_ref().take_error().unwrap().is_some(), refused);
            drop(open);
        }
    });
}

#[test]
fn what_cannot_be_waited_for_is_refused_and_costs_no_slot() {
    let driven = Driven::new(Backend::Native);
    let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    assert!(Async::from_nonblocking(file).is_err());
    assert_eq!(driven.reactor.counters().sources, 0);
}

#[test]
fn virtual_time_refuses_real_descriptors() {
    let _driven = Driven::with_clock(Clock::Virtual, Backend::Native);
    let (ours, _theirs) = tcp_pair().unwrap();
    let error = Async::new(ours).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("real"), "{error}");
}

#[test]
fn into_inner_ends_the_registration_and_keeps_the_descriptor() {
    everywhere(|driven| {
        let (ours, mut theirs) = pair();
        let mut ours = ours.into_inner();
        assert_eq!(driven.reactor.counters().sources, 0);
        theirs.write_all(b"y").unwrap();
        ours.set_nonblocking(false).unwrap();
        let mut byte = [0];
        ours.read_exact(&mut byte).unwrap();
        // It can be registered again.
        drop(Async::new(ours).unwrap());
    });
}

#[test]
fn thousands_of_sources_find_their_events() {
    everywhere(|driven| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut ends = Vec::new();
        for _ in 0..300 {
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            ends.push((Async::new(listener.accept().unwrap().0).unwrap(), client));
        }
        let counts: Vec<_> = ends.iter().map(|_| Count::new()).collect();
        for ((ours, _), count) in ends.iter().zip(&counts) {
            assert!(ours.poll_readable(&mut Context::from_waker(&count.waker())).is_pending());
        }
        driven.settle();
        for (number, (_, theirs)) in ends.iter_mut().enumerate() {
            if number % 3 == 0 {
                theirs.write_all(b"z").unwrap();
            }
        }
        driven.settle();
        for (number, count) in counts.iter().enumerate() {
            assert_eq!(count.woken(), usize::from(number % 3 == 0), "source {number}");
        }
    });
}

#[test]
fn without_a_runtime_a_thread_of_its_own_drives_the_sockets() {
    let (ours, mut theirs) = tcp_pair().unwrap();
    let ours = Async::new(ours).unwrap();
    let writer = std::thread::spawn(move || {
        theirs.write_all(b"hello").unwrap();
        theirs
    });
    let mut buffer = [0; 8];
    assert_eq!(block_on(read(&ours, &mut buffer)).unwrap(), 5);
    drop(writer.join().unwrap());
    assert_eq!(block_on(read(&ours, &mut buffer)).unwrap(), 0);
}

//! No runtime at all: one thread, one epoll instance, both ends of one connection. The floor under the echo row.
//!
//! Each turn waits, then reads and answers on whichever end has something: six system calls a round trip. A reference,
//! not a contender: it has no tasks.

use gorust_benches::{
    meter::{Meter, Report},
    process::{self, Config},
};
use std::{
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    os::fd::AsRawFd,
};

fn main() {
    process::run("epoll", &[("echo_1", echo_1)], std::env::args().skip(1));
}

const MESSAGE: usize = 64;
const CLIENT: u64 = 0;
const SERVER: u64 = 1;

struct Epoll(i32);

impl Epoll {
    fn new() -> Self {
        // SAFETY: takes no pointer.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        assert!(fd >= 0, "epoll_create1");
        Self(fd)
    }

    fn add(&self, stream: &TcpStream, token: u64) {
        let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLET) as u32, u64: token };
        // SAFETY: both descriptors are open, and `event` is a valid event for the length of the call.
        let outcome = unsafe { libc::epoll_ctl(self.0, libc::EPOLL_CTL_ADD, stream.as_raw_fd(), &mut event) };
        assert_eq!(outcome, 0, "epoll_ctl");
    }

    /// Waits for events; the token of the one that came, as the two ends take turns.
    fn wait(&self) -> u64 {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 8];
        // SAFETY: `events` has room for the 8 events asked for.
        let count = unsafe { libc::epoll_wait(self.0, events.as_mut_ptr(), 8, -1) };
        assert_eq!(count, 1, "one end at a time has something to read");
        events[0].u64
    }
}

fn echo_1(config: Config) -> Report {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    let epoll = Epoll::new();
    for (stream, token) in [(&client, CLIENT), (&server, SERVER)] {
        stream.set_nodelay(true).unwrap();
        stream.set_nonblocking(true).unwrap();
        epoll.add(stream, token);
    }
    let trips = |count: usize| {
        let mut buffer = [0; MESSAGE];
        for i in 0..count {
            let message = [i as u8; MESSAGE];
            (&client).write_all(&message).unwrap();
            assert_eq!(epoll.wait(), SERVER);
            read(&server, &mut buffer);
            (&server).write_all(&buffer).unwrap();
            assert_eq!(epoll.wait(), CLIENT);
            read(&client, &mut buffer);
            assert_eq!(buffer, message);
        }
    };
    let count = config.count(30_000);
    trips(count.div_ceil(10));
    let meter = Meter::start();
    trips(count);
    meter.stop().us_each(count)
}

/// Reads one message; a loopback connection delivers it in one piece.
fn read(mut stream: &TcpStream, buffer: &mut [u8; MESSAGE]) {
    match stream.read(buffer) {
        Ok(count) => assert_eq!(count, MESSAGE),
        Err(error) if error.kind() == ErrorKind::WouldBlock => unreachable!("epoll reported it"),
        Err(error) => panic!("{error}"),
    }
}

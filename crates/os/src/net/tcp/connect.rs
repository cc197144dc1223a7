//! How a [`TcpStream`] comes to stand: look up, try one address after the other.

use super::{TcpStream, no_address, socket};
use crate::net::{Addrs, Lookup, SocketAddr};
use gorust_primitives::current::{Reason, waits};
use gorust_reactor::Async;
use std::{
    future::Future,
    io,
    panic::Location,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// Connects to a host; made by [`TcpStream::connect`].
#[must_use = "futures do nothing unless polled"]
#[derive(Debug)]
pub struct Connect {
    state: State,
    at: &'static Location<'static>,
}

#[derive(Debug)]
enum State {
    Resolving(Lookup),
    Trying {
        addresses: Addrs,
        /// The one that is being tried.
        attempt: Option<Async<std::net::TcpStream>>,
        last_error: Option<io::Error>,
    },
}

impl Connect {
    pub(super) fn new(lookup: Lookup, at: &'static Location<'static>) -> Self {
        Self { state: State::Resolving(lookup), at }
    }
}

impl Future for Connect {
    type Output = io::Result<TcpStream>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            match &mut this.state {
                State::Resolving(lookup) => {
                    let addresses = ready!(Pin::new(lookup).poll(cx))?;
                    this.state = State::Trying { addresses, attempt: None, last_error: None };
                }
                State::Trying { addresses, attempt, last_error } => {
                    let Some(connecting) = attempt else {
                        let Some(address) = addresses.next() else {
                            return Poll::Ready(Err(last_error.take().unwrap_or_else(no_address)));
                        };
                        match begin(address) {
                            Ok(begun) => *attempt = Some(begun),
                            Err(error) => *last_error = Some(error),
                        }
                        continue;
                    };
                    let Poll::Ready(ended) = connecting.poll_writable(cx) else {
                        waits(Reason::IoWait, this.at);
                        return Poll::Pending;
                    };
                    // How it ended is in the socket: an error is pending, or it is connected.
                    let error = ended.and_then(|()| connecting.get_ref().take_error());
                    let connected = attempt.take();
                    match (error, connected) {
                        (Ok(None), Some(stream)) => return Poll::Ready(TcpStream::connected(stream)),
                        (Ok(error), _) => *last_error = error,
                        (Err(error), _) => *last_error = Some(error),
                    }
                }
            }
        }
    }
}

/// Begins to connect, without waiting.
fn begin(address: SocketAddr) -> io::Result<Async<std::net::TcpStream>> {
    let socket = socket(address)?;
    match socket.connect(&address.into()) {
        Ok(()) => {}
        Err(error) if in_progress(&error) => {}
        Err(error) => return Err(error),
    }
    Async::from_nonblocking(socket.into())
}

/// Whether connecting goes on in the background. An interrupted call does, too.
fn in_progress(error: &io::Error) -> bool {
    let in_progress = rustix::io::Errno::INPROGRESS.raw_os_error();
    error.raw_os_error() == Some(in_progress) || error.kind() == io::ErrorKind::Interrupted
}

//! From what a user writes to socket addresses. Literals are parsed on the spot; names go to the system's
//! resolver, which blocks, in a blocking job.

use gorust_primitives::current::{Reason, waits};
use gorust_scheduler::{JoinHandle, spawn_blocking};
use std::{
    future::Future,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    panic::Location,
    pin::Pin,
    task::{Context, Poll},
};

/// What can be turned into socket addresses: an address, a list of them, `"host:port"`, `("host", port)`.
///
/// The counterpart of [`std::net::ToSocketAddrs`], which blocks the thread where a name must be looked up. IP
/// literals need no looking up. The trait cannot be implemented elsewhere.
///
/// # Examples
///
/// ```
/// use gorust_os::net::{Ipv6Addr, TcpListener};
///
/// # gorust_scheduler::block_on(async {
/// TcpListener::bind("127.0.0.1:0").await?;
/// TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.ok();
/// TcpListener::bind("localhost:0").await?;
/// # Ok::<(), std::io::Error>(())
/// # }).unwrap();
/// ```
pub trait ToSocketAddrs: sealed::ToTarget {}

impl<T: sealed::ToTarget + ?Sized> ToSocketAddrs for T {}

/// What has to be done to get the addresses.
#[derive(Debug)]
pub(super) enum Target {
    Known(Vec<SocketAddr>),
    Name(String, u16),
    Invalid(&'static str),
}

mod sealed {
    /// The work of [`ToSocketAddrs`](super::ToSocketAddrs), out of reach for others.
    #[allow(unnameable_types, reason = "this is what seals the trait")]
    pub trait ToTarget {
        #[allow(private_interfaces, reason = "this is what seals the trait")]
        fn to_target(&self) -> super::Target;
    }
}

/// Implements the trait for types that are addresses already.
macro_rules! known {
    ($($type:ty),*) => {$(
        impl sealed::ToTarget for $type {
            #[allow(private_interfaces, reason = "as in the trait")]
            fn to_target(&self) -> Target {
                Target::Known(vec![SocketAddr::from(*self)])
            }
        }
    )*};
}

known!(SocketAddr, SocketAddrV4, SocketAddrV6, (IpAddr, u16), (Ipv4Addr, u16), (Ipv6Addr, u16));

/// Implements the trait for types by a function of a reference to them.
macro_rules! by {
    ($($type:ty => $function:expr),* $(,)?) => {$(
        impl sealed::ToTarget for $type {
            #[allow(private_interfaces, reason = "as in the trait")]
            fn to_target(&self) -> Target {
                $function(self)
            }
        }
    )*};
}

by! {
    [SocketAddr] => |addresses: &[SocketAddr]| Target::Known(addresses.to_vec()),
    (&str, u16) => |&(host, port): &(&str, u16)| host_and_port(host, port),
    (String, u16) => |(host, port): &(String, u16)| host_and_port(host, *port),
    str => host_colon_port,
    String => |text: &String| host_colon_port(text),
}

impl<T: sealed::ToTarget + ?Sized> sealed::ToTarget for &T {
    #[allow(private_interfaces, reason = "as in the trait")]
    fn to_target(&self) -> Target {
        (**self).to_target()
    }
}

fn host_and_port(host: &str, port: u16) -> Target {
    match host.parse::<IpAddr>() {
        Ok(ip) => Target::Known(vec![SocketAddr::new(ip, port)]),
        Err(_) => Target::Name(host.to_owned(), port),
    }
}

fn host_colon_port(text: &str) -> Target {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Target::Known(vec![address]);
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return Target::Invalid("an address is written host:port");
    };
    match port.parse() {
        Ok(port) => Target::Name(host.to_owned(), port),
        Err(_) => Target::Invalid("a port is a number from 0 to 65535"),
    }
}

/// Looks up a host's addresses.
///
/// # Errors
///
/// If the address is malformed, or the system knows no such name.
///
/// # Cancel safety
///
/// Strict. Dropped before the first poll it has asked nobody; dropped while waiting the answer is thrown away when
/// it comes.
///
/// # Go
///
/// `net.LookupHost`, with a port.
///
/// # Examples
///
/// ```
/// # gorust_scheduler::block_on(async {
/// let addresses = gorust_os::net::lookup_host("localhost:80").await?;
/// assert!(addresses.into_iter().all(|address| address.ip().is_loopback()));
/// # Ok::<(), std::io::Error>(())
/// # }).unwrap();
/// ```
#[track_caller]
pub fn lookup_host(host: impl ToSocketAddrs) -> Lookup {
    Lookup::new(host.to_target())
}

/// The addresses of a host; see [`lookup_host`].
#[derive(Clone, Debug)]
pub struct Addrs(std::vec::IntoIter<SocketAddr>);

impl Iterator for Addrs {
    type Item = SocketAddr;

    fn next(&mut self) -> Option<SocketAddr> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Addrs {}

/// Looks up a host's addresses; made by [`lookup_host`].
#[must_use = "futures do nothing unless polled"]
#[derive(Debug)]
pub struct Lookup {
    state: State,
    at: &'static Location<'static>,
}

#[derive(Debug)]
enum State {
    New(Target),
    Asked(JoinHandle<io::Result<Vec<SocketAddr>>>),
    Done,
}

impl Lookup {
    #[track_caller]
    pub(super) fn new(target: Target) -> Self {
        Self { state: State::New(target), at: Location::caller() }
    }
}

impl Future for Lookup {
    type Output = io::Result<Addrs>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mut job = match std::mem::replace(&mut this.state, State::Done) {
            State::New(Target::Known(addresses)) => return Poll::Ready(Ok(Addrs(addresses.into_iter()))),
            State::New(Target::Invalid(text)) => {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidInput, text)));
            }
            State::New(Target::Name(host, port)) => spawn_blocking(move || {
                std::net::ToSocketAddrs::to_socket_addrs(&(host.as_str(), port)).map(Iterator::collect)
            }),
            State::Asked(job) => job,
            State::Done => panic!("`Lookup` polled after it was ready"),
        };
        match Pin::new(&mut job).poll(cx) {
            Poll::Ready(Ok(found)) => {
                Poll::Ready(found.map(|addresses: Vec<_>| Addrs(addresses.into_iter())))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(io::Error::other(error))),
            Poll::Pending => {
                this.state = State::Asked(job);
                waits(Reason::IoWait, this.at);
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{sealed::ToTarget, *};

    #[test]
    fn literals_need_no_looking_up() {
        for text in ["127.0.0.1:80", "[::1]:80"] {
            assert!(matches!(text.to_target(), Target::Known(known) if known[0].port() == 80), "{text}");
        }
        assert!(matches!(("::1", 1).to_target(), Target::Known(_)));
        assert!(matches!((Ipv4Addr::LOCALHOST, 1).to_target(), Target::Known(_)));
        assert!(matches!("localhost:80".to_target(), Target::Name(host, 80) if host == "localhost"));
        for text in ["localhost", "localhost:http", "localhost:99999"] {
            assert!(matches!(text.to_target(), Target::Invalid(_)), "{text}");
        }
    }
}

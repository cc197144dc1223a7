//! [`TcpListener`]: accepting connections, and what to do when there are no descriptors left for them.

use super::{TcpStream, no_address, socket};
use crate::net::{Lookup, ToSocketAddrs, lookup_host};
use futures_core::Stream;
use gorust_primitives::shim::{AtomicU64, Ordering};
use gorust_reactor::{
    Async, ReadWith,
    clock::Instant,
    time::{Sleep, sleep_until},
};
use std::{
    fmt,
    future::Future,
    io,
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

/// A socket that accepts TCP connections.
///
/// # Go
///
/// `net.TCPListener`.
///
/// # Examples
///
/// ```
/// use futures_util::io::{AsyncReadExt, AsyncWriteExt};
/// use gorust_os::net::{TcpListener, TcpStream};
/// use gorust_scheduler::go;
///
/// # gorust_scheduler::block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let address = listener.local_addr()?;
/// go(async move {
///     while let Ok((mut stream, _peer)) = listener.accept().await {
///         go(async move { stream.write_all(b"hello").await });
///     }
/// });
/// let mut text = String::new();
/// TcpStream::connect(address).await?.read_to_string(&mut text).await?;
/// assert_eq!(text, "hello");
/// # Ok::<(), std::io::Error>(())
/// # }).unwrap();
/// ```
pub struct TcpListener {
    io: Async<std::net::TcpListener>,
    pause: Pause,
}

/// As many connections may wait to be accepted as the system allows: it caps this number.
const BACKLOG: i32 = i32::MAX;

impl TcpListener {
    /// Listens at an address; at the first that works, if there are several. Port 0 lets the system choose one.
    ///
    /// A port that an earlier process has just left can be taken again at once. Accepted connections have
    /// `TCP_NODELAY` set.
    ///
    /// # Errors
    ///
    /// If the address is malformed or unknown, in use, or not this machine's.
    ///
    /// # Cancel safety
    ///
    /// Strict: dropped at any time it listens nowhere.
    ///
    /// # Go
    ///
    /// `net.Listen("tcp", address)`.
    ///
    /// # Examples
    ///
    /// ```
    /// # gorust_scheduler::block_on(async {
    /// let listener = gorust_os::net::TcpListener::bind("127.0.0.1:0").await?;
    /// assert_ne!(listener.local_addr()?.port(), 0);
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    #[track_caller]
    pub fn bind(address: impl ToSocketAddrs) -> Bind {
        Bind(lookup_host(address))
    }

    fn listen(address: SocketAddr) -> io::Result<Self> {
        let socket = socket(address)?;
        socket.set_reuse_address(true)?;
        // On Linux accepted sockets inherit it: one call for all of them.
        socket.set_tcp_nodelay(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(Self { io: Async::from_nonblocking(socket.into())?, pause: Pause::default() })
    }

    /// Accepts a connection, waiting for one.
    ///
    /// Connections that their peers gave up while they waited are passed over.
    ///
    /// # Errors
    ///
    /// What the system says; the listener lives on. Where descriptors or memory have run out, the next call waits
    /// before it tries again: 5 ms, then twice as long each time, up to a second. A loop that only counts errors
    /// is then no busy loop.
    ///
    /// # Cancel safety
    ///
    /// Strict. Dropped before the first poll or while waiting it has accepted nothing; a connection that was
    /// accepted is returned in the same poll.
    ///
    /// # Fairness
    ///
    /// Several tasks may accept at once. A connection wakes all of them, and one gets it.
    ///
    /// # Go
    ///
    /// `Listener.Accept`. The pause is that of Go's `http.Server`, for every caller.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_os::net::{TcpListener, TcpStream};
    /// # gorust_scheduler::block_on(async {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let client = TcpStream::connect(listener.local_addr()?).await?;
    /// let (server, peer) = listener.accept().await?;
    /// assert_eq!(peer, client.local_addr()?);
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    #[track_caller]
    pub fn accept(&self) -> Accept<'_> {
        let accept: fn(&std::net::TcpListener) -> io::Result<Accepted> = accept;
        Accept { listener: self, pause: None, accepting: self.io.read_with(accept) }
    }

    /// Returns the connections as a stream, which never ends.
    ///
    /// An error is an item, and the stream goes on after it, as [`accept`](Self::accept) says.
    ///
    /// # Cancel safety
    ///
    /// Strict, as `accept`.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_util::StreamExt;
    /// # use gorust_os::net::{TcpListener, TcpStream};
    ///
    /// # gorust_scheduler::block_on(async {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let _client = TcpStream::connect(listener.local_addr()?).await?;
    /// let first = listener.incoming().next().await.unwrap()?;
    /// assert!(first.nodelay()?);
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    #[track_caller]
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming(self.accept())
    }

    /// Returns the address it listens at.
    ///
    /// # Errors
    ///
    /// What the system says.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_os::net::{TcpListener, TcpStream};
    /// # gorust_scheduler::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// assert!(listener.local_addr()?.ip().is_loopback());
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().local_addr()
    }

    /// Returns how many hops packets of its connections may make.
    ///
    /// # Errors
    ///
    /// What the system says.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_os::net::{TcpListener, TcpStream};
    /// # gorust_scheduler::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// assert!(listener.ttl()? > 0);
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn ttl(&self) -> io::Result<u32> {
        self.io.get_ref().ttl()
    }

    /// Sets how many hops packets of its connections may make.
    ///
    /// # Errors
    ///
    /// What the system says.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_os::net::{TcpListener, TcpStream};
    /// # gorust_scheduler::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// listener.set_ttl(7)?;
    /// assert_eq!(listener.ttl()?, 7);
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.io.get_ref().set_ttl(ttl)
    }

    /// Takes the error that is pending on the socket, if there is one.
    ///
    /// # Errors
    ///
    /// What the system says.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_os::net::{TcpListener, TcpStream};
    /// # gorust_scheduler::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// assert!(listener.take_error()?.is_none());
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.io.get_ref().take_error()
    }

    /// Returns std's type, still in non-blocking mode.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_os::net::TcpListener;
    /// # gorust_scheduler::block_on(async {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let std = listener.into_std();
    /// let again = TcpListener::try_from(std)?;
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn into_std(self) -> std::net::TcpListener {
        self.io.into_inner()
    }
}

impl TryFrom<std::net::TcpListener> for TcpListener {
    type Error = io::Error;

    /// Takes over a listener of std's. Its connections have `TCP_NODELAY` set, as everywhere here.
    fn try_from(listener: std::net::TcpListener) -> io::Result<Self> {
        socket2::SockRef::from(&listener).set_tcp_nodelay(true)?;
        Ok(Self { io: Async::new(listener)?, pause: Pause::default() })
    }
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

impl AsRawFd for TcpListener {
    fn as_raw_fd(&self) -> RawFd {
        self.io.get_ref().as_raw_fd()
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.io.get_ref().fmt(f)
    }
}

/// Begins to listen; made by [`TcpListener::bind`].
#[must_use = "futures do nothing unless polled"]
#[derive(Debug)]
pub struct Bind(Lookup);

impl Future for Bind {
    type Output = io::Result<TcpListener>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut last_error = None;
        for address in ready!(Pin::new(&mut self.0).poll(cx))? {
            match TcpListener::listen(address) {
                Ok(listener) => return Poll::Ready(Ok(listener)),
                Err(error) => last_error = Some(error),
            }
        }
        Poll::Ready(Err(last_error.unwrap_or_else(no_address)))
    }
}

type Accepted = (std::net::TcpStream, SocketAddr);

/// Accepts a connection; made by [`TcpListener::accept`].
#[must_use = "futures do nothing unless polled"]
#[derive(Debug)]
pub struct Accept<'a> {
    listener: &'a TcpListener,
    pause: Option<Sleep>,
    accepting: ReadWith<'a, std::net::TcpListener, fn(&std::net::TcpListener) -> io::Result<Accepted>>,
}

impl Future for Accept<'_> {
    type Output = io::Result<(TcpStream, SocketAddr)>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let pause = &this.listener.pause;
        if this.pause.is_none() {
            this.pause = pause.until().map(sleep_until);
        }
        if let Some(sleep) = &mut this.pause {
            ready!(Pin::new(sleep).poll(cx));
            this.pause = None;
        }
        match ready!(Pin::new(&mut this.accepting).poll(cx)) {
            Ok((stream, peer)) => {
                pause.end();
                Poll::Ready(TcpStream::accepted(stream).map(|stream| (stream, peer)))
            }
            Err(error) => {
                if is_exhaustion(&error) {
                    pause.begin();
                }
                Poll::Ready(Err(error))
            }
        }
    }
}

/// The connections of a listener; made by [`TcpListener::incoming`].
#[must_use = "streams do nothing unless polled"]
#[derive(Debug)]
pub struct Incoming<'a>(Accept<'a>);

impl Stream for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let accepted = ready!(Pin::new(&mut self.0).poll(cx));
        Poll::Ready(Some(accepted.map(|(stream, _)| stream)))
    }
}

/// Accepts one connection, in non-blocking mode, in one system call.
#[cfg(not(target_vendor = "apple"))]
fn accept_once(listener: &std::net::TcpListener) -> io::Result<Accepted> {
    use rustix::net::{SocketFlags, acceptfrom_with};
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (stream, peer) = acceptfrom_with(listener, flags)?;
    let peer = peer.ok_or(io::ErrorKind::InvalidData)?;
    Ok((stream.into(), SocketAddr::try_from(peer)?))
}

#[cfg(target_vendor = "apple")]
fn accept_once(listener: &std::net::TcpListener) -> io::Result<Accepted> {
    let (stream, peer) = listener.accept()?;
    stream.set_nonblocking(true)?;
    Ok((stream, peer))
}

/// Accepts one connection that its peer has not given up.
fn accept(listener: &std::net::TcpListener) -> io::Result<Accepted> {
    loop {
        match accept_once(listener) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            result => return result,
        }
    }
}

/// Whether the system has run out of what a connection needs: trying again at once would be a busy loop.
fn is_exhaustion(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let exhaustion = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    exhaustion.into_iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// When accepting may be tried again, after the system ran out of something.
#[derive(Debug, Default)]
struct Pause {
    /// On the clock, in nanoseconds; 0 while all is well. Written after `delay_ns` by whoever failed last.
    until_ns: AtomicU64,
    delay_ns: AtomicU64,
}

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl Pause {
    /// When the next call may try; `None` if it may at once.
    #[inline]
    fn until(&self) -> Option<Instant> {
        // Ordering: Relaxed here and below, a hint how long to wait. Two tasks that fail at once may double the
        // pause twice.
        match self.until_ns.load(Ordering::Relaxed) {
            0 => None,
            ns => Some(Instant::from_ns(ns)),
        }
    }

    fn begin(&self) {
        let doubled = Duration::from_nanos(self.delay_ns.load(Ordering::Relaxed)) * 2;
        let delay = doubled.clamp(FIRST_PAUSE, LONGEST_PAUSE);
        self.delay_ns.store(delay.as_nanos() as u64, Ordering::Relaxed);
        self.until_ns.store(Instant::now().saturating_add(delay).as_ns(), Ordering::Relaxed);
    }

    #[inline]
    fn end(&self) {
        // Written only if it changes something: several tasks may accept at once.
        if self.until().is_some() {
            self.until_ns.store(0, Ordering::Relaxed);
            self.delay_ns.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_up_to_a_second_and_ends_with_a_connection() {
        let pause = Pause::default();
        assert_eq!(pause.until(), None);
        for expected in [5, 10, 20, 40, 80, 160, 320, 640, 1_000, 1_000] {
            pause.begin();
            let delay = pause.until().unwrap() - Instant::now();
            let expected = Duration::from_millis(expected);
            assert!(delay <= expected && delay > expected / 2, "{delay:?} instead of {expected:?}");
        }
        pause.end();
        assert_eq!(pause.until(), None);
        pause.begin();
        assert!(pause.until().unwrap() <= Instant::now() + FIRST_PAUSE);
    }
}

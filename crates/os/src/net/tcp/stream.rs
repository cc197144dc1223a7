//! [`TcpStream`]: a connection. How it is made is in `connect` and `listener`, its halves are in `split`.

use super::{Connect, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf, split};
use crate::net::{Shutdown, ToSocketAddrs, lookup_host};
use futures_io::{AsyncRead, AsyncWrite};
use gorust_primitives::current::{Reason, waits};
use gorust_reactor::{Async, Readable, Writable};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::{
    fmt,
    future::Future,
    io::{self, IoSlice, IoSliceMut, Read, Write},
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    panic::Location,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

/// A TCP connection.
///
/// It is read and written by the traits of `futures-io`, through `&mut TcpStream` or, from several tasks at once,
/// through `&TcpStream`. Dropping it closes the connection. `TCP_NODELAY` is set from the start.
///
/// # Cancel safety
///
/// A read that is dropped has taken nothing, a write that is dropped has sent nothing: both do their work in the
/// poll in which they become ready. What builds on them (`read_exact`, `write_all`) loses count of what it did.
///
/// # Go
///
/// `net.TCPConn`. Go's reads and writes serialise concurrent callers; here bytes of two concurrent writers may mix.
///
/// # Examples
///
/// ```
/// use futures_util::io::{AsyncReadExt, AsyncWriteExt};
/// use gorust_os::net::{TcpListener, TcpStream};
///
/// # gorust_scheduler::block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let mut client = TcpStream::connect(listener.local_addr()?).await?;
/// let (mut server, _) = listener.accept().await?;
/// client.write_all(b"one line\n").await?;
/// client.close().await?;
/// let mut text = String::new();
/// server.read_to_string(&mut text).await?;
/// assert_eq!(text, "one line\n");
/// # Ok::<(), std::io::Error>(())
/// # }).unwrap();
/// ```
pub struct TcpStream {
    io: Async<std::net::TcpStream>,
}

impl TcpStream {
    /// Connects to a host: to the first of its addresses that answers, tried in turn.
    ///
    /// # Errors
    ///
    /// If the address is malformed or unknown, or that of the last address that was tried.
    ///
    /// # Cancel safety
    ///
    /// Strict: dropped at any time, there is no connection.
    ///
    /// # Go
    ///
    /// `net.Dial("tcp", address)`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_os::net::{TcpListener, TcpStream};
    /// # gorust_scheduler::block_on(async {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let stream = TcpStream::connect(("localhost", listener.local_addr()?.port())).await?;
    /// assert_eq!(stream.peer_addr()?, listener.local_addr()?);
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    #[track_caller]
    pub fn connect(address: impl ToSocketAddrs) -> Connect {
        Connect::new(lookup_host(address), Location::caller())
    }

    /// A connection that has just come to stand.
    pub(super) fn connected(io: Async<std::net::TcpStream>) -> io::Result<Self> {
        io.get_ref().set_nodelay(true)?;
        Ok(Self { io })
    }

    /// A connection from a listener that has `TCP_NODELAY` set.
    pub(super) fn accepted(stream: std::net::TcpStream) -> io::Result<Self> {
        #[cfg(not(target_os = "linux"))]
        stream.set_nodelay(true)?;
        Ok(Self { io: Async::from_nonblocking(stream)? })
    }

    /// Returns the address of this end.
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
    /// # let client = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (server, _) = listener.accept().await?;
    /// assert_eq!(client.local_addr()?, server.peer_addr()?);
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().local_addr()
    }

    /// Returns the address of the other end.
    ///
    /// # Errors
    ///
    /// What the system says: the connection may be gone.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_os::net::{TcpListener, TcpStream};
    /// # gorust_scheduler::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let client = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (server, _) = listener.accept().await?;
    /// assert_eq!(server.peer_addr()?, client.local_addr()?);
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().peer_addr()
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`). They are, unless
    /// [`set_nodelay`](Self::set_nodelay) says otherwise.
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
    /// # let client = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (server, _) = listener.accept().await?;
    /// assert!(client.nodelay()? && server.nodelay()?);
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn nodelay(&self) -> io::Result<bool> {
        self.io.get_ref().nodelay()
    }

    /// Says whether small writes are sent at once; otherwise they wait until there is more, or until the peer has
    /// acknowledged what is on its way.
    ///
    /// # Errors
    ///
    /// What the system says.
    ///
    /// # Go
    ///
    /// `TCPConn.SetNoDelay`; on by default in Go, too.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_os::net::{TcpListener, TcpStream};
    /// # gorust_scheduler::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let client = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (server, _) = listener.accept().await?;
    /// client.set_nodelay(false)?;
    /// assert!(!client.nodelay()?);
    /// # drop(server);
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.io.get_ref().set_nodelay(nodelay)
    }

    /// Returns how many hops packets may make.
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
    /// # let client = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (server, _) = listener.accept().await?;
    /// assert!(client.ttl()? > 0);
    /// # drop(server);
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn ttl(&self) -> io::Result<u32> {
        self.io.get_ref().ttl()
    }

    /// Sets how many hops packets may make.
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
    /// # let client = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (server, _) = listener.accept().await?;
    /// client.set_ttl(7)?;
    /// assert_eq!(client.ttl()?, 7);
    /// # drop(server);
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.io.get_ref().set_ttl(ttl)
    }

    /// Returns how long closing waits for what is not yet sent; `None` if it is sent in the background.
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
    /// # let client = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (server, _) = listener.accept().await?;
    /// assert_eq!(client.linger()?, None);
    /// # drop(server);
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        socket2::SockRef::from(&self.io).linger()
    }

    /// Sets what becomes of unsent bytes when the connection is dropped. With zero they are thrown away and the peer
    /// sees a reset; a longer time blocks the thread that drops it.
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
    /// # let client = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (server, _) = listener.accept().await?;
    /// use std::time::Duration;
    ///
    /// client.set_linger(Some(Duration::ZERO))?;
    /// assert_eq!(client.linger()?, Some(Duration::ZERO));
    /// # drop(server);
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        socket2::SockRef::from(&self.io).set_linger(linger)
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
    /// # let client = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (server, _) = listener.accept().await?;
    /// assert!(client.take_error()?.is_none());
    /// # drop(server);
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.io.get_ref().take_error()
    }

    /// Ends reading, writing or both, on this connection and everything split from it.
    ///
    /// The end of writing is the end of the stream for the peer, after all that was written.
    ///
    /// # Errors
    ///
    /// What the system says: [`io::ErrorKind::NotConnected`] if the connection is gone.
    ///
    /// # Go
    ///
    /// `TCPConn.CloseRead` and `CloseWrite`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_os::net::{TcpListener, TcpStream};
    /// # gorust_scheduler::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let client = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut server, _) = listener.accept().await?;
    /// use futures_util::io::AsyncReadExt;
    /// use std::net::Shutdown;
    ///
    /// client.shutdown(Shutdown::Write)?;
    /// assert_eq!(server.read(&mut [0; 8]).await?, 0, "the end of the stream");
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.io.get_ref().shutdown(how)
    }

    /// Waits until there is something to read, or the end of the stream.
    ///
    /// # Errors
    ///
    /// If the runtime that drives the connection was shut down.
    ///
    /// # Cancel safety
    ///
    /// Strict: it takes nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # use futures_util::io::AsyncWriteExt;
    /// # use gorust_os::net::{TcpListener, TcpStream};
    /// # gorust_scheduler::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut client = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (server, _) = listener.accept().await?;
    /// client.write_all(b"x").await?;
    /// server.readable().await?;
    /// assert_eq!(server.try_read(&mut [0; 8])?, 1);
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    #[track_caller]
    pub fn readable(&self) -> Ready<'_> {
        Ready(Side::Read(self.io.readable()))
    }

    /// Waits until something can be written, or writing has become pointless.
    ///
    /// # Errors
    ///
    /// If the runtime that drives the connection was shut down.
    ///
    /// # Cancel safety
    ///
    /// Strict: it writes nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_os::net::{TcpListener, TcpStream};
    /// # gorust_scheduler::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let client = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (server, _) = listener.accept().await?;
    /// client.writable().await?;
    /// assert_eq!(client.try_write(b"x")?, 1);
    /// # drop(server);
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    #[track_caller]
    pub fn writable(&self) -> Ready<'_> {
        Ready(Side::Write(self.io.writable()))
    }

    /// Reads what is there.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] if nothing is there, or what the system says.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_os::net::{TcpListener, TcpStream};
    /// # gorust_scheduler::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let client = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (server, _) = listener.accept().await?;
    /// use std::io::ErrorKind;
    ///
    /// assert_eq!(server.try_read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
    /// # drop(client);
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.io.try_read_with(|stream| receive(stream, buffer))
    }

    /// Writes what fits.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] if nothing fits, or what the system says.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_os::net::{TcpListener, TcpStream};
    /// # gorust_scheduler::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let client = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (server, _) = listener.accept().await?;
    /// assert_eq!(client.try_write(b"abc")?, 3);
    /// # drop(server);
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.io.try_write_with(|stream| transmit(stream, bytes))
    }

    /// Reads without taking: the next read gives the same bytes again. Waits until there is at least one byte;
    /// zero is the end of the stream.
    ///
    /// # Errors
    ///
    /// What the system says.
    ///
    /// # Cancel safety
    ///
    /// Strict: it takes nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # use futures_util::io::{AsyncReadExt, AsyncWriteExt};
    /// # use gorust_os::net::{TcpListener, TcpStream};
    /// # gorust_scheduler::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut client = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut server, _) = listener.accept().await?;
    /// client.write_all(b"GET").await?;
    /// let mut first = [0; 1];
    /// assert_eq!(server.peek(&mut first).await?, 1);
    /// let mut all = [0; 3];
    /// server.read_exact(&mut all).await?;
    /// assert_eq!((&first, &all), (b"G", b"GET"));
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    #[track_caller]
    pub fn peek<'a>(&'a self, buffer: &'a mut [u8]) -> Peek<'a> {
        Peek { stream: self, buffer, at: Location::caller() }
    }

    /// Splits into two halves that borrow the stream, for two tasks of one scope.
    ///
    /// # Examples
    ///
    /// ```
    /// # use futures_util::io::{AsyncReadExt, AsyncWriteExt, copy};
    /// # use gorust_os::net::{TcpListener, TcpStream};
    /// # gorust_scheduler::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut client = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut server, _) = listener.accept().await?;
    /// client.write_all(b"echo").await?;
    /// client.close().await?;
    /// let (reader, mut writer) = server.split();
    /// assert_eq!(copy(reader, &mut writer).await?, 4);
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        split::borrowed(self)
    }

    /// Splits into two halves that share the connection, for two goroutines. Dropping the write half ends writing.
    ///
    /// # Examples
    ///
    /// ```
    /// # use futures_util::io::{AsyncReadExt, AsyncWriteExt};
    /// # use gorust_os::net::{TcpListener, TcpStream};
    /// # gorust_scheduler::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let client = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut server, _) = listener.accept().await?;
    /// let (reader, mut writer) = client.into_split();
    /// gorust_scheduler::go(async move { writer.write_all(b"to the end").await });
    /// let mut text = String::new();
    /// server.read_to_string(&mut text).await?;
    /// assert_eq!(text, "to the end");
    /// # drop(reader);
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        split::owned(self)
    }

    /// Returns std's type, still in non-blocking mode.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_os::net::{TcpListener, TcpStream};
    /// # gorust_scheduler::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let client = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (server, _) = listener.accept().await?;
    /// let std: std::net::TcpStream = client.into_std();
    /// let again = TcpStream::try_from(std)?;
    /// # drop((server, again));
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn into_std(self) -> std::net::TcpStream {
        self.io.into_inner()
    }

    #[inline]
    fn shared(&self) -> &Self {
        self
    }
}

impl TryFrom<std::net::TcpStream> for TcpStream {
    type Error = io::Error;

    /// Takes over a connection of std's, as it is: `TCP_NODELAY` is not touched.
    fn try_from(stream: std::net::TcpStream) -> io::Result<Self> {
        Ok(Self { io: Async::new(stream)? })
    }
}

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

impl AsRawFd for TcpStream {
    fn as_raw_fd(&self) -> RawFd {
        self.io.get_ref().as_raw_fd()
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.io.get_ref().fmt(f)
    }
}

impl AsyncRead for &TcpStream {
    #[inline]
    #[track_caller]
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.io.poll_read_stream(cx, buffer.len(), |stream| receive(stream, buffer))
    }

    #[inline]
    #[track_caller]
    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        match buffers.iter().take(MAX_SLICES).map(|buffer| buffer.len()).sum() {
            0 => Poll::Ready(Ok(0)),
            wanted => self.io.poll_read_stream(cx, wanted, |mut stream| stream.read_vectored(buffers)),
        }
    }
}

/// One call takes no more slices than this (Linux's `IOV_MAX`), and says nothing of the others: a full transfer of so
/// many is no short one.
const MAX_SLICES: usize = 1024;

impl AsyncWrite for &TcpStream {
    #[inline]
    #[track_caller]
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.io.poll_write_stream(cx, bytes.len(), |stream| transmit(stream, bytes))
    }

    #[inline]
    #[track_caller]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wanted = slices.iter().take(MAX_SLICES).map(|slice| slice.len()).sum();
        self.io.poll_write_stream(cx, wanted, |mut stream| stream.write_vectored(slices))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Ends writing; reading goes on.
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match self.shutdown(Shutdown::Write) {
            // The peer has ended everything before us.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        })
    }
}

/// As std's `read`, without the detour through libc, whose every call of this kind is a point at which a thread might
/// be cancelled.
#[inline]
fn receive(stream: &std::net::TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    let (_, count) = recv(stream, buffer, RecvFlags::empty())?;
    Ok(count)
}

/// As std's `write`, likewise. A peer that is gone is an error, not a signal.
#[inline]
fn transmit(stream: &std::net::TcpStream, bytes: &[u8]) -> io::Result<usize> {
    Ok(send(stream, bytes, SendFlags::NOSIGNAL)?)
}

/// Implements reading for a type by what it gives out as a `&TcpStream`.
macro_rules! reads_by {
    ($type:ty, $stream:ident) => {
        impl AsyncRead for $type {
            #[inline]
            #[track_caller]
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.$stream()).poll_read(cx, buffer)
            }

            #[inline]
            #[track_caller]
            fn poll_read_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.$stream()).poll_read_vectored(cx, buffers)
            }
        }
    };
}

/// Implements writing for a type by what it gives out as a `&TcpStream`.
macro_rules! writes_by {
    ($type:ty, $stream:ident) => {
        impl AsyncWrite for $type {
            #[inline]
            #[track_caller]
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.$stream()).poll_write(cx, bytes)
            }

            #[inline]
            #[track_caller]
            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                slices: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.$stream()).poll_write_vectored(cx, slices)
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut self.$stream()).poll_flush(cx)
            }

            /// Ends writing; reading goes on.
            fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut self.$stream()).poll_close(cx)
            }
        }
    };
}

pub(super) use {reads_by, writes_by};

reads_by!(TcpStream, shared);
writes_by!(TcpStream, shared);

/// Waits for one direction of a connection; made by [`TcpStream::readable`] and [`TcpStream::writable`].
#[must_use = "futures do nothing unless polled"]
#[derive(Debug)]
pub struct Ready<'a>(Side<'a>);

#[derive(Debug)]
enum Side<'a> {
    Read(Readable<'a, std::net::TcpStream>),
    Write(Writable<'a, std::net::TcpStream>),
}

impl Future for Ready<'_> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Side::Read(readable) => Pin::new(readable).poll(cx),
            Side::Write(writable) => Pin::new(writable).poll(cx),
        }
    }
}

/// Reads without taking; made by [`TcpStream::peek`].
#[must_use = "futures do nothing unless polled"]
#[derive(Debug)]
pub struct Peek<'a> {
    stream: &'a TcpStream,
    buffer: &'a mut [u8],
    at: &'static Location<'static>,
}

impl Future for Peek<'_> {
    type Output = io::Result<usize>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let peeked = this.stream.io.poll_read_with(cx, |stream| stream.peek(this.buffer));
        if peeked.is_pending() {
            waits(Reason::IoWait, this.at);
        }
        peeked
    }
}

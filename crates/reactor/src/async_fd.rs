//! [`Async`]: a descriptor of any kind, made to wait without blocking. The kinds gorust knows by name (sockets)
//! are built on it in another crate; what is known of a descriptor is in `source`.

use crate::{
    current,
    source::{Direction, Ready, Source, WaiterKey, shut_down},
};
use gorust_primitives::current::{Reason, poll_proceed, waits};
use std::{
    fmt,
    future::Future,
    io,
    os::fd::{AsFd, BorrowedFd},
    panic::Location,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// A descriptor that is waited for by the reactor: a socket, a pipe, an inotify or timer descriptor; not a file.
///
/// It works on any thread and under any executor. Any number of tasks may wait in either direction at once; an
/// event wakes all of them. Dropping it ends the registration and then drops, and so closes, what is inside.
///
/// The descriptor is edge-triggered: only calls made through [`read_with`](Self::read_with) and its like tell the
/// reactor that nothing more is there.
///
/// # Examples
///
/// ```
/// use gorust_reactor::Async;
/// use std::{io::Read, io::Write, os::unix::net::UnixStream};
///
/// let (ours, mut theirs) = UnixStream::pair()?;
/// let ours = Async::new(ours)?;
/// std::thread::spawn(move || theirs.write_all(b"hello"));
/// let mut buffer = [0; 16];
/// let read = futures::executor::block_on(ours.read_with(|mut stream| stream.read(&mut buffer)))?;
/// assert!(b"hello".starts_with(&buffer[..read]));
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Async<T: AsFd> {
    /// `None` only while it is being taken apart.
    io: Option<T>,
    source: Source,
}

impl<T: AsFd> Async<T> {
    /// Puts the descriptor into non-blocking mode and registers it.
    ///
    /// # Errors
    ///
    /// If the system cannot wait for it (a regular file), if it is already registered, if the runtime is being shut
    /// down, or if time is virtual: a test in a bubble cannot wait for the world outside.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::Async;
    ///
    /// let (reader, _writer) = std::os::unix::net::UnixStream::pair()?;
    /// let _reader = Async::new(reader)?;
    /// let file = std::fs::File::open(std::env::current_exe()?)?;
    /// assert!(Async::new(file).is_err(), "a file is always ready, and cannot be waited for");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new(io: T) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&io, true)?;
        Self::from_nonblocking(io)
    }

    /// Registers a descriptor that is in non-blocking mode already. It may be a socket that has begun to connect:
    /// [`writable`](Self::writable) waits until that has ended.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::Async;
    ///
    /// let (ours, _theirs) = std::os::unix::net::UnixStream::pair()?;
    /// ours.set_nonblocking(true)?;
    /// let _ours = Async::from_nonblocking(ours)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn from_nonblocking(io: T) -> io::Result<Self> {
        let reactor = current::current()?;
        if reactor.is_virtual() {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a descriptor of the system cannot be used where time is virtual; write `#[gorust::test(real)]`",
            ));
        }
        let source = Source::register(reactor, io.as_fd())?;
        Ok(Self { io: Some(io), source })
    }

    /// Returns what is inside. A call on it that would have to wait fails with [`io::ErrorKind::WouldBlock`], and
    /// leaves the reactor in the belief that it would not.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::Async;
    ///
    /// let socket = Async::new(std::net::UdpSocket::bind("127.0.0.1:0")?)?;
    /// assert_ne!(socket.get_ref().local_addr()?.port(), 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[inline]
    pub fn get_ref(&self) -> &T {
        match &self.io {
            Some(io) => io,
            None => unreachable!("it is taken only by into_inner and drop"),
        }
    }

    /// Ends the registration and returns what is inside, still in non-blocking mode.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::Async;
    ///
    /// let socket = Async::new(std::net::UdpSocket::bind("127.0.0.1:0")?)?;
    /// let socket = socket.into_inner();
    /// socket.set_nonblocking(false)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_inner(mut self) -> T {
        match self.take() {
            Some(io) => io,
            None => unreachable!("it is taken only here and by drop"),
        }
    }

    fn take(&mut self) -> Option<T> {
        let io = self.io.take()?;
        self.source.deregister(io.as_fd());
        Some(io)
    }

    /// Waits until reading would not wait. Says so only after it has asked the system.
    ///
    /// # Cancel safety
    ///
    /// Strict. Dropped before the first poll it has done nothing; dropped while waiting it leaves the list of those
    /// who wait; there is nothing that could be granted.
    ///
    /// # Fairness
    ///
    /// An event wakes everybody who waits for it.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::Async;
    /// use std::{io::Write, os::unix::net::UnixStream};
    ///
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// let ours = Async::new(ours)?;
    /// theirs.write_all(b"x")?;
    /// futures::executor::block_on(ours.readable())?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn readable(&self) -> Readable<'_, T> {
        Readable(self.until(Direction::Read))
    }

    /// Waits until writing would not wait. Says so only after it has asked the system.
    ///
    /// # Cancel safety
    ///
    /// As [`readable`](Self::readable).
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::Async;
    /// use std::os::unix::net::UnixStream;
    ///
    /// let (ours, theirs) = UnixStream::pair()?;
    /// let ours = Async::new(ours)?;
    /// futures::executor::block_on(ours.writable())?;
    /// # theirs.set_nonblocking(true)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn writable(&self) -> Writable<'_, T> {
        Writable(self.until(Direction::Write))
    }

    #[track_caller]
    fn until(&self, direction: Direction) -> Until<'_, T> {
        Until { io: self, direction, key: None, at: Location::caller() }
    }

    /// Calls `call` until it does something else than fail with [`io::ErrorKind::WouldBlock`], waiting until the
    /// descriptor is readable before each further attempt.
    ///
    /// # Cancel safety
    ///
    /// Strict, as long as `call` either does its work or fails with `WouldBlock`. Dropped before the first poll it
    /// has called nothing; dropped while waiting it leaves the list; once `call` has done its work the future is
    /// ready, in the same poll.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::Async;
    /// use std::{io::{Read, Write}, os::unix::net::UnixStream};
    ///
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// let ours = Async::new(ours)?;
    /// theirs.write_all(b"hi")?;
    /// let mut buffer = [0; 8];
    /// let read = futures::executor::block_on(ours.read_with(|mut stream| stream.read(&mut buffer)))?;
    /// assert_eq!(&buffer[..read], b"hi");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn read_with<R, F>(&self, call: F) -> ReadWith<'_, T, F>
    where
        F: FnMut(&T) -> io::Result<R>,
    {
        ReadWith { until: self.until(Direction::Read), call }
    }

    /// As [`read_with`](Self::read_with), waiting until the descriptor is writable.
    ///
    /// # Cancel safety
    ///
    /// As `read_with`.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::Async;
    /// use std::{io::{Read, Write}, os::unix::net::UnixStream};
    ///
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// let ours = Async::new(ours)?;
    /// let wrote = futures::executor::block_on(ours.write_with(|mut stream| stream.write(b"hi")))?;
    /// assert_eq!((wrote, theirs.read(&mut [0; 8])?), (2, 2));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn write_with<R, F>(&self, call: F) -> WriteWith<'_, T, F>
    where
        F: FnMut(&T) -> io::Result<R>,
    {
        WriteWith { until: self.until(Direction::Write), call }
    }

    /// Polls for [`readable`](Self::readable). Every task that was told `Pending` is woken by the next event.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::Async;
    /// use std::{future::poll_fn, io::Write, os::unix::net::UnixStream};
    ///
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// let ours = Async::new(ours)?;
    /// theirs.write_all(b"x")?;
    /// futures::executor::block_on(poll_fn(|cx| ours.poll_readable(cx)))?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_direction(Direction::Read, cx, Location::caller())
    }

    /// Polls for [`writable`](Self::writable). Every task that was told `Pending` is woken by the next event.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::Async;
    /// use std::{future::poll_fn, os::unix::net::UnixStream};
    ///
    /// let (ours, theirs) = UnixStream::pair()?;
    /// let ours = Async::new(ours)?;
    /// futures::executor::block_on(poll_fn(|cx| ours.poll_writable(cx)))?;
    /// # theirs.set_nonblocking(true)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_direction(Direction::Write, cx, Location::caller())
    }

    fn poll_direction(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        at: &'static Location<'static>,
    ) -> Poll<io::Result<()>> {
        self.poll_call(direction, cx, at, |io| ask(io.as_fd(), direction)).map_ok(|_| ())
    }

    /// Polls for [`read_with`](Self::read_with). Every task that was told `Pending` is woken by the next event.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::Async;
    /// use std::{future::poll_fn, io::{Read, Write}, os::unix::net::UnixStream};
    ///
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// let ours = Async::new(ours)?;
    /// theirs.write_all(b"hi")?;
    /// let mut buffer = [0; 8];
    /// let read = poll_fn(|cx| ours.poll_read_with(cx, |mut stream| stream.read(&mut buffer)));
    /// assert_eq!(futures::executor::block_on(read)?, 2);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn poll_read_with<R>(
        &self,
        cx: &mut Context<'_>,
        call: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.poll_call(Direction::Read, cx, Location::caller(), call).map_ok(|(result, _)| result)
    }

    /// Polls for [`write_with`](Self::write_with). Every task that was told `Pending` is woken by the next event.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::Async;
    /// use std::{future::poll_fn, io::Write, os::unix::net::UnixStream};
    ///
    /// let (ours, theirs) = UnixStream::pair()?;
    /// let ours = Async::new(ours)?;
    /// let write = poll_fn(|cx| ours.poll_write_with(cx, |mut stream| stream.write(b"hi")));
    /// assert_eq!(futures::executor::block_on(write)?, 2);
    /// # theirs.set_nonblocking(true)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn poll_write_with<R>(
        &self,
        cx: &mut Context<'_>,
        call: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.poll_call(Direction::Write, cx, Location::caller(), call).map_ok(|(result, _)| result)
    }

    /// Calls `call` once, if the descriptor may be readable.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] if it is not, or what `call` fails with.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::Async;
    /// use std::{io::{ErrorKind, Read}, os::unix::net::UnixStream};
    ///
    /// let (ours, _theirs) = UnixStream::pair()?;
    /// let ours = Async::new(ours)?;
    /// let error = ours.try_read_with(|mut stream| stream.read(&mut [0])).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::WouldBlock);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn try_read_with<R>(&self, call: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.try_call(Direction::Read, call)
    }

    /// Calls `call` once, if the descriptor may be writable.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] if it is not, or what `call` fails with.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::Async;
    /// use std::{io::Write, os::unix::net::UnixStream};
    ///
    /// let (ours, theirs) = UnixStream::pair()?;
    /// let ours = Async::new(ours)?;
    /// assert_eq!(ours.try_write_with(|mut stream| stream.write(b"hi"))?, 2);
    /// # theirs.set_nonblocking(true)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn try_write_with<R>(&self, call: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.try_call(Direction::Write, call)
    }

    fn try_call<R>(&self, direction: Direction, mut call: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        while let Some(ready) = self.source.ready(direction) {
            if let Some(result) = self.attempt(direction, ready, &mut call) {
                return result;
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// As [`poll_read_with`](Self::poll_read_with) for a call that reads up to `wanted` bytes from a *stream* and
    /// returns how many there were. Fewer than wanted mean that the next call would have to wait, which saves
    /// finding out.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::Async;
    /// use std::{future::poll_fn, io::{Read, Write}, os::unix::net::UnixStream};
    ///
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// let ours = Async::new(ours)?;
    /// theirs.write_all(b"hi")?;
    /// let mut buffer = [0; 8];
    /// let read = poll_fn(|cx| ours.poll_read_stream(cx, 8, |mut stream| stream.read(&mut buffer)));
    /// assert_eq!(futures::executor::block_on(read)?, 2);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn poll_read_stream(
        &self,
        cx: &mut Context<'_>,
        wanted: usize,
        call: impl FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        self.poll_stream(Direction::Read, cx, Location::caller(), wanted, call)
    }

    /// As [`poll_write_with`](Self::poll_write_with) for a call that writes up to `wanted` bytes to a *stream* and
    /// returns how many it took. Fewer than wanted mean that the next call would have to wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::Async;
    /// use std::{future::poll_fn, io::Write, os::unix::net::UnixStream};
    ///
    /// let (ours, theirs) = UnixStream::pair()?;
    /// let ours = Async::new(ours)?;
    /// let write = poll_fn(|cx| ours.poll_write_stream(cx, 2, |mut stream| stream.write(b"hi")));
    /// assert_eq!(futures::executor::block_on(write)?, 2);
    /// # theirs.set_nonblocking(true)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn poll_write_stream(
        &self,
        cx: &mut Context<'_>,
        wanted: usize,
        call: impl FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        self.poll_stream(Direction::Write, cx, Location::caller(), wanted, call)
    }

    #[inline]
    fn poll_stream(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        at: &'static Location<'static>,
        wanted: usize,
        call: impl FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let (count, ready) = ready!(self.poll_call(direction, cx, at, call))?;
        // Zero bytes are the end of the stream, which stays readable.
        if 0 < count && count < wanted && self.source.trusts_short_calls() {
            self.source.exhausted(direction, ready);
        }
        Poll::Ready(Ok(count))
    }

    /// Tries `call` as long as `direction` seems ready, then waits without leaving a name.
    #[inline]
    fn poll_call<R>(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        at: &'static Location<'static>,
        mut call: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<(R, Ready)>> {
        ready!(poll_proceed(cx));
        loop {
            let ready = match self.source.ready(direction) {
                Some(ready) => ready,
                None => match self.source.wait(direction, cx.waker())? {
                    Some(ready) => ready,
                    None => {
                        waits(Reason::IoWait, at);
                        return Poll::Pending;
                    }
                },
            };
            if let Some(result) = self.attempt(direction, ready, &mut call) {
                return Poll::Ready(result.map(|result| (result, ready)));
            }
        }
    }

    /// Calls `call` once; `None` if it would have to wait, or was interrupted, and is to be tried again.
    #[inline]
    fn attempt<R>(
        &self,
        direction: Direction,
        ready: Ready,
        call: &mut impl FnMut(&T) -> io::Result<R>,
    ) -> Option<io::Result<R>> {
        if ready.shut_down {
            return Some(Err(shut_down()));
        }
        match call(self.get_ref()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.source.would_block(direction, ready);
                None
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => None,
            result => Some(result),
        }
    }
}

impl<T: AsFd> Drop for Async<T> {
    fn drop(&mut self) {
        // The descriptor is closed after its registration has ended: after the return.
        let _io = self.take();
    }
}

impl<T: AsFd> AsFd for Async<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get_ref().as_fd()
    }
}

impl<T: AsFd + fmt::Debug> fmt::Debug for Async<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Async").field(self.get_ref()).finish()
    }
}

/// Asks the system whether a call in `direction` would wait; fails with `WouldBlock` if so.
fn ask(fd: BorrowedFd<'_>, direction: Direction) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let interest = match direction {
        Direction::Read => PollFlags::IN,
        Direction::Write => PollFlags::OUT,
    };
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    match poll(&mut [PollFd::from_borrowed_fd(fd, interest)], Some(&now))? {
        0 => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(()),
    }
}

/// Waits for one direction, in the list of those who do.
struct Until<'a, T: AsFd> {
    io: &'a Async<T>,
    direction: Direction,
    /// Where it stands in the list, once it has waited.
    key: Option<WaiterKey>,
    at: &'static Location<'static>,
}

impl<T: AsFd> Until<'_, T> {
    fn poll_call<R>(
        &mut self,
        cx: &mut Context<'_>,
        mut call: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        ready!(poll_proceed(cx));
        let source = &self.io.source;
        loop {
            let ready = match source.ready(self.direction) {
                Some(ready) => ready,
                None => match source.wait_in_list(self.direction, cx.waker(), &mut self.key)? {
                    Some(ready) => ready,
                    None => {
                        waits(Reason::IoWait, self.at);
                        return Poll::Pending;
                    }
                },
            };
            if let Some(result) = self.io.attempt(self.direction, ready, &mut call) {
                return Poll::Ready(result);
            }
        }
    }
}

impl<T: AsFd> Drop for Until<'_, T> {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.io.source.leave_list(key);
        }
    }
}

impl<T: AsFd> fmt::Debug for Until<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Until")
            .field("direction", &self.direction)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// Waits until a descriptor is readable; see [`Async::readable`].
#[must_use = "futures do nothing unless polled"]
#[derive(Debug)]
pub struct Readable<'a, T: AsFd>(Until<'a, T>);

/// Waits until a descriptor is writable; see [`Async::writable`].
#[must_use = "futures do nothing unless polled"]
#[derive(Debug)]
pub struct Writable<'a, T: AsFd>(Until<'a, T>);

impl<T: AsFd> Future for Readable<'_, T> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_call(cx, |io| ask(io.as_fd(), Direction::Read))
    }
}

impl<T: AsFd> Future for Writable<'_, T> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_call(cx, |io| ask(io.as_fd(), Direction::Write))
    }
}

/// Calls a function when a descriptor is readable; see [`Async::read_with`].
#[must_use = "futures do nothing unless polled"]
pub struct ReadWith<'a, T: AsFd, F> {
    until: Until<'a, T>,
    call: F,
}

/// Calls a function when a descriptor is writable; see [`Async::write_with`].
#[must_use = "futures do nothing unless polled"]
pub struct WriteWith<'a, T: AsFd, F> {
    until: Until<'a, T>,
    call: F,
}

// The function is only ever called through `&mut`: nothing in these futures is pinned.
impl<T: AsFd, F> Unpin for ReadWith<'_, T, F> {}
impl<T: AsFd, F> Unpin for WriteWith<'_, T, F> {}

impl<R, T: AsFd, F: FnMut(&T) -> io::Result<R>> Future for ReadWith<'_, T, F> {
    type Output = io::Result<R>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.until.poll_call(cx, &mut this.call)
    }
}

impl<R, T: AsFd, F: FnMut(&T) -> io::Result<R>> Future for WriteWith<'_, T, F> {
    type Output = io::Result<R>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.until.poll_call(cx, &mut this.call)
    }
}

impl<T: AsFd, F> fmt::Debug for ReadWith<'_, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadWith").field("until", &self.until).finish_non_exhaustive()
    }
}

impl<T: AsFd, F> fmt::Debug for WriteWith<'_, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteWith").field("until", &self.until).finish_non_exhaustive()
    }
}

//! Halves of a [`TcpStream`]: borrowed ones for one scope, owned ones for two goroutines.

use super::{
    TcpStream,
    stream::{reads_by, writes_by},
};
use crate::net::Shutdown;
use futures_io::{AsyncRead, AsyncWrite};
use std::{
    error::Error,
    fmt,
    io::{self, IoSlice, IoSliceMut},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// The reading side of a stream; made by [`TcpStream::split`].
#[derive(Debug)]
pub struct ReadHalf<'a>(&'a TcpStream);

/// The writing side of a stream; made by [`TcpStream::split`].
#[derive(Debug)]
pub struct WriteHalf<'a>(&'a TcpStream);

/// The reading side of a stream, owned; made by [`TcpStream::into_split`].
#[derive(Debug)]
pub struct OwnedReadHalf(Arc<TcpStream>);

/// The writing side of a stream, owned; made by [`TcpStream::into_split`]. Dropping it ends writing, so that the
/// peer sees the end of the stream; [`forget`](Self::forget) leaves it open.
#[derive(Debug)]
pub struct OwnedWriteHalf {
    stream: Arc<TcpStream>,
    ends_writing: bool,
}

pub(super) fn borrowed(stream: &mut TcpStream) -> (ReadHalf<'_>, WriteHalf<'_>) {
    (ReadHalf(stream), WriteHalf(stream))
}

pub(super) fn owned(stream: TcpStream) -> (OwnedReadHalf, OwnedWriteHalf) {
    let stream = Arc::new(stream);
    (OwnedReadHalf(Arc::clone(&stream)), OwnedWriteHalf { stream, ends_writing: true })
}

impl OwnedReadHalf {
    /// Puts the two halves of a stream together again.
    ///
    /// # Errors
    ///
    /// Gives both back if they are not halves of the same stream.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_os::net::{TcpListener, TcpStream};
    /// # gorust_scheduler::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// let (reader, writer) = stream.into_split();
    /// let stream = reader.reunite(writer).unwrap();
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn reunite(self, writer: OwnedWriteHalf) -> Result<TcpStream, ReuniteError> {
        if !Arc::ptr_eq(&self.0, &writer.stream) {
            return Err(ReuniteError(self, writer));
        }
        writer.forget();
        match Arc::try_unwrap(self.0) {
            Ok(stream) => Ok(stream),
            Err(_) => unreachable!("a stream has two halves, and both were here"),
        }
    }
}

impl OwnedWriteHalf {
    /// Drops this half without ending writing.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gorust_os::net::{TcpListener, TcpStream};
    /// # gorust_scheduler::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let client = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (server, _) = listener.accept().await?;
    /// let (reader, writer) = client.into_split();
    /// writer.forget();
    /// assert!(reader.as_ref().try_write(b"still open").is_ok());
    /// # drop(server);
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn forget(mut self) {
        self.ends_writing = false;
    }

    #[inline]
    fn shared(&self) -> &TcpStream {
        &self.stream
    }
}

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        if self.ends_writing {
            // It fails only if there is no connection any more.
            let _ = self.stream.shutdown(Shutdown::Write);
        }
    }
}

impl OwnedReadHalf {
    #[inline]
    fn shared(&self) -> &TcpStream {
        &self.0
    }
}

impl ReadHalf<'_> {
    #[inline]
    fn shared(&self) -> &TcpStream {
        self.0
    }
}

impl WriteHalf<'_> {
    #[inline]
    fn shared(&self) -> &TcpStream {
        self.0
    }
}

reads_by!(ReadHalf<'_>, shared);
writes_by!(WriteHalf<'_>, shared);
reads_by!(OwnedReadHalf, shared);
writes_by!(OwnedWriteHalf, shared);

/// Gives out the stream, for what needs no side: addresses, options, `peek`, `readable`.
macro_rules! lends {
    ($($half:ty),*) => {$(
        impl AsRef<TcpStream> for $half {
            fn as_ref(&self) -> &TcpStream {
                self.shared()
            }
        }
    )*};
}

lends!(ReadHalf<'_>, WriteHalf<'_>, OwnedReadHalf, OwnedWriteHalf);

/// Two halves that do not belong together; from [`OwnedReadHalf::reunite`].
#[derive(Debug)]
pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

impl fmt::Display for ReuniteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("halves of two different streams")
    }
}

impl Error for ReuniteError {}

//! Sockets: [`TcpListener`] and [`TcpStream`], and the names behind addresses ([`ToSocketAddrs`],
//! [`lookup_host`]).
//!
//! # Examples
//!
//! ```
//! use futures_util::io::{AsyncReadExt, AsyncWriteExt};
//! use gorust_os::net::{TcpListener, TcpStream};
//!
//! # gorust_scheduler::block_on(async {
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let mut client = TcpStream::connect(listener.local_addr()?).await?;
//! let (mut server, _peer) = listener.accept().await?;
//!
//! client.write_all(b"ping").await?;
//! let mut buffer = [0; 4];
//! server.read_exact(&mut buffer).await?;
//! assert_eq!(&buffer, b"ping");
//! # Ok::<(), std::io::Error>(())
//! # }).unwrap();
//! ```

mod limit;
mod resolve;
mod tcp;

pub use limit::raise_fd_limit;
pub use resolve::{Addrs, Lookup, ToSocketAddrs, lookup_host};
pub use std::net::{
    AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV4, SocketAddrV6,
};
pub use tcp::{
    Accept, Bind, Connect, Incoming, OwnedReadHalf, OwnedWriteHalf, Peek, ReadHalf, Ready, ReuniteError,
    TcpListener, TcpStream, WriteHalf,
};

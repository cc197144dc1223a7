//! TCP: `listener`, `stream` with how it connects, and `split` into halves.

mod connect;
mod listener;
mod split;
mod stream;

pub use connect::Connect;
pub use listener::{Accept, Bind, Incoming, TcpListener};
pub use split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub use stream::{Peek, Ready, TcpStream};

use socket2::{Domain, Protocol, Socket, Type};
use std::{io, net::SocketAddr};

/// A new socket for `address`'s family, in non-blocking mode.
fn socket(address: SocketAddr) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    #[cfg(not(target_vendor = "apple"))]
    return Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP));
    #[cfg(target_vendor = "apple")]
    {
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }
}

/// What fails when there was nothing to try.
fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "the name has no address")
}

//! How many descriptors the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;

/// Raises the process's limit on open descriptors to what the system allows it, and returns the limit then in
/// force; `u64::MAX` if there is none.
///
/// A server needs one descriptor a connection, and the usual limit of 1,024 is there for programs of the last
/// century. A process started from this one inherits the limit.
///
/// # Errors
///
/// What the system says.
///
/// # Go
///
/// Go does this at start, unasked.
///
/// # Examples
///
/// ```
/// let limit = gorust_os::net::raise_fd_limit()?;
/// assert!(limit > 0);
/// assert_eq!(gorust_os::net::raise_fd_limit()?, limit);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn raise_fd_limit() -> io::Result<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    }
    Ok(maximum.unwrap_or(u64::MAX))
}

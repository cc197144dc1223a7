//! From what a user writes to socket addresses. Literals are parsed on the spot; names go to the system's
//! resolver, which blocks, on one of a few threads that end when there is nothing to look up.

use gorust_primitives::{
    current::{Reason, waits},
    shim::Lock,
};
use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    panic::Location,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    thread,
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
    Asked(Arc<Question>),
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
        let result = match std::mem::replace(&mut this.state, State::Done) {
            State::New(Target::Known(addresses)) => Ok(addresses),
            State::New(Target::Invalid(text)) => Err(io::Error::new(io::ErrorKind::InvalidInput, text)),
            State::New(Target::Name(host, port)) => {
                let question = Arc::new(Question {
                    host,
                    port,
                    answer: Lock::new(Answer::AwaitedBy(cx.waker().clone())),
                });
                ask(Arc::clone(&question))?;
                this.state = State::Asked(question);
                waits(Reason::IoWait, this.at);
                return Poll::Pending;
            }
            State::Asked(question) => match question.take_answer(cx.waker()) {
                Some(answer) => answer,
                None => {
                    this.state = State::Asked(question);
                    waits(Reason::IoWait, this.at);
                    return Poll::Pending;
                }
            },
            State::Done => panic!("`Lookup` polled after it was ready"),
        };
        Poll::Ready(result.map(|addresses| Addrs(addresses.into_iter())))
    }
}

/// A name that is being looked up.
struct Question {
    host: String,
    port: u16,
    answer: Lock<Answer>,
}

enum Answer {
    AwaitedBy(Waker),
    Here(io::Result<Vec<SocketAddr>>),
    Taken,
}

impl Question {
    /// Takes the answer, or leaves `waker` for when it comes.
    fn take_answer(&self, waker: &Waker) -> Option<io::Result<Vec<SocketAddr>>> {
        // A waker's clone and drop are its owner's code: not under the lock.
        let clone = waker.clone();
        let mut answer = self.answer.lock();
        let next =
            if matches!(*answer, Answer::AwaitedBy(_)) { Answer::AwaitedBy(clone) } else { Answer::Taken };
        let previous = std::mem::replace(&mut *answer, next);
        drop(answer);
        match previous {
            Answer::Here(result) => Some(result),
            Answer::AwaitedBy(_) | Answer::Taken => None,
        }
    }

    fn answer(&self) {
        let found = std::net::ToSocketAddrs::to_socket_addrs(&(self.host.as_str(), self.port));
        let found = found.map(Iterator::collect);
        let awaited = std::mem::replace(&mut *self.answer.lock(), Answer::Here(found));
        if let Answer::AwaitedBy(waker) = awaited {
            waker.wake();
        }
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// So many names are looked up at once; further ones queue.
const MAX_THREADS: usize = 16;

#[derive(Debug)]
struct Pool {
    queue: VecDeque<Arc<Question>>,
    threads: usize,
}

static POOL: Mutex<Pool> = Mutex::new(Pool { queue: VecDeque::new(), threads: 0 });

fn pool() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Queues `question`, with a new thread for it if there may be one more.
fn ask(question: Arc<Question>) -> io::Result<()> {
    let mut pool = pool();
    pool.queue.push_back(question);
    if pool.threads < MAX_THREADS {
        match thread::Builder::new().name("gorust-resolve".into()).spawn(answer_all) {
            Ok(_) => pool.threads += 1,
            // Others are there to answer it in time.
            Err(_) if pool.threads > 0 => {}
            Err(error) => {
                pool.queue.pop_back();
                return Err(error);
            }
        }
    }
    Ok(())
}

/// Answers until no question is left.
fn answer_all() {
    loop {
        let mut pool = pool();
        let Some(question) = pool.queue.pop_front() else {
            pool.threads -= 1;
            return;
        };
        drop(pool);
        // A waker is its owner's code: a panic in it must not cost the pool a thread it has counted.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| question.answer()));
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

//! What the tests of this crate share: a reactor with one thread that drives it, and wakers that count.

#![allow(dead_code, reason = "each test file uses a part")]

use gorust_primitives::shim::{AtomicUsize, Ordering};
use gorust_reactor::{Backend, Clock, Entered, Reactor, Wait, enter};
use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::ThreadId,
};

pub(crate) const BACKENDS: [Backend; 4] =
    [Backend::Native, Backend::Millis, Backend::Portable, Backend::Oneshot];

/// Counts how often it is woken; breaks the reactor's sleep if another thread does it.
pub(crate) struct Count {
    woken: AtomicUsize,
    notify: Option<(&'static Reactor, ThreadId)>,
}

impl Count {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { woken: AtomicUsize::new(0), notify: None })
    }

    pub(crate) fn woken(&self) -> usize {
        // Ordering: SeqCst, it is a test.
        self.woken.load(Ordering::SeqCst)
    }

    pub(crate) fn poll<F: Future + Unpin>(self: &Arc<Self>, future: &mut F) -> Poll<F::Output> {
        Pin::new(future).poll(&mut Context::from_waker(&self.waker()))
    }

    pub(crate) fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::clone(self))
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        // Ordering: SeqCst, it is a test.
        self.woken.fetch_add(1, Ordering::SeqCst);
        if let Some((reactor, thread)) = self.notify
            && thread != std::thread::current().id()
        {
            reactor.notify();
        }
    }
}

/// A reactor of its own and the thread that drives it: the one that made it.
pub(crate) struct Driven {
    pub(crate) reactor: &'static Reactor,
    pub(crate) shard: usize,
    entered: Option<Entered>,
    wakers: Vec<Waker>,
}

impl Driven {
    pub(crate) fn new(backend: Backend) -> Self {
        Self::with_clock(Clock::Real, backend)
    }

    pub(crate) fn with_clock(clock: Clock, backend: Backend) -> Self {
        let reactor = Reactor::open_with(clock, backend).unwrap();
        let shard = reactor.claim_shard();
        Self { reactor, shard, entered: Some(enter(reactor, shard)), wakers: Vec::new() }
    }

    /// One turn; returns how many wakers it woke.
    pub(crate) fn turn(&mut self, wait: Wait) -> usize {
        self.reactor.try_lock().unwrap().turn(wait, &mut self.wakers).unwrap();
        let count = self.wakers.len();
        self.wakers.drain(..).for_each(Waker::wake);
        count
    }

    /// Turns until nothing more comes.
    pub(crate) fn settle(&mut self) {
        // A loopback packet is there when the call that sent it returns; the second look is for what the first
        // one armed.
        while self.turn(Wait::Never) > 0 {}
        self.turn(Wait::Never);
    }

    pub(crate) fn run<F: Future>(&mut self, future: F) -> F::Output {
        let notify = Some((self.reactor, std::thread::current().id()));
        let count = Arc::new(Count { woken: AtomicUsize::new(1), notify });
        let waker = count.waker();
        let mut future = pin!(future);
        let mut seen = 0;
        loop {
            while seen != count.woken() {
                seen = count.woken();
                if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    return output;
                }
            }
            self.turn(Wait::Until(None));
        }
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        drop(self.entered.take());
        self.reactor.close();
        self.reactor.recycle();
    }
}

/// Polls `future` on this thread, parking it in between: an executor that knows no reactor.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Two ends of a loopback connection.
pub(crate) fn tcp_pair() -> io::Result<(std::net::TcpStream, std::net::TcpStream)> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let ours = std::net::TcpStream::connect(listener.local_addr()?)?;
    let (theirs, _) = listener.accept()?;
    Ok((ours, theirs))
}

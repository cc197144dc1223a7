//! What a peer fills in, each in its own idiomatic best form. A load asks only for the traits it needs, so a peer
//! that has no such thing leaves the trait out, and its column stays empty.

use std::{
    future::Future,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// A runtime: tasks, yields, a oneshot.
pub trait Peer: Send + Sync + 'static {
    /// What a spawn gives back; resolves to the task's value.
    type Handle<T: Send + 'static>: Future<Output = T> + Send + 'static;
    /// The sending half of a channel for one value.
    type OneSender<T: Send + 'static>: Send + 'static;
    /// The receiving half.
    type OneReceiver<T: Send + 'static>: Send + 'static;

    /// Starts the runtime with this many workers. It lives as long as the process.
    fn start(workers: usize) -> &'static Self;

    /// Puts `body` on a worker and waits for it on this thread.
    fn run<T, F>(&'static self, body: F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static;

    /// Runs `body` as the peer's own `main` would. Called on the process's main thread.
    fn run_main<T, F>(&'static self, body: F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static;

    /// Spawns without a handle, from a thread that is no worker.
    fn detach_outside<F>(&'static self, future: F)
    where
        F: Future<Output = ()> + Send + 'static;

    /// Spawns from a task.
    fn spawn<T, F>(future: F) -> Self::Handle<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static;

    /// Spawns from a task, without a handle.
    fn detach<F>(future: F)
    where
        F: Future<Output = ()> + Send + 'static;

    /// Lets the others run.
    fn yield_now() -> impl Future<Output = ()> + Send;

    /// A channel for one value.
    fn oneshot<T: Send + 'static>() -> (Self::OneSender<T>, Self::OneReceiver<T>);

    /// Sends the value; does not wait.
    fn fire<T: Send + 'static>(sender: Self::OneSender<T>, value: T);

    /// Waits for the value.
    fn caught<T: Send + 'static>(receiver: Self::OneReceiver<T>) -> impl Future<Output = T> + Send;
}

/// Time.
pub trait Clock: Peer {
    /// Waits for `duration`.
    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send;

    /// Waits until `deadline`.
    fn sleep_until(deadline: Instant) -> impl Future<Output = ()> + Send;

    /// Waits for `future`, at most for `duration`; whether it came to its end.
    fn timeout<F: Future<Output = ()> + Send>(
        duration: Duration,
        future: F,
    ) -> impl Future<Output = bool> + Send;
}

/// Waiting for many tasks without a handle each.
pub trait Group: Peer {
    /// Spawns `count` tasks made by `task`, and waits for all.
    fn group<F, M>(count: usize, task: M) -> impl Future<Output = ()> + Send
    where
        F: Future<Output = ()> + Send + 'static,
        M: Fn() -> F + Send;
}

/// An event that happens once and wakes everybody.
pub trait Event: Peer {
    /// The event, as a task holds it.
    type Event: Clone + Send + Sync + 'static;

    /// One that has not happened.
    fn event() -> Self::Event;

    /// Waits until it happens. Called before it does.
    fn wait(event: &Self::Event) -> impl Future<Output = ()> + Send;

    /// Lets it happen.
    fn happen(event: &Self::Event);
}

/// A tree of contexts (tokio: cancellation tokens).
pub trait Contexts: Peer {
    /// A node of the tree.
    type Context: Clone + Send + Sync + 'static;
    /// What cancels a node; kept by its owner.
    type Cancel: Send + 'static;

    /// A root.
    fn root() -> (Self::Context, Self::Cancel);

    /// A node that ends with its parent.
    fn child(parent: &Self::Context) -> (Self::Context, Self::Cancel);

    /// Waits for the end.
    fn done(context: &Self::Context) -> impl Future<Output = ()> + Send;

    /// Ends it and all below it.
    fn cancel(cancel: Self::Cancel);
}

/// A mutex whose lock is awaited, on any runtime.
pub trait Lock {
    /// The mutex around a number.
    type Mutex: Send + Sync + 'static;

    /// One that holds zero.
    fn mutex() -> Self::Mutex;

    /// Locks, adds one, unlocks; the number then.
    fn increment(mutex: &Self::Mutex) -> impl Future<Output = u64> + Send;
}

/// TCP.
pub trait Net: Peer {
    /// A listening socket.
    type Listener: Send + Sync + 'static;
    /// A connection.
    type Stream: Send + 'static;

    /// Listens on a free port of the loopback interface.
    fn listen() -> impl Future<Output = Self::Listener> + Send;

    /// Where it listens.
    fn address(listener: &Self::Listener) -> SocketAddr;

    /// The next connection, with TCP_NODELAY set.
    fn accept(listener: &Self::Listener) -> impl Future<Output = Self::Stream> + Send;

    /// Connects, and sets TCP_NODELAY.
    fn connect(address: SocketAddr) -> impl Future<Output = Self::Stream> + Send;

    /// Reads what there is; 0 at the end.
    fn read(stream: &mut Self::Stream, buffer: &mut [u8]) -> impl Future<Output = usize> + Send;

    /// Fills the buffer.
    fn read_exact(stream: &mut Self::Stream, buffer: &mut [u8]) -> impl Future<Output = ()> + Send;

    /// Writes it all.
    fn write_all(stream: &mut Self::Stream, bytes: &[u8]) -> impl Future<Output = ()> + Send;
}

/// A pool for jobs that block.
pub trait Offload: Peer {
    /// Hands the job to it; resolves to its value.
    type Job: Future<Output = u64> + Send + 'static;

    /// Starts a job.
    fn offload<F: FnOnce() -> u64 + Send + 'static>(job: F) -> Self::Job;
}

/// Blocking sections that run where they are.
pub trait InPlace: Peer {
    /// Says that the section may block, and runs it. Called from a task.
    fn in_place(section: impl FnOnce() -> u64) -> u64;
}

/// A bounded channel of numbers. Apart from [`Peer`], because some channels run on any runtime.
pub trait Chan: Send + Sync + 'static {
    /// The sending half.
    type Sender: Clone + Send + Sync + 'static;
    /// The receiving half.
    type Receiver: Send + 'static;

    /// A channel of this capacity; 0 only for a [`Rendezvous`].
    fn bounded(capacity: usize) -> (Self::Sender, Self::Receiver);

    /// Sends, waiting for room. The receiver is alive.
    fn send(sender: &Self::Sender, value: u64) -> impl Future<Output = ()> + Send;

    /// The next value; `None` when all senders are gone.
    fn recv(receiver: &mut Self::Receiver) -> impl Future<Output = Option<u64>> + Send;
}

/// Capacity 0 is a hand-over: the send ends when a receiver has the value.
pub trait Rendezvous: Chan {}

/// Several receivers.
pub trait Mpmc: Chan {
    /// A further receiver of the same channel.
    fn share(receiver: &Self::Receiver) -> Self::Receiver;
}

/// A channel of numbers without a bound.
pub trait Unbounded: Send + Sync + 'static {
    /// The sending half.
    type Sender: Clone + Send + Sync + 'static;
    /// The receiving half.
    type Receiver: Send + 'static;

    /// A channel.
    fn unbounded() -> (Self::Sender, Self::Receiver);

    /// Sends at once; in peers whose send is async, awaited.
    fn push(sender: &Self::Sender, value: u64) -> impl Future<Output = ()> + Send;

    /// The next value; `None` when all senders are gone.
    fn pull(receiver: &mut Self::Receiver) -> impl Future<Output = Option<u64>> + Send;
}

/// Receiving from whichever of several channels has a value, without a bias. All senders stay alive meanwhile.
pub trait Select: Chan {
    /// Receives `count` numbers from any of the two; their sum.
    fn sum_of_2(receivers: [Self::Receiver; 2], count: usize) -> impl Future<Output = u64> + Send;

    /// Receives `count` numbers from any of the eight; their sum.
    fn sum_of_8(receivers: [Self::Receiver; 8], count: usize) -> impl Future<Output = u64> + Send;
}

/// A select with a default case, as one atomic snapshot of all its channels.
pub trait SelectDefault: Chan {
    /// A number if one of the two has one at this instant.
    fn poll_2(receivers: &mut [Self::Receiver; 2]) -> impl Future<Output = Option<u64>> + Send;
}

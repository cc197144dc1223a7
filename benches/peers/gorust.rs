//! gorust, through its facade.

use gorust::{
    JoinHandle,
    chan::{OneReceiver, OneSender, Receiver, Sender, oneshot, unbounded},
    context::CancelHandle,
    net::{TcpListener, TcpStream},
    prelude::*,
    runtime::{Builder, Runtime},
    sync::Mutex,
};
use gorust_benches::{
    loads::{blocking, channels, io, memory, scheduling, time},
    peer::{
        Chan, Clock, Contexts, Event, Group, Lock, Mpmc, Net, Offload, Peer, Rendezvous, Select,
        SelectDefault, Unbounded,
    },
    process,
};
use std::{
    future::Future,
    net::SocketAddr,
    pin::Pin,
    task::{self, Poll},
    time::Instant,
};

fn main() {
    let mut rows = scheduling::rows::<Gorust>();
    rows.extend(scheduling::rows_with_channels::<Gorust, Channel>());
    rows.extend(time::rows::<Gorust>());
    rows.extend(blocking::rows::<Gorust>());
    rows.extend(io::rows::<Gorust>());
    rows.extend(channels::rows::<Gorust, Channel>());
    rows.extend(channels::rendezvous_rows::<Gorust, Channel>());
    rows.extend(channels::select_rows::<Gorust, Channel>());
    rows.extend(channels::lock_rows::<Gorust, Gorust>());
    rows.extend([
        ("blocking_job", blocking::blocking_job::<Gorust> as _),
        ("select_default", channels::select_default::<Gorust, Channel> as _),
        ("wait_group", scheduling::wait_group::<Gorust> as _),
        ("context_tree", scheduling::context_tree::<Gorust> as _),
        ("parked_bytes", memory::parked_bytes::<Gorust> as _),
        ("chan_128_4to4", channels::chan_128_4to4::<Gorust, Channel> as _),
        ("chan_unbounded_4to1", channels::chan_unbounded_4to1::<Gorust, Channel> as _),
    ]);
    process::run("gorust", &rows, std::env::args().skip(1));
}

struct Gorust(Runtime);

/// A join handle whose goroutine is known not to panic.
struct Joined<T>(JoinHandle<T>);

impl<T> Future for Joined<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<T> {
        Pin::new(&mut self.0).poll(cx).map(|outcome| outcome.expect("no goroutine panics"))
    }
}

impl Peer for Gorust {
    type Handle<T: Send + 'static> = Joined<T>;
    type OneSender<T: Send + 'static> = OneSender<T>;
    type OneReceiver<T: Send + 'static> = OneReceiver<T>;

    fn start(workers: usize) -> &'static Self {
        Box::leak(Box::new(Self(Builder::new().workers(workers).build().unwrap())))
    }

    fn run<T, F>(&'static self, body: F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        self.0.block_on(self.0.spawn(body)).unwrap()
    }

    /// As `#[gorust::main]`: main is a goroutine.
    fn run_main<T, F>(&'static self, body: F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        self.run(body)
    }

    fn detach_outside<F>(&'static self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.0.spawn(future);
    }

    fn spawn<T, F>(future: F) -> Joined<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        Joined(go(future))
    }

    fn detach<F>(future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        go(future);
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        gorust::yield_now()
    }

    fn oneshot<T: Send + 'static>() -> (OneSender<T>, OneReceiver<T>) {
        oneshot()
    }

    fn fire<T: Send + 'static>(sender: OneSender<T>, value: T) {
        assert!(sender.send(value).is_ok(), "the receiver waits");
    }

    async fn caught<T: Send + 'static>(receiver: OneReceiver<T>) -> T {
        receiver.await.expect("the sender sends")
    }
}

impl Clock for Gorust {
    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send {
        sleep(duration)
    }

    fn sleep_until(deadline: Instant) -> impl Future<Output = ()> + Send {
        gorust::time::sleep_until(deadline.into())
    }

    async fn timeout<F: Future<Output = ()> + Send>(duration: Duration, future: F) -> bool {
        timeout(duration, future).await.is_ok()
    }
}

impl Offload for Gorust {
    type Job = Joined<u64>;

    fn offload<F: FnOnce() -> u64 + Send + 'static>(job: F) -> Joined<u64> {
        Joined(gorust::spawn_blocking(job))
    }
}

impl Group for Gorust {
    async fn group<F, M>(count: usize, task: M)
    where
        F: Future<Output = ()> + Send + 'static,
        M: Fn() -> F + Send,
    {
        let group = WaitGroup::new();
        for _ in 0..count {
            group.go(task());
        }
        group.wait().await;
    }
}

impl Event for Gorust {
    type Event = WaitGroup;

    fn event() -> WaitGroup {
        let event = WaitGroup::new();
        event.add(1);
        event
    }

    fn wait(event: &WaitGroup) -> impl Future<Output = ()> + Send {
        event.wait()
    }

    fn happen(event: &WaitGroup) {
        event.done();
    }
}

impl Contexts for Gorust {
    type Context = Context;
    type Cancel = CancelHandle;

    fn root() -> (Context, CancelHandle) {
        Context::background().with_cancel()
    }

    fn child(parent: &Context) -> (Context, CancelHandle) {
        parent.with_cancel()
    }

    fn done(context: &Context) -> impl Future<Output = ()> + Send {
        context.done()
    }

    fn cancel(cancel: CancelHandle) {
        cancel.cancel();
    }
}

impl Lock for Gorust {
    type Mutex = Mutex<u64>;

    fn mutex() -> Mutex<u64> {
        Mutex::new(0)
    }

    async fn increment(mutex: &Mutex<u64>) -> u64 {
        let mut number = mutex.lock().await;
        *number += 1;
        *number
    }
}

impl Net for Gorust {
    type Listener = TcpListener;
    type Stream = TcpStream;

    async fn listen() -> TcpListener {
        TcpListener::bind("127.0.0.1:0").await.unwrap()
    }

    fn address(listener: &TcpListener) -> SocketAddr {
        listener.local_addr().unwrap()
    }

    async fn accept(listener: &TcpListener) -> TcpStream {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    async fn connect(address: SocketAddr) -> TcpStream {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    async fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> usize {
        stream.read(buffer).await.unwrap()
    }

    async fn read_exact(stream: &mut TcpStream, buffer: &mut [u8]) {
        stream.read_exact(buffer).await.unwrap();
    }

    async fn write_all(stream: &mut TcpStream, bytes: &[u8]) {
        stream.write_all(bytes).await.unwrap();
    }
}

/// gorust's channel.
struct Channel;

impl Chan for Channel {
    type Sender = Sender<u64>;
    type Receiver = Receiver<u64>;

    fn bounded(capacity: usize) -> (Sender<u64>, Receiver<u64>) {
        chan(capacity)
    }

    async fn send(sender: &Sender<u64>, value: u64) {
        assert!(sender.send(value).await.is_ok(), "the receiver is alive");
    }

    fn recv(receiver: &mut Receiver<u64>) -> impl Future<Output = Option<u64>> + Send {
        receiver.recv()
    }
}

impl Select for Channel {
    async fn sum_of_2([a, b]: [Receiver<u64>; 2], count: usize) -> u64 {
        let mut sum = 0;
        for _ in 0..count {
            sum += gorust::select! {
                Some(v) = a.recv() => v,
                Some(v) = b.recv() => v,
                else => unreachable!("the senders are alive"),
            };
        }
        sum
    }

    async fn sum_of_8(receivers: [Receiver<u64>; 8], count: usize) -> u64 {
        let [a, b, c, d, e, f, g, h] = receivers;
        let mut sum = 0;
        for _ in 0..count {
            sum += gorust::select! {
                Some(v) = a.recv() => v,
                Some(v) = b.recv() => v,
                Some(v) = c.recv() => v,
                Some(v) = d.recv() => v,
                Some(v) = e.recv() => v,
                Some(v) = f.recv() => v,
                Some(v) = g.recv() => v,
                Some(v) = h.recv() => v,
                else => unreachable!("the senders are alive"),
            };
        }
        sum
    }
}

impl SelectDefault for Channel {
    async fn poll_2([a, b]: &mut [Receiver<u64>; 2]) -> Option<u64> {
        gorust::select! {
            v = a.recv() => v,
            v = b.recv() => v,
            default => None,
        }
    }
}

impl Rendezvous for Channel {}

impl Unbounded for Channel {
    type Sender = Sender<u64>;
    type Receiver = Receiver<u64>;

    fn unbounded() -> (Sender<u64>, Receiver<u64>) {
        unbounded()
    }

    async fn push(sender: &Sender<u64>, value: u64) {
        assert!(sender.send(value).await.is_ok(), "the receiver is alive");
    }

    async fn pull(receiver: &mut Receiver<u64>) -> Option<u64> {
        receiver.recv().await
    }
}

impl Mpmc for Channel {
    fn share(receiver: &Receiver<u64>) -> Receiver<u64> {
        receiver.clone()
    }
}

//! smol: one static executor, as many threads as workers in `smol::block_on` (so that each drives the reactor when it
//! idles), smol's channels, locks and sockets. What smol leaves to others is event-listener's, and tokio's oneshot: of
//! those that run on any executor it was the fastest here.

use async_executor::StaticExecutor;
use event_listener::listener;
use gorust_benches::{
    loads::{blocking, channels, io, memory, scheduling, time},
    peer::{Chan, Clock, Event, Group, Lock, Mpmc, Net, Offload, Peer, Select, Unbounded},
    process,
};
use smol::{
    Task, Timer,
    channel::{self, Receiver, Sender},
    future::{self, race},
    io::{AsyncReadExt, AsyncWriteExt},
    lock::Mutex,
    net::{TcpListener, TcpStream},
};
use std::{
    future::Future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

fn main() {
    let mut rows = scheduling::rows::<Smol>();
    rows.extend(scheduling::rows_with_channels::<Smol, AsyncChannel>());
    rows.extend(time::rows::<Smol>());
    rows.extend(blocking::rows::<Smol>());
    rows.extend(io::rows::<Smol>());
    rows.extend(channels::rows::<Smol, AsyncChannel>());
    rows.extend(channels::select_rows::<Smol, AsyncChannel>());
    rows.extend(channels::lock_rows::<Smol, Smol>());
    rows.extend([
        ("wait_group", scheduling::wait_group::<Smol> as _),
        ("parked_bytes", memory::parked_bytes::<Smol> as _),
        ("blocking_job", blocking::blocking_job::<Smol> as _),
        ("chan_128_4to4", channels::chan_128_4to4::<Smol, AsyncChannel> as _),
        ("chan_unbounded_4to1", channels::chan_unbounded_4to1::<Smol, AsyncChannel> as _),
    ]);
    process::run("smol", &rows, std::env::args().skip(1));
}

static EXECUTOR: StaticExecutor = StaticExecutor::new();

struct Smol;

impl Peer for Smol {
    type Handle<T: Send + 'static> = Task<T>;
    type OneSender<T: Send + 'static> = oneshot::Sender<T>;
    type OneReceiver<T: Send + 'static> = oneshot::Receiver<T>;

    fn start(workers: usize) -> &'static Self {
        for _ in 0..workers {
            thread::spawn(|| smol::block_on(EXECUTOR.run(future::pending::<()>())));
        }
        &Self
    }

    fn run<T, F>(&'static self, body: F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        future::block_on(EXECUTOR.spawn(body))
    }

    fn run_main<T, F>(&'static self, body: F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        smol::block_on(body)
    }

    fn detach_outside<F>(&'static self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        EXECUTOR.spawn(future).detach();
    }

    fn spawn<T, F>(future: F) -> Task<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        EXECUTOR.spawn(future)
    }

    fn detach<F>(future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        EXECUTOR.spawn(future).detach();
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        future::yield_now()
    }

    fn oneshot<T: Send + 'static>() -> (oneshot::Sender<T>, oneshot::Receiver<T>) {
        oneshot::channel()
    }

    fn fire<T: Send + 'static>(sender: oneshot::Sender<T>, value: T) {
        assert!(sender.send(value).is_ok(), "the receiver waits");
    }

    async fn caught<T: Send + 'static>(receiver: oneshot::Receiver<T>) -> T {
        receiver.await.unwrap()
    }
}

impl Clock for Smol {
    async fn sleep(duration: Duration) {
        Timer::after(duration).await;
    }

    async fn sleep_until(deadline: Instant) {
        Timer::at(deadline).await;
    }

    async fn timeout<F: Future<Output = ()> + Send>(duration: Duration, future: F) -> bool {
        let ends = async {
            future.await;
            true
        };
        let late = async {
            Timer::after(duration).await;
            false
        };
        future::or(ends, late).await
    }
}

impl Group for Smol {
    async fn group<F, M>(count: usize, task: M)
    where
        F: Future<Output = ()> + Send + 'static,
        M: Fn() -> F + Send,
    {
        let group = Arc::new((AtomicUsize::new(count), event_listener::Event::new()));
        for _ in 0..count {
            let (group, task) = (group.clone(), task());
            EXECUTOR
                .spawn(async move {
                    task.await;
                    if group.0.fetch_sub(1, Ordering::AcqRel) == 1 {
                        group.1.notify(1);
                    }
                })
                .detach();
        }
        listener!(group.1 => all_done);
        if group.0.load(Ordering::Acquire) > 0 {
            all_done.await;
        }
    }
}

impl Event for Smol {
    type Event = Arc<event_listener::Event>;

    fn event() -> Self::Event {
        Arc::default()
    }

    async fn wait(event: &Self::Event) {
        listener!(event => happened);
        happened.await;
    }

    fn happen(event: &Self::Event) {
        event.notify(usize::MAX);
    }
}

impl Lock for Smol {
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

impl Net for Smol {
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

impl Offload for Smol {
    type Job = Task<u64>;

    fn offload<F: FnOnce() -> u64 + Send + 'static>(job: F) -> Task<u64> {
        smol::unblock(job)
    }
}

/// smol's channel.
struct AsyncChannel;

impl Chan for AsyncChannel {
    type Sender = Sender<u64>;
    type Receiver = Receiver<u64>;

    fn bounded(capacity: usize) -> (Sender<u64>, Receiver<u64>) {
        channel::bounded(capacity)
    }

    async fn send(sender: &Sender<u64>, value: u64) {
        assert!(sender.send(value).await.is_ok(), "the receiver is alive");
    }

    async fn recv(receiver: &mut Receiver<u64>) -> Option<u64> {
        receiver.recv().await.ok()
    }
}

impl Mpmc for AsyncChannel {
    fn share(receiver: &Receiver<u64>) -> Receiver<u64> {
        receiver.clone()
    }
}

impl Unbounded for AsyncChannel {
    type Sender = Sender<u64>;
    type Receiver = Receiver<u64>;

    fn unbounded() -> (Sender<u64>, Receiver<u64>) {
        channel::unbounded()
    }

    async fn push(sender: &Sender<u64>, value: u64) {
        assert!(sender.send(value).await.is_ok(), "the receiver is alive");
    }

    async fn pull(receiver: &mut Receiver<u64>) -> Option<u64> {
        receiver.recv().await.ok()
    }
}

impl Select for AsyncChannel {
    async fn sum_of_2([a, b]: [Receiver<u64>; 2], count: usize) -> u64 {
        let mut sum = 0;
        for _ in 0..count {
            sum += race(a.recv(), b.recv()).await.unwrap();
        }
        sum
    }

    async fn sum_of_8([a, b, c, d, e, f, g, h]: [Receiver<u64>; 8], count: usize) -> u64 {
        let mut sum = 0;
        for _ in 0..count {
            let left = race(race(a.recv(), b.recv()), race(c.recv(), d.recv()));
            let right = race(race(e.recv(), f.recv()), race(g.recv(), h.recv()));
            sum += race(left, right).await.unwrap();
        }
        sum
    }
}

//! tokio: the multi-thread runtime with its defaults, tokio's channels and locks, tokio-util's tracker and tokens.

mod runtime;

use gorust_benches::{
    loads::{blocking, channels, io, memory, scheduling, time},
    peer::{Chan, Clock, Contexts, Event, Group, InPlace, Lock, Net, Offload, Select, Unbounded},
    process,
};
use runtime::{Joined, Tokio};
use std::{
    future::Future,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Mutex, Notify, mpsc},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

fn main() {
    let mut rows = scheduling::rows::<Tokio>();
    rows.extend(scheduling::rows_with_channels::<Tokio, Mpsc>());
    rows.extend(time::rows::<Tokio>());
    rows.extend(blocking::rows::<Tokio>());
    rows.extend(io::rows::<Tokio>());
    rows.extend(channels::rows::<Tokio, Mpsc>());
    rows.extend(channels::select_rows::<Tokio, Mpsc>());
    rows.extend(channels::lock_rows::<Tokio, Tokio>());
    rows.extend([
        ("wait_group", scheduling::wait_group::<Tokio> as _),
        ("context_tree", scheduling::context_tree::<Tokio> as _),
        ("parked_bytes", memory::parked_bytes::<Tokio> as _),
        ("blocking_job", blocking::blocking_job::<Tokio> as _),
        ("blocking_in_place", blocking::blocking_in_place::<Tokio> as _),
        ("chan_unbounded_4to1", channels::chan_unbounded_4to1::<Tokio, Mpsc> as _),
    ]);
    process::run("tokio", &rows, std::env::args().skip(1));
}

impl Clock for Tokio {
    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(duration)
    }

    fn sleep_until(deadline: Instant) -> impl Future<Output = ()> + Send {
        tokio::time::sleep_until(deadline.into())
    }

    async fn timeout<F: Future<Output = ()> + Send>(duration: Duration, future: F) -> bool {
        tokio::time::timeout(duration, future).await.is_ok()
    }
}

impl Group for Tokio {
    async fn group<F, M>(count: usize, task: M)
    where
        F: Future<Output = ()> + Send + 'static,
        M: Fn() -> F + Send,
    {
        let tracker = TaskTracker::new();
        for _ in 0..count {
            tracker.spawn(task());
        }
        tracker.close();
        tracker.wait().await;
    }
}

impl Event for Tokio {
    type Event = Arc<Notify>;

    fn event() -> Arc<Notify> {
        Arc::default()
    }

    fn wait(event: &Arc<Notify>) -> impl Future<Output = ()> + Send {
        event.notified()
    }

    fn happen(event: &Arc<Notify>) {
        event.notify_waiters();
    }
}

impl Contexts for Tokio {
    type Context = CancellationToken;
    type Cancel = CancellationToken;

    fn root() -> (CancellationToken, CancellationToken) {
        let root = CancellationToken::new();
        (root.clone(), root)
    }

    fn child(parent: &CancellationToken) -> (CancellationToken, CancellationToken) {
        let child = parent.child_token();
        (child.clone(), child)
    }

    fn done(context: &CancellationToken) -> impl Future<Output = ()> + Send {
        context.cancelled()
    }

    fn cancel(cancel: CancellationToken) {
        cancel.cancel();
    }
}

impl Lock for Tokio {
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

impl Net for Tokio {
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

impl Offload for Tokio {
    type Job = Joined<u64>;

    fn offload<F: FnOnce() -> u64 + Send + 'static>(job: F) -> Joined<u64> {
        Joined(tokio::task::spawn_blocking(job))
    }
}

impl InPlace for Tokio {
    fn in_place(section: impl FnOnce() -> u64) -> u64 {
        tokio::task::block_in_place(section)
    }
}

/// `tokio::sync::mpsc`.
struct Mpsc;

impl Chan for Mpsc {
    type Sender = mpsc::Sender<u64>;
    type Receiver = mpsc::Receiver<u64>;

    fn bounded(capacity: usize) -> (mpsc::Sender<u64>, mpsc::Receiver<u64>) {
        mpsc::channel(capacity)
    }

    async fn send(sender: &mpsc::Sender<u64>, value: u64) {
        assert!(sender.send(value).await.is_ok(), "the receiver is alive");
    }

    fn recv(receiver: &mut mpsc::Receiver<u64>) -> impl Future<Output = Option<u64>> + Send {
        receiver.recv()
    }
}

impl Unbounded for Mpsc {
    type Sender = mpsc::UnboundedSender<u64>;
    type Receiver = mpsc::UnboundedReceiver<u64>;

    fn unbounded() -> (mpsc::UnboundedSender<u64>, mpsc::UnboundedReceiver<u64>) {
        mpsc::unbounded_channel()
    }

    async fn push(sender: &mpsc::UnboundedSender<u64>, value: u64) {
        assert!(sender.send(value).is_ok(), "the receiver is alive");
    }

    fn pull(receiver: &mut mpsc::UnboundedReceiver<u64>) -> impl Future<Output = Option<u64>> + Send {
        receiver.recv()
    }
}

impl Select for Mpsc {
    async fn sum_of_2([mut a, mut b]: [mpsc::Receiver<u64>; 2], count: usize) -> u64 {
        let mut sum = 0;
        for _ in 0..count {
            sum += tokio::select! {
                Some(v) = a.recv() => v,
                Some(v) = b.recv() => v,
                else => unreachable!("the senders are alive"),
            };
        }
        sum
    }

    async fn sum_of_8(receivers: [mpsc::Receiver<u64>; 8], count: usize) -> u64 {
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = receivers;
        let mut sum = 0;
        for _ in 0..count {
            sum += tokio::select! {
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

//! Channels and locks that run on any runtime, here on tokio's: `peer-channels flume chan_128`, and so for kanal, crossfire,
//! async-channel and parking_lot.

#[path = "tokio/runtime.rs"]
mod runtime;

use gorust_benches::{
    loads::channels,
    peer::{Chan, Lock, Mpmc, Rendezvous, Select, Unbounded},
    process::{self, Row},
};
use runtime::Tokio;
use std::future::Future;

fn main() {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_default();
    let rows = match name.as_str() {
        "flume" => [
            rows::<Flume>(),
            channels::select_rows::<Tokio, Flume>(),
            channels::rendezvous_rows::<Tokio, Flume>(),
            vec![("chan_128_4to4", channels::chan_128_4to4::<Tokio, Flume>)],
        ]
        .concat(),
        // No select: a value on its way to a receive that is dropped is lost, and the load waits for it for ever.
        "kanal" => [
            rows::<Kanal>(),
            channels::rendezvous_rows::<Tokio, Kanal>(),
            vec![("chan_128_4to4", channels::chan_128_4to4::<Tokio, Kanal>)],
        ]
        .concat(),
        "async-channel" => [
            rows::<AsyncChannel>(),
            channels::select_rows::<Tokio, AsyncChannel>(),
            vec![("chan_128_4to4", channels::chan_128_4to4::<Tokio, AsyncChannel>)],
        ]
        .concat(),
        "crossfire" => {
            // Its documentation asks programs that may run on few CPUs to call this first.
            crossfire::detect_backoff_cfg();
            let mpmc: Row = ("chan_128_4to4", channels::chan_128_4to4::<Tokio, CrossfireMpmc>);
            [rows::<Crossfire>(), channels::select_rows::<Tokio, Crossfire>(), vec![mpmc]].concat()
        }
        "parking_lot" => channels::lock_rows::<Tokio, ParkingLot>(),
        _ => {
            eprintln!("usage: peer-channels flume | kanal | crossfire | async-channel | parking_lot LOAD ..");
            std::process::exit(2)
        }
    };
    process::run(&name, &rows, args);
}

fn rows<C: Chan + Unbounded>() -> Vec<Row> {
    let mut rows = channels::rows::<Tokio, C>();
    rows.push(("chan_unbounded_4to1", channels::chan_unbounded_4to1::<Tokio, C>));
    rows
}

/// `Select` by tokio's macro over a crate's own receive futures.
macro_rules! select_by_tokio {
    ($channel:ty, $receive:ident) => {
        impl Select for $channel {
            async fn sum_of_2([a, b]: [<Self as Chan>::Receiver; 2], count: usize) -> u64 {
                let mut sum = 0;
                for _ in 0..count {
                    sum += tokio::select! {
                        Ok(v) = a.$receive() => v,
                        Ok(v) = b.$receive() => v,
                        else => unreachable!("the senders are alive"),
                    };
                }
                sum
            }

            async fn sum_of_8(receivers: [<Self as Chan>::Receiver; 8], count: usize) -> u64 {
                let [a, b, c, d, e, f, g, h] = receivers;
                let mut sum = 0;
                for _ in 0..count {
                    sum += tokio::select! {
                        Ok(v) = a.$receive() => v,
                        Ok(v) = b.$receive() => v,
                        Ok(v) = c.$receive() => v,
                        Ok(v) = d.$receive() => v,
                        Ok(v) = e.$receive() => v,
                        Ok(v) = f.$receive() => v,
                        Ok(v) = g.$receive() => v,
                        Ok(v) = h.$receive() => v,
                        else => unreachable!("the senders are alive"),
                    };
                }
                sum
            }
        }
    };
}

/// `Chan`, `Mpmc` and `Unbounded` for a crate whose bounded and unbounded channels have the same two types.
macro_rules! one_pair_of_types {
    ($channel:ident, $($sender:ident)::+, $($receiver:ident)::+, $bounded:path, $unbounded:path, $send:ident, $receive:ident) => {
        impl Chan for $channel {
            type Sender = $($sender)::+<u64>;
            type Receiver = $($receiver)::+<u64>;

            fn bounded(capacity: usize) -> ($($sender)::+<u64>, $($receiver)::+<u64>) {
                $bounded(capacity)
            }

            async fn send(sender: &$($sender)::+<u64>, value: u64) {
                assert!(sender.$send(value).await.is_ok(), "the receiver is alive");
            }

            async fn recv(receiver: &mut $($receiver)::+<u64>) -> Option<u64> {
                receiver.$receive().await.ok()
            }
        }

        impl Mpmc for $channel {
            fn share(receiver: &$($receiver)::+<u64>) -> $($receiver)::+<u64> {
                receiver.clone()
            }
        }

        impl Unbounded for $channel {
            type Sender = $($sender)::+<u64>;
            type Receiver = $($receiver)::+<u64>;

            fn unbounded() -> ($($sender)::+<u64>, $($receiver)::+<u64>) {
                $unbounded()
            }

            fn push(
                sender: &$($sender)::+<u64>,
                value: u64,
            ) -> impl Future<Output = ()> + Send {
                <Self as Chan>::send(sender, value)
            }

            fn pull(
                receiver: &mut $($receiver)::+<u64>,
            ) -> impl Future<Output = Option<u64>> + Send {
                <Self as Chan>::recv(receiver)
            }
        }

    };
}

struct Flume;
one_pair_of_types!(
    Flume,
    flume::Sender,
    flume::Receiver,
    flume::bounded,
    flume::unbounded,
    send_async,
    recv_async
);
impl Rendezvous for Flume {}
select_by_tokio!(Flume, recv_async);

struct Kanal;
one_pair_of_types!(
    Kanal,
    kanal::AsyncSender,
    kanal::AsyncReceiver,
    kanal::bounded_async,
    kanal::unbounded_async,
    send,
    recv
);
impl Rendezvous for Kanal {}

struct AsyncChannel;
one_pair_of_types!(
    AsyncChannel,
    async_channel::Sender,
    async_channel::Receiver,
    async_channel::bounded,
    async_channel::unbounded,
    send,
    recv
);
select_by_tokio!(AsyncChannel, recv);

/// crossfire, with one receiver.
struct Crossfire;

impl Chan for Crossfire {
    type Sender = crossfire::MAsyncTx<crossfire::mpsc::Array<u64>>;
    type Receiver = crossfire::AsyncRx<crossfire::mpsc::Array<u64>>;

    fn bounded(capacity: usize) -> (Self::Sender, Self::Receiver) {
        crossfire::mpsc::bounded_async(capacity)
    }

    async fn send(sender: &Self::Sender, value: u64) {
        assert!(sender.send(value).await.is_ok(), "the receiver is alive");
    }

    async fn recv(receiver: &mut Self::Receiver) -> Option<u64> {
        receiver.recv().await.ok()
    }
}

impl Unbounded for Crossfire {
    type Sender = crossfire::MTx<crossfire::mpsc::List<u64>>;
    type Receiver = crossfire::AsyncRx<crossfire::mpsc::List<u64>>;

    fn unbounded() -> (Self::Sender, Self::Receiver) {
        crossfire::mpsc::unbounded_async()
    }

    async fn push(sender: &Self::Sender, value: u64) {
        assert!(sender.send(value).is_ok(), "the receiver is alive");
    }

    async fn pull(receiver: &mut Self::Receiver) -> Option<u64> {
        receiver.recv().await.ok()
    }
}

select_by_tokio!(Crossfire, recv);

/// crossfire, with several receivers.
struct CrossfireMpmc;

impl Chan for CrossfireMpmc {
    type Sender = crossfire::MAsyncTx<crossfire::mpmc::Array<u64>>;
    type Receiver = crossfire::MAsyncRx<crossfire::mpmc::Array<u64>>;

    fn bounded(capacity: usize) -> (Self::Sender, Self::Receiver) {
        crossfire::mpmc::bounded_async(capacity)
    }

    async fn send(sender: &Self::Sender, value: u64) {
        assert!(sender.send(value).await.is_ok(), "the receiver is alive");
    }

    async fn recv(receiver: &mut Self::Receiver) -> Option<u64> {
        receiver.recv().await.ok()
    }
}

impl Mpmc for CrossfireMpmc {
    fn share(receiver: &Self::Receiver) -> Self::Receiver {
        receiver.clone()
    }
}

/// The lock of threads: who finds it held blocks its worker.
struct ParkingLot;

impl Lock for ParkingLot {
    type Mutex = parking_lot::Mutex<u64>;

    fn mutex() -> parking_lot::Mutex<u64> {
        parking_lot::Mutex::new(0)
    }

    async fn increment(mutex: &parking_lot::Mutex<u64>) -> u64 {
        let mut number = mutex.lock();
        *number += 1;
        *number
    }
}

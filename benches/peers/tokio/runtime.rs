//! tokio's multi-thread runtime as a peer: also what the channels of other crates run on.

use gorust_benches::peer::Peer;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::oneshot,
    task::JoinHandle,
};

/// The runtime, with its defaults.
pub(crate) struct Tokio(Runtime);

/// A join handle whose task is known not to panic.
pub(crate) struct Joined<T>(pub(crate) JoinHandle<T>);

impl<T> Future for Joined<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        Pin::new(&mut self.0).poll(cx).map(|outcome| outcome.expect("no task panics"))
    }
}

impl Peer for Tokio {
    type Handle<T: Send + 'static> = Joined<T>;
    type OneSender<T: Send + 'static> = oneshot::Sender<T>;
    type OneReceiver<T: Send + 'static> = oneshot::Receiver<T>;

    fn start(workers: usize) -> &'static Self {
        let runtime = Builder::new_multi_thread().worker_threads(workers).enable_all().build().unwrap();
        Box::leak(Box::new(Self(runtime)))
    }

    fn run<T, F>(&'static self, body: F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        self.0.block_on(async { tokio::spawn(body).await.unwrap() })
    }

    fn run_main<T, F>(&'static self, body: F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        self.0.block_on(body)
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
        Joined(tokio::spawn(future))
    }

    fn detach<F>(future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        tokio::spawn(future);
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        tokio::task::yield_now()
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

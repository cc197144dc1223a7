//! A soak of channels: eight goroutines do whatever can be done with a few channels, give up where they stand, are
//! aborted and replaced, and in the end every value is accounted for, once. Three seconds, or `GORUST_SOAK_SECONDS` of
//! them, a third each on 1, 2 and 8 workers.

use futures::StreamExt;
use gorust::{
    JoinHandle,
    chan::{self, Receiver, Sender, oneshot},
    prelude::*,
    runtime::Builder,
    time::Instant,
};
use gorust_primitives::shim::Lock;
use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::Poll,
};

const ACTORS: usize = 8;
const CAPACITIES: [Option<usize>; 5] = [Some(0), Some(1), Some(3), Some(64), None];

/// What became of the values. Plain counts: they are compared when all threads are done with them.
#[derive(Default)]
struct Ledger {
    made: AtomicU64,
    /// A send has said that it happened.
    sent: AtomicU64,
    /// Dropped by one who had received it.
    received: AtomicU64,
    /// Dropped by its sender, who had it back.
    given_back: AtomicU64,
    /// Dropped by neither: with the channel it was in.
    left_behind: AtomicU64,
    operations: AtomicU64,
}

impl Ledger {
    fn dropped(&self) -> u64 {
        self.received.load(Relaxed) + self.given_back.load(Relaxed) + self.left_behind.load(Relaxed)
    }
}

#[derive(PartialEq)]
enum Holder {
    Channel,
    Sender,
    Receiver,
}

struct Value {
    holder: Holder,
    ledger: Arc<Ledger>,
}

impl Value {
    fn new(ledger: &Arc<Ledger>) -> Self {
        ledger.made.fetch_add(1, Relaxed);
        Self { holder: Holder::Channel, ledger: Arc::clone(ledger) }
    }

    fn mark_received(mut self) {
        self.holder = Holder::Receiver;
    }

    fn mark_given_back(mut self) {
        self.holder = Holder::Sender;
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        let count = match self.holder {
            Holder::Channel => &self.ledger.left_behind,
            Holder::Sender => &self.ledger.given_back,
            Holder::Receiver => &self.ledger.received,
        };
        count.fetch_add(1, Relaxed);
    }
}

/// A value to be sent by `send_from`, which knows in the end whether it was, however the sender ended.
struct Slot {
    value: Option<Value>,
    ledger: Arc<Ledger>,
}

impl Slot {
    fn new(ledger: &Arc<Ledger>) -> Self {
        Self { value: Some(Value::new(ledger)), ledger: Arc::clone(ledger) }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        match self.value.take() {
            Some(value) => value.mark_given_back(),
            None => drop(self.ledger.sent.fetch_add(1, Relaxed)),
        }
    }
}

/// Polls a few times and gives up, where it stands.
async fn try_for_a_while<F: Future>(future: F, polls: u32) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..polls {
        let polled = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if let Poll::Ready(output) = polled {
            return Some(output);
        }
        gorust::yield_now().await;
    }
    None
}

type Handles = (Sender<Value>, Receiver<Value>);

/// The channels, each replaced now and then: the old one is closed, or left to whoever still uses it.
struct Stage {
    // A lock that ThreadSanitizer can see, which std's is not.
    channels: [Lock<Handles>; CAPACITIES.len()],
    ledger: Arc<Ledger>,
    /// Goroutines that nobody aborts.
    helpers: WaitGroup,
    is_over: AtomicBool,
}

fn make(kind: usize) -> Handles {
    CAPACITIES[kind].map_or_else(chan::unbounded, chan::chan)
}

impl Stage {
    fn pick(&self) -> Handles {
        self.channels[random(CAPACITIES.len())].lock().clone()
    }
}

fn random(below: usize) -> usize {
    gorust_primitives::current::random_below(below as u32) as usize
}

async fn act(stage: Arc<Stage>) {
    while !stage.is_over.load(Relaxed) {
        let (tx, rx) = stage.pick();
        operate(&stage, tx, rx).await;
        stage.ledger.operations.fetch_add(1, Relaxed);
        if random(64) == 0 {
            gorust::yield_now().await;
        }
    }
}

async fn operate(stage: &Stage, tx: Sender<Value>, rx: Receiver<Value>) {
    let (ledger, polls) = (&stage.ledger, random(4) as u32);
    match random(64) {
        0..12 => {
            let mut slot = Slot::new(ledger);
            let _ = try_for_a_while(tx.send_from(&mut slot.value), polls).await;
        }
        12..16 => {
            // With both handles here it closes only if another actor or nobody is left, so it may wait for long:
            // for a receiver, or the abort.
            drop(rx);
            let mut slot = Slot::new(ledger);
            let _ = timeout(Duration::from_millis(2), tx.send_from(&mut slot.value)).await;
        }
        16..20 => {
            let (value, ledger) = (Value::new(ledger), Arc::clone(ledger));
            // Where nobody aborts it, or one would not know whether it was sent.
            let sent = stage.helpers.go(async move {
                match tx.send_timeout(value, Duration::from_micros(300)).await {
                    Ok(()) => drop(ledger.sent.fetch_add(1, Relaxed)),
                    Err(error) => error.into_inner().mark_given_back(),
                }
            });
            sent.await.unwrap();
        }
        20..26 => match tx.try_send(Value::new(ledger)) {
            Ok(()) => drop(ledger.sent.fetch_add(1, Relaxed)),
            Err(error) => error.into_inner().mark_given_back(),
        },
        26..38 => {
            if let Some(Some(value)) = try_for_a_while(rx.recv(), polls).await {
                value.mark_received();
            }
        }
        38..44 => {
            drop(tx);
            if let Ok(Some(value)) = timeout(Duration::from_millis(2), rx.recv()).await {
                value.mark_received();
            }
        }
        44..48 => {
            let mut values = Vec::new();
            let _ = try_for_a_while(rx.recv_many(&mut values, 1 + random(8)), polls).await;
            values.into_iter().for_each(Value::mark_received);
        }
        48..52 => {
            let mut stream = rx.into_stream();
            while let Some(Some(value)) = try_for_a_while(stream.next(), polls).await {
                value.mark_received();
            }
        }
        52..56 => {
            while let Ok(value) = rx.try_recv() {
                value.mark_received();
            }
        }
        56..60 => exchange(&stage.helpers, ledger).await,
        60..62 => drop(try_for_a_while(tx.closed(), polls).await),
        62 => {
            let weak = (tx.downgrade(), rx.downgrade());
            drop((tx, rx));
            drop((weak.0.upgrade(), weak.1.upgrade()));
        }
        _ => {
            let kind = random(CAPACITIES.len());
            let old = std::mem::replace(&mut *stage.channels[kind].lock(), make(kind));
            if random(2) == 0 {
                old.0.close();
            }
        }
    }
}

/// A value through a oneshot, either end of which may be gone.
async fn exchange(helpers: &WaitGroup, ledger: &Arc<Ledger>) {
    let (tx, mut rx) = oneshot();
    let (value, gives_up) = (Value::new(ledger), random(4) == 0);
    let counts = Arc::clone(ledger);
    helpers.go(async move {
        match tx.send(value) {
            Ok(()) => drop(counts.sent.fetch_add(1, Relaxed)),
            Err(error) => error.into_inner().mark_given_back(),
        }
    });
    if gives_up {
        let _ = try_for_a_while(Pin::new(&mut rx), random(3) as u32).await;
    } else if let Ok(value) = rx.await {
        value.mark_received();
    }
}

/// Two that never give up, on a channel of their own which others disturb: if a wake-up is lost, they stop for good.
fn steady(stage: &Arc<Stage>, kind: usize) -> [JoinHandle<()>; 3] {
    let (tx, rx) = make(kind);
    let (sender, receiver, disturber) = (Arc::clone(stage), Arc::clone(stage), Arc::clone(stage));
    let other = (tx.clone(), rx.clone());
    [
        go(async move {
            while !sender.is_over.load(Relaxed) {
                match tx.send(Value::new(&sender.ledger)).await {
                    Ok(()) => drop(sender.ledger.sent.fetch_add(1, Relaxed)),
                    Err(error) => error.into_inner().mark_given_back(),
                }
                if tx.capacity().is_none() {
                    gorust::yield_now().await;
                }
            }
            tx.close();
        }),
        go(async move {
            while let Some(value) = rx.recv().await {
                value.mark_received();
                receiver.ledger.operations.fetch_add(1, Relaxed);
            }
        }),
        go(async move {
            let (tx, rx) = other;
            while !disturber.is_over.load(Relaxed) {
                let mut slot = Slot::new(&disturber.ledger);
                let _ = try_for_a_while(tx.send_from(&mut slot.value), 1).await;
                if let Some(Some(value)) = try_for_a_while(rx.recv(), 1).await {
                    value.mark_received();
                }
                gorust::yield_now().await;
            }
        }),
    ]
}

fn soak(workers: usize, duration: Duration) {
    let runtime = Builder::new().workers(workers).build().unwrap();
    let ledger = Arc::new(Ledger::default());
    let stage = Arc::new(Stage {
        channels: std::array::from_fn(|kind| Lock::new(make(kind))),
        ledger: Arc::clone(&ledger),
        helpers: WaitGroup::new(),
        is_over: AtomicBool::new(false),
    });
    let main = {
        let stage = Arc::clone(&stage);
        runtime.spawn(async move {
            let mut actors: Vec<_> = (0..ACTORS).map(|_| go(act(Arc::clone(&stage)))).collect();
            let steady: Vec<_> = (0..CAPACITIES.len()).flat_map(|kind| steady(&stage, kind)).collect();
            let start = Instant::now();
            while start.elapsed() < duration {
                sleep(Duration::from_micros(500)).await;
                let actor = random(ACTORS);
                actors[actor].abort();
                let aborted = std::mem::replace(&mut actors[actor], go(act(Arc::clone(&stage))));
                assert!(aborted.await.unwrap_err().is_canceled(), "an actor ended by itself");
            }
            stage.is_over.store(true, Relaxed);
            for handle in actors.into_iter().chain(steady) {
                handle.await.unwrap();
            }
            stage.helpers.wait().await;
        })
    };
    watch(&ledger, || runtime.block_on(main).unwrap());
    drop(runtime);
    drop(stage);
    let counts = [&ledger.made, &ledger.sent, &ledger.received, &ledger.given_back, &ledger.left_behind];
    let [made, sent, received, given_back, left_behind] = counts.map(|count| count.load(Relaxed));
    println!(
        "{workers} workers, {duration:?}: {} operations; {made} values: {received} received, {given_back} given back, \
         {left_behind} dropped with a channel",
        ledger.operations.load(Relaxed)
    );
    assert_eq!(ledger.dropped(), made, "made and dropped");
    assert_eq!(received + left_behind, sent, "sent, and received or left behind");
    assert!(received > 0 && given_back > 0 && left_behind > 0);
}

/// Runs `body`, and ends the process if nothing is done for a minute: a wake-up was lost.
fn watch(ledger: &Arc<Ledger>, body: impl FnOnce()) {
    let (over, ended) = std::sync::mpsc::channel::<()>();
    let watched = Arc::clone(ledger);
    let watcher = std::thread::spawn(move || {
        let mut before = u64::MAX;
        while ended.recv_timeout(Duration::from_secs(60)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            let now = watched.operations.load(Relaxed);
            if now == before {
                eprintln!("nothing was done for a minute:\n{now} operations");
                std::process::abort();
            }
            before = now;
        }
    });
    body();
    drop(over);
    watcher.join().unwrap();
}

#[test]
fn every_value_is_accounted_for() {
    let seconds =
        std::env::var("GORUST_SOAK_SECONDS").map_or(3.0, |text| text.parse().expect("a number of seconds"));
    for workers in [1, 2, 8] {
        soak(workers, Duration::from_secs_f64(seconds / 3.0));
    }
}

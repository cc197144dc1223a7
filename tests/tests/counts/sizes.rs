//! Sizes of what people keep: in a struct, in a million goroutines, in the state of an `async fn`. A change here is no
//! mistake by itself, but somebody should have meant it.
#![cfg(target_pointer_width = "64")]

use gorust_reactor::{clock::Instant, time};
use gorust_sync::chan;

/// Asserts all of them at once, so that one run shows every size that has changed.
macro_rules! sizes {
    ($($size:literal $type:ty;)*) => {
        let found = [$((stringify!($type), size_of::<$type>(), $size)),*];
        let changed: Vec<String> = found
            .iter()
            .filter(|(_, is, was)| is != was)
            .map(|(name, is, was)| format!("{name} has {is} bytes, and had {was}"))
            .collect();
        assert!(changed.is_empty(), "\n{}", changed.join("\n"));
    };
}

#[test]
fn handles() {
    sizes! {
        8 gorust::JoinHandle<u64>;
        8 Option<gorust::JoinHandle<u64>>;
        16 gorust::runtime::Handle;
        8 chan::Sender<u64>;
        8 chan::Receiver<u64>;
        8 chan::OneSender<u64>;
        16 chan::OneReceiver<u64>;
        8 chan::WeakSender<u64>;
        8 gorust::sync::WaitGroup;
        8 gorust::sync::Token;
        8 gorust::context::Context;
        16 gorust::context::CancelHandle;
        8 Instant;
        32 gorust::net::TcpStream;
        48 gorust::net::TcpListener;
    }
}

#[test]
fn futures() {
    sizes! {
        16 gorust_scheduler::YieldNow;
        32 time::Sleep;
        40 time::Timeout<std::future::Ready<()>>;
        96 chan::Send<'static, u64>;
        96 chan::Recv<'static, u64>;
        48 gorust::sync::Wait<'static>;
        64 gorust::sync::Lock<'static, u64>;
        48 gorust::context::Done<'static>;
        64 gorust::sync::Notified<'static>;
        72 gorust::sync::Acquire<'static>;
        64 gorust::sync::Read<'static, u64>;
    }
}

#[test]
fn locks() {
    sizes! {
        24 gorust::sync::Mutex<()>;
        24 gorust::sync::RwLock<()>;
        32 gorust::sync::Semaphore;
        32 gorust::sync::Notify;
        24 gorust::sync::Cond;
        32 gorust::sync::Mutex<u64>;
        8 gorust::sync::MutexGuard<'static, u64>;
    }
}

#[test]
fn errors() {
    sizes! {
        16 gorust::JoinError;
        8 chan::SendError<u64>;
        16 chan::TrySendError<u64>;
        1 chan::TryRecvError;
        1 gorust::context::ContextError;
        0 time::Elapsed;
    }
}

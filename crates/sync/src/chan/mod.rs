//! Channels, as Go has them: many senders, many receivers, and a buffer of fixed size, or none.
//!
//! [`chan`] makes one; `chan(0)` is a rendezvous, in which a sender waits until a receiver has the value.
//! [`unbounded`] makes one whose senders never wait, [`oneshot`] one for a single value, and [`never()`] a receiver to
//! which nothing ever comes. Values arrive in the order they were sent, those who wait are served in the order they came, and a value
//! goes straight to the receiver that waits for it. Every future here may be dropped at any moment: no value
//! is lost and nobody is left asleep.
//!
//! | Go | here |
//! |---|---|
//! | `make(chan T)`, `make(chan T, n)` | [`chan::<T>(0)`](chan()), [`chan::<T>(n)`](chan()) |
//! | `ch <- v` | [`tx.send(v).await`](Sender::send); closed: an error with the value, not a panic |
//! | `v, ok := <-ch` | [`rx.recv().await`](Receiver::recv): `Option<T>` |
//! | `for v := range ch` | `while let Some(v) = rx.recv().await` |
//! | `select` with `default` | [`try_send`](Sender::try_send), [`try_recv`](Receiver::try_recv) |
//! | `close(ch)` | [`tx.close()`](Sender::close), or drop the last sender |
//! | `len(ch)`, `cap(ch)` | [`len`](Sender::len), [`capacity`](Sender::capacity) |
//! | `make(chan T, 1)` for one answer | [`oneshot`]: one allocation, no lock |
//! | `var ch chan T`, a nil channel | `None` as `Option<&Receiver<T>>` or `Option<&Sender<T>>`: [`OptionReceiver`], [`OptionSender`] |
//! | a channel nobody receives from | the last receiver is dropped: senders get an error |

mod case;
mod chain;
mod core;
mod error;
mod nil;
mod observe;
mod oneshot;
mod receiver;
mod recv;
mod returned;
mod ring;
mod send;
mod send_timeout;
mod sender;
mod sink;
mod stream;
#[cfg(test)]
mod tests;
mod until_closed;
mod weak;

pub use error::{Closed, SendError, SendTimeoutError, TryRecvError, TrySendError};
pub use nil::{OptionReceiver, OptionSender, OrNever};
pub use oneshot::{OneClosed, OneReceiver, OneSender, oneshot};
pub use receiver::{IterBlocking, Receiver};
pub use recv::{Recv, RecvMany};
pub use send::{Send, SendFrom};
pub use send_timeout::SendTimeout;
pub use sender::Sender;
pub use sink::SendSink;
pub use stream::{IntoStream, RecvStream};
pub use until_closed::UntilClosed;
pub use weak::{WeakReceiver, WeakSender};

use self::core::Chan;
use std::sync::Arc;

/// Makes a channel whose buffer has room for `capacity` values; with capacity 0 it is a rendezvous.
///
/// The buffer is allocated here, in one piece, and nothing after it: not for a message, not for one who
/// waits.
///
/// # Panics
///
/// If a buffer of that size cannot exist.
///
/// # Go
///
/// `make(chan T, capacity)`. The two directions are two types, so only a sender can close.
///
/// # Examples
///
/// ```
/// use gorust_scheduler::{block_on, go};
/// use gorust_sync::chan;
///
/// block_on(async {
///     let (tx, rx) = chan(0);
///     go(async move {
///         for n in 1..=3 {
///             tx.send(n).await.unwrap();
///         }
///     });
///     let mut sum = 0;
///     while let Some(n) = rx.recv().await {
///         sum += n;
///     }
///     assert_eq!(sum, 6);
/// });
/// ```
pub fn chan<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let chan = Arc::new(Chan::new(capacity));
    (Sender { chan: Arc::clone(&chan) }, Receiver { chan })
}

/// Makes a channel without a bound: its senders never wait.
///
/// Nothing holds back a sender that is quicker than the receivers but memory; prefer a [`chan`] with a bound where
/// there is one. The first send allocates a little room, which doubles as values gather, up to blocks of a page;
/// values are never moved to make room, and after a burst the memory is given back. While its length stays the
/// same, give or take a block, nothing is allocated.
///
/// # Go
///
/// Go has none; a goroutine that keeps a slice between two channels is what people write.
///
/// # Examples
///
/// ```
/// let (tx, rx) = gorust_sync::chan::unbounded();
/// for n in 0..1_000 {
///     tx.try_send(n).unwrap();
/// }
/// drop(tx);
/// assert_eq!((rx.len(), rx.capacity()), (1_000, None));
/// assert!(rx.iter_blocking().eq(0..1_000));
/// ```
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    let chan = Arc::new(Chan::unbounded());
    (Sender { chan: Arc::clone(&chan) }, Receiver { chan })
}

/// Makes a receiver to which nothing ever comes, not even the end: for a case of a select that is not wanted yet.
///
/// # Go
///
/// A nil channel one only receives from. See also [`OptionReceiver`].
///
/// # Examples
///
/// ```
/// use gorust_sync::chan::{TryRecvError, never};
///
/// let rx = never::<u32>();
/// assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
/// assert!(!rx.is_closed() && rx.sender_count() == 0);
/// ```
pub fn never<T>() -> Receiver<T> {
    Receiver { chan: Arc::new(Chan::never()) }
}

//! Channels, as Go has them: many senders, many receivers, and a buffer of fixed size, or none.
//!
//! [`chan`] makes one; `chan(0)` is a rendezvous, in which a sender waits until a receiver has the value.
//! Values arrive in the order they were sent, those who wait are served in the order they came, and a value
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
//! | a channel nobody receives from | the last receiver is dropped: senders get an error |

mod core;
mod error;
mod observe;
mod receiver;
mod recv;
mod ring;
mod send;
mod sender;
mod stream;
#[cfg(test)]
mod tests;
mod until_closed;

pub use error::{Closed, SendError, TryRecvError, TrySendError};
pub use receiver::Receiver;
pub use recv::{Recv, RecvMany};
pub use send::{Send, SendFrom};
pub use sender::Sender;
pub use stream::{IntoStream, RecvStream};
pub use until_closed::UntilClosed;

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

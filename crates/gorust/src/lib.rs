//! Go's concurrency on Rust futures: goroutines, channels, wait groups and contexts, under Go's names and with Go's
//! behaviour.
//!
//! ```
//! use gorust::prelude::*;
//!
//! #[gorust::main]
//! async fn main() {
//!     let (squares, inbox) = chan(0);
//!     for n in 1..=3 {
//!         let squares = squares.clone();
//!         go(async move { squares.send(n * n).await });
//!     }
//!     drop(squares);
//!     while let Some(square) = inbox.recv().await {
//!         println!("{square}");
//!     }
//! }
//! ```
//!
//! # Where to start
//!
//! | in Go | here |
//! |---|---|
//! | `go f(x)` | [`go`]`(f(x))`, which gives back a [`JoinHandle`] to wait for, to abort, or to drop |
//! | `make(chan T, n)`, `make(chan T)` | [`chan`](chan())`::<T>(n)`, `chan::<T>(0)` |
//! | `v, ok := <-ch`, `for v := range ch` | `rx.recv().await`, `while let Some(v) = rx.recv().await` |
//! | `ch <- v`, `close(ch)` | `tx.send(v).await`, `tx.close()` or dropping the last sender |
//! | `select { case v := <-ch: .. default: .. }` | [`select!`](macro@select)` { v = rx.recv() => .., default => .. }` |
//! | `sync.WaitGroup`, `sync.Mutex`, `sync.RWMutex`, .. | [`WaitGroup`], [`sync::Mutex`], [`sync::RwLock`], .. |
//! | `errgroup.Group`, `singleflight.Group` | [`Group`], [`sync::Flight`] |
//! | `context.WithTimeout(ctx, d)` | [`Context::with_timeout`] |
//! | `time.Sleep(d)` | [`sleep`]`(d).await` |
//! | a system call that may block | the same; better inside [`blocking`]`(|| ..)`, or as a goroutine of its own by [`spawn_blocking`] |
//! | `runtime.NumGoroutine()`, `runtime.NumCPU()` | [`runtime::num_goroutines`], [`runtime::num_cpu`] |
//! | `runtime.GOMAXPROCS(n)` | [`runtime::set_max_procs`]`(n)` |
//! | `pprof.Do(ctx, labels, f)` | [`task::with_labels`], and [`task::Builder`] for a goroutine with a name |
//! | `net.Listen("tcp", a)`, `net.Dial("tcp", a)` | [`net::TcpListener::bind`], [`net::TcpStream::connect`] |
//! | `func main()` | [`#[gorust::main]`](macro@main) on `async fn main()` |
//! | `func TestX(t *testing.T)`, `synctest.Test` | [`#[gorust::test]`](macro@test) on `async fn x()` |
//!
//! Everything works on any thread. Where no runtime is current, in a plain thread, in a library, inside another
//! executor, `go`, sleeps and sockets use the global one, and the first of them starts it.
//!
//! # Dropping a future
//!
//! What Go cannot do, every `await` here can: be given up. Each operation says under *Cancel safety* what that means;
//! none of them loses a value, a lock or a wake-up that was already granted.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | *(none yet)* | everything below is always there |

#![forbid(unsafe_code)]

pub use futures_util::{join, try_join};
pub use gorust_macros::{main, test};
#[doc(inline)]
pub use gorust_scheduler::{
    AbortHandle, AbortOnDrop, JoinError, JoinHandle, PanicPolicy, block_on, blocking, checkpoint, go, local,
    runtime, spawn, spawn_blocking, task, task_local, yield_now,
};
#[doc(inline)]
pub use gorust_sync::chan;
pub use prelude::*;

/// What a program names most: `use gorust::prelude::*;`.
///
/// # Examples
///
/// ```
/// use gorust::prelude::*;
///
/// gorust::block_on(async {
///     let late = timeout(Duration::from_millis(5), sleep(Duration::from_secs(3600))).await;
///     assert!(late.is_err());
/// });
/// ```
pub mod prelude {
    #[doc(no_inline)]
    pub use crate::{
        chan,
        context::Context,
        go,
        io::{AsyncReadExt, AsyncWriteExt},
        select,
        sync::{Group, WaitGroup},
        time::{Duration, sleep, timeout},
    };
}

/// Primitives for goroutines that share something; the page of each says when to take it.
///
/// # Examples
///
/// ```
/// use gorust::{prelude::*, sync::Mutex};
/// use std::sync::Arc;
///
/// gorust::block_on(async {
///     let (wg, total) = (WaitGroup::new(), Arc::new(Mutex::new(0)));
///     for n in 1..=10 {
///         let total = Arc::clone(&total);
///         wg.go(async move { *total.lock().await += n });
///     }
///     wg.wait().await;
///     assert_eq!(*total.lock().await, 55);
/// });
/// ```
pub mod sync {
    #[doc(inline)]
    pub use gorust_sync::singleflight::{self, Flight};
    #[doc(inline)]
    pub use gorust_sync::{
        barrier::*, cond::*, group::*, mutex::*, notify::*, once::*, pool::*, rw_lock::*, semaphore::*,
        task_set::*, wait_group::*,
    };
}

/// A select whose cases are not known before the program runs; the macro is [`select!`](macro@select).
///
/// # Examples
///
/// ```
/// use gorust::{prelude::*, select::Select};
///
/// gorust::block_on(async {
///     let ((tx, rx), (_other, rx_other)) = (chan(1), chan::<u32>(1));
///     tx.send(7).await.unwrap();
///     let selected = Select::new().recv(&rx_other).recv(&rx).await;
///     assert_eq!((selected.index, selected.recv(&rx)), (1, Some(7)));
/// });
/// ```
pub mod select {
    #[doc(inline)]
    pub use gorust_sync::select::{Select, Selected, Wait};
}

/// Telling goroutines to stop: cancelling, deadlines, and why.
///
/// # Examples
///
/// ```
/// use gorust::{context::ContextError, prelude::*};
///
/// gorust::block_on(async {
///     let ctx = Context::background().with_timeout(Duration::from_millis(5));
///     let outcome = ctx.run(sleep(Duration::from_secs(3600))).await;
///     assert_eq!(outcome, Err(ContextError::DeadlineExceeded));
/// });
/// ```
pub mod context {
    #[doc(inline)]
    pub use gorust_sync::context::*;
}

/// Sleeping, waiting with a limit, and the clock.
///
/// # Examples
///
/// ```
/// use gorust::time::{Duration, Instant, sleep};
///
/// gorust::block_on(async {
///     let start = Instant::now();
///     sleep(Duration::from_millis(5)).await;
///     assert!(start.elapsed() >= Duration::from_millis(5));
/// });
/// ```
pub mod time {
    #[doc(inline)]
    pub use gorust_reactor::{clock::Instant, time::*};
    #[doc(no_inline)]
    pub use std::time::Duration;
}

/// Tests that own time and chance: bubbles, what can be asked inside one, and the explorer of schedules.
///
/// [`#[gorust::test]`](macro@crate::test) makes a test that runs in a bubble; `docs/testing.md` shows how to use all this.
///
/// # Examples
///
/// ```
/// use gorust::{prelude::*, test};
///
/// test::bubble(7, async {
///     let (tx, rx) = chan(0);
///     let receiver = go(async move { timeout(Duration::from_secs(5), rx.recv()).await });
///     test::advance(Duration::from_secs(4)).await;
///     tx.send("in time").await.unwrap();
///     assert_eq!(receiver.await.unwrap(), Ok(Some("in time")));
/// })
/// .unwrap();
/// ```
pub mod test {
    #[doc(inline)]
    pub use gorust_scheduler::{bubble::*, dump::*};
}

/// TCP.
///
/// # Examples
///
/// ```
/// use gorust::{net::{TcpListener, TcpStream}, prelude::*};
///
/// gorust::block_on(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let address = listener.local_addr()?;
///     go(async move {
///         let (mut stream, _peer) = listener.accept().await?;
///         stream.write_all(b"hello").await
///     });
///     let mut text = String::new();
///     TcpStream::connect(address).await?.read_to_string(&mut text).await?;
///     assert_eq!(text, "hello");
///     Ok::<(), std::io::Error>(())
/// })
/// .unwrap();
/// ```
pub mod net {
    #[doc(inline)]
    pub use gorust_os::net::*;
    #[doc(inline)]
    pub use gorust_reactor::Async;
}

/// Reading and writing: the traits and helpers of the `futures` crates, which gorust's sockets implement.
///
/// # Examples
///
/// ```
/// use gorust::io::{AsyncReadExt, copy};
///
/// gorust::block_on(async {
///     let mut sink = Vec::new();
///     let count = copy((&b"one "[..]).chain(&b"two"[..]), &mut sink).await.unwrap();
///     assert_eq!((count, &sink[..]), (7, &b"one two"[..]));
/// });
/// ```
pub mod io {
    #[doc(no_inline)]
    pub use futures_util::io::{
        AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader,
        BufWriter, copy, copy_buf,
    };
}

/// Waits for several things at once and takes one of them.
///
/// ```text
/// select! {
///     biased;                                 // may stand first: the first that is ready wins
///     v = rx.recv() => ..,                    // pattern = future => body
///     Some(v) = rx.recv() => ..,              // if it does not match, the case is out and the others go on
///     r = tx.send(x), if wanted => ..,        // without the guard the future is not even made
///     default => ..,                          // nothing is ready at this instant: it does not wait
///     else => ..,                             // every case is out
/// }
/// ```
///
/// The futures are made once, in the order they are written. All channels are looked at as of one moment, and of the cases
/// that are ready each is chosen with the same probability. Exactly one commits: the others have done nothing, and leave
/// nothing behind. Then all the futures are gone, and the body runs: it may use what they borrowed, `.await`, and
/// leave by `?`, `break`, `continue` and `return`.
///
/// A future is known by its type, not by how it is written. Sends and receives of [`chan`](mod@chan), also of an `Option` of a handle,
/// [`oneshot`](chan::oneshot) receivers, [`ctx.done()`](Context::done), [`sleep`] and
/// [`JoinHandle`] take part in the snapshot. So do `Pin<&mut _>` of them, and `&mut` of the last three. Any other
/// future is polled beside it: which group is asked first is drawn each time, in proportion to their sizes.
///
/// * With `default` the select never waits and needs no `async` around it.
/// * A send that is not chosen drops its value; `tx.send_from(&mut slot)` leaves it in the slot.
/// * Only the outer variant of a pattern may fail to match, as in `Some(v)`, `Ok((a, b))` and `None`.
/// * If all cases are out and there is no `else`, it waits for ever, as Go's empty select.
///
/// # Cancel safety
///
/// Dropped while it waits, it leaves all queues. Dropped after a value was granted to it, the value goes to the next
/// receiver, or back to the front; a send that was taken has happened. Of the futures that are not chosen, one that was
/// given by `Pin<&mut _>` or `&mut` can go on, and has lost its place in the queue.
///
/// # Fairness
///
/// A case that is always ready keeps no other from being chosen: a flooded channel does not hide a cancel. While a select
/// waits, its place in each queue is that of its coming.
///
/// # Go
///
/// `select`. There are no nil channels but `None`, and a guard; a send on a closed channel is an `Err` if it is chosen, not a
/// panic.
///
/// # Examples
///
/// ```
/// use gorust::{prelude::*, select};
///
/// gorust::block_on(async {
///     let (ctx, _cancel) = Context::background().with_cancel();
///     let (jobs, inbox) = chan(8);
///     go(async move {
///         for job in 1..=3 {
///             jobs.send(job).await.unwrap();
///         }
///     });
///     let mut sum = 0;
///     loop {
///         select! {
///             Some(job) = inbox.recv() => sum += job,
///             _ = ctx.done(), if sum < 6 => break,
///             else => break,
///         }
///     }
///     assert_eq!(sum, 6);
/// });
/// ```
///
/// A look that does not wait:
///
/// ```
/// use gorust::{prelude::*, select};
///
/// let (tx, rx) = chan::<u32>(1);
/// let look = || select! { v = rx.recv() => v, default => None };
/// assert_eq!(look(), None);
/// tx.try_send(1).unwrap();
/// assert_eq!(look(), Some(1));
/// ```
#[macro_export]
macro_rules! select {
    ($($cases:tt)*) => {
        $crate::__private::select! { { $crate::__private::select_parts } $($cases)* }
    };
}

/// What the macros' code calls. No part of the contract.
#[doc(hidden)]
pub mod __private {
    pub use gorust_macros::select;
    pub use gorust_scheduler::{
        PanicPolicy,
        main::{MainOptions, run as run_main, run_local as run_main_local},
        test::{Returned, TestOptions, Verdict, run as run_test, run_real as run_test_real},
    };
    pub use gorust_sync::select::parts as select_parts;
}

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/testing.md")]
struct Testing;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/sync.md")]
struct GuideToSync;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide/channels.md")]
struct Channels;

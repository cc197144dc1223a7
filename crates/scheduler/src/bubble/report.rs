//! How a bubble can fail: [`BubbleError`], each kind with what a person needs to find the mistake.

use crate::dump::Dump;
use std::{any::Any, error::Error, fmt, panic::Location, time::Duration};

/// Why a bubble has no result. `Display` and `Debug` are both the report to be read.
///
/// # Examples
///
/// ```
/// use gorust_scheduler::bubble::{BubbleError, bubble};
///
/// let error = bubble(1, std::future::pending::<()>()).unwrap_err();
/// assert!(matches!(error, BubbleError::Deadlock(_)));
/// assert!(error.to_string().starts_with("deadlock: every goroutine waits, and no timer will wake one"));
/// ```
#[non_exhaustive]
pub enum BubbleError {
    /// Every goroutine waited, and no timer was armed: the goroutines at that moment.
    Deadlock(Dump),
    /// The bubble's future has returned and left goroutines behind: those, when none of them could run any more.
    Leak(Dump),
    /// A goroutine panicked and nobody saw it, or the bubble's own future panicked.
    Panic(BubblePanic),
    /// More polls than were allowed, and time did not move: the goroutines at that moment.
    Livelock(Dump),
}

impl BubbleError {
    /// One word for the kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Deadlock(_) => "deadlock",
            Self::Leak(_) => "leak",
            Self::Panic(_) => "panic",
            Self::Livelock(_) => "livelock",
        }
    }

    /// Returns the goroutines that were left; `None` for a panic.
    pub fn dump(&self) -> Option<&Dump> {
        match self {
            Self::Deadlock(dump) | Self::Leak(dump) | Self::Livelock(dump) => Some(dump),
            Self::Panic(_) => None,
        }
    }

    /// Whether `other` is the same failure, as far as one can tell: of the same kind, and a panic at the same place.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Panic(one), Self::Panic(other)) => one.at == other.at,
            _ => self.kind() == other.kind(),
        }
    }
}

impl fmt::Display for BubbleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deadlock(dump) => {
                write!(f, "deadlock: every goroutine waits, and no timer will wake one\n\n{dump}")
            }
            Self::Leak(dump) => {
                let count = dump.goroutines().len();
                let who = if count == 1 { "goroutine has" } else { "goroutines have" };
                write!(f, "leak: {count} {who} outlived the test\n\n{dump}")
            }
            Self::Panic(panic) => panic.fmt(f),
            Self::Livelock(dump) => {
                write!(f, "livelock: goroutines run without end, and time does not move\n\n{dump}")
            }
        }
    }
}

impl fmt::Debug for BubbleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for BubbleError {}

/// A panic that ended a bubble.
///
/// # Examples
///
/// ```
/// use gorust_scheduler::{bubble::{BubbleError, bubble}, go};
///
/// let unseen = bubble(1, async {
///     go(async { panic!("no luck") });
/// });
/// let Err(BubbleError::Panic(panic)) = unseen else { panic!("it was lost") };
/// assert_eq!((panic.goroutine(), panic.message()), (2, "no luck"));
/// ```
pub struct BubblePanic {
    pub(super) goroutine: u64,
    pub(super) spawned_at: &'static Location<'static>,
    pub(super) at: Option<String>,
    pub(super) payload: Box<dyn Any + Send>,
}

impl BubblePanic {
    /// Returns the number of the goroutine; 1 is the bubble's own future.
    pub fn goroutine(&self) -> u64 {
        self.goroutine
    }

    /// Returns where that goroutine was spawned.
    pub fn spawned_at(&self) -> &'static Location<'static> {
        self.spawned_at
    }

    /// Returns what it said; of a payload that is no text, that it is none.
    pub fn message(&self) -> &str {
        crate::task::error::message(&*self.payload)
    }

    /// Returns what it panicked with, for `std::panic::resume_unwind`.
    pub fn into_payload(self) -> Box<dyn Any + Send> {
        self.payload
    }
}

impl fmt::Display for BubblePanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unseen = if self.goroutine == 1 { "" } else { " and nobody saw it" };
        write!(f, "panic: goroutine {} panicked{unseen}: {}", self.goroutine, self.message())?;
        if let Some(at) = &self.at {
            write!(f, "\n  at {at}")?;
        }
        write!(f, "\n  created at {}", self.spawned_at)
    }
}

impl fmt::Debug for BubblePanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Virtual time since the bubble began, as reports print it.
pub(super) fn since_start(now_ns: u64) -> Duration {
    Duration::from_nanos(now_ns.saturating_sub(gorust_reactor::clock::Instant::START.as_ns()))
}

//! [`Dump`]: the goroutines of a runtime at one moment, to look at or to print.

use gorust_primitives::current::Reason;
use std::{fmt, panic::Location, time::Duration};

/// The goroutines of a runtime as they were at one moment, by their numbers.
///
/// `Display` prints each as Go does: what it waits for and how long, where, and who spawned it where.
///
/// # Examples
///
/// ```
/// use gorust_scheduler::{bubble::{BubbleError, bubble}, go};
///
/// let stuck = bubble(1, async {
///     go(std::future::pending::<()>());
/// });
/// let Err(BubbleError::Leak(dump)) = stuck else { panic!("nobody saw it") };
/// assert_eq!(dump.goroutines().len(), 1);
/// assert!(dump.to_string().starts_with("goroutine 2 [waiting"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dump {
    goroutines: Vec<Goroutine>,
}

impl Dump {
    pub(crate) fn new(mut goroutines: Vec<Goroutine>) -> Self {
        goroutines.sort_unstable_by_key(|goroutine| goroutine.id);
        Self { goroutines }
    }

    /// Returns the goroutines, in the order of their numbers.
    pub fn goroutines(&self) -> &[Goroutine] {
        &self.goroutines
    }
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, goroutine) in self.goroutines.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            goroutine.fmt(f)?;
        }
        Ok(())
    }
}

/// One goroutine in a [`Dump`].
///
/// # Examples
///
/// ```
/// use gorust_reactor::time::{Duration, sleep};
/// use gorust_scheduler::{bubble::{BubbleError, bubble}, go};
///
/// let left = bubble(1, async {
///     go(std::future::pending::<()>());
///     sleep(Duration::from_secs(2)).await;
/// });
/// let Err(BubbleError::Leak(dump)) = left else { panic!("nobody saw it") };
/// let goroutine = &dump.goroutines()[0];
/// assert_eq!((goroutine.id, goroutine.parent, goroutine.waited), (2, 1, Duration::from_secs(2)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Goroutine {
    /// Its number; in a bubble they begin with 1, the bubble's own future.
    pub id: u64,
    /// The number of the goroutine that spawned it; 0 if none did.
    pub parent: u64,
    /// Where it was spawned.
    pub spawned_at: &'static Location<'static>,
    /// What it waits for, as it said itself.
    pub reason: Reason,
    /// Where it waits, if the future it waits in is one of gorust's; when it waits for another goroutine's result, where
    /// that one was spawned.
    pub waits_at: Option<&'static Location<'static>>,
    /// For how long it has waited; virtual time in a bubble.
    pub waited: Duration,
}

impl fmt::Display for Goroutine {
    /// The lines of one goroutine, without a newline at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "goroutine {} [{}", self.id, self.reason)?;
        if !self.waited.is_zero() {
            write!(f, ", {:?}", self.waited)?;
        }
        f.write_str("]:")?;
        match (self.waits_at, self.reason) {
            (Some(at), Reason::Join) => write!(f, "\n  waiting for the goroutine created at {at}")?,
            (Some(at), _) => write!(f, "\n  waiting at {at}")?,
            (None, _) => {}
        }
        match self.parent {
            0 => write!(f, "\n  created at {}", self.spawned_at),
            parent => write!(f, "\n  created by goroutine {parent} at {}", self.spawned_at),
        }
    }
}

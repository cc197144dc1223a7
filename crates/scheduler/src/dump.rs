//! [`Dump`]: the goroutines of a runtime at one moment, to look at or to print.

use crate::{
    shared::Shared,
    task::{error::Title, raw::TaskRef},
};
use gorust_primitives::current::{COARSE_NS, Reason};
use std::{fmt, panic::Location, sync::Arc, time::Duration};

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

    /// The goroutines of a runtime that goes on meanwhile: each as it was at some moment of the walk.
    pub(crate) fn of(shared: &Shared) -> Self {
        let now = shared.reactor().now_ns() / COARSE_NS;
        let mut goroutines = Vec::new();
        for shard in shared.shards() {
            shard.walk(|task| {
                let since = u64::from(task.header().record.wait().since);
                let waited = Duration::from_nanos(now.saturating_sub(since) * COARSE_NS);
                goroutines.push(Goroutine::of(&task, waited));
            });
        }
        Self::new(goroutines)
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

/// What a goroutine that has not ended is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// It is inside a poll.
    Running,
    /// It has something to do, and waits for its turn.
    Runnable,
    /// It waits for somebody to wake it.
    Waiting,
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
    /// Its name, if it was given one.
    pub name: Option<Arc<str>>,
    /// The number of the goroutine that spawned it; 0 if none did.
    pub parent: u64,
    /// Where it was spawned.
    pub spawned_at: &'static Location<'static>,
    /// Whether it waited, or ran, or could run.
    pub status: Status,
    /// What it waits for, as it said itself; what it last waited for, if it does not wait now.
    pub reason: Reason,
    /// Where it waits, if the future it waits in is one of gorust's; when it waits for another goroutine's result, where
    /// that one was spawned.
    pub waits_at: Option<&'static Location<'static>>,
    /// For how long it has waited; virtual time in a bubble.
    pub waited: Duration,
}

impl Goroutine {
    /// Describes `task`, which has waited so long if it waits.
    pub(crate) fn of(task: &TaskRef, waited: Duration) -> Self {
        let header = task.header();
        let (record, wait, status) = (&header.record, header.record.wait(), header.state.status());
        Self {
            id: record.id(),
            name: task.details().and_then(|details| details.name.clone()),
            parent: record.parent(),
            spawned_at: record.spawned_at(),
            status,
            reason: wait.reason,
            waits_at: wait.at,
            waited,
        }
    }
}

impl Goroutine {
    fn fmt_wait(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.reason)?;
        if !self.waited.is_zero() {
            write!(f, ", {:?}", self.waited)?;
        }
        f.write_str("]:")?;
        match (self.waits_at, self.reason) {
            (Some(at), Reason::Join) => write!(f, "\n  waiting for the goroutine created at {at}"),
            (Some(at), _) => write!(f, "\n  waiting at {at}"),
            (None, _) => Ok(()),
        }
    }
}

impl fmt::Display for Goroutine {
    /// The lines of one goroutine, without a newline at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [", Title(self.id, self.name.as_deref()))?;
        match self.status {
            Status::Running => f.write_str("running]:")?,
            Status::Runnable => f.write_str("runnable]:")?,
            Status::Waiting => self.fmt_wait(f)?,
        }
        match self.parent {
            0 => write!(f, "\n  created at {}", self.spawned_at),
            parent => write!(f, "\n  created by goroutine {parent} at {}", self.spawned_at),
        }
    }
}

//! [`Trace`]: what happened in a bubble, step by step. One seed gives one trace.

use super::report::since_start;
use gorust_primitives::current::Reason;
use std::{fmt, panic::Location, time::Duration};

/// What a bubble did, step by step. Two runs of one program from one seed have equal traces, and equal texts.
///
/// # Examples
///
/// ```
/// use gorust_scheduler::{bubble::Bubble, go};
///
/// let program = || async { go(async { 1 }).await.unwrap() };
/// let (result, trace) = Bubble::new(3).run_traced(program());
/// assert_eq!(result.unwrap(), 1);
/// assert_eq!(trace, Bubble::new(3).run_traced(program()).1);
/// assert!(trace.to_string().contains("goroutine 2"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    steps: Vec<Step>,
}

/// One step of a [`Trace`].
///
/// # Examples
///
/// ```
/// use gorust_scheduler::bubble::{Bubble, Step, Then};
///
/// let (_, trace) = Bubble::new(1).run_traced(async {});
/// assert!(matches!(trace.steps(), [.., Step::Ran { goroutine: 1, then: Then::Ended, .. }]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// A goroutine ran.
    #[non_exhaustive]
    Ran {
        /// Its number.
        goroutine: u64,
        /// Which of the runnable goroutines it was, counted from 0 in the order in which they became so.
        choice: usize,
        /// How many were runnable.
        of: usize,
        /// Before which of its operations it was to be interrupted, counted from 1; 0: before none.
        interrupt: u32,
        /// What it did in the end.
        then: Then,
    },
    /// Virtual time moved to this distance from the beginning.
    Time(Duration),
    /// A timer fired: which one of those due at this instant, and of how many.
    #[non_exhaustive]
    Fired {
        /// Counted from 0.
        choice: usize,
        /// How many were due.
        of: usize,
    },
}

/// How a poll of a goroutine ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Then {
    /// The goroutine waits: for what, and where if it said so; for another goroutine's result: where that one was
    /// spawned.
    Waits(Reason, Option<&'static Location<'static>>),
    /// It is runnable again: it let others run first, was interrupted, or was woken while it ran.
    Runnable,
    /// It has ended.
    Ended,
}

impl Trace {
    /// Returns the steps.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub(super) fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    pub(super) fn time(&mut self, now_ns: u64) {
        self.steps.push(Step::Time(since_start(now_ns)));
    }

    /// The first step in which the two differ, if they do.
    pub(super) fn difference(&self, other: &Self) -> Option<usize> {
        let common = self.steps.iter().zip(&other.steps).take_while(|(a, b)| a == b).count();
        (common < self.steps.len().max(other.steps.len())).then_some(common)
    }
}

impl fmt::Display for Trace {
    /// One line a step.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().enumerate().try_for_each(|(number, step)| writeln!(f, "{number:>5}  {step}"))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ran { goroutine, choice, of, interrupt, then } => {
                write!(f, "goroutine {goroutine} ({choice} of {of}")?;
                if *interrupt != 0 {
                    write!(f, ", interrupt before {interrupt}")?;
                }
                write!(f, ") {then}")
            }
            Self::Time(time) => write!(f, "time {time:?}"),
            Self::Fired { choice, of } => write!(f, "timer ({choice} of {of})"),
        }
    }
}

impl fmt::Display for Then {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waits(Reason::Join, Some(at)) => write!(f, "[join] with the one created at {at}"),
            Self::Waits(reason, Some(at)) => write!(f, "[{reason}] at {at}"),
            Self::Waits(reason, None) => write!(f, "[{reason}]"),
            Self::Runnable => f.write_str("[runnable]"),
            Self::Ended => f.write_str("ended"),
        }
    }
}

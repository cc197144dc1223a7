//! Armed timers as the rest of the program holds them: [`Armed`] for this crate's futures, [`Alarm`] for others.
//! Which shard a timer goes to is decided here, and that a poller who sleeps too long is told.

use super::{
    NEVER,
    shard::{Look, Released, Shard},
};
use crate::{clock::Instant, current};
use std::{fmt, task::Waker};

/// A timer that is armed, or has fired; dropping it cancels it.
pub(crate) struct Armed {
    shard: &'static Shard,
    /// Its slot, or [`RELEASED`].
    index: u32,
    _room: Room,
}

/// A byte with one value: the others are room for the variants of an enum around [`Armed`], which then costs a
/// sleeping goroutine no word more.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Room {
    Armed,
}

/// No slot.
const RELEASED: u32 = u32::MAX;

impl Armed {
    /// Arms a timer in the calling thread's shard.
    #[inline]
    pub(crate) fn new(deadline: u64, waker: Waker) -> Self {
        let here = current::here();
        let waker = match here {
            Some(here) => match here.shard.arm(deadline, waker) {
                Ok(index) => {
                    if here.is_foreign() {
                        here.reactor.deadline_from_outside(deadline);
                    } else {
                        here.reactor.deadline_from_inside(deadline);
                    }
                    return Self::of(here.shard, index);
                }
                Err(waker) => waker,
            },
            None => waker,
        };
        Self::from_outside(deadline, waker)
    }

    /// Arms a timer in the shard of foreign threads, on a thread that no open reactor calls its own.
    #[cold]
    fn from_outside(deadline: u64, mut waker: Waker) -> Self {
        loop {
            let reactor = current::reactor_for_timers();
            let shard = reactor.foreign_shard();
            match shard.arm(deadline, waker) {
                Ok(index) => {
                    reactor.deadline_from_outside(deadline);
                    return Self::of(shard, index);
                }
                // Closed in this moment: the next one will be another.
                Err(refused) => waker = refused,
            }
        }
    }

    #[inline]
    fn of(shard: &'static Shard, index: u32) -> Self {
        Self { shard, index, _room: Room::Armed }
    }

    /// Looks whether it has fired; if not, makes sure that `waker` will be woken. Not to be called again after it
    /// has found something else than waiting.
    #[inline]
    pub(crate) fn look(&mut self, waker: &Waker) -> Look {
        let look = self.shard.look(self.index, waker);
        if look != Look::Waiting {
            self.index = RELEASED;
        }
        look
    }

    /// Cancels it. Returns whether it had not fired.
    #[inline]
    fn cancel(self) -> bool {
        let Self { shard, index, .. } = self;
        std::mem::forget(self);
        shard.release(index) == Released::Waiting
    }
}

impl Drop for Armed {
    #[inline]
    fn drop(&mut self) {
        if self.index != RELEASED {
            self.shard.release(self.index);
        }
    }
}

impl fmt::Debug for Armed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Armed({})", self.index)
    }
}

/// Wakes a [`Waker`] at a deadline, unless it is cancelled or dropped before.
///
/// For code that is no future: a context with a deadline, a lock that helps a waiter after a while. Futures use
/// [`sleep`](crate::time::sleep). The waker runs on whichever thread fires the timer, so it must be quick.
///
/// Whoever is woken looks at the clock: when the runtime that drives the timer is shut down, the waker is woken
/// early, and the one who still needs the deadline arms a new alarm.
///
/// # Examples
///
/// ```
/// use gorust_reactor::{clock::Instant, timer::Alarm};
/// use std::{task::Waker, time::Duration};
///
/// let alarm = Alarm::at(Instant::now() + Duration::from_secs(60), Waker::noop().clone());
/// assert!(alarm.cancel(), "it had not fired");
/// ```
#[must_use = "dropping an alarm cancels it"]
#[derive(Debug)]
pub struct Alarm(Option<Armed>);

impl Alarm {
    /// Arms a timer that wakes `waker` when `deadline` has come. [`Instant::FAR_FUTURE`] never comes.
    #[inline]
    pub fn at(deadline: Instant, waker: Waker) -> Self {
        match deadline.as_ns() {
            NEVER => Self(None),
            ns => Self(Some(Armed::new(ns, waker))),
        }
    }

    /// Cancels the alarm. Returns whether it had not fired: `true` means that the waker will not be woken, `false`
    /// that it has been or is being woken.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::{clock::Instant, timer::Alarm};
    /// use std::task::Waker;
    ///
    /// assert!(Alarm::at(Instant::FAR_FUTURE, Waker::noop().clone()).cancel());
    /// ```
    #[inline]
    pub fn cancel(self) -> bool {
        self.0.is_none_or(Armed::cancel)
    }
}

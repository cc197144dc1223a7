//! What time it is: the monotonic clock, the virtual one of a bubble, and [`Instant`], which both speak.
//! The only file that reads the clock of the operating system. What waits for a time lives in `timer` and `time`.

use gorust_primitives::shim::{AtomicU64, Ordering};
use std::{
    ops::{Add, AddAssign, Sub, SubAssign},
    sync::OnceLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The clock a reactor runs by; chosen when it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The monotonic clock of the operating system.
    Real,
    /// A clock that stands still until its owner calls [`Reactor::advance_to`](crate::Reactor::advance_to). It
    /// starts where the real one does, at [`Instant::START`].
    Virtual,
}

/// A point in time, in nanoseconds since shortly before the process (or the bubble) began.
///
/// It is monotonic: it never goes back, and has nothing to do with the calendar. In a bubble it is virtual and
/// moves only when every goroutine waits. Arithmetic is exact to the nanosecond and reaches about 580 years ahead
/// and 30 days back from the start.
///
/// # Go
///
/// The monotonic reading of `time.Time`, without the calendar.
///
/// # Examples
///
/// ```
/// use gorust_reactor::clock::Instant;
/// use std::time::Duration;
///
/// let start = Instant::now();
/// let deadline = start + Duration::from_millis(5);
/// assert_eq!(deadline - start, Duration::from_millis(5));
/// assert!(start.elapsed() < Duration::from_secs(60));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

/// Where clocks begin: late enough that "a day before the program started" is still a number.
const START_NS: u64 = 30 * 24 * 60 * 60 * 1_000_000_000;

impl Instant {
    /// What a clock says when it begins.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::clock::Instant;
    ///
    /// assert!(Instant::START <= Instant::now());
    /// ```
    pub const START: Self = Self(START_NS);

    /// The end of time: a timer with this deadline never fires.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::clock::Instant;
    /// use std::time::Duration;
    ///
    /// assert_eq!(Instant::now().saturating_add(Duration::MAX), Instant::FAR_FUTURE);
    /// ```
    pub const FAR_FUTURE: Self = Self(u64::MAX);

    /// Returns the time now: the bubble's on a thread that runs one, the real one elsewhere.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::clock::Instant;
    ///
    /// let first = Instant::now();
    /// assert!(first <= Instant::now());
    /// ```
    #[inline]
    pub fn now() -> Self {
        Self(crate::current::now_ns())
    }

    /// Returns the instant that is `ns` nanoseconds on the clock's own scale.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::clock::Instant;
    ///
    /// let now = Instant::now();
    /// assert_eq!(Instant::from_ns(now.as_ns()), now);
    /// ```
    pub const fn from_ns(ns: u64) -> Self {
        Self(ns)
    }

    /// Returns the nanoseconds on the clock's own scale: for schedulers, and for sorting.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::clock::Instant;
    /// use std::time::Duration;
    ///
    /// let now = Instant::now();
    /// assert_eq!((now + Duration::from_nanos(7)).as_ns(), now.as_ns() + 7);
    /// ```
    pub const fn as_ns(self) -> u64 {
        self.0
    }

    /// Returns how long ago this was; zero if it lies ahead.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::clock::Instant;
    /// use std::time::Duration;
    ///
    /// let ahead = Instant::now() + Duration::from_secs(60);
    /// assert_eq!(ahead.elapsed(), Duration::ZERO);
    /// ```
    pub fn elapsed(self) -> Duration {
        Self::now().saturating_duration_since(self)
    }

    /// Returns the time from `earlier` to this instant; zero if `earlier` is later.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::clock::Instant;
    /// use std::time::Duration;
    ///
    /// let (now, second) = (Instant::now(), Duration::from_secs(1));
    /// assert_eq!((now + second).duration_since(now), second);
    /// assert_eq!(now.duration_since(now + second), Duration::ZERO);
    /// ```
    pub const fn duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Returns the time from `earlier` to this instant; zero if `earlier` is later.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::clock::Instant;
    /// use std::time::Duration;
    ///
    /// let now = Instant::now();
    /// assert_eq!(now.saturating_duration_since(now + Duration::from_secs(1)), Duration::ZERO);
    /// ```
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        self.duration_since(earlier)
    }

    /// Returns the time from `earlier` to this instant; `None` if `earlier` is later.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::clock::Instant;
    /// use std::time::Duration;
    ///
    /// let now = Instant::now();
    /// assert_eq!(now.checked_duration_since(now + Duration::from_secs(1)), None);
    /// ```
    pub fn checked_duration_since(self, earlier: Self) -> Option<Duration> {
        self.0.checked_sub(earlier.0).map(Duration::from_nanos)
    }

    /// Returns this instant moved ahead by `duration`; `None` beyond what can be represented.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::clock::Instant;
    /// use std::time::Duration;
    ///
    /// assert_eq!(Instant::now().checked_add(Duration::MAX), None);
    /// ```
    pub fn checked_add(self, duration: Duration) -> Option<Self> {
        self.0.checked_add(u64::try_from(duration.as_nanos()).ok()?).map(Self)
    }

    /// Returns this instant moved back by `duration`; `None` beyond what can be represented.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::clock::Instant;
    /// use std::time::Duration;
    ///
    /// assert!(Instant::now().checked_sub(Duration::from_secs(3600)).is_some());
    /// assert_eq!(Instant::START.checked_sub(Duration::MAX), None);
    /// ```
    pub fn checked_sub(self, duration: Duration) -> Option<Self> {
        self.0.checked_sub(u64::try_from(duration.as_nanos()).ok()?).map(Self)
    }

    /// Returns this instant moved ahead by `duration`, at most to [`FAR_FUTURE`](Self::FAR_FUTURE).
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::clock::Instant;
    /// use std::time::Duration;
    ///
    /// let now = Instant::now();
    /// assert_eq!(now.saturating_add(Duration::from_secs(1)), now + Duration::from_secs(1));
    /// ```
    #[inline]
    pub const fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(saturating_ns(duration)))
    }

    /// Converts to std's instant. In a bubble the two clocks have nothing to do with each other, and the result
    /// only keeps its distance to the start.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_reactor::clock::Instant;
    ///
    /// let now = Instant::now();
    /// assert_eq!(Instant::from(now.into_std()), now);
    /// ```
    pub fn into_std(self) -> std::time::Instant {
        let (epoch, distance) = (epoch(), self.0.abs_diff(START_NS));
        let distance = Duration::from_nanos(distance);
        let moved =
            if self.0 >= START_NS { epoch.checked_add(distance) } else { epoch.checked_sub(distance) };
        moved.unwrap_or(epoch)
    }
}

impl From<std::time::Instant> for Instant {
    fn from(instant: std::time::Instant) -> Self {
        let epoch = epoch();
        match instant.checked_duration_since(epoch) {
            Some(after) => Self::START.saturating_add(after),
            None => Self(START_NS.saturating_sub(saturating_ns(epoch.duration_since(instant)))),
        }
    }
}

impl From<Instant> for std::time::Instant {
    fn from(instant: Instant) -> Self {
        instant.into_std()
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// # Panics
    ///
    /// If the result is beyond what can be represented, as std's does.
    fn add(self, duration: Duration) -> Self {
        self.checked_add(duration).expect("overflow when adding a duration to an instant")
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    /// # Panics
    ///
    /// If the result is beyond what can be represented, as std's does.
    fn sub(self, duration: Duration) -> Self {
        self.checked_sub(duration).expect("overflow when subtracting a duration from an instant")
    }
}

impl SubAssign<Duration> for Instant {
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.duration_since(earlier)
    }
}

/// Nanoseconds of `duration`, or as many as a `u64` holds.
const fn saturating_ns(duration: Duration) -> u64 {
    let ns = duration.as_nanos();
    if ns > u64::MAX as u128 { u64::MAX } else { ns as u64 }
}

/// The virtual calendar begins on 2000-01-01 at 00:00 UTC: so many seconds after Unix time does.
const VIRTUAL_EPOCH_SECONDS: u64 = 946_684_800;

/// Returns the time of day: the system's, and in a bubble that of a calendar which begins on 2000-01-01 at 00:00 UTC
/// and moves with the bubble's clock.
///
/// # Examples
///
/// ```
/// use gorust_reactor::clock::wall_now;
/// use std::time::UNIX_EPOCH;
///
/// assert!(wall_now() > UNIX_EPOCH);
/// ```
pub fn wall_now() -> SystemTime {
    match crate::current::virtual_now_ns() {
        Some(ns) => {
            let since = Duration::from_nanos(ns.saturating_sub(START_NS));
            UNIX_EPOCH + Duration::from_secs(VIRTUAL_EPOCH_SECONDS) + since
        }
        None => SystemTime::now(),
    }
}

/// The std instant that stands for [`Instant::START`].
#[inline]
fn epoch() -> std::time::Instant {
    static EPOCH: OnceLock<std::time::Instant> = OnceLock::new();
    *EPOCH.get_or_init(std_now)
}

#[inline]
#[allow(clippy::disallowed_methods, reason = "this is the clock the lint points to")]
fn std_now() -> std::time::Instant {
    std::time::Instant::now()
}

/// Reads the real clock.
#[inline]
pub(crate) fn real_now_ns() -> u64 {
    let since = std_now().saturating_duration_since(epoch());
    // 64 bits of nanoseconds are 584 years of uptime.
    START_NS + since.as_secs() * 1_000_000_000 + u64::from(since.subsec_nanos())
}

/// The clock inside a reactor.
#[derive(Debug)]
pub(crate) struct ClockCell {
    /// The virtual time, or [`REAL`].
    virtual_ns: AtomicU64,
}

/// Not a time: the real clock is to be asked.
const REAL: u64 = u64::MAX;

impl ClockCell {
    pub(crate) fn new(clock: Clock) -> Self {
        let cell = Self { virtual_ns: AtomicU64::new(REAL) };
        cell.reset(clock);
        cell
    }

    /// Starts again as `clock`.
    pub(crate) fn reset(&self, clock: Clock) {
        let start = match clock {
            Clock::Real => REAL,
            Clock::Virtual => START_NS,
        };
        // Ordering: Relaxed; the reactor is handed to its new user by other means.
        self.virtual_ns.store(start, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn is_virtual(&self) -> bool {
        // Ordering: Relaxed, it does not change while the reactor is open.
        self.virtual_ns.load(Ordering::Relaxed) != REAL
    }

    #[inline]
    pub(crate) fn now_ns(&self) -> u64 {
        // Ordering: Relaxed, a number by itself. A bubble runs on one thread, and whoever wakes that thread from
        // outside synchronises with it.
        match self.virtual_ns.load(Ordering::Relaxed) {
            REAL => real_now_ns(),
            ns => ns,
        }
    }

    /// Moves virtual time ahead to `ns`; never back.
    pub(crate) fn advance_to(&self, ns: u64) {
        assert!(self.is_virtual(), "only a virtual clock can be moved");
        // Ordering: Relaxed, as in `now_ns`.
        self.virtual_ns.fetch_max(ns.min(REAL - 1), Ordering::Relaxed);
    }
}

#[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn real_time_does_not_go_back() {
        let first = Instant::now();
        let second = Instant::now();
        assert!(first <= second && first >= Instant::START);
    }

    #[test]
    fn arithmetic_saturates_where_it_says_so() {
        let now = Instant::now();
        assert_eq!(now.saturating_add(Duration::MAX), Instant::FAR_FUTURE);
        assert_eq!(now.checked_add(Duration::MAX), None);
        assert_eq!(Instant::START.checked_sub(Duration::from_secs(40 * 24 * 3600)), None);
        assert_eq!(now - Duration::from_secs(24 * 3600) + Duration::from_secs(24 * 3600), now);
        assert_eq!(Instant::START - Instant::FAR_FUTURE, Duration::ZERO);
        assert_eq!(Instant::START.checked_duration_since(Instant::FAR_FUTURE), None);
    }

    #[test]
    fn std_and_back_is_the_same() {
        let now = Instant::now();
        assert_eq!(Instant::from(now.into_std()), now);
        let before = Instant::START - Duration::from_millis(1);
        assert_eq!(Instant::from(std::time::Instant::from(before)), before);
    }

    #[test]
    fn virtual_time_stands_still_until_it_is_moved() {
        let clock = ClockCell::new(Clock::Virtual);
        assert_eq!(clock.now_ns(), START_NS);
        clock.advance_to(START_NS + 7);
        clock.advance_to(START_NS + 3);
        assert_eq!(clock.now_ns(), START_NS + 7);
    }
}

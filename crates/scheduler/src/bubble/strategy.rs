//! Every choice a bubble makes, and who makes it: [`Strategy`] by chance, [`Schedule`] by a list. A choice is a number,
//! and 0 is what would have happened by itself: the goroutine that has waited longest runs next, nobody interrupts it,
//! timers of one instant fire in the order in which the reactor has them. So the choices that are not 0 are what a failing schedule is about.

use crate::task::raw::Runnable;
use gorust_primitives::{current::Record, rng::Rng};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    error::Error,
    fmt,
    hash::{BuildHasherDefault, Hasher},
    str::FromStr,
};

/// How a bubble chooses what happens next. All of them draw from the seed and from nothing else.
///
/// # Examples
///
/// ```
/// use gorust_scheduler::{bubble::{Bubble, Strategy}, go, yield_now};
/// use std::sync::{Arc, Mutex};
///
/// let order = Arc::new(Mutex::new(Vec::new()));
/// let seen = Arc::clone(&order);
/// let first_come_first_served = Bubble::new(7).strategy(Strategy::Fifo).run(async move {
///     for n in 1..=3 {
///         let seen = Arc::clone(&seen);
///         go(async move { seen.lock().unwrap().push(n) });
///     }
///     yield_now().await;
/// });
/// first_come_first_served.unwrap();
/// assert_eq!(*order.lock().unwrap(), [1, 2, 3]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// By the seed: `Random` for even ones, `Priority` with 1 to 3 changes for odd ones. A seed alone then names
    /// a run, whichever of the two found something.
    #[default]
    Mixed,
    /// Any runnable goroutine is as likely as any other to run next, and now and then one is interrupted before an
    /// operation that it could have completed. Finds mistakes that many schedules show.
    Random,
    /// Each goroutine has a random priority, and the highest runs; at `changes` moments, drawn in advance, the running
    /// one is interrupted and becomes the lowest. A mistake that needs `changes` interruptions, each at its moment, is
    /// found with a probability that does not shrink with the number of goroutines. (Burckhardt and others, *A
    /// Randomized Scheduler with Probabilistic Guarantees of Finding Bugs*, ASPLOS 2010.)
    Priority {
        /// How many interruptions.
        changes: u32,
    },
    /// First come, first served, and nobody is interrupted: what a program does on a quiet day. For comparison.
    Fifo,
}

impl Strategy {
    /// What this strategy is for `seed`: itself, or one of the two that [`Mixed`](Self::Mixed) stands for.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_scheduler::bubble::Strategy;
    ///
    /// assert_eq!(Strategy::Mixed.resolve(4), Strategy::Random);
    /// assert_eq!(Strategy::Fifo.resolve(4), Strategy::Fifo);
    /// ```
    pub fn resolve(self, seed: u64) -> Self {
        match self {
            Self::Mixed if seed.is_multiple_of(2) => Self::Random,
            Self::Mixed => Self::Priority { changes: 1 + (seed / 2 % 3) as u32 },
            other => other,
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mixed => f.write_str("mixed"),
            Self::Random => f.write_str("random"),
            Self::Priority { changes: 1 } => f.write_str("priorities with 1 change"),
            Self::Priority { changes } => write!(f, "priorities with {changes} changes"),
            Self::Fifo => f.write_str("first come, first served"),
        }
    }
}

/// The choices of one run, to run it again: those that are not 0, each with its place among all choices.
///
/// `Display` writes it as `place:choice` with spaces between, or `fifo` if no choice is left, and `FromStr` reads that.
///
/// # Examples
///
/// ```
/// use gorust_scheduler::bubble::Schedule;
///
/// let schedule: Schedule = "3:1 17:2".parse()?;
/// assert_eq!((schedule.len(), schedule.to_string()), (2, "3:1 17:2".to_owned()));
/// # Ok::<(), gorust_scheduler::bubble::ParseScheduleError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// Invariant: places rise, and no choice is 0.
    choices: Vec<(u32, u32)>,
}

impl Schedule {
    /// Returns how many choices there are that would not have been made by themselves.
    pub fn len(&self) -> usize {
        self.choices.len()
    }

    /// Whether it is the schedule in which everything happens by itself: first come, first served.
    pub fn is_empty(&self) -> bool {
        self.choices.is_empty()
    }

    pub(super) fn push(&mut self, place: u32, choice: u32) {
        self.choices.push((place, choice));
    }

    /// Without the choices from the one of number `from` on, `count` of them.
    pub(super) fn without(&self, from: usize, count: usize) -> Self {
        let kept = self.choices.iter().enumerate().filter(|(at, _)| !(from..from + count).contains(at));
        Self { choices: kept.map(|(_, &choice)| choice).collect() }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("fifo");
        }
        for (index, (place, choice)) in self.choices.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{place}:{choice}")?;
        }
        Ok(())
    }
}

/// A text is no [`Schedule`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseScheduleError {
    text: String,
}

impl fmt::Display for ParseScheduleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no schedule: it must be `fifo`, or rising places and choices as in `3:1 17:2`",
            self.text
        )
    }
}

impl Error for ParseScheduleError {}

impl FromStr for Schedule {
    type Err = ParseScheduleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseScheduleError { text: text.to_owned() };
        let mut schedule = Self::default();
        if text.trim() == "fifo" {
            return Ok(schedule);
        }
        for pair in text.split_whitespace() {
            let (place, choice) = pair.split_once(':').ok_or_else(error)?;
            let (place, choice) =
                (place.parse::<u32>().map_err(|_| error())?, choice.parse::<u32>().map_err(|_| error())?);
            if choice == 0 || schedule.choices.last().is_some_and(|&(last, _)| last >= place) {
                return Err(error());
            }
            schedule.push(place, choice);
        }
        Ok(schedule)
    }
}

/// One poll in so many is interrupted by [`Strategy::Random`], if it gets that far.
const INTERRUPT_ONE_IN: u32 = 2;
/// And before one of its first so many operations, each half as likely as the one before. A goroutine that goes on longer
/// is run again, and drawn for again.
const INTERRUPT_WITHIN: u32 = 4;

/// Moments of [`Strategy::Priority`] are drawn within the first two to this many polls, each power of two as likely as
/// the others: how long a program runs is not known in advance.
const MOMENTS_LOG2: u32 = 10;

/// Priorities at birth are above this, those after a change below.
const LOWEST_BORN: u64 = 1 << 32;

/// Makes the choices of one run.
pub(super) struct Chooser {
    rng: Rng,
    plan: Plan,
    /// How many choices were made.
    made: u32,
    /// Those that were not 0, if anybody wants to know.
    taken: Option<Schedule>,
}

enum Plan {
    Fifo,
    Random,
    Priority {
        /// The polls that are interrupted, the next one last.
        moments: Vec<u32>,
        polls: u32,
        /// The next priority below all others.
        lowest: u64,
        /// The runnable goroutines by their priorities; of equals, the one that came first.
        heap: BinaryHeap<(u64, Reverse<u64>)>,
    },
    Replay {
        schedule: Schedule,
        next: usize,
    },
}

impl Chooser {
    /// Chooses by `strategy`.
    pub(super) fn new(strategy: Strategy, seed: u64) -> Self {
        // Not the sequence that the program's own random choices come from.
        let rng = Rng::new(seed ^ 0x6a09_e667_f3bc_c909);
        let plan = match strategy.resolve(seed) {
            Strategy::Fifo => Plan::Fifo,
            Strategy::Priority { changes } => {
                let moment = |_| {
                    let low = (1 << rng.below(MOMENTS_LOG2)) - 1;
                    low + rng.below(low + 1)
                };
                let mut moments: Vec<u32> = (0..changes).map(moment).collect();
                moments.sort_unstable_by_key(|&moment| Reverse(moment));
                Plan::Priority { moments, polls: 0, lowest: LOWEST_BORN - 1, heap: BinaryHeap::new() }
            }
            _ => Plan::Random,
        };
        Self { rng, plan, made: 0, taken: None }
    }

    /// Makes the choices of `schedule`, and 0 where it has none.
    pub(super) fn replay(schedule: Schedule) -> Self {
        Self { rng: Rng::new(0), plan: Plan::Replay { schedule, next: 0 }, made: 0, taken: None }
    }

    /// Writes down from now on what it chooses.
    pub(super) fn record(&mut self) {
        self.taken = Some(Schedule::default());
    }

    /// What was written down.
    pub(super) fn taken(&mut self) -> Schedule {
        self.taken.take().unwrap_or_default()
    }

    /// A goroutine has become runnable, with this number in [`Ready`].
    fn is_ready(&mut self, number: u64, task: &Runnable, lives: &mut Lives) {
        if let Plan::Priority { heap, .. } = &mut self.plan {
            let life = lives.of(&task.header().record);
            if life.priority == 0 {
                life.priority = self.rng.next_u64() | LOWEST_BORN;
            }
            heap.push((life.priority, Reverse(number)));
        }
    }

    /// Which of the runnable goroutines, in the order in which they became so, runs next.
    fn pick(&mut self, ready: &VecDeque<(u64, Runnable)>) -> usize {
        let count = ready.len() as u32;
        let choice = match &mut self.plan {
            Plan::Priority { heap, .. } => {
                let first = heap.pop().map_or(0, |(_, Reverse(number))| number);
                ready.binary_search_by_key(&first, |&(number, _)| number).unwrap_or(0) as u32
            }
            _ if count <= 1 => 0,
            Plan::Fifo => 0,
            Plan::Random => self.rng.below(count),
            Plan::Replay { .. } => self.listed(count),
        };
        if count > 1 { self.note(choice) as usize } else { 0 }
    }

    /// Before which of its next operations, counted from 1, the goroutine that is about to run is interrupted; 0 for
    /// none.
    pub(super) fn interrupt(&mut self, task: &Runnable, lives: &mut Lives) -> u32 {
        let choice = match &mut self.plan {
            Plan::Fifo => 0,
            Plan::Random if self.rng.below(INTERRUPT_ONE_IN) == 0 => soon(&self.rng),
            Plan::Random => 0,
            Plan::Priority { moments, polls, .. } => {
                let poll = *polls;
                *polls += 1;
                if moments.last().is_some_and(|&moment| moment <= poll) {
                    moments.pop();
                    let choice = soon(&self.rng);
                    self.goes_last(task, lives);
                    choice
                } else {
                    0
                }
            }
            Plan::Replay { .. } => self.listed(INTERRUPT_WITHIN + 1),
        };
        self.note(choice)
    }

    /// The goroutine let others run first, or was interrupted.
    pub(super) fn goes_last(&mut self, task: &Runnable, lives: &mut Lives) {
        if let Plan::Priority { lowest, .. } = &mut self.plan {
            lives.of(&task.header().record).priority = *lowest;
            *lowest -= 1;
        }
    }

    /// Which of `count` timers that are due at the same instant fires next.
    pub(super) fn due(&mut self, count: usize) -> usize {
        if count <= 1 {
            return 0;
        }
        let choice = match &self.plan {
            Plan::Fifo => 0,
            Plan::Random | Plan::Priority { .. } => self.rng.below(count as u32),
            Plan::Replay { .. } => self.listed(count as u32),
        };
        self.note(choice) as usize
    }

    /// What the schedule says at this place. A choice there is not, because an earlier one was dropped, is 0.
    fn listed(&mut self, count: u32) -> u32 {
        let Plan::Replay { schedule, next } = &mut self.plan else { return 0 };
        match schedule.choices.get(*next) {
            Some(&(place, choice)) if place == self.made => {
                *next += 1;
                if choice < count { choice } else { 0 }
            }
            _ => 0,
        }
    }

    fn note(&mut self, choice: u32) -> u32 {
        if choice != 0
            && let Some(taken) = &mut self.taken
        {
            taken.push(self.made, choice);
        }
        self.made += 1;
        choice
    }
}

/// One of the next operations.
fn soon(rng: &Rng) -> u32 {
    1 + rng.next_u64().trailing_zeros().min(INTERRUPT_WITHIN - 1)
}

/// The goroutines that are runnable, in the order in which they became so.
#[derive(Default)]
pub(super) struct Ready {
    /// Each with its number; numbers rise.
    queue: VecDeque<(u64, Runnable)>,
    next: u64,
}

impl Ready {
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn push(&mut self, task: Runnable, chooser: &mut Chooser, lives: &mut Lives) {
        chooser.is_ready(self.next, &task, lives);
        self.queue.push_back((self.next, task));
        self.next += 1;
    }

    /// Takes the one that runs next, and which it was.
    pub(super) fn pick(&mut self, chooser: &mut Chooser) -> Option<(usize, Runnable)> {
        if self.queue.is_empty() {
            return None;
        }
        let choice = chooser.pick(&self.queue);
        self.queue.remove(choice).map(|(_, task)| (choice, task))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Runnable> {
        self.queue.iter().map(|(_, task)| task)
    }

    /// Takes all of them: nobody runs any more.
    pub(super) fn take_all(&mut self) -> Vec<Runnable> {
        self.queue.drain(..).map(|(_, task)| task).collect()
    }
}

/// What a bubble remembers of its goroutines, by their numbers, until they end.
#[derive(Default)]
pub(super) struct Lives(HashMap<u64, Life, BuildHasherDefault<Spread>>);

#[derive(Default)]
pub(super) struct Life {
    /// When it was last polled, which is when it began to wait.
    pub(super) polled_ns: u64,
    /// 0 while nobody has drawn it.
    priority: u64,
}

impl Lives {
    pub(super) fn of(&mut self, record: &Record) -> &mut Life {
        self.0.entry(record.id()).or_default()
    }

    pub(super) fn ended(&mut self, record: &Record) {
        self.0.remove(&record.id());
    }
}

/// A hasher for numbers that count upwards: std's takes longer than all the rest of a choice.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("keys are numbers")
    }

    fn write_u64(&mut self, number: u64) {
        // The golden ratio: both ends of the product are well mixed, as a hash table wants them.
        self.0 = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }
}

#[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_read_as_they_are_written() {
        for text in ["fifo", "0:1", "3:1 17:2 18:40"] {
            assert_eq!(text.parse::<Schedule>().unwrap().to_string(), text);
        }
        for text in ["3", "3:0", "3:1 3:2", "4:1 3:1", "a:1", "3:-1"] {
            assert!(text.parse::<Schedule>().unwrap_err().to_string().contains(text), "{text}");
        }
        let schedule: Schedule = "1:1 2:2 3:3 4:4".parse().unwrap();
        assert_eq!(schedule.without(1, 2).to_string(), "1:1 4:4");
    }

    #[test]
    fn mixed_takes_both_kinds_in_turn() {
        let kinds: Vec<Strategy> = (0..6).map(|seed| Strategy::Mixed.resolve(seed)).collect();
        let changes = |changes| Strategy::Priority { changes };
        use Strategy::Random;
        assert_eq!(kinds, [Random, changes(1), Random, changes(2), Random, changes(3)]);
    }

    #[test]
    fn ties_are_broken_by_chance_or_not_at_all() {
        let mut chooser = Chooser::new(Strategy::Random, 3);
        let drawn: Vec<usize> = (0..300).map(|_| chooser.due(5)).collect();
        assert!((0..5).all(|value| drawn.contains(&value)), "{drawn:?}");
        let mut fifo = Chooser::new(Strategy::Fifo, 3);
        assert!((0..300).all(|_| fifo.due(5) == 0));
    }
}

//! Who sleeps, who searches, and whom to wake. No lock, no list: one bit a place, and a count of searchers.
//!
//! The rule: new work wakes a worker only if nobody is searching and somebody sleeps; whoever stops searching
//! because it found something looks whether there is more, and if so wakes the next. The proof that no work is left
//! lying while everybody sleeps is in the README, "No lost wake-up"; the steps named here are its steps.

use crossbeam_utils::CachePadded;
use gorust_primitives::shim::{AtomicU32, AtomicU64, Ordering, fence, mutant};

/// The most places a runtime can have: the words below.
pub(crate) const MAX_PLACES: usize = 256;

const WORDS: usize = MAX_PLACES / 64;

/// Not a place.
const NOBODY: u32 = u32::MAX;

/// See the module.
#[derive(Debug)]
pub(crate) struct Idle {
    /// One bit a place: its holder sleeps, or is about to. Set by the holder; cleared by whoever wakes it, who then
    /// owes it the wake-up and has counted it as searching, or by itself.
    sleepers: [CachePadded<AtomicU64>; WORDS],
    /// Workers that look for work elsewhere, or have been woken to do so.
    searching: CachePadded<AtomicU32>,
    /// The place that sleeps in the reactor, woken last: while it sleeps there, sockets and timers are served.
    driver: AtomicU32,
}

fn bit_of(place: usize) -> (usize, u64) {
    (place / 64, 1 << (place % 64))
}

impl Idle {
    pub(crate) fn new() -> Self {
        Self {
            sleepers: std::array::from_fn(|_| CachePadded::new(AtomicU64::new(0))),
            searching: CachePadded::new(AtomicU32::new(0)),
            driver: AtomicU32::new(NOBODY),
        }
    }

    /// Joins the searchers, unless half of the `workers` search already.
    pub(crate) fn try_search(&self, workers: usize) -> bool {
        // Ordering: Relaxed, a bound on useless work and nothing more.
        if 2 * self.searching.load(Ordering::Relaxed) as usize >= workers {
            return false;
        }
        // Ordering: SeqCst, as every change of the count; see `stop_searching`.
        self.searching.fetch_add(1, Ordering::SeqCst);
        true
    }

    /// Leaves the searchers. `true`: it was the last one, and must look whether there is more work (step 5).
    #[must_use]
    pub(crate) fn stop_searching(&self) -> bool {
        // Ordering: SeqCst and the fence, against the fence in `wake_one`: either who pushed sees that nobody
        // searches any more, or the look that follows sees what was pushed.
        let last = self.searching.fetch_sub(1, Ordering::SeqCst) == 1;
        fence(Ordering::SeqCst);
        last
    }

    /// Says that the holder of `place` is about to sleep (step 2), in the reactor or not. What follows must be one
    /// more look at every queue (step 3).
    pub(crate) fn announce(&self, place: usize, in_reactor: bool) {
        if in_reactor {
            // Ordering: Relaxed, advice on whom to wake first.
            self.driver.store(place as u32, Ordering::Relaxed);
        }
        let (word, bit) = bit_of(place);
        // Ordering: SeqCst and the fence, against the fence in `wake_one`: of the two fences one is first. Either
        // who pushed sees the bit, or the look that follows sees what was pushed.
        self.sleepers[word].fetch_or(bit, Ordering::SeqCst);
        if !mutant("idle.announce_without_fence") {
            fence(Ordering::SeqCst);
        }
    }

    /// Takes the announcement back. `false`: somebody has woken this worker meanwhile; its wake-up is on the way,
    /// and it is counted as searching.
    #[must_use]
    pub(crate) fn withdraw(&self, place: usize) -> bool {
        let (word, bit) = bit_of(place);
        // Ordering: Relaxed, and only as a hint: cleared by another place's holder at worst, who then chose us.
        if self.driver.load(Ordering::Relaxed) == place as u32 {
            self.driver.store(NOBODY, Ordering::Relaxed);
        }
        // Ordering: SeqCst, one order of all changes of the bit.
        self.sleepers[word].fetch_and(!bit, Ordering::SeqCst) & bit != 0
    }

    /// Whether the holder of some place sleeps, or is about to.
    pub(crate) fn is_any_asleep(&self) -> bool {
        // Ordering: Relaxed, a look that may be late.
        self.sleepers.iter().any(|word| word.load(Ordering::Relaxed) != 0)
    }

    /// Whether the holders of the first `count` places all sleep, or are about to.
    pub(crate) fn all_asleep(&self, count: usize) -> bool {
        self.sleepers.iter().enumerate().all(|(index, word)| {
            let places = count.saturating_sub(index * 64).min(64);
            let all = if places == 64 { u64::MAX } else { (1 << places) - 1 };
            // Ordering: Relaxed, ordered by the fence in `Monitor::sleep`, where it matters.
            word.load(Ordering::Relaxed) & all == all
        })
    }

    /// Whether the announcement stands: nobody has woken this worker yet.
    #[cfg(test)]
    pub(crate) fn is_announced(&self, place: usize) -> bool {
        let (word, bit) = bit_of(place);
        // Ordering: Relaxed, a count for a test.
        self.sleepers[word].load(Ordering::Relaxed) & bit != 0
    }

    /// Takes the announcement back because the last look found something, and joins the searchers: while this
    /// worker was still counted as one, others may have left more for it to find, so that it owes step 5.
    pub(crate) fn withdraw_to_search(&self, place: usize) {
        if self.withdraw(place) && !mutant("idle.withdraw_without_searching") {
            // Ordering: SeqCst, as in `try_search`.
            self.searching.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Chooses a sleeper to be woken, if nobody searches (step 4). The caller has pushed something that can be
    /// stolen, and wakes the holder of the place returned.
    #[must_use]
    pub(crate) fn wake_one(&self) -> Option<usize> {
        if !mutant("idle.wake_without_fence") {
            // Ordering: SeqCst, against the fences in `announce` and `stop_searching`.
            fence(Ordering::SeqCst);
        }
        // Ordering: Relaxed, the fence has ordered it.
        if self.searching.load(Ordering::Relaxed) != 0 {
            return None;
        }
        // Ordering: Relaxed, advice.
        let driver = self.driver.load(Ordering::Relaxed);
        let mut spared = None;
        for (index, word) in self.sleepers.iter().enumerate() {
            // Ordering: Relaxed, the fence has ordered it, and the exchange below confirms.
            let mut bits = word.load(Ordering::Relaxed);
            while bits != 0 {
                let lowest = bits.trailing_zeros() as usize;
                let place = index * 64 + lowest;
                bits &= bits - 1;
                if place as u32 == driver {
                    spared = Some(place);
                } else if self.claim(place) {
                    return Some(place);
                }
            }
        }
        spared.filter(|&place| self.claim(place))
    }

    /// Clears the bit and counts its owner as searching. `false`: it was cleared meanwhile.
    fn claim(&self, place: usize) -> bool {
        let (word, bit) = bit_of(place);
        // Ordering: SeqCst, one order of all changes of the bit: exactly one clears it.
        let mine = self.sleepers[word].fetch_and(!bit, Ordering::SeqCst) & bit != 0;
        if mine {
            // Ordering: SeqCst, as in `try_search`.
            self.searching.fetch_add(1, Ordering::SeqCst);
        }
        mine
    }
}

#[cfg(test)]
mod model {
    use super::*;
    use gorust_primitives::{
        parker::Parker,
        shim::{Arc, AtomicUsize, model, mutant_is_caught, thread},
    };

    /// Queue, idle protocol and one parker a worker: the whole of the way to sleep, without tasks.
    struct Shared {
        idle: Idle,
        /// Stand-in for every queue that can be stolen from: how many items are in it.
        queue: AtomicUsize,
        parkers: [Parker; 2],
    }

    impl Shared {
        fn push(&self) {
            // Relaxed on purpose: only the fences may order it.
            self.queue.fetch_add(1, Ordering::Relaxed);
            self.notify();
        }

        fn notify(&self) {
            if let Some(place) = self.idle.wake_one() {
                self.parkers[place].unpark();
            }
        }

        fn pop(&self) -> bool {
            let mut length = self.queue.load(Ordering::Relaxed);
            while length > 0 {
                match self.queue.compare_exchange(length, length - 1, Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) => return true,
                    Err(actual) => length = actual,
                }
            }
            false
        }

        /// A worker's way from "nothing to do" to its next item: the steps of `worker.rs`.
        fn find(&self, place: usize, mut searching: bool) {
            loop {
                if self.pop() {
                    if searching && self.idle.stop_searching() && self.queue.load(Ordering::Relaxed) > 0 {
                        self.notify();
                    }
                    return;
                }
                self.idle.announce(place, false);
                if searching {
                    let _ = self.idle.stop_searching();
                }
                if self.queue.load(Ordering::Relaxed) > 0 {
                    self.idle.withdraw_to_search(place);
                    searching = !mutant("idle.withdraw_without_searching");
                    continue;
                }
                self.parkers[place].park();
                searching = !self.idle.withdraw(place);
            }
        }
    }

    fn shared() -> Arc<Shared> {
        Arc::new(Shared {
            idle: Idle::new(),
            queue: AtomicUsize::new(0),
            parkers: [Parker::new(), Parker::new()],
        })
    }

    /// Two items, two workers that take one each, pushed by a third thread: a lost wake-up is a thread that sleeps
    /// for ever, which the checker reports.
    fn two_workers() {
        let shared = shared();
        let workers = [0, 1].map(|place| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let searching = shared.idle.try_search(2);
                shared.find(place, searching);
            })
        });
        shared.push();
        shared.push();
        for worker in workers {
            worker.join().unwrap();
        }
    }

    /// One worker and one item; the worker searches before it sleeps, or not.
    fn one_worker(searching: bool) {
        let shared = shared();
        let worker = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let searching = searching && shared.idle.try_search(2);
                shared.find(0, searching);
            })
        };
        shared.push();
        worker.join().unwrap();
    }

    #[test]
    fn idle_no_wake_up_is_lost() {
        let searching = model(|| one_worker(true));
        let not_searching = model(|| one_worker(false));
        println!("idle, one worker: {searching} executions searching, {not_searching} not");
        assert!(searching > 1 && not_searching > 1);
    }

    #[test]
    fn idle_no_wake_up_is_lost_between_two_workers() {
        let executions = model(two_workers);
        println!("idle, two workers: {executions} executions");
        assert!(executions > 1);
    }

    #[test]
    fn idle_mutant_that_announces_without_a_fence_is_caught() {
        assert!(mutant_is_caught("idle.announce_without_fence", || one_worker(false)));
    }

    #[test]
    fn idle_mutant_that_wakes_without_a_fence_is_caught() {
        assert!(mutant_is_caught("idle.wake_without_fence", || one_worker(false)));
    }

    #[test]
    fn idle_mutant_that_withdraws_without_searching_is_caught() {
        assert!(mutant_is_caught("idle.withdraw_without_searching", two_workers));
    }
}

#[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn the_driver_is_woken_last() {
        let idle = Idle::new();
        idle.announce(0, true);
        idle.announce(70, false);
        assert_eq!(idle.wake_one(), Some(70));
        assert_eq!(idle.wake_one(), None, "somebody searches");
        assert!(idle.stop_searching());
        assert_eq!(idle.wake_one(), Some(0));
        assert!(!idle.withdraw(0), "it was woken");
    }

    #[test]
    fn at_most_half_search() {
        let idle = Idle::new();
        assert!(idle.try_search(2));
        assert!(!idle.try_search(2));
        assert!(idle.stop_searching(), "it was the last");
    }
}

//! A *seat* is what one worker thread brings along: its queue as others see it, its parker, its share of the
//! registry, its counters. It stays where it is for ever, and belongs to one thread after another; what only the
//! owner may touch lies on the shelf until a thread sits down and takes it along.

use crate::{
    queue::{Local, NextSlot, Stealer, Word},
    registry::{Owner, Shard},
    task::raw::{Header, Runnable},
    watched::Watched,
};
use gorust_primitives::{
    parker::Parker,
    shim::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Lock, Ordering},
};
use gorust_reactor::Reactor;
use std::ptr::NonNull;

// SAFETY: `into_raw` and `from_raw` hand one pointer back and forth.
unsafe impl Word for Runnable {
    fn into_word(self) -> NonNull<()> {
        // SAFETY: a Runnable's pointer is not null.
        unsafe { NonNull::new_unchecked(self.into_raw().cast()) }
    }

    unsafe fn from_word(word: NonNull<()>) -> Self {
        // SAFETY: as the trait says, the word comes from `into_word` and is used once.
        unsafe { Self::from_raw(word.cast::<Header>()) }
    }
}

/// Where the thread of a seat sleeps, or slept last.
const IN_PARKER: u8 = 0;
const IN_REACTOR: u8 = 1;

/// What only the seat's thread may touch.
#[derive(Debug)]
pub(crate) struct Belongings {
    pub(crate) local: Local<Runnable>,
    pub(crate) registry: Owner,
}

/// See the module.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Seat {
    /// Ahead of the queue. Filled by the owner, taken by the owner or a thief.
    pub(crate) next: NextSlot<Runnable>,
    /// Polls so far. Written by the owner, read by thieves: "is it still the same poll?"
    polls: AtomicU32,
    sleeps_in: AtomicU8,
    /// Sections of blocking code that the owner has entered or left: odd inside one. Written by the owner, read by the
    /// monitor.
    sections: AtomicU32,
    /// Where the owner arms its timers. Written by the owner, read by the monitor.
    timer_shard: AtomicUsize,
    /// The owner's thread, while one sits here.
    thread: Lock<Option<Watched>>,
    pub(crate) stealer: Stealer<Runnable>,
    pub(crate) parker: Parker,
    /// Tasks that first waited here.
    pub(crate) shard: Shard,
    /// Tasks spawned by the owner; written by it alone.
    spawned: AtomicU64,
    /// Tasks completed by the owner; written by it alone.
    left: AtomicU64,
    /// What the thread takes along while it sits here.
    shelf: Lock<Option<Belongings>>,
}

impl Seat {
    pub(crate) fn new() -> Self {
        let local = Local::new();
        Self {
            next: NextSlot::new(),
            polls: AtomicU32::new(0),
            sleeps_in: AtomicU8::new(IN_PARKER),
            sections: AtomicU32::new(0),
            timer_shard: AtomicUsize::new(Reactor::FOREIGN),
            thread: Lock::new(None),
            stealer: local.stealer(),
            parker: Parker::new(),
            shard: Shard::new(),
            spawned: AtomicU64::new(0),
            left: AtomicU64::new(0),
            shelf: Lock::new(Some(Belongings { local, registry: Owner::new() })),
        }
    }

    /// Takes the belongings along, for this thread, which arms its timers in `timer_shard`. `None`: somebody sits here.
    pub(crate) fn sit_down(&self, timer_shard: usize) -> Option<Belongings> {
        let belongings = self.shelf.lock().take()?;
        // Ordering: Relaxed, every shard there ever was may be looked at.
        self.timer_shard.store(timer_shard, Ordering::Relaxed);
        // SAFETY: the thread stands up before it ends, which takes the value away: a worker's loop is not left by a
        // panic, which ends the process.
        *self.thread.lock() = Some(unsafe { Watched::this_thread() });
        Some(belongings)
    }

    /// Puts the belongings back.
    pub(crate) fn stand_up(&self, belongings: Belongings) {
        *self.thread.lock() = None;
        // Ordering: Relaxed. Another thread may sit here in another runtime, with another reactor.
        self.timer_shard.store(Reactor::FOREIGN, Ordering::Relaxed);
        *self.shelf.lock() = Some(belongings);
    }

    /// Looks at the thread that sits here. `None`: there is none, or it does not tell.
    pub(crate) fn with_thread<T>(&self, look: impl FnOnce(&Watched) -> Option<T>) -> Option<T> {
        self.thread.lock().as_ref().and_then(look)
    }

    /// Where the owner arms its timers.
    #[inline]
    pub(crate) fn timer_shard(&self) -> usize {
        // Ordering: Relaxed, as in `sit_down`.
        self.timer_shard.load(Ordering::Relaxed)
    }

    /// The owner enters a section of blocking code, or leaves it.
    #[inline]
    pub(crate) fn count_section(&self) {
        // Ordering: Relaxed, one writer, and the monitor only compares.
        self.sections.store(self.sections.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    pub(crate) fn sections(&self) -> u32 {
        // Ordering: Relaxed, as in `count_section`.
        self.sections.load(Ordering::Relaxed)
    }

    /// Counts a poll. For the owner.
    #[inline]
    pub(crate) fn count_poll(&self) {
        // Ordering: Relaxed, one writer, and readers only compare.
        self.polls.store(self.polls.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    pub(crate) fn polls(&self) -> u32 {
        // Ordering: Relaxed, as in `count_poll`.
        self.polls.load(Ordering::Relaxed)
    }

    /// Counts a task that was spawned. For the owner.
    #[inline]
    pub(crate) fn count_spawned(&self) {
        // Ordering: Relaxed, published with the task; see `left`.
        self.spawned.store(self.spawned.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    pub(crate) fn spawned(&self) -> u64 {
        // Ordering: Relaxed, as in `count_spawned`.
        self.spawned.load(Ordering::Relaxed)
    }

    /// Counts a task that completed. For the owner.
    #[inline]
    pub(crate) fn count_left(&self) {
        // Ordering: Relaxed load of its own store; Release, so that who sums up sees the spawn before the end.
        self.left.store(self.left.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    pub(crate) fn left(&self) -> u64 {
        // Ordering: Acquire, against `count_left`.
        self.left.load(Ordering::Acquire)
    }

    /// Says where the owner is about to sleep, before it announces that it does.
    pub(crate) fn will_sleep_in_reactor(&self, in_reactor: bool) {
        // Ordering: Relaxed, published by the announcement, and read by who cleared it.
        self.sleeps_in.store(if in_reactor { IN_REACTOR } else { IN_PARKER }, Ordering::Relaxed);
    }

    pub(crate) fn sleeps_in_reactor(&self) -> bool {
        // Ordering: Relaxed, see `will_sleep_in_reactor`.
        self.sleeps_in.load(Ordering::Relaxed) == IN_REACTOR
    }
}

//! Every task of a runtime that has ever waited, in shards that one thread owns each: no lock, and one exchange per
//! goroutine. One that has not waited yet is in a queue, or inside its first poll, and is found there.
//!
//! A shard is a growing array of one-word entries. Its owner enters tasks; whoever completes a task takes it out;
//! anybody may walk over all of them. An entry is one of
//!
//! - *free*: odd, the next free entry above the lowest bits;
//! - *live*: the address of a task's header, whose lowest three bits are 0; it stands for the registry's reference;
//! - *pinned*: live with bit 1 set, for the few instructions in which a walker adds a reference.
//!
//! The race to fear: a walker has read the address and the task completes and is freed before the walker adds its
//! reference. The walker first pins the entry by a compare-exchange; who takes the task out waits until the pin is
//! gone, and only then is the registry's reference given back.

use crate::task::raw::{Header, TaskRef};
use gorust_primitives::shim::{AtomicPtr, AtomicU32, AtomicUsize, Lock, Ordering, mutant, spin_loop};
use std::{cell::Cell, ptr::NonNull};

const FREE: usize = 1;
const PIN: usize = 2;
/// The end of a list of free entries.
const NONE: u32 = u32::MAX;

/// Entries in the first chunk; each further chunk is twice the size of the one before.
const FIRST_CHUNK: u32 = 64;
/// Enough for the 2^32 - 64 entries that an index can name.
const CHUNKS: usize = 26;

fn free_entry(next: u32) -> usize {
    (next as usize) << 3 | FREE
}

fn next_free(entry: usize) -> u32 {
    debug_assert!(entry & FREE != 0);
    (entry >> 3) as u32
}

/// The entries of one owner.
#[derive(Debug)]
pub(crate) struct Shard {
    chunks: [AtomicPtr<AtomicUsize>; CHUNKS],
    /// How many entries have ever been used. Written by the owner, read by walkers.
    length: AtomicU32,
    /// Entries freed by others, a stack that the owner takes whole: so there is no ABA.
    freed: AtomicU32,
}

/// What only the owner of a shard may touch.
#[derive(Debug)]
pub(crate) struct Owner {
    free: Cell<u32>,
}

impl Owner {
    pub(crate) const fn new() -> Self {
        Self { free: Cell::new(NONE) }
    }
}

fn place(index: u32) -> (usize, usize) {
    let position = u64::from(index) + u64::from(FIRST_CHUNK);
    let chunk = position.ilog2() - FIRST_CHUNK.ilog2();
    let offset = position - (u64::from(FIRST_CHUNK) << chunk);
    (chunk as usize, offset as usize)
}

impl Shard {
    pub(crate) fn new() -> Self {
        Self {
            chunks: std::array::from_fn(|_| AtomicPtr::new(std::ptr::null_mut())),
            length: AtomicU32::new(0),
            freed: AtomicU32::new(NONE),
        }
    }

    #[inline]
    fn entry(&self, index: u32) -> &AtomicUsize {
        let (chunk, offset) = place(index);
        // Ordering: Acquire, against the Release in `grow`: the entries are initialised.
        let base = self.chunks[chunk].load(Ordering::Acquire);
        debug_assert!(!base.is_null());
        // SAFETY: `index` is below `length`, so its chunk was allocated by `grow`, with at least `offset + 1` entries.
        let entry = unsafe { base.add(offset) };
        // SAFETY: in bounds, as said, and chunks are never freed.
        unsafe { &*entry }
    }

    /// Finds a free entry. The caller is the owner of the shard.
    #[inline]
    pub(crate) fn reserve(&self, owner: &Owner) -> u32 {
        let mut index = owner.free.get();
        if index == NONE {
            // Ordering: Acquire, against the Release in `free_from_afar`: the links of the stack are seen. The load
            // first, to leave the line alone while nobody frees.
            if self.freed.load(Ordering::Relaxed) != NONE {
                index = self.freed.swap(NONE, Ordering::Acquire);
            }
            if index == NONE {
                return self.grow();
            }
        }
        // Ordering: Relaxed, the entry is free and the owner's alone, seen as said above.
        owner.free.set(next_free(self.entry(index).load(Ordering::Relaxed)));
        index
    }

    #[cold]
    fn grow(&self) -> u32 {
        // Ordering: Relaxed, only the owner writes it.
        let index = self.length.load(Ordering::Relaxed);
        assert!(
            index < u32::MAX - 2 * FIRST_CHUNK,
            "more than four billion goroutines in one registry shard"
        );
        let (chunk, offset) = place(index);
        if offset == 0 {
            let size = (FIRST_CHUNK as usize) << chunk;
            let entries: Box<[AtomicUsize]> = (0..size).map(|_| AtomicUsize::new(FREE)).collect();
            // Ordering: Release, against the Acquire in `entry`.
            self.chunks[chunk].store(Box::leak(entries).as_mut_ptr(), Ordering::Release);
        }
        // Ordering: Release, against the Acquire in `walk`: the chunk is there.
        self.length.store(index + 1, Ordering::Release);
        index
    }

    /// Enters a task in the entry `reserve` gave. From here on the registry holds one of the task's references,
    /// and walkers see it.
    #[inline]
    pub(crate) fn enter(&self, index: u32, task: NonNull<Header>) {
        // Ordering: Release, against the Acquire in `walk`: the header is initialised.
        self.entry(index).store(task.as_ptr().expose_provenance(), Ordering::Release);
    }

    /// Takes a task out; its reference is the caller's now. `owner` says that the caller owns the shard.
    #[inline]
    pub(crate) fn leave(&self, index: u32, owner: Option<&Owner>) {
        let entry = self.entry(index);
        // Ordering: AcqRel on success: Acquire, so that a walker's added reference is seen before ours is given
        // back; Release, so that the next task in this entry comes after. Relaxed on failure, we try again.
        let mut live = entry.load(Ordering::Relaxed);
        loop {
            if live & PIN != 0 && !mutant("registry.ignore_pin") {
                spin_loop();
                live = entry.load(Ordering::Relaxed);
                continue;
            }
            let next = free_entry(owner.map_or(NONE, |owner| owner.free.get()));
            match entry.compare_exchange_weak(live, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => break,
                Err(actual) => live = actual,
            }
        }
        match owner {
            Some(owner) => owner.free.set(index),
            None => self.free_from_afar(index),
        }
    }

    fn free_from_afar(&self, index: u32) {
        // Ordering: Relaxed load, confirmed by the exchange. Release on success, against `reserve`.
        let mut head = self.freed.load(Ordering::Relaxed);
        loop {
            // Ordering: Relaxed, the entry is free and ours alone until the exchange publishes it.
            self.entry(index).store(free_entry(head), Ordering::Relaxed);
            match self.freed.compare_exchange_weak(head, index, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(actual) => head = actual,
            }
        }
    }

    /// Calls `visit` with a reference to each task that is live throughout the walk; others may be missed.
    pub(crate) fn walk(&self, mut visit: impl FnMut(TaskRef)) {
        // Ordering: Acquire, against `grow`.
        for index in 0..self.length.load(Ordering::Acquire) {
            if let Some(task) = self.pin(self.entry(index)) {
                visit(task);
            }
        }
    }

    fn pin(&self, entry: &AtomicUsize) -> Option<TaskRef> {
        loop {
            // Ordering: Relaxed, confirmed by the exchange.
            let live = entry.load(Ordering::Relaxed);
            if live & FREE != 0 || live == 0 {
                return None;
            }
            if live & PIN != 0 {
                spin_loop();
                continue;
            }
            // Ordering: Acquire, against `enter`.
            if entry.compare_exchange_weak(live, live | PIN, Ordering::Acquire, Ordering::Relaxed).is_err() {
                continue;
            }
            let header = NonNull::new(std::ptr::with_exposed_provenance_mut::<Header>(live))?;
            // SAFETY: the entry is pinned, so the registry's reference is not given back: the task is live.
            unsafe { header.as_ref() }.state.retain();
            // Ordering: Release, against the exchange in `leave`: the added reference is seen.
            entry.fetch_and(!PIN, Ordering::Release);
            // SAFETY: the reference just added is the new value's.
            return Some(unsafe { TaskRef::from_raw(header) });
        }
    }
}

/// The shard of threads that own none: entered under a lock.
#[derive(Debug)]
pub(crate) struct Outside {
    pub(crate) shard: Shard,
    owner: Lock<Owner>,
}

impl Outside {
    pub(crate) fn new() -> Self {
        Self { shard: Shard::new(), owner: Lock::new(Owner::new()) }
    }

    /// Enters a task, which `settle` tells its entry.
    pub(crate) fn enter(&self, settle: impl FnOnce(u32) -> NonNull<Header>) {
        let owner = self.owner.lock();
        let index = self.shard.reserve(&owner);
        self.shard.enter(index, settle(index));
    }
}

#[cfg(test)]
mod model {
    use super::*;
    use crate::task::raw::{Home, allocate};
    use gorust_primitives::shim::{Arc, model, mutant_is_caught, thread};
    use std::panic::Location;

    /// A walker adds a reference while the task completes and leaves. The stand-in for "freed" is a flag that the
    /// leaver sets once the entry is free, with the walker pinned in between or not.
    fn walk_against_leave() {
        let shard = Arc::new(Shard::new());
        let owner = Owner::new();
        let index = shard.reserve(&owner);
        let task = allocate(async {}, (), 1, Location::caller(), Home { runtime: 0, shard: Home::NEW });
        shard.enter(index, NonNull::new(task.into_raw()).unwrap());
        let left = Arc::new(AtomicU32::new(0));
        let walker = {
            let (shard, left) = (Arc::clone(&shard), Arc::clone(&left));
            thread::spawn(move || {
                let entry = shard.entry(index);
                // The steps of `pin`, with a look at the flag where the reference is added.
                let live = entry.load(Ordering::Relaxed);
                if live & (FREE | PIN) == 0
                    && entry.compare_exchange(live, live | PIN, Ordering::Acquire, Ordering::Relaxed).is_ok()
                {
                    assert_eq!(left.load(Ordering::SeqCst), 0, "freed under the walker");
                    entry.fetch_and(!PIN, Ordering::Release);
                }
            })
        };
        shard.leave(index, Some(&owner));
        left.store(1, Ordering::SeqCst);
        walker.join().unwrap();
    }

    #[test]
    fn registry_walker_never_meets_a_freed_task() {
        let executions = model(walk_against_leave);
        println!("registry, walk against leave: {executions} executions");
        assert!(executions > 1);
    }

    #[test]
    fn registry_mutant_that_ignores_the_pin_is_caught() {
        assert!(mutant_is_caught("registry.ignore_pin", walk_against_leave));
    }
}

#[cfg(all(test, not(any(gorust_loom, gorust_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn places_are_dense() {
        let mut expected = (0, 0);
        for index in 0..100_000 {
            assert_eq!(place(index), expected);
            expected.1 += 1;
            if expected.1 == (FIRST_CHUNK as usize) << expected.0 {
                expected = (expected.0 + 1, 0);
            }
        }
        assert!(place(u32::MAX - 2 * FIRST_CHUNK).0 < CHUNKS);
    }

    #[test]
    fn entries_are_used_again() {
        let shard = Shard::new();
        let owner = Owner::new();
        let (a, b) = (shard.reserve(&owner), shard.reserve(&owner));
        for index in [a, b] {
            shard.entry(index).store(64, Ordering::Relaxed);
        }
        shard.leave(a, Some(&owner));
        shard.leave(b, None);
        assert_eq!((shard.reserve(&owner), shard.reserve(&owner)), (a, b));
        assert_eq!(shard.length.load(Ordering::Relaxed), 2);
    }
}

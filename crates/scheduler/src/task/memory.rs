//! The memory of tasks: blocks that were freed, kept for the next spawns, on this thread or another.
//!
//! A task lives for a moment and is of one of a few sizes, so the block just freed fits the next one, and is warm.
//! glibc's own cache holds seven blocks of a size and then takes a lock and walks its bins: for a wave of spawns
//! that is a quarter of all instructions. Blocks come from the global allocator and go back to it, from any thread,
//! so nothing is owed to whoever allocated one.
//!
//! A task that is spawned on one thread often ends on another, so the blocks would gather where they are of no use.
//! They travel in *magazines*, lists of so many blocks: a thread has two of each class, and when both are full, or
//! both empty, exchanges one at the *depot*, under a lock that is thus taken once in a hundred spawns. (Bonwick and
//! Adams, "Magazines and Vmem", USENIX 2001.)

use gorust_primitives::shim::StaticLock;
use std::{
    alloc::{Layout, alloc, dealloc, handle_alloc_error},
    cell::UnsafeCell,
    ptr::NonNull,
};

/// Sizes are rounded up to 8 more than a multiple of this: what glibc's malloc really gives, whose chunks are
/// multiples of 16 with 8 bytes of its own.
const GRAIN: usize = 16;
const CLASSES: usize = 32;
/// Bytes in a full magazine.
const MAGAZINE: usize = 16 * 1024;
/// Bytes the depot keeps: a burst of some ten thousand small tasks.
const DEPOT: usize = 4 * 1024 * 1024;

/// A free block; what is needed of the list of its class is written in it.
struct Free {
    /// The next block of the magazine.
    next: Option<NonNull<Free>>,
    /// In the first block of a magazine that is in the depot: the next magazine there.
    next_magazine: Option<NonNull<Free>>,
}

/// Free blocks of one class.
#[derive(Clone, Copy)]
struct Magazine {
    first: Option<NonNull<Free>>,
    count: usize,
}

/// What one thread keeps of a class.
#[derive(Clone, Copy)]
struct Class {
    /// Blocks come from here and go here.
    loaded: Magazine,
    /// Full or empty: it takes the place of `loaded` when that is empty or full.
    spare: Magazine,
}

/// The blocks that one thread keeps.
struct Blocks(UnsafeCell<[Class; CLASSES]>);

thread_local! {
    static BLOCKS: Blocks = const { Blocks::new() };
}

/// Full magazines that no thread has any use for now.
static FULL: StaticLock<Depot> = StaticLock::new(Depot { first: [None; CLASSES], bytes: 0 });

struct Depot {
    first: [Option<NonNull<Free>>; CLASSES],
    bytes: usize,
}

// SAFETY: the blocks on the lists are free: they belong to whoever holds the list.
unsafe impl Send for Depot {}

/// The size of the blocks of a class.
const fn size_of_class(class: usize) -> usize {
    class * GRAIN + 8
}

/// How many blocks a full magazine has.
const fn blocks_of_class(class: usize) -> usize {
    MAGAZINE / size_of_class(class)
}

/// Larger tasks are rare, and their allocation is no longer what costs.
const LARGEST: usize = size_of_class(CLASSES - 1);

/// The class of a layout, if it has one.
#[inline]
fn class_of(layout: Layout) -> Option<usize> {
    // A sanitizer must see each task's memory come and go.
    let keep = !cfg!(gorust_sanitize)
        && (size_of::<Free>()..=LARGEST).contains(&layout.size())
        && layout.align() <= GRAIN;
    keep.then(|| (layout.size() + 7) / GRAIN)
}

/// What is asked of the global allocator for `layout`, whoever asks: blocks of a class are all alike.
#[inline]
fn whole(layout: Layout) -> Layout {
    match class_of(layout) {
        // SAFETY: not zero, a power of two, and no larger than LARGEST.
        Some(class) => unsafe { Layout::from_size_align_unchecked(size_of_class(class), GRAIN) },
        None => layout,
    }
}

impl Magazine {
    const EMPTY: Self = Self { first: None, count: 0 };

    #[inline]
    fn pop(&mut self) -> Option<NonNull<u8>> {
        let block = self.first?;
        // SAFETY: a block on the list is free and holds its link.
        self.first = unsafe { block.as_ref() }.next;
        self.count -= 1;
        Some(block.cast())
    }

    /// Adds a block, which the caller gives away.
    #[inline]
    fn push(&mut self, block: NonNull<u8>) {
        let free = block.cast::<Free>();
        // SAFETY: the block is free, aligned to GRAIN, and no smaller than a `Free` by `class_of`.
        unsafe { free.write(Free { next: self.first, next_magazine: None }) };
        self.first = Some(free);
        self.count += 1;
    }
}

impl Depot {
    fn take(&mut self, class: usize) -> Option<Magazine> {
        let first = self.first[class]?;
        // SAFETY: a magazine in the depot is free, and its first block holds the link.
        self.first[class] = unsafe { first.as_ref() }.next_magazine;
        self.bytes -= MAGAZINE;
        Some(Magazine { first: Some(first), count: blocks_of_class(class) })
    }

    /// Keeps a full magazine, or gives it back.
    fn put(&mut self, class: usize, magazine: Magazine) -> Result<(), Magazine> {
        let Some(mut first) = magazine.first else { return Ok(()) };
        if self.bytes + MAGAZINE > DEPOT {
            return Err(magazine);
        }
        // SAFETY: the magazine is the caller's, so its blocks are ours to write.
        unsafe { first.as_mut() }.next_magazine = self.first[class];
        self.first[class] = Some(first);
        self.bytes += MAGAZINE;
        Ok(())
    }
}

impl Blocks {
    const fn new() -> Self {
        Self(UnsafeCell::new([Class { loaded: Magazine::EMPTY, spare: Magazine::EMPTY }; CLASSES]))
    }

    #[inline]
    fn take(&self, class: usize) -> Option<NonNull<u8>> {
        // SAFETY: `Blocks` is not `Sync`, and no reference into it outlives a method.
        let kept = unsafe { &mut (*self.0.get())[class] };
        kept.loaded.pop().or_else(|| kept.reload(class))
    }

    #[inline]
    fn keep(&self, class: usize, block: NonNull<u8>) {
        // SAFETY: as in `take`.
        let kept = unsafe { &mut (*self.0.get())[class] };
        if kept.loaded.count == blocks_of_class(class) {
            kept.unload(class);
        }
        kept.loaded.push(block);
    }
}

impl Class {
    /// Takes a block when none is loaded.
    #[cold]
    fn reload(&mut self, class: usize) -> Option<NonNull<u8>> {
        if self.spare.count > 0 {
            std::mem::swap(&mut self.loaded, &mut self.spare);
        } else if let Some(full) = FULL.lock().take(class) {
            self.loaded = full;
        }
        self.loaded.pop()
    }

    /// Makes room when what is loaded is full.
    #[cold]
    fn unload(&mut self, class: usize) {
        let full = std::mem::replace(&mut self.spare, std::mem::replace(&mut self.loaded, Magazine::EMPTY));
        if full.count == 0 {
            return;
        }
        let refused = FULL.lock().put(class, full);
        if let Err(magazine) = refused {
            give_back(class, magazine);
        }
    }
}

/// Returns the blocks to the global allocator.
fn give_back(class: usize, mut magazine: Magazine) {
    while let Some(block) = magazine.pop() {
        // SAFETY: every block of this class came from `allocate` with this layout.
        let layout = unsafe { Layout::from_size_align_unchecked(size_of_class(class), GRAIN) };
        // SAFETY: as above, and it is free.
        unsafe { dealloc(block.as_ptr(), layout) };
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        for (class, kept) in self.0.get_mut().iter().enumerate() {
            give_back(class, kept.loaded);
            give_back(class, kept.spare);
        }
    }
}

/// Allocates memory for a task.
#[inline]
pub(crate) fn allocate(layout: Layout) -> NonNull<u8> {
    if let Some(class) = class_of(layout)
        // `Err`: this thread is ending and keeps nothing any more.
        && let Ok(Some(block)) = BLOCKS.try_with(|blocks| blocks.take(class))
    {
        return block;
    }
    let layout = whole(layout);
    // SAFETY: a task is never of size zero, it has a header.
    let memory = unsafe { alloc(layout) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}

/// Frees the memory of a task.
///
/// # Safety
///
/// `memory` came from [`allocate`] with the same layout, and is not used again.
#[inline]
pub(crate) unsafe fn free(memory: NonNull<u8>, layout: Layout) {
    if let Some(class) = class_of(layout)
        && BLOCKS.try_with(|blocks| blocks.keep(class, memory)).is_ok()
    {
        return;
    }
    // SAFETY: `allocate` asked for the same.
    unsafe { dealloc(memory.as_ptr(), whole(layout)) };
}

#[cfg(all(test, not(any(gorust_loom, gorust_shuttle, gorust_sanitize))))]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_used_again_by_what_fits() {
        let layout = |size| Layout::from_size_align(size, 8).unwrap();
        let first = allocate(layout(100));
        // SAFETY: just allocated with this layout.
        unsafe { free(first, layout(100)) };
        let again = allocate(layout(104));
        assert_eq!(first, again);
        let other = allocate(layout(105));
        assert_ne!(first, other);
        // SAFETY: as above.
        unsafe { free(again, layout(104)) };
        // SAFETY: as above.
        unsafe { free(other, layout(105)) };
    }

    #[test]
    fn blocks_freed_elsewhere_come_back_by_the_magazine() {
        // A class of this test's own.
        let layout = Layout::from_size_align(LARGEST - GRAIN, GRAIN).unwrap();
        let count = 4 * blocks_of_class(CLASSES - 2);
        let taken: Vec<_> = (0..count).map(|_| allocate(layout).addr()).collect();
        let pointers: Vec<_> = taken.iter().map(|addr| addr.get()).collect();
        std::thread::spawn(move || {
            for addr in pointers {
                let block = NonNull::new(std::ptr::with_exposed_provenance_mut(addr)).unwrap();
                // SAFETY: allocated with this layout, and used no more.
                unsafe { free(block, layout) };
            }
        })
        .join()
        .unwrap();
        // Two magazines stay with that thread, and end with it.
        let again: Vec<_> = (0..count).map(|_| allocate(layout)).collect();
        let known = again.iter().filter(|block| taken.contains(&block.addr())).count();
        assert!(known >= count / 2, "{known} of {count}");
        for block in again {
            // SAFETY: just allocated with this layout.
            unsafe { free(block, layout) };
        }
    }

    #[test]
    fn the_depot_has_an_end() {
        let class = CLASSES - 1;
        let layout = Layout::from_size_align(LARGEST, GRAIN).unwrap();
        let mut depot = Depot { first: [None; CLASSES], bytes: 0 };
        let mut kept = 0;
        loop {
            let mut magazine = Magazine::EMPTY;
            while magazine.count < blocks_of_class(class) {
                magazine.push(allocate(layout));
            }
            if let Err(magazine) = depot.put(class, magazine) {
                give_back(class, magazine);
                break;
            }
            kept += 1;
        }
        assert_eq!(kept, DEPOT / MAGAZINE);
        while let Some(magazine) = depot.take(class) {
            give_back(class, magazine);
        }
        assert_eq!(depot.bytes, 0);
    }
}

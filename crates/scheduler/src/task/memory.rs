//! The memory of tasks: blocks that a thread has freed, kept for its next spawns.
//!
//! A task lives for a moment and is of one of a few sizes, so the block just freed fits the next one, and is warm.
//! glibc's own cache holds seven blocks of a size and then takes a lock and walks its bins: for a wave of spawns
//! that is a quarter of all instructions. Blocks come from the global allocator and go back to it, from any thread,
//! so nothing is owed to whoever allocated one.

use std::{
    alloc::{Layout, alloc, dealloc, handle_alloc_error},
    cell::UnsafeCell,
    ptr::NonNull,
};

/// Sizes are rounded up to 8 more than a multiple of this: what glibc's malloc really gives, whose chunks are
/// multiples of 16 with 8 bytes of its own.
const GRAIN: usize = 16;
const CLASSES: usize = 32;
/// Bytes kept of one class: a wave of a thousand small tasks.
const KEPT: usize = 256 * 1024;

/// A free block: the next one of its class is written in it.
struct Free {
    next: Option<NonNull<Free>>,
}

#[derive(Clone, Copy)]
struct Class {
    first: Option<NonNull<Free>>,
    count: usize,
}

/// The blocks that one thread keeps.
struct Blocks(UnsafeCell<[Class; CLASSES]>);

thread_local! {
    static BLOCKS: Blocks = const { Blocks::new() };
}

/// The size of the blocks of a class.
const fn size_of_class(class: usize) -> usize {
    class * GRAIN + 8
}

/// Larger tasks are rare, and their allocation is no longer what costs.
const LARGEST: usize = size_of_class(CLASSES - 1);

/// The class of a layout, if it has one.
#[inline]
fn class_of(layout: Layout) -> Option<usize> {
    // A sanitizer must see each task's memory come and go.
    let keep = !cfg!(gorust_sanitize) && layout.size() <= LARGEST && layout.align() <= GRAIN;
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

impl Blocks {
    const fn new() -> Self {
        Self(UnsafeCell::new([Class { first: None, count: 0 }; CLASSES]))
    }

    #[inline]
    fn take(&self, class: usize) -> Option<NonNull<u8>> {
        // SAFETY: `Blocks` is not `Sync`, and no reference into it outlives a method.
        let class = unsafe { &mut (*self.0.get())[class] };
        let block = class.first?;
        // SAFETY: a block on the list is free and holds its link.
        class.first = unsafe { block.as_ref() }.next;
        class.count -= 1;
        Some(block.cast())
    }

    /// Keeps a block. `false`: there are enough of its class.
    #[inline]
    fn keep(&self, class: usize, block: NonNull<u8>) -> bool {
        // SAFETY: as in `take`.
        let list = unsafe { &mut (*self.0.get())[class] };
        if (list.count + 1) * size_of_class(class) > KEPT {
            return false;
        }
        let free = block.cast::<Free>();
        // SAFETY: the block is free, aligned to GRAIN and at least GRAIN long.
        unsafe { free.write(Free { next: list.first }) };
        list.first = Some(free);
        list.count += 1;
        true
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        for class in 0..CLASSES {
            while let Some(block) = self.take(class) {
                // SAFETY: every block of this class came from `allocate` with this layout.
                let layout = unsafe { Layout::from_size_align_unchecked(size_of_class(class), GRAIN) };
                // SAFETY: as above, and it is free.
                unsafe { dealloc(block.as_ptr(), layout) };
            }
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
        && BLOCKS.try_with(|blocks| blocks.keep(class, memory)) == Ok(true)
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
    fn no_more_is_kept_than_said() {
        let layout = Layout::from_size_align(LARGEST, GRAIN).unwrap();
        let blocks = Blocks::new();
        let more = 2 * KEPT / LARGEST;
        let kept = (0..more).filter(|_| {
            let block = allocate(layout);
            let kept = blocks.keep(CLASSES - 1, block);
            if !kept {
                // SAFETY: just allocated with this layout.
                unsafe { dealloc(block.as_ptr(), layout) };
            }
            kept
        });
        assert_eq!(kept.count(), KEPT / LARGEST);
    }
}

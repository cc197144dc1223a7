//! One runnable ahead of the queue: what the running task has just woken or spawned. It runs next, on the warm
//! cache, and shares the slice of the task that filled it.
//!
//! Only the owner fills it; thieves can see it and take it, but do so last and only when it is not fresh: a
//! useless theft here costs more than any other, since owner and thief then play ball with the task.

use gorust_primitives::shim::{AtomicPtr, Ordering, mutant};
use std::{marker::PhantomData, ptr::NonNull};

/// An item that fits in one word.
///
/// # Safety
///
/// `from_word` of what `into_word` gave is the same item.
pub(crate) unsafe trait Word: Send {
    /// Gives up the item for its word.
    fn into_word(self) -> NonNull<()>;
    /// Makes the item of its word.
    ///
    /// # Safety
    ///
    /// `word` comes from [`into_word`](Self::into_word) and is used once.
    unsafe fn from_word(word: NonNull<()>) -> Self;
}

/// The slot.
#[derive(Debug)]
pub(crate) struct NextSlot<T: Word> {
    /// Null, or the word of an item, which is the slot's.
    /// Invariant: only the owner stores anything but null.
    word: AtomicPtr<()>,
    item: PhantomData<fn(T) -> T>,
}

impl<T: Word> NextSlot<T> {
    pub(crate) fn new() -> Self {
        Self { word: AtomicPtr::new(std::ptr::null_mut()), item: PhantomData }
    }

    fn item(word: *mut ()) -> Option<T> {
        // SAFETY: the word was stored by `replace` and has just been taken out of the slot, by one exchange.
        NonNull::new(word).map(|word| unsafe { T::from_word(word) })
    }

    /// Puts an item in, and returns the one it displaces. For the owner.
    #[inline]
    pub(crate) fn replace(&self, item: T) -> Option<T> {
        let word = item.into_word().as_ptr();
        // Ordering: Relaxed load: null is final until we store, since only the owner fills the slot.
        if self.word.load(Ordering::Relaxed).is_null() {
            // Ordering: Release, against the Acquire of a thief in `steal`.
            self.word.store(word, Ordering::Release);
            return None;
        }
        // Ordering: AcqRel, since a thief may take what is there at the same moment.
        Self::item(self.word.swap(word, Ordering::AcqRel))
    }

    /// Takes the item out. For the owner.
    #[inline]
    pub(crate) fn take(&self) -> Option<T> {
        // Ordering: Relaxed, the owner reads its own store; a thief can only make it null.
        let word = self.word.load(Ordering::Relaxed);
        if word.is_null() {
            return None;
        }
        if mutant("next_slot.take_without_exchange") {
            self.word.store(std::ptr::null_mut(), Ordering::Relaxed);
            return Self::item(word);
        }
        // Ordering: Relaxed, what is in the item is the owner's own doing. An exchange, since a thief may be faster.
        Self::item(self.word.swap(std::ptr::null_mut(), Ordering::Relaxed))
    }

    /// What is in the slot, only to be compared with a later look. For thieves.
    pub(crate) fn glance(&self) -> *mut () {
        // Ordering: Relaxed, nothing is done with it.
        self.word.load(Ordering::Relaxed)
    }

    /// Takes the item if it is still the one of an earlier `glance`. For thieves.
    pub(crate) fn steal(&self, seen: *mut ()) -> Option<T> {
        // Ordering: Acquire, against the Release in `replace`. Subtle: the same word may be another item by now;
        // the slot's content is the slot's to give in any case, and being fresh is a matter of policy.
        self.word
            .compare_exchange(seen, std::ptr::null_mut(), Ordering::Acquire, Ordering::Relaxed)
            .ok()
            .and_then(Self::item)
    }
}

impl<T: Word> Drop for NextSlot<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

#[cfg(test)]
mod model {
    use super::*;
    use gorust_primitives::shim::{Arc, model, mutant_is_caught, thread};

    struct Item(usize);

    // SAFETY: the number goes to an address and back unchanged.
    unsafe impl Word for Item {
        fn into_word(self) -> NonNull<()> {
            NonNull::without_provenance(std::num::NonZero::new(self.0).unwrap())
        }
        unsafe fn from_word(word: NonNull<()>) -> Self {
            Self(word.addr().get())
        }
    }

    fn owner_against_thief() {
        let slot = Arc::new(NextSlot::<Item>::new());
        assert!(slot.replace(Item(8)).is_none());
        let thief = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || {
                let seen = slot.glance();
                if seen.is_null() { 0 } else { slot.steal(seen).map_or(0, |item| item.0) }
            })
        };
        let displaced = slot.replace(Item(16)).map_or(0, |item| item.0);
        let taken = slot.take().map_or(0, |item| item.0);
        let stolen = thief.join().unwrap();
        assert_eq!(displaced + taken + stolen, 24, "{displaced} displaced, {taken} taken, {stolen} stolen");
    }

    #[test]
    fn next_slot_gives_each_item_once() {
        let executions = model(owner_against_thief);
        println!("next slot: {executions} executions");
        assert!(executions > 1);
    }

    #[test]
    fn next_slot_mutant_that_takes_without_an_exchange_is_caught() {
        assert!(mutant_is_caught("next_slot.take_without_exchange", owner_against_thief));
    }
}

//! What threads other than the bubble's own may touch: it lies in the runtime's [`Shared`](crate::shared::Shared), which
//! is never freed. Of a runtime that is neither a bubble nor a test it is never written.

use crate::task::error::drop_payload;
use gorust_primitives::shim::{AtomicBool, AtomicU64, AtomicUsize, Lock, Ordering};
use std::{any::Any, panic::Location};

/// No bubble.
const NONE: u64 = 0;

/// See the module.
#[derive(Debug)]
pub(crate) struct Side {
    /// The number of the next goroutine, or [`NONE`].
    next_id: AtomicU64,
    /// Somebody wants to be told of panics that nobody sees.
    tells: AtomicBool,
    /// How many panics nobody can see any more.
    lost_count: AtomicUsize,
    panics: Lock<Panics>,
}

#[derive(Debug, Default)]
struct Panics {
    /// All that happened.
    happened: Vec<Happened>,
    /// Those that nobody can see any more.
    lost: Vec<Lost>,
}

/// A panic, where and in whom.
#[derive(Clone, Debug)]
pub(crate) struct Happened {
    pub(crate) goroutine: u64,
    pub(crate) spawned_at: &'static Location<'static>,
    /// Where in the program, if it is known.
    pub(crate) at: Option<String>,
}

/// A panic that nobody saw.
#[derive(Debug)]
pub(crate) struct Lost {
    pub(crate) goroutine: u64,
    pub(crate) payload: Box<dyn Any + Send>,
}

impl Side {
    pub(crate) fn new() -> Self {
        Self {
            next_id: AtomicU64::new(NONE),
            tells: AtomicBool::new(false),
            lost_count: AtomicUsize::new(0),
            panics: Lock::new(Panics::default()),
        }
    }

    /// The runtime, which nobody else uses yet, is a bubble: its goroutines count from 1.
    pub(crate) fn begin(&self) {
        // Ordering: Relaxed throughout, published by the status of the runtime.
        self.next_id.store(1, Ordering::Relaxed);
        self.begin_telling();
    }

    /// Panics that nobody sees are kept from now on, for [`end`](Self::end) to return. The caller has spawned nothing
    /// on the runtime yet, and closes it after `end`.
    pub(crate) fn begin_telling(&self) {
        // Nothing of an earlier life: what came late for it is nobody's any more.
        let late = std::mem::take(&mut *self.panics.lock());
        late.lost.into_iter().for_each(|lost| drop_payload(lost.payload));
        // Ordering: Relaxed, as in `begin`; what is spawned later knows it.
        self.lost_count.store(0, Ordering::Relaxed);
        self.tells.store(true, Ordering::Relaxed);
    }

    /// The bubble or the test is over. Returns what is left to report.
    pub(crate) fn end(&self) -> (Vec<Happened>, Vec<Lost>) {
        // Ordering: Relaxed, as in `is_bubble`.
        self.next_id.store(NONE, Ordering::Relaxed);
        self.tells.store(false, Ordering::Relaxed);
        let mut panics = self.panics.lock();
        (std::mem::take(&mut panics.happened), std::mem::take(&mut panics.lost))
    }

    pub(crate) fn is_bubble(&self) -> bool {
        // Ordering: Relaxed, it does not change while the runtime is open.
        self.next_id.load(Ordering::Relaxed) != NONE
    }

    /// Whether somebody wants to be told of panics that nobody sees.
    pub(crate) fn tells(&self) -> bool {
        // Ordering: Relaxed, as in `is_bubble`.
        self.tells.load(Ordering::Relaxed)
    }

    /// A number for a new goroutine, if this is a bubble.
    pub(crate) fn next_id(&self) -> Option<u64> {
        // Ordering: Relaxed, only that no number is given twice.
        self.is_bubble().then(|| self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn panic_happened(&self, panic: Happened) {
        self.panics.lock().happened.push(panic);
    }

    pub(crate) fn panic_lost(&self, lost: Lost) {
        self.panics.lock().lost.push(lost);
        // Ordering: Release, against the Acquire in `has_lost`.
        self.lost_count.fetch_add(1, Ordering::Release);
    }

    /// Whether there was a panic that nobody can see.
    pub(crate) fn has_lost(&self) -> bool {
        // Ordering: Acquire, against `panic_lost`.
        self.lost_count.load(Ordering::Acquire) != 0
    }
}

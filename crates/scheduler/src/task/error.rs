//! How a goroutine can end without a value, and the rule that no panic gets lost.
//!
//! A panic is printed when it happens, with the goroutine and where it was spawned. *Seen* means that a
//! `JoinHandle` resolved with it. A panic that nobody can see any more, because there is no handle or because it
//! was dropped before it resolved, is treated as the runtime's [`PanicPolicy`] says.

use super::raw::Header;
use crate::{bubble, table};
use std::{
    any::Any,
    error::Error,
    fmt,
    io::Write as _,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// What happens when a goroutine panics and nobody can see it.
///
/// # Go
///
/// Go ends the process on every unrecovered panic; [`Exit`](Self::Exit) is that, and the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PanicPolicy {
    /// The process ends at once, with exit code 2, after a line that names the goroutine.
    #[default]
    Exit,
    /// The panic is printed and the other goroutines go on.
    Isolate,
}

/// Why a goroutine has no value: it panicked, or it was canceled.
///
/// # Examples
///
/// ```
/// use gorust_scheduler::{block_on, go};
///
/// let handle = go(async { if true { panic!("no luck") } });
/// let error = block_on(handle).unwrap_err();
/// assert!(error.is_panic());
/// assert_eq!(*error.into_panic().downcast::<&str>().unwrap(), "no luck");
/// ```
pub struct JoinError {
    goroutine: u64,
    panic: Option<PanicBox>,
}

impl JoinError {
    pub(crate) fn canceled(goroutine: u64) -> Self {
        Self { goroutine, panic: None }
    }

    /// Whether the goroutine panicked.
    pub fn is_panic(&self) -> bool {
        self.panic.is_some()
    }

    /// Whether the goroutine was canceled: aborted, or dropped with its runtime.
    pub fn is_canceled(&self) -> bool {
        self.panic.is_none()
    }

    /// Returns the number of the goroutine that ended so.
    pub fn id(&self) -> u64 {
        self.goroutine
    }

    /// Returns what the goroutine panicked with.
    ///
    /// # Panics
    ///
    /// If it did not panic; ask [`is_panic`](Self::is_panic) first.
    #[track_caller]
    pub fn into_panic(self) -> Box<dyn Any + Send> {
        match self.panic {
            Some(panic) => panic.into_payload(),
            None => panic!("into_panic on goroutine {}, which was canceled", self.goroutine),
        }
    }

    /// Continues the goroutine's panic on this thread, without printing it again.
    ///
    /// # Panics
    ///
    /// Always: with the goroutine's payload, or, if it did not panic, saying that it was canceled.
    #[track_caller]
    pub fn resume_unwind(self) -> ! {
        std::panic::resume_unwind(self.into_panic())
    }

    /// Marks a panic as seen.
    pub(super) fn seen(&mut self) {
        if let Some(panic) = &mut self.panic {
            panic.seen = true;
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.panic {
            Some(panic) => write!(f, "goroutine {} panicked: {}", self.goroutine, panic.message()),
            None => write!(f, "goroutine {} was canceled", self.goroutine),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl Error for JoinError {}

/// A panic's payload that knows whether anybody saw it.
struct PanicBox {
    /// `None` only while it is dropped.
    payload: Option<Box<dyn Any + Send>>,
    goroutine: u64,
    /// What is due if nobody sees it. Of the goroutine's runtime, which may be gone by the time this is dropped.
    unseen: Unseen,
    seen: bool,
}

/// What is due when nobody sees a panic.
#[derive(Clone, Copy)]
enum Unseen {
    Policy(PanicPolicy),
    /// The bubble is told, or the test: its runtime's number and generation.
    Tell(u16, u32),
}

// SAFETY: through `&PanicBox` the payload is reached only by `message`, which looks at `&str` and `String`, both
// `Sync`; everything else takes the box by value.
unsafe impl Sync for PanicBox {}

impl PanicBox {
    fn message(&self) -> &str {
        self.payload.as_deref().map_or("", message)
    }

    fn into_payload(mut self) -> Box<dyn Any + Send> {
        self.seen = true;
        self.payload.take().unwrap_or_else(|| Box::new(()))
    }
}

impl Drop for PanicBox {
    fn drop(&mut self) {
        if self.seen {
            return;
        }
        match self.unseen {
            Unseen::Policy(PanicPolicy::Exit) => {
                let line = format!(
                    "gorust: goroutine {} panicked and nobody can see it: {}\nexit status 2\n",
                    self.goroutine,
                    self.message()
                );
                exit_now(&line);
            }
            Unseen::Policy(PanicPolicy::Isolate) => {
                if let Some(payload) = self.payload.take() {
                    drop_payload(payload);
                }
            }
            Unseen::Tell(runtime, generation) => {
                if let Some(payload) = self.payload.take() {
                    tell_lost(runtime, generation, self.goroutine, payload);
                }
            }
        }
    }
}

/// Tells a bubble or a test of a panic that nobody saw. If it has ended meanwhile, the panic was printed, and that is all.
fn tell_lost(runtime: u16, generation: u32, goroutine: u64, payload: Box<dyn Any + Send>) {
    match table::find(runtime) {
        Some(shared) if shared.is_open_as(generation) => {
            shared.side.panic_lost(bubble::Lost { goroutine, payload });
        }
        _ => drop_payload(payload),
    }
}

/// Drops what somebody panicked with. If that panics too, what it panicked with is leaked: it has to end somewhere.
pub(crate) fn drop_payload(payload: Box<dyn Any + Send>) {
    if let Err(next) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(next);
    }
}

/// Writes a line for the operator. A closed stderr is no reason to panic.
pub(crate) fn report(line: &str) {
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}

/// Ends the process as Go does: at once, no destructors, no exit hooks, code 2.
pub(crate) fn exit_now(line: &str) -> ! {
    #[cfg(unix)]
    {
        // Not through std's stderr, whose lock somebody may hold who waits for us.
        // SAFETY: the bytes are valid for their length; how many were written does not matter any more.
        unsafe { libc::write(libc::STDERR_FILENO, line.as_ptr().cast(), line.len()) };
        // SAFETY: `_exit` has no requirements and does not return.
        unsafe { libc::_exit(2) }
    }
    #[cfg(not(unix))]
    {
        report(line);
        std::process::exit(2)
    }
}

/// Prints a panic where it happened and makes it an error that will not get lost.
///
/// In a bubble it is not printed but written down: the bubble's own report tells of it, if nobody sees it.
pub(super) fn panic_in_goroutine(task: &Header, payload: Box<dyn Any + Send>) -> JoinError {
    let record = &task.record;
    let (goroutine, spawned_at) = (record.id(), record.spawned_at());
    if payload.is::<bubble::Over>() {
        return JoinError::canceled(goroutine);
    }
    let runtime = task.home().runtime;
    let shared = table::find(runtime);
    if !shared.is_some_and(|shared| shared.side.is_bubble()) {
        let message = message(&*payload);
        // One write, so that lines of several goroutines do not mix.
        report(&format!(
            "gorust: panic in goroutine {goroutine} [running], spawned at {spawned_at}: {message}\n"
        ));
    }
    let unseen = match shared {
        Some(shared) if shared.side.tells() => {
            let at = bubble::last_location();
            shared.side.panic_happened(bubble::Happened { goroutine, spawned_at, at });
            Unseen::Tell(runtime, shared.generation())
        }
        shared => Unseen::Policy(shared.map_or(PanicPolicy::Exit, |shared| shared.panic_policy())),
    };
    let payload = Some(payload);
    JoinError { goroutine, panic: Some(PanicBox { payload, goroutine, unseen, seen: false }) }
}

/// What a payload says, if it is a text.
pub(crate) fn message(payload: &(dyn Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        text
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else {
        "(not a text)"
    }
}

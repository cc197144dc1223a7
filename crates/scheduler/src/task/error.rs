//! How a goroutine can end without a value, and the rule that no panic gets lost.
//!
//! A panic is printed when it happens, with the goroutine and where it was spawned. *Seen* means that a
//! `JoinHandle` resolved with it. A panic that nobody can see any more, because there is no handle or because it
//! was dropped before it resolved, is treated as the [`PanicPolicy`] of the goroutine says, or of its runtime.

use super::raw::{Header, Home, details};
use crate::{bubble, runtime::Handle, table};
use std::{
    any::Any,
    error::Error,
    fmt,
    io::Write as _,
    panic::{AssertUnwindSafe, Location, catch_unwind},
    ptr::NonNull,
    sync::Arc,
};

/// What happens when a goroutine panics and nobody can see it.
///
/// Whatever the policy, a panic is printed when it happens, and a [`JoinHandle`](crate::JoinHandle) that is awaited
/// resolves with it. Nobody can see it if the handle was dropped, before the panic or after it. A panic in a destructor
/// is a panic of its goroutine, also while the goroutine is dropped because it was aborted or its runtime ends. What
/// becomes of a panic when several things happen at once:
///
/// | | |
/// |---|---|
/// | `abort` comes first | the goroutine is canceled; if its destructors panic, it has panicked |
/// | `abort` comes while it is polled, and that poll panics | it has panicked |
/// | `abort` comes after the panic | nothing changes |
/// | it panics, and its destructors panic too | the handle gets the first panic, the second is printed |
/// | an [`AbortOnDrop`](crate::AbortOnDrop) is dropped after the panic | nobody has seen it: the policy |
/// | `timeout(d, handle)` is over first | the handle is dropped, so a later panic falls under the policy; `timeout(d, &mut handle)` keeps it |
/// | main panics | the process ends with code 101, as every Rust program's, whatever the policy |
///
/// A program that is built with `panic = "abort"` ends at the first panic, wherever it happens, by `SIGABRT`, and says
/// before in which goroutine: nothing is caught there, and the policy has no effect.
///
/// # Go
///
/// Go ends the process on every unrecovered panic; [`Exit`](Self::Exit) is that, and the default.
///
/// # Examples
///
/// ```
/// use gorust_scheduler::{PanicPolicy, runtime::Builder};
///
/// let runtime = Builder::new().panic_policy(PanicPolicy::Isolate).build()?;
/// drop(runtime.spawn(async { if true { panic!("only reported") } }));
/// # Ok::<(), std::io::Error>(())
/// ```
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
    /// In a box: this lies in every task, and most do not panic.
    panic: Option<Box<PanicBox>>,
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
    name: Option<Arc<str>>,
    spawned_at: &'static Location<'static>,
    /// What is due if nobody sees it. Of the goroutine or its runtime, which may be gone by the time this is dropped.
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
                    "gorust: {}, spawned at {}, panicked and nobody can see it: {}\nexit status 2\n",
                    Title(self.goroutine, self.name.as_deref()),
                    self.spawned_at,
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

/// A goroutine's number, and its name if it has one.
pub(crate) struct Title<'a>(pub(crate) u64, pub(crate) Option<&'a str>);

impl fmt::Display for Title<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "goroutine {}", self.0)?;
        match self.1 {
            Some(name) => write!(f, " {name:?}"),
            None => Ok(()),
        }
    }
}

/// A panic of a goroutine, as [`Builder::on_panic`](crate::runtime::Builder::on_panic) is told of it.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct GoroutinePanic<'a> {
    /// The goroutine's number.
    pub goroutine: u64,
    /// Its name, if it has one.
    pub name: Option<&'a str>,
    /// Where it was spawned.
    pub spawned_at: &'static Location<'static>,
    /// What it panicked with.
    pub payload: &'a (dyn Any + Send),
    /// What happens if nobody sees it.
    pub policy: PanicPolicy,
}

impl GoroutinePanic<'_> {
    /// Returns what it panicked with, if that is a text.
    pub fn message(&self) -> &str {
        message(self.payload)
    }
}

impl fmt::Debug for GoroutinePanic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GoroutinePanic({self})")
    }
}

impl fmt::Display for GoroutinePanic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = Title(self.goroutine, self.name);
        write!(f, "panic in {title} [running], spawned at {}: {}", self.spawned_at, self.message())
    }
}

/// Whom to tell of panics.
#[derive(Clone)]
pub(crate) struct OnPanic(pub(crate) Arc<dyn Fn(&GoroutinePanic<'_>) + Send + Sync>);

impl fmt::Debug for OnPanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnPanic")
    }
}

/// Prints a panic where it happened, tells who wants to be told, and makes it an error that will not get lost.
///
/// In a bubble it is not printed but written down: the bubble's own report tells of it, if nobody sees it.
///
/// # Safety
///
/// `header` heads a live task.
pub(super) unsafe fn panic_in_goroutine(header: NonNull<Header>, payload: Box<dyn Any + Send>) -> JoinError {
    // SAFETY: as the caller promises.
    let task = unsafe { header.as_ref() };
    // SAFETY: as above.
    let details = unsafe { details(header) };
    let (goroutine, spawned_at) = (task.record.id(), task.record.spawned_at());
    if payload.is::<bubble::Over>() {
        return JoinError::canceled(goroutine);
    }
    let runtime = match task.home().runtime {
        Home::LOCAL => Handle::try_current().map(|handle| handle.shared()),
        index => table::find(index),
    };
    let name = details.and_then(|details| details.name.clone());
    let policy = details
        .and_then(|details| details.panic)
        .or_else(|| runtime.map(|shared| shared.panic_policy()))
        .unwrap_or_default();
    if !runtime.is_some_and(|shared| shared.side.is_bubble()) {
        let name = name.as_deref();
        let happened = GoroutinePanic { goroutine, name, spawned_at, payload: &*payload, policy };
        // One write, so that lines of several goroutines do not mix.
        report(&format!("gorust: {happened}\n"));
        if let Some(OnPanic(call)) = runtime.and_then(|shared| shared.config().on_panic) {
            tell(&*call, &happened);
        }
    }
    let unseen = match runtime {
        Some(shared) if shared.side.tells() => {
            let at = bubble::last_location();
            shared.side.panic_happened(bubble::Happened { goroutine, spawned_at, at });
            Unseen::Tell(shared.index(), shared.generation())
        }
        _ => Unseen::Policy(policy),
    };
    let payload = Some(payload);
    let panic = PanicBox { payload, goroutine, name, spawned_at, unseen, seen: false };
    JoinError { goroutine, panic: Some(Box::new(panic)) }
}

/// Calls what the user has given to `on_panic`, whose own panic changes nothing.
fn tell(call: &dyn Fn(&GoroutinePanic<'_>), happened: &GoroutinePanic<'_>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| call(happened))) {
        report(&format!("gorust: on_panic panicked itself: {}\n", message(&*second)));
        drop_payload(second);
    }
}

/// In a program built with `panic = "abort"` no panic gets as far as `panic_in_goroutine`: says before the process
/// ends which goroutine it was.
#[cfg(panic = "abort")]
pub(crate) fn tell_before_abort() {
    use super::details;
    use gorust_primitives::current;
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            previous(info);
            current::with_record(|record| {
                let Some(record) = record else { return };
                let name = details::with(|details| details.and_then(|details| details.name.clone()));
                let title = Title(record.id(), name.as_deref());
                report(&format!("gorust: panic in {title} [running], spawned at {}\n", record.spawned_at()));
            });
        }));
    });
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

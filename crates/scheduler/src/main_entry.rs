//! What `#[gorust::main]` expands to: main is a goroutine like any other, and the real main thread waits for it.
//!
//! The end with `grace`: main has returned; who asked by [`at_end`] is told (the root context, which is of a higher crate);
//! the goroutines have that long to finish; then they are dropped where they wait; then the process ends.

use crate::{
    PanicPolicy, block_on, builder::Builder, drain, global, local, runtime::Handle, task::error::report,
};
use gorust_primitives::shim::StaticLock;
use std::{future::Future, panic::Location, process::ExitCode, time::Duration};

/// The exit code of a Rust program whose main panics.
const PANICKED: u8 = 101;
/// The exit code for a bad argument or environment.
const MISUSED: u8 = 2;

/// The arguments of `#[gorust::main]`.
#[derive(Clone, Debug)]
pub struct MainOptions {
    /// `workers = N`.
    pub workers: Option<usize>,
    /// `panic = "exit"` or `"isolate"`.
    pub panic: Option<PanicPolicy>,
    /// `grace = "5s"`: how long goroutines may take to finish after main has returned and the root context was canceled;
    /// what waits then is dropped. Without it, or if main panics, nobody is waited for and nothing is dropped.
    pub grace: Option<Duration>,
    /// Where `main` stands.
    pub site: &'static Location<'static>,
}

impl MainOptions {
    /// No arguments; `site` is the caller.
    #[track_caller]
    pub fn new() -> Self {
        Self { workers: None, panic: None, grace: None, site: Location::caller() }
    }
}

impl Default for MainOptions {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

/// Starts the global runtime for main. `Err`: why it cannot start has been printed.
fn start(options: &MainOptions) -> Result<Handle, ExitCode> {
    let mut builder = Builder::new();
    if let Some(workers) = options.workers {
        builder = builder.workers(workers);
    }
    if let Some(policy) = options.panic {
        builder = builder.panic_policy(policy);
    }
    match global::start_with(builder.into_config(), options.site) {
        Ok(global) => {
            if global.started_at != options.site {
                eprintln!(
                    "gorust: the global runtime was started at {}, before main at {}; main runs on that one, and \
                     its own arguments have no effect",
                    global.started_at, options.site
                );
            }
            Ok(global.handle.clone())
        }
        Err(error) => {
            eprintln!("gorust: the runtime cannot start: {error}");
            Err(ExitCode::from(MISUSED))
        }
    }
}

/// Who is told that main has returned and the others have their grace.
static AT_END: StaticLock<AtEnd> = StaticLock::new(AtEnd { begun: false, call: Vec::new() });

struct AtEnd {
    begun: bool,
    call: Vec<fn()>,
}

/// Has `f` called when main has returned and the other goroutines have their grace; at once if that was before.
pub fn at_end(f: fn()) {
    let begun = {
        let mut at_end = AT_END.lock();
        at_end.call.push(f);
        at_end.begun
    };
    if begun {
        f();
    }
}

/// Main has returned with `code`: lets the others finish, if there is a grace.
fn end(handle: &Handle, grace: Option<Duration>, code: ExitCode) -> ExitCode {
    let Some(grace) = grace else { return code };
    let calls = {
        let mut at_end = AT_END.lock();
        at_end.begun = true;
        at_end.call.clone()
    };
    for call in calls {
        call();
    }
    if let Err(still) = drain::shutdown_blocking(handle.clone(), grace) {
        report(&format!("gorust: main has returned, and its grace of {grace:?} is over: {still}\n"));
    }
    code
}

/// Runs main's future as a goroutine of the global runtime, and returns its exit code. The process ends with the
/// real main, whatever other goroutines do, as in Go, unless there is a grace.
pub fn run<F>(options: MainOptions, main: F) -> ExitCode
where
    F: Future<Output = ExitCode> + Send + 'static,
{
    let handle = match start(&options) {
        Ok(handle) => handle,
        Err(code) => return code,
    };
    match block_on(handle.spawn_at(main, options.site)) {
        Ok(code) => end(&handle, options.grace, code),
        // It was printed when it happened.
        Err(_) => ExitCode::from(PANICKED),
    }
}

/// Runs main's future on the main thread, since it is not `Send`, as the home of goroutines that stay there; everything
/// else is as with [`run`].
pub fn run_local<F>(options: MainOptions, main: F) -> ExitCode
where
    F: Future<Output = ExitCode>,
{
    match start(&options) {
        Ok(handle) => {
            let code = handle.block_on(local::run_until(main));
            end(&handle, options.grace, code)
        }
        Err(code) => code,
    }
}

//! Which runtime a thread belongs to when it is no worker: the one it entered, else the global one, which starts
//! when it is first needed. There is no "no runtime" error.

use crate::{
    builder::{self, Config},
    runtime::Handle,
};
use gorust_primitives::shim::StaticLock;
use std::{cell::RefCell, io, panic::Location, sync::OnceLock};

/// The global runtime, and what started it.
#[derive(Debug)]
pub(crate) struct Global {
    pub(crate) handle: Handle,
    pub(crate) started_at: &'static Location<'static>,
}

static GLOBAL: OnceLock<Global> = OnceLock::new();

thread_local! {
    static ENTERED: RefCell<Option<Handle>> = const { RefCell::new(None) };
}

/// Makes `handle` the one this thread has entered, and returns the previous one.
pub(crate) fn set_entered(handle: Option<Handle>) -> Option<Handle> {
    ENTERED.with(|entered| entered.replace(handle))
}

/// Whether the runtime of `handle` is the one this thread entered last.
pub(crate) fn has_entered(handle: &Handle) -> bool {
    ENTERED.with(|entered| entered.borrow().as_ref().is_some_and(|entered| entered.is_same(handle)))
}

/// The runtime this thread entered, or the global one if it is running.
pub(crate) fn try_current() -> Option<Handle> {
    ENTERED
        .with(|entered| entered.borrow().clone())
        .or_else(|| GLOBAL.get().map(|global| global.handle.clone()))
}

/// The runtime this thread entered, or the global one, which starts for `site` if need be.
pub(crate) fn current(site: &'static Location<'static>) -> Handle {
    try_current().unwrap_or_else(|| start(site))
}

/// Starts the global runtime for `site` with the defaults, unless it is running.
///
/// # Panics
///
/// If it cannot be started; the text says why.
pub(crate) fn start(site: &'static Location<'static>) -> Handle {
    match start_with(Config::default(), site) {
        Ok(global) => global.handle.clone(),
        Err(error) => panic!("gorust: the global runtime cannot start: {error}"),
    }
}

/// Starts the global runtime for `site` as `config` says, unless it is running; the answer says who started it.
pub(crate) fn start_with(config: Config, site: &'static Location<'static>) -> io::Result<&'static Global> {
    static STARTING: StaticLock<()> = StaticLock::new(());
    if let Some(global) = GLOBAL.get() {
        return Ok(global);
    }
    let _starting = STARTING.lock();
    if GLOBAL.get().is_none() {
        let handle = builder::start(config)?;
        gorust_reactor::set_global(handle.shared().reactor());
        return Ok(GLOBAL.get_or_init(|| Global { handle, started_at: site }));
    }
    match GLOBAL.get() {
        Some(global) => Ok(global),
        None => unreachable!("started by another thread under the lock"),
    }
}

/// Tells the crates below how the global runtime is started, so that a timer or a socket can ask for it.
pub(crate) fn install_hooks() {
    gorust_primitives::current::set_start_global(|| {
        start(Location::caller());
    });
}

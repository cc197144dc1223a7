//! The context of the whole program: it ends when `main` has returned and the others have their grace.

use super::{
    Context,
    error::ContextError,
    tree::{Cause, Node},
};
use gorust_reactor::clock::Instant;
use std::{
    error::Error,
    fmt,
    sync::{Arc, OnceLock},
};

/// `None` until somebody asks for it.
static ROOT: OnceLock<Arc<Node>> = OnceLock::new();

/// The cause of a root context's end: `main` has returned, and the other goroutines are to finish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MainReturned;

impl fmt::Display for MainReturned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("main has returned")
    }
}

impl Error for MainReturned {}

impl Context {
    /// Returns the context of the whole program: it is canceled, with the cause [`MainReturned`], when a `main` under
    /// `#[gorust::main(grace = "5s")]` has returned; the goroutines then have the grace to finish. Without a grace the
    /// process ends with `main`, and there is nothing to cancel.
    ///
    /// # Go
    ///
    /// Go has none: the process ends with `main`. Programs that are to end in an orderly way pass a context of their own
    /// around, as can be done here, too.
    ///
    /// # Examples
    ///
    /// ```
    /// use gorust_sync::Context;
    ///
    /// # fn serve() -> impl Future<Output = ()> { std::future::ready(()) }
    /// let root = Context::root();
    /// gorust_scheduler::block_on(async {
    ///     // Dropped where it waits when main has returned:
    ///     root.run(serve()).await.unwrap();
    /// });
    /// ```
    pub fn root() -> Self {
        let node = ROOT.get_or_init(|| Node::new(None, None, Instant::FAR_FUTURE, Cause::Plain));
        static ASKS: std::sync::Once = std::sync::Once::new();
        ASKS.call_once(|| gorust_scheduler::main::at_end(end));
        Self { node: Some(Arc::clone(node)) }
    }
}

fn end() {
    if let Some(node) = ROOT.get() {
        node.cancel(ContextError::Canceled, &Cause::Error(Arc::new(MainReturned)));
    }
}

//! What the running goroutine is called: its name, its labels, and labels for a part of what it does.

use super::{
    details::{self, Label},
    locals::TaskLocalFuture,
};
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

crate::task_local! {
    /// The labels in force, where `with_labels` has changed them: the number of the goroutine, and all of them.
    static WITHIN: (u64, Arc<Vec<Label>>);
}

/// Adds a label, or changes the one of that key.
pub(super) fn set(labels: &mut Vec<Label>, key: &str, value: &str) {
    match labels.iter_mut().find(|(known, _)| &**known == key) {
        Some((_, known)) => *known = value.into(),
        None => labels.push((key.into(), value.into())),
    }
}

/// The labels in force.
pub(super) fn current() -> Vec<Label> {
    let within = WITHIN.try_with(|(goroutine, labels)| (*goroutine == super::id()).then(|| labels.to_vec()));
    match within {
        Ok(Some(labels)) => labels,
        // One that is polled inside another, in a `local::run_until`, has labels of its own.
        _ => details::with(|details| details.map_or_else(Vec::new, |details| details.labels.clone())),
    }
}

/// Returns the running goroutine's name, if it was given one by [`Builder::name`](super::Builder::name).
///
/// # Examples
///
/// ```
/// use gorust_scheduler::{block_on, go, task};
///
/// let named = task::Builder::new().name("mailer").spawn(async { task::name() });
/// assert_eq!(block_on(named).unwrap().as_deref(), Some("mailer"));
/// assert_eq!(block_on(go(async { task::name() })).unwrap(), None);
/// ```
pub fn name() -> Option<String> {
    details::with(|details| details?.name.as_deref().map(str::to_owned))
}

/// Returns the labels in force: those of the running goroutine, changed by [`with_labels`] where this runs in one.
///
/// # Go
///
/// `pprof.ForLabels`.
///
/// # Examples
///
/// ```
/// assert!(gorust_scheduler::task::labels().is_empty());
/// ```
pub fn labels() -> Vec<(String, String)> {
    current().into_iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

/// Runs `future` with more labels, or others, than those in force here. What [`Builder`](super::Builder) spawns inside
/// has them too.
///
/// # Cancel safety
///
/// That of `future`.
///
/// # Go
///
/// `pprof.Do`.
///
/// # Examples
///
/// ```
/// use gorust_scheduler::{block_on, task};
///
/// block_on(task::with_labels([("request", "42")], async {
///     assert_eq!(task::labels(), [("request".to_owned(), "42".to_owned())]);
/// }));
/// assert!(task::labels().is_empty());
/// ```
pub fn with_labels<K, V, F>(labels: impl IntoIterator<Item = (K, V)>, future: F) -> WithLabels<F>
where
    K: AsRef<str>,
    V: AsRef<str>,
    F: Future,
{
    let mut all = current();
    for (key, value) in labels {
        set(&mut all, key.as_ref(), value.as_ref());
    }
    WithLabels { future: WITHIN.scope((super::id(), Arc::new(all)), future) }
}

pin_project_lite::pin_project! {
    /// The future of [`with_labels`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct WithLabels<F> {
        #[pin]
        future: TaskLocalFuture<(u64, Arc<Vec<Label>>), F>,
    }
}

impl<F: Future> Future for WithLabels<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}

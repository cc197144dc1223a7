//! Values that a context carries: a list that grows at the front, shared by all contexts derived later.

use std::{
    any::{Any, TypeId},
    sync::Arc,
};

/// Names a value in a [`Context`](super::Context): a type of yours, which nobody else can name unless you let them.
///
/// # Go
///
/// There a key is a value of any type, and its own type is what keeps two packages apart.
///
/// # Examples
///
/// ```
/// use gorust_sync::{Context, context::Key};
///
/// struct User;
///
/// impl Key for User {
///     type Value = String;
/// }
///
/// let ctx = Context::background().with_value::<User>("gopher".into());
/// assert_eq!(ctx.value::<User>().unwrap(), "gopher");
/// ```
pub trait Key: 'static {
    /// What it names.
    type Value: Send + Sync + 'static;
}

/// One value and those it may shadow.
pub(super) struct Values {
    key: TypeId,
    value: Box<dyn Any + Send + Sync>,
    next: Option<Arc<Self>>,
}

impl Values {
    pub(super) fn new<K: Key>(value: K::Value, next: Option<Arc<Self>>) -> Self {
        Self { key: TypeId::of::<K>(), value: Box::new(value), next }
    }

    /// The latest value of this key.
    pub(super) fn find<K: Key>(&self) -> Option<&K::Value> {
        let mut values = std::iter::successors(Some(self), |values| values.next.as_deref());
        values.find(|values| values.key == TypeId::of::<K>())?.value.downcast_ref()
    }
}

impl Drop for Values {
    fn drop(&mut self) {
        // One after the other and not one inside the other: the list may be long.
        let mut next = self.next.take();
        while let Some(mut values) = next.and_then(Arc::into_inner) {
            next = values.next.take();
        }
    }
}

//! Handles that do not keep a channel open: for a cache or a registry that knows channels without being one of
//! their users.

use super::{
    Receiver, Sender,
    core::{Chan, count_up_unless_zero},
};
use gorust_primitives::shim::AtomicU32;
use std::{
    fmt,
    sync::{Arc, Weak},
};

macro_rules! weak {
    ($weak:ident, $handle:ident, $count:ident, $does:literal, $make:literal) => {
        #[doc = concat!("Knows a channel without being one of those who ", $does, ": it does not keep the channel open.")]
        #[doc = concat!("Made by [`", stringify!($handle), "::downgrade`].")]
        ///
        /// # Examples
        ///
        /// ```
        #[doc = $make]
        /// let weak = it.downgrade();
        #[doc = concat!("assert!(weak.upgrade().is_some_and(|strong| strong.same_channel(&it)));")]
        /// drop(it);
        /// assert!(weak.upgrade().is_none() && other.is_closed());
        /// ```
        pub struct $weak<T> {
            chan: Weak<Chan<T>>,
        }

        impl<T> $weak<T> {
            /// Returns a handle, if one is left to make it from: after the last one went, the channel is closed
            /// for good.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = $make]
            /// let weak = it.downgrade();
            #[doc = concat!("assert_eq!(weak.upgrade().unwrap().", stringify!($count), "(), 2);")]
            /// # drop(other);
            /// ```
            pub fn upgrade(&self) -> Option<$handle<T>> {
                let chan = self.chan.upgrade()?;
                let counted = count_up_unless_zero(count::$count(&chan));
                counted.then(|| $handle { chan })
            }
        }

        impl<T> $handle<T> {
            #[doc = concat!("Returns a handle that does not count as one of those who ", $does, ".")]
            ///
            /// # Examples
            ///
            /// ```
            #[doc = $make]
            /// let weak = it.downgrade();
            #[doc = concat!("assert_eq!(it.", stringify!($count), "(), 1);")]
            /// assert!(weak.upgrade().is_some());
            /// # drop(other);
            /// ```
            pub fn downgrade(&self) -> $weak<T> {
                $weak { chan: Arc::downgrade(&self.chan) }
            }
        }

        impl<T> Clone for $weak<T> {
            fn clone(&self) -> Self {
                Self { chan: Weak::clone(&self.chan) }
            }
        }

        impl<T> fmt::Debug for $weak<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($weak)).finish_non_exhaustive()
            }
        }
    };
}

weak!(WeakSender, Sender, sender_count, "send", "let (it, other) = gorust_sync::chan::<u32>(1);");
weak!(WeakReceiver, Receiver, receiver_count, "receive", "let (other, it) = gorust_sync::chan::<u32>(1);");

/// The count a kind of handle is counted by, under the name of the method that tells it.
mod count {
    use super::{AtomicU32, Chan};

    pub(super) fn sender_count<T>(chan: &Chan<T>) -> &AtomicU32 {
        &chan.senders
    }

    pub(super) fn receiver_count<T>(chan: &Chan<T>) -> &AtomicU32 {
        &chan.receivers
    }
}

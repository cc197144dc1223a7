//! What both handles tell about their channel. All of it is a look at one moment: it may have changed by the
//! time it is read.

use super::{Receiver, Sender, core::Chan};
use gorust_primitives::shim::Ordering;
use std::{fmt, sync::Arc};

macro_rules! observe {
    ($handle:ident, $make:literal) => {
        impl<T> $handle<T> {
            /// Returns how many values are in the buffer. A value that was granted to a receiver is not, one
            /// that was given back waits ahead of the buffer and is not counted.
            ///
            /// # Go
            ///
            /// `len(ch)`
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("let (tx, rx) = gorust_sync::chan(2); let ", $make, ";")]
            /// tx.try_send(1).unwrap();
            /// assert_eq!((it.len(), it.is_empty(), it.is_full()), (1, false, false));
            /// ```
            pub fn len(&self) -> usize {
                self.chan.len()
            }

            /// Returns whether no value is in the buffer; always true for a channel of capacity 0.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("let (tx, rx) = gorust_sync::chan::<u32>(2); let ", $make, ";")]
            /// assert!(it.is_empty());
            /// ```
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// Returns whether there is no room in the buffer; always true for a channel of capacity 0.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("let (tx, rx) = gorust_sync::chan::<u32>(0); let ", $make, ";")]
            /// assert!(it.is_full());
            /// ```
            pub fn is_full(&self) -> bool {
                self.capacity() == Some(self.len())
            }

            /// Returns how many values the buffer has room for; `None` if there is no limit.
            ///
            /// # Go
            ///
            /// `cap(ch)`
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("let (tx, rx) = gorust_sync::chan::<u32>(2); let ", $make, ";")]
            /// assert_eq!(it.capacity(), Some(2));
            /// ```
            pub fn capacity(&self) -> Option<usize> {
                self.chan.capacity()
            }

            /// Returns how many handles can send.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("let (tx, rx) = gorust_sync::chan::<u32>(2); let ", $make, ";")]
            /// assert_eq!((it.sender_count(), it.receiver_count()), (1, 1));
            /// ```
            pub fn sender_count(&self) -> usize {
                // Ordering: Relaxed, a number to look at.
                self.chan.senders.load(Ordering::Relaxed) as usize
            }

            /// Returns how many handles can receive.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("let (tx, rx) = gorust_sync::chan::<u32>(2); let ", $make, ";")]
            /// assert_eq!((it.sender_count(), it.receiver_count()), (1, 1));
            /// ```
            pub fn receiver_count(&self) -> usize {
                // Ordering: Relaxed, a number to look at.
                self.chan.receivers.load(Ordering::Relaxed) as usize
            }

            /// Returns whether both handles belong to the same channel.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("let (tx, rx) = gorust_sync::chan::<u32>(2); let ", $make, ";")]
            /// assert!(it.same_channel(&it.clone()));
            /// ```
            pub fn same_channel(&self, other: &Self) -> bool {
                Arc::ptr_eq(&self.chan, &other.chan)
            }

            /// Which channel it is, while it lives.
            pub(crate) fn address(&self) -> usize {
                Arc::as_ptr(&self.chan).addr()
            }
        }
    };
}

observe!(Sender, "it = &tx");
observe!(Receiver, "it = &rx");

impl<T> Chan<T> {
    /// Fills in what `Debug` shows of a handle.
    pub(super) fn describe(&self, mut f: fmt::DebugStruct<'_, '_>) -> fmt::Result {
        f.field("len", &self.len());
        match self.capacity() {
            Some(capacity) => f.field("capacity", &capacity),
            None => f.field("capacity", &format_args!("unbounded")),
        };
        f.field("is_closed", &self.outlook().is_closed()).finish()
    }
}

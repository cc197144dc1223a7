//! `test/chan/nonblock.go` and `TestNonblockRecvRace`: operations that do not wait.

use crate::{everywhere, settle};
use gorust::{
    chan::{TryRecvError, TrySendError},
    prelude::*,
};

#[test]
fn they_say_at_once_that_nobody_is_there() {
    everywhere(|| async {
        for capacity in [0, 1, 10] {
            let (tx, rx) = chan(capacity);
            assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
            for n in 0..capacity {
                assert_eq!(tx.try_send(n), Ok(()));
            }
            assert_eq!(tx.try_send(99), Err(TrySendError::Full(99)));
            for n in 0..capacity {
                assert_eq!(rx.try_recv(), Ok(n));
            }
            assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        }
    });
}

#[test]
fn they_meet_one_who_waits() {
    everywhere(|| async {
        for _ in 0..200 {
            let (tx, rx) = chan(0);
            let receiver = {
                let rx = rx.clone();
                go(async move { rx.recv().await })
            };
            let mut value = Some(7);
            while let Some(back) = value.take() {
                value = tx.try_send(back).err().map(TrySendError::into_inner);
                gorust::yield_now().await;
            }
            assert_eq!(receiver.await.unwrap(), Some(7));
            let sender = go(async move { tx.send(8).await });
            let received = loop {
                match rx.try_recv() {
                    Err(TryRecvError::Empty) => gorust::yield_now().await,
                    other => break other,
                }
            };
            assert_eq!((received, sender.await.unwrap()), (Ok(8), Ok(())));
        }
    });
}

/// A value is in the channel when it is closed: `try_recv` finds the value or the end, never nothing.
#[test]
fn a_full_channel_that_is_being_closed_is_never_empty() {
    everywhere(|| async {
        for _ in 0..2_000 {
            let (tx, rx) = chan(1);
            tx.try_send(1).unwrap();
            let other = rx.clone();
            let tried = go(async move { other.try_recv() });
            tx.close();
            let mine = rx.recv().await;
            let other = tried.await.unwrap();
            assert_ne!(other, Err(TryRecvError::Empty));
            assert_eq!(u32::from(mine.is_some()) + u32::from(other.is_ok()), 1);
        }
    });
}

/// No `None`, as from a nil channel, ever comes to anything.
#[test]
fn what_is_not_there_is_never_ready() {
    use gorust::chan::{OptionReceiver, OptionSender, Receiver, Sender};
    everywhere(|| async {
        let receiver = go(async { None::<&Receiver<u32>>.recv().await });
        let sender = go(async { None::<&Sender<u32>>.send(1).await });
        settle().await;
        assert!(!receiver.is_finished() && !sender.is_finished());
        receiver.abort();
        sender.abort();
        assert!(receiver.await.unwrap_err().is_canceled() && sender.await.unwrap_err().is_canceled());
    });
}

//! What `select!` may be written like.

use gorust::prelude::*;

#[test]
fn one_of_two() {
    gorust::block_on(async {
        let (tx, rx) = chan::<u32>(1);
        let (tx2, rx2) = chan::<u32>(1);
        tx.send(1).await.unwrap();
        let got = gorust::select! {
            v = rx.recv() => v,
            v = rx2.recv() => v,
        };
        assert_eq!(got, Some(1));
        go(async move { tx2.send(5).await });
        let got = gorust::select! {
            v = rx.recv() => v,
            v = rx2.recv() => v,
        };
        assert_eq!(got, Some(5));
        let got = gorust::select! {
            v = rx.recv() => v,
            default => Some(9),
        };
        assert_eq!(got, Some(9));
        drop(tx);
    });
}

//! `test/chan/sieve1.go`: a chain of filters that grows by one goroutine a prime.

use crate::everywhere;
use gorust::{chan::Receiver, prelude::*};

fn numbers() -> Receiver<u32> {
    let (tx, rx) = chan(0);
    go(async move {
        for n in 2.. {
            // The sieve was dropped: so ends what in Go would wait for ever.
            if tx.send(n).await.is_err() {
                return;
            }
        }
    });
    rx
}

fn filter(source: Receiver<u32>, prime: u32) -> Receiver<u32> {
    let (tx, rx) = chan(0);
    go(async move {
        while let Some(n) = source.recv().await {
            if n % prime != 0 && tx.send(n).await.is_err() {
                return;
            }
        }
    });
    rx
}

#[test]
fn the_primes_come_out_in_order() {
    everywhere(|| async {
        let mut source = numbers();
        let mut primes = Vec::new();
        for _ in 0..100 {
            let prime = source.recv().await.unwrap();
            primes.push(prime);
            source = filter(source, prime);
        }
        let expected: Vec<u32> = (2..542).filter(|n| (2..*n).all(|d| n % d != 0)).collect();
        assert_eq!(primes, expected);
    });
}

#[test]
fn the_whole_chain_ends_when_its_last_receiver_goes() {
    let runtime = gorust::runtime::Builder::new().workers(2).build().unwrap();
    runtime
        .block_on(runtime.spawn(async {
            let mut source = numbers();
            for _ in 0..30 {
                let prime = source.recv().await.unwrap();
                source = filter(source, prime);
            }
            drop(source);
            while gorust::runtime::num_goroutines() > 1 {
                gorust::yield_now().await;
            }
        }))
        .unwrap();
}

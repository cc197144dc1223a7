//! `TestMultiConsumer` of `runtime/chan_test.go`: a pool of goroutines on one channel.

use crate::everywhere;
use gorust::prelude::*;

const WORKERS: usize = 23;
const ITEMS: usize = 20_000;
const PRIMES: [usize; 10] = [2, 7, 3, 11, 5, 13, 17, 19, 23, 29];

#[test]
fn a_pool_does_all_the_work_once() {
    everywhere(|| async {
        let (jobs, queue) = chan(WORKERS);
        let (results, outcomes) = chan(WORKERS);
        let group = WaitGroup::new();
        for worker in 0..WORKERS {
            let (queue, results) = (queue.clone(), results.clone());
            group.go(async move {
                while let Some(job) = queue.recv().await {
                    // Some are slower than others.
                    if PRIMES[worker % PRIMES.len()] == job {
                        gorust::yield_now().await;
                    }
                    results.send(job).await.unwrap();
                }
            });
        }
        drop((queue, results));
        go(async move {
            for n in 0..ITEMS {
                jobs.send(PRIMES[n % PRIMES.len()]).await.unwrap();
            }
        });
        let (mut count, mut sum) = (0, 0);
        while let Some(result) = outcomes.recv().await {
            count += 1;
            sum += result;
        }
        group.wait().await;
        let expected: usize = (0..ITEMS).map(|n| PRIMES[n % PRIMES.len()]).sum();
        assert_eq!((count, sum), (ITEMS, expected));
    });
}

//! The programs every Go course begins with, in six lessons.
//!
//! ```text
//! cargo run --release --example tour
//! ```

use gorust::{prelude::*, runtime, time::Instant};
use std::error::Error;

/// What Go spells `100 * time.Millisecond`.
const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

// `main` is a goroutine, as in Go. It may return an error: the program then prints it and ends with code 1.
#[gorust::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    goroutines().await?;
    wait_group().await;
    worker_pool().await?;
    context().await?;
    many_at_once().await?;
    one_per_cpu().await?;
    println!("\nthe tour is over: 6 lessons in {:.1?}", start.elapsed());
    Ok(())
}

/// A call waits for its end; `go` does not; `.await` on what `go` returns does.
async fn goroutines() -> Result<(), Box<dyn Error>> {
    println!("\n1. goroutines");

    async fn count(who: &str) {
        for i in 0..3 {
            println!("   {who}: {i}");
        }
    }

    count("direct").await; //                                     count("direct")
    let named = go(count("goroutine")); //                        go count("goroutine")
    let going = "going";
    let anonymous = go(async move { println!("   {going}") }); // go func() { fmt.Println(going) }()

    // Go's version sleeps here and hopes. A handle waits, returns what the goroutine returned, and gives back its
    // panic as an error. Who wants none of that drops the handle: the goroutine runs on.
    named.await?;
    anonymous.await?;
    Ok(())
}

/// A `WaitGroup` waits for any number of goroutines.
async fn wait_group() {
    println!("\n2. three e-mails and a WaitGroup");
    let emails = WaitGroup::new();
    for to in ["ada@example.com", "grace@example.com", "barbara@example.com"] {
        // In Go 1.25 and later: wg.Go(func() { .. }). `move` gives each goroutine its own `to`.
        emails.go(async move {
            sleep(ms(100)).await; // the mail server thinks
            println!("   sent to {to}");
        });
    }
    emails.wait().await;
    println!("all emails sent");
}

/// Three workers take ten jobs from a channel of capacity 0: each job goes from hand to hand.
async fn worker_pool() -> Result<(), Box<dyn Error>> {
    println!("\n3. three workers, ten jobs, one rendezvous channel");
    let (jobs, queue) = chan::<u32>(0); // jobs := make(chan int)
    let workers = WaitGroup::new();
    for worker in 1..=3 {
        let queue = queue.clone();
        workers.go(async move {
            // for job := range queue
            while let Some(job) = queue.recv().await {
                println!("   worker {worker} does job {job}");
                sleep(ms(50)).await;
            }
        });
    }
    for job in 1..=10 {
        jobs.send(job).await?; // Go panics if the channel is closed; here the error holds the job
    }
    jobs.close(); // dropping the last sender would do as well
    workers.wait().await;
    println!("all jobs completed");
    Ok(())
}

/// A `Context` tells a goroutine to stop.
async fn context() -> Result<(), Box<dyn Error>> {
    println!("\n4. a worker with a deadline");
    let ctx = Context::background().with_timeout(ms(700));
    let worker = go(async move {
        // `run` gives up the future when the context is done, as `case <-ctx.Done()` would.
        while ctx.run(sleep(ms(200))).await.is_ok() {
            println!("   working");
        }
        println!("worker stopped");
    });
    worker.await?;
    Ok(())
}

/// Goroutines that wait cost next to nothing, so a hundred waits take as long as one.
async fn many_at_once() -> Result<(), Box<dyn Error>> {
    println!("\n5. a hundred orders of 100 ms each");
    let start = Instant::now();
    let orders: Vec<_> = (0..100)
        .map(|order| {
            go(async move {
                sleep(ms(100)).await;
                order
            })
        })
        .collect();
    let mut sum = 0;
    for order in orders {
        sum += order.await?;
    }
    assert_eq!(sum, (0..100).sum());
    println!("   100 orders done in {} ms", start.elapsed().as_millis());
    Ok(())
}

/// Goroutines that compute need a CPU each: a channel with one place per CPU lets no more than that run.
async fn one_per_cpu() -> Result<(), Box<dyn Error>> {
    println!("\n6. cpu-bound work, one goroutine a CPU");
    let cpus = runtime::num_cpu(); // runtime.NumCPU()
    let (enter, leave) = chan::<()>(cpus); // sem := make(chan struct{}, runtime.NumCPU())
    let mut sums = Vec::new();
    for part in 0..16_u64 {
        enter.send(()).await?; // waits while all places are taken
        let leave = leave.clone();
        sums.push(go(async move {
            let running = leave.len();
            let primes = (part * 10_000..(part + 1) * 10_000).filter(|&n| is_prime(n)).count();
            leave.recv().await;
            (running, primes)
        }));
    }
    let (mut most, mut primes) = (0, 0);
    for sum in sums {
        let (running, found) = sum.await?;
        most = most.max(running);
        primes += found;
    }
    println!("   {primes} primes below 160000, on {cpus} CPUs, never more than {most} goroutines at a time");
    assert!(most <= cpus);
    Ok(())
}

fn is_prime(n: u64) -> bool {
    n >= 2 && (2..).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d))
}

//! What the primitives promise under every order of events: each test runs with a few hundred seeds, with waits given up
//! here and there.

use gorust::{
    prelude::*,
    sync::{Barrier, Cond, Flight, Group, Mutex, Notify, OnceCell, RwLock, Semaphore},
};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

const MOMENT: Duration = Duration::from_millis(1);

/// Never more permits are out than there are, and all come back, also those granted to waits that were given up.
#[gorust::test(seeds = 500)]
async fn a_semaphore_lends_what_it_has() {
    let (semaphore, out) = (Arc::new(Semaphore::new(3)), Arc::new(AtomicU32::new(0)));
    let wg = WaitGroup::new();
    for n in 0..6_u32 {
        let (semaphore, out) = (Arc::clone(&semaphore), Arc::clone(&out));
        wg.go(async move {
            let count = 1 + n % 3;
            let acquiring = timeout(MOMENT * (n % 4), semaphore.acquire(count as usize));
            let Ok(permit) = acquiring.await else { return };
            assert!(out.fetch_add(count, Relaxed) + count <= 3);
            sleep(MOMENT).await;
            out.fetch_sub(count, Relaxed);
            drop(permit);
        });
    }
    wg.wait().await;
    assert_eq!((out.load(Relaxed), semaphore.available()), (0, 3));
}

/// Writers are alone, readers see what a writer has finished, and nobody waits for ever.
#[gorust::test(seeds = 500)]
async fn a_read_write_lock_keeps_writers_alone() {
    let (lock, wg) = (Arc::new(RwLock::new((0_u32, 0_u32))), WaitGroup::new());
    for n in 0..6_u32 {
        let lock = Arc::clone(&lock);
        wg.go(async move {
            if n % 3 == 0 {
                let Ok(mut both) = timeout(MOMENT * n, lock.write()).await else { return };
                both.0 += 1;
                sleep(MOMENT).await;
                both.1 += 1;
            } else {
                let both = lock.read().await;
                assert_eq!(both.0, both.1);
                sleep(MOMENT / 2).await;
                assert_eq!(both.0, both.1);
            }
        });
    }
    wg.wait().await;
    assert!(lock.try_write().is_some());
}

/// A signal given while somebody waits wakes one who waits, also when another gives up at that moment.
#[gorust::test(seeds = 500)]
async fn a_condition_wakes_for_each_value() {
    let shared = Arc::new((Mutex::new(0_u32), Cond::new()));
    let wg = WaitGroup::new();
    for _ in 0..3 {
        let shared = Arc::clone(&shared);
        wg.go(async move {
            let (count, filled) = &*shared;
            let mut count = filled.wait_while(count.lock().await, |count| *count == 0).await;
            *count -= 1;
        });
    }
    let hasty = Arc::clone(&shared);
    wg.go(async move {
        let (count, filled) = &*hasty;
        let guard = count.lock().await;
        let _given_up = timeout(MOMENT, filled.wait(guard)).await;
        // Whatever signal it took along is passed on by hand: it may have been the one that counted.
        filled.notify_one();
    });
    for _ in 0..3 {
        sleep(MOMENT).await;
        let (count, filled) = &*shared;
        *count.lock().await += 1;
        filled.notify_one();
    }
    wg.wait().await;
    assert_eq!(*shared.0.lock().await, 0);
}

/// One permit is kept for whoever comes later, and one given to a wait that was given up goes to the next.
#[gorust::test(seeds = 500)]
async fn a_notification_is_not_lost() {
    let (notify, wg) = (Arc::new(Notify::new()), WaitGroup::new());
    let impatient = Arc::clone(&notify);
    let gave_up = wg.go(async move { timeout(MOMENT, impatient.notified()).await.is_err() });
    let patient = Arc::clone(&notify);
    wg.go(async move { patient.notified().await });
    sleep(MOMENT).await;
    notify.notify_one();
    if !gave_up.await.unwrap() {
        notify.notify_one();
    }
    wg.wait().await;
}

/// One of them makes the value; when its wait is given up, another does.
#[gorust::test(seeds = 500)]
async fn a_cell_is_filled_once() {
    let (cell, made, wg) = (Arc::new(OnceCell::new()), Arc::new(AtomicU32::new(0)), WaitGroup::new());
    for n in 1..=4_u32 {
        let (cell, made) = (Arc::clone(&cell), Arc::clone(&made));
        wg.go(async move {
            let make = async {
                sleep(MOMENT * 2).await;
                made.fetch_add(1, Relaxed);
                n
            };
            let limit = if n < 3 { MOMENT } else { MOMENT * 100 };
            timeout(limit, cell.get_or_init(make)).await.copied()
        });
    }
    wg.wait().await;
    assert_eq!(made.load(Relaxed), 1);
    assert!(cell.get().is_some_and(|&n| n >= 3));
}

/// Callers that meet share one run, and each has its value.
#[gorust::test(seeds = 500)]
async fn a_flight_is_shared() {
    let (flight, runs) = (Arc::new(Flight::<&str, u32>::new()), Arc::new(AtomicU32::new(0)));
    let callers = [(); 4].map(|()| {
        let (flight, runs) = (Arc::clone(&flight), Arc::clone(&runs));
        go(async move {
            let run = async move {
                sleep(MOMENT).await;
                runs.fetch_add(1, Relaxed) + 1
            };
            flight.run("key", run).await
        })
    });
    for caller in callers {
        assert_eq!(caller.await.unwrap(), (1, true));
    }
}

/// The first error cancels the others, of which no more run than the limit says, and is the one that `wait` returns.
#[gorust::test(seeds = 500)]
async fn a_group_ends_with_its_first_error() {
    let (group, ctx) = Group::<u32>::with_context(&Context::background());
    let (group, running) = (group.limit(2), Arc::new(AtomicU32::new(0)));
    for n in 0..5 {
        let (ctx, running) = (ctx.clone(), Arc::clone(&running));
        drop(group.go(async move {
            assert!(running.fetch_add(1, Relaxed) < 2);
            let run = ctx.run(sleep(MOMENT * n)).await;
            running.fetch_sub(1, Relaxed);
            if n == 2 { Err(n) } else { run.map_err(|_| 100 + n) }
        }));
    }
    assert_eq!(group.wait().await, Err(2));
    assert!(ctx.err().is_some());
}

/// Nobody passes before all have come, one of each round leads, and the barrier serves again.
#[gorust::test(seeds = 500)]
async fn a_barrier_holds_until_all_have_come() {
    let (barrier, arrived) = (Arc::new(Barrier::new(3)), Arc::new(AtomicU32::new(0)));
    let members = [(); 3].map(|()| {
        let (barrier, arrived) = (Arc::clone(&barrier), Arc::clone(&arrived));
        go(async move {
            let mut led = 0;
            for round in 1..=3 {
                arrived.fetch_add(1, Relaxed);
                led += u32::from(barrier.wait().await.is_leader());
                assert!(arrived.load(Relaxed) >= 3 * round);
            }
            led
        })
    });
    let mut led = 0;
    for member in members {
        led += member.await.unwrap();
    }
    assert_eq!(led, 3);
}

//! Exploring: schedules that find mistakes, shrinking them, and noticing what the seed does not decide.

use gorust_reactor::time::{Duration, sleep};
use gorust_scheduler::{
    bubble::{Bubble, BubbleError, ExploreError, Explorer, Failure, Strategy},
    go, yield_now,
};
use std::{
    collections::{BTreeMap, HashMap},
    future::{Future, pending},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
};

const SECOND: Duration = Duration::from_secs(1);

fn failure<F: Future>(explorer: &Explorer, make: impl FnMut() -> F) -> Box<Failure> {
    match explorer.run(make) {
        Err(ExploreError::Failed(failure)) => failure,
        Err(other) => panic!("{other}"),
        Ok(explored) => panic!("not found in {} seeds", explored.seeds),
    }
}

/// Two goroutines that read, let others run, and write.
async fn lost_update() {
    let counter = Arc::new(AtomicU32::new(0));
    let both = [(); 2].map(|()| {
        let counter = Arc::clone(&counter);
        go(async move {
            let read = counter.load(SeqCst);
            sleep(Duration::ZERO).await; // an operation that never waits: only an interruption shows it
            counter.store(read + 1, SeqCst);
        })
    });
    for one in both {
        one.await.unwrap();
    }
    assert_eq!(counter.load(SeqCst), 2, "an update was lost");
}

/// Deadlocks when each of two goroutines has taken one of two tokens.
async fn crossed_tokens() {
    let tokens = Arc::new([Mutex::new(true), Mutex::new(true)]);
    let take = |first: usize| {
        let tokens = Arc::clone(&tokens);
        async move {
            for which in [first, 1 - first] {
                sleep(Duration::ZERO).await;
                if !std::mem::take(&mut *tokens[which].lock().unwrap()) {
                    pending::<()>().await;
                }
            }
            tokens.iter().for_each(|token| *token.lock().unwrap() = true);
        }
    };
    let (one, other) = (go(take(0)), go(take(1)));
    one.await.unwrap();
    other.await.unwrap();
}

#[test]
fn first_come_first_served_does_not_find_what_interruptions_find() {
    let quiet = Explorer::new().seeds(0, 100).strategy(Strategy::Fifo);
    assert_eq!(quiet.run(lost_update).unwrap().seeds, 100);
    quiet.run(crossed_tokens).unwrap();
    for strategy in [Strategy::Random, Strategy::Priority { changes: 2 }, Strategy::Mixed] {
        let explorer = Explorer::new().seeds(0, 1_000).strategy(strategy);
        let lost = failure(&explorer, lost_update);
        assert!(matches!(lost.error(), BubbleError::Panic(_)), "{lost}");
        let crossed = failure(&explorer, crossed_tokens);
        assert!(matches!(crossed.error(), BubbleError::Deadlock(_)), "{crossed}");
    }
}

#[test]
fn a_schedule_is_shrunk_to_the_choices_that_matter() {
    // Ten goroutines that have nothing to do with it.
    let noisy = || async {
        let others: Vec<_> = (0..10)
            .map(|_| {
                go(async {
                    for _ in 0..5 {
                        yield_now().await;
                    }
                })
            })
            .collect();
        lost_update().await;
        for other in others {
            other.await.unwrap();
        }
    };
    let found = failure(&Explorer::new().strategy(Strategy::Random).seeds(0, 1_000), noisy);
    println!("{found}\nin {} runs", found.shrink_runs());
    assert!(found.choices() > 30, "{found}");
    assert!(found.schedule().len() <= 2, "{found}");
    // What is left fails again, and none of it can go: without a choice, nothing fails.
    let again = found.replay().run(noisy()).unwrap_err();
    assert_eq!(again.kind(), "panic");
    let text = found.schedule().to_string();
    let pairs: Vec<&str> = text.split(' ').collect();
    for left_out in 0..pairs.len() {
        let mut fewer = pairs.clone();
        fewer.remove(left_out);
        let fewer = if fewer.is_empty() { "fifo".to_owned() } else { fewer.join(" ") };
        Bubble::new(found.seed()).schedule(fewer.parse().unwrap()).run(noisy()).unwrap();
    }
}

#[test]
fn the_seed_alone_finds_it_again() {
    let found = failure(&Explorer::new(), crossed_tokens);
    let again = gorust_scheduler::bubble::bubble(found.seed(), crossed_tokens()).unwrap_err();
    assert_eq!(again.kind(), found.error().kind());
    assert_eq!(found.tried(), found.seed() + 1);
}

#[test]
fn the_report_says_how_to_run_it_again_and_what_went_wrong() {
    let found = failure(&Explorer::new(), lost_update);
    let report = found.to_string();
    assert!(report.starts_with(&format!("seed {} fails", found.seed())), "{report}");
    assert!(report.contains(&format!("schedule: {}", found.schedule())), "{report}");
    assert!(report.contains("an update was lost"), "{report}");
    assert!(report.contains("at crates/scheduler/tests/bubble_explore.rs:"), "where it panicked: {report}");
    assert!(found.trace().to_string().contains("interrupt before"), "{}", found.trace());
}

#[test]
fn another_panic_is_another_failure() {
    // Under most schedules the second assertion fails, under few the first: shrinking must not leave one for the other.
    let two = || async {
        let order = Arc::new(Mutex::new(Vec::new()));
        let all: Vec<_> = (0..3)
            .map(|number| {
                let order = Arc::clone(&order);
                go(async move { order.lock().unwrap().push(number) })
            })
            .collect();
        for one in all {
            one.await.unwrap();
        }
        let order = order.lock().unwrap().clone();
        assert_ne!(order, [2, 1, 0], "backwards");
        assert_ne!(order, [0, 1, 2], "forwards");
    };
    for first in 0..50 {
        let Err(ExploreError::Failed(found)) = Explorer::new().seeds(first, 1).run(two) else { continue };
        let Err(before) = gorust_scheduler::bubble::bubble(found.seed(), two()) else { panic!("{found}") };
        let backwards = before.to_string().contains("backwards");
        assert_eq!(found.error().to_string().contains("backwards"), backwards, "{found}");
        assert_eq!(found.schedule().is_empty(), !backwards, "{found}");
    }
}

#[test]
fn a_random_hasher_is_caught() {
    // Goroutines are spawned in the order of a map's iteration.
    let with = |names: Vec<(u64, u64)>| async move {
        let all: Vec<_> = names
            .into_iter()
            .map(|(name, value)| {
                go(async move {
                    for _ in 0..name {
                        yield_now().await;
                    }
                    value
                })
            })
            .collect();
        for one in all {
            one.await.unwrap();
        }
    };
    let items = || (0..8_u64).map(|name| (name, name));
    let error =
        Explorer::new().run(|| with(items().collect::<HashMap<_, _>>().into_iter().collect())).unwrap_err();
    let ExploreError::NotDeterministic(found) = &error else { panic!("{error}") };
    assert!(found.seed() < 4);
    assert!(error.to_string().contains("HashMap") && error.to_string().contains("use BTreeMap"), "{error}");
    Explorer::new()
        .seeds(0, 20)
        .run(|| with(items().collect::<BTreeMap<_, _>>().into_iter().collect()))
        .unwrap();
}

#[test]
fn a_static_that_remembers_is_caught_when_it_fails() {
    let runs = AtomicU32::new(0);
    let error = Explorer::new()
        .run(|| {
            let nth = runs.fetch_add(1, SeqCst);
            async move { assert_ne!(nth, 20, "once") }
        })
        .unwrap_err();
    assert!(matches!(error, ExploreError::NotDeterministic(_)), "{error}");
}

#[test]
fn leaks_and_livelocks_are_found_too() {
    let leaky = || async { drop(go(pending::<()>())) };
    assert_eq!(failure(&Explorer::new(), leaky).error().kind(), "leak");
    Explorer::new().seeds(0, 10).allow_leaks(true).run(leaky).unwrap();
    let spins = || async {
        let never = AtomicU32::new(0);
        while never.load(SeqCst) == 0 {
            yield_now().await;
        }
    };
    assert_eq!(failure(&Explorer::new().polls_limit(100), spins).error().kind(), "livelock");
}

#[test]
fn a_race_of_two_timers_is_found() {
    // The two end at the same instant: who is first is chance.
    let raced = || async {
        let done = Arc::new(AtomicU32::new(0));
        let set = Arc::clone(&done);
        let work = go(async move {
            sleep(SECOND).await;
            set.store(1, SeqCst);
        });
        sleep(SECOND).await;
        assert_eq!(done.load(SeqCst), 1, "not yet");
        work.await.unwrap();
    };
    let found = failure(&Explorer::new(), raced);
    assert!(found.schedule().len() <= 2, "{found}");
}

#[test]
fn many_seeds_take_little_time() {
    // Generous: a release build makes more than a hundred times as many in this time.
    let started = std::time::SystemTime::now();
    let seeds = if cfg!(debug_assertions) { 1_000 } else { 10_000 };
    Explorer::new()
        .seeds(0, seeds)
        .run(|| async {
            let (one, other) = (go(async { yield_now().await }), go(async { yield_now().await }));
            one.await.unwrap();
            other.await.unwrap();
        })
        .unwrap();
    let took = started.elapsed().unwrap();
    println!("{seeds} seeds in {took:?}: {:.0} a second", seeds as f64 / took.as_secs_f64());
    assert!(took < 60 * SECOND, "{took:?}");
}

//! What only some goroutines have: names, labels, policies, variables of their own.

use gorust_scheduler::{
    PanicPolicy, block_on,
    bubble::{BubbleError, bubble},
    checkpoint, go, local,
    runtime::Builder,
    task, task_local, yield_now,
};
use std::{
    cell::Cell,
    future::{Future, pending, poll_fn},
    pin::pin,
    rc::Rc,
    sync::mpsc::{Sender, channel},
    task::{Context, Poll, Waker},
    time::Duration,
};

const LONG: Duration = Duration::from_secs(20);

task_local! {
    static OUTER: u32;
    static TEXT: String;
}

fn labels(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[test]
fn a_name_is_the_goroutines_alone() {
    let handle = task::Builder::new().name("outer").spawn(async {
        let inner = go(async { task::name() }).await.unwrap();
        yield_now().await;
        (task::name(), inner)
    });
    assert_eq!(block_on(handle).unwrap(), (Some("outer".to_owned()), None));
    assert_eq!(task::name(), None);
}

#[test]
fn one_polled_inside_another_does_not_borrow_its_name() {
    let handle = task::Builder::new().name("outer").label("k", "v").spawn(async {
        block_on(local::run_until(async {
            let inner = local::spawn(async { (task::name(), task::labels()) }).await.unwrap();
            (inner, task::name())
        }))
    });
    let ((name, inner), outer) = block_on(handle).unwrap();
    assert_eq!((name, inner), (None, vec![]));
    assert_eq!(outer.as_deref(), Some("outer"));
}

#[test]
fn a_destructor_knows_the_name() {
    struct Tells(Sender<Option<String>>);
    impl Drop for Tells {
        fn drop(&mut self) {
            self.0.send(task::name()).unwrap();
        }
    }
    let (sender, names) = channel();
    let tells = Tells(sender.clone());
    let handle = task::Builder::new().name("ended").spawn(async move { drop(tells) });
    block_on(handle).unwrap();
    let tells = Tells(sender);
    let handle = task::Builder::new().name("aborted").spawn(async move {
        let _tells = tells;
        pending::<()>().await;
    });
    handle.abort();
    assert!(block_on(handle).is_err());
    assert_eq!(names.recv_timeout(LONG).unwrap().as_deref(), Some("ended"));
    assert_eq!(names.recv_timeout(LONG).unwrap().as_deref(), Some("aborted"));
}

#[test]
fn labels_come_from_the_spawner_and_from_around() {
    let handle = task::Builder::new().label("a", "1").label("b", "1").spawn(async {
        let child = task::Builder::new().label("b", "2").spawn(async { task::labels() });
        let within = task::with_labels([("c", "3"), ("a", "4")], async {
            yield_now().await;
            let child = task::Builder::new().spawn(async { task::labels() });
            (task::labels(), child.await.unwrap())
        });
        (child.await.unwrap(), within.await, task::labels())
    });
    let (child, (within, child_within), own) = block_on(handle).unwrap();
    assert_eq!(own, labels(&[("a", "1"), ("b", "1")]));
    assert_eq!(child, labels(&[("a", "1"), ("b", "2")]));
    assert_eq!(within, labels(&[("a", "4"), ("b", "1"), ("c", "3")]));
    assert_eq!(child_within, within);
}

#[test]
fn a_goroutine_may_have_a_policy_of_its_own() {
    let (sender, panics) = channel();
    let runtime = Builder::new()
        .on_panic(move |panic| {
            let told = (panic.name.map(str::to_owned), panic.message().to_owned(), panic.policy, task::id());
            assert_eq!(panic.goroutine, task::id());
            sender.send(told).unwrap();
        })
        .build()
        .unwrap();
    let builder = task::Builder::new().name("frail").panic(PanicPolicy::Isolate);
    drop(builder.spawn_on(&runtime.handle(), async { assert!(std::hint::black_box(false), "no luck") }));
    let (name, message, policy, id) = panics.recv_timeout(LONG).unwrap();
    assert_eq!((name.as_deref(), &*message), (Some("frail"), "no luck"));
    assert_eq!(policy, PanicPolicy::Isolate);
    assert_ne!(id, 0);
    assert_eq!(runtime.block_on(runtime.spawn(async { 1 })).unwrap(), 1, "the runtime goes on");
}

#[test]
fn a_hook_that_panics_changes_nothing() {
    let runtime =
        Builder::new().panic_policy(PanicPolicy::Isolate).on_panic(|_| panic!("me too")).build().unwrap();
    let handle = runtime.spawn(async { assert!(std::hint::black_box(false), "first") });
    let error = runtime.block_on(handle).unwrap_err();
    assert_eq!(*error.into_panic().downcast::<&str>().unwrap(), "first");
    assert_eq!(runtime.block_on(runtime.spawn(async { 1 })).unwrap(), 1);
}

#[test]
fn a_dump_names_it() {
    let stuck = bubble(1, async {
        drop(task::Builder::new().name("stuck").spawn(pending::<()>()));
    });
    let Err(BubbleError::Leak(dump)) = stuck else { panic!("nobody saw it") };
    assert_eq!(dump.goroutines()[0].name.as_deref(), Some("stuck"));
    assert!(dump.to_string().starts_with("goroutine 2 \"stuck\" [waiting"), "{dump}");
}

#[test]
fn a_bubble_is_a_home_too() {
    let sum = bubble(1, async {
        block_on(local::run_until(async {
            let one = Rc::new(1);
            let two = go(async { 2 });
            local::spawn(async move { *one + two.await.unwrap() }).await.unwrap()
        }))
    });
    assert_eq!(sum.unwrap(), 3);
    let panics = bubble(1, async {
        block_on(local::run_until(async {
            drop(local::spawn(async { assert!(std::hint::black_box(false), "no luck") }));
            yield_now().await;
        }))
    });
    assert!(matches!(panics, Err(BubbleError::Panic(_))), "{panics:?}");
}

/// Panics when it is dropped.
struct Bad;

impl Drop for Bad {
    fn drop(&mut self) {
        assert!(std::hint::black_box(false), "in drop");
    }
}

#[test]
fn aborts_and_panics_have_one_outcome() {
    let (sender, panics) = channel();
    let runtime = Builder::new()
        .panic_policy(PanicPolicy::Isolate)
        .on_panic(move |panic| sender.send(panic.message().to_owned()).unwrap())
        .build()
        .unwrap();
    // Aborted where it waits, and a destructor panics: it has panicked.
    let bad = Bad;
    let handle = runtime.spawn(async move {
        let _bad = bad;
        pending::<()>().await;
    });
    handle.abort();
    assert!(runtime.block_on(handle).unwrap_err().is_panic());
    // Aborted while it is polled, and that poll panics.
    let (started, wait) = channel();
    let (release, held) = channel::<()>();
    let handle = runtime.spawn(async move {
        started.send(()).unwrap();
        let _ = held.recv();
        assert!(std::hint::black_box(false), "in poll");
    });
    wait.recv_timeout(LONG).unwrap();
    handle.abort();
    drop(release);
    assert!(runtime.block_on(handle).unwrap_err().is_panic());
    // Aborted after the panic.
    let handle = runtime.spawn(async { assert!(std::hint::black_box(false), "before") });
    while !handle.is_finished() {
        std::thread::yield_now();
    }
    handle.abort();
    assert!(runtime.block_on(handle).unwrap_err().is_panic());
    // Dropped with its runtime.
    let bad = Bad;
    drop(runtime.spawn(async move {
        let _bad = bad;
        pending::<()>().await;
    }));
    drop(runtime);
    let told: Vec<_> = std::iter::from_fn(|| panics.recv_timeout(LONG).ok()).take(4).collect();
    assert_eq!(told, ["in drop", "in poll", "before", "in drop"]);
}

#[test]
fn both_panics_of_one_goroutine_are_told_and_the_first_comes_out() {
    let (sender, panics) = channel();
    let runtime = Builder::new()
        .panic_policy(PanicPolicy::Isolate)
        .on_panic(move |panic| sender.send(panic.message().to_owned()).unwrap())
        .build()
        .unwrap();
    let bad = Bad;
    let mut polls = 0;
    // A future that keeps what it holds when it panics in its own poll.
    let handle = runtime.spawn(poll_fn(move |_| {
        let _bad = &bad;
        polls += 1;
        assert!(std::hint::black_box(polls != 1), "first");
        Poll::Ready(())
    }));
    let error = runtime.block_on(handle).unwrap_err();
    assert_eq!(*error.into_panic().downcast::<&str>().unwrap(), "first");
    assert_eq!(
        [panics.recv_timeout(LONG).unwrap(), panics.recv_timeout(LONG).unwrap()],
        ["first", "in drop"]
    );
}

#[test]
fn abort_on_drop_can_be_disarmed() {
    let (release, held) = channel::<()>();
    let guard = go(async move { held.recv().is_err() }).abort_on_drop();
    let abort = guard.abort_handle();
    assert_eq!(abort.id(), guard.id());
    let handle = guard.detach();
    drop(release);
    assert!(block_on(handle).unwrap());
    let guard = go(pending::<()>()).abort_on_drop();
    guard.abort_handle().abort();
    assert!(block_on(guard).unwrap_err().is_canceled());
}

#[test]
fn task_locals_follow_the_future_through_threads_and_to_its_drop() {
    struct Sees(Sender<u32>);
    impl Drop for Sees {
        fn drop(&mut self) {
            self.0.send(OUTER.try_with(|value| *value).unwrap_or(0)).unwrap();
        }
    }
    let (sender, seen) = channel();
    let handles: Vec<_> = (1..=50)
        .map(|number| {
            let sees = Sees(sender.clone());
            go(OUTER.scope(number, async move {
                let _sees = sees;
                for _ in 0..20 {
                    yield_now().await;
                    assert_eq!(OUTER.get(), number);
                    OUTER.scope(0, async { yield_now().await }).await;
                }
                TEXT.try_with(|_| ()).is_err()
            }))
        })
        .collect();
    for handle in handles {
        assert!(block_on(handle).unwrap());
    }
    assert_eq!((0..50).map(|_| seen.recv().unwrap()).sum::<u32>(), 1275);
    // Dropped before its end.
    let sees = Sees(sender);
    let mut scoped = Box::pin(OUTER.scope(7, async move {
        let _sees = sees;
        pending::<()>().await;
    }));
    assert!(scoped.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(OUTER.try_with(|_| ()).is_err());
    drop(scoped);
    assert_eq!(seen.recv().unwrap(), 7);
}

#[test]
fn a_task_local_comes_back_after_a_panic() {
    OUTER.sync_scope(1, || {
        let caught = std::panic::catch_unwind(|| OUTER.sync_scope(2, || panic!("inside")));
        assert!(caught.is_err());
        assert_eq!(OUTER.get(), 1);
    });
    assert!(OUTER.try_with(|_| ()).is_err());
}

#[test]
fn checkpoint_yields_when_the_slice_is_used_up_and_only_then() {
    let others = Rc::new(Cell::new(0));
    let ran = block_on(local::run_until({
        let others = Rc::clone(&others);
        async move {
            let computes = local::spawn({
                let others = Rc::clone(&others);
                async move {
                    let mut yields = 0;
                    for _ in 0..10_000 {
                        let before = others.get();
                        checkpoint().await;
                        yields += u32::from(others.get() != before);
                    }
                    yields
                }
            });
            let counts = local::spawn(async move {
                loop {
                    others.set(others.get() + 1);
                    yield_now().await;
                }
            });
            let yields = computes.await.unwrap();
            counts.abort();
            yields
        }
    }));
    assert!((10..200).contains(&ran), "{ran} of 10,000");
    // Outside a goroutine it never does.
    let mut cx = Context::from_waker(Waker::noop());
    assert!((0..1_000).all(|_| pin!(checkpoint()).poll(&mut cx).is_ready()));
}

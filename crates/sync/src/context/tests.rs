//! What a context promises, and its models.

mod model {
    use crate::{
        context::{Context, after::After},
        testing::{Fragile, block_on},
    };
    use gorust_primitives::shim::{model, mutant_is_caught, spin_loop, thread};
    use std::sync::Arc;

    fn explore(name: &str, body: impl Fn() + Sync + Send + 'static) {
        let executions = model(body);
        println!("context, {name}: {executions} executions");
        assert!(executions > 1);
    }

    /// A child is derived while its parent is canceled: it is done when both are through.
    fn born_while_canceled() {
        let (ctx, handle) = Context::background().with_cancel();
        let canceler = thread::spawn(move || handle.cancel());
        let (child, child_handle) = ctx.with_cancel();
        child_handle.keep();
        canceler.join().unwrap();
        assert!(child.err().is_some(), "a child outlived its parent");
    }

    /// One waits while the context is canceled, and the other way round.
    fn wait_meets_cancel() {
        let (ctx, handle) = Context::background().with_cancel();
        let (ctx, handle) = (Fragile::new(ctx), Fragile::new(handle));
        let canceler = thread::spawn(move || handle.cancel());
        block_on(ctx.done());
        assert!(ctx.err().is_some());
        canceler.join().unwrap();
    }

    /// Two cancel: one at the top, and as soon as that has come to the middle, one there. When the one in the
    /// middle returns, those below it are done.
    fn two_cancel() {
        let (top, top_handle) = Context::background().with_cancel();
        let (middle, middle_handle) = top.with_cancel();
        let (bottom, bottom_handle) = middle.with_cancel();
        bottom_handle.keep();
        let canceler = thread::spawn(move || top_handle.cancel());
        while middle.err().is_none() {
            spin_loop();
        }
        middle_handle.cancel();
        assert!(bottom.err().is_some(), "a cancel returned before it was complete");
        canceler.join().unwrap();
    }

    /// A child goes while its parent is canceled; its own child stays and is done.
    fn dropped_while_canceled() {
        let (top, handle) = Context::background().with_cancel();
        let (child, child_handle) = top.with_cancel();
        child_handle.keep();
        let leaver = thread::spawn(move || drop(child));
        let (other, other_handle) = top.with_cancel();
        other_handle.keep();
        handle.cancel();
        assert!(other.err().is_some());
        leaver.join().unwrap();
    }

    /// A function is stopped while another thread is about to call it: one of the two has it, and nothing of it stays.
    fn stop_meets_call() {
        let (ctx, handle) = Context::background().with_cancel();
        let held = Arc::new(());
        let holds = Arc::clone(&held);
        let after = Fragile::new(After::register(
            ctx.node(),
            Box::new(move || drop(holds)),
            std::panic::Location::caller(),
        ));
        let caller = {
            let after = Fragile::new(Arc::clone(&after));
            // What the node would do; a goroutine has no place in a model.
            thread::spawn(move || after.stop())
        };
        assert_ne!(after.stop(), caller.join().unwrap());
        assert_eq!((Arc::strong_count(&held), Arc::strong_count(&after)), (1, 1), "it keeps itself alive");
        drop(handle);
    }

    #[test]
    fn a_child_does_not_outlive_its_parent() {
        explore("born while canceled", born_while_canceled);
    }

    #[test]
    fn a_cancel_wakes_who_waits() {
        explore("wait meets cancel", wait_meets_cancel);
    }

    #[test]
    fn a_cancel_is_complete_when_it_returns() {
        explore("two cancel", two_cancel);
    }

    #[test]
    fn a_child_may_go_at_any_time() {
        explore("dropped while canceled", dropped_while_canceled);
    }

    #[test]
    fn a_stop_leaves_nothing_behind() {
        explore("stop meets call", stop_meets_call);
    }

    #[test]
    fn a_stop_that_leaves_its_waiter_is_caught() {
        assert!(mutant_is_caught("context.stop_and_stay", stop_meets_call));
    }

    #[test]
    fn linking_without_a_look_is_caught() {
        assert!(mutant_is_caught("context.link_without_a_look", born_while_canceled));
    }

    #[test]
    fn waiting_without_a_look_is_caught() {
        assert!(mutant_is_caught("context.wait_without_a_look", wait_meets_cancel));
    }

    #[test]
    fn trusting_another_cancel_is_caught() {
        assert!(mutant_is_caught("context.trust_the_other", two_cancel));
    }
}

#[cfg(not(any(gorust_loom, gorust_shuttle)))]
mod scenarios {
    use crate::{
        context::{CancelHandle, Context, ContextError, Done, HandleDropped, Key},
        testing::{Task, on_workers, poll},
    };
    use gorust_reactor::clock::Instant;
    use gorust_scheduler::block_on;
    use std::{
        error::Error,
        future::pending,
        mem::size_of,
        sync::{Arc, Mutex},
        task::{Poll, Wake, Waker},
        time::Duration,
    };

    const CANCELED: Option<ContextError> = Some(ContextError::Canceled);
    const EXCEEDED: Option<ContextError> = Some(ContextError::DeadlineExceeded);
    const LONG: Duration = Duration::from_secs(3_600);

    /// Runs a test on a clock that waits for nobody.
    fn in_bubble(test: impl Future<Output = ()>) {
        gorust_scheduler::bubble::bubble(1, test).unwrap();
    }

    fn child_count(ctx: &Context) -> usize {
        ctx.node().unwrap().child_count()
    }

    #[test]
    fn the_sizes_are_as_said() {
        assert_eq!((size_of::<Context>(), size_of::<CancelHandle>(), size_of::<Done<'_>>()), (8, 16, 48));
    }

    #[test]
    fn the_top_is_never_done() {
        let task = Task::default();
        for ctx in [Context::background(), Context::todo()] {
            assert_eq!((ctx.err(), ctx.deadline(), ctx.cause().is_none()), (None, None, true));
            assert_eq!(task.poll(&mut Box::pin(ctx.done())), Poll::Pending);
            assert_eq!(poll(&mut Box::pin(ctx.run(async { 1 }))), Poll::Ready(Ok(1)));
            assert_eq!(poll(&mut Box::pin(ctx.run(pending::<()>()))), Poll::Pending);
        }
        assert_eq!(
            format!("{:?} {:?}", Context::background(), Context::todo()),
            "Context(background) Context(todo)"
        );
    }

    #[test]
    fn cancel_reaches_all_below_and_nobody_beside() {
        let (top, handle) = Context::background().with_cancel();
        let (child, child_handle) = top.with_cancel();
        let grandchild = child.with_timeout(LONG);
        let (sibling, sibling_handle) = top.with_cancel();
        child_handle.cancel();
        assert_eq!(
            [child.err(), grandchild.err(), sibling.err(), top.err()],
            [CANCELED, CANCELED, None, None]
        );
        handle.cancel();
        handle.cancel();
        assert_eq!([sibling.err(), top.err()], [CANCELED; 2]);
        drop(sibling_handle);
        assert_eq!(format!("{top:?}"), "Context { err: Some(Canceled) }");
    }

    #[test]
    fn a_child_of_one_that_is_done_is_born_done() {
        let (ctx, handle) = Context::background().with_cancel();
        handle.cancel_with("no more");
        let (child, _handle) = ctx.with_cancel();
        assert_eq!((child.err(), child.cause().unwrap().to_string()), (CANCELED, "no more".into()));
        assert_eq!((ctx.with_timeout(LONG).err(), child_count(&ctx)), (CANCELED, 0));
    }

    #[test]
    fn the_first_cause_stays() {
        let (top, top_handle) = Context::background().with_cancel();
        let (child, child_handle) = top.with_cancel();
        let (below, below_handle) = child.with_cancel();
        child_handle.cancel_with("first");
        top_handle.cancel_with("second");
        child_handle.cancel_with("third");
        drop(below_handle);
        let causes = [&top, &child, &below].map(|ctx| ctx.cause().unwrap().to_string());
        assert_eq!(causes, ["second", "first", "first"]);
    }

    #[test]
    fn a_plain_cancel_has_its_error_for_a_cause() {
        let (ctx, handle) = Context::background().with_cancel();
        handle.cancel();
        assert_eq!(ctx.cause().unwrap().downcast_ref(), Some(&ContextError::Canceled));
        let ctx = Context::background().with_timeout(Duration::ZERO);
        assert_eq!(ctx.cause().unwrap().downcast_ref(), Some(&ContextError::DeadlineExceeded));
    }

    #[test]
    fn a_dropped_handle_cancels_and_the_cause_says_where_it_was_made() {
        let (ctx, handle) = Context::background().with_cancel();
        let line = line!() - 1;
        assert!(format!("{handle:?}").contains(&format!("tests.rs:{line}:")));
        drop(handle);
        let cause = ctx.cause().unwrap();
        let dropped = cause.downcast_ref::<HandleDropped>().unwrap();
        assert_eq!((ctx.err(), dropped.made_at().line()), (CANCELED, line));
        assert!(dropped.to_string().starts_with("context canceled: the cancel handle made at "));
        assert_eq!(dropped.source().unwrap().to_string(), "context canceled");
    }

    #[test]
    fn a_kept_context_lives_as_long_as_its_parent() {
        let (top, handle) = Context::background().with_cancel();
        let (child, child_handle) = top.with_cancel();
        child_handle.keep();
        assert_eq!(child.err(), None);
        drop(handle);
        assert_eq!(child.err(), CANCELED);
    }

    #[test]
    fn cancel_wakes_each_who_waits_once_and_all_are_done_by_then() {
        struct Looks(Context, Mutex<Vec<Option<ContextError>>>);
        impl Wake for Looks {
            fn wake(self: Arc<Self>) {
                self.1.lock().unwrap().push(self.0.err());
            }
        }
        let (top, handle) = Context::background().with_cancel();
        let (below, _handle) = top.with_cancel();
        let task = Task::default();
        let mut waits: Vec<_> = (0..100).map(|_| Box::pin(top.done())).collect();
        waits.iter_mut().for_each(|done| assert!(task.poll(done).is_pending()));
        waits.iter_mut().for_each(|done| assert!(task.poll(done).is_pending()));
        let looks = Arc::new(Looks(below.clone(), Mutex::default()));
        let mut looking = Box::pin(top.done());
        let waker = Waker::from(Arc::clone(&looks));
        assert!(looking.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_pending());
        handle.cancel();
        assert_eq!((task.wakes(), &*looks.1.lock().unwrap()), (100, &vec![CANCELED]));
        waits.iter_mut().for_each(|done| assert!(poll(done).is_ready()));
        assert!(poll(&mut Box::pin(below.done())).is_ready());
    }

    #[test]
    fn done_dropped_at_any_time_leaves_nothing_behind() {
        let (ctx, handle) = Context::background().with_cancel();
        let task = Task::default();
        drop(Box::pin(ctx.done()));
        let (mut leaves, mut stays) = (Box::pin(ctx.done()), Box::pin(ctx.done()));
        assert!(task.poll(&mut leaves).is_pending() && task.poll(&mut stays).is_pending());
        drop(leaves);
        handle.cancel();
        assert_eq!(task.wakes(), 1);
        drop(stays);
    }

    #[test]
    fn another_waker_takes_over() {
        let (ctx, handle) = Context::background().with_cancel();
        let (old, new) = (Task::default(), Task::default());
        let mut done = Box::pin(ctx.done());
        assert!(old.poll(&mut done).is_pending() && new.poll(&mut done).is_pending());
        handle.cancel();
        assert_eq!((old.wakes(), new.wakes()), (0, 1));
    }

    #[test]
    fn a_child_that_is_dropped_or_canceled_leaves_its_parent() {
        let (top, _handle) = Context::background().with_cancel();
        let mut children: Vec<_> = (0..1_000).map(|_| top.with_cancel()).collect();
        assert_eq!(child_count(&top), 1_000);
        children[500].1.cancel();
        assert_eq!(child_count(&top), 999);
        children.drain(..500).for_each(drop);
        assert_eq!(child_count(&top), 499);
        drop(children);
        assert_eq!(child_count(&top), 0);
    }

    #[test]
    fn a_child_keeps_its_parent_and_not_the_other_way() {
        let (top, handle) = Context::background().with_cancel();
        let (below, _handle) = top.with_cancel();
        drop(top);
        handle.cancel();
        assert_eq!(below.err(), CANCELED);
    }

    #[test]
    fn a_million_deep_chain_is_canceled_and_dropped_without_a_deep_stack() {
        let deep = || {
            let (mut ctx, first) = Context::background().with_cancel();
            for _ in 0..1_000_000 {
                let (child, handle) = ctx.with_cancel();
                handle.keep();
                ctx = child;
            }
            assert_eq!(ctx.err(), None);
            first.cancel();
            assert_eq!(ctx.err(), CANCELED);
            drop(first);
        };
        std::thread::Builder::new().stack_size(128 * 1024).spawn(deep).unwrap().join().unwrap();
    }

    #[test]
    fn a_wide_tree_is_canceled_in_batches() {
        let (top, handle) = Context::background().with_cancel();
        let children: Vec<_> = (0..100_000).map(|_| top.with_cancel()).collect();
        assert_eq!(child_count(&top), 100_000);
        handle.cancel();
        assert_eq!(child_count(&top), 0, "nothing is left in the parent");
        assert!(children.iter().all(|(child, _)| child.err() == CANCELED));
    }

    #[test]
    fn a_deadline_ends_it_and_all_below() {
        in_bubble(async {
            let ctx = Context::background().with_timeout(LONG);
            let (child, handle) = ctx.with_cancel();
            handle.keep();
            assert_eq!(child.deadline(), ctx.deadline());
            child.done().await;
            assert_eq!(Some(Instant::now()), ctx.deadline());
            assert_eq!([ctx.err(), child.err()], [EXCEEDED; 2]);
            let error = std::io::Error::from(child.err().unwrap());
            assert_eq!(
                (error.kind(), error.to_string()),
                (std::io::ErrorKind::TimedOut, "context deadline exceeded".into())
            );
        });
    }

    #[test]
    fn the_earliest_deadline_counts() {
        let soon = Instant::now() + LONG;
        let later = soon + LONG;
        let parent = Context::background().with_deadline(soon);
        assert_eq!(
            [parent.with_deadline(later), parent.with_deadline(soon)].map(|ctx| ctx.deadline()),
            [Some(soon); 2]
        );
        let sooner = Instant::now() + Duration::from_secs(1);
        assert_eq!(parent.with_deadline(sooner).deadline(), Some(sooner));
        assert_eq!(parent.with_cancel().0.deadline(), Some(soon));
        assert_eq!(Context::background().with_timeout(Duration::MAX).deadline(), None);
    }

    #[test]
    fn a_deadline_that_has_passed_ends_it_at_once() {
        let (parent, _handle) = Context::background().with_cancel();
        let ctx = parent.with_deadline(Instant::now());
        assert_eq!((ctx.err(), parent.err(), child_count(&parent)), (EXCEEDED, None, 0));
    }

    #[test]
    fn a_cancel_before_the_deadline_wins() {
        let (parent, handle) = Context::background().with_cancel();
        let ctx = parent.with_timeout(LONG);
        handle.cancel();
        assert_eq!(ctx.err(), CANCELED);
    }

    #[test]
    fn a_cause_named_for_a_deadline_is_told_for_a_deadline_only() {
        let (parent, handle) = Context::background().with_cancel();
        let named = parent.with_timeout_cause(LONG, "too slow");
        assert!(named.cause().is_none());
        handle.cancel_with("changed my mind");
        assert_eq!((named.err(), named.cause().unwrap().to_string()), (CANCELED, "changed my mind".into()));
        let named = Context::background().with_timeout_cause(Duration::ZERO, "too slow");
        let below = named.with_timeout(LONG);
        let own = named.with_timeout_cause(LONG, "my own words");
        let causes = [&named, &below, &own].map(|ctx| ctx.cause().unwrap().to_string());
        assert_eq!(causes, ["too slow", "too slow", "my own words"]);
        assert_eq!([named.err(), below.err(), own.err()], [EXCEEDED; 3]);
    }

    /// Go loses it: the parent's deadline comes first, and ends both.
    #[test]
    fn a_cause_is_kept_in_its_layer() {
        in_bubble(async {
            let parent = Context::background().with_timeout(LONG);
            let child = parent.with_timeout_cause(2 * LONG, "the child's");
            child.done().await;
            assert_eq!(Some(Instant::now()), parent.deadline());
            assert_eq!(parent.cause().unwrap().downcast_ref(), Some(&ContextError::DeadlineExceeded));
            assert_eq!((child.err(), child.cause().unwrap().to_string()), (EXCEEDED, "the child's".into()));
        });
    }

    struct Name;
    impl Key for Name {
        type Value = String;
    }

    struct Number;
    impl Key for Number {
        type Value = usize;
    }

    #[test]
    fn values_are_found_by_their_key_and_the_nearest_counts() {
        let (top, handle) = Context::background().with_cancel();
        let named = top.with_value::<Name>("outer".into());
        let both = named.with_value::<Number>(1).with_timeout(LONG);
        let shadowed = both.with_cancel().0.with_value::<Name>("inner".into());
        assert_eq!((top.value::<Name>(), named.value::<Number>()), (None, None));
        assert_eq!((both.value::<Name>().unwrap(), both.value::<Number>()), (&"outer".into(), Some(&1)));
        assert_eq!(
            (shadowed.value::<Name>().unwrap(), shadowed.value::<Number>()),
            (&"inner".into(), Some(&1))
        );
        assert_eq!((named.err(), both.deadline().is_some()), (None, true));
        handle.cancel_with("over");
        assert_eq!([named.err(), both.err(), shadowed.err()], [CANCELED; 3]);
        assert_eq!((named.cause().unwrap().to_string(), child_count(&top)), ("over".into(), 0));
    }

    #[test]
    fn values_at_the_top_end_nothing() {
        let ctx = Context::todo().with_value::<Number>(1);
        assert_eq!((ctx.err(), ctx.value::<Number>()), (None, Some(&1)));
        assert_eq!(format!("{ctx:?}"), "Context(never done)");
        let (child, handle) = ctx.with_cancel();
        drop(ctx);
        handle.cancel();
        assert_eq!((child.err(), child.value::<Number>()), (CANCELED, Some(&1)));
    }

    #[test]
    fn without_cancel_keeps_the_values_and_nothing_else() {
        let parent = Context::background().with_timeout_cause(Duration::ZERO, "late").with_value::<Number>(1);
        let ctx = parent.without_cancel();
        assert_eq!((ctx.err(), ctx.deadline(), ctx.cause().is_none()), (None, None, true));
        assert_eq!((ctx.value::<Number>(), parent.err()), (Some(&1), EXCEEDED));
        let (child, handle) = ctx.with_cancel();
        assert_eq!(child.err(), None);
        handle.cancel();
        assert_eq!(child.err(), CANCELED);
    }

    #[test]
    fn a_long_list_of_values_is_dropped_without_a_deep_stack() {
        let deep = || {
            let mut ctx = Context::background();
            for n in 0..200_000 {
                ctx = ctx.with_value::<Number>(n);
            }
            assert_eq!(ctx.value::<Number>(), Some(&199_999));
        };
        std::thread::Builder::new().stack_size(128 * 1024).spawn(deep).unwrap().join().unwrap();
    }

    #[test]
    fn after_func_is_called_in_a_goroutine_of_its_own() {
        let (ctx, handle) = Context::background().with_cancel();
        let (tx, rx) = crate::chan(2);
        // Were it called by `cancel`, it would wait for itself.
        let lock = Arc::new(Mutex::new(()));
        let held = lock.lock().unwrap();
        for _ in 0..2 {
            let (tx, lock) = (tx.clone(), Arc::clone(&lock));
            ctx.after_func(move || {
                drop(lock.lock().unwrap());
                tx.try_send(()).unwrap();
            });
        }
        handle.cancel();
        drop((held, ctx, handle, tx));
        block_on(async {
            assert_eq!((rx.recv().await, rx.recv().await, rx.recv().await), (Some(()), Some(()), None));
        });
    }

    #[test]
    fn after_func_is_called_at_once_if_the_context_is_done() {
        let ctx = Context::background().with_timeout(Duration::ZERO);
        let (tx, rx) = crate::chan(1);
        let stop = ctx.after_func(move || tx.try_send(()).unwrap());
        assert_eq!((block_on(rx.recv()), stop.stop()), (Some(()), false));
    }

    #[test]
    fn after_func_keeps_the_context_alive_until_its_deadline() {
        in_bubble(async {
            let (tx, rx) = crate::chan(1);
            let start = Instant::now();
            Context::background().with_timeout(LONG).after_func(move || tx.try_send(()).unwrap());
            assert_eq!((rx.recv().await, start.elapsed()), (Some(()), LONG));
        });
    }

    #[test]
    fn a_function_that_was_stopped_is_not_called_and_leaves_nothing_behind() {
        let (ctx, handle) = Context::background().with_cancel();
        let held = Arc::new(());
        let (holds, holds_too) = (Arc::clone(&held), Arc::clone(&held));
        let stop = ctx.after_func(move || drop(holds));
        let never = Context::background().after_func(move || drop(holds_too));
        assert_eq!((format!("{stop:?}"), Arc::strong_count(&held)), ("Stop { waits: true }".into(), 3));
        assert_eq!([stop.stop(), stop.stop(), never.stop(), never.stop()], [true, false, true, false]);
        assert_eq!(Arc::strong_count(&held), 1);
        let node = Arc::downgrade(ctx.node().unwrap());
        drop((ctx, stop));
        handle.keep();
        assert_eq!(node.strong_count(), 0, "nothing keeps it alive");
    }

    #[test]
    fn run_looks_at_the_context_first_and_drops_the_future_before_it_tells() {
        struct Held(Arc<Mutex<bool>>);
        impl Drop for Held {
            fn drop(&mut self) {
                *self.0.lock().unwrap() = true;
            }
        }
        let (ctx, handle) = Context::background().with_cancel();
        let task = Task::default();
        let dropped = Arc::new(Mutex::new(false));
        let held = Held(Arc::clone(&dropped));
        let mut run = Box::pin(ctx.run(async move {
            pending::<()>().await;
            drop(held);
        }));
        assert!(task.poll(&mut run).is_pending() && task.poll(&mut run).is_pending());
        handle.cancel();
        assert_eq!(task.wakes(), 1);
        assert_eq!(task.poll(&mut run), Poll::Ready(Err(ContextError::Canceled)));
        assert!(*dropped.lock().unwrap());
        drop(run);
        let mut late = Box::pin(ctx.run(async { panic!("nothing is started") }));
        assert_eq!(poll(&mut late), Poll::Ready(Err::<(), _>(ContextError::Canceled)));
    }

    #[test]
    fn run_dropped_while_it_waits_leaves_nothing_behind() {
        let (ctx, handle) = Context::background().with_cancel();
        let task = Task::default();
        let mut run = Box::pin(ctx.run(pending::<()>()));
        assert!(task.poll(&mut run).is_pending());
        drop(run);
        handle.cancel();
        assert_eq!(task.wakes(), 0);
    }

    #[test]
    fn a_goroutine_ends_with_its_context() {
        let (ctx, handle) = Context::background().with_cancel();
        let (ends, stays) = (ctx.go(async { 7 }), ctx.go(pending::<()>()));
        block_on(async {
            assert_eq!(ends.await.unwrap(), Ok(7));
            handle.cancel();
            assert_eq!(stays.await.unwrap(), Err(ContextError::Canceled));
        });
    }

    #[test]
    fn what_crosses_threads_says_so() {
        fn is_send_and_sync<T: Send + Sync>(_: &T) {}
        fn is_send<T: Send>(_: &T) {}
        let (ctx, handle) = Context::background().with_cancel();
        is_send_and_sync(&ctx);
        is_send_and_sync(&handle);
        is_send(&ctx.done());
        is_send(&ctx.run(async {}));
    }

    /// Each goroutine waits for a context of its own below one that is canceled: all end, however they meet the cancel.
    #[test]
    fn all_below_end_however_many_workers_there_are() {
        on_workers(|| async {
            for _ in 0..20 {
                let (top, handle) = Context::background().with_cancel();
                let wg = crate::WaitGroup::new();
                for id in 0..32 {
                    let top = top.clone();
                    wg.go(async move {
                        let ctx = top.with_timeout(LONG).with_value::<Number>(id);
                        let (child, child_handle) = ctx.with_cancel();
                        if id % 4 == 0 {
                            child_handle.cancel();
                        } else {
                            child_handle.keep();
                        }
                        child.done().await;
                        assert_eq!((child.err(), child.value::<Number>()), (CANCELED, Some(&id)));
                        assert_eq!(ctx.run(pending::<()>()).await, Err(ContextError::Canceled));
                    });
                }
                gorust_scheduler::yield_now().await;
                handle.cancel();
                wg.wait().await;
                assert_eq!(child_count(&top), 0);
            }
        });
    }

    /// Trees that grow, shrink and are canceled from several threads at once: in the end all are done.
    #[test]
    fn trees_may_be_used_by_all_at_once() {
        for _ in 0..50 {
            let (top, handle) = Context::background().with_cancel();
            let threads: Vec<_> = (0..4)
                .map(|n| {
                    let top = top.clone();
                    std::thread::spawn(move || {
                        let mut kept = Vec::new();
                        for step in 0..200 {
                            let (child, handle) = top.with_cancel();
                            let below = child.with_timeout(LONG);
                            match (step + n) % 4 {
                                0 => drop((child, handle)),
                                1 => handle.cancel(),
                                2 => handle.keep(),
                                _ => handle.cancel_with("because"),
                            }
                            kept.push(below);
                        }
                        block_on(top.done());
                        kept
                    })
                })
                .collect();
            handle.cancel();
            for thread in threads {
                assert!(thread.join().unwrap().iter().all(|ctx| ctx.err() == CANCELED));
            }
        }
    }
}

//! `select!` as it is written: patterns, guards, `default`, `else`, `biased`, bodies that borrow and jump, and what
//! the operands may be.

use gorust::{
    chan::{OneReceiver, OptionReceiver, OptionSender, Receiver, Sender, oneshot},
    prelude::*,
    select,
    select::Select,
};
use std::{
    cell::Cell,
    future::{Future, IntoFuture, poll_fn, ready},
    pin::{Pin, pin},
    task::{Context as Cx, Poll, Waker},
};

fn poll<F: Future>(future: &mut Pin<&mut F>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Cx::from_waker(Waker::noop()))
}

/// Polls to the end what need not wait.
fn now<F: Future>(future: F) -> F::Output {
    match poll(&mut pin!(future)) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

fn full<T>(values: impl IntoIterator<Item = T>) -> (Sender<T>, Receiver<T>) {
    let values: Vec<_> = values.into_iter().collect();
    let (tx, rx) = chan(values.len());
    for value in values {
        assert!(tx.try_send(value).is_ok());
    }
    (tx, rx)
}

#[test]
fn the_one_that_is_ready_is_taken() {
    let (_a, rx_a) = chan::<u32>(1);
    let (_b, rx_b) = full(["b"]);
    let got = now(async {
        select! {
            v = rx_a.recv() => v.map(|v| v.to_string()),
            v = rx_b.recv() => v.map(String::from),
        }
    });
    assert_eq!(got.as_deref(), Some("b"));
}

#[test]
fn operands_are_evaluated_once_and_in_source_order() {
    let (_tx, rx) = chan::<u32>(1);
    let (tx2, rx2) = chan::<u32>(0);
    let said = Cell::new(String::new());
    let say = |word: &str| said.set(said.take() + word);
    let mut future = pin!(async {
        select! {
            _ = { say("a"); rx.recv() } => "a",
            r = tx2.send({ say("b"); 7 }) => { r.unwrap(); "b" }
            _ = { say("c"); std::future::pending::<()>() }, if { say("?"); true } => "c",
            _ = { say("never"); rx.recv() }, if false => "d",
        }
    });
    assert!(poll(&mut future).is_pending());
    assert!(poll(&mut future).is_pending());
    assert_eq!(rx2.try_recv(), Ok(7));
    assert_eq!(poll(&mut future), Poll::Ready("b"));
    assert_eq!(said.take(), "ab?c");
}

#[test]
fn a_default_is_taken_when_nothing_is_ready_and_does_not_wait() {
    let (tx, rx) = chan::<u32>(1);
    // No `async` around it.
    let look = || {
        select! {
            v = rx.recv() => v.map(i64::from),
            default => Some(-1),
        }
    };
    assert_eq!(look(), Some(-1));
    tx.try_send(3).unwrap();
    assert_eq!((look(), look()), (Some(3), Some(-1)));
    tx.close();
    assert_eq!((look(), look()), (None, None));
}

#[test]
fn a_default_stands_beside_sends_and_foreign_futures() {
    let (tx, rx) = chan::<u32>(1);
    let send = |value| select! { r = tx.send(value) => r.is_ok(), default => false };
    assert_eq!((send(1), send(2)), (true, false));
    assert_eq!(rx.try_recv(), Ok(1));
    let foreign = |is_ready: bool| {
        select! {
            () = poll_fn(|_| if is_ready { Poll::Ready(()) } else { Poll::Pending }) => 1,
            _ = rx.recv() => 2,
            default => 3,
        }
    };
    assert_eq!((foreign(true), foreign(false)), (1, 3));
}

#[test]
fn a_closed_channel_disables_a_case_that_wants_a_value() {
    let (_tx, rx) = full([1]);
    let closed = chan::<u32>(0).1;
    for _ in 0..20 {
        let (tx, rx) = (full([1]), &rx);
        let got = now(async {
            select! {
                Some(v) = closed.recv() => v,
                Some(v) = tx.1.recv() => v + 10,
                Some(_) = rx.recv(), if false => 0,
            }
        });
        assert_eq!(got, 11);
    }
}

#[test]
fn an_else_is_taken_when_every_case_is_disabled() {
    let (a, b) = (chan::<u32>(0).1, chan::<u32>(0).1);
    let got = now(async {
        select! {
            Some(v) = a.recv() => v,
            Some(v) = b.recv() => v,
            _ = ready(()), if false => 1,
            else => 2,
        }
    });
    assert_eq!(got, 2);
    let nil: Option<&Receiver<u32>> = None;
    assert_eq!(
        now(async {
            select! { _ = nil.recv() => 1, else => 2 }
        }),
        2
    );
    assert_eq!(select! { Some(_) = a.recv() => 1, default => 2, else => 3 }, 3);
    let (_tx, open) = chan::<u32>(0);
    assert_eq!(select! { Some(_) = a.recv() => 1, _ = open.recv() => 4, default => 2, else => 3 }, 2);
}

#[test]
fn patterns_may_fail_in_their_outer_variant_alone() {
    let outcome = |r: Result<(u32, &'static str), String>| {
        now(async {
            select! {
                Ok((n, word)) = ready(r.clone()) => format!("{n} {word}"),
                Err(mut error) = ready(r) => { error.push('!'); error }
            }
        })
    };
    assert_eq!(outcome(Ok((1, "one"))), "1 one");
    assert_eq!(outcome(Err("bad".into())), "bad!");
    let (tx, rx) = chan::<u32>(0);
    drop(tx);
    assert!(now(async {
        select! { None = rx.recv() => true, Some(_) = rx.recv() => false }
    }));
    struct Point {
        x: u32,
        y: u32,
    }
    let sum = now(async {
        select! { Point { x, y } = ready(Point { x: 1, y: 2 }) => x + y }
    });
    assert_eq!(sum, 3);
    let either = now(async {
        select! { Ok(v) | Err(v) = ready(Err::<u32, u32>(4)) => v }
    });
    assert_eq!(either, 4);
}

#[test]
fn biased_takes_the_first_that_is_ready() {
    let (_a, a) = full([1, 1, 1]);
    let (_b, b) = full([2, 2, 2]);
    for _ in 0..3 {
        let got = now(async {
            select! {
                biased;
                v = a.recv() => v,
                v = b.recv() => v,
            }
        });
        assert_eq!(got, Some(1));
    }
    // Foreign futures have their place in the order.
    let (_c, c) = full([3; 100]);
    for _ in 0..50 {
        assert_eq!(
            now(async {
                select! { biased; v = ready(Some(9)) => v, v = c.recv() => v }
            }),
            Some(9)
        );
        assert_eq!(
            now(async {
                select! { biased; v = c.recv() => v, v = ready(Some(9)) => v }
            }),
            Some(3)
        );
    }
}

#[test]
fn bodies_may_jump() {
    async fn first_even(rx: Receiver<u32>, stop: Receiver<()>) -> Result<u32, &'static str> {
        let mut odds = 0;
        loop {
            select! {
                v = rx.recv() => {
                    let v = v.ok_or("closed")?;
                    if v % 2 == 1 {
                        odds += 1;
                        continue;
                    }
                    return Ok(v + 100 * odds);
                }
                _ = stop.recv() => break,
            }
        }
        Err("stopped")
    }
    let (_tx, rx) = full([1, 3, 4]);
    let (_stop, stopped) = chan(0);
    assert_eq!(now(first_even(rx, stopped.clone())), Ok(204));
    let (tx, rx) = full([1]);
    drop(tx);
    assert_eq!(now(first_even(rx, stopped)), Err("closed"));
    let (_tx, rx) = chan(0);
    let (stop, stopped) = chan(0);
    drop(stop);
    assert_eq!(now(first_even(rx, stopped)), Err("stopped"));
}

#[test]
fn bodies_may_borrow_what_the_cases_borrowed() {
    let (tx, rx) = full([2]);
    let (mut total, mut slot) = (1, Some(5));
    now(async {
        select! {
            v = async { total += 1; rx.recv().await } => total += v.unwrap(),
            r = tx.send_from(&mut slot), if false => { r.unwrap(); slot = None }
        }
    });
    assert_eq!((total, slot), (4, Some(5)));
    let nested = now(async {
        select! {
            _ = ready(()) => {
                tx.send(8).await.unwrap();
                select! { v = rx.recv() => v }
            }
        }
    });
    assert_eq!(nested, Some(8));
}

#[test]
fn a_value_that_is_not_bound_is_gone_before_the_body() {
    struct Bell<'a>(&'a Cell<bool>);
    impl Drop for Bell<'_> {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    let rung = Cell::new(false);
    now(async {
        select! { _ = ready(Bell(&rung)) => assert!(rung.get()) }
    });
}

#[test]
fn operands_are_told_apart_by_type() {
    struct Server {
        jobs: Receiver<u32>,
    }
    impl Server {
        fn jobs(&self) -> Receiver<u32> {
            self.jobs.clone()
        }
    }
    let (_tx, jobs) = full([1, 2, 3, 4]);
    let server = Server { jobs };
    // What is made on the way lives as long as the select.
    assert_eq!(select! { v = server.jobs().recv() => v, default => None }, Some(1));
    let variable = server.jobs.recv();
    assert_eq!(select! { v = variable => v, default => None }, Some(2));
    let mut pinned = pin!(server.jobs.recv());
    assert_eq!(select! { v = pinned.as_mut() => v, default => None }, Some(3));
    let mut boxed = Box::pin(server.jobs.recv());
    assert_eq!(select! { v = &mut boxed => v, default => None }, Some(4));
    let (tx, mut one) = oneshot();
    let look = |one: &mut OneReceiver<u32>| select! { v = one => v.ok(), default => None };
    assert_eq!(look(&mut one), None);
    tx.send(5).unwrap();
    assert_eq!(look(&mut one), Some(5));
    let nil: Option<&Sender<u32>> = None;
    assert_eq!(select! { _ = nil.send(1) => 1, default => 2 }, 2);
    let ctx = Context::background();
    assert_eq!(select! { _ = ctx.done() => 1, default => 2 }, 2);
    let (ctx, cancel) = ctx.with_cancel();
    assert_eq!(select! { _ = ctx.done() => 1, default => 2 }, 2);
    cancel.cancel();
    assert_eq!(select! { _ = ctx.done() => 1, default => 2 }, 1);
    assert_eq!(select! { _ = sleep(Duration::ZERO) => 1, default => 2 }, 1);
    assert_eq!(select! { _ = sleep(Duration::from_secs(60)) => 1, default => 2 }, 2);
}

#[test]
fn a_join_handle_is_a_case() {
    gorust::block_on(async {
        let (tx, rx) = chan::<u32>(0);
        let mut handle = go(async move { tx.send(1).await.is_ok() });
        let mut seen = 0;
        let sent = loop {
            select! {
                sent = &mut handle => break sent.unwrap(),
                Some(v) = rx.recv() => seen += v,
            }
        };
        assert_eq!((sent, seen), (true, 1));
    });
}

#[test]
fn a_select_in_a_generic_function_takes_any_future() {
    async fn or<F: Future<Output = u32>>(future: F, rx: &Receiver<u32>) -> u32 {
        select! {
            v = future => v,
            Some(v) = rx.recv() => v,
        }
    }
    let (_tx, rx) = full([1]);
    assert_eq!(now(or(std::future::pending(), &rx)), 1);
    assert_eq!(now(or(ready(2), &rx)), 2);
}

#[test]
fn a_select_may_be_sent_to_another_thread_if_its_cases_may() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let (_tx, rx) = full([1]);
    let (_tx2, rx2) = full([std::rc::Rc::new(1)]);
    now(is_send(async {
        select! { _ = rx.recv() => {}, _ = sleep(Duration::from_secs(1)) => {} }
    }));
    // And need not be if they may not.
    now(async {
        select! { _ = rx2.recv() => {} }
    });
}

#[test]
fn a_select_made_while_the_program_runs_is_used_again() {
    let channels: Vec<_> = (0..40).map(|_| chan(1)).collect();
    let (ctx, cancel) = Context::background().with_cancel();
    let mut select = Select::new();
    for (_, rx) in &channels {
        select = select.recv(rx);
    }
    select = select.event(ctx.done());
    gorust::block_on(async {
        for round in 0..200_usize {
            let wanted = round * 7 % 40;
            let (tx, rx) = &channels[wanted];
            if round % 2 == 0 {
                tx.try_send(round).unwrap();
            } else {
                // It comes while the select waits.
                let tx = tx.clone();
                go(async move { tx.send(round).await });
            }
            let selected = (&mut select).await;
            assert_eq!(selected.index, wanted);
            assert_eq!(selected.recv(rx), Some(round));
        }
        // One that is given up leaves its queues, and can be awaited again.
        {
            let mut wait = pin!((&mut select).into_future());
            assert!(poll(&mut wait).is_pending());
        }
        assert!(select.try_now().is_none());
        cancel.cancel();
        assert_eq!((&mut select).await.index, 40);
        // An event comes once.
        assert!(select.try_now().is_none());
    });
}

#[test]
fn a_select_made_while_the_program_runs_sends_once() {
    let (tx, rx) = chan(1);
    let (_other, rx_other) = chan::<u32>(0);
    let bell = std::sync::Arc::new(());
    let mut select = Select::new().recv(&rx_other).send(&tx, std::sync::Arc::clone(&bell));
    assert_eq!(now((&mut select).into_future()).index, 1);
    assert!(rx.try_recv().is_ok());
    assert!(select.try_now().is_none());
    assert_eq!(std::sync::Arc::strong_count(&bell), 1);
    // One that is not chosen goes with the select; one to a closed channel comes back.
    drop(Select::new().send(&tx, std::sync::Arc::clone(&bell)));
    assert_eq!(std::sync::Arc::strong_count(&bell), 1);
    drop(rx);
    let selected = now(Select::new().recv(&rx_other).send(&tx, std::sync::Arc::clone(&bell)).into_future());
    assert!(selected.send(&tx).is_err());
}

#[test]
#[should_panic(expected = "the case that was chosen is no receive from this channel")]
fn the_outcome_of_one_case_is_not_had_from_another() {
    let ((tx, rx), (_other, rx_other)) = (chan(1), chan::<u32>(1));
    tx.try_send(1).unwrap();
    let mut select = Select::new().recv(&rx);
    let _ = select.try_now().unwrap().recv(&rx_other);
}

#[test]
fn a_goroutine_that_selects_among_nothing_waits_for_ever() {
    let mut future = pin!(async {
        select! {}
    });
    assert!(poll(&mut future).is_pending());
    let (_tx, rx) = full([1]);
    let mut future = pin!(async {
        select! { _ = rx.recv(), if false => {} }
    });
    assert!(poll(&mut future).is_pending());
}

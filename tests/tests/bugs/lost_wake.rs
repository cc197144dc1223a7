//! Lost wake: an event of one's own that keeps one waker. A second waiter takes the place of the first, whom nobody
//! wakes any more.

use gorust::prelude::*;
use std::{
    future::poll_fn,
    mem::take,
    sync::{Arc, Mutex},
    task::{Poll, Waker},
};

/// An event, with or without the mistake.
#[derive(Default)]
struct Event {
    state: Mutex<(bool, Vec<Waker>)>,
    one_waker: bool,
}

impl Event {
    fn set(&self) {
        let mut state = self.state.lock().unwrap();
        state.0 = true;
        let wakers = take(&mut state.1);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    async fn wait(&self) {
        poll_fn(|cx| {
            let mut state = self.state.lock().unwrap();
            if state.0 {
                return Poll::Ready(());
            }
            if self.one_waker {
                state.1.clear();
            }
            state.1.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

async fn two_wait_for(event: Event) {
    let (event, wg) = (Arc::new(event), WaitGroup::new());
    let setter = Arc::clone(&event);
    wg.go(async move { setter.set() });
    for _ in 0..2 {
        let event = Arc::clone(&event);
        wg.go(async move { event.wait().await });
    }
    wg.wait().await;
}

pub(crate) async fn buggy() {
    two_wait_for(Event { one_waker: true, ..Event::default() }).await;
}

pub(crate) async fn fixed() {
    two_wait_for(Event::default()).await;
}

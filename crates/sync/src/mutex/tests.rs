//! What a mutex promises, and its models.

mod model {
    use crate::{
        mutex::Mutex,
        testing::{Fragile, block_on},
    };
    use gorust_primitives::shim::{UnsafeCell, model, mutant_is_caught, thread};
    use std::{
        future::Future,
        sync::Arc,
        task::{Context, Waker},
    };

    /// A number in a cell loom watches: two holders at a time, or one that does not see what the one before
    /// it wrote, fail.
    struct Watched(UnsafeCell<u32>);

    impl Watched {
        fn add(&mut self) -> u32 {
            self.0.with_mut(|cell| {
                // SAFETY: the mutex is held: that is what the model is about.
                let cell = unsafe { &mut *cell };
                *cell += 1;
                *cell
            })
        }
    }

    fn mutex() -> Arc<Fragile<Mutex<Watched>>> {
        Arc::new(Fragile::new(Mutex::new(Watched(UnsafeCell::new(0)))))
    }

    fn spawn_adder(mutex: &Arc<Fragile<Mutex<Watched>>>) -> thread::JoinHandle<()> {
        let mutex = Arc::clone(mutex);
        thread::spawn(move || {
            block_on(mutex.lock()).add();
        })
    }

    /// Two lock, add one, unlock.
    fn two_add() {
        let mutex = mutex();
        let adder = spawn_adder(&mutex);
        block_on(mutex.lock()).add();
        adder.join().unwrap();
        assert_eq!(block_on(mutex.lock()).add(), 3);
    }

    /// One holds the mutex and lets it go; one waits and is dropped, woken or not; the third must get it.
    fn one_leaves() {
        let mutex = mutex();
        let guard = Fragile::new(mutex.try_lock().unwrap());
        let mut leaver = Fragile::new(Box::pin(mutex.lock()));
        assert!(leaver.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let adder = spawn_adder(&mutex);
        drop(guard);
        drop(leaver);
        adder.join().unwrap();
    }

    /// The first in line is woken and never looks; patience runs out while the second one comes. It must get
    /// the mutex.
    fn one_is_not_polled() {
        let mutex = mutex();
        let guard = Fragile::new(mutex.try_lock().unwrap());
        let mut idler = Fragile::new(Box::pin(mutex.lock()));
        assert!(idler.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let mut second = Fragile::new(Box::pin(mutex.lock()));
        assert!(second.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let holder = {
            let mutex = Arc::clone(&mutex);
            thread::spawn(move || mutex.raw.expire_patience())
        };
        drop(guard);
        holder.join().unwrap();
        // The alarm may have rung before the idler was woken; then the next one does.
        mutex.raw.expire_patience();
        block_on(async { second.as_mut().await.add() });
    }

    #[test]
    fn two_never_hold_it() {
        let executions = model(two_add);
        println!("mutex, two add: {executions} executions");
        assert!(executions > 1);
    }

    #[test]
    fn one_who_leaves_wakes_the_next() {
        let executions = model(one_leaves);
        println!("mutex, one leaves: {executions} executions");
        assert!(executions > 1);
    }

    #[test]
    fn one_who_is_not_polled_holds_back_nobody() {
        let executions = model(one_is_not_polled);
        println!("mutex, one is not polled: {executions} executions");
        assert!(executions > 1);
    }

    #[test]
    fn waiting_without_a_look_is_caught() {
        assert!(mutant_is_caught("mutex.wait_without_a_look", two_add));
    }

    #[test]
    fn a_dropped_wake_is_caught() {
        assert!(mutant_is_caught("mutex.wake_dropped", one_leaves));
    }
}

#[cfg(not(any(gorust_loom, gorust_shuttle)))]
mod scenarios {
    use crate::{
        Mutex,
        mutex::{Lock, MutexGuard},
        testing::{Task, on_workers, poll},
    };
    use gorust_reactor::clock::Instant;
    use std::{cell::Cell, mem::size_of, pin::Pin, sync::Arc, task::Poll, time::Duration};

    /// locked, waiting, woken, starving
    const FREE: [bool; 4] = [false; 4];
    const HELD: [bool; 4] = [true, false, false, false];

    fn waiting<'a, T>(mutex: &'a Mutex<T>, task: &Task) -> Pin<Box<Lock<'a, T>>> {
        let mut lock = Box::pin(mutex.lock());
        assert!(task.poll(&mut lock).is_pending());
        lock
    }

    fn ready<T>(polled: Poll<T>) -> T {
        match polled {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("it waits"),
        }
    }

    /// Makes as if the future had waited for long.
    fn make_late<T>(lock: &mut Pin<Box<Lock<'_, T>>>) {
        let since = Instant::now().checked_sub(Duration::from_millis(5)).unwrap();
        // SAFETY: nothing is moved.
        unsafe { lock.as_mut().get_unchecked_mut() }.contest.since = since;
    }

    #[test]
    fn the_sizes_are_as_said() {
        assert_eq!((size_of::<Mutex<()>>(), size_of::<Mutex<u64>>()), (24, 32));
        assert!(size_of::<Lock<'_, u64>>() <= 64, "{}", size_of::<Lock<'_, u64>>());
        assert_eq!(size_of::<MutexGuard<'_, u64>>(), 8);
    }

    #[test]
    fn one_has_it_at_a_time() {
        let mutex = Mutex::new(1);
        let mut guard = ready(poll(&mut Box::pin(mutex.lock())));
        *guard += 1;
        assert!(mutex.try_lock().is_none() && mutex.raw.bits() == HELD);
        assert_eq!(format!("{mutex:?}"), "Mutex { value: <locked> }");
        drop(guard);
        assert_eq!(format!("{mutex:?}"), "Mutex { value: 2 }");
        assert_eq!((mutex.raw.bits(), mutex.into_inner()), (FREE, 2));
    }

    #[test]
    #[should_panic(expected = "a lock was polled after it had completed")]
    fn a_lock_is_polled_to_its_end_only() {
        let mutex = Mutex::new(1);
        let mut lock = Box::pin(mutex.lock());
        drop(ready(poll(&mut lock)));
        let _ = poll(&mut lock);
    }

    #[test]
    fn an_unlock_wakes_the_first_once() {
        let mutex = Mutex::new(());
        let (first, second) = (Task::default(), Task::default());
        let guard = mutex.try_lock().unwrap();
        let (mut one, mut two) = (waiting(&mutex, &first), waiting(&mutex, &second));
        drop(guard);
        assert_eq!((first.wakes(), second.wakes()), (1, 0));
        // A newcomer barges in; its unlock wakes nobody, since the first is on its way.
        drop(mutex.try_lock().unwrap());
        assert_eq!((first.wakes(), second.wakes()), (1, 0));
        let guard = ready(first.poll(&mut one));
        assert!(second.poll(&mut two).is_pending());
        drop(guard);
        assert_eq!((first.wakes(), second.wakes()), (1, 1));
        drop(ready(second.poll(&mut two)));
        assert_eq!(mutex.raw.bits(), FREE);
    }

    #[test]
    fn one_who_lost_keeps_its_place_and_is_woken_again() {
        let mutex = Mutex::new(());
        let (first, second) = (Task::default(), Task::default());
        let guard = mutex.try_lock().unwrap();
        let (mut one, _two) = (waiting(&mutex, &first), waiting(&mutex, &second));
        drop(guard);
        let barger = mutex.try_lock().unwrap();
        assert!(first.poll(&mut one).is_pending());
        drop(barger);
        assert_eq!((first.wakes(), second.wakes()), (2, 0));
        drop(ready(first.poll(&mut one)));
    }

    #[test]
    fn every_poll_tries_again() {
        let mutex = Mutex::new(());
        let (first, second) = (Task::default(), Task::default());
        let guard = mutex.try_lock().unwrap();
        let (one, mut two) = (waiting(&mutex, &first), waiting(&mutex, &second));
        drop(guard);
        // The second was not woken, but it is polled.
        drop(ready(second.poll(&mut two)));
        assert_eq!((first.wakes(), second.wakes()), (1, 0));
        drop(one);
        assert_eq!(mutex.raw.bits(), FREE);
    }

    #[test]
    fn lock_dropped_before_the_first_poll_or_while_it_waits_changes_nothing() {
        let mutex = Mutex::new(());
        let task = Task::default();
        drop(mutex.lock());
        let guard = mutex.try_lock().unwrap();
        drop(waiting(&mutex, &task));
        assert_eq!(mutex.raw.bits(), HELD);
        drop(guard);
        assert_eq!(task.wakes(), 0);
    }

    #[test]
    fn lock_dropped_after_it_was_woken_wakes_the_next() {
        let mutex = Mutex::new(());
        let (first, second) = (Task::default(), Task::default());
        let guard = mutex.try_lock().unwrap();
        let (one, mut two) = (waiting(&mutex, &first), waiting(&mutex, &second));
        drop(guard);
        drop(one);
        assert_eq!((first.wakes(), second.wakes()), (1, 1));
        drop(ready(second.poll(&mut two)));
        assert_eq!(mutex.raw.bits(), FREE);
    }

    #[test]
    fn one_who_is_not_polled_delays_the_next_no_longer_than_patience_lasts() {
        let mutex = Mutex::new(());
        let (first, second, third) = (Task::default(), Task::default(), Task::default());
        let guard = mutex.try_lock().unwrap();
        let _idler = waiting(&mutex, &first);
        let (mut two, mut three) = (waiting(&mutex, &second), waiting(&mutex, &third));
        drop(guard);
        mutex.raw.expire_patience();
        assert_eq!((first.wakes(), second.wakes(), third.wakes()), (1, 1, 0));
        mutex.raw.expire_patience();
        assert_eq!((first.wakes(), second.wakes(), third.wakes()), (1, 1, 1));
        drop(ready(third.poll(&mut three)));
        drop(ready(second.poll(&mut two)));
    }

    #[test]
    fn the_alarm_rings_by_itself() {
        let mutex = Arc::new(Mutex::new(()));
        let task = Task::default();
        let guard = mutex.try_lock().unwrap();
        let _idler = waiting(&mutex, &task);
        let (asks, asked) = std::sync::mpsc::channel();
        let thread = {
            let mutex = Arc::clone(&mutex);
            std::thread::spawn(move || {
                let mut lock = Box::pin(mutex.lock());
                assert!(poll(&mut lock).is_pending());
                asks.send(()).unwrap();
                drop(gorust_scheduler::block_on(lock));
            })
        };
        asked.recv().unwrap();
        drop(guard);
        thread.join().unwrap();
        assert_eq!(task.wakes(), 1);
    }

    #[test]
    fn one_who_waited_too_long_is_not_overtaken() {
        let mutex = Mutex::new(());
        let (first, second) = (Task::default(), Task::default());
        let guard = mutex.try_lock().unwrap();
        let (mut one, mut two) = (waiting(&mutex, &first), waiting(&mutex, &second));
        drop(guard);
        let barger = mutex.try_lock().unwrap();
        make_late(&mut one);
        assert!(first.poll(&mut one).is_pending());
        assert_eq!(mutex.raw.bits(), [true, true, false, true], "starving");
        drop(barger);
        assert!(mutex.try_lock().is_none(), "it is kept for those who wait");
        let mut newcomer = waiting(&mutex, &second);
        let guard = ready(first.poll(&mut one));
        assert_eq!(mutex.raw.bits(), [true, true, false, true], "it goes on: this one was late");
        drop(guard);
        drop(ready(second.poll(&mut two)));
        assert_eq!(mutex.raw.bits(), [false, true, true, false], "it ends: this one was not");
        drop(ready(second.poll(&mut newcomer)));
        assert_eq!(mutex.raw.bits(), FREE);
    }

    #[test]
    fn the_last_one_who_waits_ends_the_starvation() {
        let mutex = Mutex::new(());
        let task = Task::default();
        let guard = mutex.try_lock().unwrap();
        let mut one = waiting(&mutex, &task);
        drop(guard);
        let barger = mutex.try_lock().unwrap();
        make_late(&mut one);
        assert!(task.poll(&mut one).is_pending());
        drop(barger);
        let guard = ready(task.poll(&mut one));
        assert_eq!(mutex.raw.bits(), HELD);
        drop(guard);
    }

    #[test]
    fn a_panic_lets_it_go_and_leaves_no_poison() {
        let mutex = Mutex::new(1);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut guard = mutex.try_lock().unwrap();
            *guard = 2;
            panic!("while it is held");
        }));
        assert!(caught.is_err());
        assert_eq!(*mutex.try_lock().unwrap(), 2);
    }

    #[test]
    fn an_owned_guard_goes_where_it_likes() {
        let mutex = Arc::new(Mutex::new(1));
        let mut guard = ready(poll(&mut Box::pin(Arc::clone(&mutex).lock_owned())));
        let task = Task::default();
        let mut waits = Box::pin(Arc::clone(&mutex).lock_owned());
        assert!(task.poll(&mut waits).is_pending());
        std::thread::spawn(move || *guard += 1).join().unwrap();
        assert_eq!((task.wakes(), *ready(task.poll(&mut waits))), (1, 2));
        let mut left = Box::pin(Arc::clone(&mutex).lock_owned());
        let guard = mutex.try_lock().unwrap();
        assert!(task.poll(&mut left).is_pending());
        drop((left, guard));
        assert_eq!(mutex.raw.bits(), FREE);
    }

    #[test]
    fn a_mutex_may_hold_what_has_no_size() {
        let mutex: Box<Mutex<[u32]>> = Box::new(Mutex::new([1, 2]));
        mutex.try_lock().unwrap()[0] = 7;
        assert_eq!(*mutex.try_lock().unwrap(), [7, 2]);
    }

    #[test]
    fn what_crosses_threads_says_so() {
        fn is_send<T: Send>(_: &T) {}
        fn is_sync<T: Sync>(_: &T) {}
        let mutex = Mutex::new(Cell::new(1));
        is_sync(&mutex);
        is_send(&mutex.lock());
        is_send(&mutex.try_lock().unwrap());
        is_sync(&Mutex::new(1).try_lock().unwrap());
    }

    /// Held across an await, by many, some of whom give up: one at a time, and nobody is left waiting.
    #[test]
    fn one_has_it_at_a_time_however_many_workers_there_are() {
        on_workers(|| async {
            let mutex = Arc::new(Mutex::new((0_u64, 0_u64)));
            let wg = crate::WaitGroup::new();
            for _ in 0..8 {
                let mutex = Arc::clone(&mutex);
                wg.go(async move {
                    for _ in 0..300 {
                        let mut gives_up = Box::pin(mutex.lock());
                        let _ = poll(&mut gives_up).map(drop);
                        drop(gives_up);
                        let mut pair = mutex.lock().await;
                        pair.0 += 1;
                        gorust_scheduler::yield_now().await;
                        pair.1 += 1;
                        assert_eq!(pair.0, pair.1);
                    }
                });
            }
            wg.wait().await;
            let total = *mutex.lock().await;
            assert_eq!((total, mutex.raw.bits()), ((2_400, 2_400), FREE));
        });
    }

    /// Threads and goroutines, and futures that give up: no addition is lost, and nobody is left waiting.
    #[test]
    fn nothing_is_lost_under_contention() {
        const EACH: u64 = 3_000;
        let mutex = Arc::new(Mutex::new(0));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let mutex = Arc::clone(&mutex);
                std::thread::spawn(move || {
                    for _ in 0..EACH {
                        let mut lock = Box::pin(mutex.lock());
                        let _ = poll(&mut lock).map(drop);
                        drop(lock);
                        *mutex.lock_blocking() += 1;
                    }
                })
            })
            .collect();
        let wg = crate::WaitGroup::new();
        for _ in 0..4 {
            let mutex = Arc::clone(&mutex);
            wg.go(async move {
                for _ in 0..EACH {
                    *mutex.lock().await += 1;
                }
            });
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        gorust_scheduler::block_on(wg.wait());
        assert_eq!((*mutex.try_lock().unwrap(), mutex.raw.bits()), (8 * EACH, HELD));
    }
}

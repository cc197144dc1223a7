//! What a read-write lock promises, and its models.

mod model {
    use crate::{
        rw_lock::RwLock,
        testing::{Fragile, block_on},
    };
    use gorust_primitives::shim::{UnsafeCell, model, mutant_is_caught, thread};
    use std::{
        future::Future,
        sync::Arc,
        task::{Context, Waker},
    };

    /// A number in a cell loom watches: a writer beside anybody, or one who does not see what the writer before
    /// it wrote, fails.
    struct Watched(UnsafeCell<u32>);

    // SAFETY: it is written under the lock for writing only: that is what the model is about.
    unsafe impl Sync for Watched {}
    // SAFETY: as above.
    unsafe impl Send for Watched {}

    impl Watched {
        fn add(&mut self) {
            // SAFETY: the lock is held for writing.
            self.0.with_mut(|cell| unsafe { *cell += 1 });
        }

        fn get(&self) -> u32 {
            // SAFETY: the lock is held for reading.
            self.0.with(|cell| unsafe { *cell })
        }
    }

    type Shared = Arc<Fragile<RwLock<Watched>>>;

    fn lock() -> Shared {
        Arc::new(Fragile::new(RwLock::new(Watched(UnsafeCell::new(0)))))
    }

    fn spawn_writer(lock: &Shared) -> thread::JoinHandle<()> {
        let lock = Arc::clone(lock);
        thread::spawn(move || block_on(lock.write()).add())
    }

    fn spawn_reader(lock: &Shared) -> thread::JoinHandle<u32> {
        let lock = Arc::clone(lock);
        thread::spawn(move || block_on(lock.read()).get())
    }

    /// One writes while another reads, and then writes.
    fn write_meets_read() {
        let lock = lock();
        let writer = spawn_writer(&lock);
        assert!(block_on(lock.read()).get() <= 1);
        block_on(lock.write()).add();
        writer.join().unwrap();
        assert_eq!(block_on(lock.read()).get(), 2);
    }

    /// A writer that waits behind a reader is dropped, woken or not; a reader that waits behind it must come in.
    fn a_writer_leaves() {
        let lock = lock();
        let guard = Fragile::new(lock.try_read().unwrap());
        let mut leaver = Fragile::new(Box::pin(lock.write()));
        assert!(leaver.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let reader = spawn_reader(&lock);
        drop(leaver);
        assert_eq!(reader.join().unwrap(), 0);
        drop(guard);
    }

    /// A reader that waits behind a writer is dropped, woken or not; the next writer must get the lock.
    fn a_reader_leaves() {
        let lock = lock();
        let guard = Fragile::new(lock.try_write().unwrap());
        let mut leaver = Fragile::new(Box::pin(lock.read()));
        assert!(leaver.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let writer = spawn_writer(&lock);
        drop(guard);
        drop(leaver);
        writer.join().unwrap();
    }

    /// A reader is woken and never looks; patience runs out; the writer must get the lock.
    fn one_is_not_polled() {
        let lock = lock();
        let mut guard = Fragile::new(lock.try_write().unwrap());
        guard.add();
        let mut idler = Fragile::new(Box::pin(lock.read()));
        assert!(idler.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let mut second = Fragile::new(Box::pin(lock.write()));
        assert!(second.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let alarm = {
            let lock = Arc::clone(&lock);
            thread::spawn(move || lock.raw.expire_patience())
        };
        drop(guard);
        alarm.join().unwrap();
        // The alarm may have rung before the idler was woken; then the next one does.
        lock.raw.expire_patience();
        block_on(async { second.as_mut().await.add() });
    }

    fn explore(name: &str, body: impl Fn() + Sync + Send + 'static) {
        let executions = model(body);
        println!("rw_lock, {name}: {executions} executions");
        assert!(executions > 1);
    }

    #[test]
    fn a_writer_is_alone() {
        explore("write meets read", write_meets_read);
    }

    #[test]
    fn a_writer_who_leaves_lets_readers_in() {
        explore("a writer leaves", a_writer_leaves);
    }

    #[test]
    fn a_reader_who_leaves_lets_the_writer_in() {
        explore("a reader leaves", a_reader_leaves);
    }

    #[test]
    fn one_who_is_not_polled_holds_back_nobody() {
        explore("one is not polled", one_is_not_polled);
    }

    #[test]
    fn waiting_without_a_look_is_caught() {
        assert!(mutant_is_caught("rw_lock.wait_without_a_look", write_meets_read));
    }

    #[test]
    fn a_dropped_wake_is_caught() {
        assert!(mutant_is_caught("rw_lock.wake_dropped", a_reader_leaves));
    }
}

#[cfg(not(any(gorust_loom, gorust_shuttle)))]
mod scenarios {
    use crate::{
        rw_lock::{OwnedRwLockWriteGuard, Read, RwLock, RwLockReadGuard, RwLockWriteGuard},
        testing::{Task, on_workers, poll, ready, waiting},
    };
    use std::{cell::Cell, mem::size_of, sync::Arc};

    /// Writing, readers, waited, claimed.
    const FREE: (bool, usize, bool, bool) = (false, 0, false, false);

    #[test]
    fn the_sizes_are_as_said() {
        assert_eq!((size_of::<RwLock<()>>(), size_of::<RwLock<u64>>()), (24, 32));
        assert_eq!((size_of::<RwLockReadGuard<'_, u64>>(), size_of::<RwLockWriteGuard<'_, u64>>()), (8, 8));
        assert!(size_of::<Read<'_, u64>>() <= 64, "{}", size_of::<Read<'_, u64>>());
    }

    #[test]
    fn many_read_or_one_writes() {
        let lock = RwLock::new(1);
        let (one, two) = (ready(lock.read()), ready(lock.read()));
        assert!(lock.try_write().is_none());
        assert_eq!((*one, format!("{lock:?}")), (1, "RwLock { value: 1 }".into()));
        drop((one, two));
        *ready(lock.write()) += 1;
        let guard = lock.try_write().unwrap();
        assert!(lock.try_read().is_none() && lock.try_write().is_none());
        assert_eq!(format!("{lock:?}"), "RwLock { value: <locked> }");
        drop(guard);
        assert_eq!((lock.raw.parts(), lock.into_inner()), (FREE, 2));
    }

    #[test]
    fn a_writer_that_waits_keeps_new_readers_out() {
        let lock = RwLock::new(());
        let (writer, reader) = (Task::default(), Task::default());
        let guard = lock.try_read().unwrap();
        let mut write = waiting(lock.write(), &writer);
        assert!(lock.try_read().is_none(), "a writer waits");
        let mut read = waiting(lock.read(), &reader);
        drop(guard);
        assert_eq!((writer.wakes(), reader.wakes()), (1, 0));
        drop(ready(&mut write));
        assert_eq!((writer.wakes(), reader.wakes()), (1, 1));
        drop(ready(&mut read));
        assert_eq!(lock.raw.parts(), FREE);
    }

    /// Go's rule: readers that wait when a writer is done go before the next writer.
    #[test]
    fn phases_follow_each_other() {
        let lock = RwLock::new(());
        let (readers, writer) = (Task::default(), Task::default());
        let guard = lock.try_write().unwrap();
        let mut next = waiting(lock.write(), &writer);
        let mut reads: Vec<_> = (0..50).map(|_| waiting(lock.read(), &readers)).collect();
        drop(guard);
        assert_eq!(
            (readers.wakes(), writer.wakes()),
            (50, 0),
            "all who read, although the writer came first"
        );
        assert!(lock.try_write().is_none() && writer.poll(&mut next).is_pending());
        // One who comes now waits until the writer has had its turn.
        let late_task = Task::default();
        let mut late = waiting(lock.read(), &late_task);
        let guards: Vec<_> = reads.iter_mut().map(ready).collect();
        assert_eq!((lock.raw.parts(), writer.wakes()), ((false, 50, true, true), 0));
        drop(guards);
        assert_eq!((writer.wakes(), late_task.wakes()), (1, 0));
        drop(ready(&mut next));
        drop(ready(&mut late));
        assert_eq!(lock.raw.parts(), FREE);
    }

    #[test]
    fn dropped_before_the_first_poll_or_while_it_waits_changes_nothing() {
        let lock = RwLock::new(());
        let task = Task::default();
        drop((lock.read(), lock.write()));
        let guard = lock.try_write().unwrap();
        drop((waiting(lock.read(), &task), waiting(lock.write(), &task)));
        assert_eq!(lock.raw.parts(), (true, 0, false, false));
        drop(guard);
        assert_eq!((task.wakes(), lock.raw.parts()), (0, FREE));
    }

    #[test]
    fn a_writer_dropped_while_it_waits_lets_the_readers_behind_it_in() {
        let lock = RwLock::new(());
        let task = Task::default();
        let guard = lock.try_read().unwrap();
        let write = waiting(lock.write(), &Task::default());
        let mut read = waiting(lock.read(), &task);
        drop(write);
        assert_eq!(task.wakes(), 1);
        drop((ready(&mut read), guard));
        assert_eq!(lock.raw.parts(), FREE);
    }

    #[test]
    fn one_dropped_after_it_was_woken_lets_the_next_go_ahead() {
        let lock = RwLock::new(());
        let (first, second, third) = (Task::default(), Task::default(), Task::default());
        let guard = lock.try_write().unwrap();
        let read = waiting(lock.read(), &first);
        let write = waiting(lock.write(), &second);
        let mut last = waiting(lock.write(), &third);
        drop(guard);
        drop(read);
        assert_eq!((first.wakes(), second.wakes(), third.wakes()), (1, 1, 0));
        drop(write);
        assert_eq!((second.wakes(), third.wakes()), (1, 1));
        drop(ready(&mut last));
        assert_eq!(lock.raw.parts(), FREE);
    }

    #[test]
    fn those_who_are_not_polled_are_waited_for_no_longer_than_patience_lasts() {
        let lock = RwLock::new(());
        let (idle_reader, idle_writer, task) = (Task::default(), Task::default(), Task::default());
        let guard = lock.try_write().unwrap();
        let mut read = waiting(lock.read(), &idle_reader);
        let mut write = waiting(lock.write(), &idle_writer);
        let mut last = waiting(lock.write(), &task);
        drop(guard);
        assert!(task.poll(&mut last).is_pending(), "the reader is expected");
        lock.raw.expire_patience();
        assert_eq!((idle_reader.wakes(), idle_writer.wakes(), task.wakes()), (1, 1, 0));
        lock.raw.expire_patience();
        assert_eq!((idle_writer.wakes(), task.wakes()), (1, 1));
        drop(ready(&mut last));
        // Nobody is expected any more, and the lock may be had as if nobody waited.
        lock.raw.expire_patience();
        drop(lock.try_read().unwrap());
        drop(lock.try_write().unwrap());
        drop(ready(&mut write));
        drop(ready(&mut read));
        assert_eq!(lock.raw.parts(), FREE);
    }

    #[test]
    fn one_who_lost_sleeps_on_and_is_woken_again() {
        let lock = RwLock::new(());
        let (reader, writer) = (Task::default(), Task::default());
        let guard = lock.try_write().unwrap();
        let mut read = waiting(lock.read(), &reader);
        drop(guard);
        lock.raw.expire_patience();
        let barger = lock.try_write().unwrap();
        assert!(reader.poll(&mut read).is_pending());
        let mut write = waiting(lock.write(), &writer);
        drop(barger);
        assert_eq!((reader.wakes(), writer.wakes()), (2, 0));
        let guard = ready(&mut read);
        lock.raw.expire_patience();
        assert!(writer.poll(&mut write).is_pending());
        drop(guard);
        assert_eq!(writer.wakes(), 1);
        drop(ready(&mut write));
        assert_eq!(lock.raw.parts(), FREE);
    }

    #[test]
    fn the_alarm_rings_by_itself() {
        let lock = Arc::new(RwLock::new(()));
        let guard = lock.try_write().unwrap();
        let task = Task::default();
        let _idler = waiting(lock.read(), &task);
        let (asks, asked) = std::sync::mpsc::channel();
        let thread = {
            let lock = Arc::clone(&lock);
            std::thread::spawn(move || {
                let mut write = Box::pin(lock.write());
                assert!(poll(&mut write).is_pending());
                asks.send(()).unwrap();
                drop(gorust_scheduler::block_on(write));
            })
        };
        asked.recv().unwrap();
        drop(guard);
        thread.join().unwrap();
        assert_eq!(task.wakes(), 1);
    }

    #[test]
    fn a_downgrade_lets_readers_in_and_keeps_writers_out() {
        let lock = Arc::new(RwLock::new(1));
        let (reader, writer) = (Task::default(), Task::default());
        let mut guard = ready(Arc::clone(&lock).write_owned());
        *guard = 2;
        let mut write = waiting(lock.write(), &writer);
        let mut read = waiting(lock.read(), &reader);
        let guard = OwnedRwLockWriteGuard::downgrade(guard);
        assert_eq!((reader.wakes(), writer.wakes(), *guard), (1, 0, 2));
        drop((ready(&mut read), guard));
        assert_eq!(writer.wakes(), 1);
        let guard = RwLockWriteGuard::downgrade(ready(&mut write));
        assert_eq!((lock.try_read().is_some(), lock.try_write().is_none(), *guard), (true, true, 2));
        drop(guard);
        assert_eq!((lock.raw.parts(), Arc::strong_count(&lock)), (FREE, 1));
    }

    #[test]
    fn owned_guards_go_where_they_like() {
        let lock = Arc::new(RwLock::new(1));
        let mut guard = ready(Arc::clone(&lock).write_owned());
        let task = Task::default();
        let mut waits = waiting(Arc::clone(&lock).read_owned(), &task);
        std::thread::spawn(move || *guard += 1).join().unwrap();
        assert_eq!((task.wakes(), *ready(&mut waits)), (1, 2));
        drop(waits);
        let guard = lock.try_write().unwrap();
        drop(waiting(Arc::clone(&lock).write_owned(), &task));
        drop(guard);
        assert_eq!((lock.raw.parts(), Arc::strong_count(&lock)), (FREE, 1));
    }

    #[test]
    #[should_panic(expected = "a lock was polled after it had completed")]
    fn a_lock_is_polled_to_its_end_only() {
        let lock = RwLock::new(1);
        let mut read = Box::pin(lock.read());
        drop(ready(&mut read));
        let _ = poll(&mut read);
    }

    #[test]
    fn a_panic_lets_it_go_and_leaves_no_poison() {
        let lock = RwLock::new(1);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            *lock.try_write().unwrap() = 2;
            let _guard = lock.try_write().unwrap();
            panic!("while it is held");
        }));
        assert!(caught.is_err());
        assert_eq!(*lock.try_read().unwrap(), 2);
    }

    #[test]
    fn what_crosses_threads_says_so() {
        fn is_send<T: Send>(_: &T) {}
        fn is_sync<T: Sync>(_: &T) {}
        let lock = RwLock::new(1);
        is_sync(&lock);
        is_send(&lock.read());
        is_send(&lock.try_read().unwrap());
        is_sync(&lock.try_write().unwrap());
        is_send(&RwLock::new(Cell::new(1)));
    }

    /// Readers, writers, and futures that give up: a reader never sees half a write, no write is lost, and nobody is
    /// left waiting.
    #[test]
    fn nothing_is_torn_or_lost_under_contention() {
        const EACH: u64 = 300;
        on_workers(|| async {
            let lock = Arc::new(RwLock::new((0_u64, 0_u64)));
            let wg = crate::WaitGroup::new();
            for id in 0..8 {
                let lock = Arc::clone(&lock);
                wg.go(async move {
                    for round in 0..EACH {
                        let (mut read, mut write) = (Box::pin(lock.read()), Box::pin(lock.write()));
                        let _ = poll(&mut read).map(drop);
                        let _ = poll(&mut write).map(drop);
                        drop((read, write));
                        if (id + round) % 4 == 0 {
                            let mut pair = lock.write().await;
                            pair.0 += 1;
                            gorust_scheduler::yield_now().await;
                            pair.1 += 1;
                            let pair = RwLockWriteGuard::downgrade(pair);
                            assert_eq!(pair.0, pair.1);
                        } else {
                            let pair = lock.read().await;
                            assert_eq!(pair.0, pair.1);
                        }
                    }
                });
            }
            wg.wait().await;
            assert_eq!(*lock.read().await, (8 * EACH / 4, 8 * EACH / 4));
        });
    }
}

//! Many `main`s in one program: the first argument says which. `tests/main_attr.rs` starts them and looks at how they
//! end.

use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("nothing") => nothing::main(),
        Some("code") => code::main(),
        Some("fine") => fine::main(),
        Some("error") => error::main(),
        Some("never") => never::main(),
        Some("panics") => panics::main(),
        Some("goroutine") => goroutine::main(),
        Some("leaves_others") => leaves_others::main(),
        Some("grace") => grace::main(),
        Some("local_grace") => local_grace::main(),
        Some("unseen_panic") => unseen_panic::main(),
        Some("isolated_panic") => isolated_panic::main(),
        Some("one_worker") => one_worker::main(),
        Some("three_workers") => three_workers::main(),
        Some("local") => local::main(),
        Some("renamed") => renamed::main(),
        Some("recursive") => recursive::main(),
        other => panic!("there is no main called {other:?}"),
    }
}

mod nothing {
    #[gorust::main]
    pub(crate) async fn main() {}
}

mod code {
    use std::process::ExitCode;

    #[gorust::main]
    pub(crate) async fn main() -> ExitCode {
        gorust::yield_now().await;
        ExitCode::from(7)
    }
}

mod fine {
    use std::error::Error;

    #[gorust::main]
    pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
        gorust::yield_now().await;
        println!("{}", "12".parse::<u8>()?);
        Ok(())
    }
}

mod error {
    use std::error::Error;

    #[gorust::main]
    pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
        gorust::yield_now().await;
        "twelve".parse::<u8>()?;
        Ok(())
    }
}

mod never {
    #[gorust::main]
    pub(crate) async fn main() -> ! {
        gorust::yield_now().await;
        std::process::exit(9)
    }
}

mod panics {
    #[gorust::main]
    pub(crate) async fn main() {
        gorust::yield_now().await;
        panic!("main has had enough");
    }
}

mod goroutine {
    #[gorust::main]
    pub(crate) async fn main() {
        let main = gorust::task::id();
        let other = gorust::go(async { gorust::task::id() }).await.expect("it does not panic");
        println!("{}", main != other && gorust::runtime::num_goroutines() == 1);
    }
}

mod leaves_others {
    use gorust::prelude::*;

    #[gorust::main]
    pub(crate) async fn main() {
        for _ in 0..100 {
            go(sleep(Duration::from_secs(3600)));
        }
        gorust::yield_now().await;
    }
}

mod grace {
    use gorust::prelude::*;

    struct Says;

    impl Drop for Says {
        fn drop(&mut self) {
            println!("dropped");
        }
    }

    #[gorust::main(grace = "1s")]
    pub(crate) async fn main() {
        go(async {
            let _says = Says;
            std::future::pending::<()>().await;
        });
        go(async {
            let root = Context::root();
            root.done().await;
            println!("{}", root.cause().unwrap());
        });
        for _ in 0..100 {
            gorust::yield_now().await;
        }
        println!("returns");
    }
}

mod local_grace {
    use gorust::prelude::*;
    use std::rc::Rc;

    #[gorust::main(local, grace = "30s")]
    pub(crate) async fn main() {
        let text = Rc::new("finished");
        go(async {
            Context::root().done().await;
            println!("told");
        });
        let task = gorust::local::spawn(async move { println!("{text}") });
        task.await.unwrap();
    }
}

mod unseen_panic {
    use gorust::prelude::*;

    #[gorust::main]
    pub(crate) async fn main() {
        go(async { panic!("nobody looks") });
        sleep(Duration::from_secs(3600)).await;
    }
}

mod isolated_panic {
    use gorust::prelude::*;

    #[gorust::main(panic = "isolate")]
    pub(crate) async fn main() {
        let (tx, rx) = chan::<()>(0);
        go(async move {
            // Dropped by the panic, which is how main knows.
            let _tx = tx;
            panic!("nobody looks");
        });
        println!("{:?}", rx.recv().await);
    }
}

mod one_worker {
    #[gorust::main(workers = 1)]
    pub(crate) async fn main() {
        println!("{}", gorust::runtime::max_procs());
    }
}

mod three_workers {
    #[gorust::main(workers = 3, grace = "10ms", panic = "exit")]
    pub(crate) async fn main() {
        println!("{}", gorust::runtime::max_procs());
    }
}

mod local {
    use std::{rc::Rc, thread};

    #[gorust::main(local)]
    pub(crate) async fn main() {
        let (here, shared) = (thread::current().id(), Rc::new(5));
        let six = gorust::go(async { 6 }).await.expect("it does not panic");
        gorust::sleep(gorust::Duration::from_millis(1)).await;
        println!("{} {}", *shared + six, here == thread::current().id());
    }
}

mod renamed {
    mod alias {
        pub(crate) use gorust as another_name;
    }

    #[gorust::main(crate = "alias::another_name")]
    pub(crate) async fn main() {
        println!("found");
    }
}

mod recursive {
    /// The lint attributes of `main` are those of its body.
    #[gorust::main]
    #[allow(clippy::eq_op, reason = "it is here to be allowed")]
    pub(crate) async fn main() -> std::io::Result<()> {
        let one = 1;
        assert!(one == one);
        // Inside the body, `main` is the body.
        let again = Box::pin(async { if false { main().await } else { Ok(()) } });
        again.await
    }
}

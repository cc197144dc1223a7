//! What ends a process, and with which code: each case runs this test binary again as a child.

use gorust_reactor::time::timeout;
use gorust_scheduler::{
    PanicPolicy, block_on, go,
    main::{MainOptions, at_end, run, run_local},
    task,
};
use std::{
    process::{Command, ExitCode, Termination},
    thread,
    time::Duration,
};

const CASE: &str = "GORUST_TEST_CASE";

/// Runs `case` in a child process: its exit code and what it wrote to stderr.
fn child(case: &str, environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child_process", "--nocapture"]).env(CASE, case).env_remove("GORUST_MAXPROCS");
    command.envs(environment.iter().copied());
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn exit(code: ExitCode) -> ! {
    // Only `Termination` can tell the number of an `ExitCode`.
    code.end_process()
}

trait EndProcess {
    fn end_process(self) -> !;
}

impl EndProcess for ExitCode {
    fn end_process(self) -> ! {
        for number in 0..=u8::MAX {
            if ExitCode::from(number) == self {
                std::process::exit(i32::from(number));
            }
        }
        unreachable!("an exit code is a byte here")
    }
}

fn die() {
    if std::hint::black_box(true) {
        panic!("nobody looks");
    }
}

/// Panics when it is dropped.
struct Bad;

impl Drop for Bad {
    fn drop(&mut self) {
        die();
    }
}

/// Says so when it is dropped.
struct Says;

impl Drop for Says {
    fn drop(&mut self) {
        eprintln!("dropped");
    }
}

/// Not a test of its own: what the children run.
#[test]
fn child_process() {
    let Ok(case) = std::env::var(CASE) else { return };
    let options = MainOptions::new();
    match case.as_str() {
        "detached panic" => {
            drop(go(async { die() }));
            thread::park_timeout(Duration::from_secs(60));
        }
        "unread panic" => {
            let handle = go(async { die() });
            while !handle.is_finished() {
                thread::yield_now();
            }
            drop(handle);
        }
        "isolated panic" => exit(run(MainOptions { panic: Some(PanicPolicy::Isolate), ..options }, async {
            let handle = go(async { die() });
            while !handle.is_finished() {
                gorust_scheduler::yield_now().await;
            }
            drop(handle);
            ExitCode::from(7)
        })),
        "named panic" => {
            drop(task::Builder::new().name("frail").spawn(async { die() }));
            thread::park_timeout(Duration::from_secs(60));
        }
        "policy of its own" => {
            exit(run(MainOptions { panic: Some(PanicPolicy::Isolate), ..options }, async {
                let exits = task::Builder::new().panic(PanicPolicy::Exit);
                drop(exits.spawn(async { die() }));
                std::future::pending().await
            }))
        }
        "panic in a destructor while canceled" => {
            let bad = Bad;
            drop(
                go(async move {
                    let _bad = bad;
                    std::future::pending::<()>().await;
                })
                .abort_on_drop(),
            );
            thread::park_timeout(Duration::from_secs(60));
        }
        "guard dropped after the panic" => {
            let guard = go(async { die() }).abort_on_drop();
            while !guard.is_finished() {
                thread::yield_now();
            }
            drop(guard);
        }
        "timeout of a handle" => {
            let (release, held) = std::sync::mpsc::channel::<()>();
            block_on(async move {
                let handle = go(async move {
                    let _ = held.recv();
                    die();
                });
                assert!(timeout(Duration::from_millis(10), handle).await.is_err());
                drop(release);
            });
            thread::park_timeout(Duration::from_secs(60));
        }
        "timeout of a borrowed handle" => {
            let (release, held) = std::sync::mpsc::channel::<()>();
            let error = block_on(async move {
                let mut handle = go(async move {
                    let _ = held.recv();
                    die();
                });
                assert!(timeout(Duration::from_millis(10), &mut handle).await.is_err());
                drop(release);
                handle.await.unwrap_err()
            });
            assert!(error.is_panic());
            exit(ExitCode::from(9));
        }
        "grace" => exit(run(MainOptions { grace: Some(Duration::from_secs(30)), ..options }, async {
            drop(go(async {
                gorust_scheduler::yield_now().await;
                eprintln!("finished");
            }));
            ExitCode::from(3)
        })),
        "grace is over" | "local grace is over" => {
            let options = MainOptions { grace: Some(Duration::from_millis(50)), ..options };
            let main = async {
                at_end(|| eprintln!("told"));
                let says = Says;
                drop(go(async move {
                    let _says = says;
                    std::future::pending::<()>().await;
                }));
                let (begins, begun) = std::sync::mpsc::channel();
                drop(task::Builder::new().name("stuck").spawn(async move {
                    begins.send(()).unwrap();
                    thread::park_timeout(Duration::from_secs(60));
                }));
                begun.recv().unwrap();
                ExitCode::from(3)
            };
            exit(if case == "grace is over" { run(options, main) } else { run_local(options, main) })
        }
        "main panics within its grace" => {
            exit(run(MainOptions { grace: Some(Duration::from_secs(60)), ..options }, async {
                drop(go(std::future::pending::<()>()));
                die();
                ExitCode::SUCCESS
            }))
        }
        "main returns" => exit(run(options, async {
            drop(go(std::future::pending::<()>()));
            ExitCode::from(3)
        })),
        "main panics" => exit(run(options, async {
            die();
            ExitCode::SUCCESS
        })),
        "main fails" => exit(run(options, async {
            let result: Result<(), Box<dyn std::error::Error>> = Err("no such luck".into());
            result.report()
        })),
        "local main" => exit(run_local(options, async {
            let local = std::rc::Rc::new(5);
            let sum = go(async { 1 }).await.unwrap() + *local;
            ExitCode::from(sum)
        })),
        "environment" => exit(run(options, async { ExitCode::SUCCESS })),
        "lazy environment" => drop(go(async {})),
        "started before main" => {
            block_on(go(async {})).unwrap();
            exit(run(options, async { ExitCode::from(4) }))
        }
        other => panic!("no case {other}"),
    }
}

#[test]
fn a_panic_nobody_sees_exits_2() {
    for case in [
        "detached panic",
        "unread panic",
        "named panic",
        "policy of its own",
        "panic in a destructor while canceled",
        "guard dropped after the panic",
        "timeout of a handle",
    ] {
        let (code, text) = child(case, &[]);
        assert_eq!(code, Some(2), "{case}: {text}");
        assert!(text.contains("gorust: panic in goroutine") && text.contains("processes.rs"), "{text}");
        assert!(text.contains("nobody can see it: nobody looks"), "{text}");
        assert_eq!(text.contains("goroutine 1 \"frail\", spawned at"), case == "named panic", "{text}");
    }
}

#[test]
fn a_handle_that_is_kept_sees_the_panic_after_a_timeout() {
    let (code, text) = child("timeout of a borrowed handle", &[]);
    assert_eq!(code, Some(9), "{text}");
}

#[test]
fn grace_lets_the_others_finish() {
    let (code, text) = child("grace", &[]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("finished"), "{text}");
}

#[test]
fn grace_tells_drops_and_reports() {
    for case in ["grace is over", "local grace is over"] {
        let (code, text) = child(case, &[]);
        assert_eq!(code, Some(3), "{text}");
        assert!(text.find("told") < text.find("dropped"), "{text}");
        assert!(text.contains("its grace of 50ms is over: 1 goroutine still runs: goroutine "), "{text}");
        assert!(text.contains("\"stuck\", spawned at"), "{text}");
    }
}

#[test]
fn there_is_no_grace_after_a_panic() {
    assert_eq!(child("main panics within its grace", &[]).0, Some(101));
}

#[test]
fn isolate_only_reports() {
    let (code, text) = child("isolated panic", &[]);
    assert_eq!(code, Some(7), "{text}");
    assert!(text.contains("gorust: panic in goroutine"), "{text}");
}

#[test]
fn main_ends_the_process_whatever_others_do() {
    assert_eq!(child("main returns", &[]).0, Some(3));
}

#[test]
fn a_panic_in_main_exits_101() {
    let (code, text) = child("main panics", &[]);
    assert_eq!(code, Some(101), "{text}");
    assert!(text.contains("nobody looks"), "{text}");
}

#[test]
fn an_error_from_main_is_printed_and_exits_1() {
    let (code, text) = child("main fails", &[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("no such luck"), "{text}");
}

#[test]
fn a_local_main_need_not_be_send() {
    assert_eq!(child("local main", &[]).0, Some(6));
}

#[test]
fn a_bad_environment_names_the_value() {
    for (value, text) in [
        ("many", "GORUST_MAXPROCS is \"many\"; it must be a number from 1 to 256"),
        ("0", "GORUST_MAXPROCS is 0"),
    ] {
        let (code, stderr) = child("environment", &[("GORUST_MAXPROCS", value)]);
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains(text), "{stderr}");
        let (code, stderr) = child("lazy environment", &[("GORUST_MAXPROCS", value)]);
        assert_ne!(code, Some(0), "{stderr}");
        assert!(stderr.contains(text), "{stderr}");
    }
    assert_eq!(child("environment", &[("GORUST_MAXPROCS", "3")]).0, Some(0));
}

#[test]
fn main_says_that_another_was_first() {
    let (code, text) = child("started before main", &[]);
    assert_eq!(code, Some(4), "{text}");
    assert_eq!(text.matches("processes.rs").count(), 2, "both sites: {text}");
}

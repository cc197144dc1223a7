//! `#[gorust::test]` from inside and from outside: what a test may be and do, and what a failing one prints. Those that
//! fail are ignored, and run in processes of their own.

use gorust::{
    net::{TcpListener, TcpStream},
    prelude::*,
    test as bubble,
    time::Instant,
};
use std::{
    cell::Cell,
    error::Error,
    fs, io,
    path::Path,
    process::{Command, ExitCode, Output},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

const HOUR: Duration = Duration::from_secs(3600);

mod passing {
    use super::*;

    #[gorust::test]
    async fn an_hour_takes_no_time() {
        let start = Instant::now();
        sleep(HOUR).await;
        assert_eq!(start.elapsed(), HOUR);
    }

    #[gorust::test]
    async fn an_answer_that_is_late_is_not_waited_for() -> Result<(), Box<dyn Error>> {
        let (answer, answers) = chan(0);
        go(async move {
            sleep(Duration::from_secs(3600)).await;
            answer.send(42).await
        });
        let late = timeout(Duration::from_secs(5), answers.recv()).await;
        assert!(late.is_err());
        assert_eq!(answers.recv().await, Some(42));
        Ok(())
    }

    #[gorust::test]
    async fn a_code_may_be_returned() -> ExitCode {
        gorust::yield_now().await;
        ExitCode::SUCCESS
    }

    #[gorust::test]
    async fn what_cannot_be_sent_may_be_kept() {
        let count = Rc::new(Cell::new(1));
        gorust::yield_now().await;
        count.set(count.get() + 1);
        assert_eq!(count.get(), 2);
    }

    #[gorust::test]
    async fn the_seed_depends_on_the_path_alone() {
        // FNV-1a of "test_attr::passing::the_seed_depends_on_the_path_alone", reckoned elsewhere.
        assert_eq!(bubble::seed(), 0x5490_f0a7);
    }

    #[gorust::test(seed = 7)]
    async fn a_seed_may_be_given() {
        assert_eq!(bubble::seed(), 7);
    }

    #[gorust::test(seed = 7, seeds = 20)]
    async fn seeds_count_from_the_first() {
        assert!((7..27).contains(&bubble::seed()));
    }

    #[gorust::test(leaks = "allow")]
    async fn leaks_may_be_allowed() {
        go(std::future::pending::<()>());
    }

    #[gorust::test]
    #[should_panic(expected = "an update was lost")]
    async fn panics_are_seen_by_the_harness() {
        assert_eq!(1, 2, "an update was lost");
    }

    #[gorust::test(seeds = 200)]
    #[should_panic(expected = "deadlock: every goroutine waits")]
    async fn reports_are_seen_by_the_harness() {
        std::future::pending::<()>().await;
    }

    #[gorust::test]
    #[should_panic(expected = "never again")]
    async fn a_test_need_not_return() -> ! {
        gorust::yield_now().await;
        panic!("never again");
    }

    #[gorust::test(real)]
    async fn real_time_passes_by_itself() {
        let start = std::time::SystemTime::now();
        sleep(Duration::from_millis(5)).await;
        assert!(start.elapsed().is_ok_and(|elapsed| elapsed >= Duration::from_millis(4)));
        assert_eq!(gorust::runtime::max_procs(), 2);
        assert_ne!(gorust::task::id(), 0);
    }

    #[gorust::test(workers = 3)]
    async fn workers_are_as_many_as_said() {
        assert_eq!(gorust::runtime::max_procs(), 3);
    }

    #[gorust::test(real, timeout = "10s")]
    async fn echo() -> io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = go(async move {
            let (mut stream, _peer) = listener.accept().await?;
            stream.write_all(b"hello").await
        });
        let mut text = String::new();
        TcpStream::connect(address).await?.read_to_string(&mut text).await?;
        assert_eq!(text, "hello");
        server.await.unwrap()
    }

    #[gorust::test(real)]
    async fn goroutines_may_end_a_moment_later() {
        go(sleep(Duration::from_millis(50)));
    }

    #[gorust::test(real, leaks = "allow")]
    async fn real_leaks_may_be_allowed() {
        go(sleep(HOUR));
    }

    #[gorust::test(real)]
    #[should_panic(expected = "nobody looks")]
    async fn real_panics_are_seen_by_the_harness() {
        go(async { panic!("nobody looks") });
    }

    #[gorust::test(crate = "other_name")]
    async fn the_crate_may_have_another_name() {}

    use gorust as other_name;
}

/// Runs one of the tests in [`failing`], with these variables set.
fn run(name: &str, variables: &[(&str, &str)]) -> Output {
    Command::new(std::env::current_exe().expect("this program has a path"))
        .args(["--ignored", "--exact", &format!("failing::{name}")])
        .env_remove("NEXTEST")
        .env_remove("RUST_BACKTRACE")
        .env_remove("GORUST_SEED")
        .env_remove("GORUST_SCHEDULE")
        .env("CARGO_PKG_NAME", "gorust-tests")
        .envs(variables.iter().copied())
        .output()
        .expect("this program starts")
}

/// What the report of a failing test says.
#[track_caller]
fn report_with(name: &str, variables: &[(&str, &str)]) -> String {
    let output = run(name, variables);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(101), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.contains("test result: FAILED. 0 passed; 1 failed"), "{printed}");
    let from = printed.find("gorust: test").unwrap_or_else(|| panic!("no report in {printed}"));
    let text = &printed[from..];
    text[..text.find("\n\n\nfailures:").unwrap_or(text.len())].trim_end().to_owned()
}

#[track_caller]
fn report(name: &str) -> String {
    report_with(name, &[])
}

/// Whether `line` is `pattern`, in which each `*` stands for some text.
fn is_like(line: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => line == pattern,
        Some((head, tail)) => line.strip_prefix(head).is_some_and(|rest| {
            rest.char_indices().any(|(at, _)| is_like(&rest[at..], tail)) || is_like("", tail)
        }),
    }
}

/// Asserts that `report` consists of `lines`, in which each `*` stands for some text.
#[track_caller]
fn reads(report: &str, lines: &[&str]) {
    assert_eq!(report.lines().count(), lines.len(), "not that many lines:\n{report}");
    for (line, pattern) in report.lines().zip(lines) {
        assert!(is_like(line, pattern), "`{line}` is not `{pattern}` in:\n{report}");
    }
}

mod failing {
    use super::*;

    #[gorust::test]
    #[ignore = "fails"]
    async fn deadlock() {
        let (tx, rx) = chan::<u32>(0);
        go(async move {
            sleep(Duration::from_secs(2)).await;
            rx.recv().await
        });
        sleep(Duration::from_secs(5)).await;
        tx.closed().await;
    }

    #[gorust::test]
    #[ignore = "fails"]
    async fn leak() {
        let (tx, rx) = chan(0);
        go(async move { while tx.send(1).await.is_ok() {} });
        assert_eq!(rx.recv().await, Some(1));
        std::mem::forget(rx);
    }

    #[gorust::test]
    #[ignore = "fails"]
    async fn unseen_panic() {
        go(async { panic!("nobody looks") });
        sleep(HOUR).await;
    }

    #[gorust::test]
    #[ignore = "fails"]
    async fn assertion() {
        gorust::yield_now().await;
        assert_eq!(1 + 1, 3, "sums");
    }

    #[gorust::test]
    #[ignore = "fails"]
    async fn error() -> Result<(), Box<dyn Error>> {
        "twelve".parse::<u8>()?;
        Ok(())
    }

    #[gorust::test(timeout = "1s")]
    #[ignore = "fails"]
    async fn timeout() {
        go(sleep(HOUR));
        sleep(Duration::from_secs(1)).await;
        loop {
            std::hint::spin_loop();
        }
    }

    #[gorust::test]
    #[ignore = "fails"]
    async fn once() {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        assert_ne!(RUNS.fetch_add(1, Relaxed), 0, "the first time");
    }

    #[gorust::test]
    #[ignore = "fails"]
    async fn in_two_ways() {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        if RUNS.fetch_add(1, Relaxed).is_multiple_of(2) {
            gorust::yield_now().await;
        }
        panic!("one way or the other");
    }

    #[gorust::test(seeds = 10)]
    #[ignore = "fails"]
    async fn not_deterministic() {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        if RUNS.fetch_add(1, Relaxed).is_multiple_of(2) {
            gorust::yield_now().await;
        }
    }

    #[gorust::test(seeds = 10_000)]
    #[ignore = "fails"]
    async fn lost_update() {
        let wg = WaitGroup::new();
        let (log, _lines) = chan(2);
        let count = Arc::new(AtomicU32::new(0));
        for worker in 0..2 {
            let (count, log) = (count.clone(), log.clone());
            wg.go(async move {
                let read = count.load(Relaxed);
                log.send(worker).await.unwrap();
                count.store(read + 1, Relaxed);
            });
        }
        wg.wait().await;
        assert_eq!(count.load(Relaxed), 2, "an update was lost");
    }

    #[gorust::test(real)]
    #[ignore = "fails"]
    async fn real_leak() {
        go(sleep(HOUR));
    }

    #[gorust::test(real, timeout = "1s")]
    #[ignore = "fails"]
    async fn real_timeout() {
        let (_tx, rx) = chan::<()>(0);
        rx.recv().await;
    }

    #[gorust::test(real)]
    #[ignore = "fails"]
    async fn real_unseen_panic() {
        go(async { panic!("nobody looks") });
    }

    #[gorust::test(real)]
    #[ignore = "fails"]
    async fn real_assertion() {
        assert_eq!(1 + 1, 3, "sums");
    }
}

#[test]
fn a_deadlock_says_who_waits_for_what() {
    reads(
        &report("deadlock"),
        &[
            "gorust: test failing::deadlock failed: seed 2048377706 (random)",
            "",
            "deadlock: every goroutine waits, and no timer will wake one",
            "",
            "goroutine 1 [chan send]:",
            "  waiting at tests/tests/test_attr.rs:*",
            "  created at tests/tests/test_attr.rs:*",
            "",
            "goroutine 2 [chan receive, 3s]:",
            "  waiting at tests/tests/test_attr.rs:*",
            "  created by goroutine 1 at tests/tests/test_attr.rs:*",
            "",
            "what happened:",
            "    0  goroutine 1 (0 of 1) [sleep] at tests/tests/test_attr.rs:*",
            "    1  goroutine 2 (0 of 1) [sleep] at tests/tests/test_attr.rs:*",
            "    2  time 2s",
            "    3  goroutine 2 (0 of 1) [chan receive] at tests/tests/test_attr.rs:*",
            "    4  time 5s",
            "    5  goroutine 1 (0 of 1) [chan send] at tests/tests/test_attr.rs:*",
            "",
            "to run it again:",
            "    GORUST_SEED=2048377706 cargo test -p gorust-tests failing::deadlock -- --exact",
            "with none of its * choices, since none matters:",
            "    GORUST_SEED=2048377706 GORUST_SCHEDULE=\"fifo\" cargo test -p gorust-tests failing::deadlock -- --exact",
        ],
    );
}

#[test]
fn a_leak_says_who_is_left() {
    let report = report("leak");
    reads(
        report.split("\n\nwhat happened:").next().unwrap_or_default(),
        &[
            "gorust: test failing::leak failed: seed *",
            "",
            "leak: 1 goroutine has outlived the test",
            "",
            "goroutine 2 [chan send]:",
            "  waiting at tests/tests/test_attr.rs:*",
            "  created by goroutine 1 at tests/tests/test_attr.rs:*",
        ],
    );
}

#[test]
fn a_panic_nobody_saw_says_where_it_was() {
    let report = report("unseen_panic");
    reads(
        report.split("\n\nwhat happened:").next().unwrap_or_default(),
        &[
            "gorust: test failing::unseen_panic failed: seed *",
            "",
            "panic: goroutine 2 panicked and nobody saw it: nobody looks",
            "  at tests/tests/test_attr.rs:*",
            "  created at tests/tests/test_attr.rs:*",
        ],
    );
}

#[test]
fn an_assertion_and_an_error_are_told_as_they_are() {
    let text = report("assertion");
    reads(
        text.split("\n\nto run it again:").next().unwrap_or_default(),
        &[
            "gorust: test failing::assertion failed: seed *",
            "",
            "panic: goroutine 1 panicked: assertion `left == right` failed: sums",
            "  left: 2",
            " right: 3",
            "  at tests/tests/test_attr.rs:*",
            "  created at tests/tests/test_attr.rs:*",
            "",
            "what happened:",
            "    0  goroutine 1 (0 of 1) [runnable]",
            "    1  goroutine 1 (0 of 1) ended",
        ],
    );
    let text = report("error");
    reads(
        text.split("\n\nwhat happened:").next().unwrap_or_default(),
        &[
            "gorust: test failing::error failed: seed *",
            "",
            "the test returned an error: ParseIntError { kind: InvalidDigit }",
        ],
    );
}

#[test]
fn a_test_that_does_not_end_fails_all_the_same() {
    let report = report("timeout");
    reads(
        &report,
        &[
            "gorust: test failing::timeout failed: timeout: it still runs after 1s",
            "",
            "goroutine 1 [running]:",
            "  created at tests/tests/test_attr.rs:*",
            "",
            "goroutine 2 [sleep*]:",
            "  waiting at tests/tests/test_attr.rs:*",
            "  created by goroutine 1 at tests/tests/test_attr.rs:*",
            "",
            "to run it again:",
            "    GORUST_SEED=* cargo test -p gorust-tests failing::timeout -- --exact",
        ],
    );
}

#[test]
fn a_seed_that_says_nothing_is_noticed() {
    let text = report("not_deterministic");
    reads(
        &text,
        &[
            "gorust: test failing::not_deterministic failed: not deterministic: seed * led to two different runs",
            "  step 0, one run:   goroutine 1 (0 of 1) [runnable]",
            "  step 0, the other: goroutine 1 (0 of 1) ended",
            "What the seed cannot know makes such a difference: std's HashMap and HashSet*",
            "",
            "to run it again:",
            "    GORUST_SEED=* cargo test -p gorust-tests failing::not_deterministic -- --exact",
        ],
    );
    let text = report("once");
    assert!(text.contains(", once and not again\n\npanic: goroutine 1 panicked: assertion"), "{text}");
    assert!(text.contains("\n\nnot deterministic: run again from this seed the test passed."), "{text}");
    let text = report("in_two_ways");
    assert!(
        text.contains(", once and not again\n\npanic: goroutine 1 panicked: one way or the other"),
        "{text}"
    );
    assert!(text.contains("\n\nnot deterministic: seed "), "{text}");
}

#[test]
fn real_tests_say_the_same_of_real_goroutines() {
    reads(
        &report("real_leak"),
        &[
            "gorust: test failing::real_leak failed: leak: 1 goroutine has outlived the test",
            "",
            "goroutine * [sleep, *s]:",
            "  waiting at tests/tests/test_attr.rs:*",
            "  created by goroutine * at tests/tests/test_attr.rs:*",
        ],
    );
    reads(
        &report("real_timeout"),
        &[
            "gorust: test failing::real_timeout failed: timeout: it still runs after 1s",
            "",
            "goroutine * [chan receive, *]:",
            "  waiting at tests/tests/test_attr.rs:*",
            "  created at tests/tests/test_attr.rs:*",
        ],
    );
    reads(
        &report("real_unseen_panic"),
        &[
            "gorust: test failing::real_unseen_panic failed: panic: goroutine * panicked and nobody saw it: nobody looks",
            "  created at tests/tests/test_attr.rs:*",
        ],
    );
    reads(
        &report("real_assertion"),
        &[
            "gorust: test failing::real_assertion failed: panic: the test panicked: assertion `left == right` failed: sums",
            "  left: 2",
            " right: 3",
        ],
    );
}

/// The lines of a report that can be typed, as the variables they set.
fn lines_to_type(report: &str) -> Vec<Vec<(String, String)>> {
    let lines = report.lines().filter_map(|line| line.strip_prefix("    GORUST_"));
    let variables = |line: &str| {
        let line = format!("GORUST_{line}");
        let (head, _) = line.split_once(" cargo test ").expect("it calls cargo");
        let (seed, schedule) = head.split_once(' ').unwrap_or((head, ""));
        [seed, schedule]
            .iter()
            .filter_map(|part| part.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()))
            .collect()
    };
    lines.map(variables).collect()
}

#[test]
fn what_a_report_says_to_type_fails_in_the_same_way() {
    let first = report("lost_update");
    assert!(first.contains("assertion `left == right` failed: an update was lost"), "{first}");
    let lines = lines_to_type(&first);
    assert_eq!(lines.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2], "{first}");
    let happened = |report: &str| {
        let from = report.find("what happened:").expect("it says what happened");
        report[from..].split("\n\n").next().unwrap_or_default().to_owned()
    };
    for line in lines {
        let variables: Vec<_> = line.iter().map(|(name, value)| (&**name, &**value)).collect();
        let again = report_with("lost_update", &variables);
        assert!(again.contains("assertion `left == right` failed: an update was lost"), "{again}");
        assert_eq!(happened(&again), happened(&first));
    }
}

#[test]
fn a_variable_that_is_no_seed_is_named() {
    for (name, value, sentence) in [
        ("GORUST_SEED", "seven", "GORUST_SEED is \"seven\"; it must be a whole number"),
        ("GORUST_SCHEDULE", "7", "GORUST_SCHEDULE is \"7\"; it must be what a report has printed"),
    ] {
        let output = run("assertion", &[(name, value)]);
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(printed.contains(sentence), "{printed}");
    }
}

#[test]
fn under_nextest_the_line_to_type_is_nextests() {
    let report = report_with("assertion", &[("NEXTEST", "1")]);
    assert!(report.contains(" cargo nextest run -p gorust-tests -E 'test(=failing::assertion)'"), "{report}");
}

/// The blocks of docs/testing.md that begin with this fence.
fn blocks_of_the_page(fence: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/testing.md");
    let page = fs::read_to_string(path).expect("the page can be read");
    let blocks = page.split("\n```").filter_map(|part| part.strip_prefix(fence));
    blocks.map(|block| block.trim().to_owned()).collect()
}

/// A text without what changes whenever a line is added above: each place in a file keeps only the file.
fn without_lines(text: &str) -> String {
    let place = |word: &str| {
        word.split_once(".rs:").map_or_else(|| word.to_owned(), |(file, _)| format!("{file}.rs"))
    };
    let line = |line: &str| line.split(' ').map(place).collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_page_shows_what_is_printed() {
    let blocks = blocks_of_the_page("text\n");
    assert_eq!(blocks.len(), 8);
    for block in blocks {
        let name = block.strip_prefix("gorust: test failing::").and_then(|rest| rest.split_once(' '));
        let (name, _) = name.unwrap_or_else(|| panic!("no report: {block}"));
        assert_eq!(without_lines(&block), without_lines(&report(name)));
    }
}

#[test]
fn the_tests_of_the_page_are_run_here() {
    let code = |text: &str| {
        let lines = text.lines().map(str::trim);
        let lines = lines
            .filter(|line| !line.is_empty() && !line.starts_with("use ") && *line != "#[ignore = \"fails\"]");
        lines.collect::<Vec<_>>().join("\n")
    };
    let here = code(include_str!("test_attr.rs"));
    let mut tests = blocks_of_the_page("rust\n");
    tests.retain(|block| block.lines().any(|line| line.starts_with("#[gorust::test")));
    assert_eq!(tests.len(), 3);
    for test in tests {
        assert!(here.contains(&code(&test)), "not here:\n{test}");
    }
}

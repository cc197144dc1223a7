//! `#[gorust::main]` from outside: what a program started by it prints, and the code it ends with.

use std::process::{Command, Output};

fn run(name: &str) -> Output {
    run_with(name, &[])
}

fn run_with(name: &str, variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mains"))
        .arg(name)
        .env_remove("GORUST_MAXPROCS")
        .envs(variables.iter().copied())
        .output()
        .expect("the program starts")
}

#[track_caller]
fn ends(output: &Output, code: i32, stdout: &str, stderr: &str) {
    let printed = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    let (code_is, printed_is) = (output.status.code(), printed.trim_end());
    assert_eq!((code_is, printed_is), (Some(code), stdout), "it also said: {complained}");
    assert!(complained.contains(stderr), "`{stderr}` is not in: {complained}");
    assert!(!stderr.is_empty() || complained.is_empty(), "it complained: {complained}");
}

#[test]
fn main_may_return_what_any_main_may() {
    ends(&run("nothing"), 0, "", "");
    ends(&run("code"), 7, "", "");
    ends(&run("fine"), 0, "12", "");
    ends(&run("error"), 1, "", "Error: ParseIntError");
    ends(&run("never"), 9, "", "");
    ends(&run("recursive"), 0, "", "");
}

#[test]
fn main_is_a_goroutine() {
    ends(&run("goroutine"), 0, "true", "");
}

#[test]
fn main_returning_ends_the_process() {
    ends(&run("leaves_others"), 0, "", "");
}

#[test]
fn grace_cancels_the_root_context_waits_and_drops() {
    ends(&run("grace"), 0, "returns\nmain has returned\ndropped", "");
    ends(&run("local_grace"), 0, "finished\ntold", "");
}

#[test]
fn a_panic_in_main_is_a_rust_panic() {
    ends(&run("panics"), 101, "", "main has had enough");
}

#[test]
fn a_panic_nobody_sees_ends_the_process_as_in_go() {
    ends(&run("unseen_panic"), 2, "", "nobody looks");
}

#[test]
fn an_isolated_panic_is_only_reported() {
    ends(&run("isolated_panic"), 0, "None", "nobody looks");
}

#[test]
fn workers_are_as_many_as_said() {
    ends(&run("one_worker"), 0, "1", "");
    ends(&run("three_workers"), 0, "3", "");
}

#[test]
fn a_local_main_stays_on_its_thread() {
    ends(&run("local"), 0, "11 true", "");
}

#[test]
fn the_crate_may_have_another_name() {
    ends(&run("renamed"), 0, "found", "");
}

#[test]
fn a_bad_setting_is_named() {
    for bad in ["0", "-1", "two"] {
        let output = run_with("nothing", &[("GORUST_MAXPROCS", bad)]);
        ends(&output, 2, "", "GORUST_MAXPROCS");
    }
}

//! What `#[gorust::test]` prints when a test has failed: what was wrong, what happened last, and how to run it again.

use crate::{
    bubble::{BubbleError, ExploreError, Failure, Schedule, Trace},
    dump::Dump,
    test_entry::{SCHEDULE, SEED},
};
use std::{env, time::Duration};

/// How the text begins that a test panics with because it has returned something that is no success.
pub(crate) const RETURNED: &str = "the test returned an error";

/// How many steps of a run are printed.
const STEPS: usize = 20;

/// The name the harness knows a test by: its path without the crate.
pub(crate) fn harness_name(path: &str) -> &str {
    path.split_once("::").map_or(path, |(_, name)| name)
}

/// A failed exploration.
pub(crate) fn explored(path: &str, found: &ExploreError) -> String {
    match found {
        ExploreError::Failed(failure) => failed(path, failure),
        ExploreError::NotDeterministic(found) => format!("{found}{}", again(path, found.seed())),
    }
}

fn failed(path: &str, failure: &Failure) -> String {
    let (seed, schedule, choices) = (failure.seed(), failure.schedule(), failure.choices());
    let mut text = format!("seed {seed} ({})", failure.strategy());
    match failure.tried() {
        1 => {}
        2 => text += ", after one that passed",
        tried => text += &format!(", after {} that passed", tried - 1),
    }
    text += &format!("\n\n{}", told(failure.error()));
    text += &steps(failure.trace());
    text += &again(path, seed);
    if choices > 0 {
        let matter = match schedule.len() {
            0 => format!("with none of its {choices} choices, since none matters"),
            1 => format!("with the one choice of {choices} that matters"),
            count => format!("with the {count} choices of {choices} that matter"),
        };
        text += &format!("\n{matter}:\n    {}", command(path, seed, Some(schedule)));
    }
    text
}

/// A failed run of a schedule that was given.
pub(crate) fn replayed(seed: u64, error: &BubbleError, trace: &Trace) -> String {
    format!("seed {seed}, with the choices given\n\n{}{}", told(error), steps(trace))
}

/// A failure that did not come again: the seed passed, or other things happened.
pub(crate) fn once_only(seed: u64, error: &BubbleError, then: Option<&ExploreError>) -> String {
    let then = match then {
        Some(found) => found.to_string(),
        None => "not deterministic: run again from this seed the test passed. A static may keep what the first run has \
                 left; a clock, a thread or a file may not be the same"
            .to_owned(),
    };
    format!("seed {seed}, once and not again\n\n{}\n\n{then}", told(error))
}

/// A run that does not end.
pub(crate) fn too_late(limit: Duration, dump: &Dump) -> String {
    if dump.goroutines().is_empty() {
        return format!("timeout: it still runs after {limit:?}; no goroutine has waited for anything");
    }
    format!("timeout: it still runs after {limit:?}\n\n{dump}")
}

/// How to run a seed again.
pub(crate) fn again(path: &str, seed: u64) -> String {
    format!("\n\nto run it again:\n    {}", command(path, seed, None))
}

fn told(error: &BubbleError) -> String {
    match error {
        BubbleError::Panic(panic) if panic.message().starts_with(RETURNED) => panic.message().to_owned(),
        error => error.to_string(),
    }
}

fn steps(trace: &Trace) -> String {
    let (all, mut text) = (trace.steps(), String::new());
    let left_out = all.len().saturating_sub(STEPS);
    if !all.is_empty() {
        text += &match left_out {
            0 => "\n\nwhat happened:".to_owned(),
            _ => format!("\n\nwhat happened last, of {} steps:", all.len()),
        };
    }
    for (number, step) in all.iter().enumerate().skip(left_out) {
        text += &format!("\n{number:>5}  {step}");
    }
    text
}

/// The line to type. Cargo and nextest tell the tests they run who they are.
fn command(path: &str, seed: u64, schedule: Option<&Schedule>) -> String {
    let name = harness_name(path);
    let schedule = schedule.map(|schedule| format!("{SCHEDULE}=\"{schedule}\" ")).unwrap_or_default();
    let package = env::var("CARGO_PKG_NAME").map(|package| format!("-p {package} ")).unwrap_or_default();
    if env::var_os("NEXTEST").is_some() {
        format!("{SEED}={seed} {schedule}cargo nextest run {package}-E 'test(={name})'")
    } else {
        format!("{SEED}={seed} {schedule}cargo test {package}{name} -- --exact")
    }
}

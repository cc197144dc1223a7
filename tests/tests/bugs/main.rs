//! Twelve programs with a mistake that shows under some schedules only, each beside its corrected twin: the explorer
//! must find all of them and spare the twins, and most it must find where first come, first served would not.

use gorust::test::{ExploreError, Explorer, Failure, Strategy};
use std::{future::Future, pin::Pin};

mod aba;
mod check_then_act;
mod double_receive;
mod forgotten_token;
mod leaked_sender;
mod lost_update;
mod lost_wake;
mod missing_close;
mod opposite_locks;
mod shutdown_race;
mod timeout_race;
mod wait_before_add;

// `cargo bugs` prints the table: each bug, the number of seeds it took, whether first come, first served finds it, and
// how many choices are left when the schedule was shrunk.

/// Within so many seeds a bug must be found.
const SEEDS: u64 = 10_000;
/// Under so many seeds, the first ones, its corrected twin must not fail.
const TWIN_SEEDS: u64 = 1_000;
/// A schedule that a person can follow has fewer choices.
const FEW_CHOICES: usize = 50;

type Program = fn() -> Pin<Box<dyn Future<Output = ()>>>;

struct Bug {
    name: &'static str,
    kind: &'static str,
    buggy: Program,
    fixed: Program,
}

macro_rules! bugs {
    ($($name:ident: $kind:literal,)*) => {
        [$(Bug {
            name: stringify!($name),
            kind: $kind,
            buggy: || Box::pin($name::buggy()),
            fixed: || Box::pin($name::fixed()),
        }),*]
    };
}

const BUGS: [Bug; 12] = bugs! {
    lost_update: "panic",
    check_then_act: "panic",
    opposite_locks: "deadlock",
    missing_close: "deadlock",
    leaked_sender: "leak",
    double_receive: "deadlock",
    lost_wake: "deadlock",
    aba: "panic",
    forgotten_token: "deadlock",
    wait_before_add: "panic",
    timeout_race: "panic",
    shutdown_race: "panic",
};

fn explore(program: Program, strategy: Strategy, seeds: u64) -> Option<Box<Failure>> {
    match Explorer::new().seeds(0, seeds).strategy(strategy).run(program) {
        Ok(_) => None,
        Err(ExploreError::Failed(failure)) => Some(failure),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn each_is_found_and_shrunk() {
    let mut table =
        format!("\n{:16}  {:8}  {:>5}  {:28}  {:4}  choices\n", "bug", "kind", "seeds", "by", "fifo");
    let (mut beyond_fifo, mut short) = (0, 0);
    for bug in &BUGS {
        let failure = explore(bug.buggy, Strategy::Mixed, SEEDS)
            .unwrap_or_else(|| panic!("{} is not found by {SEEDS} seeds", bug.name));
        // Its order is always the same, but what the program draws is not.
        let by_fifo = explore(bug.buggy, Strategy::Fifo, 100).is_some();
        table += &format!(
            "{:16}  {:8}  {:>5}  {:28}  {:4}  {} of {}\n",
            bug.name,
            failure.error().kind(),
            failure.tried(),
            failure.strategy().to_string(),
            if by_fifo { "yes" } else { "no" },
            failure.schedule().len(),
            failure.choices(),
        );
        assert_eq!(failure.error().kind(), bug.kind, "{failure}");
        let again = failure.replay().run((bug.buggy)()).expect_err("the shrunk schedule fails again");
        assert_eq!(again.kind(), bug.kind, "{again}");
        beyond_fifo += usize::from(!by_fifo);
        short += usize::from(failure.schedule().len() < FEW_CHOICES);
    }
    println!("{table}");
    assert!(beyond_fifo >= 6, "first come, first served finds all but {beyond_fifo}");
    assert!(short > BUGS.len() / 2, "only {short} schedules are short");
}

#[test]
fn their_corrected_twins_pass() {
    for bug in &BUGS {
        if let Some(failure) = explore(bug.fixed, Strategy::Mixed, TWIN_SEEDS) {
            panic!("the corrected {} fails: {failure}", bug.name);
        }
    }
}

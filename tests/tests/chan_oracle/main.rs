//! Channels against a reference model: `model.rs` says what should happen, `world.rs` does every step to both and
//! compares. Here are the steps: all interleavings of short scripts, and long random sequences.

mod model;
mod world;

use model::Kind;
use proptest::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use world::{FORMS, Form, SLOTS, Step, World};

const CAPACITIES: [Option<usize>; 5] = [Some(0), Some(1), Some(2), Some(3), None];

fn run(capacity: Option<usize>, form: Form, steps: &[Step]) {
    let mut world = World::new(capacity, form);
    steps.iter().for_each(|&step| world.step(step));
    world.end();
}

/// What one actor does, in the slot it is given.
type Script = fn(usize) -> Vec<Step>;

/// The scripts of which pairs and triples meet: everything that can be done with a channel, and given up.
const SCRIPTS: [Script; 16] = [
    |slot| vec![Step::Start(slot, Kind::Send), Step::Poll(slot), Step::Poll(slot)],
    |slot| vec![Step::Start(slot, Kind::Send), Step::Poll(slot), Step::Drop(slot)],
    |slot| vec![Step::Start(slot, Kind::SendFrom), Step::Poll(slot), Step::Drop(slot)],
    |slot| vec![Step::Start(slot, Kind::SendFrom), Step::PollElsewhere(slot), Step::Poll(slot)],
    |_| vec![Step::TrySend, Step::TrySend],
    |slot| vec![Step::Start(slot, Kind::Recv), Step::Poll(slot), Step::Poll(slot)],
    |slot| vec![Step::Start(slot, Kind::Recv), Step::Poll(slot), Step::Drop(slot)],
    |slot| vec![Step::Start(slot, Kind::Recv), Step::Poll(slot), Step::PollElsewhere(slot)],
    |slot| vec![Step::Start(slot, Kind::RecvMany(2)), Step::Poll(slot), Step::Poll(slot)],
    |slot| vec![Step::Start(slot, Kind::Stream), Step::Poll(slot), Step::Poll(slot)],
    |slot| vec![Step::Start(slot, Kind::Stream), Step::Poll(slot), Step::Drop(slot)],
    |slot| vec![Step::Start(slot, Kind::Closed), Step::Poll(slot), Step::Poll(slot)],
    |_| vec![Step::TryRecv, Step::TryRecv],
    |_| vec![Step::Close, Step::UpgradeTx],
    |_| vec![Step::DropTx, Step::UpgradeTx],
    |_| vec![Step::DropRx, Step::UpgradeRx],
];

/// The script in pieces that are not torn apart: its steps, or, if it is to `join` in one step, with the first poll
/// beside the start.
fn pieces(script: Vec<Step>, join: bool) -> Vec<Vec<Step>> {
    let first = if join && matches!(script[0], Step::Start(..)) { 2 } else { 1 };
    let (head, rest) = script.split_at(first);
    std::iter::once(head.to_vec()).chain(rest.iter().map(|&step| vec![step])).collect()
}

/// Calls `visit` with every interleaving of the scripts.
fn interleave(scripts: &mut [&[Vec<Step>]], so_far: &mut Vec<Step>, visit: &mut impl FnMut(&[Step])) {
    if scripts.iter().all(|script| script.is_empty()) {
        visit(so_far);
    }
    for i in 0..scripts.len() {
        if let [piece, rest @ ..] = scripts[i] {
            let (before, len) = (std::mem::replace(&mut scripts[i], rest), so_far.len());
            so_far.extend(piece);
            interleave(scripts, so_far, visit);
            so_far.truncate(len);
            scripts[i] = before;
        }
    }
}

/// Runs every interleaving of the scripts over every capacity, and returns how many there were.
fn explore(capacities: &[Option<usize>], scripts: &[Vec<Vec<Step>>]) -> usize {
    let mut count = 0;
    let mut rests: Vec<_> = scripts.iter().map(Vec::as_slice).collect();
    interleave(&mut rests, &mut Vec::new(), &mut |steps| {
        for &capacity in capacities {
            count += 1;
            for form in FORMS {
                let outcome = catch_unwind(AssertUnwindSafe(|| run(capacity, form, steps)));
                assert!(outcome.is_ok(), "capacity {capacity:?}, {form:?}, steps {steps:?}");
            }
        }
    });
    count
}

#[test]
fn every_interleaving_of_two_actors() {
    let mut count = 0;
    for first in SCRIPTS {
        for second in SCRIPTS {
            // The first one does it twice.
            let twice = [first(0), first(1)].concat();
            count += explore(&CAPACITIES, &[pieces(twice, false), pieces(second(2), false)]);
        }
    }
    println!("{count} schedules of two actors");
    assert!(count > 50_000, "{count}");
}

#[test]
fn every_interleaving_of_three_actors() {
    let mut count = 0;
    for (i, first) in SCRIPTS.iter().enumerate() {
        for (j, second) in SCRIPTS.iter().enumerate().skip(i) {
            for third in &SCRIPTS[j..] {
                let scripts = [pieces(first(0), true), pieces(second(1), true), pieces(third(2), true)];
                count += explore(&[Some(0), Some(1), None], &scripts);
            }
        }
    }
    println!("{count} schedules of three actors");
    assert!(count > 200_000, "{count}");
}

fn any_kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        3 => Just(Kind::Send),
        3 => Just(Kind::SendFrom),
        5 => Just(Kind::Recv),
        2 => (1..4_usize).prop_map(Kind::RecvMany),
        3 => Just(Kind::Stream),
        1 => Just(Kind::Closed),
    ]
}

/// Steps that end a channel are rare, or no sequence would be long.
fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => (0..SLOTS, any_kind()).prop_map(|(slot, kind)| Step::Start(slot, kind)),
        50 => (0..SLOTS).prop_map(Step::Poll),
        10 => (0..SLOTS).prop_map(Step::PollElsewhere),
        25 => (0..SLOTS).prop_map(Step::Drop),
        20 => Just(Step::TrySend),
        12 => Just(Step::TryRecv),
        1 => Just(Step::Close),
        2 => Just(Step::CloneTx),
        2 => Just(Step::CloneRx),
        2 => Just(Step::DropTx),
        2 => Just(Step::DropRx),
        2 => Just(Step::UpgradeTx),
        2 => Just(Step::UpgradeRx),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_steps(
        capacity in prop::sample::select(&CAPACITIES[..]),
        form in prop::sample::select(&FORMS[..]),
        steps in prop::collection::vec(any_step(), 1..120),
    ) {
        run(capacity, form, &steps);
    }
}

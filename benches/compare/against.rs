//! Two runs side by side: does the second find what the first has stated, spread and all?

use crate::{
    figures::{NOISE, Table, number},
    run::Run,
};
use gorust_benches::catalog::LOADS;
use std::fmt::Write;

/// What a run states of a figure: that another run's median lies between these two. Min and max of its rounds, and where
/// they are closer than the noise of a machine, that.
fn stated(median: f64, (min, max): (f64, f64)) -> (f64, f64) {
    (min.min(median * (1.0 - NOISE)), max.max(median * (1.0 + NOISE)))
}

/// How many of them lie within what was stated.
#[derive(Default)]
struct Tally {
    within: usize,
    of: usize,
}

impl Tally {
    fn count(&mut self, now: f64, (low, high): (f64, f64)) -> bool {
        let within = (low..=high).contains(&now);
        self.of += 1;
        self.within += usize::from(within);
        within
    }
}

/// Row by row whether the medians of `now` lie within the spread that `then` states, and a summary in the last line.
pub(crate) fn report(then: &Run, now: &Run) -> String {
    let mut out = format!(
        "\nAgainst the run of {} ({} rounds): medians within the spread it states, min..max of its rounds and at least \
         {:.0} % to either side?\n\n{:<20} {:>8} {:>14} {:>8}        figures\n",
        then.machine.date,
        then.rounds,
        NOISE * 100.0,
        "load",
        "of best",
        "stated",
        "now"
    );
    let (mut ratios, mut figures) = (Tally::default(), Tally::default());
    for load in LOADS.iter().filter(|load| then.has(load) && now.has(load)) {
        let (before, after) = (Table::new(load, then), Table::new(load, now));
        let _ = write!(out, "{:<20}", load.name);
        let ratio = |table: &Table| {
            let own = table.line("gorust")?;
            Some((table.of_best_other(own)?, table.spread_of_best_other(own)?))
        };
        match (ratio(&before), ratio(&after)) {
            (Some((median, spread)), Some((ratio, _))) => {
                let (low, high) = stated(median, spread);
                let word = if ratios.count(ratio, (low, high)) { "yes" } else { "NO" };
                let _ = write!(
                    out,
                    " {median:>8.2} {:>14} {ratio:>8.2}  {word:<4}",
                    format!("{low:.2}..{high:.2}")
                );
            }
            _ => {
                let _ = write!(out, " {:>8} {:>14} {:>8}  {:<4}", "-", "-", "-", "");
            }
        }
        for line in &after.lines {
            let Some(old) = before.line(&line.peer) else { continue };
            let word =
                if figures.count(line.value, stated(old.value, (old.min, old.max))) { "yes" } else { "NO" };
            let change = (line.value / old.value - 1.0) * 100.0;
            let _ = write!(out, "  {} {} {change:+.0}% {word}", line.peer, number(line.value));
        }
        out.push('\n');
    }
    let _ = write!(
        out,
        "\n{} of {} ratios and {} of {} figures lie within the spread stated.",
        ratios.within, ratios.of, figures.within, figures.of
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::tests::run;

    #[test]
    fn medians_are_held_against_the_spread() {
        let then = run("spawn_join", &[("gorust", &[50.0, 60.0, 70.0]), ("tokio", &[300.0, 300.0, 300.0])]);
        let same = run("spawn_join", &[("gorust", &[69.0]), ("tokio", &[310.0])]);
        let report_of_same = report(&then, &same);
        assert!(
            report_of_same.ends_with("\n1 of 1 ratios and 2 of 2 figures lie within the spread stated."),
            "{report_of_same}"
        );
        // Everything twice as slow: the ratio stands. Then gorust alone.
        let slow = report(&then, &run("spawn_join", &[("gorust", &[120.0]), ("tokio", &[600.0])]));
        assert!(slow.ends_with("\n1 of 1 ratios and 0 of 2 figures lie within the spread stated."), "{slow}");
        let worse = report(&then, &run("spawn_join", &[("gorust", &[80.0]), ("tokio", &[300.0])]));
        assert!(
            worse.ends_with("\n0 of 1 ratios and 1 of 2 figures lie within the spread stated."),
            "{worse}"
        );
    }

    #[test]
    fn what_only_one_run_has_is_not_counted() {
        let then = run("spawn_join", &[("gorust", &[50.0])]);
        let now = run("fork", &[("gorust", &[50.0])]);
        assert!(
            report(&then, &now).ends_with("\n0 of 0 ratios and 0 of 0 figures lie within the spread stated.")
        );
    }
}

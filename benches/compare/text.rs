//! The comparison on a terminal.

use crate::{
    figures::{Standing, Table, number},
    run::Run,
};
use gorust_benches::catalog::LOADS;
use std::fmt::Write;

/// One load with all its peers.
pub(crate) fn block(table: &Table) -> String {
    let load = table.load;
    let better = if load.higher_is_better { ", more is better" } else { "" };
    let mut out = format!("\n{}  [{}, {}{better}]\n", load.title, load.name, load.unit);
    let _ = writeln!(
        out,
        "  {:<14}{:>12}  {:>23}{:>9}{:>9}{:>9}{:>7}{:>11}{:>10}",
        "peer", "median", "min..max", "of best", "of tokio", "CPU s", "CPUs", "switches", "peak MiB"
    );
    for line in &table.lines {
        let ratio = |ratio: Option<f64>| ratio.map_or_else(|| "-".to_owned(), |r| format!("{r:.2}"));
        let extra: String = line.extra.iter().map(|(name, v)| format!("  {name} {}", number(*v))).collect();
        let _ = writeln!(
            out,
            "  {:<14}{:>12}  {:>23}{:>9}{:>9}{:>9.2}{:>7.2}{:>11}{:>10.1}{extra}",
            line.peer,
            number(line.value),
            format!("{}..{}", number(line.min), number(line.max)),
            ratio(table.of_best_other(line)),
            ratio(table.of_tokio(line)),
            line.cpu_s,
            line.cpus,
            number(line.switches.round()),
            line.peak_mib,
        );
    }
    if let Some(standing) = table.standing() {
        let _ = writeln!(out, "  goal: {}; {}", table.goal(), words(standing));
    }
    out
}

/// A standing in words.
pub(crate) fn words(standing: Standing) -> &'static str {
    match standing {
        Standing::Goal => "met",
        Standing::Floor => "not met, nobody ahead",
        Standing::Behind => "not met, behind",
    }
}

/// How gorust stands in all rows together, and what the ratios mean.
pub(crate) fn summary(run: &Run) -> String {
    let standings: Vec<_> = LOADS
        .iter()
        .filter(|load| run.has(load))
        .filter_map(|load| Some((load.name, Table::new(load, run).standing()?)))
        .collect();
    let names = |wanted: Standing| {
        let names: Vec<&str> =
            standings.iter().filter(|(_, s)| *s == wanted).map(|(name, _)| *name).collect();
        format!("{} {}", names.len(), names.join(" "))
    };
    let mut out = String::from(
        "\nof best: cost as a fraction of the best other contender's, below 1 is ahead of all; of tokio: of tokio's.\n",
    );
    if !standings.is_empty() {
        let _ = writeln!(out, "gorust in {} rows:", standings.len());
        for standing in [Standing::Goal, Standing::Floor, Standing::Behind] {
            let _ = writeln!(out, "  goal {}: {}", words(standing), names(standing).trim_end());
        }
    }
    out
}

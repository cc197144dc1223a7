//! The comparison as a page: `docs/benchmarks.md`. Every number in its tables comes from the run.

use crate::{
    figures::{Line, REFERENCES, Standing, Table, number},
    run::Run,
    text,
};
use gorust_benches::catalog::{Group, LOADS};
use std::fmt::Write;

/// The whole page.
pub(crate) fn page(run: &Run) -> String {
    let tables: Vec<Table> =
        LOADS.iter().filter(|load| run.has(load)).map(|load| Table::new(load, run)).collect();
    let mut out = head(run, &tables);
    for group in Group::ALL {
        let of_group: Vec<&Table> = tables.iter().filter(|table| table.load.group == group).collect();
        if !of_group.is_empty() {
            let _ = write!(out, "\n## {}\n\n{}", group.title(), overview(run, &of_group));
        }
    }
    // The one part that is written by hand, with its own measurements.
    out.push_str(include_str!("misses.md"));
    out.push_str("\n## Every figure\n");
    for table in &tables {
        out.push_str(&details(table));
    }
    out
}

fn head(run: &Run, tables: &[Table]) -> String {
    let machine = &run.machine;
    let crates: Vec<String> = machine.crates.iter().map(|(name, v)| format!("{name} {v}")).collect();
    let count =
        |wanted: Standing| tables.iter().filter(|table| table.standing() == Some(wanted)).count().to_string();
    let rows = tables.iter().filter(|table| table.standing().is_some()).count();
    let mut out = format!(
        "# gorust beside its peers

This page is generated; nobody types a number into its tables. To make it again, on your machine:

```sh
cargo run --release -p gorust-benches --bin compare -- --markdown docs/benchmarks.md --svg docs/benchmarks.svg
```

Go takes part where a toolchain is found (`$GO`, or `go` on the path). `--help` lists what else there is.

| | |
|---|---|
| date | {date} |
| processor | {processor}, {cpus} CPUs |
| memory | {memory:.0} GiB |
| kernel | {kernel} |
| load average at the start | {load} |
| rustc | {rustc} |
| Go | {go} |
| gorust | {commit} |
| crates | {crates} |
| run | {workers} workers, {rounds} rounds in turn{scale} |

Each cell is the median of the rounds; every round starts a new process for each peer, one after the other. All Rust
peers are built with the same flags and use the system's allocator. *Of best* is gorust's cost as a fraction of the best
other peer's in this run: below 1, gorust is ahead of all. Beside it stands its *spread*: the smallest and the largest
fraction of one round; that of each figure, further below, is min..max of the rounds too. Less than 5 % is noise.
Only ratios within one run mean something: times drift from hour to hour and from machine to machine. Whether a second
run finds the same is said by `--json FIRST`, and then `--against FIRST`.
",
        date = machine.date,
        processor = machine.processor,
        cpus = machine.cpus,
        memory = machine.memory_gib,
        kernel = machine.kernel,
        load = machine.load_average,
        rustc = machine.rustc,
        go = machine.go,
        commit = machine.commit,
        crates = crates.join(", "),
        workers = run.workers,
        rounds = run.rounds,
        scale = if run.scale == 1.0 { String::new() } else { format!(", counts scaled by {}", run.scale) },
    );
    if rows > 0 {
        let _ = write!(
            out,
            "\nOf {rows} rows gorust meets its goal in {}, misses it with nobody ahead in {}, and is behind in {}.\n",
            count(Standing::Goal),
            count(Standing::Floor),
            count(Standing::Behind),
        );
    }
    let references: Vec<_> =
        REFERENCES.iter().filter(|(name, _)| run.peers.iter().any(|peer| peer == name)).collect();
    if !references.is_empty() {
        out.push_str("\nShown beside, but not counted as the best of a row:\n\n");
        for (name, why) in references {
            let _ = writeln!(out, "- {name}: {why}.");
        }
    }
    if !run.failures.is_empty() {
        out.push_str("\nWhat failed in this run:\n\n");
        run.failures.iter().for_each(|failure| {
            let _ = writeln!(out, "- {failure}");
        });
    }
    out
}

/// One line a load, one column a peer.
fn overview(run: &Run, tables: &[&Table]) -> String {
    let peers: Vec<&String> =
        run.peers.iter().filter(|peer| tables.iter().any(|table| table.line(peer).is_some())).collect();
    let with_gorust = tables.iter().any(|table| table.line("gorust").is_some());
    let mut out = String::from("| load | unit |");
    peers.iter().for_each(|peer| {
        let _ = write!(out, " {peer} |");
    });
    out.push_str(if with_gorust { " of best | spread | goal | |\n" } else { "\n" });
    out.push_str("|---|---|");
    peers.iter().for_each(|_| out.push_str("--:|"));
    out.push_str(if with_gorust { "--:|--:|---|---|\n" } else { "\n" });
    for table in tables {
        let _ = write!(out, "| {} | {} |", table.load.title, table.load.unit);
        for peer in &peers {
            let cell = table.line(peer).map_or_else(|| "-".to_owned(), |line| number(line.value));
            let _ = write!(out, " {cell} |");
        }
        if with_gorust {
            let own = table.line("gorust");
            let ratio = own.and_then(|own| table.of_best_other(own));
            let ratio = ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
            let spread = own.and_then(|own| table.spread_of_best_other(own));
            let spread = spread.map_or_else(|| "-".to_owned(), |(low, high)| format!("{low:.2}..{high:.2}"));
            let standing = table.standing().map_or("-", text::words);
            let _ = write!(out, " {ratio} | {spread} | {} | {standing} |", table.goal());
        }
        out.push('\n');
    }
    out
}

/// One load: what it is, and all that was measured.
fn details(table: &Table) -> String {
    let load = table.load;
    let better = if load.higher_is_better { ", more is better" } else { "" };
    let mut out =
        format!("\n### {}\n\n`{}`, {}{better}. {}\n\n", load.title, load.name, load.unit, load.what);
    out.push_str(
        "| peer | median | min..max | of best | of tokio | CPU s | CPUs | switches | peak MiB | |\n",
    );
    out.push_str("|---|--:|--:|--:|--:|--:|--:|--:|--:|---|\n");
    for line in &table.lines {
        let ratio = |ratio: Option<f64>| ratio.map_or_else(|| "-".to_owned(), |r| format!("{r:.2}"));
        let Line { peer, value, min, max, cpu_s, cpus, switches, peak_mib, extra, .. } = line;
        let extra: Vec<String> = extra.iter().map(|(name, v)| format!("{name} {}", number(*v))).collect();
        let _ = writeln!(
            out,
            "| {peer} | {} | {}..{} | {} | {} | {cpu_s:.2} | {cpus:.2} | {} | {peak_mib:.1} | {} |",
            number(*value),
            number(*min),
            number(*max),
            ratio(table.of_best_other(line)),
            ratio(table.of_tokio(line)),
            number(switches.round()),
            extra.join(", "),
        );
    }
    out
}

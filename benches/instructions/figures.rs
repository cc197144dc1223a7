//! The file of figures, and what a new count is compared with.

use gorust_benches::hot::PATHS;
use std::{collections::BTreeMap, fmt::Write};

/// By which fraction instructions may grow before the check fails.
const MORE_INSTRUCTIONS: f64 = 0.05;

/// By how many atomics may grow. One more in each operation is no noise, though it may be a hundredth of the
/// instructions.
const MORE_ATOMICS: f64 = 0.5;

/// What one operation takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Figure {
    pub(crate) instructions: f64,
    /// Read-modify-writes of memory, with a lock on the bus.
    pub(crate) atomics: f64,
}

/// The figures of all paths, by name.
pub(crate) type Figures = BTreeMap<String, Figure>;

/// Reads a file written by [`write()`].
pub(crate) fn read(text: &str) -> Result<Figures, String> {
    let figure = |line: &str| {
        let mut words = line.split_whitespace();
        let name = words.next()?.to_owned();
        let mut number = || words.next()?.parse().ok();
        Some((name, Figure { instructions: number()?, atomics: number()? }))
    };
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(|line| figure(line).ok_or_else(|| format!("no name and two figures: `{line}`")))
        .collect()
}

/// The file, of these figures.
pub(crate) fn write(figures: &Figures, made_with: &str) -> String {
    let mut text = format!(
        "# Instructions, and atomic read-modify-writes among them, for one operation of each hot path, counted by
# valgrind. Written by
#     cargo run --release -p gorust-benches --bin instructions -- --bless
# and checked with --check, which fails when the first have grown by more than {:.0} % or the second by {MORE_ATOMICS}.
# {made_with}

",
        MORE_INSTRUCTIONS * 100.0
    );
    for path in PATHS {
        if let Some(Figure { instructions, atomics }) = figures.get(path.name) {
            let _ = writeln!(text, "{:<16} {instructions:>8.1} {atomics:>6.1}   {}", path.name, path.what);
        }
    }
    text
}

/// Each path's new figure beside the old one, and what is wrong: one sentence each.
pub(crate) fn compare(old: &Figures, new: &Figures) -> (String, Vec<String>) {
    let mut table = format!(
        "{:<16} {:>9} {:>9} {:>8} {:>9} {:>7}\n",
        "path", "in file", "now", "change", "atomics", "now"
    );
    let mut wrong = Vec::new();
    for (name, now) in new {
        let Some(before) = old.get(name) else {
            let Figure { instructions, atomics } = now;
            let _ = writeln!(
                table,
                "{name:<16} {:>9} {instructions:>9.1} {:>8} {:>9} {atomics:>7.1}",
                "-", "-", "-"
            );
            wrong.push(format!("{name} has no figure in the file"));
            continue;
        };
        let change = now.instructions / before.instructions - 1.0;
        let more = now.atomics - before.atomics;
        let (grew, shrank) = (
            change > MORE_INSTRUCTIONS || more > MORE_ATOMICS,
            change < -MORE_INSTRUCTIONS || more < -MORE_ATOMICS,
        );
        let word = match (grew, shrank) {
            (true, _) => "  GREW",
            (false, true) => "  shrank: bless it, so that it stays so",
            (false, false) => "",
        };
        let (was, is) = (before.instructions, now.instructions);
        let _ = writeln!(
            table,
            "{name:<16} {was:>9.1} {is:>9.1} {:>+7.1}% {:>9.1} {:>7.1}{word}",
            change * 100.0,
            before.atomics,
            now.atomics,
        );
        if change > MORE_INSTRUCTIONS {
            wrong.push(format!(
                "{name} grew from {was:.1} to {is:.1} instructions, by {:.1} %",
                change * 100.0
            ));
        }
        if more > MORE_ATOMICS {
            wrong.push(format!("{name} grew from {:.1} to {:.1} atomics", before.atomics, now.atomics));
        }
    }
    let known = |name: &str| PATHS.iter().any(|path| path.name == name);
    wrong.extend(old.keys().filter(|name| !known(name)).map(|name| format!("no path is called {name}")));
    (table, wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(figures: &[(&str, f64, f64)]) -> Figures {
        let figure = |&(name, instructions, atomics): &(&str, f64, f64)| {
            (name.to_owned(), Figure { instructions, atomics })
        };
        figures.iter().map(figure).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let written = figures(&[("yield", 123.4, 2.0), ("mutex", 7.0, 0.5)]);
        assert_eq!(read(&write(&written, "rustc 1.0")), Ok(written));
        assert!(read("yield many").is_err());
        assert!(read("yield 12").is_err());
    }

    #[test]
    fn growth_is_wrong_and_shrinking_is_said() {
        let old = figures(&[("yield", 100.0, 2.0), ("mutex", 100.0, 2.0), ("timer", 100.0, 2.0)]);
        let new = figures(&[("yield", 105.1, 2.0), ("mutex", 104.9, 2.4), ("timer", 90.0, 2.0)]);
        let (table, wrong) = compare(&old, &new);
        assert_eq!(wrong, ["yield grew from 100.0 to 105.1 instructions, by 5.1 %"]);
        assert!(table.contains("GREW") && table.contains("bless it"), "{table}");
    }

    #[test]
    fn one_atomic_more_is_wrong() {
        let (_, wrong) = compare(&figures(&[("yield", 500.0, 4.0)]), &figures(&[("yield", 501.0, 5.0)]));
        assert_eq!(wrong, ["yield grew from 4.0 to 5.0 atomics"]);
    }

    #[test]
    fn the_file_and_the_paths_agree() {
        let (_, wrong) = compare(&figures(&[("gone", 1.0, 1.0)]), &figures(&[("yield", 1.0, 1.0)]));
        assert_eq!(wrong, ["yield has no figure in the file", "no path is called gone"]);
    }
}

//! One path under callgrind: this program again, with so many operations and with twice as many. What both runs have in
//! common, the start above all, is in neither figure's difference.

use crate::figures::Figure;
use gorust_benches::hot::Path;
use std::{env, path::PathBuf, process::Command};

/// The argument by which this program is told to run a path, and count nothing.
pub(crate) const RUN: &str = "--run";

/// Operations in the shorter run. A multiple of what paths do at a time.
fn count(path: &Path) -> usize {
    if path.sleeps { 256 } else { 4_096 }
}

/// What one operation takes.
pub(crate) fn figure(path: &Path) -> Result<Figure, String> {
    let count = count(path);
    let (once, twice) = (run(path, count, "/dev/null")?, run(path, 2 * count, "/dev/null")?);
    let each = |total: fn(&Total) -> u64| (total(&twice) as f64 - total(&once) as f64) / count as f64;
    Ok(Figure { instructions: each(|total| total.instructions), atomics: each(|total| total.atomics) })
}

/// What a whole process took.
#[derive(Debug, PartialEq)]
struct Total {
    instructions: u64,
    /// Those among them that lock the bus: the read-modify-writes.
    atomics: u64,
}

impl Total {
    /// "==4711== Collected : 123456 789", under a line that names the two events.
    fn from_words_of_callgrind(said: &str) -> Option<Self> {
        let after = |key| said.lines().find_map(|line| line.split_once(key)).map(|(_, after)| after.trim());
        let mut numbers = after("Collected :")?.split_whitespace().map_while(|word| word.parse().ok());
        match (after("Events    :")?, numbers.next(), numbers.next()) {
            ("Ir Ge", Some(instructions), Some(atomics)) => Some(Self { instructions, atomics }),
            _ => None,
        }
    }
}

/// Leaves callgrind's own file behind, for `callgrind_annotate`; says where.
pub(crate) fn profile(path: &Path) -> Result<PathBuf, String> {
    let program = env::current_exe().map_err(|e| e.to_string())?;
    let file = program.with_file_name(format!("callgrind.{}.out", path.name));
    run(path, 4 * count(path), &file.to_string_lossy())?;
    Ok(file)
}

/// Runs so many operations of a path under callgrind.
fn run(path: &Path, count: usize, out_file: &str) -> Result<Total, String> {
    let program = env::current_exe().map_err(|e| e.to_string())?;
    // Fair: threads take turns in the order in which they ask.
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-bus=yes", "--fair-sched=yes"])
        .arg(format!("--callgrind-out-file={out_file}"))
        .arg(program)
        .args([RUN, path.name, &count.to_string()])
        // Symbols are bound at the start, which both runs have in common.
        .env("LD_BIND_NOW", "1")
        .output()
        .map_err(|error| {
            format!(
                "valgrind does not start ({error}); it is a package of that name (apt-get install valgrind)"
            )
        })?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{} under valgrind: {}\n{said}", path.name, output.status));
    }
    Total::from_words_of_callgrind(&said)
        .ok_or_else(|| format!("{} under valgrind: it tells no counts\n{said}", path.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_totals_are_found() {
        let said = "==7== \n==7== Events    : Ir Ge\n==7== Collected : 2331 40\n==7== ";
        let total = Total { instructions: 2_331, atomics: 40 };
        assert_eq!(Total::from_words_of_callgrind(said), Some(total));
        assert_eq!(Total::from_words_of_callgrind("==7== Events    : Ir\n==7== Collected : 2331"), None);
    }
}

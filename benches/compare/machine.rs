//! What the figures were measured on: processor, kernel, compilers, versions, date.

use crate::peers;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

/// The machine and the versions, as far as they can be found out.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) date: String,
    pub(crate) processor: String,
    pub(crate) cpus: usize,
    pub(crate) memory_gib: f64,
    pub(crate) kernel: String,
    /// The first load average when the run began: what else the machine did.
    pub(crate) load_average: f64,
    pub(crate) rustc: String,
    pub(crate) go: String,
    /// The commit of this repository.
    pub(crate) commit: String,
    /// Name and version of each peer's crates.
    pub(crate) crates: Vec<(String, String)>,
}

const CRATES: [&str; 10] = [
    "tokio",
    "tokio-util",
    "smol",
    "async-executor",
    "async-io",
    "flume",
    "kanal",
    "crossfire",
    "async-channel",
    "parking_lot",
];

impl Machine {
    pub(crate) fn survey() -> Self {
        Self {
            date: today(),
            processor: line_of("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned()),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: line_of("/proc/meminfo", "MemTotal")
                .and_then(|text| text.trim_end_matches("kB").trim().parse::<f64>().ok())
                .map_or(0.0, |kib| kib / f64::from(1 << 20)),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .map_or_else(|_| "unknown".to_owned(), |text| format!("Linux {}", text.trim())),
            load_average: fs::read_to_string("/proc/loadavg")
                .ok()
                .and_then(|text| text.split(' ').next()?.parse().ok())
                .unwrap_or(0.0),
            rustc: said(Command::new("rustc").arg("--version")).unwrap_or_else(|| "unknown".to_owned()),
            go: said(peers::go().arg("version")).unwrap_or_else(|| "none".to_owned()),
            commit: commit(),
            crates: versions(),
        }
    }

    /// A warning if somebody else was at work when the run began.
    pub(crate) fn unquiet(&self) -> Option<String> {
        (self.load_average > 0.5).then(|| {
            format!("the machine is not quiet (load average {}): compare ratios with care", self.load_average)
        })
    }
}

/// The text behind the first `key :` of a file in /proc.
fn line_of(path: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// A program's first line, if it ran and succeeded.
fn said(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
}

fn commit() -> String {
    let git = |args: &[&str]| said(Command::new("git").arg("-C").arg(peers::package()).args(args));
    match git(&["rev-parse", "--short", "HEAD"]) {
        None => "not committed".to_owned(),
        Some(commit) => match git(&["status", "--porcelain"]).as_deref() {
            Some("") => commit,
            _ => format!("{commit} with changes"),
        },
    }
}

/// Versions from the lock file, wherever the workspace keeps it.
fn versions() -> Vec<(String, String)> {
    let lock = peers::package()
        .ancestors()
        .find_map(|folder| fs::read_to_string(folder.join("Cargo.lock")).ok())
        .unwrap_or_default();
    CRATES.iter().filter_map(|name| Some(((*name).to_owned(), version(&lock, name)?))).collect()
}

fn version(lock: &str, name: &str) -> Option<String> {
    let (_, after) = lock.split_once(&format!("\nname = \"{name}\"\nversion = \""))?;
    Some(after.split('"').next()?.to_owned())
}

fn today() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    date((seconds / 86_400) as u32)
}

/// The date, so many days after 1970-01-01.
fn date(days: u32) -> String {
    let leap = |year: u32| (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400);
    let (mut year, mut left) = (1970, days);
    while left >= 365 + u32::from(leap(year)) {
        left -= 365 + u32::from(leap(year));
        year += 1;
    }
    let february = 28 + u32::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", left + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(58), "1970-02-28");
        assert_eq!(date(59), "1970-03-01");
        assert_eq!(date(11_016), "2000-02-29");
        assert_eq!(date(11_017), "2000-03-01");
        assert_eq!(date(20_453), "2025-12-31");
        assert_eq!(date(20_454), "2026-01-01");
    }

    #[test]
    fn versions_come_from_the_lock_file() {
        let lock = "[[package]]\nname = \"tokio-util\"\nversion = \"0.7.1\"\n\n[[package]]\nname = \"tokio\"\nversion = \"1.54.1\"\n";
        assert_eq!(version(lock, "tokio").as_deref(), Some("1.54.1"));
        assert_eq!(version(lock, "smol"), None);
    }
}

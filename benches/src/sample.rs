//! What one process reports: one load, run once.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One line of JSON: what a peer's process prints after its load. The Go peer prints the same fields.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// The load's name in [`crate::catalog`].
    pub load: String,
    /// Who ran it.
    pub peer: String,
    /// Worker threads (Go: `GOMAXPROCS`).
    pub workers: usize,
    /// The row's figure, in `unit`.
    pub value: f64,
    /// The unit of `value`; the same for every peer of a row.
    pub unit: String,
    /// Seconds from start to end of the timed section.
    pub wall_s: f64,
    /// CPU seconds of the whole process within the timed section, user and kernel.
    pub cpu_s: f64,
    /// Context switches within the timed section that a thread asked for by waiting.
    pub voluntary: u64,
    /// Context switches within the timed section that the kernel forced.
    pub involuntary: u64,
    /// The most memory the process held up to its end, in bytes.
    pub peak_rss: u64,
    /// Further figures of the load; the unit is the name's last part (`p99_us`).
    #[serde(default)]
    pub extra: BTreeMap<String, f64>,
}

impl Sample {
    /// Context switches of both kinds.
    pub fn switches(&self) -> u64 {
        self.voluntary + self.involuntary
    }

    /// CPUs kept busy on average through the timed section.
    pub fn cpus(&self) -> f64 {
        if self.wall_s > 0.0 { self.cpu_s / self.wall_s } else { 0.0 }
    }
}

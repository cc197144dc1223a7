//! A run: all samples, and on what machine, when and how they came about. What `--json` writes.

use crate::{machine::Machine, options::Options, peers::Process};
use gorust_benches::{catalog::Load, sample::Sample};
use serde::{Deserialize, Serialize};

/// All there is to know about one run of the driver.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) machine: Machine,
    pub(crate) workers: usize,
    pub(crate) rounds: usize,
    pub(crate) scale: f64,
    /// Peers that took part, in the order of their turns.
    pub(crate) peers: Vec<String>,
    pub(crate) samples: Vec<Sample>,
    /// What went wrong, one line each.
    pub(crate) failures: Vec<String>,
}

impl Run {
    pub(crate) fn new(options: &Options, processes: &[Process]) -> Self {
        Self {
            machine: Machine::survey(),
            workers: options.workers,
            rounds: options.rounds,
            scale: options.scale,
            peers: processes.iter().map(|process| process.name.clone()).collect(),
            samples: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// The samples of one load by one peer.
    pub(crate) fn of<'a>(&'a self, load: &'a Load, peer: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |sample| sample.load == load.name && sample.peer == peer)
    }

    /// Whether anybody ran this load.
    pub(crate) fn has(&self, load: &Load) -> bool {
        self.samples.iter().any(|sample| sample.load == load.name)
    }
}

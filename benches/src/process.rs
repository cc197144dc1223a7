//! `main` of a peer: one load, one line of JSON.

use crate::{
    catalog,
    meter::{Report, peak_resident_bytes},
    sample::Sample,
};
use std::{io::Write, process::exit};

/// How large a run is to be.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Worker threads.
    pub workers: usize,
    /// Fraction of the catalogue's counts; 1 in a real run, small in a smoke test.
    pub scale: f64,
}

impl Config {
    /// The count for this run where a full run has `full`; never below one.
    pub fn count(&self, full: usize) -> usize {
        ((full as f64 * self.scale) as usize).max(1)
    }
}

/// A load's name in the catalogue and the function that runs it.
pub type Row = (&'static str, fn(Config) -> Report);

/// Runs the load that `args` name, `LOAD --workers N --scale F`, or prints the names of all (`--list`).
///
/// Ends the process, with the runtime and all its tasks still alive: tearing a million tasks down is nobody's figure.
pub fn run(peer: &str, rows: &[Row], mut args: impl Iterator<Item = String>) -> ! {
    let usage = || -> ! {
        eprintln!("usage: peer --list | LOAD [--workers N] [--scale F]");
        exit(2)
    };
    let mut load = None;
    let mut config = Config { workers: 2, scale: 1.0 };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--list" => {
                rows.iter().for_each(|(name, _)| println!("{name}"));
                exit(0)
            }
            "--workers" => {
                config.workers = args.next().and_then(|v| v.parse().ok()).unwrap_or_else(|| usage())
            }
            "--scale" => config.scale = args.next().and_then(|v| v.parse().ok()).unwrap_or_else(|| usage()),
            name if load.is_none() && !name.starts_with('-') => load = Some(arg),
            _ => usage(),
        }
    }
    let Some(load) = load else { usage() };
    let Some((name, body)) = rows.iter().find(|(name, _)| *name == load) else {
        eprintln!("{peer} has no load `{load}`");
        exit(2)
    };
    let entry = catalog::find(name).expect("every load stands in the catalogue");
    let report = body(config);
    let sample = Sample {
        load,
        peer: peer.to_owned(),
        workers: config.workers,
        value: report.value,
        unit: entry.unit.to_owned(),
        wall_s: report.span.wall.as_secs_f64(),
        cpu_s: report.span.cpu.as_secs_f64(),
        voluntary: report.span.voluntary,
        involuntary: report.span.involuntary,
        peak_rss: peak_resident_bytes(),
        extra: report.extra.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    };
    let line = serde_json::to_string(&sample).expect("numbers and names");
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("the driver reads our output");
    // SAFETY: `_exit` never returns and runs nothing of ours; the line is flushed.
    unsafe { libc::_exit(0) }
}

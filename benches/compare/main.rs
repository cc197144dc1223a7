//! Runs the peers' processes in turn, load by load, and prints medians, spread and ratios.
//!
//! `cargo run --release -p gorust-benches --bin compare -- --help` says what it takes. What a peer does lives in
//! `peers/`, what a load does in the library; here is only the comparing.

#![allow(clippy::disallowed_methods, reason = "the driver measures nothing by itself; it watches processes")]

mod against;
mod figures;
mod machine;
mod markdown;
mod options;
mod peers;
mod picture;
mod run;
mod text;

use figures::Table;
use gorust_benches::catalog::Load;
use options::{Options, Request};
use peers::Process;
use run::Run;
use std::{collections::HashSet, fs, io::IsTerminal, path::Path, process::exit};

fn main() {
    match Request::from_args(std::env::args().skip(1)) {
        Ok(Request::Print(text)) => println!("{text}"),
        Ok(Request::Compare(options)) => {
            if let Err(error) = compare(&options) {
                eprintln!("compare: {error}");
                exit(1)
            }
        }
        Err(text) => {
            eprintln!("compare: {text}");
            exit(2)
        }
    }
}

fn compare(options: &Options) -> Result<(), String> {
    // Before anything is measured: a file that is not there is no news for after half an hour.
    let against = options.against.as_deref().map(read).transpose()?;
    let run = match &options.from {
        Some(path) => {
            let run = read(path)?;
            options.loads.iter().filter(|load| run.has(load)).for_each(|load| {
                print!("{}", text::block(&Table::new(load, &run)));
            });
            run
        }
        None => measure(options)?,
    };
    println!("{}", text::summary(&run));
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&run).expect("numbers and names");
        write(path, &(text + "\n"))?;
    }
    if let Some(path) = &options.markdown {
        write(path, &markdown::page(&run))?;
    }
    if let Some(path) = &options.svg {
        write(path, &picture::svg(&run)?)?;
    }
    if let Some(then) = &against {
        println!("{}", against::report(then, &run));
    }
    match run.failures.len() {
        0 => Ok(()),
        count => Err(format!("{count} of the runs failed:\n  {}", run.failures.join("\n  "))),
    }
}

fn measure(options: &Options) -> Result<Run, String> {
    let processes = peers::find(options)?;
    let mut run = Run::new(options, &processes);
    if let Some(warning) = run.machine.unquiet() {
        eprintln!("{warning}");
    }
    let loads: Vec<&Load> =
        options.loads.iter().copied().filter(|load| processes.iter().any(|p| p.has(load))).collect();
    let total: usize = loads.iter().map(|load| options.rounds * who_runs(load, &processes).count()).sum();
    if options.rounds < 5 {
        eprintln!("fewer than 5 rounds: their spread tells little");
    }
    let mut progress = Progress { done: 0, total, terminal: std::io::stderr().is_terminal() };
    for load in loads {
        // A peer that failed once is not asked again: it would most likely wait for the timeout in every round.
        let mut failed = HashSet::new();
        for round in 1..=options.rounds {
            for process in who_runs(load, &processes) {
                progress.step(load, process, round, options.rounds);
                if failed.contains(&process.name) {
                    continue;
                }
                match process.run(load, options) {
                    Ok(sample) => run.samples.push(sample),
                    Err(error) => {
                        failed.insert(process.name.clone());
                        run.failures.push(format!("{} {}: {error}", process.name, load.name));
                    }
                }
            }
        }
        progress.clear();
        if run.has(load) {
            print!("{}", text::block(&Table::new(load, &run)));
        }
    }
    Ok(run)
}

fn who_runs<'a>(load: &'a Load, processes: &'a [Process]) -> impl Iterator<Item = &'a Process> {
    processes.iter().filter(|process| process.has(load))
}

fn read(path: &Path) -> Result<Run, String> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}

/// One line on stderr that is written over; where stderr is no terminal, one line a load and round.
struct Progress {
    done: usize,
    total: usize,
    terminal: bool,
}

impl Progress {
    fn step(&mut self, load: &Load, process: &Process, round: usize, rounds: usize) {
        self.done += 1;
        let Self { done, total, terminal } = *self;
        let line = format!("[{done}/{total}] {}: round {round} of {rounds}, {}", load.name, process.name);
        if terminal {
            eprint!("\r\x1b[K{line}");
        } else {
            eprintln!("{line}");
        }
    }

    fn clear(&self) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
    }
}

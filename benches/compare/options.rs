//! The command line.

use gorust_benches::catalog::{self, Group, LOADS, Load};
use std::{path::PathBuf, str::FromStr, time::Duration};

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Request {
    Compare(Options),
    /// Nothing but this text.
    Print(String),
}

/// What to run, how often, and where to write it.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) loads: Vec<&'static Load>,
    /// Names of peers; empty means all that are found.
    pub(crate) peers: Vec<String>,
    pub(crate) workers: usize,
    pub(crate) rounds: usize,
    /// Fraction of the full counts.
    pub(crate) scale: f64,
    /// How long one process may take.
    pub(crate) patience: Duration,
    pub(crate) build: bool,
    pub(crate) json: Option<PathBuf>,
    pub(crate) markdown: Option<PathBuf>,
    pub(crate) svg: Option<PathBuf>,
    /// A file written by `json`, to be shown instead of measuring.
    pub(crate) from: Option<PathBuf>,
    /// A file written by `json`, whose spread this run's medians are held against.
    pub(crate) against: Option<PathBuf>,
}

const HELP: &str = "\
Runs the same loads on gorust and its peers, a process each, in turn (A B C A B C ..), and compares.

usage: compare [options]

  --loads A,B       loads or groups (scheduling, channels, time, io); default: all
  --peers A,B       gorust, tokio, smol, go, epoll, flume, kanal, crossfire, async-channel, parking_lot; default: all found
  --workers N       worker threads, GOMAXPROCS; default: 2
  --rounds N        runs of each load by each peer; default: 5
  --scale F         fraction of the full counts, for a quick look; default: 1
  --timeout SECONDS what one process may take; default: 120
  --no-build        take the peers' programs as they are
  --json FILE       write all samples
  --markdown FILE   write the page
  --svg FILE        draw the picture
  --from FILE       show samples written by --json; nothing is run
  --against FILE    say row by row whether the medians lie within the spread that FILE states
  --list            print the loads
  --help            print this

Go is found by $GO or on the path.";

impl Request {
    /// Reads the command line; the error is a sentence.
    pub(crate) fn from_args(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Options {
            loads: LOADS.iter().collect(),
            peers: Vec::new(),
            workers: 2,
            rounds: 5,
            scale: 1.0,
            patience: Duration::from_secs(120),
            build: true,
            json: None,
            markdown: None,
            svg: None,
            from: None,
            against: None,
        };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--loads" => options.loads = loads(&value()?)?,
                "--peers" => options.peers = value()?.split(',').map(str::to_owned).collect(),
                "--workers" => options.workers = positive(&arg, &value()?)?,
                "--rounds" => options.rounds = positive(&arg, &value()?)?,
                "--scale" => options.scale = positive(&arg, &value()?)?,
                "--timeout" => options.patience = Duration::from_secs(positive(&arg, &value()?)?),
                "--no-build" => options.build = false,
                "--json" => options.json = Some(value()?.into()),
                "--markdown" => options.markdown = Some(value()?.into()),
                "--svg" => options.svg = Some(value()?.into()),
                "--from" => options.from = Some(value()?.into()),
                "--against" => options.against = Some(value()?.into()),
                "--list" => return Ok(Self::Print(list())),
                "--help" => return Ok(Self::Print(HELP.to_owned())),
                _ => return Err(format!("unknown argument `{arg}`; --help lists what there is")),
            }
        }
        Ok(Self::Compare(options))
    }
}

fn positive<N: FromStr + PartialOrd + Default>(name: &str, text: &str) -> Result<N, String> {
    match text.parse() {
        Ok(number) if number > N::default() => Ok(number),
        _ => Err(format!("{name} needs a number above zero, not `{text}`")),
    }
}

/// Loads by name or by group, in the order of the page.
fn loads(text: &str) -> Result<Vec<&'static Load>, String> {
    let names: Vec<&str> = text.split(',').collect();
    for name in &names {
        if catalog::find(name).is_none() && group(name).is_none() {
            return Err(format!("no load or group is called `{name}`; --list prints them"));
        }
    }
    let chosen = |load: &&Load| names.iter().any(|n| *n == load.name || group(n) == Some(load.group));
    Ok(LOADS.iter().filter(chosen).collect())
}

fn group(name: &str) -> Option<Group> {
    match name {
        "scheduling" => Some(Group::Scheduling),
        "channels" => Some(Group::Channels),
        "time" => Some(Group::Time),
        "io" => Some(Group::Io),
        _ => None,
    }
}

fn list() -> String {
    let line = |load: &Load| format!("  {:<20} {}", load.name, load.what);
    Group::ALL
        .iter()
        .flat_map(|group| {
            let rows = LOADS.iter().filter(|load| load.group == *group).map(line);
            std::iter::once(group.title().to_owned()).chain(rows)
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Options, String> {
        match Request::from_args(text.split_whitespace().map(str::to_owned))? {
            Request::Compare(options) => Ok(options),
            Request::Print(text) => panic!("asked for a comparison, not for `{text}`"),
        }
    }

    #[test]
    fn loads_come_by_name_and_by_group_in_the_order_of_the_page() {
        let options = parse("--loads fork,time,spawn_join").unwrap();
        let names: Vec<_> = options.loads.iter().map(|load| load.name).collect();
        assert_eq!(names.first(), Some(&"spawn_join"));
        assert_eq!(names.last(), Some(&"fork"));
        assert!(names.contains(&"sleep_1ms") && !names.contains(&"echo_1"));
    }

    #[test]
    fn bad_values_are_named() {
        assert!(parse("--rounds 0").unwrap_err().contains("`0`"));
        assert!(parse("--loads nothing").unwrap_err().contains("`nothing`"));
        assert!(parse("--workers").unwrap_err().contains("--workers"));
        assert!(parse("--fast").unwrap_err().contains("`--fast`"));
    }
}

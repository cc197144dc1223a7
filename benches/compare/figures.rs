//! From samples to figures: medians, ratios, and whether a goal is met. No printing.

use crate::run::Run;
use gorust_benches::{
    catalog::{Goal, Load},
    sample::Sample,
    stats::{median, spread},
};

/// One row of the comparison: a load, and a line for each peer that ran it.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) load: &'static Load,
    pub(crate) lines: Vec<Line>,
}

/// One peer in one row: medians over the rounds.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) peer: String,
    pub(crate) value: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// The figure of each round.
    pub(crate) rounds: Vec<f64>,
    pub(crate) cpu_s: f64,
    pub(crate) cpus: f64,
    pub(crate) switches: f64,
    pub(crate) peak_mib: f64,
    /// The load's further figures.
    pub(crate) extra: Vec<(String, f64)>,
}

/// How gorust stands in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The goal is met.
    Goal,
    /// No contender is ahead by more than the noise.
    Floor,
    /// Somebody is ahead.
    Behind,
}

/// A lead below this is noise.
pub(crate) const NOISE: f64 = 0.05;

/// Peers whose figures are shown but who set no goal and no floor, and why.
pub(crate) const REFERENCES: [(&str, &str); 4] = [
    ("epoll", "one thread in a bare epoll loop: no tasks, the floor under an echo"),
    ("kanal", "a value on its way to a receive that is dropped is lost, so it cannot stand in a select"),
    ("crossfire", "lock-free and spinning: no order among waiters, no hand-off"),
    ("parking_lot", "it blocks its thread, and may not be held across an await"),
];

fn contends(peer: &str) -> bool {
    REFERENCES.iter().all(|(name, _)| *name != peer)
}

impl Table {
    pub(crate) fn new(load: &'static Load, run: &Run) -> Self {
        let line = |peer: &String| {
            let samples: Vec<&Sample> = run.of(load, peer).collect();
            (!samples.is_empty()).then(|| Line::new(peer, &samples))
        };
        Self { load, lines: run.peers.iter().filter_map(line).collect() }
    }

    /// The line of one peer.
    pub(crate) fn line(&self, peer: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.peer == peer)
    }

    /// What `a` costs as a fraction of `b`: below 1, `a` is ahead, also where more is better.
    fn cost(&self, a: f64, b: f64) -> f64 {
        if self.load.higher_is_better { b / a } else { a / b }
    }

    /// The line's cost as a fraction of another's.
    pub(crate) fn of(&self, line: &Line, other: &Line) -> f64 {
        self.cost(line.value, other.value)
    }

    /// The line's cost as a fraction of tokio's.
    pub(crate) fn of_tokio(&self, line: &Line) -> Option<f64> {
        Some(self.of(line, self.line("tokio")?))
    }

    /// The best contender other than this one.
    fn best_other(&self, line: &Line) -> Option<&Line> {
        self.lines
            .iter()
            .filter(|other| other.peer != line.peer && contends(&other.peer))
            .max_by(|a, b| self.of(line, a).total_cmp(&self.of(line, b)))
    }

    /// The line's cost as a fraction of the best *other* contender's: below 1, it leads.
    pub(crate) fn of_best_other(&self, line: &Line) -> Option<f64> {
        Some(self.of(line, self.best_other(line)?))
    }

    /// The smallest and the largest such fraction of one round, in which the two ran one after the other.
    pub(crate) fn spread_of_best_other(&self, line: &Line) -> Option<(f64, f64)> {
        let rounds = line.rounds.iter().zip(&self.best_other(line)?.rounds);
        let fractions: Vec<f64> = rounds.map(|(own, best)| self.cost(*own, *best)).collect();
        Some(spread(&fractions))
    }

    /// Whether gorust meets its goal; `None` where there is no gorust, or nobody to compare with.
    pub(crate) fn standing(&self) -> Option<Standing> {
        let own = self.line("gorust")?;
        let of_best = self.of_best_other(own);
        let met = match self.load.goal {
            Goal::OfBest(fraction) => of_best? <= fraction,
            Goal::AtMost(figure) => own.value <= figure,
            Goal::HalfwayToEpoll => {
                own.value <= (self.line("tokio")?.value + self.line("epoll")?.value) / 2.0
            }
            Goal::None => of_best? <= 1.0,
        };
        Some(match of_best {
            _ if met => Standing::Goal,
            Some(ratio) if ratio > 1.0 + NOISE => Standing::Behind,
            _ => Standing::Floor,
        })
    }

    /// The goal in words.
    pub(crate) fn goal(&self) -> String {
        match self.load.goal {
            Goal::OfBest(fraction) => format!("{fraction:.2} of best"),
            Goal::AtMost(figure) => format!("{} {}", number(figure), self.load.unit),
            Goal::HalfwayToEpoll => "half of the gap from tokio to epoll".to_owned(),
            Goal::None => "ahead".to_owned(),
        }
    }
}

impl Line {
    fn new(peer: &str, samples: &[&Sample]) -> Self {
        let all = |figure: fn(&Sample) -> f64| samples.iter().map(|s| figure(s)).collect::<Vec<f64>>();
        let values = all(|sample| sample.value);
        let (min, max) = spread(&values);
        let extra = samples[0].extra.keys().map(|name| {
            let values: Vec<f64> = samples.iter().filter_map(|s| s.extra.get(name).copied()).collect();
            (name.clone(), median(&values))
        });
        Self {
            peer: peer.to_owned(),
            value: median(&values),
            min,
            max,
            rounds: values,
            cpu_s: median(&all(|sample| sample.cpu_s)),
            cpus: median(&all(Sample::cpus)),
            switches: median(&all(|sample| sample.switches() as f64)),
            peak_mib: median(&all(|sample| sample.peak_rss as f64 / f64::from(1 << 20))),
            extra: extra.collect(),
        }
    }
}

/// A figure with three digits or more, thousands apart.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        let left = whole.len() - index;
        if index > 0 && left.is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if fraction.is_empty() { grouped } else { format!("{grouped}.{fraction}") }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::machine::Machine;
    use gorust_benches::catalog;

    pub(crate) fn run(load: &str, figures: &[(&str, &[f64])]) -> Run {
        let sample = |peer: &str, value: f64| Sample {
            load: load.to_owned(),
            peer: peer.to_owned(),
            workers: 2,
            value,
            unit: catalog::find(load).unwrap().unit.to_owned(),
            wall_s: 2.0,
            cpu_s: 3.0,
            voluntary: 10,
            involuntary: 1,
            peak_rss: 4 << 20,
            extra: [("p99_us".to_owned(), value * 2.0)].into(),
        };
        Run {
            machine: Machine::default(),
            workers: 2,
            rounds: 3,
            scale: 1.0,
            peers: figures.iter().map(|(peer, _)| (*peer).to_owned()).collect(),
            samples: figures.iter().flat_map(|(peer, v)| v.iter().map(|&v| sample(peer, v))).collect(),
            failures: Vec::new(),
        }
    }

    fn table(load: &str, figures: &[(&str, &[f64])]) -> Table {
        Table::new(catalog::find(load).unwrap(), &run(load, figures))
    }

    #[test]
    fn medians_spread_and_ratios() {
        let table =
            table("spawn_join", &[("gorust", &[60.0, 50.0, 90.0]), ("tokio", &[300.0]), ("smol", &[120.0])]);
        let own = table.line("gorust").unwrap();
        assert_eq!((own.value, own.min, own.max), (60.0, 50.0, 90.0));
        assert_eq!((own.cpu_s, own.cpus, own.switches, own.peak_mib), (3.0, 1.5, 11.0, 4.0));
        assert_eq!(own.extra, [("p99_us".to_owned(), 120.0)]);
        assert_eq!(table.of_tokio(own), Some(0.2));
        assert_eq!(table.of_best_other(own), Some(0.5));
        assert_eq!(table.spread_of_best_other(own), Some((0.5, 0.5)), "of the one round both have");
        assert_eq!(table.of_best_other(table.line("smol").unwrap()), Some(2.0));
        assert_eq!(table.standing(), Some(Standing::Goal));
    }

    #[test]
    fn a_ratio_is_taken_within_a_round() {
        let table = table("spawn_join", &[("gorust", &[50.0, 60.0, 90.0]), ("smol", &[100.0, 110.0, 200.0])]);
        let own = table.line("gorust").unwrap();
        assert_eq!(table.spread_of_best_other(own), Some((0.45, 60.0 / 110.0)));
    }

    #[test]
    fn throughput_turns_the_ratio_around() {
        let table = table("writes_64k", &[("gorust", &[4.0]), ("tokio", &[2.0]), ("smol", &[5.0])]);
        let own = table.line("gorust").unwrap();
        assert_eq!(table.of_tokio(own), Some(0.5));
        assert_eq!(table.of_best_other(own), Some(1.25));
        assert_eq!(table.standing(), Some(Standing::Behind));
    }

    #[test]
    fn references_set_no_floor() {
        let table = table("echo_1", &[("gorust", &[11.0]), ("tokio", &[11.0]), ("epoll", &[8.0])]);
        assert_eq!(table.of_best_other(table.line("gorust").unwrap()), Some(1.0));
        assert_eq!(table.standing(), Some(Standing::Floor));
    }

    #[test]
    fn no_gorust_no_standing() {
        assert_eq!(table("spawn_join", &[("tokio", &[1.0]), ("smol", &[1.0])]).standing(), None);
    }

    #[test]
    fn numbers_have_three_digits_or_more() {
        assert_eq!(number(0.5), "0.50");
        assert_eq!(number(12.345), "12.3");
        assert_eq!(number(123.4), "123");
        assert_eq!(number(1_234_567.8), "1,234,568");
        assert_eq!(number(-123.0), "-123");
    }
}

//! Every row: its name, unit, goal, and what the load does. The one place where a row is described.

/// One row of the comparison.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// The name on the command line and in the samples.
    pub name: &'static str,
    /// The table it stands in.
    pub group: Group,
    /// The unit of its figure.
    pub unit: &'static str,
    /// Whether a larger figure is the better one (throughput).
    pub higher_is_better: bool,
    /// What gorust means to reach.
    pub goal: Goal,
    /// The row's title in tables.
    pub title: &'static str,
    /// What exactly is done, in a sentence or two.
    pub what: &'static str,
}

/// Which table a row stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Spawn, join, yield, hand over.
    Scheduling,
    /// Channels, select and locks.
    Channels,
    /// Sleeps, timeouts, tickers.
    Time,
    /// Sockets, blocked workers, blocking jobs.
    Io,
}

impl Group {
    /// All groups, in the order of the page.
    pub const ALL: [Self; 4] = [Self::Scheduling, Self::Channels, Self::Time, Self::Io];

    /// The heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Scheduling => "Scheduling",
            Self::Channels => "Channels, select, locks",
            Self::Time => "Time",
            Self::Io => "I/O and blocking",
        }
    }
}

/// What gorust means to reach in a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// At most this fraction of the best other peer's cost in the same run.
    OfBest(f64),
    /// At most this figure, in the row's unit.
    AtMost(f64),
    /// At most the midpoint between tokio and the bare epoll loop of the same run.
    HalfwayToEpoll,
    /// Nothing is set for this row.
    None,
}

/// Looks a row up.
pub fn find(name: &str) -> Option<&'static Load> {
    LOADS.iter().find(|load| load.name == name)
}

const fn row(
    group: Group,
    name: &'static str,
    unit: &'static str,
    goal: Goal,
    title: &'static str,
    what: &'static str,
) -> Load {
    Load { name, group, unit, higher_is_better: false, goal, title, what }
}

use Goal::{AtMost, HalfwayToEpoll, OfBest};
use Group::{Channels, Io, Scheduling, Time};

/// All rows, in the order of the page.
pub const LOADS: &[Load] = &[
    row(
        Scheduling,
        "spawn_join",
        "ns",
        OfBest(0.7),
        "spawn+join, waves of 1,000 from a task",
        "One task spawns 3M trivial tasks in waves of 1,000 and awaits each handle.",
    ),
    row(
        Scheduling,
        "spawn_detached",
        "ns",
        OfBest(0.65),
        "spawn detached, 10,000 from a task",
        "One task spawns 10,000 tasks that decrement an atomic; the last fires a oneshot; 200 times.",
    ),
    row(
        Scheduling,
        "spawn_outside_idle",
        "ns",
        OfBest(0.95),
        "spawn from a foreign thread, runtime idle",
        "As spawn detached, from a thread that is no worker, into a runtime with nothing to do.",
    ),
    row(
        Scheduling,
        "spawn_outside_busy",
        "ns",
        OfBest(0.95),
        "the same, workers busy yielding",
        "As before, while as many tasks as workers yield in a loop.",
    ),
    row(
        Scheduling,
        "yield_200",
        "ns",
        OfBest(0.7),
        "yield, 200 tasks",
        "200 tasks yield 30,000 times each; time by all yields.",
    ),
    row(Scheduling, "yield_alone", "ns", OfBest(0.5), "yield, one task alone", "One task yields 2M times."),
    row(
        Scheduling,
        "ping_pong",
        "ns",
        OfBest(0.5),
        "ping-pong: spawn in spawn, two oneshots",
        "1,000 pairs at a time: a task spawns another, and they exchange a oneshot there and one back; 1,000 times; time by pairs.",
    ),
    row(
        Scheduling,
        "chained_spawn",
        "ns",
        OfBest(0.6),
        "chained spawn, 1,000 deep",
        "Each task spawns the next, 1,000 deep, 2,000 times.",
    ),
    row(
        Scheduling,
        "skynet_handles",
        "ns",
        OfBest(0.5),
        "skynet 1M, join handles",
        "A tree of tasks with fan-out 10 and 1M leaves; sums go up through join handles (Go: a WaitGroup and a result slot each); time by tasks.",
    ),
    row(
        Scheduling,
        "skynet_channels",
        "ns",
        OfBest(0.5),
        "skynet 1M, channels",
        "The same tree; sums go up through channels of capacity 10.",
    ),
    row(
        Scheduling,
        "main_round_trip",
        "ns",
        Goal::None,
        "main-to-task round trip",
        "The body of main, as each peer's own `main` runs it, and one task pass a number back and forth over two channels of capacity 1, 30,000 times.",
    ),
    row(
        Scheduling,
        "task_round_trip",
        "ns",
        OfBest(0.5),
        "task-to-task round trip",
        "The same between two tasks, 2M times.",
    ),
    row(
        Scheduling,
        "wait_group",
        "ns",
        OfBest(0.5),
        "WaitGroup of 100,000 tasks",
        "Groups of 100,000 trivial tasks (tokio: TaskTracker; smol: a counter and an Event), 20 times.",
    ),
    row(
        Scheduling,
        "context_tree",
        "ns",
        OfBest(0.35),
        "context tree: create, park, cancel, wake 100,000 leaves",
        "A root, 100 nodes, 1,000 cancellable leaves each with a waiting task: create, park, cancel the root, all wake; 10 times; time by leaves.",
    ),
    row(
        Scheduling,
        "parked_bytes",
        "bytes",
        OfBest(1.0),
        "resident bytes a parked goroutine",
        "1M tasks parked on one event: resident memory after minus before; then all wake and are counted.",
    ),
    row(
        Channels,
        "chan_0",
        "ns",
        OfBest(0.75),
        "rendezvous, 1 to 1",
        "2M numbers from one task to another without a buffer; sums checked.",
    ),
    row(Channels, "chan_1", "ns", OfBest(0.7), "capacity 1, 1 to 1", "2M numbers through a buffer of one."),
    row(Channels, "chan_128", "ns", OfBest(0.75), "capacity 128, 1 to 1", "6M numbers."),
    row(
        Channels,
        "chan_128_4to1",
        "ns",
        OfBest(0.8),
        "capacity 128, 4 to 1",
        "6M numbers from 4 senders to one receiver.",
    ),
    row(
        Channels,
        "chan_128_4to4",
        "ns",
        OfBest(0.8),
        "capacity 128, 4 to 4",
        "6M numbers from 4 senders to 4 receivers.",
    ),
    row(
        Channels,
        "chan_unbounded_4to1",
        "ns",
        OfBest(0.35),
        "unbounded, 4 to 1",
        "6M numbers from 4 senders to one receiver.",
    ),
    row(
        Channels,
        "ring_1",
        "ns",
        OfBest(0.55),
        "ring of 503, capacity 1, per hop",
        "503 tasks in a ring pass one token 2M hops.",
    ),
    row(
        Channels,
        "ring_0",
        "ns",
        OfBest(0.6),
        "ring of 503, rendezvous, per hop",
        "The same without buffers.",
    ),
    row(
        Channels,
        "pinball",
        "ns",
        Goal::None,
        "pinball: tokens in complete graphs of 13, per hop",
        "8 graphs of 13 nodes, 4 tokens each, capacity 16: who receives a token sends it to a random other node of its graph; 2M hops.",
    ),
    row(
        Channels,
        "select_2_128",
        "ns",
        OfBest(0.55),
        "select over 2, capacity 128",
        "One receiver selects over 2 channels, a sender each, 4M numbers.",
    ),
    row(
        Channels,
        "select_2_1",
        "ns",
        OfBest(0.65),
        "select over 2, capacity 1",
        "The same with buffers of one, 2M numbers.",
    ),
    row(
        Channels,
        "select_8",
        "ns",
        OfBest(0.6),
        "select over 8, capacity 128",
        "One receiver selects over 8 channels, a sender each, 4M numbers.",
    ),
    row(
        Channels,
        "select_default",
        "ns",
        OfBest(0.4),
        "select with default, polling",
        "One task polls two channels 20M times by a select with default, a message before every 8th poll. An atomic snapshot: two `try_recv` are none.",
    ),
    row(
        Channels,
        "mutex_alone",
        "ns",
        OfBest(1.0),
        "mutex, uncontended",
        "One task locks, increments and unlocks 20M times.",
    ),
    row(
        Channels,
        "mutex_8",
        "ns",
        OfBest(1.0),
        "mutex, 8 tasks",
        "8 tasks lock, increment and unlock 600,000 times each.",
    ),
    row(
        Time,
        "timeout",
        "ns",
        OfBest(0.35),
        "`timeout(1s, yield)`, created and cancelled",
        "1M times a timeout of a second around one yield (smol: `or` with a Timer; Go: a Timer, `Gosched`, `Stop`).",
    ),
    row(
        Time,
        "sleep_100us",
        "us",
        AtMost(35.0),
        "sleep 100 us: median lateness",
        "1,000 sleeps in sequence on an idle runtime.",
    ),
    row(
        Time,
        "sleep_1ms",
        "us",
        AtMost(50.0),
        "sleep 1 ms: median lateness",
        "1,000 sleeps in sequence on an idle runtime.",
    ),
    row(
        Time,
        "sleeps_1m",
        "ms",
        AtMost(100.0),
        "1M sleeps of 0.5-1.5 s: p99 lateness",
        "1M tasks sleep 0.5 to 1.5 s each, counted from their spawn; spawning included.",
    ),
    row(
        Time,
        "ticker_loaded",
        "us",
        OfBest(1.0),
        "1 ms ticker while 200 tasks spin 50 us between yields: p99 lateness",
        "A fixed schedule, 2,000 ticks: a late tick counts its full lateness, and so do those it held up.",
    ),
    row(
        Io,
        "echo_1",
        "us",
        HalfwayToEpoll,
        "TCP echo 64 B, 1 connection",
        "30,000 round trips of 64 bytes, TCP_NODELAY, client and server tasks in one runtime.",
    ),
    row(
        Io,
        "echo_100",
        "us",
        OfBest(0.9),
        "TCP echo 64 B, 100 connections, per round trip",
        "The same with 100 connections of 1,000 round trips each.",
    ),
    Load {
        higher_is_better: true,
        ..row(
            Io,
            "writes_64k",
            "GB/s",
            OfBest(1.0),
            "one connection, 64 KiB writes",
            "3 GB over one loopback connection in 64 KiB writes, read by a task of the same runtime.",
        )
    },
    row(
        Io,
        "connect",
        "us",
        OfBest(0.9),
        "connect, 1 byte, close",
        "4 clients: 4,000 times connect, write a byte, and wait until the server's task has read it and closed.",
    ),
    row(
        Io,
        "low_load",
        "ms",
        OfBest(1.0),
        "CPU a second at a low load: 1,000 timers and 500 echoes a second",
        "10 tasks that wake every 10 ms, and 5 connections with a round trip of 64 bytes every 10 ms, evenly apart, for 10 s: CPU time of the process, each second. The clients' own timers come on top.",
    ),
    row(
        Io,
        "ticker_blocked",
        "ms",
        AtMost(6.0),
        "1 ms ticker while every worker's thread sleeps 200 ms: p99 lateness",
        "As many tasks as workers put their OS thread to sleep for 200 ms, 5 times, with yields between (Go: nanosleep as a system call).",
    ),
    row(
        Io,
        "ticker_busy",
        "ms",
        AtMost(14.0),
        "the same with 100 ms busy loops",
        "As before, but each computes for 100 ms, 10 times.",
    ),
    row(
        Io,
        "blocking_job",
        "ns",
        AtMost(1_500.0),
        "trivial blocking job",
        "100,000 empty jobs handed to the blocking pool in waves of 100.",
    ),
    row(
        Io,
        "blocking_in_place",
        "ns",
        AtMost(50.0),
        "a blocking section in place",
        "A task declares an empty section as blocking and runs it where it is, 200,000 times (tokio: `block_in_place`). Nothing blocks: it is the price of saying so.",
    ),
    row(
        Io,
        "asleep_bytes",
        "bytes",
        OfBest(0.9),
        "resident bytes a sleeping goroutine",
        "1M tasks in a sleep of an hour: resident memory after minus before.",
    ),
    row(
        Io,
        "fork",
        "ms",
        AtMost(5.5),
        "fork: `h = go(cpu 5 ms); cpu 5 ms; h.await`",
        "A task spawns 5 ms of computing, computes 5 ms itself, and joins: 5 ms if a second worker took it, 10 if not. The median of 100.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        for (index, load) in LOADS.iter().enumerate() {
            assert!(LOADS[..index].iter().all(|other| other.name != load.name), "{} stands twice", load.name);
        }
    }
}

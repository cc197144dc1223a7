//! A million goroutines, all waiting for the same event, and what each of them costs in memory.
//!
//! ```text
//! cargo run --release --example million             (or another number of goroutines as the argument)
//! ```

use gorust::{prelude::*, time::Instant};
use std::{error::Error, fs, sync::LazyLock};

// var arrived, gate sync.WaitGroup
static ARRIVED: LazyLock<WaitGroup> = LazyLock::new(WaitGroup::new);
static GATE: LazyLock<WaitGroup> = LazyLock::new(WaitGroup::new);

/// Goroutines are started in waves, each of which has arrived before the next begins: what is measured is then
/// goroutines that wait, and no queue of goroutines still to run.
const WAVE: usize = 10_000;

#[gorust::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let count: usize = match std::env::args().nth(1) {
        Some(text) => text.parse().map_err(|_| format!("`{text}` is no number of goroutines"))?,
        None => 1_000_000,
    };

    GATE.add(1);
    let before = resident_bytes()?;
    let start = Instant::now();
    let mut waiting = 0;
    while waiting < count {
        let wave = WAVE.min(count - waiting);
        ARRIVED.add(wave);
        for _ in 0..wave {
            go(async {
                ARRIVED.done();
                GATE.wait().await;
                ARRIVED.done();
            });
        }
        ARRIVED.wait().await;
        waiting += wave;
        if waiting % 100_000 == 0 {
            println!("{waiting} goroutines wait");
        }
    }
    let started = start.elapsed();
    let bytes = resident_bytes()?.saturating_sub(before);
    println!(
        "{count} goroutines were started in {started:.1?}; the runtime counts {}",
        gorust::runtime::num_goroutines()
    );

    // Open the gate, and wait until the last one is through.
    let start = Instant::now();
    ARRIVED.add(count);
    GATE.done();
    ARRIVED.wait().await;
    println!("all woke up and ended in {:.1?}", start.elapsed());
    println!("{count} goroutines, {} bytes each", bytes / count.max(1) as u64);
    Ok(())
}

/// The memory this process has in RAM: the second number of `/proc/self/statm`, in pages of 4 KiB.
fn resident_bytes() -> Result<u64, Box<dyn Error>> {
    let statm = fs::read_to_string("/proc/self/statm")
        .map_err(|error| format!("reading /proc/self/statm (Linux only): {error}"))?;
    let pages: u64 =
        statm.split_whitespace().nth(1).ok_or("/proc/self/statm has no second number")?.parse()?;
    Ok(pages * 4096)
}

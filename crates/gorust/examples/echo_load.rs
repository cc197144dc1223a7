//! Thousands of connections to `echo_server`, all open at the same time, with a goroutine for each.
//!
//! ```text
//! cargo run --release --example echo_load                (or: echo_load 500 127.0.0.1:7007)
//! ```

use gorust::{
    net::{self, TcpStream},
    prelude::*,
    time::Instant,
};
use std::{error::Error, io, process::ExitCode};

/// How many connections are being made at a time: the listener's queue is not endless.
const CONNECTING: usize = 100;
/// How often each connection sends a line and reads it back.
const ROUNDS: usize = 10;
/// File descriptors for everything that is no connection.
const SPARE: u64 = 64;

#[gorust::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let args: Vec<String> = std::env::args().collect();
    let mut wanted: usize = match args.get(1) {
        Some(text) => text.parse().map_err(|_| format!("`{text}` is no number of connections"))?,
        None => 9_000,
    };
    let address = args.get(2).map_or("127.0.0.1:7007", String::as_str).to_owned();

    let descriptors = net::raise_fd_limit()?;
    println!("this process may open {descriptors} file descriptors");
    let room = usize::try_from(descriptors.saturating_sub(SPARE))?;
    if room < wanted {
        println!(
            "that is too few for {wanted} connections: going on with {room} (`ulimit -Hn` shows the limit)"
        );
        wanted = room;
    }

    let begin = Instant::now();
    let (enter, leave) = chan::<()>(CONNECTING); // a channel as semaphore, as Go's programmers use it
    let mut connecting = Vec::with_capacity(wanted);
    for begun in 1..=wanted {
        enter.send(()).await?;
        let (address, leave) = (address.clone(), leave.clone());
        connecting.push(go(async move {
            let stream = TcpStream::connect(address).await;
            leave.recv().await;
            stream
        }));
        if begun % 1000 == 0 {
            println!("{begun} connections begun");
        }
    }
    let mut streams = Vec::with_capacity(wanted);
    let mut errors = 0;
    for stream in connecting {
        match stream.await? {
            Ok(stream) => streams.push(stream),
            Err(error) => count(&mut errors, &error),
        }
    }
    if streams.is_empty() {
        return Err(format!("nobody answers at {address}: is echo_server running?").into());
    }
    let open = streams.len();
    println!("{open} connections are open at the same time, after {:.1?}", begin.elapsed());

    let begin = Instant::now();
    let clients: Vec<_> = streams.into_iter().map(|stream| go(talk(stream))).collect();
    let mut echoes = 0;
    for client in clients {
        match client.await? {
            Ok(rounds) => echoes += rounds,
            Err(error) => count(&mut errors, &error),
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    println!("{:.0} round trips a second", echoes as f64 / seconds);
    println!("{open} connections, {echoes} echoes, {errors} errors");
    Ok(if errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Counts an error, and shows the first few.
fn count(errors: &mut usize, error: &io::Error) {
    *errors += 1;
    if *errors <= 3 {
        println!("a connection failed: {error}");
    }
}

/// Sends a line and reads it back, `ROUNDS` times. A server that does not answer for half a minute is an error.
async fn talk(mut stream: TcpStream) -> io::Result<usize> {
    let line = *b"the quick brown fox jumps over the lazy dog\n";
    let mut back = [0; 44];
    for _ in 0..ROUNDS {
        let round = async {
            stream.write_all(&line).await?;
            stream.read_exact(&mut back).await
        };
        timeout(Duration::from_secs(30), round).await.map_err(|_| io::ErrorKind::TimedOut)??;
        if back != line {
            return Err(io::Error::other("the server sent back something else"));
        }
    }
    Ok(ROUNDS)
}

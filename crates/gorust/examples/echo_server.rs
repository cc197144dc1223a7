//! A TCP echo server with a goroutine for each connection. `echo_load` is its client.
//!
//! ```text
//! cargo run --release --example echo_server              (or another address as the argument)
//! cargo run --release --example echo_load                in a second terminal
//! ```
//!
//! It ends when it had connections and the last one has been gone for two seconds, or when nobody came for a minute.

use gorust::{
    net::{self, TcpListener, TcpStream},
    prelude::*,
    sync::Mutex,
};
use std::{io, sync::Arc};

/// Every connection needs a file descriptor, and the runtime a few.
#[derive(Default)]
struct Tally {
    open: usize,
    most: usize,
    served: usize,
    bytes: usize,
}

#[gorust::main]
async fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7007".to_owned());
    let descriptors = net::raise_fd_limit()?;
    let listener = TcpListener::bind(&address).await?;
    println!("listening on {}, with room for {descriptors} file descriptors", listener.local_addr()?);

    let tally = Arc::new(Mutex::new(Tally::default()));
    let mut quiet = 0;
    loop {
        // In Go: listener.SetDeadline and a test for os.ErrDeadlineExceeded. Here any future can be given up: a
        // connection that arrives in the last moment is taken by the next `accept`.
        match timeout(Duration::from_secs(1), listener.accept()).await {
            Ok(Ok((stream, _peer))) => {
                quiet = 0;
                let tally = Arc::clone(&tally);
                go(async move {
                    {
                        let mut tally = tally.lock().await;
                        tally.open += 1;
                        tally.most = tally.most.max(tally.open);
                        if tally.open % 1000 == 0 && tally.open == tally.most {
                            println!("{} connections are open", tally.open);
                        }
                    }
                    // A peer that resets its connection is no reason to say anything.
                    let bytes = echo(stream).await.unwrap_or(0);
                    let mut tally = tally.lock().await;
                    tally.open -= 1;
                    tally.served += 1;
                    tally.bytes += bytes;
                });
            }
            // Out of file descriptors, for one. The next `accept` waits a little by itself before it tries again.
            Ok(Err(error)) => eprintln!("accept: {error}"),
            Err(_elapsed) => {
                quiet += 1;
                let tally = tally.lock().await;
                if tally.open == 0 && (quiet >= 60 || (tally.served > 0 && quiet >= 2)) {
                    let Tally { most, served, bytes, .. } = *tally;
                    println!(
                        "served {served} connections, {most} of them at the same time, and {bytes} bytes"
                    );
                    return Ok(());
                }
            }
        }
    }
}

/// Sends back what comes until the peer has said all; returns how many bytes that was.
async fn echo(mut stream: TcpStream) -> io::Result<usize> {
    let mut total = 0;
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(total),
            count => {
                stream.write_all(&buffer[..count]).await?;
                total += count;
            }
        }
    }
}

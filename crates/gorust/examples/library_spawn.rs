//! A library that starts goroutines, used from `main`, from a plain thread, and from inside tokio. It asks its
//! callers for nothing: no handle, no attribute, no runtime that must be there first.
//!
//! ```text
//! cargo run --release --example library_spawn
//! ```

use gorust::prelude::*;
use std::{error::Error, thread};

/// Stands for a crate of its own.
mod mailer {
    use gorust::{JoinHandle, prelude::*};

    /// Sends an e-mail in the background.
    ///
    /// `go` works on any thread. If no runtime is current it uses the global one, and starts it at the first call.
    pub(crate) fn send(to: &'static str) -> JoinHandle<String> {
        go(async move {
            sleep(Duration::from_millis(50)).await;
            format!("sent to {to}")
        })
    }
}

#[gorust::main]
async fn main() -> Result<(), Box<dyn Error>> {
    println!("from main:           {}", mailer::send("ada@example.com").await?);

    // From a plain thread, which may wait for a goroutine with `block_on` and reach one through a channel.
    let (results, inbox) = chan(0);
    let sender = results.clone();
    thread::spawn(move || {
        let sent = gorust::block_on(mailer::send("grace@example.com"));
        sender.send_blocking(sent)
    });
    println!("from a plain thread: {}", inbox.recv().await.ok_or("the thread ended without a word")??);

    // From a task of tokio, on tokio's own threads: handles, sleeps and channels are futures like any other. This
    // tokio runtime has not even a timer of its own.
    thread::spawn(move || {
        let tokio = tokio::runtime::Builder::new_current_thread().build().expect("a tokio runtime starts");
        tokio.block_on(async move {
            let task = tokio::spawn(async move {
                sleep(Duration::from_millis(10)).await;
                results.send(mailer::send("barbara@example.com").await).await
            });
            let _ = task.await;
        });
    });
    println!("from inside tokio:   {}", inbox.recv().await.ok_or("tokio ended without a word")??);

    println!("one library, three homes, no handle passed");
    Ok(())
}

//! The peers' programs: building them, finding them, running one.

use crate::options::Options;
use gorust_benches::{catalog::Load, sample::Sample};
use std::{
    env,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
};

/// A peer's program, and the loads it has.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) name: String,
    program: PathBuf,
    /// Stands before the load's name.
    prefix: Option<&'static str>,
    loads: Vec<String>,
}

/// Every peer: its name, its program, and the argument that chooses it there.
const PEERS: [(&str, &str, Option<&str>); 10] = [
    ("gorust", "peer-gorust", None),
    ("tokio", "peer-tokio", None),
    ("smol", "peer-smol", None),
    ("go", "peer-go", None),
    ("epoll", "peer-epoll", None),
    ("flume", "peer-channels", Some("flume")),
    ("kanal", "peer-channels", Some("kanal")),
    ("crossfire", "peer-channels", Some("crossfire")),
    ("async-channel", "peer-channels", Some("async-channel")),
    ("parking_lot", "peer-channels", Some("parking_lot")),
];

/// Builds the peers unless told not to, and asks each chosen one for its loads.
pub(crate) fn find(options: &Options) -> Result<Vec<Process>, String> {
    if let Some(name) = options.peers.iter().find(|name| PEERS.iter().all(|(peer, ..)| peer != name)) {
        return Err(format!("no peer is called `{name}`; --help lists them"));
    }
    let chosen = |name: &str| options.peers.is_empty() || options.peers.iter().any(|peer| peer == name);
    let beside = env::current_exe().map_err(|e| e.to_string())?;
    let beside = beside.parent().expect("a program lies in a directory");
    if options.build {
        build_rust(beside)?;
        if chosen("go") {
            build_go(beside)?;
        }
    }
    let mut found = Vec::new();
    for (name, program, prefix) in PEERS.iter().filter(|(name, ..)| chosen(name)) {
        let program = beside.join(program);
        // Go alone may be missing: its toolchain is no part of Rust's.
        if !program.exists() && *name == "go" {
            eprintln!(
                "go: skipped, no program {} (no Go toolchain by $GO or on the path)",
                program.display()
            );
            continue;
        }
        let output = Command::new(&program)
            .args(*prefix)
            .arg("--list")
            .output()
            .map_err(|e| format!("{}: {e}", program.display()))?;
        let loads = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
        found.push(Process { name: (*name).to_owned(), program, prefix: *prefix, loads });
    }
    Ok(found)
}

/// The package's folder, where `go/` lies.
pub(crate) fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Go toolchain: `$GO`, or `go` on the path.
pub(crate) fn go() -> Command {
    Command::new(env::var_os("GO").unwrap_or_else(|| "go".into()))
}

fn build_rust(beside: &Path) -> Result<(), String> {
    let profile = match beside.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let target = beside.parent().expect("target/PROFILE");
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--bins", "--profile", profile, "--manifest-path"])
        .arg(package().join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target)
        .status()
        .map_err(|e| format!("cargo: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("cargo build: {status}")) }
}

/// Builds the Go peer where there is a toolchain; where there is none, a program of an earlier build goes too, so that
/// no stale one is measured.
fn build_go(beside: &Path) -> Result<(), String> {
    let program = beside.join("peer-go");
    let built = go().arg("build").arg("-o").arg(&program).arg(".").current_dir(package().join("go")).status();
    match built {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("go build: {status}")),
        Err(_) => {
            let _ = std::fs::remove_file(program);
            Ok(())
        }
    }
}

impl Process {
    /// Whether the peer has this load.
    pub(crate) fn has(&self, load: &Load) -> bool {
        self.loads.iter().any(|name| name == load.name)
    }

    /// Runs the load once, and ends it where it takes longer than the options allow.
    pub(crate) fn run(&self, load: &Load, options: &Options) -> Result<Sample, String> {
        let mut child = Command::new(&self.program)
            .args(self.prefix)
            .arg(load.name)
            .args(["--workers", &options.workers.to_string(), "--scale", &options.scale.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("{}: {e}", self.program.display()))?;
        let mut stdout = child.stdout.take().expect("piped");
        let child = Arc::new(Mutex::new(child));
        // The watchdog ends when `over` is dropped, or kills the child when patience does.
        let (over, waiting) = mpsc::channel::<()>();
        let watchdog = thread::spawn({
            let (child, patience) = (child.clone(), options.patience);
            move || {
                let late = waiting.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout);
                if late {
                    let _ = child.lock().unwrap().kill();
                }
                late
            }
        });
        let mut line = String::new();
        let read = stdout.read_to_string(&mut line);
        let status = child.lock().unwrap().wait().map_err(|e| e.to_string())?;
        drop(over);
        if watchdog.join().expect("the watchdog does not panic") {
            return Err(format!("no answer within {:?}", options.patience));
        }
        read.map_err(|e| e.to_string())?;
        if !status.success() {
            return Err(status.to_string());
        }
        let sample: Sample = serde_json::from_str(&line).map_err(|e| format!("{e} in `{line}`"))?;
        if sample.unit != load.unit || sample.load != load.name || sample.peer != self.name {
            return Err(format!("answered for {} of {} in {}", sample.load, sample.peer, sample.unit));
        }
        Ok(sample)
    }
}

//! Counts the instructions of gorust's hot paths under valgrind, and the atomics among them, and compares them with the
//! figures that are kept.
//!
//! Unlike times, counts are the same from run to run: a growth by a few per cent is a change of the code, not of the
//! weather. `--help` says what it takes. What a path does lives in the library, in `hot.rs`.

#![allow(clippy::disallowed_methods, reason = "the clock is this program's own, and it measures no time")]

mod callgrind;
mod clock;
mod figures;

use figures::Figures;
use gorust_benches::hot::{self, PATHS, Path};
use std::{fs, process::exit};

const HELP: &str = "\
Counts the instructions of gorust's hot paths under valgrind.

usage: instructions [what]

  (nothing)       count, and show beside the file's figures
  --check         the same, and fail if one has grown: instructions by more than 5 %, atomics by one
  --bless         count, and write the file
  --profile PATH  leave a file for callgrind_annotate
  --help          print this

The file is benches/instructions.txt. Counts depend on the compiler: bless with the one CI has.";

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.txt");

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match args[..] {
        [] => show(false),
        ["--check"] => show(true),
        ["--bless"] => bless(),
        ["--profile", name] => find(name).and_then(callgrind::profile).map(|file| {
            println!("callgrind_annotate {}", file.display());
        }),
        ["--help"] => {
            println!("{HELP}");
            Ok(())
        }
        [callgrind::RUN, name, count] => find(name).and_then(|path| run(path, count)),
        _ => Err(HELP.to_owned()),
    };
    if let Err(error) = outcome {
        eprintln!("instructions: {error}");
        exit(1)
    }
}

fn find(name: &str) -> Result<&'static Path, String> {
    PATHS.iter().find(|path| path.name == name).ok_or_else(|| {
        let names: Vec<&str> = PATHS.iter().map(|path| path.name).collect();
        format!("no path is called `{name}`; there are {}", names.join(", "))
    })
}

/// What runs under valgrind. The runtime stays: its end is nobody's figure.
fn run(path: &Path, count: &str) -> Result<(), String> {
    let count = count.parse().map_err(|error| format!("`{count}`: {error}"))?;
    clock::simulate();
    let runtime = hot::runtime();
    (path.run)(&runtime, count);
    // SAFETY: it never returns, and runs nothing of ours.
    unsafe { libc::_exit(0) }
}

fn count() -> Result<Figures, String> {
    let figure = |path: &Path| {
        eprintln!("counting {}", path.name);
        Ok((path.name.to_owned(), callgrind::figure(path)?))
    };
    PATHS.iter().map(figure).collect()
}

fn show(check: bool) -> Result<(), String> {
    let text = fs::read_to_string(FILE).map_err(|error| format!("{FILE}: {error}"))?;
    let (table, wrong) = figures::compare(&figures::read(&text)?, &count()?);
    println!("{table}");
    if !text.contains(&made_with()) {
        println!("The file was made with another compiler; this is {}.", made_with());
    }
    match (wrong.len(), check) {
        (0, _) => println!("{} paths, none has grown", PATHS.len()),
        (_, false) => println!("{}", wrong.join("\n")),
        (_, true) => {
            return Err(format!(
                "{}\nIf that is meant, or the compiler is another: --bless, in the same commit.",
                wrong.join("\n")
            ));
        }
    }
    Ok(())
}

fn bless() -> Result<(), String> {
    let text = figures::write(&count()?, &made_with());
    fs::write(FILE, &text).map_err(|error| format!("{FILE}: {error}"))?;
    print!("{text}");
    Ok(())
}

/// The compiler, which has its share in every figure.
fn made_with() -> String {
    let output = std::process::Command::new("rustc").arg("--version").output();
    output.map_or_else(
        |_| "rustc unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

//! What no lint checks: every file says what it is, dependencies follow the chain of crates, links in documents lead
//! somewhere, every source file is compiled, and CI runs the documented commands.
//!
//! Each rule is a function from text to complaints, so that a second test can show it something bad.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Each crate knows only what stands on its left. The facade is last; the macros stand beside the chain.
const CHAIN: [&str; 6] =
    ["gorust-primitives", "gorust-reactor", "gorust-scheduler", "gorust-sync", "gorust-os", "gorust"];
const BESIDE: &str = "gorust-macros";
/// They may use every crate; no crate uses them.
const CONSUMERS: [&str; 2] = ["gorust-benches", "gorust-tests"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace is one up")
}

/// Every file below the workspace's root whose name ends in `ending`, relative to it.
fn files(ending: &str) -> Vec<PathBuf> {
    fn walk(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder can be read") {
            let path = entry.expect("an entry can be read").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() {
                if name != "target" && name != ".git" {
                    walk(&path, ending, found);
                }
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    let (root, mut found) = (root(), Vec::new());
    walk(&root, ending, &mut found);
    found.sort();
    found.into_iter().map(|path| path.strip_prefix(&root).expect("it lies below").to_owned()).collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn complain(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

// ---- Every file opens with `//!`, and a TODO names its issue.

fn file_complaints(path: &Path, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    if !text.starts_with("//! ") {
        complaints.push(format!("{}:1: a file opens with `//!` and what lives in it", path.display()));
    }
    for (number, line) in text.lines().enumerate() {
        for mark in ["TODO", "FIXME"] {
            let marked = line.split_once("//").is_some_and(|(_, comment)| {
                // Not `context.TODO`, which is a name of Go's.
                comment.trim_start_matches(['/', '!', ' ']).starts_with(mark)
            });
            if marked && !line.contains("(#") {
                let number = number + 1;
                complaints
                    .push(format!("{}:{number}: {mark} without an issue: write {mark}(#12)", path.display()));
            }
        }
    }
    complaints
}

#[test]
fn every_file_says_what_it_is() {
    let sources = files(".rs");
    assert!(sources.len() > 20, "only {} files were found", sources.len());
    let this = Path::new("tests/tests/tidy.rs");
    let read = |path: &PathBuf| if path == this { String::from("//! This.") } else { read(path) };
    complain(&sources.iter().flat_map(|path| file_complaints(path, &read(path))).collect::<Vec<_>>());
}

#[test]
fn a_file_that_says_nothing_is_seen() {
    let path = Path::new("x.rs");
    assert_eq!(file_complaints(path, "use std::fs;\n//! late").len(), 1);
    assert_eq!(file_complaints(path, "//! Things.\n// TODO: more\nlet x = 1; // FIXME(#3): less").len(), 1);
}

// ---- Dependencies follow the chain, and what ships takes its versions from the workspace.

/// The package's name, and each dependency line with the table it stands in.
fn manifest(text: &str) -> (String, Vec<(String, String)>) {
    let (mut name, mut section, mut dependencies) = (String::new(), String::new(), Vec::new());
    for line in text.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']').to_owned();
        } else if section == "package" && line.starts_with("name = ") {
            name = line.trim_start_matches("name = ").trim_matches('"').to_owned();
        } else if section.ends_with("dependencies") && !line.is_empty() && !line.starts_with('#') {
            dependencies.push((section.clone(), line.to_owned()));
        }
    }
    (name, dependencies)
}

fn manifest_complaints(path: &Path, text: &str) -> Vec<String> {
    let (name, dependencies) = manifest(text);
    let path = path.display();
    let mut complaints = Vec::new();
    let place = |name: &str| CHAIN.iter().position(|link| *link == name);
    for (section, line) in dependencies {
        let dependency = line.split([' ', '=', '.']).next().unwrap_or_default();
        // Peers that only the benches are compared with may stand there alone.
        if !line.contains("workspace = true") && !CONSUMERS.contains(&name.as_str()) {
            complaints
                .push(format!("{path}: [{section}] {dependency}: its version belongs in the workspace"));
        }
        if !dependency.starts_with("gorust") {
            continue;
        }
        let allowed = CONSUMERS.contains(&name.as_str())
            || match (place(&name), place(dependency)) {
                (Some(user), Some(used)) => used < user,
                (Some(user), None) => dependency == BESIDE && user == CHAIN.len() - 1,
                (None, _) => false,
            };
        if !allowed {
            complaints.push(format!(
                "{path}: [{section}] {name} may not know {dependency}: {}",
                CHAIN.join(" -> ")
            ));
        }
    }
    if !text.contains("[lints]\nworkspace = true") {
        complaints.push(format!("{path}: `[lints] workspace = true` is missing"));
    }
    if !CHAIN.contains(&name.as_str()) && !CONSUMERS.contains(&name.as_str()) && name != BESIDE {
        complaints.push(format!("{path}: {name} has no place in the chain"));
    }
    complaints
}

#[test]
fn dependencies_follow_the_chain() {
    let manifests: Vec<_> =
        files("Cargo.toml").into_iter().filter(|path| path.components().count() > 1).collect();
    assert_eq!(manifests.len(), CHAIN.len() + 1 + CONSUMERS.len(), "{manifests:?}");
    complain(&manifests.iter().flat_map(|path| manifest_complaints(path, &read(path))).collect::<Vec<_>>());
}

#[test]
fn an_arrow_that_points_right_is_seen() {
    let complaints = |name: &str, dependency: &str| {
        let text = format!(
            "[package]\nname = \"{name}\"\n[lints]\nworkspace = true\n[dependencies]\n{dependency}\n"
        );
        manifest_complaints(Path::new("x/Cargo.toml"), &text).len()
    };
    assert_eq!(complaints("gorust-sync", "gorust-scheduler = { workspace = true }"), 0);
    assert_eq!(complaints("gorust-reactor", "gorust-scheduler = { workspace = true }"), 1);
    assert_eq!(complaints("gorust-reactor", "gorust-macros.workspace = true"), 1);
    assert_eq!(complaints("gorust-macros", "gorust-primitives = { workspace = true }"), 1);
    assert_eq!(complaints("gorust", "gorust-tests = { workspace = true }"), 1);
    assert_eq!(complaints("gorust", "libc = \"0.2\""), 1);
    assert_eq!(complaints("gorust-more", ""), 1);
}

// ---- Atomics and fences come from the shim, so that the model checkers see them. (Clippy sees through re-exports.)

fn atomic_complaints(path: &Path, text: &str) -> Vec<String> {
    let name = path.to_string_lossy();
    let is_ours = name.starts_with("crates/") && name.contains("/src/") && !name.ends_with("shim.rs");
    let argued = |number: usize| {
        text.lines().skip(number.saturating_sub(3)).take(3).any(|line| line.contains("// Std's:"))
    };
    text.lines()
        .enumerate()
        .filter(|(number, line)| is_ours && line.contains("sync::atomic") && !argued(*number))
        .map(|(number, _)| {
            format!(
                "{name}:{}: take it from gorust_primitives::shim, or say why not (`// Std's:`)",
                number + 1
            )
        })
        .collect()
}

#[test]
fn atomics_come_from_the_shim() {
    complain(&files(".rs").iter().flat_map(|path| atomic_complaints(path, &read(path))).collect::<Vec<_>>());
}

#[test]
fn an_atomic_of_std_is_seen() {
    let path = Path::new("crates/sync/src/once.rs");
    assert_eq!(atomic_complaints(path, "use std::sync::atomic::AtomicU8;\n").len(), 1);
    assert_eq!(atomic_complaints(path, "// Std's: a counter.\nuse std::sync::atomic::AtomicU8;\n").len(), 0);
    assert_eq!(atomic_complaints(Path::new("crates/primitives/src/shim.rs"), "std::sync::atomic").len(), 0);
}

#[test]
fn the_readme_names_every_crate() {
    let readme = read(Path::new("README.md"));
    for entry in fs::read_dir(root().join("crates")).expect("there are crates") {
        let name = entry.expect("an entry can be read").file_name().to_string_lossy().into_owned();
        assert!(readme.contains(&format!("crates/{name}")), "README.md: the map lacks crates/{name}");
    }
}

// ---- Links in documents lead somewhere.

/// The text without fenced and inline code, in which brackets mean something else.
fn prose(text: &str) -> String {
    let (mut prose, mut fenced) = (String::new(), false);
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            prose.extend(line.split('`').step_by(2));
            prose.push('\n');
        }
    }
    prose
}

/// The names under which a document's headings can be linked to.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let mut anchors = BTreeSet::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced && line.starts_with('#') {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            anchors.insert(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
        }
    }
    anchors
}

/// `open` gives a target's text, an empty one for a folder, `None` if it is not there.
fn link_complaints(path: &Path, text: &str, open: impl Fn(&Path) -> Option<String>) -> Vec<String> {
    let mut complaints = Vec::new();
    for link in prose(text).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        if link.contains("://") || link.starts_with("mailto:") {
            continue;
        }
        let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
        let target = if file.is_empty() {
            Some(text.to_owned())
        } else {
            open(&path.parent().unwrap_or(Path::new("")).join(file))
        };
        match target {
            None => complaints.push(format!("{}: nothing is at `{link}`", path.display())),
            Some(text) if !anchor.is_empty() && !anchors(&text).contains(anchor) => {
                complaints.push(format!("{}: no heading `{anchor}` for `{link}`", path.display()));
            }
            Some(_) => {}
        }
    }
    complaints
}

#[test]
fn links_lead_somewhere() {
    let open = |path: &Path| {
        let path = root().join(path);
        if path.is_dir() { Some(String::new()) } else { fs::read_to_string(path).ok() }
    };
    let documents = files(".md");
    let links: usize = documents.iter().map(|path| prose(&read(path)).matches("](").count()).sum();
    assert!(links > 10, "only {links} links were found in {documents:?}");
    complain(&documents.iter().flat_map(|path| link_complaints(path, &read(path), open)).collect::<Vec<_>>());
}

#[test]
fn a_broken_link_is_seen() {
    let open =
        |path: &Path| (path == Path::new("docs/a.md")).then(|| String::from("# One\n## Two, or: 3 `x`"));
    let complaints = |text: &str| link_complaints(Path::new("docs/b.md"), text, open).len();
    assert_eq!(complaints("[a](a.md) [b](a.md#two-or-3-x) [c](https://a.b/c) `[d](e.md)`"), 0);
    assert_eq!(complaints("# Here\n[a](#here)\n```\n[a](gone.md)\n```"), 0);
    assert_eq!(complaints("[a](gone.md)"), 1);
    assert_eq!(complaints("[a](a.md#three)"), 1);
    assert_eq!(complaints("[a](#here)"), 1);
}

// ---- Every source file is compiled.

/// The files that `mod` lines lead to from `roots`, the roots among them.
fn reachable(roots: &[PathBuf], sources: &BTreeMap<PathBuf, String>) -> BTreeSet<PathBuf> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<PathBuf> = roots.to_vec();
    while let Some(path) = open.pop() {
        let Some(text) = sources.get(&path) else { continue };
        if !reached.insert(path.clone()) {
            continue;
        }
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        // A crate's root and `mod.rs` look for their modules beside them, any other file in a folder of its name.
        let inner = if roots.contains(&path) || path.ends_with("mod.rs") {
            folder.clone()
        } else {
            path.with_extension("")
        };
        let mut named = None;
        for line in text.lines().map(str::trim) {
            if let Some(rest) = line.strip_prefix("#[path = \"") {
                named = rest.split('"').next().map(|name| folder.join(name));
            }
            let words: Vec<&str> = line.strip_suffix(';').unwrap_or_default().split_whitespace().collect();
            if let [.., "mod", name] = words[..] {
                open.extend(named.take());
                open.push(inner.join(format!("{name}.rs")));
                open.push(inner.join(name).join("mod.rs"));
            }
        }
    }
    reached
}

/// The files cargo compiles by itself: libraries, programs, examples, tests, benches, and what the manifest names.
fn roots(package: &Path, manifest: &str, sources: &BTreeMap<PathBuf, String>) -> Vec<PathBuf> {
    let named = manifest.lines().filter_map(|line| line.trim().strip_prefix("path = \""));
    let named: Vec<PathBuf> =
        named.filter_map(|rest| rest.split('"').next()).map(|name| package.join(name)).collect();
    let is_root = |path: &Path| {
        let Ok(inside) = path.strip_prefix(package) else { return false };
        let parts: Vec<_> = inside.components().map(|part| part.as_os_str().to_string_lossy()).collect();
        let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
        matches!(
            parts[..],
            ["build.rs"]
                | ["src", "lib.rs" | "main.rs"]
                | ["src", "bin", _]
                | ["src", "bin", _, "main.rs"]
                | ["examples" | "tests" | "benches", _]
                | ["examples" | "tests" | "benches", _, "main.rs"]
        ) || named.iter().any(|name| name == path)
    };
    sources.keys().filter(|path| is_root(path)).cloned().collect()
}

#[test]
fn every_source_file_is_compiled() {
    let sources: BTreeMap<PathBuf, String> =
        files(".rs").into_iter().map(|path| (path.clone(), read(&path))).collect();
    let mut reached = BTreeSet::new();
    for path in files("Cargo.toml") {
        let package = path.parent().unwrap_or(Path::new(""));
        reached.append(&mut reachable(&roots(package, &read(&path), &sources), &sources));
    }
    // Each of these is compiled by tests/tests/ui.rs, as a program of its own.
    let ui = Path::new("tests/ui");
    let dead = sources.keys().filter(|path| !reached.contains(*path) && !path.starts_with(ui));
    complain(&dead.map(|path| format!("{}: no `mod` leads here", path.display())).collect::<Vec<_>>());
}

#[test]
fn a_dead_file_is_seen() {
    let sources: BTreeMap<PathBuf, String> = [
        ("a/src/lib.rs", "mod b;\n#[cfg(x)] pub(crate) mod c;\n#[path = \"odd.rs\"]\nmod even;"),
        ("a/src/b.rs", "mod inner;"),
        ("a/src/b/inner.rs", ""),
        ("a/src/c/mod.rs", "pub mod d;"),
        ("a/src/c/d.rs", "// mod dead;"),
        ("a/src/odd.rs", ""),
        ("a/src/dead.rs", ""),
        ("a/tests/t.rs", "mod common;"),
        ("a/tests/common/mod.rs", ""),
        ("a/other/x.rs", ""),
    ]
    .map(|(path, text)| (PathBuf::from(path), text.to_owned()))
    .into();
    let roots = roots(Path::new("a"), "[[bin]]\npath = \"other/x.rs\"", &sources);
    let reached = reachable(&roots, &sources);
    let dead: Vec<_> = sources.keys().filter(|path| !reached.contains(*path)).collect();
    assert_eq!(dead, [Path::new("a/src/dead.rs")]);
}

// ---- CI runs what docs/hacking.md says, and nothing else.

/// The cargo commands of the script: what a step runs, without the step's own words.
fn ci_commands(script: &str) -> Vec<String> {
    let mut commands = Vec::new();
    for line in script.lines().map(str::trim) {
        let step = ["check ", "suite ", "shows "].iter().any(|word| line.starts_with(word));
        // Everything from the last environment variable, or from `cargo`, to the end.
        if let (true, Some(start)) = (step, line.find("cargo ")) {
            let before = line[..start].trim_end();
            let start = before.rfind("RUST").unwrap_or(start);
            let command =
                line[start..].replace("env ", "").replace("$crate", "CRATE").replace(['\'', '"'], "");
            commands.push(command);
        }
    }
    commands
}

#[test]
fn ci_runs_the_documented_commands() {
    let hacking = read(Path::new("docs/hacking.md")).replace(['\'', '"'], "");
    let commands = ci_commands(&read(Path::new(".ci/run")));
    assert!(commands.len() > 5, "only {commands:?} were found in .ci/run");
    let unknown = commands.iter().filter(|command| !hacking.contains(*command));
    complain(
        &unknown.map(|command| format!(".ci/run: `{command}` is not in docs/hacking.md")).collect::<Vec<_>>(),
    );
}

#[test]
fn a_ci_step_is_found() {
    let script = "#!/bin/bash\ncheck cargo fmt --check\n# cargo not\n  suite env RUSTFLAGS=\"--cfg x\" cargo test -p \"$crate\"\n";
    assert_eq!(ci_commands(script), ["cargo fmt --check", "RUSTFLAGS=--cfg x cargo test -p CRATE"]);
}

//! Every load of every Rust peer runs and finds its sums right, at a small fraction of its counts; the driver makes a
//! page and a picture of what they say; and every hot path runs on the simulated clock.

use std::{fs, path::PathBuf, process::Command};

fn scratch(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Runs the driver on the programs that Cargo has built beside it, and returns what it prints.
fn compare(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_compare"))
        .args(["--no-build", "--scale", "0.002", "--timeout", "60"])
        .args(args)
        .output()
        .expect("the driver starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "compare {args:?}: {}\n{errors}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

/// The driver fails if any run fails, so that what remains to be asked is how many loads there were.
fn runs_its_loads(peer: &str, at_least: usize) {
    let json = scratch(&format!("{peer}.json"));
    compare(&["--rounds", "1", "--peers", peer, "--json", json.to_str().unwrap()]);
    let run: serde_json::Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    let samples = run["samples"].as_array().unwrap();
    assert!(samples.len() >= at_least, "{peer} ran {} loads", samples.len());
    for sample in samples {
        assert!(sample["value"].as_f64().is_some() && sample["wall_s"].as_f64() > Some(0.0), "{sample}");
    }
}

#[test]
fn gorust_runs_its_loads() {
    runs_its_loads("gorust", 35);
}

#[test]
fn tokio_runs_its_loads() {
    runs_its_loads("tokio", 35);
}

#[test]
fn smol_runs_its_loads() {
    runs_its_loads("smol", 35);
}

#[test]
fn the_bare_loop_runs() {
    runs_its_loads("epoll", 1);
}

#[test]
fn channels_and_locks_of_other_crates_run() {
    for peer in ["flume", "kanal", "crossfire", "async-channel"] {
        runs_its_loads(peer, 5);
    }
    runs_its_loads("parking_lot", 2);
}

#[test]
fn a_picture_is_drawn_from_samples() {
    let [json, svg] = ["drawn.json", "drawn.svg"].map(scratch);
    let [json_path, svg_path] = [&json, &svg].map(|path| path.to_str().unwrap());
    let args = ["--loads", "spawn_join,fork", "--peers", "gorust,tokio", "--rounds", "1"];
    compare(&[&args[..], &["--json", json_path]].concat());
    compare(&["--from", json_path, "--svg", svg_path]);
    let picture = fs::read_to_string(svg).unwrap();
    assert!(picture.starts_with("<svg ") && picture.trim_end().ends_with("</svg>"), "{picture}");
    // One circle for tokio in each row, and one in the legend.
    assert_eq!(picture.matches("<circle ").count(), 3, "{picture}");
    assert!(picture.contains("spawn+join, waves of 1,000 from a task"), "{picture}");
}

#[test]
fn a_page_is_made_again_from_its_samples() {
    let [json, first, second] = ["samples.json", "first.md", "second.md"].map(scratch);
    let [json_path, first_path, second_path] = [&json, &first, &second].map(|path| path.to_str().unwrap());
    let args = ["--loads", "spawn_join,fork", "--peers", "tokio,smol", "--rounds", "2"];
    let text = compare(&[&args[..], &["--json", json_path, "--markdown", first_path]].concat());
    assert!(text.contains("[spawn_join, ns]") && text.contains("[fork, ms]"), "{text}");
    let text = compare(&["--from", json_path, "--markdown", second_path, "--against", json_path]);
    assert!(text.ends_with("0 of 0 ratios and 4 of 4 figures lie within the spread stated.\n"), "{text}");
    let page = fs::read_to_string(first).unwrap();
    assert!(page.contains("### spawn+join, waves of 1,000 from a task"), "{page}");
    assert!(page.contains("| tokio |") && page.contains("| smol |"), "{page}");
    assert_eq!(page, fs::read_to_string(second).unwrap());
}

#[test]
fn hot_paths_run_on_the_simulated_clock() {
    for path in gorust_benches::hot::PATHS {
        let output = Command::new(env!("CARGO_BIN_EXE_instructions"))
            .args(["--run", path.name, "100"])
            .output()
            .expect("the program starts");
        assert!(output.status.success(), "{}: {output:?}", path.name);
    }
}

//! `speculators vocab` as a program: what it writes, what it leaves alone, and what it makes of its own files.

#![allow(clippy::unwrap_used, reason = "a test stops where a step fails")]

use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;
use speculators_formats::vocabulary::{TokenCounts, read_map};

const DATA: &str = "tests/cli/data/answers.jsonl";

fn vocab(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("speculators").unwrap();
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("NO_COLOR", "1")
        .arg("vocab")
        .args(arguments);
    command
}

/// Counts the data of the transcripts into a directory.
fn write(output: &Path, more: &[&str]) -> Command {
    let output = output.to_str().unwrap();
    let mut arguments = vec![
        DATA,
        "--verifier",
        "fixtures/verifier",
        "--output-path",
        output,
    ];
    arguments.extend(more);
    vocab(&arguments)
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs_err::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn what_is_written_is_read_back() {
    let scratch = tempfile::tempdir().unwrap();
    let output = scratch.path().join("some").join("maps");
    let done = write(&output, &["--draft-vocab-size", "70", "--format", "json"]).assert();
    let report: Value = serde_json::from_slice(&done.success().get_output().stdout).unwrap();
    let expected = [
        "d2t-70.npy",
        "t2d-70.npy",
        "token_freq.npy",
        "token_freq.safetensors",
        "vocab-70.json",
        "vocab-70.safetensors",
    ];
    assert_eq!(names(&output), expected);
    let found = read_map(&output, Some(1024), Some(70)).unwrap();
    let map = found.map.unwrap();
    for token in 0..5 {
        assert!(
            map.draft_to_target.contains(&token),
            "{token} was to be forced in"
        );
    }
    let counts = TokenCounts::read(output.join("token_freq.npy"), Some(1024)).unwrap();
    let same = TokenCounts::read(output.join("token_freq.safetensors"), None).unwrap();
    assert_eq!(counts, same);
    assert_eq!(report["tokens"], 164);
    assert_eq!(report["data"][0]["lines"], 5);
    assert_eq!(
        u128::from(report["map"]["covered"].as_u64().unwrap()),
        counts.covered_by(&map)
    );
    assert_eq!(report["map"]["exchanged"].as_array().unwrap().len(), 4);
    // What is printed is what is kept beside the map.
    let kept: Value =
        serde_json::from_slice(&fs_err::read(output.join("vocab-70.json")).unwrap()).unwrap();
    assert_eq!(kept, report);
}

#[test]
fn nothing_is_replaced_unasked_and_nothing_half_done_is_left() {
    let scratch = tempfile::tempdir().unwrap();
    let output = scratch.path().join("maps");
    write(&output, &["--draft-vocab-size", "70"])
        .assert()
        .success();
    let before = fs_err::read(output.join("d2t-70.npy")).unwrap();
    let again = ["--draft-vocab-size", "70", "--no-force-include"];
    let refused = write(&output, &again).assert().code(2);
    let stderr = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
    assert!(
        stderr.contains("S108") && stderr.contains("d2t-70.npy"),
        "{stderr}"
    );
    assert_eq!(fs_err::read(output.join("d2t-70.npy")).unwrap(), before);
    // Other maps of the same counts go beside it.
    let counts = output.join("token_freq.npy");
    let counts = counts.to_str().unwrap();
    let beside = [
        "--token-freq",
        counts,
        "--verifier",
        "fixtures/verifier",
        "--draft-vocab-size",
        "60",
    ];
    let goal = ["--output-path", output.to_str().unwrap()];
    vocab(&[&beside[..], &goal].concat()).assert().success();
    assert_eq!(names(&output).len(), 10);
    write(&output, &[&again[..], &["--force"]].concat())
        .assert()
        .success();
    assert_ne!(fs_err::read(output.join("d2t-70.npy")).unwrap(), before);
    assert_eq!(names(&output).len(), 10);

    let nowhere = scratch.path().join("nowhere");
    for wrong in [
        ["--draft-vocab-size", "2000"],
        ["--draft-vocab-size", "0"],
        ["--draft-vocab-size", "4"],
    ] {
        write(&nowhere, &wrong).assert().code(2);
    }
    write(
        &nowhere,
        &["--draft-vocab-size", "70", "--force-include", "1024"],
    )
    .assert()
    .code(2);
    write(
        &nowhere,
        &["--draft-vocab-size", "70", "--force-include", "eos,none"],
    )
    .assert()
    .code(2);
    assert!(!nowhere.exists());
}

#[test]
fn standard_input_and_added_counts_give_what_files_give() {
    let scratch = tempfile::tempdir().unwrap();
    let (once, twice) = (scratch.path().join("once"), scratch.path().join("twice"));
    write(&once, &[]).assert().success();
    let data = fs_err::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(DATA)).unwrap();
    let merged = once.join("token_freq.safetensors");
    let arguments = [
        "-",
        "--verifier",
        "fixtures/verifier",
        "--merge",
        merged.to_str().unwrap(),
    ];
    let goal = ["--output-path", twice.to_str().unwrap()];
    vocab(&[&arguments[..], &goal].concat())
        .write_stdin(data)
        .assert()
        .success();
    let one = TokenCounts::read(once.join("token_freq.npy"), None).unwrap();
    let two = TokenCounts::read(twice.join("token_freq.npy"), None).unwrap();
    let mut doubled = one.clone();
    doubled.add(&one).unwrap();
    assert_eq!(two, doubled);
    assert_eq!(
        names(&once),
        ["token_freq.npy", "token_freq.safetensors", "vocab.json"]
    );
}

//! The commands of `docs/pipelines.md`, run as they stand there.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test stops where a step fails")]

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// The contents of the fenced blocks of a language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    let blocks = page.split(&fence).skip(1);
    blocks
        .map(|rest| rest.split("\n```").next().unwrap())
        .collect()
}

/// A directory with `out/head` and `out/verifier`, as the page has them.
fn checkout() -> TempDir {
    let checkout = TempDir::new().unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/broken");
    for (fixture, name) in [("sound", "head"), ("verifier", "verifier")] {
        let goal = checkout.path().join("out").join(name);
        fs_err::create_dir_all(&goal).unwrap();
        for entry in fs_err::read_dir(fixtures.join(fixture)).unwrap() {
            let entry = entry.unwrap();
            fs_err::copy(entry.path(), goal.join(entry.file_name())).unwrap();
        }
    }
    checkout
}

/// Runs a script as a pipeline would: a shell that stops at the first command that fails.
fn run(script: &str, checkout: &Path) -> Output {
    let binary = assert_cmd::cargo::cargo_bin!("speculators");
    let path = format!(
        "{}:{}",
        binary.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let output = Command::new("sh")
        .args(["-e", "-c", script])
        .current_dir(checkout)
        .env("PATH", path)
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{script}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn page() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pipelines.md");
    fs_err::read_to_string(page).unwrap()
}

#[test]
fn scripts_of_the_page_run() {
    let page = page();
    let scripts = blocks(&page, "sh");
    assert_eq!(scripts.len(), 3);
    let has_jq = Command::new("jq").arg("--version").output().is_ok();
    for script in scripts {
        if script.contains("jq ") && !has_jq {
            let without: Vec<&str> = script
                .lines()
                .map(|line| line.split(" | jq").next().unwrap())
                .filter(|line| !line.starts_with("jq "))
                .collect();
            run(&without.join("\n"), checkout().path());
        } else {
            run(script, checkout().path());
        }
    }
}

#[test]
fn commands_of_the_workflows_run_and_write_what_they_name() {
    let page = page();
    let mut commands = 0;
    for block in blocks(&page, "yaml") {
        for line in block.lines() {
            let line = line.trim().trim_start_matches("- ");
            let command = line.strip_prefix("run: ").unwrap_or(line);
            if !command.starts_with("speculators ") {
                continue;
            }
            commands += 1;
            let checkout = checkout();
            let output = run(command, checkout.path());
            let Some((_, file)) = command.split_once("--output ") else {
                assert!(!output.stdout.is_empty());
                continue;
            };
            assert!(output.stdout.is_empty());
            let log = String::from_utf8(output.stderr).unwrap();
            assert!(log.starts_with("out/head: valid") && log.lines().count() == 1);
            let report = fs_err::read_to_string(checkout.path().join(file)).unwrap();
            assert!(block.matches(file).count() == 2, "the artifact is {file}");
            match file.rsplit_once('.').unwrap().1 {
                "sarif" => {
                    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
                    assert_eq!(report["runs"][0]["invocations"][0]["exitCode"], 0);
                }
                _ => assert!(report.starts_with("<?xml") && !report.contains("<failure")),
            }
        }
    }
    assert_eq!(commands, 3);
}

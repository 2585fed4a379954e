//! What a hurried user gets wrong, and what a pipeline relies on: exit codes, streams, nothing left behind.

#![allow(clippy::unwrap_used, reason = "a test stops where a step fails")]

use std::path::Path;

use assert_cmd::Command;
use tempfile::TempDir;

fn speculators() -> Command {
    let mut command = Command::cargo_bin("speculators").unwrap();
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("NO_COLOR", "1")
        .env("RAYON_NUM_THREADS", "2");
    command
}

/// Runs to trouble (exit code 2) and gives back stderr.
fn trouble(arguments: &[&str]) -> String {
    let output = speculators()
        .args(arguments)
        .assert()
        .code(2)
        .get_output()
        .clone();
    assert!(
        output.stdout.is_empty(),
        "stdout is for answers: {}",
        String::from_utf8_lossy(&output.stdout)
    );
    String::from_utf8(output.stderr).unwrap()
}

fn is_empty(directory: &Path) -> bool {
    fs_err::read_dir(directory).unwrap().next().is_none()
}

const EVAL: [&str; 5] = [
    "eval",
    "--verifier",
    "fixtures/verifier",
    "--speculator",
    "fixtures/heads/speculators",
];

#[test]
fn a_missing_prompts_file_is_named() {
    let stderr = trouble(&[&EVAL[..], &["--prompts", "nowhere.jsonl"]].concat());
    assert!(
        stderr.contains("S101") && stderr.contains("nowhere.jsonl"),
        "{stderr}"
    );
}

#[test]
fn a_missing_verifier_is_named() {
    let stderr = trouble(&[
        "eval",
        "--verifier",
        "nowhere",
        "--speculator",
        "fixtures/heads/speculators",
        "--prompts",
        "fixtures/prompts.jsonl",
    ]);
    assert!(
        stderr.contains("S101") && stderr.contains("nowhere"),
        "{stderr}"
    );
}

#[test]
fn a_broken_line_of_the_prompts_is_named() {
    let directory = TempDir::new().unwrap();
    let prompts = directory.path().join("prompts.jsonl");
    let mut text = "{\"prompt\": \"1 + 1\"}\n".repeat(16);
    text.push_str("{\"prompt\": 1 + 1}\n");
    fs_err::write(&prompts, text).unwrap();
    let stderr = trouble(&[&EVAL[..], &["--prompts", prompts.to_str().unwrap()]].concat());
    assert!(
        stderr.contains("S702") && stderr.contains(":17:"),
        "{stderr}"
    );
}

#[test]
fn outputs_are_not_overwritten_and_not_left_half_written() {
    let directory = TempDir::new().unwrap();
    let outputs = directory.path().join("outputs.jsonl");
    fs_err::write(&outputs, "precious").unwrap();
    let arguments = [
        &EVAL[..],
        &[
            "--prompts",
            "fixtures/prompts.jsonl",
            "--outputs",
            outputs.to_str().unwrap(),
        ],
    ]
    .concat();
    let stderr = trouble(&arguments);
    assert!(stderr.contains("S108"), "{stderr}");
    assert_eq!(fs_err::read_to_string(&outputs).unwrap(), "precious");
    let nowhere = directory.path().join("no/such/directory.jsonl");
    let stderr = trouble(
        &[
            &EVAL[..],
            &[
                "--prompts",
                "fixtures/prompts.jsonl",
                "--outputs",
                nowhere.to_str().unwrap(),
            ],
        ]
        .concat(),
    );
    assert!(stderr.contains("S109"), "{stderr}");
}

#[test]
fn outputs_hold_one_line_per_request() {
    let directory = TempDir::new().unwrap();
    let outputs = directory.path().join("outputs.jsonl");
    let arguments = [
        &EVAL[..],
        &[
            "--prompts",
            "fixtures/prompts.jsonl",
            "--limit",
            "2",
            "--max-new-tokens",
            "12",
            "--format",
            "json",
        ],
        &["--outputs", outputs.to_str().unwrap()],
    ]
    .concat();
    let output = speculators()
        .args(arguments)
        .assert()
        .success()
        .get_output()
        .clone();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["counts"]["requests"], 2);
    assert_eq!(report["lossless"]["mismatched"], 0);
    let written = fs_err::read_to_string(&outputs).unwrap();
    let mut tokens = 0;
    for line in written.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        tokens += line["output_token_ids"].as_array().unwrap().len();
        assert!(
            line["id"].is_string()
                && line["text"].is_string()
                && line["accepted_per_step"].is_array()
        );
    }
    assert_eq!(written.lines().count(), 2);
    assert_eq!(report["counts"]["output_tokens"], tokens);
}

#[test]
fn a_truncated_head_is_refused_and_leaves_nothing_behind() {
    let directory = TempDir::new().unwrap();
    let head = directory.path().join("head");
    fs_err::create_dir_all(&head).unwrap();
    fs_err::copy(
        "fixtures/heads/safeailab/config.json",
        head.join("config.json"),
    )
    .unwrap();
    let weights = fs_err::read("fixtures/heads/safeailab/model.safetensors").unwrap();
    fs_err::write(
        head.join("model.safetensors"),
        &weights[..weights.len() - 100],
    )
    .unwrap();
    let goal = directory.path().join("goal");
    fs_err::create_dir_all(&goal).unwrap();
    let output = goal.join("converted");
    let stderr = trouble(&[
        "convert",
        head.to_str().unwrap(),
        "--verifier",
        "fixtures/verifier",
        "--output-path",
        output.to_str().unwrap(),
    ]);
    assert!(stderr.contains("S102"), "{stderr}");
    assert!(is_empty(&goal));
}

#[test]
fn conversion_leaves_an_existing_output_alone_unless_forced() {
    let directory = TempDir::new().unwrap();
    let output = directory.path().join("converted");
    fs_err::create_dir_all(&output).unwrap();
    fs_err::copy(
        "fixtures/heads/safeailab/config.json",
        output.join("config.json"),
    )
    .unwrap();
    fs_err::write(output.join("precious"), "mine").unwrap();
    let arguments = [
        "convert",
        "fixtures/heads/safeailab",
        "--verifier",
        "fixtures/verifier",
        "--output-path",
        output.to_str().unwrap(),
    ];
    let stderr = trouble(&arguments);
    assert!(stderr.contains("S108"), "{stderr}");
    assert_eq!(
        fs_err::read_to_string(output.join("precious")).unwrap(),
        "mine"
    );
    speculators()
        .args(arguments)
        .arg("--force")
        .assert()
        .success();
    assert!(output.join("model.safetensors").is_file() && !output.join("precious").exists());
    speculators()
        .arg("validate")
        .arg(&output)
        .args(["--verifier", "fixtures/verifier"])
        .assert()
        .success();
}

#[test]
fn an_unwritable_output_is_named() {
    let stderr = trouble(&[
        "convert",
        "fixtures/heads/safeailab",
        "--verifier",
        "fixtures/verifier",
        "--output-path",
        "/proc/nowhere/converted",
    ]);
    assert!(stderr.contains("S109"), "{stderr}");
}

#[test]
fn trouble_in_json_is_json_on_stdout() {
    let output = speculators()
        .args(
            [
                &EVAL[..],
                &["--prompts", "nowhere.jsonl", "--format", "json"],
            ]
            .concat(),
        )
        .assert()
        .code(2)
        .get_output()
        .clone();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["diagnostics"][0]["code"], "S101");
}

#[test]
fn generated_completions_and_man_pages_are_current() {
    speculators()
        .args(["completions", "--write-to", "completions", "--check"])
        .assert()
        .success();
}

/// A reader that stops early, such as `head`, is no reason to fail.
#[cfg(unix)]
#[test]
fn a_closed_pipe_is_not_an_error() {
    use std::process::{Command as Process, Stdio};
    let mut child = Process::new(assert_cmd::cargo::cargo_bin!("speculators"))
        .args(["explain"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Ctrl-C in the middle of a run: status 130, and the outputs file was never there.
#[cfg(unix)]
#[test]
fn an_interrupt_leaves_nothing_behind() {
    use std::process::{Command as Process, Stdio};
    let directory = TempDir::new().unwrap();
    let prompts = directory.path().join("prompts.jsonl");
    // Far more than can be decoded before the interrupt arrives.
    fs_err::write(&prompts, "{\"prompt\": \"1 + 1\"}\n".repeat(100_000)).unwrap();
    let goal = directory.path().join("goal");
    fs_err::create_dir_all(&goal).unwrap();
    let mut child = Process::new(assert_cmd::cargo::cargo_bin!("speculators"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(EVAL)
        .arg("--prompts")
        .arg(&prompts)
        .arg("--outputs")
        .arg(goal.join("outputs.jsonl"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The temporary file shows that the handler is installed and the work has begun.
    while is_empty(&goal) {
        assert!(
            child.try_wait().unwrap().is_none(),
            "ended before the interrupt"
        );
        std::thread::yield_now();
    }
    assert!(
        Process::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(is_empty(&goal));
}

/// A report goes to its file whole or not at all, and the log has a line for each checkpoint.
#[test]
fn a_validation_report_is_written_whole_and_not_over_another() {
    let directory = TempDir::new().unwrap();
    let report = directory.path().join("report.xml");
    let arguments = [
        "validate",
        "fixtures/broken/sound",
        "fixtures/broken/S305-absolute",
        "--format",
        "junit",
        "--output",
        report.to_str().unwrap(),
    ];
    let output = speculators().args(arguments).assert().code(1);
    let output = output.get_output();
    assert!(output.stdout.is_empty());
    let log = String::from_utf8(output.stderr.clone()).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    assert!(lines[0].starts_with("fixtures/broken/sound: valid"));
    assert!(lines[1].starts_with("fixtures/broken/S305-absolute: not valid"));
    assert_eq!(lines.len(), 2);
    let written = fs_err::read_to_string(&report).unwrap();
    assert!(written.starts_with("<?xml") && written.ends_with("</testsuites>\n"));
    assert!(trouble(&arguments).contains("S108"));
    assert_eq!(fs_err::read_to_string(&report).unwrap(), written);
    let forced = [&arguments[..], &["--force"]].concat();
    speculators().args(forced).assert().code(1);
    let nowhere = directory.path().join("no/such/report.xml");
    let stderr = trouble(&[
        "validate",
        "fixtures/broken/sound",
        "--output",
        nowhere.to_str().unwrap(),
    ]);
    assert!(stderr.contains("S109"), "{stderr}");
}

#[test]
fn codes_that_do_not_exist_or_contradict_are_usage_errors() {
    let validate = ["validate", "fixtures/broken/sound"];
    let stderr = trouble(&[&validate[..], &["--deny", "S999"]].concat());
    assert!(
        stderr.contains("`S999` is not a diagnostic code"),
        "{stderr}"
    );
    let stderr = trouble(&[&validate[..], &["--allow", "warnings"]].concat());
    assert!(
        stderr.contains("`warnings` is not a diagnostic code"),
        "{stderr}"
    );
    let both = ["--deny", "S405,warnings", "--allow", "S404,S405"];
    let stderr = trouble(&[&validate[..], &both].concat());
    assert!(
        stderr.contains("S001") && stderr.contains("S405 is both"),
        "{stderr}"
    );
}

/// Ctrl-C while the values are read: status 130, and the report was never there.
#[cfg(unix)]
#[test]
fn an_interrupted_validation_leaves_no_report() {
    use std::process::{Command as Process, Stdio};
    let directory = TempDir::new().unwrap();
    let goal = directory.path().join("goal");
    fs_err::create_dir_all(&goal).unwrap();
    // The same checkpoint again and again takes far longer than the interrupt to arrive.
    let heads = std::iter::repeat_n("fixtures/heads/speculators", 20_000);
    let mut child = Process::new(assert_cmd::cargo::cargo_bin!("speculators"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .arg("validate")
        .args(heads)
        .arg("--output")
        .arg(goal.join("report.txt"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while is_empty(&goal) {
        assert!(
            child.try_wait().unwrap().is_none(),
            "ended before the interrupt"
        );
        std::thread::yield_now();
    }
    assert!(
        Process::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(is_empty(&goal));
}

#[test]
fn a_report_never_replaces_what_it_is_about() {
    let scratch = TempDir::new().unwrap();
    let head = scratch.path().join("head");
    fs_err::create_dir(&head).unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs_err::copy(
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("fixtures/heads/speculators")
                .join(name),
            head.join(name),
        )
        .unwrap();
    }
    let config = head.join("config.json");
    let before = fs_err::read(&config).unwrap();
    let stderr = trouble(&[
        "validate",
        head.to_str().unwrap(),
        "--output",
        config.to_str().unwrap(),
        "--force",
    ]);
    assert!(stderr.contains("S108"), "{stderr}");
    assert_eq!(fs_err::read(&config).unwrap(), before);
}

//! Records are the run: folding them again gives the report, and a run that is killed leaves them.

#![allow(clippy::unwrap_used, reason = "a test stops where a step fails")]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use speculators::evaluation::{Report, read_records};

fn evaluation(more: &[&str], records: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_speculators"));
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args([
            "eval",
            "--demo",
            "--max-new-tokens",
            "24",
            "--format",
            "json",
        ])
        .args(more)
        .arg("--records")
        .arg(records);
    command
}

fn answer(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_report_is_a_fold_over_the_records() {
    let scratch = tempfile::tempdir().unwrap();
    let first = scratch.path().join("first.jsonl");
    let output = evaluation(&["--limit", "3"], &first).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut report = answer(&output);
    // What was typed is not in the records.
    report.as_object_mut().unwrap().remove("command");

    let records = read_records(&first).unwrap();
    assert!(records.unfinished.is_empty() && !records.torn);
    let folded = Report::fold(records.setting, &records.requests, None);
    // By way of text, so that both sides have their last digits from the same reader.
    let folded: Value = serde_json::from_str(&serde_json::to_string(&folded).unwrap()).unwrap();
    assert_eq!(folded, report);
    let steps: usize = records
        .requests
        .iter()
        .map(|request| request.steps.len())
        .sum();
    assert!(steps > 3, "{steps}");

    // Nothing is replaced unasked, and the same run again is no different where no clock is involved.
    let refused = evaluation(&["--limit", "3"], &first).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert_eq!(answer(&refused)["diagnostics"][0]["code"], "S108");
    let second = scratch.path().join("second.jsonl");
    let more = ["--limit", "3", "--against", first.to_str().unwrap()];
    let output = evaluation(&more, &second).output().unwrap();
    let against = &answer(&output)["against"];
    assert_eq!(against["paired"], 3);
    assert_eq!(against["other_prompts"], serde_json::json!([]));
    let length = &against["differences"][0];
    assert_eq!(length["name"], "mean_length");
    assert_eq!(length["difference"], 0.0);
    assert_eq!(length["interval"], serde_json::json!([0.0, 0.0]));
}

#[test]
fn a_gate_that_is_not_passed_ends_with_one_and_says_by_how_much() {
    let scratch = tempfile::tempdir().unwrap();
    let records = scratch.path().join("records.jsonl");
    let gates = ["--fail-under", "mean_length=9", "--fail-under", "tau=1"];
    let more = [&["--limit", "1"], &gates[..]].concat();
    let output = evaluation(&more, &records).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let report = answer(&output);
    let length = report["acceptance"]["mean_length"].as_f64().unwrap();
    let [failed] = &report["failed_gates"].as_array().unwrap()[..] else {
        panic!("{report}")
    };
    assert_eq!(
        (&failed["metric"], &failed["limit"]),
        (&"mean_length".into(), &9.0.into())
    );
    assert!((failed["short_by"].as_f64().unwrap() - (9.0 - length)).abs() < 1e-9);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("FAILED: mean_length is"), "{told}");
}

#[test]
fn a_killed_run_leaves_every_record_but_the_one_being_written() {
    let scratch = tempfile::tempdir().unwrap();
    for enough in [2, 9, 17, 30] {
        let path = scratch.path().join(format!("{enough}.jsonl"));
        let mut run = evaluation(&[], &path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begin = Instant::now();
        let lines = || fs_err::read_to_string(&path).map_or(0, |text| text.lines().count());
        while lines() < enough {
            assert!(
                begin.elapsed() < Duration::from_secs(300),
                "no records come"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        run.kill().unwrap();
        assert!(
            !run.wait().unwrap().success(),
            "it was done before it was killed"
        );
        let records = read_records(&path).unwrap();
        let complete: usize = records
            .requests
            .iter()
            .map(|request| 1 + request.steps.len())
            .sum();
        // Only the request under way is incomplete.
        assert!(records.unfinished.len() <= 1, "{:?}", records.unfinished);
        assert!(complete > 0 || records.unfinished.len() == 1);
    }
}

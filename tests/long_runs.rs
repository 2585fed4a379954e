//! Long runs: stopped and gone on with, in another order, several requests at a time. Whatever is done to a run, each
//! request comes out the same.

#![allow(clippy::unwrap_used, reason = "a test stops where a step fails")]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use fs_err as fs;
use serde_json::{Value, json};
use tempfile::TempDir;

const SHORT: [&str; 4] = ["--limit", "5", "--max-new-tokens", "24"];

fn evaluation(more: &[&str], records: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_speculators"));
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("RAYON_NUM_THREADS", "2")
        .args(["eval", "--demo", "--format", "json"])
        .args(more)
        .arg("--records")
        .arg(records);
    command
}

fn run(more: &[&str], records: &Path) -> Output {
    evaluation(more, records).output().unwrap()
}

fn answer(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn told(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// The code of the finding that a run ended with.
fn trouble(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    report["diagnostics"][0].clone()
}

/// The lines of a records file without times.
fn lines(records: &Path) -> Vec<Value> {
    let text = fs::read_to_string(records).unwrap();
    text.lines()
        .map(|line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            let entries = line.as_object_mut().unwrap();
            entries.retain(|key, _| !key.ends_with("_us"));
            line
        })
        .collect()
}

/// The same by request, so that it does not matter which came first.
fn sorted(records: &Path) -> Vec<Value> {
    let mut lines = lines(records);
    // A request's own lines stay in their order.
    lines.sort_by_key(|line| line["id"].as_str().map(str::to_owned));
    lines
}

/// Ids of the complete requests of a file that may be torn.
fn complete(records: &Path) -> Vec<Value> {
    let text = fs::read(records).unwrap_or_default();
    let lines = text.split(|byte| *byte == b'\n');
    lines
        .filter_map(|line| serde_json::from_slice(line).ok())
        .filter(|line: &Value| line["record"] == "request")
        .map(|line| line["id"].clone())
        .collect()
}

/// Kills a run as soon as its file has so many lines, unless it has ended before.
fn kill_at(more: &[&str], records: &Path, enough: usize) {
    let mut child = evaluation(more, records)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let is_enough = || {
        let text = fs::read(records).unwrap_or_default();
        text.iter().filter(|byte| **byte == b'\n').count() >= enough
    };
    while !is_enough() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_micros(100));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_run_killed_at_any_moment_and_gone_on_with_is_the_run_that_was_not() {
    let scratch = TempDir::new().unwrap();
    let whole = scratch.path().join("whole.jsonl");
    answer(&run(&SHORT, &whole));
    let (resume, whole) = ([&SHORT[..], &["--resume"]].concat(), lines(&whole));
    let mut within = 0;
    for enough in (0..whole.len()).step_by(2) {
        let records = scratch.path().join(format!("{enough}.jsonl"));
        kill_at(&SHORT, &records, enough);
        let before = complete(&records);
        // The second one is killed as well, and must not lose what the first one had.
        kill_at(&resume, &records, enough + enough % 7);
        let after = complete(&records);
        assert!(after.starts_with(&before), "{before:?} became {after:?}");
        within += usize::from((1..5).contains(&before.len()));
        let report = answer(&run(&resume, &records));
        assert_eq!(report["counts"]["requests"], 5);
        assert_eq!(lines(&records), whole, "killed at {enough} lines");
    }
    assert!(within > 0, "no run was killed between two requests");
}

#[test]
fn a_file_cut_at_any_byte_is_gone_on_with() {
    let scratch = TempDir::new().unwrap();
    let whole = scratch.path().join("whole.jsonl");
    answer(&run(&SHORT, &whole));
    let text = fs::read(&whole).unwrap();
    let begun = 1 + text.iter().position(|byte| *byte == b'\n').unwrap();
    let resume = [&SHORT[..], &["--resume"]].concat();
    let records = scratch.path().join("cut.jsonl");
    for part in 0..=12 {
        let cut = begun + (text.len() - begun) * part / 12;
        fs::write(&records, &text[..cut]).unwrap();
        let output = run(&resume, &records);
        answer(&output);
        assert_eq!(lines(&records), lines(&whole), "cut at byte {cut}");
        assert!(told(&output).contains("requests are complete and stay"));
    }
    // With nothing left to run the file stays as it is, to the last byte.
    let before = fs::read(&records).unwrap();
    answer(&run(&resume, &records));
    assert_eq!(fs::read(&records).unwrap(), before);
}

#[test]
fn only_the_same_run_is_gone_on_with() {
    let scratch = TempDir::new().unwrap();
    let records = scratch.path().join("records.jsonl");
    answer(&run(&SHORT, &records));
    let before = fs::read(&records).unwrap();
    let other = |more: &[&str]| {
        let found = trouble(&run(&[&["--resume"], more].concat(), &records));
        assert_eq!(fs::read(&records).unwrap(), before);
        assert_eq!(found["code"], "S732", "{found}");
        found["notes"].to_string()
    };
    let notes = other(&["--limit", "5", "--max-new-tokens", "25"]);
    assert!(
        notes.contains("`max_new_tokens` is 24 in the file, 25 here"),
        "{notes}"
    );
    let notes = other(&[&SHORT[..], &["--temperature", "0.8"]].concat());
    assert!(
        notes.contains("`sampling.temperature` is 0.0 in the file, 0.8 here"),
        "{notes}"
    );
    let notes = other(&["--limit", "3", "--max-new-tokens", "24"]);
    assert!(notes.contains("prompt 4 in the file"), "{notes}");
    // More prompts are more to run, and nothing else.
    let more = ["--resume", "--limit", "6", "--max-new-tokens", "24"];
    assert_eq!(answer(&run(&more, &records))["counts"]["requests"], 6);

    let broken = fs::read_to_string(&records).unwrap();
    fs::write(&records, broken.replacen("\"step\"", "\"leap\"", 1)).unwrap();
    let found = trouble(&run(&more, &records));
    assert_eq!(found["code"], "S731");
    assert!(found["notes"].to_string().contains("speculators.records/1"));
}

#[test]
fn a_prompt_with_turns_stays_whole_or_is_run_again() {
    let scratch = TempDir::new().unwrap();
    let prompts = scratch.path().join("prompts.jsonl");
    let text = concat!(
        "{\"id\": \"one\", \"messages\": [{\"role\": \"user\", \"content\": \"What is 86 + 80?\"}]}\n",
        "{\"id\": \"two\", \"turns\": [\"What is 3 + 4?\", \"What is 5 + 6?\"]}\n",
    );
    fs::write(&prompts, text).unwrap();
    let evaluation = |more: &[&str], records: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_speculators"));
        command
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("RAYON_NUM_THREADS", "2")
            .args(["eval", "--verifier", "fixtures/verifier"])
            .args(["--speculator", "fixtures/heads/speculators"])
            .args(["--format", "json", "--max-new-tokens", "16", "--prompts"])
            .arg(&prompts)
            .args(more)
            .arg("--records")
            .arg(records)
            .output()
            .unwrap()
    };
    let whole = scratch.path().join("whole.jsonl");
    answer(&evaluation(&[], &whole));
    let written = fs::read_to_string(&whole).unwrap();
    let first_turn = written
        .find("\"record\":\"request\",\"place\":[1,0]")
        .unwrap();
    let end = first_turn + written[first_turn..].find('\n').unwrap() + 1;
    let cut = scratch.path().join("cut.jsonl");
    fs::write(&cut, &written[..end]).unwrap();
    let output = evaluation(&["--resume"], &cut);
    answer(&output);
    assert!(
        told(&output).contains("dropped and run again from the start: two\n"),
        "{}",
        told(&output)
    );
    assert_eq!(lines(&cut), lines(&whole));
    let together = scratch.path().join("together.jsonl");
    answer(&evaluation(&["--concurrency", "2"], &together));
    assert_eq!(sorted(&together)[1..], sorted(&whole)[1..]);

    // A name for two is none.
    fs::write(&prompts, text.replace("\"one\"", "\"two/2\"")).unwrap();
    let other = scratch.path().join("other.jsonl");
    let found = trouble(&evaluation(&["--concurrency", "2"], &other));
    assert_eq!(found["code"], "S733");
    assert!(evaluation(&[], &other).status.success());
    assert_eq!(trouble(&evaluation(&["--resume"], &cut))["code"], "S733");
}

#[test]
fn requests_in_flight_come_out_as_they_do_alone() {
    let scratch = TempDir::new().unwrap();
    let path = |name: &str| scratch.path().join(name);
    for (name, sampling) in [("greedy", &[][..]), ("sampled", &["--temperature", "0.9"])] {
        let more = [&["--max-new-tokens", "24", "--limit", "12"], sampling].concat();
        let outputs = [1, 3, 8].map(|concurrency| {
            let records = path(&format!("{name}-{concurrency}.jsonl"));
            let outputs = path(&format!("{name}-{concurrency}-outputs.jsonl"));
            let own = ["--outputs", outputs.to_str().unwrap(), "--concurrency"];
            let count = concurrency.to_string();
            let report = answer(&run(&[&more[..], &own[..], &[&count]].concat(), &records));
            assert_eq!(report["setting"]["concurrency"], concurrency);
            assert_eq!(report["latency"].is_null(), concurrency > 1);
            let metrics = report["metrics"].as_array().unwrap();
            for metric in metrics {
                let name = metric["name"].as_str().unwrap();
                let timed = ["second", "speedup", "_ms"]
                    .iter()
                    .any(|part| name.contains(part));
                assert_eq!(
                    metric["value"].is_null(),
                    timed && concurrency > 1,
                    "{name}"
                );
            }
            // Folded again it is the same report, intervals included, in whatever order requests were completed.
            let mut again = Command::new(env!("CARGO_BIN_EXE_speculators"));
            again.args(["eval", "--format", "json", "--from-records"]);
            assert_eq!(
                folded(answer(&again.arg(&records).output().unwrap())),
                folded(report.clone())
            );
            (
                fs::read(&outputs).unwrap(),
                sorted(&records).split_off(1),
                report["counts"].clone(),
            )
        });
        assert_eq!(outputs[0], outputs[1]);
        assert_eq!(outputs[0], outputs[2]);
    }
    // What cannot be measured is no gate.
    let gate = ["--concurrency", "2", "--fail-under", "speedup=1"];
    let found = trouble(&run(&gate, &path("gate.jsonl")));
    assert!(
        found["title"]
            .to_string()
            .contains("not measured with 2 requests in flight")
    );
}

#[test]
fn the_order_changes_no_answer_and_its_seed_chooses_it() {
    let scratch = TempDir::new().unwrap();
    let outputs = |name: &str, more: &[&str]| {
        let outputs = scratch.path().join(name);
        let records = scratch.path().join(format!("{name}-records"));
        let own = [
            "--max-new-tokens",
            "16",
            "--outputs",
            outputs.to_str().unwrap(),
        ];
        let report = answer(&run(&[&own, more].concat(), &records));
        let lines = fs::read_to_string(&outputs).unwrap();
        let lines: Vec<String> = lines.lines().map(str::to_owned).collect();
        (lines, report)
    };
    let sampled = ["--temperature", "0.9", "--seed", "3"];
    let (plain, _) = outputs("plain", &sampled);
    let (shuffled, report) = outputs("shuffled", &[&sampled[..], &["--shuffle"]].concat());
    assert_eq!(report["setting"]["shuffle_seed"], json!(3));
    assert_ne!(shuffled, plain);
    let in_order = |lines: &[String]| {
        let mut lines = lines.to_vec();
        lines.sort_unstable();
        lines
    };
    assert_eq!(in_order(&shuffled), in_order(&plain));
    // A limit takes the first of the same order.
    let limited = [
        &sampled[..],
        &["--shuffle", "--limit", "7", "--concurrency", "3"],
    ]
    .concat();
    assert_eq!(outputs("limited", &limited).0, shuffled[..7]);
    // A greedy run has a use for the seed, too, and says nothing of noise.
    let (one, _) = outputs("one", &["--shuffle", "--seed", "1", "--limit", "7"]);
    let (two, _) = outputs("two", &["--shuffle", "--seed", "2", "--limit", "7"]);
    assert_ne!(one, two);
    let alone = run(&["--seed", "1"], &scratch.path().join("alone"));
    assert_eq!(alone.status.code(), Some(2));
}

#[test]
fn a_replacement_that_comes_to_nothing_leaves_the_old_records() {
    let scratch = TempDir::new().unwrap();
    let records = scratch.path().join("records.jsonl");
    fs::write(&records, "old\n").unwrap();
    let failed = run(&["--force", "--fail-under", "no_such_metric=1"], &records);
    assert_eq!(failed.status.code(), Some(2));
    assert_eq!(fs::read_to_string(&records).unwrap(), "old\n");
    answer(&run(
        &["--force", "--limit", "1", "--max-new-tokens", "4"],
        &records,
    ));
    assert!(
        fs::read_to_string(&records)
            .unwrap()
            .starts_with("{\"record\":\"run\"")
    );
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
}

/// A report without the command that made it, which differs where records are folded again.
fn folded(mut report: Value) -> Value {
    report.as_object_mut().unwrap().remove("command");
    report
}

#[test]
fn a_table_holds_what_lines_hold() {
    let scratch = TempDir::new().unwrap();
    let path = |name: &str| scratch.path().join(name);
    let table = path("records.parquet");
    let report = folded(answer(&run(&SHORT, &table)));
    // The lines were there while it ran, and are not any more.
    let files = || fs::read_dir(scratch.path()).unwrap().count();
    assert_eq!(files(), 1);
    let again = |from: &Path, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_speculators"));
        command.args(["eval", "--format", "json", "--from-records"]);
        command.arg(from).args(more).output().unwrap()
    };
    let copy = path("copy.jsonl");
    let to_copy = ["--records", copy.to_str().unwrap()];
    assert_eq!(folded(answer(&again(&table, &to_copy))), report);
    assert_eq!(folded(answer(&again(&copy, &[]))), report);
    let lines = path("lines.jsonl");
    answer(&run(&SHORT, &lines));
    assert_eq!(self::lines(&copy), self::lines(&lines));
    // Neither is written over unasked, and a table that is complete is not gone on with.
    assert_eq!(trouble(&again(&table, &to_copy))["code"], "S108");
    let resume = [&SHORT[..], &["--resume"]].concat();
    assert_eq!(trouble(&run(&resume, &table))["code"], "S108");

    // A run to a table that was stopped has left lines, with which it is gone on.
    let stopped = path("stopped.parquet.jsonl");
    let text = fs::read(&lines).unwrap();
    fs::write(&stopped, &text[..text.len() / 2]).unwrap();
    let resumed = answer(&run(&resume, &path("stopped.parquet")));
    assert_eq!(resumed["counts"], report["counts"]);
    assert!(!stopped.exists() && path("stopped.parquet").exists());
}

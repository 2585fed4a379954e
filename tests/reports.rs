//! Reports as they are published: their schemas, their pages, and two of them compared.

#![allow(clippy::unwrap_used, reason = "a test stops where a step fails")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use boon::{Compiler, Schemas};
use serde_json::{Value, json};
use speculators::evaluation::Document;

fn speculators(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_speculators"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("RAYON_NUM_THREADS", "2")
        .args(arguments)
        .output()
        .unwrap()
}

const DEMO: [&str; 6] = ["eval", "--demo", "--limit", "3", "--max-new-tokens", "16"];

fn demo(more: &[&str]) -> Value {
    let output = speculators(&[&DEMO[..], &["--format", "json"], more].concat());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Where the schema lets keys through that it does not describe, this closes it: what a report holds is described.
fn closed(mut schema: Value) -> Value {
    let mut extended = BTreeSet::new();
    extensions(&schema, &mut extended);
    close(&mut schema);
    let parts = schema["$defs"].as_object_mut().unwrap();
    for name in &extended {
        parts[name]
            .as_object_mut()
            .unwrap()
            .remove("unevaluatedProperties");
    }
    schema
}

/// Names of the parts that others add keys to.
fn extensions(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(keys) => {
            if let (Some(part), Some(_)) = (
                keys.get("$ref").and_then(Value::as_str),
                keys.get("properties"),
            ) {
                found.insert(part.trim_start_matches("#/$defs/").to_owned());
            }
            keys.values().for_each(|value| extensions(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| extensions(value, found)),
        _ => {}
    }
}

fn close(schema: &mut Value) {
    match schema {
        Value::Object(keys) => {
            keys.values_mut().for_each(close);
            if keys.get("properties").is_some_and(Value::is_object)
                && keys.get("type") == Some(&json!("object"))
            {
                keys.insert("unevaluatedProperties".to_owned(), json!(false));
            }
        }
        Value::Array(values) => values.iter_mut().for_each(close),
        _ => {}
    }
}

fn trouble(document: Document, values: &[Value]) -> Option<String> {
    let mut compiler = Compiler::new();
    let mut schemas = Schemas::new();
    let name = "http://localhost/schema.json";
    compiler
        .add_resource(name, closed(document.schema()))
        .unwrap();
    let schema = compiler.compile(name, &mut schemas).unwrap();
    values.iter().find_map(|value| {
        schemas
            .validate(value, schema)
            .err()
            .map(|error| format!("{error:#}"))
    })
}

fn assert_valid(document: Document, values: &[Value]) {
    if let Some(trouble) = trouble(document, values) {
        panic!("{trouble}");
    }
}

#[test]
fn the_schemas_that_are_published_are_current() {
    for document in Document::ALL {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("docs/schemas")
            .join(document.file_name());
        let name = document.file_name().trim_end_matches(".schema.json");
        let printed = String::from_utf8(speculators(&["schema", name]).stdout).unwrap();
        let published = fs_err::read_to_string(path).unwrap();
        assert!(
            published == printed,
            "run `speculators schema {name} > docs/schemas/{}`",
            document.file_name()
        );
        assert_eq!(document.text().unwrap(), printed);
    }
}

#[test]
fn every_report_and_record_is_as_its_schema_says() {
    let scratch = tempfile::tempdir().unwrap();
    let file = |name: &str| scratch.path().join(name).to_str().unwrap().to_owned();
    let (plain, tree, outputs) = (
        file("plain.jsonl"),
        file("tree.jsonl"),
        file("outputs.jsonl"),
    );
    let first = demo(&["--records", &plain, "--outputs", &outputs]);
    // Every option that adds something, and references that differ in each way there is.
    let mut references: Vec<Value> = lines(&outputs);
    references[0]["accepted_per_step"] = json!([99]);
    let tokens = references[1]["output_token_ids"].as_array_mut().unwrap();
    tokens[3] = json!(0);
    references.pop();
    let text: String = references.iter().map(|line| format!("{line}\n")).collect();
    let reference = file("references.jsonl");
    fs_err::write(&reference, text).unwrap();
    let all = demo(&[
        "--compare",
        &reference,
        "--against",
        &plain,
        "--fail-under",
        "mean_length=9",
    ]);
    assert!(all["against"].is_object() && all["failed_gates"][0].is_object());
    assert!(
        all["comparison"]["differences"][0].is_object(),
        "{}",
        all["comparison"]
    );
    assert!(all["comparison"]["acceptance_differences"][0].is_object());
    let grown = demo(&[
        "--tree",
        "dynamic",
        "--tree-budget",
        "8",
        "--temperature",
        "0.7",
        "--records",
        &tree,
    ]);
    let fixed = demo(&["--tree", "tests/cli/data/tree.json"]);
    assert_valid(Document::Report, &[first.clone(), all, grown, fixed]);
    for records in [&plain, &tree] {
        assert_valid(Document::Records, &lines(records));
    }
    // Records from before there were facts by depth and digests.
    let mut older = lines(&plain);
    for line in &mut older {
        let keys = line.as_object_mut().unwrap();
        keys.remove("path");
        keys.remove("prompt_digest");
    }
    assert_valid(Document::Records, &older);

    let mut spoilt = first;
    spoilt["counts"]["steps"] = json!(-1);
    assert!(trouble(Document::Report, std::slice::from_ref(&spoilt)).is_some());
    spoilt["counts"]["steps"] = json!(1);
    spoilt["latency"]["undescribed"] = json!(1);
    assert!(trouble(Document::Report, &[spoilt]).is_some());
}

fn lines(path: &str) -> Vec<Value> {
    let text = fs_err::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn pages_are_written_beside_the_report_and_again_from_records() {
    let scratch = tempfile::tempdir().unwrap();
    let file = |name: &str| scratch.path().join(name).to_str().unwrap().to_owned();
    let (page, card, records) = (file("run.html"), file("card.md"), file("run.jsonl"));
    let report = demo(&["--report", &page, "--report", &card, "--records", &records]);
    let length = report["acceptance"]["mean_length"].as_f64().unwrap();
    for (path, start) in [(&page, "<!doctype html>"), (&card, "## Evaluation")] {
        let text = fs_err::read_to_string(path).unwrap();
        assert!(text.trim_start().starts_with(start), "{text}");
        assert!(text.contains(&format!("{length:.2} tokens per step")));
        assert!(
            text.contains("speculators eval --demo --limit 3 --max-new-tokens 16\n")
                || path == &page
        );
    }
    let refused = speculators(&["eval", "--from-records", &records, "--report", &page]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("S108"));
    let again = speculators(&[
        "eval",
        "--from-records",
        &records,
        "--report",
        &page,
        "--force",
    ]);
    assert!(again.status.success(), "{again:?}");
    let text = fs_err::read_to_string(&page).unwrap();
    assert!(text.contains("<svg") && !text.contains("To repeat it"));
    let other = speculators(&["eval", "--demo", "--report", "page.pdf"]);
    assert_eq!(other.status.code(), Some(2));
}

#[test]
fn two_runs_are_compared_by_report_or_by_records() {
    let scratch = tempfile::tempdir().unwrap();
    let file = |name: &str| scratch.path().join(name).to_str().unwrap().to_owned();
    let (old, new, page) = (file("old.jsonl"), file("new.json"), file("page.html"));
    demo(&["--num-speculative-tokens", "1", "--records", &old]);
    let report = demo(&[]);
    fs_err::write(&new, report.to_string()).unwrap();

    let output = speculators(&[
        "eval",
        "--compare",
        &old,
        &new,
        "--format",
        "json",
        "--report",
        &page,
    ]);
    assert!(output.status.success(), "{output:?}");
    let comparison: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_valid(Document::Comparison, std::slice::from_ref(&comparison));
    assert_eq!(
        (&comparison["paired"], &comparison["prompts_by"]),
        (&json!(3), &json!("digest"))
    );
    let length = &comparison["metrics"][0];
    assert_eq!(length["second"], report["acceptance"]["mean_length"]);
    assert!(length["difference"].as_f64().unwrap() > 0.3, "{length}");
    assert_eq!(length["verdict"], "better");
    assert_eq!(comparison["settings"][0]["name"], "num_speculative_tokens");
    assert!(
        fs_err::read_to_string(&page)
            .unwrap()
            .contains("clearly better")
    );
    let output = speculators(&["eval", "--compare", &old, &new]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("3 requests paired") && text.contains("clearly better"),
        "{text}"
    );

    // The run with itself differs in nothing, times included.
    let output = speculators(&["eval", "--compare", &new, &new, "--format", "json"]);
    let same: Value = serde_json::from_slice(&output.stdout).unwrap();
    let metrics = same["metrics"].as_array().unwrap();
    assert!(!metrics.is_empty() && metrics.iter().all(|metric| metric["verdict"] == "equal"));

    for (arguments, code) in [
        (
            &["eval", "--compare", &old, "fixtures/prompts.jsonl"][..],
            "S751",
        ),
        (&["eval", "--compare", &old, &new, "--demo"], "S001"),
        (&["eval", "--compare", &old], "S001"),
    ] {
        let refused = speculators(arguments);
        let told = String::from_utf8(refused.stderr).unwrap();
        assert!(
            refused.status.code() == Some(2) && told.contains(code),
            "{told}"
        );
    }
}

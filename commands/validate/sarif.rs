//! SARIF 2.1.0, the format of code-scanning services.
//!
//! Only the rules that a result refers to are listed. No page is named as their `helpUri`, because the text of a code is
//! part of this program and has no lasting address; it is in the file itself.

use std::io::Write;

use serde_json::{Value, json};
use speculators_formats::codes::{self, Code};
use speculators_formats::validate::{ValidationReport, Verdict};
use speculators_formats::{Diagnostic, Level, Place};

use super::{Findings, location};
use crate::failure::Failure;

pub(super) fn write(findings: &Findings, output: &mut impl Write) -> Result<(), Failure> {
    serde_json::to_writer_pretty(&mut *output, &log(findings))?;
    Ok(writeln!(output)?)
}

fn log(findings: &Findings) -> Value {
    let found = || {
        findings.reports.iter().flat_map(|report| {
            report
                .diagnostics
                .iter()
                .map(move |diagnostic| (report, diagnostic))
        })
    };
    let mut rules: Vec<Code> = found().map(|(_, finding)| finding.code).collect();
    rules.sort_unstable();
    rules.dedup();
    let results: Vec<Value> = found()
        .map(|(report, finding)| result(report, finding, &rules))
        .collect();
    let verdict = findings.verdict();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "speculators",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.iter().map(|code| rule(*code)).collect::<Vec<Value>>(),
            }},
            "invocations": [{
                "executionSuccessful": verdict != Verdict::CouldNotTell,
                "exitCode": verdict.exit_code(),
            }],
            "columnKind": "unicodeCodePoints",
            "results": results,
            "properties": { "checkpoints": checkpoints(&findings.reports) },
        }],
    })
}

fn rule(code: Code) -> Value {
    let mut rule = json!({ "id": code.to_string() });
    if let Some(known) = codes::explain(code) {
        rule["shortDescription"] = json!({ "text": known.title });
        rule["help"] = json!({ "text": known.text });
    }
    rule
}

fn result(report: &ValidationReport, finding: &Diagnostic, rules: &[Code]) -> Value {
    let whole = Place::file(&report.path);
    let place = finding.place.as_ref().unwrap_or(&whole);
    let uri = location::uri(&place.path);
    let mut physical = json!({ "artifactLocation": { "uri": uri } });
    if let Some(line) = place.line {
        physical["region"] = json!({ "startLine": line });
        if let Some(column) = place.column {
            physical["region"]["startColumn"] = json!(column);
        }
    }
    let mut location = json!({ "physicalLocation": physical });
    if let Some(tensor) = &place.tensor {
        location["logicalLocations"] = json!([{ "name": tensor, "kind": "variable" }]);
    }
    let level = match finding.level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Info => "note",
    };
    json!({
        "ruleId": finding.code.to_string(),
        "ruleIndex": rules.binary_search(&finding.code).unwrap_or_default(),
        "level": level,
        "message": { "text": message(finding) },
        "locations": [location],
        "partialFingerprints": { "finding/v1": fingerprint(finding, &uri) },
    })
}

fn message(finding: &Diagnostic) -> String {
    let mut lines = vec![finding.title.clone()];
    lines.extend(finding.notes.iter().map(|note| format!("note: {note}")));
    lines.extend(finding.help.iter().map(|help| format!("help: {help}")));
    lines.join("\n")
}

/// The same for the same finding in the next run, though lines may have moved: FNV-1a over code, file, tensor and title.
fn fingerprint(finding: &Diagnostic, uri: &str) -> String {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let code = finding.code.to_string();
    let tensor = finding
        .place
        .as_ref()
        .and_then(|place| place.tensor.as_deref());
    let parts = [
        code.as_str(),
        uri,
        tensor.unwrap_or_default(),
        &finding.title,
    ];
    let mut hash = OFFSET;
    for byte in parts.join("\0").bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    }
    format!("{hash:016x}")
}

/// What has no place among the results: verdicts, silenced findings, what is to be expected of a runtime.
fn checkpoints(reports: &[ValidationReport]) -> Vec<Value> {
    reports
        .iter()
        .map(|report| {
            let mut checkpoint = json!({
                "uri": location::uri(&report.path),
                "verdict": report.verdict,
            });
            if !report.silenced.is_empty() {
                checkpoint["silenced"] = json!(report.silenced);
            }
            if let Some(runtime) = &report.runtime {
                checkpoint["runtime"] = json!(runtime);
            }
            checkpoint
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use speculators_formats::validate::{ValidateOptions, validate};

    use super::*;

    #[test]
    fn results_point_at_rules_places_and_tensors() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/broken");
        let reports = ["S404-two-layers-for-three", "S305-absolute", "nowhere"]
            .map(|name| validate(&fixtures.join(name), None, &ValidateOptions::default()));
        let log = log(&Findings {
            reports: reports.into(),
            deny_warnings: false,
        });
        let run = &log["runs"][0];
        assert_eq!(run["invocations"][0]["exitCode"], 1);
        assert_eq!(run["invocations"][0]["executionSuccessful"], true);
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        let results = run["results"].as_array().unwrap();
        assert_eq!((rules.len(), results.len()), (3, 3));
        for result in results {
            let index = result["ruleIndex"].as_u64().unwrap();
            assert_eq!(
                rules[usize::try_from(index).unwrap()]["id"],
                result["ruleId"]
            );
        }
        let region = &results[0]["locations"][0]["physicalLocation"]["region"];
        assert_eq!(*region, json!({ "startLine": 7, "startColumn": 3 }));
        let tensor = &results[1]["locations"][0]["logicalLocations"][0];
        assert_eq!(tensor["name"], "d2t");
    }

    #[test]
    fn a_fingerprint_survives_a_move_and_tells_findings_apart() {
        let at = |line, title: &str| {
            let finding =
                Diagnostic::error(codes::CONFIG_TYPE, title).at(Place::text("c.json", line, 1));
            fingerprint(&finding, "c.json")
        };
        assert_eq!(at(1, "x"), at(9, "x"));
        assert_ne!(at(1, "x"), at(1, "y"));
        assert_eq!(at(1, "x").len(), 16);
    }
}

//! Policies, progress and verdicts; what is found in which head is checked against `fixtures/broken`.

use std::ops::ControlFlow;
use std::path::PathBuf;

use super::*;
use crate::codes;
use crate::diagnostic::Level;
use crate::testing::{Scratch, TinyHead};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures/broken")
        .join(name)
}

fn judged(name: &str, options: &ValidateOptions) -> ValidationReport {
    validate(&fixture(name), Some(&fixture("verifier")), options)
}

#[test]
fn a_denied_code_is_an_error() {
    let plain = judged("S405-end-of-turn-outside", &ValidateOptions::default());
    assert_eq!(plain.verdict, Verdict::Valid);
    let options = ValidateOptions {
        deny: vec![codes::SPECIAL_TOKEN],
        ..ValidateOptions::default()
    };
    let denied = judged("S405-end-of-turn-outside", &options);
    assert_eq!(denied.verdict, Verdict::NotValid);
    assert_eq!(denied.count(Level::Error), 1);
}

#[test]
fn an_allowed_code_is_counted_and_not_listed() {
    let options = ValidateOptions {
        allow: vec![codes::SPECIAL_TOKEN, codes::NORM_EPS, codes::SPECIAL_TOKEN],
        deny_warnings: true,
        ..ValidateOptions::default()
    };
    let report = judged("S405-end-of-turn-outside", &options);
    assert_eq!(report.verdict, Verdict::Valid);
    let silenced = Silenced {
        code: codes::SPECIAL_TOKEN,
        count: 1,
    };
    assert_eq!(report.silenced, [silenced]);
    assert!(report.diagnostics.is_empty());
}

#[test]
fn allowing_what_keeps_a_head_from_being_opened_does_not_make_it_valid() {
    let options = ValidateOptions {
        allow: vec![codes::TENSOR_MISSING],
        ..ValidateOptions::default()
    };
    let report = judged("S201-no-fc", &options);
    assert!(report.diagnostics.is_empty(), "{:?}", report.diagnostics);
    assert_eq!(report.verdict, Verdict::CouldNotTell);
}

#[test]
fn the_worst_of_several_verdicts_is_theirs() {
    use Verdict::{CouldNotTell, NotValid, Valid};
    assert_eq!(Verdict::worst([Valid, CouldNotTell, NotValid]), NotValid);
    assert_eq!(Verdict::worst([CouldNotTell, Valid]), CouldNotTell);
    assert_eq!(Verdict::worst([]), Valid);
}

#[test]
fn progress_ends_at_the_total_and_can_be_broken_off() {
    let mut steps = Vec::new();
    let whole = validate_until(
        &fixture("sound"),
        None,
        &ValidateOptions::default(),
        &mut |done, total| {
            steps.push((done, total));
            ControlFlow::Continue(())
        },
    );
    let read = whole.map(|report| report.bytes_scanned);
    assert_eq!(steps.first().map(|step| step.0), Some(0));
    assert_eq!(steps.last().map(|step| step.0), read);
    assert!(steps.iter().all(|(_, total)| Some(*total) == read));
    let broken = validate_until(
        &fixture("sound"),
        None,
        &ValidateOptions::default(),
        &mut |done, _| {
            if done > 0 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        },
    );
    assert!(broken.is_none());
}

#[test]
fn a_kind_that_is_said_twice_and_differently_is_found() {
    let scratch = Scratch::new();
    let mut head = TinyHead::speculators();
    head.config["speculators_config"]["algorithm"] = serde_json::json!("dflash");
    let options = ValidateOptions {
        skip_values: true,
        ..ValidateOptions::default()
    };
    let report = validate(&head.write(&scratch, "head"), None, &options);
    let found: Vec<&str> = report
        .diagnostics
        .iter()
        .filter(|found| found.code == codes::NOT_REPRESENTABLE)
        .map(|found| found.title.as_str())
        .collect();
    let title =
        "`speculators_config.algorithm` is `dflash`, but `speculators_model_type` is `eagle3`";
    assert_eq!(found, [title]);
    assert_eq!(report.verdict, Verdict::Valid);
}

//! Every folder of `fixtures/broken` leads to exactly the findings its `expected.json` lists.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests may fail loudly as tests do"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use speculators_formats::codes::{self, Code};
use speculators_formats::validate::{ValidateOptions, ValidationReport, Verdict, validate};

/// Codes no checkpoint can show, with the reason.
const EXEMPT: &[(Code, &str)] = &[
    (codes::USAGE, "about options"),
    (codes::CONFIGURATION_MALFORMED, "about the option --config"),
    (codes::CONFIGURATION_KEY, "about the option --config"),
    (codes::CONFIGURATION_VALUE, "about the option --config"),
    (codes::CONFIGURATION_CONFLICT, "about the option --config"),
    (codes::OUTPUT_EXISTS, "about what is written"),
    (codes::OUTPUT_UNWRITABLE, "about what is written"),
    (codes::GUESS_REFUSED, "about the option --strict"),
    (codes::RUNTIME_KIND, "about the option --for"),
    (codes::RUNTIME_ASSUMES, "about the option --for"),
    (codes::RUNTIME_CONFIG, "about the option --for"),
    (codes::RUNTIME_TENSOR, "about the option --for"),
    (codes::RUNTIME_VERIFIER, "about the option --for"),
    (codes::PROBE_TEXT, "about a measurement"),
    (codes::PROBE_CONTRADICTED, "about a measurement"),
    (codes::PROBE_UNDECIDED, "about a measurement"),
    (codes::PROBE_WRITE, "about a measurement"),
    (codes::TOKENIZER, "about prompts"),
    (codes::PROMPT_MALFORMED, "about prompts"),
    (codes::PROMPT_TOO_LONG, "about prompts"),
    (codes::PROMPTS_EMPTY, "about prompts"),
    (codes::CALIBRATION, "about draft trees"),
    (codes::SURVEY_EMPTY, "about records"),
    (codes::NOT_A_RUN, "about finished runs"),
    (codes::NOTHING_IN_COMMON, "about finished runs"),
    (codes::NOT_A_RUN, "about finished runs"),
    (codes::NOTHING_IN_COMMON, "about finished runs"),
    (codes::CALIBRATION, "about draft trees"),
    (codes::SURVEY_EMPTY, "about records"),
    (codes::RECORDS_MALFORMED, "about records of an evaluation"),
    (codes::RECORDS_OTHER_RUN, "about records of an evaluation"),
    (codes::REQUESTS_NAMELESS, "about prompts"),
    (codes::PROMPTS_SKIPPED, "about prompts"),
    (codes::PROMPTS_ADJUSTED, "about prompts"),
    (codes::PROMPTS_FORM, "about prompts"),
    (codes::TEMPLATE_VARIABLE, "about prompts"),
    (codes::OPTION_ELSEWHERE, "about options of a fresh head"),
    (
        codes::NUMPY_MALFORMED,
        "about counts and maps that are no checkpoint",
    ),
    (
        codes::COUNTS_MALFORMED,
        "about counts and maps that are no checkpoint",
    ),
    (
        codes::COUNTS_RANGE,
        "about counts and maps that are no checkpoint",
    ),
    (
        codes::DRAFT_SIZE,
        "about counts and maps that are no checkpoint",
    ),
    (
        codes::FORCED_TOKEN,
        "about counts and maps that are no checkpoint",
    ),
    (
        codes::MAP_FILES,
        "about counts and maps that are no checkpoint",
    ),
    (
        codes::MAP_PADDED,
        "about counts and maps that are no checkpoint",
    ),
    (
        codes::COUNTS_EMPTY,
        "about counts and maps that are no checkpoint",
    ),
    (
        codes::AUX_LAYERS_COLLIDE,
        "about a verifier that is given a head",
    ),
    (
        codes::MASK_TOKEN_OPEN,
        "about a verifier that is given a head",
    ),
    (
        codes::DRAFT_GEOMETRY,
        "about a verifier that is given a head",
    ),
    (
        codes::SHARED_QUANTIZED,
        "about a verifier that is given a head",
    ),
    (
        codes::DRAFT_VOCABULARY_OPEN,
        "about a verifier that is given a head",
    ),
    (
        codes::FAMILY_UNKNOWN,
        "about a verifier that is given a head",
    ),
    (codes::HUB_UNREACHABLE, "about the Hub"),
    (codes::HUB_DENIED, "about the Hub"),
    (codes::HUB_MISSING, "about the Hub"),
    (codes::HUB_BUSY, "about the Hub"),
    (codes::HUB_ANSWER, "about the Hub"),
    (codes::HUB_DIGEST, "about the Hub"),
    (codes::HUB_OFFLINE, "about the Hub"),
    (codes::DISK_FULL, "about the Hub"),
    (codes::HUB_SELECTION, "about the Hub"),
    (codes::HUB_NAME, "about the Hub"),
    (codes::HUB_UPLOAD, "about the Hub"),
    (codes::DATA_MALFORMED, "about training data"),
    (codes::DATA_TOKEN_RANGE, "about training data"),
    (codes::SPANS_UNSTABLE, "about training data"),
    (codes::SPANS_DIVERGE, "about training data"),
    (codes::DATA_SKIPPED, "about training data"),
    (codes::DATA_ROLES, "about training data"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/broken")
}

/// The folders of heads, sorted by name.
fn cases() -> Vec<String> {
    let entries = fs_err::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap());
    let folders = entries.filter(|entry| entry.path().is_dir());
    let mut names: Vec<String> = folders
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.retain(|name| name != "verifier");
    names.sort();
    names
}

/// A case with its own verifier, or the shared one.
fn judge(case: &str) -> ValidationReport {
    let folder = root().join(case);
    let own = folder.join("verifier");
    let verifier = if own.is_dir() {
        own
    } else {
        root().join("verifier")
    };
    validate(&folder, Some(&verifier), &ValidateOptions::default())
}

/// What `expected.json` would have to say.
fn summary(report: &ValidationReport) -> Value {
    let findings = report.diagnostics.iter();
    let findings = findings.map(|found| json!({ "code": found.code, "level": found.level }));
    json!({ "verdict": report.verdict, "findings": findings.collect::<Vec<_>>() })
}

#[test]
fn each_folder_leads_to_the_findings_it_lists_and_to_no_others() {
    let mut wrong = String::new();
    for case in cases() {
        let expected = fs_err::read(root().join(&case).join("expected.json")).unwrap();
        let expected: Value = serde_json::from_slice(&expected).unwrap();
        let report = judge(&case);
        if summary(&report) != expected {
            wrong += &format!(
                "\n{case}\n  expected {expected}\n  found    {}\n",
                summary(&report)
            );
            for found in &report.diagnostics {
                wrong += &format!(
                    "  {}: {}\n    {:?}\n    {:?}\n",
                    found.code, found.title, found.notes, found.help
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn each_folder_shows_the_code_it_is_named_after() {
    for case in cases().iter().filter(|case| !case.starts_with("sound")) {
        let code: Code = case.split('-').next().unwrap().parse().unwrap();
        assert!(
            judge(case)
                .diagnostics
                .iter()
                .any(|found| found.code == code),
            "{case}"
        );
    }
}

#[test]
fn every_code_a_checkpoint_can_show_has_a_folder() {
    let cases = cases();
    for explanation in codes::ALL {
        let prefix = format!("{}-", explanation.code);
        let shown = cases.iter().any(|case| case.starts_with(&prefix));
        let exempt = EXEMPT.iter().any(|(code, _)| *code == explanation.code);
        assert!(
            shown != exempt,
            "{} needs a folder or a reason, not both",
            explanation.code
        );
    }
}

#[test]
fn findings_say_what_and_where() {
    for case in cases() {
        for found in judge(&case).diagnostics {
            let title = &found.title;
            assert!(
                !title.ends_with('.') && !title.starts_with(char::is_uppercase),
                "{case}: {title}"
            );
            let place = found
                .place
                .unwrap_or_else(|| panic!("{case}: `{title}` has no place"));
            assert!(place.path.starts_with(root()), "{case}: {place}");
        }
    }
}

#[test]
fn the_sound_head_needs_no_verifier() {
    let report = validate(&root().join("sound"), None, &ValidateOptions::default());
    assert_eq!(report.verdict, Verdict::Valid);
    assert_eq!(report.diagnostics, []);
    assert_eq!(report.tensors, 15);
    assert_eq!(report.tensors_scanned, 13); // all but d2t and t2d
}

#[test]
fn trained_heads_are_valid_with_their_verifier() {
    let fixtures = root().join("..");
    for head in ["safeailab", "safeailab-bin", "specforge", "speculators"] {
        let folder = fixtures.join("heads").join(head);
        let report = validate(
            &folder,
            Some(&fixtures.join("verifier")),
            &ValidateOptions::default(),
        );
        assert_eq!(
            report.verdict,
            Verdict::Valid,
            "{head}: {:?}",
            report.diagnostics
        );
    }
}

#[test]
fn denied_warnings_make_a_head_not_valid() {
    let folder = root().join("S308-unsorted");
    let strict = ValidateOptions {
        deny_warnings: true,
        ..ValidateOptions::default()
    };
    assert_eq!(validate(&folder, None, &strict).verdict, Verdict::NotValid);
    assert_eq!(
        validate(&folder, None, &ValidateOptions::default()).verdict,
        Verdict::Valid
    );
}

#[test]
fn what_is_not_there_is_not_judged() {
    let scratch = tempfile::tempdir().unwrap();
    let options = ValidateOptions::default();
    let sound = root().join("sound");
    assert_eq!(
        validate(&scratch.path().join("nowhere"), None, &options).verdict,
        Verdict::CouldNotTell
    );
    assert_eq!(
        validate(scratch.path(), None, &options).verdict,
        Verdict::CouldNotTell
    );
    assert_eq!(
        validate(&sound.join("config.json"), None, &options).verdict,
        Verdict::CouldNotTell
    );
    assert_eq!(
        validate(&root().join("verifier"), None, &options).verdict,
        Verdict::CouldNotTell
    );
    assert_eq!(
        validate(&sound, Some(scratch.path()), &options).verdict,
        Verdict::CouldNotTell
    );
}

#[test]
fn independent_problems_are_found_in_one_run() {
    let scratch = tempfile::tempdir().unwrap();
    copy(&root().join("S205-nan"), scratch.path());
    let config = fs_err::read_to_string(scratch.path().join("config.json")).unwrap();
    let config = config.replace(
        "\"default_proposal_method\": \"greedy\"",
        "\"default_proposal_method\": \"tree\"",
    );
    let config = config.replace("\"norm_before_fc\": false", "\"norm_before_fc\": true");
    fs_err::write(scratch.path().join("config.json"), config).unwrap();
    let report = validate(scratch.path(), None, &ValidateOptions::default());
    let found: BTreeSet<Code> = report.diagnostics.iter().map(|found| found.code).collect();
    let expected = [
        codes::TENSOR_MISSING,
        codes::TENSOR_NON_FINITE,
        codes::PROPOSAL_METHOD,
    ];
    assert_eq!(found, BTreeSet::from(expected));
}

#[test]
fn no_damage_to_a_header_or_config_panics() {
    let scratch = tempfile::tempdir().unwrap();
    copy(&root().join("sound"), scratch.path());
    for name in ["config.json", "model.safetensors"] {
        let path = scratch.path().join(name);
        let sound = fs_err::read(&path).unwrap();
        // The header and the first tensors; further on, a byte is just another weight.
        for at in 0..sound.len().min(2048) {
            let mut damaged = sound.clone();
            damaged[at] = if at % 2 == 0 { b'9' } else { b'"' };
            // A new file each time: a mapped one must not change.
            fs_err::remove_file(&path).unwrap();
            fs_err::write(&path, damaged).unwrap();
            let report = validate(
                scratch.path(),
                Some(&root().join("verifier")),
                &ValidateOptions::default(),
            );
            assert!(report.verdict.exit_code() <= 2);
        }
        fs_err::write(&path, sound).unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs_err::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs_err::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

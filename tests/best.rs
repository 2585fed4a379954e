//! What a survey says of a setting is what a run with it does, step by step.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod tiny;

use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::AtomicBool;

use serde_json::{Value, json};
use speculators::decoding::{
    Calibration, Drafting, DynamicTree, Limits, Sampling, StaticTree, Strategy, SurveyOptions,
    generate_with, speculate_with, survey,
};
use speculators::evaluation::{RequestSurvey, simulate};
use speculators::models::Verifier;
use tiny::Random;

fn dynamic(
    top_k: usize,
    depth: usize,
    budget: usize,
    calibration: Option<Calibration>,
) -> Drafting {
    Drafting::DynamicTree(DynamicTree {
        top_k,
        depth,
        budget,
        calibration,
    })
}

fn settings() -> Vec<Drafting> {
    let fixed = |paths: &[&[usize]]| {
        let paths = paths.iter().map(|path| path.to_vec()).collect();
        Drafting::StaticTree(StaticTree::new(paths).unwrap())
    };
    let mut settings: Vec<Drafting> = (1..=5)
        .map(|num_speculative_tokens| Drafting::Chain {
            num_speculative_tokens,
        })
        .collect();
    settings.extend([
        fixed(&[&[1]]),
        fixed(&[&[0], &[1], &[0, 0], &[0, 1], &[1, 0], &[1, 0, 0]]),
        fixed(&[&[3], &[3, 2], &[3, 10], &[3, 2, 1], &[0]]),
    ]);
    for budget in [1, 2, 3, 5, 8, 13, 30] {
        settings.push(dynamic(3, 4, budget, None));
        settings.push(dynamic(3, 2, budget, None));
        settings.push(dynamic(6, 3, budget, None));
        settings.push(dynamic(3, 4, budget, Some(tiny::calibration())));
    }
    settings
}

#[test]
fn simulated_steps_are_those_of_a_run() {
    let directory = tiny::directory();
    let cancelled = AtomicBool::new(false);
    let (mut compared, mut accepted, mut ends) = (0, 0, 0);
    let none = || json!({});
    let pairs = [
        ("llama", none(), none()),
        (
            "qwen3",
            json!({"draft_vocab_size": tiny::VOCABULARY, "norm_output": true}),
            json!({"model_type": "qwen3", "max_position_embeddings": 80}),
        ),
    ];
    for (seed, (model_type, head_changes, layer_changes)) in pairs.iter().enumerate() {
        let seed = 70 + seed as u64;
        let path = tiny::verifier(directory.path(), seed, model_type, &none());
        let verifier = Verifier::load(path).unwrap();
        let path = tiny::head(directory.path(), seed, head_changes, layer_changes);
        let head = tiny::open_head(&path, &verifier);
        let reach = head.description().max_position_embeddings;
        // Short ones that a limit ends, and one that fills the context.
        let texts = [(5, 20), (9, 31), (50, 90)];
        for (index, (prompt, max_new_tokens)) in texts.into_iter().enumerate() {
            let prompt = Random(index as u64 + 3).tokens(prompt);
            let warm = Sampling::with_temperature(0.7, index as u64);
            for sampling in [Sampling::greedy(), warm] {
                let limits = Limits {
                    end_token_ids: if index == 0 { vec![0] } else { Vec::new() },
                    ..Limits::new(&verifier, max_new_tokens)
                };
                let silent = &mut |_: &[u32], _: Option<&_>| {};
                let choosing = Strategy::new(
                    Drafting::Chain {
                        num_speculative_tokens: 1,
                    },
                    sampling,
                )
                .choosing();
                let plain =
                    generate_with(&verifier, &prompt, &limits, choosing, &cancelled, silent)
                        .unwrap();
                let calibrated = |calibration| DynamicTree {
                    top_k: 3,
                    depth: 4,
                    calibration,
                    ..DynamicTree::default()
                };
                let options = SurveyOptions {
                    depth: 10,
                    top: 4,
                    every: 1,
                    trees: vec![
                        calibrated(None),
                        calibrated(Some(tiny::calibration())),
                        DynamicTree {
                            top_k: 6,
                            ..calibrated(None)
                        },
                    ],
                };
                let mut request = RequestSurvey {
                    every: 1,
                    ..RequestSurvey::default()
                };
                let output = &plain.output_token_ids;
                let (of, each) = (&mut request.positions, &mut 0);
                survey(
                    &verifier,
                    &head,
                    &prompt,
                    output,
                    &choosing,
                    &options,
                    &cancelled,
                    &mut |position| {
                        *each += 1;
                        of.push(position);
                        Ok(())
                    },
                )
                .unwrap();
                assert_eq!(*each, output.len() - 1);
                for drafting in settings() {
                    let strategy = Strategy::new(drafting.clone(), sampling);
                    let run = speculate_with(
                        &verifier,
                        &head,
                        &prompt,
                        &limits,
                        &strategy,
                        &cancelled,
                        &mut |_, _| {},
                    )
                    .unwrap();
                    assert_eq!(run.output_token_ids, *output);
                    // Where a chain would lead beyond the context, token 0 is verified in place of a draft.
                    let end = match drafting {
                        Drafting::Chain {
                            num_speculative_tokens,
                        } => reach.min(limits.context_length) - 2 * num_speculative_tokens - 1,
                        _ => usize::MAX,
                    };
                    let real = run.steps.iter().filter(|step| !step.proposed.is_empty());
                    let real: Vec<[usize; 3]> = real
                        .map(|step| [step.context_length, step.accepted, step.emitted])
                        .filter(|[context_length, ..]| *context_length < end)
                        .collect();
                    let simulated = simulate(&request, &drafting).unwrap();
                    let simulated: Vec<[usize; 3]> = simulated
                        .iter()
                        .map(|step| [step.context_length, step.accepted, step.emitted])
                        .filter(|[context_length, ..]| *context_length < end)
                        .collect();
                    assert_eq!(
                        simulated, real,
                        "{model_type} {drafting:?} {sampling:?} {index}"
                    );
                    compared += real.len();
                    accepted += real.iter().map(|[_, accepted, _]| accepted).sum::<usize>();
                    let last = real.last().map_or(0, |[at, accepted, _]| at + accepted);
                    ends += usize::from(last >= prompt.len() + output.len());
                }
            }
        }
    }
    assert!(
        compared > 1000 && accepted > 500 && ends > 20,
        "{compared} steps with {accepted} tokens, {ends} beyond the end: little is tested here"
    );
}

#[test]
fn places_and_probabilities_are_those_of_the_whole_list() {
    let directory = tiny::directory();
    let verifier =
        Verifier::load(tiny::verifier(directory.path(), 5, "llama", &json!({}))).unwrap();
    let head = tiny::open_head(
        &tiny::head(directory.path(), 5, &json!({}), &json!({})),
        &verifier,
    );
    let options = SurveyOptions {
        depth: 3,
        top: 11,
        every: 2,
        trees: Vec::new(),
    };
    let prompt = Random(8).tokens(12);
    let output = Random(9).tokens(20);
    let mut found = Vec::new();
    survey(
        &verifier,
        &head,
        &prompt,
        &output,
        &Strategy::greedy_chain(1).choosing(),
        &options,
        &AtomicBool::new(false),
        &mut |position| {
            found.push(position);
            Ok(())
        },
    )
    .unwrap();
    let at: Vec<usize> = found
        .iter()
        .map(|position| position.context_length)
        .collect();
    assert_eq!(at, (13..32).step_by(2).collect::<Vec<_>>());
    let mut nowhere = 0;
    for position in &found[..8] {
        for (depth, rank) in position.ranks.iter().enumerate() {
            let top = &position.top[depth];
            assert!((top.iter().sum::<f32>() - 1.0).abs() < 1e-4, "{top:?}");
            assert!(top.is_sorted_by(|a, b| a >= b));
            // Every other token can be drafted, up to the end of the draft vocabulary.
            let token = output[position.context_length - prompt.len() + depth] as usize;
            let known = token.is_multiple_of(2) && token / 2 < 11;
            assert_eq!(rank.is_some(), known);
            nowhere += usize::from(!known);
            let q = rank.map_or(0.0, |rank| top[rank]);
            assert!((position.q[depth] - q).abs() < 1e-6);
        }
    }
    assert!(nowhere > 3);
}

fn eval(more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_speculators"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["eval", "--demo", "--limit", "4", "--max-new-tokens", "24"])
        .args(more)
        .output()
        .unwrap()
}

fn json_of(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn length(best: &Value, shape: &str, budget: u64) -> f64 {
    let rows = best["frontier"].as_array().unwrap().iter();
    let mut rows = rows.filter(|row| row["shape"] == shape && row["budget"] == budget);
    rows.next().unwrap()["mean_length"].as_f64().unwrap()
}

/// Equal but for the last digits of numbers, which went through text once more.
fn alike(one: &Value, other: &Value) {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            assert!(one.keys().eq(other.keys()), "{one:?} {other:?}");
            one.values()
                .zip(other.values())
                .for_each(|(a, b)| alike(a, b));
        }
        (Value::Array(one), Value::Array(other)) => {
            assert_eq!(one.len(), other.len());
            one.iter().zip(other).for_each(|(a, b)| alike(a, b));
        }
        (Value::Number(one), Value::Number(other)) => {
            let (one, other) = (one.as_f64().unwrap(), other.as_f64().unwrap());
            assert!((one - other).abs() <= 1e-9 * one.abs(), "{one} {other}");
        }
        _ => assert_eq!(one, other),
    }
}

fn path_text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn the_best_is_found_again_in_the_records_and_holds_when_it_is_run() {
    let scratch = tempfile::tempdir().unwrap();
    let file = |name: &str| scratch.path().join(name);
    let (records, tree, calibration) = (
        file("records.jsonl"),
        file("tree.json"),
        file("calibration.json"),
    );
    let first = json_of(&eval(&[
        "--best",
        "--format",
        "json",
        "--records",
        path_text(&records),
        "--write-tree",
        path_text(&tree),
        "--write-calibration",
        path_text(&calibration),
    ]));
    let best = &first["best"];
    assert_eq!(best["survey"]["exact"], true);
    assert_eq!(best["recommendation"]["measured"]["mismatched"], 0);
    let again = Command::new(env!("CARGO_BIN_EXE_speculators"))
        .args(["eval", "--best", "--format", "json", "--from-records"])
        .arg(&records)
        .output()
        .unwrap();
    let mut again = json_of(&again);
    let recommendation = again["best"]["recommendation"].as_object_mut().unwrap();
    recommendation.insert(
        "measured".into(),
        best["recommendation"]["measured"].clone(),
    );
    alike(&again["best"], best);

    for k in ["1", "3"] {
        let run = json_of(&eval(&["--num-speculative-tokens", k, "--format", "json"]));
        let real = run["acceptance"]["mean_length"].as_f64().unwrap();
        let simulated = length(best, "chain", k.parse().unwrap());
        assert!((real - simulated).abs() < 1e-12, "{k}: {real} {simulated}");
    }
    let tree = json_of(&eval(&["--tree", path_text(&tree), "--format", "json"]));
    assert_eq!(tree["lossless"]["mismatched"], 0);
    for tree in [
        &[
            "--tree",
            "dynamic",
            "--calibration",
            path_text(&calibration),
        ][..],
        &["--tree", "calibrated"],
    ] {
        let run = json_of(&eval(
            &[tree, &["--tree-budget", "8", "--format", "json"]].concat(),
        ));
        assert_eq!(run["lossless"]["mismatched"], 0);
        let written = &run["setting"]["drafting"]["calibration"];
        assert!(written["depths"].is_array(), "{run}");
    }
    // The prompts that were calibrated on are not evaluated.
    let run = json_of(&eval(&["--tree", "calibrated", "--format", "json"]));
    assert_eq!(run["counts"]["requests"], 3);
}

#[test]
fn what_cannot_be_is_said() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("calibration.json");
    fs_err::write(
        &path,
        r#"{"schema":"speculators.calibration/1","depths":[]}"#,
    )
    .unwrap();
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let refused = eval(&["--tree", "dynamic", "--calibration", path_text(&path)]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("S741"), "{}", said(&refused));
    let records = scratch.path().join("records.jsonl");
    json_of(&eval(&[
        "--format",
        "json",
        "--records",
        path_text(&records),
    ]));
    let refused = Command::new(env!("CARGO_BIN_EXE_speculators"))
        .args(["eval", "--best", "--from-records"])
        .arg(&records)
        .output()
        .unwrap();
    assert!(said(&refused).contains("S742"), "{}", said(&refused));
}

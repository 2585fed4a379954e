use serde_json::json;

use super::*;
use crate::decoding::{Drafting, DynamicTree};
use crate::evaluation::StepFigures;

fn step(proposed: usize, accepted: usize, emitted: usize) -> StepFigures {
    StepFigures {
        proposed: vec![1; proposed],
        accepted,
        emitted,
        ..StepFigures::default()
    }
}

fn outcome(id: &str, category: Option<&str>, steps: Vec<StepFigures>) -> RequestFigures {
    let output: usize = 1 + steps.iter().map(|step| step.emitted).sum::<usize>();
    RequestFigures {
        id: id.into(),
        category: category.map(str::to_owned),
        output_tokens: output,
        steps,
        decode: Duration::from_millis(100),
        plain_decode: Duration::from_millis(200),
        lossless: true,
        ..RequestFigures::default()
    }
}

#[test]
fn acceptance_follows_the_definitions_of_vllm() {
    // Two requests, pooled: the second step's third accepted token is cut by the limit but still counts.
    let outcomes = [
        outcome("a", None, vec![step(3, 3, 4), step(3, 3, 2)]),
        outcome("b", None, vec![step(3, 1, 2), step(3, 0, 1)]),
    ];
    let report = Report::fold(Setting::of_chain(3), &outcomes, None);
    assert_eq!(report.counts.drafted_per_position, [4, 4, 4]);
    assert_eq!(report.counts.accepted_per_position, [3, 2, 2]);
    assert_eq!(
        (
            report.counts.steps,
            report.counts.drafted,
            report.counts.accepted
        ),
        (4, 12, 7)
    );
    assert_eq!(
        (report.counts.emitted, report.counts.output_tokens),
        (9, 11)
    );
    assert_eq!(report.acceptance.per_position, [0.75, 0.5, 0.5]);
    assert_eq!(report.acceptance.conditional, [0.75, 2.0 / 3.0, 1.0]);
    assert!((report.acceptance.mean_length - 2.75).abs() < 1e-12);
    assert!((report.acceptance.draft_rate - 7.0 / 12.0).abs() < 1e-12);
    assert!((report.latency.as_ref().unwrap().speedup - 2.0).abs() < 1e-12);
}

#[test]
fn trees_are_counted_by_depth() {
    let tree = |accepted| StepFigures {
        proposed: vec![3, 2, 1],
        accepted,
        emitted: accepted + 1,
        ..StepFigures::default()
    };
    let setting = Setting {
        num_speculative_tokens: 6,
        drafting: Drafting::DynamicTree(DynamicTree {
            top_k: 3,
            depth: 3,
            budget: 6,
            ..DynamicTree::default()
        }),
        ..Setting::of_chain(3)
    };
    let outcomes = [outcome("a", None, vec![tree(3), tree(0), tree(1)])];
    let report = Report::fold(setting, &outcomes, None);
    assert_eq!(report.counts.drafted, 18);
    assert_eq!(report.counts.drafted_per_position, [9, 6, 3]);
    assert_eq!(report.counts.accepted_per_position, [2, 1, 1]);
    assert!((report.acceptance.mean_length - (1.0 + 4.0 / 3.0)).abs() < 1e-12);
    let written = serde_json::to_value(&report.setting).unwrap();
    let drafting = json!({"method": "dynamic_tree", "top_k": 3, "depth": 3, "budget": 6});
    assert_eq!(written["drafting"], drafting);
    assert_eq!(written["sampling"]["temperature"], json!(0.0));
}

#[test]
fn categories_partition_the_counts() {
    let outcomes = [
        outcome("a", Some("code"), vec![step(3, 2, 3)]),
        outcome("b", Some("dialogue"), vec![step(3, 0, 1)]),
    ];
    let report = Report::fold(Setting::of_chain(3), &outcomes, None);
    let names: Vec<&str> = report
        .categories
        .iter()
        .map(|category| category.category.as_str())
        .collect();
    assert_eq!(names, ["code", "dialogue"]);
    assert_eq!(
        report
            .categories
            .iter()
            .map(|category| category.counts.accepted)
            .sum::<usize>(),
        2
    );
}

#[test]
fn a_run_without_steps_divides_by_nothing() {
    let report = Report::fold(Setting::of_chain(3), &[], None);
    assert!((report.acceptance.mean_length - 1.0).abs() < 1e-12);
    assert_eq!(report.acceptance.per_position, [0.0, 0.0, 0.0]);
}

use std::time::Duration;

use super::*;
use crate::evaluation::StepFigures;

fn step(proposed: usize, accepted: usize, emitted: usize, milliseconds: u64) -> StepFigures {
    StepFigures {
        proposed: vec![1; proposed],
        accepted,
        emitted,
        verify: Duration::from_millis(milliseconds),
        ..StepFigures::default()
    }
}

fn request(times: [u64; 4], steps: Vec<StepFigures>) -> RequestFigures {
    let [prefill, decode, plain_prefill, plain_decode] = times.map(Duration::from_millis);
    RequestFigures {
        output_tokens: 1 + steps.iter().map(|step| step.emitted).sum::<usize>(),
        prefill,
        decode,
        plain_prefill,
        plain_decode,
        steps,
        ..RequestFigures::default()
    }
}

/// Two requests of unlike length. In the first, three accepted tokens and the bonus are cut down to one by an end
/// of text; in the second, the context leaves no room for a draft in the last step.
fn requests() -> [RequestFigures; 2] {
    [
        request(
            [10, 100, 10, 200],
            vec![step(3, 3, 4, 40), step(3, 1, 2, 40), step(3, 3, 1, 20)],
        ),
        request([20, 50, 20, 50], vec![step(3, 0, 1, 30), step(0, 0, 1, 20)]),
    ]
}

fn values(requests: &[RequestFigures], positions: usize) -> impl Fn(&str) -> f64 + use<> {
    let tallies: Vec<Tally> = requests
        .iter()
        .map(|request| Tally::of(request, positions))
        .collect();
    let bootstrap = Bootstrap::new(requests.len());
    let values: Vec<MetricValue> = Metric::all(positions)
        .iter()
        .map(|metric| metric.value(requests, &tallies, &bootstrap))
        .collect();
    move |name| {
        let found = values.iter().find(|value| value.name == name);
        found.and_then(|value| value.value).unwrap()
    }
}

#[track_caller]
fn close(value: f64, expected: f64) {
    assert!((value - expected).abs() < 1e-12, "{value}, not {expected}");
}

/// The requests are such that no two of these definitions give the same number.
#[test]
fn every_length_is_the_one_of_whoever_named_it() {
    let value = values(&requests(), 3);
    // Seven accepted in four steps with a draft; the end of text cuts nothing from vLLM's count.
    close(value("mean_length"), 1.0 + 7.0 / 4.0);
    // Nine emitted in five steps.
    close(value("tau"), 9.0 / 5.0);
    // No bonus token.
    close(value("eagle_logged_length"), 7.0 / 5.0);
    close(value("specbench_mean_accepted_tokens"), 12.0 / 5.0);
    // Means of means: of 1 + 7 / 3 and 1 + 0 / 2, of 7 / 3 and 2 / 2, of 8 / 3 and 3 / 2.
    close(value("hass_tau"), f64::midpoint(10.0 / 3.0, 1.0));
    close(value("modelopt_length"), f64::midpoint(7.0 / 3.0, 1.0));
    close(
        value("specforge_average_length"),
        f64::midpoint(8.0 / 3.0, 1.5),
    );
    // Eleven tokens came out, one of each request from its prompt pass.
    close(value("sglang_accept_length"), 11.0 / 5.0);
    close(value("specforge_simulated_length"), 7.0 / 4.0);
}

#[test]
fn rates_divide_by_what_their_names_say() {
    let value = values(&requests(), 3);
    // Put to the test: 3, 2 and 3 depths, 1, and none.
    close(value("acceptance_rate"), 7.0 / 9.0);
    close(value("draft_rate"), 7.0 / 12.0);
    for (position, joint, conditional) in [(0, 0.75, 0.75), (1, 0.5, 2.0 / 3.0), (2, 0.5, 1.0)] {
        close(value(&format!("per_position.{position}")), joint);
        close(value(&format!("conditional.{position}")), conditional);
    }
    // The joint shares add up to the mean length, and the conditional ones multiply to them.
    close(value("mean_length"), 1.0 + 0.75 + 0.5 + 0.5);
    close(value("per_position.2"), 0.75 * (2.0 / 3.0) * 1.0);
}

#[test]
fn short_drafts_count_against_a_position_unless_the_name_says_otherwise() {
    let value = values(
        &[request([0; 4], vec![step(2, 2, 3, 1), step(1, 1, 2, 1)])],
        2,
    );
    close(value("per_position.1"), 0.5);
    close(value("per_proposed.1"), 1.0);
    close(value("conditional.1"), 0.5);
    // Both drafts were accepted whole.
    close(value("acceptance_rate"), 1.0);
}

#[test]
fn a_tree_is_tested_once_a_depth_however_wide_it_is() {
    let tree = StepFigures {
        proposed: vec![4, 8, 3],
        accepted: 1,
        emitted: 2,
        ..StepFigures::default()
    };
    let value = values(&[request([0; 4], vec![tree])], 3);
    close(value("acceptance_rate"), 0.5);
    close(value("draft_rate"), 1.0 / 15.0);
    close(value("mean_length"), 2.0);
}

#[test]
fn speeds_and_latencies_are_those_of_whoever_named_them() {
    let value = values(&requests(), 3);
    // 7 and 2 tokens after the first ones, in 100 and 50 ms; plain in 200 and 50.
    close(value("tokens_per_second"), 9.0 / 0.15);
    close(value("plain_tokens_per_second"), 9.0 / 0.25);
    close(value("speedup"), 0.25 / 0.15);
    let spec = 8.0 / 0.11 + 3.0 / 0.07;
    close(value("eagle_speedup"), spec / (8.0 / 0.21 + 3.0 / 0.07));
    close(value("ttft_ms.mean"), 15.0);
    close(
        value("tpot_ms.mean"),
        f64::midpoint(100.0 / 7.0, 50.0 / 2.0),
    );
    close(value("ttft_ms.p50"), 10.0);
    close(value("ttft_ms.p90"), 20.0);
    // Tokens: four of 10 ms, four of 20, one of 30. Arrivals: 20, 20, 30, 40, 40.
    close(value("inter_token_ms.p50"), 20.0);
    close(value("inter_token_ms.p90"), 30.0);
    close(value("arrival_gap_ms.p50"), 30.0);
    close(value("arrival_gap_ms.p90"), 40.0);
}

#[test]
fn names_are_unique_and_definitions_fit_a_line() {
    let metrics = Metric::all(3);
    let mut names: Vec<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    for metric in &metrics {
        let length = metric.definition.chars().count();
        assert!(
            length <= 90 && !metric.whose.is_empty(),
            "{}: {length}",
            metric.name
        );
    }
}

#[test]
fn nothing_measured_is_no_number() {
    let bootstrap = Bootstrap::new(0);
    for metric in Metric::all(2) {
        let measured = metric.value(&[], &[], &bootstrap);
        assert_eq!(
            (measured.value, measured.interval),
            (None, None),
            "{}",
            metric.name
        );
    }
}

use serde_json::json;

use super::*;

fn request(id: &str, category: &str, steps: usize, accepted: usize) -> RequestReport {
    RequestReport {
        id: id.into(),
        category: Some(category.into()),
        prompt_digest: Some(format!("{id} as it is")),
        steps,
        passes: steps,
        accepted,
        ..RequestReport::default()
    }
}

fn run(speculative_tokens: usize, requests: Vec<RequestReport>) -> FinishedRun {
    FinishedRun {
        file: format!("{speculative_tokens}.json"),
        setting: Setting::of_chain(speculative_tokens),
        requests,
        unfinished: Vec::new(),
    }
}

#[test]
fn differences_are_the_second_less_the_first_over_the_same_prompts() {
    let first = run(
        2,
        vec![
            request("a", "code", 4, 4),
            request("b", "code", 4, 8),
            request("c", "talk", 4, 0),
            request("gone", "talk", 4, 0),
        ],
    );
    let mut other = request("c", "talk", 4, 4);
    other.prompt_digest = Some("something else".into());
    let second = run(
        3,
        vec![
            other,
            request("b", "code", 4, 10),
            request("a", "code", 4, 6),
            request("new", "code", 4, 4),
        ],
    );
    let comparison = RunComparison::make(&first, &second).unwrap();
    assert_eq!(comparison.paired, 2);
    assert_eq!(comparison.only_first, ["gone"]);
    assert_eq!(comparison.only_second, ["new"]);
    assert_eq!(comparison.other_prompts, ["c"]);
    assert_eq!(comparison.prompts_by, PromptCheck::Digest);
    // a and b: 1 + 12 / 8 before, 1 + 16 / 8 now; both gain half a token.
    let length = comparison.metric("mean_length").unwrap();
    assert_eq!(
        (length.first, length.second, length.difference),
        (2.5, 3.0, 0.5)
    );
    assert_eq!(
        (length.interval, length.verdict),
        (Some([0.5, 0.5]), Verdict::Better)
    );
    let [code] = &comparison.categories[..] else {
        panic!("{:?}", comparison.categories)
    };
    assert_eq!(
        (code.category.as_str(), code.paired, code.difference),
        ("code", 2, 0.5)
    );
    assert_eq!(comparison.requests[0].difference, Some(0.5));
    let names: Vec<&str> = comparison
        .settings
        .iter()
        .map(|setting| setting.name.as_str())
        .collect();
    assert_eq!(names, ["num_speculative_tokens", "drafting"]);
    assert_eq!(comparison.settings[0].second, json!(3));

    let turned = RunComparison::make(&second, &first).unwrap();
    assert_eq!(
        turned.metric("mean_length").unwrap().verdict,
        Verdict::Worse
    );
}

#[test]
fn a_metric_that_improves_downwards_is_better_when_it_is_less() {
    let timed = |microseconds| RequestReport {
        output_tokens: 11,
        decode: std::time::Duration::from_micros(microseconds),
        ..request("a", "code", 5, 5)
    };
    let both = |one, other| {
        vec![
            timed(one),
            RequestReport {
                id: "b".into(),
                ..timed(other)
            },
        ]
    };
    let slow = run(2, both(20_000, 30_000));
    let fast = run(2, both(10_000, 11_000));
    let comparison = RunComparison::make(&slow, &fast).unwrap();
    assert_eq!(
        comparison.metric("tpot_ms.mean").unwrap().verdict,
        Verdict::Better
    );
    assert_eq!(
        comparison.metric("mean_length").unwrap().verdict,
        Verdict::Equal
    );
    // One pair says nothing of chance.
    let one = |microseconds| run(2, vec![timed(microseconds)]);
    let comparison = RunComparison::make(&one(2), &one(1)).unwrap();
    assert_eq!(
        comparison.metric("tpot_ms.mean").unwrap().verdict,
        Verdict::Unknown
    );
}

#[test]
fn runs_over_other_prompts_are_not_compared() {
    let first = run(2, vec![request("a", "code", 4, 4)]);
    let mut other = request("a", "code", 4, 4);
    other.prompt_digest = None;
    other.prompt_tokens = 7;
    let Err(crate::Error::Diagnostics(found)) = RunComparison::make(&first, &run(2, vec![other]))
    else {
        panic!("another prompt was taken for the same")
    };
    assert!(found[0].notes[0].contains("1 ids"), "{found:?}");
    assert!(RunComparison::make(&first, &run(2, Vec::new())).is_err());
}

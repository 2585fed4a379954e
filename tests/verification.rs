//! Every rule of verification keeps the distribution of plain sampling in the loop as it runs, penalties and stop
//! strings hold inside a draft as outside of it, and what is recorded of a step agrees with what happens.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod tiny;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use serde_json::json;
use speculators::Error;
use speculators::decoding::{
    Drafting, DynamicTree, FinishReason, Generation, Limits, Penalties, Sampling, StaticTree,
    StopStrings, Strategy, Verification, generate_with, next_logits, speculate_with,
};
use speculators::models::{DraftHead, Verifier};
use speculators::text::TextTokenizer;
use speculators_kernels::{Occurrence, reference};

fn chain(num_speculative_tokens: usize) -> Drafting {
    Drafting::Chain {
        num_speculative_tokens,
    }
}

fn tree(paths: &[&[usize]]) -> Drafting {
    let paths = paths.iter().map(|path| path.to_vec()).collect();
    Drafting::StaticTree(StaticTree::new(paths).unwrap())
}

fn decode(
    verifier: &Verifier,
    head: &DraftHead,
    prompt: &[u32],
    limits: &Limits<'_>,
    strategy: &Strategy,
) -> Result<Generation, Error> {
    let cancelled = AtomicBool::new(false);
    speculate_with(
        verifier,
        head,
        prompt,
        limits,
        strategy,
        &cancelled,
        &mut |_, _| {},
    )
}

fn tiny_pair(directory: &Path) -> (Verifier, DraftHead) {
    let path = tiny::verifier(directory, 41, "llama", &json!({"dtype": "float32"}));
    let verifier = Verifier::load(path).unwrap();
    let path = tiny::head(directory, 42, &json!({}), &json!({}));
    let head = tiny::open_head(&path, &verifier);
    (verifier, head)
}

/// The probability of every continuation of `prompt` by `length` tokens, by definition.
fn law(
    verifier: &Verifier,
    prompt: &[u32],
    length: usize,
    strategy: &Strategy,
) -> BTreeMap<Vec<u32>, f64> {
    let mut law = BTreeMap::from([(Vec::new(), 1.0)]);
    for _ in 0..length {
        let mut longer = BTreeMap::new();
        for (output, probability) in law {
            let text: Vec<u32> = prompt.iter().chain(&output).copied().collect();
            let mut logits = next_logits(verifier, &text).unwrap();
            let width = logits.len();
            let mut seen = text.clone();
            seen.sort_unstable();
            seen.dedup();
            let seen: Vec<Occurrence> = seen
                .into_iter()
                .map(|token| Occurrence {
                    token,
                    in_output: output.iter().filter(|other| **other == token).count() as u32,
                })
                .collect();
            reference::penalize(&mut logits, width, &strategy.penalties, &seen, &[&[]]).unwrap();
            let mut next = vec![0.0_f64; width];
            reference::probabilities(&logits, width, &strategy.sampling, &mut next).unwrap();
            for (token, next) in next.into_iter().enumerate().filter(|(_, next)| *next > 0.0) {
                let mut output = output.clone();
                output.push(token as u32);
                longer.insert(output, probability * next);
            }
        }
        law = longer;
    }
    law
}

/// Pearson's statistic of what came out, in standard deviations (Wilson and Hilferty's approximation); cells of less
/// than five expected draws are taken together.
fn deviation(law: &BTreeMap<Vec<u32>, f64>, found: &BTreeMap<Vec<u32>, usize>) -> f64 {
    let draws: usize = found.values().sum();
    assert!(
        found.keys().all(|output| law.contains_key(output)),
        "a continuation of probability 0 came out"
    );
    let mut cells: Vec<(f64, f64)> = Vec::new();
    let mut rest = (0.0, 0.0);
    for (output, probability) in law {
        let expected = probability * draws as f64;
        let count = found.get(output).copied().unwrap_or(0) as f64;
        if expected >= 5.0 {
            cells.push((expected, count));
        } else {
            rest = (rest.0 + expected, rest.1 + count);
        }
    }
    if rest.0 >= 5.0 {
        cells.push(rest);
    }
    assert!(cells.len() > 10, "{} cells tell nothing", cells.len());
    let statistic: f64 = cells
        .iter()
        .map(|(expected, count)| (count - expected).powi(2) / expected)
        .sum();
    let degrees = (cells.len() - 1) as f64;
    let spread = 2.0 / (9.0 * degrees);
    ((statistic / degrees).cbrt() - (1.0 - spread)) / spread.sqrt()
}

/// Continues a prompt with many seeds, and counts what came out and how many draft tokens were accepted.
fn sample(
    verifier: &Verifier,
    head: &DraftHead,
    prompt: &[u32],
    length: usize,
    draws: u64,
    strategy: &Strategy,
) -> (BTreeMap<Vec<u32>, usize>, usize) {
    let limits = Limits {
        end_token_ids: Vec::new(),
        ..Limits::new(verifier, length)
    };
    let (mut found, mut accepted) = (BTreeMap::new(), 0);
    for seed in 0..draws {
        let mut strategy = strategy.clone();
        strategy.sampling.seed = seed;
        let output = decode(verifier, head, prompt, &limits, &strategy).unwrap();
        accepted += output.steps.iter().map(|step| step.accepted).sum::<usize>();
        *found.entry(output.output_token_ids).or_default() += 1;
    }
    (found, accepted)
}

/// How the lossless rules are tried.
fn lossless() -> Vec<(Drafting, Verification)> {
    let siblings = tree(&[&[0], &[1], &[2], &[0, 0], &[0, 1], &[1, 0], &[0, 0, 0]]);
    vec![
        (chain(3), Verification::Match),
        (chain(2), Verification::Rejection),
        (chain(3), Verification::Rejection),
        (chain(1), Verification::Block),
        (chain(3), Verification::Block),
        (siblings.clone(), Verification::Rejection),
        // At 1 the thresholds let nothing pass that sampling would not.
        (
            siblings,
            Verification::Thresholds {
                single: 1.0,
                accumulated: 1.0,
            },
        ),
    ]
}

#[test]
fn every_lossless_rule_draws_from_the_verifiers_own_distribution() {
    let directory = tiny::directory();
    let (verifier, head) = tiny_pair(directory.path());
    let few = Sampling {
        top_k: 4,
        ..Sampling::with_temperature(1.3, 0)
    };
    let many = Sampling {
        top_p: 0.7,
        ..Sampling::with_temperature(0.8, 0)
    };
    let mild = Penalties {
        repetition: 1.4,
        frequency: 0.3,
        presence: 0.2,
    };
    let prompt = [3, 1, 4, 1, 5];
    for (sampling, penalties, length) in [
        (few, Penalties::none(), 4),
        (many, Penalties::none(), 2),
        (few, mild, 3),
    ] {
        let mut strategy = Strategy::new(chain(1), sampling);
        strategy.penalties = penalties;
        let law = law(&verifier, &prompt, length, &strategy);
        for (drafting, verification) in lossless() {
            strategy.drafting = drafting;
            strategy.verification = verification;
            let (found, accepted) = sample(&verifier, &head, &prompt, length, 2500, &strategy);
            let deviation = deviation(&law, &found);
            // One in three million is further away.
            assert!(
                deviation < 5.0,
                "{deviation} standard deviations: {strategy:?}"
            );
            assert!(accepted > 100, "only {accepted} accepted: {strategy:?}");
        }
    }
}

#[test]
fn lossy_rules_accept_more_and_draw_from_something_else() {
    let directory = tiny::directory();
    let (verifier, head) = tiny_pair(directory.path());
    let prompt = [3, 1, 4, 1, 5];
    let few = Sampling {
        top_k: 4,
        ..Sampling::with_temperature(1.3, 0)
    };
    let mut strategy = Strategy::new(chain(3), few);
    let law = law(&verifier, &prompt, 4, &strategy);
    let (_, exact) = sample(&verifier, &head, &prompt, 4, 2000, &strategy);
    for lossy in [
        Verification::Typical {
            epsilon: 0.09,
            delta: 0.3,
        },
        Verification::Thresholds {
            single: 0.3,
            accumulated: 0.5,
        },
    ] {
        assert!(lossy.is_lossy());
        strategy.verification = lossy;
        let (found, accepted) = sample(&verifier, &head, &prompt, 4, 2000, &strategy);
        assert!(
            accepted > exact,
            "{accepted} by {lossy:?}, {exact} by matching"
        );
        assert!(deviation(&law, &found) > 10.0, "{lossy:?} is not lossy");
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn fixture() -> (Verifier, DraftHead, Vec<Vec<u32>>) {
    let verifier = Verifier::load(fixtures().join("verifier")).unwrap();
    let head = tiny::open_head(&fixtures().join("heads/speculators"), &verifier);
    let prompts = fs_err::read_to_string(fixtures().join("golden/vllm.jsonl")).unwrap();
    let prompts = prompts
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            serde_json::from_value(line["prompt_token_ids"].clone()).unwrap()
        })
        .collect();
    (verifier, head, prompts)
}

/// What is accepted at depth 1 happens as often as `Σ min(p, q)` says, and block verification accepts no fewer.
#[test]
fn acceptance_is_what_the_recorded_overlap_predicts() {
    let (verifier, head, prompts) = fixture();
    let limits = Limits::new(&verifier, 40);
    let mut totals = Vec::new();
    for verification in [Verification::Rejection, Verification::Block] {
        let (mut expected, mut variance, mut found, mut total) = (0.0, 0.0, 0.0, 0);
        for (seed, prompt) in prompts.iter().step_by(3).enumerate() {
            let mut strategy = Strategy::new(
                chain(4),
                Sampling {
                    seed: seed as u64,
                    ..Sampling::with_temperature(1.2, 0)
                },
            );
            strategy.verification = verification;
            let output = decode(&verifier, &head, prompt, &limits, &strategy).unwrap();
            for step in output.steps.iter().filter(|step| !step.path.is_empty()) {
                let overlap = f64::from(step.path[0].overlap);
                expected += overlap;
                variance += overlap * (1.0 - overlap);
                found += f64::from(u8::from(step.accepted > 0));
                total += step.accepted;
            }
        }
        if verification == Verification::Rejection {
            assert!(variance > 5.0, "nothing is left to chance: {variance}");
            let deviation = (found - expected) / variance.sqrt();
            assert!(
                deviation.abs() < 4.5,
                "{found} accepted, {expected} expected"
            );
        }
        totals.push(total);
    }
    assert!(totals[1] > totals[0] / 2, "{totals:?}");
}

#[test]
fn penalties_count_the_draft_tokens_on_the_way() {
    let (verifier, head, prompts) = fixture();
    let limits = Limits::new(&verifier, 40);
    let cancelled = AtomicBool::new(false);
    let dynamic = Drafting::DynamicTree(DynamicTree::default());
    let (mut accepted, mut changed) = (0, 0);
    for (index, prompt) in prompts.iter().step_by(6).enumerate() {
        for penalties in [
            Penalties {
                repetition: 2.5,
                ..Penalties::none()
            },
            Penalties {
                frequency: 4.0,
                presence: 2.0,
                ..Penalties::none()
            },
        ] {
            for sampling in [
                Sampling::greedy(),
                Sampling::with_temperature(0.7, index as u64),
            ] {
                let mut strategy = Strategy::new(chain(3), sampling);
                let free = generate_with(
                    &verifier,
                    prompt,
                    &limits,
                    sampling,
                    &cancelled,
                    &mut |_, _| {},
                );
                strategy.penalties = penalties;
                let choosing = strategy.choosing();
                let plain = generate_with(
                    &verifier,
                    prompt,
                    &limits,
                    choosing,
                    &cancelled,
                    &mut |_, _| {},
                )
                .unwrap();
                changed += usize::from(free.unwrap().output_token_ids != plain.output_token_ids);
                for drafting in [chain(3), dynamic.clone()] {
                    strategy.drafting = drafting;
                    let found = decode(&verifier, &head, prompt, &limits, &strategy).unwrap();
                    assert_eq!(
                        found.output_token_ids, plain.output_token_ids,
                        "{strategy:?}"
                    );
                    accepted += found.steps.iter().map(|step| step.accepted).sum::<usize>();
                }
            }
        }
    }
    assert!(
        accepted > 100 && changed > 5,
        "{accepted} accepted, {changed} changed"
    );
}

#[test]
fn a_stop_string_ends_the_output_inside_an_accepted_path() {
    let (verifier, head, prompts) = fixture();
    let tokenizer = TextTokenizer::load(&fixtures().join("verifier")).unwrap();
    let free = Limits::new(&verifier, 40);
    let cancelled = AtomicBool::new(false);
    let strategy = Strategy::greedy_chain(3);
    let (mut inside, mut checked) = (0, 0);
    for prompt in prompts.iter().step_by(4) {
        let whole = decode(&verifier, &head, prompt, &free, &strategy).unwrap();
        let text = tokenizer.decode(&whole.output_token_ids).unwrap();
        // Some words out of the middle, which begin and end within tokens.
        let from = text.char_indices().nth(text.chars().count() / 2).unwrap().0;
        let stop: String = text[from..].chars().take(9).collect();
        if stop.chars().count() < 9 {
            continue;
        }
        let stops = ["no such text".to_owned(), stop.clone()];
        let limits = Limits {
            stop: Some(StopStrings::new(&stops, &tokenizer)),
            ..free.clone()
        };
        let plain = generate_with(
            &verifier,
            prompt,
            &limits,
            Sampling::greedy(),
            &cancelled,
            &mut |_, _| {},
        )
        .unwrap();
        let found = decode(&verifier, &head, prompt, &limits, &strategy).unwrap();
        assert_eq!(found.output_token_ids, plain.output_token_ids);
        assert_eq!(found.finish, FinishReason::StopString);
        assert_eq!(
            (plain.finish, plain.finish.as_str()),
            (FinishReason::StopString, "stop")
        );
        let ids = &found.output_token_ids;
        let stopped = tokenizer.decode(ids).unwrap();
        let before = tokenizer.decode(&ids[..ids.len() - 1]).unwrap();
        assert!(
            stopped.contains(&stop) && !before.contains(&stop),
            "{stopped}"
        );
        let cut = StopStrings::new(&stops, &tokenizer)
            .cut(&stopped)
            .to_owned();
        assert!(stopped.starts_with(&cut) && !cut.contains(&stop));
        let last = found.steps.last().unwrap();
        inside += usize::from(last.emitted < last.accepted + 1);
        checked += 1;
    }
    assert!(
        checked > 3 && inside > 0,
        "{inside} of {checked} ended inside"
    );
}

#[test]
fn rules_refuse_the_drafts_they_are_not_defined_for() {
    let directory = tiny::directory();
    let (verifier, head) = tiny_pair(directory.path());
    let limits = Limits::new(&verifier, 4);
    let warm = Sampling::with_temperature(1.0, 0);
    let typical = Verification::Typical {
        epsilon: 0.09,
        delta: 0.3,
    };
    let dynamic = Drafting::DynamicTree(DynamicTree::default());
    for (drafting, sampling, verification, expected) in [
        (
            dynamic.clone(),
            warm,
            Verification::Rejection,
            "dynamic tree",
        ),
        (dynamic, warm, Verification::Block, "for chains"),
        (
            tree(&[&[0], &[2]]),
            warm,
            Verification::Rejection,
            "path [2]",
        ),
        (chain(2), Sampling::greedy(), typical, "temperature 0"),
    ] {
        let mut strategy = Strategy::new(drafting, sampling);
        strategy.verification = verification;
        match decode(&verifier, &head, &[1, 2], &limits, &strategy) {
            Err(Error::Diagnostics(found)) => {
                assert!(found[0].title.contains(expected), "{}", found[0].title);
            }
            other => panic!("{other:?}"),
        }
    }
    // Without chance the lossless rules are one.
    for verification in [Verification::Rejection, Verification::Block] {
        let mut strategy = Strategy::new(chain(2), Sampling::greedy());
        let plain = decode(&verifier, &head, &[1, 2], &limits, &strategy).unwrap();
        strategy.verification = verification;
        let found = decode(&verifier, &head, &[1, 2], &limits, &strategy).unwrap();
        assert_eq!(found.output_token_ids, plain.output_token_ids);
    }
}

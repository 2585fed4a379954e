//! Speculation gives the tokens of plain decoding, whatever the models and the drafts, and leaves the caches as if
//! nothing had been drafted.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod tiny;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use serde_json::{Value, json};
use speculators::decoding::{
    Drafting, DynamicTree, FinishReason, Generation, Limits, Sampling, StaticTree, Strategy,
    generate, generate_with, speculate, speculate_with,
};
use speculators::models::{Cache, DraftHead, Verifier, VerifierPass};
use speculators_kernels::causal_bits;
use tiny::{Random, contents};

/// Families and what can vary within them.
fn verifiers() -> Vec<(&'static str, Value)> {
    vec![
        ("llama", json!({})),
        ("llama", json!({"dtype": "float32"})),
        (
            "llama",
            json!({"dtype": "float16", "tie_word_embeddings": true}),
        ),
        ("llama", json!({"attention_bias": true, "mlp_bias": true})),
        (
            "llama",
            json!({"rope_parameters": {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0,
            "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}}),
        ),
        (
            "llama",
            json!({"rope_scaling": {"rope_type": "yarn", "factor": 4.0,
            "original_max_position_embeddings": 24}}),
        ),
        (
            "llama",
            json!({"rope_scaling": {"rope_type": "linear", "factor": 2.0}}),
        ),
        ("qwen2", json!({})),
        ("qwen3", json!({})),
        ("qwen3", json!({"tie_word_embeddings": true})),
        ("mistral", json!({"sliding_window": 7})),
    ]
}

/// Variants of the head: changes to its config and to that of its layers.
fn heads() -> Vec<(Value, Value)> {
    vec![
        (json!({}), json!({})),
        (json!({"norm_before_residual": true}), json!({})),
        (
            json!({"norm_before_fc": true, "norm_output": true}),
            json!({}),
        ),
        (json!({"fc_norm": true, "norm_output": true}), json!({})),
        (
            json!({"norm_before_residual": true, "fc_norm": true}),
            json!({"num_hidden_layers": 2}),
        ),
        (
            json!({"draft_vocab_size": tiny::VOCABULARY}),
            json!({"num_hidden_layers": 3}),
        ),
        (json!({"norm_output": true}), json!({"model_type": "qwen3"})),
        (json!({}), json!({"attention_bias": true, "mlp_bias": true})),
        (
            json!({"eagle_aux_hidden_state_layer_ids": [0, 1, 3, 5]}),
            json!({}),
        ),
        (
            json!({}),
            json!({"layer_types": ["sliding_attention"], "sliding_window": 6, "use_sliding_window": true}),
        ),
    ]
}

/// Trees of all kinds: chains in disguise, wider than the draft vocabulary, larger than a word of the mask.
fn trees() -> Vec<Drafting> {
    let dynamic = |top_k, depth, budget| {
        Drafting::DynamicTree(DynamicTree {
            top_k,
            depth,
            budget,
            calibration: None,
        })
    };
    let calibrated = Drafting::DynamicTree(DynamicTree {
        top_k: 3,
        depth: 4,
        budget: 9,
        calibration: Some(tiny::calibration()),
    });
    let fixed = |paths: &[&[usize]]| {
        let paths = paths.iter().map(|path| path.to_vec()).collect();
        Drafting::StaticTree(StaticTree::new(paths).unwrap())
    };
    vec![
        dynamic(1, 3, 3),
        dynamic(2, 3, 4),
        dynamic(3, 5, 12),
        dynamic(8, 2, 40),
        dynamic(64, 3, 255),
        calibrated,
        fixed(&[&[3]]),
        fixed(&[
            &[0],
            &[1],
            &[2],
            &[0, 0],
            &[0, 1],
            &[1, 0],
            &[0, 0, 0],
            &[0, 0, 2],
        ]),
        fixed(&[&[0], &[4], &[4, 1], &[4, 1, 0], &[4, 1, 3], &[4, 1, 3, 2]]),
    ]
}

/// Ways to choose tokens.
fn samplings() -> Vec<Sampling> {
    let warm = |temperature, seed| Sampling::with_temperature(temperature, seed);
    vec![
        warm(0.3, 1),
        warm(0.8, 2),
        warm(1.0, u64::MAX),
        warm(1.7, 4),
        Sampling {
            top_k: 5,
            ..warm(1.0, 5)
        },
        Sampling {
            top_p: 0.8,
            min_p: 0.05,
            ..warm(0.7, 6)
        },
    ]
}

/// Decodes plainly and with speculation, and finds the same.
fn agree(
    verifier: &Verifier,
    head: &DraftHead,
    prompt: &[u32],
    limits: &Limits,
    strategy: &Strategy,
    what: &str,
) -> Generation {
    let cancelled = AtomicBool::new(false);
    let sampling = &strategy.sampling;
    let plain = generate_with(
        verifier,
        prompt,
        limits,
        sampling,
        &cancelled,
        &mut |_, _| {},
    );
    let plain = plain.unwrap();
    let mut heard = Vec::new();
    let mut hear = |tokens: &[u32], _: Option<&_>| heard.extend_from_slice(tokens);
    let found = speculate_with(
        verifier, head, prompt, limits, strategy, &cancelled, &mut hear,
    );
    let found = found.unwrap();
    assert_eq!(
        found.output_token_ids, plain.output_token_ids,
        "{what}, {strategy:?}"
    );
    assert_eq!(found.output_token_ids, heard, "{what}, {strategy:?}");
    assert_eq!(found.finish, plain.finish, "{what}, {strategy:?}");
    let emitted: usize = found.steps.iter().map(|step| step.emitted).sum();
    assert_eq!(emitted + 1, found.output_token_ids.len());
    for step in &found.steps {
        assert!(step.proposed.len() <= strategy.drafting.tokens());
        assert_eq!(
            step.proposed.len(),
            step.proposed_per_depth.iter().sum::<usize>()
        );
        assert!(step.accepted <= step.proposed_per_depth.len());
        assert!(step.proposed_per_depth.len() <= strategy.drafting.depth());
        let (depth, accepted) = (step.proposed_per_depth.len(), step.accepted);
        if matches!(strategy.drafting, Drafting::Chain { .. }) {
            // A chain holds the head's favourites.
            let favourites = step.path.iter().take_while(|token| token.rank == Some(0));
            assert_eq!(favourites.count(), accepted, "{what}, {strategy:?}");
            assert_eq!(step.path.len(), depth.min(accepted + 1));
        }
        assert!(step.path.len() >= accepted);
        for token in &step.path {
            assert!(token.p > 0.0 && token.p <= 1.0 && (token.rank.is_some() || token.q == 0.0));
            assert!(token.q <= token.top_q && token.overlap <= 1.0);
        }
    }
    found
}

fn accepted(generation: &Generation) -> usize {
    generation.steps.iter().map(|step| step.accepted).sum()
}

fn check(verifier: &Verifier, head: &DraftHead, random: &mut Random, what: &str) -> usize {
    let cancelled = AtomicBool::new(false);
    let mut accepted = 0;
    for count in 1..=7 {
        let length = 1 + random.below(30) as usize;
        let prompt = random.tokens(length);
        let limits = Limits {
            end_token_ids: vec![random.below(24)],
            ..Limits::new(verifier, 40)
        };
        let plain = generate(verifier, &prompt, &limits, &cancelled).unwrap();
        let speculative = speculate(verifier, head, &prompt, &limits, count, &cancelled).unwrap();
        assert_eq!(
            speculative.output_token_ids, plain.output_token_ids,
            "{what}, {count} draft tokens"
        );
        assert_eq!(speculative.finish, plain.finish);
        let emitted: usize = speculative.steps.iter().map(|step| step.emitted).sum();
        assert_eq!(emitted + 1, speculative.output_token_ids.len());
        accepted += speculative
            .steps
            .iter()
            .map(|step| step.accepted)
            .sum::<usize>();
    }
    accepted
}

#[test]
fn speculation_gives_the_tokens_of_plain_decoding_for_every_verifier() {
    let directory = tiny::directory();
    let mut random = Random(1);
    let mut accepted = 0;
    for (index, (model_type, changes)) in verifiers().iter().enumerate() {
        for round in 0..3 {
            let seed = 100 * index as u64 + round;
            let path = tiny::verifier(directory.path(), seed, model_type, changes);
            let verifier = Verifier::load(path).unwrap();
            assert!(verifier.warnings().is_empty());
            let head = tiny::open_head(
                &tiny::head(directory.path(), seed, &json!({}), &json!({})),
                &verifier,
            );
            accepted += check(
                &verifier,
                &head,
                &mut random,
                &format!("{model_type} {changes}"),
            );
        }
    }
    assert!(
        accepted > 100,
        "only {accepted} drafts were accepted: nothing is tested here"
    );
}

#[test]
fn speculation_gives_the_tokens_of_plain_decoding_for_every_head() {
    let directory = tiny::directory();
    let mut random = Random(2);
    let verifier =
        Verifier::load(tiny::verifier(directory.path(), 7, "llama", &json!({}))).unwrap();
    for (index, (changes, layer_changes)) in heads().iter().enumerate() {
        for round in 0..3 {
            let path = tiny::head(
                directory.path(),
                100 * index as u64 + round,
                changes,
                layer_changes,
            );
            let head = tiny::open_head(&path, &verifier);
            check(
                &verifier,
                &head,
                &mut random,
                &format!("{changes} {layer_changes}"),
            );
        }
    }
}

#[test]
fn trees_and_sampling_give_the_tokens_of_plain_decoding_for_every_verifier() {
    let directory = tiny::directory();
    let mut random = Random(4);
    let (mut greedy, mut sampled) = (0, 0);
    for (index, (model_type, changes)) in verifiers().iter().enumerate() {
        let seed = 900 + index as u64;
        let path = tiny::verifier(directory.path(), seed, model_type, changes);
        let verifier = Verifier::load(path).unwrap();
        let (changes, layer_changes) = &heads()[index % heads().len()];
        let path = tiny::head(directory.path(), seed, changes, layer_changes);
        let head = tiny::open_head(&path, &verifier);
        let mut draftings = trees();
        draftings.push(Drafting::Chain {
            num_speculative_tokens: 4,
        });
        for (index, drafting) in draftings.into_iter().enumerate() {
            let length = 1 + random.below(30) as usize;
            let prompt = random.tokens(length);
            let limits = Limits {
                end_token_ids: vec![random.below(24)],
                ..Limits::new(&verifier, 40)
            };
            let samplings = samplings();
            let others = [samplings[index % samplings.len()], Sampling::greedy()];
            for sampling in others {
                let strategy = Strategy::new(drafting.clone(), sampling);
                let found = agree(&verifier, &head, &prompt, &limits, &strategy, model_type);
                *(if sampling.is_greedy() {
                    &mut greedy
                } else {
                    &mut sampled
                }) += accepted(&found);
            }
        }
    }
    assert!(
        greedy > 100 && sampled > 100,
        "only {greedy} and {sampled} drafts were accepted: nothing is tested here"
    );
}

/// The fixture's trained heads, on texts they accept much of.
#[test]
fn trees_and_sampling_give_the_tokens_of_plain_decoding_on_the_fixture() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let verifier = Verifier::load(fixtures.join("verifier")).unwrap();
    let prompts = fs_err::read_to_string(fixtures.join("golden/vllm.jsonl")).unwrap();
    let prompts: Vec<Vec<u32>> = prompts
        .lines()
        .step_by(5)
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            serde_json::from_value(line["prompt_token_ids"].clone()).unwrap()
        })
        .collect();
    let limits = Limits::new(&verifier, 48);
    let mut ended_inside = 0;
    for name in ["speculators", "speculators-defaults"] {
        let head = tiny::open_head(&fixtures.join("heads").join(name), &verifier);
        let mut steps = [0, 0];
        for (index, prompt) in prompts.iter().enumerate() {
            let chain = Strategy::greedy_chain(3);
            steps[0] += agree(&verifier, &head, prompt, &limits, &chain, name)
                .steps
                .len();
            let drafting = Drafting::DynamicTree(DynamicTree {
                top_k: 4,
                depth: 3,
                budget: 36,
                calibration: None,
            });
            let mut tree = Strategy::new(drafting, Sampling::greedy());
            let whole = agree(&verifier, &head, prompt, &limits, &tree, name);
            steps[1] += whole.steps.len();

            // The output may end at any token of an accepted path: for its length, and for what it is.
            let mut position = 1;
            for step in &whole.steps {
                if step.accepted >= 2 && step.emitted > step.accepted {
                    let within = position + index % step.accepted;
                    let shorter = Limits {
                        max_new_tokens: within + 1,
                        ..limits.clone()
                    };
                    let end = Limits {
                        end_token_ids: vec![whole.output_token_ids[within]],
                        ..limits.clone()
                    };
                    let full = Limits {
                        context_length: prompt.len() + within + 1,
                        ..limits.clone()
                    };
                    for limits in [shorter, end, full] {
                        let found = agree(&verifier, &head, prompt, &limits, &tree, name);
                        let last = found.steps.last();
                        let inside = last.is_some_and(|step| step.emitted <= step.accepted);
                        ended_inside += usize::from(inside);
                    }
                }
                position += step.emitted;
            }

            for (seed, temperature) in [(0, 0.4), (7, 0.8), (11, 1.0), (12, 1.0)] {
                tree.sampling = Sampling::with_temperature(temperature, seed);
                agree(&verifier, &head, prompt, &limits, &tree, name);
                let chain = Strategy {
                    sampling: tree.sampling,
                    ..chain.clone()
                };
                agree(&verifier, &head, prompt, &limits, &chain, name);
            }
        }
        // The tree holds the chain, and more.
        assert!(steps[1] * 10 < steps[0] * 9, "{name}: {steps:?}");
    }
    assert!(ended_inside > 20, "only {ended_inside} outputs ended so");
}

#[test]
fn sampling_depends_on_the_seed_and_on_the_temperature() {
    let directory = tiny::directory();
    let verifier =
        Verifier::load(tiny::verifier(directory.path(), 3, "llama", &json!({}))).unwrap();
    let cancelled = AtomicBool::new(false);
    let limits = Limits {
        end_token_ids: Vec::new(),
        ..Limits::new(&verifier, 30)
    };
    let mut outputs: Vec<Vec<u32>> = [(0.0, 1), (1.0, 1), (1.0, 2), (0.5, 1)]
        .into_iter()
        .map(|(temperature, seed)| {
            let sampling = Sampling::with_temperature(temperature, seed);
            let prompt = [3, 5];
            generate_with(
                &verifier,
                &prompt,
                &limits,
                sampling,
                &cancelled,
                &mut |_, _| {},
            )
            .unwrap()
            .output_token_ids
        })
        .collect();
    let greedy = generate(&verifier, &[3, 5], &limits, &cancelled).unwrap();
    assert_eq!(outputs[0], greedy.output_token_ids);
    outputs.sort();
    outputs.dedup();
    assert_eq!(outputs.len(), 4);
}

#[test]
fn trees_stop_where_plain_decoding_does_at_the_end_of_the_context() {
    let directory = tiny::directory();
    let verifier =
        Verifier::load(tiny::verifier(directory.path(), 3, "llama", &json!({}))).unwrap();
    for (seed, positions) in [(3, 96_usize), (4, 88)] {
        // The second head has fewer positions than the verifier: beyond them nothing is drafted.
        let layers = json!({"max_position_embeddings": positions});
        let head = tiny::head(directory.path(), seed, &json!({}), &layers);
        let head = tiny::open_head(&head, &verifier);
        let prompt = Random(3).tokens(70);
        let limits = Limits {
            end_token_ids: Vec::new(),
            ..Limits::new(&verifier, 1000)
        };
        for drafting in trees() {
            let depth = drafting.depth();
            let fixed = matches!(drafting, Drafting::StaticTree(_));
            let strategy = Strategy::new(drafting, Sampling::greedy());
            let found = agree(
                &verifier,
                &head,
                &prompt,
                &limits,
                &strategy,
                "full context",
            );
            assert_eq!(found.finish, FinishReason::ContextLength);
            assert_eq!(70 + found.output_token_ids.len(), 96);
            for step in &found.steps {
                let room = 95 - step.context_length;
                let seen = positions.saturating_sub(step.context_length);
                let (levels, most) = (step.proposed_per_depth.len(), depth.min(room).min(seen));
                // The best nodes of a dynamic tree need not reach its last level.
                assert!(levels == most || !fixed && 0 < levels && levels < most);
            }
        }
    }
}

#[test]
fn speculation_stops_where_plain_decoding_does_at_the_end_of_the_context() {
    let directory = tiny::directory();
    let cancelled = AtomicBool::new(false);
    let verifier =
        Verifier::load(tiny::verifier(directory.path(), 3, "llama", &json!({}))).unwrap();
    let head = tiny::open_head(
        &tiny::head(directory.path(), 3, &json!({}), &json!({})),
        &verifier,
    );
    let prompt = Random(3).tokens(70);
    let limits = Limits {
        end_token_ids: Vec::new(),
        ..Limits::new(&verifier, 1000)
    };
    for count in 1..=7 {
        let plain = generate(&verifier, &prompt, &limits, &cancelled).unwrap();
        let speculative = speculate(&verifier, &head, &prompt, &limits, count, &cancelled).unwrap();
        assert_eq!(speculative.output_token_ids, plain.output_token_ids);
        assert_eq!(speculative.finish, FinishReason::ContextLength);
        assert_eq!(70 + speculative.output_token_ids.len(), 96);
        // A chain and the token after it have to fit.
        for step in &speculative.steps {
            assert_eq!(step.proposed.len(), count.min(95 - step.context_length));
        }
    }
}

#[test]
fn refuses_prompts_and_draft_lengths_that_cannot_be_run() {
    let directory = tiny::directory();
    let cancelled = AtomicBool::new(false);
    let verifier =
        Verifier::load(tiny::verifier(directory.path(), 3, "llama", &json!({}))).unwrap();
    let head = tiny::open_head(
        &tiny::head(directory.path(), 3, &json!({}), &json!({})),
        &verifier,
    );
    let limits = Limits::new(&verifier, 5);
    let message = |prompt: &[u32], count| {
        speculate(&verifier, &head, prompt, &limits, count, &cancelled)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        message(&[], 3),
        "the prompt has 0 tokens, 1 to 95 can be continued"
    );
    assert_eq!(
        message(&[5; 96], 3),
        "the prompt has 96 tokens, 1 to 95 can be continued"
    );
    assert_eq!(
        message(&[1, 24], 3),
        "the prompt holds token id 24, the verifier has 24 tokens"
    );
    assert_eq!(
        message(&[1], 64),
        "64 draft tokens per step were asked for, 1 to 63 are possible"
    );
    let tree = |drafting| {
        let strategy = Strategy::new(drafting, Sampling::greedy());
        let silent = &mut |_: &[u32], _: Option<&_>| {};
        speculate_with(
            &verifier,
            &head,
            &[1],
            &limits,
            &strategy,
            &cancelled,
            silent,
        )
        .unwrap_err()
        .to_string()
    };
    assert_eq!(
        tree(Drafting::DynamicTree(DynamicTree {
            top_k: 0,
            depth: 64,
            budget: 256,
            ..DynamicTree::default()
        })),
        "0 children per node were asked for, 1 to 64 are possible; \
         64 levels were asked for, 1 to 63 are possible; \
         256 draft tokens per tree were asked for, 1 to 255 are possible"
    );
    let paths = vec![vec![0], vec![11]];
    assert_eq!(
        tree(Drafting::StaticTree(StaticTree::new(paths).unwrap())),
        "12 children per node were asked for, 1 to 11 are possible"
    );
    cancelled.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(message(&[1], 3), "interrupted");
}

/// A pass over a plain text behind the cache.
fn run(verifier: &Verifier, tokens: &[u32], cache: &mut Cache, pass: &mut VerifierPass) {
    let positions: Vec<u32> = (cache.len() as u32..(cache.len() + tokens.len()) as u32).collect();
    verifier
        .forward(
            tokens,
            &positions,
            &causal_bits(tokens.len()),
            cache,
            &[],
            pass,
        )
        .unwrap();
}

#[test]
fn a_cache_after_rollback_is_that_of_the_accepted_tokens_alone() {
    let directory = tiny::directory();
    for (seed, (model_type, changes)) in verifiers().iter().enumerate() {
        let path = tiny::verifier(directory.path(), seed as u64, model_type, changes);
        let verifier = Verifier::load(path).unwrap();
        let mut random = Random(seed as u64);
        let text = random.tokens(40);
        let mut pass = VerifierPass::default();

        // A chain of which two tokens are accepted, then a tree of which one branch is.
        let mut cache = verifier.cache(4).unwrap();
        run(&verifier, &text[..20], &mut cache, &mut pass);
        let rejected = random.tokens(4);
        run(
            &verifier,
            &[&text[20..23], &rejected[..]].concat(),
            &mut cache,
            &mut pass,
        );
        cache.compact(20, &[0, 1, 2]).unwrap();
        // Root 0; 1 and 2 below it; 3 below 1, 4 below 2; 5 below 4. Accepted: 0, 2, 4.
        let other = random.tokens(3);
        let tree = [text[23], other[0], text[24], other[1], text[25], other[2]];
        let visible = [0b1, 0b11, 0b101, 0b1011, 0b10101, 0b110101];
        verifier
            .forward(
                &tree,
                &[23, 24, 24, 25, 25, 26],
                &visible,
                &mut cache,
                &[],
                &mut pass,
            )
            .unwrap();
        let branch = pass.hidden_row(4).to_vec();
        cache.compact(23, &[0, 2, 4]).unwrap();
        run(&verifier, &text[26..], &mut cache, &mut pass);
        let last = pass.hidden_row(13).to_vec();

        let mut fresh = verifier.cache(0).unwrap();
        run(&verifier, &text, &mut fresh, &mut pass);
        assert_eq!(cache.len(), 40);
        assert!(
            contents(&cache) == contents(&fresh),
            "{model_type} {changes}: keys and values"
        );
        assert_eq!(
            branch,
            pass.hidden_row(25),
            "{model_type} {changes}: a branch of a tree"
        );
        assert_eq!(
            last,
            pass.hidden_row(39),
            "{model_type} {changes}: after the rollback"
        );
    }
}

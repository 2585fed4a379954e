//! Speculation gives the tokens of plain decoding, whatever the models and the drafts, and leaves the caches as if
//! nothing had been drafted.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod tiny;

use std::sync::atomic::AtomicBool;

use serde_json::{Value, json};
use speculators::decoding::{FinishReason, Limits, generate, speculate};
use speculators::models::{Cache, DraftHead, Verifier, VerifierPass};
use speculators_kernels::causal_bits;
use tiny::Random;

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
    cancelled.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(message(&[1], 3), "interrupted");
}

/// Every key and value, as bits.
fn contents(cache: &Cache) -> Vec<Vec<u32>> {
    (0..cache.layers())
        .map(|index| {
            let layer = cache.layer(index);
            (0..layer.len())
                .flat_map(|slot| (0..layer.kv_heads()).map(move |head| (slot, head)))
                .flat_map(|(slot, head)| [layer.key(slot, head), layer.value(slot, head)].concat())
                .map(f32::to_bits)
                .collect()
        })
        .collect()
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

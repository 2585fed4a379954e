//! Numbers of other people's software for the fixtures: hidden states and tokens of transformers, draft logits of the
//! Python package, and what vLLM drafts and accepts.
//!
//! In single precision sums are only rearranged, and everything agrees closely. In bfloat16 each operation rounds
//! where vLLM's does, so that tokens and drafts are equal but for choices between logits that are one step of
//! bfloat16 apart or less: there the order of a sum decides, and that is what a difference has to be.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use speculators::decoding::{Limits, generate, next_logits, speculate};
use speculators::models::{DraftHead, HeadPass, Precision, Verifier, VerifierPass};
use speculators_formats::{Head, ReadOptions};
use speculators_kernels::{Isa, causal_bits, cpu};

const CONTEXTS: [&str; 3] = ["arithmetic-1", "code-1", "dialogue-1"];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn load(precision: Precision, head: &str) -> (Verifier, DraftHead) {
    let verifier = Verifier::load_as(fixtures().join("verifier"), precision).unwrap();
    let opened = Head::open(
        &fixtures().join("heads").join(head),
        Some(verifier.config()),
        &ReadOptions::default(),
    )
    .unwrap();
    let head = DraftHead::load(&opened, &verifier).unwrap();
    (verifier, head)
}

/// The tensors of a golden file, as numbers.
struct Golden(Vec<u8>);

impl Golden {
    fn read(name: &str) -> Golden {
        Golden(fs_err::read(fixtures().join("golden").join(name)).unwrap())
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = tensors.tensor(name).unwrap();
        let word = |bytes: &[u8]| u16::from_le_bytes([bytes[0], bytes[1]]);
        match tensor.dtype() {
            Dtype::F32 => tensor
                .data()
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect(),
            _ => tensor
                .data()
                .chunks_exact(2)
                .map(|b| half::bf16::from_bits(word(b)).to_f32())
                .collect(),
        }
    }

    fn ids(&self, name: &str) -> Vec<u32> {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        tensors
            .tensor(name)
            .unwrap()
            .data()
            .as_chunks::<8>()
            .0
            .iter()
            .map(|b| i64::from_le_bytes(*b) as u32)
            .collect()
    }
}

/// Root of the mean squared difference, relative to what is expected.
fn distance(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let square = |x: f64| x * x;
    let difference: f64 = found
        .iter()
        .zip(expected)
        .map(|(a, b)| square(f64::from(*a) - f64::from(*b)))
        .sum();
    let size: f64 = expected.iter().map(|x| square(f64::from(*x))).sum();
    (difference / size).sqrt()
}

fn positions(length: usize) -> Vec<u32> {
    (0..length as u32).collect()
}

#[test]
fn hidden_states_and_logits_are_those_of_transformers() {
    let golden = Golden::read("hidden_states.safetensors");
    // Found: 6.5e-7 and 8.3e-3.
    for (precision, tolerance) in [(Precision::Float32, 5e-6), (Precision::Bfloat16, 2e-2)] {
        let verifier = Verifier::load_as(fixtures().join("verifier"), precision).unwrap();
        for id in CONTEXTS {
            let tokens = golden.ids(&format!("{id}.token_ids"));
            let (mut cache, mut pass) = (
                verifier.cache(tokens.len()).unwrap(),
                VerifierPass::default(),
            );
            verifier
                .forward(
                    &tokens,
                    &positions(tokens.len()),
                    &causal_bits(tokens.len()),
                    &mut cache,
                    &[2, 4, 5, 8],
                    &mut pass,
                )
                .unwrap();
            let states = golden.floats(&format!("{id}.{precision}.hidden_states"));
            let apart = distance(pass.auxiliary(), &states);
            assert!(
                apart < tolerance,
                "{id} {precision}: hidden states are {apart:e} apart"
            );
            let mut logits = Vec::new();
            verifier.logits(pass.hidden(), &mut logits).unwrap();
            let apart = distance(&logits, &golden.floats(&format!("{id}.{precision}.logits")));
            assert!(
                apart < tolerance,
                "{id} {precision}: logits are {apart:e} apart"
            );
        }
    }
}

#[test]
fn a_chain_of_drafts_is_that_of_the_python_package() {
    let golden = Golden::read("draft_logits.safetensors");
    let (_, head) = load(Precision::Float32, "speculators");
    // Found: 9.3e-7.
    const TOLERANCE: f64 = 5e-6;
    for id in CONTEXTS {
        let tokens = golden.ids(&format!("{id}.token_ids"));
        let drafts = golden.ids(&format!("{id}.draft_token_ids"));
        let rows = tokens.len() - 1;
        let (mut cache, mut pass) = (head.cache(rows).unwrap(), HeadPass::default());
        let (mut features, mut logits) = (Vec::new(), Vec::new());
        let width = head.description().hidden_size;
        let auxiliary = golden.floats(&format!("{id}.auxiliary_hidden_states"));
        head.fuse(&auxiliary, &mut pass, &mut features).unwrap();
        head.forward(
            &tokens[1..],
            &positions(rows),
            &causal_bits(rows),
            &mut features,
            &mut cache,
            &mut pass,
        )
        .unwrap();
        features.drain(..(rows - 1) * width);
        for (step, draft) in drafts.iter().enumerate() {
            if step > 0 {
                let position = [(rows + step - 1) as u32];
                head.forward(
                    &drafts[step - 1..step],
                    &position,
                    &[1],
                    &mut features,
                    &mut cache,
                    &mut pass,
                )
                .unwrap();
            }
            head.logits(pass.hidden(), &mut logits).unwrap();
            let apart = distance(&logits, &golden.floats(&format!("{id}.step_{step}.logits")));
            assert!(
                apart < TOLERANCE,
                "{id} step {step}: logits are {apart:e} apart"
            );
            let apart = distance(
                &features,
                &golden.floats(&format!("{id}.step_{step}.hidden_state")),
            );
            assert!(
                apart < TOLERANCE,
                "{id} step {step}: what is handed on is {apart:e} apart"
            );
            assert_eq!(
                head.propose(&mut pass).unwrap().token,
                *draft,
                "{id} step {step}"
            );
        }
    }
}

#[derive(Deserialize)]
struct Greedy {
    id: String,
    prompt_token_ids: Vec<u32>,
    #[serde(flatten)]
    outputs: BTreeMap<String, Vec<u32>>,
}

/// Lines of a golden JSONL file.
fn lines<T: serde::de::DeserializeOwned>(name: &str) -> Vec<T> {
    let text = fs_err::read_to_string(fixtures().join("golden").join(name)).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// How many steps of bfloat16 two logits are apart.
fn steps_apart(a: f32, b: f32) -> f32 {
    let largest = a.abs().max(b.abs());
    (a - b).abs() / (largest.log2().floor() - 7.0).exp2()
}

fn first_difference<T: PartialEq>(ours: &[T], theirs: &[T]) -> Option<usize> {
    (ours != theirs).then(|| {
        ours.iter()
            .zip(theirs)
            .take_while(|(ours, theirs)| ours == theirs)
            .count()
    })
}

/// That the verifier finds both tokens about equally likely after `context`.
fn assert_close_call(
    verifier: &Verifier,
    context: &[u32],
    tokens: [u32; 2],
    most: f32,
    what: &str,
) {
    let logits = next_logits(verifier, context).unwrap();
    let [ours, theirs] = tokens.map(|token| logits[token as usize]);
    assert!(
        steps_apart(ours, theirs) <= most,
        "{what}: {tokens:?} have the logits {ours} and {theirs}"
    );
}

#[test]
fn greedy_tokens_are_those_of_transformers() {
    let cancelled = AtomicBool::new(false);
    for precision in [Precision::Float32, Precision::Bfloat16] {
        let verifier = Verifier::load_as(fixtures().join("verifier"), precision).unwrap();
        let mut equal = 0;
        let prompts: Vec<Greedy> = lines("greedy.jsonl");
        for prompt in &prompts {
            let theirs = &prompt.outputs[&precision.to_string()];
            let limits = Limits::new(&verifier, 64);
            let ours = generate(&verifier, &prompt.prompt_token_ids, &limits, &cancelled)
                .unwrap()
                .output_token_ids;
            match first_difference(&ours, theirs) {
                None => equal += 1,
                Some(at) => {
                    assert!(
                        precision == Precision::Bfloat16,
                        "{}: token {at} in single precision",
                        prompt.id
                    );
                    let context = [&prompt.prompt_token_ids[..], &ours[..at]].concat();
                    // transformers rounds the sum before it normalizes it, which vLLM does not.
                    assert_close_call(&verifier, &context, [ours[at], theirs[at]], 3.0, &prompt.id);
                }
            }
        }
        assert!(
            equal * 4 >= prompts.len() * 3,
            "{precision}: only {equal} of {} are equal",
            prompts.len()
        );
    }
}

#[derive(Deserialize)]
struct Served {
    id: String,
    prompt_token_ids: Vec<u32>,
    output_token_ids: Vec<u32>,
    num_drafts: usize,
    num_draft_tokens: usize,
    accepted_per_position: Vec<usize>,
    draft_token_ids: Vec<Vec<u32>>,
}

/// Draft logits after `text` and some drafts, and the column of a token.
fn draft_logits(verifier: &Verifier, head: &DraftHead, text: &[u32], drafts: &[u32]) -> Vec<f32> {
    let rows = text.len() - 1;
    let (mut cache, mut pass) = (verifier.cache(rows).unwrap(), VerifierPass::default());
    let (positions, visible) = (positions(rows), causal_bits(rows));
    verifier
        .forward(
            &text[..rows],
            &positions,
            &visible,
            &mut cache,
            head.auxiliary_layers(),
            &mut pass,
        )
        .unwrap();
    let (mut cache, mut drafting) = (head.cache(rows).unwrap(), HeadPass::default());
    let (mut features, mut logits) = (Vec::new(), Vec::new());
    head.fuse(pass.auxiliary(), &mut drafting, &mut features)
        .unwrap();
    head.forward(
        &text[1..],
        &positions,
        &visible,
        &mut features,
        &mut cache,
        &mut drafting,
    )
    .unwrap();
    let width = head.description().hidden_size;
    features.drain(..(rows - 1) * width);
    for (index, draft) in drafts.iter().enumerate() {
        let position = [(rows + index) as u32];
        head.forward(
            &[*draft],
            &position,
            &[1],
            &mut features,
            &mut cache,
            &mut drafting,
        )
        .unwrap();
    }
    let hidden = drafting.hidden();
    head.logits(&hidden[hidden.len() - width..], &mut logits)
        .unwrap();
    logits
}

#[test]
fn tokens_drafts_and_acceptance_are_those_of_vllm() {
    let cancelled = AtomicBool::new(false);
    for (name, head, count) in [
        ("vllm.jsonl", "speculators", 3),
        ("vllm-5.jsonl", "speculators", 5),
        ("vllm-defaults.jsonl", "speculators-defaults", 3),
    ] {
        let (verifier, head) = load(Precision::Bfloat16, head);
        let served: Vec<Served> = lines(name);
        let mut equal = 0;
        for theirs in &served {
            let prompt = &theirs.prompt_token_ids;
            let limits = Limits {
                context_length: 1024,
                ..Limits::new(&verifier, 64)
            };
            let ours = speculate(&verifier, &head, prompt, &limits, count, &cancelled).unwrap();
            if let Some(at) = first_difference(&ours.output_token_ids, &theirs.output_token_ids) {
                let pair = [ours.output_token_ids[at], theirs.output_token_ids[at]];
                let context = [prompt, &ours.output_token_ids[..at]].concat();
                assert_close_call(&verifier, &context, pair, 2.0, &theirs.id);
                continue;
            }
            let drafts: Vec<Vec<u32>> = ours
                .steps
                .iter()
                .map(|step| step.proposed.clone())
                .collect();
            // vLLM drafts once more after the last step.
            let verified = drafts.len().min(theirs.draft_token_ids.len());
            if let Some(step) = first_difference(&drafts, &theirs.draft_token_ids[..verified]) {
                let (a, b) = (&drafts[step], &theirs.draft_token_ids[step]);
                let Some(at) = first_difference(a, b) else {
                    unreachable!()
                };
                let all = [prompt, &ours.output_token_ids[..]].concat();
                let logits = draft_logits(
                    &verifier,
                    &head,
                    &all[..ours.steps[step].context_length],
                    &a[..at],
                );
                let column =
                    |token: u32| head.verifier_ids().unwrap().binary_search(&token).unwrap();
                let (x, y) = (logits[column(a[at])], logits[column(b[at])]);
                assert!(
                    steps_apart(x, y) <= 2.0,
                    "{} step {step}: {a:?} {b:?}, {x} and {y}",
                    theirs.id
                );
                continue;
            }
            let accepted = |position| {
                ours.steps
                    .iter()
                    .filter(|step| step.accepted > position)
                    .count()
            };
            assert_eq!(
                (0..count).map(accepted).collect::<Vec<_>>(),
                theirs.accepted_per_position
            );
            assert_eq!(ours.steps.len(), theirs.num_drafts, "{}", theirs.id);
            assert_eq!(
                drafts.concat().len(),
                theirs.num_draft_tokens,
                "{}",
                theirs.id
            );
            equal += 1;
        }
        // Elsewhere sums are added in another order, and a near tie may fall the other way.
        let least = match cpu::features() {
            Isa::Avx512Bf16 => served.len(),
            _ => served.len() * 2 / 3,
        };
        assert!(
            equal >= least,
            "{name}: only {equal} of {} are equal",
            served.len()
        );
    }
}

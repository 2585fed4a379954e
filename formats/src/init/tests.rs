//! Heads started for verifiers of sixteen channels.

use safetensors::Dtype;
use serde_json::{Value, json};

use super::{ALGORITHMS, InitPlan, InitReport, InitRequest, VocabularySource, plan};
use crate::block::MarkovHead;
use crate::codes::{self, Code};
use crate::head::DraftLayer;
use crate::speculator::{Algorithm, Speculator};
use crate::testing::{HIDDEN, Scratch, VOCABULARY, tensors, verifier_config};
use crate::verifier::FloatType;
use crate::vocabulary::VocabularyMap;
use crate::{Checkpoint, Result};

mod choices;
mod verifiers;

/// Values of a matrix that are told apart by name and place.
fn matrix(name: &str, rows: usize, dtype: Dtype) -> (String, Dtype, Vec<usize>, Vec<u8>) {
    let first = name.len() as f32;
    let values = (0..rows * HIDDEN).map(|index| first + index as f32 / 64.0);
    let bytes = match dtype {
        Dtype::F32 => values.flat_map(f32::to_le_bytes).collect(),
        _ => values
            .flat_map(|value| half::bf16::from_f32(value).to_le_bytes())
            .collect(),
    };
    (name.to_owned(), dtype, vec![rows, HIDDEN], bytes)
}

/// Writes a verifier with a config and these matrices.
fn write_verifier(scratch: &Scratch, config: &Value, names: &[&str], dtype: Dtype) {
    let made: Vec<_> = names
        .iter()
        .map(|name| matrix(name, VOCABULARY, dtype))
        .collect();
    let list: Vec<_> = made
        .iter()
        .map(|(name, dtype, shape, bytes)| (name.as_str(), *dtype, shape.as_slice(), bytes.clone()))
        .collect();
    scratch.write("verifier/config.json", config.to_string().as_bytes());
    scratch.write("verifier/model.safetensors", &tensors(&list));
}

const SHARED: [&str; 2] = ["model.embed_tokens.weight", "lm_head.weight"];

/// A verifier of the Llama family and a request for a head of this kind.
fn request(scratch: &Scratch, algorithm: Algorithm) -> InitRequest {
    if !scratch.path("verifier").exists() {
        write_verifier(scratch, &verifier_config(), &SHARED, Dtype::BF16);
    }
    let mut request = InitRequest::new(scratch.path("verifier"), scratch.path("head"), algorithm);
    if algorithm != Algorithm::Eagle3 {
        request.mask_token_id = Some(7);
    }
    if algorithm == Algorithm::DSpark {
        request.markov_rank = Some(4);
    }
    request
}

/// Every third token.
fn reduced() -> VocabularyMap {
    VocabularyMap {
        draft_to_target: (0..VOCABULARY as u32).step_by(3).collect(),
        vocab_size: VOCABULARY,
    }
}

fn write(request: &InitRequest) -> Result<InitReport> {
    plan(request)?.write_until(&mut |_, _| std::ops::ControlFlow::Continue(()))
}

fn refusal(request: &InitRequest) -> Code {
    plan(request).unwrap_err()[0].code
}

fn bytes(scratch: &Scratch) -> Vec<u8> {
    fs_err::read(scratch.path("head/model.safetensors")).unwrap()
}

#[test]
fn every_kind_is_written_and_opens_without_a_guess() {
    for algorithm in ALGORITHMS {
        for vocabulary in [None, Some(VocabularySource::Map(reduced()))] {
            let scratch = Scratch::new();
            let mut request = request(&scratch, algorithm);
            request.vocabulary = vocabulary;
            let report = write(&request).unwrap();
            let checkpoint = Checkpoint::open(scratch.path("head")).unwrap();
            assert_eq!(checkpoint.names().count(), report.tensors.len());
            let opened = Speculator::open(&scratch.path("head"), None, &Default::default());
            let opened = opened.unwrap();
            assert_eq!(opened.algorithm(), algorithm);
            assert_eq!(opened.description(), report.description);
            assert!(opened.decisions().iter().all(|decision| !decision.guess));
        }
    }
}

#[test]
fn what_the_verifier_gives_is_copied_and_the_rest_is_drawn() {
    let scratch = Scratch::new();
    let mut request = request(&scratch, Algorithm::Eagle3);
    request.vocabulary = Some(VocabularySource::Map(reduced()));
    write(&request).unwrap();
    let head = Checkpoint::open(scratch.path("head")).unwrap();
    let verifier = Checkpoint::open(scratch.path("verifier")).unwrap();
    let data = |name| head.tensor(name).unwrap().data;
    let embedding = verifier.tensor("model.embed_tokens.weight").unwrap().data;
    assert_eq!(data("embed_tokens.weight"), embedding);
    let output = verifier.tensor("lm_head.weight").unwrap().data;
    for (row, target) in data("lm_head.weight")
        .chunks(2 * HIDDEN)
        .zip((0..).step_by(3))
    {
        assert_eq!(row, &output[target * 2 * HIDDEN..][..2 * HIDDEN]);
    }
    let one = half::bf16::ONE.to_le_bytes();
    assert!(data("norm.weight").chunks(2).all(|value| value == one));
    let weights: Vec<f32> = data("fc.weight")
        .as_chunks()
        .0
        .iter()
        .map(|bytes| half::bf16::from_le_bytes(*bytes).to_f32())
        .collect();
    let square = weights.iter().map(|value| value * value).sum::<f32>() / weights.len() as f32;
    assert!((square.sqrt() - 0.02).abs() < 0.002, "{square}");
}

#[test]
fn a_seed_decides_every_random_byte_and_no_other() {
    let scratch = Scratch::new();
    let mut request = request(&scratch, Algorithm::PEagle);
    request.force = true;
    write(&request).unwrap();
    let first = bytes(&scratch);
    write(&request).unwrap();
    assert_eq!(first, bytes(&scratch));
    let before: Vec<(String, Vec<u8>)> = tensors_of(&scratch);
    request.seed = 43;
    write(&request).unwrap();
    for ((name, before), (_, after)) in before.iter().zip(tensors_of(&scratch)) {
        let drawn = !name.contains("norm")
            && !["embed_tokens.weight", "lm_head.weight"].contains(&name.as_str());
        assert_eq!(*before != after, drawn, "{name}");
    }
}

fn tensors_of(scratch: &Scratch) -> Vec<(String, Vec<u8>)> {
    let head = Checkpoint::open(scratch.path("head")).unwrap();
    let names = head.names().map(str::to_owned);
    names
        .map(|name| (name.clone(), head.tensor(&name).unwrap().data.to_vec()))
        .collect()
}

/// The weights of a small head of each kind, which no platform, number of threads or version may change: a head that was
/// started again has to be the head that was started.
#[test]
fn the_bytes_are_those_that_were_always_written() {
    let digests = ALGORITHMS.map(|algorithm| {
        let scratch = Scratch::new();
        let mut request = request(&scratch, algorithm);
        request.markov_head_type = (algorithm == Algorithm::DSpark).then_some(MarkovHead::Rnn);
        write(&request).unwrap();
        blake3::hash(&bytes(&scratch)).to_hex()[..16].to_owned()
    });
    assert_eq!(
        digests,
        [
            "f7206d2fc371f378",
            "2f1c1ad9160d02db",
            "2bac7edb9c7dbf35",
            "ece04eebb05b2353"
        ]
    );
}

#[test]
fn nothing_is_replaced_without_being_asked_and_nothing_is_left_of_what_fails() {
    let scratch = Scratch::new();
    let request = request(&scratch, Algorithm::Eagle3);
    write(&request).unwrap();
    assert_eq!(refusal(&request), codes::OUTPUT_EXISTS);
    let inside = InitRequest {
        output: scratch.path("verifier/head"),
        force: true,
        ..request.clone()
    };
    assert_eq!(refusal(&inside), codes::OUTPUT_EXISTS);
    let elsewhere = InitRequest {
        output: scratch.path("other"),
        ..request
    };
    let plan: InitPlan = plan(&elsewhere).unwrap();
    let problems = plan.write_until(&mut |_, _| std::ops::ControlFlow::Break(()));
    assert_eq!(problems.unwrap_err()[0].code, codes::OUTPUT_UNWRITABLE);
    let entries = fs_err::read_dir(scratch.root()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["head", "verifier"]);
}

#[test]
fn values_that_are_no_numbers_are_not_taken_over() {
    let scratch = Scratch::new();
    let request = request(&scratch, Algorithm::Eagle3);
    let mut embedding = matrix("model.embed_tokens.weight", VOCABULARY, Dtype::BF16);
    embedding.3[..2].copy_from_slice(&half::bf16::NAN.to_le_bytes());
    let output = matrix("lm_head.weight", VOCABULARY, Dtype::BF16);
    let list: Vec<_> = [embedding, output]
        .iter()
        .map(|(name, dtype, shape, bytes)| (name.clone(), *dtype, shape.clone(), bytes.clone()))
        .collect();
    let list: Vec<_> = list
        .iter()
        .map(|(name, dtype, shape, bytes)| (name.as_str(), *dtype, shape.as_slice(), bytes.clone()))
        .collect();
    scratch.write("verifier/model.safetensors", &tensors(&list));
    assert_eq!(
        write(&request).unwrap_err()[0].code,
        codes::TENSOR_NON_FINITE
    );
    assert!(!scratch.path("head").exists());
}

#[test]
fn the_head_is_in_one_dtype_whatever_the_verifier_is_in() {
    for (dtype, stored) in [
        (None, Dtype::BF16),
        (Some(FloatType::Float32), Dtype::F32),
        (Some(FloatType::Float16), Dtype::F16),
    ] {
        let scratch = Scratch::new();
        write_verifier(&scratch, &verifier_config(), &SHARED, Dtype::F32);
        let mut request = request(&scratch, Algorithm::Eagle3);
        request.dtype = dtype;
        write(&request).unwrap();
        let head = Checkpoint::open(scratch.path("head")).unwrap();
        let names: Vec<&str> = head.names().collect();
        for name in names {
            assert_eq!(head.tensor(name).unwrap().dtype, stored, "{name}");
        }
    }
}

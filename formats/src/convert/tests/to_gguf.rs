//! Heads to a file for llama.cpp and back.

use half::{bf16, f16};
use proptest::prelude::*;
use serde_json::Value;

use super::round_trips::{head, written};
use super::*;
use crate::gguf::GgufFile;
use crate::options::ReadOptions;
use crate::rope::RopeScaling;
use crate::speculator::Algorithm;

/// A tokenizer for the verifier of the tests.
fn tokenizer() -> Value {
    let vocabulary: serde_json::Map<String, Value> = (0..VOCABULARY)
        .map(|token| (format!("t{token}"), json!(token)))
        .collect();
    json!({
        "added_tokens": [],
        "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
        "pre_tokenizer": {"type": "ByteLevel"},
    })
}

fn to_gguf(head: &TinyHead) -> (Scratch, ConvertRequest) {
    let (scratch, mut request) = request(head);
    scratch.write(
        "verifier/tokenizer.json",
        tokenizer().to_string().as_bytes(),
    );
    request.target = Target::Gguf;
    request.output = scratch.path("head.gguf");
    (scratch, request)
}

#[track_caller]
fn run(request: &ConvertRequest) -> ConvertReport {
    plan(request).unwrap().write(&mut |_, _| ()).unwrap()
}

/// The conversion of an output back to the speculators layout.
fn back(scratch: &Scratch, from: PathBuf) -> Checkpoint {
    let mut request = ConvertRequest::new(from, scratch.path("verifier"), scratch.path("back"));
    request.options.strict = true;
    run(&request);
    Checkpoint::open(scratch.path("back")).unwrap()
}

/// The values of a float tensor.
fn values(view: crate::TensorView<'_>) -> Vec<f32> {
    let (pairs, _) = view.data.as_chunks::<2>();
    let (fours, _) = view.data.as_chunks::<4>();
    match view.dtype {
        Dtype::BF16 => pairs
            .iter()
            .map(|two| bf16::from_le_bytes(*two).to_f32())
            .collect(),
        Dtype::F16 => pairs
            .iter()
            .map(|two| f16::from_le_bytes(*two).to_f32())
            .collect(),
        _ => fours.iter().map(|four| f32::from_le_bytes(*four)).collect(),
    }
}

#[test]
fn a_head_becomes_one_file_as_llama_cpp_reads_it() {
    let tiny = TinyHead::new();
    let (_scratch, mut request) = to_gguf(&tiny);
    request.speculative_tokens = Some(7);
    let report = run(&request);
    let bytes = fs_err::read(&request.output).unwrap();
    assert_eq!(report.bytes, bytes.len() as u64);
    let file = GgufFile::open(&request.output).unwrap();
    assert_eq!(file.text("general.architecture").unwrap(), Some("eagle3"));
    assert_eq!(
        file.sizes("eagle3.target_layers").unwrap(),
        Some(vec![2, 4, 5])
    );
    assert_eq!(
        file.size("eagle3.target_hidden_size").unwrap(),
        Some(HIDDEN)
    );
    assert_eq!(
        file.boolean("eagle3.norm_before_residual").unwrap(),
        Some(false)
    );
    assert_eq!(
        file.size("speculators.speculative_tokens").unwrap(),
        Some(7)
    );
    // The record of the conversion was completed after the tensors had been written.
    let record: Value =
        serde_json::from_str(file.text("speculators.conversion").unwrap().unwrap()).unwrap();
    let digest = record["source_files"][1]["blake3"].as_str().unwrap();
    assert!(
        digest.len() == 64 && digest.bytes().any(|digit| digit != b'0'),
        "{digest}"
    );
    // Vectors in single precision, verifier tokens in place of offsets, no `t2d`.
    let norm = file.tensor("blk.0.attn_norm_2.weight").unwrap();
    assert_eq!(norm.dtype, Dtype::F32);
    let tokens: Vec<u8> = (0..DRAFT as i64)
        .flat_map(|draft| (2 * draft).to_le_bytes())
        .collect();
    assert_eq!(file.tensor("d2t").unwrap().data, tokens);
    assert!(file.tensor("t2d").is_none());
    // Two heads of eight channels: rows 0 4 1 5 2 6 3 7, and the same for the second.
    let row = 2 * 2 * HIDDEN;
    let source = tiny.bytes("midlayer.self_attn.q_proj.weight");
    let stored = file.tensor("blk.0.attn_q.weight").unwrap();
    for (at, from) in [0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15]
        .into_iter()
        .enumerate()
    {
        assert_eq!(stored.data[at * row..][..row], source[from * row..][..row]);
    }
    assert_eq!(stored.shape, [16, 2 * HIDDEN]);
}

#[test]
fn it_comes_back_as_it_was() {
    let tiny = TinyHead::new();
    let (scratch, request) = to_gguf(&tiny);
    run(&request);
    let opened = Checkpoint::open(&request.output).unwrap();
    // What any reader sees: offsets and the rows of checkpoints, under the names of the file.
    let queries = opened.tensor("blk.0.attn_q.weight").unwrap();
    assert_eq!(queries.data, tiny.bytes("midlayer.self_attn.q_proj.weight"));
    assert_eq!(opened.tensor("d2t").unwrap().data, tiny.bytes("d2t"));
    let found = back(&scratch, request.output.clone());
    for (name, (dtype, shape, bytes)) in &tiny.tensors {
        let view = found
            .tensor(&name.replace("midlayer.", "layers.0."))
            .unwrap();
        assert_eq!(view.shape, shape);
        if shape.len() == 2 || *dtype != Dtype::BF16 {
            assert_eq!(view.data, bytes, "{name}");
        }
    }
    let record = &found.config().value["conversion"];
    assert_eq!(record["source_layout"], "gguf");
    assert_eq!(record["earlier"]["target"], "gguf");
    assert_eq!(
        found
            .config()
            .get_str("speculators_config.verifier.name_or_path")
            .unwrap(),
        Some(request.verifier.to_str().unwrap())
    );
}

#[test]
fn a_directory_is_an_output_too() {
    let (scratch, mut request) = to_gguf(&TinyHead::new());
    request.output = scratch.path("out");
    run(&request);
    assert_eq!(fs_err::read_dir(scratch.path("out")).unwrap().count(), 1);
    back(&scratch, scratch.path("out"));
    assert_eq!(refused(&request), [108]);
    request.force = true;
    run(&request);
    // A second file makes the directory ambiguous, and more than one output of this kind.
    scratch.write("out/other.gguf", b"");
    let found = Checkpoint::open(scratch.path("out")).unwrap_err();
    assert!(
        found[0].title.contains("2 GGUF files"),
        "{}",
        found[0].title
    );
    assert_eq!(refused(&request), [108]);
}

#[test]
fn a_file_is_replaced_with_force_only() {
    let (_scratch, mut request) = to_gguf(&TinyHead::new());
    run(&request);
    assert_eq!(refused(&request), [108]);
    request.force = true;
    run(&request);
    request.target = Target::Speculators;
    assert_eq!(refused(&request), [1]);
}

#[test]
fn what_llama_cpp_does_not_do_is_refused_all_at_once() {
    let mut tiny = TinyHead::speculators();
    tiny.config["norm_output"] = json!(true);
    tiny.config["fc_norm"] = json!(true);
    for state in 0..3 {
        tiny.float(&format!("fc_norm.{state}.weight"), &[HIDDEN]);
    }
    tiny.config["transformer_layer_config"]["layer_types"] = json!(["sliding_attention"]);
    tiny.config["transformer_layer_config"]["sliding_window"] = json!(32);
    let (_scratch, request) = to_gguf(&tiny);
    assert_eq!(refused(&request), [412, 412, 412]);
    // A window as long as the longest text limits nothing.
    let mut tiny = TinyHead::speculators();
    tiny.config["transformer_layer_config"]["layer_types"] = json!(["sliding_attention"]);
    tiny.config["transformer_layer_config"]["sliding_window"] = json!(256);
    let (_scratch, request) = to_gguf(&tiny);
    let report = run(&request);
    assert_eq!(report.description.head().unwrap().sliding_window, [None]);
}

#[test]
fn a_dtype_is_for_matrices_only() {
    let (_scratch, mut request) = to_gguf(&TinyHead::new());
    request.dtype = Some(FloatType::Float16);
    run(&request);
    let file = GgufFile::open(&request.output).unwrap();
    assert_eq!(file.tensor("fc.weight").unwrap().dtype, Dtype::F16);
    assert_eq!(file.tensor("output_norm.weight").unwrap().dtype, Dtype::F32);
    assert_eq!(file.size("general.file_type").unwrap(), Some(1));
}

#[test]
fn a_guessed_pre_tokenizer_is_refused_when_strict() {
    let (scratch, mut request) = to_gguf(&TinyHead::speculators());
    let mut other = tokenizer();
    other["pre_tokenizer"] = json!({"type": "Whitespace"});
    scratch.write("verifier/tokenizer.json", other.to_string().as_bytes());
    assert!(plan(&request).is_ok());
    request.options.strict = true;
    assert_eq!(refused(&request), [411]);
}

#[test]
fn parameters_of_llama_3_are_found_again_without_the_record() {
    let mut tiny = TinyHead::speculators();
    tiny.config["transformer_layer_config"]["rope_parameters"] = json!({
        "factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
        "original_max_position_embeddings": 256, "rope_theta": 500_000.0, "rope_type": "llama3"
    });
    let (scratch, request) = to_gguf(&tiny);
    let report = run(&request);
    // As llama.cpp's converter leaves it: the divisors alone. The key is spoiled in place, which keeps all offsets.
    let mut bytes = fs_err::read(&request.output).unwrap();
    let key = b"speculators.rope_parameters";
    let at = bytes
        .windows(key.len())
        .position(|part| part == key)
        .unwrap();
    bytes[at] = b'x';
    scratch.write("bare.gguf", &bytes);
    let found = back(&scratch, scratch.path("bare.gguf"));
    let head = crate::Head::from_checkpoint(found, None, &ReadOptions::default()).unwrap();
    assert_eq!(
        head.description.rope,
        report.description.head().unwrap().rope
    );
    assert!(matches!(
        head.description.rope.scaling,
        RopeScaling::Llama3 { .. }
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_head_returns_from_llama_cpp_as_it_was_or_is_refused(head in head()) {
        let (scratch, mut request) = to_gguf(&written(&head));
        request.options.strict = true;
        let written = match plan(&request) {
            Ok(plan) => plan.write(&mut |_, _| ()).unwrap(),
            Err(found) => {
                prop_assert!(found.iter().all(|problem| problem.code == codes::NOT_REPRESENTABLE), "{found:?}");
                let plain = head.algorithm == Algorithm::Eagle3
                    && head.draft_layer == crate::head::DraftLayer::Llama
                    && head.num_hidden_layers == 1 && head.aux_layer_ids.len() == 3 && !head.fc_norm
                    && !head.norm_output && !head.attention_bias && !head.mlp_bias
                    && head.sliding_window == [None]
                    && !matches!(head.rope.scaling, RopeScaling::Dynamic { .. });
                prop_assert!(!plain, "{found:?}");
                return Ok(());
            }
        };
        prop_assert_eq!(written.description.head(), Some(&head));
        let source = Checkpoint::open(&request.source).unwrap();
        let found = back(&scratch, request.output.clone());
        prop_assert_eq!(found.names().count(), source.names().count());
        for name in source.names() {
            let (before, after) = (source.tensor(name).unwrap(), found.tensor(name).unwrap());
            prop_assert_eq!(before.shape, after.shape);
            if before.dtype == after.dtype {
                prop_assert!(before.data == after.data, "{}", name);
            } else {
                prop_assert!(before.shape.len() == 1 && values(before) == values(after), "{}", name);
            }
        }
    }
}

mod convert;
mod stitch;

use serde_json::json;
use std::ops::ControlFlow;

use super::testing::{EXPERTS, TinyMtp, mlp_of};
use super::*;
use crate::codes::{self, Code};
use crate::diagnostic::Diagnostic;
use crate::testing::Scratch;

/// Findings about its values.
fn values(head: &MtpHead) -> Vec<Diagnostic> {
    let scanned = judge::scan(head, &mut |_, _| ControlFlow::Continue(()));
    judge::values(head, &scanned.continue_value().unwrap())
}

fn open(tiny: &TinyMtp) -> Result<MtpHead> {
    let scratch = Scratch::new();
    MtpHead::open(&tiny.write(&scratch, "x"), &ReadOptions::default())
}

fn refused(tiny: &TinyMtp) -> Vec<Diagnostic> {
    open(tiny).unwrap_err()
}

fn only(found: Vec<Diagnostic>, code: Code) -> Diagnostic {
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].code, code, "{found:#?}");
    found.into_iter().next().unwrap()
}

#[test]
fn every_family_is_read_in_both_layouts_alike() {
    for family in MtpFamily::ALL {
        let native = open(&TinyMtp::verifier(family)).unwrap();
        let kept = open(&TinyMtp::speculators(family)).unwrap();
        assert_eq!(native.description, kept.description, "{family}");
        assert_eq!(
            (native.layout, kept.layout),
            (Layout::NativeMtp, Layout::Speculators)
        );
        assert_eq!(native.description.model_type, family);
        assert_eq!(
            native.description.gated_attention,
            family != MtpFamily::Qwen3
        );
        assert!(native.decisions.iter().all(|decision| !decision.guess));
        let sparse = matches!(mlp_of(family), MtpMlp::Moe { .. });
        assert_eq!(native.experts, sparse.then_some(ExpertStorage::Split));
        assert_eq!(kept.experts, sparse.then_some(ExpertStorage::Fused));
    }
}

#[test]
fn the_expected_list_is_what_the_layer_has() {
    for family in MtpFamily::ALL {
        let head = open(&TinyMtp::speculators(family)).unwrap();
        let expected = head.description.expected_tensors();
        assert_eq!(expected.len(), head.tensors.len());
        for wanted in expected {
            let view = head.tensor(&wanted.name).unwrap();
            assert_eq!(view.shape, wanted.shape, "{}", wanted.name);
        }
    }
}

#[test]
fn the_parts_of_fused_experts_are_gate_up_gate_up() {
    let tiny = TinyMtp::verifier(MtpFamily::Qwen3Next);
    let head = open(&tiny).unwrap();
    let parts = head.parts("mtp_layers.0.mlp.experts.gate_up_proj");
    let names: Vec<&str> = parts.iter().map(|view| view.name).collect();
    assert_eq!(parts.len(), 2 * EXPERTS);
    assert_eq!(names[1], "mtp.layers.0.mlp.experts.0.up_proj.weight");
    assert_eq!(parts[1].data, tiny.bytes(names[1]));
    assert_eq!(head.parts("mtp_layers.0.input_proj.weight").len(), 1);
}

#[test]
fn the_matrix_that_was_never_filled_in_is_dropped_with_its_reason() {
    let mut tiny = TinyMtp::speculators(MtpFamily::Qwen35);
    tiny.fill("verifier_lm_head.weight", &[32, 16], f32::NAN);
    let head = open(&tiny).unwrap();
    assert_eq!(head.dropped.len(), 1);
    assert!(
        head.dropped[0].reason.contains("NaN"),
        "{}",
        head.dropped[0].reason
    );
    tiny.float("verifier_lm_head.weight", &[32, 16]);
    tiny.float("embed_tokens.weight", &[32, 16]);
    let dropped = open(&tiny).unwrap().dropped;
    assert_eq!(dropped.len(), 2);
    assert!(!dropped.iter().any(|dropped| dropped.reason.contains("NaN")));
}

#[test]
fn a_prefix_is_taken_off_and_said() {
    let tiny = TinyMtp::verifier(MtpFamily::Qwen35).prefixed("model.");
    let head = open(&tiny).unwrap();
    assert_eq!(head.prefix, "model.");
    assert!(
        head.decisions
            .iter()
            .any(|decision| decision.subject.contains("`model.`"))
    );
    let mut twice = TinyMtp::verifier(MtpFamily::Qwen35);
    twice.float("model.mtp.fc.weight", &[16, 32]);
    only(refused(&twice), codes::TENSOR_UNEXPECTED);
}

#[test]
fn missing_and_extra_tensors_are_named() {
    let mut tiny = TinyMtp::verifier(MtpFamily::Qwen3Next);
    tiny.tensors
        .remove("mtp.layers.0.mlp.experts.1.up_proj.weight");
    let found = only(refused(&tiny), codes::TENSOR_MISSING);
    assert!(
        found.title.contains("mlp.experts.1.up_proj.weight"),
        "{}",
        found.title
    );
    let mut tiny = TinyMtp::verifier(MtpFamily::Qwen3Next);
    tiny.float("mtp.layers.0.mlp.experts.3.up_proj.weight", &[4, 16]);
    let found = only(refused(&tiny), codes::TENSOR_UNEXPECTED);
    assert!(found.title.contains("experts.3.up_proj"), "{}", found.title);
    let mut tiny = TinyMtp::verifier(MtpFamily::Qwen3Next);
    tiny.float("mtp.gate.weight", &[4, 16]);
    only(refused(&tiny), codes::TENSOR_UNEXPECTED);
    let mut tiny = TinyMtp::speculators(MtpFamily::Qwen3);
    tiny.float("mtp_layers.0.self_attn.q_proj.weight", &[32, 16]);
    only(refused(&tiny), codes::TENSOR_SHAPE);
}

#[test]
fn several_layers_are_refused_with_both_numbers() {
    let mut tiny = TinyMtp::verifier(MtpFamily::Qwen35);
    tiny.float("mtp.layers.1.input_layernorm.weight", &[16]);
    let found = only(refused(&tiny), codes::NOT_REPRESENTABLE);
    assert!(
        found.title.contains('2') && found.title.contains('1'),
        "{}",
        found.title
    );
    let mut tiny = TinyMtp::verifier(MtpFamily::Qwen35);
    tiny.decoder()["mtp_num_hidden_layers"] = json!(2);
    let found = only(refused(&tiny), codes::NOT_REPRESENTABLE);
    assert!(found.title.contains("is 2") && found.title.contains("1 MTP layer"));
    let mut tiny = TinyMtp::speculators(MtpFamily::Qwen3);
    tiny.config["num_nextn_predict_layers"] = json!(3);
    only(refused(&tiny), codes::NOT_REPRESENTABLE);
}

#[test]
fn layers_of_other_kinds_are_refused_by_name() {
    for (name, kind) in [
        ("model.layers.61.eh_proj.weight", "DeepSeek"),
        ("model.layers.46.hnorm.weight", "DeepSeek"),
        ("model.mtp_layers.0.input_proj.weight", "MiMo"),
        ("model.mtp_block.0.input_layernorm.weight", "ERNIE"),
    ] {
        let mut tiny = TinyMtp::verifier(MtpFamily::Qwen3);
        tiny.tensors.retain(|name, _| !name.starts_with("mtp."));
        let found = only(refused(&tiny), codes::LAYOUT_UNKNOWN);
        assert!(found.title.contains("no MTP layer"), "{}", found.title);
        tiny.float(name, &[16]);
        let found = only(refused(&tiny), codes::LAYOUT_UNKNOWN);
        assert!(found.title.contains(kind), "{}", found.title);
    }
    let mut tiny = TinyMtp::verifier(MtpFamily::Qwen3);
    tiny.config["model_type"] = json!("nemotron_h");
    let found = only(refused(&tiny), codes::NOT_REPRESENTABLE);
    assert!(found.title.contains("nemotron_h"), "{}", found.title);
}

#[test]
fn embeddings_of_its_own_are_refused_and_copies_dropped() {
    let mut tiny = TinyMtp::verifier(MtpFamily::Qwen35);
    let copy = tiny.tensors["model.embed_tokens.weight"].clone();
    tiny.tensors
        .insert("mtp.embed_tokens.weight".to_owned(), copy);
    let dropped = open(&tiny).unwrap().dropped;
    assert!(dropped[0].reason.contains("model.embed_tokens.weight"));
    tiny.float("mtp.embed_tokens.weight", &[32, 16]);
    only(refused(&tiny), codes::NOT_REPRESENTABLE);
    let mut tiny = TinyMtp::verifier(MtpFamily::Qwen35);
    tiny.decoder()["mtp_use_dedicated_embeddings"] = json!(true);
    only(refused(&tiny), codes::NOT_REPRESENTABLE);
}

#[test]
fn partial_rotation_and_axes_are_read() {
    let head = open(&TinyMtp::verifier(MtpFamily::Qwen35)).unwrap();
    assert_eq!(head.description.rope.partial_rotary_factor, 0.5);
    let axes = head.description.rope_axes.unwrap();
    assert_eq!((axes.sections, axes.interleaved), (vec![1, 1, 0], true));
    let mut tiny = TinyMtp::verifier(MtpFamily::Qwen3Next);
    tiny.decoder()
        .as_object_mut()
        .unwrap()
        .remove("partial_rotary_factor");
    let head = open(&tiny).unwrap();
    assert_eq!(head.description.rope.partial_rotary_factor, 0.25);
    assert!(
        head.decisions
            .iter()
            .any(|decision| decision.subject == "partial_rotary_factor")
    );
    let mut tiny = TinyMtp::verifier(MtpFamily::Qwen3Next);
    tiny.decoder()["partial_rotary_factor"] = json!(1.0);
    assert_eq!(
        open(&tiny).unwrap().description.rope.partial_rotary_factor,
        1.0
    );
}

#[test]
fn a_dense_layer_of_qwen3_next_follows_the_last_with_full_attention() {
    let mut tiny = TinyMtp::verifier(MtpFamily::Qwen3Next);
    // Four layers, of which the last has full attention.
    tiny.decoder()["mlp_only_layers"] = json!([3]);
    tiny.decoder()["intermediate_size"] = json!(24);
    let found = refused(&tiny);
    assert!(
        found
            .iter()
            .any(|found| found.code == codes::TENSOR_UNEXPECTED)
    );
    assert!(
        found
            .iter()
            .any(|found| found.code == codes::TENSOR_MISSING)
    );
    let (full, linear) = ("full_attention", "linear_attention");
    tiny.decoder()["layer_types"] = json!([full, linear, linear, linear]);
    assert!(open(&tiny).is_ok());
    tiny.decoder()["layer_types"] = json!([linear, linear, linear, linear]);
    only(refused(&tiny), codes::NOT_REPRESENTABLE);
}

#[test]
fn each_layer_has_a_type() {
    for family in [MtpFamily::Qwen3, MtpFamily::Qwen3Next] {
        for count in [1, 3, 5] {
            let types = vec!["full_attention"; count];
            let mut tiny = TinyMtp::verifier(family);
            tiny.decoder()["num_hidden_layers"] = json!(4);
            tiny.decoder()["layer_types"] = json!(types);
            let found = refused(&tiny);
            let title = format!("`layer_types` has {count} entries for 4 layers");
            assert!(found.iter().any(|found| found.title == title), "{found:#?}");
        }
    }
}

#[test]
fn sizes_beyond_reason_end_in_a_finding() {
    for (key, value) in [
        ("num_experts", 4_000_000_000_u64),
        ("num_attention_heads", 4_294_967_295),
        ("num_hidden_layers", 100_000),
        ("hidden_size", 0),
    ] {
        let mut tiny = TinyMtp::verifier(MtpFamily::Qwen3Next);
        tiny.decoder()[key] = json!(value);
        let found = refused(&tiny);
        assert!(
            found.iter().all(|found| found.code == codes::CONFIG_TYPE),
            "{key}: {found:#?}"
        );
    }
}

#[test]
fn a_family_that_is_not_named_is_taken_from_the_whole() {
    let mut tiny = TinyMtp::verifier(MtpFamily::Qwen35);
    tiny.decoder().as_object_mut().unwrap().remove("model_type");
    assert_eq!(
        open(&tiny).unwrap().description.model_type,
        MtpFamily::Qwen35
    );
    let mut tiny = TinyMtp::speculators(MtpFamily::Qwen3);
    tiny.decoder().as_object_mut().unwrap().remove("model_type");
    only(refused(&tiny), codes::CONFIG_KEY_MISSING);
}

fn codes_of(found: &[Diagnostic]) -> Vec<u16> {
    found.iter().map(|found| found.code.0).collect()
}

#[test]
fn a_norm_at_its_start_is_told_by_what_the_family_starts_from() {
    for (family, start, other) in [(MtpFamily::Qwen3, 1.0, 0.5), (MtpFamily::Qwen35, 0.0, 1.0)] {
        for tiny in [TinyMtp::speculators(family), TinyMtp::verifier(family)] {
            let native = tiny.shards == 2;
            let name = if native {
                "mtp.pre_fc_norm_hidden.weight"
            } else {
                "mtp_layers.0.hidden_layernorm.weight"
            };
            let judged = |value: f32| {
                let mut tiny = tiny.clone();
                tiny.fill(name, &[16], value);
                let head = open(&tiny).unwrap();
                codes_of(&values(&head))
            };
            assert_eq!(judged(start), [codes::NORM_UNTRAINED.0], "{family}");
            assert!(judged(other).is_empty(), "{family}");
        }
    }
}

#[test]
fn bad_values_are_found_in_the_head_and_not_in_its_verifier() {
    let mut tiny = TinyMtp::verifier(MtpFamily::Qwen3Next);
    tiny.fill("lm_head.weight", &[32, 16], f32::NAN);
    let head = open(&tiny).unwrap();
    assert!(values(&head).is_empty());
    let mut tiny = TinyMtp::speculators(MtpFamily::Qwen3Next);
    tiny.fill(
        "mtp_layers.0.mlp.experts.down_proj",
        &[EXPERTS, 16, 4],
        f32::INFINITY,
    );
    tiny.fill("mtp_layers.0.mlp.gate.weight", &[EXPERTS, 16], 0.0);
    let head = open(&tiny).unwrap();
    let found = values(&head);
    assert_eq!(
        codes_of(&found),
        [codes::TENSOR_NON_FINITE.0, codes::TENSOR_ALL_ZERO.0]
    );
}

#[test]
fn an_expert_of_zeros_is_found_by_its_number() {
    let mut tiny = TinyMtp::speculators(MtpFamily::Qwen35Moe);
    let name = "mtp_layers.0.mlp.experts.gate_up_proj";
    let mut bytes = tiny.bytes(name).to_vec();
    let expert = bytes.len() / EXPERTS;
    bytes[expert..2 * expert].fill(0);
    tiny.put(name, safetensors::Dtype::BF16, &[EXPERTS, 8, 16], bytes);
    let head = open(&tiny).unwrap();
    let found = only(values(&head), codes::TENSOR_ALL_ZERO);
    assert!(found.title.contains("expert 1 of 3"), "{}", found.title);
}

#[test]
fn what_no_program_reads_is_a_warning_and_a_missing_number_of_steps_an_error() {
    let mut tiny = TinyMtp::speculators(MtpFamily::Qwen3);
    tiny.fill("verifier_lm_head.weight", &[32, 16], f32::NAN);
    let head = open(&tiny).unwrap();
    // The NaN of a matrix that is left out is no trouble of the head's.
    assert!(values(&head).is_empty());
    let found = only(judge::config(&head), codes::TENSOR_UNEXPECTED);
    assert_eq!(found.level, crate::Level::Warning);
    assert!(found.title.contains("1024 bytes"), "{}", found.title);
    let mut tiny = TinyMtp::speculators(MtpFamily::Qwen3);
    tiny.config
        .as_object_mut()
        .unwrap()
        .remove("speculators_config");
    only(judge::config(&open(&tiny).unwrap()), codes::PROPOSAL_METHOD);
    assert!(judge::config(&open(&TinyMtp::verifier(MtpFamily::Qwen3)).unwrap()).is_empty());
}

#[test]
fn a_head_is_held_against_its_verifier() {
    let scratch = Scratch::new();
    let judged = |head: &TinyMtp, verifier: &TinyMtp| {
        let verifier = verifier.write(&scratch, "verifier");
        judge::pairing(&open(head).unwrap(), &verifier)
    };
    let (head, verifier) = (
        TinyMtp::speculators(MtpFamily::Qwen3Next),
        TinyMtp::verifier(MtpFamily::Qwen3Next),
    );
    assert_eq!(judged(&head, &verifier).unwrap(), []);
    for (key, value, code) in [
        ("hidden_size", json!(32), codes::HIDDEN_SIZE),
        ("vocab_size", json!(64), codes::VOCABULARY),
        ("num_attention_heads", json!(4), codes::LAYER_MISMATCH),
        ("num_experts", json!(8), codes::LAYER_MISMATCH),
        ("attention_bias", json!(true), codes::LAYER_MISMATCH),
        ("rope_theta", json!(5e5), codes::ROPE_MISMATCH),
        ("max_position_embeddings", json!(512), codes::CONTEXT_LENGTH),
        ("rms_norm_eps", json!(1e-5), codes::NORM_EPS),
        (
            "model_type",
            json!("qwen3_5_moe_text"),
            codes::LAYER_MISMATCH,
        ),
    ] {
        let mut other = verifier.clone();
        other.decoder()[key] = value;
        only(judged(&head, &other).unwrap(), code);
    }
    let mut other = verifier;
    other.config["model_type"] = json!("llama");
    only(judged(&head, &other).unwrap_err(), codes::NOT_REPRESENTABLE);
}

#[test]
fn a_head_as_it_came_from_its_verifier_is_known_again() {
    let scratch = Scratch::new();
    let verifier = TinyMtp::verifier(MtpFamily::Qwen35Moe);
    let source = open(&verifier).unwrap();
    let mut head = TinyMtp::speculators(MtpFamily::Qwen35Moe);
    for wanted in source.description.expected_tensors() {
        let parts = source.parts(&wanted.name);
        let bytes = parts.iter().flat_map(|view| view.data).copied().collect();
        head.put(&wanted.name, safetensors::Dtype::BF16, &wanted.shape, bytes);
    }
    let verifier = verifier.write(&scratch, "verifier");
    let judged = |head: &TinyMtp| judge::pairing(&open(head).unwrap(), &verifier).unwrap();
    only(judged(&head), codes::LAYER_UNTOUCHED);
    head.float("mtp_layers.0.input_proj.weight", &[16, 32]);
    assert_eq!(judged(&head), []);
}

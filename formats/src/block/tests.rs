use serde_json::{Value, json};

use super::*;
use crate::options::{AuxConvention, BlockAnchor, ReadOptions};
use crate::testing::{DRAFT, HIDDEN, Scratch, TinyHead, VOCABULARY, verifier_config};
use crate::{ConfigFile, Diagnostic, Result, VerifierConfig};

pub(crate) mod foreign;
mod hostile;
mod judged;

/// A head of the speculators layout with one layer that reads two states, of the whole vocabulary.
pub(crate) fn speculators(algorithm: &str) -> TinyHead {
    let config = json!({
        "aux_hidden_state_layer_ids": [2, 5], "block_size": 4, "draft_vocab_size": VOCABULARY, "dtype": "bfloat16",
        "mask_token_id": 3, "sample_from_anchor": false, "sliding_window_non_causal": true,
        "speculators_model_type": algorithm,
        "speculators_config": {
            "algorithm": algorithm, "default_proposal_method": "greedy",
            "proposal_methods": [{"proposal_type": "greedy", "speculative_tokens": 3}],
            "verifier": {"name_or_path": "tiny", "architectures": []}
        },
        "transformer_layer_config": decoder()
    });
    with_layers(config, &["layers.0"])
}

/// The decoder of a tiny block drafter.
pub(crate) fn decoder() -> Value {
    json!({
        "attention_bias": false, "head_dim": 8, "hidden_act": "silu", "hidden_size": HIDDEN, "intermediate_size": 24,
        "layer_types": ["full_attention"], "max_position_embeddings": 256, "model_type": "qwen3",
        "num_attention_heads": 2, "num_hidden_layers": 1, "num_key_value_heads": 1, "rms_norm_eps": 1e-5,
        "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"}, "sliding_window": null,
        "use_sliding_window": false, "vocab_size": VOCABULARY
    })
}

/// A config with the tensors of these layers and of what all block drafters have.
pub(crate) fn with_layers(config: Value, layers: &[&str]) -> TinyHead {
    let mut head = TinyHead {
        config,
        tensors: BTreeMap::new(),
    };
    for layer in layers {
        head.layer(layer, HIDDEN);
        for norm in ["q_norm", "k_norm"] {
            head.float(&format!("{layer}.self_attn.{norm}.weight"), &[8]);
        }
    }
    head.float("fc.weight", &[HIDDEN, 2 * HIDDEN]);
    for norm in ["hidden_norm", "norm"] {
        head.float(&format!("{norm}.weight"), &[HIDDEN]);
    }
    head
}

/// The parts of a DSpark head of rank 4, with a head that foretells acceptance.
pub(crate) fn dspark(kind: &str) -> TinyHead {
    let mut head = speculators("dspark");
    head.config["markov_rank"] = json!(4);
    head.config["markov_head_type"] = json!(kind);
    head.config["enable_confidence_head"] = json!(true);
    head.config["confidence_head_with_markov"] = json!(true);
    head.float("markov_head.markov_w1.weight", &[VOCABULARY, 4]);
    head.float("markov_head.markov_w2.weight", &[VOCABULARY, 4]);
    head.float("confidence_head.proj.weight", &[1, HIDDEN + 4]);
    head.float("confidence_head.proj.bias", &[1]);
    match kind {
        "gated" => {
            head.float("markov_head.gate_proj.weight", &[4, HIDDEN + 4]);
            head.float("markov_head.gate_proj.bias", &[4]);
        }
        "rnn" => {
            head.float("markov_head.joint_proj.weight", &[12, HIDDEN + 8]);
            head.float("markov_head.joint_proj.bias", &[12]);
        }
        _ => {}
    }
    head
}

fn dflash2() -> TinyHead {
    let mut head = speculators("dflash2");
    for (key, value) in [
        ("conv_kernel_size", 2),
        ("conv_group_size", 4),
        ("selector_rank", 3),
        ("selector_top_k", 5),
    ] {
        head.config[key] = json!(value);
    }
    for around in ["attention_conv", "mlp_conv"] {
        head.float(&format!("layers.0.{around}.base_kernel"), &[2, 2, HIDDEN]);
        head.float(
            &format!("layers.0.{around}.kernel_projection.weight"),
            &[16, HIDDEN],
        );
    }
    for codebook in ["predecessor_codebook", "successor_codebook"] {
        head.float(&format!("candidate_selector.{codebook}"), &[VOCABULARY, 3]);
    }
    head.float("candidate_selector.hidden_projection.weight", &[3, HIDDEN]);
    head
}

fn xpress() -> TinyHead {
    let mut head = speculators("xpress");
    head.config["xpress_rank"] = json!(4);
    head.config["xpress_mlp_ratio"] = json!(3);
    head.config["num_jacobi_passes"] = json!(6);
    for (part, rows, columns) in [
        ("token_embed", VOCABULARY, 4),
        ("down_h", 4, HIDDEN),
        ("down_g", 4, HIDDEN),
        ("in_proj", 4, 12),
        ("mlp_gate", 12, 4),
        ("mlp_up", 12, 4),
        ("mlp_down", 4, 12),
        ("readout", VOCABULARY, 4),
    ] {
        head.float(&format!("refiner_head.{part}.weight"), &[rows, columns]);
    }
    head.float("refiner_head.mix_l", &[4, 4, 4]);
    head
}

/// Every second verifier token is in the draft.
pub(crate) fn reduce(head: &mut TinyHead) {
    let whole = TinyHead::new();
    for name in ["d2t", "t2d"] {
        head.tensors
            .insert(name.to_owned(), whole.tensors[name].clone());
    }
    head.config["draft_vocab_size"] = json!(DRAFT);
    head.float("lm_head.weight", &[DRAFT, HIDDEN]);
}

/// Layers of the verifier.
pub(crate) fn verifier_layers() -> usize {
    verifier().num_hidden_layers
}

pub(crate) fn verifier() -> VerifierConfig {
    let text = verifier_config().to_string();
    let file = ConfigFile::from_text("verifier/config.json", text).unwrap();
    VerifierConfig::from_config(&file, None).unwrap()
}

pub(crate) fn open_with(head: &TinyHead, options: &ReadOptions) -> Result<BlockHead> {
    let scratch = Scratch::new();
    let directory = head.write(&scratch, "head");
    BlockHead::open(&directory, Some(&verifier()), options)
}

pub(crate) fn open(head: &TinyHead) -> Result<BlockHead> {
    open_with(head, &ReadOptions::default())
}

#[track_caller]
pub(crate) fn refused(head: &TinyHead) -> Vec<Diagnostic> {
    open(head).unwrap_err()
}

#[track_caller]
fn codes_of(head: &TinyHead) -> Vec<u16> {
    refused(head).iter().map(|found| found.code.0).collect()
}

fn findings(head: &TinyHead) -> Vec<u16> {
    let found = open(head).unwrap().findings();
    found.iter().map(|found| found.code.0).collect()
}

#[test]
fn every_kind_is_read_without_a_decision() {
    let mut reduced = speculators("dflash");
    reduce(&mut reduced);
    let heads = [
        speculators("dflash"),
        reduced,
        dflash2(),
        dspark("vanilla"),
        dspark("gated"),
        dspark("rnn"),
        xpress(),
    ];
    for head in heads {
        let strict = ReadOptions {
            strict: true,
            ..ReadOptions::default()
        };
        let opened = open_with(&head, &strict).unwrap();
        let description = &opened.description;
        let kind = head.config["speculators_model_type"].as_str().unwrap();
        assert_eq!(description.algorithm().as_str(), kind);
        assert!(opened.decisions.is_empty(), "{:?}", opened.decisions);
        assert_eq!(opened.tensors.len(), head.tensors.len(), "{kind}");
        assert_eq!(opened.findings(), [], "{kind}");
        assert_eq!(description.aux_layer_ids, [2, 5]);
        assert_eq!(description.tokens_per_block(), 3);
        assert_eq!(opened.checkpoint.config().verifier_name(), Some("tiny"));
        let shown = serde_json::to_value(description).unwrap();
        assert_eq!(shown["algorithm"], kind);
    }
}

#[test]
fn each_tensor_is_asked_for_and_no_other() {
    for (mut head, name) in [
        (speculators("dflash"), "hidden_norm.weight"),
        (speculators("dflash"), "layers.0.self_attn.q_norm.weight"),
        (dflash2(), "candidate_selector.successor_codebook"),
        (dspark("gated"), "markov_head.gate_proj.bias"),
        (dspark("rnn"), "confidence_head.proj.bias"),
        (xpress(), "refiner_head.mix_l"),
    ] {
        head.tensors.remove(name);
        assert_eq!(codes_of(&head), [201], "{name}");
        head.float(name, &[7]);
        assert_eq!(codes_of(&head), [203], "{name}");
    }
    let mut head = speculators("dflash");
    head.float("markov_head.markov_w1.weight", &[VOCABULARY, 4]);
    assert_eq!(codes_of(&head), [202]);
    let mut head = dspark("vanilla");
    head.config["markov_head_type"] = json!("rnn");
    assert_eq!(codes_of(&head), [201]);
}

#[test]
fn a_reduced_vocabulary_needs_its_map_and_its_rows() {
    let mut head = speculators("dflash");
    reduce(&mut head);
    let opened = open(&head).unwrap();
    assert!(opened.description.own_lm_head);
    assert_eq!(opened.vocabulary_map().unwrap().draft_to_target[3], 6);
    for (name, code) in [("d2t", None), ("lm_head.weight", Some(201))] {
        let mut head = TinyHead {
            config: head.config.clone(),
            tensors: head.tensors.clone(),
        };
        head.tensors.remove(name);
        match code {
            Some(code) => assert_eq!(codes_of(&head), [code], "{name}"),
            // `t2d` alone says as much.
            None => assert!(open(&head).is_ok()),
        }
    }
    head.tensors.remove("d2t");
    head.tensors.remove("t2d");
    assert_eq!(codes_of(&head), [307]);
}

#[test]
fn what_training_leaves_behind_is_dropped_by_name() {
    let mut head = xpress();
    head.float("verifier_lm_head.weight", &[VOCABULARY, HIDDEN]);
    head.float("verifier_norm.weight", &[HIDDEN]);
    head.float("refiner_head.causal_tril", &[4, 4]);
    let opened = open(&head).unwrap();
    let names: Vec<&str> = opened
        .dropped
        .iter()
        .map(|dropped| dropped.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "refiner_head.causal_tril",
            "verifier_lm_head.weight",
            "verifier_norm.weight"
        ]
    );
}

#[test]
fn an_own_embedding_and_output_matrix_are_kept() {
    let mut head = speculators("dflash");
    head.float("embed_tokens.weight", &[VOCABULARY, HIDDEN]);
    head.float("lm_head.weight", &[VOCABULARY, HIDDEN]);
    let opened = open(&head).unwrap();
    assert!(opened.description.own_embeddings && opened.description.own_lm_head);
}

#[test]
fn contradictions_of_the_parts_are_refused() {
    let refuse = |mut head: TinyHead, key: &str, value: Value, code: u16| {
        head.config[key] = value;
        assert_eq!(codes_of(&head), [code], "{key}");
    };
    refuse(dflash2(), "conv_group_size", json!(5), 412);
    refuse(dflash2(), "selector_top_k", json!(VOCABULARY + 1), 412);
    refuse(dflash2(), "selector_rank", json!(0), 105);
    refuse(dspark("vanilla"), "markov_head_type", json!("other"), 105);
    refuse(speculators("dflash"), "block_size", json!(1), 412);
    refuse(speculators("dflash"), "block_size", json!(0), 105);
    refuse(
        speculators("dflash"),
        "aux_hidden_state_layer_ids",
        Value::Null,
        409,
    );
    refuse(
        speculators("dflash"),
        "aux_hidden_state_layer_ids",
        json!([2, 2]),
        404,
    );
    refuse(
        speculators("dflash"),
        "aux_hidden_state_layer_ids",
        json!([2, 4, 5]),
        404,
    );
    refuse(
        speculators("dflash"),
        "aux_hidden_state_layer_ids",
        json!([2, 9]),
        403,
    );
    let mut head = dspark("vanilla");
    head.config["markov_rank"] = json!(0);
    assert_eq!(codes_of(&head), [412]);
    let mut head = dflash2();
    reduce(&mut head);
    assert_eq!(codes_of(&head), [412]);
    let mut head = speculators("dflash");
    head.config["transformer_layer_config"]["layer_types"] =
        json!(["full_attention", "full_attention"]);
    assert_eq!(codes_of(&head), [105]);
    head.config["transformer_layer_config"]["layer_types"] = json!(["sliding_attention"]);
    assert_eq!(codes_of(&head), [106]);
    head.config["transformer_layer_config"]["sliding_window"] = json!(16);
    assert_eq!(open(&head).unwrap().description.sliding_window, [Some(16)]);
}

#[test]
fn the_verifier_has_to_fit() {
    let mut head = speculators("dflash");
    head.config["transformer_layer_config"]["vocab_size"] = json!(VOCABULARY - 1);
    head.config["draft_vocab_size"] = json!(VOCABULARY - 1);
    assert_eq!(codes_of(&head), [402]);
}

#[test]
fn absent_keys_come_out_as_guesses_where_programs_differ() {
    let mut head = dspark("vanilla");
    for key in ["sample_from_anchor", "sliding_window_non_causal"] {
        head.config.as_object_mut().unwrap().remove(key);
    }
    let opened = open(&head).unwrap();
    assert!(opened.description.sample_from_anchor);
    assert!(!opened.description.sliding_window_non_causal);
    // One is asked for three tokens and holds four.
    assert_eq!(findings(&head), [417, 419, 419]);
    let told = ReadOptions {
        dflash_anchor: Some(BlockAnchor::Known),
        ..ReadOptions::default()
    };
    let opened = open_with(&head, &told).unwrap();
    assert!(!opened.description.sample_from_anchor);
    assert_eq!(opened.findings().len(), 1);
    // Here both take false.
    let mut head = speculators("dflash");
    head.config
        .as_object_mut()
        .unwrap()
        .remove("sample_from_anchor");
    assert!(findings(&head).is_empty());
}

#[test]
fn absent_sizes_are_read_off_the_tensors() {
    let mut head = dflash2();
    let keys = ["conv_kernel_size", "conv_group_size", "selector_rank"];
    for key in keys {
        head.config.as_object_mut().unwrap().remove(key);
    }
    let opened = open(&head).unwrap();
    assert_eq!(
        opened.description.drafter,
        Drafter::DFlash2 {
            conv_kernel_size: 2,
            conv_group_size: 4,
            selector_rank: 3,
            selector_top_k: 5
        }
    );
    assert!(opened.decisions.iter().all(|decision| !decision.guess));
    let mut head = xpress();
    for key in ["block_size", "xpress_rank", "xpress_mlp_ratio"] {
        head.config.as_object_mut().unwrap().remove(key);
    }
    assert_eq!(open(&head).unwrap().description.block_size, 4);
}

#[test]
fn tokens_and_mask_token_are_held_against_the_block() {
    let mut head = speculators("dflash");
    head.config["mask_token_id"] = json!(VOCABULARY);
    assert_eq!(findings(&head), [418]);
    head.config["mask_token_id"] = Value::Null;
    assert_eq!(findings(&head), [418]);
    let mut head = speculators("dflash");
    for (tokens, level) in [(4, crate::Level::Error), (2, crate::Level::Warning)] {
        head.config["speculators_config"]["proposal_methods"][0]["speculative_tokens"] =
            json!(tokens);
        let found = open(&head).unwrap().findings();
        assert_eq!((found[0].code.0, found[0].level), (417, level));
    }
    head.config["speculators_config"]["proposal_methods"] = json!([]);
    assert_eq!(open(&head).unwrap().description.speculative_tokens, 3);
}

#[test]
fn layers_given_by_the_caller_are_taken() {
    let mut head = speculators("dflash");
    head.config["aux_hidden_state_layer_ids"] = Value::Null;
    let given = ReadOptions {
        aux_layers: Some(vec![1, 4]),
        aux_convention: Some(AuxConvention::Output),
        strict: true,
        ..ReadOptions::default()
    };
    assert_eq!(
        open_with(&head, &given).unwrap().description.aux_layer_ids,
        [2, 5]
    );
}

#[test]
fn another_kind_is_refused_by_name() {
    let mut head = speculators("dflash");
    head.config["speculators_model_type"] = json!("mtp");
    assert_eq!(codes_of(&head), [110]);
}

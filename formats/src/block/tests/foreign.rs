//! The layout of z-lab, SpecForge and ModelOpt.

use serde_json::{Value, json};

use super::*;

/// A plain DFlash head of two layers as z-lab writes it.
pub(crate) fn zlab() -> TinyHead {
    let mut config = decoder();
    config["architectures"] = json!(["DFlashDraftModel"]);
    config["block_size"] = json!(4);
    config["dflash_config"] = json!({"mask_token_id": 3, "target_layer_ids": [1, 4]});
    config["dtype"] = json!("bfloat16");
    config["num_target_layers"] = json!(8);
    config["num_hidden_layers"] = json!(2);
    config["layer_types"] = json!(["full_attention", "full_attention"]);
    with_layers(config, &["layers.0", "layers.1"])
}

fn decision<'a>(head: &'a BlockHead, subject: &str) -> &'a Decision {
    head.decisions
        .iter()
        .find(|decision| decision.subject == subject)
        .unwrap_or_else(|| panic!("no decision about {subject} in {:?}", head.decisions))
}

#[test]
fn a_plain_head_is_read_with_one_guess() {
    let head = open(&zlab()).unwrap();
    assert_eq!(head.layout, Layout::ZLab);
    assert_eq!(head.description.aux_layer_ids, [2, 5]);
    assert_eq!(head.description.block_size, 4);
    assert_eq!(head.description.speculative_tokens, 3);
    assert_eq!(head.description.draft_vocab_size, VOCABULARY);
    assert!(head.description.sliding_window_non_causal);
    let guesses: Vec<&str> = head
        .decisions
        .iter()
        .filter(|decision| decision.guess)
        .map(|decision| decision.subject.as_str())
        .collect();
    assert_eq!(guesses, ["sample_from_anchor"]);
    let told = ReadOptions {
        dflash_anchor: Some(BlockAnchor::Known),
        strict: true,
        ..ReadOptions::default()
    };
    assert!(open_with(&zlab(), &told).is_ok());
}

#[test]
fn the_block_size_may_be_nested_and_has_to_be_somewhere() {
    let mut head = zlab();
    head.config.as_object_mut().unwrap().remove("block_size");
    let found = refused(&head);
    assert_eq!(found[0].code.0, 106);
    head.config["dflash_config"]["block_size"] = json!(6);
    assert_eq!(open(&head).unwrap().description.block_size, 6);
}

#[test]
fn a_fused_projection_is_taken_apart() {
    let whole = zlab();
    let mut head = zlab();
    for layer in ["layers.0", "layers.1"] {
        let name = |part: &str| format!("{layer}.self_attn.{part}.weight");
        let mut bytes = Vec::new();
        for part in ["q_proj", "k_proj", "v_proj"] {
            bytes.extend(head.tensors.remove(&name(part)).unwrap().2);
        }
        head.put(
            &name("qkv_proj"),
            safetensors::Dtype::BF16,
            &[32, HIDDEN],
            bytes,
        );
    }
    let opened = open(&head).unwrap();
    for part in ["q_proj", "k_proj", "v_proj"] {
        let name = format!("layers.1.self_attn.{part}.weight");
        let view = opened.tensor(&name).unwrap();
        assert_eq!(view.data, whole.bytes(&name), "{part}");
        assert_eq!(view.shape, whole.tensors[&name].1, "{part}");
        assert_eq!(view.name, "layers.1.self_attn.qkv_proj.weight");
    }
    head.float("layers.0.self_attn.qkv_proj.weight", &[31, HIDDEN]);
    assert!(
        refused(&head)
            .iter()
            .any(|found| found.code.0 == 203 && found.title.contains("31 rows"))
    );
    head.float("layers.0.self_attn.q_proj.weight", &[16, HIDDEN]);
    assert_eq!(refused(&head)[0].code.0, 202);
}

#[test]
fn relatives_that_compute_something_else_are_refused_by_name() {
    let refuse = |change: &dyn Fn(&mut TinyHead), word: &str| {
        let mut head = zlab();
        change(&mut head);
        let found = refused(&head);
        assert_eq!(found[0].code.0, 110, "{word}");
        assert!(found[0].title.contains(word), "{}", found[0].title);
    };
    refuse(
        &|head| head.float("prefix_gru.weight_ih_l0", &[4, HIDDEN]),
        "Domino",
    );
    refuse(
        &|head| head.config["dflash_config"]["projector_type"] = json!("domino"),
        "Domino",
    );
    refuse(
        &|head| head.float("layers.0.self_attn.g_proj.weight", &[2, HIDDEN]),
        "Laguna",
    );
    refuse(
        &|head| head.float("aux_hidden_norms.0.weight", &[HIDDEN]),
        "Laguna",
    );
    refuse(
        &|head| head.config["architectures"] = json!(["Gemma4DSparkModel"]),
        "Gemma",
    );
}

#[test]
fn parts_without_a_place_are_refused_unless_they_change_nothing() {
    for (key, value) in [
        ("attention_sink_bias", json!(true)),
        ("attention_value_scale", json!(0.5)),
        ("input_embedding_scale", json!(4.0)),
        ("final_logit_softcapping", json!(30.0)),
        ("use_aux_hidden_state", json!(false)),
    ] {
        let mut head = zlab();
        head.config["dflash_config"][key] = value;
        let found = refused(&head);
        assert_eq!(found.len(), 1, "{key}");
        assert_eq!(found[0].code.0, 412, "{key}");
    }
    let mut head = zlab();
    head.config["dflash_config"]["attention_value_scale"] = json!(1);
    assert!(open(&head).is_ok());
    let scratch = Scratch::new();
    let directory = head.write(&scratch, "head");
    scratch.write("head/mask_embedding.pt", b"");
    let found = BlockHead::open(&directory, None, &ReadOptions::default()).unwrap_err();
    assert_eq!(found[0].code.0, 412);
}

#[test]
fn windows_are_read_as_vllm_reads_them() {
    let read = |change: &dyn Fn(&mut Value)| {
        let mut head = zlab();
        change(&mut head.config);
        let description = open(&head).unwrap().description;
        (
            description.sliding_window,
            description.sliding_window_non_causal,
        )
    };
    // ModelOpt: every layer slides, whatever its type says.
    let modelopt = |config: &mut Value| {
        config["dflash_config"]["use_swa"] = json!(true);
        config["dflash_config"]["swa_window_size"] = json!(7);
    };
    assert_eq!(read(&modelopt), (vec![Some(7), Some(7)], true));
    let mixed = |config: &mut Value| {
        config["layer_types"] = json!(["sliding_attention", "full_attention"]);
        config["sliding_window"] = json!(9);
        config["use_sliding_window"] = json!(true);
    };
    assert_eq!(read(&mixed), (vec![Some(9), None], false));
    let told = |config: &mut Value| {
        mixed(config);
        config["dflash_config"]["causal"] = json!(false);
    };
    assert_eq!(read(&told), (vec![Some(9), None], true));
    let mut head = zlab();
    head.config["dflash_config"]["causal"] = json!(true);
    assert_eq!(refused(&head)[0].code.0, 412);
}

#[test]
fn the_last_layer_of_the_verifier_is_kept_and_told() {
    let mut head = zlab();
    head.config["dflash_config"]["target_layer_ids"] = json!([1, 7]);
    let opened = open(&head).unwrap();
    assert_eq!(opened.description.aux_layer_ids, [2, 8]);
    assert!(decision(&opened, "aux_hidden_state_layer_ids").guess);
    // As an output there is no layer 8 of 8.
    head.config["dflash_config"]["target_layer_ids"] = json!([1, 8]);
    let opened = open(&head).unwrap();
    assert_eq!(opened.description.aux_layer_ids, [1, 8]);
    assert!(decision(&opened, "aux_hidden_state_layer_ids").guess);
}

#[test]
fn layers_that_are_not_named_are_spread_as_trainers_spread_them() {
    let mut head = zlab();
    head.config["dflash_config"] = json!({"mask_token_id": 3});
    let opened = open(&head).unwrap();
    // From the second layer to the fourth last: 1 and 5 of 8.
    assert_eq!(opened.description.aux_layer_ids, [2, 6]);
    assert!(decision(&opened, "aux_hidden_state_layer_ids").guess);
}

#[test]
fn a_rotary_base_that_programs_assume_differently_is_a_guess() {
    let mut head = zlab();
    head.config
        .as_object_mut()
        .unwrap()
        .remove("rope_parameters");
    let opened = open(&head).unwrap();
    assert!(decision(&opened, "rope_theta").guess);
    head.config["rope_theta"] = json!(5e5);
    let opened = open(&head).unwrap();
    assert_eq!(opened.description.rope.theta, 5e5);
    assert_eq!(opened.findings().len(), 1);
}

#[test]
fn dspark_is_read_from_both_trainers() {
    for kind in ["vanilla", "gated", "rnn"] {
        let ours = dspark(kind);
        let mut specforge = zlab();
        let mut modelopt = zlab();
        modelopt.config["dflash_config"]["shift_label"] = json!(true);
        for (name, tensor) in ours.tensors {
            if name.contains("_head.") {
                let flat = name
                    .replace("markov_head.", "")
                    .replace("confidence_head.proj", "confidence_proj");
                modelopt.tensors.insert(flat, tensor.clone());
                specforge
                    .tensors
                    .insert(format!("logit_head.{name}"), tensor);
            }
        }
        for head in [specforge, modelopt] {
            let opened = open(&head).unwrap();
            let Drafter::DSpark {
                markov_rank,
                markov_head_type,
                enable_confidence_head,
                confidence_head_with_markov,
            } = opened.description.drafter
            else {
                panic!("{:?}", opened.description.drafter)
            };
            assert_eq!((markov_rank, markov_head_type.as_str()), (4, kind));
            assert!(enable_confidence_head && confidence_head_with_markov);
            assert!(opened.description.sample_from_anchor);
            assert_eq!(opened.description.speculative_tokens, 4);
        }
    }
}

use serde_json::{Value, json};

use super::*;
use crate::options::{AuxConvention, ReadOptions};
use crate::testing::{DRAFT, HIDDEN, Scratch, TinyHead, VOCABULARY, verifier_config};
use crate::{ConfigFile, Result, VerifierConfig};

fn verifier() -> VerifierConfig {
    verifier_with(|_| ())
}

fn verifier_with(change: impl Fn(&mut Value)) -> VerifierConfig {
    let mut config = verifier_config();
    change(&mut config);
    let file = ConfigFile::from_text("verifier/config.json", config.to_string()).unwrap();
    VerifierConfig::from_config(&file, None).unwrap()
}

fn open_with(head: &TinyHead, options: &ReadOptions) -> Result<Head> {
    let scratch = Scratch::new();
    let directory = head.write(&scratch, "head");
    Head::open(&directory, Some(&verifier()), options)
}

fn open(head: &TinyHead) -> Result<Head> {
    open_with(head, &ReadOptions::default())
}

#[track_caller]
fn codes_of(opened: Result<Head>) -> Vec<u16> {
    opened
        .unwrap_err()
        .iter()
        .map(|problem| problem.code.0)
        .collect()
}

fn decision<'a>(head: &'a Head, subject: &str) -> &'a Decision {
    head.decisions
        .iter()
        .find(|decision| decision.subject == subject)
        .unwrap_or_else(|| panic!("no decision about {subject} in {:?}", head.decisions))
}

fn aux_of(change: impl Fn(&mut TinyHead)) -> (Vec<usize>, bool) {
    let mut head = TinyHead::new();
    change(&mut head);
    let head = open(&head).unwrap();
    (
        head.description.aux_layer_ids.clone(),
        decision(&head, "eagle_aux_hidden_state_layer_ids").guess,
    )
}

#[test]
fn the_original_release_is_recognized_and_renamed() {
    let head = open(&TinyHead::new()).unwrap();
    assert_eq!(head.layout, Layout::SafeAiLab);
    assert_eq!(
        head.tensors["layers.0.hidden_norm.weight"],
        "midlayer.hidden_norm.weight"
    );
    assert_eq!(
        head.tensor("layers.0.self_attn.q_proj.weight")
            .unwrap()
            .shape,
        [16, 2 * HIDDEN]
    );
    assert_eq!(head.vocabulary_map().unwrap().draft_to_target[3], 6);
    assert_eq!(head.description.head_dim, 8);
}

#[test]
fn the_speculators_layout_needs_no_decision() {
    let mut head = TinyHead::speculators();
    head.config["norm_before_residual"] = json!(false);
    let head = open_with(
        &head,
        &ReadOptions {
            strict: true,
            ..ReadOptions::default()
        },
    )
    .unwrap();
    assert_eq!(head.layout, Layout::Speculators);
    assert!(head.decisions.is_empty(), "{:?}", head.decisions);
    assert_eq!(head.description.speculative_tokens, 5);
    assert_eq!(head.checkpoint.config().verifier_name(), Some("tiny"));
}

#[test]
fn default_layers_are_a_guess_that_strict_refuses() {
    assert_eq!(aux_of(|_| ()), (vec![2, 4, 5], true));
    let strict = ReadOptions {
        strict: true,
        ..ReadOptions::default()
    };
    assert_eq!(codes_of(open_with(&TinyHead::new(), &strict)), [411]);
    let told = ReadOptions {
        strict: true,
        aux_layers: Some(vec![1, 4, 6]),
        ..ReadOptions::default()
    };
    assert_eq!(
        open_with(&TinyHead::new(), &told)
            .unwrap()
            .description
            .aux_layer_ids,
        [1, 4, 6]
    );
}

#[test]
fn without_a_verifier_the_layers_stay_open() {
    let scratch = Scratch::new();
    let directory = TinyHead::new().write(&scratch, "head");
    let head = Head::open(&directory, None, &ReadOptions::default()).unwrap();
    assert!(head.description.aux_layer_ids.is_empty());
}

#[test]
fn nested_layer_ids_count_outputs() {
    let nested = |ids: Value| {
        move |head: &mut TinyHead| {
            head.config["eagle_config"] =
                json!({"eagle_aux_hidden_state_layer_ids": ids, "use_last_layernorm": true});
        }
    };
    assert_eq!(aux_of(nested(json!([0, 2, 5]))), (vec![1, 3, 6], false));
    // The default layers, which proves the convention.
    assert_eq!(aux_of(nested(json!([1, 3, 4]))), (vec![2, 4, 5], false));
    // 8 of 8 layers can only count what has run.
    assert_eq!(aux_of(nested(json!([2, 5, 8]))), (vec![2, 5, 8], false));
}

#[test]
fn layer_ids_at_the_top_are_read_as_vllm_reads_them_unless_they_prove_otherwise() {
    let top = |ids: Value| {
        move |head: &mut TinyHead| head.config["eagle_aux_hidden_state_layer_ids"] = ids.clone()
    };
    assert_eq!(aux_of(top(json!([1, 4, 6]))), (vec![1, 4, 6], true));
    assert_eq!(aux_of(top(json!([2, 4, 5]))), (vec![2, 4, 5], false));
    assert_eq!(aux_of(top(json!([1, 3, 4]))), (vec![2, 4, 5], false));
    let mut head = TinyHead::new();
    head.config["eagle_aux_hidden_state_layer_ids"] = json!([1, 4, 6]);
    let told = ReadOptions {
        aux_convention: Some(AuxConvention::Output),
        ..ReadOptions::default()
    };
    assert_eq!(
        open_with(&head, &told).unwrap().description.aux_layer_ids,
        [2, 5, 7]
    );
}

#[test]
fn layer_ids_have_to_fit_fc_and_the_verifier() {
    let with = |ids: Value| {
        let mut head = TinyHead::speculators();
        head.config["eagle_aux_hidden_state_layer_ids"] = ids;
        codes_of(open(&head))
    };
    assert_eq!(with(json!([2, 4])), [404]);
    assert_eq!(with(json!([2, 4, 4])), [404]);
    assert_eq!(with(json!([2, 4, 9])), [403]);
    let mut four = TinyHead::new();
    four.float("fc.weight", &[HIDDEN, 4 * HIDDEN]);
    assert_eq!(codes_of(open(&four)), [409]);
}

#[test]
fn head_dim_follows_the_projections_where_the_config_is_silent() {
    let mut head = TinyHead::new();
    head.config["num_attention_heads"] = json!(4);
    head.config["num_key_value_heads"] = json!(2);
    assert_eq!(open(&head).unwrap().description.head_dim, 4);
    // Two heads of eight, but hidden_size / heads would be 16 / 1.
    head.config["num_attention_heads"] = json!(1);
    head.config["num_key_value_heads"] = json!(1);
    head.float("midlayer.self_attn.q_proj.weight", &[8, 2 * HIDDEN]);
    head.float("midlayer.self_attn.o_proj.weight", &[HIDDEN, 8]);
    let opened = open(&head).unwrap();
    assert_eq!(opened.description.head_dim, 8);
    assert!(!decision(&opened, "head_dim").guess);
    head.config["head_dim"] = json!(16);
    let problems = open(&head).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!(
        problems[0].title,
        "`head_dim` is 16, but the projections have 8 channels per head"
    );
}

#[test]
fn later_layers_are_counted_by_their_tensors() {
    let mut head = TinyHead::new();
    head.layer("layers.1", HIDDEN);
    head.config["num_hidden_layers"] = json!(40);
    let opened = open(&head).unwrap();
    assert_eq!(opened.description.num_hidden_layers, 2);
    assert!(decision(&opened, "num_hidden_layers").guess);
    head.config["num_hidden_layers"] = json!(2);
    head.rename(
        "layers.1.input_layernorm.weight",
        "layers.1.hidden_norm.weight",
    );
    let opened = open(&head).unwrap();
    assert_eq!(
        opened.tensors["layers.1.input_layernorm.weight"],
        "layers.1.hidden_norm.weight"
    );
}

#[test]
fn a_layer_the_config_does_not_count_is_unexpected_in_the_speculators_layout() {
    let mut head = TinyHead::speculators();
    head.layer("layers.1", HIDDEN);
    assert_eq!(codes_of(open(&head)), [202]);
}

#[test]
fn a_prefix_is_taken_off_foreign_names_and_refused_in_the_speculators_layout() {
    let prefixed = |mut head: TinyHead| {
        head.tensors = head
            .tensors
            .into_iter()
            .map(|(name, tensor)| (format!("model.{name}"), tensor))
            .collect();
        head
    };
    let opened = open(&prefixed(TinyHead::new())).unwrap();
    assert_eq!(decision(&opened, "prefix `model.`").value, "taken off");
    assert_eq!(codes_of(open(&prefixed(TinyHead::speculators()))), [202]);
}

#[test]
fn missing_tensors_and_foreign_ones_come_in_one_report() {
    let mut head = TinyHead::new();
    head.tensors.remove("fc.weight");
    head.tensors.remove("norm.weight");
    head.float("extra.weight", &[3]);
    head.float("midlayer.mlp.up_proj.weight", &[23, HIDDEN]);
    let problems = open(&head).unwrap_err();
    let codes: Vec<u16> = problems.iter().map(|problem| problem.code.0).collect();
    assert_eq!(codes, [201, 202, 203]);
    assert_eq!(problems[0].title, "2 tensors are missing");
    assert!(
        problems[2].notes[0].contains("intermediate_size"),
        "{:?}",
        problems[2]
    );
}

#[test]
fn norms_before_fc_are_found_by_flag_or_tensor() {
    let mut head = TinyHead::new();
    head.float("input_norm.weight", &[3 * HIDDEN]);
    assert!(open(&head).unwrap().description.norm_before_fc);
    head.config["norm_before_fc"] = json!(false);
    assert_eq!(codes_of(open(&head)), [202]);
    let mut head = TinyHead::new();
    for index in 0..3 {
        head.float(&format!("fc_norm.{index}.weight"), &[HIDDEN]);
    }
    assert!(open(&head).unwrap().description.fc_norm);
    head.tensors.remove("fc_norm.2.weight");
    assert_eq!(codes_of(open(&head)), [201]);
    head.config["norm_before_fc"] = json!(true);
    head.config["fc_norm"] = json!(true);
    assert_eq!(open(&head).unwrap_err()[0].code.0, 412);
}

#[test]
fn norm_output_of_specforge_is_believed_only_with_fc_norm() {
    let mut head = TinyHead::new();
    head.config["norm_output"] = json!(true);
    let opened = open(&head).unwrap();
    assert!(!opened.description.norm_output && decision(&opened, "norm_output").guess);
    for index in 0..3 {
        head.float(&format!("fc_norm.{index}.weight"), &[HIDDEN]);
    }
    assert!(open(&head).unwrap().description.norm_output);
    let told = ReadOptions {
        norm_output: Some(false),
        ..ReadOptions::default()
    };
    assert!(!open_with(&head, &told).unwrap().description.norm_output);
}

#[test]
fn an_absent_norm_before_residual_is_settled_by_the_layout() {
    let foreign = open(&TinyHead::new()).unwrap();
    assert!(
        !foreign.description.norm_before_residual
            && !decision(&foreign, "norm_before_residual").guess
    );
    let mut head = TinyHead::speculators();
    head.config
        .as_object_mut()
        .unwrap()
        .remove("norm_before_residual");
    let served = open(&head).unwrap();
    assert!(
        served.description.norm_before_residual && decision(&served, "norm_before_residual").guess
    );
    let mut head = TinyHead::new();
    head.config["norm_before_residual"] = json!(true);
    assert!(open(&head).unwrap().description.norm_before_residual);
}

#[test]
fn biases_are_all_there_or_none() {
    let mut head = TinyHead::new();
    head.config["attention_bias"] = json!(true);
    let problems = open(&head).unwrap_err();
    assert_eq!(
        (problems[0].code.0, problems[0].title.as_str()),
        (201, "4 tensors are missing")
    );
    head.config["attention_bias"] = json!(null);
    for (part, rows) in [("q", 16), ("k", 8), ("v", 8)] {
        head.float(&format!("midlayer.self_attn.{part}_proj.bias"), &[rows]);
    }
    assert_eq!(codes_of(open(&head)), [412]);
    head.float("midlayer.self_attn.o_proj.bias", &[HIDDEN]);
    assert!(open(&head).unwrap().description.attention_bias);
}

#[test]
fn a_head_narrower_than_its_verifier_needs_its_own_embeddings() {
    let mut head = TinyHead::new();
    head.config["target_hidden_size"] = json!(24);
    head.float("fc.weight", &[HIDDEN, 3 * 24]);
    let scratch = Scratch::new();
    let wide = verifier_with(|config| config["hidden_size"] = json!(24));
    let opened = Head::open(
        &head.write(&scratch, "a"),
        Some(&wide),
        &ReadOptions::default(),
    );
    assert_eq!(codes_of(opened), [201]);
    head.float("embed_tokens.weight", &[64, HIDDEN]);
    let opened = Head::open(
        &head.write(&scratch, "b"),
        Some(&wide),
        &ReadOptions::default(),
    )
    .unwrap();
    assert_eq!(opened.description.target_hidden_size, 24);
    assert!(opened.description.own_embeddings);
    assert_eq!(
        codes_of(Head::open(
            &scratch.path("b"),
            Some(&verifier()),
            &ReadOptions::default()
        )),
        [401]
    );
}

#[test]
fn tied_embeddings_with_a_reduced_vocabulary_are_untied() {
    let mut head = TinyHead::new();
    head.config["tie_word_embeddings"] = json!(true);
    assert_eq!(
        decision(&open(&head).unwrap(), "tie_word_embeddings").value,
        "false"
    );
}

#[test]
fn qwen3_layers_are_told_by_their_head_norms() {
    let mut head = TinyHead::new();
    for norm in ["q_norm", "k_norm"] {
        head.float(&format!("midlayer.self_attn.{norm}.weight"), &[8]);
    }
    assert_eq!(
        open(&head).unwrap().description.draft_layer,
        DraftLayer::Qwen3
    );
}

#[test]
fn sliding_windows_follow_layer_types() {
    let mut head = TinyHead::speculators();
    let layer = &mut head.config["transformer_layer_config"];
    layer["sliding_window"] = json!(2048);
    assert_eq!(open(&head).unwrap().description.sliding_window, [None]);
    head.config["transformer_layer_config"]["layer_types"] = json!(["sliding_attention"]);
    assert_eq!(
        open(&head).unwrap().description.sliding_window,
        [Some(2048)]
    );
}

#[test]
fn a_learned_state_makes_a_head_a_parallel_drafter() {
    let mut head = TinyHead::new();
    head.float("mask_hidden", &[1, 1, 3 * HIDDEN]);
    head.config["ptd_token_id"] = json!(7);
    head.config["num_depths"] = json!(8);
    let description = open(&head).unwrap().description;
    assert_eq!(description.algorithm, Algorithm::PEagle);
    assert_eq!(description.mask_token_id, Some(7));
    assert_eq!(description.speculative_tokens, 8);

    let mut head = TinyHead::speculators();
    head.config["speculators_model_type"] = json!("peagle");
    let problems = open(&head).unwrap_err();
    assert!(
        problems[0].title.contains("`mask_hidden` is missing"),
        "{}",
        problems[0].title
    );
}

#[test]
fn other_kinds_of_heads_are_refused_by_name() {
    for (tensor, name) in [
        ("midlayer.self_attn.q_a_proj.weight", "MLA"),
        ("midlayer.self_attn.q_proj.weight_scale", "quantized"),
        ("efficient_lm_head.weight", "EAGLE-4"),
        ("layers.0.eh_proj.weight", "DeepSeek"),
        ("prefix_gru.weight_ih_l0", "Domino"),
    ] {
        let mut head = TinyHead::new();
        head.float(tensor, &[3]);
        let problems = open(&head).unwrap_err();
        assert!(problems[0].title.contains(name), "{}", problems[0].title);
        assert_eq!(problems[0].code.0, 110);
        assert!(
            problems[0].help.is_some(),
            "{name} without what would be needed"
        );
    }
    let mut medusa = TinyHead::new();
    medusa.tensors.clear();
    medusa.float("0.0.linear.weight", &[HIDDEN, HIDDEN]);
    assert!(open(&medusa).unwrap_err()[0].title.contains("Medusa"));
    let mut first = TinyHead::new();
    first
        .tensors
        .retain(|name, _| !name.starts_with("midlayer"));
    first.float("fc.weight", &[HIDDEN, 2 * HIDDEN]);
    first.float("layers.0.self_attn.q_proj.weight", &[16, HIDDEN]);
    assert!(open(&first).unwrap_err()[0].title.contains("`eagle`"));
    let mut block = TinyHead::speculators();
    block.config["speculators_model_type"] = json!("dflash");
    assert!(open(&block).unwrap_err()[0].title.contains("dflash"));
}

#[test]
fn a_wrong_type_hides_what_would_follow_from_it() {
    let mut head = TinyHead::new();
    head.config["num_attention_heads"] = json!("2");
    assert_eq!(codes_of(open(&head)), [105]);
}

#[test]
fn a_verifier_of_another_size_is_named() {
    let scratch = Scratch::new();
    let directory = TinyHead::speculators().write(&scratch, "head");
    let larger = verifier_with(|config| config["vocab_size"] = json!(96));
    assert_eq!(
        codes_of(Head::open(
            &directory,
            Some(&larger),
            &ReadOptions::default()
        )),
        [402]
    );
}

#[test]
fn the_draft_vocabulary_is_counted_where_the_config_is_silent() {
    let mut head = TinyHead::new();
    head.config["draft_vocab_size"] = Value::Null;
    assert_eq!(open(&head).unwrap().description.draft_vocab_size, DRAFT);
}

#[test]
fn absurd_sizes_end_in_a_finding() {
    for key in [
        "hidden_size",
        "intermediate_size",
        "num_attention_heads",
        "num_key_value_heads",
        "num_hidden_layers",
        "head_dim",
        "vocab_size",
    ] {
        for size in [0_u64, 3, 65_537, 4_294_967_295, u64::MAX] {
            let mut head = TinyHead::speculators();
            head.config["transformer_layer_config"][key] = json!(size);
            assert!(open(&head).is_err(), "{key} = {size}");
        }
    }
    for key in ["draft_vocab_size", "target_hidden_size"] {
        for size in [0_u64, 3, 65_537, 4_294_967_295, u64::MAX] {
            let mut head = TinyHead::speculators();
            head.config[key] = json!(size);
            assert!(open(&head).is_err(), "{key} = {size}");
        }
    }
}

#[test]
fn a_config_that_vllm_wrapped_is_read_as_vllm_reads_it() {
    let mut head = TinyHead::new();
    let mut model = head.config.clone();
    model["vocab_size"] = json!(VOCABULARY);
    head.config = json!({
        "architectures": ["Eagle3LlamaForCausalLM"], "eagle_aux_hidden_state_layer_ids": [1, 3, 4],
        "model": model, "model_type": "eagle"
    });
    let opened = open(&head).unwrap();
    assert_eq!(opened.description.aux_layer_ids, [1, 3, 4]);
    assert!(
        opened.decisions.iter().all(|decision| !decision.guess),
        "{:?}",
        opened.decisions
    );
}

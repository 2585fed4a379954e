//! One head per rule, each made from a sound one by a single change.

use serde_json::json;

use super::*;
use crate::codes;
use crate::testing::{HIDDEN, Scratch, TinyHead, VOCABULARY, verifier_config};
use crate::validate::{ValidateOptions, ValidationReport, Verdict, validate};

/// The speculators layout as `convert` writes it.
fn sound() -> TinyHead {
    let mut head = TinyHead::speculators();
    head.config["norm_before_residual"] = json!(false);
    head.config["speculators_config"]["verifier"]["name_or_path"] = json!("owner/verifier");
    head
}

/// The layout SGLang serves.
fn native() -> TinyHead {
    let mut head = TinyHead::new();
    head.config["architectures"] = json!(["LlamaForCausalLMEagle3"]);
    head.config["head_dim"] = json!(8);
    head.config["eagle_config"] = json!({"eagle_aux_hidden_state_layer_ids": [1, 3, 4]});
    head
}

fn judged(head: &TinyHead, runtime: Runtime) -> ValidationReport {
    let scratch = Scratch::new();
    let dir = head.write(&scratch, "head");
    scratch.write(
        "verifier/config.json",
        verifier_config().to_string().as_bytes(),
    );
    let options = ValidateOptions {
        runtime: Some(runtime),
        ..ValidateOptions::default()
    };
    validate(&dir, Some(&scratch.path("verifier")), &options)
}

fn loads(report: &ValidationReport) -> Loads {
    report.runtime.as_ref().unwrap().loads
}

/// The findings of the family 5xx: code and level.
fn found(report: &ValidationReport) -> Vec<(u16, Level)> {
    let found = report.diagnostics.iter();
    let found = found.filter(|finding| finding.code.0 / 100 == 5);
    found
        .map(|finding| (finding.code.0, finding.level))
        .collect()
}

/// That there is an error with these words in its title.
#[track_caller]
fn refused(report: &ValidationReport, code: codes::Code, words: &str) {
    assert_eq!(loads(report), Loads::No, "{:?}", report.diagnostics);
    assert_eq!(report.verdict, Verdict::NotValid);
    assert!(report.runtime.as_ref().unwrap().commands.is_empty());
    let errors = report.diagnostics.iter();
    let mut errors = errors.filter(|finding| finding.code == code && finding.level == Level::Error);
    assert!(
        errors.any(|finding| finding.title.contains(words)),
        "{:?}",
        report.diagnostics
    );
}

/// That the runtime takes this, and what the head has instead.
#[track_caller]
fn assumed(report: &ValidationReport, subject: &str, taken: &str, holds: Option<bool>) {
    let assumptions = &report.runtime.as_ref().unwrap().assumptions;
    let assumption = assumptions
        .iter()
        .find(|assumption| assumption.subject.ends_with(subject));
    let assumption = assumption.unwrap_or_else(|| panic!("{assumptions:?}"));
    assert_eq!(
        (assumption.taken.as_str(), assumption.holds),
        (taken, holds)
    );
    let level = if holds == Some(true) {
        Level::Info
    } else {
        Level::Warning
    };
    assert!(found(report).contains(&(502, level)));
}

#[test]
fn vllm_serves_a_converted_head_by_its_directory_alone() {
    let report = judged(&sound(), Runtime::Vllm);
    assert_eq!(loads(&report), Loads::Yes, "{:?}", report.diagnostics);
    let runtime = report.runtime.as_ref().unwrap();
    let [short, long] = runtime.commands.as_slice() else {
        panic!("{:?}", runtime.commands);
    };
    assert!(short.starts_with("vllm serve ") && short.ends_with("/head"));
    assert!(long.contains("/verifier --speculative-config '{\"model\": \""));
    assert!(long.ends_with("\"method\": \"eagle3\", \"num_speculative_tokens\": 5}'"));
    assumed(&report, "embed_tokens.weight", "the verifier's", Some(true));
    assumed(&report, "num_aux_hidden_states", "3", Some(true));
    assumed(
        &report,
        "max_position_embeddings",
        "the verifier's 256",
        Some(true),
    );
}

#[test]
fn vllm_knows_five_kinds() {
    for kind in ["mtp", "xpress", "eagle"] {
        let mut head = sound();
        head.config["speculators_model_type"] = json!(kind);
        let report = judged(&head, Runtime::Vllm);
        refused(&report, codes::RUNTIME_KIND, &format!("of kind `{kind}`"));
    }
}

#[test]
fn vllm_needs_what_has_no_default() {
    let keys = ["rms_norm_eps", "hidden_act"];
    for key in keys {
        let mut head = sound();
        let decoder = head.config["transformer_layer_config"].as_object_mut();
        decoder.unwrap().remove(key);
        let report = judged(&head, Runtime::Vllm);
        refused(&report, codes::RUNTIME_CONFIG, &format!("lacks `{key}`"));
    }
    let mut head = sound();
    head.config["model_type"] = json!("llama");
    let report = judged(&head, Runtime::Vllm);
    refused(&report, codes::RUNTIME_CONFIG, "`model_type` at the top");
    let mut head = sound();
    head.config["transformer_layer_config"]["hidden_act"] = json!("gelu");
    let report = judged(&head, Runtime::Vllm);
    refused(&report, codes::RUNTIME_CONFIG, "`hidden_act` is `gelu`");
    let mut head = sound();
    let decoder = &mut head.config["transformer_layer_config"];
    decoder["layer_types"] = json!(["sliding_attention"]);
    let report = judged(&head, Runtime::Vllm);
    refused(&report, codes::RUNTIME_CONFIG, "gives no width");
}

#[test]
fn vllm_counts_the_states_of_a_llama_head_by_another_key() {
    let mut head = sound();
    head.config["eagle_aux_hidden_state_layer_ids"] = json!([1, 2, 4, 5]);
    head.float("fc.weight", &[HIDDEN, 4 * HIDDEN]);
    let report = judged(&head, Runtime::Vllm);
    refused(
        &report,
        codes::RUNTIME_CONFIG,
        "builds `fc` for 3 states, but the head reads 4",
    );
    head.config["transformer_layer_config"]["num_aux_hidden_states"] = json!(4);
    let report = judged(&head, Runtime::Vllm);
    assert_eq!(loads(&report), Loads::Yes, "{:?}", report.diagnostics);
}

#[test]
fn vllm_skips_a_norm_whose_flag_is_not_set() {
    let mut head = sound();
    head.float("input_norm.weight", &[3 * HIDDEN]);
    let report = judged(&head, Runtime::Vllm);
    assert_eq!(loads(&report), Loads::WithFindings);
    assumed(&report, "norm_before_fc", "false", Some(false));
    let mut head = sound();
    for state in 0..3 {
        head.float(&format!("fc_norm.{state}.weight"), &[HIDDEN]);
    }
    let report = judged(&head, Runtime::Vllm);
    refused(&report, codes::RUNTIME_TENSOR, "no place for `fc_norm.*`");
}

#[test]
fn a_verifier_that_is_a_path_elsewhere_is_said() {
    let mut head = sound();
    head.config["speculators_config"]["verifier"]["name_or_path"] = json!("/nowhere/at/all");
    let report = judged(&head, Runtime::Vllm);
    assert_eq!(loads(&report), Loads::WithFindings);
    assert!(found(&report).contains(&(505, Level::Warning)));
    assert_eq!(report.runtime.unwrap().commands.len(), 1);
}

#[test]
fn vllm_has_no_place_for_a_map_of_the_whole_vocabulary() {
    let mut head = sound();
    head.config["draft_vocab_size"] = json!(VOCABULARY);
    head.float("lm_head.weight", &[VOCABULARY, HIDDEN]);
    head.d2t(&[0; VOCABULARY]);
    let all = vec![1; VOCABULARY];
    head.put("t2d", safetensors::Dtype::BOOL, &[VOCABULARY], all);
    let report = judged(&head, Runtime::Vllm);
    refused(&report, codes::RUNTIME_TENSOR, "no place for `d2t`");
}

#[test]
fn vllm_takes_nested_ids_one_layer_too_early() {
    let report = judged(&native(), Runtime::Vllm);
    assert_eq!(
        loads(&report),
        Loads::WithFindings,
        "{:?}",
        report.diagnostics
    );
    assumed(
        &report,
        "eagle_aux_hidden_state_layer_ids",
        "[1, 3, 4]",
        Some(false),
    );
    let commands = report.runtime.unwrap().commands;
    assert_eq!(commands.len(), 1);
}

#[test]
fn vllm_finds_a_foreign_head_by_architecture_and_names() {
    let mut head = native();
    head.config["architectures"] = json!(["LlamaEagle3DraftModel"]);
    let report = judged(&head, Runtime::Vllm);
    refused(
        &report,
        codes::RUNTIME_KIND,
        "`Eagle3LlamaEagle3DraftModel`",
    );
    let mut head = native();
    head.config["target_hidden_size"] = json!(null);
    let report = judged(&head, Runtime::Vllm);
    refused(
        &report,
        codes::RUNTIME_CONFIG,
        "`target_hidden_size` is null",
    );
    let mut head = native();
    head.rename("fc.weight", "model.fc.weight");
    let report = judged(&head, Runtime::Vllm);
    refused(&report, codes::RUNTIME_TENSOR, "`model.fc.weight`");
}

#[test]
fn sglang_reads_the_layout_of_trainers_and_no_other() {
    let report = judged(&native(), Runtime::Sglang);
    assert_eq!(loads(&report), Loads::Yes, "{:?}", report.diagnostics);
    let commands = report.runtime.unwrap().commands;
    assert!(commands[0].contains("--speculative-algorithm EAGLE3"));
    assert!(commands[0].ends_with("--speculative-num-draft-tokens 4"));

    let report = judged(&sound(), Runtime::Sglang);
    refused(
        &report,
        codes::RUNTIME_KIND,
        "does not read the speculators layout",
    );
    let help = |report: &ValidationReport| {
        let kind = report.diagnostics.iter();
        let mut kind = kind.filter(|finding| finding.code == codes::RUNTIME_KIND);
        kind.next().unwrap().help.clone()
    };
    assert!(help(&report).unwrap().contains("--to sglang"));
    // No conversion mends a head that SGLang cannot run.
    let mut head = sound();
    head.config["norm_before_residual"] = json!(true);
    let report = judged(&head, Runtime::Sglang);
    refused(
        &report,
        codes::RUNTIME_CONFIG,
        "`norm_before_residual` is true",
    );
    assert_eq!(help(&report), None);
}

#[test]
fn sglang_ignores_ids_at_the_top_of_the_config() {
    let mut head = native();
    head.config["eagle_config"] = json!({});
    head.config["eagle_aux_hidden_state_layer_ids"] = json!([1, 3, 6]);
    let report = judged(&head, Runtime::Sglang);
    assumed(
        &report,
        "eagle_aux_hidden_state_layer_ids",
        "[2, 4, 5]",
        Some(false),
    );
}

#[test]
fn sglang_needs_its_own_class_name() {
    let mut head = native();
    head.config["architectures"] = json!(["LlamaForCausalLM"]);
    let report = judged(&head, Runtime::Sglang);
    refused(&report, codes::RUNTIME_KIND, "`LlamaForCausalLM`");
}

#[test]
fn llama_cpp_needs_a_file_and_says_whether_the_head_could_be_one() {
    let report = judged(&sound(), Runtime::LlamaCpp);
    refused(&report, codes::RUNTIME_KIND, "GGUF");
    assert_eq!(found(&report), [(501, Level::Error)]);
    let mut head = sound();
    head.config["norm_output"] = json!(true);
    let report = judged(&head, Runtime::LlamaCpp);
    refused(&report, codes::RUNTIME_CONFIG, "`norm_output`");
}

#[test]
fn a_checkpoint_that_cannot_be_read_leaves_it_open() {
    let scratch = Scratch::new();
    let options = ValidateOptions {
        runtime: Some(Runtime::Vllm),
        ..ValidateOptions::default()
    };
    let report = validate(&scratch.path("nowhere"), None, &options);
    assert_eq!(loads(&report), Loads::CouldNotTell);
    assert_eq!(report.verdict, Verdict::CouldNotTell);
}

/// Kinds whose rules need no more than the config.
#[test]
fn vllm_stops_at_block_drafters_it_has_no_code_for() {
    let cases = [
        ("peagle", json!({}), "`mask_token_id` is not set"),
        (
            "dflash",
            json!({"mask_token_id": 1, "aux_hidden_state_layer_ids": [2, 4], "sample_from_anchor": true}),
            "`sample_from_anchor` is true",
        ),
        (
            "dspark",
            json!({"mask_token_id": 1, "aux_hidden_state_layer_ids": [2, 4], "markov_rank": 4, "markov_head_type": "rnn"}),
            "of type `rnn`",
        ),
        (
            "dspark",
            json!({"mask_token_id": 1, "aux_hidden_state_layer_ids": [2, 4], "markov_rank": 0}),
            "`markov_rank` is 0",
        ),
        (
            "dflash2",
            json!({"mask_token_id": 1, "aux_hidden_state_layer_ids": [2, 2]}),
            "`selector_rank` is not set",
        ),
    ];
    for (kind, keys, words) in cases {
        let mut head = sound();
        head.config["speculators_model_type"] = json!(kind);
        for (key, value) in keys.as_object().unwrap() {
            head.config[key] = value.clone();
        }
        let report = judged(&head, Runtime::Vllm);
        refused(&report, codes::RUNTIME_CONFIG, words);
    }
}

/// An EAGLE-1 head as the original release has it.
fn eagle() -> TinyHead {
    let mut head = TinyHead {
        config: TinyHead::new().config,
        tensors: std::collections::BTreeMap::new(),
    };
    let config = head.config.as_object_mut().unwrap();
    config.remove("draft_vocab_size");
    head.config["bias"] = json!(false);
    head.layer("layers.0", HIDDEN);
    head.tensors.remove("layers.0.input_layernorm.weight");
    head.float("fc.weight", &[HIDDEN, 2 * HIDDEN]);
    head
}

#[test]
fn an_eagle_1_head_is_served_by_the_programs_that_know_it() {
    let report = judged(&eagle(), Runtime::Vllm);
    assert_eq!(loads(&report), Loads::Yes, "{:?}", report.diagnostics);
    assert!(report.runtime.as_ref().unwrap().commands[0].contains("\"method\": \"eagle\""));
    assumed(&report, "lm_head.weight", "the verifier's", Some(true));

    let report = judged(&eagle(), Runtime::Sglang);
    refused(&report, codes::RUNTIME_KIND, "`LlamaForCausalLMEagle`");
    let mut head = eagle();
    head.config["architectures"] = json!(["LlamaForCausalLMEagle"]);
    let report = judged(&head, Runtime::Sglang);
    assert_eq!(loads(&report), Loads::Yes, "{:?}", report.diagnostics);
    let config = head.config.as_object_mut().unwrap();
    config.remove("bias");
    let report = judged(&head, Runtime::Sglang);
    refused(&report, codes::RUNTIME_TENSOR, "`fc.bias`");

    let report = judged(&eagle(), Runtime::LlamaCpp);
    refused(&report, codes::RUNTIME_KIND, "no EAGLE-1 heads");
}

#[test]
fn a_bias_after_fc_has_no_place_in_vllm() {
    let mut head = eagle();
    head.config["bias"] = json!(true);
    head.float("fc.bias", &[HIDDEN]);
    let report = judged(&head, Runtime::Vllm);
    refused(&report, codes::RUNTIME_TENSOR, "no place for `fc.bias`");
}

#[test]
fn p_eagle_heads_draft_in_parallel_in_vllm_and_nowhere_else() {
    let mut head = sound();
    head.config["speculators_model_type"] = json!("peagle");
    head.config["mask_token_id"] = json!(3);
    head.float("mask_hidden", &[1, 1, 3 * HIDDEN]);
    let report = judged(&head, Runtime::Vllm);
    assert_eq!(loads(&report), Loads::Yes, "{:?}", report.diagnostics);
    let commands = &report.runtime.as_ref().unwrap().commands;
    assert!(commands[1].contains("\"method\": \"eagle3\""));
    assert!(commands[1].ends_with("\"parallel_drafting\": true}'"));
    head.config["norm_output"] = json!(true);
    let report = judged(&head, Runtime::Vllm);
    refused(&report, codes::RUNTIME_CONFIG, "`norm_output` is true");
    let report = judged(&head, Runtime::LlamaCpp);
    refused(&report, codes::RUNTIME_TENSOR, "no place for `mask_hidden`");
}

//! The `config.json` of a converted head.
//!
//! Everything is written down, defaults included: where the two peers that read the layout disagree about a default
//! (`norm_before_residual`), or guess (`eagle_aux_hidden_state_layer_ids`), an absent key is how heads go wrong.

use serde_json::{Map, Value, json};

use super::Job;
use crate::config::Section;
use crate::head::{DraftLayer, Head, HeadDescription};
use crate::speculator::Algorithm;
use crate::verifier::{FloatType, HiddenAct};

/// Release of the Python package whose layout is written.
pub(crate) const FORMAT_VERSION: &str = "0.9.0";

/// Keys that are read, or that say nothing about a head. Sorted.
pub(crate) const KNOWN_KEYS: &[&str] = &[
    "_name_or_path",
    "add_swa_attention_sink_bias",
    "architectures",
    "attention_bias",
    "attention_dropout",
    "attention_multiplier",
    "auto_map",
    "aux_hidden_state_layer_ids",
    "block_size",
    "bos_token_id",
    "confidence_head_with_markov",
    "conv_group_size",
    "conv_kernel_size",
    "conversion",
    "dflash_config",
    "draft_vocab_size",
    "dspark_block_size",
    "dspark_bonus_anchor",
    "dspark_noise_token_id",
    "dspark_target_layer_ids",
    "dtype",
    "eagle_aux_hidden_state_layer_ids",
    "eagle_config",
    "embed_requires_grad",
    "embedding_multiplier",
    "enable_confidence_head",
    "eos_token_id",
    "fc_norm",
    "has_no_defaults_at_init",
    "head_dim",
    "hidden_act",
    "hidden_size",
    "initialization",
    "initializer_range",
    "intermediate_size",
    "is_causal",
    "is_neox_style",
    "layer_types",
    "logit_scale",
    "logits_scaling",
    "markov_head_type",
    "markov_rank",
    "mask_token_id",
    "max_position_embeddings",
    "max_window_layers",
    "mlp_bias",
    "model_type",
    "norm_before_fc",
    "norm_before_residual",
    "norm_output",
    "num_attention_heads",
    "num_aux_hidden_states",
    "num_depths",
    "num_hidden_layers",
    "num_jacobi_passes",
    "num_key_value_heads",
    "num_target_layers",
    "original_max_position_embeddings",
    "pad_token_id",
    "parallel_drafting",
    "pard_token",
    "partial_rotary_factor",
    "pretraining_tp",
    "probe",
    "ptd_token_id",
    "residual_multiplier",
    "rms_norm_eps",
    "rope_parameters",
    "rope_scaling",
    "rope_theta",
    "sample_from_anchor",
    "selector_rank",
    "selector_top_k",
    "sliding_window",
    "sliding_window_non_causal",
    "speculators_config",
    "speculators_model_type",
    "speculators_version",
    "target_hidden_size",
    "target_layer_ids",
    "tie_word_embeddings",
    "torch_dtype",
    "transformer_layer_config",
    "transformers_version",
    "use_aux_hidden_state",
    "use_cache",
    "use_sliding_window",
    "vocab_size",
    "xpress_mlp_ratio",
    "xpress_rank",
];

/// Builds the config, keys sorted at every level.
pub(super) fn build(source: &Head, head: &HeadDescription, job: &Job<'_>) -> Map<String, Value> {
    let mut value = json!({
        // The full class of the Python package. The one its converter names, `Eagle3Speculator`, knows one layer only.
        "architectures": ["Eagle3DraftModel"],
        "draft_vocab_size": head.draft_vocab_size,
        "dtype": dtype(head.dtype),
        "eagle_aux_hidden_state_layer_ids": head.aux_layer_ids,
        "embed_requires_grad": false,
        "fc_norm": head.fc_norm,
        "norm_before_fc": head.norm_before_fc,
        "norm_before_residual": head.norm_before_residual,
        "norm_output": head.norm_output,
        "speculators_config": proposal(head.algorithm, head.speculative_tokens, job),
        "speculators_model_type": "eagle3",
        "speculators_version": FORMAT_VERSION,
        // Null where it equals the draft's own width: the Python package expects a number only where it differs.
        "target_hidden_size": (head.target_hidden_size != head.hidden_size).then_some(head.target_hidden_size),
        "tie_word_embeddings": false,
        "transformer_layer_config": decoder(source, head, job),
    });
    if head.algorithm == Algorithm::PEagle {
        value["architectures"] = json!(["PEagleDraftModel"]);
        value["embed_requires_grad"] = json!(true);
        value["mask_token_id"] = json!(head.mask_token_id);
        value["speculators_model_type"] = json!("peagle");
    }
    object(value)
}

/// How the head is used, and for which verifier.
pub(super) fn proposal(algorithm: Algorithm, speculative_tokens: usize, job: &Job<'_>) -> Value {
    json!({
        "algorithm": algorithm,
        "default_proposal_method": "greedy",
        "proposal_methods": [{
            "accept_tolerance": 0.0,
            "proposal_type": "greedy",
            "speculative_tokens": speculative_tokens,
            "verifier_accept_k": 1,
        }],
        "verifier": { "architectures": job.facts.architectures, "name_or_path": job.request.verifier_name },
    })
}

/// The text of the config as the Python package lays it out: two spaces, and a newline at the end.
pub(crate) fn text(config: &Map<String, Value>) -> String {
    format!("{:#}\n", Value::Object(config.clone()))
}

fn decoder(head: &Head, description: &HeadDescription, job: &Job<'_>) -> Value {
    let source = head.checkpoint.config().root();
    let head = description;
    let key = |key: &str| source_key(&source, key);
    let mut value = json!({
        "attention_bias": head.attention_bias,
        "attention_dropout": 0.0,
        "bos_token_id": key("bos_token_id").or_else(|| job.facts.bos_token_id.map(Value::from)),
        "dtype": dtype(head.dtype),
        "eos_token_id": key("eos_token_id").or_else(|| verifier_eos(job)),
        "head_dim": head.head_dim,
        "hidden_act": act(head.hidden_act),
        "hidden_size": head.hidden_size,
        "initializer_range": key("initializer_range").unwrap_or(json!(0.02)),
        "intermediate_size": head.intermediate_size,
        "max_position_embeddings": head.max_position_embeddings,
        "num_attention_heads": head.num_attention_heads,
        "num_hidden_layers": head.num_hidden_layers,
        "num_key_value_heads": head.num_key_value_heads,
        "pad_token_id": key("pad_token_id"),
        "rms_norm_eps": head.rms_norm_eps,
        "rope_parameters": head.rope.to_parameters(),
        "tie_word_embeddings": false,
        "use_cache": true,
        "vocab_size": head.vocab_size,
    });
    if let Some(axes) = &head.rope_axes {
        value["rope_parameters"]["mrope_section"] = json!(axes.sections);
        if axes.interleaved {
            value["rope_parameters"]["mrope_interleaved"] = json!(true);
        }
    }
    match head.draft_layer {
        DraftLayer::Llama => {
            value["model_type"] = json!("llama");
            value["mlp_bias"] = json!(head.mlp_bias);
            value["pretraining_tp"] = json!(1);
        }
        DraftLayer::Qwen3 => {
            value["model_type"] = json!("qwen3");
            value["max_window_layers"] = json!(28);
        }
    }
    let window = head.sliding_window.iter().flatten().next();
    if window.is_some() || head.draft_layer == DraftLayer::Qwen3 {
        value["layer_types"] = head.sliding_window.iter().map(layer_type).collect();
        value["sliding_window"] = json!(window);
        value["use_sliding_window"] = json!(window.is_some());
    }
    // vLLM counts the states of a Llama draft by this key and assumes three without it, whatever the list of ids says.
    if head.aux_layer_ids.len() != 3 {
        value["num_aux_hidden_states"] = json!(head.aux_layer_ids.len());
    }
    value
}

/// A key that says nothing about the weights, from wherever the source keeps it.
pub(super) fn source_key(source: &Section<'_>, key: &str) -> Option<Value> {
    let nested = source.get(&format!("transformer_layer_config.{key}"));
    nested.or_else(|| source.get(key)).cloned()
}

/// The entry of `layer_types` for a layer with or without a window.
pub(crate) fn layer_type(window: &Option<usize>) -> &'static str {
    if window.is_some() {
        "sliding_attention"
    } else {
        "full_attention"
    }
}

pub(super) fn verifier_eos(job: &Job<'_>) -> Option<Value> {
    match job.facts.eos_token_ids.as_slice() {
        [] => None,
        [only] => Some(json!(only)),
        several => Some(json!(several)),
    }
}

pub(crate) fn dtype(dtype: FloatType) -> &'static str {
    match dtype {
        FloatType::Float32 => "float32",
        FloatType::Float16 => "float16",
        FloatType::Bfloat16 => "bfloat16",
    }
}

pub(crate) fn act(act: HiddenAct) -> &'static str {
    match act {
        HiddenAct::Silu => "silu",
        HiddenAct::Gelu => "gelu",
        HiddenAct::GeluTanh => "gelu_pytorch_tanh",
        HiddenAct::Relu => "relu",
    }
}

/// An object with its keys sorted at every level.
pub(crate) fn object(value: Value) -> Map<String, Value> {
    match sorted(value) {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

pub(super) fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut fields: Vec<(String, Value)> = map
                .into_iter()
                .map(|(key, value)| (key, sorted(value)))
                .collect();
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(fields.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

//! The `config.json` of a new head: the keys and values that the Python package writes for one.

use serde_json::{Map, Value, json};

use super::kind::{Draft, Parts};
use super::rows::InitRow;
use crate::block::Drafter;
use crate::convert::config::{FORMAT_VERSION, act, dtype, layer_type, object};
use crate::decision::Decision;
use crate::head::DraftLayer;
use crate::speculator::{Algorithm, Description};

/// Key of the record of how the head was made.
pub(super) const RECORD: &str = "initialization";
/// Inside it, the tensors that were taken from the verifier.
pub(super) const TAKEN: &str = "verifier_tensors";

/// Builds the config, keys sorted at every level.
pub(super) fn build(
    draft: &Draft<'_>,
    description: &Description,
    tensors: &[InitRow],
    decisions: &[Decision],
) -> Map<String, Value> {
    let (request, kind) = (draft.request, draft.kind);
    let algorithm = request.algorithm;
    let mut value = json!({
        "architectures": [match algorithm {
            Algorithm::PEagle => "PEagleDraftModel",
            Algorithm::DFlash => "DFlashDraftModel",
            Algorithm::DSpark => "DSparkDraftModel",
            _ => "Eagle3DraftModel",
        }],
        "draft_vocab_size": draft.draft_vocab_size(),
        "dtype": dtype(kind.dtype),
        RECORD: record(draft, tensors, decisions),
        "speculators_config": {
            "algorithm": algorithm,
            "default_proposal_method": "greedy",
            "proposal_methods": [{
                "accept_tolerance": 0.0,
                "proposal_type": "greedy",
                "speculative_tokens": kind.speculative_tokens,
                "verifier_accept_k": 1,
            }],
            "verifier": {
                "architectures": draft.verifier.architectures,
                "name_or_path": request.verifier_name,
            },
        },
        "speculators_model_type": algorithm,
        "speculators_version": FORMAT_VERSION,
        "target_hidden_size": null,
        "tie_word_embeddings": false,
        "transformer_layer_config": decoder(draft),
    });
    match &kind.parts {
        Parts::Eagle {
            norm_before_residual,
            norm_before_fc,
            fc_norm,
            norm_output,
        } => {
            value["eagle_aux_hidden_state_layer_ids"] = json!(kind.aux_layer_ids);
            // P-EAGLE learns what its mask token means, and with it the embedding.
            value["embed_requires_grad"] = json!(algorithm == Algorithm::PEagle);
            value["fc_norm"] = json!(fc_norm);
            value["norm_before_fc"] = json!(norm_before_fc);
            value["norm_before_residual"] = json!(norm_before_residual);
            value["norm_output"] = json!(norm_output);
            if algorithm == Algorithm::PEagle {
                value["mask_token_id"] = json!(kind.mask_token_id);
            }
        }
        Parts::Block {
            drafter,
            block_size,
            sample_from_anchor,
            sliding_window_non_causal,
        } => {
            value["aux_hidden_state_layer_ids"] = json!(kind.aux_layer_ids);
            value["block_size"] = json!(block_size);
            value["mask_token_id"] = json!(kind.mask_token_id);
            value["sample_from_anchor"] = json!(sample_from_anchor);
            value["sliding_window_non_causal"] = json!(sliding_window_non_causal);
            if !matches!(drafter, Drafter::DFlash)
                && let Ok(Value::Object(parts)) = serde_json::to_value(drafter)
            {
                // The keys of the drafter are named as in the layout.
                for (key, part) in parts.into_iter().filter(|(key, _)| key != "algorithm") {
                    value[key] = part;
                }
            }
        }
    }
    debug_assert_eq!(value["draft_vocab_size"], draft_tokens(description));
    object(value)
}

fn draft_tokens(description: &Description) -> Value {
    match description {
        Description::Eagle3(head) => json!(head.draft_vocab_size),
        Description::Block(head) => json!(head.draft_vocab_size),
        Description::Eagle(_) | Description::Mtp(_) => Value::Null,
    }
}

fn decoder(draft: &Draft<'_>) -> Value {
    let (verifier, decoder) = (draft.verifier, draft.decoder);
    let slides = decoder.sliding_window.iter().any(Option::is_some);
    let types = decoder.sliding_window.iter().map(layer_type);
    let mut value = json!({
        "attention_bias": false,
        "attention_dropout": 0.0,
        "bos_token_id": null,
        "eos_token_id": null,
        "head_dim": decoder.head_dim,
        "hidden_act": act(decoder.hidden_act),
        "hidden_size": verifier.hidden_size,
        "initializer_range": verifier.initializer_range,
        "intermediate_size": decoder.intermediate_size,
        "layer_types": types.collect::<Vec<_>>(),
        "max_position_embeddings": verifier.max_position_embeddings,
        "num_attention_heads": decoder.num_attention_heads,
        "num_hidden_layers": decoder.num_hidden_layers,
        "num_key_value_heads": decoder.num_key_value_heads,
        "pad_token_id": null,
        "rms_norm_eps": verifier.rms_norm_eps,
        "rope_parameters": decoder.rope_parameters,
        "sliding_window": decoder.window,
        "tie_word_embeddings": false,
        "use_cache": true,
        "use_sliding_window": slides,
        "vocab_size": verifier.vocab_size,
    });
    match decoder.draft_layer {
        DraftLayer::Llama => {
            value["model_type"] = json!("llama");
            value["mlp_bias"] = json!(false);
            value["pretraining_tp"] = json!(1);
            // Absent ones would be read as 1 and 2, which are other tokens of most verifiers.
            value["bos_token_id"] = json!(verifier.bos_token_id);
            value["eos_token_id"] = match verifier.eos_token_ids.as_slice() {
                [] => Value::Null,
                [only] => json!(only),
                several => json!(several),
            };
            // vLLM counts the states of a Llama draft by this key and assumes three without it.
            if draft.kind.aux_layer_ids.len() != 3 {
                value["num_aux_hidden_states"] = json!(draft.kind.aux_layer_ids.len());
            }
        }
        DraftLayer::Qwen3 => {
            value["model_type"] = json!("qwen3");
            value["max_window_layers"] = json!(28);
            if !slides {
                value["sliding_window"] = Value::Null;
            }
        }
    }
    value
}

/// How the head was made, without the digests, which are known once the tensors have been read.
fn record(draft: &Draft<'_>, tensors: &[InitRow], decisions: &[Decision]) -> Value {
    let taken: Vec<Value> = tensors
        .iter()
        .filter_map(|row| {
            let source = row.verifier_tensor.as_ref()?;
            Some(json!({ "name": source, "tensor": row.name }))
        })
        .collect();
    json!({
        "decisions": decisions,
        "initializer": concat!("speculators ", env!("CARGO_PKG_VERSION")),
        "seed": draft.request.seed,
        TAKEN: taken,
    })
}

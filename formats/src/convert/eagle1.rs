//! EAGLE-1 heads to the layouts that have them: that of the original release, which SGLang reads as well.

use serde_json::{Map, Value, json};

use super::{Draft, Embedding, Job, Origin, Row, Target, config};
use crate::Result;
use crate::codes;
use crate::decision::Decision;
use crate::diagnostic::{Diagnostic, Place};
use crate::eagle::{EagleDescription, EagleHead};
use crate::head::Dropped;
use crate::rope::RopeScaling;
use crate::speculator::Description;

/// Decides the output.
///
/// # Errors
/// S412 for a target that has no EAGLE-1 heads.
pub(super) fn draft(head: &EagleHead, target: Target, job: &Job<'_>) -> Result<Draft> {
    if !matches!(target, Target::Eagle | Target::SgLang) {
        return Err(Diagnostic::error(
            codes::NOT_REPRESENTABLE,
            format!("this is an EAGLE-1 head, and the {target} layout has no place for one"),
        )
        .at(Place::file(head.checkpoint.root()))
        .note("the Python package dropped the kind after version 0.5, and vLLM reads it in the original layout only")
        .help("`--to eagle` or `--to sglang`")
        .into());
    }
    if target == Target::SgLang && head.description.layernorms {
        return Err(Diagnostic::error(
            codes::NOT_REPRESENTABLE,
            "the head has the extra norms of HASS, and the sglang layout has no place for them",
        )
        .at(Place::file(head.checkpoint.root()))
        .note("SGLang skips tensors it does not know, and would draft wrongly without a word")
        .help("`--to eagle` keeps them")
        .into());
    }
    let mut description = head.description.clone();
    let mut dropped = head.dropped.clone();
    let mut rows = Vec::new();
    for (canonical, source) in &head.tensors {
        let Some(view) = head.checkpoint.tensor(source) else {
            continue;
        };
        if canonical == "embed_tokens.weight" && job.request.embedding != Embedding::Own {
            description.own_embeddings = false;
            dropped.push(Dropped {
                name: source.clone(),
                reason: "the caller wants the verifier's embedding".to_owned(),
            });
            continue;
        }
        rows.push(Row::copied(Origin::Source, &view, canonical));
    }
    if let Some(dtype) = job.request.dtype {
        description.dtype = dtype;
    }
    let mut decisions = head.decisions.clone();
    let verifier = job.facts.max_position_embeddings;
    if description.max_position_embeddings < verifier
        && !matches!(description.rope.scaling, RopeScaling::Dynamic { .. })
    {
        let reason = format!(
            "the source says {}; runtimes size their tables by it",
            description.max_position_embeddings
        );
        decisions.push(Decision::settled(
            "max_position_embeddings",
            verifier,
            reason,
        ));
        description.max_position_embeddings = verifier;
    }
    Ok(Draft {
        config: build(&description, target, job),
        description: Description::Eagle(description),
        map: None,
        rows,
        dropped,
        decisions,
    })
}

fn build(head: &EagleDescription, target: Target, job: &Job<'_>) -> Map<String, Value> {
    let mut scaling = head.rope.to_parameters();
    scaling.remove("rope_theta");
    let scaled = !matches!(head.rope.scaling, RopeScaling::Default);
    let eos = &job.facts.eos_token_ids;
    let value = json!({
        "architectures": [if target == Target::SgLang { "LlamaForCausalLMEagle" } else { "LlamaForCausalLM" }],
        "bias": head.fc_bias,
        "bos_token_id": job.facts.bos_token_id,
        "eos_token_id": if eos.len() == 1 { json!(eos[0]) } else { json!(eos) },
        "head_dim": head.head_dim,
        "hidden_act": config::act(head.hidden_act),
        "hidden_size": head.hidden_size,
        "initializer_range": 0.02,
        "intermediate_size": head.intermediate_size,
        "max_position_embeddings": head.max_position_embeddings,
        "model_type": "llama",
        "num_attention_heads": head.num_attention_heads,
        "num_hidden_layers": head.num_hidden_layers,
        "num_key_value_heads": head.num_key_value_heads,
        "qkv_bias": head.qkv_bias,
        "rms_norm_eps": head.rms_norm_eps,
        "rope_scaling": if scaled { Value::Object(scaling) } else { Value::Null },
        "rope_theta": head.rope.theta,
        "tie_word_embeddings": false,
        "torch_dtype": config::dtype(head.dtype),
        "vocab_size": head.vocab_size,
    });
    match config::sorted(value) {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

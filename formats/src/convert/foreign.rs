//! EAGLE-3 heads to the layouts of the original release, SpecForge and SGLang.
//!
//! None of them can say everything the speculators layout can. What a layout cannot say is refused, all of it in one run;
//! what it says in an ambiguous way (which count the layer ids are in, what `norm_output` means) is also written into the
//! record of the conversion, from which reading takes it back.

use serde_json::{Map, Value, json};

use super::{Draft, Job, Target, config, eagle3, provenance};
use crate::Result;
use crate::codes;
use crate::decision::Decision;
use crate::diagnostic::{Diagnostic, Place};
use crate::head::{DraftLayer, Dropped, Head, HeadDescription, default_layers};
use crate::rope::RopeScaling;
use crate::speculator::{Algorithm, Description};

/// Decides the output.
///
/// # Errors
/// S412 for everything the target has no place for.
pub(super) fn draft(head: &Head, target: Target, job: &Job<'_>) -> Result<Draft> {
    let mut draft = Draft::of(
        Description::Eagle3(head.description.clone()),
        head.vocabulary_map(),
        &head.decisions,
        &head.dropped,
    );
    let mut description = eagle3::settle(head, job, &mut draft)?;
    let mut problems = Vec::new();
    if description.fc_bias && target != Target::SgLang {
        match head.tensor("fc.bias") {
            Some(bias) if eagle3::may_go(Some(bias), job) => {
                draft.dropped.push(Dropped {
                    name: bias.name.to_owned(),
                    reason: "it is zero throughout, and the layout has no place for it".to_owned(),
                });
                description.fc_bias = false;
            }
            _ => problems.push("a bias after `fc`".to_owned()),
        }
    }
    problems.extend(unsayable(&description, target, job.facts.num_hidden_layers));
    if !problems.is_empty() {
        let place = Place::file(head.checkpoint.config().path());
        return Err(problems
            .into_iter()
            .map(|what| {
                Diagnostic::error(
                    codes::NOT_REPRESENTABLE,
                    format!("the head has {what}, and the {target} layout has no place for it"),
                )
                .at(place.clone())
                .note("left out, it would load and draft wrongly")
            })
            .collect());
    }
    eagle3::lay_out(head, job, &mut draft)?;
    for row in &mut draft.rows {
        let name = tensor_name(&row.destination, &description, target);
        row.rename(name);
    }
    description.own_embeddings = draft
        .rows
        .iter()
        .any(|row| row.destination == "embed_tokens.weight");
    eagle3::drop_config_keys(head.checkpoint.config(), &mut draft.decisions);
    if target != Target::Eagle {
        draft.decisions.push(Decision::settled(
            "eagle_config.eagle_aux_hidden_state_layer_ids",
            format!("{:?}", outputs(&description)),
            "the layout counts outputs of layers from 0",
        ));
    }
    draft.decisions.push(Decision::settled(
        "speculative_tokens",
        description.speculative_tokens,
        "the layout has no place for it; pass it to the server",
    ));
    draft.config = build(&description, target, job);
    draft.description = Description::Eagle3(description);
    Ok(draft)
}

/// What of a head a layout cannot say, in words that follow "the head has".
fn unsayable(head: &HeadDescription, target: Target, verifier_layers: usize) -> Vec<String> {
    let mut list = Vec::new();
    let parallel = head.algorithm == Algorithm::PEagle;
    let mut refuse = |condition: bool, what: &str| {
        if condition {
            list.push(what.to_owned());
        }
    };
    refuse(
        parallel && target != Target::SpecForge,
        "a learned state for parallel drafting (P-EAGLE)",
    );
    refuse(
        head.norm_before_residual && !(parallel && target == Target::SpecForge),
        "a residual that starts from the normalized `fc` output (`norm_before_residual`)",
    );
    refuse(
        head.draft_layer == DraftLayer::Qwen3,
        "query and key norms in its layers (Qwen 3)",
    );
    refuse(
        head.rope.partial_rotary_factor != 1.0,
        "channels that are not rotated (`partial_rotary_factor`)",
    );
    refuse(
        head.rope_axes.is_some(),
        "positions on several axes (`mrope_section`)",
    );
    refuse(head.attention_bias, "biases in its attention");
    refuse(head.mlp_bias, "biases in its MLP");
    refuse(
        head.sliding_window.iter().any(Option::is_some),
        "a sliding attention window",
    );
    refuse(
        head.norm_before_fc,
        "one norm over all states before `fc` (`norm_before_fc`)",
    );
    refuse(
        head.num_hidden_layers > 1 && target != Target::SgLang && !parallel,
        "more than one layer",
    );
    if target == Target::Eagle {
        refuse(head.fc_norm, "norms before `fc` (`fc_norm`)");
        refuse(
            head.norm_output,
            "a normalized output that is fed back (`norm_output`)",
        );
        refuse(
            head.head_dim * head.num_attention_heads != head.hidden_size,
            "a `head_dim` that is not hidden_size / num_attention_heads",
        );
        refuse(
            matches!(head.rope.scaling, RopeScaling::Yarn { .. }),
            "rotary positions scaled by YaRN",
        );
        if default_layers(verifier_layers).as_ref() != Some(&head.aux_layer_ids) {
            list.push(format!(
                "auxiliary layers {:?}, other than the 2, n/2 and n-3 of {verifier_layers} that are implied",
                head.aux_layer_ids
            ));
        }
    } else if head.aux_layer_ids.contains(&0) {
        list.push(
            "the embedding among its auxiliary layers, which is no layer's output".to_owned(),
        );
    }
    list
}

/// The name of a canonical tensor in the target.
fn tensor_name(canonical: &str, head: &HeadDescription, target: Target) -> String {
    let Some(rest) = canonical.strip_prefix("layers.") else {
        return canonical.to_owned();
    };
    let (layer, part) = rest.split_once('.').unwrap_or((rest, ""));
    match (layer, part) {
        ("0", _) if head.num_hidden_layers == 1 => format!("midlayer.{part}"),
        ("0", _) => canonical.to_owned(),
        // SGLang gives the only input norm of later layers the name that the first layer has for its second.
        (_, "input_layernorm.weight") if target == Target::SgLang => {
            format!("layers.{layer}.hidden_norm.weight")
        }
        _ => canonical.to_owned(),
    }
}

/// The auxiliary layers as ids under `eagle_config`, which count outputs of layers from 0; the embedding is none.
fn outputs(head: &HeadDescription) -> Vec<usize> {
    head.aux_layer_ids
        .iter()
        .map(|id| id.saturating_sub(1))
        .collect()
}

fn build(head: &HeadDescription, target: Target, job: &Job<'_>) -> Map<String, Value> {
    let parameters = head.rope.to_parameters();
    let mut scaling = parameters.clone();
    scaling.remove("rope_theta");
    let scaled = !matches!(head.rope.scaling, RopeScaling::Default);
    let eos = &job.facts.eos_token_ids;
    let mut value = json!({
        "architectures": [if target == Target::Eagle { "LlamaForCausalLM" } else { "LlamaForCausalLMEagle3" }],
        "attention_bias": false,
        "bos_token_id": job.facts.bos_token_id,
        "draft_vocab_size": head.draft_vocab_size,
        "eos_token_id": if eos.len() == 1 { json!(eos[0]) } else { json!(eos) },
        "hidden_act": config::act(head.hidden_act),
        "hidden_size": head.hidden_size,
        "initializer_range": 0.02,
        "intermediate_size": head.intermediate_size,
        "max_position_embeddings": head.max_position_embeddings,
        "model_type": "llama",
        "num_attention_heads": head.num_attention_heads,
        "num_hidden_layers": head.num_hidden_layers,
        "num_key_value_heads": head.num_key_value_heads,
        "rms_norm_eps": head.rms_norm_eps,
        "rope_scaling": if scaled { Value::Object(scaling) } else { Value::Null },
        "rope_theta": head.rope.theta,
        "tie_word_embeddings": false,
        "torch_dtype": config::dtype(head.dtype),
        "vocab_size": head.vocab_size,
    });
    if head.target_hidden_size != head.hidden_size {
        value["target_hidden_size"] = json!(head.target_hidden_size);
    }
    if target != Target::Eagle {
        value["eagle_config"] = json!({
            "eagle_aux_hidden_state_layer_ids": outputs(head),
            "use_aux_hidden_state": true,
        });
        value["head_dim"] = json!(head.head_dim);
        value["rope_parameters"] = Value::Object(parameters);
        value["num_aux_hidden_states"] = json!(head.aux_layer_ids.len());
        value["fc_norm"] = json!(head.fc_norm);
        value["norm_output"] = json!(head.norm_output);
        if head.fc_bias {
            value["bias"] = json!(true);
        }
    }
    if head.algorithm == Algorithm::PEagle {
        value["parallel_drafting"] = json!(true);
        value["norm_before_residual"] = json!(head.norm_before_residual);
        value["mask_token_id"] = json!(head.mask_token_id);
        value["num_depths"] = json!(head.speculative_tokens);
    }
    match config::sorted(value) {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// What reading takes from the record, because the layout itself is ambiguous or silent about it.
pub(super) fn recorded(description: &Description) -> Value {
    match description {
        Description::Eagle3(head) => json!({
            provenance::AUX_LAYERS: head.aux_layer_ids,
            provenance::NORM_OUTPUT: head.norm_output,
            provenance::SPECULATIVE_TOKENS: head.speculative_tokens,
        }),
        Description::Eagle(_) | Description::Mtp(_) => json!({}),
        Description::Block(head) => json!({
            provenance::AUX_LAYERS: head.aux_layer_ids,
            provenance::SPECULATIVE_TOKENS: head.speculative_tokens,
        }),
    }
}

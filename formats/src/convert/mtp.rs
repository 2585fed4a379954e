//! MTP heads to the speculators layout: the layer taken out of its verifier, or a head that is there already.

use serde_json::{Map, Value, json};

use super::{Draft, Job, Origin, Piece, Row, Target, config};
use crate::Result;
use crate::checkpoint::TensorView;
use crate::codes;
use crate::decision::Decision;
use crate::diagnostic::{Diagnostic, Place};
use crate::mtp::{MtpDescription, MtpFamily, MtpHead, MtpMlp};
use crate::speculator::Description;

/// Decides the output.
///
/// # Errors
/// S412 for another target than the speculators layout; S204 for experts of different dtypes, which cannot be one tensor.
pub(super) fn draft(head: &MtpHead, target: Target, job: &Job<'_>) -> Result<Draft> {
    if target != Target::Speculators {
        return Err(Diagnostic::error(
            codes::NOT_REPRESENTABLE,
            format!("this is an MTP head, and the {target} layout has no place for one"),
        )
        .at(Place::file(head.checkpoint.root()))
        .note("runtimes draft with an MTP layer from inside its verifier")
        .help("put it back into the verifier: `speculators stitch-mtp`")
        .into());
    }
    let mut description = head.description.clone();
    if let Some(tokens) = job.request.speculative_tokens {
        description.speculative_tokens = tokens;
    }
    if let Some(dtype) = job.request.dtype {
        description.dtype = dtype;
    }
    let mut rows = Vec::new();
    for wanted in description.expected_tensors() {
        let parts = head.parts(&wanted.name);
        rows.push(match parts.as_slice() {
            [whole] if whole.shape == wanted.shape => {
                Row::copied(Origin::Source, whole, &wanted.name)
            }
            parts => fused(&wanted.name, &wanted.shape, parts)?,
        });
    }
    let mut decisions = head.decisions.clone();
    let config = build(head, &description, job, &mut decisions);
    Ok(Draft {
        description: Description::Mtp(description),
        map: None,
        rows,
        dropped: head.dropped.clone(),
        decisions,
        config,
    })
}

/// One tensor for all experts, from the matrices of each.
fn fused(name: &str, shape: &[usize], parts: &[TensorView<'_>]) -> Result<Row> {
    let other = parts
        .iter()
        .find(|part| Some(part.dtype) != parts.first().map(|first| first.dtype));
    let (Some(first), None) = (parts.first(), other) else {
        let title = format!("the experts that make up `{name}` are of different dtypes");
        let problem = Diagnostic::error(codes::TENSOR_DTYPE, title);
        return Err(match other {
            Some(other) => problem
                .at(Place::tensor(other.path, other.name))
                .note(format!("`{}` has dtype {:?}", other.name, other.dtype))
                .note(format!(
                    "`{}` has dtype {:?}",
                    parts[0].name, parts[0].dtype
                )),
            None => problem,
        }
        .into());
    };
    let label = format!("{} and {} more", first.name, parts.len().saturating_sub(1));
    let pieces = parts
        .iter()
        .map(|part| Piece::whole(Origin::Source, part))
        .collect();
    Ok(Row::assembled(
        label,
        name,
        first.dtype,
        shape.to_vec(),
        pieces,
    ))
}

/// Keys of a source's decoder config that are said elsewhere, or hold for the whole verifier and not for one layer.
const LEFT_OUT: [&str; 4] = [
    "conversion",
    "quantization_config",
    "text_config",
    "vision_config",
];

/// Keys that transformers restates from [`build`]'s, or writes into every full dump of a config.
const RESTATED: [&str; 18] = [
    "_attn_implementation",
    "_name_or_path",
    "auto_map",
    "chunk_size_feed_forward",
    "id2label",
    "is_encoder_decoder",
    "label2id",
    "output_attentions",
    "output_hidden_states",
    "problem_type",
    "return_dict",
    "rope_scaling",
    "rope_theta",
    "speculators_config",
    "speculators_model_type",
    "speculators_version",
    "torch_dtype",
    "transformers_version",
];

/// The config, keys sorted at every level.
fn build(
    head: &MtpHead,
    description: &MtpDescription,
    job: &Job<'_>,
    decisions: &mut Vec<Decision>,
) -> Map<String, Value> {
    let value = json!({
        "architectures": ["MTPDraftModel"],
        "dtype": config::dtype(description.dtype),
        "num_nextn_predict_layers": description.num_nextn_predict_layers,
        "speculators_config": {
            "algorithm": "mtp",
            "default_proposal_method": "greedy",
            "proposal_methods": [{
                "accept_tolerance": 0.0,
                "proposal_type": "greedy",
                "speculative_tokens": description.speculative_tokens,
                "verifier_accept_k": 1,
            }],
            "verifier": { "architectures": job.facts.architectures, "name_or_path": job.request.verifier_name },
        },
        "speculators_model_type": "mtp",
        "speculators_version": config::FORMAT_VERSION,
        "tie_word_embeddings": false,
        "transformer_layer_config": decoder(head, description, decisions),
    });
    match config::sorted(value) {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// The verifier's decoder config with every key that the layer depends on written down.
///
/// The other keys stay: the Python package builds the layer by the config class of the whole verifier.
fn decoder(head: &MtpHead, layer: &MtpDescription, decisions: &mut Vec<Decision>) -> Value {
    let root = head.checkpoint.config().root();
    let section = ["transformer_layer_config", "text_config"]
        .into_iter()
        .find_map(|key| root.section(key).ok().flatten())
        .unwrap_or_else(|| root.clone());
    let mut map = section.map().clone();
    for key in LEFT_OUT {
        if map.remove(key).is_some() {
            let reason = "it is about the verifier as a whole, not about its MTP layer";
            decisions.push(Decision::settled(section.name(key), "left out", reason));
        }
    }
    map.retain(|key, _| !RESTATED.contains(&key.as_str()));
    let mut set = |key: &str, value: Value| drop(map.insert(key.to_owned(), value));
    set("attention_bias", json!(layer.attention_bias));
    set("dtype", json!(config::dtype(layer.dtype)));
    set("head_dim", json!(layer.head_dim));
    set("hidden_act", json!(config::act(layer.hidden_act)));
    set("hidden_size", json!(layer.hidden_size));
    set(
        "max_position_embeddings",
        json!(layer.max_position_embeddings),
    );
    set("model_type", json!(layer.model_type));
    set("num_attention_heads", json!(layer.num_attention_heads));
    set("num_hidden_layers", json!(layer.num_hidden_layers));
    set("num_key_value_heads", json!(layer.num_key_value_heads));
    set("rms_norm_eps", json!(layer.rms_norm_eps));
    set("rope_parameters", rope(layer));
    set("vocab_size", json!(layer.vocab_size));
    if layer.model_type != MtpFamily::Qwen3 {
        // Read beside the rotary parameters by the config classes of these families.
        set(
            "partial_rotary_factor",
            json!(layer.rope.partial_rotary_factor),
        );
    }
    match layer.mlp {
        MtpMlp::Dense { intermediate_size } => set("intermediate_size", json!(intermediate_size)),
        MtpMlp::Moe {
            num_experts,
            num_experts_per_tok,
            moe_intermediate_size,
            shared_expert_intermediate_size,
            norm_topk_prob,
        } => {
            set("num_experts", json!(num_experts));
            set("num_experts_per_tok", json!(num_experts_per_tok));
            set("moe_intermediate_size", json!(moe_intermediate_size));
            set(
                "shared_expert_intermediate_size",
                json!(shared_expert_intermediate_size),
            );
            if layer.model_type == MtpFamily::Qwen3Next {
                set("norm_topk_prob", json!(norm_topk_prob));
            }
        }
    }
    layer_types(layer, &mut map);
    defaults(layer, &mut map);
    Value::Object(map)
}

fn rope(layer: &MtpDescription) -> Value {
    let mut parameters = layer.rope.to_parameters();
    if layer.model_type != MtpFamily::Qwen3 {
        parameters.insert(
            "partial_rotary_factor".to_owned(),
            json!(layer.rope.partial_rotary_factor),
        );
    }
    if let Some(axes) = &layer.rope_axes {
        parameters.insert("mrope_section".to_owned(), json!(axes.sections));
        parameters.insert("mrope_interleaved".to_owned(), json!(axes.interleaved));
    }
    Value::Object(parameters)
}

/// Which of the verifier's layers have full attention, spelled out: the package models the head on the last that has.
fn layer_types(layer: &MtpDescription, map: &mut Map<String, Value>) {
    if map.get("layer_types").is_some_and(|types| !types.is_null()) {
        return;
    }
    let interval = map
        .remove("full_attention_interval")
        .and_then(|interval| interval.as_u64())
        .and_then(|interval| usize::try_from(interval).ok())
        .unwrap_or(4)
        .max(1);
    let full =
        |number: usize| layer.model_type == MtpFamily::Qwen3 || number.is_multiple_of(interval);
    let types: Vec<&str> = (1..=layer.num_hidden_layers)
        .map(|number| match full(number) {
            true => "full_attention",
            false => "linear_attention",
        })
        .collect();
    map.insert("layer_types".to_owned(), json!(types));
}

/// Keys the package writes in any case, with the defaults of the config classes where the source is silent.
fn defaults(layer: &MtpDescription, map: &mut Map<String, Value>) {
    let mut add = |key: &str, value: Value| {
        map.entry(key).or_insert(value);
    };
    for (key, value) in [
        ("attention_dropout", json!(0.0)),
        ("bos_token_id", Value::Null),
        ("eos_token_id", Value::Null),
        ("initializer_range", json!(0.02)),
        ("pad_token_id", Value::Null),
        ("tie_word_embeddings", json!(false)),
        ("use_cache", json!(true)),
    ] {
        add(key, value);
    }
    if layer.model_type == MtpFamily::Qwen3 {
        add("max_window_layers", json!(28));
        add("sliding_window", Value::Null);
        add("use_sliding_window", json!(false));
    }
    if layer.model_type == MtpFamily::Qwen3Next {
        add("decoder_sparse_step", json!(1));
        add("mlp_only_layers", json!([]));
    }
    if matches!(layer.mlp, MtpMlp::Moe { .. }) {
        add("output_router_logits", json!(false));
        add("router_aux_loss_coef", json!(0.001));
    }
}

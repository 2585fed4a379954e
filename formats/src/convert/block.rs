//! Block drafters to the layouts of speculators and of z-lab, which SpecForge and SGLang share.

use serde_json::{Map, Value, json};

use super::eagle3::{drop_config_keys, positions, rows_of_map, verifier_embedding};
use super::{Draft, Embedding, Job, Origin, Piece, Row, Target, config};
use crate::Result;
use crate::block::{BlockDescription, BlockHead, Drafter};
use crate::codes;
use crate::decision::Decision;
use crate::diagnostic::{Diagnostic, Place};
use crate::head::Dropped;
use crate::rope::RopeScaling;
use crate::speculator::Description;

/// Decides the output.
///
/// # Errors
/// S412 for everything the target has no place for; S418 without a mask token; S001 for more tokens than a block holds;
/// what is wrong with an embedding that has to come from the verifier.
pub(super) fn draft(head: &BlockHead, target: Target, job: &Job<'_>) -> Result<Draft> {
    let mut draft = Draft::of(
        Description::Block(head.description.clone()),
        head.vocabulary_map(),
        &head.decisions,
        &head.dropped,
    );
    let mut description = settle(head, job, &mut draft)?;
    let mut problems = Vec::new();
    if description.mask_token_id.is_none() {
        problems.push(
            Diagnostic::error(codes::MASK_TOKEN, "`mask_token_id` is not written down")
                .at(Place::file(head.checkpoint.config().path()))
                .note("no program drafts a block without it"),
        );
    }
    if target != Target::Speculators {
        problems.extend(unsayable(&description, target).into_iter().map(|what| {
            Diagnostic::error(
                codes::NOT_REPRESENTABLE,
                format!("the head has {what}, and the {target} layout has no place for it"),
            )
            .at(Place::file(head.checkpoint.config().path()))
            .note("left out, it would load and draft wrongly")
        }));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    lay_out(head, job, &mut draft)?;
    let written = |name: &str| draft.rows.iter().any(|row| row.destination == name);
    description.own_embeddings = written("embed_tokens.weight");
    description.own_lm_head = written("lm_head.weight");
    drop_config_keys(head.checkpoint.config(), &mut draft.decisions);
    draft.config = match target {
        Target::Speculators => speculators(head, &description, job),
        _ => zlab(head, &description, target, job),
    };
    draft.description = Description::Block(description);
    Ok(draft)
}

/// Adapts the description to what the request, the runtimes and the verifier ask for.
fn settle(head: &BlockHead, job: &Job<'_>, draft: &mut Draft) -> Result<BlockDescription> {
    let mut description = head.description.clone();
    let held = description.tokens_per_block();
    if let Some(tokens) = job.request.speculative_tokens {
        if tokens > held {
            return Err(Diagnostic::error(
                codes::USAGE,
                format!(
                    "{tokens} draft tokens are asked for, but a block of this head holds {held}"
                ),
            )
            .at(Place::file(head.checkpoint.config().path()))
            .into());
        }
        description.speculative_tokens = tokens;
    }
    if let Some(dtype) = job.request.dtype {
        description.dtype = dtype;
    }
    let slides = description.sliding_window.iter().any(Option::is_some);
    if !slides && !description.sliding_window_non_causal {
        let reason = "no layer slides, and vLLM goes by it for layers that do not: these see the whole block";
        draft
            .decisions
            .push(Decision::settled("sliding_window_non_causal", true, reason));
        description.sliding_window_non_causal = true;
    }
    description.max_position_embeddings = positions(
        description.max_position_embeddings,
        &description.rope,
        job,
        &mut draft.decisions,
    );
    Ok(description)
}

/// What of a head the layout of z-lab cannot say, in words that follow "the head has".
fn unsayable(head: &BlockDescription, target: Target) -> Vec<String> {
    let mut list = Vec::new();
    let mut refuse = |condition: bool, what: &str| {
        if condition {
            list.push(what.to_owned());
        }
    };
    if target == Target::Eagle {
        refuse(true, "blocks of masked tokens instead of single ones");
        return list;
    }
    refuse(
        matches!(head.drafter, Drafter::XPress { .. }),
        "a refiner (XPress)",
    );
    refuse(
        matches!(head.drafter, Drafter::DFlash2 { .. }),
        "convolutions and a candidate selector (DFlash2)",
    );
    refuse(
        matches!(head.drafter, Drafter::DFlash) && head.sample_from_anchor,
        "a prediction in the first position of a block (`sample_from_anchor`)",
    );
    refuse(
        matches!(head.drafter, Drafter::DSpark { .. }) && !head.sample_from_anchor,
        "a known token in the first position of a block",
    );
    refuse(
        head.draft_vocab_size != head.vocab_size,
        "a reduced vocabulary",
    );
    refuse(
        head.target_hidden_size != head.hidden_size,
        "another width than its verifier",
    );
    refuse(
        head.aux_layer_ids.contains(&0),
        "the embedding among its auxiliary layers, which is no layer's output",
    );
    list
}

/// The rows under canonical names, which both layouts share.
fn lay_out(head: &BlockHead, job: &Job<'_>, draft: &mut Draft) -> Result<()> {
    let map = draft.map.clone();
    for (canonical, source) in &head.tensors {
        let Some(view) = head.tensor(canonical) else {
            continue;
        };
        match canonical.as_str() {
            // Below, from the map.
            "d2t" | "t2d" if map.is_some() => {}
            "d2t" | "t2d" => draft.dropped.push(Dropped {
                name: source.clone(),
                reason: "the vocabulary is not reduced, and loaders expect no map then".to_owned(),
            }),
            "embed_tokens.weight" if job.request.embedding != Embedding::Own => {
                draft.dropped.push(Dropped {
                    name: source.clone(),
                    reason: "the caller wants the verifier's embedding".to_owned(),
                });
            }
            _ => draft.rows.push(match head.slice(canonical) {
                None => Row::copied(Origin::Source, &view, canonical),
                Some(slice) => Row::assembled(
                    source.clone(),
                    canonical.clone(),
                    view.dtype,
                    slice.shape.clone(),
                    vec![Piece {
                        origin: Origin::Source,
                        tensor: source.clone(),
                        ranges: vec![slice.bytes.clone()],
                    }],
                ),
            }),
        }
    }
    if job.request.embedding == Embedding::Verifier {
        let wanted = [head.description.vocab_size, head.description.hidden_size];
        let row = verifier_embedding(wanted, job, &mut draft.decisions)?;
        draft.rows.push(row);
    }
    if let Some(map) = map {
        let view = |name: &str| head.tensor(name);
        draft.rows.extend(rows_of_map(&map, &head.tensors, view));
    }
    Ok(())
}

/// The `config.json` of the speculators layout, every key written down.
fn speculators(
    head: &BlockHead,
    description: &BlockDescription,
    job: &Job<'_>,
) -> Map<String, Value> {
    let algorithm = description.algorithm();
    let mut value = json!({
        "architectures": [match description.drafter {
            Drafter::DFlash => "DFlashDraftModel",
            Drafter::DFlash2 { .. } => "DFlash2DraftModel",
            Drafter::DSpark { .. } => "DSparkDraftModel",
            Drafter::XPress { .. } => "XPressDraftModel",
        }],
        "aux_hidden_state_layer_ids": description.aux_layer_ids,
        "block_size": description.block_size,
        "draft_vocab_size": description.draft_vocab_size,
        "dtype": config::dtype(description.dtype),
        "mask_token_id": description.mask_token_id,
        "sample_from_anchor": description.sample_from_anchor,
        "sliding_window_non_causal": description.sliding_window_non_causal,
        "speculators_config": config::proposal(algorithm, description.speculative_tokens, job),
        "speculators_model_type": algorithm,
        "speculators_version": config::FORMAT_VERSION,
        "target_hidden_size": (description.target_hidden_size != description.hidden_size)
            .then_some(description.target_hidden_size),
        "tie_word_embeddings": false,
        "transformer_layer_config": decoder(head, description, job),
    });
    // The keys of the drafter are named as in the layout.
    if let Ok(Value::Object(drafter)) = serde_json::to_value(&description.drafter) {
        for (key, part) in drafter.into_iter().filter(|(key, _)| key != "algorithm") {
            value[key] = part;
        }
    }
    config::object(value)
}

/// The `config.json` of z-lab: that of the decoder, with a `dflash_config` inside.
fn zlab(
    head: &BlockHead,
    description: &BlockDescription,
    target: Target,
    job: &Job<'_>,
) -> Map<String, Value> {
    let mut value = decoder(head, description, job);
    let parameters = description.rope.to_parameters();
    let mut scaling = parameters.clone();
    scaling.remove("rope_theta");
    let scaled = !matches!(description.rope.scaling, RopeScaling::Default);
    value["rope_scaling"] = if scaled {
        Value::Object(scaling)
    } else {
        Value::Null
    };
    value["rope_theta"] = json!(description.rope.theta);
    value["block_size"] = json!(description.block_size);
    value["num_target_layers"] = json!(job.facts.num_hidden_layers);
    // Ids here count outputs of layers from 0.
    let outputs: Vec<usize> = description.aux_layer_ids.iter().map(|id| id - 1).collect();
    let mut method = json!({
        "mask_token_id": description.mask_token_id,
        "shift_label": description.sample_from_anchor,
        "target_layer_ids": outputs,
    });
    let slides = description.sliding_window.iter().any(Option::is_some);
    if slides && description.sliding_window_non_causal {
        method["causal"] = json!(false);
    }
    value["architectures"] = json!(["DFlashDraftModel"]);
    if let Drafter::DSpark {
        markov_rank,
        markov_head_type,
        enable_confidence_head,
        confidence_head_with_markov,
    } = description.drafter
    {
        value["architectures"] = json!(["DSparkDraftModel"]);
        method["projector_type"] = json!("dspark");
        method["markov_rank"] = json!(markov_rank);
        method["markov_head_type"] = json!(markov_head_type);
        method["enable_confidence_head"] = json!(enable_confidence_head);
        method["confidence_head_with_markov"] = json!(confidence_head_with_markov);
        if target == Target::SgLang {
            // It takes the class of the release it first served, and the parts from the top.
            value["architectures"] = json!(["Qwen3DSparkModel"]);
            for key in [
                "markov_rank",
                "markov_head_type",
                "enable_confidence_head",
                "confidence_head_with_markov",
            ] {
                value[key] = method[key].clone();
            }
        }
    }
    value["dflash_config"] = method;
    config::object(value)
}

/// The decoder, as a Qwen 3 model.
fn decoder(head: &BlockHead, description: &BlockDescription, job: &Job<'_>) -> Value {
    let source = head.checkpoint.config().root();
    let window = description.sliding_window.iter().flatten().next();
    let kinds = description.sliding_window.iter().map(config::layer_type);
    json!({
        "attention_bias": description.attention_bias,
        "attention_dropout": 0.0,
        "bos_token_id": config::source_key(&source, "bos_token_id")
            .or_else(|| job.facts.bos_token_id.map(Value::from)),
        "dtype": config::dtype(description.dtype),
        "eos_token_id": config::source_key(&source, "eos_token_id").or_else(|| config::verifier_eos(job)),
        "head_dim": description.head_dim,
        "hidden_act": config::act(description.hidden_act),
        "hidden_size": description.hidden_size,
        "initializer_range": config::source_key(&source, "initializer_range").unwrap_or(json!(0.02)),
        "intermediate_size": description.intermediate_size,
        "layer_types": kinds.collect::<Vec<_>>(),
        "max_position_embeddings": description.max_position_embeddings,
        "max_window_layers": description.num_hidden_layers,
        "model_type": "qwen3",
        "num_attention_heads": description.num_attention_heads,
        "num_hidden_layers": description.num_hidden_layers,
        "num_key_value_heads": description.num_key_value_heads,
        "pad_token_id": config::source_key(&source, "pad_token_id"),
        "rms_norm_eps": description.rms_norm_eps,
        "rope_parameters": description.rope.to_parameters(),
        "sliding_window": window,
        "tie_word_embeddings": false,
        "use_cache": true,
        "use_sliding_window": window.is_some(),
        "vocab_size": description.vocab_size,
    })
}

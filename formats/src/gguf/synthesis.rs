//! The config of a head, put together from the metadata of its GGUF file, in the spelling of the speculators layout.
//!
//! What llama.cpp's loader asks for has to be there; where it has a default, that default is taken. What the format has no
//! key for (`fc_norm`, `norm_output`, biases, windows) is false, because llama.cpp runs no head that has them.

use serde_json::{Map, Value as Json, json};

use super::{GgufFile, eagle3, rotary};
use crate::codes;
use crate::diagnostic::{Diagnostic, Place};

/// Base of the rotary frequencies that llama.cpp takes where the file names none.
const DEFAULT_THETA: f64 = 10_000.0;

/// The config, or what is missing.
pub(super) fn config(file: &GgufFile) -> Result<Map<String, Json>, Vec<Diagnostic>> {
    let architecture = file.text("general.architecture")?.unwrap_or("none");
    if architecture != eagle3::ARCHITECTURE {
        return Err(Diagnostic::error(
            codes::LAYOUT_UNKNOWN,
            format!(
                "the GGUF file holds a model of architecture `{architecture}`, not an EAGLE-3 head"
            ),
        )
        .at(Place::file(file.path()))
        .note("heads are of architecture `eagle3`")
        .into());
    }
    let mut problems = Vec::new();
    let mut need = |key: &str| match per_layer(file, key) {
        Ok(Some(size)) if size > 0 => size,
        Ok(_) => {
            problems.push(missing(file, key));
            1
        }
        Err(problem) => {
            problems.push(problem);
            1
        }
    };
    let layers = need("eagle3.block_count");
    let hidden = need("eagle3.embedding_length");
    let mlp = need("eagle3.feed_forward_length");
    let heads = need("eagle3.attention.head_count");
    let positions = need("eagle3.context_length");
    let target = need("eagle3.target_hidden_size");
    let mut keep = |problem: Diagnostic| problems.push(problem);
    let eps = file.number("eagle3.attention.layer_norm_rms_epsilon");
    let eps = eps.map_err(&mut keep).ok().flatten();
    let ids = aux_layers(file).map_err(&mut keep).ok().flatten();
    if eps.is_none() {
        keep(missing(file, "eagle3.attention.layer_norm_rms_epsilon"));
    }
    if ids.is_none() {
        keep(missing(file, eagle3::LAYERS));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let head_dim = file
        .size("eagle3.attention.key_length")?
        .unwrap_or(hidden / heads);
    let values = file.size("eagle3.attention.value_length")?;
    let rotated = file.size("eagle3.rope.dimension_count")?;
    for (key, found) in [
        ("eagle3.attention.value_length", values),
        ("eagle3.rope.dimension_count", rotated),
    ] {
        if let Some(found) = found.filter(|found| *found != head_dim) {
            return Err(Diagnostic::error(
                codes::NOT_REPRESENTABLE,
                format!("`{key}` is {found}, but a head of the draft has {head_dim} channels"),
            )
            .at(Place::file(file.path()))
            .into());
        }
    }
    let theta = file.number("eagle3.rope.freq_base")?;
    let rope = rotary::parameters(file, theta.unwrap_or(DEFAULT_THETA), head_dim)?;
    let vocabulary = vocabulary(file)?;
    let rows = |name: &str| file.tensor(name)?.shape.first().copied();
    let draft = rows(eagle3::TOKENS)
        .or_else(|| rows("output.weight"))
        .or(vocabulary);
    let dtype = match file.tensor("fc.weight").map(|view| view.dtype) {
        Some(safetensors::Dtype::F16) => "float16",
        Some(safetensors::Dtype::BF16) => "bfloat16",
        _ => "float32",
    };
    let tokens = file.size(eagle3::own::SPECULATIVE_TOKENS)?;
    let tokens = tokens.filter(|tokens| *tokens > 0).unwrap_or(3);
    let flag = |key: &str| Ok::<_, Diagnostic>(file.boolean(key)?.unwrap_or(false));
    let value = json!({
        "draft_vocab_size": draft,
        "dtype": dtype,
        "eagle_aux_hidden_state_layer_ids": ids,
        "fc_norm": false,
        "norm_before_fc": flag("eagle3.norm_before_fc")?,
        "norm_before_residual": flag("eagle3.norm_before_residual")?,
        "norm_output": false,
        "speculators_config": {
            "algorithm": "eagle3",
            "default_proposal_method": "greedy",
            "proposal_methods": [{ "proposal_type": "greedy", "speculative_tokens": tokens }],
            "verifier": { "architectures": [], "name_or_path": file.text(eagle3::own::VERIFIER)? },
        },
        "speculators_model_type": "eagle3",
        "target_hidden_size": target,
        "tie_word_embeddings": false,
        "transformer_layer_config": {
            "attention_bias": false,
            "bos_token_id": file.size("tokenizer.ggml.bos_token_id")?,
            "eos_token_id": file.size("tokenizer.ggml.eos_token_id")?,
            "head_dim": head_dim,
            "hidden_act": "silu",
            "hidden_size": hidden,
            "intermediate_size": mlp,
            "max_position_embeddings": positions,
            "mlp_bias": false,
            "model_type": "llama",
            "num_attention_heads": heads,
            "num_hidden_layers": layers,
            "num_key_value_heads": per_layer(file, "eagle3.attention.head_count_kv")?.unwrap_or(heads),
            "rms_norm_eps": eps,
            "rope_parameters": rope,
            "tie_word_embeddings": false,
            "vocab_size": vocabulary,
        },
    });
    let mut map = match value {
        Json::Object(map) => map,
        _ => Map::new(),
    };
    let conversion = file.text(eagle3::own::CONVERSION)?;
    if let Some(conversion) = conversion.and_then(|text| serde_json::from_str(text).ok()) {
        map.insert("conversion".to_owned(), conversion);
    }
    Ok(map)
}

/// A size that llama.cpp reads as one number or as one per layer; a head has one layer.
pub(super) fn per_layer(file: &GgufFile, key: &str) -> Result<Option<usize>, Diagnostic> {
    match file.value(key).and_then(|value| value.array()) {
        Some(array) if array.len() == 1 => {
            Ok(file.sizes(key)?.and_then(|list| list.first().copied()))
        }
        _ => file.size(key),
    }
}

fn aux_layers(file: &GgufFile) -> Result<Option<Vec<usize>>, Diagnostic> {
    match file.sizes(eagle3::LAYERS)? {
        Some(ids) => Ok(Some(ids)),
        None => file.sizes(eagle3::LAYERS_EARLIER),
    }
}

/// Tokens of the verifier: as the file says, else as many as it lists.
fn vocabulary(file: &GgufFile) -> Result<Option<usize>, Diagnostic> {
    let listed = || Some(file.value("tokenizer.ggml.tokens")?.array()?.len());
    Ok(file.size("eagle3.vocab_size")?.or_else(listed))
}

fn missing(file: &GgufFile, key: &str) -> Diagnostic {
    Diagnostic::error(
        codes::CONFIG_KEY_MISSING,
        format!("`{key}` is missing, and nothing can stand in for it"),
    )
    .at(Place::file(file.path()))
    .note("llama.cpp does not load the file without it either")
}

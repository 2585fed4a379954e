//! `transformer_layer_config`, which vLLM takes as it stands: a key that is not there has no default.

use serde_json::Value;

use super::super::{Assessment, Fit, Subject};

const DECODER: &str = "transformer_layer_config";

/// Keys that the draft model reads without a default, in every kind.
const REQUIRED: [&str; 7] = [
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "rms_norm_eps",
    "hidden_act",
];

/// Further keys that its Qwen 3 layers read without a default.
const REQUIRED_BY_QWEN3: [&str; 2] = ["num_key_value_heads", "max_position_embeddings"];

pub(super) fn check(subject: &Subject<'_>, kind: &str, out: &mut Assessment) {
    let root = subject.config.root();
    let Ok(Some(decoder)) = root.section(DECODER) else {
        out.stop(
            format!("`{DECODER}` is not there, and vLLM builds the draft model from it"),
            root.place("speculators_model_type"),
        );
        return;
    };
    // Block drafters are always of Qwen 3 layers, whatever the config says.
    let eagle = matches!(kind, "eagle3" | "peagle");
    let model_type = decoder.str("model_type").ok().flatten();
    if eagle
        && let Some(model_type) = model_type
        && !matches!(model_type, "llama" | "qwen3")
    {
        out.stop(
            format!("the draft layers are of family `{model_type}`, which vLLM has no head for"),
            decoder.place("model_type"),
        )
        .notes
        .push("it builds `llama` and `qwen3` heads".to_owned());
    }
    let qwen3 = !eagle || model_type == Some("qwen3");
    if qwen3 {
        rope(subject, out);
    }
    let mut missing: Vec<&str> = REQUIRED
        .into_iter()
        .filter(|key| decoder.get(key).is_none())
        .collect();
    if qwen3 {
        missing.extend(
            REQUIRED_BY_QWEN3
                .into_iter()
                .filter(|key| decoder.get(key).is_none()),
        );
    }
    if !missing.is_empty() {
        let keys: Vec<String> = missing.iter().map(|key| format!("`{key}`")).collect();
        let title = match missing.as_slice() {
            [key] => format!("`{DECODER}` lacks `{key}`, for which vLLM has no default"),
            several => format!(
                "`{DECODER}` lacks {} keys for which vLLM has no default",
                several.len()
            ),
        };
        let finding = out.stop(title, subject.config.place_of(DECODER));
        if keys.len() > 1 {
            finding.notes.push(format!("they are {}", keys.join(", ")));
        }
        finding
            .notes
            .push("the section is not read through a config class that would fill them in".into());
    }
    if let Ok(Some(act)) = decoder.str("hidden_act")
        && act != "silu"
    {
        out.stop(
            format!("`hidden_act` is `{act}`, and vLLM runs draft layers with `silu` only"),
            decoder.place("hidden_act"),
        );
    }
    windows(subject, qwen3, out);
}

/// Qwen 3 layers have a rotary base of their own where the config gives none.
fn rope(subject: &Subject<'_>, out: &mut Assessment) {
    const DEFAULT: f64 = 1_000_000.0;
    let root = subject.config.root();
    let keys = [
        "rope_parameters.rope_theta",
        "rope_theta",
        "rope_scaling.rope_theta",
    ];
    let nested = |key: &&str| root.get(&format!("{DECODER}.{key}")).is_some();
    if keys.iter().any(nested) {
        return;
    }
    let fit = match subject.head() {
        Some(head) => Fit::of(&DEFAULT, &head.description.rope.theta),
        None => Fit::Unknown,
    };
    out.assume(
        "rope_theta",
        DEFAULT,
        fit,
        subject.config.place_of(DECODER),
        "the config gives no rotary base, and this is the default of its Qwen 3 layers",
    );
}

/// Which layers slide is asked layer by layer, and the width of the window after that.
fn windows(subject: &Subject<'_>, qwen3: bool, out: &mut Assessment) {
    let root = subject.config.root();
    let Ok(Some(decoder)) = root.section(DECODER) else {
        return;
    };
    let types = decoder.get("layer_types").and_then(Value::as_array);
    let Some(types) = types.filter(|types| !types.is_empty()) else {
        return;
    };
    let layers = decoder.usize("num_hidden_layers").ok().flatten();
    if let Some(layers) = layers
        && types.len() < layers
        && !qwen3
    {
        out.stop(
            format!(
                "`layer_types` names {} of {layers} draft layers, and vLLM asks for each",
                types.len()
            ),
            decoder.place("layer_types"),
        );
    }
    let slides = types.iter().any(|kind| kind == "sliding_attention");
    if slides && !qwen3 && decoder.get("sliding_window").is_none() {
        out.stop(
            "`layer_types` asks for a window, but `sliding_window` gives no width".to_owned(),
            decoder.place("layer_types"),
        );
    }
}

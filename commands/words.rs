//! Descriptions of checkpoints in words.
//!
//! A description is taken as the fields it serializes to. The fields that most kinds of models share are put into sentences, the
//! others are listed as they stand: a new kind of head can be shown without a line here.

use serde_json::{Map, Value};
use speculators_formats::inspect::{Coverage, Kind};
use speculators_formats::{Algorithm, Layout};

/// What a checkpoint is, in a few words.
pub fn kind(kind: Kind, algorithm: Option<Algorithm>, layout: Option<Layout>) -> String {
    match (kind, algorithm, layout) {
        (Kind::Head, Some(algorithm), Some(layout)) => {
            format!("{} head, {layout} layout", name(algorithm))
        }
        (Kind::Head, ..) => "head, with faults".to_owned(),
        (Kind::Verifier, ..) => "verifier".to_owned(),
        (Kind::Unknown, ..) => "neither a head nor a verifier that this version knows".to_owned(),
    }
}

/// An algorithm as its authors write it.
fn name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Eagle => "EAGLE",
        Algorithm::Eagle3 => "EAGLE-3",
        Algorithm::PEagle => "P-EAGLE",
        Algorithm::DFlash => "DFlash",
        Algorithm::DFlash2 => "DFlash 2",
        Algorithm::DSpark => "DSpark",
        Algorithm::XPress => "XPress",
        Algorithm::Mtp => "MTP",
    }
}

/// A description as lines of label and text; `verifier_layers` is how many layers the verifier has, where that is known.
pub fn describe(
    fields: &Map<String, Value>,
    verifier_layers: Option<usize>,
) -> Vec<(String, String)> {
    let mut fields = Fields(fields.clone());
    let sentences = [
        ("network", network(&mut fields)),
        ("attention", attention(&mut fields)),
        ("positions", positions(&mut fields)),
        ("reads", reads(&mut fields, verifier_layers)),
        ("proposes", proposes(&mut fields)),
        ("switches", switches(&mut fields)),
    ];
    // The kind says it.
    fields.take("algorithm");
    // Told by the line about the vocabulary where there is a draft vocabulary.
    if fields.take("draft_vocab_size").is_some() {
        fields.take("vocab_size");
    }
    let sentences = sentences.into_iter();
    let told = sentences.filter_map(|(label, text)| Some((label.to_owned(), text?)));
    let rest = fields
        .0
        .iter()
        .map(|(key, value)| (key.clone(), plain(value)));
    told.chain(rest).collect()
}

/// The part of the verifier's vocabulary that a head can propose.
pub fn coverage(coverage: &Coverage) -> String {
    let (draft, target) = (coverage.draft, coverage.target);
    if draft == target {
        return format!("all {target} tokens of the verifier");
    }
    let order = if coverage.sorted {
        "in the verifier's order"
    } else {
        "not in the verifier's order"
    };
    let mut text = format!("{draft} of {target} tokens, {order}");
    for band in &coverage.bands {
        text.push_str(&format!("; {} of the first {}", band.draft, band.first));
    }
    text
}

/// A value on one line, without quotes and braces.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) if list.is_empty() => "none".to_owned(),
        Value::Array(list) => list.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let pairs = fields.iter().filter(|(_, value)| !value.is_null());
            let pairs = pairs.map(|(key, value)| format!("{key} {}", plain(value)));
            pairs.collect::<Vec<_>>().join(", ")
        }
        Value::Null => "none".to_owned(),
        // 10000.0 is 10000; an integer has no such end to lose.
        Value::Number(number) => {
            let text = number.to_string();
            text.strip_suffix(".0").unwrap_or(&text).to_owned()
        }
        other => other.to_string(),
    }
}

/// Fields that are taken out as they are told.
struct Fields(Map<String, Value>);

impl Fields {
    fn take(&mut self, key: &str) -> Option<Value> {
        self.0.shift_remove(key)
    }

    fn text(&mut self, key: &str) -> Option<String> {
        self.take(key).map(|value| plain(&value))
    }
}

/// Joins the parts that are there.
fn joined(parts: impl IntoIterator<Item = Option<String>>, separator: &str) -> Option<String> {
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(separator))
}

fn network(fields: &mut Fields) -> Option<String> {
    // Where prediction layers are counted apart, the others are the verifier's.
    let own = fields.take("num_nextn_predict_layers");
    let layers = own.or_else(|| fields.take("num_hidden_layers"))?;
    let layers = layers.as_u64()?;
    let family = fields.text("draft_layer").or(fields.text("model_type"));
    let family = family.map_or_else(String::new, |family| format!("{family} "));
    let plural = if layers == 1 { "" } else { "s" };
    let mlp = fields.text("intermediate_size");
    let mlp = mlp.map(|width| match fields.text("hidden_act") {
        Some(act) => format!("MLP of {width} with {act}"),
        None => format!("MLP of {width}"),
    });
    joined(
        [
            Some(format!("{layers} {family}layer{plural}")),
            fields
                .text("hidden_size")
                .map(|width| format!("width {width}")),
            mlp,
            fields
                .text("rms_norm_eps")
                .map(|eps| format!("norm epsilon {eps}")),
        ],
        ", ",
    )
}

fn attention(fields: &mut Fields) -> Option<String> {
    let heads = fields.text("num_attention_heads")?;
    let width = fields.text("head_dim").map(|width| format!(" of {width}"));
    let keys = fields.text("num_key_value_heads");
    joined(
        [
            Some(format!("{heads} heads{}", width.unwrap_or_default())),
            keys.map(|keys| format!("{keys} for keys and values")),
            fields
                .take("sliding_window")
                .map(|windows| window(&windows)),
        ],
        ", ",
    )
}

/// One window per layer, or none.
fn window(windows: &Value) -> String {
    let list = windows.as_array().map(Vec::as_slice).unwrap_or_default();
    let some: Vec<String> = list
        .iter()
        .filter(|window| !window.is_null())
        .map(plain)
        .collect();
    match some.as_slice() {
        [] => "full attention".to_owned(),
        [first, rest @ ..] if rest.iter().all(|other| other == first) => {
            if some.len() == list.len() {
                format!("a window of {first} tokens")
            } else {
                let (windowed, layers) = (some.len(), list.len());
                format!("a window of {first} tokens in {windowed} of {layers} layers")
            }
        }
        _ => format!("windows of {} tokens", plain(windows)),
    }
}

fn positions(fields: &mut Fields) -> Option<String> {
    let longest = fields.text("max_position_embeddings");
    let rope = fields.take("rope").map(|rope| rotary(&rope));
    joined(
        [longest.map(|longest| format!("up to {longest}")), rope],
        ", ",
    )
}

fn rotary(rope: &Value) -> String {
    let mut parts = vec![format!("rope theta {}", plain(&rope["theta"]))];
    if let Some(scaling) = rope["scaling"].as_object() {
        let mut scaling = Fields(scaling.clone());
        match scaling.text("rope_type") {
            Some(kind) if kind != "default" => {
                parts.push(format!(
                    "scaled by {kind}: {}",
                    plain(&Value::Object(scaling.0))
                ));
            }
            _ => {}
        }
    }
    if let Some(share) = rope["partial_rotary_factor"]
        .as_f64()
        .filter(|share| *share != 1.0)
    {
        parts.push(format!("{share} of the channels"));
    }
    parts.join(", ")
}

fn reads(fields: &mut Fields, verifier_layers: Option<usize>) -> Option<String> {
    let Some(layers) = fields.take("aux_layer_ids") else {
        // Only a count of the verifier's layers is still there.
        let last = fields.text("num_hidden_layers")?;
        return Some(format!(
            "the verifier state after layer {last}, its last, has run"
        ));
    };
    let width = fields.text("target_hidden_size");
    let width = width.map_or_else(String::new, |width| format!(" of width {width}"));
    let of = verifier_layers.map_or_else(String::new, |layers| format!(" of {layers}"));
    Some(match layers.as_array().map(Vec::as_slice) {
        Some([]) => {
            format!("verifier states{width} after its default layers, which `--verifier` settles")
        }
        Some([layer]) => format!("the verifier state{width} after layer {layer}{of} has run"),
        _ => format!(
            "verifier states{width} after layers {}{of} have run",
            plain(&layers)
        ),
    })
}

fn proposes(fields: &mut Fields) -> Option<String> {
    let tokens = fields.text("speculative_tokens")?;
    Some(format!(
        "{tokens} draft tokens per step, unless told otherwise"
    ))
}

/// Everything that is on or off.
fn switches(fields: &mut Fields) -> Option<String> {
    let flags = fields
        .0
        .iter()
        .filter_map(|(key, value)| Some((key.clone(), value.as_bool()?)));
    let flags: Vec<(String, bool)> = flags.collect();
    for (key, _) in &flags {
        fields.take(key);
    }
    let those = |wanted: bool| {
        let names = flags.iter().filter(|(_, on)| *on == wanted);
        let names: Vec<&str> = names.map(|(key, _)| key.as_str()).collect();
        let word = if wanted { "on" } else { "off" };
        (!names.is_empty()).then(|| format!("{word}: {}", names.join(", ")))
    };
    joined([those(true), those(false)], "; ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn described(value: Value, layers: Option<usize>) -> Vec<(String, String)> {
        match value {
            Value::Object(fields) => describe(&fields, layers),
            other => panic!("{other} is no object"),
        }
    }

    #[test]
    fn layers_are_counted_as_those_that_have_run() {
        let head = json!({"aux_layer_ids": [2, 16, 29], "target_hidden_size": 4096});
        let text = "verifier states of width 4096 after layers 2, 16, 29 of 32 have run";
        let expected = [("reads".to_owned(), text.to_owned())];
        assert_eq!(described(head, Some(32)), expected);
        let open = described(json!({"aux_layer_ids": []}), None);
        assert!(
            open[0].1.ends_with("which `--verifier` settles"),
            "{open:?}"
        );
    }

    #[test]
    fn the_layers_of_its_verifier_are_not_those_of_an_mtp_layer() {
        let layer = json!({"num_hidden_layers": 48, "num_nextn_predict_layers": 1, "model_type": "qwen3_next",
            "hidden_act": "silu"});
        let expected = [
            ("network", "1 qwen3_next layer"),
            (
                "reads",
                "the verifier state after layer 48, its last, has run",
            ),
            ("hidden_act", "silu"),
        ];
        let expected = expected.map(|(key, text)| (key.to_owned(), text.to_owned()));
        assert_eq!(described(layer, None), expected);
    }

    #[test]
    fn a_kind_that_is_not_known_here_is_told_all_the_same() {
        let found = described(
            json!({"block_size": 8, "causal": false, "mask": null}),
            None,
        );
        let expected = [
            ("switches", "off: causal"),
            ("block_size", "8"),
            ("mask", "none"),
        ];
        let expected = expected.map(|(key, text)| (key.to_owned(), text.to_owned()));
        assert_eq!(found, expected);
    }

    #[test]
    fn windows_are_told_by_layer_only_where_they_differ() {
        for (windows, text) in [
            (json!([null, null]), "full attention"),
            (json!([512, 512]), "a window of 512 tokens"),
            (
                json!([512, null]),
                "a window of 512 tokens in 1 of 2 layers",
            ),
            (json!([512, 1024]), "windows of 512, 1024 tokens"),
        ] {
            assert_eq!(window(&windows), text);
        }
    }

    #[test]
    fn scaled_frequencies_are_told_with_their_numbers() {
        let rope = json!({"theta": 5e5, "scaling": {"rope_type": "llama3", "factor": 8.0}, "partial_rotary_factor": 0.5});
        let text = "rope theta 500000, scaled by llama3: factor 8, 0.5 of the channels";
        assert_eq!(rotary(&rope), text);
    }
}

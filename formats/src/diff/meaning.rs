//! Which field of the canonical description a config key speaks of.
//!
//! Layouts spell one fact in several ways and places: `rope_theta` beside `rope_scaling`, or both in `rope_parameters`; sizes at
//! the top, or under `transformer_layer_config`. What the keys come to is in the description, which is read by the code that
//! knows the layouts. Hence two configs are not compared by translating one into the other: where both descriptions have the
//! same value in a field, the keys that speak of that field say the same, however they are spelled.

use serde_json::{Map, Value};

/// Objects that only group keys: a key means the same inside and outside.
const GROUPS: [&str; 5] = [
    "transformer_layer_config.",
    "text_config.",
    "eagle_config.",
    "dflash_config.",
    "dspark_config.",
];

/// Keys, without their group, that are called otherwise in a description.
const SPELLINGS: &[(&str, &str)] = &[
    ("rope_theta", "rope"),
    ("rope_scaling", "rope"),
    ("rope_parameters", "rope"),
    ("partial_rotary_factor", "rope"),
    ("original_max_position_embeddings", "rope"),
    ("torch_dtype", "dtype"),
    ("eagle_aux_hidden_state_layer_ids", "aux_layer_ids"),
    ("aux_hidden_state_layer_ids", "aux_layer_ids"),
    ("target_layer_ids", "aux_layer_ids"),
    ("layer_ids", "aux_layer_ids"),
    ("num_aux_hidden_states", "aux_layer_ids"),
    ("use_aux_hidden_state", "aux_layer_ids"),
    ("layer_types", "sliding_window"),
    ("use_sliding_window", "sliding_window"),
    ("max_window_layers", "sliding_window"),
    ("model_type", "draft_layer"),
    ("speculators_config.proposal_methods", "speculative_tokens"),
    ("speculators_model_type", "algorithm"),
    ("speculators_config.algorithm", "algorithm"),
    ("bias", "fc_bias"),
    ("fusion_bias", "fc_bias"),
    ("eos_token_id", "eos_token_ids"),
];

/// A key without the objects that only group.
pub(super) fn bare(path: &str) -> &str {
    let group = GROUPS.iter().find_map(|group| path.strip_prefix(group));
    group.unwrap_or(path)
}

/// The name a key is paired by across spellings that change nothing else.
pub(super) fn leaf(path: &str) -> &str {
    match bare(path) {
        "torch_dtype" => "dtype",
        other => other,
    }
}

/// The field of this description that a key speaks of, if it speaks of one.
pub(super) fn field<'a>(path: &str, description: &'a Map<String, Value>) -> Option<&'a str> {
    let bare = bare(path);
    let first = bare.split('.').next().unwrap_or(bare);
    let known = |field: &str| {
        description
            .get_key_value(field)
            .map(|(field, _)| field.as_str())
    };
    let spelled = SPELLINGS
        .iter()
        .filter(|(spelling, _)| *spelling == bare || *spelling == first);
    known(first).or_else(|| spelled.map(|(_, field)| *field).find_map(known))
}

/// Equality of JSON values in which 10000 is 10000.0.
pub(super) fn same_value(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_value(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| same_value(a, b)))
        }
        (a, b) => a == b,
    }
}

/// Every value that is no object by its dotted path. Null counts as absent, an empty object as a value.
pub(super) fn flatten(object: &Map<String, Value>, whole: &[&str]) -> Map<String, Value> {
    fn walk(
        prefix: &str,
        object: &Map<String, Value>,
        whole: &[&str],
        flat: &mut Map<String, Value>,
    ) {
        for (key, value) in object {
            let path = if prefix.is_empty() {
                key.clone()
            } else {
                format!("{prefix}.{key}")
            };
            match value {
                Value::Null => {}
                Value::Object(inner) if !inner.is_empty() && !whole.contains(&path.as_str()) => {
                    walk(&path, inner, whole, flat);
                }
                value => drop(flat.insert(path, value.clone())),
            }
        }
    }
    let mut flat = Map::new();
    walk("", object, whole, &mut flat);
    flat
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("{other} is no object"),
        }
    }

    #[test]
    fn spellings_lead_to_the_field_that_is_there() {
        let head = object(
            json!({"rope": {}, "dtype": "", "aux_layer_ids": [], "hidden_size": 1,
            "sliding_window": [], "draft_layer": "llama"}),
        );
        for (path, expected) in [
            ("rope_theta", Some("rope")),
            ("rope_parameters.rope_theta", Some("rope")),
            ("transformer_layer_config.rope_scaling.factor", Some("rope")),
            ("torch_dtype", Some("dtype")),
            ("transformer_layer_config.dtype", Some("dtype")),
            (
                "eagle_config.eagle_aux_hidden_state_layer_ids",
                Some("aux_layer_ids"),
            ),
            ("text_config.hidden_size", Some("hidden_size")),
            ("layer_types", Some("sliding_window")),
            ("model_type", Some("draft_layer")),
            ("bos_token_id", None),
            ("speculators_config.verifier.name_or_path", None),
            ("eos_token_id", None),
        ] {
            assert_eq!(field(path, &head), expected, "{path}");
        }
        let verifier = object(json!({"model_type": "llama", "eos_token_ids": [1]}));
        assert_eq!(field("model_type", &verifier), Some("model_type"));
        assert_eq!(field("eos_token_id", &verifier), Some("eos_token_ids"));
    }

    #[test]
    fn whole_numbers_equal_their_floats_at_every_depth() {
        assert!(same_value(&json!({"a": [1, 2.0]}), &json!({"a": [1.0, 2]})));
        assert!(!same_value(&json!({"a": [1]}), &json!({"a": [1], "b": 2})));
        assert!(!same_value(&json!(1), &json!("1")));
    }

    #[test]
    fn paths_are_flat_and_null_is_absent() {
        let config = object(json!({"a": {"b": [1], "c": null, "d": {}}, "e": {"f": 1}}));
        let flat = flatten(&config, &["e"]);
        assert_eq!(
            Value::Object(flat),
            json!({"a.b": [1], "a.d": {}, "e": {"f": 1}})
        );
    }
}

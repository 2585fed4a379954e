//! The canonical descriptions, field by field.
//!
//! They are compared as JSON, so that a description of a new kind needs nothing here.

use serde::Serialize;
use serde_json::{Map, Value};

use super::meaning::{self, flatten, same_value};
use crate::decision::Decision;
use crate::subject::Subject;

/// What a difference in a field comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldStatus {
    /// The two mean different things.
    Different,
    /// One of the two leaves it open: only a verifier settles it.
    Open,
    /// It says how the weights are kept; whether that matters shows in the tensors.
    Storage,
}

/// A field that is not equal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldRow {
    /// The field, with dots where it is part of another.
    pub field: String,
    /// Value in A; null where A's kind has no such field.
    pub a: Value,
    /// Value in B.
    pub b: Value,
    /// What it comes to.
    pub status: FieldStatus,
    /// What led to the value in A.
    pub decisions_a: Vec<Decision>,
    /// What led to the value in B.
    pub decisions_b: Vec<Decision>,
}

/// Two descriptions side by side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DescriptionDifference {
    /// Fields that are equal.
    pub equal: usize,
    /// Those that are not.
    pub different: Vec<FieldRow>,
}

impl DescriptionDifference {
    /// Whether a field, by the first part of its name, is among those that are not equal.
    pub(super) fn differs(&self, field: &str) -> bool {
        self.different.iter().any(|row| first(&row.field) == field)
    }
}

/// Fields that mirror which tensors there are and how they are stored.
const STORAGE: [&str; 3] = ["dtype", "own_embeddings", "own_lm_head"];

/// Field that is empty as long as it is open.
const OPEN_WHERE_EMPTY: &str = "aux_layer_ids";

/// Field with an entry for each draft layer. How many layers there are is a field of its own.
const PER_LAYER: &str = "sliding_window";

/// Compares two descriptions of one kind.
pub(super) fn compare(
    (a, a_fields): (&Subject, &Map<String, Value>),
    (b, b_fields): (&Subject, &Map<String, Value>),
) -> DescriptionDifference {
    let (a_flat, b_flat) = (flatten(a_fields, &[]), flatten(b_fields, &[]));
    let only_b = b_flat.keys().filter(|key| !a_flat.contains_key(*key));
    let mut difference = DescriptionDifference {
        equal: 0,
        different: Vec::new(),
    };
    for field in a_flat.keys().chain(only_b) {
        let value = |flat: &Map<String, Value>| flat.get(field).cloned().unwrap_or_default();
        let (a_value, b_value) = (value(&a_flat), value(&b_flat));
        if agree(field, &a_value, &b_value) {
            difference.equal += 1;
            continue;
        }
        let led = |subject: &Subject, description| {
            let about = |decision: &&Decision| {
                meaning::field(&decision.subject, description) == Some(first(field))
            };
            subject.decisions().iter().filter(about).cloned().collect()
        };
        difference.different.push(FieldRow {
            status: status(field, &a_value, &b_value),
            decisions_a: led(a, a_fields),
            decisions_b: led(b, b_fields),
            field: field.clone(),
            a: a_value,
            b: b_value,
        });
    }
    difference
}

/// Whether two values of a field are equal; where it has an entry per layer, as far as both have the layers.
fn agree(field: &str, a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) if field == PER_LAYER => {
            a.iter().zip(b).all(|(a, b)| same_value(a, b))
        }
        (a, b) => same_value(a, b),
    }
}

fn status(field: &str, a: &Value, b: &Value) -> FieldStatus {
    let empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
    if STORAGE.contains(&field) {
        FieldStatus::Storage
    } else if field == OPEN_WHERE_EMPTY && (empty(a) || empty(b)) {
        FieldStatus::Open
    } else {
        FieldStatus::Different
    }
}

fn first(field: &str) -> &str {
    field.split('.').next().unwrap_or(field)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::agree;

    #[test]
    fn windows_are_compared_for_the_layers_that_both_have() {
        let windows = |a, b| agree("sliding_window", &a, &b);
        assert!(windows(json!([null]), json!([null, null])));
        assert!(windows(json!([512]), json!([512, null])));
        assert!(!windows(json!([512]), json!([null, 512])));
        assert!(!windows(json!([512, 512]), json!([512, 256])));
        assert!(!agree("aux_layer_ids", &json!([2]), &json!([2, 4])));
    }
}

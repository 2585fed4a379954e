//! The config files, key by key.

use serde::Serialize;
use serde_json::{Map, Value};

use super::fields::DescriptionDifference;
use super::meaning::{self, flatten, leaf, same_value};
use crate::convert::provenance;

/// How a key of one config relates to the other config.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyStatus {
    /// Only in B.
    Added,
    /// Only in A.
    Removed,
    /// In both, with other values.
    Changed,
    /// Other words for the same: another path, another spelling, or a default written out.
    SameMeaning,
}

/// Keys that are not equal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KeyRow {
    /// Dotted path in A.
    pub a: Option<String>,
    /// Dotted path in B.
    pub b: Option<String>,
    /// Value in A.
    pub a_value: Option<Value>,
    /// Value in B.
    pub b_value: Option<Value>,
    /// What the difference is.
    pub status: KeyStatus,
    /// Field of the description that the key speaks of.
    pub field: Option<String>,
}

/// Two configs side by side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConfigDifference {
    /// Keys with the same path and the same value.
    pub equal: usize,
    /// The others, in the order of A and then of B.
    pub keys: Vec<KeyRow>,
}

impl ConfigDifference {
    /// How many keys have this status.
    #[must_use]
    pub fn count(&self, status: KeyStatus) -> usize {
        self.keys.iter().filter(|row| row.status == status).count()
    }
}

/// What is known about two descriptions when configs are compared.
pub(super) struct Described<'a> {
    pub a: &'a Map<String, Value>,
    pub b: &'a Map<String, Value>,
    pub difference: &'a DescriptionDifference,
}

/// Compares two configs; what keys mean is known where both sides have a description.
pub(super) fn compare(
    a: &Map<String, Value>,
    b: &Map<String, Value>,
    described: Option<&Described<'_>>,
) -> ConfigDifference {
    let a = flatten(a, &[provenance::KEY]);
    let mut b = flatten(b, &[provenance::KEY]);
    let mut difference = ConfigDifference {
        equal: 0,
        keys: Vec::new(),
    };
    let mut only_a = Vec::new();
    for (path, value) in a {
        match b.shift_remove(&path) {
            Some(other) if same_value(&value, &other) => difference.equal += 1,
            Some(other) => {
                let (a, b) = ((path.clone(), value), (path, other));
                difference.keys.push(row(Some(a), Some(b), described));
            }
            None => only_a.push((path, value)),
        }
    }
    // The same key in another group is the same key.
    for (path, value) in only_a {
        let other = b.keys().find(|other| leaf(other) == leaf(&path)).cloned();
        let other = other.and_then(|other| b.shift_remove_entry(&other));
        difference
            .keys
            .push(row(Some((path, value)), other, described));
    }
    let only_b = b.into_iter().map(|entry| row(None, Some(entry), described));
    difference.keys.extend(only_b);
    difference
}

type Entry = (String, Value);

fn row(a: Option<Entry>, b: Option<Entry>, described: Option<&Described<'_>>) -> KeyRow {
    let field = described.and_then(|described| {
        let in_a = a
            .as_ref()
            .map(|(path, _)| meaning::field(path, described.a));
        let in_b = b
            .as_ref()
            .map(|(path, _)| meaning::field(path, described.b));
        in_a.flatten().or(in_b.flatten())
    });
    let settled = |field: &str| described.is_some_and(|known| !known.difference.differs(field));
    let status = match (&a, &b, field) {
        (_, _, Some(field)) if settled(field) => KeyStatus::SameMeaning,
        (Some((_, a)), Some((_, b)), _) if same_value(a, b) => KeyStatus::SameMeaning,
        (Some(_), Some(_), _) => KeyStatus::Changed,
        (Some(_), None, _) => KeyStatus::Removed,
        (None, _, _) => KeyStatus::Added,
    };
    let field = field.map(str::to_owned);
    let (a, a_value) = a.unzip();
    let (b, b_value) = b.unzip();
    KeyRow {
        a,
        b,
        a_value,
        b_value,
        status,
        field,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn statuses(a: &Value, b: &Value) -> (usize, Vec<(String, KeyStatus)>) {
        let found = compare(a.as_object().unwrap(), b.as_object().unwrap(), None);
        let rows = found.keys.into_iter();
        let rows = rows.map(|row| (row.a.or(row.b).unwrap_or_default(), row.status));
        (found.equal, rows.collect())
    }

    #[test]
    fn keys_are_equal_changed_added_or_removed_by_their_path() {
        let a = json!({"x": 1, "y": {"z": [1, 2]}, "gone": true, "same": 10000, "null": null});
        let b = json!({"x": 2, "y": {"z": [1, 2]}, "new": "n", "same": 10000.0});
        let (equal, rows) = statuses(&a, &b);
        assert_eq!(equal, 2);
        assert_eq!(
            rows,
            [
                ("x".to_owned(), KeyStatus::Changed),
                ("gone".to_owned(), KeyStatus::Removed),
                ("new".to_owned(), KeyStatus::Added),
            ]
        );
    }

    #[test]
    fn a_key_in_another_group_or_spelling_says_the_same_where_its_value_is_the_same() {
        let a = json!({"torch_dtype": "bfloat16", "bos_token_id": 1, "eos_token_id": 2});
        let b = json!({"dtype": "bfloat16", "transformer_layer_config": {"bos_token_id": 1, "eos_token_id": 3}});
        let (equal, rows) = statuses(&a, &b);
        assert_eq!(equal, 0);
        assert_eq!(
            rows,
            [
                ("torch_dtype".to_owned(), KeyStatus::SameMeaning),
                ("bos_token_id".to_owned(), KeyStatus::SameMeaning),
                ("eos_token_id".to_owned(), KeyStatus::Changed),
            ]
        );
    }
}

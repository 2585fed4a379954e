//! JSON in which an object names a key only once.
//!
//! Of two values under one key, one parser takes the first and another the last; who checks a file would then see
//! another file than who loads it. Everything else is as `serde_json` has it: a limit on nesting, no `NaN`, no number
//! beyond what a float can hold.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::pickle::shorten;

/// Parses one value that takes up the whole text.
///
/// # Errors
/// As `serde_json`; an object that names a key twice is an error of the category `Data`.
pub(crate) fn parse(text: &str) -> serde_json::Result<Value> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Once.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// What is said about a key that is there already.
pub(crate) fn twice(key: &str) -> String {
    format!("an object names the key `{}` twice", shorten(key))
}

/// Any value, with keys that are there once.
struct Once;

impl<'de> DeserializeSeed<'de> for Once {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Once)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            // Before the value is read, so that the place of the error is the key's.
            if map.contains_key(&key) {
                return Err(A::Error::custom(twice(&key)));
            }
            let value = entries.next_value_seed(Once)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn reads_what_serde_json_reads() {
        for text in [
            "null",
            "-0",
            "-0.0",
            "18446744073709551615",
            "-9223372036854775808",
            "1e308",
            "\"\\u0000\\ud83d\\ude00\"",
            " {\"b\": [1, 2.5, true, {}], \"a\": {\"b\": null}} ",
        ] {
            assert_eq!(
                parse(text).unwrap(),
                serde_json::from_str::<Value>(text).unwrap(),
                "{text}"
            );
        }
    }

    #[test]
    fn a_key_twice_is_refused_at_any_depth_with_its_place() {
        assert_eq!(
            refused("{\"a\": 1,\n \"a\": 1}"),
            "an object names the key `a` twice at line 2 column 4"
        );
        assert!(refused("{\"x\": [{\"a\": 1, \"b\": {}, \"\\u0061\": 2}]}").contains("`a` twice"));
        assert!(refused("{\"\\u001b[2J\": 1, \"\\u001b[2J\": 2}").contains("`\\u{1b}[2J` twice"));
        // The same key in two objects is ordinary.
        assert!(parse("{\"a\": {\"a\": 1}, \"b\": [{\"a\": 1}, {\"a\": 1}]}").is_ok());
    }

    #[test]
    fn deep_nesting_numbers_beyond_floats_and_words_of_python_are_refused() {
        for text in [
            "[".repeat(1_000_000),
            "{\"a\":".repeat(1_000_000),
            format!("{}{}", "[".repeat(200), "]".repeat(200)),
        ] {
            assert!(refused(&text).contains("recursion limit"), "{text:.20}");
        }
        for text in [
            "1e999",
            "-1e999",
            "NaN",
            "Infinity",
            "-Infinity",
            "True",
            "None",
            "01",
            "1.",
            "'a'",
            "{\"a\": 1} {}",
            "\"\\ud800\"",
            "\"\u{0}\"",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}

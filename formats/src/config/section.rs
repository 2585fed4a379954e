//! An object of a config with typed getters, whose findings point at the key that is wrong.

use serde_json::{Map, Value};

use super::ConfigFile;
use crate::codes;
use crate::diagnostic::{Diagnostic, Place};
use crate::pickle::shorten;

/// An object inside a config file, which knows where it lies.
#[derive(Clone, Debug)]
pub struct Section<'a> {
    pub(super) file: &'a ConfigFile,
    pub(super) prefix: String,
    pub(super) map: &'a Map<String, Value>,
}

impl<'a> Section<'a> {
    /// The file.
    #[must_use]
    pub fn file(&self) -> &'a ConfigFile {
        self.file
    }

    /// The object itself.
    #[must_use]
    pub fn map(&self) -> &'a Map<String, Value> {
        self.map
    }

    /// The full name of a key of this object.
    #[must_use]
    pub fn name(&self, key: &str) -> String {
        if self.prefix.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.prefix)
        }
    }

    /// A place for findings about a key of this object.
    #[must_use]
    pub fn place(&self, key: &str) -> Place {
        self.file.place_of(&self.name(key))
    }

    /// The raw value, with null counted as absent.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        let mut parts = key.split('.');
        let mut value = self.map.get(parts.next()?)?;
        for part in parts {
            value = value.as_object()?.get(part)?;
        }
        (!value.is_null()).then_some(value)
    }

    /// An object inside this one.
    ///
    /// # Errors
    /// S105 when the value is no object.
    pub fn section(&self, key: &str) -> Result<Option<Section<'a>>, Diagnostic> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Section {
                file: self.file,
                prefix: self.name(key),
                map,
            })),
            Some(other) => Err(self.wrong(key, "an object", other)),
        }
    }

    /// A non-negative integer.
    ///
    /// # Errors
    /// S105 when the value is anything else.
    pub fn usize(&self, key: &str) -> Result<Option<usize>, Diagnostic> {
        self.typed(key, "a non-negative integer", as_usize)
    }

    /// A number.
    ///
    /// # Errors
    /// S105 when the value is anything else.
    pub fn f64(&self, key: &str) -> Result<Option<f64>, Diagnostic> {
        self.typed(key, "a number", Value::as_f64)
    }

    /// A truth value.
    ///
    /// # Errors
    /// S105 when the value is anything else.
    pub fn bool(&self, key: &str) -> Result<Option<bool>, Diagnostic> {
        self.typed(key, "true or false", Value::as_bool)
    }

    /// A string.
    ///
    /// # Errors
    /// S105 when the value is anything else.
    pub fn str(&self, key: &str) -> Result<Option<&'a str>, Diagnostic> {
        self.typed(key, "a string", Value::as_str)
    }

    /// A list of non-negative integers.
    ///
    /// # Errors
    /// S105 when the value is anything else.
    pub fn usize_list(&self, key: &str) -> Result<Option<Vec<usize>>, Diagnostic> {
        self.typed(key, "a list of non-negative integers", |value| {
            value.as_array()?.iter().map(as_usize).collect()
        })
    }

    /// A list of strings.
    ///
    /// # Errors
    /// S105 when the value is anything else.
    pub fn str_list(&self, key: &str) -> Result<Option<Vec<String>>, Diagnostic> {
        self.typed(key, "a list of strings", |value| {
            value
                .as_array()?
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect()
        })
    }

    /// A non-negative integer or a list of them, as a list.
    ///
    /// # Errors
    /// S105 when the value is anything else.
    pub fn one_or_many(&self, key: &str) -> Result<Option<Vec<usize>>, Diagnostic> {
        self.typed(
            key,
            "a non-negative integer or a list of them",
            |value| match value {
                Value::Array(items) => items.iter().map(as_usize).collect(),
                single => as_usize(single).map(|id| vec![id]),
            },
        )
    }

    fn typed<T>(
        &self,
        key: &str,
        wanted: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Diagnostic> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => read(value)
                .map(Some)
                .ok_or_else(|| self.wrong(key, wanted, value)),
        }
    }

    fn wrong(&self, key: &str, wanted: &str, found: &Value) -> Diagnostic {
        Diagnostic::error(
            codes::CONFIG_TYPE,
            format!(
                "`{}` is {}, but has to be {wanted}",
                self.name(key),
                describe(found)
            ),
        )
        .at(self.place(key))
    }
}

/// Sizes end at 32 bits: no model comes near, and sums of products then stay inside the machine's integers.
fn as_usize(value: &Value) -> Option<usize> {
    let number = u32::try_from(value.as_u64()?).ok()?;
    usize::try_from(number).ok()
}

/// A value in words, short enough for a title.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.chars().count() <= 40 => {
            format!("the string \"{}\"", shorten(text))
        }
        Value::String(_) => "a long string".to_owned(),
        Value::Array(items) if items.len() <= 8 && items.iter().all(Value::is_number) => {
            value.to_string()
        }
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

//! A JSON config file: text and parsed value side by side, so that findings can point at a line; unknown keys and key order kept.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::diagnostic::{Diagnostic, Place};
use crate::pickle::shorten;
use crate::{codes, file, json, locate};

/// Longest config that is read: parsing one takes up to thirty times its size of memory.
const LONGEST: u64 = 16 << 20;

/// A parsed `config.json`.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    /// Where it was read.
    pub path: PathBuf,
    /// Its text, for line numbers.
    pub text: String,
    /// Its top-level object.
    pub value: Map<String, Value>,
}

impl ConfigFile {
    /// Reads and parses a JSON object.
    ///
    /// # Errors
    /// S101 when the file cannot be read, S104 when it is not JSON, names a key twice or is longer than 16 MiB, S105 when
    /// it is not an object.
    pub fn read(path: impl AsRef<Path>) -> Result<ConfigFile, Diagnostic> {
        ConfigFile::read_up_to(path.as_ref(), LONGEST)
    }

    /// The same with another limit, for an index of many tensors.
    pub(crate) fn read_up_to(path: &Path, longest: u64) -> Result<ConfigFile, Diagnostic> {
        let bytes = file::read(path, longest)?;
        let text = String::from_utf8(bytes).map_err(|error| {
            Diagnostic::error(
                codes::JSON_MALFORMED,
                format!("`{}` is not UTF-8", file_name(path)),
            )
            .at(Place::file(path))
            .note(format!(
                "the first byte that is not is byte {}",
                error.utf8_error().valid_up_to()
            ))
        })?;
        ConfigFile::from_text(path, text)
    }

    /// Parses a JSON object that is in memory already; `path` is used in findings only.
    ///
    /// # Errors
    /// As [`ConfigFile::read`], without S101.
    pub fn from_text(path: impl AsRef<Path>, text: String) -> Result<ConfigFile, Diagnostic> {
        let path = path.as_ref().to_path_buf();
        if text.starts_with('\u{feff}') {
            return Err(Diagnostic::error(
                codes::JSON_MALFORMED,
                format!("`{}` begins with a byte order mark", file_name(&path)),
            )
            .at(Place::text(&path, 1, 1))
            .note("JSON has none, and Python's parser refuses it, too")
            .help("save the file as UTF-8 without a byte order mark"));
        }
        match json::parse(&text) {
            Ok(Value::Object(value)) => Ok(ConfigFile { path, text, value }),
            Ok(other) => Err(Diagnostic::error(
                codes::CONFIG_TYPE,
                format!(
                    "`{}` holds {}, not an object",
                    file_name(&path),
                    describe(&other)
                ),
            )
            .at(Place::text(&path, 1, 1))),
            Err(error) => Err(misread(&path, &error)),
        }
    }

    /// Where it was read.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The top-level object, with typed getters.
    #[must_use]
    pub fn root(&self) -> Section<'_> {
        Section {
            file: self,
            prefix: String::new(),
            map: &self.value,
        }
    }

    /// A non-negative integer; `None` when the key is absent or null. Keys inside objects are joined by dots.
    ///
    /// # Errors
    /// S105 at the key when the value has another type.
    pub fn get_usize(&self, key: &str) -> Result<Option<usize>, Diagnostic> {
        self.root().usize(key)
    }

    /// A number; `None` when the key is absent or null.
    ///
    /// # Errors
    /// S105 at the key when the value has another type.
    pub fn get_f64(&self, key: &str) -> Result<Option<f64>, Diagnostic> {
        self.root().f64(key)
    }

    /// A truth value; `None` when the key is absent or null.
    ///
    /// # Errors
    /// S105 at the key when the value has another type.
    pub fn get_bool(&self, key: &str) -> Result<Option<bool>, Diagnostic> {
        self.root().bool(key)
    }

    /// A string; `None` when the key is absent or null.
    ///
    /// # Errors
    /// S105 at the key when the value has another type.
    pub fn get_str(&self, key: &str) -> Result<Option<&str>, Diagnostic> {
        self.root().str(key)
    }

    /// The verifier that a head in the speculators layout names: a path, or a name on the Hub.
    #[must_use]
    pub fn verifier_name(&self) -> Option<&str> {
        let name = self.get_str("speculators_config.verifier.name_or_path");
        name.ok().flatten()
    }

    /// Line and column, both from 1, of a key (or, for `list.0`, of a list element).
    #[must_use]
    pub fn position_of(&self, key: &str) -> Option<(usize, usize)> {
        locate::position(&self.text, key)
    }

    /// A place for findings about a key; the whole file where the key is not there.
    #[must_use]
    pub fn place_of(&self, key: &str) -> Place {
        match self.position_of(key) {
            Some((line, column)) => Place::text(&self.path, line, column),
            None => Place::file(&self.path),
        }
    }
}

/// An object inside a config file, which knows where it lies.
#[derive(Clone, Debug)]
pub struct Section<'a> {
    file: &'a ConfigFile,
    prefix: String,
    map: &'a Map<String, Value>,
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

/// S104 at the place where the parser had to stop.
fn misread(path: &Path, error: &serde_json::Error) -> Diagnostic {
    let (name, said) = (file_name(path), error.to_string());
    let said = said.split(" at line ").next().unwrap_or_default();
    let place = Place::text(path, error.line().max(1), error.column().max(1));
    if error.is_data() {
        return Diagnostic::error(codes::JSON_MALFORMED, format!("in `{name}`, {said}"))
            .at(place)
            .note("which of the two values counts depends on the program that reads it; Python takes the last")
            .help("remove one of them");
    }
    Diagnostic::error(
        codes::JSON_MALFORMED,
        format!("`{name}` is not valid JSON: {said}"),
    )
    .at(place)
}

/// A value in words, short enough for a title.
fn describe(value: &Value) -> String {
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

/// The last component, as shown in titles; the place carries the whole path.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// S101 for a file that is not there or may not be read.
pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> Diagnostic {
    let title = match error.kind() {
        std::io::ErrorKind::NotFound => format!("`{}` is missing", file_name(path)),
        kind => format!("`{}` cannot be read: {kind}", file_name(path)),
    };
    Diagnostic::error(codes::FILE_MISSING, title).at(Place::file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> ConfigFile {
        ConfigFile::from_text("draft/config.json", text.to_owned()).unwrap()
    }

    #[test]
    fn a_value_of_the_wrong_type_is_reported_at_its_key() {
        let file = config("{\n  \"a\": {\n    \"hidden_size\": \"4096\"\n  }\n}\n");
        let found = file.get_usize("a.hidden_size").unwrap_err();
        assert_eq!(found.code, codes::CONFIG_TYPE);
        assert_eq!(
            found.title,
            "`a.hidden_size` is the string \"4096\", but has to be a non-negative integer"
        );
        assert_eq!(found.place, Some(Place::text("draft/config.json", 3, 5)));
    }

    #[test]
    fn null_counts_as_absent() {
        assert_eq!(
            config("{\"head_dim\": null}").get_usize("head_dim"),
            Ok(None)
        );
    }

    #[test]
    fn a_negative_or_fractional_size_is_no_size() {
        assert!(config("{\"n\": -1}").get_usize("n").is_err());
        assert!(config("{\"n\": 1.5}").get_usize("n").is_err());
    }

    #[test]
    fn a_size_beyond_32_bits_is_no_size() {
        assert!(config("{\"n\": 4294967295}").get_usize("n").is_ok());
        assert!(config("{\"n\": 4294967296}").get_usize("n").is_err());
    }

    #[test]
    fn a_syntax_error_carries_line_and_column() {
        let found =
            ConfigFile::from_text("config.json", "{\n  \"a\": 1,\n}".to_owned()).unwrap_err();
        assert_eq!(found.code, codes::JSON_MALFORMED);
        assert_eq!(found.place, Some(Place::text("config.json", 3, 1)));
        assert!(!found.title.contains("line"), "{}", found.title);
    }

    #[test]
    fn a_key_that_stands_twice_is_refused_by_name() {
        let text = "{\n  \"hidden_size\": 16,\n  \"hidden_size\": 32\n}";
        let found = ConfigFile::from_text("draft/config.json", text.to_owned()).unwrap_err();
        assert_eq!(found.code, codes::JSON_MALFORMED);
        assert_eq!(
            found.title,
            "in `config.json`, an object names the key `hidden_size` twice"
        );
        assert_eq!(found.place, Some(Place::text("draft/config.json", 3, 15)));
        let nested = "{\"a\": {\"rope\": 1, \"rope\": 2}}".to_owned();
        assert!(ConfigFile::from_text("config.json", nested).is_err());
    }

    #[test]
    fn a_byte_order_mark_is_refused_as_python_does() {
        let found = ConfigFile::from_text("config.json", "\u{feff}{}".to_owned()).unwrap_err();
        assert_eq!(found.code, codes::JSON_MALFORMED);
        assert_eq!(found.title, "`config.json` begins with a byte order mark");
    }

    #[test]
    fn numbers_that_no_float_holds_and_deep_nesting_are_no_json_here() {
        for text in [
            "{\"rms_norm_eps\": 1e999}".to_owned(),
            "{\"rms_norm_eps\": NaN}".to_owned(),
            format!("{{\"a\": {}", "[".repeat(1_000_000)),
        ] {
            let found = ConfigFile::from_text("config.json", text).unwrap_err();
            assert_eq!(found.code, codes::JSON_MALFORMED);
        }
        // Minus zero is a float, not a size.
        let file = config("{\"n\": -0}");
        assert_eq!(file.get_usize("n").unwrap_err().code, codes::CONFIG_TYPE);
        assert_eq!(file.get_f64("n"), Ok(Some(0.0)));
    }

    #[test]
    fn a_string_is_shown_without_control_characters() {
        let found = config("{\"n\": \"\\u001b[31m\"}")
            .get_usize("n")
            .unwrap_err();
        assert!(found.title.contains("\\u{1b}[31m"), "{}", found.title);
    }

    #[test]
    fn a_list_at_top_level_is_refused() {
        let found = ConfigFile::from_text("config.json", "[]".to_owned()).unwrap_err();
        assert_eq!(found.code, codes::CONFIG_TYPE);
    }
}

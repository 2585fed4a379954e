//! A JSON config file: text and parsed value side by side, so that findings can point at a line; unknown keys and key order kept.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::diagnostic::{Diagnostic, Place};
use crate::{codes, file, json, locate};

mod section;

pub use section::Section;
use section::describe;

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
        ConfigFile::from_bytes(path, file::read(path, longest)?)
    }

    /// Parses a JSON object that is in memory already; `path` is used in findings only.
    ///
    /// # Errors
    /// As [`ConfigFile::read`], without S101; S104 also where the bytes are not UTF-8.
    pub fn from_bytes(path: impl AsRef<Path>, bytes: Vec<u8>) -> Result<ConfigFile, Diagnostic> {
        let path = path.as_ref();
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

    /// The same of a text.
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

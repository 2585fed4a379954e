//! A JSON config file: text and parsed value side by side, so that findings can point at a line; unknown keys and key order kept.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

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
    /// Where it was read.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

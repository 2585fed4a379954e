//! The table of diagnostic codes: one row each, the source of `speculators explain` and of `docs/errors.md`.
//!
//! Families: S0xx command and run configuration · S1xx files · S2xx tensors · S3xx vocabulary maps ·
//! S4xx head against verifier and serving configuration · S5xx Hub · S6xx device · S7xx data.

use serde::{Serialize, Serializer};

/// A stable diagnostic code such as `S202`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub u16);

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "S{:03}", self.0)
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What `speculators explain` says about a code.
pub struct Explanation {
    /// The code.
    pub code: Code,
    /// A short name in plain words.
    pub title: &'static str,
    /// What it means, why it matters, and what to do.
    pub text: &'static str,
}

macro_rules! codes {
    ($($(#[$meta:meta])* $name:ident = $number:literal, $title:literal, $text:literal;)*) => {
        $(#[doc = $title] pub const $name: Code = Code($number);)*
        /// Every code, in order.
        pub const ALL: &[Explanation] = &[$(Explanation { code: $name, title: $title, text: $text }),*];
    };
}

codes! {
    FILE_MISSING = 101, "a file or directory is missing",
        "The path given, or a file a checkpoint must have, does not exist or cannot be read. Nothing was written.";
    FILE_TRUNCATED = 102, "a tensor file ends before its last tensor does",
        "The header of a safetensors file places tensors beyond the end of the file: a download or copy was cut short. Fetch the file again and compare its size.";
}

/// The explanation of a code, or nothing for an unknown one.
#[must_use]
pub fn explain(code: Code) -> Option<&'static Explanation> {
    ALL.iter().find(|explanation| explanation.code == code)
}

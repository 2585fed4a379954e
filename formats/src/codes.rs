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
    USAGE = 1, "an option has a value it cannot have",
        "";
    FILE_MISSING = 101, "a file or directory is missing or cannot be read",
        "";
    FILE_TRUNCATED = 102, "a tensor file ends before its last tensor does",
        "";
    HEADER_MALFORMED = 103, "the header of a safetensors file is malformed",
        "";
    JSON_MALFORMED = 104, "a file is not valid JSON",
        "";
    CONFIG_TYPE = 105, "a config key has a value of the wrong type",
        "";
    CONFIG_KEY_MISSING = 106, "a config lacks a key that nothing can stand in for",
        "";
    INDEX_MALFORMED = 107, "a safetensors index and its shards disagree",
        "";
    OUTPUT_EXISTS = 108, "the output exists already",
        "";
    OUTPUT_UNWRITABLE = 109, "the output cannot be written",
        "";
    LAYOUT_UNKNOWN = 110, "the checkpoint is in no layout this version reads",
        "";
    PICKLE_ONLY = 111, "the weights are only there as a PyTorch pickle",
        "";
    TENSOR_MISSING = 201, "a tensor the head needs is missing",
        "";
    TENSOR_UNEXPECTED = 202, "a tensor belongs to no part of the head",
        "";
    TENSOR_SHAPE = 203, "a tensor has another shape than the config asks for",
        "";
    TENSOR_DTYPE = 204, "a tensor has a dtype that is not supported there",
        "";
    TENSOR_NON_FINITE = 205, "a tensor holds NaN or infinite values",
        "";
    NORM_UNTRAINED = 206, "a norm weight was never trained",
        "";
    TENSOR_ALL_ZERO = 207, "a weight matrix is zero throughout",
        "";
    MAP_LENGTH = 301, "a vocabulary map has another length than the vocabulary it maps",
        "";
    MAP_RANGE = 302, "`d2t` leads outside the verifier vocabulary",
        "";
    MAP_DUPLICATE = 303, "two draft tokens map to one verifier token",
        "";
    MAP_NEVER_LOADED = 304, "the vocabulary map was never filled in",
        "";
    MAP_ABSOLUTE = 305, "`d2t` holds absolute token ids instead of offsets",
        "";
    MAP_DISAGREE = 306, "`d2t` and `t2d` describe different vocabularies",
        "";
    MAP_MISSING = 307, "a reduced vocabulary has no map",
        "";
    MAP_UNSORTED = 308, "`d2t` is not in ascending order of verifier tokens",
        "";
    HIDDEN_SIZE = 401, "the head reads another hidden size than the verifier has",
        "";
    VOCABULARY = 402, "the head was built for another vocabulary than the verifier's",
        "";
    AUX_LAYER_RANGE = 403, "an auxiliary layer id lies outside the verifier",
        "";
    AUX_LAYER_COUNT = 404, "the auxiliary layer ids do not fit the width of `fc`",
        "";
    SPECIAL_TOKEN = 405, "a token that ends a turn is outside the draft vocabulary",
        "";
    NORM_BEFORE_RESIDUAL = 406, "`norm_before_residual` is not written down",
        "";
    ROPE_MISMATCH = 407, "the head and the verifier rotate positions differently",
        "";
    PROPOSAL_METHOD = 408, "the default proposal method is not among the proposal methods",
        "";
    AUX_LAYERS_MISSING = 409, "the auxiliary layer ids are not written down",
        "";
    VERIFIER_UNSUPPORTED = 410, "the verifier's architecture is not supported",
        "";
    GUESS_REFUSED = 411, "something had to be guessed and `--strict` forbids it",
        "";
    NOT_REPRESENTABLE = 412, "the head has a feature that cannot be represented or is contradictory",
        "";
    TOKENIZER = 701, "the tokenizer or chat template cannot be used",
        "";
    PROMPT_MALFORMED = 702, "a line of the prompts file is malformed",
        "";
    PROMPT_TOO_LONG = 703, "a prompt leaves no room to generate",
        "";
    PROMPTS_EMPTY = 704, "there is no prompt to evaluate",
        "";
}

/// The explanation of a code, or nothing for an unknown one.
#[must_use]
pub fn explain(code: Code) -> Option<&'static Explanation> {
    ALL.iter().find(|explanation| explanation.code == code)
}

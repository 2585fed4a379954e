//! GGUF: the one-file container of llama.cpp, and EAGLE-3 heads in it.
//!
//! [`GgufFile`] and [`Header`] know the container only: metadata values, tensors, alignment. What llama.cpp keeps in one
//! for an EAGLE-3 head, and how that maps to the canonical description, is in the modules below them.

mod eagle3;
mod export;
mod file;
mod import;
mod parse;
mod rotary;
mod synthesis;
#[cfg(test)]
mod tests;
mod tokenizer;
mod types;
mod value;
mod write;

pub(crate) use eagle3::{ROPE_FACTORS, canonical};
pub(crate) use import::{GgufWeights, locate};

pub use file::GgufFile;
pub use types::ValueType;
pub use value::{Array, Value};
pub use write::{Header, Metadata, Outline};

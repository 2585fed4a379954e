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

pub(crate) use eagle3::own::CONVERSION;
pub(crate) use eagle3::{EMBEDDING, ROPE_FACTORS, canonical, interleaved, stored_name};
pub(crate) use export::{metadata, unsayable};
pub(crate) use import::{GgufWeights, locate};
pub(crate) use rotary::llama3_divisors as divisors;
pub(crate) use tokenizer::add as add_tokenizer;

pub use file::GgufFile;
pub use types::ValueType;
pub use value::{Array, Value};
pub use write::{Header, Metadata, Outline};

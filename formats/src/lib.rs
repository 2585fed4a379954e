//! What lies on disk: configs, safetensors, layouts, conversion and validation of speculative-decoding heads.
//!
//! Nothing here knows a network, a terminal, a machine-learning framework or a GPU. Trouble is reported as
//! [`Diagnostic`]s, which carry a code, a place, the numbers and the remedy; who shows them is not decided here.

pub mod amend;
pub mod block;
pub mod checkpoint;
pub mod codes;
pub mod config;
pub mod convert;
pub mod decision;
pub mod diagnostic;
pub mod diff;
pub mod digest;
mod dtype;
pub mod eagle;
pub mod expected;
mod file;
pub mod gguf;
pub mod head;
pub mod header;
pub mod index;
pub mod init;
pub mod inspect;
mod json;
mod locate;
pub mod mtp;
pub mod options;
pub mod pickle;
pub mod rope;
pub mod scan;
pub mod speculator;
mod subject;
#[cfg(test)]
mod testing;
pub mod validate;
pub mod verifier;
pub mod vocabulary;
mod weights;

pub use block::{BlockDescription, BlockHead};
pub use checkpoint::{Checkpoint, TensorView};
pub use config::ConfigFile;
pub use decision::Decision;
pub use diagnostic::{Diagnostic, Level, Place};
pub use head::{Head, HeadDescription, Layout};
pub use options::{AuxConvention, BlockAnchor, MapEntries, ReadOptions};
pub use rope::{Rope, RopeScaling};
pub use speculator::{Algorithm, Description, Speculator};
pub use verifier::VerifierConfig;
pub use vocabulary::VocabularyMap;

/// Outcome of anything that reads or writes a checkpoint: a value, or every problem found.
pub type Result<T, E = Vec<Diagnostic>> = std::result::Result<T, E>;

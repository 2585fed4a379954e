//! Buffers and arithmetic for decoding with speculation: one small set of operations, each of which exists as a
//! plain [`reference`](mod@reference) and as a fast version for this machine in [`cpu`]. Both have the same
//! signatures.
//!
//! Activations are row-major `&[f32]` slices whose values are rounded to the model's dtype after each operation
//! ([`Rounding`]); weights keep the dtype of the checkpoint ([`WeightType`]). Sums are accumulated in `f32`.
//!
//! The rule everything here keeps: **a row does not know its neighbours**. The bits of an output row depend on the
//! inputs of that row alone, not on how many rows are computed with it, nor on the number of threads. Verifying a
//! draft of sixty tokens therefore gives, for each of them, exactly what decoding one by one would have given.

#![warn(missing_docs)]
// Formulas run over several arrays at once; an index says that more plainly than three zipped iterators.
#![allow(clippy::needless_range_loop)]

pub mod cpu;
pub mod memory;
pub mod reference;

mod activation;
mod chance;
mod draft_tree;
mod draft_vocabulary;
mod embedding_table;
mod error;
mod isa;
mod kv_cache;
mod lanes;
mod lossy;
mod math;
mod matrix;
mod numbers;
mod penalties;
mod philox;
mod proposal;
mod rope_table;
mod rows;
mod sampling;
mod shape;
mod tree_mask;

pub use activation::Activation;
pub use chance::{Chance, Draws, Event, Purpose};
pub use draft_tree::{Accepted, DraftTree, VerifyTree};
pub use draft_vocabulary::DraftVocabulary;
pub use embedding_table::EmbeddingTable;
pub use error::{Error, Result};
pub use isa::Isa;
pub use kv_cache::KvCache;
pub use lossy::{LossyAccepted, LossyThresholds, LossyTypical};
pub use matrix::{Matrix, PANEL};
pub use numbers::{Rounding, WeightType};
pub use penalties::{Occurrence, Penalties};
pub use philox::philox4x32;
pub use proposal::{Probability, Proposal};
pub use rope_table::RopeTable;
pub use sampling::Sampling;
pub use tree_mask::{TreeMask, causal_bits};

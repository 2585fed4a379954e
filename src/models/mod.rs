//! Models: the verifier, and the EAGLE-3 head that drafts for it.
//!
//! Both are built from the same blocks and computed by [`speculators_kernels`]. Activations are `f32` slices whose
//! values are rounded to the model's number format wherever PyTorch stores a tensor, so that greedy decoding takes
//! the same decisions as a serving engine; a row's bits never depend on the rows beside it.

mod attention;
mod cache;
mod choice;
mod head;
mod layer;
mod mlp;
mod precision;
mod rotary;
mod scratch;
mod verifier;
mod weights;

pub use cache::Cache;
pub(crate) use choice::choose;
pub use choice::{Choice, bfloat16_step, near_tie};
pub use head::{DraftHead, HeadPass};
pub use precision::Precision;
pub use verifier::{Verifier, VerifierPass};

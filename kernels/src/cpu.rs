//! Every operation as fast as this processor allows, with the signatures of [`reference`](mod@crate::reference).
//!
//! The instruction set is chosen when an operation is called ([`features`]). Work is spread over rayon's current
//! pool, one parallel region per operation; call from inside the pool (`rayon::ThreadPool::install`, or
//! `rayon::scope`) to save waking it for each.

mod accept;
mod block_verify;
mod chain_reject;
mod draw;
mod embed;
mod kv_compact;
mod linear;
mod log_sum_exp;
mod lossy_thresholds;
mod lossy_typical;
mod penalize;
mod probabilities;
mod rms_norm;
mod rope;
mod sample;
mod swiglu;
mod top_k;
mod tree_attention;
mod tree_finalize;
mod tree_residual;
mod tree_step;

pub use crate::isa::{features, with_isa};
pub use accept::accept;
pub use block_verify::block_verify;
pub use chain_reject::chain_reject;
pub use draw::draw;
pub use embed::embed;
pub use kv_compact::kv_compact;
pub use linear::linear;
pub use log_sum_exp::log_sum_exp;
pub use lossy_thresholds::lossy_thresholds;
pub use lossy_typical::lossy_typical;
pub use penalize::penalize;
pub use probabilities::probabilities;
pub use rms_norm::{add_rms_norm, rms_norm};
pub use rope::rope;
pub use sample::sample;
pub use swiglu::swiglu;
pub use top_k::top_k;
pub use tree_attention::tree_attention;
pub use tree_finalize::tree_finalize;
pub use tree_residual::tree_residual;
pub use tree_step::tree_step;

//! Every operation in its plainest form: sequential, readable, and what the fast versions are checked against.
//!
//! Where order matters to the last bit, sums are accumulated in `f64` here, so that a comparison shows the error of
//! the fast version alone.

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

pub(crate) use linear::check as check_linear;
pub(crate) use probabilities::check as check_probabilities;
pub(crate) use rms_norm::{check as check_rms_norm, check_add as check_add_rms_norm};
pub(crate) use rope::check as check_rope;
pub(crate) use sample::check as check_sample;
pub(crate) use swiglu::check as check_swiglu;
pub(crate) use top_k::check as check_top_k;
pub(crate) use tree_attention::{Attention, check as check_tree_attention};

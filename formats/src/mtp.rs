//! MTP heads: the layer a verifier predicts its next but one token with, inside the verifier or taken out of it.
//!
//! Qwen3-Next and Qwen3.5 come with such a layer under `mtp.*`. The speculators layout keeps it apart from the verifier
//! as `mtp_layers.0.*`, where it can be trained further; [`stitch`] puts it back. Embedding and output matrix are the
//! verifier's in both, and are never part of the head.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::Result;
use crate::checkpoint::{Checkpoint, TensorView};
use crate::decision::Decision;
use crate::head::{Dropped, Layout};
use crate::options::ReadOptions;
use crate::rope::{Rope, RopeAxes};
use crate::verifier::{FloatType, HiddenAct, VerifierFacts};

mod decoder;
mod describe;
pub(crate) mod judge;
mod names;
mod recognize;
pub mod stitch;
mod tensors;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub(crate) use recognize::present;

/// The decoder family an MTP layer is of (`model_type` of its decoder).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum MtpFamily {
    /// Dense Qwen 3.
    #[serde(rename = "qwen3")]
    Qwen3,
    /// Qwen3-Next: gated attention, mixture of experts.
    #[serde(rename = "qwen3_next")]
    Qwen3Next,
    /// Dense Qwen 3.5: gated attention.
    #[serde(rename = "qwen3_5_text")]
    Qwen35,
    /// Qwen 3.5 with a mixture of experts.
    #[serde(rename = "qwen3_5_moe_text")]
    Qwen35Moe,
}

impl MtpFamily {
    /// All of them.
    pub const ALL: [MtpFamily; 4] = [
        MtpFamily::Qwen3,
        MtpFamily::Qwen3Next,
        MtpFamily::Qwen35,
        MtpFamily::Qwen35Moe,
    ];

    /// The value of `model_type`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            MtpFamily::Qwen3 => "qwen3",
            MtpFamily::Qwen3Next => "qwen3_next",
            MtpFamily::Qwen35 => "qwen3_5_text",
            MtpFamily::Qwen35Moe => "qwen3_5_moe_text",
        }
    }
}

impl std::fmt::Display for MtpFamily {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What a stored norm weight `w` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NormGain {
    /// The gain is `w`; it starts at one.
    Weight,
    /// The gain is `1 + w`; it starts at zero.
    OnePlusWeight,
}

/// The feed-forward part of the layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum MtpMlp {
    /// One gated MLP.
    Dense {
        /// Its width.
        intermediate_size: usize,
    },
    /// Routed experts beside one that every token passes.
    Moe {
        /// Routed experts.
        num_experts: usize,
        /// Experts a token is sent to.
        num_experts_per_tok: usize,
        /// Width of a routed expert.
        moe_intermediate_size: usize,
        /// Width of the shared expert.
        shared_expert_intermediate_size: usize,
        /// The weights of the chosen experts are scaled to sum to one.
        norm_topk_prob: bool,
    },
}

/// An MTP head, independent of layout.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MtpDescription {
    /// Decoder family.
    pub model_type: MtpFamily,
    /// Width, the verifier's.
    pub hidden_size: usize,
    /// Vocabulary, the verifier's.
    pub vocab_size: usize,
    /// Decoder layers of the verifier; the head reads the state after the last.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads.
    pub num_key_value_heads: usize,
    /// Channels per head.
    pub head_dim: usize,
    /// `q_proj` gives a gate beside each query, and so has twice as many rows.
    pub gated_attention: bool,
    /// q, k, v and o carry biases.
    pub attention_bias: bool,
    /// Feed-forward part.
    pub mlp: MtpMlp,
    /// Gate activation.
    pub hidden_act: HiddenAct,
    /// Norm epsilon.
    pub rms_norm_eps: f64,
    /// What norm weights mean.
    pub norm_gain: NormGain,
    /// Rotary embedding.
    pub rope: Rope,
    /// Axes of positions, where the verifier reads more than text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rope_axes: Option<RopeAxes>,
    /// Longest position the config allows.
    pub max_position_embeddings: usize,
    /// Prediction layers; there is one, and each further token runs it again.
    pub num_nextn_predict_layers: usize,
    /// Storage dtype of the floating-point tensors.
    pub dtype: FloatType,
    /// Draft tokens per step the checkpoint asks for.
    pub speculative_tokens: usize,
}

/// How a checkpoint stores the experts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExpertStorage {
    /// Two tensors of three dimensions for all: `experts.gate_up_proj` and `experts.down_proj`.
    Fused,
    /// Three matrices for each: `experts.{i}.gate_proj.weight`, `up_proj` and `down_proj`.
    Split,
}

/// An MTP head opened from disk: description, where each canonical tensor lies, and what had to be decided.
#[derive(Debug)]
pub struct MtpHead {
    /// The files: of the head, or of the verifier it lies in.
    pub checkpoint: Checkpoint,
    /// [`Layout::Speculators`] or [`Layout::NativeMtp`].
    pub layout: Layout,
    /// Canonical description.
    pub description: MtpDescription,
    /// Canonical (speculators) tensor name → name in the checkpoint. Experts that are stored one by one are listed one by
    /// one, as `mtp_layers.0.mlp.experts.{i}.gate_proj.weight`; [`MtpHead::parts`] joins them.
    pub tensors: BTreeMap<String, String>,
    /// How experts are stored; `None` for a dense layer.
    pub experts: Option<ExpertStorage>,
    /// What stands before `mtp.` in the names of a verifier; empty in all that runtimes load.
    pub prefix: String,
    /// What was resolved, with reasons.
    pub decisions: Vec<Decision>,
    /// Source tensors of the head that are left out, with reasons. The verifier's own are not listed.
    pub dropped: Vec<Dropped>,
}

impl MtpHead {
    /// Opens a head in the speculators layout, or the one inside a verifier.
    ///
    /// Closed in both directions, as [`crate::Head::open`] is: each tensor of the head is in [`MtpHead::tensors`] or in
    /// [`MtpHead::dropped`], and each tensor the description asks for is there, in the shape it asks for.
    ///
    /// # Errors
    /// Every problem found in one run: S1xx for the files, S110 for MTP layers of another kind, by name, S2xx for tensors,
    /// S4xx for contradictions and for more than one layer; S411 for each guess under `options.strict`.
    pub fn open(dir: &Path, options: &ReadOptions) -> Result<MtpHead> {
        MtpHead::resolve(Checkpoint::open(dir)?, None, options)
    }

    /// Resolves a checkpoint that is open already, against the numbers of a verifier where there is one.
    pub(crate) fn resolve(
        checkpoint: Checkpoint,
        verifier: Option<&VerifierFacts>,
        options: &ReadOptions,
    ) -> Result<MtpHead> {
        let recognized = recognize::recognize(&checkpoint)?;
        let (description, decisions) =
            describe::resolve(&checkpoint, &recognized, verifier, options)?;
        Ok(MtpHead {
            layout: recognized.layout,
            experts: recognized.experts(),
            description,
            tensors: recognized.names,
            prefix: recognized.prefix,
            decisions,
            dropped: recognized.dropped,
            checkpoint,
        })
    }

    /// A tensor by its canonical name, wherever the source keeps it; nothing for fused experts that are stored one by one.
    #[must_use]
    pub fn tensor(&self, canonical: &str) -> Option<TensorView<'_>> {
        self.checkpoint.tensor(self.tensors.get(canonical)?)
    }

    /// The tensors that make up a canonical one, in order: itself, or the matrices of each expert.
    #[must_use]
    pub fn parts(&self, canonical: &str) -> Vec<TensorView<'_>> {
        if let Some(view) = self.tensor(canonical) {
            return vec![view];
        }
        let MtpMlp::Moe { num_experts, .. } = self.description.mlp else {
            return Vec::new();
        };
        let split = names::split_experts(canonical, num_experts);
        split.iter().filter_map(|name| self.tensor(name)).collect()
    }
}

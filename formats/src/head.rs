//! The one description of a speculator head, whatever layout it came from, and the opening of a head from disk.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::checkpoint::Checkpoint;
pub use crate::decision::Decision;
use crate::rope::{Rope, RopeAxes};
use crate::speculator::Algorithm;
use crate::verifier::{FloatType, HiddenAct};
use crate::vocabulary::VocabularyMap;

mod aux_layers;
mod decoder;
mod describe;
mod expect;
mod flags;
mod kinds;
mod layout;
mod open;
mod quantized;
mod resolver;
mod sizes;
#[cfg(test)]
mod tests;

pub(crate) use aux_layers::{default_layers, shift};
pub use layout::Dropped;
pub(crate) use layout::{Origin, Recognized, bare_name, droppable, speculators_names};
pub(crate) use resolver::Resolver;

/// A checkpoint layout, recognized by tensor names and shapes first and config second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// What the Python package `speculators` writes and vLLM serves.
    Speculators,
    /// The original EAGLE-3 release: `midlayer.*`.
    SafeAiLab,
    /// SpecForge and what it exports: `midlayer.*`, explicit `head_dim`, `eagle_config`, two RoPE spellings.
    SpecForge,
    /// EAGLE-1, EAGLE-2 and HASS: a Llama layer and `fc` over embedding and state.
    Eagle,
    /// The block drafters of z-lab, SpecForge and ModelOpt.
    ZLab,
    /// A prediction layer inside its verifier: `mtp.*`.
    NativeMtp,
    /// One file for llama.cpp.
    Gguf,
}

impl std::fmt::Display for Layout {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Layout::Speculators => "speculators",
            Layout::SafeAiLab => "safeailab",
            Layout::SpecForge => "specforge",
            Layout::Eagle => "eagle",
            Layout::ZLab => "zlab",
            Layout::NativeMtp => "nativemtp",
            Layout::Gguf => "gguf",
        })
    }
}

/// The kind of decoder layer in the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DraftLayer {
    /// Llama layer.
    Llama,
    /// Qwen 3 layer: q and k normalized per head.
    Qwen3,
}

/// An EAGLE-3 or P-EAGLE head, independent of layout.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeadDescription {
    /// [`Algorithm::Eagle3`], or [`Algorithm::PEagle`] with a learned state (`mask_hidden`) for tokens not drafted yet.
    pub algorithm: Algorithm,
    /// Token that stands for one not drafted yet (`mask_token_id`); P-EAGLE only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask_token_id: Option<usize>,
    /// Layer kind.
    pub draft_layer: DraftLayer,
    /// Draft decoder layers.
    pub num_hidden_layers: usize,
    /// Width of the draft.
    pub hidden_size: usize,
    /// Width of one verifier layer (`target_hidden_size`).
    pub target_hidden_size: usize,
    /// MLP width.
    pub intermediate_size: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads.
    pub num_key_value_heads: usize,
    /// Channels per head, always explicit.
    pub head_dim: usize,
    /// Verifier vocabulary.
    pub vocab_size: usize,
    /// Rows of `lm_head`; equal to `vocab_size` when nothing is reduced.
    pub draft_vocab_size: usize,
    /// Norm epsilon.
    pub rms_norm_eps: f64,
    /// Rotary embedding.
    pub rope: Rope,
    /// How its channels are shared out between the axes of positions, for a multimodal verifier (EAGLE-3 only). Text has
    /// the same position on all of them, so that they change nothing for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rope_axes: Option<RopeAxes>,
    /// Longest position the config allows.
    pub max_position_embeddings: usize,
    /// Gate activation.
    pub hidden_act: HiddenAct,
    /// q, k, v and o carry biases (Llama and Qwen 3 convention of transformers).
    pub attention_bias: bool,
    /// MLP projections carry biases.
    pub mlp_bias: bool,
    /// `fc` carries a bias.
    pub fc_bias: bool,
    /// Per draft layer: attention window in tokens, or full attention.
    pub sliding_window: Vec<Option<usize>>,
    /// Verifier layers the head reads, counted as "after k layers have run", ascending; empty only before a verifier is known.
    pub aux_layer_ids: Vec<usize>,
    /// The residual of the first layer is the normalized fc output.
    pub norm_before_residual: bool,
    /// One RMS norm over the concatenated auxiliary states before `fc` (`input_norm.weight`).
    pub norm_before_fc: bool,
    /// One RMS norm per auxiliary state before `fc` (`fc_norm.{i}.weight`).
    pub fc_norm: bool,
    /// The normalized output is fed to the next draft step.
    pub norm_output: bool,
    /// The checkpoint carries its own `embed_tokens.weight`.
    pub own_embeddings: bool,
    /// Storage dtype of the floating-point tensors.
    pub dtype: FloatType,
    /// Draft tokens per step the checkpoint asks for.
    pub speculative_tokens: usize,
}

/// A head opened from disk: description, where each canonical tensor lies, and what had to be decided.
#[derive(Debug)]
pub struct Head {
    /// The files.
    pub checkpoint: Checkpoint,
    /// Recognized layout.
    pub layout: Layout,
    /// Canonical description.
    pub description: HeadDescription,
    /// Canonical (speculators) tensor name → name in the checkpoint.
    pub tensors: BTreeMap<String, String>,
    /// What was resolved, with reasons.
    pub decisions: Vec<Decision>,
    /// Source tensors that are left out, with reasons.
    pub dropped: Vec<Dropped>,
    /// `lm_head` has a row for each verifier token, of which only those in the vocabulary map are meant.
    pub(crate) slices_lm_head: bool,
    map: Option<VocabularyMap>,
}

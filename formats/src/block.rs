//! The block drafters DFlash, DFlash2, DSpark and XPress: decoder layers that fill a block of masked tokens in one pass,
//! reading the verifier's states as context; what each adds to that is in [`Drafter`].

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;

use crate::checkpoint::{Checkpoint, TensorView};
use crate::decision::Decision;
use crate::head::{Dropped, Layout};
use crate::rope::Rope;
use crate::speculator::Algorithm;
use crate::verifier::{FloatType, HiddenAct};
use crate::vocabulary::VocabularyMap;

mod aux_layers;
mod describe;
mod drafter;
mod expect;
mod layout;
mod open;
#[cfg(test)]
pub(crate) mod tests;
mod windows;

/// A block drafter, independent of layout.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BlockDescription {
    /// What it adds to a plain block drafter.
    #[serde(flatten)]
    pub drafter: Drafter,
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
    /// Tokens the head can propose; equal to `vocab_size` when nothing is reduced.
    pub draft_vocab_size: usize,
    /// Norm epsilon.
    pub rms_norm_eps: f64,
    /// Rotary embedding.
    pub rope: Rope,
    /// Longest position the config allows.
    pub max_position_embeddings: usize,
    /// Gate activation.
    pub hidden_act: HiddenAct,
    /// q, k, v and o carry biases.
    pub attention_bias: bool,
    /// Per draft layer: attention window in tokens, or full attention.
    pub sliding_window: Vec<Option<usize>>,
    /// Layers with a window see the whole block, as layers without one always do; otherwise no later position of it.
    pub sliding_window_non_causal: bool,
    /// Positions of a block.
    pub block_size: usize,
    /// The first position of a block predicts a token, too; otherwise it holds the last token that is known.
    pub sample_from_anchor: bool,
    /// Token that fills the positions to be predicted; a head without one cannot draft.
    pub mask_token_id: Option<usize>,
    /// Verifier layers the head reads, counted as "after k layers have run", ascending.
    pub aux_layer_ids: Vec<usize>,
    /// The checkpoint carries its own `embed_tokens.weight`.
    pub own_embeddings: bool,
    /// The checkpoint carries its own `lm_head.weight`; otherwise the verifier's is used.
    pub own_lm_head: bool,
    /// Storage dtype of the floating-point tensors.
    pub dtype: FloatType,
    /// Draft tokens per step the checkpoint asks for.
    pub speculative_tokens: usize,
}

/// What a block drafter has beside its decoder layers.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "algorithm", rename_all = "lowercase")]
pub enum Drafter {
    /// Nothing.
    DFlash,
    /// Convolutions around attention and MLP, and a selector that reranks the best candidates of each position.
    DFlash2 {
        /// Positions a convolution sees, its own included.
        conv_kernel_size: usize,
        /// Channels that share a kernel.
        conv_group_size: usize,
        /// Rank of the selector.
        selector_rank: usize,
        /// Candidates it chooses from.
        selector_top_k: usize,
    },
    /// A bias from the previous token, and a head that foretells acceptance.
    DSpark {
        /// Rank of the bias; 0 is none.
        markov_rank: usize,
        /// How the bias depends on the state.
        markov_head_type: MarkovHead,
        /// The head that foretells acceptance.
        enable_confidence_head: bool,
        /// It reads the embedding of the previous token, too.
        confidence_head_with_markov: bool,
    },
    /// A low-rank refiner that resolves the block in parallel passes.
    XPress {
        /// Rank of the refiner.
        xpress_rank: usize,
        /// Width of its MLP over its rank.
        xpress_mlp_ratio: usize,
        /// Passes at inference.
        num_jacobi_passes: usize,
    },
}

/// How the bias of DSpark is formed from the previous token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MarkovHead {
    /// From it alone.
    Vanilla,
    /// Gated by the state.
    Gated,
    /// Through a recurrent state over the block.
    Rnn,
}

impl MarkovHead {
    /// The value of `markov_head_type`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            MarkovHead::Vanilla => "vanilla",
            MarkovHead::Gated => "gated",
            MarkovHead::Rnn => "rnn",
        }
    }
}

impl BlockDescription {
    /// How it drafts.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match self.drafter {
            Drafter::DFlash => Algorithm::DFlash,
            Drafter::DFlash2 { .. } => Algorithm::DFlash2,
            Drafter::DSpark { .. } => Algorithm::DSpark,
            Drafter::XPress { .. } => Algorithm::XPress,
        }
    }

    /// Draft tokens a block holds.
    #[must_use]
    pub fn tokens_per_block(&self) -> usize {
        tokens_per_block(self.block_size, self.sample_from_anchor)
    }
}

/// Draft tokens a block holds.
fn tokens_per_block(block_size: usize, sample_from_anchor: bool) -> usize {
    if sample_from_anchor {
        block_size
    } else {
        block_size.saturating_sub(1)
    }
}

/// A block drafter opened from disk: description, where each canonical tensor lies, and what had to be decided.
#[derive(Debug)]
pub struct BlockHead {
    /// The files.
    pub checkpoint: Checkpoint,
    /// Recognized layout.
    pub layout: Layout,
    /// Canonical description.
    pub description: BlockDescription,
    /// Canonical (speculators) tensor name → name in the checkpoint. Parts of a fused tensor share its name.
    pub tensors: BTreeMap<String, String>,
    /// What was resolved, with reasons.
    pub decisions: Vec<Decision>,
    /// Source tensors that are left out, with reasons.
    pub dropped: Vec<Dropped>,
    /// Canonical tensors that are rows of a fused one.
    slices: BTreeMap<String, Slice>,
    map: Option<VocabularyMap>,
}

/// Rows of a fused tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slice {
    /// Shape of these rows.
    pub shape: Vec<usize>,
    /// Where their bytes lie in the tensor.
    pub bytes: Range<usize>,
}

impl BlockHead {
    /// A tensor by its canonical name, wherever the source keeps it.
    ///
    /// `d2t` and `t2d` come as they are stored; [`BlockHead::vocabulary_map`] has what they mean.
    #[must_use]
    pub fn tensor(&self, canonical: &str) -> Option<TensorView<'_>> {
        open::find(&self.checkpoint, &self.tensors, &self.slices, canonical)
    }

    /// The rows that a canonical tensor is of a fused one; `None` where it is a tensor of its own.
    pub(crate) fn slice(&self, canonical: &str) -> Option<&Slice> {
        self.slices.get(canonical)
    }

    /// Which verifier token each draft token stands for; `None` when the vocabulary is not reduced.
    #[must_use]
    pub fn vocabulary_map(&self) -> Option<&VocabularyMap> {
        self.map.as_ref()
    }
}

//! What a caller may say about a head that its files do not say, or say wrongly.

/// How a list of auxiliary layer ids counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuxConvention {
    /// Id `k` is the input of layer `k`: the state after `k` layers. The convention of speculators and vLLM.
    Input,
    /// Id `i` is the output of layer `i`: the state after `i + 1` layers. The convention of SGLang and most trainers.
    Output,
}

/// What stands in the first position of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockAnchor {
    /// A token that is known already: a block of B gives B - 1 draft tokens.
    Known,
    /// The first token that is predicted: a block of B gives B draft tokens (`sample_from_anchor`).
    Predicted,
}

/// Which rotary embedding a head was trained with, if not the one its config states.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RopeOverride {
    /// The config's, with another base.
    Theta(f64),
    /// The verifier's.
    Verifier,
    /// Base 10000 without scaling: what trainers use that never read the keys, whatever their export writes.
    Plain,
}

/// Overrides and attitude for [`crate::Head::open`]. What is `None` is read from the files.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// Auxiliary layers, counted by `aux_convention`, or as [`AuxConvention::Input`] where that is `None`.
    pub aux_layers: Option<Vec<usize>>,
    /// Convention of the ids in the config, or of `aux_layers` where those are given.
    pub aux_convention: Option<AuxConvention>,
    /// The residual of the first layer is the normalized fc output.
    pub norm_before_residual: Option<bool>,
    /// One norm over the concatenated auxiliary states before `fc`.
    pub norm_before_fc: Option<bool>,
    /// One norm per auxiliary state before `fc`.
    pub fc_norm: Option<bool>,
    /// The normalized output is fed to the next draft step.
    pub norm_output: Option<bool>,
    /// The rotary embedding, where the config is not believed.
    pub rope: Option<RopeOverride>,
    /// Channels per head.
    pub head_dim: Option<usize>,
    /// What stands in the first position of a block; block drafters only.
    pub dflash_anchor: Option<BlockAnchor>,
    /// Token that stands for one not drafted yet, in parallel and block drafters.
    pub mask_token_id: Option<usize>,
    /// `lm_head` may have a row for each verifier token; those of the vocabulary map are taken.
    pub slice_lm_head: bool,
    /// Turns every guess into an error (S411).
    pub strict: bool,
}

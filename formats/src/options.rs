//! What a caller may say about a head that its files do not say, or say wrongly.

use crate::speculator::Algorithm;

/// How a list of auxiliary layer ids counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuxConvention {
    /// Id `k` is the input of layer `k`: the state after `k` layers. The convention of speculators and vLLM.
    Input,
    /// Id `i` is the output of layer `i`: the state after `i + 1` layers. The convention of SGLang and most trainers.
    Output,
}

/// What the entries of `d2t` are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MapEntries {
    /// What is to be added to a draft token to get its verifier token.
    Offsets,
    /// The verifier token itself.
    Absolute,
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
    /// What `d2t` holds, where its layout and the numbers in it are not believed.
    pub map_entries: Option<MapEntries>,
    /// `lm_head` may have a row for each verifier token; those of the vocabulary map are taken.
    pub slice_lm_head: bool,
    /// Turns every guess into an error (S411).
    pub strict: bool,
}

impl ReadOptions {
    /// What was given and says nothing about heads of a kind, as options of a command line.
    ///
    /// A rotary embedding for an MTP layer is not among them: opening one refuses it.
    pub(crate) fn without_meaning(&self, algorithm: Algorithm) -> Vec<&'static str> {
        use Algorithm::{Eagle, Eagle3, Mtp, PEagle};
        let eagle3 = matches!(algorithm, Eagle3 | PEagle);
        let block = !matches!(algorithm, Eagle | Eagle3 | PEagle | Mtp);
        let parallel = block || algorithm == PEagle;
        let auxiliary = block || eagle3;
        let options = [
            ("--aux-layers", self.aux_layers.is_some(), auxiliary),
            ("--aux-convention", self.aux_convention.is_some(), auxiliary),
            (
                "--norm-before-residual",
                self.norm_before_residual.is_some(),
                eagle3,
            ),
            ("--norm-before-fc", self.norm_before_fc.is_some(), eagle3),
            ("--fc-norm", self.fc_norm.is_some(), eagle3),
            ("--norm-output", self.norm_output.is_some(), eagle3),
            ("--head-dim", self.head_dim.is_some(), algorithm != Mtp),
            ("--dflash-anchor", self.dflash_anchor.is_some(), block),
            ("--mask-token-id", self.mask_token_id.is_some(), parallel),
            ("--d2t", self.map_entries.is_some(), auxiliary),
            ("--lm-head slice-to-draft", self.slice_lm_head, eagle3),
        ];
        let idle = options.into_iter().filter(|(_, given, has)| *given && !has);
        idle.map(|(option, ..)| option).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_option_says_something_about_some_kind_and_nothing_about_others() {
        let everything = ReadOptions {
            aux_layers: Some(vec![1]),
            aux_convention: Some(AuxConvention::Input),
            norm_before_residual: Some(true),
            norm_before_fc: Some(true),
            fc_norm: Some(true),
            norm_output: Some(true),
            rope: Some(RopeOverride::Plain),
            head_dim: Some(64),
            dflash_anchor: Some(BlockAnchor::Known),
            mask_token_id: Some(3),
            map_entries: Some(MapEntries::Absolute),
            slice_lm_head: true,
            strict: false,
        };
        let idle = Algorithm::ALL.map(|kind| everything.without_meaning(kind));
        let counts = idle.map(|options| options.len());
        assert_eq!(counts, [10, 2, 1, 5, 5, 5, 5, 11]);
        let nothing = ReadOptions::default();
        assert!(
            Algorithm::ALL
                .into_iter()
                .all(|kind| nothing.without_meaning(kind).is_empty())
        );
    }
}

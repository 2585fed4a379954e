//! One way of reading what a head's metadata leaves open.

use serde::Serialize;
use speculators_formats::{HeadDescription, MapEntries, Rope};

/// The answers to all questions at once. Whatever else a head's description says, its tensors show.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reading {
    /// Verifier layers that `fc` reads, counted as layers that have run.
    pub aux_layer_ids: Vec<usize>,
    /// The residual of the first layer is the normalized fc output.
    pub norm_before_residual: bool,
    /// The normalized output is what the next draft step takes; else the plain one.
    pub norm_output: bool,
    /// One norm over the concatenated states before `fc`.
    pub norm_before_fc: bool,
    /// One norm per state before `fc`.
    pub fc_norm: bool,
    /// Rotary embedding.
    pub rope: Rope,
    /// What `d2t` holds; nothing where the vocabulary is not reduced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map_entries: Option<MapEntries>,
}

impl Reading {
    /// How a description reads them.
    #[must_use]
    pub fn of(description: &HeadDescription, map_entries: Option<MapEntries>) -> Reading {
        Reading {
            aux_layer_ids: description.aux_layer_ids.clone(),
            norm_before_residual: description.norm_before_residual,
            norm_output: description.norm_output,
            norm_before_fc: description.norm_before_fc,
            fc_norm: description.fc_norm,
            rope: description.rope.clone(),
            map_entries,
        }
    }

    /// A description with these answers in the place of its own.
    #[must_use]
    pub(crate) fn describe(&self, description: &HeadDescription) -> HeadDescription {
        HeadDescription {
            aux_layer_ids: self.aux_layer_ids.clone(),
            norm_before_residual: self.norm_before_residual,
            norm_output: self.norm_output,
            norm_before_fc: self.norm_before_fc,
            fc_norm: self.fc_norm,
            rope: self.rope.clone(),
            ..description.clone()
        }
    }
}

//! Which states of the verifier a block drafter reads, in the convention of [`crate::head`]: the state after k layers.
//!
//! The speculators layout counts so. z-lab and everybody after it write the index of the layer whose output it is, one less;
//! vLLM and SGLang read those lists that way, whoever wrote them.

use crate::codes;
use crate::convert::provenance;
use crate::decision::Decision;
use crate::diagnostic::Diagnostic;
use crate::head::{Resolver, shift};
use crate::options::AuxConvention;

const KEY: &str = "aux_hidden_state_layer_ids";

/// Where foreign configs keep the list.
const FOREIGN: [&str; 3] = [
    "dflash_config.target_layer_ids",
    "dspark_target_layer_ids",
    "target_layer_ids",
];

impl Resolver<'_> {
    /// The ids, ascending; empty after a problem.
    pub(super) fn block_aux_layers(
        &mut self,
        fc_inputs: Option<usize>,
        target_hidden_size: usize,
        draft_layers: usize,
    ) -> Vec<usize> {
        let written = if self.foreign() {
            FOREIGN
                .into_iter()
                .find(|key| self.root.get(key).is_some())
                .unwrap_or(FOREIGN[0])
        } else {
            KEY
        };
        let ids = match self.options.aux_layers.clone() {
            Some(given) => {
                let convention = self.options.aux_convention.unwrap_or(AuxConvention::Input);
                let ids = shift(&given, convention);
                self.decide(&ids, "given by the caller", false);
                ids
            }
            None => match self.listed(written) {
                Some(ids) => ids,
                None => self.spread(written, draft_layers).unwrap_or_default(),
            },
        };
        if ids.is_empty() {
            return ids;
        }
        let place = self.root.place(written);
        self.settle_aux_layers(ids, KEY, place, fc_inputs, target_hidden_size)
    }

    /// Ids that are written down.
    fn listed(&mut self, key: &str) -> Option<Vec<usize>> {
        let ids = self.root.usize_list(key);
        let ids = self.keep(ids).flatten().filter(|ids| !ids.is_empty())?;
        if let Some(convention) = self.options.aux_convention {
            let ids = shift(&ids, convention);
            self.decide(&ids, "the convention was given by the caller", false);
            return Some(ids);
        }
        if !self.foreign() {
            return Some(ids);
        }
        let layers = self.verifier.map(|verifier| verifier.num_hidden_layers);
        if let (Some(layers), Some(last)) = (
            layers,
            ids.iter().max().filter(|last| layers == Some(**last)),
        ) {
            let ids = ids.clone();
            let reason = format!(
                "`{key}` has {last}, and the verifier has {layers} layers: as outputs counted from 0 there is no such layer"
            );
            self.decide(&ids, &reason, true);
            return Some(ids);
        }
        let outputs = shift(&ids, AuxConvention::Output);
        if self.recorded_states() == Some(outputs.clone()) {
            let reason =
                "the converter that wrote the checkpoint recorded them as layers that have run";
            self.decide(&outputs, reason, false);
            return Some(outputs);
        }
        if layers.is_some() && outputs.last().copied() == layers {
            // transformers, where z-lab and ModelOpt train, hands out that state after the final norm.
            let reason = format!(
                "`{key}` lists {ids:?}, outputs of layers from 0; the last is the verifier's last layer, whose output vLLM and SGLang pass on before the final norm, and transformers after it"
            );
            self.decide(&outputs, &reason, true);
            return Some(outputs);
        }
        let reason = format!("`{key}` lists {ids:?}, outputs of layers from 0");
        self.decide(&outputs, &reason, false);
        Some(outputs)
    }

    /// Ids that the converter which wrote a foreign layout recorded.
    fn recorded_states(&self) -> Option<Vec<usize>> {
        let recorded = self.recorded(provenance::AUX_LAYERS)?.as_array()?;
        recorded
            .iter()
            .map(|id| usize::try_from(id.as_u64()?).ok())
            .collect()
    }

    /// The layers that trainers of block drafters spread over the verifier when none are named.
    fn spread(&mut self, key: &str, draft_layers: usize) -> Option<Vec<usize>> {
        let missing = Diagnostic::error(
            codes::AUX_LAYERS_MISSING,
            format!("`{key}` is missing, and it says which verifier layers the head reads"),
        )
        .at(self.root.file().place_of(key));
        if !self.foreign() {
            let missing =
                missing.note("neither vLLM nor the Python package loads a head without it");
            self.problems.push(missing);
            return None;
        }
        let counted = self.root.usize("num_target_layers");
        let counted = self.keep(counted).flatten();
        let layers = counted.or(self.verifier.map(|verifier| verifier.num_hidden_layers));
        let Some(outputs) = layers.and_then(|layers| spread(layers, draft_layers)) else {
            self.problems
                .push(missing.help("name the layers the head was trained on"));
            return None;
        };
        let ids = shift(&outputs, AuxConvention::Output);
        let reason = format!(
            "the config names no layers; z-lab and SpecForge spread as many as the draft has layers over {} then",
            layers.unwrap_or_default()
        );
        self.decide(&ids, &reason, true);
        Some(ids)
    }

    fn decide(&mut self, ids: &[usize], reason: &str, guess: bool) {
        self.decisions.push(Decision {
            subject: KEY.to_owned(),
            value: format!("{ids:?}"),
            reason: reason.to_owned(),
            guess,
        });
    }
}

/// `count` outputs of layers, evenly from the second layer to the fourth last, as z-lab spreads them.
fn spread(layers: usize, count: usize) -> Option<Vec<usize>> {
    if count == 1 {
        return Some(vec![layers / 2]);
    }
    let span = layers.checked_sub(4)? as f64;
    let step = |position: usize| position as f64 * span / (count - 1) as f64;
    Some(
        (0..count)
            .map(|position| (1.0 + step(position)).round_ties_even() as usize)
            .collect(),
    )
}

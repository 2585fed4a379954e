//! Which states of the verifier a head reads, whatever convention its config counts by.
//!
//! Inside, an id `k` is the state after `k` layers (0 is the embedding, `n` the state before the final norm). speculators
//! and vLLM write that. SGLang, TensorRT-LLM and most trainers write the index of the layer whose output it is, one less.
//! Both use the same key, so that only where the key stands, who wrote it and what the ids allow can tell them apart.

use super::layout::Origin;
use super::resolver::Resolver;
use crate::codes;
use crate::convert::provenance;
use crate::decision::Decision;
use crate::diagnostic::{Diagnostic, Place};
use crate::options::AuxConvention;

const KEY: &str = "eagle_aux_hidden_state_layer_ids";
const NESTED: &str = "eagle_config.eagle_aux_hidden_state_layer_ids";

impl Resolver<'_> {
    /// The ids, ascending; empty where they are not written down and no verifier is there to ask.
    pub(super) fn aux_layers(
        &mut self,
        fc_inputs: Option<usize>,
        target_hidden_size: usize,
    ) -> Vec<usize> {
        let before = self.problems.len();
        let Some(ids) = self
            .written_ids()
            .or_else(|| self.default_ids(fc_inputs, target_hidden_size))
        else {
            return Vec::new();
        };
        if self.problems.len() > before {
            return Vec::new();
        }
        let place = self.root.place(if self.root.get(KEY).is_some() {
            KEY
        } else {
            NESTED
        });
        self.settle_aux_layers(ids, KEY, place, fc_inputs, target_hidden_size)
    }

    /// Ids in the inner convention, brought into order and held against `fc` and the verifier.
    pub(crate) fn settle_aux_layers(
        &mut self,
        mut ids: Vec<usize>,
        key: &str,
        place: Place,
        fc_inputs: Option<usize>,
        target_hidden_size: usize,
    ) -> Vec<usize> {
        if !ids.is_sorted() {
            let given = format!("{ids:?}");
            ids.sort_unstable();
            self.decisions.push(Decision::guessed(
                key,
                format!("{ids:?}"),
                format!("they are listed as {given}, but every runtime concatenates the states in ascending order"),
            ));
        }
        let listed = ids.len();
        ids.dedup();
        if let Some(last) = ids.last().copied()
            && let Some(layers) = self.verifier.map(|verifier| verifier.num_hidden_layers)
            && last > layers
        {
            self.problems.push(
                Diagnostic::error(
                    codes::AUX_LAYER_RANGE,
                    format!("auxiliary layer {last} lies outside the verifier, which has {layers} layers"),
                )
                .at(place.clone())
                .note(format!("ids count the layers that have run, from 0 to {layers}; the head reads {ids:?}")),
            );
        }
        let width = ids.len() * target_hidden_size;
        if let Some(inputs) = fc_inputs.filter(|inputs| *inputs != width) {
            let mut problem = Diagnostic::error(
                codes::AUX_LAYER_COUNT,
                format!(
                    "`fc.weight` has {inputs} input columns, but the auxiliary layers give {width}"
                ),
            )
            .at(place)
            .note(format!(
                "{} layers {ids:?} x {target_hidden_size} = {width}",
                ids.len()
            ));
            if listed != ids.len() {
                problem = problem.note("a layer that is listed twice is read once");
            }
            if inputs.is_multiple_of(target_hidden_size) {
                let blocks = inputs / target_hidden_size;
                problem = problem.note(format!(
                    "{inputs} = {blocks} x {target_hidden_size}: it was trained on {blocks} layers"
                ));
            }
            self.problems.push(problem);
        } else if listed != ids.len() {
            self.problems.push(
                Diagnostic::error(
                    codes::AUX_LAYER_COUNT,
                    "an auxiliary layer is listed twice".to_owned(),
                )
                .at(place)
                .note(format!(
                    "{listed} ids, of which {} are different",
                    ids.len()
                )),
            );
        }
        ids
    }

    /// Ids that are written down, in the inner convention.
    fn written_ids(&mut self) -> Option<Vec<usize>> {
        if let Some(ids) = self.options.aux_layers.clone() {
            let shifted = shift(
                &ids,
                self.options.aux_convention.unwrap_or(AuxConvention::Input),
            );
            self.decisions.push(Decision::settled(
                KEY,
                format!("{shifted:?}"),
                "given by the caller",
            ));
            return Some(shifted);
        }
        if let Some(recorded) = self.recorded_ids() {
            return Some(recorded);
        }
        let top = self.root.usize_list(KEY);
        let top = self.keep(top).flatten().filter(|ids| !ids.is_empty());
        let nested = self.root.usize_list(NESTED);
        let nested = self.keep(nested).flatten().filter(|ids| !ids.is_empty());
        let (ids, is_nested) = match (top, nested) {
            // Beside a nested list SGLang reads no more than the length of the outer one.
            (Some(top), Some(nested)) if self.origin != Origin::Speculators => {
                if top
                    .iter()
                    .zip(&nested)
                    .any(|(top, nested)| *top != *nested && *top != nested + 1)
                {
                    self.decisions.push(Decision::guessed(
                        KEY,
                        format!("{top:?}"),
                        format!("`eagle_config` lists {nested:?}; vLLM reads the list at the top"),
                    ));
                }
                if top
                    .iter()
                    .zip(&nested)
                    .all(|(top, nested)| *top == nested + 1)
                {
                    (top, false)
                } else {
                    (nested, true)
                }
            }
            (Some(top), _) => (top, false),
            (None, Some(nested)) => (nested, true),
            (None, None) => return None,
        };
        if let Some(convention) = self.options.aux_convention {
            let shifted = shift(&ids, convention);
            self.decisions.push(Decision::settled(
                KEY,
                format!("{shifted:?}"),
                "the convention was given by the caller",
            ));
            return Some(shifted);
        }
        if self.origin == Origin::Speculators {
            // A list under `eagle_config` is no part of the layout; vLLM takes it as it stands where there is no other.
            return Some(ids);
        }
        Some(self.interpret(&ids, is_nested))
    }

    /// Ids that the converter which wrote a foreign layout recorded, as long as the config still says the same.
    fn recorded_ids(&mut self) -> Option<Vec<usize>> {
        let recorded = self.recorded(provenance::AUX_LAYERS)?.as_array()?;
        let ids: Vec<usize> = recorded
            .iter()
            .filter_map(|id| usize::try_from(id.as_u64()?).ok())
            .collect();
        let written = self.root.usize_list(NESTED).ok()?;
        let top = self.root.usize_list(KEY).ok()?;
        let agrees = match written {
            Some(written) => shift(&written, AuxConvention::Output) == ids,
            None => top.is_none() && !ids.is_empty(),
        };
        if !agrees || self.options.aux_convention.is_some() {
            return None;
        }
        self.decisions.push(Decision::settled(
            KEY,
            format!("{ids:?}"),
            "the converter that wrote the checkpoint recorded them as layers that have run",
        ));
        Some(ids)
    }

    /// Applies the convention that position, origin and values speak for.
    fn interpret(&mut self, ids: &[usize], nested: bool) -> Vec<usize> {
        let layers = self.verifier.map(|verifier| verifier.num_hidden_layers);
        let as_output = shift(ids, AuxConvention::Output);
        let default = layers.and_then(default_layers);
        let outputs_by_origin = matches!(
            self.origin,
            Origin::ModelOpt
                | Origin::SpecForge
                | Origin::AngelSlim
                | Origin::TorchSpec
                | Origin::TensorRtLlm
        );
        let writer = self.origin.name();
        let (taken, reason, guess) = if self.origin == Origin::Vllm {
            let reason = "vLLM's own configs count the layers that have run";
            (ids.to_vec(), reason.to_owned(), false)
        } else if layers.is_some() && ids.iter().max().copied() == layers {
            let reason =
                "an id equals the number of layers, so the ids count the layers that have run";
            (ids.to_vec(), reason.to_owned(), false)
        } else if default
            .as_ref()
            .is_some_and(|default| *default == as_output)
        {
            let reason =
                "counted as outputs of layers from 0, they are the default layers of EAGLE-3";
            (as_output, reason.to_owned(), false)
        } else if !nested && default.as_ref().is_some_and(|default| default == ids) {
            let reason = "counted as layers that have run, they are the default layers of EAGLE-3";
            (ids.to_vec(), reason.to_owned(), false)
        } else if nested {
            let reason = format!(
                "`eagle_config` lists {ids:?}, which {writer} counts as outputs of layers from 0"
            );
            // Without a fingerprint the position alone speaks for this reading, and vLLM reads it the other way.
            (
                as_output,
                reason,
                !matches!(
                    self.origin,
                    Origin::ModelOpt | Origin::TorchSpec | Origin::AngelSlim | Origin::TensorRtLlm
                ),
            )
        } else if outputs_by_origin && self.origin != Origin::SpecForge {
            let reason = format!(
                "{writer} counts outputs of layers from 0, but vLLM reads a list at the top as it stands"
            );
            (as_output, reason, true)
        } else {
            let reason = "a list at the top is read by vLLM as layers that have run; trainers that count outputs mean one more";
            (ids.to_vec(), reason.to_owned(), true)
        };
        self.decisions.push(Decision {
            subject: KEY.to_owned(),
            value: format!("{taken:?}"),
            reason,
            guess,
        });
        taken
    }

    /// The layers every runtime assumes when none are written down.
    fn default_ids(
        &mut self,
        fc_inputs: Option<usize>,
        target_hidden_size: usize,
    ) -> Option<Vec<usize>> {
        let place = self.root.file().place_of(KEY);
        let blocks = fc_inputs
            .filter(|inputs| inputs.is_multiple_of(target_hidden_size))
            .map(|inputs| inputs / target_hidden_size);
        let missing = || {
            Diagnostic::error(
                codes::AUX_LAYERS_MISSING,
                "the auxiliary layer ids are not written down".to_owned(),
            )
            .at(place.clone())
        };
        if let Some(blocks) = blocks.filter(|blocks| *blocks != 3) {
            self.problems.push(
                missing()
                    .note(format!(
                        "`fc.weight` reads {blocks} layers, and the default is one of three"
                    ))
                    .help("name the layers the head was trained on"),
            );
            return None;
        }
        let Some(layers) = self.verifier.map(|verifier| verifier.num_hidden_layers) else {
            self.decisions.push(Decision::guessed(
                KEY,
                "open",
                "the config names no layers, and the default depends on a verifier that was not given",
            ));
            return None;
        };
        let Some(ids) = default_layers(layers) else {
            self.problems.push(
                missing()
                    .note(format!(
                        "the default 2, n/2, n-3 is no three layers of a verifier of {layers}"
                    ))
                    .help("name the layers the head was trained on"),
            );
            return None;
        };
        self.decisions.push(Decision::guessed(
            KEY,
            format!("{ids:?}"),
            format!("the config names no layers; 2, n/2 and n-3 of {layers} is what every runtime assumes then"),
        ));
        Some(ids)
    }
}

/// 2, n/2 and n-3, where these are three layers in ascending order.
pub(crate) fn default_layers(layers: usize) -> Option<Vec<usize>> {
    let ids = vec![2, layers / 2, layers.checked_sub(3)?];
    ids.windows(2).all(|pair| pair[0] < pair[1]).then_some(ids)
}

/// Ids of a convention in the inner one.
pub(crate) fn shift(ids: &[usize], convention: AuxConvention) -> Vec<usize> {
    match convention {
        AuxConvention::Input => ids.to_vec(),
        AuxConvention::Output => ids.iter().map(|id| id.saturating_add(1)).collect(),
    }
}

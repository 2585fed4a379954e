//! Agreement with outputs that another engine gave for the same prompts: where they part, and whether that is a tie.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use speculators_formats::{Diagnostic, Place, codes};

use crate::Result;
use crate::decoding::next_logits;
use crate::evaluation::Outcome;
use crate::models::Verifier;

/// One line of a reference file; further keys are ignored.
#[derive(Clone, Debug, Deserialize)]
pub struct Reference {
    /// Request id.
    #[serde(deserialize_with = "id_as_text")]
    pub id: String,
    /// The tokens that engine gave.
    pub output_token_ids: Vec<u32>,
}

/// The agreement of a run with references.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Comparison {
    /// Requests that the references name.
    pub compared: usize,
    /// Requests with the same tokens throughout.
    pub identical: usize,
    /// Requests that part from the reference, each with the logits where they do.
    pub differences: Vec<Difference>,
    /// Requests that the references do not name.
    pub without_reference: Vec<String>,
}

/// The first difference of one request.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    /// Request id.
    pub id: String,
    /// Index in the output where the tokens part.
    pub position: usize,
    /// Our token there; null where our output ends.
    pub ours: Option<u32>,
    /// The reference's token there; null where its output ends.
    pub theirs: Option<u32>,
    /// The verifier's logit of our token, as this engine computes it.
    pub our_logit: Option<f32>,
    /// The verifier's logit of the reference's token.
    pub their_logit: Option<f32>,
    /// Distance of neighboring bfloat16 values at that magnitude.
    pub bfloat16_step: Option<f32>,
    /// Both logits lie within one such step of each other: rounding decides between the tokens.
    pub tie: bool,
}

/// Reads reference outputs: JSON objects with `id` and `output_token_ids`, one a line.
///
/// # Errors
/// A diagnostic for each malformed line, or for a file that cannot be read.
pub fn read_references(path: &Path) -> Result<Vec<Reference>> {
    let text = fs_err::read_to_string(path).map_err(|error| {
        Diagnostic::error(codes::FILE_MISSING, "the reference outputs cannot be read")
            .at(Place::file(path))
            .note(error.to_string())
    })?;
    let mut references = Vec::new();
    let mut found = Vec::new();
    for (index, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        match serde_json::from_str(line) {
            Ok(reference) => references.push(reference),
            Err(error) => found.push(
                Diagnostic::error(
                    codes::PROMPT_MALFORMED,
                    "the line is not a reference output",
                )
                .at(Place::text(path, index + 1, error.column().max(1)))
                .note(error.to_string()),
            ),
        }
    }
    if found.is_empty() {
        Ok(references)
    } else {
        Err(found.into())
    }
}

impl Comparison {
    /// Compares outcomes with references of the same ids; runs the verifier once for each request that parts.
    ///
    /// # Errors
    /// Faults of the computation.
    pub fn make(
        verifier: &Verifier,
        outcomes: &[Outcome],
        references: &[Reference],
    ) -> Result<Comparison> {
        let by_id: BTreeMap<&str, &Reference> = references
            .iter()
            .map(|reference| (reference.id.as_str(), reference))
            .collect();
        let mut comparison = Comparison::default();
        for outcome in outcomes {
            let Some(reference) = by_id.get(outcome.id.as_str()) else {
                comparison.without_reference.push(outcome.id.clone());
                continue;
            };
            comparison.compared += 1;
            match difference(verifier, outcome, reference)? {
                None => comparison.identical += 1,
                Some(difference) => comparison.differences.push(difference),
            }
        }
        Ok(comparison)
    }
}

fn difference(
    verifier: &Verifier,
    outcome: &Outcome,
    reference: &Reference,
) -> Result<Option<Difference>> {
    let (ours, theirs) = (&outcome.output_token_ids, &reference.output_token_ids);
    if ours == theirs {
        return Ok(None);
    }
    let position = ours
        .iter()
        .zip(theirs)
        .take_while(|(ours, theirs)| ours == theirs)
        .count();
    let mut difference = Difference {
        id: outcome.id.clone(),
        position,
        ours: ours.get(position).copied(),
        theirs: theirs.get(position).copied(),
        our_logit: None,
        their_logit: None,
        bfloat16_step: None,
        tie: false,
    };
    let context: Vec<u32> = outcome
        .prompt_token_ids
        .iter()
        .chain(&ours[..position])
        .copied()
        .collect();
    let logits = next_logits(verifier, &context)?;
    let logit = |token: Option<u32>| logits.get(token? as usize).copied();
    difference.our_logit = logit(difference.ours);
    difference.their_logit = logit(difference.theirs);
    if let (Some(our), Some(their)) = (difference.our_logit, difference.their_logit) {
        let step = bfloat16_step(our.abs().max(their.abs()));
        difference.bfloat16_step = Some(step);
        difference.tie = (our - their).abs() <= step;
    }
    Ok(Some(difference))
}

/// Distance between neighboring bfloat16 values around `magnitude`: 8 significant bits.
fn bfloat16_step(magnitude: f32) -> f32 {
    let exponent = magnitude.max(f32::MIN_POSITIVE).log2().floor();
    (exponent - 7.0).exp2()
}

fn id_as_text<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<String, D::Error> {
    match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::String(id) => Ok(id),
        serde_json::Value::Number(id) => Ok(id.to_string()),
        _ => Err(serde::de::Error::custom(
            "`id` is neither a string nor a number",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bfloat16_step_is_the_distance_to_the_next_value() {
        // bfloat16 has 7 stored bits: 1.0 is followed by 1.0078125, 16 by 16.125.
        assert!((bfloat16_step(1.0) - 0.007_812_5).abs() < f32::EPSILON);
        assert!((bfloat16_step(20.0) - 0.125).abs() < f32::EPSILON);
    }
}

//! Agreement with outputs that another engine gave for the same prompts: where they part, and whether that is a tie.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use speculators_formats::{Diagnostic, Place, codes};

use crate::Result;
use crate::decoding::{NearTie, next_logits};
use crate::evaluation::Outcome;
use crate::models::{Verifier, bfloat16_step, near_tie};

/// One line of a reference file; further keys are ignored.
#[derive(Clone, Debug, Deserialize)]
pub struct Reference {
    /// Request id.
    #[serde(deserialize_with = "id_as_text")]
    pub id: String,
    /// The tokens that engine gave.
    pub output_token_ids: Vec<u32>,
    /// Draft tokens it accepted, step by step, where it says so.
    pub accepted_per_step: Option<Vec<usize>>,
}

/// The agreement of a run with references.
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
pub struct Comparison {
    /// Requests that the references name.
    pub compared: usize,
    /// Requests with the same tokens throughout.
    pub identical: usize,
    /// Requests that part from the reference, each with the logits where they do.
    pub differences: Vec<Difference>,
    /// Requests whose references say what was accepted in each step.
    pub acceptance_compared: usize,
    /// Requests that accepted the same in each step.
    pub acceptance_identical: usize,
    /// Requests that accepted something else, each with the first step that did.
    pub acceptance_differences: Vec<AcceptanceDifference>,
    /// Requests that the references do not name.
    pub without_reference: Vec<String>,
}

/// The first step of one request that accepted another number of draft tokens.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct AcceptanceDifference {
    /// Request id.
    pub id: String,
    /// Index of the step.
    pub step: usize,
    /// Draft tokens accepted here; null where there are no more steps.
    pub ours: Option<usize>,
    /// Draft tokens the reference accepted; null where it has no more steps.
    pub theirs: Option<usize>,
    /// The choices of that step between logits within one bfloat16 step of each other.
    pub near_ties: Vec<NearTie>,
}

/// The first difference of one request.
#[derive(Clone, Debug, JsonSchema, Serialize)]
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
            if let Some(theirs) = &reference.accepted_per_step {
                comparison.acceptance_compared += 1;
                match acceptance_difference(outcome, theirs) {
                    None => comparison.acceptance_identical += 1,
                    Some(difference) => comparison.acceptance_differences.push(difference),
                }
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
        difference.bfloat16_step = Some(bfloat16_step(our.abs().max(their.abs())));
        difference.tie = near_tie(our, their);
    }
    Ok(Some(difference))
}

fn acceptance_difference(outcome: &Outcome, theirs: &[usize]) -> Option<AcceptanceDifference> {
    let steps = &outcome.steps;
    let step = (0..steps.len().max(theirs.len()))
        .find(|&step| steps.get(step).map(|step| step.accepted) != theirs.get(step).copied())?;
    Some(AcceptanceDifference {
        id: outcome.id.clone(),
        step,
        ours: steps.get(step).map(|step| step.accepted),
        theirs: theirs.get(step).copied(),
        near_ties: steps
            .get(step)
            .map(|step| step.near_ties.clone())
            .unwrap_or_default(),
    })
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
    use crate::decoding::StepRecord;

    #[test]
    fn the_first_step_that_differs_is_named_and_a_missing_one_counts() {
        let step = |accepted| StepRecord {
            accepted,
            ..StepRecord::default()
        };
        let outcome = Outcome {
            steps: vec![step(3), step(1)],
            ..Outcome::default()
        };
        assert!(acceptance_difference(&outcome, &[3, 1]).is_none());
        let found = acceptance_difference(&outcome, &[3, 2]).unwrap();
        assert_eq!(
            (found.step, found.ours, found.theirs),
            (1, Some(1), Some(2))
        );
        let found = acceptance_difference(&outcome, &[3, 1, 0]).unwrap();
        assert_eq!((found.step, found.ours, found.theirs), (2, None, Some(0)));
    }
}

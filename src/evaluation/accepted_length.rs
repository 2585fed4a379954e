//! How many draft tokens steps accept: the distribution behind the mean length.

use schemars::JsonSchema;
use serde::Serialize;

use crate::evaluation::tally::count;
use crate::evaluation::{RequestFigures, StepFigures};

/// The steps that accepted so many draft tokens.
#[derive(Clone, Copy, Debug, PartialEq, JsonSchema, Serialize)]
pub struct AcceptedLength {
    /// Draft tokens accepted.
    pub accepted: usize,
    /// Steps that accepted just as many.
    pub steps: usize,
    /// Their share of all steps that had a draft.
    pub share: f64,
}

impl AcceptedLength {
    /// One for each number from 0 to `positions`.
    pub(crate) fn fold(requests: &[RequestFigures], positions: usize) -> Vec<AcceptedLength> {
        let mut counts = vec![0_usize; positions + 1];
        let drafted = |step: &&StepFigures| !step.proposed.is_empty();
        for step in requests
            .iter()
            .flat_map(|request| &request.steps)
            .filter(drafted)
        {
            if let Some(count) = counts.get_mut(step.accepted) {
                *count += 1;
            }
        }
        let all = count(counts.iter().sum::<usize>().max(1));
        let lengths = counts.into_iter().enumerate();
        lengths
            .map(|(accepted, steps)| AcceptedLength {
                accepted,
                steps,
                share: count(steps) / all,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_with_a_draft_are_counted_once_each() {
        let step = |depth, accepted| StepFigures {
            proposed: vec![1; depth],
            accepted,
            ..StepFigures::default()
        };
        let request = RequestFigures {
            steps: vec![step(2, 2), step(2, 0), step(1, 0), step(2, 2), step(0, 0)],
            ..RequestFigures::default()
        };
        let lengths = AcceptedLength::fold(&[request], 2);
        let shares = lengths.iter().map(|length| (length.steps, length.share));
        assert_eq!(shares.collect::<Vec<_>>(), [(2, 0.5), (0, 0.0), (2, 0.5)]);
        assert!(
            AcceptedLength::fold(&[], 1)
                .iter()
                .all(|length| length.share == 0.0)
        );
    }
}

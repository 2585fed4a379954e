//! Acceptance by context length: heads that were trained on short texts lose their way in long ones.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::evaluation::bootstrap::Bootstrap;
use crate::evaluation::rule::{Parts, Rule};
use crate::evaluation::tally::Tally;
use crate::evaluation::{Interval, RequestFigures, StepFigures};

/// Where the first range ends; each further one is twice as long as all before it.
const FIRST_RANGE: usize = 128;

/// The steps whose context has a length in a range.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct ContextReport {
    /// The shortest context of the range, in tokens: prompt and output before the step.
    pub from: usize,
    /// The first length beyond the range.
    pub to: usize,
    /// Requests with such steps.
    pub requests: usize,
    /// Such steps that had a draft.
    pub steps: usize,
    /// Their draft tokens that were accepted.
    pub accepted: usize,
    /// 1 + accepted / steps, as in vLLM's definition.
    pub mean_length: Option<f64>,
    /// Between what it lies in 95 of 100 runs over other prompts like these.
    pub mean_length_interval: Option<Interval>,
    /// Share of these steps that accepted at least 1, 2, … draft tokens.
    pub per_position: Vec<Option<f64>>,
}

impl ContextReport {
    /// One for each range that steps fall into, the shortest first.
    pub(crate) fn fold(requests: &[RequestFigures], positions: usize) -> Vec<ContextReport> {
        let mut ranges: BTreeMap<usize, Vec<Vec<&StepFigures>>> = BTreeMap::new();
        for request in requests {
            let mut own: BTreeMap<usize, Vec<&StepFigures>> = BTreeMap::new();
            for step in &request.steps {
                own.entry(range_end(step.context_length))
                    .or_default()
                    .push(step);
            }
            for (range, steps) in own {
                ranges.entry(range).or_default().push(steps);
            }
        }
        ranges
            .into_iter()
            .map(|(to, by_request)| ContextReport::of(to, &by_request, positions))
            .collect()
    }

    fn of(to: usize, by_request: &[Vec<&StepFigures>], positions: usize) -> ContextReport {
        let tallies: Vec<Tally> = by_request
            .iter()
            .map(|steps| Tally::of_steps(steps.iter().copied(), positions))
            .collect();
        let mean_length =
            Rule::pooled(1.0, |tally| tally.accepted, |tally| tally.steps).parts(&tallies);
        let steps = by_request.iter().flatten();
        ContextReport {
            from: if to == FIRST_RANGE { 0 } else { to / 2 },
            to,
            requests: by_request.len(),
            steps: steps
                .clone()
                .filter(|step| !step.proposed.is_empty())
                .count(),
            accepted: steps.map(|step| step.accepted).sum(),
            mean_length: mean_length.as_ref().and_then(Parts::value),
            mean_length_interval: mean_length
                .and_then(|parts| Bootstrap::new(tallies.len()).interval(&parts)),
            per_position: (0..positions)
                .map(|position| {
                    Rule::at(
                        position,
                        |tally, at| tally.reached[at],
                        |tally, _| tally.steps,
                    )
                    .parts(&tallies)?
                    .value()
                })
                .collect(),
        }
    }
}

/// The first length beyond the range that a length falls into.
fn range_end(length: usize) -> usize {
    (length + 1).next_power_of_two().max(FIRST_RANGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_double_and_leave_no_length_out() {
        for (length, end) in [
            (0, 128),
            (127, 128),
            (128, 256),
            (255, 256),
            (256, 512),
            (4096, 8192),
        ] {
            assert_eq!(range_end(length), end, "{length}");
        }
    }

    #[test]
    fn a_request_that_grows_counts_in_each_range_it_passes() {
        let step = |context_length, accepted| StepFigures {
            context_length,
            proposed: vec![1, 1],
            accepted,
            emitted: accepted + 1,
            ..StepFigures::default()
        };
        let request = |steps| RequestFigures {
            steps,
            ..RequestFigures::default()
        };
        let requests = [
            request(vec![step(100, 2), step(127, 1), step(130, 0)]),
            request(vec![step(200, 1)]),
        ];
        let [short, long] = &ContextReport::fold(&requests, 2)[..] else {
            panic!("two ranges are expected")
        };
        assert_eq!((short.from, short.to, short.requests), (0, 128, 1));
        assert_eq!((short.steps, short.accepted), (2, 3));
        assert_eq!(short.mean_length, Some(2.5));
        assert_eq!(short.per_position, [Some(1.0), Some(0.5)]);
        assert_eq!(short.mean_length_interval, None);
        assert_eq!((long.from, long.to, long.requests), (128, 256, 2));
        assert_eq!(long.mean_length, Some(1.5));
        assert_eq!(long.mean_length_interval, Some([1.0, 2.0]));
    }
}

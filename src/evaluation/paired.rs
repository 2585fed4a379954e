//! Two runs over the same prompts, compared request by request. How much a metric differs between requests then
//! cancels, and far smaller differences can be told from chance than by two intervals side by side.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::evaluation::bootstrap::Bootstrap;
use crate::evaluation::tally::Tally;
use crate::evaluation::{Interval, Metric, Records, RequestFigures, Setting};

/// The differences of a run from the records of another one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Paired {
    /// What was run there.
    pub setting: Setting,
    /// Requests in both runs; only these are compared.
    pub paired: usize,
    /// Requests that only this run has.
    pub only_here: usize,
    /// Requests that only the other one has.
    pub only_there: usize,
    /// Paired requests whose prompts have another number of tokens there: not the same prompts.
    pub other_prompts: Vec<String>,
    /// Each metric that both have; those made of times only where both ran one request at a time.
    pub differences: Vec<PairedDifference>,
}

/// One metric over the requests of both runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PairedDifference {
    /// Name of the metric.
    pub name: String,
    /// Here.
    pub here: f64,
    /// There.
    pub there: f64,
    /// Here less there.
    pub difference: f64,
    /// Between what the difference lies in 95 of 100 runs over other prompts like these.
    pub interval: Option<Interval>,
    /// One of the few that a short table shows.
    #[serde(skip)]
    pub short: bool,
}

impl PairedDifference {
    /// Chance alone would hardly give a difference like this: the interval leaves out 0.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.interval
            .is_some_and(|[low, high]| low > 0.0 || high < 0.0)
    }
}

impl Paired {
    /// Pairs requests by their ids, equal ones in the order of the runs.
    #[must_use]
    pub fn make(setting: &Setting, requests: &[RequestFigures], there: &Records) -> Paired {
        let positions = setting.positions().min(there.setting.positions());
        let times_tell = setting.is_single_stream() && there.setting.is_single_stream();
        let mut waiting: BTreeMap<&str, Vec<&RequestFigures>> = BTreeMap::new();
        for request in there.requests.iter().rev() {
            waiting.entry(&request.id).or_default().push(request);
        }
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let mut other_prompts = Vec::new();
        for request in requests {
            if let Some(other) = waiting.get_mut(request.id.as_str()).and_then(Vec::pop) {
                if request.prompt_tokens != other.prompt_tokens {
                    other_prompts.push(request.id.clone());
                }
                ours.push(Tally::of(request, positions));
                theirs.push(Tally::of(other, positions));
            }
        }
        let bootstrap = Bootstrap::new(ours.len());
        Paired {
            setting: there.setting.clone(),
            paired: ours.len(),
            only_here: requests.len() - ours.len(),
            only_there: there.requests.len() - ours.len(),
            other_prompts,
            differences: Metric::all(positions)
                .iter()
                .filter(|metric| !metric.timed || times_tell)
                .filter_map(|metric| difference(metric, &ours, &theirs, &bootstrap))
                .collect(),
        }
    }
}

fn difference(
    metric: &Metric,
    ours: &[Tally],
    theirs: &[Tally],
    bootstrap: &Bootstrap,
) -> Option<PairedDifference> {
    let (ours, theirs) = (metric.rule.parts(ours)?, metric.rule.parts(theirs)?);
    let (here, there) = (ours.value()?, theirs.value()?);
    Some(PairedDifference {
        name: metric.name.clone(),
        here,
        there,
        difference: here - there,
        interval: bootstrap.difference(&ours, &theirs),
        short: metric.short,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::StepFigures;

    fn request(id: &str, accepted: &[usize]) -> RequestFigures {
        RequestFigures {
            id: id.into(),
            steps: accepted
                .iter()
                .map(|&accepted| StepFigures {
                    proposed: vec![1; 3],
                    accepted,
                    emitted: accepted + 1,
                    ..StepFigures::default()
                })
                .collect(),
            ..RequestFigures::default()
        }
    }

    #[test]
    fn only_requests_of_both_runs_are_compared_whatever_their_order() {
        let here = [
            request("a", &[3, 1]),
            request("b", &[0, 2]),
            request("c", &[3, 3]),
        ];
        let there = Records {
            setting: Setting::of_chain(2),
            requests: vec![
                request("b", &[0, 1]),
                request("d", &[0]),
                request("a", &[2, 1]),
            ],
            unfinished: Vec::new(),
            torn: false,
        };
        let paired = Paired::make(&Setting::of_chain(3), &here, &there);
        assert_eq!(
            (paired.paired, paired.only_here, paired.only_there),
            (2, 1, 1)
        );
        let mean_length = &paired.differences[0];
        assert_eq!(mean_length.name, "mean_length");
        // a and b: 1 + 6 / 4 here, 1 + 4 / 4 there. Both are half a token longer here, so chance plays no part.
        assert_eq!((mean_length.here, mean_length.there), (2.5, 2.0));
        assert_eq!(mean_length.interval, Some([0.5, 0.5]));
        assert!(mean_length.is_clear());
        // Positions that only one run has are no ground to compare on.
        assert!(
            paired
                .differences
                .iter()
                .all(|difference| difference.name != "per_position.2")
        );
    }
}

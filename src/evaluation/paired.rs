//! Two runs over the same prompts, compared request by request. How much a metric differs between requests then
//! cancels, and far smaller differences can be told from chance than by two intervals side by side.

use schemars::JsonSchema;
use serde::Serialize;

use crate::evaluation::bootstrap::Bootstrap;
use crate::evaluation::pairing::{Pairing, same_prompt};
use crate::evaluation::tally::Tally;
use crate::evaluation::{Interval, Metric, Records, RequestFigures, RequestReport, Setting};

/// The differences of a run from the records of another one.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Paired {
    /// What was run there.
    pub setting: Setting,
    /// Requests in both runs; only these are compared.
    pub paired: usize,
    /// Requests that only this run has.
    pub only_here: usize,
    /// Requests that only the other one has.
    pub only_there: usize,
    /// Paired requests that had another prompt there: the digest of their tokens differs, or their number where
    /// records have no digest.
    pub other_prompts: Vec<String>,
    /// Each metric that both have; those made of times only where both ran one request at a time.
    pub differences: Vec<PairedDifference>,
}

/// One metric over the requests of both runs.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
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
        let here: Vec<RequestReport> = in_sums(requests, positions);
        let theirs: Vec<RequestReport> = in_sums(&there.requests, positions);
        let pairing = Pairing::make(&here, &theirs);
        Paired {
            setting: there.setting.clone(),
            paired: pairing.pairs.len(),
            only_here: pairing.only_first.len(),
            only_there: pairing.only_second.len(),
            other_prompts: pairing
                .pairs
                .iter()
                .filter(|(one, other)| !same_prompt(one, other))
                .map(|(one, _)| one.id.clone())
                .collect(),
            differences: differences(&pairing.pairs, positions, times_tell),
        }
    }
}

fn in_sums(requests: &[RequestFigures], positions: usize) -> Vec<RequestReport> {
    let requests = requests.iter();
    requests
        .map(|request| RequestReport::of(request, positions))
        .collect()
}

/// Each metric that both of a pair have, over all pairs; those made of times only where times tell.
pub(crate) fn differences(
    pairs: &[(&RequestReport, &RequestReport)],
    positions: usize,
    times_tell: bool,
) -> Vec<PairedDifference> {
    let tallies = pairs
        .iter()
        .map(|(one, other)| (one.tally(positions), other.tally(positions)));
    let (ours, theirs): (Vec<Tally>, Vec<Tally>) = tallies.unzip();
    let bootstrap = Bootstrap::new(pairs.len());
    Metric::all(positions)
        .iter()
        .filter(|metric| !metric.timed || times_tell)
        .filter_map(|metric| difference(metric, &ours, &theirs, &bootstrap))
        .collect()
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
            surveys: Vec::new(),
            latency: None,
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

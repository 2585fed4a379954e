//! The few forms that metrics take: a ratio of sums, a mean over requests of ratios, a ratio of such means, a
//! percentile.

use crate::evaluation::RequestFigures;
use crate::evaluation::tally::{Tally, count, milliseconds};

type Figure = fn(&Tally) -> f64;
type FigureAt = fn(&Tally, usize) -> f64;

/// How a metric is made. All but percentiles are made of sums over requests, which is what resampling needs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    /// `offset` + Σ part / Σ whole.
    Pooled {
        offset: f64,
        part: Figure,
        whole: Figure,
    },
    /// The same at one position.
    At {
        position: usize,
        part: FigureAt,
        whole: FigureAt,
    },
    /// `offset` + mean over requests of part / whole; requests without a whole are left out.
    RequestMean {
        offset: f64,
        part: Figure,
        whole: Figure,
    },
    /// Mean over requests of part / above, over the mean of part / below.
    RatioOfRequestMeans {
        part: Figure,
        above: Figure,
        below: Figure,
    },
    /// The smallest sample that so many percent of all do not exceed.
    Percentile { samples: Samples, percent: u8 },
}

/// What a percentile is taken of, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Samples {
    /// The prompt pass of each request.
    FirstToken,
    /// Each token of a step: its share of the time.
    Token,
    /// Each step that emits.
    Step,
}

/// A metric by request: `offset` + Σ above / Σ below over any selection of requests is its value there.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Parts {
    pub(crate) offset: f64,
    pub(crate) above: Vec<f64>,
    pub(crate) below: Vec<f64>,
}

impl Parts {
    fn collect(offset: f64, pairs: impl Iterator<Item = (f64, f64)>) -> Parts {
        let (above, below) = pairs.unzip();
        Parts {
            offset,
            above,
            below,
        }
    }

    /// The value over all requests; none where there is nothing to divide by.
    pub(crate) fn value(&self) -> Option<f64> {
        self.ratio(self.above.iter().sum(), self.below.iter().sum())
    }

    /// The value over requests drawn by their indices, any of them repeatedly.
    pub(crate) fn value_of(&self, drawn: &[u32]) -> Option<f64> {
        let (mut above, mut below) = (0.0, 0.0);
        for &index in drawn {
            above += self.above[index as usize];
            below += self.below[index as usize];
        }
        self.ratio(above, below)
    }

    fn ratio(&self, above: f64, below: f64) -> Option<f64> {
        (below > 0.0).then(|| self.offset + above / below)
    }
}

impl Rule {
    pub(crate) fn pooled(offset: f64, part: Figure, whole: Figure) -> Rule {
        Rule::Pooled {
            offset,
            part,
            whole,
        }
    }

    pub(crate) fn request_mean(offset: f64, part: Figure, whole: Figure) -> Rule {
        Rule::RequestMean {
            offset,
            part,
            whole,
        }
    }

    pub(crate) fn at(position: usize, part: FigureAt, whole: FigureAt) -> Rule {
        Rule::At {
            position,
            part,
            whole,
        }
    }

    /// The value over these requests.
    pub(crate) fn value(self, requests: &[RequestFigures], tallies: &[Tally]) -> Option<f64> {
        match self {
            Rule::Percentile { samples, percent } => percentile(samples.of(requests), percent),
            rule => rule.parts(tallies)?.value(),
        }
    }

    /// The metric by request; none for percentiles.
    pub(crate) fn parts(self, tallies: &[Tally]) -> Option<Parts> {
        Some(match self {
            Rule::Pooled {
                offset,
                part,
                whole,
            } => Parts::collect(
                offset,
                tallies.iter().map(|tally| (part(tally), whole(tally))),
            ),
            Rule::At {
                position,
                part,
                whole,
            } => Parts::collect(
                0.0,
                tallies
                    .iter()
                    .map(|tally| (part(tally, position), whole(tally, position))),
            ),
            Rule::RequestMean {
                offset,
                part,
                whole,
            } => Parts::collect(
                offset,
                tallies.iter().map(|tally| match whole(tally) {
                    whole if whole > 0.0 => (part(tally) / whole, 1.0),
                    _ => (0.0, 0.0),
                }),
            ),
            // Both means are over the same requests, so that their number cancels.
            Rule::RatioOfRequestMeans { part, above, below } => Parts::collect(
                0.0,
                tallies
                    .iter()
                    .map(|tally| match (above(tally), below(tally)) {
                        (above, below) if above > 0.0 && below > 0.0 => {
                            (part(tally) / above, part(tally) / below)
                        }
                        _ => (0.0, 0.0),
                    }),
            ),
            Rule::Percentile { .. } => return None,
        })
    }
}

impl Samples {
    /// Samples, each with how often it occurs.
    fn of(self, requests: &[RequestFigures]) -> Vec<(f64, usize)> {
        let steps = || {
            let steps = requests.iter().flat_map(|request| &request.steps);
            steps.filter(|step| step.emitted > 0)
        };
        match self {
            Samples::FirstToken => requests
                .iter()
                .map(|request| (milliseconds(request.prefill), 1))
                .collect(),
            Samples::Token => steps()
                .map(|step| {
                    let share = milliseconds(step.time()) / count(step.emitted);
                    (share, step.emitted)
                })
                .collect(),
            Samples::Step => steps().map(|step| (milliseconds(step.time()), 1)).collect(),
        }
    }
}

fn percentile(mut samples: Vec<(f64, usize)>, percent: u8) -> Option<f64> {
    samples.sort_by(|one, other| one.0.total_cmp(&other.0));
    let total: usize = samples.iter().map(|(_, times)| times).sum();
    let wanted = (total * usize::from(percent)).div_ceil(100).max(1);
    let mut seen = 0;
    samples.into_iter().find_map(|(sample, times)| {
        seen += times;
        (seen >= wanted).then_some(sample)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_samples_by_its_rank() {
        let samples: Vec<(f64, usize)> = (1..=10).map(|value| (f64::from(value), 1)).collect();
        for (percent, value) in [(50, 5.0), (90, 9.0), (99, 10.0)] {
            assert_eq!(percentile(samples.clone(), percent), Some(value));
        }
        // Nine tokens of 1 ms in three steps and one of 20 ms: only the slowest tenth is slow.
        let steps = vec![(20.0, 1), (1.0, 4), (1.0, 3), (1.0, 2)];
        assert_eq!(percentile(steps.clone(), 90), Some(1.0));
        assert_eq!(percentile(steps, 99), Some(20.0));
        assert_eq!(percentile(Vec::new(), 50), None);
    }
}

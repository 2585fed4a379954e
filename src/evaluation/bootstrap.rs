//! Confidence intervals by resampling requests. Steps of one request are alike, so that drawing steps would make
//! intervals far too narrow; requests are what another run would have others of.

use schemars::JsonSchema;
use serde::Serialize;
use speculators_kernels::philox4x32;

use crate::evaluation::rule::Parts;

/// The two ends of an interval.
pub type Interval = [f64; 2];

/// Draws of as many requests as there are. The same numbers of requests give the same draws, on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Bootstrap {
    requests: usize,
    /// Narrow, since there are 2000 times as many as requests.
    draws: Vec<Vec<u32>>,
}

/// How intervals were made.
#[derive(Clone, Copy, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Resampling {
    /// What was drawn, with replacement.
    pub unit: &'static str,
    /// How often as many as there are were drawn.
    pub resamples: usize,
    /// Key of the generator (Philox4x32-10).
    pub seed: u64,
    /// Share of the values drawn that lie inside.
    pub level: f64,
}

impl Resampling {
    /// The one that is made.
    pub const MADE: Resampling = Resampling {
        unit: "request",
        resamples: 2000,
        seed: 0,
        level: 0.95,
    };
}

impl Bootstrap {
    /// Draws once for all metrics, which so vary together and can be subtracted from each other.
    pub(crate) fn new(requests: usize) -> Bootstrap {
        // One request says nothing of how much requests differ.
        let resamples = if requests < 2 {
            0
        } else {
            Resampling::MADE.resamples
        };
        Bootstrap {
            requests,
            draws: (0..resamples)
                .map(|resample| draw(requests, resample))
                .collect(),
        }
    }

    /// Between what 95 % of the values drawn lie.
    pub(crate) fn interval(&self, parts: &Parts) -> Option<Interval> {
        debug_assert_eq!(parts.above.len(), self.requests);
        spread(self.draws.iter().map(|drawn| parts.value_of(drawn)))
    }

    /// The same of a difference between two runs over the same requests, each drawn in both at once.
    pub(crate) fn difference(&self, ours: &Parts, theirs: &Parts) -> Option<Interval> {
        spread(
            self.draws
                .iter()
                .map(|drawn| Some(ours.value_of(drawn)? - theirs.value_of(drawn)?)),
        )
    }
}

/// Indices below `count`: as many as that.
fn draw(count: usize, resample: usize) -> Vec<u32> {
    let seed = Resampling::MADE.seed;
    let key = [seed as u32, (seed >> 32) as u32];
    let blocks = 0..count.div_ceil(4) as u32;
    let words = blocks.flat_map(|block| philox4x32([block, resample as u32, 0, 0], key));
    words
        .take(count)
        .map(|word| ((u64::from(word) * count as u64) >> 32) as u32)
        .collect()
}

fn spread(values: impl Iterator<Item = Option<f64>>) -> Option<Interval> {
    let mut values: Vec<f64> = values.flatten().collect();
    values.sort_by(f64::total_cmp);
    // A fortieth on either side.
    let outside = values.len() / 40;
    let last = values.len().checked_sub(1)?;
    Some([values[outside], values[last - outside]])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(above: Vec<f64>) -> Parts {
        Parts {
            offset: 0.0,
            below: vec![1.0; above.len()],
            above,
        }
    }

    #[test]
    fn the_same_requests_give_the_same_interval_and_it_holds_the_mean() {
        let parts = parts((0..50).map(f64::from).collect());
        let interval = Bootstrap::new(50).interval(&parts).unwrap();
        assert_eq!(Bootstrap::new(50).interval(&parts), Some(interval));
        // The mean of 0 to 49 is 24.5, its standard error 14.43 / sqrt(50) = 2.04, and 1.96 of these lie either way.
        assert!((interval[0] - 20.5).abs() < 0.5, "{interval:?}");
        assert!((interval[1] - 28.5).abs() < 0.5, "{interval:?}");
    }

    #[test]
    fn draws_are_those_of_the_generator_and_reach_every_request() {
        // Words of the block of zeros, as Random123 gives them: 6627e8d5 e169c58d bc57ac4c 9b00dbd8.
        assert_eq!(draw(4, 0), [1, 3, 2, 2]);
        let drawn = draw(7, 3);
        assert_eq!(drawn.len(), 7);
        assert!(drawn.iter().all(|&index| index < 7));
        let all: std::collections::BTreeSet<u32> =
            (0..50).flat_map(|resample| draw(7, resample)).collect();
        assert_eq!(all.len(), 7);
    }

    #[test]
    fn requests_that_do_not_differ_leave_no_doubt_and_one_alone_says_nothing() {
        let alike = parts(vec![3.0; 9]);
        assert_eq!(Bootstrap::new(9).interval(&alike), Some([3.0, 3.0]));
        assert_eq!(Bootstrap::new(1).interval(&parts(vec![3.0])), None);
        assert_eq!(Bootstrap::new(0).interval(&parts(Vec::new())), None);
    }

    #[test]
    fn a_paired_difference_is_narrower_than_what_it_is_made_of() {
        let ours = parts((0..40).map(|value| f64::from(value) + 0.25).collect());
        let theirs = parts((0..40).map(f64::from).collect());
        let interval = Bootstrap::new(40).difference(&ours, &theirs).unwrap();
        assert!((interval[0] - 0.25).abs() < 1e-9 && (interval[1] - 0.25).abs() < 1e-9);
    }
}

//! How far the probabilities of the head can be believed: of the tokens that it gives 80 %, the verifier should take
//! 80 %. Dynamic trees and early stops go by these probabilities, and go wrong where they are.

use schemars::JsonSchema;
use serde::Serialize;

use crate::evaluation::bootstrap::Bootstrap;
use crate::evaluation::rule::Parts;
use crate::evaluation::tally::count;
use crate::evaluation::{Interval, RequestFigures};

/// Bins of equal width.
const BINS: usize = 10;

/// The head's probability of its favourite against the share of favourites that the verifier took.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Calibration {
    /// Depths of steps at which head and verifier were compared.
    pub compared: usize,
    /// Mean distance of both, weighted by count (expected calibration error): 0 is a head that can be believed.
    pub error: f64,
    /// Mean probability less share taken: above 0 the head is too sure of itself, below it too modest.
    pub bias: f64,
    /// Ten bins of equal width, the least probable first.
    pub bins: Vec<CalibrationBin>,
}

/// The favourites that the head gave a probability in a range.
#[derive(Clone, Copy, Debug, PartialEq, JsonSchema, Serialize)]
pub struct CalibrationBin {
    /// The least probability of the range.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// Favourites in the range.
    pub compared: usize,
    /// Those of them that the verifier took.
    pub taken: usize,
    /// Mean probability that the head gave them; null where there are none.
    pub probability: Option<f64>,
    /// taken / compared.
    pub share: Option<f64>,
    /// Between what the share lies in 95 of 100 runs over other prompts like these.
    pub interval: Option<Interval>,
}

/// Sums over one bin in one request.
#[derive(Clone, Copy, Default)]
struct Sum {
    compared: usize,
    taken: usize,
    probability: f64,
}

impl Calibration {
    /// Over all depths that the records tell of; none where they tell of none.
    pub(crate) fn fold(requests: &[RequestFigures]) -> Option<Calibration> {
        let sums: Vec<[Sum; BINS]> = requests.iter().map(sums).collect();
        let bootstrap = Bootstrap::new(sums.len());
        let bins: Vec<CalibrationBin> = (0..BINS)
            .map(|bin| {
                let of_bin: Vec<Sum> = sums.iter().map(|sums| sums[bin]).collect();
                CalibrationBin::of(bin, &of_bin, &bootstrap)
            })
            .collect();
        let compared: usize = bins.iter().map(|bin| bin.compared).sum();
        if compared == 0 {
            return None;
        }
        let weighted = |distance: fn(f64) -> f64| {
            let distances = bins.iter().filter_map(|bin| {
                Some(distance(bin.probability? - bin.share?) * count(bin.compared))
            });
            distances.sum::<f64>() / count(compared)
        };
        Some(Calibration {
            compared,
            error: weighted(f64::abs),
            bias: weighted(|distance| distance),
            bins,
        })
    }
}

impl CalibrationBin {
    fn of(bin: usize, by_request: &[Sum], bootstrap: &Bootstrap) -> CalibrationBin {
        let parts = Parts {
            offset: 0.0,
            above: by_request.iter().map(|sum| count(sum.taken)).collect(),
            below: by_request.iter().map(|sum| count(sum.compared)).collect(),
        };
        let compared: usize = by_request.iter().map(|sum| sum.compared).sum();
        let probability: f64 = by_request.iter().map(|sum| sum.probability).sum();
        // A bin that one request alone falls into says nothing of how requests differ.
        let requests = by_request.iter().filter(|sum| sum.compared > 0).count();
        CalibrationBin {
            from: count(bin) / count(BINS),
            to: count(bin + 1) / count(BINS),
            compared,
            taken: by_request.iter().map(|sum| sum.taken).sum(),
            probability: (compared > 0).then(|| probability / count(compared)),
            share: parts.value(),
            interval: (requests > 1).then(|| bootstrap.interval(&parts)).flatten(),
        }
    }
}

fn sums(request: &RequestFigures) -> [Sum; BINS] {
    let mut sums = [Sum::default(); BINS];
    for held in request.steps.iter().flat_map(|step| &step.path) {
        let sum = &mut sums[bin(held.top_q)];
        sum.compared += 1;
        sum.taken += usize::from(held.rank == Some(0));
        sum.probability += f64::from(held.top_q);
    }
    sums
}

/// The bin of a probability; the last one has its upper end.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "cut off below and above"
)]
fn bin(probability: f32) -> usize {
    ((probability * BINS as f32) as usize).min(BINS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoding::DepthRecord;
    use crate::evaluation::StepFigures;

    fn request(held: &[(f32, Option<usize>)]) -> RequestFigures {
        let path = held.iter().map(|&(top_q, rank)| DepthRecord {
            rank,
            top_q,
            ..DepthRecord::default()
        });
        RequestFigures {
            steps: vec![StepFigures {
                path: path.collect(),
                ..StepFigures::default()
            }],
            ..RequestFigures::default()
        }
    }

    #[test]
    fn a_head_that_says_three_quarters_and_is_right_half_the_time_is_off_by_a_quarter() {
        let requests = [
            request(&[(0.75, Some(0)), (0.75, Some(3))]),
            request(&[(0.75, None), (0.75, Some(0)), (1.0, Some(0))]),
        ];
        let calibration = Calibration::fold(&requests).unwrap();
        assert_eq!(calibration.compared, 5);
        let bin = &calibration.bins[7];
        assert_eq!((bin.compared, bin.taken), (4, 2));
        assert_eq!((bin.probability, bin.share), (Some(0.75), Some(0.5)));
        assert_eq!(bin.interval, Some([0.5, 0.5]));
        // Four of five are off by a quarter, and the last bin, to which 1 belongs, is not.
        assert!((calibration.error - 0.2).abs() < 1e-12);
        assert!((calibration.bias - 0.2).abs() < 1e-12);
        let last = &calibration.bins[9];
        assert_eq!((last.compared, last.share), (1, Some(1.0)));
        assert_eq!(last.interval, None);
    }

    #[test]
    fn records_without_such_facts_have_no_calibration() {
        assert_eq!(Calibration::fold(&[request(&[])]), None);
        assert_eq!(Calibration::fold(&[]), None);
    }
}

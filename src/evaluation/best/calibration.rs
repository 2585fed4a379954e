//! Fitting a calibration to a survey.
//!
//! At each position and depth the head's list holds the true token at one place or not at all. Tokens of a depth and a
//! class of places are put in order of q and cut into groups of equal size; a group is a point of the curve, at its mean
//! q and the share of its tokens that was true. Few tokens say little, so each group counts [`PRIOR`] tokens more that
//! behave as the curve of the depth before says (at the first depth: as q says): without any, that is what remains.
//! Groups in which the share descends are joined until it ascends (pool adjacent violators), because a head that is surer
//! is not less often right.

use super::simulation::RequestSurvey;
use crate::Result;
use crate::decoding::{Calibration, Curve, PositionSurvey, RANK_CLASSES};

/// Groups per curve, at most.
const GROUPS: usize = 8;
/// Tokens that a group should have.
const GROUP: usize = 40;
/// Tokens that the prior is worth.
const PRIOR: f64 = 4.0;
/// Nothing is less likely than this, so that scores stay finite.
const LEAST: f64 = 1e-6;

/// The calibration of some requests; without any surveyed position it says what q says.
///
/// # Errors
/// None that a survey can cause.
pub fn calibrate<'a>(
    requests: impl Iterator<Item = &'a RequestSurvey> + Clone,
) -> Result<Calibration> {
    let positions = requests.flat_map(|request| &request.positions);
    let deepest = positions.clone().map(|position| position.top.len()).max();
    let mut depths: Vec<Vec<Curve>> = Vec::new();
    for depth in 0..deepest.unwrap_or(0).max(1) {
        let mut samples: [Vec<(f32, bool)>; RANK_CLASSES] = Default::default();
        for position in positions.clone() {
            collect(position, depth, &mut samples);
        }
        let mut curves = Vec::with_capacity(RANK_CLASSES);
        for (class, samples) in samples.iter_mut().enumerate() {
            let before = depths.last().map(|curves: &Vec<Curve>| &curves[class]);
            curves.push(fit(samples, before)?);
        }
        depths.push(curves);
    }
    Calibration::new(depths)
}

/// The head's list at one depth: of each token its q, and whether it is the true one.
fn collect(
    position: &PositionSurvey,
    depth: usize,
    samples: &mut [Vec<(f32, bool)>; RANK_CLASSES],
) {
    let Some(top) = position.top.get(depth) else {
        return;
    };
    // A tree gets here only where the tokens before are in the head's list.
    let listed = |rank: &Option<usize>| rank.is_some_and(|rank| rank < top.len());
    let (Some(before), Some(right)) = (position.ranks.get(..depth), position.ranks.get(depth))
    else {
        return;
    };
    if !before.iter().all(listed) {
        return;
    }
    for (rank, q) in top.iter().enumerate() {
        let class = rank.min(RANK_CLASSES - 1);
        samples[class].push((*q, *right == Some(rank)));
    }
}

/// A group of tokens on its way to be a point.
struct Group {
    tokens: f64,
    q: f64,
    share: f64,
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "counts stay far below 2^52, and points are kept as f32"
)]
fn fit(samples: &mut [(f32, bool)], before: Option<&Curve>) -> Result<Curve> {
    samples.sort_by(|a, b| a.0.total_cmp(&b.0));
    let size = (samples.len().div_ceil(GROUPS)).max(GROUP);
    let mut groups: Vec<Group> = Vec::new();
    for tokens in samples.chunks(size) {
        let count = tokens.len() as f64;
        let q = tokens.iter().map(|(q, _)| f64::from(*q)).sum::<f64>() / count;
        let hits = tokens.iter().filter(|(_, hit)| *hit).count() as f64;
        let prior = before.map_or(q, |curve| f64::from(curve.at(q as f32)));
        groups.push(Group {
            tokens: count,
            q,
            share: ((hits + PRIOR * prior) / (count + PRIOR)).clamp(LEAST, 1.0),
        });
        while let [.., left, right] = &groups[..] {
            // As f32 the points must still ascend.
            if left.share <= right.share && (left.q as f32) < right.q as f32 {
                break;
            }
            let tokens = left.tokens + right.tokens;
            let mean = |a: f64, b: f64| (left.tokens * a + right.tokens * b) / tokens;
            let joined = Group {
                tokens,
                q: mean(left.q, right.q),
                share: mean(left.share, right.share),
            };
            groups.truncate(groups.len() - 2);
            groups.push(joined);
        }
    }
    let points = groups.iter().filter(|group| group.q as f32 > 0.0);
    let point = |group: &Group| [(group.q as f32).min(1.0), group.share as f32];
    let points: Vec<[f32; 2]> = points.map(point).collect();
    match before {
        // Nothing is known here that was not known one token earlier.
        Some(before) if points.is_empty() => Ok(before.clone()),
        _ => Curve::new(points),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_goes_through_the_shares_and_never_descends() {
        // 400 tokens each: of those at q 0.2 a tenth is true, at 0.5 nearly all, and at 0.8 half of them.
        let tokens = |q: f32, every: usize| {
            (0..400_usize).map(move |index| (q, index.is_multiple_of(every)))
        };
        let mut samples: Vec<(f32, bool)> = tokens(0.2, 10)
            .chain(tokens(0.5, 10).map(|(q, hit)| (q, !hit)))
            .chain(tokens(0.8, 2))
            .collect();
        let curve = fit(&mut samples, None).unwrap();
        let near = |q, share: f32| {
            assert!((curve.at(q) - share).abs() < 0.05, "{q}: {}", curve.at(q));
        };
        near(0.2, 0.1);
        near(0.67, 0.68);
        near(1.0, 0.68);
        assert!(
            curve
                .points()
                .is_sorted_by(|a, b| a[0] < b[0] && a[1] <= b[1])
        );
        assert!(curve.points().len() <= GROUPS);
    }

    #[test]
    fn few_tokens_say_little() {
        let mut samples = vec![(0.5, false); 2];
        let curve = fit(&mut samples, None).unwrap();
        assert!(
            (curve.at(0.5) - 1.0 / 3.0).abs() < 1e-6,
            "{}",
            curve.at(0.5)
        );
        let curve = fit(&mut [], Some(&curve)).unwrap();
        assert!((curve.at(0.5) - 1.0 / 3.0).abs() < 1e-6);
        let curve = fit(&mut [], None).unwrap();
        assert!((curve.at(0.3) - 0.3).abs() < 1e-6);
    }

    #[test]
    fn places_and_depths_are_told_apart() {
        let position = PositionSurvey {
            ranks: vec![Some(1), Some(0), None],
            top: vec![vec![0.6, 0.3], vec![0.9, 0.1], vec![0.5, 0.4]],
            ..PositionSurvey::default()
        };
        let survey = RequestSurvey {
            positions: vec![position; 200],
            ..RequestSurvey::default()
        };
        let calibration = calibrate([survey].iter()).unwrap();
        let at = |depth, rank, q| calibration.curve(depth, rank).at(q);
        assert!(at(1, 0, 0.6) < 0.1 && at(1, 1, 0.3) > 0.9);
        assert!(at(2, 0, 0.9) > 0.9 && at(2, 1, 0.1) < 0.3);
        assert!(at(3, 0, 0.5) < 0.2);
    }
}

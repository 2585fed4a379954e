//! How often draft tokens turn out right, against how sure the head is of them.
//!
//! A dynamic tree ranks its nodes by the product of the head's probabilities q. Where the head is surer of its second
//! choice than it has reason to be, or less sure of its first, the tree puts its budget in the wrong places; at
//! temperature 0 a token is right or wrong whatever q says. A calibration holds, for each depth and each place in the
//! head's list, the share of tokens of about this q that was right, and the tree then ranks by the product of these.
//!
//! Nothing but the shape of the draft depends on it: what is accepted is for the verifier to say.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use speculators_formats::{Diagnostic, Place, codes};

use super::strategy::MAX_SPECULATIVE_TOKENS;
use crate::Result;

/// Name and version of the form of a calibration in JSON.
pub const CALIBRATION_SCHEMA: &str = "speculators.calibration/1";

/// Classes of places in the head's list that have a curve each: first, second, third, and all further ones.
pub const RANK_CLASSES: usize = 4;

/// The probability that a draft token is right, given that those before it are: a curve over the head's probability q
/// for each depth and each class of places in the head's list.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(try_from = "Written")]
#[schemars(rename = "TreeCalibration")]
pub struct Calibration {
    schema: String,
    /// `[depth][class]`; depths beyond the last have the curves of the last.
    depths: Vec<Vec<Curve>>,
}

/// Points (q, probability), both ascending. Between two points the curve is straight; below the first it goes straight
/// to (0, 0), above the last it is level. Without points it says what q says.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Curve(Vec<[f32; 2]>);

/// What is written down of a calibration.
#[derive(JsonSchema, Deserialize)]
struct Written {
    schema: String,
    depths: Vec<Vec<Curve>>,
}

// All numbers in it are finite.
impl Eq for Calibration {}

impl TryFrom<Written> for Calibration {
    type Error = crate::Error;

    fn try_from(written: Written) -> Result<Calibration> {
        if written.schema != CALIBRATION_SCHEMA {
            return Err(malformed(format!(
                "the calibration is a `{}`, and `{CALIBRATION_SCHEMA}` is read",
                written.schema
            )));
        }
        Calibration::new(written.depths)
    }
}

impl Curve {
    /// A curve through some points.
    ///
    /// # Errors
    /// A diagnostic where q does not ascend within 0 to 1, or the probability descends or lies outside of 0 to 1.
    pub fn new(points: Vec<[f32; 2]>) -> Result<Curve> {
        let inside = |x: f32| x > 0.0 && x <= 1.0;
        for (index, point) in points.iter().enumerate() {
            let [q, p] = *point;
            let [before_q, before_p] = if index == 0 {
                [0.0, 0.0]
            } else {
                points[index - 1]
            };
            if !(inside(q) && inside(p) && q > before_q && p >= before_p) {
                return Err(malformed(format!(
                    "point {point:?} of a calibration follows [{before_q}, {before_p}], and both must ascend within 0 to 1"
                )));
            }
        }
        Ok(Curve(points))
    }

    /// The probability at some q.
    #[must_use]
    pub fn at(&self, q: f32) -> f32 {
        let place = self.0.partition_point(|point| point[0] < q);
        let [low_q, low_p] = match place {
            0 => [0.0, 0.0],
            place => self.0[place - 1],
        };
        match self.0.get(place) {
            Some([high_q, high_p]) => low_p + (high_p - low_p) * (q - low_q) / (high_q - low_q),
            None if self.0.is_empty() => q,
            None => low_p,
        }
    }

    /// Its points.
    #[must_use]
    pub fn points(&self) -> &[[f32; 2]] {
        &self.0
    }
}

impl Calibration {
    /// Of curves `[depth][class]`, of which each depth has [`RANK_CLASSES`].
    ///
    /// # Errors
    /// A diagnostic for another number of classes, or of depths.
    pub fn new(depths: Vec<Vec<Curve>>) -> Result<Calibration> {
        if !(1..=MAX_SPECULATIVE_TOKENS).contains(&depths.len()) {
            return Err(malformed(format!(
                "the calibration has {} depths, 1 to {MAX_SPECULATIVE_TOKENS} are possible",
                depths.len()
            )));
        }
        if let Some(other) = depths.iter().find(|curves| curves.len() != RANK_CLASSES) {
            return Err(malformed(format!(
                "a depth of the calibration has {} curves, and there are {RANK_CLASSES} classes of places",
                other.len()
            )));
        }
        for curve in depths.iter().flatten() {
            Curve::new(curve.0.clone())?;
        }
        Ok(Calibration {
            schema: CALIBRATION_SCHEMA.to_owned(),
            depths,
        })
    }

    /// Reads what `--write-calibration` wrote.
    ///
    /// # Errors
    /// A diagnostic for a file that cannot be read or is something else.
    pub fn read(path: &Path) -> Result<Calibration> {
        let text = fs_err::read_to_string(path).map_err(|error| {
            Diagnostic::error(codes::FILE_MISSING, "the calibration cannot be read")
                .at(Place::file(path))
                .note(error.to_string())
        })?;
        serde_json::from_str(&text).map_err(|error| {
            Diagnostic::error(codes::CALIBRATION, "the file is no calibration")
                .at(Place::text(
                    path,
                    error.line().max(1),
                    error.column().max(1),
                ))
                .note(error.to_string())
                .help("make one with `eval --best --write-calibration FILE.json`")
                .into()
        })
    }

    /// The curve for draft tokens `depth` tokens after the text, 1 for the next one, that have place `rank` in the
    /// head's list, 0 for its favourite.
    #[must_use]
    pub fn curve(&self, depth: usize, rank: usize) -> &Curve {
        let depth = depth.clamp(1, self.depths.len());
        &self.depths[depth - 1][rank.min(RANK_CLASSES - 1)]
    }

    /// Turns the head's log-probabilities `[rows, width]` at some depth, those of a row in descending order, into those
    /// of being right. They are never positive, so that a child still never scores above its parent.
    pub(crate) fn apply(&self, depth: usize, width: usize, log_probabilities: &mut [f32]) {
        for row in log_probabilities.chunks_exact_mut(width) {
            for (rank, log_probability) in row.iter_mut().enumerate() {
                *log_probability = self.curve(depth, rank).at(log_probability.exp()).ln();
            }
        }
    }
}

fn malformed(title: String) -> crate::Error {
    Diagnostic::error(codes::CALIBRATION, title).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f32, expected: f32) {
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }

    #[test]
    fn a_curve_is_straight_between_its_points_and_level_behind_them() {
        let curve = Curve::new(vec![[0.2, 0.1], [0.6, 0.9]]).unwrap();
        for (q, p) in [
            (0.0, 0.0),
            (0.1, 0.05),
            (0.2, 0.1),
            (0.4, 0.5),
            (0.6, 0.9),
            (1.0, 0.9),
        ] {
            close(curve.at(q), p);
        }
        close(Curve::default().at(0.3), 0.3);
    }

    #[test]
    fn depths_and_places_beyond_the_last_are_the_last() {
        let level = |p| Curve::new(vec![[0.5, p]]).unwrap();
        let depth = |p| {
            (0..4)
                .map(|class| level(p + class as f32 / 100.0))
                .collect()
        };
        let calibration = Calibration::new(vec![depth(0.5), depth(0.2)]).unwrap();
        close(calibration.curve(1, 0).at(1.0), 0.5);
        close(calibration.curve(7, 60).at(1.0), 0.23);
        let mut scores = [0.9_f32.ln(), 0.6_f32.ln()];
        calibration.apply(2, 2, &mut scores);
        close(scores[0], 0.2_f32.ln());
        close(scores[1], 0.21_f32.ln());
    }

    #[test]
    fn what_is_no_calibration_is_refused_with_its_numbers() {
        let message = |points| Curve::new(points).unwrap_err().to_string();
        assert_eq!(
            message(vec![[0.5, 0.5], [0.7, 0.4]]),
            "point [0.7, 0.4] of a calibration follows [0.5, 0.5], and both must ascend within 0 to 1"
        );
        assert!(Curve::new(vec![[f32::NAN, 0.5]]).is_err());
        assert!(Calibration::new(vec![]).is_err());
        assert!(Calibration::new(vec![vec![Curve::default(); 3]]).is_err());
        let good = Calibration::new(vec![vec![Curve::default(); 4]]).unwrap();
        let text = serde_json::to_string(&good).unwrap();
        assert_eq!(serde_json::from_str::<Calibration>(&text).unwrap(), good);
        let bad = text.replace("calibration/1", "calibration/2");
        assert!(serde_json::from_str::<Calibration>(&bad).is_err());
        let bad = text.replacen("[]", "[[2.0,0.5]]", 1);
        assert!(serde_json::from_str::<Calibration>(&bad).is_err());
    }
}

//! The greedy choice among logits, and how close it was.

use schemars::JsonSchema;
use serde::Serialize;
use speculators_kernels::cpu;

use crate::Result;

/// The most likely token after some position, the smallest one on a tie, and the next likely one.
#[derive(Clone, Copy, Debug, PartialEq, JsonSchema, Serialize)]
pub struct Choice {
    /// The token taken.
    pub token: u32,
    /// Its logit.
    pub logit: f32,
    /// The token it was preferred to; the same token where there is no other.
    pub runner_up: u32,
    /// The logit of that.
    pub runner_up_logit: f32,
}

impl Choice {
    /// Whether both logits lie within one bfloat16 step of each other, so that rounding alone may decide.
    #[must_use]
    pub fn is_near_tie(&self) -> bool {
        self.runner_up != self.token && near_tie(self.logit, self.runner_up_logit)
    }
}

/// Whether two logits lie within one bfloat16 step of each other.
#[must_use]
pub fn near_tie(one: f32, other: f32) -> bool {
    (one - other).abs() <= bfloat16_step(one.abs().max(other.abs()))
}

/// Distance between neighboring bfloat16 values around `magnitude`: they have 8 significant bits.
#[must_use]
pub fn bfloat16_step(magnitude: f32) -> f32 {
    let exponent = magnitude.max(f32::MIN_POSITIVE).log2().floor();
    (exponent - 7.0).exp2()
}

/// The choice of each row of `logits`, `[rows, width]`; `name` turns a column into a token.
pub(crate) fn choose(
    logits: &[f32],
    width: usize,
    name: impl Fn(u32) -> u32,
    choices: &mut Vec<Choice>,
) -> Result<()> {
    let (rows, candidates) = (logits.len() / width, width.min(2));
    let mut columns = vec![0; rows * candidates];
    let mut values = vec![0.0; rows * candidates];
    cpu::top_k(logits, width, candidates, &mut columns, &mut values)?;
    choices.clear();
    choices.extend(
        columns
            .chunks_exact(candidates)
            .zip(values.chunks_exact(candidates))
            .map(|(columns, values)| Choice {
                token: name(columns[0]),
                logit: values[0],
                runner_up: name(columns[candidates - 1]),
                runner_up_logit: values[candidates - 1],
            }),
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bfloat16_step_is_the_distance_to_the_next_value() {
        // bfloat16 has 7 stored bits: 1.0 is followed by 1.0078125, 16 by 16.125.
        assert!((bfloat16_step(1.0) - 0.007_812_5).abs() < f32::EPSILON);
        assert!((bfloat16_step(20.0) - 0.125).abs() < f32::EPSILON);
    }

    #[test]
    fn the_smaller_column_wins_a_tie_and_the_other_is_the_runner_up() {
        let mut choices = Vec::new();
        let logits = [1.0, 3.0, 3.0, /* next row */ 20.0, 1.0, 19.0];
        choose(&logits, 3, |column| column + 10, &mut choices).unwrap();
        assert_eq!((choices[0].token, choices[0].runner_up), (11, 12));
        assert!(choices[0].is_near_tie());
        assert_eq!((choices[1].token, choices[1].runner_up), (10, 12));
        assert!(!choices[1].is_near_tie());
    }
}

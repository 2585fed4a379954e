use crate::philox::{gumbel, token_words};
use crate::{Result, Sampling, shape};

use super::probabilities::kept;

/// Chooses a token per row of `logits` `[rows, width]`: the largest logit, or a sample; see [`Sampling`].
///
/// `positions` has, per row, the position the chosen token will have. Together with the seed it determines the noise:
/// the draw at a position is the same in plain decoding, in a chain and in a tree. NaN is never chosen unless there is
/// nothing else, in which case the choice is token 0.
///
/// # Errors
///
/// [`Error::Sampling`](crate::Error::Sampling), [`Error::Shape`](crate::Error::Shape),
/// [`Error::Multiple`](crate::Error::Multiple).
pub fn sample(
    logits: &[f32],
    width: usize,
    sampling: &Sampling,
    positions: &[u64],
    ids: &mut [u32],
) -> Result<()> {
    check(logits, width, sampling, positions, ids)?;
    for ((row, position), id) in logits.chunks_exact(width).zip(positions).zip(ids) {
        *id = if sampling.is_greedy() {
            best((0..width).map(|token| (token, f64::from(row[token]))))
        } else {
            let scaled = |token: usize| f64::from(row[token]) / f64::from(sampling.temperature);
            let mut kept = kept(row, sampling);
            kept.sort_unstable();
            best(kept.into_iter().map(|token| {
                let words = token_words(sampling.seed, *position, token as u32 / 4);
                (token, scaled(token) + gumbel(words[token % 4]))
            }))
        };
    }
    Ok(())
}

/// The first of the largest values that are not NaN; 0 when there is none.
fn best(values: impl Iterator<Item = (usize, f64)>) -> u32 {
    let mut best = (0, f64::NAN);
    for (token, value) in values.filter(|(_, value)| !value.is_nan()) {
        if value > best.1 || best.1.is_nan() {
            best = (token, value);
        }
    }
    best.0 as u32
}

pub(crate) fn check(
    logits: &[f32],
    width: usize,
    sampling: &Sampling,
    positions: &[u64],
    ids: &[u32],
) -> Result<()> {
    const OPERATION: &str = "sample";
    sampling.check(OPERATION)?;
    let rows = shape::rows(OPERATION, "logits", width, logits.len())?;
    shape::equal(OPERATION, "positions", rows, positions.len())?;
    shape::equal(OPERATION, "ids", rows, ids.len())
}

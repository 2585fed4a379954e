use std::cmp::Ordering;

use crate::{Probability, Result, Sampling, shape};

/// The distribution that [`sample`](crate::cpu::sample) draws from: for each row of `logits` `[rows, width]` the
/// probabilities that [`Sampling`] defines, into `output`, of the same shape. Penalties are applied before, by
/// [`penalize`](crate::cpu::penalize).
///
/// With temperature 0 the largest logit has probability 1. This is both the verifier's `p` and a head's `q`.
///
/// # Errors
///
/// [`Error::Sampling`](crate::Error::Sampling), [`Error::Shape`](crate::Error::Shape),
/// [`Error::Multiple`](crate::Error::Multiple).
pub fn probabilities<P: Probability>(
    logits: &[f32],
    width: usize,
    sampling: &Sampling,
    output: &mut [P],
) -> Result<()> {
    check(logits, width, sampling, output.len())?;
    for (row, output) in logits
        .chunks_exact(width)
        .zip(output.chunks_exact_mut(width))
    {
        output.fill(P::from_f64(0.0));
        let kept = kept(row, sampling);
        // The first is the most probable one.
        let weight = |token: usize| {
            let below = f64::from(row[token]) - f64::from(row[kept[0]]);
            (below / f64::from(sampling.temperature)).exp()
        };
        if kept.len() == 1 {
            output[kept[0]] = P::from_f64(1.0);
            continue;
        }
        let total: f64 = kept.iter().map(|token| weight(*token)).sum();
        for token in &kept {
            output[*token] = P::from_f64(weight(*token) / total);
        }
    }
    Ok(())
}

/// The tokens that can be chosen, most probable first; at least one.
pub(crate) fn kept(logits: &[f32], sampling: &Sampling) -> Vec<usize> {
    let mut order: Vec<usize> = (0..logits.len()).filter(|t| !logits[*t].is_nan()).collect();
    order.sort_by(|a, b| {
        logits[*b]
            .partial_cmp(&logits[*a])
            .unwrap_or(Ordering::Equal)
            .then(a.cmp(b))
    });
    let Some(first) = order.first().copied() else {
        return vec![0];
    };
    if sampling.is_greedy() || logits[first].is_infinite() {
        return vec![first];
    }
    let largest = f64::from(logits[first]);
    // Probabilities up to the same factor: that of the largest is 1.
    let weight = |token: usize| {
        ((f64::from(logits[token]) - largest) / f64::from(sampling.temperature)).exp()
    };
    if sampling.min_p > 0.0 {
        order.retain(|token| weight(*token) >= f64::from(sampling.min_p));
    }
    if sampling.top_k > 0 {
        order.truncate(sampling.top_k);
    }
    if sampling.top_p < 1.0 {
        let mut ascending = order.clone();
        ascending.sort_unstable();
        let total: f64 = ascending.iter().map(|token| weight(*token)).sum();
        let mut sum = 0.0;
        let mut kept = 0;
        while kept < order.len() && sum < f64::from(sampling.top_p) * total {
            sum += weight(order[kept]);
            kept += 1;
        }
        order.truncate(kept);
    }
    order
}

pub(crate) fn check(
    logits: &[f32],
    width: usize,
    sampling: &Sampling,
    output: usize,
) -> Result<()> {
    const OPERATION: &str = "probabilities";
    sampling.check(OPERATION)?;
    shape::rows(OPERATION, "logits", width, logits.len())?;
    shape::equal(OPERATION, "output", logits.len(), output)
}

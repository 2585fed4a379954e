use super::sample::{argmax, filtered};
use crate::isa::{features, for_each_isa};
use crate::lanes::{Lanes, add_all, fold};
use crate::reference::check_probabilities;
use crate::rows::for_each_row;
use crate::{Isa, Result, Sampling, math};

/// See [`reference::probabilities`](crate::reference::probabilities).
///
/// # Errors
///
/// The same.
pub fn probabilities(
    logits: &[f32],
    width: usize,
    sampling: &Sampling,
    output: &mut [f32],
) -> Result<()> {
    check_probabilities(logits, width, sampling, output.len())?;
    let isa = features();
    for_each_row(output, width, 2 * width, |row, output| {
        let logits = &logits[row * width..(row + 1) * width];
        normalize(isa, logits, sampling, output);
    });
    Ok(())
}

fn normalize(isa: Isa, row: &[f32], sampling: &Sampling, output: &mut [f32]) {
    let greedy = argmax(isa, row);
    let largest = row[greedy as usize];
    let kept = if sampling.is_greedy() || !largest.is_finite() {
        Some(vec![greedy])
    } else {
        filtered(isa, row, greedy, sampling)
    };
    let Some(kept) = kept else {
        return all(isa, row, largest, sampling.temperature, output);
    };
    output.fill(0.0);
    if kept.len() == 1 {
        output[kept[0] as usize] = 1.0;
        return;
    }
    let weight = |token: &u32| {
        let below = f64::from(row[*token as usize]) - f64::from(largest);
        (below / f64::from(sampling.temperature)).exp()
    };
    let total: f64 = kept.iter().map(weight).sum();
    for token in &kept {
        output[*token as usize] = (weight(token) / total) as f32;
    }
}

fn all(isa: Isa, row: &[f32], largest: f32, temperature: f32, output: &mut [f32]) {
    for_each_isa!(isa, lanes softmax(row: &[f32], largest: f32, temperature: f32, output: &mut [f32]))
}

/// The softmax of a row; NaN counts as minus infinity.
#[inline(always)]
fn softmax<V: Lanes>(row: &[f32], largest: f32, temperature: f32, output: &mut [f32]) {
    for (y, x) in output.iter_mut().zip(row) {
        let weight = math::exp((x - largest) / temperature);
        *y = if weight.is_nan() { 0.0 } else { weight };
    }
    let sum = fold(add_all::<V, false>(V::splat(0.0), output).store());
    for y in output.iter_mut() {
        *y /= sum;
    }
}

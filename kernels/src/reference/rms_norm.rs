use crate::{Result, Rounding, shape};

/// Root-mean-square normalization: `output = round(round(x * rsqrt(mean(x²) + ε)) * weight)` over each row of
/// `weight.len()` numbers. Sums are in `f32`. Like transformers, and vLLM without compilation, it rounds the normalized
/// row before the weight as well as after it; with one rounding a quarter of the outputs differ in the last bit.
///
/// # Errors
///
/// [`Error::Multiple`](crate::Error::Multiple), [`Error::Shape`](crate::Error::Shape).
pub fn rms_norm(
    input: &[f32],
    weight: &[f32],
    epsilon: f32,
    rounding: Rounding,
    output: &mut [f32],
) -> Result<()> {
    check(input, weight, output)?;
    let width = weight.len();
    for (x, y) in input
        .chunks_exact(width)
        .zip(output.chunks_exact_mut(width))
    {
        let squares: f64 = x.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
        let factor = (1.0 / (squares / width as f64 + f64::from(epsilon)).sqrt()) as f32;
        for i in 0..width {
            y[i] = rounding.round(rounding.round(x[i] * factor) * weight[i]);
        }
    }
    Ok(())
}

/// A residual connection and the normalization after it: `sum = residual + input`, then `residual = round(sum)` and
/// `output = rms_norm(sum)`. What is normalized is the sum before it is rounded, as in vLLM.
///
/// # Errors
///
/// As for [`rms_norm`].
pub fn add_rms_norm(
    input: &[f32],
    residual: &mut [f32],
    weight: &[f32],
    epsilon: f32,
    rounding: Rounding,
    output: &mut [f32],
) -> Result<()> {
    check_add(input, residual, weight, output)?;
    let sums: Vec<f32> = residual
        .iter()
        .zip(input)
        .map(|(residual, x)| residual + x)
        .collect();
    for (residual, sum) in residual.iter_mut().zip(&sums) {
        *residual = rounding.round(*sum);
    }
    rms_norm(&sums, weight, epsilon, rounding, output)
}

pub(crate) fn check(input: &[f32], weight: &[f32], output: &[f32]) -> Result<()> {
    shape::rows("rms_norm", "input", weight.len(), input.len())?;
    shape::equal("rms_norm", "output", input.len(), output.len())
}

pub(crate) fn check_add(
    input: &[f32],
    residual: &[f32],
    weight: &[f32],
    output: &[f32],
) -> Result<()> {
    shape::rows("add_rms_norm", "input", weight.len(), input.len())?;
    shape::equal("add_rms_norm", "residual", input.len(), residual.len())?;
    shape::equal("add_rms_norm", "output", input.len(), output.len())
}

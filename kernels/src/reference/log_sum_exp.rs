use crate::{Result, shape};

/// `output[row] = ln Σ e^logits[row]`, logits `[rows, width]`, one number per row.
///
/// A row of minus infinities gives minus infinity; a row with a NaN gives NaN.
///
/// # Errors
///
/// [`Error::Shape`](crate::Error::Shape), [`Error::Multiple`](crate::Error::Multiple).
pub fn log_sum_exp(logits: &[f32], width: usize, output: &mut [f32]) -> Result<()> {
    const OPERATION: &str = "log_sum_exp";
    let rows = shape::rows(OPERATION, "logits", width, logits.len())?;
    shape::equal(OPERATION, "output", rows, output.len())?;
    for (row, result) in logits.chunks_exact(width).zip(output) {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = row
            .iter()
            .map(|x| (f64::from(*x) - f64::from(largest)).exp())
            .sum();
        *result = if largest.is_infinite() && !row.iter().any(|x| x.is_nan()) {
            // inf - inf would be NaN.
            largest
        } else {
            (f64::from(largest) + sum.ln()) as f32
        };
    }
    Ok(())
}

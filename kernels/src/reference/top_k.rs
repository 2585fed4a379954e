use std::cmp::Ordering;

use crate::{Result, shape};

/// The `k` largest logits of each row, largest first: `ids` and `values` are `[rows, k]`.
///
/// Equal logits are ordered by the smaller index; NaN comes after everything else.
///
/// # Errors
///
/// [`Error::Range`](crate::Error::Range) when `k` is greater than `width`, [`Error::Shape`](crate::Error::Shape),
/// [`Error::Multiple`](crate::Error::Multiple).
pub fn top_k(
    logits: &[f32],
    width: usize,
    k: usize,
    ids: &mut [u32],
    values: &mut [f32],
) -> Result<()> {
    let rows = check(logits, width, k, ids, values)?;
    for row in 0..rows {
        let logits = &logits[row * width..(row + 1) * width];
        let mut order: Vec<usize> = (0..width).collect();
        order.sort_by(|a, b| compare(logits[*a], logits[*b]).then(a.cmp(b)));
        for (rank, index) in order.into_iter().take(k).enumerate() {
            ids[row * k + rank] = index as u32;
            values[row * k + rank] = logits[index];
        }
    }
    Ok(())
}

/// Descending, NaN last; 0 and -0 are equal.
fn compare(a: f32, b: f32) -> Ordering {
    b.partial_cmp(&a)
        .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// The number of rows.
pub(crate) fn check(
    logits: &[f32],
    width: usize,
    k: usize,
    ids: &[u32],
    values: &[f32],
) -> Result<usize> {
    const OPERATION: &str = "top_k";
    let rows = shape::rows(OPERATION, "logits", width, logits.len())?;
    shape::below(OPERATION, "k", width + 1, k)?;
    shape::equal(OPERATION, "ids", rows * k, ids.len())?;
    shape::equal(OPERATION, "values", rows * k, values.len())?;
    Ok(rows)
}

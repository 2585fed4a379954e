use crate::isa::{features, for_each_isa};
use crate::lanes::{Lanes, add_all, fold, largest as largest_of};
use crate::rows::for_each_row;
use crate::{Isa, Result, math, shape};

/// See [`reference::log_sum_exp`](crate::reference::log_sum_exp).
///
/// # Errors
///
/// The same.
pub fn log_sum_exp(logits: &[f32], width: usize, output: &mut [f32]) -> Result<()> {
    const OPERATION: &str = "log_sum_exp";
    let rows = shape::rows(OPERATION, "logits", width, logits.len())?;
    shape::equal(OPERATION, "output", rows, output.len())?;
    let isa = features();
    for_each_row(output, 1, 2 * width, |row, output| {
        output[0] = row_log_sum_exp(isa, &logits[row * width..(row + 1) * width]);
    });
    Ok(())
}

fn row_log_sum_exp(isa: Isa, row: &[f32]) -> f32 {
    for_each_isa!(isa, lanes row_body(row: &[f32]) -> f32)
}

#[inline(always)]
fn row_body<V: Lanes>(row: &[f32]) -> f32 {
    let largest = largest_of::<V>(row);
    if largest.is_infinite() {
        // inf - inf would be NaN.
        return if row.iter().any(|x| x.is_nan()) {
            f32::NAN
        } else {
            largest
        };
    }
    let mut sums = V::splat(0.0);
    let mut exponentials = [0.0; 512];
    for numbers in row.chunks(exponentials.len()) {
        for (y, x) in exponentials.iter_mut().zip(numbers) {
            *y = math::exp(x - largest);
        }
        sums = add_all::<V, false>(sums, &exponentials[..numbers.len()]);
    }
    largest + fold(sums.store()).ln()
}

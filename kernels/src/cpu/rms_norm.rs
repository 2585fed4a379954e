use crate::isa::{features, for_each_isa};
use crate::lanes::{Lanes, add_all, fold};
use crate::reference::{check_add_rms_norm, check_rms_norm};
use crate::rows::for_each_row;
use crate::{Isa, Result, Rounding};

/// See [`reference::rms_norm`](crate::reference::rms_norm).
///
/// # Errors
///
/// The same.
pub fn rms_norm(
    input: &[f32],
    weight: &[f32],
    epsilon: f32,
    rounding: Rounding,
    output: &mut [f32],
) -> Result<()> {
    check_rms_norm(input, weight, output)?;
    let (isa, width) = (features(), weight.len());
    for_each_row(output, width, width, |row, output| {
        output.copy_from_slice(&input[row * width..(row + 1) * width]);
        normalize(isa, output, weight, epsilon, rounding);
    });
    Ok(())
}

/// See [`reference::add_rms_norm`](crate::reference::add_rms_norm).
///
/// # Errors
///
/// The same.
pub fn add_rms_norm(
    input: &[f32],
    residual: &mut [f32],
    weight: &[f32],
    epsilon: f32,
    rounding: Rounding,
    output: &mut [f32],
) -> Result<()> {
    check_add_rms_norm(input, residual, weight, output)?;
    let (isa, width) = (features(), weight.len());
    for_each_row(residual, width, width, |row, residual| {
        add(
            isa,
            &input[row * width..(row + 1) * width],
            rounding,
            residual,
        );
    });
    let residual = &*residual;
    for_each_row(output, width, width, |row, output| {
        output.copy_from_slice(&residual[row * width..(row + 1) * width]);
        normalize(isa, output, weight, epsilon, rounding);
    });
    Ok(())
}

fn add(isa: Isa, input: &[f32], rounding: Rounding, sum: &mut [f32]) {
    for_each_isa!(isa, add_row(input: &[f32], rounding: Rounding, sum: &mut [f32]))
}

#[inline(always)]
fn add_row(input: &[f32], rounding: Rounding, sum: &mut [f32]) {
    for (sum, x) in sum.iter_mut().zip(input) {
        *sum += x;
    }
    rounding.round_all(sum);
}

fn normalize(isa: Isa, row: &mut [f32], weight: &[f32], epsilon: f32, rounding: Rounding) {
    for_each_isa!(isa, lanes normalize_row(row: &mut [f32], weight: &[f32], epsilon: f32, rounding: Rounding))
}

/// The one place that says where normalization rounds.
#[inline(always)]
fn normalize_row<V: Lanes>(row: &mut [f32], weight: &[f32], epsilon: f32, rounding: Rounding) {
    let squares = fold(add_all::<V, true>(V::splat(0.0), row).store());
    let factor = 1.0 / (squares / row.len() as f32 + epsilon).sqrt();
    for (x, weight) in row.iter_mut().zip(weight) {
        *x = *x * factor * weight;
    }
    rounding.round_all(row);
}

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
    // The sum waits in the output until it is rounded into the residual; the norm is of the sum itself.
    let old = &*residual;
    for_each_row(output, width, width, |row, sum| {
        let range = row * width..(row + 1) * width;
        add(isa, &old[range.clone()], &input[range], sum);
    });
    let sums = &*output;
    for_each_row(residual, width, width, |row, residual| {
        residual.copy_from_slice(&sums[row * width..(row + 1) * width]);
        round(isa, residual, rounding);
    });
    for_each_row(output, width, width, |_, output| {
        normalize(isa, output, weight, epsilon, rounding)
    });
    Ok(())
}

fn add(isa: Isa, residual: &[f32], input: &[f32], sum: &mut [f32]) {
    for_each_isa!(isa, add_row(residual: &[f32], input: &[f32], sum: &mut [f32]))
}

#[inline(always)]
fn add_row(residual: &[f32], input: &[f32], sum: &mut [f32]) {
    for ((sum, residual), x) in sum.iter_mut().zip(residual).zip(input) {
        *sum = residual + x;
    }
}

fn round(isa: Isa, row: &mut [f32], rounding: Rounding) {
    for_each_isa!(isa, round_row(row: &mut [f32], rounding: Rounding))
}

#[inline(always)]
fn round_row(row: &mut [f32], rounding: Rounding) {
    rounding.round_all(row);
}

fn normalize(isa: Isa, row: &mut [f32], weight: &[f32], epsilon: f32, rounding: Rounding) {
    for_each_isa!(isa, lanes normalize_row(row: &mut [f32], weight: &[f32], epsilon: f32, rounding: Rounding))
}

/// The one place that says where normalization rounds.
#[inline(always)]
fn normalize_row<V: Lanes>(row: &mut [f32], weight: &[f32], epsilon: f32, rounding: Rounding) {
    let squares = fold(add_all::<V, true>(V::splat(0.0), row).store());
    let factor = 1.0 / (squares / row.len() as f32 + epsilon).sqrt();
    for x in row.iter_mut() {
        *x *= factor;
    }
    rounding.round_all(row);
    for (x, weight) in row.iter_mut().zip(weight) {
        *x *= weight;
    }
    rounding.round_all(row);
}

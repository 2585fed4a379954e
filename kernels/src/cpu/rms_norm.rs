use crate::isa::{features, for_each_isa};
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
    for_each_isa!(isa, normalize_row(row: &mut [f32], weight: &[f32], epsilon: f32, rounding: Rounding))
}

/// The sum of the squares of a row in the order in which PyTorch adds up a contiguous row on x86: four vectors of eight
/// side by side, in a cascade of four levels that keeps partial sums of similar size apart, then vector after vector,
/// then what is left of the row, then lane after lane.
#[inline(always)]
fn sum_of_squares(row: &[f32]) -> f32 {
    const LANES: usize = 8;
    const SIDE_BY_SIDE: usize = 4 * LANES;
    const LEVELS: usize = 4;
    let (chunks, rest) = row.as_chunks::<SIDE_BY_SIDE>();
    // Chunks of the first level go to the second when there are 16 of them, in longer rows the fourth root of all.
    let bits = chunks.len().max(1).next_power_of_two().trailing_zeros();
    let power = (bits as usize / LEVELS).max(4);
    let step = 1 << power;
    let mut sums = [[0.0; SIDE_BY_SIDE]; LEVELS];
    for (index, chunk) in chunks.iter().enumerate() {
        for (sum, x) in sums[0].iter_mut().zip(chunk) {
            *sum += x * x;
        }
        let done = index + 1;
        if done % step == 0 {
            for level in 1..LEVELS {
                let below = std::mem::replace(&mut sums[level - 1], [0.0; SIDE_BY_SIDE]);
                for (sum, below) in sums[level].iter_mut().zip(below) {
                    *sum += below;
                }
                if done & ((step - 1) << (level * power)) != 0 {
                    break;
                }
            }
        }
    }
    let [mut total, higher @ ..] = sums;
    for level in higher {
        for (sum, x) in total.iter_mut().zip(level) {
            *sum += x;
        }
    }
    let (mut lanes, others) = ([0.0; LANES], total.as_chunks::<LANES>().0);
    lanes.copy_from_slice(&others[0]);
    let (vectors, rest) = rest.as_chunks::<LANES>();
    for vector in vectors {
        for (sum, x) in lanes.iter_mut().zip(vector) {
            *sum += x * x;
        }
    }
    for vector in &others[1..] {
        for (sum, x) in lanes.iter_mut().zip(vector) {
            *sum += x;
        }
    }
    let mut sum = 0.0;
    for x in rest {
        sum += x * x;
    }
    for lane in lanes {
        sum += lane;
    }
    sum
}

/// The one place that says where normalization rounds.
#[inline(always)]
fn normalize_row(row: &mut [f32], weight: &[f32], epsilon: f32, rounding: Rounding) {
    let squares = sum_of_squares(row);
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

use crate::isa::{features, for_each_isa};
use crate::reference::check_rope;
use crate::rows::for_each_row;
use crate::{Isa, Result, RopeTable, Rounding};

/// See [`reference::rope`](crate::reference::rope).
///
/// # Errors
///
/// The same.
pub fn rope(
    table: &RopeTable,
    positions: &[u32],
    heads: usize,
    head_dim: usize,
    rounding: Rounding,
    values: &mut [f32],
) -> Result<()> {
    check_rope(table, positions, heads, head_dim, values)?;
    let (isa, half) = (features(), table.half());
    for_each_row(values, heads * head_dim, heads * head_dim, |row, values| {
        let (cosines, sines) = table.at(positions[row] as usize);
        for head in values.chunks_exact_mut(head_dim) {
            let (first, second) = head[..2 * half].split_at_mut(half);
            rotate(isa, cosines, sines, rounding, first, second);
        }
    });
    Ok(())
}

fn rotate(
    isa: Isa,
    cosines: &[f32],
    sines: &[f32],
    rounding: Rounding,
    first: &mut [f32],
    second: &mut [f32],
) {
    for_each_isa!(isa, rotate_head(cosines: &[f32], sines: &[f32], rounding: Rounding, first: &mut [f32], second: &mut [f32]))
}

#[inline(always)]
fn rotate_head(
    cosines: &[f32],
    sines: &[f32],
    rounding: Rounding,
    first: &mut [f32],
    second: &mut [f32],
) {
    for (((a, b), cosine), sine) in first.iter_mut().zip(&mut *second).zip(cosines).zip(sines) {
        (*a, *b) = (*a * cosine - *b * sine, *b * cosine + *a * sine);
    }
    rounding.round_all(first);
    rounding.round_all(second);
}

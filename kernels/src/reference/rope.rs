use crate::{Result, RopeTable, Rounding, shape};

/// Rotates queries or keys by their position, in place. `values` is `[rows, heads, head_dim]`, one position per row.
///
/// Channel `i` is paired with channel `i + half` (the layout of transformers, "neox"); channels from `2 * half` on stay
/// as they are. With `c`, `s` from the table:
/// `(a, b) ← (round(a c - b s), round(b c + a s))`, in `f32` and rounded once.
///
/// # Errors
///
/// [`Error::Range`](crate::Error::Range) for a position beyond the table or a head narrower than the rotation,
/// [`Error::Shape`](crate::Error::Shape).
pub fn rope(
    table: &RopeTable,
    positions: &[u32],
    heads: usize,
    head_dim: usize,
    rounding: Rounding,
    values: &mut [f32],
) -> Result<()> {
    check(table, positions, heads, head_dim, values)?;
    let half = table.half();
    for row in 0..positions.len() {
        let (cosines, sines) = table.at(positions[row] as usize);
        for head in 0..heads {
            let start = (row * heads + head) * head_dim;
            for i in 0..half {
                let (a, b) = (values[start + i], values[start + half + i]);
                values[start + i] = rounding.round(a * cosines[i] - b * sines[i]);
                values[start + half + i] = rounding.round(b * cosines[i] + a * sines[i]);
            }
        }
    }
    Ok(())
}

pub(crate) fn check(
    table: &RopeTable,
    positions: &[u32],
    heads: usize,
    head_dim: usize,
    values: &[f32],
) -> Result<()> {
    const OPERATION: &str = "rope";
    shape::equal(
        OPERATION,
        "values",
        positions.len() * heads * head_dim,
        values.len(),
    )?;
    shape::below(
        OPERATION,
        "rotated channels",
        head_dim + 1,
        2 * table.half(),
    )?;
    for position in positions {
        shape::below(OPERATION, "position", table.positions(), *position as usize)?;
    }
    Ok(())
}

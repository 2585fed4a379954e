//! The same order of accumulation in plain Rust, with multiplication and addition rounded separately.

use super::{BF16, F16, F32, Sums};
use crate::PANEL;
use crate::numbers::{bf16_to_f32, f16_to_f32};

/// Weights of any type, widened exactly, times `f32` activations; an input per step.
pub(super) fn steps<const TYPE: u8, const ROWS: usize>(
    panel: &[u8],
    activations: &[u32],
    sums: &mut [Sums],
) {
    let size = match TYPE {
        F32 => 4,
        F16 | BF16 => 2,
        _ => 1,
    };
    let activations = activations.as_chunks::<ROWS>().0.as_chunks::<2>().0;
    for (pair, x) in panel.chunks_exact(2 * PANEL * size).zip(activations) {
        let weights = widen::<TYPE>(pair);
        for step in 0..2 {
            for (row, sums) in sums.iter_mut().enumerate() {
                let x = f32::from_bits(x[step][row]);
                for (sum, weight) in sums[step].iter_mut().zip(&weights[step]) {
                    *sum += weight * x;
                }
            }
        }
    }
}

/// The weights of two neighbouring inputs.
#[inline(always)]
fn widen<const TYPE: u8>(pair: &[u8]) -> [[f32; PANEL]; 2] {
    let mut weights = [[0.0; PANEL]; 2];
    if TYPE == BF16 {
        for (lane, word) in pair.as_chunks::<4>().0.iter().enumerate() {
            weights[0][lane] = bf16_to_f32(u16::from_le_bytes([word[0], word[1]]));
            weights[1][lane] = bf16_to_f32(u16::from_le_bytes([word[2], word[3]]));
        }
        return weights;
    }
    for (index, weight) in weights.as_flattened_mut().iter_mut().enumerate() {
        *weight = match TYPE {
            F32 => f32::from_le_bytes(pair.as_chunks::<4>().0[index]),
            F16 => f16_to_f32(u16::from_le_bytes(pair.as_chunks::<2>().0[index])),
            _ => f32::from(pair[index].cast_signed()),
        };
    }
    weights
}

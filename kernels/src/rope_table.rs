//! Cosines and sines of rotary position embeddings.

use crate::Rounding;

/// Cosines and sines for positions `0..positions`, `[positions, half]` each.
///
/// The angle is `position * inverse_frequency` with both factors and the product in `f32`, as PyTorch models compute
/// it; at large positions that differs visibly from exact arithmetic. Cosine and sine are then taken in `f64`,
/// multiplied with the attention scaling (YaRN, LongRoPE; else 1) and rounded to `f32` and to the dtype of the model.
#[derive(Debug, Clone)]
pub struct RopeTable {
    half: usize,
    positions: usize,
    cosines: Vec<f32>,
    sines: Vec<f32>,
}

impl RopeTable {
    /// Computes the table. There is one inverse frequency per rotated pair of channels.
    #[must_use]
    pub fn new(
        inverse_frequencies: &[f64],
        attention_scaling: f64,
        positions: usize,
        rounding: Rounding,
    ) -> RopeTable {
        let half = inverse_frequencies.len();
        let mut cosines = Vec::with_capacity(positions * half);
        let mut sines = Vec::with_capacity(positions * half);
        for position in 0..positions {
            for frequency in inverse_frequencies {
                let angle = f64::from(position as f32 * *frequency as f32);
                cosines.push(rounding.round((angle.cos() * attention_scaling) as f32));
                sines.push(rounding.round((angle.sin() * attention_scaling) as f32));
            }
        }
        RopeTable {
            half,
            positions,
            cosines,
            sines,
        }
    }

    /// Pairs of channels that are rotated; the first `2 * half` channels of a head take part.
    #[must_use]
    pub fn half(&self) -> usize {
        self.half
    }

    /// The first position that is not in the table.
    #[must_use]
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// Cosines and sines of one position, which must be below [`RopeTable::positions`].
    pub(crate) fn at(&self, position: usize) -> (&[f32], &[f32]) {
        let range = position * self.half..(position + 1) * self.half;
        (&self.cosines[range.clone()], &self.sines[range])
    }
}

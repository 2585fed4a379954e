//! Cosines and sines of the rotary embedding, made when they are first needed.

use std::sync::{Arc, Mutex, PoisonError};

use speculators_formats::{Rope, RopeScaling};
use speculators_kernels::{RopeTable, Rounding};

/// Positions are tabulated from this many on, then twice as many each time.
const LEAST: usize = 1024;

/// The rotary embedding of a model. Contexts of 131072 positions are common and short texts more so, hence the
/// table grows with what is asked for.
#[derive(Debug)]
pub(crate) struct Rotary {
    inverse_frequencies: Vec<f64>,
    attention_scaling: f64,
    rounding: Rounding,
    table: Mutex<Arc<RopeTable>>,
}

impl Rotary {
    /// Dynamic scaling depends on the length of the sequence; like vLLM, which tabulates once, the longest is taken.
    pub(crate) fn new(
        rope: &Rope,
        head_dim: usize,
        max_position_embeddings: usize,
        rounding: Rounding,
    ) -> Rotary {
        let (exact, attention_scaling) =
            rope.inverse_frequencies(head_dim, max_position_embeddings, max_position_embeddings);
        let inverse_frequencies = single_precision(rope, &exact);
        let table = Arc::new(RopeTable::new(
            &inverse_frequencies,
            attention_scaling,
            0,
            rounding,
        ));
        Rotary {
            inverse_frequencies,
            attention_scaling,
            rounding,
            table: Mutex::new(table),
        }
    }

    /// A table that holds at least the positions below `positions`.
    pub(crate) fn table(&self, positions: usize) -> Arc<RopeTable> {
        // A poisoned lock still guards a whole table: it is replaced in one assignment.
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if table.positions() < positions {
            *table = Arc::new(RopeTable::new(
                &self.inverse_frequencies,
                self.attention_scaling,
                positions.next_power_of_two().max(LEAST),
                self.rounding,
            ));
        }
        Arc::clone(&table)
    }
}

/// The frequencies with the roundings of PyTorch, which computes them in single precision step by step: one in three
/// is off by a last bit, and at position 1000 that bit is one of the cosine's as bfloat16 has it.
fn single_precision(rope: &Rope, exact: &[f64]) -> Vec<f64> {
    let dim = 2.0 * exact.len() as f32;
    let plain = |theta: f64, index: usize| {
        let exponent = f64::from(2.0 * index as f32 / dim);
        1.0 / theta.powf(exponent) as f32
    };
    (0..exact.len())
        .map(|index| {
            let frequency = plain(rope.theta, index);
            let RopeScaling::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_max_position_embeddings,
            } = rope.scaling
            else {
                // Whatever the other scalings multiply with, they leave the rounding of the plain frequency in.
                let unscaled = rope.theta.powf(-2.0 * index as f64 / f64::from(dim));
                return f64::from((f64::from(frequency) * (exact[index] / unscaled)) as f32);
            };
            let (factor, low, high) = (
                factor as f32,
                low_freq_factor as f32,
                high_freq_factor as f32,
            );
            let trained = original_max_position_embeddings as f32;
            let wavelength = std::f32::consts::TAU / frequency;
            let scaled = if wavelength < trained / high {
                frequency
            } else if wavelength > trained / low {
                frequency / factor
            } else {
                let smooth = (trained / wavelength - low) / (high - low);
                (1.0 - smooth) * frequency / factor + smooth * frequency
            };
            f64::from(scaled)
        })
        .collect()
}

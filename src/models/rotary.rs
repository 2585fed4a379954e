//! Cosines and sines of the rotary embedding, made when they are first needed.

use std::sync::{Arc, Mutex, PoisonError};

use speculators_formats::Rope;
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
        let (inverse_frequencies, attention_scaling) =
            rope.inverse_frequencies(head_dim, max_position_embeddings, max_position_embeddings);
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

//! What is measured on: texts that the verifier wrote itself, with the states it had while it did.

use std::sync::atomic::AtomicBool;

use speculators_kernels::causal_bits;

use crate::Result;
use crate::decoding::{Limits, generate};
use crate::models::{Verifier, VerifierPass};

/// Rows of one pass over a text: enough to be bound by arithmetic, few enough for small buffers.
const ROWS: usize = 256;

/// A prompt, the verifier's greedy continuation of it, and the verifier's states at every token but the last.
#[derive(Clone, Debug)]
pub struct Text {
    /// Prompt and continuation.
    pub tokens: Vec<u32>,
    /// How many of them are the prompt.
    pub prompt_length: usize,
    /// The layers that `states` holds, ascending, counted as layers that have run.
    layers: Vec<usize>,
    hidden_size: usize,
    /// `[tokens - 1, layers * hidden]`.
    states: Vec<f32>,
}

impl Text {
    /// Has the verifier continue a prompt by at most `max_new_tokens`, and keeps the states after each of `layers`.
    ///
    /// # Errors
    /// As for [`generate`]; a fault of the computation where a layer does not exist.
    pub fn write(
        verifier: &Verifier,
        prompt: &[u32],
        max_new_tokens: usize,
        layers: &[usize],
        cancelled: &AtomicBool,
    ) -> Result<Text> {
        let limits = Limits::new(verifier, max_new_tokens);
        let generation = generate(verifier, prompt, &limits, cancelled)?;
        let mut tokens = prompt.to_vec();
        tokens.extend(&generation.output_token_ids);
        // A second look at the whole text costs little beside writing it token by token, and gives the same bits.
        let seen = tokens.len() - 1;
        let mut states = Vec::new();
        let mut cache = verifier.cache(seen)?;
        let mut pass = VerifierPass::default();
        for start in (0..seen).step_by(ROWS) {
            let end = seen.min(start + ROWS);
            let positions: Vec<u32> = (start as u32..end as u32).collect();
            verifier.forward(
                &tokens[start..end],
                &positions,
                &causal_bits(end - start),
                &mut cache,
                layers,
                &mut pass,
            )?;
            states.extend_from_slice(pass.auxiliary());
        }
        Ok(Text {
            tokens,
            prompt_length: prompt.len(),
            layers: layers.to_vec(),
            hidden_size: verifier.config().hidden_size,
            states,
        })
    }

    /// Positions whose next token a head could have drafted: the first token of the continuation is the verifier's own,
    /// and each later one can be the first of a draft.
    #[must_use]
    pub fn positions(&self) -> usize {
        (self.tokens.len() - self.prompt_length).saturating_sub(1)
    }

    /// The states after some of the layers side by side, `[rows, wanted * hidden]`, of the rows `from..to`; nothing where
    /// one of them was not kept.
    #[must_use]
    pub(crate) fn states(&self, wanted: &[usize], from: usize, to: usize) -> Option<Vec<f32>> {
        let places = wanted
            .iter()
            .map(|layer| self.layers.binary_search(layer).ok())
            .collect::<Option<Vec<usize>>>()?;
        let width = self.layers.len() * self.hidden_size;
        let mut states = Vec::with_capacity((to - from) * places.len() * self.hidden_size);
        for row in self.states[from * width..to * width].chunks_exact(width) {
            for place in &places {
                states.extend_from_slice(&row[place * self.hidden_size..][..self.hidden_size]);
            }
        }
        Some(states)
    }
}

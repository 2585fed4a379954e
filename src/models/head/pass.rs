//! One pass of a head over some rows.

use speculators_kernels::cpu;

use super::{DraftHead, HeadPass};
use crate::Result;
use crate::models::attention::Pass;
use crate::models::cache::Cache;
use crate::models::verifier::{in_pool, same_rows};

impl DraftHead {
    /// Runs rows after those in the cache. Row `r` joins `tokens[r]` with `features[r]` and stands at the position of
    /// the feature, one before that of the token.
    ///
    /// `positions` are those of the tail of the cache, the slots that `visible` speaks of: the rows are its end. Where
    /// a tree is drafted level by level, the levels before come first; else there are as many positions as tokens.
    /// `visible` has a row of `positions.len().div_ceil(32)` words for each token, as in [`Verifier::forward`](crate::models::Verifier::forward).
    ///
    /// Afterwards `features` holds what the next draft step takes.
    ///
    /// # Errors
    ///
    /// When a token does not exist or the lengths do not fit.
    pub fn forward(
        &self,
        tokens: &[u32],
        positions: &[u32],
        visible: &[u32],
        features: &mut [f32],
        cache: &mut Cache,
        pass: &mut HeadPass,
    ) -> Result<()> {
        let (rows, hidden) = (tokens.len(), self.description.hidden_size);
        if positions.len() < rows {
            same_rows("DraftHead::forward", "positions", rows, positions.len())?;
        }
        same_rows(
            "DraftHead::forward",
            "features",
            rows,
            features.len() / hidden,
        )?;
        in_pool(|| self.run(tokens, positions, visible, features, cache, pass))
    }

    fn run(
        &self,
        tokens: &[u32],
        positions: &[u32],
        visible: &[u32],
        features: &mut [f32],
        cache: &mut Cache,
        pass: &mut HeadPass,
    ) -> Result<()> {
        let (rows, hidden) = (tokens.len(), self.description.hidden_size);
        let last = positions.iter().copied().max().unwrap_or(0) as usize;
        let rope = self.rotary.table(last + 1);
        let shared = Pass {
            positions: &positions[positions.len() - rows..],
            tail_positions: positions,
            visible,
            rope: &rope,
        };
        let (epsilon, rounding) = (
            self.description.rms_norm_eps as f32,
            self.precision.rounding(),
        );

        (pass.rows, pass.width) = (rows, hidden);
        let residual = pass.residual.take(rows * hidden);
        let delta = pass.delta.take(rows * hidden);
        let normed = pass.normed.take(rows * hidden);
        let joined = pass.joined.take(rows * 2 * hidden);
        for (index, layer) in self.layers.iter().enumerate() {
            let input = if index == 0 {
                // Embedding first, feature second; `residual` serves as a buffer until it is set.
                cpu::embed(&self.embeddings, tokens, residual)?;
                cpu::rms_norm(residual, &layer.input_norm, epsilon, rounding, normed)?;
                spread(normed, hidden, joined, 0);
                cpu::rms_norm(features, &self.hidden_norm, epsilon, rounding, normed)?;
                spread(normed, hidden, joined, hidden);
                residual.copy_from_slice(if self.description.norm_before_residual {
                    normed
                } else {
                    features
                });
                &*joined
            } else {
                cpu::add_rms_norm(
                    delta,
                    residual,
                    &layer.input_norm,
                    epsilon,
                    rounding,
                    normed,
                )?;
                &*normed
            };
            layer.attention.forward(
                &shared,
                input,
                cache.layer_mut(index),
                &mut pass.layer,
                delta,
            )?;
            cpu::add_rms_norm(
                delta,
                residual,
                &layer.post_attention_norm,
                epsilon,
                rounding,
                normed,
            )?;
            layer.mlp.forward(normed, &mut pass.layer, delta)?;
        }
        cpu::add_rms_norm(delta, residual, &self.norm, epsilon, rounding, normed)?;
        features.copy_from_slice(if self.description.norm_output {
            normed
        } else {
            residual
        });
        Ok(())
    }
}

/// Writes rows of `width` into one half of rows twice as wide.
fn spread(source: &[f32], width: usize, target: &mut [f32], from: usize) {
    for (row, target) in source
        .chunks_exact(width)
        .zip(target.chunks_exact_mut(2 * width))
    {
        target[from..from + width].copy_from_slice(row);
    }
}

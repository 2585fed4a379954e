//! Self-attention: q, k and v in one matrix, rotary embedding, cache, output projection.

use speculators_kernels::{KvCache, RopeTable, Rounding, TreeMask, cpu};

use super::scratch::LayerScratch;
use super::weights::{Linear, Weights};
use crate::Result;

/// What the tokens of a pass have in common over all layers.
pub(crate) struct Pass<'a> {
    /// Position of each row.
    pub(crate) positions: &'a [u32],
    /// Positions of the slots that `visible` speaks of: the rows, and before them rows of earlier passes of a tree.
    pub(crate) tail_positions: &'a [u32],
    /// `[rows, tail.div_ceil(32)]`: which slots of the tail each row sees, itself included.
    pub(crate) visible: &'a [u32],
    /// Cosines and sines, at least up to the largest position.
    pub(crate) rope: &'a RopeTable,
}

/// Sizes and switches of an attention block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttentionShape {
    pub(crate) inputs: usize,
    pub(crate) hidden_size: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
    /// Tokens a row sees, itself included; nothing for all.
    pub(crate) window: Option<usize>,
    /// q, k and v carry biases.
    pub(crate) bias: bool,
    /// o carries a bias.
    pub(crate) output_bias: bool,
    /// q and k are normalized per head.
    pub(crate) qk_norm: bool,
    pub(crate) epsilon: f32,
    pub(crate) rounding: Rounding,
}

/// Self-attention of one layer.
#[derive(Debug)]
pub(crate) struct Attention {
    shape: AttentionShape,
    qkv: Linear,                         // [(heads + 2 * kv_heads) * head_dim, inputs]
    output: Linear,                      // [hidden, heads * head_dim]
    norms: Option<(Vec<f32>, Vec<f32>)>, // q and k, [head_dim] each
}

impl Attention {
    /// Takes `{prefix}.{q,k,v,o}_proj` and, with `qk_norm`, `{prefix}.{q,k}_norm`.
    pub(crate) fn load(
        weights: &Weights,
        prefix: &str,
        shape: AttentionShape,
    ) -> Result<Attention> {
        let (queries, keys) = (
            shape.heads * shape.head_dim,
            shape.kv_heads * shape.head_dim,
        );
        let part = |name: &str, outputs| (format!("{prefix}.{name}_proj"), outputs);
        let qkv = weights.linear(
            &[part("q", queries), part("k", keys), part("v", keys)],
            shape.inputs,
            shape.bias,
        )?;
        let output = weights.linear(&[part("o", shape.hidden_size)], queries, shape.output_bias)?;
        let norm =
            |name: &str| weights.vector(&format!("{prefix}.{name}_norm.weight"), shape.head_dim);
        let norms = shape.qk_norm.then(|| (norm("q"), norm("k")));
        Ok(Attention {
            shape,
            qkv,
            output,
            norms,
        })
    }

    /// `input` is `[rows, inputs]`, `output` `[rows, hidden]`. Keys and values of the rows are appended to the cache.
    pub(crate) fn forward(
        &self,
        pass: &Pass,
        input: &[f32],
        cache: &mut KvCache,
        scratch: &mut LayerScratch,
        output: &mut [f32],
    ) -> Result<()> {
        let AttentionShape {
            heads,
            kv_heads,
            head_dim,
            rounding,
            epsilon,
            ..
        } = self.shape;
        let rows = pass.positions.len();
        let (q_width, kv_width) = (heads * head_dim, kv_heads * head_dim);
        let projected = scratch.projected.take(rows * (q_width + 2 * kv_width));
        cpu::linear(
            &self.qkv.weight,
            self.qkv.bias.as_deref(),
            input,
            rounding,
            projected,
        )?;

        let queries = scratch.queries.take(rows * q_width);
        let keys = scratch.keys.take(rows * kv_width);
        let values = scratch.values.take(rows * kv_width);
        let width = q_width + 2 * kv_width;
        copy_columns(projected, width, q_width + kv_width, values, kv_width);
        match &self.norms {
            None => {
                copy_columns(projected, width, 0, queries, q_width);
                copy_columns(projected, width, q_width, keys, kv_width);
            }
            Some((q_norm, k_norm)) => {
                let unnormed = scratch.unnormed.take(rows * q_width);
                copy_columns(projected, width, 0, unnormed, q_width);
                cpu::rms_norm(unnormed, q_norm, epsilon, rounding, queries)?;
                let unnormed = scratch.unnormed.take(rows * kv_width);
                copy_columns(projected, width, q_width, unnormed, kv_width);
                cpu::rms_norm(unnormed, k_norm, epsilon, rounding, keys)?;
            }
        }
        cpu::rope(
            pass.rope,
            pass.positions,
            heads,
            head_dim,
            rounding,
            queries,
        )?;
        cpu::rope(
            pass.rope,
            pass.positions,
            kv_heads,
            head_dim,
            rounding,
            keys,
        )?;
        cache.append(keys, values)?;

        let attended = scratch.attended.take(rows * q_width);
        let mask = TreeMask {
            tail: pass.tail_positions.len(),
            words: pass.tail_positions.len().div_ceil(32),
            bits: pass.visible,
        };
        let scale = (head_dim as f32).sqrt().recip();
        cpu::tree_attention(
            queries,
            cache,
            &mask,
            pass.positions,
            pass.tail_positions,
            self.shape.window,
            scale,
            rounding,
            attended,
        )?;
        cpu::linear(
            &self.output.weight,
            self.output.bias.as_deref(),
            attended,
            rounding,
            output,
        )?;
        Ok(())
    }
}

/// Columns `from .. from + columns` of a matrix with rows of `width`.
fn copy_columns(source: &[f32], width: usize, from: usize, target: &mut [f32], columns: usize) {
    for (row, target) in source
        .chunks_exact(width)
        .zip(target.chunks_exact_mut(columns))
    {
        target.copy_from_slice(&row[from..from + columns]);
    }
}

//! One decoder layer, the same in verifier and head.

use super::attention::{Attention, AttentionShape};
use super::mlp::{Mlp, MlpShape};
use super::weights::Weights;
use crate::Result;

/// One pre-norm decoder layer.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) input_norm: Vec<f32>, // [hidden]
    pub(crate) attention: Attention,
    pub(crate) post_attention_norm: Vec<f32>, // [hidden]
    pub(crate) mlp: Mlp,
}

impl Layer {
    /// Takes the tensors below `prefix`, which does not end in a dot.
    pub(crate) fn load(
        weights: &Weights,
        prefix: &str,
        attention: AttentionShape,
        mlp: MlpShape,
    ) -> Result<Layer> {
        let norm = |name: &str| weights.vector(&format!("{prefix}.{name}.weight"), mlp.hidden_size);
        Ok(Layer {
            input_norm: norm("input_layernorm"),
            attention: Attention::load(weights, &format!("{prefix}.self_attn"), attention)?,
            post_attention_norm: norm("post_attention_layernorm"),
            mlp: Mlp::load(weights, &format!("{prefix}.mlp"), mlp)?,
        })
    }
}

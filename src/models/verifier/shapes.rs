//! Sizes and switches of the layers of a verifier.

use speculators_formats::VerifierConfig;
use speculators_kernels::Rounding;

use crate::models::attention::AttentionShape;
use crate::models::mlp::{MlpShape, activation};

/// The attention of one layer.
pub(super) fn attention_shape(
    config: &VerifierConfig,
    layer: usize,
    rounding: Rounding,
) -> AttentionShape {
    AttentionShape {
        inputs: config.hidden_size,
        hidden_size: config.hidden_size,
        heads: config.num_attention_heads,
        kv_heads: config.num_key_value_heads,
        head_dim: config.head_dim,
        window: config.sliding_window.get(layer).copied().flatten(),
        bias: config.attention_bias,
        output_bias: config.attention_output_bias,
        qk_norm: config.qk_norm,
        epsilon: config.rms_norm_eps as f32,
        rounding,
    }
}

/// The feed-forward block, which all layers have alike.
pub(super) fn mlp_shape(config: &VerifierConfig, rounding: Rounding) -> MlpShape {
    MlpShape {
        hidden_size: config.hidden_size,
        intermediate_size: config.intermediate_size,
        bias: config.mlp_bias,
        activation: activation(config.hidden_act),
        rounding,
    }
}

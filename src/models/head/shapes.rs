//! Sizes and switches of the layers of a head.

use speculators_formats::HeadDescription;
use speculators_formats::head::DraftLayer;

use crate::models::attention::AttentionShape;
use crate::models::mlp::{MlpShape, activation};
use crate::models::precision::Precision;

/// Attention and feed-forward block of one layer.
pub(super) fn shapes(
    description: &HeadDescription,
    layer: usize,
    precision: Precision,
) -> (AttentionShape, MlpShape) {
    let (hidden_size, rounding) = (description.hidden_size, precision.rounding());
    let attention = AttentionShape {
        // The first layer reads embedding and feature side by side.
        inputs: if layer == 0 {
            2 * hidden_size
        } else {
            hidden_size
        },
        hidden_size,
        heads: description.num_attention_heads,
        kv_heads: description.num_key_value_heads,
        head_dim: description.head_dim,
        window: description.sliding_window.get(layer).copied().flatten(),
        bias: description.attention_bias,
        output_bias: description.attention_bias,
        qk_norm: description.draft_layer == DraftLayer::Qwen3,
        epsilon: description.rms_norm_eps as f32,
        rounding,
    };
    let mlp = MlpShape {
        hidden_size,
        intermediate_size: description.intermediate_size,
        bias: description.mlp_bias,
        activation: activation(description.hidden_act),
        rounding,
    };
    (attention, mlp)
}

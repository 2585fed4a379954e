//! The closed list of tensors a head's description asks for, each with its shape and the sum behind it.

use super::{DraftLayer, HeadDescription};
use crate::expected::Expected;
use crate::speculator::Algorithm;

impl HeadDescription {
    /// Every floating-point tensor of a head with this description that reads `auxiliary` states; vocabulary maps aside.
    #[must_use]
    pub fn expected_tensors(&self, auxiliary: usize) -> Vec<Expected> {
        let mut list = Vec::new();
        let mut add = |name: String, shape: &[usize], sum: &str| {
            list.push(Expected {
                name,
                shape: shape.to_vec(),
                sum: sum.to_owned(),
            });
        };
        let (hidden, target) = (self.hidden_size, self.target_hidden_size);
        let states = auxiliary * target;
        let states_sum = format!("{auxiliary} auxiliary layers x {target} = {states}");
        add(
            "fc.weight".to_owned(),
            &[hidden, states],
            &format!("hidden_size, {states_sum}"),
        );
        if self.fc_bias {
            add("fc.bias".to_owned(), &[hidden], "hidden_size");
        }
        if self.norm_before_fc {
            add("input_norm.weight".to_owned(), &[states], &states_sum);
        }
        if self.fc_norm {
            for index in 0..auxiliary {
                add(
                    format!("fc_norm.{index}.weight"),
                    &[target],
                    "target_hidden_size",
                );
            }
        }
        if self.algorithm == Algorithm::PEagle {
            add(
                "mask_hidden".to_owned(),
                &[1, 1, states],
                &format!("1, 1, {states_sum}"),
            );
        }
        for layer in 0..self.num_hidden_layers {
            self.layer(layer, &mut add);
        }
        add("norm.weight".to_owned(), &[hidden], "hidden_size");
        add(
            "lm_head.weight".to_owned(),
            &[self.draft_vocab_size, hidden],
            "draft_vocab_size, hidden_size",
        );
        if self.own_embeddings {
            add(
                "embed_tokens.weight".to_owned(),
                &[self.vocab_size, hidden],
                "vocab_size, hidden_size",
            );
        }
        list
    }

    fn layer(&self, layer: usize, add: &mut impl FnMut(String, &[usize], &str)) {
        let (hidden, mlp) = (self.hidden_size, self.intermediate_size);
        let (queries, shared) = (
            self.num_attention_heads * self.head_dim,
            self.num_key_value_heads * self.head_dim,
        );
        // The first layer reads the embedding and the state side by side.
        let inputs = if layer == 0 { 2 * hidden } else { hidden };
        let inputs_sum = if layer == 0 {
            format!("2 x hidden_size = {inputs}")
        } else {
            "hidden_size".to_owned()
        };
        let queries_sum = format!(
            "num_attention_heads x head_dim = {} x {} = {queries}",
            self.num_attention_heads, self.head_dim
        );
        let shared_sum = format!(
            "num_key_value_heads x head_dim = {} x {} = {shared}",
            self.num_key_value_heads, self.head_dim
        );
        if layer == 0 {
            add(
                "layers.0.hidden_norm.weight".to_owned(),
                &[hidden],
                "hidden_size",
            );
        }
        for norm in ["input_layernorm", "post_attention_layernorm"] {
            add(
                format!("layers.{layer}.{norm}.weight"),
                &[hidden],
                "hidden_size",
            );
        }
        let mut linear = |part: &str,
                          rows: usize,
                          rows_sum: &str,
                          columns: usize,
                          columns_sum: &str,
                          bias: bool| {
            add(
                format!("layers.{layer}.{part}.weight"),
                &[rows, columns],
                &format!("{rows_sum}, {columns_sum}"),
            );
            if bias {
                add(format!("layers.{layer}.{part}.bias"), &[rows], rows_sum);
            }
        };
        let bias = self.attention_bias;
        linear(
            "self_attn.q_proj",
            queries,
            &queries_sum,
            inputs,
            &inputs_sum,
            bias,
        );
        linear(
            "self_attn.k_proj",
            shared,
            &shared_sum,
            inputs,
            &inputs_sum,
            bias,
        );
        linear(
            "self_attn.v_proj",
            shared,
            &shared_sum,
            inputs,
            &inputs_sum,
            bias,
        );
        linear(
            "self_attn.o_proj",
            hidden,
            "hidden_size",
            queries,
            &queries_sum,
            bias,
        );
        linear(
            "mlp.gate_proj",
            mlp,
            "intermediate_size",
            hidden,
            "hidden_size",
            self.mlp_bias,
        );
        linear(
            "mlp.up_proj",
            mlp,
            "intermediate_size",
            hidden,
            "hidden_size",
            self.mlp_bias,
        );
        linear(
            "mlp.down_proj",
            hidden,
            "hidden_size",
            mlp,
            "intermediate_size",
            self.mlp_bias,
        );
        if self.draft_layer == DraftLayer::Qwen3 {
            for norm in ["q_norm", "k_norm"] {
                add(
                    format!("layers.{layer}.self_attn.{norm}.weight"),
                    &[self.head_dim],
                    "head_dim",
                );
            }
        }
    }
}

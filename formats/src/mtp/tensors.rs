//! The closed list of tensors an MTP head has, each with its shape and the sum behind it.

use super::names::{DOWN, GATE_UP, LAYER};
use super::{ExpertStorage, MtpDescription, MtpMlp};
use crate::expected::Expected;

impl MtpDescription {
    /// Every tensor of a head with this description, experts fused.
    #[must_use]
    pub fn expected_tensors(&self) -> Vec<Expected> {
        self.expected_as(ExpertStorage::Fused)
    }

    /// The same for experts as a checkpoint stores them.
    pub(crate) fn expected_as(&self, storage: ExpertStorage) -> Vec<Expected> {
        let mut list = Vec::new();
        let mut add = |part: &str, shape: &[usize], sum: &str| {
            list.push(Expected {
                name: format!("{LAYER}{part}"),
                shape: shape.to_vec(),
                sum: sum.to_owned(),
            });
        };
        let hidden = self.hidden_size;
        add(
            "input_proj.weight",
            &[hidden, 2 * hidden],
            &format!("hidden_size, 2 x hidden_size = {}", 2 * hidden),
        );
        for norm in [
            "hidden_layernorm",
            "token_layernorm",
            "final_layernorm",
            "input_layernorm",
            "post_attention_layernorm",
        ] {
            add(&format!("{norm}.weight"), &[hidden], "hidden_size");
        }
        self.attention(&mut add);
        match self.mlp {
            MtpMlp::Dense { intermediate_size } => {
                gated(
                    "mlp",
                    (intermediate_size, "intermediate_size"),
                    hidden,
                    &mut add,
                );
            }
            MtpMlp::Moe {
                num_experts,
                moe_intermediate_size,
                shared_expert_intermediate_size,
                ..
            } => {
                add(
                    "mlp.gate.weight",
                    &[num_experts, hidden],
                    "num_experts, hidden_size",
                );
                experts(
                    storage,
                    num_experts,
                    moe_intermediate_size,
                    hidden,
                    &mut add,
                );
                gated(
                    "mlp.shared_expert",
                    (
                        shared_expert_intermediate_size,
                        "shared_expert_intermediate_size",
                    ),
                    hidden,
                    &mut add,
                );
                add(
                    "mlp.shared_expert_gate.weight",
                    &[1, hidden],
                    "1, hidden_size",
                );
            }
        }
        list
    }

    fn attention(&self, add: &mut impl FnMut(&str, &[usize], &str)) {
        let (heads, shared, dim) = (
            self.num_attention_heads,
            self.num_key_value_heads,
            self.head_dim,
        );
        let product = |factor: &str, count: usize| {
            format!("{factor} x head_dim = {count} x {dim} = {}", count * dim)
        };
        let heads_sum = product("num_attention_heads", heads);
        let (rows, rows_sum) = if self.gated_attention {
            let rows = 2 * heads * dim;
            let sum = format!("query and gate, 2 x {heads_sum}, twice is {rows}");
            (rows, sum)
        } else {
            (heads * dim, heads_sum.clone())
        };
        let shared_sum = product("num_key_value_heads", shared);
        let hidden = (self.hidden_size, "hidden_size");
        for (part, (rows, rows_sum), (columns, columns_sum)) in [
            ("q_proj", (rows, rows_sum.as_str()), hidden),
            ("k_proj", (shared * dim, shared_sum.as_str()), hidden),
            ("v_proj", (shared * dim, shared_sum.as_str()), hidden),
            ("o_proj", hidden, (heads * dim, heads_sum.as_str())),
        ] {
            add(
                &format!("self_attn.{part}.weight"),
                &[rows, columns],
                &format!("{rows_sum}, {columns_sum}"),
            );
            if self.attention_bias {
                add(&format!("self_attn.{part}.bias"), &[rows], rows_sum);
            }
        }
        for norm in ["q_norm", "k_norm"] {
            add(&format!("self_attn.{norm}.weight"), &[dim], "head_dim");
        }
    }
}

/// A gated MLP of some width.
fn gated(
    part: &str,
    (width, width_sum): (usize, &str),
    hidden: usize,
    add: &mut impl FnMut(&str, &[usize], &str),
) {
    for (name, shape, sum) in [
        (
            "gate_proj",
            [width, hidden],
            format!("{width_sum}, hidden_size"),
        ),
        (
            "up_proj",
            [width, hidden],
            format!("{width_sum}, hidden_size"),
        ),
        (
            "down_proj",
            [hidden, width],
            format!("hidden_size, {width_sum}"),
        ),
    ] {
        add(&format!("{part}.{name}.weight"), &shape, &sum);
    }
}

fn experts(
    storage: ExpertStorage,
    count: usize,
    width: usize,
    hidden: usize,
    add: &mut impl FnMut(&str, &[usize], &str),
) {
    match storage {
        ExpertStorage::Fused => {
            add(
                GATE_UP,
                &[count, 2 * width, hidden],
                &format!(
                    "num_experts, 2 x moe_intermediate_size = {}, hidden_size",
                    2 * width
                ),
            );
            add(
                DOWN,
                &[count, hidden, width],
                "num_experts, hidden_size, moe_intermediate_size",
            );
        }
        ExpertStorage::Split => {
            for expert in 0..count {
                gated(
                    &format!("mlp.experts.{expert}"),
                    (width, "moe_intermediate_size"),
                    hidden,
                    add,
                );
            }
        }
    }
}

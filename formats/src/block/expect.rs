//! The closed list of tensors a block drafter asks for, each with its shape and the sum behind it.

use super::{BlockDescription, Drafter, MarkovHead};
use crate::expected::Expected;

impl BlockDescription {
    /// Every floating-point tensor of a head with this description that reads `states` verifier layers; maps aside.
    #[must_use]
    pub fn expected_tensors(&self, states: usize) -> Vec<Expected> {
        let mut list = List(Vec::new());
        let hidden = Size::of("hidden_size", self.hidden_size);
        let target = self.target_hidden_size;
        let context = states * target;
        let context = Size {
            value: context,
            sum: format!("{states} auxiliary layers x {target} = {context}"),
        };
        list.add("fc.weight", &[&hidden, &context]);
        list.add("hidden_norm.weight", &[&hidden]);
        for layer in 0..self.num_hidden_layers {
            self.layer(layer, &hidden, &mut list);
        }
        list.add("norm.weight", &[&hidden]);
        let vocabulary = Size::of("vocab_size", self.vocab_size);
        let draft = Size::of("draft_vocab_size", self.draft_vocab_size);
        if self.own_embeddings {
            list.add("embed_tokens.weight", &[&vocabulary, &hidden]);
        }
        // A reduced vocabulary has rows of its own; the whole one has the verifier's.
        if self.own_lm_head || self.draft_vocab_size != self.vocab_size {
            list.add("lm_head.weight", &[&draft, &hidden]);
        }
        self.additions(&hidden, &vocabulary, &draft, &mut list);
        list.0
    }

    /// Rows of the query projection, and of the key and value projections.
    pub(super) fn projection_rows(&self) -> (usize, usize) {
        (
            self.num_attention_heads * self.head_dim,
            self.num_key_value_heads * self.head_dim,
        )
    }

    fn layer(&self, layer: usize, hidden: &Size, list: &mut List) {
        let (queries, shared) = self.projection_rows();
        let queries = Size {
            value: queries,
            sum: format!(
                "num_attention_heads x head_dim = {} x {} = {queries}",
                self.num_attention_heads, self.head_dim
            ),
        };
        let shared = Size {
            value: shared,
            sum: format!(
                "num_key_value_heads x head_dim = {} x {} = {shared}",
                self.num_key_value_heads, self.head_dim
            ),
        };
        let mlp = Size::of("intermediate_size", self.intermediate_size);
        let channels = Size::of("head_dim", self.head_dim);
        let name = |part: &str| format!("layers.{layer}.{part}");
        for (part, rows, columns) in [
            ("self_attn.q_proj", &queries, hidden),
            ("self_attn.k_proj", &shared, hidden),
            ("self_attn.v_proj", &shared, hidden),
            ("self_attn.o_proj", hidden, &queries),
            ("mlp.gate_proj", &mlp, hidden),
            ("mlp.up_proj", &mlp, hidden),
            ("mlp.down_proj", hidden, &mlp),
        ] {
            list.add(&name(&format!("{part}.weight")), &[rows, columns]);
            if self.attention_bias && part.starts_with("self_attn") {
                list.add(&name(&format!("{part}.bias")), &[rows]);
            }
        }
        for (norm, width) in [
            ("input_layernorm", hidden),
            ("post_attention_layernorm", hidden),
            ("self_attn.q_norm", &channels),
            ("self_attn.k_norm", &channels),
        ] {
            list.add(&name(&format!("{norm}.weight")), &[width]);
        }
        if let Drafter::DFlash2 {
            conv_kernel_size,
            conv_group_size,
            ..
        } = self.drafter
        {
            let sides = Size::of("2 sides", 2);
            let taps = Size::of("conv_kernel_size", conv_kernel_size);
            let groups = self.hidden_size / conv_group_size;
            let kernels = groups.saturating_mul(2).saturating_mul(conv_kernel_size);
            let kernels = Size {
                value: kernels,
                sum: format!(
                    "2 x conv_kernel_size x hidden_size / conv_group_size = 2 x {conv_kernel_size} x {groups} = {kernels}"
                ),
            };
            for around in ["attention_conv", "mlp_conv"] {
                list.add(
                    &name(&format!("{around}.base_kernel")),
                    &[&sides, &taps, hidden],
                );
                list.add(
                    &name(&format!("{around}.kernel_projection.weight")),
                    &[&kernels, hidden],
                );
            }
        }
    }

    /// What the drafter has beside its layers.
    fn additions(&self, hidden: &Size, vocabulary: &Size, draft: &Size, list: &mut List) {
        match self.drafter {
            Drafter::DFlash => {}
            Drafter::DFlash2 { selector_rank, .. } => {
                let rank = Size::of("selector_rank", selector_rank);
                for codebook in ["predecessor_codebook", "successor_codebook"] {
                    list.add(
                        &format!("candidate_selector.{codebook}"),
                        &[vocabulary, &rank],
                    );
                }
                list.add(
                    "candidate_selector.hidden_projection.weight",
                    &[&rank, hidden],
                );
            }
            Drafter::DSpark {
                markov_rank,
                markov_head_type,
                enable_confidence_head,
                confidence_head_with_markov,
            } => {
                let rank = Size::of("markov_rank", markov_rank);
                let with_rank = hidden.plus(&rank);
                if markov_rank > 0 {
                    list.add("markov_head.markov_w1.weight", &[vocabulary, &rank]);
                    list.add("markov_head.markov_w2.weight", &[draft, &rank]);
                    match markov_head_type {
                        MarkovHead::Vanilla => {}
                        MarkovHead::Gated => {
                            list.linear("markov_head.gate_proj", &rank, &with_rank);
                        }
                        MarkovHead::Rnn => {
                            let inputs = with_rank.plus(&rank);
                            list.linear("markov_head.joint_proj", &rank.times(3), &inputs);
                        }
                    }
                }
                if enable_confidence_head {
                    let inputs = if confidence_head_with_markov {
                        &with_rank
                    } else {
                        hidden
                    };
                    list.linear("confidence_head.proj", &Size::of("one logit", 1), inputs);
                }
            }
            Drafter::XPress {
                xpress_rank,
                xpress_mlp_ratio,
                ..
            } => {
                let rank = Size::of("xpress_rank", xpress_rank);
                let mlp = Size {
                    value: xpress_rank * xpress_mlp_ratio,
                    sum: format!(
                        "xpress_rank x xpress_mlp_ratio = {xpress_rank} x {xpress_mlp_ratio}"
                    ),
                };
                let block = Size::of("block_size", self.block_size);
                for (part, rows, columns) in [
                    ("token_embed", vocabulary, &rank),
                    ("down_h", &rank, hidden),
                    ("down_g", &rank, hidden),
                    ("in_proj", &rank, &rank.times(3)),
                    ("mlp_gate", &mlp, &rank),
                    ("mlp_up", &mlp, &rank),
                    ("mlp_down", &rank, &mlp),
                    ("readout", draft, &rank),
                ] {
                    list.add(&format!("refiner_head.{part}.weight"), &[rows, columns]);
                }
                list.add("refiner_head.mix_l", &[&rank, &block, &block]);
            }
        }
    }
}

/// A dimension, and where it comes from.
struct Size {
    value: usize,
    sum: String,
}

impl Size {
    fn of(key: &str, value: usize) -> Size {
        Size {
            value,
            sum: key.to_owned(),
        }
    }

    fn plus(&self, other: &Size) -> Size {
        Size {
            value: self.value + other.value,
            sum: format!("{} + {}", self.sum, other.sum),
        }
    }

    fn times(&self, factor: usize) -> Size {
        Size {
            value: factor * self.value,
            sum: format!("{factor} x {}", self.sum),
        }
    }
}

/// The list as it grows.
struct List(Vec<Expected>);

impl List {
    fn add(&mut self, name: &str, sizes: &[&Size]) {
        let sums: Vec<&str> = sizes.iter().map(|size| size.sum.as_str()).collect();
        self.0.push(Expected {
            name: name.to_owned(),
            shape: sizes.iter().map(|size| size.value).collect(),
            sum: sums.join(", "),
        });
    }

    /// A projection with its bias.
    fn linear(&mut self, name: &str, rows: &Size, columns: &Size) {
        self.add(&format!("{name}.weight"), &[rows, columns]);
        self.add(&format!("{name}.bias"), &[rows]);
    }
}

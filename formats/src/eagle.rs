//! EAGLE-1, EAGLE-2 and HASS heads: one Llama layer over embedding and last state of the verifier, whose output matrix
//! they share.
//!
//! EAGLE-2 has the weights of EAGLE-1 and another search; HASS trains them differently. Their layout is that of the
//! original release; the Python package had one of its own up to version 0.5, which is read, too.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::Result;
use crate::checkpoint::Checkpoint;
use crate::decision::Decision;
use crate::expected::Expected;
use crate::head::{Dropped, Layout};
use crate::options::ReadOptions;
use crate::rope::Rope;
use crate::verifier::{FloatType, HiddenAct, VerifierFacts};

mod names;
mod read;
#[cfg(test)]
mod tests;

/// An EAGLE-1 head, independent of layout.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EagleDescription {
    /// Width of the head, which is the verifier's.
    pub hidden_size: usize,
    /// MLP width.
    pub intermediate_size: usize,
    /// Draft decoder layers.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads.
    pub num_key_value_heads: usize,
    /// Channels per head.
    pub head_dim: usize,
    /// Verifier vocabulary.
    pub vocab_size: usize,
    /// Norm epsilon.
    pub rms_norm_eps: f64,
    /// Rotary embedding.
    pub rope: Rope,
    /// Longest position the config allows.
    pub max_position_embeddings: usize,
    /// Gate activation.
    pub hidden_act: HiddenAct,
    /// `fc` carries a bias (`bias`; `fusion_bias` in the Python package).
    pub fc_bias: bool,
    /// q, k and v carry biases (`qkv_bias`).
    pub qkv_bias: bool,
    /// Norms of the embedding, of the first layer's input and before the output matrix (HASS variant; `layernorms`).
    pub layernorms: bool,
    /// The checkpoint carries its own `embed_tokens.weight`.
    pub own_embeddings: bool,
    /// Storage dtype of the floating-point tensors.
    pub dtype: FloatType,
}

/// An EAGLE-1 head opened from disk.
#[derive(Debug)]
pub struct EagleHead {
    /// The files.
    pub checkpoint: Checkpoint,
    /// Recognized layout.
    pub layout: Layout,
    /// Canonical description.
    pub description: EagleDescription,
    /// Canonical tensor name, that of the original release → name in the checkpoint.
    pub tensors: BTreeMap<String, String>,
    /// What was resolved, with reasons.
    pub decisions: Vec<Decision>,
    /// Source tensors that are left out, with reasons.
    pub dropped: Vec<Dropped>,
}

impl EagleHead {
    /// Resolves a checkpoint.
    pub(crate) fn resolve(
        checkpoint: Checkpoint,
        verifier: Option<&VerifierFacts>,
        options: &ReadOptions,
    ) -> Result<EagleHead> {
        read::read(checkpoint, verifier, options)
    }
}

impl EagleDescription {
    /// Every tensor of a head with this description.
    #[must_use]
    pub fn expected_tensors(&self) -> Vec<Expected> {
        let (hidden, mlp) = (self.hidden_size, self.intermediate_size);
        let queries = self.num_attention_heads * self.head_dim;
        let shared = self.num_key_value_heads * self.head_dim;
        let mut list = Vec::new();
        let mut add = |name: String, shape: &[usize], sum: &str| {
            list.push(Expected {
                name,
                shape: shape.to_vec(),
                sum: sum.to_owned(),
            });
        };
        add(
            "fc.weight".to_owned(),
            &[hidden, 2 * hidden],
            "hidden_size, 2 x hidden_size",
        );
        if self.fc_bias {
            add("fc.bias".to_owned(), &[hidden], "hidden_size");
        }
        if self.layernorms {
            for norm in names::NORMS {
                add(format!("{norm}.weight"), &[hidden], "hidden_size");
            }
        }
        if self.own_embeddings {
            add(
                "embed_tokens.weight".to_owned(),
                &[self.vocab_size, hidden],
                "vocab_size, hidden_size",
            );
        }
        for layer in 0..self.num_hidden_layers {
            let name = |part: &str| format!("layers.{layer}.{part}");
            for (part, rows, sum) in [
                ("q", queries, "num_attention_heads x head_dim"),
                ("k", shared, "num_key_value_heads x head_dim"),
                ("v", shared, "num_key_value_heads x head_dim"),
            ] {
                add(
                    name(&format!("self_attn.{part}_proj.weight")),
                    &[rows, hidden],
                    &format!("{sum}, hidden_size"),
                );
                if self.qkv_bias {
                    add(name(&format!("self_attn.{part}_proj.bias")), &[rows], sum);
                }
            }
            add(
                name("self_attn.o_proj.weight"),
                &[hidden, queries],
                "hidden_size, num_attention_heads x head_dim",
            );
            for part in ["gate", "up"] {
                add(
                    name(&format!("mlp.{part}_proj.weight")),
                    &[mlp, hidden],
                    "intermediate_size, hidden_size",
                );
            }
            add(
                name("mlp.down_proj.weight"),
                &[hidden, mlp],
                "hidden_size, intermediate_size",
            );
            add(
                name("post_attention_layernorm.weight"),
                &[hidden],
                "hidden_size",
            );
            // The first layer reads the output of `fc` as it is.
            if layer > 0 {
                add(name("input_layernorm.weight"), &[hidden], "hidden_size");
            }
        }
        list
    }
}

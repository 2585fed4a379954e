//! What a verifier's `config.json` says, resolved: the Llama family (llama, qwen2, qwen3, mistral).
//!
//! Where a key is absent, the default of the family's config class in transformers stands in, because that is what the
//! runtimes take.

use serde::Serialize;

use crate::codes;
use crate::config::Section;
use crate::diagnostic::Diagnostic;
use crate::rope::Rope;

mod facts;
pub(crate) mod family;
mod parse;
pub mod tensors;
mod vocabulary;

pub(crate) use facts::VerifierFacts;
pub(crate) use parse::{float_type, hidden_act};
pub(crate) use tensors::embedding;
pub use vocabulary::VerifierVocabulary;

/// S410 for the config of a head, by keys and class names that verifiers do not have. That of an EAGLE-1 head in the
/// original layout has none of them.
pub(crate) fn not_a_head(root: &Section<'_>) -> Result<(), Diagnostic> {
    let classes = root.str_list("architectures")?.unwrap_or_default();
    let class = classes
        .iter()
        .find(|class| class.contains("ForCausalLMEagle"));
    let mut marks = [
        "speculators_model_type",
        "draft_vocab_size",
        "eagle_config",
        "dflash_config",
    ]
    .into_iter()
    .filter(|key| root.get(key).is_some());
    let (key, reason) = match (marks.next(), class) {
        (Some(key), _) => (key, format!("only configs of heads have `{key}`")),
        (None, Some(class)) => ("architectures", format!("`{class}` is a class of heads")),
        (None, None) => return Ok(()),
    };
    Err(Diagnostic::error(
        codes::VERIFIER_UNSUPPORTED,
        "this is a head, not a verifier",
    )
    .at(root.place(key))
    .note(reason)
    .help("pass the model that the head drafts for as the verifier"))
}

/// More layers than any model has; a config beyond it is damaged, and would only exhaust memory.
pub(crate) const MOST_LAYERS: usize = 4096;

/// A decoder family with the switches that tell its members apart already resolved into [`VerifierConfig`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelType {
    /// Llama 2 and 3.
    Llama,
    /// Qwen 2 and 2.5: q, k and v carry biases.
    Qwen2,
    /// Qwen 3: q and k are normalized per head.
    Qwen3,
    /// Mistral: sliding-window attention.
    Mistral,
}

/// The gate's activation (`hidden_act`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HiddenAct {
    /// x · sigmoid(x).
    Silu,
    /// Exact Gaussian error linear unit.
    Gelu,
    /// Its tanh approximation (`gelu_pytorch_tanh`, `gelu_new`).
    GeluTanh,
    /// max(x, 0).
    Relu,
}

/// Floating-point storage of a model (`dtype`, older `torch_dtype`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FloatType {
    /// IEEE single.
    Float32,
    /// IEEE half.
    Float16,
    /// bfloat16.
    Bfloat16,
}

/// A verifier, resolved from its config.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VerifierConfig {
    /// Family.
    pub model_type: ModelType,
    /// `architectures`, verbatim.
    pub architectures: Vec<String>,
    /// Rows of the embedding, in tokens.
    pub vocab_size: usize,
    /// Residual stream width.
    pub hidden_size: usize,
    /// MLP width.
    pub intermediate_size: usize,
    /// Decoder layers.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads.
    pub num_key_value_heads: usize,
    /// Channels per head, explicit or hidden over heads.
    pub head_dim: usize,
    /// Norm epsilon.
    pub rms_norm_eps: f64,
    /// Rotary embedding.
    pub rope: Rope,
    /// Longest position the config allows.
    pub max_position_embeddings: usize,
    /// q, k and v carry biases.
    pub attention_bias: bool,
    /// o carries a bias.
    pub attention_output_bias: bool,
    /// MLP projections carry biases.
    pub mlp_bias: bool,
    /// q and k are normalized per head.
    pub qk_norm: bool,
    /// Gate activation.
    pub hidden_act: HiddenAct,
    /// Per layer: attention window in tokens, or full attention.
    pub sliding_window: Vec<Option<usize>>,
    /// `lm_head` shares the embedding.
    pub tie_word_embeddings: bool,
    /// Storage dtype named by the config.
    pub dtype: FloatType,
    /// Ids that end a text: the generation config's, else the config's.
    pub eos_token_ids: Vec<u32>,
}

#[cfg(test)]
mod tests;

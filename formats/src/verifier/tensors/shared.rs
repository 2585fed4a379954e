//! The tensors that heads share, and the names model families have for them.

use std::fmt;

use serde::Serialize;

/// One of the verifier's tensors that a head takes over or is trained against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SharedTensor {
    /// Token embedding, `[vocab_size, hidden_size]`.
    EmbedTokens,
    /// Output projection, `[vocab_size, hidden_size]`.
    LmHead,
    /// Norm after the last layer, `[hidden_size]`.
    Norm,
}

impl SharedTensor {
    /// All of them, the embedding first.
    pub const ALL: [SharedTensor; 3] = [
        SharedTensor::EmbedTokens,
        SharedTensor::LmHead,
        SharedTensor::Norm,
    ];

    /// Short name, as options spell it.
    #[must_use]
    pub fn keyword(self) -> &'static str {
        match self {
            SharedTensor::EmbedTokens => "embed_tokens",
            SharedTensor::LmHead => "lm_head",
            SharedTensor::Norm => "norm",
        }
    }

    /// Names used for it, most usual first; multimodal models keep their language tower under a prefix.
    pub(super) fn known(self) -> &'static [&'static str] {
        match self {
            SharedTensor::EmbedTokens => &[
                "model.embed_tokens.weight",
                "embed_tokens.weight",
                "model.language_model.embed_tokens.weight",
                "language_model.model.embed_tokens.weight",
                "model.tok_embeddings.weight",
                "tok_embeddings.weight",
                "llm.embed.weight",
                "backbone.embeddings.weight",
            ],
            SharedTensor::LmHead => &[
                "lm_head.weight",
                "language_model.lm_head.weight",
                "model.lm_head.weight",
                "output.weight",
                "llm.unembed.weight",
            ],
            SharedTensor::Norm => &[
                "model.norm.weight",
                "norm.weight",
                "model.language_model.norm.weight",
                "language_model.model.norm.weight",
                "llm.norm.weight",
                "backbone.norm_f.weight",
            ],
        }
    }

    /// How unknown names of it end. A norm has none: too many tensors are called that.
    pub(super) fn suffix(self) -> Option<&'static str> {
        match self {
            SharedTensor::EmbedTokens => Some(".embed_tokens.weight"),
            SharedTensor::LmHead => Some(".lm_head.weight"),
            SharedTensor::Norm => None,
        }
    }

    /// The names that could be this tensor: one that is known, else all that end like one.
    ///
    /// `embedding` is the name of the token embedding, where it is settled: the norm of an unknown family stands beside it.
    #[must_use]
    pub fn candidates<'a>(
        self,
        names: impl Iterator<Item = &'a str> + Clone,
        embedding: Option<&str>,
    ) -> Vec<&'a str> {
        let beside = embedding
            .filter(|_| self == SharedTensor::Norm)
            .and_then(|name| name.strip_suffix("embed_tokens.weight"))
            .map(|tower| format!("{tower}norm.weight"));
        let named = |wanted: &str| names.clone().find(|name| *name == wanted);
        if let Some(name) = beside.as_deref().and_then(named) {
            return vec![name];
        }
        if let Some(name) = self.known().iter().find_map(|wanted| named(wanted)) {
            return vec![name];
        }
        match self.suffix() {
            Some(suffix) => names.filter(|name| name.ends_with(suffix)).collect(),
            None => Vec::new(),
        }
    }
}

impl fmt::Display for SharedTensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.keyword())
    }
}

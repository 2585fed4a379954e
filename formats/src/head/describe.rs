//! From a config and the shapes beside it to [`HeadDescription`].
//!
//! In the speculators layout the config is the authority and tensors are held against it. In foreign layouts the config is
//! often copied from the verifier or from another run, so that counts are read off the tensors and the config is reported
//! where it says something else.

use super::resolver::Resolver;
use super::{DraftLayer, HeadDescription};
use crate::codes;
use crate::convert::provenance;
use crate::decision::Decision;
use crate::diagnostic::Diagnostic;
use crate::speculator::Algorithm;
use crate::verifier::hidden_act;

impl Resolver<'_> {
    /// The description without auxiliary layers; `None` after a problem that leaves it undetermined.
    pub(super) fn describe(&mut self) -> Option<HeadDescription> {
        self.not_quantized();
        self.reads_auxiliary_states();
        self.scales_nothing();
        let draft_layer = self.draft_layer();
        let num_hidden_layers = self.layers();
        let hidden_size = self.size("hidden_size", self.dimension("fc.weight", 0));
        let intermediate_size = self.size(
            "intermediate_size",
            self.dimension("layers.0.mlp.gate_proj.weight", 0),
        );
        let num_attention_heads = self.size("num_attention_heads", None);
        // Without these nothing else can be computed.
        let (hidden_size, num_attention_heads) = (hidden_size?, num_attention_heads?);
        let (head_dim, num_key_value_heads) = self.head_dim(hidden_size, num_attention_heads)?;
        let target_hidden_size = self.target_hidden_size(hidden_size);
        let draft_vocab_size = self.draft_vocab_size();
        let vocab_size = self.vocab_size(draft_vocab_size);
        let algorithm = self.algorithm();
        // vLLM refuses several axes for drafting in parallel, and no foreign trainer has them.
        let axes = algorithm == Algorithm::Eagle3 && !self.foreign();
        let rope_axes = self.rope_axes(axes);
        let rope = self.rope(axes);
        let sliding_window = self.sliding_windows(num_hidden_layers.unwrap_or(1));
        let attention_bias = self.biases(
            "attention_bias",
            "self_attn",
            &["q_proj", "k_proj", "v_proj", "o_proj"],
        );
        let mlp_bias = self.biases("mlp_bias", "mlp", &["gate_proj", "up_proj", "down_proj"]);
        let own_embeddings = self.has("embed_tokens.weight");
        let act = hidden_act(&self.decoder);
        let hidden_act = self.keep(act)?;
        let draft_vocab_size = draft_vocab_size?;
        let mask_token_id = self.mask_token_id(algorithm);
        let mut description = HeadDescription {
            algorithm,
            mask_token_id,
            draft_layer: draft_layer?,
            num_hidden_layers: num_hidden_layers?,
            hidden_size,
            target_hidden_size: target_hidden_size?,
            intermediate_size: intermediate_size?,
            num_attention_heads,
            num_key_value_heads,
            head_dim,
            vocab_size: vocab_size?,
            draft_vocab_size,
            rms_norm_eps: self.rms_norm_eps(),
            rope: rope?,
            rope_axes,
            max_position_embeddings: self.max_position_embeddings(),
            hidden_act,
            attention_bias,
            mlp_bias,
            fc_bias: self.foreign() && self.has("fc.bias"),
            sliding_window,
            aux_layer_ids: Vec::new(),
            norm_before_residual: self.norm_before_residual(),
            norm_before_fc: false,
            fc_norm: false,
            norm_output: self.norm_output(),
            own_embeddings,
            dtype: self.dtype(),
            speculative_tokens: self.speculative_tokens(),
        };
        self.input_norms(&mut description);
        self.embeddings(&description);
        Some(description)
    }

    /// What the config declares; in foreign layouts the learned state for tokens not drafted yet gives P-EAGLE away.
    fn algorithm(&self) -> Algorithm {
        match self.root.str("speculators_model_type").ok().flatten() {
            Some("peagle") => Algorithm::PEagle,
            Some(_) => Algorithm::Eagle3,
            None if self.has("mask_hidden") => Algorithm::PEagle,
            None => Algorithm::Eagle3,
        }
    }

    /// The token P-EAGLE reads where none is drafted yet. SpecForge calls it `ptd_token_id`, vLLM `pard_token`.
    fn mask_token_id(&mut self, algorithm: Algorithm) -> Option<usize> {
        if algorithm != Algorithm::PEagle {
            return None;
        }
        if let Some(given) = self.options.mask_token_id {
            self.decisions.push(Decision::settled(
                "mask_token_id",
                given,
                "given by the caller",
            ));
            return Some(given);
        }
        for key in ["mask_token_id", "ptd_token_id", "pard_token"] {
            let written = self.root.usize(key);
            if let Some(written) = self.keep(written).flatten() {
                return Some(written);
            }
        }
        None
    }

    fn reads_auxiliary_states(&mut self) {
        const KEY: &str = "eagle_config.use_aux_hidden_state";
        let flag = self.root.bool(KEY);
        if self.keep(flag).flatten() == Some(false) {
            self.problems.push(
                Diagnostic::error(
                    codes::LAYOUT_UNKNOWN,
                    "the head reads the verifier's last state only, as EAGLE-1 does",
                )
                .at(self.root.place(KEY)),
            );
        }
    }

    fn draft_layer(&mut self) -> Option<DraftLayer> {
        let normalized = self.has("layers.0.self_attn.q_norm.weight");
        let by_tensors = if normalized {
            DraftLayer::Qwen3
        } else {
            DraftLayer::Llama
        };
        // Foreign configs carry the verifier's family here.
        if self.foreign() {
            return Some(by_tensors);
        }
        let model_type = self.decoder.str("model_type");
        match self.keep(model_type)? {
            Some("llama") => Some(DraftLayer::Llama),
            Some("qwen3") => Some(DraftLayer::Qwen3),
            None => {
                // The Python package takes Qwen 3 then, vLLM takes Llama; the tensors know.
                let name = if normalized { "qwen3" } else { "llama" };
                let reason = "the config names no family; the tensors are those of this one";
                self.decisions.push(Decision::settled(
                    "transformer_layer_config.model_type",
                    name,
                    reason,
                ));
                Some(by_tensors)
            }
            Some(other) => {
                let title =
                    format!("the draft layers are of family `{other}`, which is not supported");
                self.contradiction("model_type", title)
                    .notes
                    .push("supported are `llama` and `qwen3`".to_owned());
                None
            }
        }
    }

    /// Whatever is wrong with the proposal methods is for validation to say; a head drafts without them.
    fn speculative_tokens(&self) -> usize {
        let recorded = || self.recorded(provenance::SPECULATIVE_TOKENS)?.as_u64();
        let methods = self.root.get("speculators_config.proposal_methods");
        let tokens =
            methods.and_then(|methods| methods.get(0)?.get("speculative_tokens")?.as_u64());
        // P-EAGLE drafts as many tokens in one pass as it was trained on.
        let depths = || self.root.get("num_depths")?.as_u64();
        tokens
            .or_else(depths)
            .or_else(recorded)
            .and_then(|tokens| usize::try_from(tokens).ok())
            .filter(|tokens| *tokens > 0)
            .unwrap_or(3)
    }

    fn embeddings(&mut self, description: &HeadDescription) {
        if !description.own_embeddings && description.hidden_size != description.target_hidden_size
        {
            self.problems.push(
                Diagnostic::error(
                    codes::TENSOR_MISSING,
                    "`embed_tokens.weight` is missing, and the verifier's does not fit",
                )
                .at(self.checkpoint.weights_place())
                .note(format!(
                    "the head is {} wide, the verifier {}",
                    description.hidden_size, description.target_hidden_size
                )),
            );
        }
        let tied = [(&self.root, "the head"), (&self.decoder, "the decoder")]
            .into_iter()
            .any(|(section, _)| section.bool("tie_word_embeddings").ok().flatten() == Some(true));
        if !tied {
            return;
        }
        let (head, embedding) = (
            self.view("lm_head.weight"),
            self.view("embed_tokens.weight"),
        );
        if description.draft_vocab_size != description.vocab_size {
            let reason =
                "a reduced vocabulary has an output matrix of its own; the config says true";
            self.decisions
                .push(Decision::settled("tie_word_embeddings", false, reason));
        } else if let (Some(head), Some(embedding)) = (head, embedding)
            && head.data != embedding.data
        {
            let title = "`tie_word_embeddings` is true, but `lm_head.weight` and `embed_tokens.weight` differ".to_owned();
            self.contradiction("tie_word_embeddings", title);
        } else {
            let reason = "`lm_head.weight` is there; the config says true";
            self.decisions
                .push(Decision::settled("tie_word_embeddings", false, reason));
        }
    }
}

//! From a config and the shapes beside it to [`BlockDescription`].
//!
//! Sizes are read as those of an EAGLE-3 head are: in the speculators layout the config is the authority, in foreign
//! layouts counts come from the tensors.

use super::{BlockDescription, tokens_per_block};
use crate::codes;
use crate::convert::provenance;
use crate::decision::Decision;
use crate::diagnostic::{Diagnostic, Place};
use crate::head::Resolver;
use crate::options::BlockAnchor;
use crate::rope::Rope;
use crate::speculator::Algorithm;
use crate::verifier::hidden_act;

/// Block size the Python package assumes.
const DEFAULT_BLOCK: usize = 8;

/// A file that replaces the embedding of the mask token.
const MASK_EMBEDDING: &str = "mask_embedding.pt";

/// Whether a value of a key changes nothing.
type Neutral = fn(&serde_json::Value) -> bool;

impl Resolver<'_> {
    /// The description without auxiliary layers; `None` after a problem that leaves it undetermined.
    pub(super) fn describe_block(&mut self, algorithm: Algorithm) -> Option<BlockDescription> {
        self.not_quantized();
        self.scales_nothing();
        self.carries_nothing_else();
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
        let vocabularies = self.vocabularies();
        let rope = self.block_rope();
        let windows = self.block_windows(num_hidden_layers.unwrap_or(1));
        let attention_bias = self.biases(
            "attention_bias",
            "self_attn",
            &["q_proj", "k_proj", "v_proj", "o_proj"],
        );
        let act = hidden_act(&self.decoder);
        let hidden_act = self.keep(act);
        let block_size = self.block_size(algorithm);
        let sample_from_anchor = self.sample_from_anchor(algorithm);
        let mask_token_id = self.block_mask_token();
        let (vocab_size, draft_vocab_size) = vocabularies?;
        let drafter = self.drafter(algorithm, hidden_size, vocab_size, draft_vocab_size);
        let (sliding_window, forced) = windows?;
        let block_size = block_size?;
        let description = BlockDescription {
            drafter: drafter?,
            num_hidden_layers: num_hidden_layers?,
            hidden_size,
            target_hidden_size: target_hidden_size?,
            intermediate_size: intermediate_size?,
            num_attention_heads,
            num_key_value_heads,
            head_dim,
            vocab_size,
            draft_vocab_size,
            rms_norm_eps: self.rms_norm_eps(),
            rope: rope?,
            max_position_embeddings: self.max_position_embeddings(),
            hidden_act: hidden_act?,
            attention_bias,
            sliding_window_non_causal: self.non_causal(algorithm, &sliding_window, forced),
            sliding_window,
            block_size,
            sample_from_anchor,
            mask_token_id,
            aux_layer_ids: Vec::new(),
            own_embeddings: self.has("embed_tokens.weight"),
            own_lm_head: self.has("lm_head.weight"),
            dtype: self.dtype(),
            speculative_tokens: self.drafted_tokens(block_size, sample_from_anchor),
        };
        if description.tokens_per_block() == 0 {
            self.contradiction(
                "block_size",
                "a block of one position that holds a known token drafts nothing".to_owned(),
            );
            return None;
        }
        Some(description)
    }

    /// A key of the head: at the top, or inside `dflash_config` where the layout keeps it there.
    pub(super) fn head_key(&self, key: &str) -> String {
        let nested = format!("dflash_config.{key}");
        if self.foreign() && self.root.get(&nested).is_some() {
            return nested;
        }
        key.to_owned()
    }

    /// Parts of foreign heads that the speculators layout has no place for, where they are not neutral.
    fn carries_nothing_else(&mut self) {
        if !self.foreign() {
            return;
        }
        let neutral: [(&str, Neutral); 9] = [
            ("attention_sink_bias", |value| value == false),
            ("add_swa_attention_sink_bias", |value| value == false),
            ("attention_value_scale", |value| value.as_f64() == Some(1.0)),
            ("input_embedding_scale", |value| value.as_f64() == Some(1.0)),
            ("output_multiplier", |value| value.as_f64() == Some(1.0)),
            ("final_logit_softcapping", |value| {
                value.as_f64() == Some(0.0)
            }),
            ("use_aux_hidden_state", |value| value == true),
            ("is_neox_style", |value| value == true),
            ("is_causal", |value| value == false),
        ];
        for (key, is_neutral) in neutral {
            let key = self.head_key(key);
            let Some(value) = self.root.get(&key).filter(|value| !is_neutral(value)) else {
                continue;
            };
            let title =
                format!("`{key}` is {value}, and block drafters with that are not supported");
            self.contradiction(&key, title);
        }
        let path = self.checkpoint.root().join(MASK_EMBEDDING);
        if path.exists() {
            self.problems.push(
                Diagnostic::error(
                    codes::NOT_REPRESENTABLE,
                    format!("`{MASK_EMBEDDING}` replaces the embedding of the mask token, and that is not supported"),
                )
                .at(Place::file(path))
                .note("the speculators layout takes that embedding from the verifier"),
            );
        }
    }

    /// The rotary embedding. Without a base transformers takes 10000 for such a head, and vLLM 1000000.
    fn block_rope(&mut self) -> Option<Rope> {
        let before = self.decisions.len();
        let rope = self.rope(false);
        let assumed = self
            .decisions
            .iter_mut()
            .skip(before)
            .find(|decision| !decision.guess && decision.subject.ends_with("rope_theta"));
        if let Some(assumed) = assumed {
            assumed.guess = true;
            assumed.reason =
                "the config names none; transformers takes this then, and vLLM 1000000".to_owned();
        }
        rope
    }

    /// Tokens of the verifier, and those the head can propose.
    fn vocabularies(&mut self) -> Option<(usize, usize)> {
        let written = self.root.usize("draft_vocab_size");
        let written = self.keep(written)?;
        let rows = self.dimension("lm_head.weight", 0);
        let vocab_size = self.vocab_size(written.or(rows));
        if written.is_some() {
            return Some((vocab_size?, written?));
        }
        let vocab_size = vocab_size?;
        let draft = rows.unwrap_or(vocab_size);
        if !self.foreign() {
            // Python assumes 32000 here, vLLM the whole vocabulary.
            let reason = match rows {
                Some(_) => "the config does not say; `lm_head.weight` has that many rows",
                None => "the config does not say, and without `lm_head.weight` nothing is reduced",
            };
            self.decisions
                .push(Decision::settled("draft_vocab_size", draft, reason));
        }
        Some((vocab_size, draft))
    }

    fn block_size(&mut self, algorithm: Algorithm) -> Option<usize> {
        let key = ["block_size", "dspark_block_size"]
            .map(|key| self.head_key(key))
            .into_iter()
            .find(|key| self.root.get(key).is_some())
            .unwrap_or_else(|| "block_size".to_owned());
        let written = self.root.usize(&key);
        // The refiner of XPress mixes positions with a matrix per channel.
        let mixed = self
            .view("refiner_head.mix_l")
            .filter(|view| view.shape.len() == 3)
            .map(|view| view.shape[2]);
        match (self.keep(written)?, mixed) {
            (Some(0), _) => {
                let title = format!("`{key}` is 0, but has to be positive");
                self.problems
                    .push(Diagnostic::error(codes::CONFIG_TYPE, title).at(self.root.place(&key)));
                None
            }
            (Some(written), _) => Some(written),
            (None, Some(mixed)) if algorithm == Algorithm::XPress && mixed > 0 => {
                let reason = "the config does not say; the refiner mixes that many positions";
                self.decisions
                    .push(Decision::settled("block_size", mixed, reason));
                Some(mixed)
            }
            (None, _) if !self.foreign() => {
                let reason = "the config does not say; the Python package assumes this then";
                self.decisions
                    .push(Decision::guessed("block_size", DEFAULT_BLOCK, reason));
                Some(DEFAULT_BLOCK)
            }
            (None, _) => {
                self.problems.push(
                    Diagnostic::error(
                        codes::CONFIG_KEY_MISSING,
                        "`block_size` is missing, and nothing can stand in for it",
                    )
                    .at(self.root.place("dflash_config"))
                    .note("it stands at the top of the config or in `dflash_config`"),
                );
                None
            }
        }
    }

    /// What stands in the first position of a block.
    fn sample_from_anchor(&mut self, algorithm: Algorithm) -> bool {
        const KEY: &str = "sample_from_anchor";
        if let Some(anchor) = self.options.dflash_anchor {
            let predicted = anchor == BlockAnchor::Predicted;
            return self.given(KEY, Some(predicted)).unwrap_or(predicted);
        }
        let by_name = algorithm == Algorithm::DSpark;
        if !self.foreign() {
            let written = self.root.bool(KEY);
            if let Some(written) = self.keep(written).flatten() {
                return written;
            }
            let reason = "the config does not say; the Python package takes this then, and vLLM false for every kind";
            self.decisions.push(Decision {
                subject: KEY.to_owned(),
                value: by_name.to_string(),
                reason: reason.to_owned(),
                guess: by_name,
            });
            return by_name;
        }
        // `shift_label` is the trainers' word for labels that are one token ahead of their position.
        for (key, turned) in [
            (KEY, false),
            ("shift_label", false),
            ("dspark_bonus_anchor", true),
        ] {
            let key = self.head_key(key);
            let written = self.root.bool(&key);
            if let Some(written) = self.keep(written).flatten() {
                let predicted = written != turned;
                if key != KEY {
                    let reason = format!("`{key}` is {written}");
                    self.decisions
                        .push(Decision::settled(KEY, predicted, reason));
                }
                return predicted;
            }
        }
        self.decisions.push(if by_name {
            let reason = "the config does not say, and every trainer of DSpark predicts from the first position";
            Decision::settled(KEY, true, reason)
        } else {
            let reason = "the config does not say; the trainers of DFlash put a known token there unless `shift_label` is true";
            Decision::guessed(KEY, false, reason)
        });
        by_name
    }

    fn block_mask_token(&mut self) -> Option<usize> {
        if let Some(given) = self.options.mask_token_id {
            self.decisions.push(Decision::settled(
                "mask_token_id",
                given,
                "given by the caller",
            ));
            return Some(given);
        }
        for key in ["mask_token_id", "dspark_noise_token_id"] {
            let key = self.head_key(key);
            let written = self.root.usize(&key);
            if let Some(written) = self.keep(written).flatten() {
                return Some(written);
            }
        }
        None
    }

    /// Whatever is wrong with the proposal methods is for validation to say; a head drafts without them.
    fn drafted_tokens(&self, block_size: usize, sample_from_anchor: bool) -> usize {
        let methods = self.root.get("speculators_config.proposal_methods");
        let written =
            methods.and_then(|methods| methods.get(0)?.get("speculative_tokens")?.as_u64());
        written
            .or_else(|| self.recorded(provenance::SPECULATIVE_TOKENS)?.as_u64())
            .and_then(|tokens| usize::try_from(tokens).ok())
            .filter(|tokens| *tokens > 0)
            .unwrap_or(tokens_per_block(block_size, sample_from_anchor))
    }
}

//! From a config and the shapes beside it to [`HeadDescription`].
//!
//! In the speculators layout the config is the authority and tensors are held against it. In foreign layouts the config is
//! often copied from the verifier or from another run, so that counts are read off the tensors and the config is reported
//! where it says something else.

use safetensors::Dtype;

use super::open::Resolver;
use super::{DraftLayer, HeadDescription};
use crate::codes;
use crate::convert::provenance;
use crate::decision::Decision;
use crate::diagnostic::Diagnostic;
use crate::expected;
use crate::options::RopeOverride;
use crate::rope::{Rope, RopeAxes};
use crate::speculator::Algorithm;
use crate::verifier::{FloatType, float_type, hidden_act};

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
        let rope_axes = self.rope_axes(algorithm);
        let rope = self.rope(rope_axes.is_some());
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

    /// Multipliers of other families would change every output, and no layout of heads has them.
    pub(crate) fn scales_nothing(&mut self) {
        for key in [
            "logit_scale",
            "logits_scaling",
            "embedding_multiplier",
            "residual_multiplier",
            "attention_multiplier",
        ] {
            let scale = self.decoder.f64(key);
            if let Some(scale) = self.keep(scale).flatten().filter(|scale| *scale != 1.0) {
                self.contradiction(
                    key,
                    format!(
                        "`{key}` is {scale}, and heads with such a multiplier are not supported"
                    ),
                );
            }
        }
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

    /// The axes of a head for a multimodal verifier. Only heads that draft token by token are run with several: vLLM
    /// refuses them for parallel drafting, and no foreign trainer has them.
    fn rope_axes(&self, algorithm: Algorithm) -> Option<RopeAxes> {
        let token_by_token = algorithm == Algorithm::Eagle3 && !self.foreign();
        let read = Rope::with_axes(&self.decoder).ok();
        read.and_then(|(_, axes, _)| axes)
            .filter(|_| token_by_token && self.options.rope.is_none())
    }

    pub(crate) fn rope(&mut self, axes: bool) -> Option<Rope> {
        let read = if axes {
            Rope::with_axes(&self.decoder).map(|(rope, _, decisions)| (rope, decisions))
        } else {
            Rope::from_config(&self.decoder)
        };
        let (mut rope, mut decisions) = self.keep(read)?;
        if let Some(given) = self.options.rope {
            let verifier = self.verifier.and_then(|verifier| verifier.rope.clone());
            let (taken, value) = match given {
                RopeOverride::Theta(theta) => (Rope { theta, ..rope }, format!("theta {theta}")),
                RopeOverride::Plain => {
                    (Rope::plain(10_000.0), "theta 10000, no scaling".to_owned())
                }
                RopeOverride::Verifier => match verifier {
                    Some(rope) => (rope, "the verifier's".to_owned()),
                    None => {
                        self.problems.push(
                            Diagnostic::error(
                                codes::VERIFIER_UNSUPPORTED,
                                "the verifier's rotary embedding is wanted, but is not known",
                            )
                            .at(self.decoder.place("rope_theta"))
                            .note("either no verifier was named, or its config has a type of scaling that is not supported"),
                        );
                        return None;
                    }
                },
            };
            decisions.clear();
            decisions.push(Decision::settled(
                "rope_parameters",
                value,
                "given by the caller",
            ));
            rope = taken;
        }
        self.decisions.append(&mut decisions);
        Some(rope)
    }

    /// vLLM reads `layer_types` and `sliding_window` of a draft as they stand: a layer slides if its type says so and a width
    /// is given, whatever `use_sliding_window` says. The Python package does the same for Llama; for Qwen 3 it clears the
    /// width first when `use_sliding_window` is not true, and its own checkpoints then carry null. The two differ for
    /// hand-written configs only, and there the serving runtime decides.
    pub(crate) fn sliding_windows(&mut self, layers: usize) -> Vec<Option<usize>> {
        let window = self.decoder.usize("sliding_window");
        let window = self.keep(window).flatten().filter(|window| *window > 0);
        let types = self.decoder.str_list("layer_types");
        let types = self.keep(types).flatten().unwrap_or_default();
        let slides = |layer: usize| {
            types
                .get(layer)
                .is_some_and(|kind| kind == "sliding_attention")
        };
        let used = self.decoder.bool("use_sliding_window");
        if self.keep(used).flatten() == Some(false) && window.is_some() && (0..layers).any(slides) {
            self.decisions.push(Decision::guessed(
                self.decoder.name("sliding_window"),
                window.unwrap_or_default(),
                "`layer_types` asks for it and `use_sliding_window` is false; vLLM goes by the former",
            ));
        }
        (0..layers)
            .map(|layer| window.filter(|_| slides(layer)))
            .collect()
    }

    pub(crate) fn rms_norm_eps(&mut self) -> f64 {
        let eps = self.decoder.f64("rms_norm_eps");
        if let Some(eps) = self.keep(eps).flatten() {
            if eps <= 0.0 {
                let title = format!("`rms_norm_eps` is {eps}, but has to be positive");
                let place = self.decoder.place("rms_norm_eps");
                self.problems
                    .push(Diagnostic::error(codes::CONFIG_TYPE, title).at(place));
            }
            return eps;
        }
        let decision = match (
            self.foreign(),
            self.verifier.and_then(|verifier| verifier.rms_norm_eps),
        ) {
            (false, _) => Decision::settled(
                "rms_norm_eps",
                1e-6,
                "the config does not say, and both runtimes take this then",
            ),
            (true, Some(eps)) => Decision::guessed(
                "rms_norm_eps",
                eps,
                "the config does not say; trainers copy the verifier's",
            ),
            (true, _) => Decision::guessed(
                "rms_norm_eps",
                1e-6,
                "the config does not say; this is the usual default",
            ),
        };
        let value = decision.value.parse().unwrap_or(1e-6);
        self.decisions.push(decision);
        value
    }

    pub(crate) fn max_position_embeddings(&mut self) -> usize {
        let written = self.decoder.usize("max_position_embeddings");
        if let Some(written) = self.keep(written).flatten() {
            return written;
        }
        let verifier = self
            .verifier
            .map(|verifier| verifier.max_position_embeddings);
        let (value, reason) = match verifier.filter(|positions| *positions > 0) {
            Some(positions) => (
                positions,
                "the config does not say; the verifier has that many",
            ),
            None => (
                2048,
                "the config does not say; the default of the Llama config class",
            ),
        };
        self.decisions
            .push(Decision::settled("max_position_embeddings", value, reason));
        value
    }

    /// The dtype on disk, which is what counts; configs often name another.
    pub(crate) fn dtype(&mut self) -> FloatType {
        let written = float_type(&self.root);
        let written = self.keep(written).flatten();
        let names: Vec<&String> = self.recognized.names.keys().collect();
        let mut found: Vec<Dtype> = names
            .iter()
            .filter_map(|name| self.view(name))
            .map(|view| view.dtype)
            .filter(|dtype| expected::is_float(*dtype))
            .collect();
        found.sort_unstable();
        found.dedup();
        let main = self
            .view("fc.weight")
            .map(|view| view.dtype)
            .filter(|dtype| expected::is_float(*dtype));
        let main = match main.or(found.last().copied()) {
            Some(Dtype::F16) => FloatType::Float16,
            Some(Dtype::BF16) => FloatType::Bfloat16,
            _ => FloatType::Float32,
        };
        if found.len() > 1 {
            let reason = format!(
                "the tensors are of {} dtypes, {found:?}; each keeps its own",
                found.len()
            );
            self.decisions.push(Decision::settled(
                "dtype",
                format!("{main:?}").to_lowercase(),
                reason,
            ));
        } else if let Some(written) =
            written.filter(|written| *written != main && !found.is_empty())
        {
            let reason = format!(
                "the config says {}, but this is what the tensors are",
                format!("{written:?}").to_lowercase()
            );
            self.decisions.push(Decision::settled(
                "dtype",
                format!("{main:?}").to_lowercase(),
                reason,
            ));
        }
        main
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

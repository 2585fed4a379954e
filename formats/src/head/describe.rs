//! From a config and the shapes beside it to [`HeadDescription`].
//!
//! In the speculators layout the config is the authority and tensors are held against it. In foreign layouts the config is
//! often copied from the verifier or from another run, so that counts are read off the tensors and the config is reported
//! where it says something else.

use safetensors::Dtype;

use super::layout::Origin;
use super::open::Resolver;
use super::{DraftLayer, HeadDescription, shapes};
use crate::codes;
use crate::decision::Decision;
use crate::diagnostic::Diagnostic;
use crate::rope::Rope;
use crate::verifier::{FloatType, float_type, hidden_act};

const QUERY: &str = "layers.0.self_attn.q_proj.weight";
const KEY: &str = "layers.0.self_attn.k_proj.weight";

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
        let rope = self.rope();
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
        let mut description = HeadDescription {
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

    fn not_quantized(&mut self) {
        for section in [self.root.clone(), self.decoder.clone()] {
            let quantization = section.section("quantization_config");
            if let Some(quantization) = self.keep(quantization).flatten() {
                let method = quantization
                    .str("quant_method")
                    .ok()
                    .flatten()
                    .unwrap_or("an unnamed method");
                self.problems.push(
                    Diagnostic::error(
                        codes::LAYOUT_UNKNOWN,
                        format!("the head is quantized with `{method}`"),
                    )
                    .at(section.place("quantization_config"))
                    .note("quantized heads are not supported in this version")
                    .help("start from the checkpoint it was quantized from"),
                );
                return;
            }
        }
    }

    /// Multipliers of other families would change every output, and no layout of heads has them.
    fn scales_nothing(&mut self) {
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

    fn layers(&mut self) -> Option<usize> {
        let there = (0..).take_while(|layer| {
            let prefix = format!("layers.{layer}.");
            self.recognized
                .names
                .keys()
                .any(|name| name.starts_with(&prefix))
        });
        let there = there.count().max(1);
        let written = self.decoder.usize("num_hidden_layers");
        let written = self.keep(written)?;
        match written {
            Some(written) if !self.foreign() && written > 0 => Some(written),
            Some(written) if written != there => {
                // The original release copies the verifier's count here.
                let reason = format!(
                    "the config says {written}, but that many layers are in the checkpoint"
                );
                self.decisions
                    .push(Decision::guessed("num_hidden_layers", there, reason));
                Some(there)
            }
            _ => Some(there),
        }
    }

    /// A size from the config, or from a tensor where the config has none.
    fn size(&mut self, key: &str, by_tensor: Option<usize>) -> Option<usize> {
        let written = self.decoder.usize(key);
        match (self.keep(written)?, by_tensor) {
            (Some(0), _) => {
                let title = format!("`{}` is 0, but has to be positive", self.decoder.name(key));
                self.problems
                    .push(Diagnostic::error(codes::CONFIG_TYPE, title).at(self.decoder.place(key)));
                None
            }
            (Some(size), _) => Some(size),
            (None, Some(size)) if self.foreign() && size > 0 => {
                self.decisions.push(Decision::settled(
                    key,
                    size,
                    "the config does not say; the tensors do",
                ));
                Some(size)
            }
            _ => {
                let title = format!(
                    "`{}` is missing, and nothing can stand in for it",
                    self.decoder.name(key)
                );
                self.problems.push(
                    Diagnostic::error(codes::CONFIG_KEY_MISSING, title).at(self.decoder.place(key)),
                );
                None
            }
        }
    }

    /// Channels per head and key-value heads, held against the projections.
    fn head_dim(&mut self, hidden_size: usize, heads: usize) -> Option<(usize, usize)> {
        let written = self.decoder.usize("head_dim");
        let written = self.keep(written)?;
        let shared = self.decoder.usize("num_key_value_heads");
        let shared = self.keep(shared)?;
        let stated = self.options.head_dim.or(written);
        if self.options.head_dim.is_some() && self.options.head_dim != written {
            self.decisions.push(Decision::settled(
                "head_dim",
                stated.unwrap_or_default(),
                "given by the caller",
            ));
        }
        let (queries, keys) = (self.dimension(QUERY, 0), self.dimension(KEY, 0));
        // What the projections themselves say, if they say it with one voice.
        let by_tensors = queries
            .filter(|queries| queries.is_multiple_of(heads))
            .map(|queries| queries / heads);
        let by_tensors = by_tensors.filter(|dim| {
            let groups = keys
                .filter(|keys| *dim > 0 && keys.is_multiple_of(*dim))
                .map(|keys| keys / dim);
            let same = |part: &str, axis| {
                self.dimension(&format!("layers.0.self_attn.{part}.weight"), axis)
            };
            groups.is_some_and(|groups| {
                shared.is_none_or(|shared| shared == groups) && heads.is_multiple_of(groups)
            }) && same("v_proj", 0) == keys
                && same("o_proj", 1) == queries
        });
        let assumed = stated.unwrap_or(hidden_size / heads);
        let head_dim = match by_tensors {
            Some(dim) if dim != assumed && stated.is_some() => {
                let key = self.decoder.name("head_dim");
                self.problems.push(
                    Diagnostic::error(
                        codes::TENSOR_SHAPE,
                        format!(
                            "`{key}` is {assumed}, but the projections have {dim} channels per head"
                        ),
                    )
                    .at(self.decoder.place("head_dim"))
                    .note(format!(
                        "`{QUERY}` has {} rows = {heads} heads x {dim}",
                        heads * dim
                    )),
                );
                dim
            }
            Some(dim) if dim != assumed => {
                let reason = format!(
                    "the config does not say; the projections have {} rows for {heads} heads, not hidden_size / num_attention_heads = {assumed}",
                    heads * dim
                );
                self.decisions
                    .push(Decision::settled("head_dim", dim, reason));
                dim
            }
            _ => assumed,
        };
        if head_dim == 0 || !head_dim.is_multiple_of(2) {
            self.contradiction(
                "head_dim",
                format!("a head of {head_dim} channels cannot be rotated in pairs"),
            );
            return None;
        }
        let shared = shared.or_else(|| {
            let groups = keys
                .filter(|keys| keys.is_multiple_of(head_dim))
                .map(|keys| keys / head_dim)?;
            if groups != heads {
                let reason = "the config does not say; `k_proj` does";
                self.decisions
                    .push(Decision::settled("num_key_value_heads", groups, reason));
            }
            Some(groups)
        });
        let shared = shared.unwrap_or(heads);
        if shared == 0 || !heads.is_multiple_of(shared) {
            let title = format!("{heads} query heads cannot share {shared} key and value heads");
            self.contradiction("num_key_value_heads", title);
            return None;
        }
        Some((head_dim, shared))
    }

    fn target_hidden_size(&mut self, hidden_size: usize) -> Option<usize> {
        let written = self.root.usize("target_hidden_size");
        match self.keep(written)? {
            Some(0) => {
                let title = "`target_hidden_size` is 0, but has to be positive";
                self.problems.push(
                    Diagnostic::error(codes::CONFIG_TYPE, title)
                        .at(self.root.place("target_hidden_size")),
                );
                None
            }
            Some(width) => Some(width),
            None => {
                let inputs = self.dimension("fc.weight", 1);
                let verifier = self
                    .verifier
                    .map(|verifier| verifier.hidden_size)
                    .filter(|width| {
                        self.foreign()
                            && *width != hidden_size
                            && inputs.is_some_and(|inputs| {
                                inputs.is_multiple_of(*width) && !inputs.is_multiple_of(hidden_size)
                            })
                    });
                if let Some(width) = verifier {
                    let reason = "the config does not say; `fc.weight` is a multiple of the verifier's hidden size, not of the head's";
                    self.decisions
                        .push(Decision::settled("target_hidden_size", width, reason));
                }
                Some(verifier.unwrap_or(hidden_size))
            }
        }
    }

    fn draft_vocab_size(&mut self) -> Option<usize> {
        let written = self.root.usize("draft_vocab_size");
        let rows = self.dimension("lm_head.weight", 0);
        match (self.keep(written)?, rows) {
            (Some(written), _) => Some(written),
            (None, Some(rows)) => {
                // Python assumes 32000 here, vLLM the whole vocabulary; the rows are what is there.
                let reason = "the config does not say; `lm_head.weight` has that many rows";
                self.decisions
                    .push(Decision::settled("draft_vocab_size", rows, reason));
                Some(rows)
            }
            (None, None) => {
                self.problems.push(
                    Diagnostic::error(
                        codes::TENSOR_MISSING,
                        "`lm_head.weight` is missing, and the config has no `draft_vocab_size`",
                    )
                    .at(self.checkpoint.weights_place()),
                );
                None
            }
        }
    }

    fn vocab_size(&mut self, draft: Option<usize>) -> Option<usize> {
        let written = self.decoder.usize("vocab_size");
        let written = self.keep(written)?;
        if let Some(written) = written.filter(|_| !self.foreign()) {
            return Some(written);
        }
        let marked = self
            .view("t2d")
            .filter(|view| view.shape.len() == 1)
            .map(|view| view.shape[0]);
        let embedded = self.dimension("embed_tokens.weight", 0);
        let verifier = self.verifier.map(|verifier| verifier.vocab_size);
        let found = [
            (marked, "`t2d` has that many entries"),
            (embedded, "`embed_tokens.weight` has that many rows"),
            (written, "the config says so"),
            (verifier, "the verifier has that many tokens"),
        ];
        let Some((size, reason)) = found
            .into_iter()
            .find_map(|(size, reason)| Some((size?, reason)))
        else {
            let problem = Diagnostic::error(
                codes::CONFIG_KEY_MISSING,
                "`vocab_size` is missing, and no tensor tells it",
            )
            .at(self.decoder.place("vocab_size"))
            .help("name the verifier");
            self.problems.push(problem);
            return None;
        };
        if written.is_some_and(|written| written != size) {
            let reason = format!(
                "the config says {}, but {reason}",
                written.unwrap_or_default()
            );
            self.decisions
                .push(Decision::guessed("vocab_size", size, reason));
        } else if written.is_none() {
            self.decisions.push(Decision::settled(
                "vocab_size",
                size,
                format!("the config does not say; {reason}"),
            ));
        }
        // A config that states the draft's vocabulary for the verifier's would make a reduced head look whole.
        if marked.is_none()
            && embedded.is_none()
            && written == draft
            && verifier.is_some()
            && verifier != written
        {
            self.decisions
                .retain(|decision| decision.subject != "vocab_size");
            return verifier;
        }
        Some(size)
    }

    fn rope(&mut self) -> Option<Rope> {
        let read = Rope::from_config(&self.decoder);
        let (mut rope, mut decisions) = self.keep(read)?;
        if let Some(theta) = self.options.rope_theta {
            decisions.retain(|decision| !decision.subject.ends_with("rope_theta"));
            decisions.push(Decision::settled(
                "rope_theta",
                theta,
                "given by the caller",
            ));
            rope.theta = theta;
        }
        self.decisions.append(&mut decisions);
        Some(rope)
    }

    /// vLLM reads `layer_types` and `sliding_window` of a draft as they stand: a layer slides if its type says so and a width
    /// is given, whatever `use_sliding_window` says. The Python package does the same for Llama; for Qwen 3 it clears the
    /// width first when `use_sliding_window` is not true, and its own checkpoints then carry null. The two differ for
    /// hand-written configs only, and there the serving runtime decides.
    fn sliding_windows(&mut self, layers: usize) -> Vec<Option<usize>> {
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

    /// A group of biases: all of them in every layer, or none.
    fn biases(&mut self, key: &str, block: &str, parts: &[&str]) -> bool {
        let flag = self.decoder.bool(key);
        let flag = self.keep(flag).flatten();
        if !self.foreign() {
            return flag.unwrap_or(false);
        }
        let name = |part: &str| format!("layers.0.{block}.{part}.bias");
        let there: Vec<&str> = parts
            .iter()
            .copied()
            .filter(|part| self.has(&name(part)))
            .collect();
        if there.len() == parts.len() {
            if flag != Some(true) {
                self.decisions.push(Decision::settled(
                    key,
                    true,
                    "the checkpoint has the biases",
                ));
            }
            return true;
        }
        if !there.is_empty() {
            let kind = if block == "mlp" { "MLP" } else { "attention" };
            let title = format!("the {kind} biases are there for {} only", there.join(", "));
            let problem = self.contradiction(key, title);
            problem.notes.push(format!(
                "the layout has biases for all of {} or for none",
                parts.join(", ")
            ));
            return false;
        }
        // Biases that are promised but not there come out as missing tensors.
        flag.unwrap_or(false)
    }

    fn rms_norm_eps(&mut self) -> f64 {
        let eps = self.decoder.f64("rms_norm_eps");
        if let Some(eps) = self.keep(eps).flatten() {
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

    fn max_position_embeddings(&mut self) -> usize {
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
    fn dtype(&mut self) -> FloatType {
        let written = float_type(&self.root);
        let written = self.keep(written).flatten();
        let names: Vec<&String> = self.recognized.names.keys().collect();
        let mut found: Vec<Dtype> = names
            .iter()
            .filter_map(|name| self.view(name))
            .map(|view| view.dtype)
            .filter(|dtype| shapes::is_float(*dtype))
            .collect();
        found.sort_unstable();
        found.dedup();
        let main = self
            .view("fc.weight")
            .map(|view| view.dtype)
            .filter(|dtype| shapes::is_float(*dtype));
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
        let methods = self.root.get("speculators_config.proposal_methods");
        let tokens =
            methods.and_then(|methods| methods.get(0)?.get("speculative_tokens")?.as_u64());
        tokens
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

impl Resolver<'_> {
    fn norm_before_residual(&mut self) -> bool {
        const KEY: &str = "norm_before_residual";
        if let Some(given) = self.given(KEY, self.options.norm_before_residual) {
            return given;
        }
        let written = self.root.bool(KEY);
        if let Some(written) = self.keep(written).flatten() {
            return written;
        }
        if self.foreign() {
            // None of the foreign trainers has the variant.
            let reason = format!(
                "the config does not say, and {} knows no other",
                self.origin.name()
            );
            self.decisions.push(Decision::settled(KEY, false, reason));
            return false;
        }
        let reason = "the config does not say; vLLM takes true then, the Python package false";
        self.decisions.push(Decision::guessed(KEY, true, reason));
        true
    }

    fn norm_output(&mut self) -> bool {
        const KEY: &str = "norm_output";
        if let Some(given) = self.given(KEY, self.options.norm_output) {
            return given;
        }
        let written = self.root.bool(KEY);
        let written = self.keep(written).flatten();
        let exported = self.root.bool("eagle_config.return_hidden_post_norm");
        let written = written.or(self.keep(exported).flatten()).unwrap_or(false);
        if !written || !matches!(self.origin, Origin::SpecForge | Origin::SafeAiLab) {
            return written;
        }
        // SpecForge wrote true for ordinary heads until September 2026, meaning the norm before lm_head that all have.
        // Its heads of the later kind, where the flag has today's meaning, also normalize the states before fc.
        let later = self.has("fc_norm.0.weight");
        let reason = if later {
            "the config says true, and `fc_norm.*` shows a head of the kind that feeds the normalized output back"
        } else {
            "the config says true, but SpecForge long wrote that for heads that feed the plain output back"
        };
        self.decisions.push(Decision::guessed(KEY, later, reason));
        later
    }

    /// The norms before `fc`: tensors and flags have to say the same.
    fn input_norms(&mut self, description: &mut HeadDescription) {
        let before = self.flag_or_tensor(
            "norm_before_fc",
            self.options.norm_before_fc,
            "input_norm.weight",
        );
        let each = self.flag_or_tensor("fc_norm", self.options.fc_norm, "fc_norm.0.weight");
        if before && each {
            let problem = Diagnostic::error(
                codes::NOT_REPRESENTABLE,
                "`norm_before_fc` and `fc_norm` are both set, but exclude each other",
            );
            self.problems.push(problem.at(self.root.place("fc_norm")));
            // Whichever is really there is asked for, so that the contradiction is the only finding.
            description.norm_before_fc = self.has("input_norm.weight");
            description.fc_norm = self.has("fc_norm.0.weight") && !description.norm_before_fc;
            return;
        }
        (description.norm_before_fc, description.fc_norm) = (before, each);
    }

    fn flag_or_tensor(&mut self, key: &str, given: Option<bool>, tensor: &str) -> bool {
        if let Some(given) = self.given(key, given) {
            return given;
        }
        let written = self.root.bool(key);
        let written = self.keep(written).flatten();
        let nested = self.root.bool(&format!("eagle_config.{key}"));
        let nested = self.keep(nested).flatten();
        match written.or(nested) {
            Some(written) => written,
            None if self.has(tensor) => {
                let reason = format!("the config does not say, but `{tensor}` is there");
                self.decisions.push(Decision::settled(key, true, reason));
                true
            }
            None => false,
        }
    }

    fn given(&mut self, key: &str, given: Option<bool>) -> Option<bool> {
        let given = given?;
        self.decisions
            .push(Decision::settled(key, given, "given by the caller"));
        Some(given)
    }
}

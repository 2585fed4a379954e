//! Sizes of a head: from the config, held against the tensors, or from the tensors where the config is silent.

use super::resolver::Resolver;
use crate::codes;
use crate::decision::Decision;
use crate::diagnostic::Diagnostic;
use crate::verifier::MOST_LAYERS;

const QUERY: &str = "layers.0.self_attn.q_proj.weight";
const KEY: &str = "layers.0.self_attn.k_proj.weight";

impl Resolver<'_> {
    pub(crate) fn layers(&mut self) -> Option<usize> {
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
        if written.is_some_and(|layers| layers > MOST_LAYERS || layers == 0) {
            let layers = written.unwrap_or_default();
            let title =
                format!("`num_hidden_layers` is {layers}, but has to be from 1 to {MOST_LAYERS}");
            let place = self.decoder.place("num_hidden_layers");
            self.problems
                .push(Diagnostic::error(codes::CONFIG_TYPE, title).at(place));
            return None;
        }
        match written {
            Some(written) if !self.foreign() => Some(written),
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
    pub(crate) fn size(&mut self, key: &str, by_tensor: Option<usize>) -> Option<usize> {
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
    pub(crate) fn head_dim(&mut self, hidden_size: usize, heads: usize) -> Option<(usize, usize)> {
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

    pub(crate) fn target_hidden_size(&mut self, hidden_size: usize) -> Option<usize> {
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

    pub(super) fn draft_vocab_size(&mut self) -> Option<usize> {
        let written = self.root.usize("draft_vocab_size");
        let rows = self.dimension("lm_head.weight", 0);
        let entries = self
            .view("d2t")
            .and_then(|view| view.shape.first().copied())
            .filter(|_| self.options.slice_lm_head);
        match (self.keep(written)?, entries.or(rows)) {
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

    pub(crate) fn vocab_size(&mut self, draft: Option<usize>) -> Option<usize> {
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
}

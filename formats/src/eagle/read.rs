//! Opening an EAGLE-1 head: names, config, comparison with the tensors.

use std::collections::BTreeMap;

use safetensors::Dtype;

use super::{EagleDescription, EagleHead, names};
use crate::checkpoint::{Checkpoint, TensorView};
use crate::config::Section;
use crate::decision::Decision;
use crate::diagnostic::{Diagnostic, Level, Place};
use crate::expected;
use crate::head::{Dropped, Layout, bare_name};
use crate::options::ReadOptions;
use crate::rope::Rope;
use crate::verifier::{FloatType, VerifierFacts, hidden_act};
use crate::{Result, codes};

pub(super) fn read(
    checkpoint: Checkpoint,
    verifier: Option<&VerifierFacts>,
    options: &ReadOptions,
) -> Result<EagleHead> {
    let root = checkpoint.config().root();
    let legacy = root.get("speculators_model_type").is_some();
    let section = if legacy {
        root.section("transformer_layer_config")?
    } else {
        None
    };
    let decoder = section.unwrap_or_else(|| root.clone());
    let mut tensors = BTreeMap::new();
    let mut dropped = Vec::new();
    let mut problems = Vec::new();
    for name in checkpoint.names() {
        let bare = bare_name(name);
        let canonical = if legacy {
            names::canonical(bare)
        } else {
            bare.to_owned()
        };
        if let Some(reason) = droppable(&canonical) {
            dropped.push(Dropped {
                name: name.to_owned(),
                reason: reason.to_owned(),
            });
        } else if let Some(other) = tensors.insert(canonical, name.to_owned()) {
            let title = format!("`{other}` and `{name}` are the same tensor");
            problems.push(
                Diagnostic::error(codes::TENSOR_UNEXPECTED, title).at(checkpoint.place(name)),
            );
        }
    }
    let mut reader = Reader {
        checkpoint: &checkpoint,
        tensors: &tensors,
        root,
        decoder,
        verifier,
        decisions: vec![Decision::settled(
            "layout",
            if legacy {
                "speculators 0.5 or older"
            } else {
                "the original release"
            },
            if legacy {
                "the config has `speculators_model_type`"
            } else {
                "`fc.weight` reads two states and there is no `hidden_norm`"
            },
        )],
        problems,
    };
    let description = reader.describe(legacy);
    let (mut problems, decisions) = (reader.problems, reader.decisions);
    let Some(description) = description.filter(|_| problems.is_empty()) else {
        return Err(problems);
    };
    problems.extend(expected::compare(
        &description.expected_tensors(),
        tensors.keys().map(String::as_str),
        |name| checkpoint.tensor(tensors.get(name)?),
        &checkpoint.weights_place(),
    ));
    problems.extend(misfits(&description, verifier, &checkpoint));
    if options.strict {
        let place = Place::file(checkpoint.config().path());
        let guesses = decisions.iter().filter(|decision| decision.guess);
        problems.extend(guesses.map(|guess| guess.refused(place.clone())));
    }
    if problems.iter().any(|problem| problem.level == Level::Error) {
        return Err(problems);
    }
    Ok(EagleHead {
        layout: if legacy {
            Layout::Speculators
        } else {
            Layout::Eagle
        },
        description,
        tensors,
        decisions,
        dropped,
        checkpoint,
    })
}

/// Tensors that carry nothing of the head.
fn droppable(name: &str) -> Option<&'static str> {
    if name.ends_with("rotary_emb.inv_freq") {
        return Some("the rotary frequencies follow from the config");
    }
    (name == "lm_head.weight").then_some("the head uses the verifier's output matrix")
}

struct Reader<'a> {
    checkpoint: &'a Checkpoint,
    tensors: &'a BTreeMap<String, String>,
    root: Section<'a>,
    decoder: Section<'a>,
    verifier: Option<&'a VerifierFacts>,
    decisions: Vec<Decision>,
    problems: Vec<Diagnostic>,
}

impl<'a> Reader<'a> {
    fn keep<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        result.map_err(|problem| self.problems.push(problem)).ok()
    }

    fn view(&self, name: &str) -> Option<TensorView<'a>> {
        self.checkpoint.tensor(self.tensors.get(name)?)
    }

    fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    fn rows(&self, name: &str) -> Option<usize> {
        self.view(name)?.shape.first().copied()
    }

    fn size(&mut self, key: &str, by_tensor: Option<usize>) -> Option<usize> {
        let written = self.decoder.usize(key);
        if let Some(size) = self.keep(written)?.filter(|size| *size > 0).or(by_tensor) {
            return Some(size);
        }
        let title = format!("`{key}` is missing, and nothing can stand in for it");
        let place = self.decoder.place(key);
        self.problems
            .push(Diagnostic::error(codes::CONFIG_KEY_MISSING, title).at(place));
        None
    }

    fn describe(&mut self, legacy: bool) -> Option<EagleDescription> {
        let hidden_size = self.size("hidden_size", self.rows("fc.weight"))?;
        let num_attention_heads = self.size("num_attention_heads", None)?;
        let stated = self.decoder.usize("head_dim");
        let head_dim = self
            .keep(stated)?
            .unwrap_or(hidden_size / num_attention_heads);
        let groups = self
            .rows("layers.0.self_attn.k_proj.weight")
            .filter(|rows| head_dim > 0 && rows.is_multiple_of(head_dim))
            .map(|rows| rows / head_dim);
        let layers = (0_usize..).take_while(|layer| {
            let prefix = format!("layers.{layer}.");
            self.tensors.keys().any(|name| name.starts_with(&prefix))
        });
        let num_hidden_layers = layers.count().max(1);
        let vocabulary = self
            .rows("embed_tokens.weight")
            .or(self.verifier.map(|verifier| verifier.vocab_size));
        let rope = Rope::from_config(&self.decoder);
        let (rope, found) = self.keep(rope)?;
        self.decisions.extend(found);
        let act = hidden_act(&self.decoder);
        Some(EagleDescription {
            hidden_size,
            intermediate_size: self.size(
                "intermediate_size",
                self.rows("layers.0.mlp.gate_proj.weight"),
            )?,
            num_hidden_layers,
            num_attention_heads,
            num_key_value_heads: self
                .size("num_key_value_heads", groups)
                .unwrap_or(num_attention_heads),
            head_dim,
            vocab_size: self.size("vocab_size", vocabulary)?,
            rms_norm_eps: self.rms_norm_eps(),
            rope,
            max_position_embeddings: self.size("max_position_embeddings", Some(2048))?,
            hidden_act: self.keep(act)?,
            fc_bias: self.fc_bias(legacy),
            qkv_bias: self.has("layers.0.self_attn.q_proj.bias"),
            layernorms: names::NORMS
                .iter()
                .any(|norm| self.has(&format!("{norm}.weight"))),
            own_embeddings: self.has("embed_tokens.weight"),
            dtype: match self.view("fc.weight").map(|view| view.dtype) {
                Some(Dtype::F16) => FloatType::Float16,
                Some(Dtype::BF16) => FloatType::Bfloat16,
                _ => FloatType::Float32,
            },
        })
    }

    /// The original release takes true where the config does not say; the tensor knows.
    fn fc_bias(&mut self, legacy: bool) -> bool {
        let key = if legacy { "fusion_bias" } else { "bias" };
        let written = self.root.bool(key);
        let written = self.keep(written).flatten();
        let there = self.has("fc.bias");
        match written {
            Some(written) => written,
            None => {
                let reason = if there {
                    "the config does not say, and `fc.bias` is there"
                } else {
                    "the config does not say, and there is no `fc.bias`"
                };
                self.decisions.push(Decision::settled(key, there, reason));
                there
            }
        }
    }

    fn rms_norm_eps(&mut self) -> f64 {
        let written = self.decoder.f64("rms_norm_eps");
        if let Some(eps) = self.keep(written).flatten() {
            return eps;
        }
        let eps = self
            .verifier
            .and_then(|verifier| verifier.rms_norm_eps)
            .unwrap_or(1e-6);
        let reason = "the config does not say; the verifier's, or the usual default";
        self.decisions
            .push(Decision::guessed("rms_norm_eps", eps, reason));
        eps
    }
}

/// What head and verifier have to agree on: the head reads the verifier's state and embedding and writes for its matrix.
fn misfits(
    head: &EagleDescription,
    verifier: Option<&VerifierFacts>,
    checkpoint: &Checkpoint,
) -> Vec<Diagnostic> {
    let Some(verifier) = verifier else {
        return Vec::new();
    };
    let place = Place::file(checkpoint.config().path());
    let pairs = [
        (
            codes::HIDDEN_SIZE,
            "hidden size",
            head.hidden_size,
            verifier.hidden_size,
        ),
        (
            codes::VOCABULARY,
            "vocabulary",
            head.vocab_size,
            verifier.vocab_size,
        ),
    ];
    pairs
        .into_iter()
        .filter(|(_, _, ours, theirs)| ours != theirs)
        .map(|(code, what, ours, theirs)| {
            let title =
                format!("the head was built for a {what} of {ours}, but the verifier has {theirs}");
            Diagnostic::error(code, title).at(place.clone())
        })
        .collect()
}

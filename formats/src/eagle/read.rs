//! Opening an EAGLE-1 head: names, config, comparison with the tensors.

use std::collections::BTreeMap;

use super::{EagleDescription, EagleHead, names};
use crate::checkpoint::Checkpoint;
use crate::decision::Decision;
use crate::diagnostic::Diagnostic;
use crate::expected;
use crate::head::{Dropped, Layout, Origin, Recognized, Resolver, bare_name, droppable};
use crate::options::ReadOptions;
use crate::speculator::Algorithm;
use crate::verifier::{VerifierFacts, hidden_act};
use crate::{Result, codes};

pub(super) fn read(
    checkpoint: Checkpoint,
    verifier: Option<&VerifierFacts>,
    options: &ReadOptions,
) -> Result<EagleHead> {
    let legacy = checkpoint
        .config()
        .root()
        .get("speculators_model_type")
        .is_some();
    let recognized = recognize(&checkpoint, legacy)?;
    let mut resolver = Resolver::new(&checkpoint, &recognized, verifier, options)?;
    let description = resolver.describe_eagle(legacy);
    let Some(description) = description.filter(|_| resolver.problems.is_empty()) else {
        return Err(resolver.problems);
    };
    let found = expected::compare(
        &description.expected_tensors(),
        recognized.names.keys().map(String::as_str),
        |name| resolver.view(name),
        &checkpoint.weights_place(),
    );
    resolver.problems.extend(found);
    resolver.fits_verifier(description.hidden_size, description.vocab_size);
    let decisions = resolver.finish(Algorithm::Eagle)?;
    Ok(EagleHead {
        layout: if legacy {
            Layout::Speculators
        } else {
            Layout::Eagle
        },
        description,
        tensors: recognized.names,
        decisions,
        dropped: recognized.dropped,
        checkpoint,
    })
}

/// The names of the original release, whichever of the two layouts has them. Both are read as it is, tensors before
/// config: the Python package built the one layer whatever number its config said.
fn recognize(checkpoint: &Checkpoint, legacy: bool) -> Result<Recognized> {
    let (origin, writer, evidence) = if legacy {
        let evidence = "the config has `speculators_model_type`";
        (Origin::Speculators, "speculators 0.5 or older", evidence)
    } else {
        let evidence = "`fc.weight` reads two states and there is no `hidden_norm`";
        (Origin::SafeAiLab, Origin::SafeAiLab.name(), evidence)
    };
    let mut recognized = Recognized {
        layout: Layout::Eagle,
        origin,
        names: BTreeMap::new(),
        dropped: Vec::new(),
        decisions: vec![Decision::settled("layout", writer, evidence)],
    };
    let mut problems = Vec::new();
    for name in checkpoint.names() {
        let bare = bare_name(name);
        let canonical = if legacy {
            names::canonical(bare)
        } else {
            bare.to_owned()
        };
        if let Some(reason) = spare(&canonical) {
            recognized.dropped.push(Dropped {
                name: name.to_owned(),
                reason: reason.to_owned(),
            });
        } else if let Some(other) = recognized.names.insert(canonical, name.to_owned()) {
            let title = format!("`{other}` and `{name}` are the same tensor");
            problems.push(
                Diagnostic::error(codes::TENSOR_UNEXPECTED, title).at(checkpoint.place(name)),
            );
        }
    }
    if problems.is_empty() {
        Ok(recognized)
    } else {
        Err(problems)
    }
}

/// Tensors that carry nothing of the head.
fn spare(name: &str) -> Option<&'static str> {
    if name == "lm_head.weight" {
        return Some("the head uses the verifier's output matrix");
    }
    droppable(name)
}

impl Resolver<'_> {
    /// The description; `None` after a problem that leaves it undetermined.
    fn describe_eagle(&mut self, legacy: bool) -> Option<EagleDescription> {
        self.not_quantized();
        self.scales_nothing();
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
        let vocab_size = self.verifier_vocabulary();
        let rope = self.rope(false);
        let act = hidden_act(&self.decoder);
        let hidden_act = self.keep(act);
        Some(EagleDescription {
            hidden_size,
            intermediate_size: intermediate_size?,
            num_hidden_layers: num_hidden_layers?,
            num_attention_heads,
            num_key_value_heads,
            head_dim,
            vocab_size: vocab_size?,
            rms_norm_eps: self.rms_norm_eps(),
            rope: rope?,
            max_position_embeddings: self.max_position_embeddings(),
            hidden_act: hidden_act?,
            fc_bias: self.fc_bias(legacy),
            qkv_bias: self.has("layers.0.self_attn.q_proj.bias"),
            layernorms: names::NORMS
                .iter()
                .any(|norm| self.has(&format!("{norm}.weight"))),
            own_embeddings: self.has("embed_tokens.weight"),
            dtype: self.dtype(),
        })
    }

    /// The head writes for the verifier's output matrix, so its vocabulary is the verifier's.
    fn verifier_vocabulary(&mut self) -> Option<usize> {
        const KEY: &str = "vocab_size";
        let rows = self.dimension("embed_tokens.weight", 0);
        let theirs = self.verifier.map(|verifier| verifier.vocab_size);
        if rows.is_none()
            && self.decoder.get(KEY).is_none()
            && let Some(theirs) = theirs
        {
            let reason = "the config does not say; the verifier has that many tokens";
            self.decisions.push(Decision::settled(KEY, theirs, reason));
            return Some(theirs);
        }
        self.size(KEY, rows)
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
}

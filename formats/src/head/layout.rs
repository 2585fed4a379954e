//! Which layout a checkpoint is in, and the canonical name of each of its tensors.
//!
//! Tensor names decide first, the config second. Names are brought to those of the speculators layout; what is
//! recognizably another kind of checkpoint is refused by its name.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Layout, kinds};
use crate::checkpoint::Checkpoint;
use crate::codes;
use crate::config::Section;
use crate::decision::Decision;
use crate::diagnostic::{Diagnostic, Place};
use crate::gguf;
use crate::speculator::{self, Algorithm};

/// A source tensor that is left out, and why that is right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// Name in the checkpoint.
    pub name: String,
    /// Why the head does not need it.
    pub reason: String,
}

/// Who wrote a checkpoint, as far as its fingerprints tell; settles what a config key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Speculators,
    SafeAiLab,
    SpecForge,
    ModelOpt,
    AngelSlim,
    TorchSpec,
    Automodel,
    TensorRtLlm,
    Vllm,
    ZLab,
}

impl Origin {
    pub fn name(self) -> &'static str {
        match self {
            Origin::Speculators => "speculators",
            Origin::SafeAiLab => "the original release",
            Origin::SpecForge => "SpecForge",
            Origin::ModelOpt => "ModelOpt",
            Origin::AngelSlim => "AngelSlim",
            Origin::TorchSpec => "TorchSpec",
            Origin::Automodel => "NeMo Automodel",
            Origin::TensorRtLlm => "TensorRT-LLM",
            Origin::Vllm => "vLLM",
            Origin::ZLab => "z-lab",
        }
    }
}

/// A recognized checkpoint.
pub(crate) struct Recognized {
    pub layout: Layout,
    pub origin: Origin,
    /// Canonical name → name in the checkpoint.
    pub names: BTreeMap<String, String>,
    pub dropped: Vec<Dropped>,
    pub decisions: Vec<Decision>,
}

/// Prefixes that wrappers put before every name.
const PREFIXES: [&str; 3] = ["module.", "draft_model.", "model."];

/// Recognizes the layout, or says what the checkpoint is instead.
pub(crate) fn recognize(checkpoint: &Checkpoint) -> Result<Recognized, Vec<Diagnostic>> {
    if checkpoint.is_gguf() {
        return Ok(in_gguf(checkpoint));
    }
    let root = checkpoint.config().root();
    let algorithm = speculator::algorithm(checkpoint)?;
    if !matches!(algorithm, Algorithm::Eagle3 | Algorithm::PEagle) {
        let place = if root.get("speculators_model_type").is_some() {
            root.place("speculators_model_type")
        } else {
            Place::file(checkpoint.root())
        };
        return Err(Diagnostic::error(
            codes::LAYOUT_UNKNOWN,
            format!("the head is of kind `{algorithm}`, not an EAGLE-3 head"),
        )
        .at(place)
        .into());
    }
    if root.get("speculators_model_type").is_some() {
        return speculators_names(checkpoint);
    }
    let names: Vec<&str> = checkpoint.names().collect();
    let bare: Vec<&str> = names.iter().map(|name| strip(name).1).collect();
    let first_layer = bare.iter().any(|name| name.starts_with("midlayer."))
        || bare.contains(&"layers.0.hidden_norm.weight");
    if let Some(refusal) = kinds::refused(checkpoint, &bare, first_layer) {
        return Err(refusal.into());
    }
    if !first_layer {
        let shown: Vec<String> = names
            .iter()
            .take(5)
            .map(|name| format!("`{name}`"))
            .collect();
        return Err(Diagnostic::error(
            codes::LAYOUT_UNKNOWN,
            "the tensors are those of no layout this version reads",
        )
        .at(Place::file(checkpoint.root()))
        .note(
            "an EAGLE-3 head has `midlayer.*`, or `layers.0.hidden_norm.weight` beside `fc.weight`",
        )
        .note(format!(
            "there are {} tensors, among them {}",
            names.len(),
            shown.join(", ")
        ))
        .into());
    }
    let origin = origin(&root, &names);
    let layout = if origin == Origin::SafeAiLab {
        Layout::SafeAiLab
    } else {
        Layout::SpecForge
    };
    let mut recognized = Recognized {
        layout,
        origin,
        names: BTreeMap::new(),
        dropped: Vec::new(),
        decisions: Vec::new(),
    };
    recognized
        .decisions
        .push(Decision::settled("layout", origin.name(), evidence(origin)));
    recognized.rename(checkpoint, &names)?;
    Ok(recognized)
}

/// A GGUF file holds a head of one kind only, or it would not have been opened.
fn in_gguf(checkpoint: &Checkpoint) -> Recognized {
    let mut recognized = Recognized {
        layout: Layout::Gguf,
        origin: Origin::Speculators,
        names: BTreeMap::new(),
        dropped: Vec::new(),
        decisions: Vec::new(),
    };
    for name in checkpoint.names() {
        if name == gguf::ROPE_FACTORS {
            recognized.dropped.push(Dropped {
                name: name.to_owned(),
                reason: "the rotary frequencies follow from the config".to_owned(),
            });
            continue;
        }
        // A name that is not known stays as it is, and is found to be of no part of the head.
        let canonical = gguf::canonical(name).unwrap_or(name);
        recognized
            .names
            .insert(canonical.to_owned(), name.to_owned());
    }
    recognized
}

/// The names of a checkpoint in the speculators layout: its own, without what carries nothing of the head.
pub(crate) fn speculators_names(checkpoint: &Checkpoint) -> Result<Recognized, Vec<Diagnostic>> {
    let mut recognized = Recognized {
        layout: Layout::Speculators,
        origin: Origin::Speculators,
        names: BTreeMap::new(),
        dropped: Vec::new(),
        decisions: Vec::new(),
    };
    let mut prefixed = Vec::new();
    for name in checkpoint.names() {
        let (prefix, bare) = strip(name);
        if !prefix.is_empty()
            && (bare.starts_with("layers.") || bare.starts_with("fc.") || bare == "norm.weight")
        {
            prefixed.push(name);
        }
        match droppable(name) {
            Some(reason) => recognized.dropped.push(Dropped {
                name: name.to_owned(),
                reason: reason.to_owned(),
            }),
            None => drop(recognized.names.insert(name.to_owned(), name.to_owned())),
        }
    }
    if let Some(first) = prefixed.first() {
        return Err(Diagnostic::error(
            codes::TENSOR_UNEXPECTED,
            format!(
                "{} tensors carry a prefix that the speculators layout does not have",
                prefixed.len()
            ),
        )
        .at(checkpoint.place(first))
        .note(format!(
            "the first is `{first}`; a loader would look for `{}`",
            strip(first).1
        ))
        .note("loaders that skip unknown names leave the head at random weights")
        .help("rename the tensors")
        .into());
    }
    Ok(recognized)
}

impl Recognized {
    /// Canonical names for a foreign checkpoint.
    fn rename(&mut self, checkpoint: &Checkpoint, names: &[&str]) -> Result<(), Vec<Diagnostic>> {
        let mut problems = Vec::new();
        let mut stripped: BTreeMap<String, usize> = BTreeMap::new();
        for name in names {
            let (prefix, bare) = strip(name);
            if let Some(reason) = droppable(bare) {
                self.dropped.push(Dropped {
                    name: (*name).to_owned(),
                    reason: reason.to_owned(),
                });
                continue;
            }
            if !prefix.is_empty() {
                *stripped.entry(prefix.to_owned()).or_default() += 1;
            }
            let canonical = canonical(bare);
            if let Some(other) = self.names.insert(canonical.clone(), (*name).to_owned()) {
                problems.push(
                    Diagnostic::error(
                        codes::TENSOR_UNEXPECTED,
                        format!("`{other}` and `{name}` are both the tensor `{canonical}`"),
                    )
                    .at(checkpoint.place(name)),
                );
            }
        }
        for (prefix, count) in stripped {
            let reason = format!("{count} names begin with it, and no layout keeps it");
            self.decisions.push(Decision::settled(
                format!("prefix `{prefix}`"),
                "taken off",
                reason,
            ));
        }
        // SGLang and Megatron call the input norm of later layers `hidden_norm`; only the first layer has both.
        for layer in 1.. {
            let norm = format!("layers.{layer}.hidden_norm.weight");
            let wanted = format!("layers.{layer}.input_layernorm.weight");
            if !self
                .names
                .keys()
                .any(|name| name.starts_with(&format!("layers.{layer}.")))
            {
                break;
            }
            if self.names.contains_key(&norm) && !self.names.contains_key(&wanted) {
                let reason = format!(
                    "layer {layer} has no other input norm, and only layer 0 reads two inputs"
                );
                self.decisions
                    .push(Decision::settled(norm.clone(), wanted.clone(), reason));
                if let Some(source) = self.names.remove(&norm) {
                    self.names.insert(wanted, source);
                }
            }
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(problems)
        }
    }
}

/// The name without wrappers' prefixes.
pub(crate) fn bare_name(name: &str) -> &str {
    strip(name).1
}

/// Wrappers' prefixes, and the name without them.
fn strip(name: &str) -> (&str, &str) {
    let mut bare = name;
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| bare.strip_prefix(prefix)) {
        bare = rest;
    }
    name.split_at(name.len() - bare.len())
}

fn canonical(bare: &str) -> String {
    if let Some(rest) = bare.strip_prefix("midlayer.") {
        // Megatron exports number them: `midlayer.1.mlp…`.
        let (first, tail) = rest.split_once('.').unwrap_or((rest, ""));
        return match first.parse::<usize>() {
            Ok(layer) => format!("layers.{layer}.{tail}"),
            Err(_) => format!("layers.0.{rest}"),
        };
    }
    for (position, aux) in ["aux_norm_low", "aux_norm_mid", "aux_norm_high"]
        .iter()
        .enumerate()
    {
        if let Some(rest) = bare.strip_prefix(aux) {
            return format!("fc_norm.{position}{rest}");
        }
    }
    bare.to_owned()
}

/// Tensors known to carry nothing of the head.
pub(crate) fn droppable(bare: &str) -> Option<&'static str> {
    if bare.ends_with("rotary_emb.inv_freq") || bare.ends_with("rotary_emb.original_inv_freq") {
        return Some("the rotary frequencies follow from the config");
    }
    match bare {
        "verifier_lm_head.weight" => {
            Some("a copy of the verifier's output matrix, used in training")
        }
        "verifier_norm.weight" => Some("a copy of the verifier's final norm, used in training"),
        "refiner_head.causal_tril" => Some("it follows from the block size"),
        _ => None,
    }
}

fn origin(root: &Section<'_>, names: &[&str]) -> Origin {
    let has = |key: &str| root.get(key).is_some();
    let architectures = root
        .str_list("architectures")
        .ok()
        .flatten()
        .unwrap_or_default();
    let architecture = architectures.first().map_or("", String::as_str);
    let modelopt = [
        "use_mtp_layernorm",
        "next_layer_regular",
        "use_input_layernorm_in_first_layer",
        "use_last_layernorm",
    ];
    let model_type = root.str("model_type").ok().flatten();
    // vLLM looks for this architecture, whoever wrote the head.
    let usual = architecture == "Eagle3LlamaForCausalLM" && !has("target_model_type");
    if matches!(model_type, Some("eagle" | "eagle3")) {
        Origin::Vllm
    } else if modelopt
        .iter()
        .any(|key| has(&format!("eagle_config.{key}")))
    {
        Origin::ModelOpt
    } else if architecture == "EAGLE3LlamaForCausalLM" {
        Origin::TensorRtLlm
    } else if has("_torchspec_version") {
        Origin::TorchSpec
    } else if has("modal_type")
        || (architecture.starts_with("Eagle3") && architecture != "Eagle3Speculator" && !usual)
    {
        Origin::AngelSlim
    } else if architecture == "LlamaEagle3DraftModel"
        || names.contains(&"model.layers.0.hidden_norm.weight")
    {
        Origin::Automodel
    } else if [
        "head_dim",
        "eagle_config",
        "rope_parameters",
        "target_model_type",
        "num_aux_hidden_states",
    ]
    .into_iter()
    .any(has)
        || !names
            .iter()
            .any(|name| strip(name).1.starts_with("midlayer."))
    {
        Origin::SpecForge
    } else {
        Origin::SafeAiLab
    }
}

pub(crate) fn evidence(origin: Origin) -> &'static str {
    match origin {
        Origin::Speculators => "the config has `speculators_model_type`",
        Origin::SafeAiLab => "`midlayer.*` tensors beside a plain decoder config",
        Origin::SpecForge => {
            "the config has keys that SpecForge writes and the original release does not"
        }
        Origin::ModelOpt => "`eagle_config` has keys that only ModelOpt writes",
        Origin::AngelSlim => "the architecture or `modal_type` is one that only AngelSlim writes",
        Origin::TorchSpec => "the config has `_torchspec_version`",
        Origin::Vllm => "the config is of type `eagle`, which is vLLM's own",
        Origin::TensorRtLlm => "the architecture is the one that TensorRT-LLM reads",
        Origin::Automodel => "the names or the architecture are those of NeMo Automodel",
        Origin::ZLab => "a block drafter whose config is not that of speculators",
    }
}

//! Which layout a block drafter is in, and the canonical name of each of its tensors.
//!
//! z-lab, SpecForge and ModelOpt write one layout with small differences: the same names as speculators, a config that is
//! that of a Qwen 3 model with a `dflash_config` inside, and for DSpark the parts of its head with or without a prefix.

use std::collections::BTreeMap;

use crate::Result;
use crate::checkpoint::Checkpoint;
use crate::codes;
use crate::config::Section;
use crate::decision::Decision;
use crate::diagnostic::{Diagnostic, Place};
use crate::head::{Dropped, Layout, Origin, Recognized, bare_name, droppable, speculators_names};
use crate::speculator::Algorithm;

/// A fused projection, and what it is made of.
pub(super) const FUSED: &str = ".self_attn.qkv_proj.";
pub(super) const PARTS: [&str; 3] = ["q_proj", "k_proj", "v_proj"];

/// The same weights under other names: DSpark as ModelOpt writes it, and as SpecForge once did.
const RENAMED: [(&str, &str); 6] = [
    ("logit_head.", ""),
    ("markov_w1.", "markov_head.markov_w1."),
    ("markov_w2.", "markov_head.markov_w2."),
    ("gate_proj.", "markov_head.gate_proj."),
    ("joint_proj.", "markov_head.joint_proj."),
    ("confidence_proj.", "confidence_head.proj."),
];

/// What the names and the config make of a checkpoint.
pub(super) struct Named {
    pub algorithm: Algorithm,
    pub recognized: Recognized,
}

/// Recognizes a block drafter, or says what the checkpoint is instead.
pub(super) fn recognize(checkpoint: &Checkpoint) -> Result<Named> {
    let root = checkpoint.config().root();
    let Some(declared) = root.str("speculators_model_type")? else {
        return foreign(checkpoint, &root);
    };
    let kinds = [
        Algorithm::DFlash,
        Algorithm::DFlash2,
        Algorithm::DSpark,
        Algorithm::XPress,
    ];
    let Some(algorithm) = kinds.into_iter().find(|kind| kind.as_str() == declared) else {
        return Err(Diagnostic::error(
            codes::LAYOUT_UNKNOWN,
            format!("the head is of kind `{declared}`, not a block drafter"),
        )
        .at(root.place("speculators_model_type"))
        .into());
    };
    Ok(Named {
        algorithm,
        recognized: speculators_names(checkpoint)?,
    })
}

fn foreign(checkpoint: &Checkpoint, root: &Section<'_>) -> Result<Named> {
    if let Some(refusal) = relative(checkpoint, root) {
        return Err(refusal.into());
    }
    let mut recognized = Recognized {
        layout: Layout::ZLab,
        origin: Origin::ZLab,
        names: BTreeMap::new(),
        dropped: Vec::new(),
        decisions: Vec::new(),
    };
    let mut problems = Vec::new();
    for name in checkpoint.names() {
        let bare = bare_name(name);
        if let Some(reason) = droppable(bare) {
            recognized.dropped.push(Dropped {
                name: name.to_owned(),
                reason: reason.to_owned(),
            });
            continue;
        }
        for canonical in canonical(bare) {
            if let Some(other) = recognized.names.insert(canonical.clone(), name.to_owned()) {
                let title = format!("`{other}` and `{name}` are both the tensor `{canonical}`");
                problems.push(
                    Diagnostic::error(codes::TENSOR_UNEXPECTED, title).at(checkpoint.place(name)),
                );
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let has = |part: &str| recognized.names.keys().any(|name| name.contains(part));
    if !has("hidden_norm.weight") || !recognized.names.contains_key("fc.weight") {
        return Err(Diagnostic::error(
            codes::LAYOUT_UNKNOWN,
            "the tensors are those of no block drafter",
        )
        .at(Place::file(checkpoint.root()))
        .note("a block drafter has `fc.weight` and, for all layers together, `hidden_norm.weight`")
        .into());
    }
    let (algorithm, evidence) = if has("refiner_head.") {
        (Algorithm::XPress, "`refiner_head.*`")
    } else if has("_conv.base_kernel") || has("candidate_selector.") {
        (Algorithm::DFlash2, "convolutions or a candidate selector")
    } else if has("markov_head.") || has("confidence_head.") {
        (Algorithm::DSpark, "`markov_head.*` or `confidence_head.*`")
    } else {
        (
            Algorithm::DFlash,
            "nothing beside its layers, `fc` and two norms",
        )
    };
    recognized.decisions.push(Decision::settled(
        "layout",
        format!("{algorithm} of {}", writer(root)),
        format!("it has {evidence}, and a config that is not that of speculators"),
    ));
    let prefixed: Vec<&str> = checkpoint
        .names()
        .filter(|name| bare_name(name).len() < name.len())
        .collect();
    if let Some(first) = prefixed.first() {
        let prefix = &first[..first.len() - bare_name(first).len()];
        recognized.decisions.push(Decision::settled(
            format!("prefix `{prefix}`"),
            "taken off",
            format!(
                "{} names begin with a prefix, and no layout keeps it",
                prefixed.len()
            ),
        ));
    }
    Ok(Named {
        algorithm,
        recognized,
    })
}

/// The canonical names a tensor stands for: three for a fused projection, one for any other.
fn canonical(bare: &str) -> Vec<String> {
    let mut name = bare.to_owned();
    for (from, to) in RENAMED {
        if let Some(rest) = name.strip_prefix(from) {
            name = format!("{to}{rest}");
        }
    }
    if !name.contains(FUSED) {
        return vec![name];
    }
    PARTS
        .iter()
        .map(|part| name.replace("qkv_proj", part))
        .collect()
}

/// The trainer, by the keys only it writes.
fn writer(root: &Section<'_>) -> &'static str {
    if root.get("dflash_config.use_confidence_head").is_some()
        || (root.get("torch_dtype").is_some() && root.get("auto_map").is_none())
    {
        "ModelOpt"
    } else {
        "z-lab or SpecForge"
    }
}

/// Relatives of DFlash that compute something else, told by name.
fn relative(checkpoint: &Checkpoint, root: &Section<'_>) -> Option<Diagnostic> {
    let with = |part: &'static str| {
        checkpoint
            .names()
            .find(|name| bare_name(name).contains(part))
            .map(|name| (checkpoint.place(name), format!("it has `{name}`")))
    };
    let architectures = root.str_list("architectures").ok().flatten();
    let architecture = |part: &'static str| {
        let name = architectures
            .iter()
            .flatten()
            .find(|name| name.contains(part))?;
        Some((
            root.place("architectures"),
            format!("its architecture is `{name}`"),
        ))
    };
    let declared = |kind: &'static str| {
        (root.get("dflash_config.projector_type")?.as_str()? == kind).then(|| {
            (
                root.place("dflash_config.projector_type"),
                format!("its `projector_type` is `{kind}`"),
            )
        })
    };
    let kinds = [
        (
            "a Domino head",
            with("prefix_gru.")
                .or_else(|| architecture("Domino"))
                .or_else(|| declared("domino")),
            "a GRU over the drafted prefix corrects its logits; the speculators layout has no place for `prefix_gru` and `embed_proj`",
        ),
        (
            "a DFlash head of the Laguna family",
            with(".g_proj.")
                .or_else(|| with("aux_hidden_norms."))
                .or_else(|| architecture("Laguna")),
            "it gates attention (`g_proj`) and normalizes each state before `fc` (`aux_hidden_norms`); without these it computes something else",
        ),
        (
            "a DSpark head of the Gemma family",
            architecture("Gemma4DSpark"),
            "its layers are those of Gemma, and a block drafter in the speculators layout has those of Qwen 3",
        ),
        (
            "a DSpark head of the Kimi family",
            architecture("K3DSpark"),
            "its layers are not those of Qwen 3, which a block drafter in the speculators layout has",
        ),
    ];
    let (kind, (place, evidence), why) = kinds
        .into_iter()
        .find_map(|(kind, found, why)| Some((kind, found?, why)))?;
    Some(
        Diagnostic::error(
            codes::LAYOUT_UNKNOWN,
            format!("this is {kind}, which this version does not read"),
        )
        .at(place)
        .note(evidence)
        .note(why),
    )
}

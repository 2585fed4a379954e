//! Which MTP layout a checkpoint is in, and the canonical name of each tensor of the head.

use std::collections::{BTreeMap, BTreeSet};

use super::ExpertStorage;
use super::names::{self, LAYER, NATIVE};
use crate::Result;
use crate::checkpoint::Checkpoint;
use crate::codes;
use crate::decision::Decision;
use crate::diagnostic::Diagnostic;
use crate::head::{Dropped, Layout};

/// A recognized checkpoint.
pub(super) struct Recognized {
    pub layout: Layout,
    /// Canonical name → name in the checkpoint.
    pub names: BTreeMap<String, String>,
    pub prefix: String,
    pub dropped: Vec<Dropped>,
    pub decisions: Vec<Decision>,
}

/// Whether a checkpoint holds an MTP layer of any kind, also of those that are refused.
pub(crate) fn present(checkpoint: &Checkpoint) -> bool {
    let kind = checkpoint.config().root().str("speculators_model_type");
    match kind.ok().flatten() {
        Some(kind) => kind == "mtp",
        None => checkpoint.names().any(|name| {
            names::native_parts(name).is_some() || foreign_kind(names::bare(name)).is_some()
        }),
    }
}

/// Recognizes the layout, or says what the checkpoint is instead.
pub(super) fn recognize(checkpoint: &Checkpoint) -> Result<Recognized> {
    let root = checkpoint.config().root();
    let recognized = match root.str("speculators_model_type")? {
        Some("mtp") => speculators(checkpoint),
        Some(other) => {
            let title = format!("the head is of kind `{other}`, not an MTP head");
            return Err(Diagnostic::error(codes::LAYOUT_UNKNOWN, title)
                .at(root.place("speculators_model_type"))
                .into());
        }
        None => native(checkpoint)?,
    };
    one_layer(checkpoint, &recognized)?;
    Ok(recognized)
}

fn speculators(checkpoint: &Checkpoint) -> Recognized {
    let mut recognized = Recognized {
        layout: Layout::Speculators,
        names: BTreeMap::new(),
        prefix: String::new(),
        dropped: Vec::new(),
        decisions: Vec::new(),
    };
    for name in checkpoint.names() {
        match spare(checkpoint, name) {
            Some(reason) => recognized.dropped.push(Dropped {
                name: name.to_owned(),
                reason: reason.to_owned(),
            }),
            None => drop(recognized.names.insert(name.to_owned(), name.to_owned())),
        }
    }
    recognized
}

/// Tensors of a checkpoint in the speculators layout that no program reads.
fn spare(checkpoint: &Checkpoint, name: &str) -> Option<&'static str> {
    match name {
        // The package's converter saves the matrix it never filled in.
        "verifier_lm_head.weight" if begins_with_nan(checkpoint, name) => {
            Some("it was never filled in (NaN); loaders take the output matrix from the verifier")
        }
        "verifier_lm_head.weight" => {
            Some("a copy of the verifier's output matrix, which no loader reads here")
        }
        "lm_head.weight" => Some("the output matrix is the verifier's, and loaders take it there"),
        "embed_tokens.weight" => Some("the embedding is the verifier's, and loaders take it there"),
        "verifier_norm.weight" => Some("a copy of the verifier's final norm, used in training"),
        _ => is_frequencies(name).then_some("the rotary frequencies follow from the config"),
    }
}

/// A look at the first values only: the whole matrix may be gigabytes, and is left out either way.
fn begins_with_nan(checkpoint: &Checkpoint, name: &str) -> bool {
    const LOOK: usize = 4096;
    checkpoint.tensor(name).is_some_and(|view| {
        let begin = view.data.get(..LOOK).unwrap_or(view.data);
        crate::scan::scan_bytes(view.dtype, begin)
            .is_some_and(|scan| scan.nan > 0 && scan.nan == scan.elements)
    })
}

fn is_frequencies(name: &str) -> bool {
    name.ends_with("rotary_emb.inv_freq") || name.ends_with("rotary_emb.original_inv_freq")
}

fn native(checkpoint: &Checkpoint) -> Result<Recognized> {
    let mut recognized = Recognized {
        layout: Layout::NativeMtp,
        names: BTreeMap::new(),
        prefix: String::new(),
        dropped: Vec::new(),
        decisions: Vec::new(),
    };
    let mut prefixes: BTreeSet<&str> = BTreeSet::new();
    let mut found = Vec::new();
    let mut own = 0_usize;
    for name in checkpoint.names() {
        match names::native_parts(name) {
            Some((prefix, native)) => {
                prefixes.insert(prefix);
                found.push((name, native));
            }
            None => own += 1,
        }
    }
    if found.is_empty() {
        return Err(without(checkpoint));
    }
    if prefixes.len() > 1 {
        let listed: Vec<String> = prefixes
            .iter()
            .map(|prefix| format!("`{prefix}{NATIVE}`"))
            .collect();
        let title = format!("the MTP layer is there {} times", prefixes.len());
        return Err(Diagnostic::error(codes::TENSOR_UNEXPECTED, title)
            .at(checkpoint.weights_place())
            .note(format!("its names begin with {}", listed.join(" and ")))
            .into());
    }
    for (name, native) in found {
        match copied(checkpoint, name, native)? {
            Some(reason) => recognized.dropped.push(Dropped {
                name: name.to_owned(),
                reason,
            }),
            None => drop(
                recognized
                    .names
                    .insert(names::canonical(native), name.to_owned()),
            ),
        }
    }
    recognized.prefix = prefixes.into_iter().collect();
    if !recognized.prefix.is_empty() {
        recognized.decisions.push(Decision::settled(
            format!("prefix `{}`", recognized.prefix),
            "taken off",
            "every name of the MTP layer begins with it; vLLM looks for names that begin with `mtp.`",
        ));
    }
    recognized.decisions.push(Decision::settled(
        "layout",
        "the MTP layer inside a verifier",
        format!("{own} other tensors are the verifier's own, and are left where they are"),
    ));
    Ok(recognized)
}

/// Why a native tensor is left out, if it is: a copy of one of the verifier's.
fn copied(checkpoint: &Checkpoint, name: &str, native: &str) -> Result<Option<String>> {
    if is_frequencies(native) {
        let reason = "the rotary frequencies follow from the config";
        return Ok(Some(reason.to_owned()));
    }
    let original = ["embed_tokens.weight", "lm_head.weight"]
        .into_iter()
        .find(|original| native.ends_with(original));
    let Some(original) = original.filter(|_| !native.contains("layers.0.")) else {
        return Ok(None);
    };
    let is_original = |other: &&str| {
        other.ends_with(original) && names::native_parts(other).is_none() && *other != name
    };
    let theirs = checkpoint
        .names()
        .filter(is_original)
        .min_by_key(|other| other.len());
    let views = (
        checkpoint.tensor(name),
        theirs.and_then(|theirs| checkpoint.tensor(theirs)),
    );
    if let (Some(ours), Some(theirs)) = views
        && ours.data == theirs.data
    {
        return Ok(Some(format!("a copy of the verifier's `{}`", theirs.name)));
    }
    let problem = Diagnostic::error(
        codes::NOT_REPRESENTABLE,
        format!("the MTP layer has a `{original}` of its own"),
    )
    .at(checkpoint.place(name))
    .note("the speculators layout has no place for one: a head uses the verifier's");
    Err(match theirs {
        Some(theirs) => problem.note(format!("it differs from `{theirs}`")),
        None => problem.note(format!(
            "the verifier has no `{original}` to compare it with"
        )),
    }
    .into())
}

/// What an MTP layer of another kind is called, by the part of a name that only it has.
fn foreign_kind(bare: &str) -> Option<&'static str> {
    let in_layer = names::layer_number(bare, "layers.").is_some();
    let deepseek = ["eh_proj.", "enorm.", "hnorm."]
        .into_iter()
        .any(|part| bare.contains(part));
    if in_layer && deepseek {
        Some("DeepSeek")
    } else if bare.starts_with("mtp_layers.") {
        Some("MiMo")
    } else if bare.starts_with("mtp_block.") || bare.starts_with("mtp_emb_norm.") {
        Some("ERNIE")
    } else {
        None
    }
}

/// S110 for a checkpoint without `mtp.*`: by name if it has an MTP layer of another kind.
fn without(checkpoint: &Checkpoint) -> Vec<Diagnostic> {
    let foreign = checkpoint
        .names()
        .find_map(|name| Some((name, foreign_kind(names::bare(name))?)));
    let Some((name, kind)) = foreign else {
        return Diagnostic::error(
            codes::LAYOUT_UNKNOWN,
            "there is no MTP layer in the checkpoint",
        )
        .at(checkpoint.weights_place())
        .note(format!(
            "none of its {} tensors has a name that begins with `{NATIVE}`",
            checkpoint.names().count()
        ))
        .into();
    };
    let layers: BTreeSet<usize> = checkpoint
        .names()
        .map(names::bare)
        .filter(|bare| foreign_kind(bare) == Some(kind))
        .filter_map(|bare| {
            names::layer_number(bare, "layers.")
                .or_else(|| names::layer_number(bare, "mtp_layers."))
        })
        .collect();
    let title = format!("the MTP layer is of the {kind} kind, which has no speculators layout");
    let problem = Diagnostic::error(codes::LAYOUT_UNKNOWN, title)
        .at(checkpoint.place(name))
        .note(format!("it has `{name}`"));
    let problem = match layers.len() {
        0 | 1 => problem,
        count => problem.note(format!(
            "there are {count} such layers, and the layout holds 1"
        )),
    };
    problem
        .note(
            "the layout holds a decoder layer of `qwen3`, `qwen3_next`, `qwen3_5_text` or `qwen3_5_moe_text`; a layer of \
             another family would need a class in the Python package and in the runtime that loads it",
        )
        .note("runtimes that know the model draft with this layer from the verifier's own directory")
        .into()
}

/// S412 for more than one layer.
fn one_layer(checkpoint: &Checkpoint, recognized: &Recognized) -> Result<()> {
    let before = match recognized.layout {
        Layout::Speculators => "mtp_layers.",
        _ => "mtp.layers.",
    };
    let number = |name: &str| {
        let bare = name.strip_prefix(recognized.prefix.as_str())?;
        names::layer_number(bare, before)
    };
    let layers: BTreeSet<usize> = recognized
        .names
        .values()
        .filter_map(|name| number(name))
        .collect();
    if layers.len() < 2 {
        return Ok(());
    }
    let second = recognized
        .names
        .values()
        .find(|name| number(name) != Some(0));
    let title = format!(
        "the checkpoint has {} MTP layers, and the speculators layout holds 1",
        layers.len()
    );
    Err(Diagnostic::error(codes::NOT_REPRESENTABLE, title)
        .at(second.map_or_else(|| checkpoint.weights_place(), |name| checkpoint.place(name)))
        .note(format!(
            "the layers are {}; the Python package refuses any `num_nextn_predict_layers` but 1",
            layers
                .iter()
                .map(usize::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        ))
        .note("a head of the first layer alone would draft tokens that the others were trained for")
        .into())
}

impl Recognized {
    /// How experts are stored, if there are any. One fused tensor settles it, and then the others belong to nothing.
    pub fn experts(&self) -> Option<ExpertStorage> {
        let fused = [names::GATE_UP, names::DOWN]
            .into_iter()
            .any(|part| self.names.contains_key(&format!("{LAYER}{part}")));
        if fused {
            return Some(ExpertStorage::Fused);
        }
        let split = self.names.keys().any(|name| names::is_split_expert(name));
        split.then_some(ExpertStorage::Split)
    }
}

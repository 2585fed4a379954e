//! Findings about an MTP head that opens but may not serve: its values, its config, and the verifier it belongs to.

use std::ops::ControlFlow;
use std::path::Path;

use super::decoder::{Decoder, Reader};
use super::{MtpHead, MtpMlp, describe, names};
use crate::Result;
use crate::checkpoint::{Checkpoint, TensorView};
use crate::codes;
use crate::config::ConfigFile;
use crate::diagnostic::{Diagnostic, Place};
use crate::head::Layout;
use crate::options::ReadOptions;
use crate::validate::values::{self, Scanned};

/// Reads the values of the head's own tensors; the rest of a verifier is not looked at.
pub(crate) fn scan<'a>(
    head: &'a MtpHead,
    step: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> ControlFlow<(), Vec<Scanned<'a>>> {
    let tensors = head
        .tensors
        .values()
        .filter_map(|name| head.checkpoint.tensor(name));
    values::scan_tensors(&head.checkpoint, tensors, step)
}

/// Findings about values.
pub(crate) fn values(head: &MtpHead, scanned: &[Scanned<'_>]) -> Vec<Diagnostic> {
    let mut findings = values::check(&head.checkpoint, scanned, head.description.norm_gain);
    findings.extend(idle_experts(head));
    findings
}

/// An expert of zeros inside a fused tensor that is not zero throughout.
fn idle_experts(head: &MtpHead) -> Vec<Diagnostic> {
    let MtpMlp::Moe { num_experts, .. } = head.description.mlp else {
        return Vec::new();
    };
    [names::GATE_UP, names::DOWN]
        .into_iter()
        .filter_map(|part| {
            let view = head.tensor(&format!("{}{part}", names::LAYER))?;
            let expert = view
                .data
                .len()
                .checked_div(num_experts)
                .filter(|size| *size > 0)?;
            let idle: Vec<usize> = view
                .data
                .chunks_exact(expert)
                .enumerate()
                .filter(|(_, weights)| weights.iter().all(|byte| *byte == 0))
                .map(|(expert, _)| expert)
                .collect();
            let first = idle.first().filter(|_| idle.len() < num_experts)?;
            let title = match idle.len() {
                1 => format!(
                    "expert {first} of {num_experts} is zero throughout in `{}`",
                    view.name
                ),
                count => format!(
                    "{count} of {num_experts} experts are zero throughout in `{}`",
                    view.name
                ),
            };
            let finding = Diagnostic::error(codes::TENSOR_ALL_ZERO, title)
                .at(Place::tensor(view.path, view.name));
            Some(if idle.len() > 1 {
                finding.note(format!("the first is expert {first}"))
            } else {
                finding
            })
        })
        .collect()
}

/// Findings about the config, and about tensors that no program reads.
pub(crate) fn config(head: &MtpHead) -> Vec<Diagnostic> {
    if head.layout != Layout::Speculators {
        return Vec::new();
    }
    let file = head.checkpoint.config();
    let root = file.root();
    let mut findings = Vec::new();
    if root.get("speculators_config").is_none() {
        findings.push(
            Diagnostic::error(codes::PROPOSAL_METHOD, "`speculators_config` is missing")
                .at(file.place_of("speculators_model_type"))
                .note("the Python package takes the number of prediction steps from it, and has no default"),
        );
    }
    for dropped in &head.dropped {
        let Some(view) = head.checkpoint.tensor(&dropped.name) else {
            continue;
        };
        let title = format!(
            "`{}` takes {} bytes, and no program reads it",
            dropped.name,
            view.data.len()
        );
        findings.push(
            Diagnostic::warning(codes::TENSOR_UNEXPECTED, title)
                .at(Place::tensor(view.path, view.name))
                .note(dropped.reason.clone())
                .help("convert the head again with this program, which leaves it out"),
        );
    }
    findings
}

/// Findings about the pair of head and verifier.
///
/// # Errors
/// What keeps the verifier from being read: its directory, its config, or a family without MTP layers.
pub(crate) fn pairing(head: &MtpHead, verifier: &Path) -> Result<Vec<Diagnostic>> {
    let (file, theirs) = read_verifier(verifier)?;
    let mut findings = built_alike(head, &theirs);
    if findings.is_empty() {
        findings.extend(softer(head, &theirs));
        findings.extend(named_verifier(head, &file));
        findings.extend(untouched(head, verifier));
    }
    Ok(findings)
}

/// What keeps the layer from being put into this verifier.
///
/// # Errors
/// As [`pairing`].
pub(super) fn differences(head: &MtpHead, verifier: &Path) -> Result<Vec<Diagnostic>> {
    let (_, theirs) = read_verifier(verifier)?;
    Ok(built_alike(head, &theirs))
}

fn read_verifier(verifier: &Path) -> Result<(ConfigFile, Decoder)> {
    crate::checkpoint::directory(verifier)?;
    let file = ConfigFile::read(verifier.join("config.json"))?;
    let root = file.root();
    let section = describe::decoder_section(&root, Layout::NativeMtp)?;
    let mut reader = Reader::new(&section);
    match reader.decoder(&root) {
        Some(decoder) => Ok((file.clone(), decoder)),
        None => Err(reader.problems),
    }
}

/// Whether the layer would fit into this verifier.
fn built_alike(head: &MtpHead, theirs: &Decoder) -> Vec<Diagnostic> {
    let ours = &head.description;
    let place = |key: &str| key_place(head, key);
    if ours.model_type != theirs.family {
        let title = format!(
            "the MTP layer is of family `{}`, and the verifier of `{}`",
            ours.model_type, theirs.family
        );
        return Diagnostic::error(codes::LAYER_MISMATCH, title)
            .at(place("model_type"))
            .into();
    }
    let mut findings = Vec::new();
    if ours.hidden_size != theirs.hidden_size {
        let title = format!(
            "the head reads states of width {}, and the verifier's are {} wide",
            ours.hidden_size, theirs.hidden_size
        );
        findings.push(Diagnostic::error(codes::HIDDEN_SIZE, title).at(place("hidden_size")));
    }
    if ours.vocab_size != theirs.vocab_size {
        let title = format!(
            "the head's vocabulary has {} tokens, the verifier's {}",
            ours.vocab_size, theirs.vocab_size
        );
        findings.push(Diagnostic::error(codes::VOCABULARY, title).at(place("vocab_size")));
    }
    for (key, ours, theirs) in [
        (
            "num_attention_heads",
            ours.num_attention_heads,
            theirs.num_attention_heads,
        ),
        (
            "num_key_value_heads",
            ours.num_key_value_heads,
            theirs.num_key_value_heads,
        ),
        ("head_dim", ours.head_dim, theirs.head_dim),
    ] {
        if ours != theirs {
            let title = format!("`{key}` is {ours} in the MTP layer, and {theirs} in the verifier");
            findings.push(Diagnostic::error(codes::LAYER_MISMATCH, title).at(place(key)));
        }
    }
    if ours.attention_bias != theirs.attention_bias {
        let title = format!(
            "`attention_bias` is {} in the MTP layer, and {} in the verifier",
            ours.attention_bias, theirs.attention_bias
        );
        findings.push(Diagnostic::error(codes::LAYER_MISMATCH, title).at(place("attention_bias")));
    }
    if ours.mlp != theirs.mlp {
        findings.push(
            Diagnostic::error(
                codes::LAYER_MISMATCH,
                "the MTP layer has another feed-forward part than the verifier's layers",
            )
            .at(place("model_type"))
            .note(format!("head      {}", shown(&ours.mlp)))
            .note(format!("verifier  {}", shown(&theirs.mlp))),
        );
    }
    findings
}

/// What loads and may still be wrong.
fn softer(head: &MtpHead, theirs: &Decoder) -> Vec<Diagnostic> {
    let ours = &head.description;
    let mut findings = Vec::new();
    if ours.rope != theirs.rope || ours.rope_axes != theirs.rope_axes {
        let title = if ours.rope.theta == theirs.rope.theta {
            "the head rotates positions in another way than the verifier".to_owned()
        } else {
            format!(
                "the head's rotary base is {}, the verifier's {}",
                ours.rope.theta, theirs.rope.theta
            )
        };
        findings.push(
            Diagnostic::warning(codes::ROPE_MISMATCH, title)
                .at(Place::file(head.checkpoint.config().path()))
                .note("an MTP layer is a layer of its verifier, and is trained with the verifier's rotation"),
        );
    }
    let (own, verifier) = (ours.max_position_embeddings, theirs.max_position_embeddings);
    if own < verifier {
        let title = format!("the head allows {own} positions, the verifier {verifier}");
        findings.push(
            Diagnostic::warning(codes::CONTEXT_LENGTH, title)
                .at(key_place(head, "max_position_embeddings")),
        );
    }
    let (own, verifier) = (ours.rms_norm_eps, theirs.rms_norm_eps);
    if own != verifier {
        let title =
            format!("`rms_norm_eps` is {own:e} in the head and {verifier:e} in the verifier");
        findings.push(Diagnostic::info(codes::NORM_EPS, title).at(key_place(head, "rms_norm_eps")));
    }
    findings
}

/// The verifier a config names against the one that was passed; names are paths or Hub ids and prove nothing.
fn named_verifier(head: &MtpHead, verifier: &ConfigFile) -> Option<Diagnostic> {
    const KEY: &str = "speculators_config.verifier.architectures";
    let config = head.checkpoint.config();
    let named = config.root().str_list(KEY).ok().flatten()?;
    let found = verifier.root().str_list("architectures").ok().flatten()?;
    if named.iter().any(|name| found.contains(name)) {
        return None;
    }
    let title = format!(
        "the head names a verifier of architecture `{}`, but this one is `{}`",
        named.first()?,
        found.first()?
    );
    Some(Diagnostic::warning(codes::VERIFIER_NAME, title).at(config.place_of(KEY)))
}

/// Only where the verifier's weights are there; the first tensor that differs ends it.
fn untouched(head: &MtpHead, verifier: &Path) -> Option<Diagnostic> {
    if head.layout != Layout::Speculators {
        return None;
    }
    let checkpoint = Checkpoint::open(verifier).ok()?;
    let theirs = MtpHead::resolve(checkpoint, None, &ReadOptions::default()).ok()?;
    let expected = head.description.expected_tensors();
    let same = expected
        .iter()
        .all(|wanted| same_bytes(&head.parts(&wanted.name), &theirs.parts(&wanted.name)));
    same.then(|| {
        let count = expected.len();
        let title = format!("all {count} tensors of the head are the verifier's own");
        Diagnostic::info(codes::LAYER_UNTOUCHED, title)
            .at(head.checkpoint.weights_place())
            .note(format!(
                "compared with `{}*` in {}",
                names::NATIVE,
                verifier.display()
            ))
    })
}

/// Whether two lists of tensors, each read one after another, hold the same bytes.
fn same_bytes(left: &[TensorView<'_>], right: &[TensorView<'_>]) -> bool {
    let mut lefts = left.iter().map(|view| view.data);
    let mut rights = right.iter().map(|view| view.data);
    let (mut left, mut right): (&[u8], &[u8]) = (&[], &[]);
    loop {
        if left.is_empty() {
            left = lefts.next().unwrap_or_default();
        }
        if right.is_empty() {
            right = rights.next().unwrap_or_default();
        }
        let length = left.len().min(right.len());
        if length == 0 {
            return left.is_empty() && right.is_empty();
        }
        if left[..length] != right[..length] {
            return false;
        }
        (left, right) = (&left[length..], &right[length..]);
    }
}

/// `num_experts 8, num_experts_per_tok 2, …`: the names of the config, on one line.
fn shown(mlp: &MtpMlp) -> String {
    let value = serde_json::to_value(mlp).unwrap_or_default();
    let words = value.as_object().into_iter().flatten();
    let words = words.map(|(key, value)| format!("{key} {value}").replace('"', ""));
    words.collect::<Vec<_>>().join(", ")
}

/// Where a key of the layer stands, in either layout.
fn key_place(head: &MtpHead, key: &str) -> Place {
    let config = head.checkpoint.config();
    let nested = [
        format!("transformer_layer_config.{key}"),
        format!("text_config.{key}"),
    ];
    let found = nested
        .iter()
        .find(|nested| config.position_of(nested).is_some());
    config.place_of(found.map_or(key, String::as_str))
}

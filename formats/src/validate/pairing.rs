//! Findings about a head that opens with its verifier but may not suit it.

use std::path::Path;

use serde_json::Value;

use crate::block::BlockHead;
use crate::checkpoint::{Checkpoint, TensorView};
use crate::codes;
use crate::diagnostic::{Diagnostic, Place};
use crate::head::Head;
use crate::rope::Rope;
use crate::verifier::VerifierConfig;
use crate::vocabulary::VocabularyMap;

/// Longest list of tokens in a finding.
const LISTED: usize = 10;

/// What of a head of any kind is held against a verifier.
pub(super) struct Paired<'a> {
    checkpoint: &'a Checkpoint,
    vocab_size: usize,
    rope: &'a Rope,
    max_position_embeddings: usize,
    rms_norm_eps: f64,
    lm_head: Option<TensorView<'a>>,
}

impl<'a> From<&'a Head> for Paired<'a> {
    fn from(head: &'a Head) -> Paired<'a> {
        Paired {
            checkpoint: &head.checkpoint,
            vocab_size: head.description.vocab_size,
            rope: &head.description.rope,
            max_position_embeddings: head.description.max_position_embeddings,
            rms_norm_eps: head.description.rms_norm_eps,
            lm_head: head.tensor("lm_head.weight"),
        }
    }
}

impl<'a> From<&'a BlockHead> for Paired<'a> {
    fn from(head: &'a BlockHead) -> Paired<'a> {
        Paired {
            checkpoint: &head.checkpoint,
            vocab_size: head.description.vocab_size,
            rope: &head.description.rope,
            max_position_embeddings: head.description.max_position_embeddings,
            rms_norm_eps: head.description.rms_norm_eps,
            lm_head: head.tensor("lm_head.weight"),
        }
    }
}

pub(super) fn check(
    head: &Paired<'_>,
    map: Option<&VocabularyMap>,
    verifier: &VerifierConfig,
    path: &Path,
) -> Vec<Diagnostic> {
    let map = map.map(|map| map.draft_to_target.as_slice());
    [
        architecture(head, verifier),
        map.and_then(|map| special_tokens(head, map, verifier)),
        rope(head, verifier),
        context_length(head, verifier),
        norm_epsilon(head, verifier),
        untouched_lm_head(head, map, verifier, path),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The verifier a config names against the one that was passed; names are paths or Hub ids and prove nothing.
fn architecture(head: &Paired<'_>, verifier: &VerifierConfig) -> Option<Diagnostic> {
    const KEY: &str = "speculators_config.verifier.architectures";
    let config = head.checkpoint.config();
    let named = config.root().str_list(KEY).ok().flatten()?;
    let (named_first, found_first) = (named.first()?, verifier.architectures.first()?);
    if named
        .iter()
        .any(|name| verifier.architectures.contains(name))
    {
        return None;
    }
    let title = format!(
        "the head names a verifier of architecture `{named_first}`, but this one is `{found_first}`"
    );
    let finding = Diagnostic::warning(codes::VERIFIER_NAME, title).at(config.place_of(KEY));
    Some(match config.verifier_name() {
        Some(name) => finding.note(format!("the config names the verifier `{name}`")),
        None => finding,
    })
}

fn special_tokens(head: &Paired<'_>, map: &[u32], verifier: &VerifierConfig) -> Option<Diagnostic> {
    let outside: Vec<String> = verifier
        .eos_token_ids
        .iter()
        .filter(|token| !map.contains(token))
        .map(u32::to_string)
        .collect();
    let total = verifier.eos_token_ids.len();
    let title = match outside.as_slice() {
        [] => return None,
        [token] => format!("token {token}, which ends a text, is outside the draft vocabulary"),
        several => {
            format!(
                "{} of {total} tokens that end a text are outside the draft vocabulary",
                several.len()
            )
        }
    };
    let mut finding =
        Diagnostic::warning(codes::SPECIAL_TOKEN, title).at(head.checkpoint.place("d2t"));
    if outside.len() > 1 {
        let more = if outside.len() > LISTED {
            " and more"
        } else {
            ""
        };
        let listed = outside
            .iter()
            .take(LISTED)
            .cloned()
            .collect::<Vec<_>>()
            .join(", ");
        finding = finding.note(format!("they are {listed}{more}"));
    }
    let share = format!(
        "the draft vocabulary has {} of {} tokens",
        map.len(),
        head.vocab_size
    );
    Some(
        finding
            .note(share)
            .note("the head can never propose the end of an answer in which the verifier uses it"),
    )
}

fn rope(head: &Paired<'_>, verifier: &VerifierConfig) -> Option<Diagnostic> {
    let (ours, theirs) = (head.rope, &verifier.rope);
    if ours == theirs {
        return None;
    }
    let title = if ours.theta == theirs.theta {
        "the head stretches rotary positions in another way than the verifier".to_owned()
    } else {
        format!(
            "the head's rotary base is {}, the verifier's {}",
            ours.theta, theirs.theta
        )
    };
    Some(
        Diagnostic::warning(codes::ROPE_MISMATCH, title)
            .at(Place::file(head.checkpoint.config().path()))
            .note(format!("head      {}", shown(ours)))
            .note(format!("verifier  {}", shown(theirs)))
            .help("keep what the head was trained with; `speculators eval` tells which of the two that is"),
    )
}

/// `theta 500000.0, rope_type llama3, factor 8.0, …`: the names of the config, on one line.
fn shown(rope: &Rope) -> String {
    fn words(value: &Value, words_so_far: &mut Vec<String>) {
        for (key, value) in value.as_object().into_iter().flatten() {
            match value {
                Value::Null => {}
                Value::Object(_) => words(value, words_so_far),
                Value::String(text) => words_so_far.push(format!("{key} {text}")),
                other => words_so_far.push(format!("{key} {other}")),
            }
        }
    }
    let mut list = Vec::new();
    words(&serde_json::to_value(rope).unwrap_or_default(), &mut list);
    list.join(", ")
}

fn context_length(head: &Paired<'_>, verifier: &VerifierConfig) -> Option<Diagnostic> {
    let (ours, theirs) = (
        head.max_position_embeddings,
        verifier.max_position_embeddings,
    );
    (ours < theirs).then(|| {
        let title = format!("the head allows {ours} positions, the verifier {theirs}");
        Diagnostic::warning(codes::CONTEXT_LENGTH, title)
            .at(key_place(head, "max_position_embeddings"))
            .note(format!(
                "beyond position {ours} the head is untrained, and some runtimes fail"
            ))
    })
}

fn norm_epsilon(head: &Paired<'_>, verifier: &VerifierConfig) -> Option<Diagnostic> {
    let (ours, theirs) = (head.rms_norm_eps, verifier.rms_norm_eps);
    (ours != theirs).then(|| {
        let title =
            format!("`rms_norm_eps` is {ours:e} in the head and {theirs:e} in the verifier");
        Diagnostic::info(codes::NORM_EPS, title).at(key_place(head, "rms_norm_eps"))
    })
}

/// Only where the verifier's weights are there and of the same dtype; the first row that differs ends it.
fn untouched_lm_head(
    head: &Paired<'_>,
    map: Option<&[u32]>,
    verifier: &VerifierConfig,
    path: &Path,
) -> Option<Diagnostic> {
    let ours = head.lm_head?;
    let weights = Checkpoint::open(path).ok()?;
    let names = ["lm_head.weight", "model.embed_tokens.weight"];
    let names = &names[..if verifier.tie_word_embeddings { 2 } else { 1 }];
    let theirs = names.iter().find_map(|name| weights.tensor(name))?;
    let row = ours.data.len().checked_div(*ours.shape.first()?)?;
    if ours.dtype != theirs.dtype || ours.shape.get(1) != theirs.shape.get(1) || row == 0 {
        return None;
    }
    let same = ours
        .data
        .chunks_exact(row)
        .enumerate()
        .all(|(draft, ours)| {
            let target = map.map_or(Some(draft), |map| {
                map.get(draft).map(|&target| target as usize)
            });
            target.and_then(|target| theirs.data.get(target * row..(target + 1) * row))
                == Some(ours)
        });
    same.then(|| {
        let rows = ours.shape.first().copied().unwrap_or_default();
        let title = format!("all {rows} rows of `lm_head.weight` are the verifier's own");
        Diagnostic::info(codes::LM_HEAD_UNTOUCHED, title)
            .at(Place::tensor(ours.path, ours.name))
            .note(format!(
                "compared with `{}` in {}",
                theirs.name,
                theirs.path.display()
            ))
    })
}

/// Where a key of the draft layer stands, in either layout.
fn key_place(head: &Paired<'_>, key: &str) -> Place {
    let config = head.checkpoint.config();
    let nested = format!("transformer_layer_config.{key}");
    config.place_of(if config.position_of(&nested).is_some() {
        &nested
    } else {
        key
    })
}

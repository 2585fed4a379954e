//! EAGLE-3 and P-EAGLE heads to the speculators layout.

use std::collections::BTreeMap;

use safetensors::Dtype;
use serde_json::{Map, Value};

use super::{Draft, Embedding, FcBias, Job, Origin, Piece, Row, config};
use crate::Result;
use crate::checkpoint::TensorView;
use crate::codes;
use crate::config::ConfigFile;
use crate::decision::Decision;
use crate::diagnostic::Diagnostic;
use crate::head::{Dropped, Head, HeadDescription};
use crate::rope::{Rope, RopeScaling};
use crate::speculator::{Algorithm, Description};
use crate::validate::unusable_mask_token;
use crate::verifier;
use crate::vocabulary::VocabularyMap;

/// Decides the output.
///
/// # Errors
/// S412 for a bias after `fc` that is not zero; what is wrong with an embedding that has to come from the verifier.
pub(super) fn draft(head: &Head, job: &Job<'_>) -> Result<Draft> {
    let mut draft = Draft::of(
        Description::Eagle3(head.description.clone()),
        head.vocabulary_map(),
        &head.decisions,
        &head.dropped,
    );
    let mut description = settle(head, job, &mut draft)?;
    if description.fc_bias {
        drop_fc_bias(head, job, &mut draft)?;
        description.fc_bias = false;
    }
    lay_out(head, job, &mut draft)?;
    description.own_embeddings = draft
        .rows
        .iter()
        .any(|row| row.destination == "embed_tokens.weight");
    drop_config_keys(head.checkpoint.config(), &mut draft.decisions);
    draft.config = config::build(head, &description, job);
    draft.description = Description::Eagle3(description);
    Ok(draft)
}

/// Adapts the description to what the request, the runtimes and the verifier ask for.
pub(super) fn settle(head: &Head, job: &Job<'_>, draft: &mut Draft) -> Result<HeadDescription> {
    let mut description = head.description.clone();
    if description.algorithm == Algorithm::PEagle {
        let config = head.checkpoint.config();
        let unusable =
            unusable_mask_token(description.mask_token_id, description.vocab_size, config);
        if let Some(problem) = unusable {
            return Err(problem.into());
        }
    }
    if let Some(tokens) = job.request.speculative_tokens {
        description.speculative_tokens = tokens;
    }
    if let Some(dtype) = job.request.dtype {
        description.dtype = dtype;
    }
    description.max_position_embeddings = positions(
        description.max_position_embeddings,
        &description.rope,
        job,
        &mut draft.decisions,
    );
    Ok(description)
}

/// The longest position to write: runtimes size their tables by it, and a head that states less than its verifier fails on
/// long texts.
pub(super) fn positions(
    own: usize,
    rope: &Rope,
    job: &Job<'_>,
    decisions: &mut Vec<Decision>,
) -> usize {
    const KEY: &str = "max_position_embeddings";
    let verifier = job.facts.max_position_embeddings;
    if own >= verifier {
        return own;
    }
    if matches!(rope.scaling, RopeScaling::Dynamic { .. }) {
        let reason = "raising it to the verifier's would change the frequencies of dynamic scaling";
        decisions.push(Decision::settled(KEY, own, reason));
        return own;
    }
    let reason = format!("the source says {own}; the verifier serves texts of {verifier}");
    decisions.push(Decision::settled(KEY, verifier, reason));
    verifier
}

/// A zero bias may go; another one has no place.
fn drop_fc_bias(head: &Head, job: &Job<'_>, draft: &mut Draft) -> Result<()> {
    let bias = head.tensor("fc.bias");
    if !may_go(bias, job) {
        return Err(Diagnostic::error(
            codes::NOT_REPRESENTABLE,
            "`fc` has a bias, and the speculators layout has no place for one",
        )
        .at(head
            .checkpoint
            .place(bias.map_or("fc.bias", |bias| bias.name)))
        .note("neither vLLM nor the Python package adds a bias after `fc`")
        .help("SGLang adds one: `--to sglang` keeps it")
        .into());
    }
    draft.dropped.push(Dropped {
        name: bias.map_or("fc.bias", |bias| bias.name).to_owned(),
        reason: "it is zero throughout, and the layout has no place for it".to_owned(),
    });
    Ok(())
}

/// Whether a bias changes nothing and the caller lets it go then.
pub(super) fn may_go(bias: Option<TensorView<'_>>, job: &Job<'_>) -> bool {
    let zero = bias.is_none_or(|bias| bias.data.iter().all(|byte| *byte == 0));
    zero && job.request.fc_bias == FcBias::ZeroMayGo
}

/// The rows under canonical names.
pub(super) fn lay_out(head: &Head, job: &Job<'_>, draft: &mut Draft) -> Result<()> {
    let map = draft.map.clone();
    for (canonical, source) in &head.tensors {
        let Some(view) = head.tensor(canonical) else {
            continue;
        };
        match canonical.as_str() {
            "fc.bias" if draft.dropped.iter().any(|dropped| dropped.name == *source) => {}
            // Below, from the map.
            "d2t" | "t2d" if map.is_some() => {}
            "d2t" | "t2d" => draft.dropped.push(Dropped {
                name: source.clone(),
                reason: "the vocabulary is not reduced, and loaders expect no map then".to_owned(),
            }),
            "embed_tokens.weight" if job.request.embedding != Embedding::Own => {
                if job.request.embedding == Embedding::Drop {
                    embedding_fits(head)?;
                }
                draft.dropped.push(Dropped {
                    name: source.clone(),
                    reason: "the caller wants the verifier's embedding".to_owned(),
                });
            }
            "lm_head.weight" if head.slices_lm_head => {
                let targets = map.as_ref().map_or(&[][..], |map| &map.draft_to_target);
                let rows = targets.iter().map(|target| *target as usize);
                draft.rows.push(Row::assembled(
                    source.clone(),
                    canonical.clone(),
                    view.dtype,
                    vec![targets.len(), view.shape[1]],
                    vec![Piece::rows(Origin::Source, &view, rows)],
                ));
            }
            _ => draft
                .rows
                .push(Row::copied(Origin::Source, &view, canonical)),
        }
    }
    if job.request.embedding == Embedding::Verifier {
        embedding_fits(head)?;
        let wanted = [head.description.vocab_size, head.description.hidden_size];
        let row = verifier_embedding(wanted, job, &mut draft.decisions)?;
        draft.rows.push(row);
    }
    if let Some(map) = map {
        draft.rows.extend(map_rows(head, &map));
    }
    Ok(())
}

/// The verifier's embedding fits only a head of its width.
fn embedding_fits(head: &Head) -> Result<()> {
    let (own, verifier) = (
        head.description.hidden_size,
        head.description.target_hidden_size,
    );
    if own == verifier {
        return Ok(());
    }
    Err(Diagnostic::error(
        codes::NOT_REPRESENTABLE,
        format!("the head is {own} wide and the verifier {verifier}, so that the head needs its own embedding"),
    )
    .at(head.checkpoint.place("embed_tokens.weight"))
    .help("keep it: leave out `--embed`")
    .into())
}

/// The verifier's embedding, of the shape that is wanted.
pub(super) fn verifier_embedding(
    wanted: [usize; 2],
    job: &Job<'_>,
    decisions: &mut Vec<Decision>,
) -> Result<Row> {
    let view = job
        .verifier
        .map(verifier::embedding)
        .transpose()?
        .ok_or_else(|| {
            Diagnostic::error(codes::TENSOR_MISSING, "the verifier's weights are not open")
        })?;
    if view.shape != wanted {
        let title = format!(
            "the verifier's embedding is {:?}, but the head needs {wanted:?}",
            view.shape
        );
        return Err(Diagnostic::error(codes::TENSOR_SHAPE, title)
            .at(crate::Place::tensor(view.path, view.name))
            .into());
    }
    decisions.push(Decision::settled(
        "embed_tokens.weight",
        format!(
            "the verifier's `{}`, {:?} {:?}",
            view.name, view.dtype, view.shape
        ),
        "given by the caller",
    ));
    Ok(Row::copied(Origin::Verifier, &view, "embed_tokens.weight"))
}

/// `d2t` as offsets and `t2d` as a mask; as they are in the source where they are that already.
pub(crate) fn map_rows(head: &Head, map: &VocabularyMap) -> Vec<Row> {
    rows_of_map(map, &head.tensors, |name| head.tensor(name))
}

/// The same for a head of any kind.
pub(crate) fn rows_of_map<'a>(
    map: &VocabularyMap,
    names: &BTreeMap<String, String>,
    view: impl Fn(&str) -> Option<TensorView<'a>>,
) -> Vec<Row> {
    let offsets: Vec<u8> = map.offsets().flat_map(i64::to_le_bytes).collect();
    let members: Vec<u8> = map.members().into_iter().map(u8::from).collect();
    [
        ("d2t", Dtype::I64, map.draft_to_target.len(), offsets),
        ("t2d", Dtype::BOOL, map.vocab_size, members),
    ]
    .into_iter()
    .map(|(name, dtype, length, bytes)| {
        let source = names.get(name).cloned();
        match view(name) {
            Some(view) if view.dtype == dtype && view.data == bytes => {
                Row::copied(Origin::Source, &view, name)
            }
            _ => Row::built(source, name, dtype, vec![length], bytes),
        }
    })
    .collect()
}

/// Says which keys of the source's config have no place in the output.
pub(super) fn drop_config_keys(file: &ConfigFile, decisions: &mut Vec<Decision>) {
    let unknown = file
        .value
        .keys()
        .filter(|key| !config::KNOWN_KEYS.contains(&key.as_str()));
    let decoder = file
        .value
        .get("transformer_layer_config")
        .and_then(Value::as_object);
    let nested = decoder
        .into_iter()
        .flat_map(Map::keys)
        .filter(|key| !config::KNOWN_KEYS.contains(&key.as_str()));
    let nested = nested.map(|key| format!("transformer_layer_config.{key}"));
    let reason =
        "the layout to be written has no such key, and nothing this version knows depends on it";
    decisions.extend(
        unknown
            .cloned()
            .chain(nested)
            .map(|key| Decision::settled(key, "left out", reason)),
    );
}

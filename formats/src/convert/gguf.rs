//! EAGLE-3 heads to one file for llama.cpp.
//!
//! The rows are those of the speculators layout under other names: vectors in single precision, the rows of q and k
//! interleaved, `d2t` as verifier tokens, `t2d` left out because it follows.

use safetensors::Dtype;
use serde_json::{Map, Value};

use super::row::{Content, Origin, Piece};
use super::{Action, Draft, Job, Plan, Row, eagle3, provenance};
use crate::Result;
use crate::codes;
use crate::diagnostic::{Diagnostic, Place};
use crate::gguf::{self, Header, Metadata, Outline};
use crate::head::{Dropped, Head, HeadDescription};
use crate::speculator::{Description, Speculator};

/// The file inside an output that is a directory.
pub(super) const FILE: &str = "model.gguf";

/// Decides the output; gives the metadata as well, without the record of the conversion.
///
/// # Errors
/// S412 for everything llama.cpp has no place for; what is wrong with the verifier's tokenizer.
pub(super) fn draft(speculator: &Speculator, job: &Job<'_>) -> Result<(Draft, Metadata)> {
    let Speculator::Eagle3(head) = speculator else {
        let kind = speculator.algorithm();
        return Err(Diagnostic::error(
            codes::NOT_REPRESENTABLE,
            format!(
                "the head is of kind `{kind}`, and only EAGLE-3 heads are written to GGUF files"
            ),
        )
        .at(Place::file(speculator.checkpoint().root()))
        .into());
    };
    let mut draft = Draft::of(
        Description::Eagle3(head.description.clone()),
        head.vocabulary_map(),
        &head.decisions,
        &head.dropped,
    );
    let mut description = eagle3::settle(head, job, &mut draft)?;
    let mut problems = gguf::unsayable(&description);
    if description.fc_bias {
        match head.tensor("fc.bias") {
            Some(bias) if eagle3::may_go(Some(bias), job) => {
                draft.dropped.push(Dropped {
                    name: bias.name.to_owned(),
                    reason: "it is zero throughout, and llama.cpp adds none".to_owned(),
                });
                description.fc_bias = false;
            }
            _ => problems.push("a bias after `fc`".to_owned()),
        }
    }
    if !problems.is_empty() {
        return Err(refused(head, problems));
    }
    eagle3::lay_out(head, job, &mut draft)?;
    reshape(head, &description, &mut draft);
    description.own_embeddings = draft
        .rows
        .iter()
        .any(|row| row.destination == gguf::EMBEDDING);
    let name = &job.request.verifier_name;
    let mut metadata = gguf::metadata(&mut description, name, &mut draft.decisions)
        .map_err(|what| refused(head, vec![what]))?;
    let before = draft.decisions.len();
    gguf::add_tokenizer(
        &job.request.verifier,
        description.vocab_size,
        &mut metadata,
        &mut draft.decisions,
    )?;
    let guesses = draft.decisions.iter().skip(before);
    let mut guesses = guesses.filter(|decision| decision.guess && job.request.options.strict);
    if let Some(guess) = guesses.next() {
        let place = Place::file(job.request.verifier.join("tokenizer.json"));
        return Err(guess.refused(place).into());
    }
    eagle3::drop_config_keys(head.checkpoint.config(), &mut draft.decisions);
    draft.rows.extend(factors(&description));
    draft.description = Description::Eagle3(description);
    Ok((draft, metadata))
}

fn refused(head: &Head, problems: Vec<String>) -> Vec<Diagnostic> {
    let place = Place::file(head.checkpoint.config().path());
    let problem = |what: String| {
        let title = format!("the head has {what}, and llama.cpp has no place for it");
        Diagnostic::error(codes::NOT_REPRESENTABLE, title)
            .at(place.clone())
            .note("left out, it would load and draft wrongly")
    };
    problems.into_iter().map(problem).collect()
}

/// Turns rows under canonical names into those of the file.
fn reshape(head: &Head, description: &HeadDescription, draft: &mut Draft) {
    let rows = std::mem::take(&mut draft.rows);
    for mut row in rows {
        let canonical = row.destination.clone();
        match canonical.as_str() {
            "t2d" => {
                draft.dropped.extend(row.source.map(|name| Dropped {
                    name,
                    reason: "llama.cpp needs `d2t` only, and this follows from it".to_owned(),
                }));
                continue;
            }
            "d2t" => {
                let tokens = draft.map.iter().flat_map(|map| &map.draft_to_target);
                let bytes: Vec<u8> = tokens
                    .flat_map(|token| i64::from(*token).to_le_bytes())
                    .collect();
                row = Row::built(row.source, canonical.clone(), Dtype::I64, row.shape, bytes);
            }
            "layers.0.self_attn.q_proj.weight" => {
                row = interleaved(head, row, description.num_attention_heads);
            }
            "layers.0.self_attn.k_proj.weight" => {
                row = interleaved(head, row, description.num_key_value_heads);
            }
            _ if row.shape.len() == 1 => widen(&mut row),
            _ => {}
        }
        let name = gguf::stored_name(&canonical).unwrap_or(&canonical);
        row.rename(name.to_owned());
        draft.rows.push(row);
    }
}

/// The rows of each head in the order that llama.cpp rotates.
fn interleaved(head: &Head, row: Row, heads: usize) -> Row {
    let (Some(view), Some(source)) = (head.tensor(&row.destination), row.source.clone()) else {
        return row;
    };
    let order = gguf::interleaved(view.shape.first().copied().unwrap_or_default(), heads);
    let piece = Piece::rows(Origin::Source, &view, order);
    Row::assembled(source, row.destination, row.dtype, row.shape, vec![piece])
}

/// Vectors in single precision, which is exact: llama.cpp's operations take no others.
fn widen(row: &mut Row) {
    if row.dtype == Dtype::F32 {
        return;
    }
    if let Content::Pieces(pieces) = &row.content {
        row.content = Content::Cast {
            pieces: pieces.clone(),
            from: row.dtype,
        };
        row.bytes = row.bytes * Dtype::F32.bitsize() as u64 / row.dtype.bitsize() as u64;
        row.dtype = Dtype::F32;
        row.action = Action::Cast;
    }
}

/// The divisors of Llama 3's rotary scaling.
fn factors(description: &HeadDescription) -> Option<Row> {
    let divisors = gguf::divisors(description)?;
    let bytes: Vec<u8> = divisors
        .iter()
        .flat_map(|divisor| divisor.to_le_bytes())
        .collect();
    let shape = vec![divisors.len()];
    Some(Row::built(
        None,
        gguf::ROPE_FACTORS,
        Dtype::F32,
        shape,
        bytes,
    ))
}

/// The header of the file, with the record of the conversion as it stands in `config`.
pub(super) fn header(
    plan: &Plan,
    metadata: &Metadata,
    config: &Map<String, Value>,
) -> Result<Header, Diagnostic> {
    let mut metadata = metadata.clone();
    if let Some(record) = config.get(provenance::KEY) {
        metadata.text(gguf::CONVERSION, &record.to_string());
    }
    let outlines: Vec<Outline> = plan
        .rows
        .iter()
        .map(|row| Outline {
            name: row.destination.clone(),
            dtype: row.dtype,
            shape: row.shape.clone(),
        })
        .collect();
    Header::new(&metadata, &outlines)
}

/// Digests of zeros in the record. The digests are known once everything has been read, and the record stands before the
/// tensors: a header with these is written first, and overwritten by one of the same length at the end.
pub(super) fn zero_digests(config: &mut Map<String, Value>) {
    const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";
    let files = config
        .get(provenance::KEY)
        .and_then(|record| record.get("source_files"))
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    provenance::add_digests(config, vec![ZEROS.to_owned(); files]);
}

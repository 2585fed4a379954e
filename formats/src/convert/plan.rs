//! A decided conversion: every tensor of the output, and nothing of the source unaccounted for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{ConvertRequest, Draft, Row, Sources, Target, cast, provenance};
use crate::decision::Decision;
use crate::diagnostic::{Diagnostic, Place};
use crate::gguf::Metadata;
use crate::head::Dropped;
use crate::speculator::{Description, Speculator};
use crate::verifier::{FloatType, VerifierFacts};
use crate::vocabulary::VocabularyMap;
use crate::{Checkpoint, Result, codes};

/// A decided conversion.
#[derive(Debug)]
pub struct Plan {
    pub(super) speculator: Speculator,
    pub(super) verifier: Option<Checkpoint>,
    pub(super) facts: VerifierFacts,
    pub(super) output: PathBuf,
    pub(super) force: bool,
    pub(super) target: Target,
    pub(super) description: Description,
    pub(super) map: Option<VocabularyMap>,
    pub(super) rows: Vec<Row>,
    pub(super) dropped: Vec<Dropped>,
    pub(super) decisions: Vec<Decision>,
    pub(super) config: Map<String, Value>,
    /// Metadata of a GGUF file, where one is written.
    pub(super) metadata: Option<Metadata>,
}

/// What was written.
#[derive(Clone, Debug, Serialize)]
pub struct ConvertReport {
    /// The directory.
    pub output: PathBuf,
    /// Layout it is in.
    pub target: Target,
    /// Bytes of the weights file, header included.
    pub bytes: u64,
    /// One row per tensor, in the order of the file.
    pub rows: Vec<Row>,
    /// Source tensors that were left out.
    pub dropped: Vec<Dropped>,
    /// What had to be decided.
    pub decisions: Vec<Decision>,
    /// The head as it was written.
    pub description: Description,
    /// What the values of the weights show that may not have been meant.
    pub findings: Vec<Diagnostic>,
}

impl Plan {
    /// Adds to a draft what all outputs share, and checks that it is closed.
    ///
    /// # Errors
    /// S412 for a value that the dtype asked for cannot hold; S202 for a source tensor without a destination, which is a
    /// fault of the family that drafted.
    pub(super) fn close(
        speculator: Speculator,
        verifier: Option<Checkpoint>,
        facts: VerifierFacts,
        mut draft: Draft,
        request: &ConvertRequest,
    ) -> Result<Plan> {
        if let Some(dtype) = request.dtype {
            let sources = Sources {
                source: speculator.checkpoint(),
                verifier: verifier.as_ref(),
            };
            let place = speculator.checkpoint().weights_place();
            // llama.cpp takes vectors in single precision only, and they are that already.
            let vectors = |row: &Row| request.target == Target::Gguf && row.shape.len() == 1;
            draft.rows.sort_by_key(|row| !vectors(row));
            let first = draft.rows.partition_point(vectors);
            let rows = draft.rows.get_mut(first..).unwrap_or_default();
            let cast = cast::rows(rows, stored(dtype), &sources, &place)?;
            draft.decisions.extend(cast);
        }
        unaccounted(&speculator, &draft)?;
        draft.rows.sort_by(|a, b| {
            b.dtype
                .cmp(&a.dtype)
                .then_with(|| a.destination.cmp(&b.destination))
        });
        let record = provenance::record(&speculator, &draft, request.target);
        draft.config.insert(provenance::KEY.to_owned(), record);
        Ok(Plan {
            speculator,
            verifier,
            facts,
            output: request.output.clone(),
            force: request.force,
            target: request.target,
            description: draft.description,
            map: draft.map,
            rows: draft.rows,
            dropped: draft.dropped,
            decisions: draft.decisions,
            config: draft.config,
            metadata: None,
        })
    }

    /// One row per destination tensor, in the order of the file.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Source tensors that are left out, with reasons.
    #[must_use]
    pub fn dropped(&self) -> &[Dropped] {
        &self.dropped
    }

    /// What had to be decided, with reasons.
    #[must_use]
    pub fn decisions(&self) -> &[Decision] {
        &self.decisions
    }

    /// The source.
    #[must_use]
    pub fn speculator(&self) -> &Speculator {
        &self.speculator
    }

    /// The head as it will be written.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The `config.json` that will be written, without the digests of the source files; for a GGUF file, which has none, the
    /// record of the conversion alone.
    #[must_use]
    pub fn config(&self) -> &Map<String, Value> {
        &self.config
    }

    /// Directory to be written.
    #[must_use]
    pub fn output(&self) -> &Path {
        &self.output
    }

    /// Bytes of tensor data to be written.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.rows.iter().map(|row| row.bytes).sum()
    }

    pub(super) fn sources(&self) -> Sources<'_> {
        Sources {
            source: self.speculator.checkpoint(),
            verifier: self.verifier.as_ref(),
        }
    }
}

/// The dtype of tensors that hold values of this type.
pub(crate) fn stored(dtype: FloatType) -> Dtype {
    match dtype {
        FloatType::Float32 => Dtype::F32,
        FloatType::Float16 => Dtype::F16,
        FloatType::Bfloat16 => Dtype::BF16,
    }
}

/// S202 for source tensors that are neither written nor dropped by name.
fn unaccounted(speculator: &Speculator, draft: &Draft) -> Result<()> {
    let consumed: BTreeSet<&str> = draft.rows.iter().flat_map(Row::sources).collect();
    let dropped: BTreeSet<&str> = draft
        .dropped
        .iter()
        .map(|dropped| dropped.name.as_str())
        .collect();
    let lost = speculator
        .tensors()
        .values()
        .find(|name| !consumed.contains(name.as_str()) && !dropped.contains(name.as_str()));
    match lost {
        None => Ok(()),
        Some(name) => Err(Diagnostic::error(
            codes::TENSOR_UNEXPECTED,
            format!("`{name}` has no place in the output and no reason to be left out"),
        )
        .at(Place::tensor(speculator.checkpoint().root(), name))
        .note("this is a fault of the program; nothing was written")
        .into()),
    }
}

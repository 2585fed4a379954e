//! Two checkpoints side by side: what they mean, what their configs say, and what their weights hold.
//!
//! The checkpoints may have different layouts. Where both are heads that can be described, tensors are matched by their
//! canonical names and config keys are judged by the description they lead to, so that a conversion that changed nothing but the
//! spelling comes out as equal. Anything else with a config and weights is compared by the names it has.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::Result;
use crate::checkpoint::Checkpoint;
use crate::codes;
use crate::decision::Decision;
use crate::diagnostic::Diagnostic;
use crate::head::{Dropped, Layout};
use crate::options::ReadOptions;
use crate::speculator::{Algorithm, Speculator};
use crate::subject::{Kind, StoredFile, Subject};
use crate::verifier::VerifierFacts;

mod config;
mod elements;
mod fields;
mod meaning;
mod moved;
mod reshaped;
mod statistics;
mod tensors;
#[cfg(test)]
mod tests;
mod vocabulary;

pub use config::{ConfigDifference, KeyRow, KeyStatus};
pub use fields::{DescriptionDifference, FieldRow, FieldStatus};
pub use statistics::Statistics;
pub use tensors::{StoredTensor, TensorDifference, TensorRow, TensorStatus};

/// How to compare.
#[derive(Clone, Debug, Default)]
pub struct DiffOptions {
    /// Directory of the verifier both are for. It settles default auxiliary layers, and tells its own tensors from others.
    pub verifier: Option<PathBuf>,
    /// Largest difference, as a share of the values' norm, that counts as none, in whatever dtype. Without it the bytes have to
    /// be the same.
    pub tolerance: Option<f64>,
    /// Which parts to compare.
    pub scope: Scope,
}

/// Parts of a checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Config and weights.
    #[default]
    Everything,
    /// Descriptions and configs.
    Config,
    /// Tensors.
    Weights,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Same meaning and same weights.
    Equal,
    /// Anything else.
    Different,
}

/// One of the two checkpoints.
#[derive(Clone, Debug, Serialize)]
pub struct Side {
    /// The directory, as given.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// How a head drafts.
    pub algorithm: Option<Algorithm>,
    /// Layout of a head.
    pub layout: Option<Layout>,
    /// Who wrote it, as far as that shows.
    pub writer: Option<String>,
    /// Tensors.
    pub tensors: usize,
    /// Floating-point values in all tensors.
    pub parameters: u64,
    /// Bytes of all tensors.
    pub bytes: u64,
    /// The weight files.
    pub files: Vec<StoredFile>,
    /// The canonical description, by its fields.
    pub description: Option<Map<String, Value>>,
    /// What had to be resolved for it.
    pub decisions: Vec<Decision>,
    /// Tensors that are no part of the head.
    pub dropped: Vec<Dropped>,
    /// Why there is no description, if there is none.
    pub diagnostics: Vec<Diagnostic>,
}

/// Two checkpoints, compared.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Name and version of this structure.
    pub schema: &'static str,
    /// The answer.
    pub verdict: Verdict,
    /// What makes them different, in words.
    pub reasons: Vec<String>,
    /// The tolerance that was asked for.
    pub tolerance: Option<f64>,
    /// The first checkpoint.
    pub a: Side,
    /// The second.
    pub b: Side,
    /// The descriptions, where both have one of the same kind.
    pub description: Option<DescriptionDifference>,
    /// The config keys.
    pub config: Option<ConfigDifference>,
    /// The tensors.
    pub tensors: Option<TensorDifference>,
}

/// Compares two checkpoints of any layouts. `progress` is told the bytes compared and the bytes in all; if it breaks the work off,
/// there is no comparison.
///
/// # Errors
/// A diagnostic for each file of either side that cannot be read at all, and S001 for a tolerance that is no share. A checkpoint
/// that can be read but not described is compared all the same; [`Side::diagnostics`] has the reasons.
pub fn diff(
    a: &Path,
    b: &Path,
    options: &DiffOptions,
    progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<Option<Comparison>> {
    check(options)?;
    let facts = match &options.verifier {
        Some(dir) => Some(VerifierFacts::read(dir)?),
        None => None,
    };
    // A directory with the config alone is enough to settle the layers.
    let weights = options.verifier.as_ref().map(Checkpoint::open);
    let weights = weights.and_then(Result::ok);
    let open = |dir: &Path| Subject::open(dir, facts.as_ref(), &ReadOptions::default());
    let (a, b) = match (open(a), open(b)) {
        (Ok(a), Ok(b)) => (a, b),
        (a, b) => return Err([a.err(), b.err()].into_iter().flatten().flatten().collect()),
    };
    let mut comparison = Comparison {
        schema: "speculators.diff/1",
        verdict: Verdict::Equal,
        reasons: Vec::new(),
        tolerance: options.tolerance,
        a: side(&a),
        b: side(&b),
        description: None,
        config: None,
        tensors: None,
    };
    if options.scope != Scope::Weights {
        comparison.compare_configs(&a, &b);
    }
    if options.scope != Scope::Config {
        let comparer = tensors::Comparer {
            a: &a,
            b: &b,
            verifier: weights.as_ref(),
            tolerance: options.tolerance,
        };
        let Some(tensors) = comparer.compare(progress) else {
            return Ok(None);
        };
        comparison.tensors = Some(tensors);
    }
    comparison.reasons = comparison.reasons();
    if !comparison.reasons.is_empty() {
        comparison.verdict = Verdict::Different;
    }
    Ok(Some(comparison))
}

fn check(options: &DiffOptions) -> Result<()> {
    match options.tolerance {
        Some(tolerance) if !(tolerance.is_finite() && tolerance >= 0.0) => Err(Diagnostic::error(
            codes::USAGE,
            format!("the tolerance is {tolerance}, but has to be 0 or a positive number"),
        )
        .into()),
        _ => Ok(()),
    }
}

fn side(subject: &Subject) -> Side {
    Side {
        path: subject.checkpoint().root().to_path_buf(),
        kind: subject.kind(),
        algorithm: subject.speculator().map(Speculator::algorithm),
        layout: subject.speculator().map(Speculator::layout),
        writer: subject.writer(),
        tensors: subject.views().count(),
        parameters: subject.parameters(),
        bytes: subject.bytes(),
        files: subject.files(),
        description: subject.description(),
        decisions: subject.decisions().to_vec(),
        dropped: subject.dropped().to_vec(),
        diagnostics: subject.diagnostics.clone(),
    }
}

impl Comparison {
    fn compare_configs(&mut self, a: &Subject, b: &Subject) {
        let fields = self.a.description.as_ref().zip(self.b.description.as_ref());
        let fields = fields.filter(|_| a.kind() == b.kind());
        self.description =
            fields.map(|(a_fields, b_fields)| fields::compare((a, a_fields), (b, b_fields)));
        let described = fields.zip(self.description.as_ref());
        let described =
            described.map(|((a, b), difference)| config::Described { a, b, difference });
        let file = |subject: &Subject| subject.checkpoint().config().value.clone();
        self.config = Some(config::compare(&file(a), &file(b), described.as_ref()));
    }

    /// What makes the two different.
    fn reasons(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if let Some(description) = &self.description {
            let named = |wanted: FieldStatus| {
                let rows = description.different.iter();
                let rows = rows.filter(|row| row.status == wanted);
                rows.map(|row| row.field.as_str()).collect::<Vec<_>>()
            };
            let mut different = named(FieldStatus::Different);
            if self.tensors.is_none() {
                different.extend(named(FieldStatus::Storage));
            }
            for (fields, what) in [
                (different, "of the description"),
                (named(FieldStatus::Open), "open on one side"),
            ] {
                if !fields.is_empty() {
                    let names = fields.join(", ");
                    reasons.push(format!(
                        "{} ({names})",
                        counted(fields.len(), "field", what)
                    ));
                }
            }
        } else if let Some(config) = &self.config {
            // What a key means is not known, so any of them may matter.
            for (status, what) in [
                (KeyStatus::Changed, "changed"),
                (KeyStatus::Removed, "only in A"),
                (KeyStatus::Added, "only in B"),
            ] {
                let count = config.count(status);
                if count > 0 {
                    reasons.push(counted(count, "config key", what));
                }
            }
        }
        let rows = self.tensors.iter().flat_map(|tensors| &tensors.rows);
        let mattering: Vec<TensorStatus> = rows
            .filter(|row| row.matters)
            .map(|row| row.status)
            .collect();
        for (status, what) in [
            (TensorStatus::Changed, "changed"),
            (TensorStatus::Cast, "of another dtype"),
            (TensorStatus::Reshaped, "of another shape"),
            (TensorStatus::Moved, "under an unrelated name"),
            (TensorStatus::OnlyA, "only in A"),
            (TensorStatus::OnlyB, "only in B"),
        ] {
            let count = mattering.iter().filter(|&&other| other == status).count();
            if count > 0 {
                reasons.push(counted(count, "tensor", what));
            }
        }
        reasons
    }
}

fn counted(count: usize, noun: &str, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural} {what}")
}

//! What a validation gives: the answer, and all it rests on.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::runtime::RuntimeReport;
use super::values::Scanned;
use super::{Silenced, Verdict};
use crate::decision::Decision;
use crate::diagnostic::{Diagnostic, Level};
use crate::head::Layout;
use crate::speculator::{Algorithm, Description};

/// Everything that was found.
#[derive(Debug, Serialize)]
pub struct ValidationReport {
    /// Name and version of this structure.
    pub schema: &'static str,
    /// The answer.
    pub verdict: Verdict,
    /// The checkpoint, as given.
    pub path: PathBuf,
    /// The verifier it was paired with, as given.
    pub verifier: Option<PathBuf>,
    /// Kind of head, if it could be opened.
    pub algorithm: Option<Algorithm>,
    /// Recognized layout, if the head could be opened.
    pub layout: Option<Layout>,
    /// The head, if it could be opened.
    pub head: Option<Description>,
    /// What had to be resolved to open it.
    pub decisions: Vec<Decision>,
    /// Tensors in the files.
    pub tensors: usize,
    /// Tensors whose values were read.
    pub tensors_scanned: usize,
    /// Bytes of those.
    pub bytes_scanned: u64,
    /// What is to be expected of the runtime that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<RuntimeReport>,
    /// How many findings of which codes are not listed, because they are allowed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub silenced: Vec<Silenced>,
    /// Findings, errors first, causes before consequences.
    pub diagnostics: Vec<Diagnostic>,
}

impl ValidationReport {
    /// Findings of one level.
    #[must_use]
    pub fn count(&self, level: Level) -> usize {
        self.diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.level == level)
            .count()
    }

    /// Counts the tensors whose values were read.
    pub(super) fn count_scanned(&mut self, scanned: &[Scanned<'_>]) {
        let bytes = scanned.iter().map(|(tensor, _)| tensor.data.len() as u64);
        self.bytes_scanned = bytes.sum();
        self.tensors_scanned = scanned.len();
    }

    /// A report on a checkpoint that nothing is known about yet.
    pub(super) fn empty(dir: &Path, verifier: Option<&Path>) -> ValidationReport {
        ValidationReport {
            schema: "speculators.validate/1",
            verdict: Verdict::Valid,
            path: dir.to_path_buf(),
            verifier: verifier.map(Path::to_path_buf),
            algorithm: None,
            layout: None,
            head: None,
            decisions: Vec::new(),
            tensors: 0,
            tensors_scanned: 0,
            bytes_scanned: 0,
            runtime: None,
            silenced: Vec::new(),
            diagnostics: Vec::new(),
        }
    }
}

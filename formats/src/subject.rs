//! What a checkpoint directory turns out to be, opened once for whoever wants to tell about it.
//!
//! `inspect` and `diff` say what is there rather than whether it is right. Hence a directory that is no sound head is not an
//! error here: its tensors and its config can be told about all the same, together with the reasons.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::Result;
use crate::checkpoint::{Checkpoint, TensorView};
use crate::codes;
use crate::decision::Decision;
use crate::diagnostic::Diagnostic;
use crate::digest::Digest;
use crate::head::{Dropped, Head, HeadDescription, Layout};
use crate::options::ReadOptions;
use crate::verifier::{VerifierConfig, VerifierFacts};
use crate::vocabulary::VocabularyMap;

/// What kind of model lies in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A head of a known kind, sound or not.
    Head,
    /// A complete language model that a head can be paired with.
    Verifier,
    /// Neither; its tensors are listed all the same.
    Unknown,
}

/// A weight file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoredFile {
    /// Where it lies.
    pub path: PathBuf,
    /// Its size, headers included.
    pub bytes: u64,
    /// How many of the tensors are in it.
    pub tensors: usize,
    /// The sum of its bytes, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
}

/// An opened directory.
#[derive(Debug)]
pub(crate) struct Subject {
    pub checkpoint: Checkpoint,
    pub kind: Kind,
    pub layout: Option<Layout>,
    pub head: Option<HeadDescription>,
    pub verifier: Option<VerifierConfig>,
    /// Canonical name → name in the checkpoint, of a head that could be described.
    pub tensors: BTreeMap<String, String>,
    pub decisions: Vec<Decision>,
    pub dropped: Vec<Dropped>,
    pub map: Option<VocabularyMap>,
    /// Why there is no description, if there is none.
    pub diagnostics: Vec<Diagnostic>,
}

impl Subject {
    /// Opens a directory and finds out what is in it.
    pub fn open(
        dir: &Path,
        verifier: Option<&VerifierFacts>,
        options: &ReadOptions,
    ) -> Result<Subject> {
        let found = match Head::resolve(Checkpoint::open(dir)?, verifier, options) {
            Ok(head) => return Subject::of_head(head),
            Err(found) => found,
        };
        let mut subject = Subject {
            checkpoint: Checkpoint::open(dir)?,
            kind: Kind::Unknown,
            layout: None,
            head: None,
            verifier: None,
            tensors: BTreeMap::new(),
            decisions: Vec::new(),
            dropped: Vec::new(),
            map: None,
            diagnostics: Vec::new(),
        };
        match VerifierConfig::read(dir) {
            Ok(config) if is_model(&subject.checkpoint) => {
                subject.kind = Kind::Verifier;
                subject.verifier = Some(config);
            }
            _ => {
                let foreign = |finding: &Diagnostic| finding.code == codes::LAYOUT_UNKNOWN;
                if !found.iter().any(foreign) {
                    subject.kind = Kind::Head;
                }
                subject.diagnostics = found;
            }
        }
        Ok(subject)
    }

    fn of_head(head: Head) -> Result<Subject> {
        Ok(Subject {
            map: head.vocabulary_map()?,
            checkpoint: head.checkpoint,
            kind: Kind::Head,
            layout: Some(head.layout),
            head: Some(head.description),
            verifier: None,
            tensors: head.tensors,
            decisions: head.decisions,
            dropped: head.dropped,
            diagnostics: Vec::new(),
        })
    }

    /// The description, whatever kind it is of, by its fields.
    pub fn description(&self) -> Option<Map<String, Value>> {
        fields(self.head.as_ref(), self.verifier.as_ref())
    }

    /// Who wrote the checkpoint, as far as that shows.
    pub fn writer(&self) -> Option<String> {
        if let Some(provenance) = self.provenance() {
            return provenance.get("converter")?.as_str().map(str::to_owned);
        }
        let recognized = |decision: &&Decision| decision.subject == "layout";
        self.decisions
            .iter()
            .find(recognized)
            .map(|decision| decision.value.clone())
    }

    /// Where the checkpoint came from, if a converter wrote it down.
    pub fn provenance(&self) -> Option<&Value> {
        self.checkpoint.config().value.get(PROVENANCE)
    }

    /// Every tensor, by its name in the checkpoint.
    pub fn views(&self) -> impl Iterator<Item = TensorView<'_>> {
        self.checkpoint
            .names()
            .filter_map(|name| self.checkpoint.tensor(name))
    }

    /// Bytes of all tensors.
    pub fn bytes(&self) -> u64 {
        self.views().map(|view| view.data.len() as u64).sum()
    }

    /// Floating-point values in all tensors.
    pub fn parameters(&self) -> u64 {
        self.views().filter(is_float).map(|view| count(&view)).sum()
    }

    /// The weight files with their sizes.
    pub fn files(&self) -> Vec<StoredFile> {
        let mut files: Vec<StoredFile> = self
            .checkpoint
            .files()
            .iter()
            .map(|path| StoredFile {
                path: path.clone(),
                // A file that was mapped a moment ago is there; its size is not worth failing for.
                bytes: fs_err::metadata(path).map_or(0, |metadata| metadata.len()),
                tensors: 0,
                sha256: None,
            })
            .collect();
        for view in self.views() {
            if let Some(file) = files.iter_mut().find(|file| file.path == view.path) {
                file.tensors += 1;
            }
        }
        files
    }
}

/// A description by its fields.
pub(crate) fn fields(
    head: Option<&HeadDescription>,
    verifier: Option<&VerifierConfig>,
) -> Option<Map<String, Value>> {
    let head = head.map(serde_json::to_value);
    let verifier = || verifier.map(serde_json::to_value);
    // Plain structs of numbers and strings: there is nothing in them that cannot be serialized.
    match head.or_else(verifier)?.ok()? {
        Value::Object(fields) => Some(fields),
        _ => None,
    }
}

/// Values in a tensor.
pub(crate) fn count(view: &TensorView<'_>) -> u64 {
    view.shape.iter().map(|&size| size as u64).product()
}

/// Whether the values are parameters rather than a map.
pub(crate) fn is_float(view: &TensorView<'_>) -> bool {
    !matches!(
        view.dtype,
        Dtype::BOOL
            | Dtype::I8
            | Dtype::U8
            | Dtype::I16
            | Dtype::U16
            | Dtype::I32
            | Dtype::U32
            | Dtype::I64
            | Dtype::U64
    )
}

/// Whether the files hold an embedding and a full layer of a language model rather than parts of a head.
fn is_model(checkpoint: &Checkpoint) -> bool {
    let has = |name: &str| checkpoint.tensor(name).is_some();
    has("model.embed_tokens.weight") && !has("fc.weight") && !has("midlayer.hidden_norm.weight")
}

/// Where a converter notes its source.
pub(crate) const PROVENANCE: &str = "conversion";

//! What a checkpoint directory turns out to be, opened once for whoever wants to tell about it.
//!
//! `inspect` and `diff` say what is there rather than whether it is right. Hence a directory that is no sound head is not an
//! error here: its tensors and its config can be told about all the same, together with the reasons.

use std::path::{Path, PathBuf};

use safetensors::Dtype;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::Result;
use crate::checkpoint::{Checkpoint, TensorView};
use crate::codes;
use crate::convert::provenance;
use crate::decision::Decision;
use crate::diagnostic::Diagnostic;
use crate::head::Dropped;
use crate::options::ReadOptions;
use crate::speculator::{Description, Speculator};
use crate::verifier::{VerifierConfig, VerifierFacts};

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
    pub sha256: Option<String>,
}

/// An opened directory.
#[derive(Debug)]
pub(crate) struct Subject {
    content: Content,
    /// Whether it is a head, though perhaps one that cannot be described.
    is_head: bool,
    /// Why there is no description, if there is none.
    pub diagnostics: Vec<Diagnostic>,
}

#[derive(Debug)]
enum Content {
    Speculator(Box<Speculator>),
    Verifier(Box<VerifierConfig>, Checkpoint),
    Unknown(Checkpoint),
}

impl Subject {
    /// Opens a directory and finds out what is in it.
    pub fn open(
        dir: &Path,
        verifier: Option<&VerifierFacts>,
        options: &ReadOptions,
    ) -> Result<Subject> {
        let found = match Speculator::resolve(Checkpoint::open(dir)?, verifier, options) {
            Ok(speculator) => {
                return Ok(Subject {
                    content: Content::Speculator(Box::new(speculator)),
                    is_head: true,
                    diagnostics: Vec::new(),
                });
            }
            Err(found) => found,
        };
        let checkpoint = Checkpoint::open(dir)?;
        match VerifierConfig::read(dir) {
            Ok(config) if is_model(&checkpoint) => Ok(Subject {
                content: Content::Verifier(Box::new(config), checkpoint),
                is_head: false,
                diagnostics: Vec::new(),
            }),
            _ => {
                let foreign = |finding: &Diagnostic| finding.code == codes::LAYOUT_UNKNOWN;
                Ok(Subject {
                    content: Content::Unknown(checkpoint),
                    is_head: !found.iter().any(foreign),
                    diagnostics: found,
                })
            }
        }
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        match &self.content {
            Content::Verifier(..) => Kind::Verifier,
            _ if self.is_head => Kind::Head,
            _ => Kind::Unknown,
        }
    }

    /// The files.
    pub fn checkpoint(&self) -> &Checkpoint {
        match &self.content {
            Content::Speculator(speculator) => speculator.checkpoint(),
            Content::Verifier(_, checkpoint) | Content::Unknown(checkpoint) => checkpoint,
        }
    }

    /// A head that could be described.
    pub fn speculator(&self) -> Option<&Speculator> {
        match &self.content {
            Content::Speculator(speculator) => Some(speculator),
            _ => None,
        }
    }

    /// A verifier.
    pub fn verifier(&self) -> Option<&VerifierConfig> {
        match &self.content {
            Content::Verifier(config, _) => Some(config),
            _ => None,
        }
    }

    /// What was resolved to describe it, with reasons.
    pub fn decisions(&self) -> &[Decision] {
        self.speculator().map_or(&[], Speculator::decisions)
    }

    /// Tensors that are left out, with reasons.
    pub fn dropped(&self) -> &[Dropped] {
        self.speculator().map_or(&[], Speculator::dropped)
    }

    /// The description, whatever kind it is of, by its fields.
    pub fn description(&self) -> Option<Map<String, Value>> {
        let description = self.speculator().map(Speculator::description);
        fields(description.as_ref(), self.verifier())
    }

    /// Who wrote the checkpoint, as far as that shows.
    pub fn writer(&self) -> Option<String> {
        if let Some(provenance) = self.provenance() {
            return provenance.get("converter")?.as_str().map(str::to_owned);
        }
        let recognized = self
            .decisions()
            .iter()
            .find(|made| made.subject == "layout");
        let config = self.checkpoint().config();
        let package = || config.value.get("speculators_version")?.as_str();
        recognized
            .map(|decision| decision.value.clone())
            .or_else(|| package().map(|version| format!("the Python package, {version}")))
    }

    /// Where the checkpoint came from, if a converter wrote it down.
    pub fn provenance(&self) -> Option<&Value> {
        self.checkpoint().config().value.get(provenance::KEY)
    }

    /// Every tensor, by its name in the checkpoint.
    pub fn views(&self) -> impl Iterator<Item = TensorView<'_>> {
        let checkpoint = self.checkpoint();
        checkpoint
            .names()
            .filter_map(|name| checkpoint.tensor(name))
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
            .checkpoint()
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
    head: Option<&Description>,
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

//! What a checkpoint directory holds, told without judging it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::Result;
use crate::checkpoint::{Checkpoint, TensorView};
use crate::codes;
use crate::convert::config::KNOWN_KEYS;
use crate::decision::Decision;
use crate::diagnostic::Diagnostic;
use crate::head::{Head, HeadDescription, Layout};
use crate::options::ReadOptions;
use crate::verifier::VerifierConfig;

/// What kind of model lies in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An EAGLE-3 head in a known layout, sound or not.
    Head,
    /// A complete language model that a head can be paired with.
    Verifier,
    /// Neither; its tensors are listed all the same.
    Unknown,
}

/// Everything there is to tell.
#[derive(Debug, Serialize)]
pub struct Inspection {
    /// Name and version of this structure.
    pub schema: &'static str,
    /// The directory, as given.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// Layout of a head.
    pub layout: Option<Layout>,
    /// Description of a head.
    pub head: Option<HeadDescription>,
    /// Description of a verifier.
    pub verifier: Option<VerifierConfig>,
    /// What had to be resolved to describe the head.
    pub decisions: Vec<Decision>,
    /// How much of the verifier's vocabulary the head can propose.
    pub vocabulary: Option<Coverage>,
    /// The safetensors files.
    pub files: Vec<PathBuf>,
    /// The tensors, by name.
    pub tensors: Vec<TensorRow>,
    /// Floating-point values in all tensors.
    pub parameters: u64,
    /// Bytes of all tensors.
    pub bytes: u64,
    /// Keys at the top of the config that this version does not read.
    pub extras: Map<String, Value>,
    /// Where the checkpoint came from, if a converter wrote it down.
    pub provenance: Option<Value>,
    /// Why there is no description, if there is none.
    pub diagnostics: Vec<Diagnostic>,
}

/// Draft vocabulary against verifier vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Tokens the head can propose.
    pub draft: usize,
    /// Tokens the verifier has.
    pub target: usize,
}

/// One tensor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TensorRow {
    /// Name in the checkpoint.
    pub name: String,
    /// Name in the layout of `speculators`, where it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canonical: Option<String>,
    /// Element type, as in the file.
    pub dtype: String,
    /// Shape, row-major.
    pub shape: Vec<usize>,
    /// Size of the values.
    pub bytes: u64,
}

/// Describes a directory; a head that cannot be described is listed with the reasons.
///
/// # Errors
/// A diagnostic for each file that cannot be read at all.
pub fn inspect(dir: &Path, options: &ReadOptions) -> Result<Inspection> {
    let checkpoint = Checkpoint::open(dir)?;
    let views = || {
        checkpoint
            .names()
            .filter_map(|name| checkpoint.tensor(name))
    };
    let mut inspection = Inspection {
        schema: "speculators.inspect/1",
        path: dir.to_path_buf(),
        kind: Kind::Unknown,
        layout: None,
        head: None,
        verifier: None,
        decisions: Vec::new(),
        vocabulary: None,
        files: checkpoint.files().to_vec(),
        tensors: views().map(|view| row(&view)).collect(),
        parameters: views()
            .filter(is_float)
            .map(|view| view.shape.iter().product::<usize>() as u64)
            .sum(),
        bytes: views().map(|view| view.data.len() as u64).sum(),
        extras: extras(&checkpoint.config().value),
        provenance: checkpoint.config().value.get(PROVENANCE).cloned(),
        diagnostics: Vec::new(),
    };
    match Head::open(dir, None, options) {
        Ok(head) => describe_head(&mut inspection, head),
        Err(found) => match VerifierConfig::read(dir) {
            Ok(verifier) if is_model(&checkpoint) => {
                inspection.kind = Kind::Verifier;
                inspection.verifier = Some(verifier);
            }
            _ => {
                if found
                    .iter()
                    .all(|finding| finding.code != codes::LAYOUT_UNKNOWN)
                {
                    inspection.kind = Kind::Head;
                }
                inspection.diagnostics = found;
            }
        },
    }
    Ok(inspection)
}

fn describe_head(inspection: &mut Inspection, head: Head) {
    let canonical: BTreeMap<&str, &str> = head
        .tensors
        .iter()
        .map(|(canonical, name)| (name.as_str(), canonical.as_str()))
        .collect();
    for row in &mut inspection.tensors {
        let name = canonical
            .get(row.name.as_str())
            .filter(|name| **name != row.name);
        row.canonical = name.map(|name| (*name).to_owned());
    }
    inspection.kind = Kind::Head;
    inspection.layout = Some(head.layout);
    inspection.vocabulary = Some(Coverage {
        draft: head.description.draft_vocab_size,
        target: head.description.vocab_size,
    });
    inspection.head = Some(head.description);
    inspection.decisions = head.decisions;
}

fn row(view: &TensorView<'_>) -> TensorRow {
    TensorRow {
        name: view.name.to_owned(),
        canonical: None,
        dtype: format!("{:?}", view.dtype),
        shape: view.shape.to_vec(),
        bytes: view.data.len() as u64,
    }
}

fn is_float(view: &TensorView<'_>) -> bool {
    use safetensors::Dtype::{BF16, F16, F32, F64};
    matches!(view.dtype, BF16 | F16 | F32 | F64)
}

/// Whether the files hold an embedding and a full layer of a language model rather than parts of a head.
fn is_model(checkpoint: &Checkpoint) -> bool {
    let has = |name: &str| checkpoint.tensor(name).is_some();
    has("model.embed_tokens.weight") && !has("fc.weight") && !has("midlayer.hidden_norm.weight")
}

/// Where a converter notes its source.
const PROVENANCE: &str = "conversion";

fn extras(config: &Map<String, Value>) -> Map<String, Value> {
    let unknown = config
        .iter()
        .filter(|(key, _)| !KNOWN_KEYS.contains(&key.as_str()));
    unknown
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

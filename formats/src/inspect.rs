//! What a checkpoint directory holds, told without judging it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::checkpoint::TensorView;
use crate::convert::config::KNOWN_KEYS;
use crate::decision::Decision;
use crate::diagnostic::Diagnostic;
use crate::head::{Dropped, Layout};
use crate::options::ReadOptions;
use crate::speculator::{Algorithm, Description, Speculator};
use crate::subject::{self, Subject};
use crate::verifier::{VerifierConfig, VerifierFacts};
use crate::vocabulary::VocabularyMap;
use crate::{Result, digest};

pub use crate::subject::{Kind, StoredFile};

/// Everything there is to tell.
#[derive(Debug, Serialize)]
pub struct Inspection {
    /// Name and version of this structure.
    pub schema: &'static str,
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
    /// Description of a head.
    pub head: Option<Description>,
    /// Description of a verifier.
    pub verifier: Option<VerifierConfig>,
    /// Decoder layers of the verifier a head was inspected for.
    pub verifier_layers: Option<usize>,
    /// What had to be resolved to describe the head.
    pub decisions: Vec<Decision>,
    /// Tensors that are no part of the head.
    pub dropped: Vec<Dropped>,
    /// How much of the verifier's vocabulary the head can propose.
    pub vocabulary: Option<Coverage>,
    /// The weight files.
    pub files: Vec<PathBuf>,
    /// The same with their sizes.
    pub stored: Vec<StoredFile>,
    /// The tensors, by name.
    pub tensors: Vec<TensorRow>,
    /// The same summed up by part: `fc`, `layers`, `lm_head` and so on.
    pub parts: Vec<Part>,
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

impl Inspection {
    /// The description, whatever kind it is of, by its fields.
    #[must_use]
    pub fn description(&self) -> Option<Map<String, Value>> {
        subject::fields(self.head.as_ref(), self.verifier.as_ref())
    }

    /// Sums up the weight files. `progress` is told the bytes read and the bytes in all; if it breaks the work off, the answer is
    /// false and files are left without a sum.
    ///
    /// # Errors
    /// S101 when a file cannot be read.
    pub fn sum_up(
        &mut self,
        progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<bool> {
        let total = self.stored.iter().map(|file| file.bytes).sum();
        let mut before = 0;
        for file in &mut self.stored {
            file.sha256 =
                digest::sha256_file(&file.path, &mut |done| progress(before + done, total))?;
            before += file.bytes;
            if file.sha256.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Draft vocabulary against verifier vocabulary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Tokens the head can propose.
    pub draft: usize,
    /// Tokens the verifier has.
    pub target: usize,
    /// Whether the rows of `lm_head` are in the order of the verifier's tokens.
    pub sorted: bool,
    /// How many of the first 1000, 10000, … verifier tokens the head can propose. Tokenizers that are learned by merging number
    /// frequent tokens low.
    pub bands: Vec<Band>,
}

/// The first tokens of a vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Band {
    /// How many verifier tokens are looked at.
    pub first: usize,
    /// How many of them are in the draft vocabulary.
    pub draft: usize,
}

impl Coverage {
    /// None of a head that has no output matrix of its own.
    fn of(description: &Map<String, Value>, map: Option<&VocabularyMap>) -> Option<Coverage> {
        let size = |key: &str| usize::try_from(description.get(key)?.as_u64()?).ok();
        let (draft, target) = (size("draft_vocab_size")?, size("vocab_size")?);
        let powers = std::iter::successors(Some(1000_usize), |size| size.checked_mul(10));
        // Of a vocabulary that is not reduced, every share is the whole.
        let bands = map.into_iter().flat_map(|map| {
            let sizes = powers.clone().take_while(|&size| size < target);
            sizes.map(|first| {
                let within = map
                    .draft_to_target
                    .iter()
                    .filter(|&&token| (token as usize) < first);
                Band {
                    first,
                    draft: within.count(),
                }
            })
        });
        Some(Coverage {
            draft,
            target,
            sorted: map.is_none_or(VocabularyMap::is_sorted),
            bands: bands.collect(),
        })
    }
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

/// The tensors of one part of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// First part of the tensors' canonical names.
    pub name: String,
    /// How many there are.
    pub tensors: usize,
    /// Floating-point values in them.
    pub parameters: u64,
    /// Size of all their values.
    pub bytes: u64,
}

/// Describes a directory; a head that cannot be described is listed with the reasons.
///
/// With the directory of a verifier, of which the config is enough, what the head leaves to it is settled.
///
/// # Errors
/// A diagnostic for each file that cannot be read at all.
pub fn inspect(dir: &Path, verifier: Option<&Path>, options: &ReadOptions) -> Result<Inspection> {
    let facts = match verifier {
        Some(dir) => Some(VerifierFacts::read(dir)?),
        None => None,
    };
    let subject = Subject::open(dir, facts.as_ref(), options)?;
    let speculator = subject.speculator();
    let canonical: BTreeMap<&str, &str> = speculator
        .into_iter()
        .flat_map(Speculator::tensors)
        .map(|(canonical, name)| (name.as_str(), canonical.as_str()))
        .collect();
    let tensors = subject.views().map(|view| TensorRow {
        name: view.name.to_owned(),
        canonical: canonical
            .get(view.name)
            .filter(|canonical| **canonical != view.name)
            .map(|canonical| (*canonical).to_owned()),
        dtype: format!("{:?}", view.dtype),
        shape: view.shape.to_vec(),
        bytes: view.data.len() as u64,
    });
    let facts = facts.filter(|_| subject.kind() == Kind::Head);
    let map = speculator.and_then(Speculator::vocabulary_map);
    let described = speculator.and(subject.description());
    let checkpoint = subject.checkpoint();
    Ok(Inspection {
        schema: "speculators.inspect/1",
        path: dir.to_path_buf(),
        kind: subject.kind(),
        algorithm: speculator.map(Speculator::algorithm),
        layout: speculator.map(Speculator::layout),
        writer: subject.writer(),
        verifier_layers: facts.map(|facts| facts.num_hidden_layers),
        vocabulary: described.and_then(|fields| Coverage::of(&fields, map)),
        files: checkpoint.files().to_vec(),
        stored: subject.files(),
        tensors: tensors.collect(),
        parts: parts(subject.views(), &canonical),
        parameters: subject.parameters(),
        bytes: subject.bytes(),
        extras: extras(&checkpoint.config().value),
        provenance: subject.provenance().cloned(),
        head: speculator.map(Speculator::description),
        verifier: subject.verifier().cloned(),
        decisions: subject.decisions().to_vec(),
        dropped: subject.dropped().to_vec(),
        diagnostics: subject.diagnostics.clone(),
    })
}

/// Sums up tensors by the first part of their names, in the order of those.
fn parts<'a>(
    views: impl Iterator<Item = TensorView<'a>>,
    canonical: &BTreeMap<&str, &str>,
) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for view in views {
        let name = canonical.get(view.name).copied().unwrap_or(view.name);
        let name = name.strip_prefix("model.").unwrap_or(name);
        let name = name.split('.').next().unwrap_or(name);
        let position = parts.iter().position(|part| part.name == name);
        let position = position.unwrap_or_else(|| {
            parts.push(Part {
                name: name.to_owned(),
                tensors: 0,
                parameters: 0,
                bytes: 0,
            });
            parts.len() - 1
        });
        let part = &mut parts[position];
        part.tensors += 1;
        part.bytes += view.data.len() as u64;
        if subject::is_float(&view) {
            part.parameters += subject::count(&view);
        }
    }
    parts.sort_by(|a, b| a.name.cmp(&b.name));
    parts
}

fn extras(config: &Map<String, Value>) -> Map<String, Value> {
    let unknown = config
        .iter()
        .filter(|(key, _)| !KNOWN_KEYS.contains(&key.as_str()));
    unknown
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

//! Any layout → any other: first a closed plan, then one atomic write.
//!
//! [`plan`] decides everything and writes nothing: each source tensor gets a destination or is dropped by name, each
//! destination tensor gets its bytes. [`Plan::write`] streams the tensors from the memory-mapped source into a temporary
//! directory beside the output, reads it back, and renames it into place.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::decision::{self, Decision};
use crate::diagnostic::{Diagnostic, Place};
use crate::head::Dropped;
use crate::options::ReadOptions;
use crate::speculator::{Algorithm, Description, Speculator};
use crate::verifier::{FloatType, VerifierFacts};
use crate::vocabulary::VocabularyMap;
use crate::{Checkpoint, Result, codes};

mod block;
pub(crate) mod cast;
pub(crate) mod config;
mod eagle1;
pub(crate) mod eagle3;
mod foreign;
mod gguf;
mod mtp;
pub mod output;
pub(crate) mod plan;
pub(crate) mod provenance;
pub(crate) mod read_back;
mod row;
mod survey;
pub(crate) mod write;

pub use plan::{ConvertReport, Plan};
pub use row::{Action, Row};
pub(crate) use row::{Origin, Piece, Sources};

/// Layout to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// What the Python package writes and vLLM serves.
    #[default]
    Speculators,
    /// The original release of EAGLE.
    Eagle,
    /// SpecForge.
    SpecForge,
    /// SGLang.
    SgLang,
    /// One file for llama.cpp.
    Gguf,
}

impl std::fmt::Display for Target {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Target::Speculators => "speculators",
            Target::Eagle => "eagle",
            Target::SpecForge => "specforge",
            Target::SgLang => "sglang",
            Target::Gguf => "gguf",
        })
    }
}

/// What becomes of the embedding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Embedding {
    /// Written where the source has one.
    #[default]
    Own,
    /// Taken from the verifier's weights.
    Verifier,
    /// Left out: the runtime takes the verifier's.
    Drop,
}

/// What becomes of a bias after `fc` that the target has no place for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FcBias {
    /// Left out where it is zero throughout, refused otherwise.
    #[default]
    ZeroMayGo,
    /// Refused.
    Refuse,
}

/// What to convert, for which verifier, and where to.
#[derive(Clone, Debug)]
pub struct ConvertRequest {
    /// Checkpoint of the head, in any layout [`Speculator::open`] reads.
    pub source: PathBuf,
    /// Directory of the verifier; its config is enough unless `embedding` asks for its weights, and its family need not be
    /// one this version can run.
    pub verifier: PathBuf,
    /// Directory to write; a file for [`Target::Gguf`] if its name ends in `.gguf`.
    pub output: PathBuf,
    /// Layout to write.
    pub target: Target,
    /// The kind of head the source has to be, if the caller knows.
    pub algorithm: Option<Algorithm>,
    /// Overrides for what the source does not say.
    pub options: ReadOptions,
    /// Dtype of the floating-point tensors in the output; `None` keeps each as it is.
    pub dtype: Option<FloatType>,
    /// What becomes of the embedding.
    pub embedding: Embedding,
    /// What becomes of a bias after `fc`.
    pub fc_bias: FcBias,
    /// Draft tokens per step to write; `None` keeps what the source asks for, or 3.
    pub speculative_tokens: Option<usize>,
    /// Replaces an existing output once the new one is complete.
    pub force: bool,
    /// Name of the verifier to write into the config: a Hub name, or a path.
    pub verifier_name: String,
}

impl ConvertRequest {
    /// A conversion to the speculators layout with nothing overridden; the verifier is named by its path.
    #[must_use]
    pub fn new(
        source: impl Into<PathBuf>,
        verifier: impl Into<PathBuf>,
        output: impl Into<PathBuf>,
    ) -> ConvertRequest {
        let verifier = verifier.into();
        ConvertRequest {
            source: source.into(),
            verifier_name: verifier.display().to_string(),
            verifier,
            output: output.into(),
            target: Target::default(),
            algorithm: None,
            options: ReadOptions::default(),
            dtype: None,
            embedding: Embedding::default(),
            fc_bias: FcBias::default(),
            speculative_tokens: None,
            force: false,
        }
    }

    /// What was given and says nothing about heads of a kind, as options of a command line; [`ReadOptions`] has its own.
    fn without_meaning(&self, algorithm: Algorithm) -> Vec<&'static str> {
        use Algorithm::{Eagle, Eagle3, Mtp, PEagle};
        let options = [
            (
                // The layouts that have EAGLE-1 heads leave it to the server.
                "--num-speculative-tokens",
                self.speculative_tokens.is_some(),
                algorithm != Eagle,
            ),
            (
                // An MTP layer is run by its verifier, whose embedding it has.
                "--embed",
                self.embedding != Embedding::Own,
                algorithm != Mtp,
            ),
            (
                // Elsewhere the bias is part of the layout, or there is none.
                "--fc-bias",
                self.fc_bias != FcBias::ZeroMayGo,
                matches!(algorithm, Eagle3 | PEagle),
            ),
        ];
        let idle = options.into_iter().filter(|(_, given, has)| *given && !has);
        idle.map(|(option, ..)| option).collect()
    }
}

/// What a family decides about an output, before the parts that all outputs share.
#[derive(Debug)]
pub(crate) struct Draft {
    /// What reading the output back has to give.
    pub description: Description,
    /// The vocabulary map that reading the output back has to give.
    pub map: Option<VocabularyMap>,
    /// One row per destination tensor, in any order.
    pub rows: Vec<Row>,
    pub dropped: Vec<Dropped>,
    pub decisions: Vec<Decision>,
    /// `config.json`, without the record of the conversion.
    pub config: Map<String, Value>,
}

impl Draft {
    /// A draft of a head as it is, with nothing laid out yet.
    fn of(
        description: Description,
        map: Option<&VocabularyMap>,
        decisions: &[Decision],
        dropped: &[Dropped],
    ) -> Draft {
        Draft {
            description,
            map: map.cloned(),
            rows: Vec::new(),
            dropped: dropped.to_vec(),
            decisions: decisions.to_vec(),
            config: Map::new(),
        }
    }
}

/// What the families read while they decide.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job<'a> {
    pub request: &'a ConvertRequest,
    pub facts: &'a VerifierFacts,
    /// The verifier's weights, opened only where the request needs them.
    pub verifier: Option<&'a Checkpoint>,
}

/// Decides a conversion without writing anything.
///
/// # Errors
/// Every problem of the source as [`Speculator::open`] reports them; S101 to S106 for the verifier; S108 for an output that
/// is there, or that is the source; S410 for a head in the place of the verifier; S412 for a part that the target has no
/// place for; under strict options, S001 for what says nothing about the kind of head.
pub fn plan(request: &ConvertRequest) -> Result<Plan> {
    let mut problems = output::check(request);
    if request.speculative_tokens == Some(0) {
        problems.push(Diagnostic::error(
            codes::USAGE,
            "the number of draft tokens is 0, but has to be positive",
        ));
    }
    let facts = VerifierFacts::read(&request.verifier)
        .map_err(|found| problems.extend(found))
        .ok();
    let verifier = (request.embedding == Embedding::Verifier)
        .then(|| Checkpoint::open(&request.verifier))
        .transpose()
        .map_err(|found| problems.extend(found))
        .ok();
    let checkpoint = Checkpoint::open(&request.source)
        .map_err(|found| problems.extend(found))
        .ok();
    let (Some(facts), Some(verifier), Some(checkpoint)) = (facts, verifier, checkpoint) else {
        return Err(problems);
    };
    let speculator = match Speculator::resolve(checkpoint, Some(&facts), &request.options) {
        Ok(speculator) if problems.is_empty() => speculator,
        Ok(_) => return Err(problems),
        Err(found) => {
            problems.extend(found);
            return Err(problems);
        }
    };
    right_kind(&speculator, request)?;
    let algorithm = speculator.algorithm();
    let idle = request.without_meaning(algorithm);
    let config = speculator.checkpoint().config();
    let ignored = decision::ignored(&idle, algorithm, &request.options, config)?;
    let job = Job {
        request,
        facts: &facts,
        verifier: verifier.as_ref(),
    };
    let mut metadata = None;
    let mut draft = match (&speculator, request.target) {
        (_, Target::Gguf) => {
            let (draft, values) = gguf::draft(&speculator, &job)?;
            metadata = Some(values);
            draft
        }
        (Speculator::Eagle3(head), Target::Speculators) => eagle3::draft(head, &job)?,
        (Speculator::Eagle3(head), target) => foreign::draft(head, target, &job)?,
        (Speculator::Eagle(head), target) => eagle1::draft(head, target, &job)?,
        (Speculator::Block(head), target) => block::draft(head, target, &job)?,
        (Speculator::Mtp(head), target) => mtp::draft(head, target, &job)?,
    };
    draft.decisions.extend(ignored);
    let mut plan = Plan::close(speculator, verifier, facts, draft, request)?;
    plan.metadata = metadata;
    Ok(plan)
}

/// S110 where the caller expects another kind of head.
fn right_kind(speculator: &Speculator, request: &ConvertRequest) -> Result<()> {
    let found = speculator.algorithm();
    let Some(expected) = request.algorithm.filter(|expected| *expected != found) else {
        return Ok(());
    };
    // The Python package converts P-EAGLE heads under the name of EAGLE-3.
    if expected == Algorithm::Eagle3 && found == Algorithm::PEagle {
        return Ok(());
    }
    Err(Diagnostic::error(
        codes::LAYOUT_UNKNOWN,
        format!("the head is of kind `{found}`, but the algorithm asked for is `{expected}`"),
    )
    .at(Place::file(speculator.checkpoint().root()))
    .help(format!("pass `--algorithm {found}`, or leave it out"))
    .into())
}

#[cfg(test)]
mod tests;

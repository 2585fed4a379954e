//! A new head for a verifier: its config from the verifier's, its embedding and output matrix from the verifier's weights,
//! everything else at random, ready to be trained.
//!
//! [`plan`] decides everything and writes nothing; [`InitPlan::write_until`] streams the head into a temporary directory
//! beside the output, reads it back, and renames it into place. What is decided for the caller is a [`Decision`] with its
//! reason; what nothing decides is asked for.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::block::MarkovHead;
use crate::convert::{Row, Sources};
use crate::decision::Decision;
use crate::head::DraftLayer;
use crate::speculator::{Algorithm, Description};
use crate::verifier::{FloatType, HiddenAct, VerifierFacts};
use crate::vocabulary::VocabularyMap;
use crate::{Checkpoint, Result};

mod config;
mod decoder;
mod kind;
mod mask_token;
mod normal;
mod options;
pub(crate) mod random;
mod rotary;
mod rows;
#[cfg(test)]
mod tests;
mod verifier;
mod vocabulary;
mod write;

pub use rows::InitRow;

/// Kinds of heads that can be started from nothing.
pub const ALGORITHMS: [Algorithm; 4] = [
    Algorithm::Eagle3,
    Algorithm::PEagle,
    Algorithm::DFlash,
    Algorithm::DSpark,
];

/// Seed that the Python package trains with.
pub const DEFAULT_SEED: u64 = 42;

/// What says which verifier tokens a head can propose.
#[derive(Clone, Debug)]
pub enum VocabularySource {
    /// A finished map.
    Map(VocabularyMap),
    /// A directory with one, or a safetensors file that holds one: `d2t` and `t2d`.
    Directory(PathBuf),
    /// A file of token counts, of which the most frequent are taken.
    Counts(PathBuf),
}

/// What to start, for which verifier, and where to. What is `None` is decided by the rules of the Python package.
#[derive(Clone, Debug)]
pub struct InitRequest {
    /// Directory of the verifier: a whole checkpoint, or its config and the tensors that heads share.
    pub verifier: PathBuf,
    /// What the output calls its verifier: a Hub name, or a path.
    pub verifier_name: String,
    /// Directory to write.
    pub output: PathBuf,
    /// One of [`ALGORITHMS`].
    pub algorithm: Algorithm,
    /// Draft tokens; with fewer than the verifier has, `vocabulary` has to say which.
    pub draft_vocab_size: Option<usize>,
    /// A reduced vocabulary.
    pub vocabulary: Option<VocabularySource>,
    /// Draft decoder layers: 1, or 5 for block drafters.
    pub num_layers: Option<usize>,
    /// Kind of the draft layers: Llama for EAGLE-3, Qwen 3 for the others.
    pub draft_arch: Option<DraftLayer>,
    /// Gate activation: `silu`, whatever the verifier's is.
    pub hidden_act: Option<HiddenAct>,
    /// Verifier layers the head reads, counted as "after k layers have run": 2, n/2 and n-3.
    pub aux_layers: Option<Vec<usize>>,
    /// The residual of the first layer is the normalized `fc` output; EAGLE-3 and P-EAGLE.
    pub norm_before_residual: Option<bool>,
    /// One norm over the concatenated states before `fc`; EAGLE-3 and P-EAGLE.
    pub norm_before_fc: Option<bool>,
    /// One norm per state before `fc`; EAGLE-3 and P-EAGLE.
    pub fc_norm: Option<bool>,
    /// The normalized output is fed to the next draft step; EAGLE-3 and P-EAGLE.
    pub norm_output: Option<bool>,
    /// Width of the attention window of draft layers that slide: 2048.
    pub sliding_window: Option<usize>,
    /// Draft layers, counted from 0, that see everything; all others slide.
    pub full_attention_layers: Vec<usize>,
    /// Layers that slide see all of the block; block drafters.
    pub sliding_window_non_causal: Option<bool>,
    /// Positions of a block; block drafters.
    pub block_size: Option<usize>,
    /// The first position of a block predicts a token, too; block drafters.
    pub sample_from_anchor: Option<bool>,
    /// Token that stands for one not drafted yet; all but EAGLE-3.
    pub mask_token_id: Option<usize>,
    /// Rank of the bias from the previous token, 0 for none; DSpark.
    pub markov_rank: Option<usize>,
    /// How that bias depends on the state; DSpark.
    pub markov_head_type: Option<MarkovHead>,
    /// A head that foretells acceptance; DSpark.
    pub enable_confidence_head: Option<bool>,
    /// It reads the embedding of the previous token, too; DSpark.
    pub confidence_head_with_markov: Option<bool>,
    /// Draft tokens per step the head asks for.
    pub speculative_tokens: Option<usize>,
    /// Dtype of the weights: bfloat16.
    pub dtype: Option<FloatType>,
    /// Seed of everything random.
    pub seed: u64,
    /// Replaces an existing output once the new one is complete.
    pub force: bool,
}

impl InitRequest {
    /// A head with everything decided by rule; the verifier is named by its path.
    #[must_use]
    pub fn new(
        verifier: impl Into<PathBuf>,
        output: impl Into<PathBuf>,
        algorithm: Algorithm,
    ) -> InitRequest {
        let verifier = verifier.into();
        InitRequest {
            verifier_name: verifier.display().to_string(),
            verifier,
            output: output.into(),
            algorithm,
            draft_vocab_size: None,
            vocabulary: None,
            num_layers: None,
            draft_arch: None,
            hidden_act: None,
            aux_layers: None,
            norm_before_residual: None,
            norm_before_fc: None,
            fc_norm: None,
            norm_output: None,
            sliding_window: None,
            full_attention_layers: Vec::new(),
            sliding_window_non_causal: None,
            block_size: None,
            sample_from_anchor: None,
            mask_token_id: None,
            markov_rank: None,
            markov_head_type: None,
            enable_confidence_head: None,
            confidence_head_with_markov: None,
            speculative_tokens: None,
            dtype: None,
            seed: DEFAULT_SEED,
            force: false,
        }
    }

    /// Whether the draft fills blocks of masked tokens.
    fn is_block(&self) -> bool {
        matches!(self.algorithm, Algorithm::DFlash | Algorithm::DSpark)
    }
}

/// A decided head.
#[derive(Debug)]
pub struct InitPlan {
    verifier: Checkpoint,
    facts: VerifierFacts,
    output: PathBuf,
    force: bool,
    description: Description,
    map: Option<VocabularyMap>,
    rows: Vec<Row>,
    shown: Vec<InitRow>,
    decisions: Vec<Decision>,
    config: Map<String, Value>,
}

/// What was written.
#[derive(Clone, Debug, Serialize)]
pub struct InitReport {
    /// The directory.
    pub output: PathBuf,
    /// Bytes of the weights file, header included.
    pub bytes: u64,
    /// The head.
    pub description: Description,
    /// One row per tensor, in the order of the file.
    pub tensors: Vec<InitRow>,
    /// What was decided for the caller, with reasons.
    pub decisions: Vec<Decision>,
}

/// Decides a head without writing anything.
///
/// # Errors
/// S101 to S107 for the verifier's files and config, S410 for what is no verifier; S108 for the output; S001 and S021 for
/// options; S402 for a vocabulary of another verifier; S412 for a rope type that is not supported; S441 to S446 for what
/// this verifier leaves open; S201 and S203 for the tensors a head takes over.
pub fn plan(request: &InitRequest) -> Result<InitPlan> {
    let mut problems = options::check(request);
    let checkpoint = Checkpoint::open(&request.verifier).map_err(|found| problems.extend(found));
    let Ok(checkpoint) = checkpoint else {
        return Err(problems);
    };
    let verifier =
        verifier::Verifier::read(checkpoint.config()).map_err(|found| problems.extend(found));
    let Ok(verifier) = verifier else {
        return Err(problems);
    };
    let mut decisions = verifier.decisions.clone();
    let map = vocabulary::decide(request, &verifier, &mut decisions);
    let map = map.map_err(|found| problems.extend(found)).ok();
    let decoder = decoder::decide(request, &verifier, &mut decisions);
    let decoder = decoder.map_err(|found| problems.extend(found)).ok();
    let kind = kind::decide(request, &verifier, &mut decisions);
    let kind = kind.map_err(|found| problems.extend(found)).ok();
    let (Some(map), Some(decoder), Some(kind), true) = (map, decoder, kind, problems.is_empty())
    else {
        return Err(problems);
    };
    let draft = kind::Draft {
        request,
        verifier: &verifier,
        decoder: &decoder,
        kind: &kind,
        map: map.as_ref(),
    };
    decisions.push(Decision::settled(
        "seed",
        request.seed,
        "of the random weights; the same seed gives the same bytes on every machine",
    ));
    let description = draft.description();
    let (rows, shown) = rows::lay_out(&draft, &description, &checkpoint, &mut decisions)?;
    let config = config::build(&draft, &description, &shown, &decisions);
    Ok(InitPlan {
        facts: verifier.facts(decoder.rope.clone()),
        verifier: checkpoint,
        output: request.output.clone(),
        force: request.force,
        description,
        map,
        rows,
        shown,
        decisions,
        config,
    })
}

impl InitPlan {
    /// The head as it will be written.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// One row per tensor, in the order of the file.
    #[must_use]
    pub fn tensors(&self) -> &[InitRow] {
        &self.shown
    }

    /// What was decided for the caller, with reasons.
    #[must_use]
    pub fn decisions(&self) -> &[Decision] {
        &self.decisions
    }

    /// The `config.json` that will be written, without the digests of the verifier's tensors.
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

    /// The verifier is the only checkpoint that rows are made from.
    fn sources(&self) -> Sources<'_> {
        Sources {
            source: &self.verifier,
            verifier: None,
        }
    }
}

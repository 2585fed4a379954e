//! A speculator of any kind: which algorithm a checkpoint holds, and the family of code that opens it.
//!
//! The families differ in tensors, configs and rules; what all have in common is asked here.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use serde::Serialize;

use crate::Result;
use crate::block::{BlockDescription, BlockHead};
use crate::checkpoint::{Checkpoint, TensorView};
use crate::decision::Decision;
use crate::eagle::{EagleDescription, EagleHead};
use crate::head::{Dropped, Head, HeadDescription, Layout};
use crate::mtp::{MtpDescription, MtpHead};
use crate::options::ReadOptions;
use crate::verifier::{VerifierConfig, VerifierFacts};
use crate::vocabulary::VocabularyMap;

mod recognize;

pub(crate) use recognize::algorithm;

/// How a head drafts: the value of `speculators_model_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// EAGLE-1, EAGLE-2 and HASS: one state of the verifier, its output matrix.
    Eagle,
    /// EAGLE-3 and 3.1: several states of the verifier, an output matrix of its own.
    Eagle3,
    /// P-EAGLE: EAGLE-3 that drafts all tokens in one pass, from a mask token and a learned state.
    PEagle,
    /// DFlash: a block of masked tokens is filled in one pass.
    DFlash,
    /// DFlash with convolutions and a selector over candidates.
    DFlash2,
    /// DFlash with a Markov bias and a confidence head.
    DSpark,
    /// DFlash with a low-rank refiner.
    XPress,
    /// The multi-token-prediction layer of a verifier.
    Mtp,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Algorithm; 8] = [
        Algorithm::Eagle,
        Algorithm::Eagle3,
        Algorithm::PEagle,
        Algorithm::DFlash,
        Algorithm::DFlash2,
        Algorithm::DSpark,
        Algorithm::XPress,
        Algorithm::Mtp,
    ];

    /// The value of `speculators_model_type`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Algorithm::Eagle => "eagle",
            Algorithm::Eagle3 => "eagle3",
            Algorithm::PEagle => "peagle",
            Algorithm::DFlash => "dflash",
            Algorithm::DFlash2 => "dflash2",
            Algorithm::DSpark => "dspark",
            Algorithm::XPress => "xpress",
            Algorithm::Mtp => "mtp",
        }
    }
}

impl std::fmt::Display for Algorithm {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = ();

    fn from_str(name: &str) -> std::result::Result<Algorithm, ()> {
        Algorithm::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
            .ok_or(())
    }
}

/// A speculator opened from disk.
#[derive(Debug)]
pub enum Speculator {
    /// EAGLE-3 or P-EAGLE.
    Eagle3(Head),
    /// EAGLE-1, EAGLE-2 or HASS.
    Eagle(EagleHead),
    /// DFlash, DFlash2, DSpark or XPress.
    Block(BlockHead),
    /// The prediction layer of a verifier.
    Mtp(MtpHead),
}

/// What a speculator is, independent of layout.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Description {
    /// EAGLE-3 or P-EAGLE.
    Eagle3(HeadDescription),
    /// EAGLE-1, EAGLE-2 or HASS.
    Eagle(EagleDescription),
    /// DFlash, DFlash2, DSpark or XPress.
    Block(BlockDescription),
    /// The prediction layer of a verifier.
    Mtp(MtpDescription),
}

impl Description {
    /// The description of an EAGLE-3 or P-EAGLE head, if it is one.
    #[must_use]
    pub fn head(&self) -> Option<&HeadDescription> {
        match self {
            Description::Eagle3(head) => Some(head),
            Description::Eagle(_) => None,
            Description::Block(_) => None,
            Description::Mtp(_) => None,
        }
    }
}

impl Speculator {
    /// Opens a speculator of any kind and layout this version knows.
    ///
    /// # Errors
    /// Every problem found in one run, as the family's own `open` reports them; S110 for a kind that is not known.
    pub fn open(
        path: &Path,
        verifier: Option<&VerifierConfig>,
        options: &ReadOptions,
    ) -> Result<Speculator> {
        Speculator::from_checkpoint(Checkpoint::open(path)?, verifier, options)
    }

    /// Resolves a checkpoint that is open already.
    ///
    /// # Errors
    /// As [`Speculator::open`].
    pub fn from_checkpoint(
        checkpoint: Checkpoint,
        verifier: Option<&VerifierConfig>,
        options: &ReadOptions,
    ) -> Result<Speculator> {
        let facts = verifier.map(VerifierFacts::from);
        Speculator::resolve(checkpoint, facts.as_ref(), options)
    }

    /// The same with the few numbers of a verifier that matter here, whatever its family.
    pub(crate) fn resolve(
        checkpoint: Checkpoint,
        verifier: Option<&VerifierFacts>,
        options: &ReadOptions,
    ) -> Result<Speculator> {
        match algorithm(&checkpoint)? {
            Algorithm::Eagle3 | Algorithm::PEagle => {
                Head::resolve(checkpoint, verifier, options).map(Speculator::Eagle3)
            }
            Algorithm::Eagle => {
                EagleHead::resolve(checkpoint, verifier, options).map(Speculator::Eagle)
            }
            Algorithm::DFlash | Algorithm::DFlash2 | Algorithm::DSpark | Algorithm::XPress => {
                BlockHead::resolve(checkpoint, verifier, options).map(Speculator::Block)
            }
            Algorithm::Mtp => MtpHead::resolve(checkpoint, verifier, options).map(Speculator::Mtp),
        }
    }

    /// How it drafts.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Speculator::Eagle3(head) => head.description.algorithm,
            Speculator::Eagle(_) => Algorithm::Eagle,
            Speculator::Block(head) => head.description.algorithm(),
            Speculator::Mtp(_) => Algorithm::Mtp,
        }
    }

    /// The files.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        match self {
            Speculator::Eagle3(head) => &head.checkpoint,
            Speculator::Eagle(head) => &head.checkpoint,
            Speculator::Block(head) => &head.checkpoint,
            Speculator::Mtp(head) => &head.checkpoint,
        }
    }

    /// Recognized layout.
    #[must_use]
    pub fn layout(&self) -> Layout {
        match self {
            Speculator::Eagle3(head) => head.layout,
            Speculator::Eagle(head) => head.layout,
            Speculator::Block(head) => head.layout,
            Speculator::Mtp(head) => head.layout,
        }
    }

    /// What it is, independent of layout.
    #[must_use]
    pub fn description(&self) -> Description {
        match self {
            Speculator::Eagle3(head) => Description::Eagle3(head.description.clone()),
            Speculator::Eagle(head) => Description::Eagle(head.description.clone()),
            Speculator::Block(head) => Description::Block(head.description.clone()),
            Speculator::Mtp(head) => Description::Mtp(head.description.clone()),
        }
    }

    /// Canonical (speculators) tensor name → name in the checkpoint.
    #[must_use]
    pub fn tensors(&self) -> &BTreeMap<String, String> {
        match self {
            Speculator::Eagle3(head) => &head.tensors,
            Speculator::Eagle(head) => &head.tensors,
            Speculator::Block(head) => &head.tensors,
            Speculator::Mtp(head) => &head.tensors,
        }
    }

    /// What was resolved, with reasons.
    #[must_use]
    pub fn decisions(&self) -> &[Decision] {
        match self {
            Speculator::Eagle3(head) => &head.decisions,
            Speculator::Eagle(head) => &head.decisions,
            Speculator::Block(head) => &head.decisions,
            Speculator::Mtp(head) => &head.decisions,
        }
    }

    /// Source tensors that are left out, with reasons.
    #[must_use]
    pub fn dropped(&self) -> &[Dropped] {
        match self {
            Speculator::Eagle3(head) => &head.dropped,
            Speculator::Eagle(head) => &head.dropped,
            Speculator::Block(head) => &head.dropped,
            Speculator::Mtp(head) => &head.dropped,
        }
    }

    /// Which verifier token each draft token stands for; `None` when the vocabulary is not reduced.
    #[must_use]
    pub fn vocabulary_map(&self) -> Option<&VocabularyMap> {
        match self {
            Speculator::Eagle3(head) => head.vocabulary_map(),
            Speculator::Eagle(_) => None,
            Speculator::Block(head) => head.vocabulary_map(),
            Speculator::Mtp(_) => None,
        }
    }

    /// A tensor by its canonical name, wherever the source keeps it.
    #[must_use]
    pub fn tensor(&self, canonical: &str) -> Option<TensorView<'_>> {
        match self {
            Speculator::Eagle3(head) => head.tensor(canonical),
            Speculator::Block(head) => head.tensor(canonical),
            Speculator::Eagle(_) | Speculator::Mtp(_) => {
                self.checkpoint().tensor(self.tensors().get(canonical)?)
            }
        }
    }
}

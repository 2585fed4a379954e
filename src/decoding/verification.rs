//! How a draft is verified: which of its tokens are kept, and what follows them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use speculators_formats::{Diagnostic, codes};
use speculators_kernels::{
    Accepted, DraftVocabulary, Draws, LossyAccepted, LossyThresholds, LossyTypical, Proposal,
    Sampling, VerifyTree, cpu,
};

use super::drafter::Drawing;
use super::sequence::Sequence;
use super::strategy::Drafting;
use crate::Result;

/// How a draft is verified.
///
/// All but the last two leave the output what plain decoding makes of it: [`Verification::Match`] token for token,
/// the others in distribution.
#[derive(Clone, Copy, Debug, Default, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum Verification {
    /// The verifier chooses at every node, with noise that depends on the position alone; draft tokens are kept as far
    /// as they are what it has chosen ([`cpu::accept`]). Drafts are the head's likeliest tokens.
    #[default]
    Match,
    /// The head draws its tokens, and each is accepted by how probable both find it: rejection sampling
    /// ([`cpu::chain_reject`]), on static trees among siblings drawn without replacement ([`cpu::tree_residual`]).
    Rejection,
    /// The head draws a chain, which is verified as a whole ([`cpu::block_verify`]).
    Block,
    /// Lossy: typical acceptance ([`cpu::lossy_typical`]).
    Typical {
        /// What is always probable enough.
        epsilon: f32,
        /// The share of the typical probability that is probable enough.
        delta: f32,
    },
    /// Lossy: SGLang's thresholds ([`cpu::lossy_thresholds`]).
    Thresholds {
        /// A token at least this probable is accepted.
        single: f32,
        /// Divides the probability that a token and its siblings before it have together.
        accumulated: f32,
    },
}

impl fmt::Display for Verification {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verification::Match => formatter.write_str("matching"),
            Verification::Rejection => formatter.write_str("rejection sampling"),
            Verification::Block => formatter.write_str("block verification"),
            Verification::Typical { epsilon, delta } => {
                write!(formatter, "typical acceptance ({epsilon}, {delta})")
            }
            Verification::Thresholds {
                single,
                accumulated,
            } => write!(formatter, "thresholds ({single}, {accumulated})"),
        }
    }
}

impl Verification {
    /// Whether the output is no longer distributed as that of plain decoding.
    #[must_use]
    pub fn is_lossy(&self) -> bool {
        matches!(
            self,
            Verification::Typical { .. } | Verification::Thresholds { .. }
        )
    }

    /// Whether the head draws its tokens.
    pub(crate) fn draws(&self) -> bool {
        matches!(self, Verification::Rejection | Verification::Block)
    }

    /// The rule that is in effect: without chance, all that are lossless are one.
    pub(crate) fn under(self, sampling: &Sampling) -> Verification {
        match self {
            Verification::Rejection | Verification::Block if sampling.is_greedy() => {
                Verification::Match
            }
            rule => rule,
        }
    }

    /// That drafts of this kind can be verified so.
    pub(crate) fn check(&self, drafting: &Drafting, sampling: &Sampling) -> Result<()> {
        let problem = match (self, drafting) {
            (rule, _) if rule.is_lossy() && sampling.is_greedy() => Diagnostic::error(
                codes::USAGE,
                "a lossy rule was asked for at temperature 0, where it has nothing to decide",
            )
            .help("sample at a temperature above 0, or leave the rule out"),
            (Verification::Block, Drafting::DynamicTree { .. } | Drafting::StaticTree(_)) => {
                Diagnostic::error(
                    codes::USAGE,
                    "block verification was asked for with a tree, and is defined for chains",
                )
                .help("draft a chain, or verify by matching")
            }
            (Verification::Rejection, Drafting::DynamicTree { .. }) => Diagnostic::error(
                codes::USAGE,
                "rejection sampling was asked for with a dynamic tree",
            )
            .note("a dynamic tree keeps drawn tokens for being likely, which biases what comes out")
            .help("use a static tree or a chain, or verify by matching"),
            (Verification::Rejection, Drafting::StaticTree(tree)) => match tree.gap() {
                None => return Ok(()),
                Some(path) => Diagnostic::error(
                    codes::USAGE,
                    format!("rejection sampling was asked for with a tree that has path {path:?} without the sibling before it"),
                )
                .note("siblings are drawn one after the other, and the first of them must all be verified")
                .help("list the siblings of lower rank as well, or verify by matching"),
            },
            _ => return Ok(()),
        };
        Err(problem.into())
    }

    /// Has the verifier look at a tree, and decides what of it is kept. `drawing` has what the head drew from.
    pub(crate) fn verify(
        &self,
        sequence: &mut Sequence<'_>,
        tree: &VerifyTree,
        drawing: &mut Drawing,
        vocabulary: &DraftVocabulary,
        mut draws: Draws,
    ) -> Result<Accepted> {
        let (parents, tokens) = (&tree.parents, &tree.tokens);
        if *self == Verification::Match {
            return Ok(cpu::accept(parents, tokens, sequence.verify(tree)?)?);
        }
        let target = sequence.distributions(tree)?;
        let lossy = |LossyAccepted { path, bonus }| Accepted { path, bonus };
        match *self {
            Verification::Typical { epsilon, delta } => {
                let rule = LossyTypical { epsilon, delta };
                return Ok(lossy(cpu::lossy_typical(parents, tokens, target, &rule)?));
            }
            Verification::Thresholds {
                single,
                accumulated,
            } => {
                let rule = LossyThresholds {
                    single,
                    accumulated,
                };
                let found = cpu::lossy_thresholds(parents, tokens, target, &rule, &mut draws)?;
                return Ok(lossy(found));
            }
            _ => {}
        }
        let drafted = &tokens[1..];
        let is_chain = parents
            .iter()
            .zip(-1..)
            .all(|(parent, node)| *parent == node);
        // The rules for chains do not ask what would have been drawn behind the last token.
        let rows = if is_chain {
            drafted.len()
        } else {
            tokens.len()
        };
        let proposal = Proposal::Drawn {
            probabilities: drawing.distributions(rows * vocabulary.draft_width()),
            vocabulary,
        };
        Ok(match (self, is_chain) {
            (Verification::Block, _) => cpu::block_verify(drafted, target, &proposal, &mut draws)?,
            (_, true) => cpu::chain_reject(drafted, target, &proposal, &mut draws)?,
            (_, false) => cpu::tree_residual(parents, tokens, target, &proposal, &mut draws)?,
        })
    }
}

//! How to decode: what is drafted for a step, and how tokens are chosen.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use speculators_formats::{Diagnostic, codes};
use speculators_kernels::{Penalties, Sampling};

use super::calibration::Calibration;
use super::choosing::Choosing;
use super::static_tree::StaticTree;
use super::verification::Verification;
use crate::Result;

/// The longest path that can be drafted, in a chain as in a tree.
pub const MAX_SPECULATIVE_TOKENS: usize = 63;
/// The most draft tokens that a tree can have.
pub const MAX_TREE_TOKENS: usize = 255;
/// The most children that a node of a tree can have.
pub const MAX_TREE_WIDTH: usize = 64;

/// How drafts are made, and how tokens are chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Strategy {
    /// What the head proposes for each step.
    pub drafting: Drafting,
    /// How the verifier chooses, and with it plain decoding.
    pub sampling: Sampling,
    /// What is taken off the logits of tokens that have occurred, before sampling.
    pub penalties: Penalties,
    /// What of a draft is kept.
    pub verification: Verification,
}

impl Strategy {
    /// Drafts that are verified by matching, without penalties.
    #[must_use]
    pub fn new(drafting: Drafting, sampling: Sampling) -> Strategy {
        Strategy {
            drafting,
            sampling,
            penalties: Penalties::none(),
            verification: Verification::Match,
        }
    }

    /// How the verifier chooses.
    #[must_use]
    pub fn choosing(&self) -> Choosing {
        Choosing {
            sampling: self.sampling,
            penalties: self.penalties,
        }
    }

    /// That it can be run with a head that drafts among `vocabulary` tokens.
    pub(crate) fn check(&self, vocabulary: usize) -> Result<()> {
        self.drafting.check(vocabulary)?;
        self.verification.check(&self.drafting, &self.sampling)
    }

    /// The largest logit always, and a chain of `num_speculative_tokens` for each step.
    #[must_use]
    pub fn greedy_chain(num_speculative_tokens: usize) -> Strategy {
        let chain = Drafting::Chain {
            num_speculative_tokens,
        };
        Strategy::new(chain, Sampling::greedy())
    }
}

/// What the head proposes for each step.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case")]
pub enum Drafting {
    /// The most likely token, the most likely one after it, and so on.
    Chain {
        /// Draft tokens per step.
        num_speculative_tokens: usize,
    },
    /// A tree that grows where the head is surest.
    DynamicTree(DynamicTree),
    /// A tree of the same shape for each step.
    StaticTree(StaticTree),
}

/// A tree that grows where the head is surest (EAGLE-2, arXiv 2406.16858): every level expands the `top_k` best nodes
/// of the level before by their `top_k` likeliest tokens, and of all that was seen the `budget` best are verified. A
/// node is as good as the product of the probabilities that the head gives the tokens on the path to it.
///
/// The default is the setting in which EAGLE-3 was published (60 tokens in a verifier pass, its root among them), so
/// that acceptance lengths can be compared.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct DynamicTree {
    /// Nodes that are expanded in each level, and children of each of them.
    pub top_k: usize,
    /// Levels: the longest path, in draft tokens. The head runs once for each.
    pub depth: usize,
    /// Draft tokens that are verified, at most.
    pub budget: usize,
    /// What the head's probabilities are worth: nodes are then as good as the product of these probabilities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
}

impl Default for DynamicTree {
    fn default() -> DynamicTree {
        DynamicTree {
            top_k: 10,
            depth: 8,
            budget: 59,
            calibration: None,
        }
    }
}

impl fmt::Display for Drafting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tokens = self.tokens();
        match self {
            Drafting::Chain { .. } => write!(formatter, "{tokens} draft tokens per step"),
            Drafting::DynamicTree(tree) => {
                let kind = match tree.calibration {
                    Some(_) => "calibrated dynamic",
                    None => "dynamic",
                };
                let (top_k, depth) = (tree.top_k, tree.depth);
                write!(
                    formatter,
                    "a {kind} tree of up to {tokens} draft tokens per step (top-k {top_k}, depth {depth})"
                )
            }
            Drafting::StaticTree(tree) => {
                let depth = tree.depth();
                write!(
                    formatter,
                    "a static tree of {tokens} draft tokens per step (depth {depth})"
                )
            }
        }
    }
}

impl Drafting {
    /// The most draft tokens of a step.
    #[must_use]
    pub fn tokens(&self) -> usize {
        match self {
            Drafting::Chain {
                num_speculative_tokens,
            } => *num_speculative_tokens,
            Drafting::DynamicTree(tree) => tree.budget.min(tree.candidates()),
            Drafting::StaticTree(tree) => tree.paths().len(),
        }
    }

    /// The most draft tokens of a step that can be accepted.
    #[must_use]
    pub fn depth(&self) -> usize {
        match self {
            Drafting::Chain {
                num_speculative_tokens,
            } => *num_speculative_tokens,
            // A path takes one token of the budget per level.
            Drafting::DynamicTree(tree) => tree.depth.min(tree.budget),
            Drafting::StaticTree(tree) => tree.depth(),
        }
    }

    /// That it can be run with a head that drafts among `vocabulary` tokens.
    pub(crate) fn check(&self, vocabulary: usize) -> Result<()> {
        let within = |what: &str, found: usize, most: usize| {
            if (1..=most).contains(&found) {
                return None;
            }
            let title = format!("{found} {what} asked for, 1 to {most} are possible");
            Some(Diagnostic::error(codes::USAGE, title))
        };
        let problems: Vec<Diagnostic> = match self {
            Drafting::Chain {
                num_speculative_tokens,
            } => {
                let what = "draft tokens per step were";
                within(what, *num_speculative_tokens, MAX_SPECULATIVE_TOKENS)
                    .into_iter()
                    .collect()
            }
            Drafting::DynamicTree(tree) => [
                within("children per node were", tree.top_k, MAX_TREE_WIDTH),
                within("levels were", tree.depth, MAX_SPECULATIVE_TOKENS),
                within("draft tokens per tree were", tree.budget, MAX_TREE_TOKENS),
            ]
            .into_iter()
            .flatten()
            .collect(),
            // The rest was looked at when it was made.
            Drafting::StaticTree(tree) => {
                let what = "children per node were";
                within(what, tree.width(), vocabulary).into_iter().collect()
            }
        };
        if problems.is_empty() {
            Ok(())
        } else {
            Err(problems.into())
        }
    }
}

impl DynamicTree {
    /// Nodes that are looked at while the tree grows.
    fn candidates(&self) -> usize {
        self.top_k + self.depth.saturating_sub(1) * self.top_k * self.top_k
    }
}

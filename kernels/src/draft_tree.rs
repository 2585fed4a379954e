//! Draft trees: while they grow, and as they are verified.

use std::cmp::Ordering;

use crate::{Result, causal_bits, shape};

/// All candidates of a growing draft tree (EAGLE-2): [`tree_step`](crate::cpu::tree_step) adds a level,
/// [`tree_finalize`](crate::cpu::tree_finalize) keeps the best.
///
/// A candidate's score is the sum of the log-probabilities on the path to it. NaN counts as minus infinity and
/// positive numbers as 0, so that a child never scores above its parent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DraftTree {
    /// Of each candidate, its token.
    pub(crate) tokens: Vec<u32>,
    /// Of each candidate, its score.
    pub(crate) scores: Vec<f32>,
    /// Of each candidate, the index of its parent among the candidates; -1 is the root.
    pub(crate) parents: Vec<i32>,
    /// The candidates that the next step expands, best first.
    pub(crate) frontier: Vec<usize>,
    /// Of each node of the frontier, its ancestors and itself among the slots of the draft cache, one slot for each
    /// node that was ever in a frontier, in that order.
    pub(crate) slots: Vec<Vec<usize>>,
    /// Nodes that were ever in a frontier.
    pub(crate) expanded: usize,
}

impl DraftTree {
    /// A tree that has only its root.
    #[must_use]
    pub fn new() -> DraftTree {
        DraftTree::default()
    }

    /// Number of candidates, the root not counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether no step was taken yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Rows of the next step: 1 before the first (the root), later the nodes of the frontier.
    #[must_use]
    pub fn rows(&self) -> usize {
        if self.is_empty() {
            1
        } else {
            self.frontier.len()
        }
    }

    /// The tokens of the frontier, best first: the inputs of the next draft pass.
    #[must_use]
    pub fn frontier_tokens(&self) -> Vec<u32> {
        self.frontier
            .iter()
            .map(|index| self.tokens[*index])
            .collect()
    }

    /// Slots that the draft cache has for this tree once the frontier has been appended to it.
    #[must_use]
    pub fn tail(&self) -> usize {
        self.expanded
    }

    /// The mask of the next draft pass, `[frontier, tail.div_ceil(32)]`: each node of the frontier sees its ancestors
    /// and itself among the slots appended since the root.
    #[must_use]
    pub fn frontier_bits(&self) -> Vec<u32> {
        let words = self.tail().div_ceil(32);
        let mut bits = vec![0; self.frontier.len() * words];
        for (row, slots) in self.slots.iter().enumerate() {
            for slot in slots {
                bits[row * words + slot / 32] |= 1 << (slot % 32);
            }
        }
        bits
    }

    /// Of each candidate, its score.
    #[must_use]
    pub fn scores(&self) -> &[f32] {
        &self.scores
    }

    /// Of each candidate, its token.
    #[must_use]
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Of each candidate, the index of its parent among the candidates; -1 is the root.
    #[must_use]
    pub fn parents(&self) -> &[i32] {
        &self.parents
    }

    /// The order of candidates: higher score first, then smaller index. Scores are never NaN.
    pub(crate) fn order(&self, left: usize, right: usize) -> Ordering {
        self.scores[right]
            .total_cmp(&self.scores[left])
            .then(left.cmp(&right))
    }
}

/// A tree to be verified: node 0 is the root, the token emitted last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyTree {
    /// Of each node, its token.
    pub tokens: Vec<u32>,
    /// Of each node, its parent, which comes before it; -1 for the root.
    pub parents: Vec<i32>,
    /// Of each node, its distance from the root; its position is that of the root plus this.
    pub depths: Vec<u32>,
    /// Words per row of `bits`: one for each 32 nodes.
    pub words: usize,
    /// `[nodes, words]`: the ancestors of each node and itself, as in [`crate::TreeMask`].
    pub bits: Vec<u32>,
}

impl VerifyTree {
    /// A tree of these nodes; depths and masks are derived. `parents` has -1 first, for the root, and then the index of
    /// an earlier node each.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`](crate::Error::Shape) when the lengths differ or there is no root,
    /// [`Error::Range`](crate::Error::Range) when a parent does not come before its child.
    pub fn from_parents(tokens: Vec<u32>, parents: Vec<i32>) -> Result<VerifyTree> {
        const OPERATION: &str = "VerifyTree::from_parents";
        shape::equal(OPERATION, "tokens", parents.len(), tokens.len())?;
        shape::parents(OPERATION, &parents)?;
        let (nodes, words) = (parents.len(), parents.len().div_ceil(32));
        let mut depths = vec![0; nodes];
        let mut bits = vec![0; nodes * words];
        for node in 0..nodes {
            if let Ok(parent) = usize::try_from(parents[node]) {
                depths[node] = depths[parent] + 1;
                bits.copy_within(parent * words..(parent + 1) * words, node * words);
            }
            bits[node * words + node / 32] |= 1 << (node % 32);
        }
        Ok(VerifyTree {
            tokens,
            parents,
            depths,
            words,
            bits,
        })
    }

    /// A chain: each of the drafted tokens below the one before it, the first below `root`.
    #[must_use]
    pub fn chain(root: u32, drafted: &[u32]) -> VerifyTree {
        let nodes = drafted.len() + 1;
        VerifyTree {
            tokens: std::iter::once(root)
                .chain(drafted.iter().copied())
                .collect(),
            parents: (-1..drafted.len() as i32).collect(),
            depths: (0..nodes as u32).collect(),
            words: nodes.div_ceil(32),
            bits: causal_bits(nodes),
        }
    }
}

/// What a verification has accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The accepted nodes from the first below the root downwards, ascending; the root is not among them.
    pub path: Vec<usize>,
    /// The token that follows the last accepted node (or the root): what the verifier chose there.
    pub bonus: u32,
}

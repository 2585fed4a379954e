use crate::proposal::value;
use crate::{
    Accepted, Chance, DraftVocabulary, Event, Probability, Proposal, Purpose, Result, shape,
};

/// Verifies a tree whose siblings were drawn without replacement: recursive rejection sampling (Jeon et al., arXiv
/// 2402.14160; EAGLE-1). The output has exactly the distribution of plain sampling.
///
/// `parents` and `tokens` are as for [`accept`](crate::cpu::accept). `target` is `[nodes, width]`, the verifier's
/// distribution behind each node; the distributions of `proposal` are those behind each node too (those of leaves are
/// not read).
///
/// Siblings are tried in the order of their indices, which must be the order they were drawn in. With `p_1 = p` and
/// `q_1 = q`, the `k`-th is accepted with probability `p_k(x_k) / q_k(x_k)`; if not, `p_{k+1}` is `max(p_k - q_k, 0)`,
/// normalized, over the whole of `q_k`, and `q_{k+1}` is `q_k` without `x_k`, normalized. Behind a node all of whose
/// children were rejected the bonus is drawn from what is then `p_k`. A token of probability 0 never comes out.
///
/// With [`Proposal::Chosen`] the `k`-th is accepted with probability `p_k(x_k)`, and `p_{k+1}` is `p_k` without it: the
/// verification of EAGLE-2. It has the distribution of sample-then-match ([`accept`](crate::cpu::accept) with drawn
/// targets), which is cheaper and gives the very tokens of plain sampling.
///
/// **What may be in the tree:** of those drawn behind a node, the first ones, however many, chosen without regard to
/// which tokens they are. A sibling to which `q_k` gives no probability (it was not drawn, or came before) is passed
/// over.
///
/// # Errors
///
/// Those of [`accept`](crate::cpu::accept); [`Error::Multiple`](crate::Error::Multiple),
/// [`Error::Range`](crate::Error::Range) for a token the verifier does not have.
pub fn tree_residual<P: Probability>(
    parents: &[i32],
    tokens: &[u32],
    target: &[P],
    proposal: &Proposal<'_, P>,
    chance: &mut impl Chance,
) -> Result<Accepted> {
    const OPERATION: &str = "tree_residual";
    let width = check(OPERATION, parents, tokens, target)?;
    proposal.check(OPERATION, parents.len(), width)?;

    let mut path = Vec::new();
    let mut node = 0;
    loop {
        let mut left = Left::new(&target[node * width..(node + 1) * width], proposal, node);
        let child = children(parents, node).find(|child| {
            let probability = left.acceptance(tokens[*child]);
            // Nothing to decide where the token cannot be accepted.
            let accepted = probability.is_some_and(|probability| {
                chance.happens(Event::new(Purpose::Acceptance, *child), probability)
            });
            if probability.is_some() && !accepted {
                left.reject(tokens[*child]);
            }
            accepted
        });
        match child {
            Some(child) => {
                path.push(child);
                node = child;
            }
            None => {
                let event = Event::new(Purpose::Bonus, node);
                let bonus = chance.token(event, width, |token| left.target[token]);
                return Ok(Accepted {
                    path,
                    bonus: bonus.unwrap_or(0),
                });
            }
        }
    }
}

/// The children of a node, in the order of their indices.
pub(crate) fn children(parents: &[i32], node: usize) -> impl Iterator<Item = usize> + '_ {
    (node + 1..parents.len()).filter(move |child| parents[*child] == node as i32)
}

/// The verifier's width.
pub(crate) fn check<P>(
    operation: &'static str,
    parents: &[i32],
    tokens: &[u32],
    target: &[P],
) -> Result<usize> {
    shape::parents(operation, parents)?;
    shape::equal(operation, "tokens", parents.len(), tokens.len())?;
    let rows = parents.len();
    let width = shape::rows(operation, "target probabilities", rows, target.len())?;
    for token in &tokens[1..] {
        shape::below(operation, "draft token", width, *token as usize)?;
    }
    Ok(width)
}

/// What is left of both distributions behind a node after some siblings were rejected.
struct Left<'a> {
    target: Vec<f64>,
    /// Of a proposal by chance, its distribution and the tokens of its columns.
    draft: Option<(Vec<f64>, &'a DraftVocabulary)>,
}

impl<'a> Left<'a> {
    fn new<P: Probability>(target: &[P], proposal: &Proposal<'a, P>, node: usize) -> Left<'a> {
        let values = |row: &[P]| row.iter().copied().map(value).collect();
        Left {
            target: values(target),
            draft: match proposal {
                Proposal::Chosen => None,
                Proposal::Drawn {
                    probabilities,
                    vocabulary,
                } => {
                    let width = vocabulary.draft_width();
                    let row = &probabilities[node * width..(node + 1) * width];
                    Some((values(row), *vocabulary))
                }
            },
        }
    }

    /// The probability to accept a token; nothing for one that was not drawn.
    fn acceptance(&self, token: u32) -> Option<f64> {
        let target = self.target[token as usize];
        match &self.draft {
            None => Some(target),
            Some((draft, vocabulary)) => vocabulary
                .to_draft(token)
                .map(|column| draft[column as usize])
                .filter(|draft| *draft > 0.0)
                .map(|draft| target / draft),
        }
    }

    fn reject(&mut self, token: u32) {
        let mut rest = self.target.clone();
        match &mut self.draft {
            None => rest[token as usize] = 0.0,
            Some((draft, vocabulary)) => {
                for (column, draft) in (0..).zip(draft.iter()) {
                    if let Some(token) = vocabulary.to_verifier(column) {
                        let rest = &mut rest[token as usize];
                        *rest = (*rest - draft).max(0.0);
                    }
                }
                if let Some(column) = vocabulary.to_draft(token) {
                    draft[column as usize] = 0.0;
                    normalize(draft);
                }
            }
        }
        // Where rounding has left nothing, what there was stays.
        if normalize(&mut rest) {
            self.target = rest;
        }
    }
}

/// Divides by the sum, unless that is 0.
fn normalize(weights: &mut [f64]) -> bool {
    let total: f64 = weights.iter().sum();
    if total > 0.0 {
        weights.iter_mut().for_each(|weight| *weight /= total);
    }
    total > 0.0
}

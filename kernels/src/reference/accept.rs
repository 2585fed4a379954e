use crate::{Accepted, Result, shape};

/// Walks a verified tree: from the root down, to the child whose token is what the verifier chose at its parent.
///
/// `parents` (-1 for node 0, the root, and smaller indices after it) and `tokens` describe the tree; `target` is the
/// verifier's choice at each node, the largest logit or a sample. Siblings have different tokens in a tree made by
/// [`tree_finalize`](crate::cpu::tree_finalize); where they do not, the first counts.
///
/// This is greedy verification, and with targets from [`sample`](crate::cpu::sample) sample-then-match. Both leave the
/// output of plain decoding untouched, token for token, whatever was drafted: the target of a node is what plain decoding
/// would have chosen there, as the noise of a sample depends on the position and not on the tree.
///
/// # Errors
///
/// [`Error::Shape`](crate::Error::Shape) when the lengths differ or there is no root, [`Error::Range`](crate::Error::Range) when a parent does not come before
/// its child.
pub fn accept(parents: &[i32], tokens: &[u32], target: &[u32]) -> Result<Accepted> {
    const OPERATION: &str = "accept";
    shape::equal(OPERATION, "tokens", parents.len(), tokens.len())?;
    shape::equal(OPERATION, "targets", parents.len(), target.len())?;
    shape::parents(OPERATION, parents)?;
    let mut path = Vec::new();
    let mut last = 0;
    // A parent comes before its children, so one pass meets each accepted node after the one it hangs off.
    for node in 1..parents.len() {
        if parents[node] == last as i32 && tokens[node] == target[last] {
            path.push(node);
            last = node;
        }
    }
    Ok(Accepted {
        path,
        bonus: target[last],
    })
}

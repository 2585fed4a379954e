use crate::{Accepted, Error, Result, shape};

/// Walks a verified tree: from the root down, to the child whose token is what the verifier chose at its parent.
///
/// `parents` (-1 for node 0, the root, and smaller indices after it) and `tokens` describe the tree; `target` is the
/// verifier's choice at each node, the largest logit or a sample. Siblings have different tokens in a tree made by
/// [`tree_finalize`](crate::cpu::tree_finalize); where they do not, the first counts.
///
/// This is greedy verification, and with sampled targets sample-then-match: both leave the distribution of plain
/// decoding untouched whatever was drafted.
///
/// # Errors
///
/// [`Error::Shape`] when the lengths differ or there is no root, [`Error::Range`] when a parent does not come before
/// its child.
pub fn accept(parents: &[i32], tokens: &[u32], target: &[u32]) -> Result<Accepted> {
    const OPERATION: &str = "accept";
    shape::equal(OPERATION, "tokens", parents.len(), tokens.len())?;
    shape::equal(OPERATION, "targets", parents.len(), target.len())?;
    if parents.first() != Some(&-1) {
        return Err(Error::Shape {
            operation: OPERATION,
            what: "roots (parent -1) at node 0",
            expected: 1,
            found: 0,
        });
    }
    let mut path = Vec::new();
    let mut last = 0;
    // A parent comes before its children, so one pass meets each accepted node after the one it hangs off.
    for node in 1..parents.len() {
        let parent = usize::try_from(parents[node]).unwrap_or(usize::MAX);
        shape::below(OPERATION, "parent of a node", node, parent)?;
        if parent == last && tokens[node] == target[parent] {
            path.push(node);
            last = node;
        }
    }
    Ok(Accepted {
        path,
        bonus: target[last],
    })
}

use crate::{DraftTree, Result, shape};

/// Adds a level to a draft tree: `width` candidates for each node of the frontier (for the root in the first step),
/// of which the `width` best over all become the next frontier.
///
/// `tokens` and `log_probabilities` are `[tree.rows(), width]`, the most probable tokens after each node and their
/// log-probabilities. Tokens are those of the verifier's vocabulary. A candidate scores
/// `score(parent) + log_probability`; ties go to the candidate with the smaller index.
///
/// Returns, for each node of the new frontier, the row of this step that its parent was: where its hidden state comes
/// from. The tokens are [`DraftTree::frontier_tokens`] and the mask [`DraftTree::frontier_bits`]. This is the
/// expansion of EAGLE-2 (arXiv 2406.16858, section 4.1).
///
/// # Errors
///
/// [`Error::Shape`](crate::Error::Shape), [`Error::Multiple`](crate::Error::Multiple). The tree stays as it was.
pub fn tree_step(
    tree: &mut DraftTree,
    tokens: &[u32],
    log_probabilities: &[f32],
) -> Result<Vec<usize>> {
    const OPERATION: &str = "tree_step";
    let rows = tree.rows();
    let width = shape::rows(OPERATION, "tokens", rows, tokens.len())?;
    shape::equal(
        OPERATION,
        "log-probabilities",
        tokens.len(),
        log_probabilities.len(),
    )?;

    let first = tree.len();
    for row in 0..rows {
        // Before the first step the frontier is empty and the only row is the root.
        let parent = tree.frontier.get(row).copied();
        let base = parent.map_or(0.0, |parent| tree.scores[parent]);
        for rank in 0..width {
            let log_probability = log_probabilities[row * width + rank];
            tree.tokens.push(tokens[row * width + rank]);
            tree.parents.push(parent.map_or(-1, |parent| parent as i32));
            tree.scores.push(base + not_positive(log_probability));
        }
    }

    let mut order: Vec<usize> = (first..tree.len()).collect();
    order.sort_by(|a, b| tree.order(*a, *b));
    order.truncate(width);
    let rows: Vec<usize> = order
        .iter()
        .map(|candidate| (candidate - first) / width)
        .collect();
    tree.slots = rows
        .iter()
        .enumerate()
        .map(|(place, row)| {
            let mut slots = tree.slots.get(*row).cloned().unwrap_or_default();
            slots.push(tree.expanded + place);
            slots
        })
        .collect();
    tree.expanded += order.len();
    tree.frontier = order;
    Ok(rows)
}

/// A log-probability that keeps scores ordered: NaN counts as minus infinity, positive numbers (rounding errors of a
/// normalization) as 0. The sum with 0 turns -0 into 0, which would otherwise sort below it.
fn not_positive(x: f32) -> f32 {
    if x.is_nan() {
        f32::NEG_INFINITY
    } else {
        x.min(0.0) + 0.0
    }
}

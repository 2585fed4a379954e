use super::tree_residual::check;
use crate::proposal::value;
use crate::{LossyAccepted, LossyTypical, Probability, Result};

/// Typical acceptance (Medusa, arXiv 2401.10774, section 2.3.1): a node is accepted where its parent is and
/// `p(x) > min(epsilon, delta * exp(-H(p)))`, `p` being the verifier's distribution behind the parent and `H` its
/// entropy. **The output does not have the distribution of plain sampling.**
///
/// Of all accepted paths the longest counts; of several, the most probable one, then the one that ends first. The bonus
/// is the most probable token behind it (the smallest id on ties), as Medusa starts its next candidates.
///
/// `parents` and `tokens` are as for [`accept`](crate::cpu::accept), `target` is `[nodes, width]`.
///
/// # Errors
///
/// Those of [`tree_residual`](crate::cpu::tree_residual); [`Error::Sampling`](crate::Error::Sampling).
pub fn lossy_typical<P: Probability>(
    parents: &[i32],
    tokens: &[u32],
    target: &[P],
    rule: &LossyTypical,
) -> Result<LossyAccepted> {
    const OPERATION: &str = "lossy_typical";
    rule.check(OPERATION)?;
    let width = check(OPERATION, parents, tokens, target)?;
    let row = |node: usize| {
        target[node * width..(node + 1) * width]
            .iter()
            .copied()
            .map(value)
    };

    // Of each accepted node, its depth, the log-probability of the path to it, and what a child must exceed.
    let mut accepted: Vec<Option<(usize, f64, f64)>> = vec![None; parents.len()];
    let threshold = |node: usize| {
        let typical: f64 = row(node).filter(|p| *p > 0.0).map(|p| p * p.ln()).sum();
        f64::from(rule.epsilon).min(f64::from(rule.delta) * typical.exp())
    };
    accepted[0] = Some((0, 0.0, threshold(0)));
    let mut last = 0;
    let mut longest = (0, 0.0);
    for node in 1..parents.len() {
        let parent = parents[node] as usize;
        let Some((depth, sum, limit)) = accepted[parent] else {
            continue;
        };
        let p = value(target[parent * width + tokens[node] as usize]);
        if p > limit {
            let (depth, sum) = (depth + 1, sum + p.ln());
            accepted[node] = Some((depth, sum, threshold(node)));
            if depth > longest.0 || depth == longest.0 && sum > longest.1 {
                (last, longest) = (node, (depth, sum));
            }
        }
    }

    let mut path = Vec::new();
    let mut node = last;
    while node != 0 {
        path.push(node);
        node = parents[node] as usize;
    }
    path.reverse();
    let mut bonus = (0, 0.0);
    for (token, p) in row(last).enumerate() {
        if p > bonus.1 {
            bonus = (token as u32, p);
        }
    }
    Ok(LossyAccepted {
        path,
        bonus: bonus.0,
    })
}

use super::tree_residual::{check, children};
use crate::proposal::value;
use crate::{Chance, Event, LossyAccepted, LossyThresholds, Probability, Purpose, Result};

/// The tree verification of SGLang with its thresholds. Of the children of a node, in the order of their indices, the
/// first is accepted with `u < s / accumulated`, where `s` is the probability of it and the siblings before it and `u`
/// one uniform number for all of them, or with `p(x) >= single`. The bonus is drawn from `p` without the children that
/// were rejected. **Unless both thresholds are 1, the output does not have the distribution of plain sampling.**
///
/// Each child is decided by a number of its own, with the probability that the common one would fall below its limit
/// given that it did not fall below those before: the same distribution. `parents` and `tokens` are as for
/// [`accept`](crate::cpu::accept), siblings must differ; `target` is `[nodes, width]`.
///
/// # Errors
///
/// Those of [`tree_residual`](crate::cpu::tree_residual); [`Error::Sampling`](crate::Error::Sampling).
pub fn lossy_thresholds<P: Probability>(
    parents: &[i32],
    tokens: &[u32],
    target: &[P],
    rule: &LossyThresholds,
    chance: &mut impl Chance,
) -> Result<LossyAccepted> {
    const OPERATION: &str = "lossy_thresholds";
    rule.check(OPERATION)?;
    let width = check(OPERATION, parents, tokens, target)?;
    let mut path = Vec::new();
    let mut node = 0;
    loop {
        let mut left: Vec<f64> = target[node * width..(node + 1) * width]
            .iter()
            .copied()
            .map(value)
            .collect();
        let mut sum = 0.0;
        // The common number is known to be at least this.
        let mut known = 0.0;
        let child = children(parents, node).find(|child| {
            let p = std::mem::take(&mut left[tokens[*child] as usize]);
            sum += p;
            let limit = (sum / f64::from(rule.accumulated)).min(1.0);
            let probability = if p >= f64::from(rule.single) {
                1.0
            } else {
                (limit - known) / (1.0 - known)
            };
            known = limit;
            chance.happens(Event::new(Purpose::Acceptance, *child), probability)
        });
        match child {
            Some(child) => {
                path.push(child);
                node = child;
            }
            None => {
                let event = Event::new(Purpose::Bonus, node);
                let bonus = chance.token(event, width, |token| left[token]);
                // Rounding may leave a number that is never reached, and no token.
                let bonus = bonus.or_else(|| {
                    let row = &target[node * width..(node + 1) * width];
                    let possible = row.iter().rposition(|p| value(*p) > 0.0)?;
                    Some(possible as u32)
                });
                return Ok(LossyAccepted {
                    path,
                    bonus: bonus.unwrap_or(0),
                });
            }
        }
    }
}

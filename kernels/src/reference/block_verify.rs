use super::chain_reject::Chain;
use crate::{Accepted, Chance, Event, Probability, Proposal, Purpose, Result};

/// Verifies a drafted chain as a whole: block verification (Sun et al., arXiv 2403.10444). The output has exactly the
/// distribution of plain sampling, and on average at least as many tokens are accepted as by
/// [`chain_reject`](crate::cpu::chain_reject), whose arguments these are.
///
/// With `w_0 = 1` and `w_t = min(1, w_{t-1} p(x_t) / q(x_t))`, let `R_t = Σ max(w_t p - q, 0)` over the distributions
/// behind `x_t`, `h_t = R_t / (R_t + 1 - w_t)` for all but the last token, and `h = w` for the last. The longest part
/// is accepted whose end has `u_t < h_t`, with a `u_t` for each end, uniform in [0, 1): what fails before does not
/// matter. The bonus is drawn from `max(w_t p - q, 0)`, or from `p` behind a chain all accepted.
///
/// A token to which `q` gives no probability was not drawn from `q`. The chain ends before it, as if it were shorter.
///
/// # Errors
///
/// Those of [`chain_reject`](crate::cpu::chain_reject).
pub fn block_verify<P: Probability>(
    drafted: &[u32],
    target: &[P],
    proposal: &Proposal<'_, P>,
    chance: &mut impl Chance,
) -> Result<Accepted> {
    let chain = Chain::new("block_verify", drafted, target, proposal)?;
    let length = chain.length();
    let mut weights = vec![1.0f64];
    for row in 0..length {
        weights.push((weights[row] * chain.ratio(row)).min(1.0));
    }
    // From the end, so that the first success is the longest part.
    for accepted in (1..=length).rev() {
        let weight = weights[accepted];
        let probability = if accepted == length || weight >= 1.0 {
            weight
        } else {
            let mass = chain.residual_mass(accepted, weight);
            mass / (mass + 1.0 - weight)
        };
        if chance.happens(Event::new(Purpose::Acceptance, accepted), probability) {
            let scale = Some(weight).filter(|_| accepted < length);
            return Ok(chain.ended(accepted, scale, chance));
        }
    }
    let scale = Some(1.0).filter(|_| length > 0);
    Ok(chain.ended(0, scale, chance))
}

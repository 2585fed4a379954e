use crate::proposal::value;
use crate::{Accepted, Chance, Event, Probability, Proposal, Purpose, Result, shape};

/// Verifies a drafted chain token by token: the rejection sampling of Leviathan et al. (arXiv 2211.17192) and Chen et
/// al. (arXiv 2302.01318). The output has exactly the distribution of plain sampling.
///
/// `drafted` are the verifier's tokens, `target` is `[drafted.len() + 1, width]`: the verifier's distribution behind the
/// root and behind each draft token. `proposal` says how the tokens came about; its rows are the first
/// `drafted.len()` of those.
///
/// Draft token `x` behind row `t` is accepted where `u < p_t(x) / q_t(x)`, with `u` uniform in [0, 1). Behind the first
/// one rejected, the bonus is drawn from `max(p_t - q_t, 0)`; behind a chain all accepted, from `p`. On average
/// `Σ min(p_t, q_t)` are accepted of those reached. A token of probability 0 never comes out. For a proposal made
/// without chance, `x` is accepted with probability `p(x)` and the bonus comes from `p` without `x`.
///
/// A token to which `q` gives no probability was not drawn from `q`. The chain ends before it, as if it were shorter.
///
/// [`block_verify`](crate::cpu::block_verify) accepts at least as many.
///
/// # Errors
///
/// [`Error::Shape`](crate::Error::Shape), [`Error::Multiple`](crate::Error::Multiple),
/// [`Error::Range`](crate::Error::Range) for a draft token the verifier does not have.
pub fn chain_reject<P: Probability>(
    drafted: &[u32],
    target: &[P],
    proposal: &Proposal<'_, P>,
    chance: &mut impl Chance,
) -> Result<Accepted> {
    let chain = Chain::new("chain_reject", drafted, target, proposal)?;
    for row in 0..chain.length() {
        let event = Event::new(Purpose::Acceptance, row + 1);
        if !chance.happens(event, chain.ratio(row)) {
            return Ok(chain.ended(row, Some(1.0), chance));
        }
    }
    Ok(chain.ended(chain.length(), None, chance))
}

/// A drafted chain and the two distributions behind each of its tokens.
pub(crate) struct Chain<'a, P> {
    drafted: &'a [u32],
    target: &'a [P],
    proposal: &'a Proposal<'a, P>,
    width: usize,
}

impl<'a, P: Probability> Chain<'a, P> {
    pub(crate) fn new(
        operation: &'static str,
        drafted: &'a [u32],
        target: &'a [P],
        proposal: &'a Proposal<'a, P>,
    ) -> Result<Chain<'a, P>> {
        let rows = drafted.len() + 1;
        let width = shape::rows(operation, "target probabilities", rows, target.len())?;
        proposal.check(operation, drafted.len(), width)?;
        for token in drafted {
            shape::below(operation, "draft token", width, *token as usize)?;
        }
        Ok(Chain {
            drafted,
            target,
            proposal,
            width,
        })
    }

    fn p(&self, row: usize, token: u32) -> f64 {
        value(self.target[row * self.width + token as usize])
    }

    fn q(&self, row: usize, token: u32) -> f64 {
        self.proposal.of(row, token, self.drafted[row])
    }

    /// Tokens that can be accepted: those before the first that was not drawn from its distribution.
    pub(crate) fn length(&self) -> usize {
        let drawn = |row: usize| self.q(row, self.drafted[row]) > 0.0;
        (0..self.drafted.len())
            .find(|row| !drawn(*row))
            .unwrap_or(self.drafted.len())
    }

    /// `p(x) / q(x)` of the token drafted behind `row`, where `q(x)` is not 0.
    pub(crate) fn ratio(&self, row: usize) -> f64 {
        let token = self.drafted[row];
        self.p(row, token) / self.q(row, token)
    }

    /// `max(scale p(v) - q(v), 0)`.
    fn residual(&self, row: usize, scale: f64, token: u32) -> f64 {
        (scale * self.p(row, token) - self.q(row, token)).max(0.0)
    }

    /// The sum of the residual over all tokens.
    pub(crate) fn residual_mass(&self, row: usize, scale: f64) -> f64 {
        (0..self.width as u32)
            .map(|token| self.residual(row, scale, token))
            .sum()
    }

    /// The first `accepted` tokens and a bonus: from the residual when a scale is given, else from the verifier's
    /// distribution. That is also used should rounding leave nothing of the residual.
    pub(crate) fn ended(
        &self,
        accepted: usize,
        scale: Option<f64>,
        chance: &mut impl Chance,
    ) -> Accepted {
        let event = Event::new(Purpose::Bonus, accepted);
        let bonus = match scale.filter(|scale| self.residual_mass(accepted, *scale) > 0.0) {
            Some(scale) => chance.token(event, self.width, |token| {
                self.residual(accepted, scale, token as u32)
            }),
            None => chance.token(event, self.width, |token| self.p(accepted, token as u32)),
        };
        Accepted {
            path: (1..=accepted).collect(),
            bonus: bonus.unwrap_or(0),
        }
    }
}

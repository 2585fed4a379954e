//! Where the rules of verification get their chance from.
//!
//! A rule says which events have which probabilities and leaves the outcome to a [`Chance`]. [`Draws`] decides by
//! Philox. A test can instead try all outcomes with their probabilities and so integrate a rule exactly, the code that
//! runs in production and not a model of it.

use crate::philox::{open_uniform, philox4x32};

/// What a decision is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purpose {
    /// Which token a head proposes.
    Draft = 1,
    /// Whether a draft token is accepted.
    Acceptance = 2,
    /// Which token follows the last accepted one.
    Bonus = 3,
}

/// Names a decision. Within a step no two decisions have the same name, so each has noise of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Event {
    /// What is decided.
    pub purpose: Purpose,
    /// Acceptance: the node that is accepted or not. Otherwise the node behind which the token goes. In a chain node 0
    /// is the root and node `t` the `t`-th draft token.
    pub node: usize,
    /// Counts the decisions of this purpose at this node: siblings that are drafted one after the other. Below
    /// [`Event::RANKS`].
    pub rank: usize,
}

impl Event {
    /// Ranks there are.
    pub const RANKS: usize = 256;

    /// The first decision of its kind at a node.
    pub(crate) fn new(purpose: Purpose, node: usize) -> Event {
        Event {
            purpose,
            node,
            rank: 0,
        }
    }
}

/// Decides what happens.
pub trait Chance {
    /// True with the probability given: never at 0 or NaN, always from 1 on.
    fn happens(&mut self, event: Event, probability: f64) -> bool;

    /// One of the tokens `0..count`, each with a probability in proportion to its weight. A weight that is 0, negative
    /// or NaN excludes its token; nothing when all are excluded.
    fn token(&mut self, event: Event, count: usize, weight: impl Fn(usize) -> f64) -> Option<u32>;
}

/// The chance of one step: a function of a seed, the position of the first token that the step can emit, and the event.
///
/// As each step begins at a position of its own, no noise is used twice. That matters: block verification and trees
/// decide by looking at later draft tokens, so what those were drawn with must not come back when they are drafted
/// anew. For the same reason none of it is the noise of [`sample`](crate::cpu::sample), which is keyed by the position
/// alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draws {
    seed: u64,
    position: u64,
}

impl Draws {
    /// `position` is that of the first token that this step can emit: the number of tokens there are before it.
    #[must_use]
    pub fn new(seed: u64, position: u64) -> Draws {
        Draws { seed, position }
    }

    fn words(&self, event: Event, block: usize) -> [u32; 4] {
        // The second word of the counter is 0 in the noise of plain sampling, and never here.
        let counter = [
            block as u32 | (event.rank as u32) << 24,
            event.purpose as u32 | (event.node as u32) << 2,
            self.position as u32,
            (self.position >> 32) as u32,
        ];
        philox4x32(counter, [self.seed as u32, (self.seed >> 32) as u32])
    }
}

impl Chance for Draws {
    fn happens(&mut self, event: Event, probability: f64) -> bool {
        let [high, low, ..] = self.words(event, 0);
        let bits = (u64::from(high) << 32 | u64::from(low)) >> 11;
        // A multiple of 2^-53 from 0 to just below 1: with a strict comparison 0 never happens and 1 always does.
        let uniform = bits as f64 / 9_007_199_254_740_992.0;
        uniform < probability
    }

    /// The largest `weight / -ln u` wins, the smaller id on ties: the exponential of `ln weight` plus Gumbel noise.
    fn token(&mut self, event: Event, count: usize, weight: impl Fn(usize) -> f64) -> Option<u32> {
        let (mut token, mut best) = (None, 0.0);
        for first in (0..count).step_by(4) {
            let weights = [0, 1, 2, 3].map(|offset| {
                let index = first + offset;
                if index < count { weight(index) } else { 0.0 }
            });
            // After top-k or top-p most weights are 0.
            if !weights.iter().any(|weight| *weight > 0.0) {
                continue;
            }
            let words = self.words(event, first / 4);
            for offset in 0..4 {
                let uniform = open_uniform(words[offset]);
                // As -ln u >= 1 - u, a token that fails here could not win. Weights of 0 and NaN fail as well.
                if weights[offset] > best * (1.0 - uniform) {
                    let value = weights[offset] / -uniform.ln();
                    if value > best {
                        (token, best) = (Some((first + offset) as u32), value);
                    }
                }
            }
        }
        token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_happen_does_not_and_what_must_does() {
        for node in 0..1000 {
            let mut draws = Draws::new(1, 2);
            let event = Event::new(Purpose::Acceptance, node);
            assert!(!draws.happens(event, 0.0) && !draws.happens(event, f64::NAN));
            assert!(draws.happens(event, 1.0) && draws.happens(event, f64::INFINITY));
            let weights = [0.0, f64::NAN, 1e-300, -1.0, 0.0];
            assert_eq!(draws.token(event, 5, |token| weights[token]), Some(2));
        }
        let event = Event::new(Purpose::Bonus, 0);
        assert_eq!(Draws::new(1, 2).token(event, 3, |_| 0.0), None);
    }

    #[test]
    fn decisions_have_noise_of_their_own() {
        let mut seen = std::collections::BTreeSet::new();
        let mut count = 0;
        for purpose in [Purpose::Draft, Purpose::Acceptance, Purpose::Bonus] {
            for node in 0..5 {
                for rank in 0..3 {
                    for position in [0, 1, 1 << 32] {
                        let event = Event {
                            purpose,
                            node,
                            rank,
                        };
                        for block in 0..2 {
                            assert!(seen.insert(Draws::new(3, position).words(event, block)));
                            count += 1;
                        }
                    }
                }
            }
        }
        for position in [0, 1, 1 << 32] {
            for block in 0..2 {
                seen.insert(crate::philox::token_words(3, position, block));
                count += 1;
            }
        }
        assert_eq!(seen.len(), count);
    }
}

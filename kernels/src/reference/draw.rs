use crate::proposal::value;
use crate::{Chance, Event, Probability, Purpose, Result, shape};

/// Draws draft tokens to go behind `node`: up to `count` different ones from one row of a head's probabilities, in the
/// order drawn, each in proportion to its probability among those not drawn before (without replacement). Fewer come
/// back where no more have a probability above 0.
///
/// The numbers are the head's, to be mapped by [`DraftVocabulary::to_verifier`](crate::DraftVocabulary::to_verifier).
/// For a chain `count` is 1, and `node` the number of tokens drafted before.
///
/// [`chain_reject`](crate::cpu::chain_reject), [`block_verify`](crate::cpu::block_verify) and
/// [`tree_residual`](crate::cpu::tree_residual) must get the very probabilities that were drawn from, in the same type.
///
/// # Errors
///
/// [`Error::Range`](crate::Error::Range) when `count` is above [`Event::RANKS`].
pub fn draw<P: Probability>(
    probabilities: &[P],
    node: usize,
    count: usize,
    chance: &mut impl Chance,
) -> Result<Vec<u32>> {
    shape::below("draw", "count", Event::RANKS + 1, count)?;
    let mut drawn = Vec::new();
    for rank in 0..count {
        let event = Event {
            purpose: Purpose::Draft,
            node,
            rank,
        };
        let token = chance.token(event, probabilities.len(), |token| {
            if drawn.contains(&(token as u32)) {
                0.0
            } else {
                value(probabilities[token])
            }
        });
        drawn.extend(token);
    }
    Ok(drawn)
}

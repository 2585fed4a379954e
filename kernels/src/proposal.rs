//! How a draft came about.

use crate::{DraftVocabulary, Result, shape};

/// A number that says how probable something is: `f32` where it is computed fast, `f64` where something is proved.
pub trait Probability: Copy + Into<f64> + Send + Sync {
    /// The nearest number of this type.
    fn from_f64(value: f64) -> Self;
}

impl Probability for f32 {
    fn from_f64(value: f64) -> f32 {
        value as f32
    }
}

impl Probability for f64 {
    fn from_f64(value: f64) -> f64 {
        value
    }
}

/// The value of a probability; 0 for NaN and negative numbers.
#[inline(always)]
pub(crate) fn value<P: Probability>(probability: P) -> f64 {
    let value: f64 = probability.into();
    if value > 0.0 { value } else { 0.0 }
}

/// How the tokens of a draft were chosen. A rule of verification must know, as its acceptance depends on it.
#[derive(Clone, Copy, Debug)]
pub enum Proposal<'a, P> {
    /// Without chance: the most probable tokens of a head, n-grams of the text. Their distribution is the token itself.
    Chosen,
    /// By chance, as [`draw`](crate::cpu::draw) does.
    Drawn {
        /// `[rows, vocabulary.draft_width()]`: of each node that has something drafted behind it, the distribution
        /// that was drawn from, after temperature and filters.
        probabilities: &'a [P],
        /// Which tokens the columns are.
        vocabulary: &'a DraftVocabulary,
    },
}

impl<P: Probability> Proposal<'_, P> {
    /// The probability that `token` was proposed behind node `row`, where `proposed` was.
    #[inline(always)]
    pub(crate) fn of(&self, row: usize, token: u32, proposed: u32) -> f64 {
        match self {
            Proposal::Chosen => f64::from(u8::from(token == proposed)),
            Proposal::Drawn {
                probabilities,
                vocabulary,
            } => vocabulary.to_draft(token).map_or(0.0, |draft| {
                value(probabilities[row * vocabulary.draft_width() + draft as usize])
            }),
        }
    }

    /// That there are `rows` distributions over the verifier's `width` tokens.
    pub(crate) fn check(&self, operation: &'static str, rows: usize, width: usize) -> Result<()> {
        match self {
            Proposal::Chosen => Ok(()),
            Proposal::Drawn {
                probabilities,
                vocabulary,
            } => {
                shape::equal(
                    operation,
                    "tokens of the verifier in the draft vocabulary",
                    width,
                    vocabulary.verifier_width(),
                )?;
                shape::equal(
                    operation,
                    "draft probabilities",
                    rows * vocabulary.draft_width(),
                    probabilities.len(),
                )
            }
        }
    }
}

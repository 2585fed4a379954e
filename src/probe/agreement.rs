//! How far a head, read in one way, agrees with the verifier; and whether two readings differ by more than luck.

use serde::Serialize;

use super::rollout::{DEPTH, Guess, Position, SHARPNESS};

/// Neighbouring positions are alike; differences are taken between the sums over so many of them.
const BLOCK: usize = 16;
/// A log-probability counts for no less than this: the most that one surprising token may weigh.
const FLOOR: f64 = -9.0;

/// So many standard errors are beyond doubt. A dozen candidates are compared for a question, so that the two of a single
/// comparison would find a difference where there is none every other time.
pub(crate) const ERRORS: f64 = 3.0;
/// A difference of the mean log-probability that matters to nobody: a hundredth is one percent of a probability.
const NOTHING: f64 = 0.01;

/// What one reading came to, position by position.
#[derive(Clone, Debug, PartialEq)]
pub struct Agreement {
    /// Positions, text by text.
    pub texts: Vec<Vec<Position>>,
    /// At each depth, the place in [`SHARPNESS`] with which the mean log-probability is highest.
    fitted: [usize; DEPTH],
}

/// The same in a few numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Positions that were drafted.
    pub positions: usize,
    /// Share of positions whose first 1, 2 and 3 draft tokens are all the verifier's; of the positions that have as many
    /// tokens after them.
    pub accepted_share: Vec<f64>,
    /// Draft tokens accepted per position, of three.
    pub accepted: f64,
    /// Mean natural logarithm of the probability that the head gave the verifier's token, over all depths, each with its
    /// logits multiplied by the factor of [`SHARPNESS`] that suits it best.
    pub log_q: f64,
    /// Share of the verifier's tokens that are not in the draft vocabulary.
    pub unknown: f64,
}

impl Agreement {
    /// Fits the sharpness. Without it a reading that makes a timid head bolder would seem to know more.
    #[must_use]
    pub fn new(texts: Vec<Vec<Position>>) -> Agreement {
        let mut fitted = [0; DEPTH];
        for (depth, fitted) in fitted.iter_mut().enumerate() {
            let mean_at = |at: usize| {
                let guesses = texts.iter().flatten();
                mean(guesses.filter_map(|one| Some(floored(one.guesses.get(depth)?.log_q[at]))))
            };
            let means: Vec<f64> = (0..SHARPNESS.len()).map(mean_at).collect();
            let best = (0..means.len()).max_by(|one, other| means[*one].total_cmp(&means[*other]));
            *fitted = best.unwrap_or(0);
        }
        Agreement { texts, fitted }
    }

    fn log_q(&self, depth: usize, guess: &Guess) -> f64 {
        floored(guess.log_q[self.fitted[depth]])
    }

    fn log_qs<'a>(&'a self, position: &'a Position) -> impl Iterator<Item = f64> + 'a {
        let guesses = position.guesses.iter().enumerate();
        guesses.map(|(depth, guess)| self.log_q(depth, guess))
    }

    /// Its figures.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let positions: Vec<&Position> = self.texts.iter().flatten().collect();
        let accepted_share = (1..=DEPTH)
            .map(|depth| {
                let reaching = positions.iter().filter(|one| one.guesses.len() >= depth);
                mean(reaching.map(|one| f64::from(u8::from(one.accepted() >= depth))))
            })
            .collect();
        let first = positions.iter().filter_map(|one| one.guesses.first());
        Figures {
            positions: positions.len(),
            accepted_share,
            accepted: mean(positions.iter().map(|one| one.accepted() as f64)),
            log_q: mean(positions.iter().flat_map(|one| self.log_qs(one))),
            unknown: mean(first.map(|guess| f64::from(u8::from(!guess.known)))),
        }
    }

    /// What the search goes by: the mean of [`Figures::log_q`], which tells apart what the favourites alone do not.
    #[must_use]
    pub fn score(&self) -> f64 {
        self.figures().log_q
    }

    /// Share of positions whose first guess is the verifier's token.
    pub(crate) fn first_hits(&self) -> Estimate {
        let blocks: Vec<(f64, f64)> = self
            .texts
            .iter()
            .flat_map(|text| text.chunks(BLOCK))
            .map(|block| {
                let hits = block.iter().filter(|one| one.accepted() > 0).count();
                (hits as f64, block.len() as f64)
            })
            .collect();
        Estimate::of(&blocks)
    }

    /// `self` less `other`, of the same texts.
    #[must_use]
    pub fn difference(&self, other: &Agreement) -> Difference {
        let blocks = |measure: &dyn Fn(&Agreement, &Position) -> f64, depths: bool| {
            let pairs = self.texts.iter().zip(&other.texts);
            pairs
                .flat_map(|(ours, theirs)| ours.chunks(BLOCK).zip(theirs.chunks(BLOCK)))
                .map(|(ours, theirs)| {
                    let above: f64 = ours
                        .iter()
                        .zip(theirs)
                        .map(|(mine, yours)| measure(self, mine) - measure(other, yours))
                        .sum();
                    let count = |one: &Position| if depths { one.guesses.len() } else { 1 };
                    (above, ours.iter().map(count).sum::<usize>() as f64)
                })
                .collect::<Vec<(f64, f64)>>()
        };
        Difference {
            accepted: Estimate::of(&blocks(&|_, one| one.accepted() as f64, false)),
            log_q: Estimate::of(&blocks(&|agreement, one| agreement.log_qs(one).sum(), true)),
        }
    }
}

/// How two readings differ, paired by position.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// In draft tokens accepted per position.
    pub accepted: Estimate,
    /// In the mean log-probability of the verifier's token.
    pub log_q: Estimate,
}

impl Difference {
    /// Whether it is none, as far as anybody would care: even two standard errors further it would be none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.log_q.mean.abs() + 2.0 * self.log_q.error < NOTHING
            && self.accepted.errors().abs() < ERRORS
    }

    /// Whether the first of the two agrees less, beyond doubt: by the log-probabilities, and not the other way round by
    /// what would be accepted.
    #[must_use]
    pub fn is_worse(&self) -> bool {
        self.log_q.errors() < -ERRORS && self.accepted.errors() < ERRORS
    }
}

/// A mean and how sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Its standard error.
    pub error: f64,
    /// Blocks of positions it was made of.
    pub blocks: usize,
}

impl Estimate {
    /// A ratio of sums over blocks: of `above` over `below`. The error is that of the ratio, by how blocks scatter.
    fn of(blocks: &[(f64, f64)]) -> Estimate {
        let count = blocks.len() as f64;
        let (above, below) = blocks
            .iter()
            .fold((0.0, 0.0), |sum, block| (sum.0 + block.0, sum.1 + block.1));
        let mean = if below > 0.0 { above / below } else { 0.0 };
        let scatter: f64 = blocks
            .iter()
            .map(|(above, below)| (above - mean * below).powi(2))
            .sum();
        let error = if blocks.len() > 1 && below > 0.0 {
            (scatter * count / (count - 1.0)).sqrt() / below
        } else {
            f64::INFINITY
        };
        Estimate {
            mean,
            error,
            blocks: blocks.len(),
        }
    }

    /// Mean over error: how many errors it lies from none.
    #[must_use]
    pub fn errors(&self) -> f64 {
        if self.mean == 0.0 {
            0.0
        } else {
            self.mean / self.error
        }
    }
}

fn floored(log_q: f32) -> f64 {
    f64::from(log_q).max(FLOOR)
}

pub(crate) fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0_usize), |(sum, count), value| {
        (sum + value, count + 1)
    });
    if count == 0 { 0.0 } else { sum / count as f64 }
}

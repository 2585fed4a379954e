//! The reduced vocabulary of a head: which verifier token each row of `lm_head` stands for.
//!
//! A map is built from how often each token occurs ([`TokenCounts`], [`build`]), or read from files ([`read_map`]) or from a
//! checkpoint. On disk it is told twice. `d2t` holds one offset per draft token, `target = draft + d2t[draft]`; `t2d` marks the
//! verifier tokens that are in. The two are read together, because each shows what may be wrong with the other.

mod build;
mod counts;
mod elements;
mod files;
mod numpy;
mod read;
mod resolve;
#[cfg(test)]
mod tests;
mod write;

pub use self::build::{BuiltMap, Exchange, build};
pub use self::counts::{MOST_TOKENS, TokenCounts};
pub(crate) use self::elements::integers;
pub use self::files::{FoundMap, read_map};
pub(crate) use self::resolve::Maps;

/// A resolved map: every draft token has a verifier token of its own, inside the vocabulary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VocabularyMap {
    /// Verifier token of each draft token.
    pub draft_to_target: Vec<u32>,
    /// Verifier vocabulary.
    pub vocab_size: usize,
}

impl VocabularyMap {
    /// The content of `d2t`: what to add to each draft token.
    pub fn offsets(&self) -> impl Iterator<Item = i64> {
        self.draft_to_target
            .iter()
            .zip(0_i64..)
            .map(|(&target, draft)| i64::from(target) - draft)
    }

    /// The content of `t2d`: which verifier tokens are in the draft vocabulary.
    #[must_use]
    pub fn members(&self) -> Vec<bool> {
        let mut members = vec![false; self.vocab_size];
        for &target in &self.draft_to_target {
            members[target as usize] = true;
        }
        members
    }

    /// Whether the rows are in ascending order of verifier tokens, as trainers assume.
    #[must_use]
    pub fn is_sorted(&self) -> bool {
        self.draft_to_target.is_sorted()
    }
}

//! How often each token of a verifier occurs in some text: what a vocabulary map is built from.

use super::VocabularyMap;
use crate::codes;
use crate::diagnostic::Diagnostic;

/// More tokens than any vocabulary has; a size beyond it is damaged or mistyped, and would only exhaust memory.
pub const MOST_TOKENS: usize = 1 << 24;

/// Token counts: the tokens that are listed, each with how often it occurs, of a vocabulary of known size.
///
/// A token that is listed with 0 is not the same as one that is not listed: the Python package sorts the former behind all
/// others and fills up with the latter. Lists of a count per token have no such difference, and neither has their result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenCounts {
    vocab_size: usize,
    /// Ascending by token; no token twice; no count above `i64::MAX`.
    entries: Vec<(u32, u64)>,
}

impl TokenCounts {
    /// Counts of these tokens, each listed once, in any order.
    ///
    /// # Errors
    /// S312 for a token that is listed twice or a count beyond 63 bits, S313 for a token outside the vocabulary or a
    /// vocabulary beyond [`MOST_TOKENS`]. They have no place yet.
    pub fn new(vocab_size: usize, mut entries: Vec<(u32, u64)>) -> Result<TokenCounts, Diagnostic> {
        vocabulary(vocab_size)?;
        entries.sort_unstable();
        if let Some(pair) = entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let token = pair[0].0;
            let title = format!("token {token} is counted twice");
            return Err(
                Diagnostic::error(codes::COUNTS_MALFORMED, title).note(format!(
                    "once {} times, once {} times",
                    pair[0].1, pair[1].1
                )),
            );
        }
        let outside = |&&(token, _): &&(u32, u64)| token as usize >= vocab_size;
        let beyond = entries.iter().filter(outside);
        if let (Some(&(token, count)), more) = (beyond.clone().next(), beyond.count()) {
            return Err(Diagnostic::error(
                codes::COUNTS_RANGE,
                format!("token {token} is counted, but the vocabulary has {vocab_size} tokens"),
            )
            .note(format!(
                "{more} of {} counted tokens are outside; the first occurs {count} times",
                entries.len()
            )));
        }
        if let Some((token, count)) = entries.iter().find(|(_, count)| *count > i64::MAX as u64) {
            return Err(too_many(*token, (*count).into()));
        }
        Ok(TokenCounts {
            vocab_size,
            entries,
        })
    }

    /// Counts given for each token of the vocabulary, in order; those that are 0 are not listed.
    ///
    /// # Errors
    /// As [`TokenCounts::new`].
    pub fn from_list(counts: &[u64]) -> Result<TokenCounts, Diagnostic> {
        let entries = (0..).zip(counts.iter().copied());
        TokenCounts::new(
            counts.len(),
            entries.filter(|(_, count)| *count > 0).collect(),
        )
    }

    /// Tokens of the verifier's vocabulary.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The tokens that are listed and their counts, ascending by token.
    #[must_use]
    pub fn entries(&self) -> &[(u32, u64)] {
        &self.entries
    }

    /// How often a token occurs.
    #[must_use]
    pub fn get(&self, token: u32) -> u64 {
        let found = self.entries.binary_search_by_key(&token, |entry| entry.0);
        found.map_or(0, |index| self.entries[index].1)
    }

    /// All occurrences.
    #[must_use]
    pub fn total(&self) -> u128 {
        self.entries
            .iter()
            .map(|(_, count)| u128::from(*count))
            .sum()
    }

    /// How many tokens occur at all.
    #[must_use]
    pub fn seen(&self) -> usize {
        self.entries.iter().filter(|(_, count)| *count > 0).count()
    }

    /// The listed tokens, the most frequent first; of equally frequent ones, the lowest id.
    #[must_use]
    pub fn by_frequency(&self) -> Vec<(u32, u64)> {
        let mut ranked = self.entries.clone();
        ranked.sort_unstable_by_key(|&(token, count)| (std::cmp::Reverse(count), token));
        ranked
    }

    /// Occurrences of the tokens that are in a map.
    #[must_use]
    pub fn covered_by(&self, map: &VocabularyMap) -> u128 {
        let targets = map.draft_to_target.iter();
        targets.map(|token| u128::from(self.get(*token))).sum()
    }

    /// Occurrences of the most frequent tokens, for each number of them.
    #[must_use]
    pub fn covered(&self, sizes: &[usize]) -> Vec<u128> {
        let ranked = self.by_frequency();
        let of = |size: &usize| ranked.iter().take(*size).map(|(_, count)| *count);
        sizes
            .iter()
            .map(|size| of(size).map(u128::from).sum())
            .collect()
    }

    /// Adds the counts of another text.
    ///
    /// # Errors
    /// S313 if the two are of vocabularies of different sizes, S312 if a sum is beyond 63 bits.
    pub fn add(&mut self, other: &TokenCounts) -> Result<(), Diagnostic> {
        if self.vocab_size != other.vocab_size {
            return Err(Diagnostic::error(
                codes::COUNTS_RANGE,
                format!(
                    "counts of {} tokens cannot be added to counts of {}",
                    other.vocab_size, self.vocab_size
                ),
            )
            .note("they are of different vocabularies"));
        }
        let mut sums = std::collections::BTreeMap::new();
        for &(token, count) in self.entries.iter().chain(&other.entries) {
            // Two numbers of 63 bits.
            *sums.entry(token).or_insert(0_u64) += count;
        }
        *self = TokenCounts::new(self.vocab_size, sums.into_iter().collect())?;
        Ok(())
    }
}

/// S313 for a vocabulary no model has.
pub(super) fn vocabulary(vocab_size: usize) -> Result<(), Diagnostic> {
    if (1..=MOST_TOKENS).contains(&vocab_size) {
        return Ok(());
    }
    let title = format!("a vocabulary of {vocab_size} tokens is none that a model has");
    Err(Diagnostic::error(codes::COUNTS_RANGE, title)
        .note(format!("between 1 and {MOST_TOKENS} tokens are possible")))
}

/// S312 for a count that programs cannot hold.
pub(super) fn too_many(token: u32, count: u128) -> Diagnostic {
    Diagnostic::error(
        codes::COUNTS_MALFORMED,
        format!("token {token} is counted {count} times, more than can be counted"),
    )
    .note(format!(
        "counts are kept as signed 64-bit numbers, up to {}",
        i64::MAX
    ))
}

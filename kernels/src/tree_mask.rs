//! Which of the newest cache slots each query sees.

use crate::{Error, Result, shape};

/// Visibility of the tail of a cache, the slots written in the same pass as the queries: for each query one row of
/// `words` 32-bit words, bit `j` of the row (bit `j % 32` of word `j / 32`) for tail slot `j`. A node of a draft tree
/// sees its ancestors and itself.
#[derive(Clone, Copy, Debug)]
pub struct TreeMask<'a> {
    /// Slots the mask speaks of: the last `tail` of the cache. All slots before are visible to every row.
    pub tail: usize,
    /// Words per row, `tail.div_ceil(32)`.
    pub words: usize,
    /// `[rows, words]`.
    pub bits: &'a [u32],
}

impl TreeMask<'_> {
    /// Whether tail slot `slot` is visible to `row`.
    #[must_use]
    #[inline(always)]
    pub fn sees(&self, row: usize, slot: usize) -> bool {
        self.bits[row * self.words + slot / 32] >> (slot % 32) & 1 == 1
    }

    /// That the lengths fit together, and the tail into a cache of `slots` slots.
    pub(crate) fn check(&self, operation: &'static str, rows: usize, slots: usize) -> Result<()> {
        if self.tail > slots {
            return Err(Error::Range {
                operation,
                what: "tail of the mask",
                limit: slots + 1,
                found: self.tail,
            });
        }
        shape::equal(
            operation,
            "words per row of the mask",
            self.tail.div_ceil(32),
            self.words,
        )?;
        shape::equal(
            operation,
            "words of the mask",
            rows * self.words,
            self.bits.len(),
        )
    }
}

/// The bits of a chain of `tail` tokens, each of which sees those before it and itself: `[tail, tail.div_ceil(32)]`.
#[must_use]
pub fn causal_bits(tail: usize) -> Vec<u32> {
    let words = tail.div_ceil(32);
    let mut bits = vec![0; tail * words];
    for row in 0..tail {
        for slot in 0..=row {
            bits[row * words + slot / 32] |= 1 << (slot % 32);
        }
    }
    bits
}

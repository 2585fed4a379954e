//! Philox4x32-10, a random number generator without state: a block of four words is a function of a counter and a
//! key (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011).

/// Four random words for a counter and a key.
#[must_use]
#[inline(always)]
pub fn philox4x32(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let first = u64::from(counter[0]) * 0xD251_1F53;
        let second = u64::from(counter[2]) * 0xCD9E_8D57;
        counter = [
            (second >> 32) as u32 ^ counter[1] ^ key[0],
            second as u32,
            (first >> 32) as u32 ^ counter[3] ^ key[1],
            first as u32,
        ];
        // The key moves on by the golden ratio and by the square root of 3, less 1.
        key = [
            key[0].wrapping_add(0x9E37_79B9),
            key[1].wrapping_add(0xBB67_AE85),
        ];
    }
    counter
}

/// The words for tokens `4 * block .. 4 * block + 4` at a position: the one place that says what the noise of
/// sampling depends on.
#[inline(always)]
pub(crate) fn token_words(seed: u64, position: u64, block: u32) -> [u32; 4] {
    let key = [seed as u32, (seed >> 32) as u32];
    philox4x32([block, 0, position as u32, (position >> 32) as u32], key)
}

/// A number strictly between 0 and 1 from the upper 24 bits of a word: the middle of one of 2^24 equal intervals, so
/// that neither its logarithm nor that of its complement is infinite.
#[inline(always)]
pub(crate) fn open_uniform(word: u32) -> f64 {
    (f64::from(word >> 8) + 0.5) / 16_777_216.0
}

/// A draw from the Gumbel distribution, at most 17.4.
pub(crate) fn gumbel(word: u32) -> f64 {
    -(-open_uniform(word).ln()).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers that Random123 ships (`philox4x32 10`).
    #[test]
    fn gives_the_published_answers() {
        let ones = u32::MAX;
        for (counter, key, expected) in [
            (
                [0; 4],
                [0; 2],
                [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
            ),
            (
                [ones; 4],
                [ones; 2],
                [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
            ),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ] {
            assert_eq!(philox4x32(counter, key), expected);
        }
    }

    #[test]
    fn noise_is_finite_at_both_ends() {
        for word in [0, 0xff, 0x100, u32::MAX - 0x100, u32::MAX] {
            let uniform = open_uniform(word);
            assert!(uniform > 0.0 && uniform < 1.0);
            assert!(
                gumbel(word).is_finite() && gumbel(word) < 17.4,
                "{}",
                gumbel(word)
            );
        }
    }
}

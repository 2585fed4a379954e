//! The order in which prompts are run.

use speculators_kernels::philox4x32;

/// Keeps the numbers apart from those that noise is made of: these take this word of the counter, which is 0 there.
const SHUFFLE: u32 = u32::from_le_bytes(*b"shuf");

/// The indices below `count` in an order that depends on `seed` alone, every order as likely as any other.
#[must_use]
pub fn shuffled(count: usize, seed: u64) -> Vec<usize> {
    let key = [seed as u32, (seed >> 32) as u32];
    let mut order: Vec<usize> = (0..count).collect();
    // Fisher and Yates: each place from the last one on gets one of those left.
    for left in (2..=count).rev() {
        let [low, high, ..] = philox4x32([left as u32, 0, 0, SHUFFLE], key);
        let word = u64::from(high) << 32 | u64::from(low);
        let drawn = (u128::from(word) * left as u128) >> 64;
        order.swap(left - 1, drawn as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prompt_is_there_once_and_the_seed_says_where() {
        for count in [0, 1, 2, 24, 1000] {
            let mut order = shuffled(count, 7);
            assert_eq!(order, shuffled(count, 7));
            order.sort_unstable();
            assert!(order.into_iter().eq(0..count));
        }
        assert_ne!(shuffled(24, 0), shuffled(24, 1));
        assert!(shuffled(24, 0).into_iter().ne(0..24));
    }

    #[test]
    fn all_orders_are_equally_likely() {
        let mut counts = std::collections::BTreeMap::new();
        for seed in 0..6000 {
            *counts.entry(shuffled(3, seed)).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 6);
        // 1000 each, with a standard deviation of 29.
        assert!(
            counts.values().all(|count| (880..1120).contains(count)),
            "{counts:?}"
        );
    }
}

use std::collections::HashSet;

use proptest::collection::{hash_map, vec};
use proptest::prelude::*;

use crate::vocabulary::{BuiltMap, Exchange, TokenCounts, build};

fn counts(vocab_size: usize, entries: &[(u32, u64)]) -> TokenCounts {
    TokenCounts::new(vocab_size, entries.to_vec()).unwrap()
}

fn targets(built: &BuiltMap) -> &[u32] {
    &built.map.draft_to_target
}

#[test]
fn the_most_frequent_are_taken_and_ties_go_to_the_lowest_id() {
    let counts = counts(10, &[(9, 5), (7, 2), (3, 2), (5, 2), (1, 1)]);
    let built = build(&counts, 3, &[]).unwrap();
    assert_eq!(targets(&built), [3, 5, 9]);
    assert_eq!(built.map.offsets().collect::<Vec<_>>(), [3, 4, 7]);
    assert!(built.padding.is_empty() && built.exchanged.is_empty());
}

#[test]
fn what_is_left_is_filled_with_the_lowest_ids() {
    let built = build(&counts(10, &[(1, 4), (8, 1)]), 4, &[]).unwrap();
    assert_eq!(targets(&built), [0, 1, 2, 8]);
    assert_eq!(built.padding, [0, 2]);
    // A token that is listed with 0 comes before one that is not listed.
    let built = build(&counts(10, &[(1, 4), (8, 0)]), 2, &[]).unwrap();
    assert_eq!(targets(&built), [1, 8]);
}

#[test]
fn a_forced_token_displaces_the_least_frequent_that_is_not_forced() {
    let counts = counts(10, &[(1, 9), (2, 8), (3, 7), (4, 1), (6, 1)]);
    let built = build(&counts, 4, &[9, 4, 1]).unwrap();
    assert_eq!(targets(&built), [1, 2, 4, 9]);
    let exchange = Exchange {
        included: 9,
        displaced: 3,
        displaced_count: 7,
    };
    assert_eq!(built.exchanged, [exchange]);
    // What only fills up goes first, the highest id of it before the others.
    let built = build(&counts, 8, &[9]).unwrap();
    assert_eq!(targets(&built), [0, 1, 2, 3, 4, 5, 6, 9]);
    assert_eq!(built.padding, [0, 5]);
    assert_eq!(built.exchanged[0].displaced, 7);
}

#[test]
fn sizes_and_tokens_that_cannot_be_are_refused() {
    let counts = counts(10, &[(1, 4)]);
    let code = |size, forced: &[u32]| build(&counts, size, forced).unwrap_err().code.0;
    assert_eq!(code(0, &[]), 314);
    assert_eq!(code(11, &[]), 314);
    assert_eq!(code(2, &[1, 2, 3]), 314);
    assert_eq!(code(2, &[10]), 315);
    assert!(build(&counts, 2, &[1, 1, 2, 2]).is_ok());
}

prop_compose! {
    fn cases()(vocab_size in 1_usize..60)(
        counts in hash_map(0..vocab_size as u32, 0_u64..5, 0..60),
        draft in 1..=vocab_size,
        forced in vec(0..vocab_size as u32, 0..6),
        vocab_size in Just(vocab_size),
    ) -> (TokenCounts, usize, Vec<u32>) {
        let counts = TokenCounts::new(vocab_size, counts.into_iter().collect()).unwrap();
        (counts, draft, forced)
    }
}

proptest! {
    #[test]
    fn every_map_is_valid_and_holds_what_was_forced((counts, draft, forced) in cases()) {
        let different: HashSet<u32> = forced.iter().copied().collect();
        let built = match build(&counts, draft, &forced) {
            Ok(built) => built,
            Err(problem) => {
                prop_assert!(different.len() > draft, "{problem:?}");
                return Ok(());
            }
        };
        let map = targets(&built);
        prop_assert_eq!(map.len(), draft);
        prop_assert!(map.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert!(map.iter().all(|token| (*token as usize) < counts.vocab_size()));
        prop_assert!(different.iter().all(|token| map.contains(token)));
        let plain = build(&counts, draft, &[]).unwrap();
        prop_assert!(counts.covered_by(&built.map) <= counts.covered_by(&plain.map));
        let before: HashSet<u32> = targets(&plain).iter().copied().collect();
        let after: HashSet<u32> = map.iter().copied().collect();
        prop_assert_eq!(before.difference(&after).count(), built.exchanged.len());
        for exchange in &built.exchanged {
            prop_assert!(before.contains(&exchange.displaced) && !after.contains(&exchange.displaced));
            prop_assert!(after.contains(&exchange.included) && !before.contains(&exchange.included));
        }
        prop_assert!(built.padding.iter().all(|token| after.contains(token) && counts.get(*token) == 0));
    }

    #[test]
    fn coverage_grows_with_the_vocabulary_and_ends_at_everything((counts, draft, _) in cases()) {
        let sizes: Vec<usize> = (0..=counts.vocab_size()).collect();
        let covered = counts.covered(&sizes);
        prop_assert!(covered.windows(2).all(|pair| pair[0] <= pair[1]));
        prop_assert_eq!(covered.last(), Some(&counts.total()));
        let built = build(&counts, draft, &[]).unwrap();
        prop_assert_eq!(counts.covered_by(&built.map), covered[draft]);
    }

    #[test]
    fn a_list_of_counts_gives_the_map_of_the_table((counts, draft, forced) in cases()) {
        let list: Vec<u64> = (0..counts.vocab_size() as u32).map(|token| counts.get(token)).collect();
        let table = counts.entries().iter().copied().filter(|(_, count)| *count > 0).collect();
        let table = TokenCounts::new(counts.vocab_size(), table).unwrap();
        let list = TokenCounts::from_list(&list).unwrap();
        prop_assert_eq!(build(&list, draft, &forced), build(&table, draft, &forced));
    }
}

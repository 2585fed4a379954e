//! What the lossy rules accept, and that the check of the lossless ones sees that they are lossy.

use speculators_kernels::{LossyThresholds, LossyTypical, cpu};

use super::toy::{Law, Toy, Tree};

fn thresholds(toy: &Toy, rule: LossyThresholds) -> f64 {
    let tree = Tree::chosen(toy, &[], 2);
    let law = Law::of(toy, 3, |chance| {
        let accepted =
            cpu::lossy_thresholds(&tree.parents, &tree.tokens, &tree.target, &rule, chance)
                .unwrap();
        tree.emitted(&accepted.path, accepted.bonus)
    });
    law.distance(&Law::plain(toy, 3))
}

#[test]
fn thresholds_are_lossy_unless_both_are_one() {
    let largest = |single, accumulated| {
        let rule = LossyThresholds {
            single,
            accumulated,
        };
        Toy::all(48)
            .map(|toy| thresholds(&toy, rule))
            .fold(0.0, f64::max)
    };
    assert!(largest(1.0, 1.0) <= 1e-12);
    assert!(largest(0.3, 1.0) > 0.05);
    assert!(largest(1.0, 0.5) > 0.05);
}

#[test]
fn typical_acceptance_is_lossy() {
    let largest = Toy::all(24)
        .map(|toy| {
            let tree = Tree::chosen(&toy, &[], 2);
            let law = Law::of(&toy, 3, |_| {
                let rule = LossyTypical::medusa();
                let (parents, tokens, target) = (&tree.parents, &tree.tokens, &tree.target);
                let accepted = cpu::lossy_typical(parents, tokens, target, &rule).unwrap();
                tree.emitted(&accepted.path, accepted.bonus)
            });
            law.distance(&Law::plain(&toy, 3))
        })
        .fold(0.0, f64::max);
    assert!(largest > 0.05, "{largest}");
}

#[test]
fn typical_acceptance_takes_the_longest_path_above_its_threshold() {
    // Entropy ln 4, so a typical probability of 1/4: 0.3 / 4 = 0.075 is the threshold, below epsilon.
    let flat = [0.25f64; 4];
    // Entropy 0.168, a typical probability of 0.845: 0.254, so epsilon is the threshold.
    let sharp = [0.0, 0.04, 0.0, 0.96];
    let target = [flat, sharp, sharp, flat, sharp].concat();
    let rule = LossyTypical::medusa();
    let (parents, tokens) = ([-1, 0, 0, 1, 2], [0, 1, 2, 1, 3]);
    let accepted = cpu::lossy_typical(&parents, &tokens, &target, &rule).unwrap();
    // Node 3 has 0.04, not above 0.09; node 4 has 0.96. The bonus is the most probable one.
    assert_eq!((accepted.path, accepted.bonus), (vec![2, 4], 3));

    // Of paths of one length the more probable one counts, then the first.
    let (parents, tokens) = ([-1, 0, 0, 1, 2], [0, 1, 2, 3, 3]);
    let accepted = cpu::lossy_typical(&parents, &tokens, &target, &rule).unwrap();
    assert_eq!((accepted.path, accepted.bonus), (vec![1, 3], 0));

    let rule = LossyTypical {
        epsilon: 0.3,
        delta: 1.0,
    };
    let accepted = cpu::lossy_typical(&parents, &tokens, &target, &rule).unwrap();
    // Nothing is above min(0.3, 1/4) at the root: the comparison is strict.
    assert_eq!((accepted.path, accepted.bonus), (vec![], 0));
}

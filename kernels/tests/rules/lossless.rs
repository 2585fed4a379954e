//! Every lossless rule, integrated exactly: the text has the distribution of plain sampling.

use speculators_kernels::{Accepted, Proposal, cpu};

use super::every::{Every, every};
use super::toy::{Chain, Law, Toy, Tree};

/// What is allowed for rounding.
const EXACT: f64 = 1e-12;

type ChainRule =
    fn(&[u32], &[f64], &Proposal<'_, f64>, &mut Every) -> speculators_kernels::Result<Accepted>;

const CHAIN_RULES: [(&str, ChainRule); 2] = [
    ("chain_reject", cpu::chain_reject::<f64>),
    ("block_verify", cpu::block_verify::<f64>),
];

#[test]
fn chains_that_were_drawn() {
    for (name, rule) in CHAIN_RULES {
        for (index, toy) in Toy::all(240).enumerate() {
            for length in 0..=3 {
                let law = Law::of(&toy, length + 1, |chance| {
                    let chain = Chain::drawn(&toy, &[], length, chance);
                    let accepted =
                        rule(&chain.drafted, &chain.target, &chain.proposal(&toy), chance).unwrap();
                    chain.emitted(&accepted)
                });
                let distance = law.distance(&Law::plain(&toy, length + 1));
                assert!(
                    distance <= EXACT,
                    "{name}, toy {index}, {length}: {distance:e}"
                );
            }
        }
    }
}

#[test]
fn chains_that_were_chosen() {
    for (name, rule) in CHAIN_RULES {
        for (index, toy) in Toy::all(240).enumerate() {
            for first in 0..toy.vocabulary.draft_width() as u32 {
                let law = Law::of(&toy, 4, |chance| {
                    let width = toy.vocabulary.draft_width() as u32;
                    let chain =
                        Chain::drawn_by(&toy, &[], 3, |node, _| (first + node as u32) % width);
                    let accepted =
                        rule(&chain.drafted, &chain.target, &Proposal::Chosen, chance).unwrap();
                    chain.emitted(&accepted)
                });
                let distance = law.distance(&Law::plain(&toy, 4));
                assert!(distance <= EXACT, "{name}, toy {index}: {distance:e}");
            }
        }
    }
}

/// A token that the head could not have drawn, in the middle of a chain that it drew.
#[test]
fn chains_with_a_token_from_elsewhere() {
    for (name, rule) in CHAIN_RULES {
        for (index, toy) in Toy::all(240).enumerate() {
            let law = Law::of(&toy, 4, |chance| {
                let mut chain = Chain::drawn(&toy, &[], 3, chance);
                let width = toy.vocabulary.draft_width();
                chain.draft[width..2 * width].fill(if index % 2 == 0 { 0.0 } else { f64::NAN });
                let accepted =
                    rule(&chain.drafted, &chain.target, &chain.proposal(&toy), chance).unwrap();
                assert!(accepted.path.len() <= 1);
                chain.emitted(&accepted)
            });
            let distance = law.distance(&Law::plain(&toy, 4));
            assert!(distance <= EXACT, "{name}, toy {index}: {distance:e}");
        }
    }
}

fn mean_accepted(toy: &Toy, length: usize, rule: ChainRule) -> f64 {
    let mut mean = 0.0;
    every(|chance| {
        let chain = Chain::drawn(toy, &[], length, chance);
        let accepted = rule(&chain.drafted, &chain.target, &chain.proposal(toy), chance).unwrap();
        mean += chance.weight * accepted.path.len() as f64;
    });
    mean
}

#[test]
fn blocks_accept_at_least_as_much_as_tokens() {
    let mut largest = 0.0f64;
    for toy in Toy::all(240) {
        for length in 1..=3 {
            let [token, block] = CHAIN_RULES.map(|(_, rule)| mean_accepted(&toy, length, rule));
            assert!(block >= token - EXACT, "{block} {token}");
            if length == 1 {
                // Both accept Σ min(p, q) of a single token.
                let (p, q) = (toy.p(&[]), toy.q(&[]));
                let overlap: f64 = (0..)
                    .zip(&q)
                    .map(|(draft, q)| q.min(p[toy.vocabulary.to_verifier(draft).unwrap() as usize]))
                    .sum();
                assert!((token - overlap).abs() < EXACT && (block - overlap).abs() < EXACT);
            }
            largest = largest.max(block - token);
        }
    }
    assert!(largest > 0.05, "{largest}");
}

#[test]
fn trees_that_were_drawn_without_replacement() {
    for (index, toy) in Toy::all(48).enumerate() {
        for depth in 0..=2 {
            let law = Law::of(&toy, depth + 1, |chance| {
                let tree = Tree::drawn(&toy, &[], depth, chance);
                let proposal = tree.proposal(&toy);
                let accepted = cpu::tree_residual(
                    &tree.parents,
                    &tree.tokens,
                    &tree.target,
                    &proposal,
                    chance,
                )
                .unwrap();
                tree.emitted(&accepted.path, accepted.bonus)
            });
            let distance = law.distance(&Law::plain(&toy, depth + 1));
            assert!(
                distance <= EXACT,
                "toy {index}, depth {depth}: {distance:e}"
            );
        }
    }
}

/// Of the siblings drawn the first are kept, how many by a score that does not know them.
#[test]
fn trees_of_which_only_the_first_siblings_are_kept() {
    for (index, toy) in Toy::all(48).enumerate() {
        let law = Law::of(&toy, 3, |chance| {
            let tree = Tree::grow(&toy, &[], |node, at, q| {
                let kept = if at == 2 {
                    0
                } else {
                    [2, 0, 1][(node + index) % 3]
                };
                let mut drawn = cpu::draw(q, node, if at == 2 { 0 } else { 2 }, chance).unwrap();
                drawn.truncate(kept);
                let mapped = drawn
                    .into_iter()
                    .map(|token| toy.vocabulary.to_verifier(token));
                mapped.map(Option::unwrap).collect()
            });
            let proposal = tree.proposal(&toy);
            let accepted =
                cpu::tree_residual(&tree.parents, &tree.tokens, &tree.target, &proposal, chance)
                    .unwrap();
            tree.emitted(&accepted.path, accepted.bonus)
        });
        let distance = law.distance(&Law::plain(&toy, 3));
        assert!(distance <= EXACT, "toy {index}: {distance:e}");
    }
}

/// Whatever the siblings are, if they came about without the noise of verification, the residual of the tokens alone is
/// right; it only accepts less.
#[test]
fn trees_that_were_drawn_can_be_verified_as_chosen() {
    for (index, toy) in Toy::all(24).enumerate() {
        let law = Law::of(&toy, 3, |chance| {
            let tree = Tree::drawn(&toy, &[], 2, chance);
            let (parents, tokens, target) = (&tree.parents, &tree.tokens, &tree.target);
            let proposal = Proposal::Chosen;
            let accepted = cpu::tree_residual(parents, tokens, target, &proposal, chance).unwrap();
            tree.emitted(&accepted.path, accepted.bonus)
        });
        let distance = law.distance(&Law::plain(&toy, 3));
        assert!(distance <= EXACT, "toy {index}: {distance:e}");
    }
}

#[test]
fn trees_that_were_chosen_and_sample_then_match() {
    for (index, toy) in Toy::all(48).enumerate() {
        let depth = 2;
        let tree = Tree::chosen(&toy, &[], depth);
        let plain = Law::plain(&toy, depth + 1);
        let mut accepted_of = [0.0, 0.0];
        let residual = Law::of(&toy, depth + 1, |chance| {
            let accepted = cpu::tree_residual(
                &tree.parents,
                &tree.tokens,
                &tree.target,
                &Proposal::Chosen,
                chance,
            )
            .unwrap();
            accepted_of[0] += chance.weight * accepted.path.len() as f64;
            tree.emitted(&accepted.path, accepted.bonus)
        });
        let matched = Law::of(&toy, depth + 1, |chance| {
            let targets = tree.targets(&toy, chance);
            let accepted = cpu::accept(&tree.parents, &tree.tokens, &targets).unwrap();
            accepted_of[1] += chance.weight * accepted.path.len() as f64;
            tree.emitted(&accepted.path, accepted.bonus)
        });
        assert!(residual.distance(&plain) <= EXACT, "toy {index}");
        assert!(matched.distance(&plain) <= EXACT, "toy {index}");
        assert!(
            (accepted_of[0] - accepted_of[1]).abs() <= EXACT,
            "toy {index}"
        );
    }
}

#[test]
fn greedy_rules_are_greedy() {
    // With one-hot distributions every rule is the walk along the largest logits.
    let one_hot =
        |token: usize| -> Vec<f64> { (0..4).map(|t| f64::from(u8::from(t == token))).collect() };
    let target: Vec<f64> = [2, 3, 1].map(one_hot).concat();
    for (_, rule) in CHAIN_RULES {
        for (drafted, path, bonus) in [
            ([2, 3], vec![1, 2], 1),
            ([2, 0], vec![1], 3),
            ([0, 3], vec![], 2),
        ] {
            every(|chance| {
                let accepted = rule(&drafted, &target, &Proposal::Chosen, chance).unwrap();
                assert_eq!(
                    accepted,
                    Accepted {
                        path: path.clone(),
                        bonus
                    }
                );
                assert_eq!(chance.weight, 1.0);
            });
        }
    }
}

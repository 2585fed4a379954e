//! Many draws with Philox: whole texts of several steps have the distribution of plain sampling. Seeds are fixed, so
//! these tests pass always or never.

use std::collections::BTreeMap;

use speculators_kernels::{Accepted, Chance, Draws, Event, Proposal, Sampling, cpu};

use super::toy::{Chain, Law, Toy, Tree};

const TEXTS: u64 = 12_000;

/// How far Pearson's statistic is above its mean, in standard deviations, for texts of `length` tokens made by steps
/// that emit some tokens each.
fn deviation(toy: &Toy, length: usize, mut step: impl FnMut(u64, &[u32]) -> Vec<u32>) -> f64 {
    let mut counts: BTreeMap<Vec<u32>, f64> = BTreeMap::new();
    for seed in 0..TEXTS {
        let mut text = Vec::new();
        while text.len() < length {
            let emitted = step(seed, &text);
            text.extend(emitted);
        }
        text.truncate(length);
        *counts.entry(text).or_default() += 1.0;
    }
    let (mut statistic, mut cells) = (0.0, 0.0);
    // Rare texts are counted as one.
    let mut rare = (0.0, 0.0);
    for (text, probability) in Law::plain(toy, length).texts() {
        let expected = probability * TEXTS as f64;
        let count = counts.remove(text).unwrap_or(0.0);
        if expected < 5.0 {
            rare = (rare.0 + expected, rare.1 + count);
        } else {
            statistic += (count - expected).powi(2) / expected;
            cells += 1.0;
        }
    }
    assert!(counts.is_empty(), "impossible texts: {counts:?}");
    if rare.0 >= 5.0 {
        statistic += (rare.1 - rare.0).powi(2) / rare.0;
        cells += 1.0;
    }
    let freedom: f64 = cells - 1.0;
    assert!(freedom > 10.0, "{freedom}");
    (statistic - freedom) / (2.0 * freedom).sqrt()
}

fn toys() -> Vec<Toy> {
    Toy::all(24).filter(|toy| toy.width > 3).take(5).collect()
}

type ChainRule<C> =
    fn(&[u32], &[f64], &Proposal<'_, f64>, &mut C) -> speculators_kernels::Result<Accepted>;

/// Of texts made by chains of two, with the noise that `noise` finds for a seed and the number of tokens before a step.
fn chains<C: Chance>(toy: &Toy, rule: ChainRule<C>, noise: fn(u64, usize) -> C) -> f64 {
    deviation(toy, 4, |seed, text| {
        let mut chance = noise(seed, text.len());
        let chain = Chain::drawn(toy, text, 2, &mut chance);
        let proposal = chain.proposal(toy);
        chain.emitted(&rule(&chain.drafted, &chain.target, &proposal, &mut chance).unwrap())
    })
}

fn by_step(seed: u64, before: usize) -> Draws {
    Draws::new(seed, before as u64)
}

#[test]
fn chains_token_by_token() {
    for toy in toys() {
        let deviation = chains(&toy, cpu::chain_reject, by_step);
        assert!(deviation < 4.0, "{deviation}");
    }
}

#[test]
fn blocks_of_tokens() {
    for toy in toys() {
        let deviation = chains(&toy, cpu::block_verify, by_step);
        assert!(deviation < 4.0, "{deviation}");
    }
}

/// Noise by the position in the text instead of the step: what was drafted and thrown away comes back with the same
/// noise. A block is judged by its later tokens, so that is biased.
struct ByPosition(Draws, usize);

impl ByPosition {
    fn event(&self, event: Event) -> Event {
        Event {
            node: event.node + self.1,
            ..event
        }
    }
}

impl Chance for ByPosition {
    fn happens(&mut self, event: Event, probability: f64) -> bool {
        let event = self.event(event);
        self.0.happens(event, probability)
    }

    fn token(&mut self, event: Event, count: usize, weight: impl Fn(usize) -> f64) -> Option<u32> {
        let event = self.event(event);
        self.0.token(event, count, weight)
    }
}

fn by_position(seed: u64, before: usize) -> ByPosition {
    ByPosition(Draws::new(seed, 0), before)
}

#[test]
fn noise_that_comes_back_is_seen() {
    let toys = toys();
    let largest = |of: &dyn Fn(&Toy) -> f64| toys.iter().map(of).fold(0.0, f64::max);
    // A token is judged before anything behind it is looked at, which is therefore as good as new.
    let tokens = largest(&|toy| chains(toy, cpu::chain_reject, by_position));
    assert!(tokens < 4.0, "{tokens}");
    let blocks = largest(&|toy| chains(toy, cpu::block_verify, by_position));
    assert!(blocks > 10.0, "{blocks}");
    let same = largest(&|toy| chains(toy, cpu::block_verify, |seed, _| Draws::new(seed, 0)));
    assert!(same > 10.0, "{same}");
}

#[test]
fn trees_of_siblings() {
    for toy in toys() {
        let deviation = deviation(&toy, 4, |seed, text| {
            let mut draws = Draws::new(seed, text.len() as u64);
            let tree = Tree::drawn(&toy, text, 2, &mut draws);
            let (parents, tokens, target) = (&tree.parents, &tree.tokens, &tree.target);
            let proposal = tree.proposal(&toy);
            let accepted = cpu::tree_residual(parents, tokens, target, &proposal, &mut draws);
            let accepted = accepted.unwrap();
            tree.emitted(&accepted.path, accepted.bonus)
        });
        assert!(deviation < 4.0, "{deviation}");
    }
}

#[test]
fn trees_of_chosen_tokens() {
    for toy in toys() {
        let deviation = deviation(&toy, 4, |seed, text| {
            let mut draws = Draws::new(seed, text.len() as u64);
            let tree = Tree::chosen(&toy, text, 2);
            let (parents, tokens, target) = (&tree.parents, &tree.tokens, &tree.target);
            let proposal = Proposal::Chosen;
            let accepted = cpu::tree_residual(parents, tokens, target, &proposal, &mut draws);
            let accepted = accepted.unwrap();
            tree.emitted(&accepted.path, accepted.bonus)
        });
        assert!(deviation < 4.0, "{deviation}");
    }
}

/// The verifier's choices, from the logarithms of its distribution: noise by position, so that rows of one depth share
/// theirs.
fn sampled(toy: &Toy, target: &[f64], positions: &[u64], seed: u64) -> Vec<u32> {
    let logits: Vec<f32> = target.iter().map(|p| p.ln() as f32).collect();
    let sampling = Sampling::with_temperature(1.0, seed);
    let mut ids = vec![0; positions.len()];
    cpu::sample(&logits, toy.width, &sampling, positions, &mut ids).unwrap();
    ids
}

/// Sample-then-match, with the noise of plain sampling: not only the distribution, the tokens are the same.
#[test]
fn trees_matched_with_samples_give_the_tokens_of_plain_sampling() {
    for toy in toys() {
        let mut matched = |seed: u64, text: &[u32]| {
            let tree = Tree::chosen(&toy, text, 2);
            let mut positions = vec![text.len() as u64];
            for parent in &tree.parents[1..] {
                positions.push(positions[*parent as usize] + 1);
            }
            let targets = sampled(&toy, &tree.target, &positions, seed);
            let accepted = cpu::accept(&tree.parents, &tree.tokens, &targets).unwrap();
            tree.emitted(&accepted.path, accepted.bonus)
        };
        for seed in 0..200 {
            let (mut plain, mut text) = (Vec::new(), Vec::new());
            while text.len() < 8 {
                let emitted = matched(seed, &text);
                text.extend(emitted);
            }
            while plain.len() < text.len() {
                let position = plain.len() as u64;
                plain.extend(sampled(&toy, &toy.p(&plain), &[position], seed));
            }
            assert_eq!(text, plain);
        }
        let deviation = deviation(&toy, 4, &mut matched);
        assert!(deviation < 4.0, "{deviation}");
    }
}

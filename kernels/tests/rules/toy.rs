//! A verifier and a head over a handful of tokens, whose distributions depend on the whole text.

use std::collections::BTreeMap;

use speculators_kernels::{
    Accepted, Chance, DraftVocabulary, Event, Proposal, Purpose, cpu, philox4x32,
};

use super::every::{Every, every};

/// A verifier and a head.
pub struct Toy {
    pub width: usize,
    pub vocabulary: DraftVocabulary,
    seed: u32,
}

impl Toy {
    /// Verifiers of 3 to 5 tokens, and heads that can propose all of them or fewer, in another order.
    pub fn all(count: u32) -> impl Iterator<Item = Toy> {
        (0..count).map(|seed| {
            let width = 3 + seed as usize % 3;
            let tokens: Vec<u32> = (0..width as u32).rev().collect();
            let vocabulary = match seed % 4 {
                0 => DraftVocabulary::full(width),
                1 => DraftVocabulary::new(&tokens, width).unwrap(),
                2 => DraftVocabulary::new(&tokens[1..], width).unwrap(),
                _ => DraftVocabulary::new(&tokens[..2], width).unwrap(),
            };
            Toy {
                width,
                vocabulary,
                seed,
            }
        })
    }

    /// The verifier's distribution behind a text.
    pub fn p(&self, text: &[u32]) -> Vec<f64> {
        self.distribution(text, 0, self.width)
    }

    /// The head's distribution behind a text, over what it can propose.
    pub fn q(&self, text: &[u32]) -> Vec<f64> {
        self.distribution(text, 1, self.vocabulary.draft_width())
    }

    fn distribution(&self, text: &[u32], which: u32, width: usize) -> Vec<f64> {
        let name = text.iter().fold(1, |name, token| 8 * name + token);
        let mut weights: Vec<f64> = (0..width as u32)
            .map(|token| {
                let [word, kind, ..] = philox4x32([token, name, which, 0], [self.seed, 7]);
                match kind % 4 {
                    0 => 0.0,
                    // Few different values, so that there are ties, within a distribution and between the two.
                    1 => f64::from(word % 3 + 1) / 3.0,
                    _ => f64::from(word) / f64::from(u32::MAX),
                }
            })
            .collect();
        // A mass of exactly one token now and then, and never none at all.
        if weights.iter().all(|weight| *weight == 0.0) {
            weights[name as usize % width] = 1.0;
        }
        let total: f64 = weights.iter().sum();
        weights.into_iter().map(|weight| weight / total).collect()
    }
}

/// How probable each text of some length is.
#[derive(Default)]
pub struct Law(BTreeMap<Vec<u32>, f64>);

impl Law {
    /// Of plain sampling.
    pub fn plain(toy: &Toy, length: usize) -> Law {
        let mut law = Law::default();
        law.add(toy, length, &mut Vec::new(), 1.0);
        law
    }

    /// Of a step of speculation, which returns what it emits, and plain sampling after it.
    pub fn of(toy: &Toy, length: usize, mut step: impl FnMut(&mut Every) -> Vec<u32>) -> Law {
        let mut law = Law::default();
        every(|chance| {
            let mut text = step(chance);
            assert!(!text.is_empty() && text.len() <= length, "{text:?}");
            law.add(toy, length, &mut text, chance.weight);
        });
        law
    }

    fn add(&mut self, toy: &Toy, length: usize, text: &mut Vec<u32>, weight: f64) {
        if weight == 0.0 {
            return;
        }
        if text.len() == length {
            *self.0.entry(text.clone()).or_default() += weight;
            return;
        }
        for (token, p) in (0..).zip(toy.p(text)) {
            text.push(token);
            self.add(toy, length, text, weight * p);
            text.pop();
        }
    }

    /// The largest difference between two.
    pub fn distance(&self, other: &Law) -> f64 {
        let of = |law: &Law, text| law.0.get(text).copied().unwrap_or(0.0);
        self.0
            .keys()
            .chain(other.0.keys())
            .map(|text| (of(self, text) - of(other, text)).abs())
            .fold(0.0, f64::max)
    }

    /// Texts and how probable they are.
    pub fn texts(&self) -> impl Iterator<Item = (&Vec<u32>, f64)> {
        self.0.iter().map(|(text, weight)| (text, *weight))
    }
}

/// A drafted chain with the distributions behind root and tokens.
pub struct Chain {
    pub drafted: Vec<u32>,
    pub target: Vec<f64>,
    pub draft: Vec<f64>,
}

impl Chain {
    /// Drawn from the head.
    pub fn drawn(toy: &Toy, before: &[u32], length: usize, chance: &mut impl Chance) -> Chain {
        Chain::drawn_by(toy, before, length, |node, q| {
            cpu::draw(q, node, 1, chance).unwrap()[0]
        })
    }

    /// Of the tokens (by the head's numbers) that `draw` names.
    pub fn drawn_by(
        toy: &Toy,
        before: &[u32],
        length: usize,
        mut draw: impl FnMut(usize, &[f64]) -> u32,
    ) -> Chain {
        let mut text = before.to_vec();
        let (mut target, mut draft) = (toy.p(&text), Vec::new());
        for node in 0..length {
            let q = toy.q(&text);
            let token = draw(node, &q);
            text.push(toy.vocabulary.to_verifier(token).unwrap());
            target.extend(toy.p(&text));
            draft.extend(q);
        }
        Chain {
            drafted: text.split_off(before.len()),
            target,
            draft,
        }
    }

    /// As a rule wants to hear of it.
    pub fn proposal<'a>(&'a self, toy: &'a Toy) -> Proposal<'a, f64> {
        Proposal::Drawn {
            probabilities: &self.draft,
            vocabulary: &toy.vocabulary,
        }
    }

    /// What is emitted.
    pub fn emitted(&self, accepted: &Accepted) -> Vec<u32> {
        let mut emitted = self.drafted[..accepted.path.len()].to_vec();
        emitted.push(accepted.bonus);
        emitted
    }
}

/// A drafted tree with the distributions behind all its nodes.
pub struct Tree {
    pub parents: Vec<i32>,
    pub tokens: Vec<u32>,
    pub target: Vec<f64>,
    pub draft: Vec<f64>,
}

impl Tree {
    /// Grows a tree: `children` says which tokens (the verifier's) go behind a node, by its number, its depth and the
    /// distribution of the head there.
    pub fn grow(
        toy: &Toy,
        before: &[u32],
        mut children: impl FnMut(usize, usize, &[f64]) -> Vec<u32>,
    ) -> Tree {
        let mut tree = Tree {
            parents: vec![-1],
            tokens: vec![0],
            target: Vec::new(),
            draft: Vec::new(),
        };
        let mut texts = vec![before.to_vec()];
        let mut node = 0;
        while node < texts.len() {
            let text = texts[node].clone();
            let q = toy.q(&text);
            for token in children(node, text.len() - before.len(), &q) {
                tree.parents.push(node as i32);
                tree.tokens.push(token);
                texts.push([&text[..], &[token]].concat());
            }
            tree.target.extend(toy.p(&text));
            tree.draft.extend(q);
            node += 1;
        }
        tree
    }

    /// Siblings drawn at each node down to a depth, fewer where the head has no more: three, then two and one, as there
    /// are not too many such trees.
    pub fn drawn(toy: &Toy, before: &[u32], depth: usize, chance: &mut impl Chance) -> Tree {
        Tree::grow(toy, before, |node, at, q| {
            let count = if at == depth { 0 } else { 3 - node.min(2) };
            let drawn = cpu::draw(q, node, count, chance).unwrap();
            drawn
                .into_iter()
                .map(|token| toy.vocabulary.to_verifier(token).unwrap())
                .collect()
        })
    }

    /// Some tokens at each node that depend on the text alone; of some nodes none.
    pub fn chosen(toy: &Toy, before: &[u32], depth: usize) -> Tree {
        Tree::grow(toy, before, |node, at, _| {
            let count = if at == depth {
                0
            } else {
                [2, 1, 3, 0][node % 4]
            };
            let first = node + 1;
            (first..first + count)
                .map(|token| (token % toy.width) as u32)
                .collect()
        })
    }

    pub fn proposal<'a>(&'a self, toy: &'a Toy) -> Proposal<'a, f64> {
        Proposal::Drawn {
            probabilities: &self.draft,
            vocabulary: &toy.vocabulary,
        }
    }

    /// What the verifier samples at each node.
    pub fn targets(&self, toy: &Toy, chance: &mut impl Chance) -> Vec<u32> {
        let rows = self.target.chunks_exact(toy.width).enumerate();
        rows.map(|(node, row)| {
            let event = Event {
                purpose: Purpose::Bonus,
                node,
                rank: 0,
            };
            chance.token(event, row.len(), |token| row[token]).unwrap()
        })
        .collect()
    }

    /// What is emitted.
    pub fn emitted(&self, path: &[usize], bonus: u32) -> Vec<u32> {
        let mut emitted: Vec<u32> = path.iter().map(|node| self.tokens[*node]).collect();
        emitted.push(bonus);
        emitted
    }
}

//! Rules with a mistake each, as they were found in the wild. The check of `lossless.rs` must see every one of them.

use speculators_kernels::{Accepted, Chance, Event, Purpose, cpu};

use super::toy::{Chain, Law, Toy, Tree};

fn event(purpose: Purpose, node: usize) -> Event {
    Event {
        purpose,
        node,
        rank: 0,
    }
}

/// The mistakes that can be made with a chain.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mistake {
    /// To see that what follows is right apart from its mistakes.
    None,
    ResidualIsTarget,
    RatioUpsideDown,
    BonusOfLastRow,
    BonusOfRowBefore,
    DraftIdsNotMapped,
}

fn with_mistake(toy: &Toy, chain: &Chain, mistake: Mistake, chance: &mut impl Chance) -> Vec<u32> {
    let (width, drafts) = (toy.width, chain.drafted.len());
    let p = |row: usize, token: u32| chain.target[row * width + token as usize];
    let q = |row: usize, token: u32| {
        let draft = if mistake == Mistake::DraftIdsNotMapped {
            Some(token).filter(|token| (*token as usize) < toy.vocabulary.draft_width())
        } else {
            toy.vocabulary.to_draft(token)
        };
        draft.map_or(0.0, |draft| {
            chain.draft[row * toy.vocabulary.draft_width() + draft as usize]
        })
    };
    let mut accepted = 0;
    while accepted < drafts {
        let token = chain.drafted[accepted];
        let ratio = if mistake == Mistake::RatioUpsideDown {
            q(accepted, token) / p(accepted, token)
        } else {
            p(accepted, token) / q(accepted, token)
        };
        if !chance.happens(event(Purpose::Acceptance, accepted + 1), ratio) {
            break;
        }
        accepted += 1;
    }
    let rejected = accepted < drafts;
    let row = match mistake {
        Mistake::BonusOfLastRow => drafts,
        Mistake::BonusOfRowBefore if !rejected => accepted.saturating_sub(1),
        _ => accepted,
    };
    let weight = |token: usize| {
        let token = token as u32;
        if rejected && row < drafts && mistake != Mistake::ResidualIsTarget {
            (p(row, token) - q(row, token)).max(0.0)
        } else {
            p(row, token)
        }
    };
    let bonus = chance.token(event(Purpose::Bonus, accepted), width, weight);
    chain.emitted(&Accepted {
        path: (1..=accepted).collect(),
        bonus: bonus.unwrap_or(0),
    })
}

/// The largest distance over all toys.
fn distance(
    length: usize,
    mut step: impl FnMut(&Toy, &mut super::every::Every) -> Vec<u32>,
) -> f64 {
    Toy::all(24)
        .map(|toy| {
            Law::of(&toy, length, |chance| step(&toy, chance)).distance(&Law::plain(&toy, length))
        })
        .fold(0.0, f64::max)
}

#[test]
fn mistakes_with_chains_are_seen() {
    let of = |mistake| {
        distance(3, |toy, chance| {
            let chain = Chain::drawn(toy, &[], 2, chance);
            with_mistake(toy, &chain, mistake, chance)
        })
    };
    assert!(of(Mistake::None) < 1e-12);
    for mistake in [
        Mistake::ResidualIsTarget,
        Mistake::RatioUpsideDown,
        Mistake::BonusOfLastRow,
        Mistake::BonusOfRowBefore,
        Mistake::DraftIdsNotMapped,
    ] {
        assert!(of(mistake) > 0.05, "{mistake:?}: {}", of(mistake));
    }
}

/// The right rules, told wrong things.
#[test]
fn a_wrong_account_of_the_draft_is_seen() {
    // Drawn at another temperature than is said.
    let sharper = distance(3, |toy, chance| {
        let chain = Chain::drawn_by(toy, &[], 2, |node, q| {
            let squared: Vec<f64> = q.iter().map(|q| q * q).collect();
            cpu::draw(&squared, node, 1, chance).unwrap()[0]
        });
        let proposal = chain.proposal(toy);
        chain.emitted(&cpu::block_verify(&chain.drafted, &chain.target, &proposal, chance).unwrap())
    });
    assert!(sharper > 0.05, "{sharper}");

    // The most probable token, said to be drawn.
    let chosen = distance(3, |toy, chance| {
        let chain = Chain::drawn_by(toy, &[], 2, |_, q| {
            let largest = q.iter().copied().fold(0.0, f64::max);
            q.iter().position(|q| *q == largest).unwrap() as u32
        });
        let proposal = chain.proposal(toy);
        chain.emitted(&cpu::chain_reject(&chain.drafted, &chain.target, &proposal, chance).unwrap())
    });
    assert!(chosen > 0.05, "{chosen}");
}

/// Siblings in another order than they were drawn in, and siblings kept for what they are.
#[test]
fn siblings_that_were_looked_at_are_seen() {
    type Select = fn(&mut Vec<u32>);
    let select: [(&str, Select); 2] = [
        ("sorted", |drawn| drawn.sort_unstable()),
        ("best kept", |drawn| drawn.retain(|token| *token != 1)),
    ];
    for (name, select) in select {
        let distance = distance(2, |toy, chance| {
            let tree = Tree::grow(toy, &[], |node, depth, q| {
                let count = if depth == 1 { 0 } else { 2 };
                let mut drawn = cpu::draw(q, node, count, chance).unwrap();
                select(&mut drawn);
                let mapped = drawn.iter().map(|draft| toy.vocabulary.to_verifier(*draft));
                mapped.map(Option::unwrap).collect()
            });
            let (parents, tokens, target) = (&tree.parents, &tree.tokens, &tree.target);
            let proposal = tree.proposal(toy);
            let accepted = cpu::tree_residual(parents, tokens, target, &proposal, chance).unwrap();
            tree.emitted(&accepted.path, accepted.bonus)
        });
        assert!(distance > 0.02, "{name}: {distance}");
    }
}

/// The first rejection kernel of TensorRT-LLM: siblings tried one after the other against a `p` that stays as it was.
#[test]
fn siblings_tried_against_the_same_distribution_are_seen() {
    let distance = distance(2, |toy, chance| {
        let tree = Tree::drawn(toy, &[], 1, chance);
        let mut p = tree.target[..toy.width].to_vec();
        let q = |token: u32| {
            let draft = toy.vocabulary.to_draft(token);
            draft.map_or(0.0, |draft| tree.draft[draft as usize])
        };
        for node in 1..tree.tokens.len() {
            let token = tree.tokens[node];
            let probability = p[token as usize] / q(token);
            if chance.happens(event(Purpose::Acceptance, node), probability) {
                let row = &tree.target[node * toy.width..(node + 1) * toy.width];
                let bonus = chance.token(event(Purpose::Bonus, node), toy.width, |t| row[t]);
                return vec![token, bonus.unwrap()];
            }
        }
        for (token, p) in (0..).zip(&mut p) {
            *p = (*p - q(token)).max(0.0);
        }
        let bonus = chance.token(event(Purpose::Bonus, 0), toy.width, |token| p[token]);
        vec![bonus.unwrap_or(0)]
    });
    assert!(distance > 0.02, "{distance}");
}

/// Block verification whose bonus comes from the residual of single tokens.
#[test]
fn a_block_with_the_residual_of_tokens_is_seen() {
    let distance = distance(3, |toy, chance| {
        let chain = Chain::drawn(toy, &[], 2, chance);
        let proposal = chain.proposal(toy);
        let accepted = cpu::block_verify(&chain.drafted, &chain.target, &proposal, chance).unwrap();
        let row = accepted.path.len();
        if row == 2 {
            return chain.emitted(&accepted);
        }
        let weight = |token: usize| {
            let p = chain.target[row * toy.width + token];
            let draft = toy.vocabulary.to_draft(token as u32);
            let q = draft.map_or(0.0, |draft| {
                chain.draft[row * toy.vocabulary.draft_width() + draft as usize]
            });
            (p - q).max(0.0)
        };
        // In place of the right bonus, which was drawn under another name.
        let bonus = chance.token(event(Purpose::Bonus, 99), toy.width, weight);
        let bonus = bonus.unwrap_or(accepted.bonus);
        chain.emitted(&Accepted { bonus, ..accepted })
    });
    assert!(distance > 0.02, "{distance}");
}

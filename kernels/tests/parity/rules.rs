//! Comparisons of what verifies a draft, and of what it works on.

use super::exact::{odd_logits, random_tree};
use super::inputs::{random, share};
use super::table::output;
use speculators_kernels::{
    DraftVocabulary, Draws, LossyThresholds, LossyTypical, Occurrence, Penalties, Proposal,
    Rounding, Sampling, VerifyTree, cpu, reference,
};

const WIDTH: usize = 8;

/// Distributions over [`WIDTH`] tokens, of rows that some logits are odd in.
fn distributions(rows: usize, seed: u32) -> Vec<f32> {
    let mut logits: Vec<f32> = random(rows * WIDTH, seed).iter().map(|x| 4.0 * x).collect();
    for (index, x) in logits.iter_mut().enumerate() {
        match index % 11 {
            0 => *x = f32::NAN,
            3 => *x = f32::NEG_INFINITY,
            5 => *x = x.round(),
            _ => {}
        }
    }
    output(logits.len(), |y| {
        cpu::probabilities(&logits, WIDTH, &Sampling::with_temperature(1.0, 0), y)
    })
}

pub fn probabilities() -> f64 {
    let mut used = 0.0f64;
    let settings = [
        Sampling::greedy(),
        Sampling::with_temperature(1.0, 0),
        Sampling::with_temperature(0.2, 0),
        // So cold that its reciprocal overflows.
        Sampling::with_temperature(1e-40, 0),
        Sampling {
            top_k: 7,
            ..Sampling::with_temperature(1.0, 0)
        },
        Sampling {
            top_p: 0.9,
            min_p: 0.01,
            ..Sampling::with_temperature(3.0, 0)
        },
    ];
    for width in [1, 66, 3000, 128_256] {
        let mut logits = odd_logits(width);
        logits.extend(vec![f32::NAN; width]);
        logits.extend(vec![f32::NEG_INFINITY; width]);
        for (index, sampling) in settings.iter().enumerate() {
            let fast = output(logits.len(), |y| {
                cpu::probabilities(&logits, width, sampling, y)
            });
            let plain = output(logits.len(), |y| {
                reference::probabilities(&logits, width, sampling, y)
            });
            let case = format!("probabilities, setting {index}, width {width}");
            // Arguments of the exponential reach hundreds, each with a rounding of its own.
            used = used.max(share(&case, Rounding::None, 2, 3e-7, &fast, &plain));
            for (row, (fast, plain)) in fast.chunks(width).zip(plain.chunks(width)).enumerate() {
                for (fast, plain) in fast.iter().zip(plain) {
                    // What the filters leave is the same exactly, apart from what is below any `f32`.
                    assert!(*plain < 1e-30 || *fast > 0.0, "{case}, row {row}");
                    assert!(*plain > 0.0 || *fast < 1e-30, "{case}, row {row}");
                }
            }
        }
    }
    used
}

pub fn penalize() -> f64 {
    let penalties = Penalties {
        repetition: 1.3,
        frequency: 0.2,
        presence: -0.4,
    };
    let seen: Vec<Occurrence> = [(3, 0), (4, 2), (60, 1)]
        .map(|(token, in_output)| Occurrence { token, in_output })
        .to_vec();
    let paths: [&[u32]; 6] = [&[], &[4], &[4, 4, 5], &[5, 5], &[65, 3], &[0]];
    let mut fast = odd_logits(66);
    let mut plain = fast.clone();
    cpu::penalize(&mut fast, 66, &penalties, &seen, &paths).unwrap();
    reference::penalize(&mut plain, 66, &penalties, &seen, &paths).unwrap();
    let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&fast), bits(&plain));
    0.0
}

pub fn draw() -> f64 {
    for (node, row) in distributions(60, 30).chunks(WIDTH).enumerate() {
        let mut draws = Draws::new(1, 40);
        let fast = cpu::draw(row, node, 3, &mut draws).unwrap();
        assert_eq!(fast, reference::draw(row, node, 3, &mut draws).unwrap());
    }
    0.0
}

pub fn chain_reject() -> f64 {
    chains(|drafted, target, proposal, mut draws| {
        let fast = cpu::chain_reject(drafted, target, proposal, &mut draws).unwrap();
        let plain = reference::chain_reject(drafted, target, proposal, &mut draws).unwrap();
        assert_eq!(fast, plain);
    })
}

pub fn block_verify() -> f64 {
    chains(|drafted, target, proposal, mut draws| {
        let fast = cpu::block_verify(drafted, target, proposal, &mut draws).unwrap();
        let plain = reference::block_verify(drafted, target, proposal, &mut draws).unwrap();
        assert_eq!(fast, plain);
    })
}

fn chains(compare: impl Fn(&[u32], &[f32], &Proposal<'_, f32>, Draws)) -> f64 {
    let vocabulary = DraftVocabulary::full(WIDTH);
    for drafts in 0..9 {
        let (target, draft) = (
            distributions(drafts + 1, 31),
            distributions(drafts, 32 + drafts as u32),
        );
        let mut draws = Draws::new(2, drafts as u64);
        let drafted: Vec<u32> = draft
            .chunks(WIDTH)
            .enumerate()
            .map(|(node, row)| cpu::draw(row, node, 1, &mut draws).unwrap()[0])
            .collect();
        let drawn = Proposal::Drawn {
            probabilities: &draft[..],
            vocabulary: &vocabulary,
        };
        compare(&drafted, &target, &drawn, draws);
        compare(&drafted, &target, &Proposal::Chosen, draws);
    }
    0.0
}

pub fn tree_residual() -> f64 {
    let vocabulary = DraftVocabulary::full(WIDTH);
    trees(|tree, target, draws| {
        let draft = distributions(tree.tokens.len(), 33);
        let drawn = Proposal::Drawn {
            probabilities: &draft[..],
            vocabulary: &vocabulary,
        };
        for proposal in [drawn, Proposal::Chosen] {
            let run = |rule: Residual| {
                rule(
                    &tree.parents,
                    &tree.tokens,
                    target,
                    &proposal,
                    &mut draws.clone(),
                )
                .unwrap()
            };
            assert_eq!(run(cpu::tree_residual), run(reference::tree_residual));
        }
    })
}

/// The signature of both versions.
type Residual = fn(
    &[i32],
    &[u32],
    &[f32],
    &Proposal<'_, f32>,
    &mut Draws,
) -> speculators_kernels::Result<speculators_kernels::Accepted>;

pub fn lossy_typical() -> f64 {
    trees(|tree, target, _| {
        let rule = LossyTypical::medusa();
        let fast = cpu::lossy_typical(&tree.parents, &tree.tokens, target, &rule).unwrap();
        let plain = reference::lossy_typical(&tree.parents, &tree.tokens, target, &rule).unwrap();
        assert_eq!(fast, plain);
    })
}

pub fn lossy_thresholds() -> f64 {
    trees(|tree, target, mut draws| {
        let rule = LossyThresholds {
            single: 0.5,
            accumulated: 0.8,
        };
        let (parents, tokens) = (&tree.parents, &tree.tokens);
        let fast = cpu::lossy_thresholds(parents, tokens, target, &rule, &mut draws).unwrap();
        let plain = reference::lossy_thresholds(parents, tokens, target, &rule, &mut draws);
        assert_eq!(fast, plain.unwrap());
    })
}

fn trees(compare: impl Fn(&VerifyTree, &[f32], Draws)) -> f64 {
    for nodes in [1, 2, 10, 60, 256] {
        let mut tree = random_tree(nodes, 34);
        tree.tokens
            .iter_mut()
            .for_each(|token| *token %= WIDTH as u32);
        let target = distributions(tree.tokens.len(), 35);
        compare(&tree, &target, Draws::new(3, nodes as u64));
    }
    0.0
}

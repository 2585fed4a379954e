//! Comparisons of operations on tokens, indices and slots, whose results must be equal.

use super::inputs::random;
use super::table::output;
use speculators_kernels::{DraftTree, KvCache, Sampling, VerifyTree, WeightType, cpu, reference};

/// A tree of `nodes` nodes with random parents.
pub fn random_tree(nodes: usize, seed: u32) -> VerifyTree {
    let mut tree = DraftTree::new();
    let mut rows = 1;
    let width = 8;
    let mut level = 0;
    while tree.len() < nodes {
        let scores: Vec<f32> = random(rows * width, seed + level)
            .iter()
            .map(|x| 2.0 * x - 2.0)
            .collect();
        let tokens: Vec<u32> = (0..rows * width).map(|i| i as u32).collect();
        rows = cpu::tree_step(&mut tree, &tokens, &scores).unwrap().len();
        level += 1;
    }
    cpu::tree_finalize(&tree, 0, nodes).unwrap()
}

/// Rows with ties, infinities and NaN beside ordinary ones.
pub fn odd_logits(width: usize) -> Vec<f32> {
    let mut logits: Vec<f32> = random(6 * width, 14).iter().map(|x| 10.0 * x).collect();
    for (index, x) in logits.iter_mut().enumerate() {
        match index / width {
            1 => *x = x.round(),
            2 if index % 3 == 0 => *x = f32::NAN,
            3 if index % 5 != 0 => *x = f32::NEG_INFINITY,
            4 => *x = if index % 2 == 0 { 0.0 } else { -0.0 },
            5 if index % 7 == 3 => *x *= 10.0,
            _ => {}
        }
    }
    logits
}

pub fn top_k() -> f64 {
    for (width, counts) in [
        (1, &[0, 1][..]),
        (50, &[1, 10, 50]),
        (5000, &[1, 10, 300, 5000]),
    ] {
        let logits = odd_logits(width);
        for k in counts.iter().copied() {
            let run = |top_k: fn(&[f32], usize, usize, &mut [u32], &mut [f32]) -> _| {
                let mut values = vec![0.0; 6 * k];
                let ids = output(6 * k, |ids| top_k(&logits, width, k, ids, &mut values));
                (
                    ids,
                    values.into_iter().map(f32::to_bits).collect::<Vec<u32>>(),
                )
            };
            assert_eq!(run(cpu::top_k), run(reference::top_k), "top {k} of {width}");
        }
    }
    0.0
}

pub fn sample() -> f64 {
    let settings = [
        Sampling::greedy(),
        Sampling::with_temperature(1.0, 1),
        Sampling::with_temperature(0.2, 2),
        Sampling::with_temperature(8.0, 3),
        Sampling {
            top_k: 7,
            ..Sampling::with_temperature(1.0, 4)
        },
        Sampling {
            top_k: 1,
            ..Sampling::with_temperature(2.0, 5)
        },
        Sampling {
            top_p: 0.8,
            ..Sampling::with_temperature(3.0, 6)
        },
        Sampling {
            min_p: 0.05,
            ..Sampling::with_temperature(1.5, 7)
        },
        Sampling {
            top_k: 40,
            top_p: 0.9,
            min_p: 0.01,
            ..Sampling::with_temperature(1.0, 8)
        },
        Sampling {
            top_p: 0.95,
            min_p: 0.001,
            ..Sampling::with_temperature(5.0, 9)
        },
    ];
    for width in [1, 66, 3000] {
        let mut logits = odd_logits(width);
        logits.extend(vec![f32::NAN; width]);
        for (index, sampling) in settings.iter().enumerate() {
            for first in 0..20 {
                let positions: Vec<u64> = (first..first + 7).map(|p| p << 20).collect();
                let fast = output(7, |ids| {
                    cpu::sample(&logits, width, sampling, &positions, ids)
                });
                let plain = output(7, |ids| {
                    reference::sample(&logits, width, sampling, &positions, ids)
                });
                assert_eq!(
                    fast, plain,
                    "sample, setting {index}, width {width}, position {first}"
                );
            }
        }
    }
    0.0
}

pub fn kv_compact() -> f64 {
    let numbers = random(40 * 6, 15);
    let run = |kv_compact: fn(&mut KvCache, usize, &[usize]) -> speculators_kernels::Result<()>| {
        let mut cache = KvCache::new(WeightType::F16, 2, 3, 40).unwrap();
        cache.append(&numbers, &numbers).unwrap();
        kv_compact(&mut cache, 20, &[0, 3, 4, 19]).unwrap();
        (0..cache.len())
            .map(|slot| (cache.key(slot, 1), cache.value(slot, 0)))
            .collect::<Vec<_>>()
    };
    assert_eq!(run(cpu::kv_compact), run(reference::kv_compact));
    0.0
}

pub fn tree_step() -> f64 {
    let (mut fast, mut plain) = (DraftTree::new(), DraftTree::new());
    let mut rows = 1;
    for level in 0..4 {
        // Rounded, so that there are ties.
        let scores: Vec<f32> = random(rows * 5, 16 + level)
            .iter()
            .map(|x| (4.0 * x).round() - 4.0)
            .collect();
        let tokens: Vec<u32> = (0..rows as u32 * 5).collect();
        let parents = cpu::tree_step(&mut fast, &tokens, &scores).unwrap();
        assert_eq!(
            parents,
            reference::tree_step(&mut plain, &tokens, &scores).unwrap()
        );
        assert_eq!(fast, plain);
        rows = parents.len();
    }
    0.0
}

pub fn tree_finalize() -> f64 {
    let mut tree = DraftTree::new();
    cpu::tree_step(&mut tree, &[1, 2, 3], &[-1.0, -2.0, -3.0]).unwrap();
    cpu::tree_step(&mut tree, &[4, 5, 6, 7, 8, 9, 10, 11, 12], &[-1.0; 9]).unwrap();
    for nodes in 1..14 {
        let fast = cpu::tree_finalize(&tree, 0, nodes).unwrap();
        assert_eq!(fast, reference::tree_finalize(&tree, 0, nodes).unwrap());
    }
    0.0
}

pub fn accept() -> f64 {
    let tree = random_tree(60, 17);
    let target: Vec<u32> = (0..60).map(|node| node % 8).collect();
    let fast = cpu::accept(&tree.parents, &tree.tokens, &target).unwrap();
    assert_eq!(
        fast,
        reference::accept(&tree.parents, &tree.tokens, &target).unwrap()
    );
    0.0
}

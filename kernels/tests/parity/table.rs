//! For each operation, a comparison over shapes, weight types and roundings.

use super::inputs::{FLOATS, ROUNDINGS, bytes, random, rounded, share};
use speculators_kernels::{
    Activation, DraftTree, EmbeddingTable, KvCache, Matrix, RopeTable, Rounding, Sampling,
    TreeMask, WeightType, cpu, reference,
};

/// The stem of each operation, and its comparison: the largest share used of the allowance.
pub const OPERATIONS: [(&str, fn() -> f64); 13] = [
    ("accept", accept),
    ("embed", embed),
    ("kv_compact", kv_compact),
    ("linear", linear),
    ("log_sum_exp", log_sum_exp),
    ("rms_norm", rms_norm),
    ("rope", rope),
    ("sample", sample),
    ("swiglu", swiglu),
    ("top_k", top_k),
    ("tree_attention", tree_attention),
    ("tree_finalize", tree_finalize),
    ("tree_step", tree_step),
];

/// The output of a call that cannot fail.
fn output<T: Clone + Default>(
    length: usize,
    call: impl FnOnce(&mut [T]) -> speculators_kernels::Result<()>,
) -> Vec<T> {
    let mut output = vec![T::default(); length];
    call(&mut output).unwrap();
    output
}

fn linear() -> f64 {
    let mut used = 0.0f64;
    // Inputs and outputs that fill panels and steps, and that do not; more inputs than one chunk.
    for (inputs, outputs, rows) in [
        (64, 32, 1),
        (1, 1, 3),
        (7, 17, 2),
        (130, 40, 5),
        (1030, 70, 8),
        (2050, 33, 19),
    ] {
        let weights = random(inputs * outputs, 1);
        let bias = random(outputs, 2);
        for rounding in ROUNDINGS {
            let input = rounded(rows * inputs, 3, rounding);
            let cut = outputs / 3 * inputs;
            let mut compare = |name: &str, matrix: &Matrix| {
                for bias in [None, Some(&bias[..])] {
                    let run =
                        |linear: fn(&Matrix, Option<&[f32]>, &[f32], Rounding, &mut [f32]) -> _| {
                            output(rows * outputs, |y| {
                                linear(matrix, bias, &input, rounding, y)
                            })
                        };
                    let case = format!("linear {name} {rounding:?} [{outputs}, {inputs}] x {rows}");
                    // Terms are below 1, so a sum of n of them is about the root of n, and so is the number of
                    // roundings, each in proportion to it, that do not cancel.
                    let absolute = 4e-8 * inputs as f32 + 1e-6;
                    used = used.max(share(
                        &case,
                        rounding,
                        absolute,
                        &run(cpu::linear),
                        &run(reference::linear),
                    ));
                }
            };
            for weight_type in FLOATS {
                let (first, second) = (
                    bytes(&weights[..cut], weight_type),
                    bytes(&weights[cut..], weight_type),
                );
                let parts = [&first[..], &second[..]];
                compare(
                    &format!("{weight_type:?}"),
                    &Matrix::pack(weight_type, inputs, &parts).unwrap(),
                );
                compare(
                    "Int8",
                    &Matrix::quantize_int8(weight_type, inputs, &parts).unwrap(),
                );
            }
        }
    }
    used
}

fn embed() -> f64 {
    for weight_type in FLOATS {
        let table =
            EmbeddingTable::new(weight_type, 37, &bytes(&random(37 * 50, 4), weight_type)).unwrap();
        let ids: Vec<u32> = (0..2000).map(|i| i * 7 % 50).collect();
        let fast = output(ids.len() * 37, |y| cpu::embed(&table, &ids, y));
        let plain = output(ids.len() * 37, |y| reference::embed(&table, &ids, y));
        assert_eq!(fast, plain, "embed {weight_type:?}");
        assert!(cpu::embed(&table, &[50], &mut [0.0; 37]).is_err());
    }
    0.0
}

fn rms_norm() -> f64 {
    let mut used = 0.0f64;
    for (width, rows) in [(64, 3), (1, 2), (100, 5), (2048, 1), (2048, 70)] {
        let weight = random(width, 5);
        for rounding in ROUNDINGS {
            let input = rounded(rows * width, 6, rounding);
            let case = format!("rms_norm {rounding:?} {rows} x {width}");
            let fast = output(input.len(), |y| {
                cpu::rms_norm(&input, &weight, 1e-5, rounding, y)
            });
            let plain = output(input.len(), |y| {
                reference::rms_norm(&input, &weight, 1e-5, rounding, y)
            });
            used = used.max(share(&case, rounding, 1e-7, &fast, &plain));

            let residual = rounded(rows * width, 7, rounding);
            let (mut fast_sum, mut plain_sum) = (residual.clone(), residual);
            let fast = output(input.len(), |y| {
                cpu::add_rms_norm(&input, &mut fast_sum, &weight, 1e-5, rounding, y)
            });
            let plain = output(input.len(), |y| {
                reference::add_rms_norm(&input, &mut plain_sum, &weight, 1e-5, rounding, y)
            });
            assert_eq!(fast_sum, plain_sum, "{case}");
            used = used.max(share(&case, rounding, 1e-7, &fast, &plain));
        }
    }
    used
}

fn rope() -> f64 {
    for (half, head_dim, heads) in [(32, 64, 4), (8, 20, 3), (0, 8, 2), (5, 10, 1)] {
        for rounding in ROUNDINGS {
            let frequencies: Vec<f64> = (0..half)
                .map(|i| 1e4f64.powf(-f64::from(i) / 32.0))
                .collect();
            let table = RopeTable::new(&frequencies, 1.2, 300, rounding);
            let positions: Vec<u32> = (0..90).map(|row| row * 3).collect();
            let values = rounded(positions.len() * heads * head_dim, 8, rounding);
            let (mut fast, mut plain) = (values.clone(), values);
            cpu::rope(&table, &positions, heads, head_dim, rounding, &mut fast).unwrap();
            reference::rope(&table, &positions, heads, head_dim, rounding, &mut plain).unwrap();
            assert_eq!(fast, plain, "rope {rounding:?} {head_dim}");
        }
    }
    0.0
}

fn swiglu() -> f64 {
    let mut used = 0.0f64;
    for activation in [
        Activation::Silu,
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::Relu,
    ] {
        for (width, rows) in [(1, 1), (100, 3), (8192, 5)] {
            for rounding in ROUNDINGS {
                let gate_up: Vec<f32> = random(2 * rows * width, 9)
                    .iter()
                    .map(|x| rounding.round(12.0 * x))
                    .collect();
                let fast = output(rows * width, |y| {
                    cpu::swiglu(&gate_up, width, activation, rounding, y)
                });
                let plain = output(rows * width, |y| {
                    reference::swiglu(&gate_up, width, activation, rounding, y)
                });
                let case = format!("swiglu {activation:?} {rounding:?} {rows} x {width}");
                used = used.max(share(&case, rounding, 1e-6, &fast, &plain));
            }
        }
    }
    used
}

fn tree_attention() -> f64 {
    let mut used = 0.0f64;
    // Prefixes and tails that end in the middle of a block; head widths beyond, at and below 64; windows.
    for (prefix, tail, heads, kv_heads, head_dim, window) in [
        (0, 1, 1, 1, 64, None),
        (33, 9, 4, 2, 64, None),
        (100, 40, 8, 2, 80, None),
        (50, 20, 6, 1, 3, Some(17)),
        (16, 16, 4, 4, 128, Some(1)),
        (40, 70, 2, 2, 16, Some(60)),
    ] {
        for storage in FLOATS {
            for rounding in ROUNDINGS {
                let mut cache = KvCache::new(storage, kv_heads, head_dim, 0).unwrap();
                let width = kv_heads * head_dim;
                let slots = prefix + tail;
                cache
                    .append(&random(slots * width, 10), &random(slots * width, 11))
                    .unwrap();
                let tree = random_tree(tail, 12);
                let mask = TreeMask {
                    tail,
                    words: tree.words,
                    bits: &tree.bits,
                };
                let positions: Vec<u32> = tree
                    .depths
                    .iter()
                    .map(|depth| prefix as u32 + depth)
                    .collect();
                let queries = rounded(tail * heads * head_dim, 13, rounding);
                let scale = 2.0 / (head_dim as f32).sqrt();
                let fast = output(queries.len(), |y| {
                    cpu::tree_attention(
                        &queries, &cache, &mask, &positions, &positions, window, scale, rounding, y,
                    )
                });
                let plain = output(queries.len(), |y| {
                    reference::tree_attention(
                        &queries, &cache, &mask, &positions, &positions, window, scale, rounding, y,
                    )
                });
                let case = format!(
                    "tree_attention {storage:?} {rounding:?} {prefix}+{tail} {head_dim} {window:?}"
                );
                used = used.max(share(&case, rounding, 2e-6, &fast, &plain));
            }
        }
    }
    used
}

/// A tree of `nodes` nodes with random parents.
pub fn random_tree(nodes: usize, seed: u32) -> speculators_kernels::VerifyTree {
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
fn odd_logits(width: usize) -> Vec<f32> {
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

fn top_k() -> f64 {
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

fn log_sum_exp() -> f64 {
    let mut used = 0.0f64;
    for width in [1, 50, 1000, 128_256] {
        let mut logits = odd_logits(width);
        logits.extend(vec![f32::NEG_INFINITY; width]);
        logits.extend(vec![f32::INFINITY; width]);
        let fast = output(8, |y| cpu::log_sum_exp(&logits, width, y));
        let plain = output(8, |y| reference::log_sum_exp(&logits, width, y));
        used = used.max(share(
            &format!("log_sum_exp {width}"),
            Rounding::None,
            1e-5,
            &fast,
            &plain,
        ));
    }
    used
}

fn sample() -> f64 {
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

fn kv_compact() -> f64 {
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

fn tree_step() -> f64 {
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

fn tree_finalize() -> f64 {
    let mut tree = DraftTree::new();
    cpu::tree_step(&mut tree, &[1, 2, 3], &[-1.0, -2.0, -3.0]).unwrap();
    cpu::tree_step(&mut tree, &[4, 5, 6, 7, 8, 9, 10, 11, 12], &[-1.0; 9]).unwrap();
    for nodes in 1..14 {
        let fast = cpu::tree_finalize(&tree, 0, nodes).unwrap();
        assert_eq!(fast, reference::tree_finalize(&tree, 0, nodes).unwrap());
    }
    0.0
}

fn accept() -> f64 {
    let tree = random_tree(60, 17);
    let target: Vec<u32> = (0..60).map(|node| node % 8).collect();
    let fast = cpu::accept(&tree.parents, &tree.tokens, &target).unwrap();
    assert_eq!(
        fast,
        reference::accept(&tree.parents, &tree.tokens, &target).unwrap()
    );
    0.0
}

//! For each operation, a comparison over shapes, weight types and roundings.

use super::exact::{self, odd_logits, random_tree};
use super::inputs::{FLOATS, ROUNDINGS, bytes, random, rounded, share};
use super::rules;
use speculators_kernels::{
    Activation, EmbeddingTable, KvCache, Matrix, Result, RopeTable, Rounding, TreeMask, cpu,
    reference,
};

/// A stem and a comparison.
type Operation = (&'static str, fn() -> f64);

/// The stem of each operation, and its comparison: the largest share used of the allowance.
pub const OPERATIONS: [Operation; 21] = [
    ("accept", exact::accept),
    ("block_verify", rules::block_verify),
    ("chain_reject", rules::chain_reject),
    ("draw", rules::draw),
    ("embed", embed),
    ("kv_compact", exact::kv_compact),
    ("linear", linear),
    ("log_sum_exp", log_sum_exp),
    ("lossy_thresholds", rules::lossy_thresholds),
    ("lossy_typical", rules::lossy_typical),
    ("penalize", rules::penalize),
    ("probabilities", rules::probabilities),
    ("rms_norm", rms_norm),
    ("rope", rope),
    ("sample", exact::sample),
    ("swiglu", swiglu),
    ("top_k", exact::top_k),
    ("tree_attention", tree_attention),
    ("tree_finalize", exact::tree_finalize),
    ("tree_residual", rules::tree_residual),
    ("tree_step", exact::tree_step),
];

/// The output of a call that cannot fail.
pub fn output<T: Clone + Default>(
    length: usize,
    call: impl FnOnce(&mut [T]) -> Result<()>,
) -> Vec<T> {
    let mut output = vec![T::default(); length];
    call(&mut output).unwrap();
    output
}

/// The signature of both versions.
type Linear = fn(&Matrix, Option<&[f32]>, &[f32], Rounding, &mut [f32]) -> Result<()>;

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
                    let run = |linear: Linear| {
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
                        1,
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
            used = used.max(share(&case, rounding, 2, 1e-7, &fast, &plain));

            let residual = rounded(rows * width, 7, rounding);
            let (mut fast_sum, mut plain_sum) = (residual.clone(), residual);
            let fast = output(input.len(), |y| {
                cpu::add_rms_norm(&input, &mut fast_sum, &weight, 1e-5, rounding, y)
            });
            let plain = output(input.len(), |y| {
                reference::add_rms_norm(&input, &mut plain_sum, &weight, 1e-5, rounding, y)
            });
            assert_eq!(fast_sum, plain_sum, "{case}");
            used = used.max(share(&case, rounding, 2, 1e-7, &fast, &plain));
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
                used = used.max(share(&case, rounding, 2, 1e-6, &fast, &plain));
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
                used = used.max(share(&case, rounding, 1, 2e-6, &fast, &plain));
            }
        }
    }
    used
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
            1,
            1e-5,
            &fast,
            &plain,
        ));
    }
    used
}

//! Single operations at the shapes of a Llama of one billion parameters: `cargo bench -p speculators-kernels`.

#![allow(clippy::unwrap_used, missing_docs)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use speculators_kernels::{
    Activation, KvCache, Matrix, Rounding, Sampling, TreeMask, WeightType, causal_bits, cpu,
};

/// `(name, outputs, inputs)` of the linears of a layer.
const LINEARS: [(&str, usize, usize); 4] = [
    ("qkv", 3072, 2048),
    ("o", 2048, 2048),
    ("gate_up", 16384, 2048),
    ("down", 2048, 8192),
];
const ROWS: [usize; 4] = [1, 4, 8, 64];
const VOCABULARY: usize = 128_256;

/// Numbers in (-1, 1) that bfloat16 represents.
fn numbers(count: usize) -> Vec<f32> {
    let value = |i: usize| ((i * 7919 + i / 13 * 104_729) % 255) as f32 / 128.0 - 1.0;
    (0..count).map(value).collect()
}

fn linear(criterion: &mut Criterion) {
    for weight_type in [WeightType::Bf16, WeightType::Int8] {
        let mut group = criterion.benchmark_group(format!("linear {weight_type:?}"));
        for (name, outputs, inputs) in LINEARS {
            let bytes: Vec<u8> = numbers(outputs * inputs)
                .iter()
                .flat_map(|x| half::bf16::from_f32(*x).to_le_bytes())
                .collect();
            // Several copies in turn, so that the weights come from memory as they do in a model.
            let pack = || match weight_type {
                WeightType::Int8 => Matrix::quantize_int8(WeightType::Bf16, inputs, &[&bytes]),
                _ => Matrix::pack(weight_type, inputs, &[&bytes]),
            };
            let copies: Vec<Matrix> = (0..12).map(|_| pack().unwrap()).collect();
            for rows in ROWS {
                let input = numbers(rows * inputs);
                let mut output = vec![0.0; rows * outputs];
                let mut turn = 0;
                group.throughput(Throughput::Bytes(copies[0].bytes() as u64));
                group.bench_function(BenchmarkId::new(name, rows), |bencher| {
                    bencher.iter(|| {
                        turn = (turn + 1) % copies.len();
                        cpu::linear(&copies[turn], None, &input, Rounding::Bf16, &mut output)
                            .unwrap();
                    });
                });
            }
        }
    }
}

fn row_wise(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("row-wise");
    for rows in ROWS {
        let input = numbers(rows * 16_384);
        let mut output = vec![0.0; rows * 8192];
        group.bench_function(BenchmarkId::new("swiglu 8192", rows), |bencher| {
            bencher.iter(|| {
                cpu::swiglu(&input, 8192, Activation::Silu, Rounding::Bf16, &mut output).unwrap();
            });
        });
        let (input, weight) = (&input[..rows * 2048], numbers(2048));
        group.bench_function(BenchmarkId::new("rms_norm 2048", rows), |bencher| {
            let output = &mut output[..rows * 2048];
            bencher.iter(|| cpu::rms_norm(input, &weight, 1e-5, Rounding::Bf16, output).unwrap());
        });
    }
}

fn attention(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tree_attention");
    let (heads, kv_heads, head_dim) = (32, 8, 64);
    for context in [256, 4096] {
        for rows in ROWS {
            let slots = context + rows;
            let mut cache = KvCache::new(WeightType::Bf16, kv_heads, head_dim, slots).unwrap();
            let keys = numbers(slots * kv_heads * head_dim);
            cache.append(&keys, &keys).unwrap();
            let bits = causal_bits(rows);
            let mask = TreeMask {
                tail: rows,
                words: rows.div_ceil(32),
                bits: &bits,
            };
            let positions: Vec<u32> = (context as u32..slots as u32).collect();
            let queries = numbers(rows * heads * head_dim);
            let mut output = vec![0.0; queries.len()];
            group.bench_function(
                BenchmarkId::new(format!("context {context}"), rows),
                |bencher| {
                    bencher.iter(|| {
                        cpu::tree_attention(
                            &queries,
                            &cache,
                            &mask,
                            &positions,
                            &positions,
                            None,
                            0.125,
                            Rounding::Bf16,
                            &mut output,
                        )
                        .unwrap();
                    });
                },
            );
        }
    }
}

fn vocabulary(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("vocabulary");
    let logits: Vec<f32> = numbers(VOCABULARY).iter().map(|x| 8.0 * x).collect();
    let mut ids = [0; 10];
    group.bench_function("top_k 10", |bencher| {
        let mut values = [0.0; 10];
        bencher.iter(|| cpu::top_k(&logits, VOCABULARY, 10, &mut ids, &mut values).unwrap());
    });
    group.bench_function("log_sum_exp", |bencher| {
        let mut output = [0.0];
        bencher.iter(|| cpu::log_sum_exp(&logits, VOCABULARY, &mut output).unwrap());
    });
    for (name, sampling) in [
        ("sample greedy", Sampling::greedy()),
        ("sample temperature", Sampling::with_temperature(0.8, 1)),
        (
            "sample top_k 50",
            Sampling {
                top_k: 50,
                ..Sampling::with_temperature(0.8, 1)
            },
        ),
        (
            "sample top_p 0.9",
            Sampling {
                top_p: 0.9,
                ..Sampling::with_temperature(0.8, 1)
            },
        ),
    ] {
        let mut position = 0;
        let mut chosen = [0];
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                position += 1;
                cpu::sample(&logits, VOCABULARY, &sampling, &[position], &mut chosen).unwrap();
            });
        });
    }
}

criterion_group!(benches, linear, row_wise, attention, vocabulary);
criterion_main!(benches);

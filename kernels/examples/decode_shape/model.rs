//! A Llama put together from the operations, with random weights.

use std::time::{Duration, Instant};

use rayon::prelude::*;
use speculators_kernels::{
    Activation, EmbeddingTable, KvCache, Matrix, RopeTable, Rounding, Sampling, TreeMask,
    WeightType, causal_bits, cpu,
};

const ROUNDING: Rounding = Rounding::Bf16;
const EPSILON: f32 = 1e-5;

/// The numbers of a config.
pub struct Shape {
    hidden: usize,
    intermediate: usize,
    layers: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    vocabulary: usize,
}

impl Shape {
    /// Llama 3.2 1B.
    pub const LLAMA_1B: Shape = Shape {
        hidden: 2048,
        intermediate: 8192,
        layers: 16,
        heads: 32,
        kv_heads: 8,
        head_dim: 64,
        vocabulary: 128_256,
    };
}

struct Layer {
    query_key_value: Matrix,
    output: Matrix,
    gate_up: Matrix,
    down: Matrix,
    cache: KvCache,
}

/// A model with a filled cache.
pub struct Model<'a> {
    shape: &'a Shape,
    embeddings: EmbeddingTable,
    layers: Vec<Layer>,
    head: Matrix,
    norm: Vec<f32>,
    rope: RopeTable,
    context: usize,
}

impl<'a> Model<'a> {
    /// Random weights, and `context` random slots in each cache with room for `rows` more.
    pub fn random(shape: &'a Shape, context: usize, rows: usize) -> Model<'a> {
        let mut seed = 0;
        let mut matrix = |outputs: usize, inputs: usize| {
            seed += 1;
            Matrix::pack(
                WeightType::Bf16,
                inputs,
                &[&random_bf16(outputs * inputs, seed)],
            )
            .unwrap()
        };
        let (hidden, kv_width) = (shape.hidden, shape.kv_heads * shape.head_dim);
        let layers = (0..shape.layers)
            .map(|layer| Layer {
                query_key_value: matrix(hidden + 2 * kv_width, hidden),
                output: matrix(hidden, hidden),
                gate_up: matrix(2 * shape.intermediate, hidden),
                down: matrix(hidden, shape.intermediate),
                cache: random_cache(shape, context, rows, layer as u64),
            })
            .collect();
        let head = matrix(shape.vocabulary, hidden);
        let embeddings = random_bf16(shape.vocabulary * hidden, 7777);
        let frequencies: Vec<f64> = (0..shape.head_dim / 2)
            .map(|i| 500_000f64.powf(-2.0 * i as f64 / shape.head_dim as f64))
            .collect();
        Model {
            shape,
            embeddings: EmbeddingTable::new(WeightType::Bf16, hidden, &embeddings).unwrap(),
            layers,
            head,
            norm: vec![1.0; hidden],
            rope: RopeTable::new(&frequencies, 1.0, context + rows, ROUNDING),
            context,
        }
    }

    /// What one pass has to read: everything but the embeddings.
    pub fn weight_bytes(&self) -> usize {
        let layers = self.layers.iter().map(|layer| {
            let Layer {
                query_key_value,
                output,
                gate_up,
                down,
                ..
            } = layer;
            [query_key_value, output, gate_up, down]
                .map(Matrix::bytes)
                .iter()
                .sum::<usize>()
        });
        layers.sum::<usize>() + self.head.bytes()
    }

    /// One pass over `rows` tokens in a chain, from token ids to the chosen token of each row. The cache is left as it
    /// was. Returns the time spent in linears.
    pub fn forward(&mut self, rows: usize) -> Duration {
        let Shape {
            hidden,
            intermediate,
            heads,
            kv_heads,
            head_dim,
            vocabulary,
            ..
        } = *self.shape;
        let (q_width, kv_width) = (heads * head_dim, kv_heads * head_dim);
        let mut spent = Duration::ZERO;
        let mut linear = |weights: &Matrix, input: &[f32], output: &mut [f32]| {
            let start = Instant::now();
            cpu::linear(weights, None, input, ROUNDING, output).unwrap();
            spent += start.elapsed();
        };

        let ids: Vec<u32> = (0..rows as u32)
            .map(|row| row * 1999 % vocabulary as u32)
            .collect();
        let positions: Vec<u32> = (0..rows).map(|row| (self.context + row) as u32).collect();
        let bits = causal_bits(rows);
        let mask = TreeMask {
            tail: rows,
            words: rows.div_ceil(32),
            bits: &bits,
        };

        let mut residual = vec![0.0; rows * hidden];
        let mut normed = vec![0.0; rows * hidden];
        let mut projected = vec![0.0; rows * hidden];
        let mut fused = vec![0.0; rows * (q_width + 2 * kv_width)];
        let mut attended = vec![0.0; rows * q_width];
        let mut gate_up = vec![0.0; rows * 2 * intermediate];
        let mut activated = vec![0.0; rows * intermediate];

        cpu::embed(&self.embeddings, &ids, &mut residual).unwrap();
        cpu::rms_norm(&residual, &self.norm, EPSILON, ROUNDING, &mut normed).unwrap();
        for layer in &mut self.layers {
            linear(&layer.query_key_value, &normed, &mut fused);
            let mut queries = columns(&fused, rows, 0..q_width);
            let mut keys = columns(&fused, rows, q_width..q_width + kv_width);
            let values = columns(&fused, rows, q_width + kv_width..q_width + 2 * kv_width);
            cpu::rope(
                &self.rope,
                &positions,
                heads,
                head_dim,
                ROUNDING,
                &mut queries,
            )
            .unwrap();
            cpu::rope(
                &self.rope, &positions, kv_heads, head_dim, ROUNDING, &mut keys,
            )
            .unwrap();
            layer.cache.append(&keys, &values).unwrap();
            let scale = (head_dim as f32).powf(-0.5);
            cpu::tree_attention(
                &queries,
                &layer.cache,
                &mask,
                &positions,
                &positions,
                None,
                scale,
                ROUNDING,
                &mut attended,
            )
            .unwrap();
            layer.cache.truncate(self.context);
            linear(&layer.output, &attended, &mut projected);
            cpu::add_rms_norm(
                &projected,
                &mut residual,
                &self.norm,
                EPSILON,
                ROUNDING,
                &mut normed,
            )
            .unwrap();
            linear(&layer.gate_up, &normed, &mut gate_up);
            cpu::swiglu(
                &gate_up,
                intermediate,
                Activation::Silu,
                ROUNDING,
                &mut activated,
            )
            .unwrap();
            linear(&layer.down, &activated, &mut projected);
            cpu::add_rms_norm(
                &projected,
                &mut residual,
                &self.norm,
                EPSILON,
                ROUNDING,
                &mut normed,
            )
            .unwrap();
        }
        let mut logits = vec![0.0; rows * vocabulary];
        linear(&self.head, &normed, &mut logits);
        let places: Vec<u64> = positions
            .iter()
            .map(|position| u64::from(*position) + 1)
            .collect();
        let mut chosen = vec![0; rows];
        cpu::sample(
            &logits,
            vocabulary,
            &Sampling::greedy(),
            &places,
            &mut chosen,
        )
        .unwrap();
        std::hint::black_box(chosen);
        spent
    }
}

/// Some columns of `[rows, width]`.
fn columns(values: &[f32], rows: usize, range: std::ops::Range<usize>) -> Vec<f32> {
    let width = values.len() / rows;
    values
        .chunks_exact(width)
        .flat_map(|row| &row[range.clone()])
        .copied()
        .collect()
}

fn random_cache(shape: &Shape, context: usize, rows: usize, seed: u64) -> KvCache {
    let width = shape.kv_heads * shape.head_dim;
    let mut cache = KvCache::new(
        WeightType::Bf16,
        shape.kv_heads,
        shape.head_dim,
        context + rows,
    )
    .unwrap();
    let numbers: Vec<f32> = random_bf16(2 * context * width, seed + 10_000)
        .chunks_exact(2)
        .map(|bytes| f32::from_bits(u32::from(u16::from_le_bytes([bytes[0], bytes[1]])) << 16))
        .collect();
    let (keys, values) = numbers.split_at(context * width);
    cache.append(keys, values).unwrap();
    cache
}

/// Numbers between -1/16 and 1/16, by a linear congruential generator per chunk.
fn random_bf16(count: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; 2 * count];
    bytes
        .par_chunks_mut(1 << 16)
        .enumerate()
        .for_each(|(chunk, bytes)| {
            let mut state = (seed << 32 | chunk as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
            for pair in bytes.chunks_exact_mut(2) {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let x = ((state >> 40) as f32 / 8_388_608.0 - 1.0) / 16.0;
                pair.copy_from_slice(&((x.to_bits() >> 16) as u16).to_le_bytes());
            }
        });
    bytes
}

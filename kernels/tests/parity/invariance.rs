//! A row does not know its neighbours: the bits of a row are the same alone, among others, in a prefill, and on any
//! number of threads.

use super::exact::random_tree;
use super::inputs::{FLOATS, bytes, isas, random, rounded};
use speculators_kernels::{
    Activation, KvCache, Matrix, RopeTable, Rounding, Sampling, TreeMask, WeightType, causal_bits,
    cpu,
};

/// Numbers of rows: one, every size of block of the kernels, several blocks, and a prefill.
const ROWS: [usize; 14] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 17, 33, 64, 130];

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap()
}

/// Checks that `call(rows)`, which computes the first `rows` rows, gives each row the bits it has among `most` rows.
fn assert_rows_are_alone(
    case: &str,
    most: usize,
    width: usize,
    call: impl Fn(usize) -> Vec<f32> + Sync,
) {
    for isa in isas() {
        let run = |rows| bits(&cpu::with_isa(isa, || call(rows)).unwrap());
        let all = pool(1).install(|| run(most));
        for threads in [1, 3] {
            pool(threads).install(|| {
                for rows in ROWS.into_iter().filter(|rows| *rows <= most) {
                    assert!(
                        run(rows) == all[..rows * width],
                        "{case}, {rows} rows, {threads} threads, {}",
                        isa.name()
                    );
                }
            });
        }
    }
}

#[test]
fn linear_gives_a_row_the_same_bits_among_any_others() {
    // Large enough to be spread over threads; more inputs than one chunk, and a remainder everywhere.
    let (inputs, outputs, rows) = (1501, 131, 130);
    let weights = random(inputs * outputs, 21);
    let bias = random(outputs, 22);
    for weight_type in FLOATS {
        let source = bytes(&weights, weight_type);
        let plain = Matrix::pack(weight_type, inputs, &[&source]).unwrap();
        let integers = Matrix::quantize_int8(weight_type, inputs, &[&source]).unwrap();
        for rounding in [Rounding::Bf16, Rounding::None] {
            let input = rounded(rows * inputs, 23, rounding);
            for (matrix, name) in [(&plain, "floats"), (&integers, "integers")] {
                assert_rows_are_alone(
                    &format!("linear {weight_type:?} {name}"),
                    rows,
                    outputs,
                    |rows| {
                        let mut output = vec![0.0; rows * outputs];
                        cpu::linear(
                            matrix,
                            Some(&bias),
                            &input[..rows * inputs],
                            rounding,
                            &mut output,
                        )
                        .unwrap();
                        output
                    },
                );
            }
        }
    }
}

#[test]
fn a_row_of_a_linear_does_not_depend_on_its_place() {
    let (inputs, outputs, rows) = (256, 48, 21);
    let matrix = Matrix::pack(
        WeightType::Bf16,
        inputs,
        &[&bytes(&random(inputs * outputs, 24), WeightType::Bf16)],
    )
    .unwrap();
    let input = rounded(rows * inputs, 25, Rounding::Bf16);
    for isa in isas() {
        let run = |input: &[f32]| {
            let mut output = vec![0.0; input.len() / inputs * outputs];
            cpu::with_isa(isa, || {
                cpu::linear(&matrix, None, input, Rounding::None, &mut output)
            })
            .unwrap()
            .unwrap();
            bits(&output)
        };
        let all = run(&input);
        for row in 0..rows {
            let alone = run(&input[row * inputs..(row + 1) * inputs]);
            assert!(
                alone == all[row * outputs..(row + 1) * outputs],
                "row {row}, {}",
                isa.name()
            );
        }
    }
}

#[test]
fn row_wise_operations_give_a_row_the_same_bits_among_any_others() {
    let (rows, width) = (130, 520);
    let input = random(rows * width, 26);
    let weight = random(width, 27);
    assert_rows_are_alone("rms_norm", rows, width, |rows| {
        let mut output = vec![0.0; rows * width];
        cpu::rms_norm(
            &input[..rows * width],
            &weight,
            1e-6,
            Rounding::None,
            &mut output,
        )
        .unwrap();
        output
    });
    assert_rows_are_alone("add_rms_norm", rows, width, |rows| {
        let mut residual = input[..rows * width].to_vec();
        let mut output = vec![0.0; rows * width];
        let sum = &input[..rows * width];
        cpu::add_rms_norm(
            sum,
            &mut residual,
            &weight,
            1e-6,
            Rounding::Bf16,
            &mut output,
        )
        .unwrap();
        output
    });
    assert_rows_are_alone("swiglu", rows, width / 2, |rows| {
        let mut output = vec![0.0; rows * width / 2];
        cpu::swiglu(
            &input[..rows * width],
            width / 2,
            Activation::Silu,
            Rounding::None,
            &mut output,
        )
        .unwrap();
        output
    });
    assert_rows_are_alone("log_sum_exp", rows, 1, |rows| {
        let mut output = vec![0.0; rows];
        cpu::log_sum_exp(&input[..rows * width], width, &mut output).unwrap();
        output
    });
    let table = RopeTable::new(&[1.0, 0.3, 0.1, 0.02], 1.0, rows, Rounding::None);
    assert_rows_are_alone("rope", rows, width, |rows| {
        let mut output = input[..rows * width].to_vec();
        let positions: Vec<u32> = (0..rows as u32).collect();
        cpu::rope(
            &table,
            &positions,
            width / 8,
            8,
            Rounding::None,
            &mut output,
        )
        .unwrap();
        output
    });
    let sampling = Sampling {
        top_p: 0.9,
        ..Sampling::with_temperature(1.0, 5)
    };
    assert_rows_are_alone("sample", rows, 1, |rows| {
        let mut ids = vec![0; rows];
        let positions: Vec<u64> = (0..rows as u64).collect();
        cpu::sample(
            &input[..rows * width],
            width,
            &sampling,
            &positions,
            &mut ids,
        )
        .unwrap();
        ids.into_iter().map(|id| id as f32).collect()
    });
    for sampling in [sampling, Sampling::with_temperature(0.8, 0)] {
        assert_rows_are_alone("probabilities", rows, width, |rows| {
            let input = &input[..rows * width];
            let mut output = vec![0.0; input.len()];
            cpu::probabilities(input, width, &sampling, &mut output).unwrap();
            output
        });
    }
}

/// Keys, values and queries of a chain of tokens.
struct Chain {
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    keys: Vec<f32>,
    values: Vec<f32>,
    queries: Vec<f32>,
}

const CHAIN: usize = 150;

fn chain() -> Chain {
    let (heads, kv_heads, head_dim) = (4, 2, 80);
    Chain {
        heads,
        kv_heads,
        head_dim,
        keys: random(CHAIN * kv_heads * head_dim, 31),
        values: random(CHAIN * kv_heads * head_dim, 32),
        queries: random(CHAIN * heads * head_dim, 33),
    }
}

impl Chain {
    fn cache(&self, storage: WeightType, slots: usize) -> KvCache {
        let mut cache = KvCache::new(storage, self.kv_heads, self.head_dim, 0).unwrap();
        let end = slots * self.kv_heads * self.head_dim;
        cache
            .append(&self.keys[..end], &self.values[..end])
            .unwrap();
        cache
    }

    /// The attention of tokens `from..to` over all before them, as one pass.
    fn pass(&self, cache: &KvCache, from: usize, to: usize, window: Option<usize>) -> Vec<f32> {
        let width = self.heads * self.head_dim;
        let tail = to - from;
        let bits = causal_bits(tail);
        let mask = TreeMask {
            tail,
            words: tail.div_ceil(32),
            bits: &bits,
        };
        let positions: Vec<u32> = (from as u32..to as u32).collect();
        let mut output = vec![0.0; tail * width];
        let queries = &self.queries[from * width..to * width];
        cpu::tree_attention(
            queries,
            cache,
            &mask,
            &positions,
            &positions,
            window,
            0.1,
            Rounding::None,
            &mut output,
        )
        .unwrap();
        output
    }
}

#[test]
fn attention_gives_a_token_the_same_bits_in_a_prefill_and_alone() {
    let chain = chain();
    let width = chain.heads * chain.head_dim;
    for storage in FLOATS {
        for window in [None, Some(37)] {
            for isa in isas() {
                let run = |from, to| {
                    let cache = chain.cache(storage, to);
                    bits(&cpu::with_isa(isa, || chain.pass(&cache, from, to, window)).unwrap())
                };
                let prefill = pool(1).install(|| run(0, CHAIN));
                for (from, to, threads) in [
                    (0, CHAIN, 3),
                    (0, 130, 2),
                    (20, 28, 1),
                    (100, 150, 3),
                    (149, 150, 1),
                ] {
                    let pass = pool(threads).install(|| run(from, to));
                    assert!(
                        pass == prefill[from * width..to * width],
                        "{from}..{to} {storage:?} {window:?} {isa:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn attention_gives_a_node_of_a_tree_the_bits_it_has_when_its_path_is_decoded_alone() {
    let chain = chain();
    let (kv_width, width) = (
        chain.kv_heads * chain.head_dim,
        chain.heads * chain.head_dim,
    );
    let (prefix, nodes) = (61, 60);
    let tree = random_tree(nodes, 34);
    let positions: Vec<u32> = tree
        .depths
        .iter()
        .map(|depth| prefix as u32 + depth)
        .collect();
    let mask = TreeMask {
        tail: nodes,
        words: tree.words,
        bits: &tree.bits,
    };
    for window in [None, Some(63)] {
        for isa in isas() {
            let attend = |cache: &KvCache,
                          mask: &TreeMask,
                          positions: &[u32],
                          tail: &[u32],
                          queries: &[f32]| {
                let mut output = vec![0.0; queries.len()];
                cpu::with_isa(isa, || {
                    cpu::tree_attention(
                        queries,
                        cache,
                        mask,
                        positions,
                        tail,
                        window,
                        0.1,
                        Rounding::None,
                        &mut output,
                    )
                })
                .unwrap()
                .unwrap();
                bits(&output)
            };
            let cache = chain.cache(WeightType::Bf16, prefix + nodes);
            let queries = &chain.queries[..nodes * width];
            let together = attend(&cache, &mask, &positions, &positions, queries);
            for node in 0..nodes {
                let path: Vec<usize> = (0..=node).filter(|slot| mask.sees(node, *slot)).collect();
                // What plain decoding would have: the slots of the path one after the other.
                let mut alone = chain.cache(WeightType::Bf16, prefix);
                for slot in &path {
                    let at = (prefix + slot) * kv_width..(prefix + slot + 1) * kv_width;
                    alone
                        .append(&chain.keys[at.clone()], &chain.values[at])
                        .unwrap();
                }
                let position = [positions[node]];
                let single = TreeMask {
                    tail: 1,
                    words: 1,
                    bits: &[1],
                };
                let query = &queries[node * width..(node + 1) * width];
                let expected = attend(&alone, &single, &position, &position, query);
                assert!(
                    together[node * width..(node + 1) * width] == expected,
                    "node {node} {window:?} {isa:?}"
                );

                // And what the next token sees after compaction.
                let mut compacted = cache.clone();
                cpu::kv_compact(&mut compacted, prefix, &path).unwrap();
                let found = attend(&compacted, &single, &position, &position, query);
                assert!(found == expected, "node {node} after compaction");
            }
        }
    }
}

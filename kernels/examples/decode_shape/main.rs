//! How near decoding comes to the speed of memory: whole forward passes of a Llama of one billion parameters with
//! random bfloat16 weights, for one row (plain decoding) and for several (verification of a draft), beside the
//! bandwidth of memory measured in the same minutes.
//!
//! ```text
//! cargo run --release -p speculators-kernels --example decode_shape [-- CONTEXT [ROUNDS]]
//! ```

#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod model;

use std::time::Instant;

use model::{Model, Shape};
use speculators_kernels::memory::{Buffer, read_bandwidth_of};
use speculators_kernels::{Isa, cpu};

/// Numbers of rows that are measured; the first is the one the others are compared with.
const ROWS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
/// Well above any last-level cache.
const PROBE_BYTES: usize = 1 << 30;

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|argument| argument.parse().unwrap());
    let context = arguments.next().unwrap_or(256);
    let rounds = arguments.next().unwrap_or(15);
    // The operations find themselves on a thread of the pool, as in a decoding loop.
    rayon::scope(|_| run(context, rounds));
}

fn run(context: usize, rounds: usize) {
    let threads = rayon::current_num_threads();
    println!(
        "{} instructions, {threads} threads, context {context}",
        cpu::features().name()
    );
    let start = Instant::now();
    let mut model = Model::random(&Shape::LLAMA_1B, context, ROWS[ROWS.len() - 1]);
    let gigabytes = model.weight_bytes() as f64 / 1e9;
    println!(
        "{gigabytes:.2} GB of weights, packed in {:.1} s",
        start.elapsed().as_secs_f64()
    );

    let mut probe = Buffer::zeroed(PROBE_BYTES).unwrap();
    probe.bytes_mut().fill(1);
    let mut bandwidths = Vec::new();
    let mut times = [const { Vec::new() }; ROWS.len()];
    let mut parts = [const { Vec::new() }; ROWS.len()];
    // Interleaved, so that whatever else the machine does falls on all alike.
    for _ in 0..rounds {
        bandwidths.push(read_bandwidth_of(&probe, threads, 1) / 1e9);
        for (index, rows) in ROWS.into_iter().enumerate() {
            // The larger ones take long and need less repetition.
            if rows > 8 && times[index].len() * 3 > times[0].len() {
                continue;
            }
            let start = Instant::now();
            let linear = model.forward(rows);
            times[index].push(start.elapsed().as_secs_f64() * 1e3);
            parts[index].push(linear.as_secs_f64() * 1e3);
        }
    }

    let (best_bandwidth, bandwidth) = (largest(&bandwidths), median(&mut bandwidths));
    println!("memory reads {bandwidth:.1} GB/s (median), {best_bandwidth:.1} (best)\n");
    println!("rows   median ms   best ms   linear ms   GB/s   of memory   times 1 row   (best)");
    let (mut first, mut first_best) = (0.0, 0.0);
    for (index, rows) in ROWS.into_iter().enumerate() {
        let (best, time) = (smallest(&times[index]), median(&mut times[index]));
        let linear = median(&mut parts[index]);
        if index == 0 {
            (first, first_best) = (time, best);
        }
        let speed = gigabytes / time * 1e3;
        println!(
            "{rows:4}   {time:9.1}   {best:7.1}   {linear:9.1}   {speed:4.1}   {:8.0}%   {:11.2}   {:6.2}",
            100.0 * speed / bandwidth,
            time / first,
            best / first_best,
        );
    }
    println!(
        "\n1 row: {:.0} % of the memory limit by medians, {:.0} % by bests ({})",
        100.0 * gigabytes / first * 1e3 / bandwidth,
        100.0 * gigabytes / first_best * 1e3 / best_bandwidth,
        Isa::detect().name(),
    );
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn smallest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn largest(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

//! Random values that depend on a seed, the name of a tensor and the index of an element, and on nothing else.
//!
//! A counter-based generator (Philox) gives any element without those before it, so that threads, chunks and restarts
//! change nothing. What follows it uses only operations that IEEE 754 rounds in one way (+, −, ×, ÷, square root), in a fixed
//! order: every platform gives the same bits, which the functions of a system's library of mathematics do not promise.

use std::ops::Range;

use half::{bf16, f16};
use rayon::prelude::*;
use safetensors::Dtype;

use super::normal::quantile;

/// Elements one task makes; even, because a block of the generator serves two.
const TASK: usize = 1 << 14;

/// How the elements of a tensor are distributed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Distribution {
    /// Mean 0 and this standard deviation.
    Normal(f64),
    /// Evenly between minus this and this.
    Uniform(f64),
}

/// The random elements of one tensor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fill {
    seed: u64,
    /// Stands for the name of the tensor.
    name: u64,
    distribution: Distribution,
}

impl Fill {
    pub fn new(seed: u64, name: &str, distribution: Distribution) -> Fill {
        let digest = blake3::hash(name.as_bytes());
        let first = digest.as_bytes().first_chunk().copied().unwrap_or_default();
        Fill {
            seed,
            name: u64::from_le_bytes(first),
            distribution,
        }
    }

    /// The bytes of these elements in this dtype: F16, BF16 or else F32, rounded to nearest from single precision.
    pub fn bytes(&self, dtype: Dtype, elements: Range<usize>) -> Vec<u8> {
        let width = dtype.bitsize() / 8;
        let mut bytes = vec![0; elements.len() * width];
        bytes
            .par_chunks_mut(TASK * width)
            .zip(elements.into_par_iter().step_by(TASK))
            .for_each(|(part, first)| {
                let mut slots = part.chunks_exact_mut(width);
                let mut index = first as u64;
                // A block of the generator serves two elements, an even one and the next.
                while slots.len() > 0 {
                    let pair = self.uniforms(index / 2);
                    for uniform in pair.into_iter().skip(usize::from(index % 2 == 1)) {
                        if let Some(slot) = slots.next() {
                            put(self.value(uniform), dtype, slot);
                            index += 1;
                        }
                    }
                }
            });
        bytes
    }

    fn value(&self, uniform: f64) -> f64 {
        match self.distribution {
            Distribution::Normal(deviation) => deviation * quantile(uniform),
            Distribution::Uniform(bound) => bound * (2.0 * uniform - 1.0),
        }
    }

    /// What elements `2 * block` and `2 * block + 1` are made of: each the middle of one of 2^52 equal intervals between 0
    /// and 1, so that neither end is ever hit.
    fn uniforms(&self, block: u64) -> [f64; 2] {
        let counter = [low(block), high(block), low(self.name), high(self.name)];
        let [a, b, c, d] = philox(counter, [low(self.seed), high(self.seed)]);
        [(a, b), (c, d)].map(|(lower, upper)| {
            let word = u64::from(upper) << 32 | u64::from(lower);
            #[expect(
                clippy::cast_precision_loss,
                reason = "52 bits and a half are exact in double precision"
            )]
            let middle = (word >> 12) as f64 + 0.5;
            middle / 4_503_599_627_370_496.0
        })
    }
}

/// Writes a value down, rounded to nearest by way of single precision, in which the Python package draws its values.
#[expect(clippy::cast_possible_truncation, reason = "rounding is meant")]
fn put(value: f64, dtype: Dtype, slot: &mut [u8]) {
    let value = value as f32;
    match dtype {
        Dtype::BF16 => slot.copy_from_slice(&bf16::from_f32(value).to_le_bytes()),
        Dtype::F16 => slot.copy_from_slice(&f16::from_f32(value).to_le_bytes()),
        _ => slot.copy_from_slice(&value.to_le_bytes()),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
fn low(word: u64) -> u32 {
    word as u32
}

fn high(word: u64) -> u32 {
    low(word >> 32)
}

/// Philox4x32-10: four random words for a counter and a key (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as
/// easy as 1, 2, 3", SC 2011).
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let first = u64::from(counter[0]) * 0xD251_1F53;
        let second = u64::from(counter[2]) * 0xCD9E_8D57;
        counter = [
            high(second) ^ counter[1] ^ key[0],
            low(second),
            high(first) ^ counter[3] ^ key[1],
            low(first),
        ];
        // The key moves on by the golden ratio and by the square root of 3, less 1.
        key = [
            key[0].wrapping_add(0x9E37_79B9),
            key[1].wrapping_add(0xBB67_AE85),
        ];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers that Random123 ships (`philox4x32 10`).
    #[test]
    fn the_generator_gives_the_published_answers() {
        let ones = u32::MAX;
        for (counter, key, expected) in [
            (
                [0; 4],
                [0; 2],
                [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
            ),
            (
                [ones; 4],
                [ones; 2],
                [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
            ),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ] {
            assert_eq!(philox(counter, key), expected);
        }
    }

    #[test]
    fn an_element_does_not_know_its_neighbours() {
        let fill = Fill::new(42, "fc.weight", Distribution::Normal(0.02));
        let count = 3 * TASK + 5;
        let whole = fill.bytes(Dtype::BF16, 0..count);
        for range in [0..1, 7..8, TASK - 1..TASK + 1, 2 * TASK + 3..count] {
            let part = fill.bytes(Dtype::BF16, range.clone());
            assert_eq!(part, whole[2 * range.start..2 * range.end]);
        }
    }

    #[test]
    fn seeds_and_names_give_other_values() {
        let bytes =
            |seed, name| Fill::new(seed, name, Distribution::Uniform(1.0)).bytes(Dtype::F32, 0..64);
        let first = bytes(42, "fc.weight");
        assert_eq!(first, bytes(42, "fc.weight"));
        assert_ne!(first, bytes(43, "fc.weight"));
        assert_ne!(first, bytes(42 | 1 << 32, "fc.weight"));
        assert_ne!(first, bytes(42, "mask_hidden"));
    }

    /// Mean, deviation and third and fourth moment of a million elements, each within five standard errors.
    #[test]
    fn moments_are_those_of_the_distribution() {
        let count = 1_000_000;
        for (distribution, deviation, fourth) in [
            (Distribution::Normal(0.02), 0.02, 3.0),
            (Distribution::Uniform(0.5), 0.5 / 3.0_f64.sqrt(), 1.8),
        ] {
            let bytes = Fill::new(7, "x", distribution).bytes(Dtype::F32, 0..count);
            let values: Vec<f64> = bytes
                .as_chunks()
                .0
                .iter()
                .map(|bytes| f64::from(f32::from_le_bytes(*bytes)) / deviation)
                .collect();
            let moment = |power: i32| {
                values.iter().map(|value| value.powi(power)).sum::<f64>() / count as f64
            };
            let error = 5.0 / (count as f64).sqrt();
            assert!(moment(1).abs() < error, "{}", moment(1));
            assert!((moment(2) - 1.0).abs() < 1.5 * error, "{}", moment(2));
            assert!(moment(3).abs() < 4.0 * error, "{}", moment(3));
            assert!((moment(4) - fourth).abs() < 10.0 * error, "{}", moment(4));
        }
    }

    #[test]
    fn half_precision_is_rounded_and_not_cut() {
        let fill = Fill::new(1, "x", Distribution::Normal(1.0));
        let single = fill.bytes(Dtype::F32, 0..1000);
        for (dtype, unit) in [(Dtype::BF16, 1.0 / 256.0), (Dtype::F16, 1.0 / 2048.0)] {
            let half = fill.bytes(dtype, 0..1000);
            let pairs = single.as_chunks().0.iter().zip(half.as_chunks().0);
            for (single, half) in pairs {
                let single = f32::from_le_bytes(*single);
                let half = match dtype {
                    Dtype::BF16 => bf16::from_le_bytes(*half).to_f32(),
                    _ => f16::from_le_bytes(*half).to_f32(),
                };
                assert!((half - single).abs() <= unit * single.abs().max(1e-4));
            }
        }
    }
}

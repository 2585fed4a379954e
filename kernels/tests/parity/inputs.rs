//! Numbers to compute with.

use speculators_kernels::{Isa, Rounding, WeightType, philox4x32};

/// The instruction sets of this machine. That some are missing is said aloud.
pub fn isas() -> Vec<Isa> {
    let (here, missing): (Vec<Isa>, Vec<Isa>) =
        Isa::ALL.into_iter().partition(|isa| isa.is_available());
    if !missing.is_empty() {
        println!("NOT TESTED, this processor lacks them: {missing:?}");
    }
    here
}

/// All roundings.
pub const ROUNDINGS: [Rounding; 3] = [Rounding::None, Rounding::Bf16, Rounding::F16];

/// Ways to store floats.
pub const FLOATS: [WeightType; 3] = [WeightType::F32, WeightType::F16, WeightType::Bf16];

/// `count` numbers in (-1, 1), the same for the same seed.
pub fn random(count: usize, seed: u32) -> Vec<f32> {
    (0..count as u32)
        .map(|index| philox4x32([index, 0, 0, 0], [seed, 99])[0] as f32 / 2_147_483_648.0 - 1.0)
        .collect()
}

/// The same, rounded.
pub fn rounded(count: usize, seed: u32, rounding: Rounding) -> Vec<f32> {
    random(count, seed)
        .into_iter()
        .map(|x| rounding.round(x))
        .collect()
}

/// Little-endian bytes of numbers in a float type.
pub fn bytes(values: &[f32], weight_type: WeightType) -> Vec<u8> {
    let encode = |x: &f32| match weight_type {
        WeightType::F32 => x.to_le_bytes().to_vec(),
        WeightType::F16 => half::f16::from_f32(*x).to_le_bytes().to_vec(),
        WeightType::Bf16 => half::bf16::from_f32(*x).to_le_bytes().to_vec(),
        WeightType::Int8 => unreachable!("integers have no bytes of their own"),
    };
    values.iter().flat_map(encode).collect()
}

/// The share used of the allowance, at most 1, or a failure that names the place.
///
/// A rounding may fall to the other side: a step of 2^-7 in bfloat16 and of 2^-10 in half precision. `roundings` is how
/// many follow each other in the operation.
pub fn share(
    case: &str,
    rounding: Rounding,
    roundings: u8,
    absolute: f32,
    fast: &[f32],
    reference: &[f32],
) -> f64 {
    let relative = match rounding {
        Rounding::None => 1e-6,
        Rounding::Bf16 => 1.0 / 128.0,
        Rounding::F16 => 1.0 / 1024.0,
    };
    assert_eq!(fast.len(), reference.len(), "{case}");
    let mut largest = 0.0f64;
    for (index, (fast, reference)) in fast.iter().zip(reference).enumerate() {
        if fast == reference || fast.is_nan() && reference.is_nan() {
            continue;
        }
        let allowance =
            f64::from(absolute) + f64::from(roundings) * relative * f64::from(reference.abs());
        let used = (f64::from(*fast) - f64::from(*reference)).abs() / allowance;
        assert!(
            used <= 1.0,
            "{case}: number {index} is {fast}, expected {reference}: {used:.2} of the allowance"
        );
        largest = largest.max(used);
    }
    largest
}

//! Number types: how activations are rounded, how weights are stored, and the conversions between them.
//!
//! The conversions are written out rather than taken from `half`, whose functions ask on each call what the
//! processor can do; these compile to vector code inside the loops that use them.

/// The dtype activations are rounded to after each operation, that of the model. Accumulation is always `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// Values stay `f32`.
    None,
    /// To bfloat16, ties to even.
    Bf16,
    /// To IEEE half precision, ties to even; beyond 65504 to infinity.
    F16,
}

impl Rounding {
    /// The value of this dtype nearest to `x`, ties to even. NaN stays NaN.
    #[must_use]
    #[inline(always)]
    pub fn round(self, x: f32) -> f32 {
        match self {
            Rounding::None => x,
            Rounding::Bf16 => bf16_to_f32(f32_to_bf16(x)),
            Rounding::F16 => f16_to_f32(f32_to_f16(x)),
        }
    }

    /// Rounds each value in place.
    #[inline(always)]
    pub(crate) fn round_all(self, values: &mut [f32]) {
        // One loop per dtype, so that none has a branch inside.
        match self {
            Rounding::None => {}
            Rounding::Bf16 => {
                for x in values {
                    *x = Rounding::Bf16.round(*x);
                }
            }
            Rounding::F16 => {
                for x in values {
                    *x = Rounding::F16.round(*x);
                }
            }
        }
    }
}

/// How weights, embeddings and cached keys and values are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WeightType {
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// bfloat16.
    Bf16,
    /// Eight-bit integers with one `f32` scale per output, made by [`crate::Matrix::quantize_int8`].
    Int8,
}

impl WeightType {
    /// Bytes per weight.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            WeightType::F32 => 4,
            WeightType::F16 | WeightType::Bf16 => 2,
            WeightType::Int8 => 1,
        }
    }

    /// The value of the little-endian number at `bytes[index * size ..]`; for `Int8` the integer itself.
    #[inline(always)]
    pub(crate) fn read(self, bytes: &[u8], index: usize) -> f32 {
        match self {
            WeightType::F32 => {
                let at = index * 4;
                f32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
            }
            WeightType::F16 => {
                f16_to_f32(u16::from_le_bytes([bytes[index * 2], bytes[index * 2 + 1]]))
            }
            WeightType::Bf16 => {
                bf16_to_f32(u16::from_le_bytes([bytes[index * 2], bytes[index * 2 + 1]]))
            }
            WeightType::Int8 => f32::from(bytes[index].cast_signed()),
        }
    }
}

/// The nearest bfloat16, ties to even; NaN becomes a quiet NaN.
#[inline(always)]
pub(crate) fn f32_to_bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    // Adding 0x7fff, and one more when the kept part is odd, carries exactly when it should.
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
    let quiet_nan = (bits >> 16) | 0x40;
    // Chosen at the end and without a branch, for the sake of vectorization. NaN must not take part in the
    // addition above: the carry could turn it into zero.
    (if x.is_nan() { quiet_nan } else { rounded }) as u16
}

/// Exact.
#[inline(always)]
pub(crate) fn bf16_to_f32(x: u16) -> f32 {
    f32::from_bits(u32::from(x) << 16)
}

/// The nearest half-precision number, ties to even; NaN becomes a quiet NaN.
#[inline(always)]
pub(crate) fn f32_to_f16(x: f32) -> u16 {
    let bits = x.to_bits();
    let sign = (bits >> 16) & 0x8000;
    let magnitude = bits & 0x7fff_ffff;
    // Normal results: rebias the exponent (by 112 steps of 2^23) and round off 13 bits as above.
    let normal = (magnitude
        .wrapping_sub(112 << 23)
        .wrapping_add(0xfff + ((magnitude >> 13) & 1)))
        >> 13;
    // Subnormal results: adding 0.5 lines the last kept bit up with that of an f32 near 0.5 (2^-24), and the
    // addition does the rounding.
    let subnormal = (f32::from_bits(magnitude) + 0.5)
        .to_bits()
        .wrapping_sub(0.5f32.to_bits());
    let finite = if magnitude < 0x3880_0000 {
        subnormal
    } else {
        normal
    };
    // 65520 is half a step above the largest half: from there on, infinity.
    let bounded = if magnitude >= 0x477f_f000 {
        0x7c00
    } else {
        finite
    };
    let result = if magnitude > 0x7f80_0000 {
        0x7e00
    } else {
        bounded
    };
    (sign | result) as u16
}

/// Exact.
#[inline(always)]
pub(crate) fn f16_to_f32(x: u16) -> f32 {
    let sign = u32::from(x & 0x8000) << 16;
    let magnitude = u32::from(x & 0x7fff) << 13;
    // Multiplying by 2^112 rebiases the exponent and normalizes subnormals at once.
    let finite = f32::from_bits(magnitude) * f32::from_bits(0x7780_0000);
    let bits = if magnitude >= 0x0f80_0000 {
        magnitude | 0x7f80_0000
    } else {
        finite.to_bits()
    };
    f32::from_bits(sign | bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_agree_with_the_half_crate_on_every_bit_pattern() {
        for bits in 0..=u16::MAX {
            let (f16, bf16) = (half::f16::from_bits(bits), half::bf16::from_bits(bits));
            assert!(f16_to_f32(bits) == f16.to_f32() || f16.is_nan() && f16_to_f32(bits).is_nan());
            assert!(
                bf16_to_f32(bits) == bf16.to_f32() || bf16.is_nan() && bf16_to_f32(bits).is_nan()
            );
        }
    }

    #[test]
    fn rounding_agrees_with_the_half_crate() {
        // A stride that is odd walks over all exponents and many mantissas, ties included.
        let mut bits = 0u32;
        for _ in 0..4_000_000 {
            bits = bits.wrapping_add(0x0001_0001 ^ 0x2_4687);
            let x = f32::from_bits(bits);
            let ties = f32::from_bits(bits & 0xffff_f000);
            for x in [x, ties] {
                if x.is_nan() {
                    assert!(Rounding::Bf16.round(x).is_nan() && Rounding::F16.round(x).is_nan());
                } else {
                    assert_eq!(f32_to_bf16(x), half::bf16::from_f32(x).to_bits(), "{x:e}");
                    assert_eq!(
                        f32_to_f16(x),
                        half::f16::from_f32_const(x).to_bits(),
                        "{x:e}"
                    );
                }
            }
        }
    }
}

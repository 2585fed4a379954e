//! The elements of a tensor as `f64`, a block at a time, whatever dtype they are stored in.
//!
//! A `f64` holds every value of the other types exactly, but for integers beyond 2^53. Hence there is one kernel that compares
//! blocks of `f64`, rather than one for each pair of dtypes.

use safetensors::Dtype;

/// Turns bytes into as many values.
pub(super) type Decode = fn(&[u8], &mut [f64]);

/// Bytes per element and the function that decodes them; `None` for dtypes of less than a byte and complex numbers.
pub(super) fn decoder(dtype: Dtype) -> Option<(usize, Decode)> {
    Some(match dtype {
        Dtype::F64 => (8, f64s),
        Dtype::F32 => (4, f32s),
        Dtype::BF16 => (2, bf16s),
        Dtype::F16 => (2, f16s),
        Dtype::F8_E5M2 => (1, e5m2s),
        Dtype::F8_E4M3 => (1, e4m3s),
        Dtype::I64 => (8, i64s),
        Dtype::U64 => (8, u64s),
        Dtype::I32 => (4, i32s),
        Dtype::U32 => (4, u32s),
        Dtype::I16 => (2, i16s),
        Dtype::U16 => (2, u16s),
        Dtype::I8 => (1, i8s),
        Dtype::U8 => (1, u8s),
        Dtype::BOOL => (1, booleans),
        _ => return None,
    })
}

macro_rules! decode {
    ($name:ident, $width:literal, $value:expr) => {
        fn $name(bytes: &[u8], values: &mut [f64]) {
            let (elements, _) = bytes.as_chunks::<$width>();
            for (value, element) in values.iter_mut().zip(elements) {
                *value = $value(*element);
            }
        }
    };
}

decode!(f64s, 8, f64::from_le_bytes);
decode!(f32s, 4, |bytes| f64::from(f32::from_le_bytes(bytes)));
decode!(bf16s, 2, |bytes| f64::from(f32::from_bits(
    u32::from(u16::from_le_bytes(bytes)) << 16
)));
decode!(f16s, 2, |bytes| f64::from(half(u16::from_le_bytes(bytes))));
// An E5M2 is the upper byte of a half.
decode!(e5m2s, 1, |[byte]: [u8; 1]| f64::from(half(
    u16::from(byte) << 8
)));
decode!(e4m3s, 1, |[byte]: [u8; 1]| e4m3(byte));
decode!(i32s, 4, |bytes| f64::from(i32::from_le_bytes(bytes)));
decode!(u32s, 4, |bytes| f64::from(u32::from_le_bytes(bytes)));
decode!(i16s, 2, |bytes| f64::from(i16::from_le_bytes(bytes)));
decode!(u16s, 2, |bytes| f64::from(u16::from_le_bytes(bytes)));
decode!(i8s, 1, |[byte]: [u8; 1]| f64::from(byte.cast_signed()));
decode!(u8s, 1, |[byte]: [u8; 1]| f64::from(byte));
decode!(booleans, 1, |[byte]: [u8; 1]| f64::from(u8::from(
    byte != 0
)));

// Rounded beyond 2^53.
decode!(i64s, 8, |bytes| i64::from_le_bytes(bytes) as f64);
decode!(u64s, 8, |bytes| u64::from_le_bytes(bytes) as f64);

/// An IEEE half. The exponent's bias is put right by a multiplication, which gets subnormals right as well and has no
/// branch in the way of vector instructions.
fn half(bits: u16) -> f32 {
    const BIAS: f32 = f32::from_bits((127 + 112) << 23); // 2^112
    let (sign, magnitude) = (u32::from(bits & 0x8000) << 16, u32::from(bits & 0x7fff));
    let finite = (f32::from_bits(magnitude << 13) * BIAS).to_bits();
    let special = if magnitude >= 0x7c00 { 0x7f80_0000 } else { 0 };
    f32::from_bits(sign | finite | special)
}

/// The E4M3 of machine learning: no infinities, and one NaN.
fn e4m3(byte: u8) -> f64 {
    let (exponent, mantissa) = ((byte >> 3) & 0xf, byte & 7);
    let magnitude = match exponent {
        0xf if mantissa == 7 => f64::NAN,
        0 => f64::from(mantissa) / 512.0,
        _ => f64::from(8 + mantissa) * f64::from(i32::from(exponent) - 10).exp2(),
    };
    if byte & 0x80 == 0 {
        magnitude
    } else {
        -magnitude
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(dtype: Dtype, bytes: &[u8]) -> f64 {
        let (width, decode) = decoder(dtype).unwrap();
        assert_eq!(width, bytes.len());
        let mut value = [0.0];
        decode(bytes, &mut value);
        value[0]
    }

    #[test]
    fn every_half_is_decoded_as_the_crate_half_does() {
        for bits in 0..=u16::MAX {
            let (own, reference) = (half(bits), half::f16::from_bits(bits).to_f32());
            assert!(
                own.to_bits() == reference.to_bits() || (own.is_nan() && reference.is_nan()),
                "{bits:#06x}: {own} and {reference}"
            );
            let own = one(Dtype::BF16, &bits.to_le_bytes());
            let reference = half::bf16::from_bits(bits).to_f64();
            assert!(own.to_bits() == reference.to_bits() || (own.is_nan() && reference.is_nan()));
        }
    }

    #[test]
    fn eight_bit_floats_have_the_values_of_their_standard() {
        for (byte, value) in [
            (0x00, 0.0),
            (0x01, 0.001_953_125),
            (0x08, 0.015_625),
            (0x38, 1.0),
            (0x39, 1.125),
            (0x7e, 448.0),
            (0xfe, -448.0),
        ] {
            assert_eq!(one(Dtype::F8_E4M3, &[byte]), value, "{byte:#04x}");
        }
        assert!(one(Dtype::F8_E4M3, &[0x7f]).is_nan());
        assert_eq!(one(Dtype::F8_E5M2, &[0x3c]), 1.0);
        assert_eq!(one(Dtype::F8_E5M2, &[0x7b]), 57344.0);
        assert_eq!(one(Dtype::F8_E5M2, &[0xfc]), f64::NEG_INFINITY);
    }

    #[test]
    fn whole_numbers_keep_their_sign() {
        assert_eq!(one(Dtype::I8, &[0xff]), -1.0);
        assert_eq!(one(Dtype::U8, &[0xff]), 255.0);
        assert_eq!(one(Dtype::I64, &(-3_i64).to_le_bytes()), -3.0);
        assert_eq!(one(Dtype::BOOL, &[7]), 1.0);
        assert!(decoder(Dtype::F4).is_none());
    }
}

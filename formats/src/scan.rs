//! One pass over the values of a tensor: are they finite, all zero, all one?
//!
//! The questions are asked of the bits, not of decoded numbers: a value is NaN or infinite when every exponent bit is
//! set, zero when every bit but the sign is clear, one when it equals one constant. Each question becomes a running
//! `or` without branches, which the compiler turns into vector instructions, so a scan runs as fast as memory is read.
//! Counting is left to a second, slower pass over the few chunks that do hold something non-finite.

use rayon::prelude::*;
use safetensors::Dtype;

use crate::checkpoint::TensorView;
use crate::file::Stretch;

/// Bytes one task looks at: enough to hide the scheduling and the making of its buffer.
const TASK: usize = 8 << 20;

/// Bytes looked at in one go: few enough to stay in the cache, for the counting pass too.
const BLOCK: usize = 256 << 10;

/// What the values of a tensor have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorScan {
    /// How many values were read.
    pub elements: usize,
    /// How many are NaN.
    pub nan: usize,
    /// How many are infinite.
    pub infinite: usize,
    /// Row-major index of the first value that is NaN or infinite.
    pub first_non_finite: Option<usize>,
    /// Every value is zero; false for an empty tensor.
    pub all_zero: bool,
    /// Every value is exactly one; false for an empty tensor.
    pub all_ones: bool,
}

impl TensorScan {
    /// Values that are NaN or infinite.
    #[must_use]
    pub fn non_finite(&self) -> usize {
        self.nan + self.infinite
    }

    /// Joins the scan of the chunk that follows.
    pub(crate) fn followed_by(self, next: TensorScan) -> TensorScan {
        if self.elements == 0 {
            return next;
        }
        TensorScan {
            elements: self.elements + next.elements,
            nan: self.nan + next.nan,
            infinite: self.infinite + next.infinite,
            first_non_finite: self
                .first_non_finite
                .or(next.first_non_finite.map(|index| self.elements + index)),
            all_zero: self.all_zero && (next.all_zero || next.elements == 0),
            all_ones: self.all_ones && (next.all_ones || next.elements == 0),
        }
    }

    /// The scan of no values.
    pub(crate) const EMPTY: TensorScan = TensorScan {
        elements: 0,
        nan: 0,
        infinite: 0,
        first_non_finite: None,
        all_zero: false,
        all_ones: false,
    };
}

/// Whether the tensor is of a dtype whose values are looked at.
pub(crate) fn is_scanned(tensor: &TensorView<'_>) -> bool {
    matches!(
        tensor.dtype,
        Dtype::BF16 | Dtype::F16 | Dtype::F32 | Dtype::F64
    )
}

/// Reads every value of a floating-point tensor, on all cores; nothing for other dtypes.
#[must_use]
pub fn scan(tensor: &TensorView<'_>) -> Option<TensorScan> {
    scan_bytes(tensor.dtype, tensor.data)
}

/// The same for little-endian bytes of a dtype.
#[must_use]
pub fn scan_bytes(dtype: Dtype, data: &[u8]) -> Option<TensorScan> {
    scan_stretch(dtype, Stretch::held(data))
}

/// The same for a block of whole elements, here and now.
pub(crate) fn scan_block(dtype: Dtype, block: &[u8]) -> Option<TensorScan> {
    block_scan(dtype).map(|scan| scan(block))
}

fn block_scan(dtype: Dtype) -> Option<fn(&[u8]) -> TensorScan> {
    match dtype {
        Dtype::BF16 => Some(bf16),
        Dtype::F16 => Some(f16),
        Dtype::F32 => Some(f32),
        Dtype::F64 => Some(f64),
        _ => None,
    }
}

/// The same for bytes that may lie in a file.
pub(crate) fn scan_stretch(dtype: Dtype, stretch: Stretch<'_>) -> Option<TensorScan> {
    let block = block_scan(dtype)?;
    let task = |task: usize| {
        let mut buffer = Vec::new();
        let end = stretch.len().min((task + 1) * TASK);
        (task * TASK..end)
            .step_by(BLOCK)
            .map(|begin| block(stretch.part(begin..end.min(begin + BLOCK), &mut buffer)))
            .fold(TensorScan::EMPTY, TensorScan::followed_by)
    };
    // Collected in order rather than reduced, because the first index depends on what lies before.
    let tasks: Vec<TensorScan> = (0..stretch.len().div_ceil(TASK))
        .into_par_iter()
        .map(task)
        .collect();
    Some(
        tasks
            .into_iter()
            .fold(TensorScan::EMPTY, TensorScan::followed_by),
    )
}

/// One function per dtype: the exponent bits, the sign bit and the bit pattern of one.
macro_rules! chunk_scan {
    ($name:ident, $bits:ty, $exponent:literal, $sign:literal, $one:literal) => {
        fn $name(data: &[u8]) -> TensorScan {
            const WIDTH: usize = size_of::<$bits>();
            let (values, _) = data.as_chunks::<WIDTH>();
            let (mut non_finite, mut magnitude, mut other) = (0, 0, 0);
            for &value in values {
                let bits = <$bits>::from_le_bytes(value);
                non_finite |= <$bits>::from(bits & $exponent == $exponent);
                magnitude |= bits & !$sign;
                other |= bits ^ $one;
            }
            let mut scan = TensorScan {
                elements: values.len(),
                all_zero: magnitude == 0 && !values.is_empty(),
                all_ones: other == 0 && !values.is_empty(),
                ..TensorScan::EMPTY
            };
            if non_finite != 0 {
                for (index, &value) in values.iter().enumerate() {
                    let magnitude = <$bits>::from_le_bytes(value) & !$sign;
                    if magnitude >= $exponent {
                        scan.first_non_finite.get_or_insert(index);
                        if magnitude == $exponent {
                            scan.infinite += 1;
                        } else {
                            scan.nan += 1;
                        }
                    }
                }
            }
            scan
        }
    };
}

chunk_scan!(bf16, u16, 0x7f80, 0x8000, 0x3f80);
chunk_scan!(f16, u16, 0x7c00, 0x8000, 0x3c00);
chunk_scan!(f32, u32, 0x7f80_0000, 0x8000_0000, 0x3f80_0000);
chunk_scan!(
    f64,
    u64,
    0x7ff0_0000_0000_0000,
    0x8000_0000_0000_0000,
    0x3ff0_0000_0000_0000
);

#[cfg(test)]
mod tests {
    use super::*;

    fn f32_bytes(values: &[f32]) -> Vec<u8> {
        values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect()
    }

    #[test]
    fn counts_nan_and_infinity_and_names_the_first_across_chunks() {
        let count = TASK / 2; // two tasks of f32
        for late in [7, BLOCK / 4 + 7, TASK / 4 + 7] {
            let mut values = vec![0.5_f32; count];
            values[late] = f32::NEG_INFINITY;
            values[late + 1] = f32::NAN;
            values[count - 1] = f32::NAN;
            let scan = scan_bytes(Dtype::F32, &f32_bytes(&values)).unwrap();
            assert_eq!(scan.elements, count);
            assert_eq!((scan.nan, scan.infinite), (2, 1));
            assert_eq!(scan.first_non_finite, Some(late));
        }
    }

    #[test]
    fn bytes_of_a_file_are_scanned_as_those_in_memory() {
        let mut values = vec![1.0_f32; TASK / 4 + BLOCK / 4 + 5];
        let last = values.len() - 1;
        values[last] = f32::NAN;
        let scratch = crate::testing::Scratch::new();
        let bytes = [b"header".as_slice(), &f32_bytes(&values)].concat();
        scratch.write("x", &bytes);
        let content = crate::file::map(&scratch.path("x")).unwrap();
        let scan = scan_stretch(Dtype::F32, content.stretch(&content[6..]));
        assert_eq!(scan, scan_bytes(Dtype::F32, &bytes[6..]));
        assert_eq!(scan.unwrap().first_non_finite, Some(last));
        // A copy of some tensor is in no file.
        let scan = scan_stretch(Dtype::F32, content.stretch(&bytes[6..]));
        assert_eq!(scan.unwrap().first_non_finite, Some(last));
    }

    #[test]
    fn tells_constants_apart_in_every_dtype() {
        let cases = [
            (
                Dtype::BF16,
                half::bf16::ONE.to_le_bytes().to_vec(),
                half::bf16::NEG_ZERO.to_le_bytes().to_vec(),
                half::bf16::NAN.to_le_bytes().to_vec(),
            ),
            (
                Dtype::F16,
                half::f16::ONE.to_le_bytes().to_vec(),
                half::f16::NEG_ZERO.to_le_bytes().to_vec(),
                half::f16::INFINITY.to_le_bytes().to_vec(),
            ),
            (
                Dtype::F32,
                1_f32.to_le_bytes().to_vec(),
                (-0_f32).to_le_bytes().to_vec(),
                f32::NAN.to_le_bytes().to_vec(),
            ),
            (
                Dtype::F64,
                1_f64.to_le_bytes().to_vec(),
                (-0_f64).to_le_bytes().to_vec(),
                f64::NEG_INFINITY.to_le_bytes().to_vec(),
            ),
        ];
        for (dtype, one, zero, broken) in cases {
            let ones = scan_bytes(dtype, &one.repeat(5)).unwrap();
            assert!(
                ones.all_ones && !ones.all_zero && ones.non_finite() == 0,
                "{dtype:?}"
            );
            let zeros = scan_bytes(dtype, &zero.repeat(5)).unwrap();
            assert!(zeros.all_zero && !zeros.all_ones, "{dtype:?}");
            let mixed = scan_bytes(dtype, &[one, broken].concat()).unwrap();
            assert!(!mixed.all_ones && !mixed.all_zero, "{dtype:?}");
            assert_eq!(
                (mixed.non_finite(), mixed.first_non_finite),
                (1, Some(1)),
                "{dtype:?}"
            );
        }
    }

    #[test]
    fn an_empty_tensor_is_neither_zero_nor_one() {
        let scan = scan_bytes(Dtype::BF16, &[]).unwrap();
        assert_eq!(scan, TensorScan::EMPTY);
    }

    #[test]
    fn integers_are_not_scanned() {
        assert_eq!(scan_bytes(Dtype::I64, &[0; 16]), None);
    }
}

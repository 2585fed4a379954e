//! The number format a model computes in.

use safetensors::Dtype;
use speculators_formats::verifier::FloatType;
use speculators_kernels::{Rounding, WeightType};

/// The number format of a model: how its weights and its cache are stored and what activations are rounded to.
///
/// Serving engines cast a checkpoint to one dtype when they load it and round each activation to it, while sums are
/// kept in single precision. The default is the dtype that the verifier's config names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// IEEE single precision throughout; nothing is rounded in between.
    Float32,
    /// IEEE half precision.
    Float16,
    /// bfloat16.
    Bfloat16,
}

impl std::fmt::Display for Precision {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Precision::Float32 => "float32",
            Precision::Float16 => "float16",
            Precision::Bfloat16 => "bfloat16",
        })
    }
}

impl Precision {
    /// How weights, embeddings, keys and values are stored.
    #[must_use]
    pub fn weight_type(self) -> WeightType {
        match self {
            Precision::Float32 => WeightType::F32,
            Precision::Float16 => WeightType::F16,
            Precision::Bfloat16 => WeightType::Bf16,
        }
    }

    /// What activations are rounded to.
    #[must_use]
    pub fn rounding(self) -> Rounding {
        match self {
            Precision::Float32 => Rounding::None,
            Precision::Float16 => Rounding::F16,
            Precision::Bfloat16 => Rounding::Bf16,
        }
    }

    /// The same format as safetensors names it.
    pub(crate) fn dtype(self) -> Dtype {
        match self {
            Precision::Float32 => Dtype::F32,
            Precision::Float16 => Dtype::F16,
            Precision::Bfloat16 => Dtype::BF16,
        }
    }

    /// Little-endian bytes of a value in this format.
    pub(crate) fn write(self, value: f32, bytes: &mut Vec<u8>) {
        match self {
            Precision::Float32 => bytes.extend(value.to_le_bytes()),
            Precision::Float16 => bytes.extend(half::f16::from_f32(value).to_le_bytes()),
            Precision::Bfloat16 => bytes.extend(half::bf16::from_f32(value).to_le_bytes()),
        }
    }
}

impl From<FloatType> for Precision {
    fn from(float: FloatType) -> Precision {
        match float {
            FloatType::Float32 => Precision::Float32,
            FloatType::Float16 => Precision::Float16,
            FloatType::Bfloat16 => Precision::Bfloat16,
        }
    }
}

/// The values of a floating-point tensor; nothing for other dtypes.
pub(crate) fn widen(dtype: Dtype, data: &[u8]) -> Option<Vec<f32>> {
    let halves = |convert: fn(u16) -> f32| {
        data.chunks_exact(2)
            .map(|pair| convert(u16::from_le_bytes([pair[0], pair[1]])))
            .collect()
    };
    match dtype {
        Dtype::F32 => Some(
            data.chunks_exact(4)
                .map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]]))
                .collect(),
        ),
        Dtype::F16 => Some(halves(|bits| half::f16::from_bits(bits).to_f32())),
        Dtype::BF16 => Some(halves(|bits| half::bf16::from_bits(bits).to_f32())),
        _ => None,
    }
}

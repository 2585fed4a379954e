//! The numbers by which GGUF names its types: of metadata values, and of tensor elements.

use safetensors::Dtype;

/// Type of a metadata value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// Eight bits, unsigned.
    U8,
    /// Eight bits, signed.
    I8,
    /// Sixteen bits, unsigned.
    U16,
    /// Sixteen bits, signed.
    I16,
    /// Thirty-two bits, unsigned.
    U32,
    /// Thirty-two bits, signed.
    I32,
    /// IEEE single.
    F32,
    /// One byte, 0 or 1.
    Bool,
    /// Length and bytes, which ought to be UTF-8.
    String,
    /// Element type, count and elements.
    Array,
    /// Sixty-four bits, unsigned.
    U64,
    /// Sixty-four bits, signed.
    I64,
    /// IEEE double.
    F64,
}

/// Every value type at the position of its number.
const VALUE_TYPES: [ValueType; 13] = [
    ValueType::U8,
    ValueType::I8,
    ValueType::U16,
    ValueType::I16,
    ValueType::U32,
    ValueType::I32,
    ValueType::F32,
    ValueType::Bool,
    ValueType::String,
    ValueType::Array,
    ValueType::U64,
    ValueType::I64,
    ValueType::F64,
];

impl ValueType {
    /// The type of a number.
    pub(super) fn from_number(number: u32) -> Option<ValueType> {
        VALUE_TYPES.get(usize::try_from(number).ok()?).copied()
    }

    /// The number of the type.
    pub(super) fn number(self) -> u32 {
        self as u32
    }

    /// Bytes of one value, where all values of the type have as many.
    pub(super) fn size(self) -> Option<usize> {
        match self {
            ValueType::U8 | ValueType::I8 | ValueType::Bool => Some(1),
            ValueType::U16 | ValueType::I16 => Some(2),
            ValueType::U32 | ValueType::I32 | ValueType::F32 => Some(4),
            ValueType::U64 | ValueType::I64 | ValueType::F64 => Some(8),
            ValueType::String | ValueType::Array => None,
        }
    }
}

/// Tensor types that hold plain numbers.
const PLAIN: [(u32, Dtype); 8] = [
    (0, Dtype::F32),
    (1, Dtype::F16),
    (24, Dtype::I8),
    (25, Dtype::I16),
    (26, Dtype::I32),
    (27, Dtype::I64),
    (28, Dtype::F64),
    (30, Dtype::BF16),
];

/// Tensor types that hold blocks of quantized numbers, by name.
const QUANTIZED: [(u32, &str); 27] = [
    (2, "Q4_0"),
    (3, "Q4_1"),
    (6, "Q5_0"),
    (7, "Q5_1"),
    (8, "Q8_0"),
    (9, "Q8_1"),
    (10, "Q2_K"),
    (11, "Q3_K"),
    (12, "Q4_K"),
    (13, "Q5_K"),
    (14, "Q6_K"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (29, "IQ1_M"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
    (40, "NVFP4"),
    (41, "Q1_0"),
    (42, "Q2_0"),
];

/// Plain element type of a tensor type.
pub(super) fn plain(number: u32) -> Option<Dtype> {
    let found = PLAIN.iter().find(|(known, _)| *known == number)?;
    Some(found.1)
}

/// Name of a quantized tensor type.
pub(super) fn quantized(number: u32) -> Option<&'static str> {
    let found = QUANTIZED.iter().find(|(known, _)| *known == number)?;
    Some(found.1)
}

/// Number of a plain element type; `None` for those GGUF does not have, such as booleans.
pub(super) fn number(dtype: Dtype) -> Option<u32> {
    let found = PLAIN.iter().find(|(_, known)| *known == dtype)?;
    Some(found.0)
}

//! Metadata values, read where they lie in the mapped file.

use super::types::ValueType;

/// One metadata value. Text stays bytes until it is asked for: vocabularies hold tokens that are no UTF-8.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Eight bits, unsigned.
    U8(u8),
    /// Eight bits, signed.
    I8(i8),
    /// Sixteen bits, unsigned.
    U16(u16),
    /// Sixteen bits, signed.
    I16(i16),
    /// Thirty-two bits, unsigned.
    U32(u32),
    /// Thirty-two bits, signed.
    I32(i32),
    /// IEEE single.
    F32(f32),
    /// Truth value.
    Bool(bool),
    /// Text.
    String(&'a [u8]),
    /// Values of one type.
    Array(Array<'a>),
    /// Sixty-four bits, unsigned.
    U64(u64),
    /// Sixty-four bits, signed.
    I64(i64),
    /// IEEE double.
    F64(f64),
}

impl<'a> Value<'a> {
    /// A non-negative whole number, whichever type holds it.
    #[must_use]
    pub fn unsigned(&self) -> Option<u64> {
        match *self {
            Value::U8(value) => Some(value.into()),
            Value::U16(value) => Some(value.into()),
            Value::U32(value) => Some(value.into()),
            Value::U64(value) => Some(value),
            Value::I8(value) => u64::try_from(value).ok(),
            Value::I16(value) => u64::try_from(value).ok(),
            Value::I32(value) => u64::try_from(value).ok(),
            Value::I64(value) => u64::try_from(value).ok(),
            _ => None,
        }
    }

    /// A number. One in single precision gives the shortest decimal that means it: what was written as 1e-5 is 1e-5 again.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match *self {
            Value::F32(value) => value.to_string().parse().ok(),
            Value::F64(value) => Some(value),
            _ => None,
        }
    }

    /// A truth value.
    #[must_use]
    pub fn boolean(&self) -> Option<bool> {
        match *self {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// Text that is UTF-8.
    #[must_use]
    pub fn text(&self) -> Option<&'a str> {
        match *self {
            Value::String(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// Values of one type.
    #[must_use]
    pub fn array(&self) -> Option<Array<'a>> {
        match *self {
            Value::Array(array) => Some(array),
            _ => None,
        }
    }
}

/// An array in the file, decoded element by element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Array<'a> {
    pub(super) element: ValueType,
    pub(super) count: usize,
    pub(super) bytes: &'a [u8],
}

impl<'a> Array<'a> {
    /// Type of the elements.
    #[must_use]
    pub fn element(&self) -> ValueType {
        self.element
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The elements.
    pub fn iter(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let element = self.element;
        let mut rest = self.bytes;
        (0..self.count).map_while(move |_| {
            let (value, after) = split(element, rest)?;
            rest = after;
            Some(value)
        })
    }
}

/// One value off the front of bytes that were checked when the file was opened.
pub(super) fn split(kind: ValueType, bytes: &[u8]) -> Option<(Value<'_>, &[u8])> {
    let Some(size) = kind.size() else {
        // Arrays of arrays are refused when the file is opened.
        let (length, rest) = bytes.split_first_chunk::<8>()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (text, rest) = rest.split_at_checked(length)?;
        return (kind == ValueType::String).then_some((Value::String(text), rest));
    };
    let (value, rest) = bytes.split_at_checked(size)?;
    let value = match kind {
        ValueType::U8 => Value::U8(*value.first()?),
        ValueType::I8 => Value::I8(i8::from_le_bytes(value.try_into().ok()?)),
        ValueType::Bool => Value::Bool(*value.first()? != 0),
        ValueType::U16 => Value::U16(u16::from_le_bytes(value.try_into().ok()?)),
        ValueType::I16 => Value::I16(i16::from_le_bytes(value.try_into().ok()?)),
        ValueType::U32 => Value::U32(u32::from_le_bytes(value.try_into().ok()?)),
        ValueType::I32 => Value::I32(i32::from_le_bytes(value.try_into().ok()?)),
        ValueType::F32 => Value::F32(f32::from_le_bytes(value.try_into().ok()?)),
        ValueType::U64 => Value::U64(u64::from_le_bytes(value.try_into().ok()?)),
        ValueType::I64 => Value::I64(i64::from_le_bytes(value.try_into().ok()?)),
        ValueType::F64 => Value::F64(f64::from_le_bytes(value.try_into().ok()?)),
        ValueType::String | ValueType::Array => return None,
    };
    Some((value, rest))
}

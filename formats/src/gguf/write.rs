//! The header of a GGUF file to be written: metadata, descriptions of the tensors, and where the data of each goes.
//!
//! Tensor data is the caller's to stream: after the header, each tensor's bytes followed by [`Header::padding`] zeros.

use std::collections::BTreeSet;

use safetensors::Dtype;

use super::parse::{ALIGNMENT, LONGEST_NAME, MAGIC, MOST_DIMENSIONS};
use super::types::{self, ValueType};
use crate::codes;
use crate::diagnostic::Diagnostic;

/// Version of the format that is written.
const VERSION: u32 = 3;

/// Metadata values, encoded as they are added; the first value of a key counts.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    bytes: Vec<u8>,
    keys: BTreeSet<String>,
}

impl Metadata {
    /// No values.
    #[must_use]
    pub fn new() -> Metadata {
        Metadata::default()
    }

    /// Whether a key has a value.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.keys.contains(key)
    }

    fn put(&mut self, key: &str, kind: ValueType, encode: impl FnOnce(&mut Vec<u8>)) {
        if self.keys.insert(key.to_owned()) {
            string(&mut self.bytes, key.as_bytes());
            self.bytes.extend(kind.number().to_le_bytes());
            encode(&mut self.bytes);
        }
    }

    fn put_array(
        &mut self,
        key: &str,
        element: ValueType,
        count: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) {
        self.put(key, ValueType::Array, |bytes| {
            bytes.extend(element.number().to_le_bytes());
            bytes.extend((count as u64).to_le_bytes());
            encode(bytes);
        });
    }

    /// A number of 32 bits.
    pub fn u32(&mut self, key: &str, value: u32) {
        self.put(key, ValueType::U32, |bytes| {
            bytes.extend(value.to_le_bytes());
        });
    }

    /// A number in single precision.
    pub fn f32(&mut self, key: &str, value: f32) {
        self.put(key, ValueType::F32, |bytes| {
            bytes.extend(value.to_le_bytes());
        });
    }

    /// A truth value.
    pub fn boolean(&mut self, key: &str, value: bool) {
        self.put(key, ValueType::Bool, |bytes| bytes.push(value.into()));
    }

    /// Text.
    pub fn text(&mut self, key: &str, value: &str) {
        self.put(key, ValueType::String, |bytes| {
            string(bytes, value.as_bytes());
        });
    }

    /// Whole numbers of 32 bits, signed.
    pub fn i32s(&mut self, key: &str, values: &[i32]) {
        self.put_array(key, ValueType::I32, values.len(), |bytes| {
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        });
    }

    /// Numbers in single precision.
    pub fn f32s(&mut self, key: &str, values: &[f32]) {
        self.put_array(key, ValueType::F32, values.len(), |bytes| {
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        });
    }

    /// Texts.
    pub fn texts<T: AsRef<[u8]>>(&mut self, key: &str, values: &[T]) {
        self.put_array(key, ValueType::String, values.len(), |bytes| {
            for value in values {
                string(bytes, value.as_ref());
            }
        });
    }
}

/// A tensor to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// Name in the file.
    pub name: String,
    /// Element type.
    pub dtype: Dtype,
    /// Shape, row-major; the file has it reversed.
    pub shape: Vec<usize>,
}

/// The bytes before the data, and where the data goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Everything before the first tensor's data.
    pub bytes: Vec<u8>,
    /// Where each tensor's data begins, counted from the start of the file.
    pub offsets: Vec<u64>,
    /// Length of the whole file.
    pub total: u64,
}

impl Header {
    /// Lays out a file.
    ///
    /// # Errors
    /// S412 for a tensor that the format has no place for: of booleans, of more than four dimensions, or with a name of 64
    /// bytes or more.
    pub fn new(metadata: &Metadata, tensors: &[Outline]) -> Result<Header, Diagnostic> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((tensors.len() as u64).to_le_bytes());
        bytes.extend((metadata.keys.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&metadata.bytes);
        let (mut offsets, mut at) = (Vec::with_capacity(tensors.len()), 0_u64);
        for tensor in tensors {
            let kind = representable(tensor)?;
            string(&mut bytes, tensor.name.as_bytes());
            // At most four, as was just checked.
            bytes.extend((tensor.shape.len() as u32).to_le_bytes());
            for size in tensor.shape.iter().rev() {
                bytes.extend((*size as u64).to_le_bytes());
            }
            bytes.extend(kind.to_le_bytes());
            bytes.extend(at.to_le_bytes());
            offsets.push(at);
            let elements: usize = tensor.shape.iter().product();
            at += (elements * tensor.dtype.bitsize() / 8) as u64;
            at = at.next_multiple_of(ALIGNMENT as u64);
        }
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
        let start = bytes.len() as u64;
        for offset in &mut offsets {
            *offset += start;
        }
        Ok(Header {
            bytes,
            offsets,
            total: start + at,
        })
    }

    /// Zeros to write after a tensor of so many bytes.
    #[must_use]
    pub fn padding(length: u64) -> &'static [u8] {
        const ZEROS: [u8; ALIGNMENT] = [0; ALIGNMENT];
        let missing = length.next_multiple_of(ALIGNMENT as u64) - length;
        // Less than the alignment.
        ZEROS
            .get(..usize::try_from(missing).unwrap_or_default())
            .unwrap_or_default()
    }
}

/// The number of the tensor's type, if the format has a place for the tensor.
fn representable(tensor: &Outline) -> Result<u32, Diagnostic> {
    let refuse = |what: String| {
        Err(Diagnostic::error(
            codes::NOT_REPRESENTABLE,
            format!(
                "`{}` {what}, and the GGUF format has no place for that",
                tensor.name
            ),
        ))
    };
    if tensor.name.is_empty() || tensor.name.len() >= LONGEST_NAME {
        return refuse(format!("has a name of {} bytes", tensor.name.len()));
    }
    if tensor.shape.len() > MOST_DIMENSIONS {
        return refuse(format!("has {} dimensions", tensor.shape.len()));
    }
    match types::number(tensor.dtype) {
        Some(kind) => Ok(kind),
        None => refuse(format!("is of dtype {:?}", tensor.dtype)),
    }
}

fn string(bytes: &mut Vec<u8>, text: &[u8]) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend_from_slice(text);
}

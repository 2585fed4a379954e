//! Weights in another floating-point dtype: rounding to nearest, ties to even, and a count of what does not survive it.

use half::{bf16, f16};
use rayon::prelude::*;
use safetensors::Dtype;

use super::row::{Action, Content, Row, Sources};
use crate::codes;
use crate::decision::Decision;
use crate::diagnostic::{Diagnostic, Place};
use crate::expected::is_float;

/// Elements one task looks at.
const CHUNK: usize = 1 << 16;

/// What a cast does to the values of a tensor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Loss {
    elements: usize,
    /// Values that are other ones afterwards.
    rounded: usize,
    /// Finite values that become infinite.
    overflowed: usize,
}

/// Turns the float rows into another dtype.
///
/// # Errors
/// S412 where a finite value has no finite counterpart.
pub(crate) fn rows(
    rows: &mut [Row],
    dtype: Dtype,
    sources: &Sources<'_>,
    place: &Place,
) -> Result<Option<Decision>, Diagnostic> {
    let (mut total, mut tensors) = (Loss::default(), 0);
    for row in rows {
        if !is_float(row.dtype) || row.dtype == dtype {
            continue;
        }
        let from = row.dtype;
        let mut loss = Loss::default();
        let measured = sources.stream(row, CHUNK * 8, &mut |bytes| {
            let part = measure(from, dtype, bytes);
            loss.elements += part.elements;
            loss.rounded += part.rounded;
            loss.overflowed += part.overflowed;
            Ok(())
        });
        measured.map_err(|error| {
            Diagnostic::error(codes::OUTPUT_UNWRITABLE, error.to_string()).at(place.clone())
        })?;
        if loss.overflowed > 0 {
            let title = format!(
                "{} of {} values of `{}` are too large for {dtype:?}",
                loss.overflowed, loss.elements, row.destination
            );
            return Err(Diagnostic::error(codes::NOT_REPRESENTABLE, title)
                .at(place.clone())
                .note(format!(
                    "as {from:?} they are finite, and as {dtype:?} they would be infinite"
                ))
                .help("take `bfloat16` or `float32`, which have the range"));
        }
        total.elements += loss.elements;
        total.rounded += loss.rounded;
        tensors += 1;
        row.bytes = row.bytes / from.bitsize() as u64 * dtype.bitsize() as u64;
        row.dtype = dtype;
        row.action = Action::Cast;
        row.content = match std::mem::replace(&mut row.content, Content::Built(Vec::new())) {
            Content::Pieces(pieces) => Content::Cast { pieces, from },
            Content::Built(bytes) => {
                let mut converted = Vec::new();
                convert(from, dtype, &bytes, &mut converted);
                Content::Built(converted)
            }
            other @ (Content::Cast { .. } | Content::Random(_)) => other,
        };
    }
    Ok((tensors > 0).then(|| {
        Decision::settled(
            "dtype",
            format!("{dtype:?}"),
            format!(
                "given by the caller; {tensors} tensors are converted, and {} of {} values are rounded",
                total.rounded, total.elements
            ),
        )
    }))
}

/// Appends the elements of `bytes` in another dtype.
pub(crate) fn convert(from: Dtype, to: Dtype, bytes: &[u8], into: &mut Vec<u8>) {
    each(from, bytes, |value| match to {
        Dtype::BF16 => into.extend(bf16::from_f32(value).to_le_bytes()),
        Dtype::F16 => into.extend(f16::from_f32(value).to_le_bytes()),
        _ => into.extend(value.to_le_bytes()),
    });
}

fn measure(from: Dtype, to: Dtype, bytes: &[u8]) -> Loss {
    let width = from.bitsize() / 8;
    let parts = bytes.par_chunks(CHUNK * width).map(|part| {
        let mut loss = Loss::default();
        each(from, part, |value| {
            let after = match to {
                Dtype::BF16 => bf16::from_f32(value).to_f32(),
                Dtype::F16 => f16::from_f32(value).to_f32(),
                _ => value,
            };
            loss.elements += 1;
            loss.rounded += usize::from(after != value && !value.is_nan());
            loss.overflowed += usize::from(value.is_finite() && !after.is_finite());
        });
        loss
    });
    parts.reduce(Loss::default, |a, b| Loss {
        elements: a.elements + b.elements,
        rounded: a.rounded + b.rounded,
        overflowed: a.overflowed + b.overflowed,
    })
}

fn each(from: Dtype, bytes: &[u8], mut visit: impl FnMut(f32)) {
    match from {
        Dtype::BF16 => bytes
            .as_chunks()
            .0
            .iter()
            .for_each(|bytes| visit(bf16::from_le_bytes(*bytes).to_f32())),
        Dtype::F16 => bytes
            .as_chunks()
            .0
            .iter()
            .for_each(|bytes| visit(f16::from_le_bytes(*bytes).to_f32())),
        _ => bytes
            .as_chunks()
            .0
            .iter()
            .for_each(|bytes| visit(f32::from_le_bytes(*bytes))),
    }
}

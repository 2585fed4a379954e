//! The elements of the lists that maps and counts are stored as.

use safetensors::Dtype;

use crate::checkpoint::TensorView;
use crate::codes;
use crate::diagnostic::{Diagnostic, Place};

/// `d2t`, or counts, in any signed integer dtype, or one that fits into 64 signed bits.
///
/// # Errors
/// S203 if it is no list, S204 if it holds something else.
pub(crate) fn integers(view: &TensorView<'_>) -> Result<Vec<i64>, Diagnostic> {
    flat(view)?;
    Ok(match view.dtype {
        Dtype::I64 => chunks(view.data).map(i64::from_le_bytes).collect(),
        Dtype::I32 => chunks(view.data)
            .map(|bytes| i64::from(i32::from_le_bytes(bytes)))
            .collect(),
        Dtype::U32 => chunks(view.data)
            .map(|bytes| i64::from(u32::from_le_bytes(bytes)))
            .collect(),
        _ => return Err(dtype(view, "whole numbers (I64 or I32)")),
    })
}

/// `t2d` as booleans or bytes.
///
/// # Errors
/// S203 if it is no list, S204 if it holds something else.
pub(crate) fn booleans(view: &TensorView<'_>) -> Result<Vec<bool>, Diagnostic> {
    flat(view)?;
    match view.dtype {
        Dtype::BOOL | Dtype::U8 | Dtype::I8 => {
            Ok(view.data.iter().map(|byte| *byte != 0).collect())
        }
        _ => Err(dtype(view, "booleans (BOOL or U8)")),
    }
}

pub(super) fn chunks<const N: usize>(data: &[u8]) -> impl Iterator<Item = [u8; N]> {
    data.as_chunks::<N>().0.iter().copied()
}

pub(super) fn flat(view: &TensorView<'_>) -> Result<(), Diagnostic> {
    if view.shape.len() == 1 {
        return Ok(());
    }
    let title = format!(
        "`{}` is {:?}, but has to be one list",
        view.name, view.shape
    );
    Err(Diagnostic::error(codes::TENSOR_SHAPE, title).at(Place::tensor(view.path, view.name)))
}

fn dtype(view: &TensorView<'_>, wanted: &str) -> Diagnostic {
    let title = format!(
        "`{}` has dtype {:?}, but has to hold {wanted}",
        view.name, view.dtype
    );
    Diagnostic::error(codes::TENSOR_DTYPE, title).at(Place::tensor(view.path, view.name))
}

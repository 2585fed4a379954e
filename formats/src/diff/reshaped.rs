//! What two tensors of different shapes have in common.

use super::statistics::same_bytes;
use crate::checkpoint::TensorView;

/// How one shape came from the other, where that shows.
pub(super) fn relation(a: &TensorView<'_>, b: &TensorView<'_>) -> Option<String> {
    if a.dtype != b.dtype {
        return None;
    }
    if same_bytes(a.data, b.data) {
        return Some("the same bytes in another shape".to_owned());
    }
    if transposed(a, b) {
        return Some("transposed".to_owned());
    }
    // A vocabulary that was padded, or cut.
    let (Some((a_rows, a_width)), Some((b_rows, b_width))) =
        (a.shape.split_first(), b.shape.split_first())
    else {
        return None;
    };
    let shared = a.data.len().min(b.data.len());
    let begins = a.data.get(..shared).zip(b.data.get(..shared));
    (shared > 0 && a_width == b_width && begins.is_some_and(|(a, b)| same_bytes(a, b)))
        .then(|| format!("the first {} rows are the same", a_rows.min(b_rows)))
}

fn transposed(a: &TensorView<'_>, b: &TensorView<'_>) -> bool {
    let (&[rows, columns], &[b_rows, b_columns]) = (a.shape, b.shape) else {
        return false;
    };
    let elements = rows * columns;
    if (rows, columns) != (b_columns, b_rows) || elements == 0 || a.data.len() != b.data.len() {
        return false;
    }
    let width = a.data.len() / elements;
    (0..rows).all(|row| {
        (0..columns).all(|column| {
            let (here, there) = (row * columns + column, column * rows + row);
            a.data.get(here * width..(here + 1) * width)
                == b.data.get(there * width..(there + 1) * width)
        })
    })
}

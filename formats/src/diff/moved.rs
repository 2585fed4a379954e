//! Equal bytes under names that have nothing to do with one another.
//!
//! Tensors that only one side has are paired where their contents are the same. So are tensors of one name with other values:
//! that two of them changed places is not seen from either alone.

use std::collections::HashMap;

use super::statistics::same_bytes;
use super::tensors::{Sides, TensorRow, TensorStatus};
use crate::checkpoint::TensorView;

/// Pairs what is only in A with what is only in B, and says of changed tensors what they have become.
pub(super) fn find(rows: &mut Vec<TensorRow>, views: &[Sides<'_>]) {
    let mut absorbed = vec![false; rows.len()];
    // Only B's tensors are looked up; each stands for one of A's at most.
    let mut candidates: HashMap<Fingerprint, Vec<usize>> = HashMap::new();
    for (index, (row, sides)) in rows.iter().zip(views).enumerate() {
        let open = matches!(row.status, TensorStatus::OnlyB | TensorStatus::Changed);
        if let Some(view) = sides.b.as_ref().filter(|_| open && row.matters) {
            candidates
                .entry(Fingerprint::of(view))
                .or_default()
                .push(index);
        }
    }
    for index in 0..rows.len() {
        let open = matches!(
            rows[index].status,
            TensorStatus::OnlyA | TensorStatus::Changed
        );
        let Some(own) = views[index]
            .a
            .as_ref()
            .filter(|_| open && rows[index].matters)
        else {
            continue;
        };
        let Some(group) = candidates.get_mut(&Fingerprint::of(own)) else {
            continue;
        };
        let same = |other: &usize| {
            let view = views[*other].b.as_ref();
            view.is_some_and(|view| view.shape == own.shape && same_bytes(view.data, own.data))
        };
        let Some(position) = group.iter().position(same) else {
            continue;
        };
        let other = group.remove(position);
        let name = rows[other]
            .b
            .as_ref()
            .map_or_else(String::new, |b| b.name.clone());
        if rows[index].status == TensorStatus::OnlyA && rows[other].status == TensorStatus::OnlyB {
            rows[index].b = rows[other].b.take();
            rows[index].status = TensorStatus::Moved;
            absorbed[other] = true;
        } else {
            rows[index].note = Some(format!("A's bytes are those of `{name}` in B"));
        }
    }
    let mut absorbed = absorbed.into_iter();
    rows.retain(|_| !absorbed.next().unwrap_or_default());
}

/// What can be told of a tensor without reading all of it; tensors that differ in it are not the same.
#[derive(PartialEq, Eq, Hash)]
struct Fingerprint {
    dtype: String,
    bytes: usize,
    sample: Vec<u8>,
}

impl Fingerprint {
    /// Begin, middle and end: zeros at one end are common, at all three they are rare.
    fn of(view: &TensorView<'_>) -> Fingerprint {
        const SAMPLE: usize = 64;
        let length = view.data.len();
        let starts = [0, length / 2, length.saturating_sub(SAMPLE)];
        let samples = starts.iter().flat_map(|&start| {
            let piece = view.data.get(start..length.min(start + SAMPLE));
            piece.unwrap_or_default()
        });
        Fingerprint {
            dtype: view.dtype.to_string(),
            bytes: length,
            sample: samples.copied().collect(),
        }
    }
}

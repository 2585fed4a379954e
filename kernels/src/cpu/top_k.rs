use crate::Result;
use crate::isa::{features, for_each_isa};
use crate::reference::check_top_k;
use crate::rows::for_each_row;

/// Up to this many, the best so far are kept sorted while scanning; beyond, all of a row is ranked.
const INSERTION: usize = 256;

/// See [`reference::top_k`](crate::reference::top_k).
///
/// # Errors
///
/// The same.
pub fn top_k(
    logits: &[f32],
    width: usize,
    k: usize,
    ids: &mut [u32],
    values: &mut [f32],
) -> Result<()> {
    check_top_k(logits, width, k, ids, values)?;
    let isa = features();
    for_each_row(ids, k, width, |row, ids| {
        best(isa, &logits[row * width..(row + 1) * width], ids);
    });
    if k > 0 {
        let rows = ids
            .chunks_exact(k)
            .zip(values.chunks_exact_mut(k))
            .zip(logits.chunks_exact(width));
        for ((ids, values), logits) in rows {
            for (value, id) in values.iter_mut().zip(ids) {
                *value = logits[*id as usize];
            }
        }
    }
    Ok(())
}

/// The ids of the `ids.len()` largest numbers of a row, largest first.
pub(super) fn best(isa: crate::Isa, row: &[f32], ids: &mut [u32]) {
    if ids.len() > INSERTION {
        let mut order: Vec<(u32, u32)> = (0..).zip(row).map(|(id, x)| (!key(*x), id)).collect();
        if ids.len() < order.len() {
            order.select_nth_unstable(ids.len());
        }
        order.truncate(ids.len());
        order.sort_unstable();
        ids.iter_mut()
            .zip(order)
            .for_each(|(id, (_, index))| *id = index);
        return;
    }
    for_each_isa!(isa, scan(row: &[f32], ids: &mut [u32]))
}

/// One pass over the row that stops only where a number is larger than the last of those kept.
#[inline(always)]
fn scan(row: &[f32], ids: &mut [u32]) {
    let k = ids.len();
    let (head, tail) = row.split_at(k);
    let mut kept: Vec<(u32, u32)> = (0..).zip(head).map(|(id, x)| (key(*x), id)).collect();
    kept.sort_unstable_by_key(|(key, id)| (!*key, *id));
    let Some(mut least) = kept.last().map(|(key, _)| *key) else {
        return;
    };

    for (chunk, numbers) in tail.chunks(64).enumerate() {
        let mut largest = 0;
        for x in numbers {
            largest = key(*x).max(largest);
        }
        if largest <= least {
            continue;
        }
        for (offset, x) in numbers.iter().enumerate() {
            let key = key(*x);
            // Not on ties: what was met before has the smaller index.
            if key > least {
                let place = kept.partition_point(|(other, _)| *other >= key);
                kept.pop();
                kept.insert(place, (key, (k + chunk * 64 + offset) as u32));
                least = kept[k - 1].0;
            }
        }
    }
    ids.iter_mut()
        .zip(kept)
        .for_each(|(id, (_, index))| *id = index);
}

/// An integer that orders numbers as [`top_k`] does: NaN below everything, and 0 equal to -0.
#[inline(always)]
fn key(x: f32) -> u32 {
    let bits = (x + 0.0).to_bits();
    let ordered = if bits >> 31 == 1 {
        !bits
    } else {
        bits | 0x8000_0000
    };
    if x.is_nan() { 0 } else { ordered }
}

//! Spreading rows over threads.

use rayon::prelude::*;

/// Below this many numbers, or exponentials, a second thread costs more than it does.
const SEQUENTIAL: usize = 1 << 15;

/// Calls `body(row, output of the row)` for each row of `width` numbers, in parallel when `work` steps per row make
/// that worth while.
pub(crate) fn for_each_row<T: Send>(
    output: &mut [T],
    width: usize,
    work: usize,
    body: impl Fn(usize, &mut [T]) + Sync,
) {
    if width == 0 {
        return;
    }
    let rows = output.len() / width;
    if rows < 2 || rows * work < SEQUENTIAL || rayon::current_num_threads() == 1 {
        output
            .chunks_exact_mut(width)
            .enumerate()
            .for_each(|(row, output)| body(row, output));
        return;
    }
    // At least a quarter of the threshold per task.
    let least = (SEQUENTIAL / 4 / work.max(1)).max(1);
    output
        .par_chunks_exact_mut(width)
        .enumerate()
        .with_min_len(least)
        .for_each(|(row, output)| body(row, output));
}

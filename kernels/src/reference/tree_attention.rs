use crate::{KvCache, Result, Rounding, TreeMask, shape};

/// Attention of the queries of a tree (or of a chain, or of one token) over a cache that holds their keys and values
/// already: `output = round(softmax(scale * q·k) v)` over the slots each query sees, scores and softmax in `f32`.
///
/// `queries` and `output` are `[rows, heads, head_dim]`; `heads` is a multiple of the cache's `kv_heads`, and
/// neighbouring heads share a key head. `positions` has the position of each row.
///
/// The last `mask.tail` slots of the cache are the tree: `tail_positions` has their positions, and a row sees those
/// whose bit is set. Of the slots before, whose position is their index, it sees all. With a `window` it sees of all
/// these only slots with `position - window < slot position`. A row that sees nothing gets zeros.
///
/// # Errors
///
/// [`Error::Shape`](crate::Error::Shape), [`Error::Multiple`](crate::Error::Multiple),
/// [`Error::Range`](crate::Error::Range).
// The arguments are those of the mathematical operation; a struct of them would only move the list.
#[allow(clippy::too_many_arguments)]
pub fn tree_attention(
    queries: &[f32],
    cache: &KvCache,
    mask: &TreeMask,
    positions: &[u32],
    tail_positions: &[u32],
    window: Option<usize>,
    scale: f32,
    rounding: Rounding,
    output: &mut [f32],
) -> Result<()> {
    let call = Attention {
        cache,
        mask,
        positions,
        tail_positions,
        window,
    };
    let heads = check(&call, queries, output)?;
    let head_dim = cache.head_dim();
    for row in 0..positions.len() {
        let visible = call.visible(row);
        for head in 0..heads {
            let kv_head = head / (heads / cache.kv_heads());
            let start = (row * heads + head) * head_dim;
            let query = &queries[start..start + head_dim];
            let dot = |slot: &usize| -> f64 {
                let key = cache.key(*slot, kv_head);
                query
                    .iter()
                    .zip(key)
                    .map(|(q, k)| f64::from(*q) * f64::from(k))
                    .sum()
            };
            let scores: Vec<f64> = visible.iter().map(|s| dot(s) * f64::from(scale)).collect();
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
            let total: f64 = weights.iter().sum();
            let mut sums = vec![0.0; head_dim];
            for (slot, weight) in visible.iter().zip(&weights) {
                for (sum, v) in sums.iter_mut().zip(cache.value(*slot, kv_head)) {
                    *sum += weight * f64::from(v);
                }
            }
            for (result, sum) in output[start..start + head_dim].iter_mut().zip(&sums) {
                let mean = if visible.is_empty() { 0.0 } else { sum / total };
                *result = rounding.round(mean as f32);
            }
        }
    }
    Ok(())
}

/// What says which slots a row sees.
#[derive(Clone, Copy)]
pub(crate) struct Attention<'a> {
    pub(crate) cache: &'a KvCache,
    pub(crate) mask: &'a TreeMask<'a>,
    pub(crate) positions: &'a [u32],
    pub(crate) tail_positions: &'a [u32],
    pub(crate) window: Option<usize>,
}

impl Attention<'_> {
    /// Slots before the tail.
    pub(crate) fn prefix(&self) -> usize {
        self.cache.len() - self.mask.tail
    }

    /// The first slot before the tail that a row sees.
    pub(crate) fn first(&self, row: usize) -> usize {
        let position = self.positions[row] as usize;
        self.window
            .map_or(0, |window| (position + 1).saturating_sub(window))
            .min(self.prefix())
    }

    /// Whether a row sees a slot of the tail.
    #[inline(always)]
    pub(crate) fn sees(&self, row: usize, slot: usize) -> bool {
        let in_window = self.window.is_none_or(|window| {
            self.tail_positions[slot] as usize + window > self.positions[row] as usize
        });
        self.mask.sees(row, slot) && in_window
    }

    /// All slots that a row sees, ascending.
    fn visible(&self, row: usize) -> Vec<usize> {
        let prefix = self.prefix();
        let tail = (0..self.mask.tail).filter(|slot| self.sees(row, *slot));
        (self.first(row)..prefix)
            .chain(tail.map(|slot| prefix + slot))
            .collect()
    }
}

/// The number of heads of the queries.
pub(crate) fn check(call: &Attention, queries: &[f32], output: &[f32]) -> Result<usize> {
    const OPERATION: &str = "tree_attention";
    let (rows, head_dim) = (call.positions.len(), call.cache.head_dim());
    shape::equal(OPERATION, "output", queries.len(), output.len())?;
    call.mask.check(OPERATION, rows, call.cache.len())?;
    shape::equal(
        OPERATION,
        "positions of the tail",
        call.mask.tail,
        call.tail_positions.len(),
    )?;
    if rows == 0 {
        shape::equal(OPERATION, "queries", 0, queries.len())?;
        return Ok(call.cache.kv_heads());
    }
    let heads = shape::rows(OPERATION, "queries", rows * head_dim, queries.len())?;
    shape::rows(
        OPERATION,
        "heads of the queries",
        call.cache.kv_heads(),
        heads,
    )?;
    Ok(heads)
}

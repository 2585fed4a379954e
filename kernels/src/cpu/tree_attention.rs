//! The sums of a query run over the slots it sees, counted without the gaps: slot number `n` of those visible goes to
//! the same place in every sum whether the tree around it is large, small or gone. A token of a tree therefore gets
//! the bits that it gets when it is decoded alone.

use rayon::prelude::*;

use crate::isa::{features, for_each_isa};
use crate::kv_cache::{BLOCK, Element, Plane, with_plane};
use crate::lanes::{LANES, Lanes, add_all, fold, largest as largest_of};
use crate::reference::{Attention, check_tree_attention};
use crate::{Isa, KvCache, Result, Rounding, TreeMask};

/// Rows of queries that one task takes through the keys of a head. Their scores should stay in the second-level cache:
/// with 4 heads to a key head and 4096 slots, 256 KiB.
const ROWS: usize = 4;
/// Below this many multiplications a second thread costs more than it does.
const SEQUENTIAL: usize = 1 << 17;

/// See [`reference::tree_attention`](crate::reference::tree_attention).
///
/// # Errors
///
/// The same.
// As many arguments as the reference has.
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
    let shared = Attention {
        cache,
        mask,
        positions,
        tail_positions,
        window,
    };
    let heads = check_tree_attention(&shared, queries, output)?;
    let (kv_heads, head_dim) = (cache.kv_heads(), cache.head_dim());
    let group = heads / kv_heads.max(1);
    let blocks = positions.len().div_ceil(ROWS);
    let isa = features();

    let task = |index: usize| {
        let (block, kv_head) = (index / kv_heads, index % kv_heads);
        let first_row = block * ROWS;
        let rows = ROWS.min(positions.len() - first_row);
        let task = Task {
            shared,
            queries,
            heads,
            group,
            kv_head,
            first_row,
            rows,
            scale,
            rounding,
        };
        with_plane!(cache.planes(), plane => attend(isa, &task, plane))
    };
    let tasks = blocks * kv_heads;
    let work = positions.len() * heads * head_dim * cache.len();
    let results: Vec<Vec<f32>> = if work < SEQUENTIAL || rayon::current_num_threads() == 1 {
        (0..tasks).map(task).collect()
    } else {
        (0..tasks)
            .into_par_iter()
            .with_max_len(1)
            .map(task)
            .collect()
    };

    let width = group * head_dim;
    for (index, result) in results.iter().enumerate() {
        let (block, kv_head) = (index / kv_heads, index % kv_heads);
        for (row, result) in result.chunks_exact(width).enumerate() {
            let start = ((block * ROWS + row) * kv_heads + kv_head) * width;
            output[start..start + width].copy_from_slice(result);
        }
    }
    Ok(())
}

/// Some rows of queries against one head of keys and values.
struct Task<'a> {
    shared: Attention<'a>,
    queries: &'a [f32],
    heads: usize,
    /// Heads of queries that share the keys.
    group: usize,
    kv_head: usize,
    first_row: usize,
    rows: usize,
    scale: f32,
    rounding: Rounding,
}

/// Which slots a row sees: a range before the tail, and some of the tail.
struct Visible {
    first: usize,
    tail: Vec<usize>,
    /// Where the values of all of them begin, in order.
    values: Vec<usize>,
}

impl Task<'_> {
    fn query(&self, row: usize, head: usize) -> &[f32] {
        let head_dim = self.shared.cache.head_dim();
        let head = (self.first_row + row) * self.heads + self.kv_head * self.group + head;
        &self.queries[head * head_dim..(head + 1) * head_dim]
    }

    fn visible(&self, row: usize) -> Visible {
        let (row, prefix) = (self.first_row + row, self.shared.prefix());
        let first = self.shared.first(row);
        let tail = (0..self.shared.mask.tail).filter(|slot| self.shared.sees(row, *slot));
        let tail: Vec<usize> = tail.map(|slot| prefix + slot).collect();
        let (layout, head_dim) = (self.shared.cache.layout(), self.shared.cache.head_dim());
        let values = (first..prefix)
            .chain(tail.iter().copied())
            .map(|slot| layout.block(slot / BLOCK, self.kv_head) + slot % BLOCK * head_dim);
        Visible {
            first,
            values: values.collect(),
            tail,
        }
    }
}

/// The output `[rows, group, head_dim]` of a task.
fn attend<E: Element>(isa: Isa, task: &Task, plane: &Plane<E>) -> Vec<f32> {
    for_each_isa!(isa, lanes attend_body[E: Element](task: &Task, plane: &Plane<E>) -> Vec<f32>)
}

#[inline(always)]
fn attend_body<V: Lanes, E: Element>(task: &Task, plane: &Plane<E>) -> Vec<f32> {
    let head_dim = task.shared.cache.head_dim();
    let visible: Vec<Visible> = (0..task.rows).map(|row| task.visible(row)).collect();
    let mut scores = score::<V, E>(task, plane, &visible);
    let mut output = vec![0.0; task.rows * task.group * head_dim];
    let results = output.chunks_exact_mut(head_dim).zip(&mut scores);
    for (index, (output, scores)) in results.enumerate() {
        if scores.is_empty() {
            continue;
        }
        let largest = largest_of::<V>(scores);
        for score in scores.iter_mut() {
            *score = exp(*score - largest);
        }
        let total = fold(add_all::<V, false>(V::splat(0.0), scores).store());
        let places = &visible[index / task.group].values;
        mix::<V, E>(&plane.values, places, scores, output);
        let share = 1.0 / total;
        for x in output.iter_mut() {
            *x *= share;
        }
        task.rounding.round_all(output);
    }
    output
}

/// The scaled scores of each query, `[rows, group]` lists, over the slots it sees.
#[inline(always)]
fn score<V: Lanes, E: Element>(
    task: &Task,
    plane: &Plane<E>,
    visible: &[Visible],
) -> Vec<Vec<f32>> {
    let cache = task.shared.cache;
    let (head_dim, prefix) = (cache.head_dim(), task.shared.prefix());
    let first = visible
        .iter()
        .map(|visible| visible.first)
        .min()
        .unwrap_or(0);
    let mut scores: Vec<Vec<f32>> = visible
        .iter()
        .flat_map(|row| std::iter::repeat_n(row.values.len(), task.group))
        .map(Vec::with_capacity)
        .collect();
    let mut widened = vec![V::splat(0.0); head_dim];
    // Where in its tail each row has got to.
    let mut tails = vec![0; task.rows];
    for block in first / BLOCK..cache.len().div_ceil(BLOCK) {
        let start = cache.layout().block(block, task.kv_head);
        let keys = plane.keys[start..start + head_dim * BLOCK]
            .as_chunks::<BLOCK>()
            .0;
        for (widened, keys) in widened.iter_mut().zip(keys) {
            *widened = E::load(keys);
        }
        let slots = block * BLOCK..(block + 1) * BLOCK;
        for (row, visible) in visible.iter().enumerate() {
            let before =
                visible.first.clamp(slots.start, slots.end)..prefix.clamp(slots.start, slots.end);
            let tail = &visible.tail[tails[row]..];
            let tail = &tail[..tail.partition_point(|slot| *slot < slots.end)];
            tails[row] += tail.len();
            if before.is_empty() && tail.is_empty() {
                continue;
            }
            for head in 0..task.group {
                let block = dot(task.query(row, head), &widened, task.scale);
                let scores = &mut scores[row * task.group + head];
                if !before.is_empty() {
                    scores.extend_from_slice(
                        &block[before.start - slots.start..before.end - slots.start],
                    );
                }
                scores.extend(tail.iter().map(|slot| block[slot - slots.start]));
            }
        }
    }
    scores
}

/// The scores of a query for sixteen keys `[head_dim][16]`: one sum per key, over the channels in order, of the scaled
/// query's products.
#[inline(always)]
fn dot<V: Lanes>(query: &[f32], keys: &[V], scale: f32) -> [f32; BLOCK] {
    let mut sum = V::splat(0.0);
    for (query, keys) in query.iter().zip(keys) {
        sum = V::splat(query * scale).multiply_add(*keys, sum);
    }
    sum.store()
}

/// `e^x` for `x` of at most 0 as vLLM's attention computes it: `x = n ln 2 + r`, and a polynomial of degree 5 in `r`
/// with a relative error of 3e-7.
#[inline(always)]
fn exp(x: f32) -> f32 {
    if x < -87.336_55 {
        return 0.0;
    }
    let n = x.mul_add(std::f32::consts::LOG2_E, 0.5).floor();
    let r = (-n).mul_add(std::f32::consts::LN_2, x);
    let mut series = r.mul_add(0.008_289_29, 0.041_897_82);
    for coefficient in [0.166_676_52, 0.499_991_5, 0.999_999_7, 1.0] {
        series = r.mul_add(series, coefficient);
    }
    series * f32::from_bits(((n as i32 + 127) << 23).cast_unsigned())
}

/// `output[d] = Σ weight * value[d]` over slots, strictly in their order; `places` is where the values of each begin.
#[inline(always)]
fn mix<V: Lanes, E: Element>(values: &[E], places: &[usize], weights: &[f32], output: &mut [f32]) {
    // As many channels at a time as stay in registers.
    let (wide, rest) = output.as_chunks_mut::<64>();
    let mut start = 0;
    for output in wide {
        mix_some::<V, E, 4>(values, places, weights, start, output);
        start += 64;
    }
    let (narrow, rest) = rest.as_chunks_mut::<LANES>();
    for output in narrow {
        mix_some::<V, E, 1>(values, places, weights, start, output);
        start += LANES;
    }
    for output in rest {
        let mut sum = 0.0;
        for (place, weight) in places.iter().zip(weights) {
            sum = weight.mul_add(values[place + start].widen(), sum);
        }
        *output = sum;
        start += 1;
    }
}

/// [`mix`] for `COUNT` registers of channels.
#[inline(always)]
fn mix_some<V: Lanes, E: Element, const COUNT: usize>(
    values: &[E],
    places: &[usize],
    weights: &[f32],
    start: usize,
    output: &mut [f32],
) {
    let mut sums = [V::splat(0.0); COUNT];
    for (place, weight) in places.iter().zip(weights) {
        let values = values[place + start..place + start + COUNT * LANES]
            .as_chunks::<LANES>()
            .0;
        let weight = V::splat(*weight);
        for (sum, values) in sums.iter_mut().zip(values) {
            *sum = weight.multiply_add(E::load::<V>(values), *sum);
        }
    }
    for (output, sum) in output.as_chunks_mut::<LANES>().0.iter_mut().zip(sums) {
        *output = sum.store();
    }
}

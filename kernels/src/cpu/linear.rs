//! Skinny matrix products: few rows of activations against weights that have to come from memory.
//!
//! The order of accumulation is the same for every number of rows. With the bfloat16 dot product, each (row, output)
//! has one sum per block of 1024 inputs, pair after pair, and the sums of the blocks are added in order: the order that
//! oneDNN takes, so that PyTorch and vLLM on such a processor give the same bits. Elsewhere it has two sums, one over
//! the even and one over the odd inputs, both strictly in order, added at the end. Where a kernel stops to let another
//! panel or block of rows go first it stores the sums and takes them up again, which changes no bit.
//!
//! One row reads weights as fast as memory gives them, in one stream per thread; rows beyond the first are meant to
//! cost arithmetic only.

mod avx2;
mod avx512;
mod portable;

use std::ops::Range;

use rayon::prelude::*;

use crate::isa::{features, for_each_isa};
use crate::reference::check_linear;
use crate::{Isa, Matrix, PANEL, Result, Rounding, WeightType};

/// The two partial sums of one row for the outputs of a panel; the bfloat16 dot product leaves the second one zero.
type Sums = [[f32; PANEL]; 2];

/// Adds `panel` times `activations` to `sums`, one entry per row: `panel` is a range of pairs of a panel, and
/// `activations` the same range, `[steps][rows]`.
///
/// Calling one is sound on processors that have the instruction set it was compiled for.
type Kernel = unsafe fn(panel: &[u8], activations: &[u32], sums: &mut [Sums]);

/// Weight types as constants, which generic parameters have to be.
const F32: u8 = WeightType::F32 as u8;
const F16: u8 = WeightType::F16 as u8;
const BF16: u8 = WeightType::Bf16 as u8;
const INT8: u8 = WeightType::Int8 as u8;

/// Pairs of inputs after which the next block of rows gets its turn: the weights of a panel in between, 32 KiB in
/// bfloat16, stay in the first-level cache. Also the pairs in one sum of the bfloat16 dot product.
const CHUNK: usize = 512;
/// Panels that share a pass over the activations of a chunk.
const GROUP: usize = 4;
/// Below this number of multiplications a second thread costs more than it does.
const SEQUENTIAL: usize = 1 << 17;

/// Bytes of weights in one task at least; more tasks than threads even out what other processes take away.
const TASK_BYTES: usize = 1 << 19;

#[doc = "See [`reference::linear`](crate::reference::linear)."]
#[doc = ""]
#[doc = "# Errors"]
#[doc = ""]
#[doc = "The same."]
pub fn linear(
    weights: &Matrix,
    bias: Option<&[f32]>,
    input: &[f32],
    rounding: Rounding,
    output: &mut [f32],
) -> Result<()> {
    let rows = check_linear(weights, bias, input, output)?;
    if rows == 0 || weights.outputs() == 0 {
        return Ok(());
    }
    let isa = features();
    let narrow = rounding == Rounding::Bf16
        && weights.weight_type() == WeightType::Bf16
        && isa == Isa::Avx512Bf16;
    let round_inputs = rounding == Rounding::Bf16 && weights.weight_type() == WeightType::Bf16;
    let blocks = Blocks::new(rows, kernel_rows(isa));
    let call = Call {
        weights,
        bias,
        rounding,
        isa,
        narrow,
        blocks,
        activations: pack(isa, weights, input, blocks, narrow, round_inputs),
        output: Output(output.as_mut_ptr()),
    };

    let panels = weights.panels();
    let threads = rayon::current_num_threads();
    if threads == 1 || panels * PANEL * weights.inputs() * rows <= SEQUENTIAL {
        call.run(0..panels);
        return Ok(());
    }
    // Contiguous ranges, so that each thread reads one stream.
    let tasks = (panels * weights.panel_bytes() / TASK_BYTES)
        .clamp(1, 4)
        .max(1)
        * threads;
    let tasks = tasks.min(panels);
    (0..tasks)
        .into_par_iter()
        .with_max_len(1)
        .for_each(|task| call.run(panels * task / tasks..panels * (task + 1) / tasks));
    Ok(())
}

/// How rows are divided among kernels: as evenly as possible in blocks of at most what a kernel takes.
#[derive(Clone, Copy)]
struct Blocks {
    rows: usize,
    count: usize,
}

impl Blocks {
    fn new(rows: usize, most: usize) -> Blocks {
        Blocks {
            rows,
            count: rows.div_ceil(most),
        }
    }

    fn range(self, block: usize) -> Range<usize> {
        self.rows * block / self.count..self.rows * (block + 1) / self.count
    }
}

/// One call of [`linear`].
struct Call<'a> {
    weights: &'a Matrix,
    bias: Option<&'a [f32]>,
    rounding: Rounding,
    isa: Isa,
    /// Whether inputs go in pairs of bfloat16.
    narrow: bool,
    blocks: Blocks,
    /// Per block of rows `[steps][rows of the block]`; bits of an `f32`, or of a pair of bfloat16.
    activations: Vec<u32>,
    output: Output,
}

/// The output `[rows, outputs]`, of which each task writes columns of its own.
struct Output(*mut f32);

// SAFETY: tasks write to disjoint columns, and the slice is borrowed for the whole call.
unsafe impl Sync for Output {}

impl Call<'_> {
    /// Computes a range of panels for all rows.
    fn run(&self, panels: Range<usize>) {
        let pairs = self.weights.pairs();
        // With a single block of rows nothing is used twice, and a panel is best read from end to end.
        let (chunk, group) = if self.blocks.count == 1 {
            (pairs, 1)
        } else {
            (CHUNK, GROUP)
        };
        let mut sums = vec![[[0.0; PANEL]; 2]; self.blocks.rows * group];
        for first in panels.clone().step_by(group) {
            let group = first..panels.end.min(first + group);
            sums.fill([[0.0; PANEL]; 2]);
            for start in (0..pairs).step_by(chunk) {
                let range = start..pairs.min(start + chunk);
                for (panel, sums) in group.clone().zip(sums.chunks_exact_mut(self.blocks.rows)) {
                    self.accumulate(panel, range.clone(), sums);
                }
            }
            for (panel, sums) in group.zip(sums.chunks_exact(self.blocks.rows)) {
                self.finish(panel, sums);
            }
        }
    }

    /// Adds a range of pairs of one panel to the sums of all rows.
    fn accumulate(&self, panel: usize, range: Range<usize>, sums: &mut [Sums]) {
        let (pairs, stride) = (self.weights.pairs(), self.weights.panel_bytes());
        let pair = stride / pairs;
        let weights = &self.weights.data()[panel * stride..][range.start * pair..range.end * pair];
        let steps = if self.narrow { 1 } else { 2 };
        for block in 0..self.blocks.count {
            let rows = self.blocks.range(block);
            let count = rows.len();
            let packed = &self.activations[rows.start * pairs * steps..];
            let packed = &packed[range.start * steps * count..range.end * steps * count];
            let kernel = kernel(self.isa, self.weights.weight_type(), self.narrow, count);
            // SAFETY: `features` only gives instruction sets that this processor has.
            unsafe { kernel(weights, packed, &mut sums[rows]) };
        }
    }

    /// Adds the partial sums up, scales, adds the bias, rounds and writes one panel of all rows.
    fn finish(&self, panel: usize, sums: &[Sums]) {
        let outputs = self.weights.outputs();
        let first = panel * PANEL;
        let lanes = PANEL.min(outputs - first);
        let (mut scales, mut bias) = ([1.0; PANEL], [0.0; PANEL]);
        for lane in 0..lanes {
            scales[lane] = self.weights.scale(first + lane);
            bias[lane] = self.bias.map_or(0.0, |bias| bias[first + lane]);
        }
        for (row, sums) in sums.iter().enumerate() {
            let results = finish(self.isa, sums, &scales, &bias, self.rounding);
            // SAFETY: `row` and the lanes are within the output, whose size was checked; no other task has this
            // panel.
            let output = unsafe {
                std::slice::from_raw_parts_mut(self.output.0.add(row * outputs + first), lanes)
            };
            output.copy_from_slice(&results[..lanes]);
        }
    }
}

fn finish(
    isa: Isa,
    sums: &Sums,
    scales: &[f32; PANEL],
    bias: &[f32; PANEL],
    rounding: Rounding,
) -> [f32; PANEL] {
    for_each_isa!(isa, finish_panel(sums: &Sums, scales: &[f32; PANEL], bias: &[f32; PANEL], rounding: Rounding) -> [f32; PANEL])
}

#[inline(always)]
fn finish_panel(
    sums: &Sums,
    scales: &[f32; PANEL],
    bias: &[f32; PANEL],
    rounding: Rounding,
) -> [f32; PANEL] {
    let mut results = [0.0; PANEL];
    for lane in 0..PANEL {
        results[lane] = (sums[0][lane] + sums[1][lane]) * scales[lane] + bias[lane];
    }
    rounding.round_all(&mut results);
    results
}

/// The activations of all rows in the layout kernels read: per block of rows `[steps][rows]`, padded with zeros like
/// the weights. Rows of several kilobytes side by side would otherwise fall on the same lines of the cache.
fn pack(
    isa: Isa,
    weights: &Matrix,
    input: &[f32],
    blocks: Blocks,
    narrow: bool,
    round: bool,
) -> Vec<u32> {
    let (inputs, pairs) = (weights.inputs(), weights.pairs());
    let steps = if narrow { pairs } else { 2 * pairs };
    let mut packed = vec![0; steps * blocks.rows];
    for block in 0..blocks.count {
        let rows = blocks.range(block);
        let count = rows.len();
        let packed = &mut packed[rows.start * steps..rows.end * steps];
        for (column, row) in rows.enumerate() {
            let row = &input[row * inputs..(row + 1) * inputs];
            pack_row(isa, row, narrow, round, &mut packed[column..], count);
        }
    }
    packed
}

fn pack_row(isa: Isa, row: &[f32], narrow: bool, round: bool, packed: &mut [u32], stride: usize) {
    for_each_isa!(isa, pack_row_body(row: &[f32], narrow: bool, round: bool, packed: &mut [u32], stride: usize))
}

/// Writes one row to every `stride`-th place.
#[inline(always)]
fn pack_row_body(row: &[f32], narrow: bool, round: bool, packed: &mut [u32], stride: usize) {
    if narrow {
        let (pairs, rest) = row.as_chunks::<2>();
        for (place, pair) in packed.iter_mut().step_by(stride).zip(pairs) {
            // The first input of the pair in the lower half.
            *place = bits(pair[0], round) >> 16 | (bits(pair[1], round) & 0xffff_0000);
        }
        if let [last] = rest {
            packed[pairs.len() * stride] = bits(*last, round) >> 16;
        }
    } else {
        for (place, x) in packed.iter_mut().step_by(stride).zip(row) {
            *place = bits(*x, round);
        }
    }
}

#[inline(always)]
fn bits(x: f32, round: bool) -> u32 {
    if round {
        Rounding::Bf16.round(x).to_bits()
    } else {
        x.to_bits()
    }
}

/// The most rows a kernel of this instruction set takes: what its registers hold.
fn kernel_rows(isa: Isa) -> usize {
    match isa {
        Isa::Avx512 | Isa::Avx512Bf16 => 8,
        Isa::Avx2 | Isa::Portable => 4,
    }
}

/// The instance of a kernel for a number of rows, at most 4.
macro_rules! up_to_4 {
    ($rows:expr, $module:ident::$name:ident $(, $type:ident)?) => {
        match $rows {
            1 => $module::$name::<$($type,)? 1> as Kernel,
            2 => $module::$name::<$($type,)? 2>,
            3 => $module::$name::<$($type,)? 3>,
            4 => $module::$name::<$($type,)? 4>,
            rows => unreachable!("blocks have at most `kernel_rows` rows, not {rows}"),
        }
    };
}

/// The same, at most 8.
#[cfg(target_arch = "x86_64")]
macro_rules! up_to_8 {
    ($rows:expr, $module:ident::$name:ident $(, $type:ident)?) => {
        match $rows {
            5 => $module::$name::<$($type,)? 5> as Kernel,
            6 => $module::$name::<$($type,)? 6>,
            7 => $module::$name::<$($type,)? 7>,
            8 => $module::$name::<$($type,)? 8>,
            rows => up_to_4!(rows, $module::$name $(, $type)?),
        }
    };
}

/// The instance of a kernel for a weight type and a number of rows.
macro_rules! by_type {
    ($by_rows:ident, $weight_type:expr, $rows:expr, $module:ident::$name:ident) => {
        match $weight_type {
            WeightType::F32 => $by_rows!($rows, $module::$name, F32),
            WeightType::F16 => $by_rows!($rows, $module::$name, F16),
            WeightType::Bf16 => $by_rows!($rows, $module::$name, BF16),
            WeightType::Int8 => $by_rows!($rows, $module::$name, INT8),
        }
    };
}

/// The kernel for a number of rows.
#[cfg_attr(
    not(target_arch = "x86_64"),
    expect(unused_variables, reason = "no bfloat16 kernel there")
)]
fn kernel(isa: Isa, weight_type: WeightType, narrow: bool, rows: usize) -> Kernel {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Bf16 if narrow => up_to_8!(rows, avx512::pairs),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Bf16 | Isa::Avx512 => by_type!(up_to_8, weight_type, rows, avx512::steps),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => by_type!(up_to_4, weight_type, rows, avx2::steps),
        _ => by_type!(up_to_4, weight_type, rows, portable::steps),
    }
}

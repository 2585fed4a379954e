//! How far apart two tensors of one shape are.
//!
//! Everything is summed in `f64`, in chunks of a fixed size whose sums are added in their order: the result is the same to the
//! last bit on any number of threads. Values that are NaN or infinite are counted, and left out of the sums.

use std::ops::Range;

use rayon::prelude::*;
use serde::Serialize;

use super::elements::{Decode, decoder};
use crate::checkpoint::TensorView;

/// Elements one task sums up.
const CHUNK: usize = 1 << 16;
/// Elements decoded at a time: both blocks stay in the innermost cache.
const BLOCK: usize = 512;
/// Sums kept side by side, for vector instructions and for accuracy.
const LANES: usize = 8;

/// The difference of two tensors, element by element.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Statistics {
    /// Values in each of the two.
    pub elements: u64,
    /// How many are not the same: other bits where both have one dtype, other numbers where they have two.
    pub differing: u64,
    /// Coordinates of the first that is not the same.
    pub first: Option<Vec<usize>>,
    /// Largest absolute difference of two finite values.
    pub max_abs: f64,
    /// Coordinates of the largest difference.
    pub largest: Option<Vec<usize>>,
    /// Frobenius norm of the difference, over the larger of the two norms: 0 is equal, 2 is opposite.
    pub relative: f64,
    /// Cosine of the angle between the two; none where one of them is zero throughout.
    pub cosine: Option<f64>,
    /// Frobenius norms.
    pub norms: [f64; 2],
    /// Values that are NaN, in A and in B.
    pub nan: [u64; 2],
    /// Values that are infinite, in A and in B.
    pub infinite: [u64; 2],
    /// Values that are NaN or infinite on one side and something else on the other.
    pub broken: u64,
}

impl Statistics {
    /// Whether the difference is at most this share of the values' norm, and nothing is NaN or infinite on one side only.
    #[must_use]
    pub fn within(&self, tolerance: f64) -> bool {
        self.broken == 0 && self.relative <= tolerance
    }
}

/// Compares the values; none where the shapes differ, or where a dtype cannot be read as numbers.
pub(super) fn compare(a: &TensorView<'_>, b: &TensorView<'_>) -> Option<Statistics> {
    if a.shape != b.shape {
        return None;
    }
    let pair = Pair::new(a, b)?;
    let elements = pair.elements();
    let chunks: Vec<Partial> = (0..elements.div_ceil(CHUNK))
        .into_par_iter()
        .map(|chunk| pair.sum(chunk))
        .collect();
    let mut total = Partial::default();
    let (mut first, mut largest) = (None, None);
    for (index, chunk) in chunks.iter().enumerate() {
        if chunk.differing > 0 {
            first.get_or_insert(index);
        }
        if chunk.largest > total.largest {
            largest = Some(index);
        }
        total.add(chunk);
    }
    let coordinates = |chunk: Option<usize>, search: &dyn Fn(Range<usize>) -> Option<usize>| {
        let range = |chunk: usize| chunk * CHUNK..elements.min((chunk + 1) * CHUNK);
        let index = search(range(chunk?))?;
        Some(coordinates(index, a.shape))
    };
    let norms = [total.a.sqrt(), total.b.sqrt()];
    let difference = total.difference.sqrt();
    Some(Statistics {
        elements: elements as u64,
        differing: total.differing,
        first: coordinates(first, &|range| pair.first_difference(range)),
        max_abs: total.largest,
        largest: coordinates(largest, &|range| pair.position_of(total.largest, range)),
        // Where nothing differs, not even 0 over 0 should look like something.
        relative: if difference == 0.0 {
            0.0
        } else {
            difference / norms[0].max(norms[1])
        },
        cosine: (norms[0] > 0.0 && norms[1] > 0.0)
            .then(|| (total.product / (norms[0] * norms[1])).clamp(-1.0, 1.0)),
        norms,
        nan: total.nan,
        infinite: total.infinite,
        broken: total.broken,
    })
}

/// Whether two runs of bytes are the same; on all cores, and ending early where they are not.
pub(super) fn same_bytes(a: &[u8], b: &[u8]) -> bool {
    const PIECE: usize = 1 << 20;
    a.len() == b.len()
        && a.par_chunks(PIECE)
            .zip(b.par_chunks(PIECE))
            .all(|(a, b)| a == b)
}

/// Two tensors, and how to read them.
struct Pair<'a> {
    data: [&'a [u8]; 2],
    width: [usize; 2],
    decode: [Decode; 2],
    one_dtype: bool,
}

impl<'a> Pair<'a> {
    fn new(a: &TensorView<'a>, b: &TensorView<'a>) -> Option<Pair<'a>> {
        let (a_width, a_decode) = decoder(a.dtype)?;
        let (b_width, b_decode) = decoder(b.dtype)?;
        Some(Pair {
            data: [a.data, b.data],
            width: [a_width, b_width],
            decode: [a_decode, b_decode],
            one_dtype: a.dtype == b.dtype,
        })
    }

    fn elements(&self) -> usize {
        let [a, b] = [0, 1].map(|side| self.data[side].len() / self.width[side]);
        a.min(b)
    }

    fn bytes(&self, side: usize, elements: &Range<usize>) -> &'a [u8] {
        let width = self.width[side];
        self.data[side]
            .get(elements.start * width..elements.end * width)
            .unwrap_or_default()
    }

    /// One chunk, block by block.
    fn sum(&self, chunk: usize) -> Partial {
        let end = self.elements().min((chunk + 1) * CHUNK);
        let mut partial = Partial::default();
        let mut lanes = Lanes::default();
        let mut start = chunk * CHUNK;
        while start < end {
            let range = start..end.min(start + BLOCK);
            start = range.end;
            // What the last block does not fill is zero in both, and adds nothing.
            let (mut a, mut b) = self.decoded(&range);
            partial.differing += self.differing(&range, &a, &b);
            if !a.iter().chain(&b).all(|value| value.is_finite()) {
                partial.set_aside(&mut a, &mut b);
            }
            lanes.add(&a, &b);
        }
        lanes.fold_into(&mut partial);
        partial
    }

    fn decoded(&self, range: &Range<usize>) -> ([f64; BLOCK], [f64; BLOCK]) {
        let (mut a, mut b) = ([0.0; BLOCK], [0.0; BLOCK]);
        (self.decode[0])(self.bytes(0, range), &mut a);
        (self.decode[1])(self.bytes(1, range), &mut b);
        (a, b)
    }

    fn differing(&self, range: &Range<usize>, a: &[f64], b: &[f64]) -> u64 {
        if !self.one_dtype {
            return a.iter().zip(b).filter(|(a, b)| !same(**a, **b)).count() as u64;
        }
        let (a, b) = (self.bytes(0, range), self.bytes(1, range));
        match self.width[0] {
            1 => unequal::<1>(a, b),
            2 => unequal::<2>(a, b),
            4 => unequal::<4>(a, b),
            _ => unequal::<8>(a, b),
        }
    }

    fn first_difference(&self, range: Range<usize>) -> Option<usize> {
        range.into_iter().find(|&index| {
            let one = index..index + 1;
            let (a, b) = self.decoded(&one);
            self.differing(&one, &a[..1], &b[..1]) > 0
        })
    }

    fn position_of(&self, difference: f64, range: Range<usize>) -> Option<usize> {
        range.into_iter().find(|&index| {
            let (a, b) = self.decoded(&(index..index + 1));
            (a[0] - b[0]).abs() == difference
        })
    }
}

/// NaN equals NaN here: the question is whether two files say the same.
fn same(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan())
}

fn unequal<const WIDTH: usize>(a: &[u8], b: &[u8]) -> u64 {
    let (a, b) = (a.as_chunks::<WIDTH>().0, b.as_chunks::<WIDTH>().0);
    a.iter().zip(b).filter(|(a, b)| a != b).count() as u64
}

/// Sums of one chunk, or of several.
#[derive(Default)]
struct Partial {
    differing: u64,
    difference: f64,
    a: f64,
    b: f64,
    product: f64,
    largest: f64,
    nan: [u64; 2],
    infinite: [u64; 2],
    broken: u64,
}

impl Partial {
    fn add(&mut self, next: &Partial) {
        self.differing += next.differing;
        self.difference += next.difference;
        self.a += next.a;
        self.b += next.b;
        self.product += next.product;
        self.largest = self.largest.max(next.largest);
        for side in [0, 1] {
            self.nan[side] += next.nan[side];
            self.infinite[side] += next.infinite[side];
        }
        self.broken += next.broken;
    }

    /// Counts what is not finite, and zeroes both values of each such place.
    fn set_aside(&mut self, a: &mut [f64], b: &mut [f64]) {
        for (a, b) in a.iter_mut().zip(b) {
            if a.is_finite() && b.is_finite() {
                continue;
            }
            for (side, value) in [*a, *b].into_iter().enumerate() {
                self.nan[side] += u64::from(value.is_nan());
                self.infinite[side] += u64::from(value.is_infinite());
            }
            self.broken += u64::from(!same(*a, *b));
            (*a, *b) = (0.0, 0.0);
        }
    }
}

/// Running sums of every eighth value.
#[derive(Default)]
struct Lanes {
    difference: [f64; LANES],
    a: [f64; LANES],
    b: [f64; LANES],
    product: [f64; LANES],
    largest: [f64; LANES],
}

impl Lanes {
    fn add(&mut self, a: &[f64; BLOCK], b: &[f64; BLOCK]) {
        let (a, b) = (a.as_chunks::<LANES>().0, b.as_chunks::<LANES>().0);
        for (a, b) in a.iter().zip(b) {
            for lane in 0..LANES {
                let difference = a[lane] - b[lane];
                self.difference[lane] += difference * difference;
                self.a[lane] += a[lane] * a[lane];
                self.b[lane] += b[lane] * b[lane];
                self.product[lane] += a[lane] * b[lane];
                let magnitude = difference.abs();
                // `f64::max` also looks for NaN, of which there is none here.
                if magnitude > self.largest[lane] {
                    self.largest[lane] = magnitude;
                }
            }
        }
    }

    fn fold_into(self, partial: &mut Partial) {
        partial.difference = self.difference.iter().sum();
        partial.a = self.a.iter().sum();
        partial.b = self.b.iter().sum();
        partial.product = self.product.iter().sum();
        partial.largest = self.largest.into_iter().fold(0.0, f64::max);
    }
}

/// A row-major index as one number per axis.
fn coordinates(index: usize, shape: &[usize]) -> Vec<usize> {
    let mut rest = index;
    let mut coordinates: Vec<usize> = shape
        .iter()
        .rev()
        .map(|&size| {
            let size = size.max(1);
            let here = rest % size;
            rest /= size;
            here
        })
        .collect();
    coordinates.reverse();
    coordinates
}

#[cfg(test)]
mod tests;

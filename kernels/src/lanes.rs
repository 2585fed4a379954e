//! Sixteen numbers side by side, in whatever registers an instruction set has for them.
//!
//! Loops over single numbers are left to the compiler. Where several sums are kept at once it chooses badly (it
//! gathers across the sums), so these loops are written with [`Lanes`]. Multiplication and addition are rounded
//! separately everywhere, so that all instruction sets give the same bits.

use crate::numbers::{bf16_to_f32, f16_to_f32};

/// How many numbers there are in a [`Lanes`].
pub(crate) const LANES: usize = 16;

/// Sixteen numbers. The methods must be called (inlined) in a function compiled for the instruction set of the type,
/// which [`crate::isa::for_each_isa`] sees to. Not in a closure: closures are compiled for the baseline unless the
/// compiler happens to inline them.
pub(crate) trait Lanes: Copy {
    fn splat(x: f32) -> Self;
    fn load(values: &[f32; LANES]) -> Self;
    fn load_bf16(values: &[u16; LANES]) -> Self;
    fn load_f16(values: &[u16; LANES]) -> Self;
    fn store(self) -> [f32; LANES];
    fn add(self, other: Self) -> Self;
    fn multiply(self, other: Self) -> Self;
    /// `self * other + sum`, rounded once.
    fn multiply_add(self, other: Self, sum: Self) -> Self;
    /// `other` where it is larger, else `self`; a NaN in `other` is passed over.
    fn larger(self, other: Self) -> Self;
}

impl Lanes for [f32; LANES] {
    #[inline(always)]
    fn splat(x: f32) -> Self {
        [x; LANES]
    }
    #[inline(always)]
    fn load(values: &[f32; LANES]) -> Self {
        *values
    }
    #[inline(always)]
    fn load_bf16(values: &[u16; LANES]) -> Self {
        values.map(bf16_to_f32)
    }
    #[inline(always)]
    fn load_f16(values: &[u16; LANES]) -> Self {
        values.map(f16_to_f32)
    }
    #[inline(always)]
    fn store(self) -> [f32; LANES] {
        self
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        std::array::from_fn(|lane| self[lane] + other[lane])
    }
    #[inline(always)]
    fn multiply(self, other: Self) -> Self {
        std::array::from_fn(|lane| self[lane] * other[lane])
    }
    #[inline(always)]
    fn multiply_add(self, other: Self, sum: Self) -> Self {
        std::array::from_fn(|lane| self[lane].mul_add(other[lane], sum[lane]))
    }
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        std::array::from_fn(|lane| {
            if other[lane] > self[lane] {
                other[lane]
            } else {
                self[lane]
            }
        })
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::Halves;

#[cfg(target_arch = "x86_64")]
mod x86 {
    // Every `unsafe` here is either an intrinsic, allowed by the rule that the trait states, or a load or a store of
    // exactly the array it is given.
    #![allow(clippy::undocumented_unsafe_blocks)]

    use super::{LANES, Lanes};
    use std::arch::x86_64::*;

    impl Lanes for __m512 {
        #[inline(always)]
        fn splat(x: f32) -> Self {
            unsafe { _mm512_set1_ps(x) }
        }
        #[inline(always)]
        fn load(values: &[f32; LANES]) -> Self {
            unsafe { _mm512_loadu_ps(values.as_ptr()) }
        }
        #[inline(always)]
        fn load_bf16(values: &[u16; LANES]) -> Self {
            unsafe {
                let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(values.as_ptr().cast()));
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
            }
        }
        #[inline(always)]
        fn load_f16(values: &[u16; LANES]) -> Self {
            unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(values.as_ptr().cast())) }
        }
        #[inline(always)]
        fn store(self) -> [f32; LANES] {
            let mut values = [0.0; LANES];
            unsafe { _mm512_storeu_ps(values.as_mut_ptr(), self) };
            values
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            unsafe { _mm512_add_ps(self, other) }
        }
        #[inline(always)]
        fn multiply(self, other: Self) -> Self {
            unsafe { _mm512_mul_ps(self, other) }
        }
        #[inline(always)]
        fn multiply_add(self, other: Self, sum: Self) -> Self {
            unsafe { _mm512_fmadd_ps(self, other, sum) }
        }
        #[inline(always)]
        fn larger(self, other: Self) -> Self {
            // The instruction returns its second operand unless the first is greater.
            unsafe { _mm512_max_ps(other, self) }
        }
    }

    /// Two registers of eight.
    #[derive(Clone, Copy)]
    pub(crate) struct Halves(__m256, __m256);

    impl Lanes for Halves {
        #[inline(always)]
        fn splat(x: f32) -> Self {
            let half = unsafe { _mm256_set1_ps(x) };
            Halves(half, half)
        }
        #[inline(always)]
        fn load(values: &[f32; LANES]) -> Self {
            let start = values.as_ptr();
            unsafe { Halves(_mm256_loadu_ps(start), _mm256_loadu_ps(start.add(8))) }
        }
        #[inline(always)]
        fn load_bf16(values: &[u16; LANES]) -> Self {
            let start = values.as_ptr();
            unsafe {
                let first = _mm256_cvtepu16_epi32(_mm_loadu_si128(start.cast()));
                let second = _mm256_cvtepu16_epi32(_mm_loadu_si128(start.add(8).cast()));
                Halves(
                    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(first)),
                    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(second)),
                )
            }
        }
        #[inline(always)]
        fn load_f16(values: &[u16; LANES]) -> Self {
            let start = values.as_ptr();
            unsafe {
                let first = _mm256_cvtph_ps(_mm_loadu_si128(start.cast()));
                let second = _mm256_cvtph_ps(_mm_loadu_si128(start.add(8).cast()));
                Halves(first, second)
            }
        }
        #[inline(always)]
        fn store(self) -> [f32; LANES] {
            let mut values = [0.0; LANES];
            unsafe {
                _mm256_storeu_ps(values.as_mut_ptr(), self.0);
                _mm256_storeu_ps(values.as_mut_ptr().add(8), self.1);
            }
            values
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            unsafe {
                Halves(
                    _mm256_add_ps(self.0, other.0),
                    _mm256_add_ps(self.1, other.1),
                )
            }
        }
        #[inline(always)]
        fn multiply(self, other: Self) -> Self {
            unsafe {
                Halves(
                    _mm256_mul_ps(self.0, other.0),
                    _mm256_mul_ps(self.1, other.1),
                )
            }
        }
        #[inline(always)]
        fn multiply_add(self, other: Self, sum: Self) -> Self {
            unsafe {
                Halves(
                    _mm256_fmadd_ps(self.0, other.0, sum.0),
                    _mm256_fmadd_ps(self.1, other.1, sum.1),
                )
            }
        }
        #[inline(always)]
        fn larger(self, other: Self) -> Self {
            unsafe {
                Halves(
                    _mm256_max_ps(other.0, self.0),
                    _mm256_max_ps(other.1, self.1),
                )
            }
        }
    }
}

/// The sum of the lanes, added in pairs: lane `i` with lane `i + 8`, the results `i` with `i + 4`, and so on.
#[inline(always)]
pub(crate) fn fold(mut lanes: [f32; LANES]) -> f32 {
    let mut count = LANES;
    while count > 1 {
        count /= 2;
        for lane in 0..count {
            lanes[lane] += lanes[lane + count];
        }
    }
    lanes[0]
}

/// Adds numbers, or their squares, to lanes: number `i` to lane `i % 16`.
#[inline(always)]
pub(crate) fn add_all<V: Lanes, const SQUARED: bool>(start: V, values: &[f32]) -> V {
    let (chunks, rest) = values.as_chunks::<LANES>();
    // Zeros at the end change no sum, as a sum is never -0.
    let mut last = [0.0; LANES];
    last[..rest.len()].copy_from_slice(rest);
    let mut sums = start;
    for chunk in chunks {
        let x = V::load(chunk);
        sums = sums.add(if SQUARED { x.multiply(x) } else { x });
    }
    let x = V::load(&last);
    sums.add(if SQUARED { x.multiply(x) } else { x })
}

/// The largest number; NaN is passed over, and minus infinity is the largest of none.
#[inline(always)]
pub(crate) fn largest<V: Lanes>(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut largest = [V::splat(f32::NEG_INFINITY); 4];
    for four in chunks.chunks(4) {
        for (largest, chunk) in largest.iter_mut().zip(four) {
            *largest = largest.larger(V::load(chunk));
        }
    }
    let [a, b, c, d] = largest;
    let lanes = a.larger(b).larger(c.larger(d)).store();
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    lanes
        .iter()
        .chain(rest)
        .copied()
        .fold(f32::NEG_INFINITY, larger)
}

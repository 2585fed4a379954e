//! Panels of 16 outputs as two halves of 8.
#![cfg(target_arch = "x86_64")]

use std::arch::x86_64::*;

use super::{BF16, F16, F32, Sums};

/// Weights of any type, widened exactly, times `f32` activations with fused multiply-adds; an input per step.
///
/// Sixteen registers hold both halves for two rows; with more rows the panel is gone through once for each half, the
/// second time from the cache.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn steps<const TYPE: u8, const ROWS: usize>(
    panel: &[u8],
    activations: &[u32],
    sums: &mut [Sums],
) {
    if ROWS <= 2 {
        halves::<TYPE, ROWS, 2>(0, panel, activations, sums);
    } else {
        halves::<TYPE, ROWS, 1>(0, panel, activations, sums);
        halves::<TYPE, ROWS, 1>(1, panel, activations, sums);
    }
}

/// `HALVES` halves of the outputs from `first` on.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn halves<const TYPE: u8, const ROWS: usize, const HALVES: usize>(
    first: usize,
    panel: &[u8],
    activations: &[u32],
    sums: &mut [Sums],
) {
    let mut registers = [[[_mm256_setzero_ps(); 2]; HALVES]; ROWS];
    for (registers, sums) in registers.iter_mut().zip(sums.iter()) {
        for (half, registers) in registers.iter_mut().enumerate() {
            for step in 0..2 {
                let half = &sums[step].as_chunks::<8>().0[first + half];
                // SAFETY: 8 numbers.
                registers[step] = unsafe { _mm256_loadu_ps(half.as_ptr()) };
            }
        }
    }
    let activations = activations.as_chunks::<ROWS>().0.as_chunks::<2>().0;
    for (pair, x) in panel.chunks_exact(pair_bytes(TYPE)).zip(activations) {
        for half in 0..HALVES {
            // SAFETY: `pair` has the length that the function asks for, and there are two halves.
            let weights = unsafe { widen::<TYPE>(pair.as_ptr(), first + half) };
            for step in 0..2 {
                for row in 0..ROWS {
                    let x = _mm256_set1_ps(f32::from_bits(x[step][row]));
                    let sum = &mut registers[row][half][step];
                    *sum = _mm256_fmadd_ps(weights[step], x, *sum);
                }
            }
        }
    }
    for (registers, sums) in registers.iter().zip(sums) {
        for (half, registers) in registers.iter().enumerate() {
            for step in 0..2 {
                let half = &mut sums[step].as_chunks_mut::<8>().0[first + half];
                // SAFETY: 8 numbers.
                unsafe { _mm256_storeu_ps(half.as_mut_ptr(), registers[step]) };
            }
        }
    }
}

/// Bytes of a pair of inputs of a panel.
const fn pair_bytes(weight_type: u8) -> usize {
    match weight_type {
        F32 => 128,
        F16 | BF16 => 64,
        _ => 32,
    }
}

/// The weights of two neighbouring inputs for the lower (0) or upper (1) half of the outputs.
///
/// # Safety
///
/// `pair` must point to `pair_bytes(TYPE)` bytes, and `half` be 0 or 1.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn widen<const TYPE: u8>(pair: *const u8, half: usize) -> [__m256; 2] {
    // SAFETY: a half of each input is a quarter of the pair (for bfloat16, both inputs of a half are one half of it);
    // the loads read no more than that.
    unsafe {
        match TYPE {
            F32 => {
                let start = pair.add(32 * half);
                [
                    _mm256_loadu_ps(start.cast()),
                    _mm256_loadu_ps(start.add(64).cast()),
                ]
            }
            F16 => {
                let start = pair.add(16 * half);
                [
                    _mm256_cvtph_ps(_mm_loadu_si128(start.cast())),
                    _mm256_cvtph_ps(_mm_loadu_si128(start.add(32).cast())),
                ]
            }
            BF16 => {
                let both = _mm256_loadu_si256(pair.add(32 * half).cast());
                let upper = _mm256_set1_epi32(0xffff_0000u32.cast_signed());
                [
                    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(both)),
                    _mm256_castsi256_ps(_mm256_and_si256(both, upper)),
                ]
            }
            _ => {
                let start = pair.add(8 * half);
                [
                    _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(start.cast()))),
                    _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(start.add(16).cast()))),
                ]
            }
        }
    }
}

//! Panels of 16 outputs in one 512-bit register.
#![cfg(target_arch = "x86_64")]

use std::arch::x86_64::*;
use std::mem::transmute;

use super::{BF16, CHUNK, F16, F32, Sums};
use crate::PANEL;

/// How far ahead of the loads weights are asked for, in bytes. The processor's own prefetcher stops at each page of
/// 4 KiB and has to find the stream again.
const AHEAD: usize = 4096;

/// bfloat16 weights times bfloat16 activations, a pair of inputs per step.
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) fn pairs<const ROWS: usize>(panel: &[u8], activations: &[u32], sums: &mut [Sums]) {
    let mut registers = load_sums::<ROWS>(sums);
    let activations = activations.as_chunks::<ROWS>().0;
    let panel = panel.as_chunks::<64>().0;
    // Calls begin at a multiple of `CHUNK`, so these are the same blocks however the panel is divided into calls.
    for (weights, activations) in panel.chunks(CHUNK).zip(activations.chunks(CHUNK)) {
        let mut block = [_mm512_setzero_ps(); ROWS];
        for (weights, x) in weights.iter().zip(activations) {
            prefetch(weights, 0);
            // SAFETY: `weights` is 64 bytes.
            let w = unsafe { _mm512_loadu_si512(weights.as_ptr().cast()) };
            for row in 0..ROWS {
                let x = _mm512_set1_epi32(x[row].cast_signed());
                // SAFETY: both types are 512 bits without invalid values.
                let (w, x) = unsafe {
                    (
                        transmute::<__m512i, __m512bh>(w),
                        transmute::<__m512i, __m512bh>(x),
                    )
                };
                block[row] = _mm512_dpbf16_ps(block[row], w, x);
            }
        }
        for row in 0..ROWS {
            registers[row][0] = _mm512_add_ps(registers[row][0], block[row]);
        }
    }
    store_sums(&registers, sums);
}

/// Weights of any type, widened exactly, times `f32` activations with fused multiply-adds; an input per step.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn steps<const TYPE: u8, const ROWS: usize>(
    panel: &[u8],
    activations: &[u32],
    sums: &mut [Sums],
) {
    let mut registers = load_sums::<ROWS>(sums);
    let activations = activations.as_chunks::<ROWS>().0.as_chunks::<2>().0;
    for (pair, x) in panel.chunks_exact(pair_bytes(TYPE)).zip(activations) {
        prefetch(pair, 0);
        if TYPE == F32 {
            prefetch(pair, 64);
        }
        // SAFETY: `pair` has the length that the function asks for.
        let weights = unsafe { widen::<TYPE>(pair.as_ptr()) };
        for step in 0..2 {
            for row in 0..ROWS {
                let x = _mm512_set1_ps(f32::from_bits(x[step][row]));
                registers[row][step] = _mm512_fmadd_ps(weights[step], x, registers[row][step]);
            }
        }
    }
    store_sums(&registers, sums);
}

/// Bytes of a pair of inputs of a panel.
const fn pair_bytes(weight_type: u8) -> usize {
    match weight_type {
        F32 => 128,
        F16 | BF16 => 64,
        _ => 32,
    }
}

/// The weights of two neighbouring inputs.
///
/// # Safety
///
/// `pair` must point to `pair_bytes(TYPE)` bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn widen<const TYPE: u8>(pair: *const u8) -> [__m512; 2] {
    // SAFETY: all loads together read exactly the bytes of the pair.
    unsafe {
        match TYPE {
            F32 => [
                _mm512_loadu_ps(pair.cast()),
                _mm512_loadu_ps(pair.add(64).cast()),
            ],
            F16 => [
                _mm512_cvtph_ps(_mm256_loadu_si256(pair.cast())),
                _mm512_cvtph_ps(_mm256_loadu_si256(pair.add(32).cast())),
            ],
            BF16 => {
                let both = _mm512_loadu_si512(pair.cast());
                let upper = _mm512_set1_epi32(0xffff_0000u32.cast_signed());
                [
                    _mm512_castsi512_ps(_mm512_slli_epi32::<16>(both)),
                    _mm512_castsi512_ps(_mm512_and_si512(both, upper)),
                ]
            }
            _ => [
                _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(pair.cast()))),
                _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(pair.add(16).cast()))),
            ],
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_sums<const ROWS: usize>(sums: &[Sums]) -> [[__m512; 2]; ROWS] {
    let mut registers = [[_mm512_setzero_ps(); 2]; ROWS];
    for (registers, sums) in registers.iter_mut().zip(sums) {
        for step in 0..2 {
            // SAFETY: a sum is 16 numbers.
            registers[step] = unsafe { _mm512_loadu_ps(sums[step].as_ptr()) };
        }
    }
    registers
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_sums<const ROWS: usize>(registers: &[[__m512; 2]; ROWS], sums: &mut [Sums]) {
    const { assert!(PANEL == 16) };
    for (registers, sums) in registers.iter().zip(sums) {
        for step in 0..2 {
            // SAFETY: a sum is 16 numbers.
            unsafe { _mm512_storeu_ps(sums[step].as_mut_ptr(), registers[step]) };
        }
    }
}

/// Asks for the line that comes [`AHEAD`] bytes after `weights[offset]`.
#[inline(always)]
fn prefetch(weights: &[u8], offset: usize) {
    let ahead = weights.as_ptr().wrapping_add(offset + AHEAD);
    // SAFETY: a prefetch never faults, also beyond the end of the weights.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(ahead.cast()) };
}

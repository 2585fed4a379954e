//! Memory for weights in huge pages, and how fast this machine can read it.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::time::Instant;

use crate::isa::{features, for_each_isa};
use crate::lanes::{LANES, Lanes, fold};
use crate::{Error, Isa, Result};

/// The size of a huge page on x86-64 and on most aarch64 systems.
const HUGE_PAGE: usize = 2 << 20;
/// One cache line, and the widest vector.
const LINE: usize = 64;

/// Zeroed bytes of fixed length, aligned to a cache line; from two megabytes on, in huge pages where the system has
/// them.
///
/// Reading weights through 4 KiB pages loses up to 40 % of the bandwidth to address translation, and the usual
/// setting of Linux (`madvise`) gives huge pages only to those who ask.
pub struct Buffer {
    start: NonNull<u8>,
    length: usize,
    layout: Layout,
}

// SAFETY: the buffer owns its memory and has no interior mutability.
unsafe impl Send for Buffer {}
// SAFETY: as above; shared access only reads.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// `length` zero bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`] when there is not that much.
    pub fn zeroed(length: usize) -> Result<Buffer> {
        let refused = Error::Memory { bytes: length };
        let (alignment, size) = if length >= HUGE_PAGE {
            let whole = length
                .checked_next_multiple_of(HUGE_PAGE)
                .ok_or_else(|| refused.clone())?;
            (HUGE_PAGE, whole)
        } else {
            (LINE, length.max(LINE))
        };
        let layout = Layout::from_size_align(size, alignment).map_err(|_| refused.clone())?;
        let start = allocate(layout).ok_or(refused)?;
        Ok(Buffer {
            start,
            length,
            layout,
        })
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `start` points to at least `length` initialized bytes that live as long as `self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }

    /// The bytes, to be filled.
    #[must_use]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `bytes`, and `self` is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        release(self.start, self.layout);
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buffer({} bytes)", self.length)
    }
}

/// Zeroed memory of this layout: a mapping of its own for whole huge pages on Linux, else from the allocator.
fn allocate(layout: Layout) -> Option<NonNull<u8>> {
    #[cfg(target_os = "linux")]
    if layout.align() == HUGE_PAGE {
        return map_huge(layout.size());
    }
    // SAFETY: the size is never 0.
    NonNull::new(unsafe { alloc_zeroed(layout) })
}

/// Gives back what [`allocate`] gave for the same layout.
fn release(start: NonNull<u8>, layout: Layout) {
    #[cfg(target_os = "linux")]
    if layout.align() == HUGE_PAGE {
        // SAFETY: exactly this range was left mapped by `map_huge`.
        unsafe { libc::munmap(start.as_ptr().cast(), layout.size()) };
        return;
    }
    // SAFETY: allocated by `alloc_zeroed` with the same layout.
    unsafe { dealloc(start.as_ptr(), layout) };
}

/// An anonymous mapping of `size` bytes that begins on a huge page, with the advice to use them.
#[cfg(target_os = "linux")]
fn map_huge(size: usize) -> Option<NonNull<u8>> {
    let padded = size.checked_add(HUGE_PAGE)?;
    // SAFETY: a new private mapping touches nothing that exists.
    let raw = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            padded,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if raw == libc::MAP_FAILED {
        return None;
    }
    let head = raw.cast::<u8>().align_offset(HUGE_PAGE);
    // SAFETY: `head` is below HUGE_PAGE, so start and size stay within the mapping; the ends cut off belong to it.
    unsafe {
        let start = raw.cast::<u8>().add(head);
        if head > 0 {
            libc::munmap(raw, head);
        }
        let tail = HUGE_PAGE - head;
        if tail > 0 {
            libc::munmap(start.add(size).cast(), tail);
        }
        // A refusal costs speed, not correctness.
        libc::madvise(start.cast(), size, libc::MADV_HUGEPAGE);
        NonNull::new(start)
    }
}

/// How fast `threads` threads can read a buffer of `bytes` bytes in huge pages, in bytes per second: the best of
/// five passes. Choose `bytes` well above the last-level cache (one gigabyte, say).
///
/// # Errors
///
/// [`Error::Memory`] when the buffer cannot be had.
pub fn read_bandwidth(bytes: usize, threads: usize) -> Result<f64> {
    let threads = threads.max(1);
    let mut buffer = Buffer::zeroed(bytes.max(threads * LINE))?;
    // Zero pages that were never written are all one page, which would sit in the cache.
    buffer.bytes_mut().fill(1);
    Ok(read_bandwidth_of(&buffer, threads, 5))
}

/// The same for memory that is there already: the best of `passes` passes, in bytes per second.
#[must_use]
pub fn read_bandwidth_of(buffer: &Buffer, threads: usize, passes: usize) -> f64 {
    let isa = features();
    let share = (buffer.length / threads.max(1) / LINE).max(1) * LINE;
    let mut best = f64::INFINITY;
    for _ in 0..passes {
        let start = Instant::now();
        std::thread::scope(|scope| {
            for chunk in buffer.bytes().chunks_exact(share) {
                scope.spawn(move || std::hint::black_box(sum(isa, chunk)));
            }
        });
        best = best.min(start.elapsed().as_secs_f64());
    }
    (buffer.length / share * share) as f64 / best
}

fn sum(isa: Isa, chunk: &[u8]) -> f32 {
    for_each_isa!(isa, lanes sum_lines(chunk: &[u8]) -> f32)
}

/// Adds up everything as numbers, four lines side by side: as little arithmetic as keeps the reads from being dropped.
#[inline(always)]
fn sum_lines<V: Lanes>(chunk: &[u8]) -> f32 {
    // SAFETY: any bytes are valid numbers.
    let (_, lines, _) = unsafe { chunk.align_to::<[f32; LANES]>() };
    let mut sums = [V::splat(0.0); 4];
    for lines in lines.as_chunks::<4>().0 {
        for (sum, line) in sums.iter_mut().zip(lines) {
            *sum = sum.add(V::load(line));
        }
    }
    let [a, b, c, d] = sums;
    fold(a.add(b).add(c.add(d)).store())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_zeroed_aligned_and_writable_at_every_size() {
        for length in [
            0,
            1,
            63,
            4096,
            HUGE_PAGE - 1,
            HUGE_PAGE,
            HUGE_PAGE + 1,
            3 * HUGE_PAGE,
        ] {
            let mut buffer = Buffer::zeroed(length).unwrap();
            assert_eq!(buffer.bytes().len(), length);
            assert!(buffer.bytes().iter().all(|byte| *byte == 0));
            assert_eq!(buffer.bytes().as_ptr().align_offset(LINE), 0);
            buffer.bytes_mut().fill(7);
            assert!(buffer.bytes().iter().all(|byte| *byte == 7));
        }
    }

    #[test]
    fn more_memory_than_exists_is_refused_with_the_number() {
        let error = Buffer::zeroed(usize::MAX - 5).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("cannot allocate {} bytes", usize::MAX - 5)
        );
    }

    #[test]
    fn bandwidth_is_a_positive_number() {
        assert!(read_bandwidth(1 << 20, 2).unwrap() > 0.0);
    }
}

//! One pass over the source beside the copy: the digest of each file, and the values of each tensor that is taken from it.
//!
//! Each block is read once and is still in the processor's cache when it is looked at for the second purpose.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Row, provenance};
use crate::checkpoint::{Checkpoint, TensorView};
use crate::digest::Running;
use crate::file::Stretch;
use crate::scan::{self, TensorScan};

/// Bytes read at once, in whole elements of any dtype.
const BLOCK: usize = 256 << 10;

/// What the pass found.
pub(super) struct Survey<'a> {
    /// Digest of each file, in the order of the record.
    pub digests: Vec<String>,
    /// The values of the floating-point tensors that are written.
    pub scanned: Vec<(TensorView<'a>, TensorScan)>,
}

/// Looks at the source; nothing if `stop` becomes true meanwhile.
pub(super) fn survey<'a>(
    checkpoint: &'a Checkpoint,
    rows: &[Row],
    stop: &AtomicBool,
) -> Option<Survey<'a>> {
    let mut names: Vec<&str> = rows.iter().flat_map(Row::sources).collect();
    names.sort_unstable();
    names.dedup();
    let taken: Vec<TensorView<'a>> = names
        .into_iter()
        .filter_map(|name| checkpoint.tensor(name))
        .collect();
    let mut found = Survey {
        digests: Vec::new(),
        scanned: Vec::new(),
    };
    for (path, bytes) in provenance::used(checkpoint, rows) {
        let here = taken.iter().filter(|tensor| tensor.path == path);
        let mut spans = Vec::new();
        for tensor in here {
            match checkpoint.span(tensor.name) {
                Some(span) => spans.push((span, *tensor)),
                // Out of order, shared or in another form in the file: looked at on its own.
                None => found.scanned.extend(
                    scan::scan_stretch(tensor.dtype, checkpoint.stretch(tensor))
                        .map(|scan| (*tensor, scan)),
                ),
            }
        }
        spans.sort_by_key(|(span, _)| span.start);
        let mut pass = Pass {
            bytes,
            digest: Running::default(),
            buffer: Vec::new(),
            stop,
        };
        let mut at = 0;
        for (span, tensor) in spans {
            pass.over(at..span.start, |_| ())?;
            let mut scanned = TensorScan::EMPTY;
            pass.over(span.clone(), |block| {
                if let Some(scan) = scan::scan_block(tensor.dtype, block) {
                    scanned = scanned.followed_by(scan);
                }
            })?;
            if scan::is_scanned(&tensor) {
                found.scanned.push((tensor, scanned));
            }
            at = span.end;
        }
        pass.over(at..bytes.len(), |_| ())?;
        found.digests.push(pass.digest.finish());
    }
    Some(found)
}

struct Pass<'a> {
    bytes: Stretch<'a>,
    digest: Running,
    buffer: Vec<u8>,
    stop: &'a AtomicBool,
}

impl Pass<'_> {
    /// Goes over a range block by block; nothing once it is to stop.
    fn over(&mut self, range: Range<usize>, mut look: impl FnMut(&[u8])) -> Option<()> {
        let end = range.end;
        for begin in range.step_by(BLOCK) {
            if self.stop.load(Ordering::Relaxed) {
                return None;
            }
            let block = self
                .bytes
                .part(begin..end.min(begin + BLOCK), &mut self.buffer);
            self.digest.update(block);
            look(block);
        }
        Some(())
    }
}

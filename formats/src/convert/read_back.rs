//! What was written, opened again and held against the plan.

use std::ops::Range;
use std::path::Path;

use rayon::prelude::*;

use super::row::{Content, Row, Sources};
use super::write::CHUNK;
use crate::diagnostic::{Diagnostic, Place};
use crate::options::ReadOptions;
use crate::speculator::{Description, Speculator};
use crate::verifier::VerifierFacts;
use crate::vocabulary::VocabularyMap;
use crate::{Checkpoint, Result, codes};

/// What an output has to be.
pub(crate) struct ReadBack<'a> {
    /// Where it will be, for findings.
    pub output: &'a Path,
    pub facts: &'a VerifierFacts,
    pub description: &'a Description,
    pub map: Option<&'a VocabularyMap>,
    pub rows: &'a [Row],
    pub sources: Sources<'a>,
}

impl ReadBack<'_> {
    /// Opens what was written as any reader would, and compares.
    ///
    /// # Errors
    /// S109 for a difference, and whatever is wrong with what was written.
    pub fn check(&self, dir: &Path) -> Result<()> {
        // Strict: an output that leaves room for a guess would be read differently by different programs.
        let options = ReadOptions {
            strict: true,
            ..ReadOptions::default()
        };
        let written = Speculator::resolve(Checkpoint::open(dir)?, Some(self.facts), &options)?;
        let differs = |what: String| {
            Diagnostic::error(
                codes::OUTPUT_UNWRITABLE,
                format!("what was written differs from the plan in {what}"),
            )
            .at(Place::file(self.output))
            .note("this is a fault of the program or of the disk; nothing was left at the output")
        };
        if written.description() != *self.description {
            return Err(differs("its config".to_owned()).into());
        }
        if written.vocabulary_map() != self.map {
            return Err(differs("its vocabulary map".to_owned()).into());
        }
        if written.checkpoint().names().count() != self.rows.len() {
            return Err(differs("the number of tensors".to_owned()).into());
        }
        let differing = self
            .rows
            .par_iter()
            .find_first(|row| !is_written(row, self.sources, written.checkpoint()));
        match differing {
            Some(row) => Err(differs(format!("`{}`", row.destination)).into()),
            None => Ok(()),
        }
    }
}

/// Whether a row is in the output: byte for byte where it was put together here; where it was copied as it stands or can be
/// made again anywhere, at places all over it, which is enough to find an offset or a length that is wrong, and nothing
/// else can be.
fn is_written(row: &Row, sources: Sources<'_>, written: &Checkpoint) -> bool {
    let Some(view) = written
        .stored(&row.destination)
        .filter(|view| view.dtype == row.dtype && view.shape == row.shape)
    else {
        return false;
    };
    if let Some(whole) = sources.whole(row) {
        return whole.len() == view.data.len()
            && samples(whole.len()).all(|range| whole.get(range.clone()) == view.data.get(range));
    }
    if let Content::Random(fill) = &row.content {
        let width = row.dtype.bitsize() / 8;
        return view.data.len() as u64 == row.bytes
            && samples(view.data.len()).all(|range| {
                let elements = range.start / width..range.end.div_ceil(width);
                let part = fill.bytes(row.dtype, elements.clone());
                view.data.get(elements.start * width..elements.end * width) == Some(part.as_slice())
            });
    }
    let mut at = 0;
    let compared = sources.stream(row, CHUNK, &mut |bytes| {
        let end = at + bytes.len();
        let same = view.data.get(at..end) == Some(bytes);
        at = end;
        if same {
            Ok(())
        } else {
            Err(std::io::Error::other("differs"))
        }
    });
    compared.is_ok() && at == view.data.len()
}

/// Ranges all over a tensor, its beginning and end among them; short tensors as a whole.
fn samples(length: usize) -> impl Iterator<Item = Range<usize>> {
    const SAMPLE: usize = 64 << 10;
    const COUNT: usize = 16;
    let stride = (length.saturating_sub(SAMPLE) / (COUNT - 1)).max(1);
    let count = if length <= SAMPLE * COUNT { 1 } else { COUNT };
    (0..count).map(move |sample| {
        if count == 1 {
            0..length
        } else if sample == COUNT - 1 {
            length - SAMPLE..length
        } else {
            sample * stride..sample * stride + SAMPLE
        }
    })
}

#[cfg(test)]
mod tests {
    use super::samples;

    #[test]
    fn samples_reach_from_the_beginning_to_the_end() {
        for length in [0, 1, 1 << 20, (1 << 20) + 1, 3 << 20, 1 << 30] {
            let ranges: Vec<_> = samples(length).collect();
            assert_eq!(ranges[0].start, 0);
            assert_eq!(ranges[ranges.len() - 1].end, length);
            assert!(ranges.iter().all(|range| range.end <= length));
        }
    }
}

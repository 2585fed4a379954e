//! The write: a copy of the verifier with the layer's bytes exchanged on the way, checked, atomic.

use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::Path;

use super::{StitchFile, StitchPlan, StitchReport, StitchRow, is_made_of};
use crate::Result;
use crate::checkpoint::Checkpoint;
use crate::codes;
use crate::convert::output;
use crate::diagnostic::{Diagnostic, Place};
use crate::mtp::{MtpHead, judge};
use crate::options::ReadOptions;

/// Bytes per read: progress is shown, and an interruption noticed, this often.
const CHUNK: usize = 4 << 20;

/// Told the bytes done and the bytes in all; may break off.
type Progress<'a> = &'a mut dyn FnMut(u64, u64) -> ControlFlow<()>;

impl StitchPlan {
    /// Refuses values that are no numbers: in a verifier they would spoil every answer that is drafted for.
    fn numbers(&self) -> Result<()> {
        let go_on = &mut |_, _| ControlFlow::Continue(());
        let ControlFlow::Continue(scanned) = judge::scan(&self.speculator, go_on) else {
            return Ok(());
        };
        let mut findings = judge::values(&self.speculator, &scanned);
        findings.retain(|finding| finding.code == codes::TENSOR_NON_FINITE);
        if findings.is_empty() {
            Ok(())
        } else {
            Err(findings)
        }
    }

    /// Writes the output. `progress` is told the bytes done and the bytes in all, and may break it off.
    ///
    /// # Errors
    /// S108 when something has appeared at the output meanwhile, S109 when it cannot be written or was broken off, and
    /// whatever is wrong with what was written when it is read back. In each case nothing is left behind.
    pub fn write_until(&self, progress: Progress<'_>) -> Result<StitchReport> {
        self.numbers()?;
        let parent = output::parent(&self.output)?;
        let failed = |error: &std::io::Error| output::unwritable(&self.output, error);
        // Beside the output, so that the last step is a rename; private until then, and gone when dropped.
        let scratch = tempfile::Builder::new()
            .prefix(".speculators-")
            .tempdir_in(&parent)
            .map_err(|error| failed(&error))?;
        // A directory of its own inside gets the permissions of the user's umask.
        let finished = scratch.path().join("verifier");
        fs_err::create_dir(&finished).map_err(|error| failed(&error))?;
        for directory in &self.directories {
            fs_err::create_dir(finished.join(directory)).map_err(|error| failed(&error))?;
        }
        let mut count = Counter {
            done: 0,
            total: self.total_bytes(),
            stopped: false,
            progress,
        };
        for file in &self.files {
            let copied = self.copy(file, &finished, &mut count);
            if count.stopped {
                return Err(Diagnostic::error(
                    codes::OUTPUT_UNWRITABLE,
                    "the stitching was interrupted",
                )
                .at(Place::file(&self.output))
                .note("nothing was written there")
                .into());
            }
            copied.map_err(|error| failed(&error))?;
        }
        self.read_back(&finished)?;
        output::publish(
            &finished,
            &self.output,
            &scratch.path().join("replaced"),
            self.force,
        )?;
        Ok(StitchReport {
            output: self.output.clone(),
            bytes: self.total_bytes(),
            rows: self.rows.clone(),
            files: self.files.clone(),
            dropped: self.speculator.dropped.clone(),
        })
    }

    /// One file, with the bytes of its rows exchanged.
    fn copy(
        &self,
        file: &StitchFile,
        finished: &Path,
        count: &mut Counter<'_>,
    ) -> std::io::Result<()> {
        let mut source = fs_err::File::open(self.verifier.checkpoint.root().join(&file.path))?;
        let mut written = fs_err::File::create_new(finished.join(&file.path))?;
        let mut rows: Vec<&StitchRow> = if file.exchanged == 0 {
            Vec::new()
        } else {
            let here = self.rows.iter();
            here.filter(|row| row.file == file.path).collect()
        };
        rows.sort_by_key(|row| row.span.start);
        let mut at = 0;
        for row in rows {
            pass(&mut source, &mut written, row.span.start as u64 - at, count)?;
            self.exchange(row, &mut written, count)?;
            at = row.span.end as u64;
            source.seek(SeekFrom::Start(at))?;
        }
        let rest = file.bytes.checked_sub(at).ok_or_else(changed_meanwhile)?;
        pass(&mut source, &mut written, rest, count)
    }

    fn exchange(
        &self,
        row: &StitchRow,
        written: &mut fs_err::File,
        count: &mut Counter<'_>,
    ) -> std::io::Result<()> {
        for piece in &row.pieces {
            let view = self.speculator.checkpoint.tensor(&piece.tensor);
            let part = view
                .and_then(|view| view.data.get(piece.range.clone()))
                .ok_or_else(changed_meanwhile)?;
            for chunk in part.chunks(CHUNK) {
                written.write_all(chunk)?;
                count.add(chunk.len())?;
            }
        }
        Ok(())
    }

    /// Opens what was written as any reader would, and holds it against the plan.
    fn read_back(&self, finished: &Path) -> Result<()> {
        let differs = |what: String| {
            Diagnostic::error(
                codes::OUTPUT_UNWRITABLE,
                format!("what was written differs from the plan in {what}"),
            )
            .at(Place::file(&self.output))
            .note("this is a fault of the program or of the disk; nothing was left at the output")
        };
        let written = MtpHead::resolve(Checkpoint::open(finished)?, None, &ReadOptions::default())?;
        if written.description != self.verifier.description {
            return Err(differs("its config".to_owned()).into());
        }
        let (before, after) = (&self.verifier.checkpoint, &written.checkpoint);
        let exchanged = |name: &str| self.rows.iter().find(|row| row.destination == name);
        for name in before.names() {
            let (Some(before), Some(after)) = (before.tensor(name), after.tensor(name)) else {
                return Err(differs(format!("`{name}`, which is not there")).into());
            };
            let same = match exchanged(name) {
                Some(row) => is_made_of(row, &self.speculator, after.data),
                // Files without the layer were copied whole.
                None if !self.is_rewritten(before.path) => continue,
                None => before.data == after.data,
            };
            if !same || before.dtype != after.dtype || before.shape != after.shape {
                return Err(differs(format!("`{name}`")).into());
            }
        }
        Ok(())
    }

    fn is_rewritten(&self, path: &Path) -> bool {
        let root = self.verifier.checkpoint.root();
        self.files
            .iter()
            .any(|file| file.exchanged > 0 && root.join(&file.path) == path)
    }
}

/// Bytes written so far, and who is told.
struct Counter<'a> {
    done: u64,
    total: u64,
    stopped: bool,
    progress: Progress<'a>,
}

impl Counter<'_> {
    fn add(&mut self, bytes: usize) -> std::io::Result<()> {
        self.done += bytes as u64;
        self.stopped = (self.progress)(self.done, self.total).is_break();
        if self.stopped {
            return Err(std::io::Error::other("interrupted"));
        }
        Ok(())
    }
}

/// Copies the next `length` bytes.
fn pass(
    source: &mut fs_err::File,
    written: &mut fs_err::File,
    length: u64,
    count: &mut Counter<'_>,
) -> std::io::Result<()> {
    let mut left = length;
    let mut buffer = vec![0; CHUNK.min(usize::try_from(length).unwrap_or(CHUNK))];
    while left > 0 {
        let wanted = buffer.len().min(usize::try_from(left).unwrap_or(CHUNK));
        let read = source.read(&mut buffer[..wanted])?;
        if read == 0 {
            return Err(changed_meanwhile());
        }
        written.write_all(&buffer[..read])?;
        count.add(read)?;
        left -= read as u64;
    }
    Ok(())
}

fn changed_meanwhile() -> std::io::Error {
    std::io::Error::other("a file of the source became shorter while it was copied")
}

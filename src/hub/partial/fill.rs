//! The file that tensors are put together in, and how far each request for it is.
//!
//! Beside it lies a note: what the file will hold, and per request the bytes that are in place. Data are written before
//! they are noted, so that whatever stops the work, the note never claims too much.

use std::collections::BTreeMap;
use std::fs::TryLockError;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use fs_err::File;
use rayon::prelude::*;
use serde_json::{Map, Value, json};
use speculators_formats::{Diagnostic, codes, digest, header};

use super::super::pull::WORKERS;
use super::super::repository::Repository;
use super::super::transfer::{Source, unwritable};
use super::super::{Hub, Watch, in_parallel};
use super::PartialPlan;
use super::spans::{Span, spans};
use crate::Result;

/// Name of the finished file.
pub(super) const FILE: &str = "model.safetensors";

/// Name of the note.
const NOTE: &str = ".progress";

/// Name of the file that is locked.
const LOCK: &str = ".lock";

/// Bytes that are hashed at a time.
const CHUNK: usize = 4 << 20;

impl Hub {
    /// Fetches the tensors of a plan into a file in `staging`.
    pub(super) fn fill(
        &self,
        plan: &PartialPlan,
        repository: &Repository,
        staging: &Path,
        watch: Watch<'_>,
        number: usize,
    ) -> Result<()> {
        let failed = |error: &io::Error| self.explain(unwritable(error), repository, None);
        let zeros = vec!["0".repeat(64); plan.tensors.len()];
        let header = encoded(plan, &zeros);
        let spans = spans(&plan.tensors);
        let work =
            Work::open(plan, staging, header.len() as u64, &spans).map_err(|e| failed(&e))?;
        let there = AtomicU64::new(work.there());
        watch.progress.at(number, there.load(Ordering::Relaxed));
        in_parallel(watch, WORKERS, spans.len(), |watch, index| {
            let span = &spans[index];
            let source = Source {
                id: &plan.repository,
                commit: &plan.commit,
                path: &span.file,
                size: plan.size_of(&span.file),
            };
            let mut at = span.range.start + work.done(index);
            self.stream(watch, source, at..span.range.end, &mut |bytes| {
                for (goal, part) in span.cut(at, bytes) {
                    work.write(goal, part)?;
                    let there = there.fetch_add(part.len() as u64, Ordering::Relaxed);
                    watch.progress.at(number, there + part.len() as u64);
                }
                at += bytes.len() as u64;
                work.note(index, at - span.range.start)
            })
            .map_err(|trouble| self.explain(trouble, repository, Some(&span.file)))
        })?;
        let digests = digests(plan, &staging.join(FILE), header.len() as u64)
            .map_err(|error| failed(&error))?;
        let header = encoded(plan, &digests);
        work.finish(&header, staging)
            .map_err(|error| failed(&error))?;
        check(plan, staging)?;
        watch.progress.end(number);
        Ok(())
    }
}

/// Makes the directory, and takes out of it what another plan may have left there. What comes back keeps other processes
/// out until it is dropped; there is nothing where another process is at work.
pub(super) fn prepare(plan: &PartialPlan, staging: &Path) -> io::Result<Option<File>> {
    fs_err::create_dir_all(staging)?;
    let lock = File::create(staging.join(LOCK))?;
    match lock.file().try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    for entry in fs_err::read_dir(staging)? {
        let entry = entry?;
        let known = [FILE, NOTE, LOCK].into_iter();
        let mut known = known.chain(plan.companions.iter().map(|file| file.path.as_str()));
        if !known.any(|name| entry.file_name() == *name) {
            fs_err::remove_file(entry.path())?;
        }
    }
    Ok(Some(lock))
}

/// The header, with where each tensor came from.
fn encoded(plan: &PartialPlan, digests: &[String]) -> Vec<u8> {
    let origins: BTreeMap<&str, Value> = plan
        .tensors
        .iter()
        .zip(digests)
        .map(|(tensor, digest)| {
            let origin = json!({
                "file": tensor.file,
                "begin": tensor.begin,
                "end": tensor.end,
                "blake3": digest,
            });
            (tensor.name.as_str(), origin)
        })
        .collect();
    let mut metadata = Map::new();
    for (key, value) in [
        ("format", "pt".to_owned()),
        ("source.repository", plan.repository.to_string()),
        ("source.revision", plan.revision.clone()),
        ("source.commit", plan.commit.clone()),
        ("source.tensors", json!(origins).to_string()),
    ] {
        metadata.insert(key.to_owned(), Value::String(value));
    }
    header::encode(
        metadata,
        plan.tensors.iter().map(|tensor| {
            let (name, shape) = (tensor.name.as_str(), tensor.shape.as_slice());
            (name, tensor.dtype, shape, tensor.bytes())
        }),
    )
}

/// What is open while the file is filled.
struct Work {
    data: File,
    note: File,
    header: u64,
    done: Vec<u64>,
}

impl Work {
    /// Goes on with what is there, if it was begun for the same plan.
    fn open(plan: &PartialPlan, staging: &Path, header: u64, spans: &[Span]) -> io::Result<Work> {
        let open = |name: &str| {
            fs_err::OpenOptions::new()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(staging.join(name))
        };
        let (data, mut note) = (open(FILE)?, open(NOTE)?);
        let mut running = digest::Running::default();
        running.update(format!("{} {header} {:?} {spans:?}", plan.commit, plan.tensors).as_bytes());
        let purpose = running.finish();
        let size = header + plan.tensor_bytes();
        let mut noted = Vec::new();
        io::Read::read_to_end(&mut note, &mut noted)?;
        let records = noted.strip_prefix(purpose.as_bytes());
        let done = match records {
            Some(records) if data.metadata()?.len() == size => records
                .chunks_exact(8)
                .zip(spans)
                .map(|(record, span)| {
                    let bytes = record.try_into().map_or(0, u64::from_le_bytes);
                    bytes.min(span.range.end - span.range.start)
                })
                .collect(),
            _ => Vec::new(),
        };
        let done = if done.len() == spans.len() {
            done
        } else {
            data.set_len(0)?;
            data.set_len(size)?;
            note.set_len(0)?;
            write_at(&note, purpose.as_bytes(), 0)?;
            note.set_len((purpose.len() + 8 * spans.len()) as u64)?;
            vec![0; spans.len()]
        };
        Ok(Work {
            data,
            note,
            header,
            done,
        })
    }

    fn done(&self, index: usize) -> u64 {
        self.done[index]
    }

    fn there(&self) -> u64 {
        self.done.iter().sum()
    }

    fn write(&self, goal: u64, bytes: &[u8]) -> io::Result<()> {
        write_at(&self.data, bytes, self.header + goal)
    }

    fn note(&self, index: usize, bytes: u64) -> io::Result<()> {
        write_at(&self.note, &bytes.to_le_bytes(), 64 + 8 * index as u64)
    }

    fn finish(self, header: &[u8], staging: &Path) -> io::Result<()> {
        if header.len() as u64 != self.header {
            return Err(io::Error::other("the header has changed its length"));
        }
        write_at(&self.data, header, 0)?;
        drop(self.note);
        fs_err::remove_file(staging.join(LOCK))?;
        fs_err::remove_file(staging.join(NOTE))
    }
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    file.file().write_all_at(bytes, at)
}

#[cfg(windows)]
fn write_at(file: &File, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    use std::os::windows::fs::FileExt;
    while !bytes.is_empty() {
        let written = file.file().seek_write(bytes, at)?;
        bytes = &bytes[written..];
        at += written as u64;
    }
    Ok(())
}

/// BLAKE3 of each tensor, read back from the file.
fn digests(plan: &PartialPlan, path: &Path, header: u64) -> io::Result<Vec<String>> {
    let mut at = header;
    let places: Vec<(u64, u64)> = plan
        .tensors
        .iter()
        .map(|tensor| {
            at += tensor.bytes();
            (at - tensor.bytes(), tensor.bytes())
        })
        .collect();
    places
        .into_par_iter()
        .map(|(begin, bytes)| {
            let mut file = File::open(path)?;
            io::Seek::seek(&mut file, io::SeekFrom::Start(begin))?;
            let mut running = digest::Running::default();
            let mut buffer = vec![0; CHUNK];
            let mut left = bytes;
            while left > 0 {
                let length = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
                io::Read::read_exact(&mut file, &mut buffer[..length])?;
                running.update(&buffer[..length]);
                left -= length as u64;
            }
            Ok(running.finish())
        })
        .collect()
}

/// Opens what was put together as any reader would.
fn check(plan: &PartialPlan, staging: &Path) -> Result<()> {
    let written = speculators_formats::Checkpoint::open(staging)?;
    let same = plan.tensors.iter().all(|tensor| {
        written
            .tensor(&tensor.name)
            .is_some_and(|view| view.dtype == tensor.dtype && view.shape == tensor.shape)
    });
    if same && written.names().count() == plan.tensors.len() {
        return Ok(());
    }
    Err(Diagnostic::error(
        codes::OUTPUT_UNWRITABLE,
        "what was written differs from the plan",
    )
    .note("this is a fault of the program or of the disk; nothing was left at the output")
    .into())
}

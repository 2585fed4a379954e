//! The write: streamed, checked, atomic.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Map, Value, json};

use super::read_back::ReadBack;
use super::row::Sources;
use super::{ConvertReport, Plan, Row, config, gguf, output, provenance, survey};
use crate::diagnostic::{Diagnostic, Place};
use crate::gguf::{Header, Metadata};
use crate::mtp::NormGain;
use crate::speculator::Description;
use crate::validate::values;
use crate::{Result, codes, header};

/// Bytes per write: progress is shown, and an interruption noticed, this often.
pub(super) const CHUNK: usize = 4 << 20;

/// Told the bytes done and the bytes in all; may break off.
pub(crate) type Progress<'a> = &'a mut dyn FnMut(u64, u64) -> ControlFlow<()>;

impl Plan {
    /// Writes the output. `progress` is told the bytes done and the bytes in all.
    ///
    /// # Errors
    /// S108 when something has appeared at the output meanwhile, S109 when it cannot be written, and whatever is wrong with
    /// what was written when it is read back. In each case nothing is left behind.
    pub fn write(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<ConvertReport> {
        self.write_until(&mut |done, total| {
            progress(done, total);
            ControlFlow::Continue(())
        })
    }

    /// As [`Plan::write`]; `progress` may break it off, and then nothing is left behind.
    ///
    /// # Errors
    /// As [`Plan::write`]; S109 after a break.
    pub fn write_until(&self, progress: Progress<'_>) -> Result<ConvertReport> {
        let parent = output::parent(&self.output)?;
        let failed = |error: &std::io::Error| output::unwritable(&self.output, error);
        // Beside the output, so that the last step is a rename; private until then, and gone when dropped.
        let scratch = tempfile::Builder::new()
            .prefix(".speculators-")
            .tempdir_in(&parent)
            .map_err(|error| failed(&error))?;
        // A directory of its own inside gets the permissions of the user's umask.
        let mut finished = scratch.path().join("head");
        fs_err::create_dir(&finished).map_err(|error| failed(&error))?;
        let (bytes, findings) = if let Some(metadata) = &self.metadata {
            let file = finished.join(gguf::FILE);
            let written = self.write_gguf(&file, metadata, progress)?;
            if output::is_gguf_file(&self.output) {
                finished = file;
            }
            written
        } else {
            let (bytes, config, findings) = self.write_weights(&finished, progress)?;
            fs_err::write(finished.join("config.json"), config::text(&config))
                .map_err(|error| failed(&error))?;
            (bytes, findings)
        };
        ReadBack {
            output: &self.output,
            facts: &self.facts,
            description: &self.description,
            map: self.map.as_ref(),
            rows: &self.rows,
            sources: self.sources(),
        }
        .check(&finished)?;
        output::publish(
            &finished,
            &self.output,
            &scratch.path().join("replaced"),
            self.force,
        )?;
        Ok(ConvertReport {
            output: self.output.clone(),
            target: self.target,
            bytes,
            rows: self.rows.clone(),
            dropped: self.dropped.clone(),
            decisions: self.decisions.clone(),
            description: self.description.clone(),
            findings,
        })
    }

    /// The weights; gives the size of the file, the whole config, and what was found in the source.
    fn write_weights(
        &self,
        directory: &Path,
        progress: Progress<'_>,
    ) -> Result<(u64, Map<String, Value>, Vec<Diagnostic>)> {
        let path = directory.join("model.safetensors");
        let header = file_header(&self.rows);
        self.with_survey(|| self.write_tensors(&path, &header, |_| &[], progress))
    }

    /// A GGUF file; gives its size and what was found in the source.
    fn write_gguf(
        &self,
        path: &Path,
        metadata: &Metadata,
        progress: Progress<'_>,
    ) -> Result<(u64, Vec<Diagnostic>)> {
        let mut config = self.config.clone();
        gguf::zero_digests(&mut config);
        let first = gguf::header(self, metadata, &config)?;
        let (bytes, config, findings) =
            self.with_survey(|| self.write_tensors(path, &first.bytes, Header::padding, progress))?;
        let last = gguf::header(self, metadata, &config)?;
        if last.bytes.len() == first.bytes.len() {
            let written = fs_err::OpenOptions::new()
                .write(true)
                .open(path)
                .and_then(|mut file| file.write_all(&last.bytes));
            written.map_err(|error| output::unwritable(&self.output, &error))?;
        }
        Ok((bytes, findings))
    }

    /// Writes, and beside it looks at the source: takes the digests of its files, and refuses values that are no numbers.
    /// Gives what writing gives, the whole config, and what else was found.
    fn with_survey(
        &self,
        write: impl FnOnce() -> Result<u64>,
    ) -> Result<(u64, Map<String, Value>, Vec<Diagnostic>)> {
        let checkpoint = self.speculator.checkpoint();
        let stop = AtomicBool::new(false);
        let (written, survey) = std::thread::scope(|scope| {
            let survey = scope.spawn(|| survey::survey(checkpoint, &self.rows, &stop));
            let written = write();
            if written.is_err() {
                stop.store(true, Ordering::Relaxed);
            }
            (written, survey.join())
        });
        let (bytes, mut config) = (written?, self.config.clone());
        // A fault of the survey is one of the program, and no reason to do without it.
        let survey = survey.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // It ends early only where writing has failed.
        let Some(survey) = survey else {
            return Ok((bytes, config, Vec::new()));
        };
        let gain = match &self.description {
            Description::Mtp(layer) => layer.norm_gain,
            _ => NormGain::Weight,
        };
        let findings = values::check(checkpoint, &survey.scanned, gain);
        // Zeros may be meant, in a head that is to be trained; what is no number cannot be.
        if findings
            .iter()
            .any(|finding| finding.code == codes::TENSOR_NON_FINITE)
        {
            return Err(findings);
        }
        provenance::add_digests(&mut config, survey.digests);
        Ok((bytes, config, findings))
    }

    /// Header and tensors, straight from the source's mapping, each followed by the padding for its length; gives the size
    /// of the file.
    fn write_tensors(
        &self,
        path: &Path,
        header: &[u8],
        padding: impl Fn(u64) -> &'static [u8],
        progress: Progress<'_>,
    ) -> Result<u64> {
        let file = NewFile {
            path,
            header,
            rows: &self.rows,
            sources: self.sources(),
        };
        file.write(padding, progress).map_err(|stop| {
            let problem = match stop {
                Stop::Interrupted => interrupted(&self.output, "conversion"),
                Stop::Failed(error) => output::unwritable(&self.output, &error),
            };
            problem.into()
        })
    }
}

/// S109 for work that was broken off.
pub(crate) fn interrupted(output: &Path, what: &str) -> Diagnostic {
    Diagnostic::error(
        codes::OUTPUT_UNWRITABLE,
        format!("the {what} was interrupted"),
    )
    .at(Place::file(output))
    .note("nothing was written there")
}

/// A file of tensors to be written.
pub(crate) struct NewFile<'a> {
    pub path: &'a Path,
    pub header: &'a [u8],
    pub rows: &'a [Row],
    pub sources: Sources<'a>,
}

/// Why a file was not written to its end.
pub(crate) enum Stop {
    /// Progress broke it off.
    Interrupted,
    /// The operating system did not take it.
    Failed(std::io::Error),
}

impl NewFile<'_> {
    /// Header and tensors, each followed by the padding for its length; gives the size of the file.
    pub fn write(
        &self,
        padding: impl Fn(u64) -> &'static [u8],
        progress: Progress<'_>,
    ) -> Result<u64, Stop> {
        let total: u64 = self.rows.iter().map(|row| row.bytes).sum();
        let (mut done, mut padded, mut stopped) = (0, 0, false);
        let mut write = || -> std::io::Result<()> {
            let mut file = fs_err::File::create_new(self.path)?;
            file.write_all(self.header)?;
            for row in self.rows {
                self.sources.write(row, CHUNK, &mut file, &mut |length| {
                    done += length as u64;
                    stopped = progress(done, total).is_break();
                    if stopped {
                        return Err(std::io::Error::other("interrupted"));
                    }
                    Ok(())
                })?;
                let zeros = padding(row.bytes);
                file.write_all(zeros)?;
                padded += zeros.len() as u64;
            }
            Ok(())
        };
        match write() {
            Ok(()) => Ok(self.header.len() as u64 + total + padded),
            Err(_) if stopped => Err(Stop::Interrupted),
            Err(error) => Err(Stop::Failed(error)),
        }
    }
}

/// Length and header of a safetensors file, with the fields in the order of the data.
pub(crate) fn file_header(rows: &[Row]) -> Vec<u8> {
    let mut metadata = Map::new();
    metadata.insert("format".to_owned(), json!("pt"));
    let fields = rows.iter().map(|row| {
        let name = row.destination.as_str();
        (name, row.dtype, row.shape.as_slice(), row.bytes)
    });
    header::encode(metadata, fields)
}

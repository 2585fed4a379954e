//! The file of records while it is written.

use std::collections::BTreeSet;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use fs_err::{File, OpenOptions};
use speculators::decoding::PositionSurvey;
use speculators::evaluation::{Event, LatencyModel, RecordsWriter, Resumption, Setting, copy_kept};
use speculators_formats::Diagnostic;

use super::export::unwritable;
use crate::output::OutputFile;
use crate::session::Session;

/// The file of records. It bears its name from the first step on, since its use is to outlive a crash; and not before,
/// so that a run that comes to nothing leaves everything as it was.
pub struct RecordsFile {
    path: PathBuf,
    force: bool,
    setting: Setting,
    /// Requests of the file that stay, where an earlier run is gone on with.
    kept: Option<BTreeSet<String>>,
    writer: Option<RecordsWriter<File>>,
}

impl RecordsFile {
    /// To be written at `path`.
    pub fn new(
        path: &Path,
        force: bool,
        setting: &Setting,
        resumption: Option<&Resumption>,
    ) -> RecordsFile {
        RecordsFile {
            path: path.to_path_buf(),
            force,
            setting: setting.clone(),
            kept: resumption.map(Resumption::kept_ids),
            writer: None,
        }
    }

    /// Writes what came of a step or a request.
    pub fn event(&mut self, event: &Event<'_>) -> speculators::Result<()> {
        match &mut self.writer {
            Some(writer) => {
                let written = writer.event(event);
                written.map_err(|error| unwritable(&self.path, &error))?;
            }
            none => {
                *none = Some(begin(
                    &self.path,
                    self.force,
                    &self.setting,
                    &self.kept,
                    event,
                )?)
            }
        }
        Ok(())
    }

    /// Writes what a survey found at a position.
    pub fn survey(
        &mut self,
        id: &str,
        every: usize,
        position: &PositionSurvey,
    ) -> speculators::Result<()> {
        let writer = self.writer.as_mut();
        let written = writer.map_or(Ok(()), |writer| writer.survey(id, every, position));
        Ok(written.map_err(|error| unwritable(&self.path, &error))?)
    }

    /// Writes how long passes take.
    pub fn latency(&mut self, model: &LatencyModel) -> speculators::Result<()> {
        let writer = self.writer.as_mut();
        let written = writer.map_or(Ok(()), |writer| writer.latency(model));
        Ok(written.map_err(|error| unwritable(&self.path, &error))?)
    }

    /// Says what is left of a run that was stopped; false if nothing is.
    pub fn tell_what_is_left(&self, session: &Session) -> bool {
        let path = self.path.display();
        let something = self.writer.is_some() || self.kept.is_some();
        if something {
            session.say(&format!(
                "interrupted; {path} holds the records up to here, and `--resume` goes on with them"
            ));
        }
        something
    }
}

/// The file with its first line of this run, in one step: until then the old one, or none, lies there.
fn begin(
    path: &Path,
    force: bool,
    setting: &Setting,
    kept: &Option<BTreeSet<String>>,
    event: &Event<'_>,
) -> Result<RecordsWriter<File>, Diagnostic> {
    let failed = |error: io::Error| unwritable(path, &error);
    // What is no file, such as a pipe, is written into and not replaced.
    if fs_err::metadata(path).is_ok_and(|there| !there.is_file()) {
        let file = OpenOptions::new().write(true).open(path).map_err(failed)?;
        let mut writer = RecordsWriter::begin(file, setting).map_err(failed)?;
        writer.event(event).map_err(failed)?;
        return Ok(writer);
    }
    let mut output = OutputFile::create(path, force || kept.is_some())?;
    let mut writer = match kept {
        Some(kept) => {
            let earlier = BufReader::new(File::open(path).map_err(failed)?);
            copy_kept(earlier, &mut output, kept).map_err(failed)?;
            RecordsWriter::go_on(output)
        }
        None => RecordsWriter::begin(output, setting).map_err(failed)?,
    };
    writer.event(event).map_err(failed)?;
    writer.into_output().finish()?;
    let file = OpenOptions::new().append(true).open(path).map_err(failed)?;
    Ok(RecordsWriter::go_on(file))
}

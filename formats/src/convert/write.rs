//! The write: streamed, checked, atomic.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::{ConvertReport, Plan, config, output};
use crate::diagnostic::{Diagnostic, Place};
use crate::head::Head;
use crate::options::ReadOptions;
use crate::{Checkpoint, Result, codes};

/// Bytes per write: progress is shown, and an interruption noticed, this often.
const CHUNK: usize = 8 << 20;

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
    pub fn write_until(
        &self,
        progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<ConvertReport> {
        let parent = output::parent(&self.output)?;
        let failed = |error: &std::io::Error| output::unwritable(&self.output, error);
        // Beside the output, so that the last step is a rename; private until then, and gone when dropped.
        let scratch = tempfile::Builder::new()
            .prefix(".speculators-")
            .tempdir_in(&parent)
            .map_err(|error| failed(&error))?;
        // A directory of its own inside gets the permissions of the user's umask.
        let finished = scratch.path().join("head");
        fs_err::create_dir(&finished).map_err(|error| failed(&error))?;
        let bytes = self.write_tensors(&finished.join("model.safetensors"), progress)?;
        let text = config::text(&self.config);
        write_file(&finished.join("config.json"), |file| {
            file.write_all(text.as_bytes())
        })
        .map_err(|error| failed(&error))?;
        self.read_back(&finished)?;
        output::publish(
            &finished,
            &self.output,
            &scratch.path().join("replaced"),
            self.force,
        )?;
        // The rename itself has to reach the disk too; where a directory cannot be synced there is nothing to be done.
        let _ = fs_err::File::open(&parent).and_then(|directory| directory.sync_all());
        Ok(ConvertReport {
            output: self.output.clone(),
            bytes,
            rows: self.rows.clone(),
            dropped: self.dropped.clone(),
            decisions: self.decisions.clone(),
            description: self.description.clone(),
        })
    }

    /// `model.safetensors`, straight from the source's mapping; gives its size.
    fn write_tensors(
        &self,
        path: &Path,
        progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<u64> {
        let header = self.header();
        let total = self.total_bytes();
        let (mut done, mut stopped) = (0, false);
        write_file(path, |file| {
            file.write_all(&header)?;
            for row in &self.rows {
                for chunk in self.data(row).chunks(CHUNK) {
                    file.write_all(chunk)?;
                    done += chunk.len() as u64;
                    if progress(done, total).is_break() {
                        stopped = true;
                        return Ok(());
                    }
                }
            }
            Ok(())
        })
        .map_err(|error| output::unwritable(&self.output, &error))?;
        if stopped {
            return Err(Diagnostic::error(
                codes::OUTPUT_UNWRITABLE,
                "the conversion was interrupted",
            )
            .at(Place::file(&self.output))
            .note("nothing was written there")
            .into());
        }
        Ok(header.len() as u64 + total)
    }

    /// Length and header: fields in the order of the data, padded with spaces to eight bytes, as the reference library
    /// writes them.
    fn header(&self) -> Vec<u8> {
        let mut map = Map::new();
        map.insert("__metadata__".to_owned(), json!({ "format": "pt" }));
        let mut at = 0;
        for row in &self.rows {
            let end = at + row.bytes;
            let entry = json!({ "dtype": format!("{:?}", row.dtype), "shape": row.shape, "data_offsets": [at, end] });
            map.insert(row.destination.clone(), entry);
            at = end;
        }
        let mut header = Value::Object(map).to_string().into_bytes();
        header.resize(header.len().next_multiple_of(8), b' ');
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.append(&mut header);
        file
    }

    /// Opens what was written as any reader would, and holds it against the plan.
    fn read_back(&self, dir: &Path) -> Result<()> {
        // Strict: an output that leaves room for a guess would be read differently by different programs.
        let options = ReadOptions {
            strict: true,
            ..ReadOptions::default()
        };
        let written = Head::resolve(Checkpoint::open(dir)?, Some(&self.facts), &options)?;
        let differs = |what: String| {
            Diagnostic::error(
                codes::OUTPUT_UNWRITABLE,
                format!("what was written differs from the plan in {what}"),
            )
            .at(Place::file(&self.output))
            .note("this is a fault of the program or of the disk; nothing was left at the output")
        };
        if written.description != self.description {
            return Err(differs("its config".to_owned()).into());
        }
        if written.vocabulary_map()? != self.head.vocabulary_map()? {
            return Err(differs("its vocabulary map".to_owned()).into());
        }
        if written.checkpoint.names().count() != self.rows.len() {
            return Err(differs("the number of tensors".to_owned()).into());
        }
        for row in &self.rows {
            let same = written.tensor(&row.destination).is_some_and(|view| {
                view.dtype == row.dtype && view.shape == row.shape && view.data == self.data(row)
            });
            if !same {
                return Err(differs(format!("`{}`", row.destination)).into());
            }
        }
        Ok(())
    }
}

/// Creates, fills and syncs a file.
fn write_file(
    path: &Path,
    fill: impl FnOnce(&mut fs_err::File) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut file = fs_err::File::create_new(path)?;
    fill(&mut file)?;
    file.sync_all()
}

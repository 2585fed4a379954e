//! Files a command writes: complete under their own name, or not there.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use speculators_formats::{Diagnostic, Place, codes};
use tempfile::NamedTempFile;

/// A file that takes its name when it is finished, and leaves nothing behind when it is not.
pub struct OutputFile {
    goal: PathBuf,
    writer: BufWriter<NamedTempFile>,
}

impl OutputFile {
    /// Opens a temporary file beside `goal`, so that taking its name is one rename.
    pub fn create(goal: &Path, force: bool) -> Result<OutputFile, Diagnostic> {
        // A link that leads nowhere is something, too: renaming would put the file in its place.
        if fs_err::symlink_metadata(goal).is_ok() && !force {
            return Err(
                Diagnostic::error(codes::OUTPUT_EXISTS, "the output file exists already")
                    .at(Place::file(goal))
                    .help("pass `--force` to replace it, or name another file"),
            );
        }
        let parent = match goal.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        // Temporary files are private by default; this one becomes the user's, under the user's umask.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder
            .tempfile_in(parent)
            .map_err(|error| unwritable(goal, &error))?;
        Ok(OutputFile {
            goal: goal.to_path_buf(),
            writer: BufWriter::new(file),
        })
    }

    /// That writing into it has failed.
    pub fn unwritable(&self, error: &std::io::Error) -> Diagnostic {
        unwritable(&self.goal, error)
    }

    /// Flushes and takes the name.
    pub fn finish(mut self) -> Result<(), Diagnostic> {
        self.writer
            .flush()
            .map_err(|error| unwritable(&self.goal, &error))?;
        let file = self
            .writer
            .into_inner()
            .map_err(|error| unwritable(&self.goal, error.error()))?;
        file.persist(&self.goal)
            .map_err(|error| unwritable(&self.goal, &error.error))?;
        Ok(())
    }
}

impl Write for OutputFile {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        self.writer.write(buffer)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.writer.flush()
    }
}

fn unwritable(goal: &Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic::error(
        codes::OUTPUT_UNWRITABLE,
        "the output file cannot be written",
    )
    .at(Place::file(goal))
    .note(error.to_string())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_leads_nowhere_is_replaced_only_by_force() {
        let directory = tempfile::tempdir().unwrap();
        let goal = directory.path().join("report.json");
        fs_err::os::unix::fs::symlink("nowhere", &goal).unwrap();
        let refused = OutputFile::create(&goal, false).err().unwrap();
        assert_eq!(refused.code, codes::OUTPUT_EXISTS);
        assert!(goal.is_symlink());

        let mut file = OutputFile::create(&goal, true).unwrap();
        file.write_all(b"{}").unwrap();
        file.finish().unwrap();
        assert_eq!(fs_err::read_to_string(&goal).unwrap(), "{}");
        assert!(!goal.is_symlink());
    }
}

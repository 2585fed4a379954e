//! A directory of the user's that files are put into, with the notes Python's client keeps beside them.
//!
//! `.cache/huggingface/download/PATH.metadata` holds the commit, the name of the content and the time it was put there, one
//! a line; so either client knows what is up to date.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use fs_err::File;
use speculators_formats::{Diagnostic, Place, codes};

use super::Watch;
use super::digest::Digester;
use crate::{Error, Result};

/// Where notes and unfinished files are kept.
const NOTES: &str = ".cache/huggingface";

/// A directory and what may be done in it.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    path: PathBuf,
    force: bool,
}

impl Folder {
    pub fn new(path: &Path, force: bool) -> Folder {
        Folder {
            path: path.to_path_buf(),
            force,
        }
    }

    /// Whether a file is here with this content.
    ///
    /// # Errors
    /// S108 where another file of that name is here that this program, or Python's client, has not put there, and
    /// [`Error::Interrupted`].
    pub fn holds(&self, watch: Watch<'_>, path: &str, etag: &str, size: u64) -> Result<bool> {
        let file = self.path.join(path);
        let Ok(metadata) = fs_err::metadata(&file) else {
            return Ok(false);
        };
        let noted = self.noted(path);
        if metadata.is_file() && metadata.len() == size {
            let untouched = noted
                .as_ref()
                .is_some_and(|(noted, since)| noted == etag && !touched(&metadata, *since));
            if untouched || has_hash(watch, &file, etag, size)? {
                return Ok(true);
            }
        }
        let ours = noted.is_some_and(|(_, since)| !touched(&metadata, since));
        if metadata.is_file() && (ours || self.force) {
            return Ok(false);
        }
        Err(Diagnostic::error(
            codes::OUTPUT_EXISTS,
            format!("another `{path}` is there already"),
        )
        .at(Place::file(&file))
        .note(format!(
            "it is not the one of the repository, {size} bytes with the hash {etag}"
        ))
        .help("choose another `--local-dir`, or pass `--force` to replace it")
        .into())
    }

    /// Where a file is kept while it is not complete.
    pub fn part(&self, path: &str, etag: &str) -> PathBuf {
        self.note(path, &format!("{etag}.incomplete"))
    }

    fn note(&self, path: &str, ending: &str) -> PathBuf {
        let download = self.path.join(NOTES).join("download");
        download.join(format!("{path}.{ending}"))
    }

    /// Makes the directories for a file and its notes.
    pub fn prepare(&self, path: &str) -> io::Result<()> {
        for place in [self.path.join(path), self.note(path, "metadata")] {
            if let Some(parent) = place.parent() {
                fs_err::create_dir_all(parent)?;
            }
        }
        let ignore = self.path.join(NOTES).join(".gitignore");
        if !ignore.exists() {
            fs_err::write(ignore, "*")?;
        }
        Ok(())
    }

    /// Puts a finished file into place and notes what it is.
    pub fn put(&self, part: &Path, path: &str, commit: &str, etag: &str) -> io::Result<()> {
        fs_err::rename(part, self.path.join(path))?;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0.0, |since| since.as_secs_f64());
        fs_err::write(
            self.note(path, "metadata"),
            format!("{commit}\n{etag}\n{now}\n"),
        )
    }

    /// The name of the content that was put here, and when, in seconds.
    fn noted(&self, path: &str) -> Option<(String, f64)> {
        let text = fs_err::read_to_string(self.note(path, "metadata")).ok()?;
        let mut lines = text.lines().skip(1);
        Some((lines.next()?.to_owned(), lines.next()?.trim().parse().ok()?))
    }
}

/// Whether a file was changed after it was put there; a second for file systems that round.
fn touched(metadata: &std::fs::Metadata, since: f64) -> bool {
    metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .is_none_or(|time| time.as_secs_f64() - 1.0 > since)
}

/// Whether a file has the hash that the Hub names. Not where it cannot be read, or where the hash is of no known kind.
fn has_hash(watch: Watch<'_>, path: &Path, etag: &str, size: u64) -> Result<bool> {
    let mut digest = Digester::of(etag, size);
    let read = File::open(path).and_then(|mut file| digest.read(&mut file, || watch.is_stopped()));
    match read {
        Ok(Some(_)) => Ok(digest.finish().as_deref() == Some(etag)),
        Ok(None) => Err(Error::Interrupted),
        Err(_) => Ok(false),
    }
}

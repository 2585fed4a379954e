//! The files of a verifier, whatever they are: all of them go along.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::StitchRow;
use crate::Result;
use crate::codes;
use crate::config::unreadable;
use crate::diagnostic::{Diagnostic, Place};

/// Deeper than any checkpoint; links that lead in circles end here.
const DEEPEST: usize = 16;

/// One file of the output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StitchFile {
    /// From the top of the directory.
    pub path: PathBuf,
    /// Size, the same as in the verifier.
    pub bytes: u64,
    /// Tensors that are exchanged in it.
    pub exchanged: usize,
}

/// All files, links followed, and all directories, parents first.
pub(super) fn list(root: &Path, rows: &[StitchRow]) -> Result<(Vec<StitchFile>, Vec<PathBuf>)> {
    let (mut files, mut directories) = (Vec::new(), Vec::new());
    let mut waiting = vec![PathBuf::new()];
    while let Some(directory) = waiting.pop() {
        let path = root.join(&directory);
        if directory.components().count() > DEEPEST {
            let title = format!("directories lie more than {DEEPEST} deep");
            return Err(Diagnostic::error(codes::FILE_MISSING, title)
                .at(Place::file(path))
                .note("a link may lead back to a directory it lies in")
                .into());
        }
        let entries = fs_err::read_dir(&path).map_err(|error| unreadable(&path, &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| unreadable(&path, &error))?;
            let relative = directory.join(entry.file_name());
            // What a link leads to, not the link: those of a download cache lead out of the directory.
            let metadata = fs_err::metadata(entry.path())
                .map_err(|error| unreadable(&entry.path(), &error))?;
            if metadata.is_dir() {
                waiting.push(relative.clone());
                directories.push(relative);
            } else if metadata.is_file() {
                files.push(StitchFile {
                    exchanged: rows.iter().filter(|row| row.file == relative).count(),
                    path: relative,
                    bytes: metadata.len(),
                });
            } else {
                return Err(Diagnostic::error(
                    codes::FILE_MISSING,
                    "the verifier holds something that is neither a file nor a directory",
                )
                .at(Place::file(entry.path()))
                .into());
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    directories.sort();
    let listed: BTreeSet<&Path> = files.iter().map(|file| file.path.as_path()).collect();
    match rows.iter().find(|row| !listed.contains(row.file.as_path())) {
        Some(row) => Err(Diagnostic::error(
            codes::INDEX_MALFORMED,
            format!(
                "`{}` lies outside the verifier's directory",
                row.destination
            ),
        )
        .at(Place::file(&row.file))
        .into()),
        None => Ok((files, directories)),
    }
}

//! Where a conversion may write, and how it gets there whole or not at all.

use std::path::{Component, Path, PathBuf};

use super::{ConvertRequest, Target};
use crate::codes;
use crate::diagnostic::{Diagnostic, Place};

/// What speaks against the output, before anything is read.
pub(super) fn check(request: &ConvertRequest) -> Vec<Diagnostic> {
    let mut problems = apart(
        &request.output,
        &[
            (&request.source, "source", true),
            // Only its config is read, and beside that a head may well be kept.
            (&request.verifier, "verifier", false),
        ],
    );
    if problems.is_empty() {
        problems.extend(occupied(&request.output, request.force));
    }
    if is_gguf_file(&request.output) && request.target != Target::Gguf {
        let title = format!(
            "the output is named as a GGUF file, but the {} layout is a directory",
            request.target
        );
        problems.push(
            Diagnostic::error(codes::USAGE, title)
                .at(Place::file(&request.output))
                .help("pass `--to gguf`, or name the output otherwise"),
        );
    }
    problems
}

/// S108 where the output is one of these directories or would replace it, or lies inside one that has to be left as it is.
pub(crate) fn apart(output: &Path, from: &[(&Path, &str, bool)]) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let goal = resolved(output);
    for &(path, what, whole) in from {
        let place = resolved(path);
        let relation = if goal == place {
            "is"
        } else if goal.starts_with(&place) && whole {
            "lies inside"
        } else if place.starts_with(&goal) {
            "would replace a parent of"
        } else {
            continue;
        };
        problems.push(
            Diagnostic::error(
                codes::OUTPUT_EXISTS,
                format!("the output {relation} the {what}"),
            )
            .at(Place::file(output))
            .note(format!(
                "the {what} is `{}`; it is never written to, even with `--force`",
                path.display()
            ))
            .help("choose another output"),
        );
    }
    problems
}

/// S108 where something is in the way that may not be replaced.
#[must_use]
pub fn occupied(output: &Path, force: bool) -> Option<Diagnostic> {
    let metadata = fs_err::symlink_metadata(output).ok()?;
    let problem = Diagnostic::error(codes::OUTPUT_EXISTS, "the output exists already")
        .at(Place::file(output));
    let one_file = metadata.is_file() && is_gguf_file(output);
    if !force && (metadata.is_dir() || one_file) {
        return Some(problem.help("choose another output, or pass `--force` to replace it"));
    }
    if one_file {
        return None;
    }
    if !metadata.is_dir() {
        return Some(problem.note("it is not a directory, so `--force` does not replace it"));
    }
    // `--force` replaces a checkpoint, not whatever else a mistyped path may lead to.
    let entries: Vec<_> = fs_err::read_dir(output)
        .into_iter()
        .flatten()
        .flatten()
        .collect();
    let nested = entries
        .iter()
        .find(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    if let Some(nested) = nested {
        let name = nested.file_name().to_string_lossy().into_owned();
        return Some(problem.note(format!("it holds a directory, `{name}`, so it is more than a head; `--force` does not replace it")));
    }
    let only_gguf = entries.len() == 1 && entries.iter().all(|entry| is_gguf_file(&entry.path()));
    if !entries.is_empty() && !only_gguf && !output.join("config.json").exists() {
        return Some(problem.note("it holds files but no `config.json`, so it is no checkpoint; `--force` does not replace it"));
    }
    None
}

/// Whether a path names one file for llama.cpp rather than a directory.
pub(super) fn is_gguf_file(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "gguf")
}

/// The directory that the output is created in.
///
/// # Errors
/// S109 where there is none.
pub fn parent(output: &Path) -> Result<PathBuf, Diagnostic> {
    let parent = match output.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => {
            return Err(Diagnostic::error(
                codes::OUTPUT_UNWRITABLE,
                "the output has no parent directory",
            )
            .at(Place::file(output)));
        }
    };
    if parent.is_dir() {
        return Ok(parent.to_path_buf());
    }
    Err(Diagnostic::error(
        codes::OUTPUT_UNWRITABLE,
        "the directory the output is to be created in does not exist",
    )
    .at(Place::file(parent))
    .help(format!("create it: `mkdir -p {}`", parent.display())))
}

/// S109 with what the operating system said.
#[must_use]
pub fn unwritable(output: &Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic::error(codes::OUTPUT_UNWRITABLE, "the output cannot be written")
        .at(Place::file(output))
        .note(error.to_string())
}

/// Moves the finished directory to its goal; what was there is put aside first, and back if the move fails.
///
/// # Errors
/// S108 where something is in the way that may not be replaced, S109 where the move fails.
pub fn publish(
    finished: &Path,
    output: &Path,
    aside: &Path,
    force: bool,
) -> Result<(), Diagnostic> {
    if let Some(problem) = occupied(output, force) {
        return Err(problem);
    }
    let replaces = fs_err::symlink_metadata(output).is_ok();
    if replaces && exchange(finished, output) {
        return Ok(());
    }
    if replaces {
        fs_err::rename(output, aside).map_err(|error| unwritable(output, &error))?;
    }
    if let Err(error) = fs_err::rename(finished, output) {
        if replaces {
            fs_err::rename(aside, output).map_err(|error| unwritable(output, &error))?;
        }
        return Err(unwritable(output, &error));
    }
    Ok(())
}

/// Swaps two directories in one step, so that there is no moment without an output; false where the system cannot.
#[cfg(target_os = "linux")]
fn exchange(finished: &Path, output: &Path) -> bool {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, finished, CWD, output, RenameFlags::EXCHANGE).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn exchange(_finished: &Path, _output: &Path) -> bool {
    false
}

/// The path without links and dots, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    for ancestor in absolute.ancestors() {
        if let Ok(real) = fs_err::canonicalize(ancestor) {
            let rest = absolute.strip_prefix(ancestor).unwrap_or(Path::new(""));
            return rest.components().fold(real, |mut path, part| {
                match part {
                    Component::ParentDir => drop(path.pop()),
                    Component::Normal(name) => path.push(name),
                    _ => {}
                }
                path
            });
        }
    }
    absolute
}

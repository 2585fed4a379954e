//! The files of the output: counts, map, and where they come from.

use std::io::Write;
use std::path::{Path, PathBuf};

use speculators_formats::vocabulary::{BuiltMap, TokenCounts};
use speculators_formats::{Diagnostic, Place, codes};

use super::VocabArguments;
use super::report::Report;
use crate::failure::Failure;
use crate::output::OutputFile;

/// Names of the files, with the report last.
fn names(draft_vocab_size: Option<usize>) -> Vec<String> {
    let mut names = vec![
        "token_freq.npy".to_owned(),
        "token_freq.safetensors".to_owned(),
    ];
    match draft_vocab_size {
        Some(draft) => names.extend([
            format!("d2t-{draft}.npy"),
            format!("t2d-{draft}.npy"),
            format!("vocab-{draft}.safetensors"),
            format!("vocab-{draft}.json"),
        ]),
        None => names.push("vocab.json".to_owned()),
    }
    names
}

/// S108 for each file that is in the way.
pub fn check(arguments: &VocabArguments) -> Result<(), Failure> {
    let Some(directory) = arguments.output_path.as_ref().filter(|_| !arguments.force) else {
        return Ok(());
    };
    let names = names(arguments.draft_vocab_size).into_iter();
    let problems: Vec<Diagnostic> = names
        .map(|name| directory.join(name))
        .filter(|path| path.exists())
        .map(|path| occupied(&path))
        .collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems.into())
    }
}

/// Writes all files. What is there already, byte for byte, stays as it is.
pub fn all(
    directory: &Path,
    force: bool,
    counts: &TokenCounts,
    built: Option<&BuiltMap>,
    report: &mut Report,
) -> Result<(), Failure> {
    let draft = built.map(|built| built.map.draft_to_target.len());
    let names = names(draft);
    let mut contents = vec![counts.to_npy(), counts.to_safetensors()];
    if let Some(built) = built {
        let map = &built.map;
        contents.extend([map.d2t_npy(), map.t2d_npy(), map.to_safetensors()]);
    }
    report.files = names.iter().map(|name| directory.join(name)).collect();
    let mut text = serde_json::to_vec_pretty(report)?;
    text.push(b'\n');
    contents.push(text);

    fs_err::create_dir_all(directory).map_err(|error| {
        Diagnostic::error(codes::OUTPUT_UNWRITABLE, "the output cannot be written")
            .at(Place::file(directory))
            .note(error.to_string())
    })?;
    // All of them complete under temporary names before the first takes its own.
    let mut finished = Vec::new();
    for (path, content) in report.files.iter().zip(&contents) {
        if !force && path.exists() {
            if same(path, content) {
                continue;
            }
            return Err(occupied(path).into());
        }
        let mut file = OutputFile::create(path, force)?;
        file.write_all(content)?;
        finished.push(file);
    }
    for file in finished {
        file.finish()?;
    }
    Ok(())
}

/// Whether a file holds these bytes; of a file of another length, none is read.
fn same(path: &PathBuf, content: &[u8]) -> bool {
    let length =
        fs_err::metadata(path).is_ok_and(|metadata| metadata.len() == content.len() as u64);
    length && fs_err::read(path).is_ok_and(|bytes| bytes == content)
}

fn occupied(path: &Path) -> Diagnostic {
    Diagnostic::error(codes::OUTPUT_EXISTS, "the output file exists already")
        .at(Place::file(path))
        .help("pass `--force` to replace it, or name another directory")
}

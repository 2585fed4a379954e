//! The answer, and which findings lead to it.

use std::path::Path;

use serde::Serialize;

use super::{ValidateOptions, ValidationReport};
use crate::codes;
use crate::diagnostic::{Diagnostic, Level};
use crate::weights;

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It loads, and nothing speaks against it.
    Valid,
    /// It will not load, or it will draft wrong tokens.
    NotValid,
    /// It could not be judged: it is not there, cannot be read, or is not a head this version knows.
    CouldNotTell,
}

impl Verdict {
    /// Exit status of a program that answers with this verdict.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Valid => 0,
            Verdict::NotValid => 1,
            Verdict::CouldNotTell => 2,
        }
    }

    /// In words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Valid => "valid",
            Verdict::NotValid => "not valid",
            Verdict::CouldNotTell => "could not tell",
        }
    }

    /// The verdict on several checkpoints: one that is known to be bad outweighs one that could not be judged, and that
    /// outweighs any number of good ones.
    #[must_use]
    pub fn worst(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
        let rank = |verdict: &Verdict| match verdict {
            Verdict::Valid => 0,
            Verdict::CouldNotTell => 1,
            Verdict::NotValid => 2,
        };
        verdicts
            .into_iter()
            .max_by_key(rank)
            .unwrap_or(Verdict::Valid)
    }
}

/// What the findings on a head come to, with those that keep its verifier from being looked at.
pub(super) fn verdict(
    options: &ValidateOptions,
    report: &ValidationReport,
    about_verifier: &[Diagnostic],
) -> Verdict {
    let least = if options.deny_warnings {
        Level::Warning
    } else {
        Level::Error
    };
    let against = || {
        report
            .diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.level >= least)
    };
    if against().any(|diagnostic| settles(&report.path, diagnostic)) {
        Verdict::NotValid
    } else if against().next().is_some() || !about_verifier.is_empty() || report.head.is_none() {
        Verdict::CouldNotTell
    } else {
        Verdict::Valid
    }
}

/// Whether a finding says something about the head, or only that this program could not look at it.
fn settles(dir: &Path, diagnostic: &Diagnostic) -> bool {
    match diagnostic.code {
        codes::LAYOUT_UNKNOWN | codes::WEIGHTS_NAME | codes::GGUF_UNSUPPORTED => false,
        codes::FILE_MISSING => {
            is_checkpoint(dir)
                && !diagnostic
                    .place
                    .as_ref()
                    .is_some_and(|place| locked(&place.path))
        }
        _ => true,
    }
}

/// Whether there is anything in the directory that a head has.
fn is_checkpoint(dir: &Path) -> bool {
    let entries = fs_err::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name()).any(|name| {
        let name = name.to_string_lossy();
        name == "config.json" || weights::is_weights(&name)
    })
}

/// Whether something is there that may not be read, as opposed to not being there.
fn locked(path: &Path) -> bool {
    match fs_err::metadata(path) {
        Ok(metadata) => metadata.is_file(),
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}

//! What had to be resolved while reading, with the reason: printed, recorded in the output, and refused under `--strict`.

use serde::Serialize;

use crate::config::ConfigFile;
use crate::diagnostic::{Diagnostic, Level, Place};
use crate::options::ReadOptions;
use crate::{Result, codes};

/// Something that was resolved rather than read: a default, a heuristic, a repaired spelling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// What was decided, by config key or tensor name.
    pub subject: String,
    /// The value taken.
    pub value: String,
    /// Why.
    pub reason: String,
    /// True where the source left room for another answer; `--strict` refuses these.
    pub guess: bool,
}

impl Decision {
    /// Something the source settles, though not in so many words.
    #[must_use]
    pub fn settled(
        subject: impl Into<String>,
        value: impl ToString,
        reason: impl Into<String>,
    ) -> Decision {
        Decision {
            subject: subject.into(),
            value: value.to_string(),
            reason: reason.into(),
            guess: false,
        }
    }

    /// Something the source leaves open.
    #[must_use]
    pub fn guessed(
        subject: impl Into<String>,
        value: impl ToString,
        reason: impl Into<String>,
    ) -> Decision {
        Decision {
            subject: subject.into(),
            value: value.to_string(),
            reason: reason.into(),
            guess: true,
        }
    }

    /// The error that `--strict` makes of a guess.
    #[must_use]
    pub fn refused(&self, place: Place) -> Diagnostic {
        Diagnostic::error(
            codes::GUESS_REFUSED,
            format!(
                "`{}` would have to be guessed as {}",
                self.subject, self.value
            ),
        )
        .at(place)
        .note(self.reason.clone())
        .help("say it with an option, or drop `--strict` to accept the guess")
    }
}

/// Ends the opening of a head: gives what was decided, if nothing stands against it.
///
/// # Errors
/// The problems, if one of them is an error; among them S411 for each guess where the options are strict.
pub(crate) fn finish(
    decisions: Vec<Decision>,
    mut problems: Vec<Diagnostic>,
    options: &ReadOptions,
    config: &ConfigFile,
) -> Result<Vec<Decision>> {
    if options.strict {
        let guesses = decisions.iter().filter(|decision| decision.guess);
        problems.extend(guesses.map(|guess| guess.refused(Place::file(config.path()))));
    }
    let refused = |problem: &Diagnostic| problem.level == Level::Error;
    if problems.iter().any(refused) {
        return Err(problems);
    }
    Ok(decisions)
}

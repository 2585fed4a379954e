//! What had to be resolved while reading, with the reason: printed, recorded in the output, and refused under `--strict`.

use serde::Serialize;

use crate::config::ConfigFile;
use crate::diagnostic::{Diagnostic, Level, Place};
use crate::options::ReadOptions;
use crate::speculator::Algorithm;
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

/// Ends the opening of a head: gives what was decided, if nothing stands against it; also which options were given for
/// nothing.
///
/// # Errors
/// The problems, if one of them is an error. Where the options are strict, S411 for each guess and S001 for each option
/// that says nothing about heads of this kind are among them.
pub(crate) fn finish(
    algorithm: Algorithm,
    mut decisions: Vec<Decision>,
    mut problems: Vec<Diagnostic>,
    options: &ReadOptions,
    config: &ConfigFile,
) -> Result<Vec<Decision>> {
    if options.strict {
        let guesses = decisions.iter().filter(|decision| decision.guess);
        problems.extend(guesses.map(|guess| guess.refused(Place::file(config.path()))));
    }
    let idle = options.without_meaning(algorithm);
    match ignored(&idle, algorithm, options, config) {
        Ok(ignored) => decisions.extend(ignored),
        Err(refused) => problems.extend(refused),
    }
    let refused = |problem: &Diagnostic| problem.level == Level::Error;
    if problems.iter().any(refused) {
        return Err(problems);
    }
    Ok(decisions)
}

/// Says of options that say nothing about heads of a kind that they are ignored.
///
/// # Errors
/// S001 for each of them, where the options are strict.
pub(crate) fn ignored(
    idle: &[&str],
    algorithm: Algorithm,
    options: &ReadOptions,
    config: &ConfigFile,
) -> Result<Vec<Decision>> {
    let title =
        |option: &str| format!("`{option}` says nothing about a head of kind `{algorithm}`");
    if options.strict && !idle.is_empty() {
        let refused = |option: &&str| {
            Diagnostic::error(codes::USAGE, title(option))
                .at(Place::file(config.path()))
                .help("leave it out, or drop `--strict` to have it ignored")
        };
        return Err(idle.iter().map(refused).collect());
    }
    let told = |option: &&str| Decision::settled(*option, "ignored", title(option));
    Ok(idle.iter().map(told).collect())
}

#[cfg(test)]
mod tests {
    use crate::options::{BlockAnchor, ReadOptions};
    use crate::speculator::Speculator;
    use crate::testing::{Scratch, TinyHead};
    use crate::{codes, diagnostic::Level};

    #[test]
    fn an_option_that_says_nothing_about_a_head_is_reported_and_refused_under_strict() {
        let scratch = Scratch::new();
        let path = TinyHead::speculators().write(&scratch, "head");
        let mut options = ReadOptions {
            dflash_anchor: Some(BlockAnchor::Known),
            norm_before_residual: Some(true),
            ..ReadOptions::default()
        };
        let opened = Speculator::open(&path, None, &options).unwrap();
        let ignored: Vec<&str> = opened
            .decisions()
            .iter()
            .filter(|made| made.value == "ignored")
            .map(|made| made.subject.as_str())
            .collect();
        assert_eq!(ignored, ["--dflash-anchor"]);

        options.strict = true;
        let found = Speculator::open(&path, None, &options).unwrap_err();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(
            (found[0].code, found[0].level),
            (codes::USAGE, Level::Error)
        );
        assert_eq!(
            found[0].title,
            "`--dflash-anchor` says nothing about a head of kind `eagle3`"
        );
    }
}

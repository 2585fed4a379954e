//! A finding about a file: what, where, why (with the numbers) and how to mend it.
//!
//! Wording rules: the title is a fact in the present tense, lower-case start, no full stop, with both numbers where
//! numbers disagree; notes show the arithmetic; help is given only where it will work.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::codes::Code;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth knowing; nothing to do.
    Info,
    /// Loads, but is probably not what was meant.
    Warning,
    /// Will not load, or will give wrong tokens.
    Error,
}

impl Level {
    /// The word shown before the code.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}

/// Where a finding was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file or directory, as the user typed it.
    pub path: PathBuf,
    /// A tensor inside the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tensor: Option<String>,
    /// Line in a text file, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// Column in that line, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
}

impl Place {
    /// A whole file or directory.
    #[must_use]
    pub fn file(path: impl AsRef<Path>) -> Place {
        Place {
            path: path.as_ref().to_path_buf(),
            ..Place::default()
        }
    }

    /// A tensor in a file.
    #[must_use]
    pub fn tensor(path: impl AsRef<Path>, name: impl Into<String>) -> Place {
        Place {
            tensor: Some(name.into()),
            ..Place::file(path)
        }
    }

    /// A position in a text file; line and column count from 1.
    #[must_use]
    pub fn text(path: impl AsRef<Path>, line: usize, column: usize) -> Place {
        Place {
            line: Some(line),
            column: Some(column),
            ..Place::file(path)
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(column) = self.column {
            write!(f, ":{column}")?;
        }
        if let Some(tensor) = &self.tensor {
            write!(f, " ({tensor})")?;
        }
        Ok(())
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Stable code, for `speculators explain` and for pipelines.
    pub code: Code,
    /// How bad it is.
    pub level: Level,
    /// The fact, with both numbers.
    pub title: String,
    /// Where it was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// The arithmetic behind the fact.
    pub notes: Vec<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error with this code.
    #[must_use]
    pub fn error(code: Code, title: impl Into<String>) -> Diagnostic {
        Diagnostic::new(code, Level::Error, title)
    }

    /// A warning with this code.
    #[must_use]
    pub fn warning(code: Code, title: impl Into<String>) -> Diagnostic {
        Diagnostic::new(code, Level::Warning, title)
    }

    /// A piece of information with this code.
    #[must_use]
    pub fn info(code: Code, title: impl Into<String>) -> Diagnostic {
        Diagnostic::new(code, Level::Info, title)
    }

    fn new(code: Code, level: Level, title: impl Into<String>) -> Diagnostic {
        Diagnostic {
            code,
            level,
            title: printable(title.into()),
            place: None,
            notes: Vec::new(),
            help: None,
        }
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, place: Place) -> Diagnostic {
        self.place = Some(place);
        self
    }

    /// Adds a line of arithmetic or context.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Diagnostic {
        self.notes.push(printable(note.into()));
        self
    }

    /// Says how to mend it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(printable(help.into()));
        self
    }
}

/// Text with control characters written out: much of it was found in files from strangers, and none of it is to reach a
/// terminal as a command.
fn printable(text: String) -> String {
    let hostile = |letter: char| letter.is_control() && letter != '\n';
    if !text.contains(hostile) {
        return text;
    }
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if hostile(letter) {
            shown.extend(letter.escape_debug());
        } else {
            shown.push(letter);
        }
    }
    shown
}

impl From<Diagnostic> for Vec<Diagnostic> {
    fn from(diagnostic: Diagnostic) -> Self {
        vec![diagnostic]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_found_in_a_file_reaches_the_terminal_as_a_command() {
        let found = Diagnostic::error(crate::codes::USAGE, "`\u{1b}[2J` is\u{7} a name")
            .note("first line\nsecond\u{9b}31m line")
            .help("\u{1b}]0;title\u{7}");
        assert_eq!(found.title, "`\\u{1b}[2J` is\\u{7} a name");
        assert_eq!(found.notes, ["first line\nsecond\\u{9b}31m line"]);
        assert_eq!(found.help.as_deref(), Some("\\u{1b}]0;title\\u{7}"));
    }
}

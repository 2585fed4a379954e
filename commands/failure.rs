//! How a command can end.

use std::io;
use std::process::ExitCode;

use speculators::Error;
use speculators_formats::Diagnostic;

/// Exit status, the same for every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done; or the answer is yes.
    Yes = 0,
    /// Done, and the answer is no.
    No = 1,
    /// It could not be done.
    Trouble = 2,
    /// Stopped by the user.
    Interrupted = 130,
}

/// Why a command stopped before its end.
#[derive(Debug)]
pub enum Failure {
    /// Findings to show.
    Diagnostics(Vec<Diagnostic>),
    /// Anything else, with its chain of causes.
    Other(anyhow::Error),
    /// The reader of our output went away, which is its right.
    BrokenPipe,
    /// Ctrl-C.
    Interrupted,
}

/// What a command returns.
pub type Outcome = Result<Exit, Failure>;

impl Failure {
    /// Ends the program before a session exists to show anything nicely.
    pub fn without_session(self) -> ExitCode {
        let text = match self {
            Failure::Other(error) => format!("{error:#}"),
            other => format!("{other:?}"),
        };
        anstream::eprintln!("error: {text}");
        Exit::Trouble.into()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::Diagnostics(diagnostics) => Failure::Diagnostics(diagnostics),
            Error::Interrupted => Failure::Interrupted,
            Error::Kernel(error) => Failure::Other(error.into()),
        }
    }
}

impl From<Vec<Diagnostic>> for Failure {
    fn from(diagnostics: Vec<Diagnostic>) -> Failure {
        Failure::Diagnostics(diagnostics)
    }
}

impl From<Diagnostic> for Failure {
    fn from(diagnostic: Diagnostic) -> Failure {
        Failure::Diagnostics(vec![diagnostic])
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Failure::BrokenPipe
        } else {
            Failure::Other(error.into())
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Failure {
        if error.is_io() {
            io::Error::from(error).into()
        } else {
            Failure::Other(error.into())
        }
    }
}

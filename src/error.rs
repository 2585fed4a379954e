//! What can go wrong in the library.

use speculators_formats::Diagnostic;

/// Trouble, ready to be shown: either findings about the user's files, or a fault of the computation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Findings about files, prompts or configs.
    #[error("{}", titles(.0))]
    Diagnostics(Vec<Diagnostic>),
    /// An operation was given buffers that do not fit each other.
    #[error(transparent)]
    Kernel(#[from] speculators_kernels::Error),
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// Result of the library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<Vec<Diagnostic>> for Error {
    fn from(diagnostics: Vec<Diagnostic>) -> Error {
        Error::Diagnostics(diagnostics)
    }
}

impl From<Diagnostic> for Error {
    fn from(diagnostic: Diagnostic) -> Error {
        Error::Diagnostics(vec![diagnostic])
    }
}

fn titles(diagnostics: &[Diagnostic]) -> String {
    let titles: Vec<&str> = diagnostics
        .iter()
        .map(|diagnostic| diagnostic.title.as_str())
        .collect();
    titles.join("; ")
}

//! `speculators schema`: the forms of what an evaluation writes.

use std::io::Write;

use clap::{Args, ValueEnum};
use speculators::evaluation::Document;

use crate::failure::{Exit, Outcome};
use crate::session::Session;

/// Print the JSON schema of a report
///
/// Keys may be added under the same schema name; a key that changes its meaning or goes gives it another version.
/// Readers should ignore keys that they do not know.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  speculators schema report
  speculators schema records > records.schema.json")]
pub struct SchemaArguments {
    /// What to print the schema of
    #[arg(value_enum)]
    pub document: DocumentName,
}

/// What there is a schema of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DocumentName {
    /// What `eval --format json` prints
    Report,
    /// A line of what `eval --records` writes
    Records,
    /// What `eval --compare A B --format json` prints
    Comparison,
}

/// Runs the command.
pub fn run(arguments: &SchemaArguments, session: &Session) -> Outcome {
    let document = match arguments.document {
        DocumentName::Report => Document::Report,
        DocumentName::Records => Document::Records,
        DocumentName::Comparison => Document::Comparison,
    };
    write!(session.stdout(), "{}", document.text()?)?;
    Ok(Exit::Yes)
}

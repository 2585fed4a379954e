//! `speculators validate`: will it load, and will it accept tokens?

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use speculators_formats::Level;
use speculators_formats::validate::{ValidateOptions, Verdict, validate};

use crate::arguments::Format;
use crate::failure::{Exit, Outcome};
use crate::render;
use crate::session::Session;
use crate::tables;

/// Check that a head will load and can accept tokens
///
/// Exit status: 0 valid, 1 not valid, 2 could not tell.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  speculators validate converted
  speculators validate converted --verifier VERIFIER --deny warnings
  speculators validate converted --format json | jq '.diagnostics[].code'")]
pub struct ValidateArguments {
    /// Directory of the head
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Directory of the verifier it is to run with
    #[arg(long, value_name = "DIR")]
    pub verifier: Option<PathBuf>,
    /// Do not look at the values of the weights
    #[arg(long)]
    pub no_scan: bool,
    /// Findings that make the checkpoint not valid, besides errors
    #[arg(long, value_enum, value_name = "KIND")]
    pub deny: Option<Deny>,
    /// Form of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// What `--deny` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Deny {
    /// Warnings count as errors
    Warnings,
}

/// Runs the command.
pub fn run(arguments: &ValidateArguments, session: &Session) -> Outcome {
    let options = ValidateOptions {
        deny_warnings: arguments.deny == Some(Deny::Warnings),
        skip_values: arguments.no_scan,
        ..ValidateOptions::default()
    };
    let report = validate(
        &arguments.directory,
        arguments.verifier.as_deref(),
        &options,
    );
    match arguments.format {
        Format::Json => session.print_json(&report)?,
        Format::Text => {
            let mut stdout = session.stdout();
            for diagnostic in &report.diagnostics {
                writeln!(stdout, "{}\n", render::diagnostic(diagnostic))?;
            }
            let verdict = match report.verdict {
                Verdict::Valid => "valid",
                Verdict::NotValid => "not valid",
                Verdict::CouldNotTell => "could not tell",
            };
            writeln!(
                stdout,
                "{}: {verdict} ({}, {}; values of {} of {} tensors read, {})",
                arguments.directory.display(),
                counted(report.count(Level::Error), "error"),
                counted(report.count(Level::Warning), "warning"),
                report.tensors_scanned,
                report.tensors,
                tables::bytes(report.bytes_scanned)
            )?;
        }
    }
    Ok(match report.verdict {
        Verdict::Valid => Exit::Yes,
        Verdict::NotValid => Exit::No,
        Verdict::CouldNotTell => Exit::Trouble,
    })
}

/// A count with its noun.
fn counted(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}

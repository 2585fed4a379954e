//! `speculators diff`: what two checkpoints have in common, and what not.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use speculators_formats::diff::{DiffOptions, Scope, Verdict, diff};

use crate::arguments::Format;
use crate::failure::{Exit, Failure, Outcome};
use crate::models::{self, Need};
use crate::progress;
use crate::session::Session;

mod screen;

/// Show what differs between two checkpoints
///
/// The two may have different layouts: heads are compared by what their configs mean and by what their tensors are, not by how
/// either is spelled. Verifiers and other directories with weights are compared by names.
///
/// Exit status: 0 same meaning and same weights, 1 different, 2 could not compare.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  speculators diff HEAD converted
  speculators diff HEAD converted --verifier VERIFIER
  speculators diff before after --tolerance 1e-3
  speculators diff before after --weights-only --tensors
  speculators diff HEAD converted --format json | jq .reasons")]
pub struct DiffArguments {
    /// Directory of the one checkpoint
    #[arg(value_name = "A")]
    pub a: PathBuf,
    /// Directory of the other
    #[arg(value_name = "B")]
    pub b: PathBuf,
    /// Directory of the verifier of both; settles what a head leaves to it, and knows its own tensors in a head
    #[arg(long, value_name = "DIR")]
    pub verifier: Option<PathBuf>,
    /// Take tensors for equal whose difference has at most this share of their norm, in whatever dtype [default: only
    /// equal bytes]
    #[arg(long, value_name = "X")]
    pub tolerance: Option<f64>,
    /// Compare descriptions and configs, not the weights
    #[arg(long, conflicts_with = "weights_only")]
    pub config_only: bool,
    /// Compare the weights, not the configs
    #[arg(long)]
    pub weights_only: bool,
    /// List all tensors and all config keys, also those that are equal
    #[arg(long)]
    pub tensors: bool,
    /// Form of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Runs the command.
pub fn run(arguments: DiffArguments, session: &Session) -> Outcome {
    let format = arguments.format;
    compare(arguments, session).map_err(|failure| session.report_trouble(format, failure))
}

fn compare(mut arguments: DiffArguments, session: &Session) -> Outcome {
    models::localize(&mut arguments.a, Need::Everything, session)?;
    models::localize(&mut arguments.b, Need::Everything, session)?;
    models::localize_some(&mut arguments.verifier, Need::Config, session)?;
    let options = DiffOptions {
        verifier: arguments.verifier,
        tolerance: arguments.tolerance,
        scope: match (arguments.config_only, arguments.weights_only) {
            (true, _) => Scope::Config,
            (_, true) => Scope::Weights,
            _ => Scope::Everything,
        },
    };
    let compared = progress::over_bytes(session, "comparing", |step| {
        diff(&arguments.a, &arguments.b, &options, step)
    });
    let comparison = compared?.ok_or(Failure::Interrupted)?;
    match arguments.format {
        Format::Json => session.print_json(&comparison)?,
        Format::Text => {
            let mut stdout = session.stdout();
            for section in screen::sections(&comparison, arguments.tensors) {
                writeln!(stdout, "{section}\n")?;
            }
            writeln!(stdout, "{}", screen::summary(&comparison))?;
            for side in [&comparison.a, &comparison.b] {
                if !side.diagnostics.is_empty() {
                    writeln!(stdout)?;
                    session.show(&side.diagnostics);
                }
            }
        }
    }
    Ok(match comparison.verdict {
        Verdict::Equal => Exit::Yes,
        Verdict::Different => Exit::No,
    })
}

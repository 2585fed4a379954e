//! Everything that can be typed. What it means is decided in the command files.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::completions::CompletionsArguments;
use crate::convert::ConvertArguments;
use crate::diff::DiffArguments;
use crate::doctor::DoctorArguments;
use crate::eval::EvalArguments;
use crate::explain::ExplainArguments;
use crate::generate::GenerateArguments;
use crate::init::InitArguments;
use crate::inspect::InspectArguments;
use crate::probe::ProbeArguments;
use crate::pull::PullArguments;
use crate::push::PushArguments;
use crate::schema::SchemaArguments;
use crate::stitch_mtp::StitchMtpArguments;
use crate::validate::ValidateArguments;
use crate::vocab::VocabArguments;

/// Convert, validate and evaluate speculative-decoding heads
///
/// Takes a speculative-decoding head (EAGLE-3 first) from raw weights to a checkpoint that is converted, checked and
/// measured, in the format that vLLM serves. Answers go to stdout, talk goes to stderr.
#[derive(Debug, Parser)]
#[command(name = "speculators", version, max_term_width = 88, after_long_help = AFTER_HELP)]
pub struct Arguments {
    /// Options that every command takes.
    #[command(flatten)]
    pub global: GlobalArguments,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "\
Exit status:
  0    done, or the answer is yes
  1    done, and the answer is no (`validate` found errors, `diff` a difference, `eval`
       a mismatch or a metric under its limit)
  2    it could not be done (usage, missing or malformed input, unwritable output)
  130  interrupted

Examples:
  speculators eval --demo
  speculators convert yuhuili-head --verifier Llama-3.1-8B-Instruct --output-path converted
  speculators validate converted --verifier Llama-3.1-8B-Instruct
  speculators explain S404";

/// Options that every command takes.
#[derive(Args, Debug)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArguments {
    /// Say less; twice silences warnings too
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub quiet: u8,
    /// Say more
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// When to use colors
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Color::Auto)]
    pub color: Color,
    /// Draw no progress bars
    #[arg(long, global = true)]
    pub no_progress: bool,
    /// Do not ask the Hub; use what its cache holds
    #[arg(long, global = true)]
    pub offline: bool,
    /// Take options from a file: a YAML mapping of long names to values; what is typed wins over it
    #[arg(long, global = true, value_name = "FILE.yaml")]
    pub config: Option<PathBuf>,
    /// Print every option's value and where it comes from, and run nothing
    #[arg(long, global = true)]
    pub show_config: bool,
}

/// When to use colors.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Color {
    /// Where the stream is a terminal and the environment does not object
    Auto,
    /// Everywhere
    Always,
    /// Nowhere
    Never,
}

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// The subcommands; their help stands at their arguments.
#[derive(Debug, Subcommand)]
pub enum Command {
    Pull(PullArguments),
    Vocab(VocabArguments),
    Init(Box<InitArguments>),
    Convert(ConvertArguments),
    StitchMtp(StitchMtpArguments),
    Validate(ValidateArguments),
    Inspect(InspectArguments),
    Diff(DiffArguments),
    Eval(Box<EvalArguments>),
    Probe(ProbeArguments),
    Generate(Box<GenerateArguments>),
    Push(PushArguments),
    Doctor(DoctorArguments),
    Explain(ExplainArguments),
    Schema(SchemaArguments),
    Completions(CompletionsArguments),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_argument_has_help_and_the_definitions_hold_together() {
        let mut command = Arguments::command().help_expected(true);
        command.build();
        command.debug_assert();
    }

    #[test]
    fn first_lines_of_help_are_short_and_end_without_full_stop() {
        for command in Arguments::command().get_subcommands() {
            let about = command.get_about().unwrap().to_string();
            assert!(
                about.len() <= 72 && !about.ends_with('.'),
                "{}: {about}",
                command.get_name()
            );
        }
    }
}

//! `speculators validate`: will it load, and will it accept tokens?

mod github;
mod junit;
mod location;
mod sarif;
mod text;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;
use speculators_formats::codes::{self, Code};
use speculators_formats::validate::runtime::Runtime;
use speculators_formats::validate::{ValidateOptions, ValidationReport, Verdict, validate_until};
use speculators_formats::{Diagnostic, Level, Place};

use crate::arguments::Format;
use crate::failure::{Exit, Failure, Outcome};
use crate::models::{self, Need};
use crate::output::OutputFile;
use crate::progress;
use crate::session::Session;

/// Check that a head will load and can accept tokens
///
/// Several checkpoints are judged one by one and reported together. Exit status: 0 valid, 1 not valid, 2 could not tell;
/// for several, 1 if one of them is not valid, else 2 if one could not be judged.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  speculators validate converted
  speculators validate converted --verifier VERIFIER --deny warnings
  speculators validate converted --verifier VERIFIER --for vllm
  speculators validate heads/* --format junit --output validate.xml
  speculators validate converted --format json | jq '.diagnostics[].code'")]
pub struct ValidateArguments {
    /// Directory of the head, or several
    #[arg(value_name = "DIR", required = true)]
    pub directories: Vec<PathBuf>,
    /// Directory of the verifier it is to run with
    #[arg(long, value_name = "DIR")]
    pub verifier: Option<PathBuf>,
    /// Say whether this runtime will load it, what it assumes, and how to serve it
    #[arg(long = "for", value_enum, value_name = "RUNTIME")]
    pub runtime: Option<RuntimeName>,
    /// Do not look at the values of the weights
    #[arg(long)]
    pub no_scan: bool,
    /// Findings that make the checkpoint not valid, besides errors: `warnings`, or codes
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = deny)]
    pub deny: Vec<Deny>,
    /// Findings to leave out, by code; they are counted
    #[arg(long, value_name = "CODE", value_delimiter = ',', value_parser = code)]
    pub allow: Vec<Code>,
    /// Form of the report
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub format: ReportFormat,
    /// Write the report to a file, and one line per checkpoint to stderr
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Replace the file if it exists
    #[arg(long, requires = "output")]
    pub force: bool,
}

/// The form of this command's report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people
    Text,
    /// For programs
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// `JUnit` XML, for test reports
    Junit,
    /// Workflow commands, for annotations in GitHub Actions
    Github,
}

/// Runtimes whose behaviour is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RuntimeName {
    /// vLLM 0.32
    Vllm,
    /// SGLang 0.5.23
    Sglang,
    /// llama.cpp 0.5.0
    #[value(name = "llama.cpp")]
    LlamaCpp,
}

/// What `--deny` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deny {
    /// Warnings count as errors.
    Warnings,
    /// Findings of this code are errors.
    Code(Code),
}

fn deny(text: &str) -> Result<Deny, String> {
    if text == "warnings" {
        return Ok(Deny::Warnings);
    }
    let code = code(text).map_err(|error| format!("{error}, nor is it `warnings`"))?;
    Ok(Deny::Code(code))
}

fn code(text: &str) -> Result<Code, String> {
    text.parse()
        .map_err(|error: codes::UnknownCode| error.to_string())
}

/// What was found about all checkpoints of a run.
struct Findings {
    reports: Vec<ValidationReport>,
    deny_warnings: bool,
}

impl Findings {
    fn verdict(&self) -> Verdict {
        Verdict::worst(self.reports.iter().map(|report| report.verdict))
    }

    /// Whether a finding makes its checkpoint not valid.
    fn counts(&self, finding: &Diagnostic) -> bool {
        finding.level == Level::Error || self.deny_warnings && finding.level == Level::Warning
    }
}

/// The JSON report on several checkpoints; on one it is the report itself.
#[derive(Serialize)]
struct Several<'a> {
    schema: &'static str,
    verdict: Verdict,
    reports: &'a [ValidationReport],
}

/// Runs the command.
pub fn run(mut arguments: ValidateArguments, session: &Session) -> Outcome {
    localize(&mut arguments, session)
        .and_then(|()| judge(&arguments, session))
        .map_err(|failure| match arguments.format {
            ReportFormat::Json => session.report_trouble(Format::Json, failure),
            _ => failure,
        })
}

fn localize(arguments: &mut ValidateArguments, session: &Session) -> Result<(), Failure> {
    for directory in &mut arguments.directories {
        models::localize(directory, Need::Everything, session)?;
    }
    models::localize_some(&mut arguments.verifier, Need::Config, session)
}

/// A report never takes the place of a file it is about.
fn not_over_input(arguments: &ValidateArguments) -> Result<(), Failure> {
    let real = |path: &Path| fs_err::canonicalize(path).ok();
    let Some(goal) = arguments.output.as_deref().and_then(real) else {
        return Ok(());
    };
    let inputs = arguments.directories.iter().chain(&arguments.verifier);
    let over = inputs
        .filter_map(|input| real(input))
        .any(|input| goal == input || goal.parent() == Some(&input));
    if !over {
        return Ok(());
    }
    Err(Diagnostic::error(
        codes::OUTPUT_EXISTS,
        "the report would replace a file of a checkpoint it is about",
    )
    .at(Place::file(&goal))
    .note("it is never written to, even with `--force`")
    .help("name another file")
    .into())
}

fn judge(arguments: &ValidateArguments, session: &Session) -> Outcome {
    let options = options(arguments)?;
    not_over_input(arguments)?;
    // Trouble with the file is found before the weights are read.
    let file = match &arguments.output {
        Some(goal) => Some(OutputFile::create(goal, arguments.force)?),
        None => None,
    };
    let mut findings = Findings {
        reports: Vec::new(),
        deny_warnings: options.deny_warnings,
    };
    for directory in &arguments.directories {
        let report = validate(directory, arguments, &options, session)?;
        findings.reports.push(report);
    }
    match file {
        Some(mut file) => {
            let mut report = Vec::new();
            write(&findings, arguments.format, &mut report)?;
            // A file is never a terminal.
            let report = String::from_utf8_lossy(&report);
            write!(file, "{}", anstream::adapter::strip_str(&report))?;
            file.finish()?;
            for report in &findings.reports {
                session.say(&text::verdict(report));
            }
        }
        None => write(&findings, arguments.format, &mut session.stdout())?,
    }
    Ok(match findings.verdict() {
        Verdict::Valid => Exit::Yes,
        Verdict::NotValid => Exit::No,
        Verdict::CouldNotTell => Exit::Trouble,
    })
}

fn options(arguments: &ValidateArguments) -> Result<ValidateOptions, Failure> {
    let denied = arguments.deny.iter().filter_map(|deny| match deny {
        Deny::Warnings => None,
        Deny::Code(code) => Some(*code),
    });
    let denied: Vec<Code> = denied.collect();
    if let Some(both) = denied.iter().find(|code| arguments.allow.contains(code)) {
        let title = format!("{both} is both denied and allowed");
        return Err(Diagnostic::error(codes::USAGE, title).into());
    }
    Ok(ValidateOptions {
        deny_warnings: arguments.deny.contains(&Deny::Warnings),
        skip_values: arguments.no_scan,
        deny: denied,
        allow: arguments.allow.clone(),
        runtime: arguments.runtime.map(|runtime| match runtime {
            RuntimeName::Vllm => Runtime::Vllm,
            RuntimeName::Sglang => Runtime::Sglang,
            RuntimeName::LlamaCpp => Runtime::LlamaCpp,
        }),
        ..ValidateOptions::default()
    })
}

/// Judges one checkpoint, with a bar over the bytes of its weights.
fn validate(
    directory: &Path,
    arguments: &ValidateArguments,
    options: &ValidateOptions,
    session: &Session,
) -> Result<ValidationReport, Failure> {
    let verifier = arguments.verifier.as_deref();
    let report = progress::over_bytes(session, "validating", |step| {
        validate_until(directory, verifier, options, step)
    });
    report.ok_or(Failure::Interrupted)
}

fn write(
    findings: &Findings,
    format: ReportFormat,
    output: &mut impl Write,
) -> Result<(), Failure> {
    match format {
        ReportFormat::Text => text::write(findings, output),
        ReportFormat::Github => github::write(findings, output),
        ReportFormat::Junit => junit::write(findings, output),
        ReportFormat::Sarif => sarif::write(findings, output),
        ReportFormat::Json => {
            match findings.reports.as_slice() {
                [only] => serde_json::to_writer_pretty(&mut *output, only)?,
                several => serde_json::to_writer_pretty(
                    &mut *output,
                    &Several {
                        schema: "speculators.validate-all/1",
                        verdict: findings.verdict(),
                        reports: several,
                    },
                )?,
            }
            Ok(writeln!(output)?)
        }
    }
}

//! `speculators stitch-mtp`: a finetuned MTP head, back into its verifier.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use clap::Args;
use serde::Serialize;
use speculators_formats::head::Dropped;
use speculators_formats::mtp::stitch::{
    StitchFile, StitchPlan, StitchReport, StitchRequest, StitchRow, plan,
};

use crate::arguments::Format;
use crate::failure::{Exit, Failure, Outcome};
use crate::models::{self, Need};
use crate::progress;
use crate::session::Session;
use crate::tables;

/// Put a finetuned MTP head back into its verifier
///
/// Copies the verifier's directory with the bytes of its MTP layer exchanged for those of the head: under the names, in the
/// shapes and dtypes the verifier has, and with experts stored as it stores them. Every other byte stays as it is. The
/// result is a verifier that runtimes draft with as it stands. The output takes its name when it is complete.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  speculators stitch-mtp finetuned Qwen3-Next-80B-A3B-Instruct
  speculators stitch-mtp finetuned VERIFIER --output-path stitched
  speculators stitch-mtp finetuned VERIFIER --dry-run
  vllm serve stitched --speculative-config '{\"method\": \"mtp\", \"num_speculative_tokens\": 3}'")]
pub struct StitchMtpArguments {
    /// Directory of the head, in the speculators layout
    #[arg(value_name = "SPECULATOR")]
    pub speculator: PathBuf,
    /// Directory of the verifier the head was taken from
    #[arg(value_name = "VERIFIER")]
    pub verifier: PathBuf,
    /// Where to write the verifier [default: its name and `-stitched`, here]
    #[arg(long, short = 'o', value_name = "DIR")]
    pub output_path: Option<PathBuf>,
    /// Show the plan and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Replace the output if it exists
    #[arg(long)]
    pub force: bool,
    /// Form of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Runs the command.
pub fn run(arguments: StitchMtpArguments, session: &Session) -> Outcome {
    let format = arguments.format;
    stitch(arguments, session).map_err(|failure| session.report_trouble(format, failure))
}

fn stitch(mut arguments: StitchMtpArguments, session: &Session) -> Outcome {
    let beside = beside(&arguments.verifier);
    models::localize(&mut arguments.speculator, Need::Everything, session)?;
    models::localize(&mut arguments.verifier, Need::Everything, session)?;
    let request = StitchRequest {
        speculator: arguments.speculator,
        verifier: arguments.verifier,
        output: arguments.output_path.unwrap_or(beside),
        force: arguments.force,
    };
    let plan = plan(&request)?;
    if arguments.dry_run {
        match arguments.format {
            Format::Json => session.print_json(&PlanReport {
                schema: "speculators.stitch-plan/1",
                output: plan.output(),
                rows: plan.rows(),
                files: plan.files(),
                dropped: plan.dropped(),
            })?,
            Format::Text => show_plan(&plan, &mut session.stdout())?,
        }
        return Ok(Exit::Yes);
    }
    let report = write(&plan, session)?;
    match arguments.format {
        Format::Json => session.print_json(&StitchingReport {
            schema: "speculators.stitch/1",
            report: &report,
        })?,
        Format::Text => show_report(&report, &mut session.stdout())?,
    }
    Ok(Exit::Yes)
}

/// `{name of the verifier}-stitched` in the working directory, as the Python package has it.
fn beside(verifier: &Path) -> PathBuf {
    let real = std::path::absolute(verifier).unwrap_or_else(|_| verifier.to_path_buf());
    let name = real.file_name().unwrap_or_default().to_string_lossy();
    PathBuf::from(format!("{name}-stitched"))
}

fn write(plan: &StitchPlan, session: &Session) -> Result<StitchReport, Failure> {
    let written = progress::over_bytes(session, "stitching", |step| plan.write_until(step));
    match written {
        Err(_) if session.cancelled().load(Ordering::Relaxed) => Err(Failure::Interrupted),
        written => Ok(written?),
    }
}

#[derive(Serialize)]
struct StitchingReport<'a> {
    schema: &'static str,
    #[serde(flatten)]
    report: &'a StitchReport,
}

/// What `--dry-run` reports.
#[derive(Serialize)]
struct PlanReport<'a> {
    schema: &'static str,
    output: &'a Path,
    rows: &'a [StitchRow],
    files: &'a [StitchFile],
    dropped: &'a [Dropped],
}

fn show_plan(plan: &StitchPlan, output: &mut impl Write) -> Result<(), Failure> {
    let mut table = tables::plain(&["source", "destination", "file", "dtype", "shape"]);
    for row in plan.rows() {
        table.add_row([
            row.source.clone(),
            row.destination.clone(),
            row.file.display().to_string(),
            row.dtype.to_string(),
            format!("{:?}", row.shape),
        ]);
    }
    writeln!(output, "{}", table.trim_fmt())?;
    show_dropped(plan.dropped(), output)?;
    let files = plan.files().len();
    let bytes = tables::bytes(plan.total_bytes());
    writeln!(
        output,
        "would write {files} files, {bytes}, to {}",
        plan.output().display()
    )?;
    Ok(())
}

fn show_report(report: &StitchReport, output: &mut impl Write) -> Result<(), Failure> {
    show_dropped(&report.dropped, output)?;
    let changed = report.rows.iter().filter(|row| row.changed).count();
    let rewritten = report.files.iter().filter(|file| file.exchanged > 0);
    writeln!(
        output,
        "exchanged {} tensors in {} of {} files; {changed} of them differ from the verifier's",
        report.rows.len(),
        rewritten.count(),
        report.files.len()
    )?;
    writeln!(
        output,
        "wrote {} to {}",
        tables::bytes(report.bytes),
        report.output.display()
    )?;
    Ok(())
}

fn show_dropped(dropped: &[Dropped], output: &mut impl Write) -> Result<(), Failure> {
    for dropped in dropped {
        writeln!(output, "dropped {}: {}", dropped.name, dropped.reason)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_output_is_named_after_the_verifier() {
        for (verifier, output) in [
            ("models/tiny", "tiny-stitched"),
            ("models/tiny/", "tiny-stitched"),
            ("/models/tiny", "tiny-stitched"),
        ] {
            assert_eq!(beside(Path::new(verifier)), Path::new(output));
        }
        assert_ne!(beside(Path::new(".")), Path::new("-stitched"));
    }
}

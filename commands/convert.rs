//! `speculators convert`: any known layout of an EAGLE-3 head to the speculators layout.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use clap::{Args, ValueEnum};
use serde::Serialize;
use speculators_formats::Decision;
use speculators_formats::convert::{ConvertReport, ConvertRequest, Plan, Row, plan};
use speculators_formats::head::Dropped;

use crate::arguments::Format;
use crate::failure::{Exit, Failure, Outcome};
use crate::progress;
use crate::resolve::ResolveArguments;
use crate::session::Session;
use crate::tables;

/// Rewrite a head in the layout that vLLM serves
///
/// Each source tensor is consumed or dropped by name, each tensor of the result is filled, and what the source leaves
/// open is resolved aloud. Weights are copied bit for bit. The output takes its name when it is complete and validated.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  speculators convert HEAD --verifier VERIFIER --output-path converted
  speculators convert HEAD --verifier VERIFIER --dry-run
  speculators convert HEAD --verifier VERIFIER --aux-layers 2,16,29 --strict
  speculators convert HEAD --verifier VERIFIER --algorithm eagle3 \\
      --algorithm-kwargs '{\"norm_before_residual\": true}'")]
pub struct ConvertArguments {
    /// Directory of the head
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// Directory of the verifier; its config is read, its weights are not
    #[arg(long, value_name = "DIR")]
    pub verifier: PathBuf,
    /// Kind of head; recognized from the tensors where it is left out
    #[arg(long, value_enum)]
    pub algorithm: Option<Algorithm>,
    /// Where to write the converted checkpoint
    #[arg(long, short = 'o', value_name = "DIR", default_value = "converted")]
    pub output_path: PathBuf,
    /// Options as a JSON object, in the spelling of the Python package
    #[arg(long, value_name = "JSON")]
    pub algorithm_kwargs: Option<String>,
    /// Accepted for scripts that pass it; the output is always validated, on the CPU
    #[arg(long, value_name = "DEVICE", hide_short_help = true)]
    pub validate_device: Option<String>,
    /// What the output calls its verifier [default: the path given]
    #[arg(long, value_name = "NAME")]
    pub verifier_name: Option<String>,
    /// Draft tokens per step that the output asks for [default: 3]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u16).range(1..))]
    pub num_speculative_tokens: Option<u16>,
    /// How to read what the source leaves open.
    #[command(flatten)]
    pub resolve: ResolveArguments,
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

/// Kinds of heads this version converts.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Algorithm {
    /// EAGLE-3
    Eagle3,
}

/// Runs the command.
pub fn run(arguments: ConvertArguments, session: &Session) -> Outcome {
    let format = arguments.format;
    convert(arguments, session).map_err(|failure| session.report_trouble(format, failure))
}

fn convert(mut arguments: ConvertArguments, session: &Session) -> Outcome {
    if let Some(json) = arguments.algorithm_kwargs.take() {
        arguments.resolve.merge_keyword_arguments(&json)?;
    }
    let request = ConvertRequest {
        source: arguments.model.clone(),
        verifier: arguments.verifier.clone(),
        verifier_name: arguments
            .verifier_name
            .clone()
            .unwrap_or_else(|| arguments.verifier.display().to_string()),
        output: arguments.output_path.clone(),
        options: arguments.resolve.options(),
        speculative_tokens: arguments.num_speculative_tokens.map(usize::from),
        force: arguments.force,
    };
    let plan = plan(&request)?;
    if arguments.dry_run {
        match arguments.format {
            Format::Json => session.print_json(&PlanReport::of(&plan))?,
            Format::Text => {
                show_decisions(&plan, &mut session.stdout())?;
                show_plan(&plan, &mut session.stdout())?;
            }
        }
        return Ok(Exit::Yes);
    }
    let report = write(&plan, session)?;
    match arguments.format {
        Format::Json => session.print_json(&ConversionReport {
            schema: "speculators.convert/1",
            report: &report,
        })?,
        Format::Text => {
            let mut stdout = session.stdout();
            show_decisions(&plan, &mut stdout)?;
            for dropped in &report.dropped {
                writeln!(stdout, "dropped {}: {}", dropped.name, dropped.reason)?;
            }
            let (tensors, bytes) = (report.rows.len(), tables::bytes(report.bytes));
            writeln!(
                stdout,
                "wrote {tensors} tensors, {bytes}, to {}",
                report.output.display()
            )?;
        }
    }
    Ok(Exit::Yes)
}

fn write(plan: &Plan, session: &Session) -> Result<ConvertReport, Failure> {
    let bar = progress::bytes_bar(
        session,
        plan.rows().iter().map(|row| row.bytes).sum(),
        "converting",
    );
    let cancelled = session.cancelled();
    let written = plan.write_until(&mut |done, _total| {
        bar.set_position(done);
        if cancelled.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    bar.finish_and_clear();
    match written {
        Err(_) if cancelled.load(Ordering::Relaxed) => Err(Failure::Interrupted),
        written => Ok(written?),
    }
}

#[derive(Serialize)]
struct ConversionReport<'a> {
    schema: &'static str,
    #[serde(flatten)]
    report: &'a ConvertReport,
}

/// What `--dry-run` reports.
#[derive(Serialize)]
struct PlanReport<'a> {
    schema: &'static str,
    rows: &'a [Row],
    dropped: &'a [Dropped],
    decisions: &'a [Decision],
}

impl PlanReport<'_> {
    fn of(plan: &Plan) -> PlanReport<'_> {
        PlanReport {
            schema: "speculators.plan/1",
            rows: plan.rows(),
            dropped: plan.dropped(),
            decisions: plan.decisions(),
        }
    }
}

fn show_decisions(plan: &Plan, output: &mut impl Write) -> Result<(), Failure> {
    if !plan.decisions().is_empty() {
        writeln!(output, "{}\n", tables::decisions(plan.decisions()))?;
    }
    Ok(())
}

fn show_plan(plan: &Plan, output: &mut impl Write) -> Result<(), Failure> {
    let mut table = tables::plain(&["source", "destination", "dtype", "shape"]);
    for row in plan.rows() {
        table.add_row([
            row.source.as_deref().unwrap_or("(built)").to_owned(),
            row.destination.clone(),
            row.dtype.to_string(),
            format!("{:?}", row.shape),
        ]);
    }
    for dropped in plan.dropped() {
        table.add_row([
            dropped.name.clone(),
            format!("(dropped: {})", dropped.reason),
            String::new(),
            String::new(),
        ]);
    }
    writeln!(output, "{}", table.trim_fmt())?;
    Ok(())
}

//! `speculators convert`: any known layout of a head to any other.

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use clap::{Args, ValueEnum};
use serde::Serialize;
use speculators_formats::convert::{
    ConvertReport, ConvertRequest, Embedding, FcBias, Plan, Row, Target, plan,
};
use speculators_formats::head::Dropped;
use speculators_formats::verifier::FloatType;
use speculators_formats::{Algorithm, Decision};

use crate::arguments::Format;
use crate::failure::{Exit, Failure, Outcome};
use crate::models::{self, Need};
use crate::progress;
use crate::resolve::ResolveArguments;
use crate::session::Session;
use crate::tables;

/// Rewrite a head in the layout that vLLM serves, or in another
///
/// Each source tensor is consumed or dropped by name, each tensor of the result is filled, and what the source leaves
/// open is resolved aloud. Weights are copied bit for bit. What the target cannot say is refused, never left out. The
/// output takes its name when it is complete and validated.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  speculators convert HEAD --verifier VERIFIER --output-path converted
  speculators convert HEAD --verifier VERIFIER --dry-run
  speculators convert HEAD --verifier VERIFIER --aux-layers 2,16,29 --strict
  speculators convert HEAD --verifier VERIFIER --to sglang --output-path for-sglang
  speculators convert HEAD --verifier VERIFIER --algorithm eagle3 \\
      --algorithm-kwargs '{\"norm_before_residual\": true}'")]
pub struct ConvertArguments {
    /// Directory of the head, a GGUF file, or the verifier that an MTP layer lies in
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// Directory of the verifier; its config is read, for `--embed verifier` its weights and for `--to gguf` its tokenizer
    #[arg(long, value_name = "DIR")]
    pub verifier: PathBuf,
    /// Layout to write
    #[arg(long, value_enum, value_name = "LAYOUT", default_value_t = To::Speculators)]
    pub to: To,
    /// Kind of head; recognized from the tensors where it is left out
    #[arg(long, value_parser = algorithm, value_name = "KIND")]
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
    /// Draft tokens per step that the output asks for [default: as in the source, else 3 or a whole block]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u16).range(1..))]
    pub num_speculative_tokens: Option<u16>,
    /// Dtype of the weights in the output [default: as in the source]
    #[arg(long, value_enum, value_name = "DTYPE")]
    pub dtype: Option<Dtype>,
    /// The embedding: the head's own if it has one, the verifier's, or none
    #[arg(long, value_enum, value_name = "WHOSE", default_value_t = Embed::Own)]
    pub embed: Embed,
    /// An output matrix with a row for each verifier token: kept, or cut to the draft's tokens
    #[arg(long, value_enum, value_name = "ROWS", default_value_t = LmHead::Keep)]
    pub lm_head: LmHead,
    /// A bias after `fc` that the target has no place for: may go if it is zero, or is an error
    #[arg(long, value_enum, value_name = "HOW", default_value_t = FcBiasChoice::ZeroOk)]
    pub fc_bias: FcBiasChoice,
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

/// Layouts that are written.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum To {
    /// That of the Python package, which vLLM serves
    Speculators,
    /// That of the original EAGLE release
    Eagle,
    /// SpecForge's
    Specforge,
    /// SGLang's
    Sglang,
    /// One file for llama.cpp, with the verifier's tokenizer
    Gguf,
}

/// Dtypes of weights.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Dtype {
    /// 32 bits
    Float32,
    /// IEEE half precision
    Float16,
    /// The upper half of float32
    Bfloat16,
}

impl Dtype {
    /// As configs name it.
    pub fn float_type(self) -> FloatType {
        match self {
            Dtype::Float32 => FloatType::Float32,
            Dtype::Float16 => FloatType::Float16,
            Dtype::Bfloat16 => FloatType::Bfloat16,
        }
    }
}

/// Whose embedding is written.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Embed {
    /// The head's, where it has one
    Own,
    /// The verifier's, from its weights
    #[value(alias = "target")]
    Verifier,
    /// None; the runtime takes the verifier's
    Drop,
}

/// What becomes of the rows of `lm_head`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LmHead {
    /// Written as they are
    Keep,
    /// Those of the vocabulary map
    SliceToDraft,
}

/// What becomes of a bias after `fc`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum FcBiasChoice {
    /// Left out where it is zero throughout
    ZeroOk,
    /// Refused
    Error,
}

fn algorithm(text: &str) -> Result<Algorithm, String> {
    let names = Algorithm::ALL.map(Algorithm::as_str);
    text.parse()
        .map_err(|()| format!("known kinds are {}", names.join(", ")))
}

/// Runs the command.
pub fn run(arguments: ConvertArguments, session: &Session) -> Outcome {
    let format = arguments.format;
    convert(arguments, session).map_err(|failure| session.report_trouble(format, failure))
}

fn convert(mut arguments: ConvertArguments, session: &Session) -> Outcome {
    let steps = match arguments.algorithm_kwargs.take() {
        Some(json) => arguments.resolve.merge_keyword_arguments(&json)?,
        None => None,
    };
    let named = arguments.verifier.display().to_string();
    arguments.verifier_name.get_or_insert(named);
    let need = match arguments.embed {
        Embed::Verifier => Need::Shared,
        _ => Need::Config,
    };
    models::localize(&mut arguments.model, Need::Everything, session)?;
    models::localize(&mut arguments.verifier, need, session)?;
    let request = arguments.request(steps);
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
    session.show(&report.findings);
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

impl ConvertArguments {
    fn request(&self, steps: Option<u16>) -> ConvertRequest {
        let mut request = ConvertRequest::new(&self.model, &self.verifier, &self.output_path);
        if let Some(name) = &self.verifier_name {
            request.verifier_name.clone_from(name);
        }
        request.target = match self.to {
            To::Speculators => Target::Speculators,
            To::Eagle => Target::Eagle,
            To::Specforge => Target::SpecForge,
            To::Sglang => Target::SgLang,
            To::Gguf => Target::Gguf,
        };
        request.algorithm = self.algorithm;
        request.options = self.resolve.options();
        request.options.slice_lm_head = matches!(self.lm_head, LmHead::SliceToDraft);
        request.dtype = self.dtype.map(Dtype::float_type);
        request.embedding = match self.embed {
            Embed::Own => Embedding::Own,
            Embed::Verifier => Embedding::Verifier,
            Embed::Drop => Embedding::Drop,
        };
        request.fc_bias = match self.fc_bias {
            FcBiasChoice::ZeroOk => FcBias::ZeroMayGo,
            FcBiasChoice::Error => FcBias::Refuse,
        };
        request.speculative_tokens = self.num_speculative_tokens.or(steps).map(usize::from);
        request.force = self.force;
        request
    }
}

fn write(plan: &Plan, session: &Session) -> Result<ConvertReport, Failure> {
    let written = progress::over_bytes(session, "converting", |step| plan.write_until(step));
    match written {
        Err(_) if session.cancelled().load(Ordering::Relaxed) => Err(Failure::Interrupted),
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

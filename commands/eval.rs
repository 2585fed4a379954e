//! `speculators eval`: acceptance and latency of a head, measured offline.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{ArgGroup, Args};
use speculators::decoding::{Drafting, Verification};
use speculators::demo;
use speculators::evaluation::{
    Comparison, Evaluation, Event, Gate, Options, Paired, PenaltiesSetting, Report, Setting,
    places, read_references,
};
use speculators::models::{DraftHead, Verifier};
use speculators::text::{PromptBody, PromptOptions, PromptSet, TextModel};
use speculators_formats::{Decision, Diagnostic, Head, ReadOptions, VerifierConfig, codes};

use crate::arguments::Format;
use crate::demonstration;
use crate::failure::{Exit, Failure, Outcome};
use crate::models::{self, Need};
use crate::output::OutputFile;
use crate::session::Session;
use crate::strategy::StrategyArguments;

mod bar;
mod best;
mod export;
mod gathering;
mod measures;
mod pages;
mod prompts;
mod records_file;
mod runs;
mod text;

use bar::Bar;
use best::BestArguments;
use gathering::{Gathering, Outputs};
use measures::MeasureArguments;
use pages::{PageArguments, PageFile};
use prompts::PromptArguments;
use records_file::RecordsFile;
use runs::{Plan, RunArguments};

/// Output limit of the demonstration, which is to answer in seconds.
const DEMO_NEW_TOKENS: usize = 64;

/// Measure acceptance and latency of a head, offline
///
/// Decodes each prompt twice on the same engine, once plainly and once with speculation, and checks that the tokens are
/// the same: the most likely ones, or with `--temperature` those of the same noise. Acceptance is counted as vLLM
/// counts it.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("seeded").args(["temperature", "shuffle"]).multiple(true))]
#[command(group = ArgGroup::new("written").args(["outputs", "records", "report", "write_tree", "write_calibration"]).multiple(true))]
#[command(after_long_help = "\
Prompts are JSON objects, one a line or in a list, with one of `prompt`, `messages`, `turns`,
`conversations` (ShareGPT) or `prompt_token_ids`, and optionally `id` and `category`; a `.txt`
file has a prompt on each line. Published benchmarks are read as they are: see docs/prompts.md.

Examples:
  speculators eval --demo
  speculators eval --verifier Llama-3.1-8B-Instruct --speculator converted --prompts mt_bench.jsonl
  speculators eval --verifier Qwen3-8B --speculator converted --prompts builtin --thinking off
  speculators eval --verifier V --speculator S --prompts qa.jsonl --prompts rag.jsonl --as-chat
  speculators eval --verifier V --speculator S --prompts P.jsonl --format json --outputs outputs.jsonl
  speculators eval --verifier V --speculator S --prompts P.jsonl --tree dynamic --tree-budget 16
  speculators eval --verifier V --speculator S --prompts P.jsonl --tree mc_sim_7b_63.json
  speculators eval --verifier V --speculator S --prompts P.jsonl --best --records R.jsonl --write-tree tree.json
  speculators eval --verifier V --speculator S --prompts P.jsonl --temperature 0.6 --top-p 0.95 --top-k 20
  speculators eval --verifier V --speculator S --prompts P.jsonl --compare vllm.jsonl
  speculators eval --verifier V --speculator S --prompts P.jsonl --records new.jsonl --against old.jsonl
  speculators eval --verifier V --speculator S --prompts P.jsonl --fail-under mean_length=2.5
  speculators eval --from-records new.jsonl --against old.jsonl --metrics all
  speculators eval --verifier V --speculator S --prompts P.jsonl --records R.jsonl --resume
  speculators eval --verifier V --speculator S --prompts P.jsonl --shuffle --limit 200 --concurrency 8
  speculators eval --from-records new.jsonl --report new.html --report card.md
  speculators eval --compare old.json new.json --report differences.html")]
pub struct EvalArguments {
    /// Evaluate the head that comes with this program; nothing else is needed
    #[arg(long, conflicts_with_all = ["verifier", "speculator", "prompts"])]
    pub demo: bool,
    /// Directory of the verifier: config, safetensors, tokenizer
    #[arg(long, value_name = "DIR", required_unless_present_any = ["demo", "from_records", "compare"])]
    pub verifier: Option<PathBuf>,
    /// Directory of the head, in any layout that `inspect` recognizes
    #[arg(long, value_name = "DIR", required_unless_present_any = ["demo", "from_records", "compare"])]
    pub speculator: Option<PathBuf>,
    /// What to ask.
    #[command(flatten)]
    pub prompting: PromptArguments,
    /// What to draft and how to choose tokens
    #[command(flatten)]
    pub strategy: StrategyArguments,
    /// Output limit per request, in tokens [default: 256; 64 in the demonstration]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_new_tokens: Option<u32>,
    /// Take only the first prompts; with `--shuffle`, so many at random
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Worker threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Form of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Write ids, text and accepted tokens per step of each request
    #[arg(long, value_name = "FILE.jsonl")]
    pub outputs: Option<PathBuf>,
    /// Replace files that are to be written if they exist
    #[arg(long, requires = "written")]
    pub force: bool,
    /// Compare with another engine's outputs; or, with two files, compare two finished runs and run nothing
    ///
    /// One file has another engine's outputs, `id` and `output_token_ids` a line: shown is where tokens part and whether
    /// logits tie there. Two files are reports (`--format json`) or records of finished runs: their requests are paired
    /// by prompt, and shown are the differences of the second from the first, with intervals.
    #[arg(long, value_name = "FILE", num_args = 1..=2)]
    pub compare: Vec<PathBuf>,
    /// Order of the prompts, several at a time, going on.
    #[command(flatten)]
    pub runs: RunArguments,
    /// Records, metrics, gates and paired differences.
    #[command(flatten)]
    pub measure: MeasureArguments,
    /// What would be best.
    #[command(flatten)]
    pub best: BestArguments,
    /// Pages of the report.
    #[command(flatten)]
    pub pages: PageArguments,
}

/// Runs the command.
pub fn run(arguments: EvalArguments, session: &Session) -> Outcome {
    let format = arguments.format;
    evaluate(arguments, session).map_err(|failure| session.report_trouble(format, failure))
}

fn evaluate(arguments: EvalArguments, session: &Session) -> Outcome {
    if let Some(runs) = pages::two_runs(&arguments)? {
        return pages::compare(&arguments, runs, session);
    }
    if let Some(path) = &arguments.measure.from_records {
        return fold_again(&arguments, path, session);
    }
    pages::check_run(&arguments)?;
    if let Some(threads) = arguments.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(usize::from(threads))
            .build_global()
            .context("the worker threads cannot be started")
            .map_err(Failure::Other)?;
    }
    // Opened before the work, so that an hour of decoding does not end at a full disk or a typing error.
    let outputs = arguments
        .outputs
        .as_deref()
        .map(|path| OutputFile::create(path, arguments.force))
        .transpose()?;
    let pages = arguments.pages.open(arguments.force)?;
    let references = arguments
        .compare
        .first()
        .map(|path| read_references(path))
        .transpose()?;
    let measure = &arguments.measure;
    let earlier = measure.earlier(session)?;
    measure.check_records(arguments.force, arguments.runs.resume)?;
    if arguments.best.best && measure.records.as_deref().is_some_and(export::is_table) {
        return Err(export::surveys_in_a_table().into());
    }
    let records_path = measure.lines_path();
    let records_path = records_path.as_deref();
    let unfinished = arguments.runs.earlier(records_path, session)?;
    let files = arguments.best.open(arguments.force)?;
    let mut input = Input::gather(&arguments, session)?;

    // Configs, headers and the tokenizer first: what is wrong with them need not wait for gigabytes of weights.
    let config = VerifierConfig::read(&input.verifier)?;
    let opened = Head::open(&input.speculator, Some(&config), &ReadOptions::default())?;
    let text = if input.needs_text() || input.verifier.join("tokenizer.json").is_file() {
        Some(TextModel::load(&input.verifier)?)
    } else {
        None
    };
    let prompting = &arguments.prompting;
    prompting.set_variables(&mut input.set, text.as_ref(), session)?;
    let prompts = &input.set.prompts;
    for decision in &opened.decisions {
        let Decision {
            subject,
            value,
            reason,
            guess,
        } = decision;
        match guess {
            true => session.say(&format!("guessed: {subject} = {value} ({reason})")),
            false => session.detail(&format!("resolved: {subject} = {value} ({reason})")),
        }
    }
    let mut strategy = arguments.strategy.resolve(
        opened.description.speculative_tokens,
        arguments.runs.shuffle,
        session,
    )?;
    if references.is_some() && !strategy.sampling.is_greedy() {
        return Err(compares_noise(strategy.sampling.temperature).into());
    }
    if references.is_some() && !strategy.penalties.is_none() {
        return Err(compares_penalized().into());
    }
    if arguments.best.best && strategy.verification != Verification::Match {
        return Err(best::simulates_matching().into());
    }
    let verifier = Verifier::load(&input.verifier)?;
    session.show(verifier.warnings());
    let max_new_tokens = arguments.max_new_tokens.map_or(
        if arguments.demo { DEMO_NEW_TOKENS } else { 256 },
        |limit| limit as usize,
    );
    let concurrency = usize::from(arguments.runs.concurrency);
    Gate::check(&measure.fail_under, strategy.drafting.depth(), concurrency)?;
    let head = DraftHead::load(&opened, &verifier)?;

    let evaluation = Evaluation {
        verifier: &verifier,
        head: &head,
        text: text.as_ref(),
        prompts_path: &input.prompts_path,
    };
    let mut order = arguments
        .runs
        .order(prompts, arguments.limit, arguments.strategy.seed());
    if arguments.strategy.calibrates() {
        let options = Options {
            strategy: strategy.clone(),
            max_new_tokens,
            stop: arguments.strategy.stop.clone(),
            concurrency: 1,
        };
        let run = best::Run {
            evaluation: &evaluation,
            prompts,
            order: &order,
            options: &options,
            speculator: &input.speculator_name,
        };
        let (calibration, rest) = best::fit(&run, session)?;
        order = rest;
        if let Drafting::DynamicTree(tree) = &mut strategy.drafting {
            tree.calibration = Some(calibration);
        }
    }
    let setting = Setting {
        verifier: input.verifier_name,
        speculator: input.speculator_name,
        layout: opened.layout.to_string(),
        num_speculative_tokens: strategy.drafting.tokens(),
        sampling: strategy.sampling.into(),
        drafting: strategy.drafting.clone(),
        verification: strategy.verification,
        penalties: PenaltiesSetting::of(&strategy),
        stop: arguments.strategy.stop.clone(),
        max_new_tokens,
        dtype: verifier.precision().to_string(),
        instruction_set: speculators_kernels::cpu::features().name().to_owned(),
        threads: rayon::current_num_threads(),
        concurrency,
        shuffle_seed: arguments.runs.shuffle.then(|| arguments.strategy.seed()),
    };
    let unfinished = records_path.zip(unfinished);
    let plan = Plan::make(&evaluation, prompts, order, &setting, unfinished, session)?;
    let kept = plan.resumption.as_ref().map(|(_, resumption)| resumption);
    let records = records_path.map(|path| RecordsFile::new(path, arguments.force, &setting, kept));
    let kept = plan
        .resumption
        .map_or_else(Vec::new, |(_, resumption)| resumption.kept);
    let mut gathering = Gathering {
        bar: Bar::new(session, plan.requests, max_new_tokens, &kept),
        records,
        outputs: outputs.map(|file| Outputs::new(file, places(prompts, &plan.order))),
        requests: kept,
        outcomes: references.as_ref().map(|_| Vec::new()),
        surveyed: arguments.best.best,
        texts: Vec::new(),
    };
    let options = Options {
        strategy,
        max_new_tokens,
        stop: arguments.strategy.stop.clone(),
        concurrency,
    };
    let mut watch = |event: Event<'_>| gathering.hear(&event);
    let cancelled = session.cancelled();
    let run = evaluation.run(prompts, &plan.order, &options, cancelled, &mut watch);
    gathering.bar.clear();
    if let (Err(speculators::Error::Interrupted), Some(records)) = (&run, &gathering.records)
        && records.tell_what_is_left(session)
    {
        return Ok(Exit::Interrupted);
    }
    run?;
    gathering.sort();
    let Gathering {
        records,
        outputs,
        requests,
        outcomes,
        texts,
        ..
    } = gathering;

    let run = best::Run {
        evaluation: &evaluation,
        prompts,
        order: &plan.order,
        options: &options,
        speculator: &setting.speculator,
    };
    let best = match arguments.best.best {
        true => Some(
            arguments
                .best
                .find(&run, &texts, &requests, records, session)?,
        ),
        false => None,
    };
    if let Some(best) = &best {
        files.write(best)?;
    }
    if let Some(path) = &measure.records {
        export::replace_lines(path, arguments.force, &setting, &requests, session)?;
    }
    let comparison = outcomes
        .zip(references)
        .map(|(outcomes, references)| Comparison::make(&verifier, &outcomes, &references))
        .transpose()?;
    outputs.map(Outputs::finish).transpose()?;
    let mut report = Report::fold(setting, &requests, comparison);
    report.best = best;
    report.against = earlier.map(|earlier| Paired::make(&report.setting, &requests, &earlier));
    report.command = Some(pages::command(std::env::args_os()));
    conclude(&arguments, report, pages, text.as_ref(), session)
}

/// Makes the report of an earlier run again, out of its records.
fn fold_again(arguments: &EvalArguments, path: &Path, session: &Session) -> Outcome {
    let pages = arguments.pages.open(arguments.force)?;
    let records = measures::read(path, session)?;
    let earlier = arguments.measure.earlier(session)?;
    let setting = &records.setting;
    Gate::check(
        &arguments.measure.fail_under,
        setting.positions(),
        setting.concurrency,
    )?;
    if let Some(copy) = &arguments.measure.records {
        export::write_copy(copy, arguments.force, &records, session)?;
    }
    let requests = &records.requests;
    let best = match arguments.best.best {
        true => Some(arguments.best.find_again(&records, session)?),
        false => None,
    };
    if let Some(best) = &best {
        arguments.best.open(arguments.force)?.write(best)?;
    }
    let mut report = Report::fold(records.setting, requests, None);
    report.best = best;
    report.against = earlier.map(|earlier| Paired::make(&report.setting, requests, &earlier));
    conclude(arguments, report, pages, None, session)
}

/// Holds the report to the gates and shows it.
fn conclude(
    arguments: &EvalArguments,
    mut report: Report,
    pages: Vec<PageFile>,
    text: Option<&TextModel>,
    session: &Session,
) -> Outcome {
    let measure = &arguments.measure;
    report.failed_gates = measure.failed_gates(&report);
    pages::write(pages, &report)?;
    match arguments.format {
        Format::Json => {
            session.print_json(&report)?;
            let failed = report.failed_gates.iter().flatten();
            failed.for_each(|failure| session.say(&measures::gate(failure)));
        }
        Format::Text => {
            let mut stdout = session.stdout();
            text::write(&report, text, measure.metrics, &mut stdout)?;
        }
    }
    let gates_are_passed = report.failed_gates.iter().flatten().next().is_none();
    Ok(if report.lossless.mismatched == 0 && gates_are_passed {
        Exit::Yes
    } else {
        Exit::No
    })
}

/// That sampled tokens cannot be told from those of another engine.
fn compares_noise(temperature: f32) -> Diagnostic {
    let title = format!("`--compare` needs temperature 0, and it is {temperature}");
    Diagnostic::error(codes::USAGE, title)
        .note("what another engine draws depends on its own noise, so that tokens differ without any fault")
        .help("leave out `--temperature`")
}

/// That the logits which a comparison shows are those before penalties.
fn compares_penalized() -> Diagnostic {
    let title = "`--compare` shows where logits tie, and penalties change the logits";
    Diagnostic::error(codes::USAGE, title).help("leave out the penalties")
}

/// Where everything comes from: the user's files, or the embedded ones unpacked for the time of the run.
struct Input {
    verifier: PathBuf,
    speculator: PathBuf,
    set: PromptSet,
    prompts_path: PathBuf,
    verifier_name: String,
    speculator_name: String,
    /// Keeps the unpacked demonstration alive.
    _unpacked: Option<tempfile::TempDir>,
}

impl Input {
    fn gather(arguments: &EvalArguments, session: &Session) -> Result<Input, Failure> {
        let local = |named: &PathBuf| -> Result<PathBuf, Failure> {
            let mut directory = named.clone();
            models::localize(&mut directory, Need::Everything, session)?;
            Ok(directory)
        };
        match (&arguments.verifier, &arguments.speculator) {
            (Some(verifier), Some(speculator)) => Ok(Input {
                set: arguments
                    .prompting
                    .read(arguments.runs.read_limit(arguments.limit), session)?,
                prompts_path: arguments.prompting.path(),
                verifier_name: verifier.display().to_string(),
                speculator_name: speculator.display().to_string(),
                verifier: local(verifier)?,
                speculator: local(speculator)?,
                _unpacked: None,
            }),
            _ => Input::demonstration(arguments.runs.read_limit(arguments.limit)),
        }
    }

    fn demonstration(limit: Option<usize>) -> Result<Input, Failure> {
        let unpacked = demonstration::unpack()?;
        let options = PromptOptions {
            limit,
            ..PromptOptions::default()
        };
        Ok(Input {
            verifier: unpacked.path().join(demo::VERIFIER),
            speculator: unpacked.path().join(demo::SPECULATOR),
            set: PromptSet::parse(Path::new(demo::PROMPTS_NAME), demo::PROMPTS, options)?,
            prompts_path: PathBuf::from(demo::PROMPTS_NAME),
            verifier_name: "demonstration verifier".into(),
            speculator_name: "demonstration head".into(),
            _unpacked: Some(unpacked),
        })
    }

    fn needs_text(&self) -> bool {
        self.set
            .prompts
            .iter()
            .any(|prompt| !matches!(prompt.body, PromptBody::Tokens(_)))
    }
}

//! `eval --best`: the survey, the times, what would be best, and how people read it.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use speculators::decoding::{Calibration, Drafting, PositionSurvey, Strategy};
use speculators::evaluation::{
    BUDGETS, Best, BestSetting, Evaluation, Event, Measured, Options, Records, RequestFigures,
    RequestSurvey, SURVEYED_DEPTH, Shape, SurveyedText, calibrate,
};
use speculators::text::Prompt;
use speculators_formats::{Diagnostic, codes};

use super::records_file::RecordsFile;
use crate::failure::Failure;
use crate::output::OutputFile;
use crate::progress;
use crate::session::Session;
use crate::tables;

/// Requests on which a recommended setting is measured.
const MEASURED: usize = 16;

/// What to find out beyond the run itself.
#[derive(Args, Debug)]
pub struct BestArguments {
    /// Find the setting that would be fastest: chains, static, dynamic and calibrated trees of every size
    ///
    /// After the run, each position of the outputs is looked at once more by the head, which says exactly what every
    /// chain and tree would have accepted; passes of both models are timed; and the recommended setting is run.
    #[arg(long, conflicts_with = "resume")]
    pub best: bool,
    /// Look at every N-th position only: faster, but then mean lengths are estimates
    #[arg(long, value_name = "N", requires = "best", value_parser = clap::value_parser!(u32).range(1..))]
    survey_every: Option<u32>,
    /// Also say what would be best where a pass of the head takes this part of the verifier's, at any width
    #[arg(long, value_name = "RATIO", requires = "best", value_parser = ratio)]
    cost_ratio: Option<f64>,
    /// Write the best static tree, for `--tree`
    #[arg(long, value_name = "FILE.json", requires = "best")]
    pub write_tree: Option<PathBuf>,
    /// Write how often the head is right, for `--calibration`
    #[arg(long, value_name = "FILE.json", requires = "best")]
    pub write_calibration: Option<PathBuf>,
}

/// Files to be written at the end, opened before the work.
pub struct Files {
    tree: Option<OutputFile>,
    calibration: Option<OutputFile>,
}

/// A run whose best setting is looked for.
pub struct Run<'a> {
    pub evaluation: &'a Evaluation<'a>,
    pub prompts: &'a [Prompt],
    pub order: &'a [usize],
    pub options: &'a Options,
    pub speculator: &'a str,
}

impl BestArguments {
    /// Opens what is to be written.
    pub fn open(&self, force: bool) -> Result<Files, Failure> {
        let open = |path: &Option<PathBuf>| {
            let path = path.as_deref();
            path.map(|path| OutputFile::create(path, force)).transpose()
        };
        Ok(Files {
            tree: open(&self.write_tree)?,
            calibration: open(&self.write_calibration)?,
        })
    }

    /// Surveys the outputs of a run, times passes, and measures what it recommends.
    pub fn find(
        &self,
        run: &Run<'_>,
        texts: &[SurveyedText],
        requests: &[RequestFigures],
        mut records: Option<RecordsFile>,
        session: &Session,
    ) -> Result<Best, Failure> {
        let every = self.survey_every.map_or(1, |every| every as usize);
        let choosing = run.options.strategy.choosing();
        let cancelled = session.cancelled();
        let steps = texts.iter();
        let steps = steps.map(|text| {
            text.output_token_ids
                .len()
                .saturating_sub(1)
                .div_ceil(every)
        });
        let bar = progress::count_bar(session, 2 * steps.sum::<usize>() as u64, "surveying");
        let mut watch = |id: &str, position: &PositionSurvey| {
            bar.inc(1);
            bar.set_message(id.to_owned());
            let records = records.as_mut();
            records.map_or(Ok(()), |records| records.survey(id, every, position))
        };
        let evaluation = run.evaluation;
        let mut surveys =
            evaluation.survey(texts, &choosing, every, true, cancelled, &mut watch)?;
        evaluation.survey_calibrated(
            texts,
            &mut surveys,
            &choosing,
            every,
            cancelled,
            &mut watch,
        )?;
        bar.finish_and_clear();
        let latency = evaluation.time_passes(texts, other(requests), cancelled)?;
        if let (Some(latency), Some(records)) = (&latency, &mut records) {
            records.latency(latency)?;
        }
        let mut best = Best::find(&surveys, latency, self.cost_ratio, run.speculator)?;
        measure(&mut best, run, session)?;
        Ok(best)
    }

    /// What the records of an earlier run with `--best` say.
    pub fn find_again(&self, records: &Records, session: &Session) -> Result<Best, Failure> {
        if self.survey_every.is_some() {
            session.say("`--survey-every` plays no part with `--from-records`");
        }
        let positions: HashMap<&str, usize> = records
            .requests
            .iter()
            .map(|request| (request.id.as_str(), request.output_tokens.saturating_sub(1)))
            .collect();
        let (whole, cut): (Vec<RequestSurvey>, Vec<RequestSurvey>) =
            records.surveys.iter().cloned().partition(|survey| {
                let expected = positions.get(survey.id.as_str());
                expected.is_some_and(|count| {
                    count.div_ceil(survey.every.max(1)) == survey.positions.len()
                })
            });
        if !cut.is_empty() {
            let ids: Vec<&str> = cut.iter().map(|survey| survey.id.as_str()).collect();
            session.say(&format!(
                "not surveyed to the end and left out: {}",
                ids.join(", ")
            ));
        }
        let best = Best::find(
            &whole,
            records.latency.clone(),
            self.cost_ratio,
            &records.setting.speculator,
        )?;
        Ok(best)
    }
}

/// Runs what is recommended, on some of the prompts.
fn measure(best: &mut Best, run: &Run<'_>, session: &Session) -> Result<(), Failure> {
    let setting = best.recommendation.as_ref().map(|found| &found.setting);
    let Some(drafting) = setting.and_then(|setting| setting.drafting(best)) else {
        return Ok(());
    };
    let strategy = Strategy {
        drafting,
        ..run.options.strategy.clone()
    };
    let order = &run.order[..run.order.len().min(MEASURED)];
    let requests = decode(run, strategy, order, "measuring", session)?.1;
    if let Some(recommendation) = &mut best.recommendation {
        recommendation.measured = Some(Measured::of(&requests));
    }
    Ok(())
}

impl Files {
    /// Writes what was found.
    pub fn write(self, best: &Best) -> Result<(), Failure> {
        if let (Some(mut file), Some(tree)) = (self.tree, &best.static_tree) {
            serde_json::to_writer(&mut file, tree.paths())?;
            writeln!(file)?;
            file.finish()?;
        }
        if let (Some(mut file), Some(calibration)) = (self.calibration, &best.calibration) {
            serde_json::to_writer(&mut file, calibration)?;
            writeln!(file)?;
            file.finish()?;
        }
        Ok(())
    }
}

/// Measures on the first quarter of the prompts how often the head is right; returns also which prompts are left.
pub fn fit(run: &Run<'_>, session: &Session) -> Result<(Calibration, Vec<usize>), Failure> {
    let total = run.order.len();
    if total < 2 {
        let title = format!("`--tree calibrated` needs 2 prompts or more, and there are {total}");
        return Err(Diagnostic::error(codes::USAGE, title)
            .note("the first quarter is for measuring how often the head is right, the others are evaluated")
            .help("write a calibration with `--best --write-calibration FILE.json` and pass it as `--calibration`")
            .into());
    }
    let (first, rest) = run.order.split_at(total.div_ceil(4));
    session.say(&format!(
        "calibrating on the first {} prompts; the other {} are evaluated",
        first.len(),
        rest.len()
    ));
    // What is drafted changes nothing about the text; this is the least.
    let strategy = Strategy {
        drafting: Drafting::Chain {
            num_speculative_tokens: 1,
        },
        ..run.options.strategy.clone()
    };
    let choosing = strategy.choosing();
    let (texts, _) = decode(run, strategy, first, "calibrating", session)?;
    let surveys = run.evaluation.survey(
        &texts,
        &choosing,
        1,
        false,
        session.cancelled(),
        &mut |_, _| Ok(()),
    )?;
    Ok((calibrate(surveys.iter())?, rest.to_vec()))
}

/// That another rule of verification cannot be simulated.
pub fn simulates_matching() -> Diagnostic {
    Diagnostic::error(codes::USAGE, "`--best` simulates `--verification match` only")
        .note("other rules accept by chance or by how probable a token is, which a survey does not know")
        .help("leave out `--verification` and `--lossy`: the best setting of one rule is near that of another")
}

/// Decodes some of the prompts in another way, one at a time.
fn decode(
    run: &Run<'_>,
    strategy: Strategy,
    order: &[usize],
    what: &str,
    session: &Session,
) -> Result<(Vec<SurveyedText>, Vec<RequestFigures>), Failure> {
    let bar = progress::count_bar(session, order.len() as u64, what);
    let options = Options {
        strategy,
        concurrency: 1,
        ..run.options.clone()
    };
    let (mut texts, mut requests) = (Vec::new(), Vec::new());
    let mut watch = |event: Event<'_>| {
        if let Event::Finished(outcome) = event {
            bar.inc(1);
            texts.push(SurveyedText::from(outcome));
            requests.push(RequestFigures::from(outcome));
        }
        Ok(())
    };
    let cancelled = session.cancelled();
    let decoded = run
        .evaluation
        .run(run.prompts, order, &options, cancelled, &mut watch);
    bar.finish_and_clear();
    decoded?;
    Ok((texts, requests))
}

/// Mean time of a step in which neither model ran.
fn other(requests: &[RequestFigures]) -> Duration {
    let steps = requests.iter().flat_map(|request| &request.steps);
    let count = steps.clone().count().max(1);
    let total: Duration = steps.map(|step| step.other).sum();
    total / u32::try_from(count).unwrap_or(u32::MAX)
}

fn ratio(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|ratio: &f64| *ratio >= 0.0 && ratio.is_finite())
        .ok_or_else(|| "expected a finite number of at least 0".to_owned())
}

/// What would be best, for people.
pub fn write(best: &Best, output: &mut impl Write) -> io::Result<()> {
    let survey = &best.survey;
    writeln!(
        output,
        "\nsurvey: {} positions of {} requests{}",
        survey.positions,
        survey.requests,
        if survey.exact {
            "; the lengths are those that runs would have had"
        } else {
            "; not all positions were looked at, so the lengths are estimates"
        }
    )?;
    if !survey.cross_validated {
        writeln!(
            output,
            "static and calibrated trees are made from the one request that they are measured on, and look better than they are"
        )?;
    }
    let shapes = [
        Shape::Chain,
        Shape::Static,
        Shape::Dynamic,
        Shape::Calibrated,
    ];
    let mut table = tables::numbers(&["draft tokens", "chain", "static", "dynamic", "calibrated"]);
    for budget in BUDGETS {
        let length = |shape| {
            let mut rows = best.frontier.iter();
            let row = rows.find(|row| row.shape == shape && row.budget == budget);
            row.map_or_else(String::new, |row| format!("{:.3}", row.mean_length))
        };
        let mut row = vec![budget.to_string()];
        row.extend(shapes.map(length));
        table.add_row(row);
    }
    writeln!(
        output,
        "mean acceptance length by draft tokens per step (paths of up to {SURVEYED_DEPTH} tokens, dynamic trees up to 8)"
    )?;
    writeln!(output, "{}\n", table.trim_fmt())?;
    if let Some(latency) = &best.latency {
        let times = |times: &[speculators::evaluation::WidthTime]| {
            let times = times
                .iter()
                .map(|time| format!("{}: {:.3}", time.rows, time.ms));
            times.collect::<Vec<_>>().join("  ")
        };
        writeln!(
            output,
            "milliseconds per pass by its rows, after {} tokens, median of {}",
            latency.context_length, latency.rounds
        )?;
        writeln!(output, "verifier          {}", times(&latency.verify))?;
        writeln!(output, "head, first pass  {}", times(&latency.settle))?;
        writeln!(output, "head, later ones  {}\n", times(&latency.draft))?;
        fastest(&best.fastest, output)?;
    }
    recommended(best, output)?;
    if let Some(machine) = &best.other_machine {
        writeln!(
            output,
            "\nwhere a pass of the head takes {} of the verifier's, at any width:",
            machine.cost_ratio
        )?;
        fastest(&machine.fastest, output)?;
    }
    for engine in &best.engines {
        writeln!(
            output,
            "{} (mean length {:.3}): {}",
            engine.engine, engine.setting.mean_length, engine.flags
        )?;
    }
    if !best.engines.is_empty() {
        let whose = match best.other_machine {
            Some(_) => "the times are those of that ratio",
            None => "the times are those of this machine, and `--cost-ratio` is for another one",
        };
        writeln!(
            output,
            "acceptance goes with the models to any engine; {whose}"
        )?;
    }
    Ok(())
}

fn fastest(settings: &[BestSetting], output: &mut impl Write) -> io::Result<()> {
    let titles = [
        "fastest",
        "mean length",
        "milliseconds per step",
        "predicted speed-up",
    ];
    let mut table = tables::numbers(&titles);
    for setting in settings {
        let step = setting.predicted_step_ms;
        let speed = setting.predicted_speed_up;
        table.add_row([
            name(setting),
            format!("{:.3}", setting.mean_length),
            step.map_or_else(String::new, |step| format!("{step:.3}")),
            speed.map_or_else(String::new, |speed| format!("{speed:.2}x")),
        ]);
    }
    writeln!(output, "{}\n", table.trim_fmt())
}

fn recommended(best: &Best, output: &mut impl Write) -> io::Result<()> {
    let Some(recommendation) = &best.recommendation else {
        return match best.other_machine {
            Some(_) => Ok(()),
            None => writeln!(
                output,
                "no pass was timed, so nothing is recommended; `--cost-ratio` says what would be best at a given ratio"
            ),
        };
    };
    let setting = &recommendation.setting;
    let predicted = setting.predicted_speed_up.unwrap_or_default();
    if recommendation.beats_plain {
        writeln!(output, "recommended: {}", name(setting))?;
    } else {
        writeln!(
            output,
            "recommended: no speculation. Nothing is faster than plain decoding here; {} comes closest",
            name(setting)
        )?;
    }
    match &recommendation.measured {
        Some(measured) => writeln!(
            output,
            "its speed-up is {predicted:.2}x as predicted and {:.2}x as measured on {} requests, where its mean length is {:.3}",
            measured.speed_up, measured.requests, measured.mean_length
        ),
        None => writeln!(
            output,
            "its speed-up is {predicted:.2}x as predicted, and was not measured"
        ),
    }
}

/// A setting in words, as options of this program.
fn name(setting: &BestSetting) -> String {
    let (budget, depth) = (setting.budget, setting.depth);
    let top_k = setting.top_k.unwrap_or(1);
    match setting.shape {
        Shape::Chain => format!("--num-speculative-tokens {budget}"),
        Shape::Static => format!("a static tree of {budget} tokens, depth {depth}"),
        Shape::Dynamic => {
            format!(
                "--tree dynamic --tree-top-k {top_k} --tree-depth {depth} --tree-budget {budget}"
            )
        }
        Shape::Calibrated => format!(
            "--tree calibrated --tree-top-k {top_k} --tree-depth {depth} --tree-budget {budget}"
        ),
    }
}

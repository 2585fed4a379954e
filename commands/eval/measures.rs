//! Records, metrics, gates and paired differences of an evaluation: their options, and how people read them.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use comfy_table::CellAlignment;
use speculators::evaluation::{
    Gate, GateFailure, Interval, Paired, PromptCheck, Records, Report, RunComparison, read_records,
};
use speculators_formats::{Diagnostic, Place, codes};

use super::export;
use crate::failure::Failure;
use crate::session::Session;
use crate::tables;

/// What to measure by, and what to make of it.
#[derive(Args, Debug)]
pub struct MeasureArguments {
    /// Write one line per verification step while it runs; a crash loses no more than the line being written
    ///
    /// With a name that ends with `.parquet` a table is written at the end; until then the lines stand in
    /// `FILE.parquet.jsonl`.
    #[arg(long, value_name = "FILE.jsonl|FILE.parquet")]
    pub records: Option<PathBuf>,
    /// Run nothing: report on what `--records` wrote; with `--records` as well, write it in the other form
    #[arg(long, value_name = "FILE", conflicts_with_all = ["demo", "verifier", "speculator", "prompts",
        "num_speculative_tokens", "tree", "temperature", "max_new_tokens", "limit", "threads", "outputs", "compare", "resume", "shuffle", "concurrency"])]
    pub from_records: Option<PathBuf>,
    /// Which metrics the text report lists; the JSON report has all
    #[arg(long, value_enum, value_name = "WHICH", default_value_t = Metrics::Short)]
    pub metrics: Metrics,
    /// End with 1 if a metric is less than this; may be given several times
    #[arg(long, value_name = "NAME=LIMIT", value_parser = Gate::parse)]
    pub fail_under: Vec<Gate>,
    /// Show differences from an earlier run's records, paired by request, with intervals
    ///
    /// Takes what `--records` wrote, of another head or other settings over the same prompts. (`--compare` takes
    /// another engine's outputs and compares tokens; this compares figures, and so has a name of its own.)
    #[arg(long, value_name = "RECORDS.jsonl")]
    pub against: Option<PathBuf>,
}

/// How many metrics to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Metrics {
    /// Every one, with all that the field calls acceptance length
    All,
    /// The few that are looked at first
    Short,
}

impl MeasureArguments {
    /// The records to compare with, read before anything runs or is overwritten.
    pub fn earlier(&self, session: &Session) -> Result<Option<Records>, Failure> {
        let path = self.against.as_deref();
        path.map(|path| read(path, session)).transpose()
    }

    /// Where records go while the run lasts.
    pub fn lines_path(&self) -> Option<PathBuf> {
        self.records.as_deref().map(export::lines_of)
    }

    /// Looks whether records may be written where they are to be, before the work. Lines that are gone on with may be
    /// there.
    pub fn check_records(&self, force: bool, resume: bool) -> Result<(), Failure> {
        let lines = self.lines_path().filter(|_| !resume);
        let table = self.records.as_ref().filter(|path| export::is_table(path));
        let is_there = |path: &&PathBuf| fs_err::symlink_metadata(path.as_path()).is_ok();
        match lines.iter().chain(table).find(is_there) {
            Some(path) if !force => Err(exists(path).into()),
            _ => Ok(()),
        }
    }

    /// The gates that a report does not pass, if there are any gates.
    pub fn failed_gates(&self, report: &Report) -> Option<Vec<GateFailure>> {
        let failed = self.fail_under.iter();
        let failed = failed.filter_map(|gate| gate.failure(&report.metrics));
        (!self.fail_under.is_empty()).then(|| failed.collect())
    }
}

/// Reads records, and says what of them is not whole.
pub fn read(path: &Path, session: &Session) -> Result<Records, Failure> {
    let records = read_records(path)?;
    let name = path.display();
    if records.torn {
        session.say(&format!(
            "{name}: the last line is cut off and left out; that run was killed"
        ));
    }
    if !records.unfinished.is_empty() {
        session.say(&format!(
            "{name}: not complete and left out: {}",
            records.unfinished.join(", ")
        ));
    }
    Ok(records)
}

fn exists(path: &Path) -> Diagnostic {
    Diagnostic::error(codes::OUTPUT_EXISTS, "the records file exists already")
        .at(Place::file(path))
        .help("pass `--force` to replace it, or name another file")
}

/// Letters that a line of metrics takes with its definition.
const WHOLE_METRICS: usize = 160;

/// The metrics of a run, each with its definition.
pub fn write_metrics(report: &Report, which: Metrics, output: &mut impl Write) -> io::Result<()> {
    let listed = report.metrics.iter();
    let listed = listed.filter(|metric| metric.short || which == Metrics::All);
    let width = tables::terminal_width();
    let narrow = width.is_some_and(|width| width < WHOLE_METRICS);
    // Definitions in a column of a few letters are hard to read: there they follow the figures.
    let titles = ["metric", "value", "95 % interval", "definition"];
    let columns = if narrow { 3 } else { 4 };
    let mut table = tables::plain(&titles[..columns]);
    for metric in listed.clone() {
        let cells = [
            metric.name.clone(),
            figure(metric.value),
            interval(metric.interval),
            format!("{} ({})", metric.definition, metric.whose),
        ];
        table.add_row(cells.into_iter().take(columns));
    }
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    writeln!(output, "{}", table.trim_fmt())?;
    if narrow {
        writeln!(output)?;
        for metric in listed {
            let line = format!("{}: {} ({})", metric.name, metric.definition, metric.whose);
            writeln!(output, "{}", tables::wrapped(&line, 2, width))?;
        }
    }
    if which == Metrics::Short {
        let rest = report.metrics.len() - table.row_iter().count();
        writeln!(output, "`--metrics all` lists {rest} more")?;
    }
    writeln!(output)
}

/// Acceptance by context length, where steps differ in it.
pub fn write_contexts(report: &Report, output: &mut impl Write) -> io::Result<()> {
    if report.context_lengths.len() < 2 {
        return Ok(());
    }
    let mut table = tables::numbers(&[
        "context length",
        "requests",
        "steps",
        "accepted",
        "mean length",
        "95 % interval",
    ]);
    for range in &report.context_lengths {
        table.add_row([
            format!("{} to {}", range.from, range.to - 1),
            range.requests.to_string(),
            range.steps.to_string(),
            range.accepted.to_string(),
            figure(range.mean_length),
            interval(range.mean_length_interval),
        ]);
    }
    writeln!(output, "{}\n", table.trim_fmt())
}

/// Differences from another run.
pub fn write_paired(paired: &Paired, which: Metrics, output: &mut impl Write) -> io::Result<()> {
    let setting = &paired.setting;
    let line = format!(
        "against {} with {} draft tokens per step: {} requests paired, {} only here, {} only there",
        setting.speculator,
        setting.num_speculative_tokens,
        paired.paired,
        paired.only_here,
        paired.only_there
    );
    writeln!(
        output,
        "\n{}",
        tables::wrapped(&line, 2, tables::terminal_width())
    )?;
    if !paired.other_prompts.is_empty() {
        writeln!(
            output,
            "NOT the same prompts: the number of tokens differs in {}",
            paired.other_prompts.join(", ")
        )?;
    }
    let mut table =
        tables::numbers(&["metric", "here", "there", "difference", "95 % interval", ""]);
    let listed = paired.differences.iter();
    for difference in listed.filter(|metric| metric.short || which == Metrics::All) {
        table.add_row([
            difference.name.clone(),
            figure(Some(difference.here)),
            figure(Some(difference.there)),
            change(difference.difference),
            signed(difference.interval),
            match (difference.interval, difference.is_clear()) {
                (None, _) => "too few requests",
                (Some([0.0, 0.0]), _) => "equal",
                (_, true) => "clear",
                (_, false) => "may be chance",
            }
            .to_owned(),
        ]);
    }
    writeln!(output, "{}", table.trim_fmt())
}

/// What differs between two finished runs.
pub fn write_comparison(
    comparison: &RunComparison,
    which: Metrics,
    output: &mut impl Write,
) -> io::Result<()> {
    for (name, run) in [("first", &comparison.first), ("second", &comparison.second)] {
        let setting = &run.setting;
        writeln!(
            output,
            "{name:<8}{}: {} for {}, {} requests",
            run.file, setting.speculator, setting.verifier, run.requests
        )?;
    }
    writeln!(output)?;
    if !comparison.settings.is_empty() {
        writeln!(output, "set otherwise:")?;
        for setting in &comparison.settings {
            let line = format!("  {}: {} → {}", setting.name, setting.first, setting.second);
            let line = tables::wrapped(&line, 4, tables::terminal_width());
            writeln!(output, "{line}")?;
        }
        writeln!(output)?;
    }
    let by = match comparison.prompts_by {
        PromptCheck::Digest => "a digest of their tokens",
        PromptCheck::TokenCount => "their number of tokens, for want of digests",
    };
    writeln!(
        output,
        "{} requests paired, their prompts held to be the same by {by}",
        comparison.paired
    )?;
    for (names, what) in [
        (&comparison.only_first, "only in the first"),
        (&comparison.only_second, "only in the second"),
        (&comparison.other_prompts, "left out, with other prompts"),
    ] {
        if !names.is_empty() {
            writeln!(output, "{what}: {}", names.join(", "))?;
        }
    }
    let mut table = tables::numbers(&[
        "metric",
        "first",
        "second",
        "difference",
        "95 % interval",
        "",
    ]);
    let listed = comparison.metrics.iter();
    for metric in listed.filter(|metric| metric.short || which == Metrics::All) {
        table.add_row([
            metric.name.clone(),
            figure(Some(metric.first)),
            figure(Some(metric.second)),
            change(metric.difference),
            signed(metric.interval),
            metric.verdict.as_str().to_owned(),
        ]);
    }
    writeln!(output, "\n{}", table.trim_fmt())?;
    if comparison.categories.is_empty() {
        return Ok(());
    }
    let mut table = tables::numbers(&[
        "mean length",
        "requests",
        "first",
        "second",
        "difference",
        "95 % interval",
        "",
    ]);
    for part in &comparison.categories {
        table.add_row([
            part.category.clone(),
            part.paired.to_string(),
            figure(Some(part.first)),
            figure(Some(part.second)),
            change(part.difference),
            signed(part.interval),
            part.verdict.as_str().to_owned(),
        ]);
    }
    writeln!(output, "\n{}", table.trim_fmt())
}

/// What gates came to.
pub fn write_gates(failed: &[GateFailure], output: &mut impl Write) -> io::Result<()> {
    if failed.is_empty() {
        return writeln!(output, "every gate is passed");
    }
    failed
        .iter()
        .try_for_each(|failure| writeln!(output, "{}", gate(failure)))
}

/// One gate that is not passed, in a line.
pub fn gate(failure: &GateFailure) -> String {
    let GateFailure { metric, limit, .. } = failure;
    match (failure.value, failure.short_by) {
        (Some(value), Some(short)) => {
            format!("FAILED: {metric} is {value:.4}, {short:.4} under its limit of {limit}")
        }
        _ => format!("FAILED: there is nothing to make {metric} of; its limit is {limit}"),
    }
}

fn figure(value: Option<f64>) -> String {
    value.map_or_else(
        || "-".to_owned(),
        |value| format!("{value:.*}", decimals(value)),
    )
}

/// An interval, or nothing.
pub fn interval(interval: Option<Interval>) -> String {
    interval.map_or_else(String::new, |[low, high]| {
        format!("{low:.*} to {high:.*}", decimals(low), decimals(high))
    })
}

/// Thousands need no thousandths.
fn decimals(value: f64) -> usize {
    if value.abs() < 1000.0 { 3 } else { 0 }
}

/// A difference with its sign.
fn change(difference: f64) -> String {
    format!("{difference:+.*}", decimals(difference))
}

fn signed(interval: Option<Interval>) -> String {
    interval.map_or_else(String::new, |[low, high]| {
        format!("{low:+.*} to {high:+.*}", decimals(low), decimals(high))
    })
}

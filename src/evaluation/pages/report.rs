//! What the page of a report says.

use serde::Serialize;

use super::figures::{self, Figure};
use super::numbers::{counted, interval, listed, number};
use super::table::Table;
use super::words;
use crate::evaluation::{GateFailure, Guarantee, Interval, Report};

/// Everything that the templates of a report show.
#[derive(Serialize)]
pub(super) struct View {
    title: String,
    version: &'static str,
    schema: &'static str,
    setting: Vec<[String; 2]>,
    tiles: Vec<Tile>,
    /// What came of it, in sentences.
    summary: Vec<String>,
    gates: Option<Gates>,
    figures: Vec<Figure>,
    against: Option<Against>,
    comparison: Vec<String>,
    short: Table,
    /// How many requests there are, in words.
    requested: String,
    requests: Table,
    definitions: Table,
    command: Option<String>,
    resampling: String,
}

/// A main figure.
#[derive(Serialize)]
struct Tile {
    name: &'static str,
    value: String,
    note: String,
    /// `good`, `bad` or nothing.
    class: &'static str,
}

/// What gates came to.
#[derive(Serialize)]
struct Gates {
    failed: Vec<String>,
}

/// Differences from an earlier run.
#[derive(Serialize)]
struct Against {
    says: String,
    table: Table,
}

pub(super) fn view(report: &Report) -> View {
    View {
        title: format!(
            "Evaluation of {} drafting for {}",
            report.setting.speculator, report.setting.verifier
        ),
        version: report.version,
        schema: report.schema,
        setting: words::setting(&report.setting),
        tiles: tiles(report),
        summary: summary(report),
        gates: report.failed_gates.as_deref().map(|failed| Gates {
            failed: failed.iter().map(gate).collect(),
        }),
        figures: figures::all(report),
        against: report.against.as_ref().map(against),
        comparison: comparison(report),
        short: metrics(report, |short| short),
        requested: counted(report.requests.len(), "request"),
        requests: requests(report),
        definitions: metrics(report, |_| true),
        command: report.command.clone(),
        resampling: format!(
            "Intervals hold where the value would lie in 95 of 100 runs over other prompts like these: {} times as many \
             requests as there are were drawn with replacement.",
            report.resampling.resamples
        ),
    }
}

fn tiles(report: &Report) -> Vec<Tile> {
    let measured = |name: &str| {
        report
            .metric(name)
            .map(|metric| (metric.value, metric.interval))
    };
    let (length, of_length) = measured("mean_length").unwrap_or_default();
    let most = report.setting.positions() + 1;
    let mut tiles = vec![Tile {
        name: "Mean length",
        value: format!("{} tokens per step", number(length, 2)),
        note: format!(
            "{}1 is a head of no use, {most} the most that this draft can give.",
            sentence_of(of_length)
        ),
        class: "",
    }];
    let (speedup, of_speedup) = measured("speedup").unwrap_or_default();
    tiles.push(speedup_tile(
        report,
        speedup.filter(|speedup| *speedup > 0.0),
        of_speedup,
    ));
    tiles.push(lossless(report));
    if let Some(failed) = &report.failed_gates {
        tiles.push(Tile {
            name: "Gates",
            value: if failed.is_empty() {
                "passed".to_owned()
            } else {
                format!("{} failed", failed.len())
            },
            note: "Limits that were set for this run.".to_owned(),
            class: if failed.is_empty() { "good" } else { "bad" },
        });
    }
    tiles
}

/// The interval as a sentence of its own, where there is one.
fn sentence_of(of: Option<Interval>) -> String {
    of.map_or_else(String::new, |_| {
        format!("95 % interval {}. ", interval(of, 2))
    })
}

fn speedup_tile(report: &Report, speedup: Option<f64>, of: Option<Interval>) -> Tile {
    let Some(speedup) = speedup else {
        return Tile {
            name: "Speed-up",
            value: "not measured".to_owned(),
            note: match report.setting.is_single_stream() {
                true => "The run holds no times of plain decoding.",
                false => "Several requests were in flight, and have waited for each other.",
            }
            .to_owned(),
            class: "",
        };
    };
    let (says, class) = match of {
        Some([low, _]) if low > 1.0 => ("Faster than plain decoding on this machine.", "good"),
        Some([_, high]) if high < 1.0 => ("Slower than plain decoding on this machine.", "bad"),
        Some(_) => (
            "Not clearly faster or slower than plain decoding on this machine.",
            "",
        ),
        None if speedup < 1.0 => ("Slower than plain decoding on this machine.", "bad"),
        None => ("Faster than plain decoding on this machine.", "good"),
    };
    Tile {
        name: "Speed-up",
        value: format!("{speedup:.2}×"),
        note: format!("{}{says}", sentence_of(of)),
        class,
    }
}

fn lossless(report: &Report) -> Tile {
    let lossless = &report.lossless;
    let (value, note, class) = match (lossless.checked, lossless.mismatched) {
        _ if lossless.guarantee == Guarantee::Distribution => (
            "in distribution".to_owned(),
            "By the rule of verification. Tokens are drawn anew, and cannot be compared one by one.".to_owned(),
            "good",
        ),
        _ if lossless.guarantee == Guarantee::Nothing => (
            "NO, as was asked for".to_owned(),
            "A lossy rule keeps tokens that the verifier would not: the text is not the verifier's.".to_owned(),
            "bad",
        ),
        (0, _) => (
            "not checked".to_owned(),
            "No request was completed.".to_owned(),
            "",
        ),
        (checked, 0) => (
            "yes".to_owned(),
            format!(
                "{} gave exactly the tokens of plain decoding.",
                all(checked)
            ),
            "good",
        ),
        (checked, mismatched) => (
            "NO".to_owned(),
            format!(
                "{mismatched} of {checked} requests gave other tokens than plain decoding ({}). That is a fault; please \
                 report it.",
                listed(&lossless.mismatched_ids)
            ),
            "bad",
        ),
    };
    Tile {
        name: "Lossless",
        value,
        note,
        class,
    }
}

fn all(count: usize) -> String {
    match count {
        1 => "The one request".to_owned(),
        count => format!("All {count} requests"),
    }
}

fn summary(report: &Report) -> Vec<String> {
    let counts = &report.counts;
    let mut says = vec![format!(
        "{} with {} output tokens: {} had a draft, and proposed {} draft tokens, of which {} were accepted.",
        counted(counts.requests, "request"),
        counts.output_tokens,
        counted(counts.steps, "step"),
        counts.drafted,
        counts.accepted
    )];
    if counts.steps == 0 {
        says.push(
            "No step had a draft, so that there is nothing to tell of acceptance.".to_owned(),
        );
        return says;
    }
    if counts.requests == 1 {
        says.push(
            "One request says nothing of how requests differ, hence there are no intervals."
                .to_owned(),
        );
    }
    says
}

fn gate(failure: &GateFailure) -> String {
    match (failure.value, failure.short_by) {
        (Some(value), Some(short)) => format!(
            "{} is {value:.4}, {short:.4} under its limit of {}",
            failure.metric, failure.limit
        ),
        _ => format!(
            "there is nothing to make {} of; its limit is {}",
            failure.metric, failure.limit
        ),
    }
}

fn against(paired: &crate::evaluation::Paired) -> Against {
    let mut table = Table::new(
        1,
        &[
            "metric",
            "here",
            "there",
            "difference",
            "95 % interval",
            "that is",
        ],
    );
    for difference in paired
        .differences
        .iter()
        .filter(|difference| difference.short)
    {
        table.row([
            difference.name.clone(),
            number(Some(difference.here), 3),
            number(Some(difference.there), 3),
            format!("{:+.3}", difference.difference),
            super::numbers::signed_interval(difference.interval),
            match (difference.interval, difference.is_clear()) {
                (None, _) => "too few requests",
                (Some([0.0, 0.0]), _) => "equal",
                (_, true) => "clear",
                (_, false) => "may be chance",
            }
            .to_owned(),
        ]);
    }
    let mut says = format!(
        "Against {}, {}: {} paired, {} only here, {} only there.",
        paired.setting.speculator,
        words::drafting(&paired.setting.drafting),
        counted(paired.paired, "request"),
        paired.only_here,
        paired.only_there
    );
    if !paired.other_prompts.is_empty() {
        says.push_str(&format!(
            " These requests did NOT have the same prompts: {}.",
            listed(&paired.other_prompts)
        ));
    }
    Against { says, table }
}

/// Agreement with another engine's outputs.
fn comparison(report: &Report) -> Vec<String> {
    let Some(comparison) = &report.comparison else {
        return Vec::new();
    };
    let mut says = vec![format!(
        "{} of {} outputs are identical to the reference.",
        comparison.identical, comparison.compared
    )];
    let ties = comparison
        .differences
        .iter()
        .filter(|difference| difference.tie)
        .count();
    if !comparison.differences.is_empty() {
        says.push(format!(
            "Of the {} others, {ties} part where two tokens lie within one bfloat16 step of each other.",
            comparison.differences.len()
        ));
    }
    if comparison.acceptance_compared > 0 {
        says.push(format!(
            "{} of {} accept the same number of draft tokens in every step.",
            comparison.acceptance_identical, comparison.acceptance_compared
        ));
    }
    says
}

fn metrics(report: &Report, listed: impl Fn(bool) -> bool) -> Table {
    let chosen = report.metrics.iter().filter(|metric| listed(metric.short));
    let rows = chosen.map(|metric| {
        vec![
            metric.name.clone(),
            metric.definition.clone(),
            metric.whose.to_owned(),
            number(metric.value, 3),
            interval(metric.interval, 3),
        ]
    });
    Table::new(
        3,
        &["metric", "definition", "whose", "value", "95 % interval"],
    )
    .with(rows)
}

/// Each request, those that accept least first.
fn requests(report: &Report) -> Table {
    let mut requests: Vec<_> = report.requests.iter().collect();
    let length =
        |request: &crate::evaluation::RequestReport| request.mean_length().unwrap_or(f64::INFINITY);
    requests.sort_by(|one, other| length(one).total_cmp(&length(other)));
    let rows = requests.into_iter().map(|request| {
        vec![
            request.id.clone(),
            request.category.clone().unwrap_or_default(),
            request.prompt_tokens.to_string(),
            request.output_tokens.to_string(),
            request.steps.to_string(),
            number(request.mean_length(), 2),
            number(request.speedup(), 2),
            match (report.lossless.guarantee, request.lossless) {
                (Guarantee::Tokens, true) => "yes",
                (Guarantee::Tokens, false) => "NO",
                _ => "–",
            }
            .to_owned(),
        ]
    });
    let titles = [
        "request",
        "category",
        "prompt tokens",
        "output tokens",
        "steps",
        "mean length",
        "speed-up",
        "lossless",
    ];
    Table::new(2, &titles).with(rows)
}

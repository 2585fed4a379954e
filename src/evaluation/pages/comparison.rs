//! What the page of a comparison says.

use serde::Serialize;

use super::charts::{self, Forest, Row, Words};
use super::numbers::{counted, listed, number, signed_interval};
use super::table::Table;
use super::words;
use crate::evaluation::{ComparedRun, MetricDifference, PromptCheck, RunComparison, Verdict};

/// Everything that the templates of a comparison show.
#[derive(Serialize)]
pub(super) struct View {
    version: &'static str,
    schema: &'static str,
    first: Run,
    second: Run,
    /// What came of it, in sentences.
    summary: Vec<String>,
    settings: Table,
    figures: Vec<Figure>,
    metrics: Table,
    /// How many requests were paired, in words.
    requested: String,
    requests: Table,
    clear: usize,
    compared: usize,
}

#[derive(Serialize)]
struct Run {
    file: String,
    setting: Vec<[String; 2]>,
}

#[derive(Serialize)]
struct Figure {
    id: &'static str,
    title: &'static str,
    svg: String,
    shows: String,
    judge: &'static str,
    table: Table,
}

const JUDGE: &str = "Right of the dashed line the second run is better. A whisker that crosses the line is a difference \
                     that may be chance.";

pub(super) fn view(comparison: &RunComparison) -> View {
    let clear =
        |metric: &&MetricDifference| matches!(metric.verdict, Verdict::Better | Verdict::Worse);
    View {
        version: comparison.version,
        schema: comparison.schema,
        first: run(&comparison.first),
        second: run(&comparison.second),
        summary: summary(comparison),
        settings: settings(comparison),
        figures: [positions(comparison), categories(comparison)]
            .into_iter()
            .flatten()
            .collect(),
        metrics: metrics(comparison),
        requested: counted(comparison.paired, "request"),
        requests: requests(comparison),
        clear: comparison.metrics.iter().filter(clear).count(),
        compared: comparison.metrics.len(),
    }
}

fn run(run: &ComparedRun) -> Run {
    Run {
        file: run.file.clone(),
        setting: words::setting(&run.setting),
    }
}

fn summary(comparison: &RunComparison) -> Vec<String> {
    let mut says = Vec::new();
    for (name, unit) in [
        ("mean_length", "mean length"),
        ("speedup", "speed-up"),
        ("tokens_per_second", "rate in tokens per second"),
    ] {
        if let Some(metric) = comparison.metric(name) {
            says.push(format!(
                "The {unit} is {:.3} in the second run and {:.3} in the first: a difference of {:+.3} (95 % interval {}), {}.",
                metric.second,
                metric.first,
                metric.difference,
                signed_interval(metric.interval),
                judged(metric.verdict)
            ));
        }
    }
    says.push(format!(
        "{} with the same prompt in both runs {} compared; prompts were held to be the same by {}.",
        counted(comparison.paired, "request"),
        if comparison.paired == 1 {
            "was"
        } else {
            "were"
        },
        match comparison.prompts_by {
            PromptCheck::Digest => "a digest of their tokens",
            PromptCheck::TokenCount => "their number of tokens, since a run has no digests",
        }
    ));
    for (names, what) in [
        (&comparison.only_first, "only the first run has"),
        (&comparison.only_second, "only the second run has"),
        (
            &comparison.other_prompts,
            "both have, but with another prompt",
        ),
    ] {
        if !names.is_empty() {
            says.push(format!(
                "Left out: {} that {what} ({}).",
                counted(names.len(), "request"),
                listed(names)
            ));
        }
    }
    for run in [&comparison.first, &comparison.second] {
        if run.mismatched > 0 {
            says.push(format!(
                "{} of the {} requests in {} did NOT give the tokens of plain decoding.",
                run.mismatched, run.requests, run.file
            ));
        }
    }
    says
}

fn judged(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Better => "which is clearly better",
        Verdict::Worse => "which is clearly worse",
        Verdict::MayBeChance => "which may be chance",
        Verdict::Equal => "no difference in any request",
        Verdict::Unknown => "of which one request cannot say whether it is chance",
    }
}

fn settings(comparison: &RunComparison) -> Table {
    let rows = comparison.settings.iter().map(|setting| {
        let written = |value: &serde_json::Value| match value {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        vec![
            setting.name.clone(),
            written(&setting.first),
            written(&setting.second),
        ]
    });
    Table::new(3, &["setting", "first", "second"]).with(rows)
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Better => "better",
        Verdict::Worse => "worse",
        _ => "one",
    }
}

fn differences(words: Words<'_>, rows: &[Row], axis_title: &str) -> String {
    let forest = Forest {
        axis_title,
        reference: Some((0.0, "no difference".to_owned())),
        least: 0.01,
        signed: true,
    };
    charts::forest(words, rows, &forest)
}

fn positions(comparison: &RunComparison) -> Option<Figure> {
    let of_position = |metric: &&MetricDifference| metric.name.starts_with("per_position.");
    let found: Vec<&MetricDifference> = comparison.metrics.iter().filter(of_position).collect();
    let rows: Vec<Row> = found
        .iter()
        .enumerate()
        .map(|(index, metric)| Row {
            label: format!("draft token {}", index + 1),
            note: format!("{:.3} → {:.3}", metric.first, metric.second),
            value: Some(metric.difference),
            interval: metric.interval,
            class: class(metric.verdict),
        })
        .collect();
    let first = found.first()?;
    let (id, title) = ("positions", "Acceptance by position: second less first");
    let shows = format!(
        "The first draft token was accepted in {:.1} % of the steps of the first run and in {:.1} % of those of the \
         second, {}.",
        100.0 * first.first,
        100.0 * first.second,
        judged(first.verdict)
    );
    let table = found.iter().map(|metric| row(metric.name.clone(), metric));
    Some(Figure {
        id,
        title,
        svg: differences(
            Words {
                id,
                title,
                shows: &shows,
            },
            &rows,
            "difference of the share of steps that accept it",
        ),
        shows,
        judge: JUDGE,
        table: Table::new(
            1,
            &[
                "metric",
                "first",
                "second",
                "difference",
                "95 % interval",
                "that is",
            ],
        )
        .with(table),
    })
}

fn categories(comparison: &RunComparison) -> Option<Figure> {
    let found = &comparison.categories;
    if found.is_empty() {
        return None;
    }
    let rows: Vec<Row> = found
        .iter()
        .map(|part| Row {
            label: part.category.clone(),
            note: counted(part.paired, "request"),
            value: Some(part.difference),
            interval: part.interval,
            class: class(part.verdict),
        })
        .collect();
    let count = |verdict: Verdict| found.iter().filter(|part| part.verdict == verdict).count();
    let (id, title) = (
        "categories",
        "Mean length by kind of prompt: second less first",
    );
    let shows = format!(
        "Of {}, the second run is clearly better in {} and clearly worse in {}.",
        match found.len() {
            1 => "one category".to_owned(),
            count => format!("{count} categories"),
        },
        count(Verdict::Better),
        count(Verdict::Worse)
    );
    let table = found.iter().map(|part| {
        vec![
            part.category.clone(),
            part.paired.to_string(),
            number(Some(part.first), 3),
            number(Some(part.second), 3),
            format!("{:+.3}", part.difference),
            signed_interval(part.interval),
            part.verdict.as_str().to_owned(),
        ]
    });
    let titles = [
        "category",
        "requests",
        "first",
        "second",
        "difference",
        "95 % interval",
        "that is",
    ];
    Some(Figure {
        id,
        title,
        svg: differences(
            Words {
                id,
                title,
                shows: &shows,
            },
            &rows,
            "difference of the mean length (tokens per step)",
        ),
        shows,
        judge: JUDGE,
        table: Table::new(1, &titles).with(table),
    })
}

fn row(name: String, metric: &MetricDifference) -> Vec<String> {
    vec![
        name,
        number(Some(metric.first), 3),
        number(Some(metric.second), 3),
        format!("{:+.3}", metric.difference),
        signed_interval(metric.interval),
        metric.verdict.as_str().to_owned(),
    ]
}

fn metrics(comparison: &RunComparison) -> Table {
    let titles = [
        "metric",
        "definition",
        "first",
        "second",
        "difference",
        "95 % interval",
        "that is",
    ];
    let rows = comparison.metrics.iter().map(|metric| {
        let mut cells = row(metric.name.clone(), metric);
        cells.insert(1, format!("{} ({})", metric.definition, metric.whose));
        cells
    });
    Table::new(2, &titles).with(rows)
}

/// Each request, those that lose most first.
fn requests(comparison: &RunComparison) -> Table {
    let mut requests: Vec<_> = comparison.requests.iter().collect();
    let lost = |difference: Option<f64>| difference.unwrap_or(f64::INFINITY);
    requests.sort_by(|one, other| lost(one.difference).total_cmp(&lost(other.difference)));
    let rows = requests.into_iter().map(|request| {
        vec![
            request.id.clone(),
            request.category.clone().unwrap_or_default(),
            number(request.first, 2),
            number(request.second, 2),
            request
                .difference
                .map_or_else(|| "–".to_owned(), |difference| format!("{difference:+.2}")),
        ]
    });
    Table::new(2, &["request", "category", "first", "second", "difference"]).with(rows)
}

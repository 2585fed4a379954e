//! Mean length by kinds of steps and prompts.

use super::{Draft, Figure};
use crate::evaluation::pages::charts::{self, Forest, Row};
use crate::evaluation::pages::numbers::{counted, interval, number, percent};
use crate::evaluation::pages::table::Table;
use crate::evaluation::{CategoryReport, Interval, Report};

pub(super) fn contexts(report: &Report) -> Option<Figure> {
    let ranges = &report.context_lengths;
    let (first, last) = (ranges.first()?, ranges.last()?);
    let name = |from: usize, to: usize| format!("{from} to {}", to - 1);
    let rows: Vec<Row> = ranges
        .iter()
        .map(|range| Row {
            label: name(range.from, range.to),
            note: counted(range.steps, "step"),
            value: range.mean_length,
            interval: range.mean_length_interval,
            class: "one",
        })
        .collect();
    let shows = match ranges.len() {
        1 => format!(
            "All steps had {} tokens before them, so that nothing is told here of other lengths.",
            name(first.from, first.to)
        ),
        _ => format!(
            "The mean length is {} with {} tokens before the step and {} with {}{}.",
            number(first.mean_length, 2),
            name(first.from, first.to),
            number(last.mean_length, 2),
            name(last.from, last.to),
            apart(first.mean_length_interval, last.mean_length_interval)
        ),
    };
    let table = ranges.iter().map(|range| {
        vec![
            name(range.from, range.to),
            range.requests.to_string(),
            range.steps.to_string(),
            number(range.mean_length, 3),
            interval(range.mean_length_interval, 3),
            percent(range.per_position.first().copied().flatten()),
        ]
    });
    let titles = [
        "tokens before the step",
        "requests",
        "steps",
        "mean length",
        "95 % interval",
        "first token accepted",
    ];
    let figure = Draft {
        id: "contexts",
        title: "With longer texts",
        shows,
        judge: "Good: all rows at about the same place. Rows that move left as texts grow are a head that was trained on \
                shorter texts, or with another position encoding than the verifier's."
            .to_owned(),
        table: Table::new(1, &titles).with(table),
    };
    Some(figure.drawn(|words| charts::forest(words, &rows, &mean_lengths(report))))
}

pub(super) fn categories(report: &Report) -> Option<Figure> {
    let parts = &report.categories;
    let length = |part: &&CategoryReport| part.acceptance.mean_length;
    let best = parts
        .iter()
        .max_by(|one, other| length(one).total_cmp(&length(other)))?;
    let worst = parts
        .iter()
        .min_by(|one, other| length(one).total_cmp(&length(other)))?;
    let rows: Vec<Row> = parts
        .iter()
        .map(|part| Row {
            label: part.category.clone(),
            note: counted(part.counts.requests, "request"),
            value: (part.counts.steps > 0).then_some(part.acceptance.mean_length),
            interval: part.mean_length_interval,
            class: "one",
        })
        .collect();
    let shows = match parts.len() {
        1 => format!(
            "All prompts with a category are of {}: mean length {:.2}.",
            best.category,
            length(&best)
        ),
        count => format!(
            "Of {count} categories, {} has the longest mean length, {:.2}, and {} the shortest, {:.2}{}.",
            best.category,
            length(&best),
            worst.category,
            length(&worst),
            apart(best.mean_length_interval, worst.mean_length_interval)
        ),
    };
    let table = parts.iter().map(|part| {
        vec![
            part.category.clone(),
            part.counts.requests.to_string(),
            part.counts.steps.to_string(),
            number(Some(part.acceptance.mean_length), 3),
            interval(part.mean_length_interval, 3),
            percent(part.acceptance.per_position.first().copied()),
        ]
    });
    let titles = [
        "category",
        "requests",
        "steps",
        "mean length",
        "95 % interval",
        "first token accepted",
    ];
    let figure = Draft {
        id: "categories",
        title: "By kind of prompt",
        shows,
        judge: "A category far to the left is one that the head's training data had little of. Whiskers are 95 % \
                intervals: the fewer requests, the wider."
            .to_owned(),
        table: Table::new(1, &titles).with(table),
    };
    Some(figure.drawn(|words| charts::forest(words, &rows, &mean_lengths(report))))
}

fn mean_lengths(report: &Report) -> Forest<'static> {
    let all = report.acceptance.mean_length;
    Forest {
        axis_title: "mean length (tokens per step)",
        reference: Some((all, format!("all: {all:.2}"))),
        least: 0.2,
        signed: false,
    }
}

/// What two intervals say of each other.
fn apart(one: Option<Interval>, other: Option<Interval>) -> &'static str {
    match (one, other) {
        (Some(one), Some(other)) if one[0] > other[1] || other[0] > one[1] => {
            "; their intervals do not touch, so that this is hardly chance"
        }
        (Some(_), Some(_)) => "; their intervals overlap, so that it may be chance",
        _ => "",
    }
}

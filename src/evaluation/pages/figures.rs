//! The figures of a report: a chart, what it shows in a sentence of numbers, what would be good, and the numbers
//! themselves as a table.

use serde::Serialize;

use super::charts::{
    self, Column, Curve, Forest, PositionPoint, ReliabilityPoint, Row, Stack, Unit, Words,
};
use super::numbers::{counted, interval, number, percent, percent_interval};
use super::table::Table;
use crate::decoding::Drafting;
use crate::evaluation::{Calibration, Interval, Report};

/// A chart and what belongs to it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figure {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) svg: String,
    /// What it shows here, in numbers.
    pub(super) shows: String,
    /// What good and bad look like.
    pub(super) judge: String,
    pub(super) table: Table,
}

struct Draft {
    id: &'static str,
    title: &'static str,
    shows: String,
    judge: String,
    table: Table,
}

impl Draft {
    fn drawn(self, draw: impl FnOnce(Words<'_>) -> String) -> Figure {
        let svg = draw(Words {
            id: self.id,
            title: self.title,
            shows: &self.shows,
        });
        let Draft {
            id,
            title,
            shows,
            judge,
            table,
        } = self;
        Figure {
            id,
            title,
            svg,
            shows,
            judge,
            table,
        }
    }
}

/// Every figure that the report has something for, in the order of the page.
pub(super) fn all(report: &Report) -> Vec<Figure> {
    if report.counts.steps == 0 {
        return Vec::new();
    }
    let figures = [
        Some(positions(report)),
        Some(lengths(report)),
        frontier(report),
        latency(report),
        contexts(report),
        categories(report),
        report.calibration.as_ref().map(calibration),
    ];
    figures.into_iter().flatten().collect()
}

fn positions(report: &Report) -> Figure {
    let of = |name: &str, position: usize| {
        let metric = report.metric(&format!("{name}.{position}"));
        (
            metric.and_then(|metric| metric.value),
            metric.and_then(|metric| metric.interval),
        )
    };
    let points: Vec<PositionPoint> = (0..report.counts.accepted_per_position.len())
        .map(|position| {
            let (joint, joint_interval) = of("per_position", position);
            let (conditional, conditional_interval) = of("conditional", position);
            PositionPoint {
                joint,
                joint_interval,
                conditional,
                conditional_interval,
            }
        })
        .collect();
    let first = points.first().copied().unwrap_or_default();
    let last = points.last().copied().unwrap_or_default();
    let shows = match points.len() {
        0 | 1 => format!(
            "The verifier accepted the draft token in {} of the steps.",
            percent(first.joint)
        ),
        count => format!(
            "The verifier accepted the first draft token in {} of the steps, and all {count} in {}{}.",
            percent(first.joint),
            percent(last.joint),
            match last.conditional {
                Some(_) => format!(
                    "; given that the one before was accepted, the last one was accepted in {}",
                    percent(last.conditional)
                ),
                None => String::new(),
            }
        ),
    };
    let titles = [
        "draft token",
        "accepted",
        "of all steps",
        "95 % interval",
        "given the one before",
        "95 % interval",
    ];
    let rows = points
        .iter()
        .zip(&report.counts.accepted_per_position)
        .enumerate();
    let rows = rows.map(|(index, (point, accepted))| {
        vec![
            (index + 1).to_string(),
            accepted.to_string(),
            percent(point.joint),
            percent_interval(point.joint_interval),
            percent(point.conditional),
            percent_interval(point.conditional_interval),
        ]
    });
    Draft {
        id: "positions",
        title: "How far the draft is right",
        shows,
        judge: "Good: both curves high, the conditional one flat. A conditional curve that falls steeply is a head that \
                loses its way after its own first guesses; a low first point is a head that does not follow this verifier. \
                Whiskers are 95 % intervals."
            .to_owned(),
        table: Table::new(1, &titles).with(rows),
    }
    .drawn(|words| charts::shares(words, &points))
}

fn lengths(report: &Report) -> Figure {
    let lengths = &report.accepted_lengths;
    let columns: Vec<Column> = lengths
        .iter()
        .map(|length| Column {
            label: length.accepted.to_string(),
            share: length.share,
            tip: format!(
                "{} of {} steps accepted {}",
                length.steps, report.counts.steps, length.accepted
            ),
        })
        .collect();
    let mean = report.acceptance.mean_length - 1.0;
    let share =
        |end: Option<&crate::evaluation::AcceptedLength>| percent(end.map(|length| length.share));
    let rows = lengths.iter().map(|length| {
        vec![
            length.accepted.to_string(),
            length.steps.to_string(),
            percent(Some(length.share)),
        ]
    });
    Draft {
        id: "lengths",
        title: "How many draft tokens a step accepts",
        shows: format!(
            "A step accepted {mean:.2} draft tokens on average; {} of the steps accepted none, and {} accepted the \
             whole draft.",
            share(lengths.first()),
            share(lengths.last())
        ),
        judge: "Good: most of the weight to the right. Much weight at 0 is work thrown away; much weight at the right \
                end means that a longer draft would be accepted, too."
            .to_owned(),
        table: Table::new(1, &["accepted", "steps", "share of steps"]).with(rows),
    }
    .drawn(|words| {
        let mark = Some((mean, format!("mean {mean:.2}")));
        charts::columns(words, &columns, "draft tokens accepted in a step", mark)
    })
}

/// What chains up to the one that was run give: a chain's first tokens are accepted or not whatever follows them.
fn frontier(report: &Report) -> Option<Figure> {
    let Drafting::Chain { .. } = report.setting.drafting else {
        return None;
    };
    let shares = &report.acceptance.per_position;
    let (first, last) = (shares.first()?, shares.last()?);
    if shares.len() < 2 {
        return None;
    }
    let lengths = shares.iter().scan(1.0, |length, share| {
        *length += share;
        Some(*length)
    });
    let lengths: Vec<f64> = lengths.collect();
    let counts = (1_u32..).map(f64::from);
    let curve = Curve {
        name: "chain".to_owned(),
        points: counts.zip(lengths.iter().copied()).collect(),
    };
    let rows = lengths.iter().zip(shares).enumerate();
    let rows = rows.map(|(index, (length, share))| {
        vec![
            (index + 1).to_string(),
            number(Some(*length), 3),
            format!("+{share:.3}"),
        ]
    });
    let figure = Draft {
        id: "frontier",
        title: "What a shorter draft would give",
        shows: format!(
            "With 1 draft token per step the mean length would have been about {:.2}; with {} it was {:.2}, to which the \
             last token added {last:.3}.",
            1.0 + first,
            shares.len(),
            report.acceptance.mean_length
        ),
        judge: "Good: a curve that still rises at its right end, for then a longer draft gains more. Where it is flat, \
                drafting costs time and gains nothing. Each point is 1 and the shares of all steps up to there; steps of \
                a shorter draft begin at other places, hence “about”."
            .to_owned(),
        table: Table::new(1, &["draft tokens", "mean length", "added by the last"]).with(rows),
    };
    let titles = ("draft tokens per step", "mean length (tokens per step)");
    Some(figure.drawn(|words| charts::curves(words, &[curve], titles)))
}

/// One step against plain decoding of as many tokens; none where no time was measured.
fn latency(report: &Report) -> Option<Figure> {
    let latency = report.latency.as_ref()?;
    let step = latency.draft_ms + latency.verify_ms + latency.other_ms;
    let tokens = report.metric("tau")?.value?;
    let plain = latency.plain_token_ms * tokens;
    if step <= 0.0 || plain <= 0.0 {
        return None;
    }
    let bars = [
        Stack {
            label: format!("one step with the head: {tokens:.2} tokens"),
            parts: vec![
                ("part one", "draft", latency.draft_ms),
                ("part two", "verify", latency.verify_ms),
                ("part three", "other", latency.other_ms),
            ],
        },
        Stack {
            label: format!("plain decoding: {tokens:.2} tokens, one at a time"),
            parts: vec![("part plain", "plain", plain)],
        },
    ];
    let unit = Unit {
        axis_title: "milliseconds",
        suffix: "ms",
    };
    let share = |part: f64| percent(Some(part / step));
    let row =
        |name: &str, time: f64, share: String| vec![name.to_owned(), number(Some(time), 3), share];
    let rows = [
        row("draft", latency.draft_ms, share(latency.draft_ms)),
        row("verify", latency.verify_ms, share(latency.verify_ms)),
        row("other", latency.other_ms, share(latency.other_ms)),
        row("whole step", step, share(step)),
        row(
            "plain decoding, one token",
            latency.plain_token_ms,
            String::new(),
        ),
        row(
            "prompt pass, per request",
            latency.prefill_ms,
            String::new(),
        ),
    ];
    let figure = Draft {
        id: "latency",
        title: "Where the time goes",
        shows: format!(
            "A step took {step:.3} ms and gave {tokens:.2} tokens, for which plain decoding took {plain:.3} ms: {} of the \
             step went into drafting and {} into verifying.",
            share(latency.draft_ms),
            share(latency.verify_ms)
        ),
        judge: "Good: the upper bar shorter than the lower one. Times hold for this program on this machine; acceptance \
                does not depend on it. A verify part much longer than one plain token means that a pass over several \
                tokens costs more here than a pass over one, as it does on CPUs."
            .to_owned(),
        table: Table::new(1, &["mean time", "milliseconds", "of the step"]).with(rows),
    };
    Some(figure.drawn(|words| charts::stacks(words, &bars, unit)))
}

fn contexts(report: &Report) -> Option<Figure> {
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

fn categories(report: &Report) -> Option<Figure> {
    let parts = &report.categories;
    let length = |part: &&crate::evaluation::CategoryReport| part.acceptance.mean_length;
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

fn calibration(calibration: &Calibration) -> Figure {
    let points: Vec<ReliabilityPoint> = calibration
        .bins
        .iter()
        .map(|bin| ReliabilityPoint {
            count: bin.compared,
            said: bin.probability,
            share: bin.share,
            interval: bin.interval,
        })
        .collect();
    let rows = calibration.bins.iter().map(|bin| {
        vec![
            format!("{:.0} to {:.0} %", 100.0 * bin.from, 100.0 * bin.to),
            bin.compared.to_string(),
            bin.taken.to_string(),
            percent(bin.probability),
            percent(bin.share),
            percent_interval(bin.interval),
        ]
    });
    let titles = [
        "head's probability",
        "favourites",
        "taken",
        "mean probability",
        "share taken",
        "95 % interval",
    ];
    let leaning = match calibration.bias {
        bias if bias > 0.02 => format!("too sure of itself by {:.1} points", 100.0 * bias),
        bias if bias < -0.02 => format!("too modest by {:.1} points", -100.0 * bias),
        _ => "neither too sure of itself nor too modest".to_owned(),
    };
    Draft {
        id: "calibration",
        title: "Whether the head knows when it is right",
        shows: format!(
            "Over {} favourites, the probability the head gave and the share the verifier took are {:.1} points apart on \
             average; on the whole the head is {leaning}.",
            calibration.compared,
            100.0 * calibration.error
        ),
        judge: "Good: points on the dashed line. Dynamic trees, and engines that stop drafting when the head is unsure, \
                go by these probabilities; far from the line they spend their tokens in the wrong places. At temperature 0 \
                points lie above the line even for a perfect head, since the verifier takes its likeliest token every time."
            .to_owned(),
        table: Table::new(1, &titles).with(rows),
    }
    .drawn(|words| charts::reliability(words, &points))
}

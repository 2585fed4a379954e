//! Acceptance: by position, by step, and what shorter drafts would give.

use super::{Draft, Figure};
use crate::decoding::Drafting;
use crate::evaluation::pages::charts::{self, Column, Curve, PositionPoint};
use crate::evaluation::pages::numbers::{number, percent, percent_interval};
use crate::evaluation::pages::table::Table;
use crate::evaluation::tally::count;
use crate::evaluation::{AcceptedLength, Best, Report, Shape};

pub(super) fn positions(report: &Report) -> Figure {
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

pub(super) fn lengths(report: &Report) -> Figure {
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
    let share = |end: Option<&AcceptedLength>| percent(end.map(|length| length.share));
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

/// What other drafts would give: by the survey of the run, where there is one, and else shorter chains by its shares.
pub(super) fn frontier(report: &Report) -> Option<Figure> {
    match &report.best {
        Some(best) => surveyed(best),
        None => shorter(report),
    }
}

/// The greatest mean length of each shape at each budget.
fn surveyed(best: &Best) -> Option<Figure> {
    let shapes = [
        (Shape::Chain, "chain"),
        (Shape::Static, "static tree"),
        (Shape::Dynamic, "dynamic tree"),
        (Shape::Calibrated, "calibrated tree"),
    ];
    let of = |shape: Shape| {
        best.frontier
            .iter()
            .filter(move |found| found.shape == shape)
    };
    let lines: Vec<Curve> = shapes
        .iter()
        .filter(|(shape, _)| of(*shape).next().is_some())
        .map(|&(shape, name)| Curve {
            name: name.to_owned(),
            points: of(shape)
                .map(|found| (count(found.budget), found.mean_length))
                .collect(),
        })
        .collect();
    let longest = best
        .frontier
        .iter()
        .max_by(|one, other| one.mean_length.total_cmp(&other.mean_length))?;
    let name = |shape: Shape| {
        let named = shapes.iter().find(|(known, _)| *known == shape);
        named.map_or("", |(_, name)| name)
    };
    let rows = best.frontier.iter().map(|found| {
        vec![
            name(found.shape).to_owned(),
            found.budget.to_string(),
            found.depth.to_string(),
            number(Some(found.mean_length), 3),
            number(found.predicted_speed_up, 2),
        ]
    });
    let titles = [
        "shape",
        "draft tokens",
        "depth",
        "mean length",
        "predicted speed-up",
    ];
    let figure = Draft {
        id: "frontier",
        title: "What other drafts would give",
        shows: format!(
            "Of the drafts that were simulated on {} positions of this run, a {} of {} draft tokens has the longest mean \
             length, {:.2}.",
            best.survey.positions,
            name(longest.shape),
            longest.budget,
            longest.mean_length
        ),
        judge: "Good: a curve that rises early. Where it is flat, more draft tokens cost time and gain nothing; the setting \
                that is fastest is the one whose gain is worth its time, which is seldom the longest."
            .to_owned(),
        table: Table::new(1, &titles).with(rows),
    };
    let titles = ("draft tokens per step", "mean length (tokens per step)");
    Some(figure.drawn(|words| charts::curves(words, &lines, titles)))
}

/// What chains up to the one that was run give: a chain's first tokens are accepted or not whatever follows them.
fn shorter(report: &Report) -> Option<Figure> {
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

//! Acceptance by position: of all steps, and of those that accepted the token before.

use super::axis::Axis;
use super::{WIDTH, Words, axis_count, every, percent};
use crate::evaluation::Interval;
use crate::evaluation::pages::drawing::{Anchor, Drawing};

/// One position of the draft, the shares from 0 to 1; none where nothing was drafted there.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::evaluation::pages) struct PositionPoint {
    /// Share of all steps that accepted it.
    pub joint: Option<f64>,
    /// Its interval.
    pub joint_interval: Option<Interval>,
    /// Share of the steps that accepted the one before.
    pub conditional: Option<f64>,
    /// Its interval.
    pub conditional_interval: Option<Interval>,
}

const HEIGHT: f64 = 290.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 470.0;
const TOP: f64 = 52.0;
const BOTTOM: f64 = 244.0;

/// Marks and intervals are drawn one by one up to here, and as a band beyond.
const MOST_BARS: usize = 16;
/// Values are written up to here.
const MOST_VALUES: usize = 5;

/// One of the two curves.
struct Series {
    class: &'static str,
    band: &'static str,
    name: &'static str,
    square: bool,
    /// Pixels to the side, so that marks of both do not hide each other.
    aside: f64,
    value: fn(&PositionPoint) -> Option<f64>,
    interval: fn(&PositionPoint) -> Option<Interval>,
}

const SERIES: [Series; 2] = [
    Series {
        class: "one",
        band: "band one",
        name: "of all steps (joint)",
        square: false,
        aside: -4.0,
        value: |point| point.joint,
        interval: |point| point.joint_interval,
    },
    Series {
        class: "two",
        band: "band two",
        name: "given the token before (conditional)",
        square: true,
        aside: 4.0,
        value: |point| point.conditional,
        interval: |point| point.conditional_interval,
    },
];

/// Both shares by position.
pub(in crate::evaluation::pages) fn shares(words: Words<'_>, points: &[PositionPoint]) -> String {
    let mut drawing = Drawing::new(WIDTH, HEIGHT);
    let height = Axis::new((0.0, 1.0), (BOTTOM, TOP));
    for tick in height.ticks(5.0) {
        let y = height.at(tick);
        drawing.line("grid", (LEFT, y), (RIGHT, y));
        drawing.text(
            "tick",
            (LEFT - 6.0, y + 4.0),
            Anchor::End,
            &percent(tick, 0),
        );
    }
    let room = (RIGHT - LEFT) / axis_count(points.len().max(1));
    let place = |index: usize| LEFT + room * (axis_count(index) + 0.5);
    let labelled = every(points.len(), 16);
    for index in 0..points.len() {
        let position = index + 1;
        if labelled == 1 || position == 1 || position % labelled == 0 {
            drawing.text(
                "tick",
                (place(index), BOTTOM + 17.0),
                Anchor::Middle,
                &position.to_string(),
            );
        }
    }
    drawing.line("axis", (LEFT, BOTTOM), (RIGHT, BOTTOM));
    let mut legend = LEFT;
    for series in &SERIES {
        mark(&mut drawing, series, (legend + 5.0, 16.0), "");
        drawing.text("value", (legend + 15.0, 20.0), Anchor::Start, series.name);
        legend += 160.0;
        curve(&mut drawing, series, points, &height, &place);
    }
    let middle = f64::midpoint(LEFT, RIGHT);
    drawing.text(
        "title",
        (middle, BOTTOM + 38.0),
        Anchor::Middle,
        "position in the draft (1 is the first draft token)",
    );
    drawing.upright_text(
        "title",
        (12.0, f64::midpoint(TOP, BOTTOM)),
        "share accepted",
    );
    drawing.finish(words.id, words.title, words.shows)
}

fn mark(drawing: &mut Drawing, series: &Series, at: (f64, f64), tip: &str) {
    match series.square {
        true => drawing.square(series.class, at, 4.0, tip),
        false => drawing.dot(series.class, at, 4.5, tip),
    }
}

fn curve(
    drawing: &mut Drawing,
    series: &Series,
    points: &[PositionPoint],
    height: &Axis,
    place: &impl Fn(usize) -> f64,
) {
    let many = points.len() > MOST_BARS;
    let aside = if many { 0.0 } else { series.aside };
    // Positions without a value break the curve.
    let measured = points.iter().enumerate();
    let measured: Vec<(usize, f64, Option<Interval>)> = measured
        .filter_map(|(index, point)| {
            Some((index, (series.value)(point)?, (series.interval)(point)))
        })
        .collect();
    let x = |index: usize| place(index) + aside;
    for run in measured.chunk_by(|one, next| one.0 + 1 == next.0) {
        let line: Vec<(f64, f64)> = run
            .iter()
            .map(|&(index, value, _)| (x(index), height.at(value)))
            .collect();
        if many {
            let ends = |end: usize| {
                let with_interval = run
                    .iter()
                    .filter_map(move |&(index, _, interval)| Some((index, interval?[end])));
                with_interval.map(|(index, value)| (x(index), height.at(value)))
            };
            let band: Vec<(f64, f64)> = ends(0)
                .chain(ends(1).collect::<Vec<_>>().into_iter().rev())
                .collect();
            if band.len() > 3 {
                drawing.polygon(series.band, &band);
            }
        }
        drawing.polyline(series.class, &line);
    }
    for (index, value, interval) in measured {
        let (at, y) = (x(index), height.at(value));
        let tip = format!(
            "position {}: {} {}",
            index + 1,
            percent(value, 1),
            series.name
        );
        if many {
            drawing.dot(series.class, (at, y), 2.0, &tip);
            continue;
        }
        let (mut low, mut high) = (y, y);
        if let Some([least, most]) = interval {
            (low, high) = (height.at(least), height.at(most));
            drawing.line(series.class, (at, low), (at, high));
            drawing.line(series.class, (at - 4.0, low), (at + 4.0, low));
            drawing.line(series.class, (at - 4.0, high), (at + 4.0, high));
        }
        mark(drawing, series, (at, y), &tip);
        if points.len() > MOST_VALUES {
            continue;
        }
        let label = percent(value, 1);
        // The joint share is never above the conditional one: one below, the other above, and beside where the axis is.
        match series.square {
            true => drawing.text(
                "value",
                (at, high.min(y - 4.0) - 5.0),
                Anchor::Middle,
                &label,
            ),
            false if low.max(y + 4.0) + 16.0 < BOTTOM => {
                drawing.text(
                    "value",
                    (at, low.max(y + 4.0) + 14.0),
                    Anchor::Middle,
                    &label,
                );
            }
            false => drawing.text("value", (at - 8.0, y - 3.0), Anchor::End, &label),
        }
    }
}

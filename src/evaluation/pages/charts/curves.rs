//! Curves over a common axis, each named at its end: what a larger draft gains.

use super::axis::{Axis, round_range, tick_label};
use super::{WIDTH, Words};
use crate::evaluation::pages::drawing::{Anchor, Drawing};

/// One curve.
#[derive(Clone, Debug)]
pub(in crate::evaluation::pages) struct Curve {
    /// Its name.
    pub name: String,
    /// Its points, from left to right.
    pub points: Vec<(f64, f64)>,
}

const HEIGHT: f64 = 290.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 356.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 240.0;
/// Names at the ends are at least this far from each other.
const APART: f64 = 16.0;

const CLASSES: [&str; 4] = ["one", "two", "three", "four"];

/// Curves, and where they lead.
pub(in crate::evaluation::pages) fn curves(
    words: Words<'_>,
    curves: &[Curve],
    (across_title, up_title): (&str, &str),
) -> String {
    let mut drawing = Drawing::new(WIDTH, HEIGHT);
    let points = || curves.iter().flat_map(|curve| curve.points.iter().copied());
    let up = Axis::new(round_range(points().map(|(_, y)| y), 0.2), (BOTTOM, TOP));
    let across = Axis::new(
        round_range(points().map(|(x, _)| x).chain([0.0]), 1.0),
        (LEFT, RIGHT),
    );
    let ticks = up.ticks(5.0);
    for tick in &ticks {
        drawing.line("grid", (LEFT, up.at(*tick)), (RIGHT, up.at(*tick)));
        drawing.text(
            "tick",
            (LEFT - 6.0, up.at(*tick) + 4.0),
            Anchor::End,
            &tick_label(*tick, &ticks),
        );
    }
    // Across are counts.
    let mut ticks = across.ticks(6.0);
    ticks.retain(|tick| (tick - tick.round()).abs() < 1e-6);
    for tick in &ticks {
        drawing.text(
            "tick",
            (across.at(*tick), BOTTOM + 17.0),
            Anchor::Middle,
            &tick_label(*tick, &ticks),
        );
    }
    drawing.line("axis", (LEFT, BOTTOM), (RIGHT, BOTTOM));
    let mut ends = Vec::new();
    for (curve, class) in curves.iter().zip(CLASSES.iter().cycle()) {
        let line: Vec<(f64, f64)> = curve
            .points
            .iter()
            .map(|&(x, y)| (across.at(x), up.at(y)))
            .collect();
        drawing.polyline(class, &line);
        for (&(x, y), at) in curve.points.iter().zip(&line) {
            drawing.dot(
                class,
                *at,
                3.0,
                &format!("{}: {y:.2} at {x:.0}", curve.name),
            );
        }
        if let Some(&(x, y)) = line.last() {
            ends.push((y, x, *class, &curve.name));
        }
    }
    ends.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut lowest = f64::NEG_INFINITY;
    for (y, x, class, name) in ends {
        let shown = y.max(lowest + APART);
        lowest = shown;
        drawing.line("leader", (x + 5.0, y), (RIGHT + 8.0, shown));
        drawing.square(class, (RIGHT + 14.0, shown), 4.0, name);
        drawing.text_within(
            "label",
            (RIGHT + 23.0, shown + 4.0),
            Anchor::Start,
            name,
            WIDTH - RIGHT - 26.0,
        );
    }
    let middle = f64::midpoint(LEFT, RIGHT);
    drawing.text(
        "title",
        (middle, BOTTOM + 38.0),
        Anchor::Middle,
        across_title,
    );
    drawing.upright_text("title", (12.0, f64::midpoint(TOP, BOTTOM)), up_title);
    drawing.finish(words.id, words.title, words.shows)
}

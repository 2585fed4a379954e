//! Rows of values with their intervals, one beneath the other, so that any number of them with any name can be read.

use super::axis::{Axis, round_range, tick_label};
use super::{WIDTH, Words, axis_count};
use crate::evaluation::Interval;
use crate::evaluation::pages::drawing::{Anchor, Drawing};

/// One row.
#[derive(Clone, Debug)]
pub(in crate::evaluation::pages) struct Row {
    /// What is measured.
    pub label: String,
    /// How much of it there is, in smaller letters.
    pub note: String,
    /// The value; none where there is nothing to make it of.
    pub value: Option<f64>,
    /// Its interval.
    pub interval: Option<Interval>,
    /// Drawn in the colour of what is good or bad; by default neither.
    pub class: &'static str,
}

/// What rows have in common.
#[derive(Clone, Debug)]
pub(in crate::evaluation::pages) struct Forest<'a> {
    /// What the values are, with their unit.
    pub axis_title: &'a str,
    /// A value to compare with, and its name.
    pub reference: Option<(f64, String)>,
    /// The narrowest range to show: smaller differences are not worth a look.
    pub least: f64,
    /// Values are differences, written with their sign.
    pub signed: bool,
}

const LEFT: f64 = 138.0;
const RIGHT: f64 = 334.0;
const TOP: f64 = 30.0;
const ROW: f64 = 32.0;

/// Values with intervals.
pub(in crate::evaluation::pages) fn forest(
    words: Words<'_>,
    rows: &[Row],
    forest: &Forest<'_>,
) -> String {
    let bottom = TOP + ROW * axis_count(rows.len().max(1));
    let mut drawing = Drawing::new(WIDTH, bottom + 48.0);
    let values = rows.iter().flat_map(|row| {
        let [low, high] = row.interval.unwrap_or([f64::NAN; 2]);
        [row.value.unwrap_or(f64::NAN), low, high]
    });
    let reference = forest.reference.iter().map(|(value, _)| *value);
    let across = Axis::new(
        round_range(values.chain(reference), forest.least),
        (LEFT, RIGHT),
    );
    let ticks = across.ticks(4.0);
    for tick in &ticks {
        let x = across.at(*tick);
        drawing.line("grid", (x, TOP), (x, bottom));
        drawing.text(
            "tick",
            (x, bottom + 17.0),
            Anchor::Middle,
            &tick_label(*tick, &ticks),
        );
    }
    drawing.line("axis", (LEFT, bottom), (RIGHT, bottom));
    if let Some((value, name)) = &forest.reference {
        let x = across.at(*value);
        drawing.line("mark", (x, TOP - 8.0), (x, bottom));
        drawing.text("value", (x, TOP - 13.0), Anchor::Middle, name);
    }
    for (index, row) in rows.iter().enumerate() {
        draw_row(
            &mut drawing,
            row,
            TOP + ROW * (axis_count(index) + 0.5),
            &across,
            forest.signed,
        );
    }
    let middle = f64::midpoint(LEFT, RIGHT);
    drawing.text(
        "title",
        (middle, bottom + 38.0),
        Anchor::Middle,
        forest.axis_title,
    );
    drawing.finish(words.id, words.title, words.shows)
}

fn draw_row(drawing: &mut Drawing, row: &Row, y: f64, across: &Axis, signed: bool) {
    drawing.text_within(
        "label",
        (LEFT - 10.0, y - 1.0),
        Anchor::End,
        &row.label,
        LEFT - 14.0,
    );
    drawing.text("note", (LEFT - 10.0, y + 12.0), Anchor::End, &row.note);
    let written = |value: f64| match signed {
        true => format!("{value:+.3}"),
        false => format!("{value:.2}"),
    };
    let Some(value) = row.value else {
        drawing.text(
            "note",
            (RIGHT + 12.0, y + 4.0),
            Anchor::Start,
            "nothing measured",
        );
        return;
    };
    let mut text = written(value);
    if let Some([low, high]) = row.interval {
        drawing.line(row.class, (across.at(low), y), (across.at(high), y));
        for end in [low, high] {
            drawing.line(
                row.class,
                (across.at(end), y - 4.0),
                (across.at(end), y + 4.0),
            );
        }
        let range = format!("{} to {}", written(low), written(high));
        drawing.text("note", (RIGHT + 12.0, y + 12.0), Anchor::Start, &range);
        text = written(value);
    }
    let tip = format!("{}: {text}", row.label);
    drawing.dot(row.class, (across.at(value), y), 4.5, &tip);
    let lift = if row.interval.is_some() { -1.0 } else { 4.0 };
    drawing.text("value", (RIGHT + 12.0, y + lift), Anchor::Start, &text);
}

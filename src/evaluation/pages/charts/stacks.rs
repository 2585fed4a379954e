//! Bars made of parts, lying: where the time goes.

use super::axis::{Axis, round_range, tick_label};
use super::{WIDTH, Words, axis_count};
use crate::evaluation::pages::drawing::{Anchor, Drawing, text_width};

/// One bar.
#[derive(Clone, Debug)]
pub(in crate::evaluation::pages) struct Stack {
    /// What takes the time.
    pub label: String,
    /// Its parts: class, name, milliseconds.
    pub parts: Vec<(&'static str, &'static str, f64)>,
}

/// What the bars measure.
#[derive(Clone, Copy, Debug)]
pub(in crate::evaluation::pages) struct Unit {
    /// Under the axis.
    pub axis_title: &'static str,
    /// Behind each value.
    pub suffix: &'static str,
}

const LEFT: f64 = 20.0;
const RIGHT: f64 = 400.0;
const TOP: f64 = 8.0;
const ROW: f64 = 78.0;

/// Bars over one another on a common scale.
pub(in crate::evaluation::pages) fn stacks(
    words: Words<'_>,
    stacks: &[Stack],
    unit: Unit,
) -> String {
    let bottom = TOP + ROW * axis_count(stacks.len());
    let mut drawing = Drawing::new(WIDTH, bottom + 46.0);
    let totals = stacks.iter().map(total);
    let (_, longest) = round_range(totals.chain([0.0]), 1e-6);
    let across = Axis::new((0.0, longest), (LEFT, RIGHT));
    let ticks = across.ticks(5.0);
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
    for (index, stack) in stacks.iter().enumerate() {
        let top = TOP + ROW * axis_count(index);
        drawing.text("label", (LEFT, top + 15.0), Anchor::Start, &stack.label);
        let mut legend = LEFT;
        let mut begin = 0.0;
        for (class, name, value) in &stack.parts {
            let text = format!("{name} {} {}", milliseconds(*value), unit.suffix);
            let (from, to) = (across.at(begin), across.at(begin + value));
            drawing.rectangle(class, (from, top + 23.0), (to - from, 22.0), &text);
            begin += value;
            if stack.parts.len() > 1 {
                drawing.square(class, (legend + 5.0, top + 57.0), 5.0, &text);
                drawing.text("note", (legend + 14.0, top + 61.0), Anchor::Start, &text);
                legend += 26.0 + text_width(&text);
            }
        }
        let text = format!("{} {}", milliseconds(begin), unit.suffix);
        drawing.text(
            "value",
            (across.at(begin) + 6.0, top + 38.0),
            Anchor::Start,
            &text,
        );
    }
    drawing.line("axis", (LEFT, bottom), (RIGHT, bottom));
    let middle = f64::midpoint(LEFT, RIGHT);
    drawing.text(
        "title",
        (middle, bottom + 38.0),
        Anchor::Middle,
        unit.axis_title,
    );
    drawing.finish(words.id, words.title, words.shows)
}

fn total(stack: &Stack) -> f64 {
    stack.parts.iter().map(|(_, _, value)| value).sum()
}

/// Three digits that say something.
fn milliseconds(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value if value >= 1.0 => format!("{value:.2}"),
        value => format!("{value:.3}"),
    }
}

//! Upright bars: how often each number occurs.

use super::axis::{Axis, round_range, tick_label};
use super::{WIDTH, Words, every, percent};
use crate::evaluation::pages::drawing::{Anchor, Drawing};

/// One bar.
#[derive(Clone, Debug)]
pub(in crate::evaluation::pages) struct Column {
    /// What is counted under it.
    pub label: String,
    /// Its share of all, 0 to 1.
    pub share: f64,
    /// What it tells who points at it.
    pub tip: String,
}

const HEIGHT: f64 = 250.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 470.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 204.0;

/// Bars of shares, with a mark at a place between them (in bars, counted from the first one's middle).
pub(in crate::evaluation::pages) fn columns(
    words: Words<'_>,
    columns: &[Column],
    axis_title: &str,
    mark: Option<(f64, String)>,
) -> String {
    let mut drawing = Drawing::new(WIDTH, HEIGHT);
    let highest = columns
        .iter()
        .map(|column| column.share)
        .fold(0.05, f64::max);
    let (_, highest) = round_range([0.0, highest].into_iter(), 0.05);
    let height = Axis::new((0.0, highest.min(1.0)), (BOTTOM, TOP));
    let ticks = height.ticks(5.0);
    let in_percent: Vec<f64> = ticks.iter().map(|tick| 100.0 * tick).collect();
    for (tick, share) in ticks.iter().zip(&in_percent) {
        let y = height.at(*tick);
        drawing.line("grid", (LEFT, y), (RIGHT, y));
        let label = format!("{} %", tick_label(*share, &in_percent));
        drawing.text("tick", (LEFT - 6.0, y + 4.0), Anchor::End, &label);
    }
    let count = columns.len().max(1);
    let room = (RIGHT - LEFT) / super::axis_count(count);
    let labelled = every(count, 16);
    for (index, column) in columns.iter().enumerate() {
        let x = LEFT + room * super::axis_count(index);
        let y = height.at(column.share);
        let width = (room * 0.72).min(56.0);
        let left = x + (room - width) / 2.0;
        drawing.rectangle("bar", (left, y), (width, BOTTOM - y), &column.tip);
        if index % labelled == 0 {
            drawing.text(
                "tick",
                (x + room / 2.0, BOTTOM + 17.0),
                Anchor::Middle,
                &column.label,
            );
        }
        let label = match count {
            0..=7 => percent(column.share, 1),
            8..=11 => percent(column.share, 0),
            _ => continue,
        };
        drawing.text("value", (x + room / 2.0, y - 5.0), Anchor::Middle, &label);
    }
    drawing.line("axis", (LEFT, BOTTOM), (RIGHT, BOTTOM));
    if let Some((place, label)) = mark {
        let x = LEFT + room * (place + 0.5);
        drawing.line("mark", (x, 16.0), (x, BOTTOM));
        // To the side on which there is more room.
        let (anchor, x) = match x > f64::midpoint(LEFT, RIGHT) {
            true => (Anchor::End, x - 5.0),
            false => (Anchor::Start, x + 5.0),
        };
        drawing.text("value", (x, 13.0), anchor, &label);
    }
    let middle = f64::midpoint(LEFT, RIGHT);
    drawing.text("title", (middle, BOTTOM + 38.0), Anchor::Middle, axis_title);
    drawing.upright_text(
        "title",
        (12.0, f64::midpoint(TOP, BOTTOM)),
        "share of steps",
    );
    drawing.finish(words.id, words.title, words.shows)
}

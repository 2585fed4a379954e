//! Said against true: the head's probability of its favourite, and the share of favourites that the verifier took.

use super::axis::Axis;
use super::{WIDTH, Words, axis_count, percent};
use crate::evaluation::Interval;
use crate::evaluation::pages::drawing::{Anchor, Drawing};

/// The favourites that were given about the same probability.
#[derive(Clone, Copy, Debug)]
pub(in crate::evaluation::pages) struct ReliabilityPoint {
    /// Favourites.
    pub count: usize,
    /// Their mean probability.
    pub said: Option<f64>,
    /// The share that was taken.
    pub share: Option<f64>,
    /// Its interval.
    pub interval: Option<Interval>,
}

const HEIGHT: f64 = 336.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 458.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 254.0;

/// A point for each bin, from 0 to 1, with the number of favourites in it.
pub(in crate::evaluation::pages) fn reliability(
    words: Words<'_>,
    bins: &[ReliabilityPoint],
) -> String {
    let mut drawing = Drawing::new(WIDTH, HEIGHT);
    let height = Axis::new((0.0, 1.0), (BOTTOM, TOP));
    let across = Axis::new((0.0, 1.0), (LEFT, RIGHT));
    for tick in height.ticks(5.0) {
        drawing.line("grid", (LEFT, height.at(tick)), (RIGHT, height.at(tick)));
        drawing.text(
            "tick",
            (LEFT - 6.0, height.at(tick) + 4.0),
            Anchor::End,
            &percent(tick, 0),
        );
        drawing.text(
            "tick",
            (across.at(tick), BOTTOM + 17.0),
            Anchor::Middle,
            &percent(tick, 0),
        );
    }
    drawing.line("axis", (LEFT, BOTTOM), (RIGHT, BOTTOM));
    drawing.line("mark", (LEFT, BOTTOM), (RIGHT, TOP));
    drawing.text(
        "note",
        (LEFT + 8.0, TOP + 14.0),
        Anchor::Start,
        "above the line: too modest",
    );
    drawing.text(
        "note",
        (RIGHT - 8.0, BOTTOM - 10.0),
        Anchor::End,
        "below the line: too sure of itself",
    );
    let room = (RIGHT - LEFT) / axis_count(bins.len().max(1));
    for (index, bin) in bins.iter().enumerate() {
        let middle = LEFT + room * (axis_count(index) + 0.5);
        drawing.text(
            "note",
            (middle, BOTTOM + 56.0),
            Anchor::Middle,
            &short_count(bin.count),
        );
        let (Some(said), Some(share)) = (bin.said, bin.share) else {
            continue;
        };
        let (x, y) = (across.at(said), height.at(share));
        if let Some([low, high]) = bin.interval {
            drawing.line("one", (x, height.at(low)), (x, height.at(high)));
            for end in [low, high] {
                drawing.line("one", (x - 4.0, height.at(end)), (x + 4.0, height.at(end)));
            }
        }
        let tip = format!(
            "said {}, taken {}, of {}",
            percent(said, 1),
            percent(share, 1),
            bin.count
        );
        drawing.dot("one", (x, y), 4.5, &tip);
    }
    let middle = f64::midpoint(LEFT, RIGHT);
    let title = "probability that the head gives its favourite";
    drawing.text("title", (middle, BOTTOM + 37.0), Anchor::Middle, title);
    drawing.text(
        "title",
        (middle, BOTTOM + 74.0),
        Anchor::Middle,
        "number of favourites in each tenth",
    );
    drawing.upright_text(
        "title",
        (12.0, f64::midpoint(TOP, BOTTOM)),
        "share that the verifier took",
    );
    drawing.finish(words.id, words.title, words.shows)
}

/// A count in four letters at most.
fn short_count(count: usize) -> String {
    match count {
        0..=9_999 => count.to_string(),
        10_000..=999_999 => format!("{}k", count / 1000),
        _ => format!("{}M", count / 1_000_000),
    }
}

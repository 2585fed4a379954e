//! The charts of the pages: each takes plain numbers, and draws them so that no text lies on another, however many
//! there are.

mod axis;
mod columns;
mod curves;
mod forest;
mod reliability;
mod shares;
mod stacks;

pub(super) use columns::{Column, columns};
pub(super) use curves::{Curve, curves};
pub(super) use forest::{Forest, Row, forest};
pub(super) use reliability::{ReliabilityPoint, reliability};
pub(super) use shares::{PositionPoint, shares};
pub(super) use stacks::{Stack, Unit, stacks};

/// What every chart says of itself to who cannot see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words<'a> {
    /// Unique on the page.
    pub id: &'a str,
    /// What it is.
    pub title: &'a str,
    /// What it shows.
    pub shows: &'a str,
}

/// Width of every chart; pages scale it.
const WIDTH: f64 = 480.0;

/// Every how many positions there is a label, so that so many of them fit.
fn every(count: usize, fit: usize) -> usize {
    [1, 2, 5, 10, 20, 50]
        .into_iter()
        .find(|step| count.div_ceil(*step) <= fit)
        .unwrap_or(100)
}

/// A count as a number of pixels or places.
#[expect(clippy::cast_precision_loss, reason = "counts of marks in a drawing")]
fn axis_count(count: usize) -> f64 {
    count as f64
}

/// A share in percent.
fn percent(share: f64, decimals: usize) -> String {
    format!("{:.decimals$} %", 100.0 * share)
}

#[cfg(test)]
mod tests;

//! The figures of a report: a chart, what it shows in a sentence of numbers, what would be good, and the numbers
//! themselves as a table.

mod acceptance;
mod confidence;
mod groups;
mod times;

use serde::Serialize;

use super::charts::Words;
use super::table::Table;
use crate::evaluation::Report;

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
        Some(acceptance::positions(report)),
        Some(acceptance::lengths(report)),
        acceptance::frontier(report),
        times::latency(report),
        groups::contexts(report),
        groups::categories(report),
        report.calibration.as_ref().map(confidence::calibration),
    ];
    figures.into_iter().flatten().collect()
}

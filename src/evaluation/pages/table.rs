//! Tables of a page.

use serde::Serialize;

/// Titles and rows. The first columns are text, the others numbers.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Table {
    titles: Vec<String>,
    rows: Vec<Vec<String>>,
    /// How many columns are text.
    text_columns: usize,
}

impl Table {
    pub(super) fn new(text_columns: usize, titles: &[&str]) -> Table {
        Table {
            titles: titles.iter().map(|&title| title.to_owned()).collect(),
            rows: Vec::new(),
            text_columns,
        }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(super) fn with(mut self, rows: impl IntoIterator<Item = Vec<String>>) -> Table {
        self.rows.extend(rows);
        self
    }
}

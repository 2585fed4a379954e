//! Borderless tables: greppable, numbers to the right.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use speculators_formats::Decision;

/// A table with these column titles; the first column is text, the others hold numbers.
pub fn numbers(titles: &[&str]) -> Table {
    let mut table = plain(titles);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// A table with these column titles.
pub fn plain(titles: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(titles.to_vec());
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// What was resolved rather than read, with the reasons.
pub fn decisions(decisions: &[Decision]) -> String {
    let mut table = plain(&["resolved", "value", "", "because"]);
    for decision in decisions {
        let mark = if decision.guess { "guess" } else { "" };
        table.add_row([
            decision.subject.as_str(),
            &decision.value,
            mark,
            &decision.reason,
        ]);
    }
    table.trim_fmt()
}

/// Bytes in the unit that reads best.
#[expect(clippy::cast_precision_loss, reason = "shown to one decimal")]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{count} B")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

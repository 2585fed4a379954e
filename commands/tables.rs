//! Borderless tables: greppable, numbers to the right.

use std::path::Path;

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

/// Letters in a line of the terminal that stdout goes to; none where it goes elsewhere, and lines stay whole for `grep`.
pub fn terminal_width() -> Option<usize> {
    let (terminal_size::Width(width), _) = terminal_size::terminal_size_of(std::io::stdout())?;
    Some(usize::from(width).max(40))
}

/// Text in lines of a width, those after the first indented.
pub fn wrapped(text: &str, indent: usize, width: Option<usize>) -> String {
    let Some(width) = width else {
        return text.to_owned();
    };
    let mut lines = String::new();
    let mut length = 0;
    for word in text.split_inclusive(' ') {
        let letters = word.trim_end().chars().count();
        if length > indent && length + letters > width {
            lines.truncate(lines.trim_end().len());
            lines.push('\n');
            lines.push_str(&" ".repeat(indent));
            length = indent;
        }
        lines.push_str(word);
        length += word.chars().count();
    }
    lines
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

/// A count with its thousands apart.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The last component of a path.
pub fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_and_only_at_a_terminal() {
        let text = "setting     greedy, 3 draft tokens per step";
        assert_eq!(wrapped(text, 12, None), text);
        let lines = wrapped(text, 12, Some(30));
        assert_eq!(
            lines,
            "setting     greedy, 3 draft\n            tokens per step"
        );
        // A word that is too long stands alone.
        assert_eq!(wrapped("a bbbbbbbb c", 1, Some(4)), "a\n bbbbbbbb\n c");
    }

    #[test]
    fn thousands_are_set_apart() {
        for (count, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (123_456, "123,456"),
            (8_030_261_248, "8,030,261,248"),
        ] {
            assert_eq!(grouped(count), text);
        }
    }
}

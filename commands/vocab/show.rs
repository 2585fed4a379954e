//! The report as text.

use std::io::{self, Write};

use comfy_table::Table;

use super::report::{MapReport, Report, SpecialToken};
use crate::tables::{self, grouped};

/// Special tokens and exchanges that are listed.
const LISTED: usize = 20;

/// Writes all of it, section by section.
pub fn all(report: &Report, output: &mut impl Write) -> io::Result<()> {
    let mut sections = vec![counted(report), coverage(report)];
    sections.extend(report.map.as_ref().map(|map| summary(map, report.tokens)));
    sections.extend(special(report));
    sections.extend(report.map.as_ref().and_then(exchanged));
    let files = report.files.iter();
    let files: Vec<String> = files
        .map(|file| format!("wrote {}", file.display()))
        .collect();
    sections.push(files.join("\n"));
    sections.retain(|section| !section.is_empty());
    writeln!(output, "{}", sections.join("\n\n"))
}

fn counted(report: &Report) -> String {
    let tokens = format!(
        "counted: {} tokens, {} different ones of {}; {} were never seen",
        grouped(report.tokens),
        grouped(report.seen as u64),
        grouped(report.vocab_size as u64),
        grouped(report.never_seen as u64)
    );
    let Some(lines) = &report.lines else {
        return tokens;
    };
    let parts = [
        (lines.conversations, "conversations"),
        (lines.answers, "answers"),
        (lines.text, "texts"),
        (lines.masked, "ids with a loss mask"),
        (lines.unmasked, "ids without one, counted whole"),
        (lines.without_answer, "without an answer, not counted"),
        (lines.skipped, "lines left out"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts
        .map(|(count, what)| format!("{what} {}", grouped(*count)))
        .collect();
    format!("read: {}\n{tokens}", parts.join("; "))
}

fn coverage(report: &Report) -> String {
    let mut table = tables::numbers(&["most frequent tokens", "cover", "share"]);
    for row in &report.coverage {
        table.add_row([
            grouped(row.draft_vocab_size as u64),
            grouped(row.covered),
            percent(row.covered, report.tokens),
        ]);
    }
    table.trim_fmt()
}

fn summary(map: &MapReport, tokens: u64) -> String {
    format!(
        "the map: {} draft tokens cover {}; {} of them only fill up, {} are in by force alone",
        grouped(map.draft_vocab_size as u64),
        percent(map.covered, tokens),
        grouped(map.padding as u64),
        map.exchanged.len()
    )
}

fn special(report: &Report) -> Option<String> {
    let mut titles = vec!["special token", "id", "count", "what it does"];
    if report.map.is_some() {
        titles.push("in the map");
    }
    let mut table = tables::plain(&titles);
    for column in [1, 2] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(comfy_table::CellAlignment::Right);
        }
    }
    for token in report.special_tokens.iter().take(LISTED) {
        let mut row = vec![
            shown(token.text.as_deref()),
            token.id.to_string(),
            grouped(token.count),
            role(token).to_owned(),
        ];
        let word = |included| if included { "yes" } else { "no" };
        row.extend(token.included.map(|included| word(included).to_owned()));
        table.add_row(row);
    }
    let found = report.special_tokens.len();
    (found > 0).then(|| cut(&table, found))
}

fn exchanged(map: &MapReport) -> Option<String> {
    let titles = ["included by force", "", "displaced", "", "which occurs"];
    let mut table = tables::plain(&titles);
    for exchange in map.exchanged.iter().take(LISTED) {
        table.add_row([
            exchange.included.to_string(),
            shown(exchange.included_text.as_deref()),
            exchange.displaced.to_string(),
            shown(exchange.displaced_text.as_deref()),
            format!("{} times", grouped(exchange.displaced_count)),
        ]);
    }
    let found = map.exchanged.len();
    (found > 0).then(|| cut(&table, found))
}

/// A table, and how much of it there is no room for.
fn cut(table: &Table, found: usize) -> String {
    let mut text = table.trim_fmt();
    if found > LISTED {
        text.push_str(&format!(
            "\nand {} more; `--format json` lists all",
            found - LISTED
        ));
    }
    text
}

fn role(token: &SpecialToken) -> &'static str {
    match (token.eos, token.chat) {
        (true, true) => "ends a text, chat template",
        (true, false) => "ends a text",
        (false, true) => "chat template",
        (false, false) => "",
    }
}

/// A token as text on one line, with nothing in it that a terminal would obey.
fn shown(text: Option<&str>) -> String {
    text.unwrap_or_default().escape_debug().to_string()
}

/// A share, rounded down: what is not everything is not shown as 100 %.
fn percent(part: u64, whole: u64) -> String {
    let hundredths = u128::from(part) * 10_000 / u128::from(whole.max(1));
    format!("{}.{:02} %", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_everything_is_shown_as_everything() {
        for (part, whole, text) in [
            (1, 3, "33.33 %"),
            (99_999, 100_000, "99.99 %"),
            (7, 7, "100.00 %"),
            (0, 0, "0.00 %"),
        ] {
            assert_eq!(percent(part, whole), text);
        }
    }
}

//! The report as text.

use std::io::{self, Write};

use super::report::{Report, SpecialToken};
use crate::tables::{self, grouped};

/// Special tokens and exchanges that are listed.
const LISTED: usize = 20;

/// Writes all of it.
pub fn all(report: &Report, output: &mut impl Write) -> io::Result<()> {
    if let Some(lines) = &report.lines {
        let parts = [
            (lines.answers, "answers"),
            (lines.conversations, "conversations"),
            (lines.text, "texts"),
            (lines.masked, "lines of ids with a loss mask"),
            (lines.unmasked, "lines of ids without one, counted whole"),
            (
                lines.without_answer,
                "conversations without an answer, not counted",
            ),
            (lines.skipped, "lines left out"),
        ];
        let parts = parts.iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = parts
            .map(|(count, what)| format!("{} {what}", grouped(*count)))
            .collect();
        writeln!(output, "read: {}", parts.join(", "))?;
    }
    writeln!(
        output,
        "counted: {} tokens, {} different ones of {}; {} were never seen\n",
        grouped(report.tokens),
        grouped(report.seen as u64),
        grouped(report.vocab_size as u64),
        grouped(report.never_seen as u64)
    )?;
    coverage(report, output)?;
    special(report, output)?;
    exchanged(report, output)?;
    for file in &report.files {
        writeln!(output, "wrote {}", file.display())?;
    }
    Ok(())
}

fn coverage(report: &Report, output: &mut impl Write) -> io::Result<()> {
    let mut table = tables::numbers(&["most frequent tokens", "cover", "share"]);
    for row in &report.coverage {
        table.add_row([
            grouped(row.draft_vocab_size as u64),
            grouped(row.covered),
            percent(row.covered, report.tokens),
        ]);
    }
    writeln!(output, "{}\n", table.trim_fmt())?;
    let Some(map) = &report.map else {
        return Ok(());
    };
    writeln!(
        output,
        "the map: {} draft tokens cover {}; {} were never seen, {} are in by force alone\n",
        grouped(map.draft_vocab_size as u64),
        percent(map.covered, report.tokens),
        grouped(map.padding as u64),
        map.exchanged.len()
    )
}

fn special(report: &Report, output: &mut impl Write) -> io::Result<()> {
    if report.special_tokens.is_empty() {
        return Ok(());
    }
    let mut table = tables::plain(&["special token", "id", "count", "what it does", "in the map"]);
    for column in [1, 2] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(comfy_table::CellAlignment::Right);
        }
    }
    for token in report.special_tokens.iter().take(LISTED) {
        table.add_row([
            token.text.clone().unwrap_or_default(),
            token.id.to_string(),
            grouped(token.count),
            role(token).to_owned(),
            match token.included {
                Some(true) => "yes".to_owned(),
                Some(false) => "no".to_owned(),
                None => String::new(),
            },
        ]);
    }
    writeln!(output, "{}", table.trim_fmt())?;
    if report.special_tokens.len() > LISTED {
        let more = report.special_tokens.len() - LISTED;
        writeln!(output, "and {more} more; `--format json` lists all")?;
    }
    writeln!(output)
}

fn role(token: &SpecialToken) -> &'static str {
    match (token.eos, token.chat) {
        (true, true) => "ends a text, chat template",
        (true, false) => "ends a text",
        (false, true) => "chat template",
        (false, false) => "",
    }
}

fn exchanged(report: &Report, output: &mut impl Write) -> io::Result<()> {
    let Some(map) = report.map.as_ref().filter(|map| !map.exchanged.is_empty()) else {
        return Ok(());
    };
    let mut table = tables::numbers(&["included by force", "displaced", "which occurs"]);
    for exchange in map.exchanged.iter().take(LISTED) {
        table.add_row([
            exchange.included.to_string(),
            exchange.displaced.to_string(),
            format!("{} times", grouped(exchange.displaced_count)),
        ]);
    }
    writeln!(output, "{}", table.trim_fmt())?;
    if map.exchanged.len() > LISTED {
        let more = map.exchanged.len() - LISTED;
        writeln!(output, "and {more} more; `--format json` lists all")?;
    }
    writeln!(output)
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

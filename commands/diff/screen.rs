//! A comparison as a screen of text.

use comfy_table::Table;
use serde_json::Value;
use speculators_formats::Decision;
use speculators_formats::diff::{
    Comparison, ConfigDifference, DescriptionDifference, FieldStatus, KeyRow, KeyStatus, Side,
    Statistics, StoredTensor, TensorDifference, TensorRow, TensorStatus, Verdict,
};

use crate::tables;
use crate::words::{self, plain};

/// Rows of a list, unless all are asked for.
const LISTED: usize = 10;
/// Longer values are cut; the JSON form has them whole.
const WIDEST: usize = 48;

/// The report, a table for each subject.
pub fn sections(comparison: &Comparison, all: bool) -> Vec<String> {
    let mut sections = vec![sides(&comparison.a, &comparison.b)];
    if let Some(description) = &comparison.description {
        sections.push(fields(description));
    }
    if let Some(config) = &comparison.config {
        sections.extend(keys(config, all));
    }
    if let Some(tensors) = &comparison.tensors {
        sections.extend(values(tensors, all));
    }
    sections
}

/// The last line: the answer, and what it rests on.
pub fn summary(comparison: &Comparison) -> String {
    if comparison.verdict == Verdict::Different {
        return format!("different: {}", comparison.reasons.join(", "));
    }
    let mut parts = Vec::new();
    if let Some(description) = &comparison.description {
        parts.push(format!(
            "{} of the description",
            counted(description.equal, "field")
        ));
    } else if let Some(config) = &comparison.config {
        parts.push(counted(config.equal, "config key"));
    }
    parts.extend(comparison.tensors.as_ref().map(equal_tensors));
    format!("equal: {}", parts.join(", "))
}

/// How many tensors there are, and in what way they are equal where bytes and names are not.
fn equal_tensors(tensors: &TensorDifference) -> String {
    let ways = [
        ("under other names", [TensorStatus::Renamed; 2]),
        ("by meaning", [TensorStatus::SameMeaning; 2]),
        (
            "within the tolerance",
            [TensorStatus::Changed, TensorStatus::Cast],
        ),
        (
            "on one side only",
            [TensorStatus::OnlyA, TensorStatus::OnlyB],
        ),
    ];
    let ways = ways.iter().filter_map(|(how, statuses)| {
        let rows = tensors
            .rows
            .iter()
            .filter(|row| statuses.contains(&row.status));
        let count = rows.count();
        (count > 0).then(|| format!("{count} {how}"))
    });
    let ways: Vec<String> = ways.collect();
    let count = counted(tensors.rows.len(), "tensor");
    if ways.is_empty() {
        count
    } else {
        format!("{count} ({})", ways.join(", "))
    }
}

fn sides(a: &Side, b: &Side) -> String {
    let mut table = tables::plain(&["", "A", "B"]);
    let mut add = |label: &str, tell: &dyn Fn(&Side) -> String| {
        table.add_row([label.to_owned(), tell(a), tell(b)]);
    };
    add("path", &|side| side.path.display().to_string());
    add("kind", &|side| {
        words::kind(side.kind, side.algorithm, side.layout)
    });
    if a.writer.is_some() || b.writer.is_some() {
        add("written by", &|side| {
            side.writer
                .clone()
                .unwrap_or_else(|| "not known".to_owned())
        });
    }
    add("tensors", &|side| {
        format!("{}, {}", side.tensors, tables::bytes(side.bytes))
    });
    add("parameters", &|side| tables::grouped(side.parameters));
    add("files", &|side| match side.files.as_slice() {
        [only] => tables::file_name(&only.path),
        several => format!("{} files", several.len()),
    });
    table.trim_fmt()
}

fn fields(description: &DescriptionDifference) -> String {
    let mut text = String::new();
    if !description.different.is_empty() {
        let mut table = tables::plain(&["description", "A", "B", ""]);
        for row in &description.different {
            let note = match row.status {
                FieldStatus::Different => "",
                FieldStatus::Open => "`--verifier` settles it",
                FieldStatus::Storage => "storage; the tensors decide",
            };
            let value = |value: &Value| match value {
                Value::Array(list) if list.is_empty() => "open".to_owned(),
                Value::Null => "-".to_owned(),
                value => cut(value),
            };
            let (a, b) = (value(&row.a), value(&row.b));
            table.add_row([row.field.as_str(), &a, &b, note]);
            for (side, decisions) in [("A", &row.decisions_a), ("B", &row.decisions_b)] {
                for decision in decisions {
                    table.add_row(["", "", "", &because(side, decision)]);
                }
            }
        }
        text = table.trim_fmt() + "\n";
    }
    text + &format!(
        "{} equal",
        are(description.equal, "field", " of the description")
    )
}

fn because(side: &str, decision: &Decision) -> String {
    let guess = if decision.guess {
        "guessed as"
    } else {
        "taken as"
    };
    format!("{side}: {guess} {}: {}", decision.value, decision.reason)
}

fn keys(config: &ConfigDifference, all: bool) -> Option<String> {
    let said = config.count(KeyStatus::SameMeaning);
    let rows: Vec<&KeyRow> = config
        .keys
        .iter()
        .filter(|row| all || row.status != KeyStatus::SameMeaning)
        .collect();
    if config.keys.is_empty() && config.equal == 0 {
        return None;
    }
    let mut text = String::new();
    if !rows.is_empty() {
        let mut table = tables::plain(&["config key", "A", "B", ""]);
        for row in rows.iter().take(limit(all)) {
            let name = match (&row.a, &row.b) {
                (Some(a), Some(b)) if a != b => format!("{a} / {b}"),
                (Some(name), _) | (None, Some(name)) => name.clone(),
                (None, None) => String::new(),
            };
            let value = |value: &Option<Value>| value.as_ref().map_or_else(|| "-".to_owned(), cut);
            let note = match (&row.field, row.status) {
                (Some(field), KeyStatus::SameMeaning) => format!("same `{field}`"),
                (None, KeyStatus::SameMeaning) => "same value".to_owned(),
                _ => String::new(),
            };
            table.add_row([name, value(&row.a_value), value(&row.b_value), note]);
        }
        text = table.trim_fmt() + "\n" + &more(rows.len(), all);
    }
    let spelled = match said {
        0 => String::new(),
        1 => ", 1 says the same in other words".to_owned(),
        several => format!(", {several} say the same in other words"),
    };
    Some(text + &format!("{} equal{spelled}", are(config.equal, "config key", "")))
}

fn values(tensors: &TensorDifference, all: bool) -> Option<String> {
    if tensors.rows.is_empty() {
        return None;
    }
    let quiet = [TensorStatus::Equal, TensorStatus::Renamed];
    let rows: Vec<&TensorRow> = tensors
        .rows
        .iter()
        .filter(|row| all || !quiet.contains(&row.status))
        .collect();
    let mut text = String::new();
    if !rows.is_empty() {
        let shown = &rows[..rows.len().min(limit(all))];
        text = tensor_table(shown).trim_fmt() + "\n" + &more(rows.len(), all);
    }
    let renamed = tensors.count(TensorStatus::Renamed);
    let equal = renamed + tensors.count(TensorStatus::Equal);
    let names = match renamed {
        0 => String::new(),
        renamed if renamed == equal => ", under other names".to_owned(),
        renamed => format!(", {renamed} of them under other names"),
    };
    Some(text + &format!("{} equal to the byte{names}", are(equal, "tensor", "")))
}

fn tensor_table(rows: &[&TensorRow]) -> Table {
    let measured = rows.iter().any(|row| row.statistics.is_some());
    let mut titles = vec!["tensor", ""];
    if measured {
        titles.extend(["relative", "largest", "cosine", "values"]);
    }
    titles.push("");
    let mut table = tables::plain(&titles);
    for row in rows {
        let mut cells = vec![row.name.clone(), status(row).to_owned()];
        if measured {
            cells.extend(
                row.statistics
                    .as_ref()
                    .map_or_else(Default::default, columns),
            );
        }
        cells.push(remarks(row));
        table.add_row(cells);
    }
    table
}

fn status(row: &TensorRow) -> &'static str {
    match row.status {
        TensorStatus::Equal => "equal",
        TensorStatus::Renamed => "renamed",
        TensorStatus::SameMeaning => "same meaning",
        TensorStatus::Cast if row.matters => "other dtype",
        TensorStatus::Cast => "other dtype, within tolerance",
        TensorStatus::Changed if row.matters => "changed",
        TensorStatus::Changed => "within tolerance",
        TensorStatus::Reshaped => "other shape",
        TensorStatus::Moved => "moved",
        TensorStatus::OnlyA => "only in A",
        TensorStatus::OnlyB => "only in B",
    }
}

fn columns(statistics: &Statistics) -> [String; 4] {
    let largest = match &statistics.largest {
        Some(place) => format!("{} at {place:?}", number(statistics.max_abs)),
        None => number(statistics.max_abs),
    };
    let share = statistics.differing as f64 / statistics.elements.max(1) as f64;
    let values = match &statistics.first {
        Some(first) if statistics.differing == 1 => format!("1, at {first:?}"),
        Some(first) => format!("{}, from {first:?}", percent(share)),
        None => "none".to_owned(),
    };
    let cosine = statistics.cosine.map_or_else(|| "-".to_owned(), cosine);
    [number(statistics.relative), largest, cosine, values]
}

/// What does not fit into a column.
fn remarks(row: &TensorRow) -> String {
    let mut remarks = Vec::new();
    if let (Some(a), Some(b)) = (&row.a, &row.b) {
        let told =
            |tell: &dyn Fn(&StoredTensor) -> String| format!("{} in A, {} in B", tell(a), tell(b));
        let renamed = matches!(row.status, TensorStatus::Renamed | TensorStatus::Moved);
        if renamed && a.name != b.name {
            remarks.push(told(&|tensor| format!("`{}`", tensor.name)));
        }
        if row.status == TensorStatus::Cast {
            remarks.push(told(&|tensor| tensor.dtype.clone()));
        }
        if row.status == TensorStatus::Reshaped {
            remarks.push(told(&|tensor| format!("{:?}", tensor.shape)));
        }
    }
    if let Some(statistics) = &row.statistics {
        for (what, [a, b]) in [("NaN", statistics.nan), ("infinite", statistics.infinite)] {
            if a + b > 0 {
                remarks.push(format!("{a} {what} in A, {b} in B"));
            }
        }
    }
    remarks.extend(row.note.clone());
    remarks.join("; ")
}

fn limit(all: bool) -> usize {
    if all { usize::MAX } else { LISTED }
}

fn more(rows: usize, all: bool) -> String {
    if all || rows <= LISTED {
        return String::new();
    }
    format!("and {} more; `--tensors` lists all\n", rows - LISTED)
}

fn cut(value: &Value) -> String {
    let text = plain(value);
    if text.chars().count() <= WIDEST {
        return text;
    }
    let cut: String = text.chars().take(WIDEST - 1).collect();
    cut + "…"
}

/// Four digits that say something.
fn number(value: f64) -> String {
    if value == 0.0 {
        "0".to_owned()
    } else if (1e-3..1e5).contains(&value.abs()) {
        let digits = 3 - value.abs().log10().floor() as i32;
        let digits = usize::try_from(digits).unwrap_or(0);
        let text = format!("{value:.digits$}");
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text
        }
    } else {
        format!("{value:.1e}")
    }
}

/// What is lacking to 1, where that is little.
fn cosine(cosine: f64) -> String {
    let lacking = 1.0 - cosine;
    // Closer to 1 than that, it is rounding that is seen.
    if lacking < 1e-12 {
        "1".to_owned()
    } else if lacking < 1e-3 {
        format!("1 - {lacking:.0e}")
    } else {
        format!("{cosine:.4}")
    }
}

fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    if percent > 0.0 && percent < 0.1 {
        "< 0.1 %".to_owned()
    } else if percent < 100.0 && percent > 99.9 {
        "> 99.9 %".to_owned()
    } else {
        format!("{percent:.1} %")
    }
}

fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// `1 field of it is`, `2 fields of it are`.
fn are(count: usize, noun: &str, of: &str) -> String {
    let verb = if count == 1 { "is" } else { "are" };
    format!("{}{of} {verb}", counted(count, noun))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_show_what_matters_of_them() {
        for (value, text) in [
            (0.0, "0"),
            (0.25, "0.25"),
            (0.012_345_6, "0.01235"),
            (12_345.6, "12346"),
            (100.0, "100"),
            (1.25e-7, "1.2e-7"),
            (3e9, "3.0e9"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!(cosine(1.0), "1");
        assert_eq!(cosine(1.0 - 2e-9), "1 - 2e-9");
        assert_eq!(cosine(-0.5), "-0.5000");
        assert_eq!(percent(0.5), "50.0 %");
        assert_eq!(percent(1e-6), "< 0.1 %");
        assert_eq!(percent(0.999_99), "> 99.9 %");
    }
}

//! Numbers in words and tables.

use crate::evaluation::Interval;

/// With so many decimals, or a dash.
pub(super) fn number(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.decimals$}"))
}

/// In percent, or a dash.
pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", 100.0 * share))
}

/// Both ends, or a dash.
pub(super) fn interval(interval: Option<Interval>, decimals: usize) -> String {
    interval.map_or_else(
        || "–".to_owned(),
        |[low, high]| format!("{low:.decimals$} to {high:.decimals$}"),
    )
}

/// Both ends with their signs, or a dash.
pub(super) fn signed_interval(interval: Option<Interval>) -> String {
    interval.map_or_else(
        || "–".to_owned(),
        |[low, high]| format!("{low:+.3} to {high:+.3}"),
    )
}

/// Both ends in percent, or a dash.
pub(super) fn percent_interval(interval: Option<Interval>) -> String {
    interval.map_or_else(
        || "–".to_owned(),
        |[low, high]| format!("{:.1} to {:.1} %", 100.0 * low, 100.0 * high),
    )
}

/// A count and its noun.
pub(super) fn counted(count: usize, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

/// A list of names that does not run away.
pub(super) fn listed(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = names
        .iter()
        .take(SHOWN)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

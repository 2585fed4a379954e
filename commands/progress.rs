//! Progress bars, drawn on stderr and only where it is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

use crate::session::Session;

/// A bar over a number of things.
pub fn count_bar(session: &Session, total: u64, what: &str) -> ProgressBar {
    bar(
        session,
        total,
        what,
        "{prefix} {bar:32} {pos}/{len} {msg} [{elapsed} < {eta}]",
    )
}

/// A bar over bytes.
pub fn bytes_bar(session: &Session, total: u64, what: &str) -> ProgressBar {
    bar(
        session,
        total,
        what,
        "{prefix} {bar:32} {bytes}/{total_bytes} {bytes_per_sec} [{eta}]",
    )
}

fn bar(session: &Session, total: u64, what: &str, template: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), session.progress_target())
        .with_prefix(what.to_owned());
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

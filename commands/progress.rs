//! Progress bars, drawn on stderr and only where it is a terminal.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

use indicatif::{ProgressBar, ProgressStyle};

use crate::session::Session;

/// Told the bytes done and the bytes in all; breaks off when the user asks to stop.
pub type Step<'a> = &'a mut dyn FnMut(u64, u64) -> ControlFlow<()>;

/// Does work under a bar over the bytes it reads or writes. The bar is gone afterwards, whatever came of the work.
pub fn over_bytes<T>(session: &Session, what: &str, work: impl FnOnce(Step<'_>) -> T) -> T {
    let bar = bytes_bar(session, 0, what);
    let cancelled = session.cancelled();
    let outcome = work(&mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
        if cancelled.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    bar.finish_and_clear();
    outcome
}

/// A bar over things that are counted.
pub fn count_bar(session: &Session, total: u64, what: &str) -> ProgressBar {
    bar(
        session,
        total,
        what,
        "{prefix} {bar:32} {pos}/{len} {msg} [{elapsed} < {eta}]",
    )
}

/// A bar over things that are counted in parts; the message says how many of them there are.
pub fn parts_bar(session: &Session, parts: u64, what: &str) -> ProgressBar {
    bar(
        session,
        parts,
        what,
        "{prefix} {bar:32} {msg} [{elapsed} < {eta}]",
    )
}

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
